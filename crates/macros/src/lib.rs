//! The attribute macros of gorust, to be used through the facade. This crate only writes code; what that code calls
//! is `gorust::__private`.
//!
//! `main_attr.rs` is `#[gorust::main]`, `test_attr.rs` `#[gorust::test]`; `attribute.rs` is what they share, and
//! `duration.rs` reads `"1m30s"` as Go does. `select.rs` is what `gorust::select!` writes.

#![forbid(unsafe_code)]

mod attribute;
mod duration;
mod main_attr;
mod select;
mod test_attr;

use proc_macro::TokenStream;

/// Runs `async fn main` as a goroutine: the program ends when it returns.
///
/// `main` is an ordinary goroutine on one of the runtime's workers, so that handing a value to another goroutine
/// costs it what it costs any of them. When it returns, the process ends as in Go: other goroutines are not waited
/// for, unless there is a `grace`. It may return whatever a `main` may return ([`Termination`](std::process::Termination)): nothing, an
/// `ExitCode`, a `Result` whose error is printed.
///
/// | argument | meaning |
/// |---|---|
/// | `workers = 4` | how many threads run goroutines; as many as the process may use CPUs unless said |
/// | `panic = "isolate"` | a panic nobody looks at is only reported; `"exit"`, the default, ends the process with code 2 |
/// | `grace = "5s"` | how long goroutines may take to finish after `main` has returned: the root context is canceled, and what still waits then is dropped. Unless said nobody is waited for |
/// | `local` | `main` stays on the thread it began on, so its future need not be [`Send`], nor need those it gives to `local::spawn` |
/// | `crate = "path"` | where to find gorust, if it is not called `gorust` |
///
/// Durations are written as Go's: `"300ms"`, `"1.5s"`, `"1m30s"`.
///
/// # Panics
///
/// A panic in `main` is printed and the process ends with code 101, as any Rust program does.
///
/// # Go
///
/// `func main()`, which returns nothing: an error is printed, and the code chosen, by hand.
///
/// # Examples
///
/// ```standalone_crate
/// # extern crate self as gorust;
/// # pub use gorust_macros::main;
/// # pub mod __private {
/// #     use std::{pin::pin, process::ExitCode, task::{Context, Poll, Waker}};
/// #     pub struct MainOptions { pub workers: Option<usize>, pub panic: Option<()>,
/// #         pub grace: Option<std::time::Duration>, pub site: &'static std::panic::Location<'static> }
/// #     pub fn run_main(_: MainOptions, future: impl Future<Output = ExitCode>) -> ExitCode {
/// #         match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
/// #             Poll::Ready(code) => code,
/// #             Poll::Pending => ExitCode::FAILURE,
/// #         }
/// #     }
/// # }
/// use std::error::Error;
///
/// #[gorust::main(workers = 2)]
/// async fn main() -> Result<(), Box<dyn Error>> {
///     let port: u16 = "8080".parse()?;
///     println!("listening on {port}");
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    main_attr::expand(args.into(), item.into()).into()
}

/// Makes an `async fn` a test that runs in a bubble: on one thread, in virtual time, by a seed.
///
/// The test fails if it panics or returns an error, if a goroutine outlives it, if all of them wait and no timer is
/// there to wake one, or if one panics and nobody looks. The report says which goroutines are left, where they were
/// spawned, what each waits for and since when, and how to run exactly this again. One seed is one run, to the last
/// choice: without arguments it is made from the test's path, so a test does the same each time.
///
/// | argument | meaning |
/// |---|---|
/// | `seeds = 1000` | runs with so many seeds, each another schedule, until one fails; that one is shrunk |
/// | `seed = 7` | the seed, or the first of them |
/// | `real` | on a runtime of its own with two workers, real time and real sockets |
/// | `workers = 4` | `real`, with so many workers |
/// | `leaks = "allow"` | goroutines may outlive the test; they are dropped |
/// | `timeout = "5s"` | how long one run may take by the wall clock; 60 seconds unless said |
/// | `crate = "path"` | where to find gorust, if it is not called `gorust` |
///
/// The function may return whatever a test may return, and attributes such as `#[should_panic]` and `#[ignore]` mean
/// what they mean on any test. `GORUST_SEED=7` in the environment runs every test with that one seed, and
/// `GORUST_SCHEDULE` replays a shrunk schedule; the report prints both where they help.
///
/// # Go
///
/// `synctest.Test`, with goleak and a deadlock detector in it. Go's scheduler takes no seed.
///
/// # Examples
///
/// ```standalone_crate
/// # extern crate self as gorust;
/// # pub use gorust_macros::test;
/// use std::error::Error;
///
/// #[gorust::test(seeds = 100)]
/// async fn ports_are_numbers() -> Result<(), Box<dyn Error>> {
///     let port: u16 = "8080".parse()?;
///     assert_eq!(port, 8080);
///     Ok(())
/// }
/// # fn main() {}
/// ```
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    test_attr::expand(args.into(), item.into()).into()
}

/// What `gorust::select!` hands its cases to, behind the path of what it calls.
#[doc(hidden)]
#[proc_macro]
pub fn select(input: TokenStream) -> TokenStream {
    select::expand(input.into()).into()
}
