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

use crate::duration;
use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Error, LitInt, LitStr, Path, Result, ReturnType, Signature, Token, Visibility,
    ext::IdentExt,
    parse::{Parse, ParseStream, Parser},
    spanned::Spanned,
};

/// Writes the program's real `main` around the `async fn` in `item`, or the errors in both as sentences.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#error #item);
        }
    };
    let mut errors = Errors(None);
    let options = Options::parse(args, &mut errors);
    function.check(&mut errors);
    match errors.0 {
        None => function.expand(&options),
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

/// Collects errors, so that all of them are reported at once.
struct Errors(Option<Error>);

impl Errors {
    fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }
}

/// The item under the attribute. Its body is not parsed: the compiler does that, and knows the language better.
struct Function {
    attrs: Vec<Attribute>,
    vis: Visibility,
    sig: Signature,
    body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let not_a_function =
            |span| Error::new(span, "#[gorust::main] goes on a function: `async fn main() { .. }`");
        let start = input.span();
        let sig = input.parse().map_err(|_| not_a_function(start))?;
        let end = input.span();
        match input.parse() {
            Ok(TokenTree::Group(body)) => Ok(Self { attrs, vis, sig, body }),
            _ => Err(Error::new(end, "`main` needs a body: `async fn main() { .. }`")),
        }
    }
}

impl Function {
    fn check(&self, errors: &mut Errors) {
        let sig = &self.sig;
        if sig.ident != "main" {
            let message = format!(
                "#[gorust::main] goes on `main`, and this is `{}`; to run async code from a plain function call \
                 `gorust::block_on`",
                sig.ident
            );
            errors.add(Error::new(sig.ident.span(), message));
        }
        if sig.asyncness.is_none() {
            errors.add(Error::new(sig.fn_token.span, "`main` must be async here: write `async fn main()`"));
        }
        if !sig.inputs.is_empty() {
            errors.add(Error::new(
                sig.inputs.span(),
                "`main` takes no arguments; the command line is in `std::env::args()`",
            ));
        }
        if !sig.generics.params.is_empty() || sig.generics.where_clause.is_some() {
            let span = if sig.generics.params.is_empty() {
                sig.generics.where_clause.span()
            } else {
                sig.generics.span()
            };
            errors.add(Error::new(span, "`main` cannot be generic"));
        }
        let plain = "`main` must be a plain function: no `const`, `unsafe` or `extern`";
        for span in [
            sig.constness.map(|token| token.span),
            sig.unsafety.map(|token| token.span),
            sig.abi.as_ref().map(|abi| abi.extern_token.span),
        ]
        .into_iter()
        .flatten()
        {
            errors.add(Error::new(span, plain));
        }
    }

    fn expand(self, options: &Options) -> TokenStream {
        let Self { attrs, vis, sig, body } = self;
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
}

fn optional(value: Option<&TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
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

const ARGUMENTS: &str = "there are `workers = 4`, `grace = \"5s\"`, `panic = \"exit\"`, \
                         `panic = \"isolate\"`, `local` and `crate = \"path\"`";

const ZERO_WORKERS: &str = "`workers = 0`: somebody must do the work; leave it out to have one worker a CPU";

impl Options {
    fn parse(args: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self { workers: None, panic: None, grace: None, local: false, krate: None };
        let mut seen: Vec<String> = Vec::new();
        let parsed = (|input: ParseStream<'_>| {
            while !input.is_empty() {
                let argument = Argument::parse(input)?;
                let name = argument.name.unraw().to_string();
                if seen.contains(&name) {
                    errors.add(argument.error(&format!("`{name}` is given twice")));
                } else if let Err(error) = options.set(&name, &argument) {
                    errors.add(error);
                }
                seen.push(name);
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        })
        .parse2(args);
        if let Err(error) = parsed {
            errors.add(error);
        }
        options
    }

    fn set(&mut self, name: &str, argument: &Argument) -> Result<()> {
        match name {
            "workers" => {
                let wanted = "`workers` takes a whole number above zero: `workers = 4`";
                let number: LitInt = argument.value(wanted)?;
                match number.base10_parse::<usize>() {
                    Ok(0) => {
                        return Err(Error::new(number.span(), ZERO_WORKERS));
                    }
                    Ok(count) => self.workers = Some(quote!(#count)),
                    Err(_) => return Err(Error::new(number.span(), wanted)),
                }
            }
            "grace" => {
                let text: LitStr = argument.value("`grace` takes a duration: `grace = \"5s\"`")?;
                let duration = duration::parse(&text.value())
                    .map_err(|sentence| Error::new(text.span(), format!("`grace`: {sentence}")))?;
                let (secs, nanos) = (duration.as_secs(), duration.subsec_nanos());
                self.grace = Some(quote!(::core::time::Duration::new(#secs, #nanos)));
            }
            "panic" => {
                let wanted = "`panic` takes \"exit\" (a panic nobody looks at ends the process) or \"isolate\" \
                              (it is only reported)";
                let text: LitStr = argument.value(wanted)?;
                self.panic = Some(match text.value().as_str() {
                    "exit" => quote!(Exit),
                    "isolate" => quote!(Isolate),
                    _ => return Err(Error::new(text.span(), wanted)),
                });
            }
            "crate" => {
                let wanted = "`crate` takes a path in quotes: `crate = \"::my_gorust\"`";
                let text: LitStr = argument.value(wanted)?;
                self.krate = Some(text.parse().map_err(|_| Error::new(text.span(), wanted))?);
            }
            "local" => {
                if argument.value.is_some() {
                    return Err(argument.error("`local` takes no value"));
                }
                self.local = true;
            }
            unknown => return Err(argument.error(&format!("unknown argument `{unknown}`: {ARGUMENTS}"))),
        }
        Ok(())
    }
}

/// `name` or `name = value`.
struct Argument {
    name: Ident,
    value: Option<TokenStream>,
}

impl Argument {
    fn error(&self, sentence: &str) -> Error {
        Error::new(self.name.span(), sentence)
    }

    fn value<T: Parse>(&self, wanted: &str) -> Result<T> {
        let value = self.value.clone().ok_or_else(|| self.error(wanted))?;
        let span = value.clone().into_iter().next().map_or_else(Span::call_site, |token| token.span());
        syn::parse2(value).map_err(|_| Error::new(span, wanted))
    }
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let span = input.span();
        let name = input
            .call(Ident::parse_any)
            .map_err(|_| Error::new(span, format!("an argument begins with its name: {ARGUMENTS}")))?;
        let mut value = None;
        if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            let mut tokens = TokenStream::new();
            while !input.is_empty() && !input.peek(Token![,]) {
                tokens.extend([input.parse::<TokenTree>()?]);
            }
            if tokens.is_empty() {
                return Err(Error::new(name.span(), format!("`{name}` has no value after the `=`")));
            }
            value = Some(tokens);
        } else if !input.is_empty() && !input.peek(Token![,]) {
            return Err(Error::new(input.span(), format!("after `{name}` comes `=` or a comma")));
        }
        Ok(Self { name, value })
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
