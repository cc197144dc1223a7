//! What the attributes have in common: the function under one, the arguments in its brackets, and telling all that
//! is wrong with both at once.

use crate::duration;
use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::{
    Attribute, Error, LitInt, LitStr, Path, Result, Signature, Token, Visibility,
    ext::IdentExt,
    parse::{Parse, ParseStream, Parser},
    spanned::Spanned,
};

/// Collects errors, so that all of them are reported at once.
pub(crate) struct Errors(pub(crate) Option<Error>);

impl Errors {
    pub(crate) fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }
}

/// How an attribute speaks of itself.
pub(crate) struct Words {
    /// `#[gorust::main]`.
    pub(crate) attribute: &'static str,
    /// What the function is: a test.
    pub(crate) subject: &'static str,
    /// What it looks like: `async fn main()`.
    pub(crate) shape: &'static str,
    /// Where to look for what a parameter would bring.
    pub(crate) no_parameters: &'static str,
    /// All the arguments there are.
    pub(crate) arguments: &'static str,
}

/// The item under the attribute. Its body is not parsed: the compiler does that, and knows the language better.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Group,
}

impl Function {
    /// Reads an item that should be a function.
    pub(crate) fn parse(item: TokenStream, words: &Words) -> Result<Self> {
        let Words { attribute, subject, shape, .. } = words;
        let parser = |input: ParseStream<'_>| {
            let attrs = input.call(Attribute::parse_outer)?;
            let vis = input.parse()?;
            let start = input.span();
            let sig = input.parse().map_err(|_| {
                Error::new(start, format!("{attribute} goes on a function: `{shape} {{ .. }}`"))
            })?;
            let end = input.span();
            match input.parse() {
                Ok(TokenTree::Group(body)) => Ok(Self { attrs, vis, sig, body }),
                _ => Err(Error::new(end, format!("{subject} needs a body: `{shape} {{ .. }}`"))),
            }
        };
        parser.parse2(item)
    }

    /// Adds what keeps it from being called without more ado.
    pub(crate) fn check(&self, words: &Words, errors: &mut Errors) {
        let Words { subject, shape, no_parameters, .. } = words;
        let sig = &self.sig;
        if sig.asyncness.is_none() {
            errors
                .add(Error::new(sig.fn_token.span, format!("{subject} must be async here: write `{shape}`")));
        }
        if !sig.inputs.is_empty() {
            let message = format!("{subject} takes no arguments; {no_parameters}");
            errors.add(Error::new(sig.inputs.span(), message));
        }
        if !sig.generics.params.is_empty() || sig.generics.where_clause.is_some() {
            let span = if sig.generics.params.is_empty() {
                sig.generics.where_clause.span()
            } else {
                sig.generics.span()
            };
            errors.add(Error::new(span, format!("{subject} cannot be generic")));
        }
        let plain = format!("{subject} must be a plain function: no `const`, `unsafe` or `extern`");
        for span in [
            sig.constness.map(|token| token.span),
            sig.unsafety.map(|token| token.span),
            sig.abi.as_ref().map(|abi| abi.extern_token.span),
        ]
        .into_iter()
        .flatten()
        {
            errors.add(Error::new(span, &plain));
        }
    }
}

/// The code of an `Option`.
pub(crate) fn optional(value: Option<&TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

/// `name` or `name = value`.
pub(crate) struct Argument {
    name: Ident,
    value: Option<TokenStream>,
}

impl Argument {
    /// Gives each argument in the brackets to `set`, with its name. What is wrong is added to `errors`.
    pub(crate) fn parse_all(
        args: TokenStream,
        words: &Words,
        errors: &mut Errors,
        mut set: impl FnMut(&str, &Self) -> Result<()>,
    ) {
        let mut seen: Vec<String> = Vec::new();
        let parsed = (|input: ParseStream<'_>| {
            while !input.is_empty() {
                let argument = Self::parse(input, words)?;
                let name = argument.name.unraw().to_string();
                if seen.contains(&name) {
                    errors.add(argument.error(&format!("`{name}` is given twice")));
                } else if let Err(error) = set(&name, &argument) {
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
    }

    fn parse(input: ParseStream<'_>, words: &Words) -> Result<Self> {
        let span = input.span();
        let name = input.call(Ident::parse_any).map_err(|_| {
            Error::new(span, format!("an argument begins with its name: {}", words.arguments))
        })?;
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

    /// The error for an argument nobody knows.
    pub(crate) fn unknown(&self, words: &Words) -> Error {
        self.error(&format!("unknown argument `{}`: {}", self.name.unraw(), words.arguments))
    }

    /// An error shown at the argument's name.
    pub(crate) fn error(&self, sentence: &str) -> Error {
        Error::new(self.name.span(), sentence)
    }

    /// Its value, or `wanted` as the error.
    pub(crate) fn value<T: Parse>(&self, wanted: &str) -> Result<T> {
        let value = self.value.clone().ok_or_else(|| self.error(wanted))?;
        let span = value.clone().into_iter().next().map_or_else(Span::call_site, |token| token.span());
        syn::parse2(value).map_err(|_| Error::new(span, wanted))
    }

    /// Its value, a whole number; if it is above zero is the caller's to say.
    pub(crate) fn number(&self, wanted: &str) -> Result<Number> {
        let number: LitInt = self.value(wanted)?;
        match number.base10_parse() {
            Ok(value) => Ok(Number { value, span: number.span() }),
            Err(_) => Err(Error::new(number.span(), wanted)),
        }
    }

    /// Its value, a number of workers, as the code of a `usize`.
    pub(crate) fn workers(&self) -> Result<TokenStream> {
        let wanted = "`workers` takes a whole number above zero: `workers = 4`";
        let number = self.number(wanted)?;
        number
            .above_zero("`workers = 0`: somebody must do the work; leave it out to have the usual number")?;
        match usize::try_from(number.value) {
            Ok(count) => Ok(quote!(#count)),
            Err(_) => Err(Error::new(number.span, wanted)),
        }
    }

    /// Its value, a duration in quotes, as the code that makes one.
    pub(crate) fn duration(&self, wanted: &str) -> Result<TokenStream> {
        let text: LitStr = self.value(wanted)?;
        let duration = duration::parse(&text.value())
            .map_err(|sentence| Error::new(text.span(), format!("`{}`: {sentence}", self.name)))?;
        let (secs, nanos) = (duration.as_secs(), duration.subsec_nanos());
        Ok(quote!(::core::time::Duration::new(#secs, #nanos)))
    }

    /// Its value, one of some words in quotes.
    pub(crate) fn word(&self, wanted: &str, words: &[&str]) -> Result<usize> {
        let text: LitStr = self.value(wanted)?;
        let value = text.value();
        words.iter().position(|word| *word == value).ok_or_else(|| Error::new(text.span(), wanted))
    }

    /// Its value, the path of the facade in quotes.
    pub(crate) fn path(&self) -> Result<Path> {
        let wanted = "`crate` takes a path in quotes: `crate = \"::my_gorust\"`";
        let text: LitStr = self.value(wanted)?;
        text.parse().map_err(|_| Error::new(text.span(), wanted))
    }

    /// That it has no value.
    pub(crate) fn flag(&self) -> Result<()> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(self.error(&format!("`{}` takes no value", self.name))),
        }
    }
}

/// A number and where it stands.
pub(crate) struct Number {
    pub(crate) value: u64,
    span: Span,
}

impl Number {
    /// Fails with `sentence` if it is zero.
    pub(crate) fn above_zero(&self, sentence: &str) -> Result<()> {
        if self.value == 0 { Err(Error::new(self.span, sentence)) } else { Ok(()) }
    }
}
