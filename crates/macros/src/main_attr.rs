//! `#[gorust::main]`: what it accepts, what it says when it does not, and the code it writes.
//!
//! ```text
//! #[gorust::main(workers = 2)]         fn main() -> ExitCode {
//! async fn main() -> R { body }   =>       async fn main() -> R { body }
//!                                          let exit_code = async { Termination::report(main().await) };
//!                                          run_main(options, exit_code)
//!                                      }
//! ```
//!
//! The body stays an `async fn main` inside the real one, so that `?`, recursion and lint attributes work as
//! written. Its result is turned into an `ExitCode` inside the future: an error that is not `Send` never leaves
//! the goroutine.

use crate::attribute::{Argument, Errors, Function, Words, optional};
use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, Path, Result, ReturnType, spanned::Spanned};

const WORDS: Words = Words {
    attribute: "#[gorust::main]",
    subject: "`main`",
    shape: "async fn main()",
    no_parameters: "the command line is in `std::env::args()`",
    arguments: "there are `workers = 4`, `grace = \"5s\"`, `panic = \"exit\"`, `panic = \"isolate\"`, `local` \
                and `crate = \"path\"`",
};

/// Writes the program's real `main` around the `async fn` in `item`, or the errors in both as sentences.
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
    check_name(&function, &mut errors);
    function.check(&WORDS, &mut errors);
    match errors.0 {
        None => write(function, &options),
        Some(error) => {
            // Keep the body under a `main` that compiles, so that these errors are the only ones.
            let error = error.into_compile_error();
            let Function { attrs, sig, body, .. } = function;
            quote! {
                #error
                fn main() {
                    #(#attrs)*
                    #[allow(dead_code, unused_variables)]
                    #sig #body
                }
            }
        }
    }
}

fn check_name(function: &Function, errors: &mut Errors) {
    let name = &function.sig.ident;
    if name != "main" {
        let message = format!(
            "#[gorust::main] goes on `main`, and this is `{name}`; to run async code from a plain function call \
             `gorust::block_on`"
        );
        errors.add(Error::new(name.span(), message));
    }
}

fn write(function: Function, options: &Options) -> TokenStream {
    let Function { attrs, vis, sig, body } = function;
    let Options { workers, panic, grace, local, krate } = options;
    // What is wrong with the future, `Send` for one, is shown at `main`.
    let name = sig.ident.span();
    let private = match krate {
        Some(path) => quote_spanned!(name=> #path::__private),
        None => quote_spanned!(name=> ::gorust::__private),
    };
    let workers = optional(workers.as_ref());
    let panic = optional(panic.as_ref().map(|variant| quote!(#private::PanicPolicy::#variant)).as_ref());
    let grace = optional(grace.as_ref());
    let run = Ident::new(if *local { "run_main_local" } else { "run_main" }, name);
    let site = quote_spanned!(name=> ::core::panic::Location::caller());
    // A result that no `main` may return is shown at the type.
    let result = match &sig.output {
        ReturnType::Default => name,
        ReturnType::Type(_, ty) => ty.span(),
    };
    let report = quote_spanned!(result=> ::std::process::Termination::report(main().await));
    // A `main` that returns `!` never reports.
    let allow = quote!(#[allow(unreachable_code)]);
    let start = quote_spanned! {name=>
        #allow
        let exit_code = async { #report };
        #private::#run(
            #private::MainOptions { workers: #workers, panic: #panic, grace: #grace, site: #site },
            exit_code,
        )
    };
    quote! {
        #(#attrs)*
        #vis fn main() -> ::std::process::ExitCode {
            #sig #body
            #start
        }
    }
}

/// The attribute's arguments, as the code they become.
struct Options {
    /// A `usize`.
    workers: Option<TokenStream>,
    /// A variant of `PanicPolicy`.
    panic: Option<TokenStream>,
    /// A `Duration`.
    grace: Option<TokenStream>,
    local: bool,
    /// The path of the facade, if it is not `::gorust`.
    krate: Option<Path>,
}

impl Options {
    fn parse(args: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self { workers: None, panic: None, grace: None, local: false, krate: None };
        Argument::parse_all(args, &WORDS, errors, |name, argument| options.set(name, argument));
        options
    }

    fn set(&mut self, name: &str, argument: &Argument) -> Result<()> {
        match name {
            "workers" => self.workers = Some(argument.workers()?),
            "grace" => {
                self.grace = Some(argument.duration("`grace` takes a duration: `grace = \"5s\"`")?);
            }
            "panic" => {
                let wanted = "`panic` takes \"exit\" (a panic nobody looks at ends the process) or \"isolate\" \
                              (it is only reported)";
                let variants = [quote!(Exit), quote!(Isolate)];
                self.panic = Some(variants[argument.word(wanted, &["exit", "isolate"])?].clone());
            }
            "crate" => self.krate = Some(argument.path()?),
            "local" => {
                argument.flag()?;
                self.local = true;
            }
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
            r#"workers = 3, grace = "1.5s", panic = "isolate", crate = "a::b",  "#,
            "async fn main() {}",
        );
        for part in [
            "workers : :: core :: option :: Option :: Some (3usize)",
            "grace : :: core :: option :: Option :: Some (:: core :: time :: Duration :: new (1u64 , 500000000u32))",
            "panic : :: core :: option :: Option :: Some (a :: b :: __private :: PanicPolicy :: Isolate)",
            "a :: b :: __private :: run_main (",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("compile_error"));
    }

    #[test]
    fn nothing_said_leaves_the_choice_to_the_runtime() {
        let text = expanded("", "async fn main() {}");
        assert_eq!(text.matches("Option :: None").count(), 3, "{text}");
        assert!(text.contains(":: gorust :: __private :: run_main ("), "{text}");
    }

    #[test]
    fn local_has_its_own_way_in() {
        assert!(expanded("local", "async fn main() {}").contains("run_main_local ("));
    }

    #[test]
    fn attributes_and_visibility_stay_on_the_outer_function() {
        let text = expanded("", "#[allow(unused)] pub(crate) async fn main() -> u8 { 1 }");
        assert!(text.starts_with("# [allow (unused)] pub (crate) fn main () -> :: std"), "{text}");
        assert!(text.contains("async fn main () -> u8 { 1 }"), "{text}");
    }

    #[test]
    fn a_body_that_is_no_rust_yet_is_left_to_the_compiler() {
        assert!(!expanded("", "async fn main() { let x = ; }").contains("compile_error"));
    }

    #[test]
    fn every_mistake_is_a_sentence() {
        let main = "async fn main() {}";
        for (args, item, sentence) in [
            ("", "fn main() {}", "must be async"),
            ("", "async fn main(x: u8) {}", "takes no arguments"),
            ("", "async fn main<T>() {}", "cannot be generic"),
            ("", "async fn main() where u8: Copy {}", "cannot be generic"),
            ("", "async unsafe fn main() {}", "plain function"),
            ("", "async fn run() {}", "goes on `main`, and this is `run`"),
            ("", "struct Main;", "goes on a function"),
            ("", "async fn main();", "needs a body"),
            ("workers", main, "whole number"),
            ("workers = 0", main, "somebody must do the work"),
            ("workers = -1", main, "whole number"),
            ("workers = \"2\"", main, "whole number"),
            ("workers = 99999999999999999999", main, "whole number"),
            ("workers =", main, "no value after the `=`"),
            ("workers 4", main, "comes `=` or a comma"),
            ("grace = 5", main, "takes a duration"),
            ("grace = \"5\"", main, "has no unit"),
            ("panic = \"abort\"", main, "takes \\\"exit\\\""),
            ("local = true", main, "takes no value"),
            ("crate = \"1+1\"", main, "a path in quotes"),
            ("crate = gorust", main, "a path in quotes"),
            ("flavor = \"multi_thread\"", main, "unknown argument `flavor`"),
            ("local, local", main, "given twice"),
            ("= 4", main, "begins with its name"),
        ] {
            let message = error(args, item);
            assert!(message.contains(sentence), "({args}) {item}: {message}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let text = error("workers = 0, grace = 1, colour", "fn main(x: u8) {}");
        assert_eq!(text.matches("compile_error").count(), 5, "{text}");
    }
}
