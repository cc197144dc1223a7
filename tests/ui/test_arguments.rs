//! Arguments that `#[gorust::test]` does not understand.

mod unknown {
    #[gorust::test(flavor = "multi_thread")]
    async fn works() {}
}

mod no_seeds {
    #[gorust::test(seeds = 0)]
    async fn works() {}
}

mod no_number_of_seeds {
    #[gorust::test(seeds)]
    async fn works() {}
}

mod seed_in_quotes {
    #[gorust::test(seed = "7")]
    async fn works() {}
}

mod real_and_seeds {
    #[gorust::test(real, seeds = 10)]
    async fn works() {}
}

mod workers_and_a_seed {
    #[gorust::test(seed = 7, workers = 2)]
    async fn works() {}
}

mod real_with_a_value {
    #[gorust::test(real = true)]
    async fn works() {}
}

mod no_workers {
    #[gorust::test(workers = 0)]
    async fn works() {}
}

mod leaks_denied {
    #[gorust::test(leaks = "deny")]
    async fn works() {}
}

mod timeout_without_quotes {
    #[gorust::test(timeout = 5)]
    async fn works() {}
}

mod timeout_without_unit {
    #[gorust::test(timeout = "5")]
    async fn works() {}
}

mod given_twice {
    #[gorust::test(real, real)]
    async fn works() {}
}

fn main() {}
