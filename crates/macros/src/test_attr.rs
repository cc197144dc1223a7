//! `#[gorust::test]`: what it accepts, what it says when it does not, and the code it writes.
//!
//! ```text
//! #[gorust::test(seeds = 100)]         #[test]
//! async fn name() -> R { body }   =>   fn name() {
//!                                          async fn name() -> R { body }
//!                                          run_test(options, || async { Returned(name().await).verdict() })
//!                                      }
//! ```
//!
//! The closure makes the future anew for each run. What the test returned is judged inside the future, so that an
//! error that is not `Send` never leaves the goroutine: a `Result` by an inherent method of `Returned`, so that its
//! error becomes part of the report, everything else through `Termination`.

use crate::attribute::{Argument, Errors, Function, Words, optional};
use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, Path, Result, ReturnType, Type, spanned::Spanned};

const WORDS: Words = Words {
    attribute: "#[gorust::test]",
    subject: "a test",
    shape: "async fn name()",
    no_parameters: "what it needs it makes itself",
    arguments: "there are `seeds = 1000`, `seed = 7`, `real`, `workers = 4`, `leaks = \"allow\"`, \
                `timeout = \"60s\"` and `crate = \"path\"`",
};

/// Writes the test that runs the `async fn` in `item`, or the errors in both as sentences.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let function = match Function::parse(item.clone(), &WORDS) {
        Ok(function) => function,
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#error #item);
        }
    };
    let mut errors = Errors(None);
    let options = Options::parse(args, &mut errors);
    function.check(&WORDS, &mut errors);
    check_attributes(&function, &mut errors);
    match errors.0 {
        None => write(function, &options),
        Some(error) => {
            // Keep the body in a function that compiles, so that these errors are the only ones.
            let error = error.into_compile_error();
            let Function { sig, body, .. } = function;
            let name = &sig.ident;
            quote! {
                #error
                #[allow(dead_code)]
                fn #name() {
                    #[allow(dead_code, unused_variables)]
                    #sig #body
                }
            }
        }
    }
}

fn check_attributes(function: &Function, errors: &mut Errors) {
    for attribute in &function.attrs {
        if attribute.path().is_ident("test") {
            let message = "#[gorust::test] makes it a test already; take `#[test]` away";
            errors.add(Error::new_spanned(attribute, message));
        }
    }
}

fn write(function: Function, options: &Options) -> TokenStream {
    let Function { attrs, vis, sig, body } = function;
    let Options { seeds, seed, real, workers, leaks, timeout, krate } = options;
    let name = &sig.ident;
    // What is wrong with the future, `Send` for one, is shown at the test's name.
    let span = name.span();
    let private = match krate {
        Some(path) => quote_spanned!(span=> #path::__private),
        None => quote_spanned!(span=> ::gorust::__private),
    };
    let verdict = match &sig.output {
        // A test that returns `!` ends by panicking, and has nothing to be judged by.
        ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)) => quote! {
            {
                #name().await;
                #[allow(unreachable_code)]
                ::core::result::Result::Ok(())
            }
        },
        // A result that no test may return is shown at the type.
        ReturnType::Type(_, ty) => {
            quote_spanned!(ty.span()=> #private::Returned(#name().await).verdict())
        }
        ReturnType::Default => quote_spanned!(span=> #private::Returned(#name().await).verdict()),
    };
    let run = Ident::new(if *real { "run_test_real" } else { "run_test" }, span);
    let text = name.to_string();
    let [seeds, seed, workers, timeout] =
        [seeds, seed, workers, timeout].map(|option| optional(option.as_ref()));
    let start = quote_spanned! {span=>
        #private::#run(
            #private::TestOptions {
                path: ::core::concat!(::core::module_path!(), "::", #text),
                seeds: #seeds,
                seed: #seed,
                workers: #workers,
                leaks: #leaks,
                timeout: #timeout,
                site: ::core::panic::Location::caller(),
            },
            || async {
                #[allow(unused_imports)]
                use #private::Verdict as _;
                #verdict
            },
        )
    };
    quote! {
        #(#attrs)*
        #[::core::prelude::v1::test]
        #vis fn #name() {
            #sig #body
            #start
        }
    }
}

/// The attribute's arguments, as the code they become.
#[derive(Default)]
struct Options {
    /// A `u64`: how many.
    seeds: Option<TokenStream>,
    /// A `u64`: the first.
    seed: Option<TokenStream>,
    /// What asks for real threads: `real` or `workers`.
    real: bool,
    /// A `usize`.
    workers: Option<TokenStream>,
    /// Goroutines may outlive the test.
    leaks: bool,
    /// A `Duration`.
    timeout: Option<TokenStream>,
    /// The path of the facade, if it is not `::gorust`.
    krate: Option<Path>,
}

impl Options {
    fn parse(args: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        // With `real`, these have no meaning: the last of them, to point at.
        let mut seeded: Option<Error> = None;
        Argument::parse_all(args, &WORDS, errors, |name, argument| {
            if matches!(name, "seed" | "seeds") {
                let message = format!(
                    "`{name}` chooses among the schedules of a bubble; with real threads the machine chooses"
                );
                seeded = Some(argument.error(&message));
            }
            options.set(name, argument)
        });
        if let Some(error) = seeded
            && options.real
        {
            errors.add(error);
        }
        options
    }

    fn set(&mut self, name: &str, argument: &Argument) -> Result<()> {
        match name {
            "seeds" => {
                let number = argument.number("`seeds` takes a whole number above zero: `seeds = 1000`")?;
                number.above_zero("`seeds = 0`: a test that never runs never fails")?;
                let count = number.value;
                self.seeds = Some(quote!(#count));
            }
            "seed" => {
                let seed = argument.number("`seed` takes a whole number: `seed = 7`")?.value;
                self.seed = Some(quote!(#seed));
            }
            "real" => {
                argument.flag()?;
                self.real = true;
            }
            "workers" => {
                self.workers = Some(argument.workers()?);
                self.real = true;
            }
            "leaks" => {
                let wanted =
                    "`leaks` takes \"allow\" (goroutines may outlive the test); leave it out to forbid it";
                argument.word(wanted, &["allow"])?;
                self.leaks = true;
            }
            "timeout" => {
                let wanted = "`timeout` takes a duration: `timeout = \"60s\"`";
                self.timeout = Some(argument.duration(wanted)?);
            }
            "crate" => self.krate = Some(argument.path()?),
            _ => return Err(argument.unknown(&WORDS)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(args: &str, item: &str) -> String {
        expand(args.parse().unwrap(), item.parse().unwrap()).to_string()
    }

    fn error(args: &str, item: &str) -> String {
        let text = expanded(args, item);
        let start = text.find("compile_error").unwrap_or_else(|| panic!("no error in {text}"));
        text[start..].to_owned()
    }

    #[test]
    fn arguments_become_options() {
        let text = expanded(
            r#"seeds = 1_000, seed = 7, leaks = "allow", timeout = "1.5s", crate = "a::b","#,
            "async fn counts() {}",
        );
        for part in [
            "a :: b :: __private :: run_test (",
            "seeds : :: core :: option :: Option :: Some (1000u64)",
            "seed : :: core :: option :: Option :: Some (7u64)",
            "workers : :: core :: option :: Option :: None",
            "leaks : true",
            "timeout : :: core :: option :: Option :: Some (:: core :: time :: Duration :: new (1u64 , 500000000u32))",
            "\"counts\"",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("compile_error"));
    }

    #[test]
    fn nothing_said_leaves_the_choice_to_the_runner() {
        let text = expanded("", "async fn counts() {}");
        assert_eq!(text.matches("Option :: None").count(), 4, "{text}");
        assert!(text.contains(":: gorust :: __private :: run_test ("), "{text}");
        assert!(text.contains("leaks : false"), "{text}");
    }

    #[test]
    fn workers_are_real() {
        assert!(expanded("real", "async fn counts() {}").contains("run_test_real ("));
        let text = expanded("workers = 3", "async fn counts() {}");
        assert!(text.contains("run_test_real (") && text.contains("Some (3usize)"), "{text}");
    }

    #[test]
    fn other_attributes_stay_on_the_test() {
        let text = expanded("", "#[should_panic] #[ignore = \"slow\"] pub(crate) async fn f() -> u8 { 1 }");
        let head =
            "# [should_panic] # [ignore = \"slow\"] # [:: core :: prelude :: v1 :: test] pub (crate) fn f ()";
        assert!(text.starts_with(head), "{text}");
        assert!(text.contains("async fn f () -> u8 { 1 }"), "{text}");
    }

    #[test]
    fn every_mistake_is_a_sentence() {
        let test = "async fn f() {}";
        for (args, item, sentence) in [
            ("", "fn f() {}", "must be async"),
            ("", "async fn f(x: u8) {}", "takes no arguments"),
            ("", "async fn f<T>() {}", "cannot be generic"),
            ("", "async unsafe fn f() {}", "plain function"),
            ("", "struct Test;", "goes on a function"),
            ("", "async fn f();", "needs a body"),
            ("", "#[test] async fn f() {}", "a test already"),
            ("seeds", test, "whole number above zero"),
            ("seeds = 0", test, "never fails"),
            ("seeds = -1", test, "whole number above zero"),
            ("seeds = \"2\"", test, "whole number above zero"),
            ("seed = 1.5", test, "whole number"),
            ("workers = 0", test, "somebody must do the work"),
            ("real = true", test, "takes no value"),
            ("real, seeds = 3", test, "`seeds` chooses among the schedules of a bubble"),
            ("seed = 3, workers = 2", test, "`seed` chooses among the schedules of a bubble"),
            ("leaks = \"deny\"", test, "takes \\\"allow\\\""),
            ("leaks", test, "takes \\\"allow\\\""),
            ("timeout = 5", test, "takes a duration"),
            ("timeout = \"5\"", test, "has no unit"),
            ("crate = gorust", test, "a path in quotes"),
            ("flavor = \"multi_thread\"", test, "unknown argument `flavor`"),
            ("real, real", test, "given twice"),
        ] {
            let message = error(args, item);
            assert!(message.contains(sentence), "({args}) {item}: {message}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let text = error("seeds = 0, timeout = 1, colour", "fn f(x: u8) {}");
        assert_eq!(text.matches("compile_error").count(), 5, "{text}");
    }
}
