//! `#[gorust::main]` on what is no `async fn main()`.

mod not_async {
    #[gorust::main]
    fn main() {}
}

mod with_arguments {
    #[gorust::main]
    async fn main(args: Vec<String>) {}
}

mod generic {
    #[gorust::main]
    async fn main<T>() {}
}

mod conditional {
    #[gorust::main]
    async fn main()
    where
        u8: Copy,
    {
    }
}

mod not_plain {
    #[gorust::main]
    async unsafe extern "C" fn main() {}
}

mod not_main {
    #[gorust::main]
    async fn start() {}
}

mod not_a_function {
    #[gorust::main]
    struct Main;
}

mod several_at_once {
    #[gorust::main(workers = 0)]
    fn main(port: u16) {}
}

fn main() {}
