//! Things that `#[gorust::test]` cannot stand on.

mod not_async {
    #[gorust::test]
    fn works() {}
}

mod parameters {
    #[gorust::test]
    async fn works(count: u32) {
        let _ = count;
    }
}

mod generic {
    #[gorust::test]
    async fn works<T>() {}
}

mod not_safe {
    #[gorust::test]
    async unsafe fn works() {}
}

mod not_a_function {
    #[gorust::test]
    struct Works;
}

mod a_test_already {
    #[gorust::test]
    #[test]
    async fn works() {}
}

fn main() {}
