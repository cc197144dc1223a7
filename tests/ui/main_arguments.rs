//! Arguments that `#[gorust::main]` does not understand.

mod unknown {
    #[gorust::main(flavor = "multi_thread")]
    async fn main() {}
}

mod no_workers {
    #[gorust::main(workers = 0)]
    async fn main() {}
}

mod workers_in_quotes {
    #[gorust::main(workers = "4")]
    async fn main() {}
}

mod less_than_no_workers {
    #[gorust::main(workers = -1)]
    async fn main() {}
}

mod no_number_of_workers {
    #[gorust::main(workers)]
    async fn main() {}
}

mod duration_without_unit {
    #[gorust::main(grace = "5")]
    async fn main() {}
}

mod duration_with_unknown_unit {
    #[gorust::main(grace = "5 seconds")]
    async fn main() {}
}

mod negative_duration {
    #[gorust::main(grace = "-5s")]
    async fn main() {}
}

mod duration_without_quotes {
    #[gorust::main(grace = 5)]
    async fn main() {}
}

mod unknown_policy {
    #[gorust::main(panic = "abort")]
    async fn main() {}
}

mod local_with_a_value {
    #[gorust::main(local = true)]
    async fn main() {}
}

mod no_path {
    #[gorust::main(crate = "1 + 1")]
    async fn main() {}
}

mod given_twice {
    #[gorust::main(local, local)]
    async fn main() {}
}

mod no_value {
    #[gorust::main(workers =)]
    async fn main() {}
}

mod no_comma {
    #[gorust::main(local workers = 4)]
    async fn main() {}
}

fn main() {}
