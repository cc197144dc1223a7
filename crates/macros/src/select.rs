//! `select!`: reads the cases and writes the code that chooses among them. What that code calls is
//! `gorust_sync::select::parts`; the facade's `macro_rules` says where that is, in the braces that come first.
//!
//! What is written, for `p = f => b, Some(q) = g, if c => d`:
//!
//! ```text
//! {
//!     enum Selected<..> { .. }
//!     let selected = match pin!(operand(f)) { future_0 => match pin!(if c { Some(operand(g)) } else { None }) { future_1 => {
//!         let mut cases = (kind.case(future_0), (kind.case(future_1), ()));
//!         loop {
//!             match choose(&mut cases).await {
//!                 0 => break Selected::Case0(cases.0.output()),
//!                 1 => { let output = cases.1.0.output(); if matches!(output, Some(_)) { break .. } cases.1.0.turn_off() }
//!             }
//!         }
//!     }}};
//!     match selected { Selected::Case0(output) => { let p = output; b } .. }
//! }
//! ```
//!
//! The operands are scrutinees, so what they borrow for a moment lives until one is chosen; and all of them are gone
//! before a body runs, so a body may borrow what they did.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Error, Expr, Ident, Pat, Token,
    ext::IdentExt,
    parse::{Parse, ParseStream, Parser},
    spanned::Spanned,
    token,
};

struct Select {
    parts: TokenStream,
    is_biased: bool,
    cases: Vec<Case>,
    default: Option<Expr>,
    otherwise: Option<Expr>,
}

struct Case {
    pattern: Pattern,
    future: Expr,
    guard: Option<Expr>,
    body: Expr,
}

/// A pattern whose outer variant may fail to match, or any other.
enum Pattern {
    Whole(Pat),
    /// `Some(a)`: the path, and what is inside.
    Variant(TokenStream, Vec<Pat>),
    /// `None`.
    Unit(TokenStream),
}

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    Select::parse.parse2(input).map_or_else(
        |error| {
            let error = error.to_compile_error();
            quote!({ #error })
        },
        |select| select.write(),
    )
}

impl Parse for Select {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let parts;
        syn::braced!(parts in input);
        let parts = parts.parse()?;
        let mut select = Self { parts, is_biased: false, cases: Vec::new(), default: None, otherwise: None };
        if input.peek(Ident) && input.peek2(Token![;]) {
            let word: Ident = input.parse()?;
            if word != "biased" {
                return Err(Error::new(
                    word.span(),
                    "only `biased;` may stand before the cases of a `select!`",
                ));
            }
            input.parse::<Token![;]>()?;
            select.is_biased = true;
        }
        while !input.is_empty() {
            select.parse_arm(input)?;
        }
        Ok(select)
    }
}

impl Select {
    fn parse_arm(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let span = input.span();
        if let Some(name) = &self.default.as_ref().map(|_| "default") {
            let is_else = input.peek(Token![else]);
            let is_default = is_word(input, "default");
            if is_default {
                return Err(Error::new(
                    span,
                    "a `select!` has one `default` at most, and this is the second",
                ));
            }
            if !is_else {
                return Err(Error::new(
                    span,
                    format!("the `{name}` of a `select!` comes last, after all cases"),
                ));
            }
        }
        if is_word(input, "default") {
            input.call(Ident::parse_any)?;
            self.default = Some(parse_body(input)?);
            return Ok(());
        }
        if input.peek(Token![else]) {
            if self.otherwise.is_some() {
                return Err(Error::new(span, "a `select!` has one `else` at most, and this is the second"));
            }
            input.parse::<Token![else]>()?;
            self.otherwise = Some(parse_body(input)?);
            return Ok(());
        }
        if self.otherwise.is_some() {
            return Err(Error::new(span, "the `else` of a `select!` comes last, after all cases"));
        }
        self.cases.push(parse_case(input)?);
        Ok(())
    }
}

/// Whether the contextual keyword `word` comes next, and then an arrow or nothing that could make it a pattern.
fn is_word(input: ParseStream<'_>, word: &str) -> bool {
    let fork = input.fork();
    fork.call(Ident::parse_any).is_ok_and(|ident| ident == word)
        && !fork.peek(Token![=]) | fork.peek(Token![=>])
}

fn parse_case(input: ParseStream<'_>) -> syn::Result<Case> {
    let start = input.fork();
    let pattern = match Pat::parse_multi_with_leading_vert(input) {
        Ok(pattern) if input.peek(Token![=]) && !input.peek(Token![=>]) => pattern,
        // `rx.recv() => ..` begins like a pattern, or not even that.
        _ if start.parse::<Expr>().is_ok() => {
            return Err(Error::new(
                start.span(),
                "a case of a `select!` reads `pattern = future => body`; if the output does not matter, `_ = future => body`",
            ));
        }
        Ok(_) => {
            return Err(input.error("expected `=`: a case of a `select!` reads `pattern = future => body`"));
        }
        Err(error) => return Err(error),
    };
    input.parse::<Token![=]>()?;
    let future: Expr = input.parse()?;
    let mut guard = None;
    if input.peek(Token![,]) && input.peek2(Token![if]) {
        input.parse::<Token![,]>()?;
        input.parse::<Token![if]>()?;
        guard = Some(input.parse()?);
    }
    let body = parse_body(input)?;
    Ok(Case { pattern: Pattern::new(pattern), future, guard, body })
}

/// Reads `=> body` and the comma that may follow, which may be left out after a block and at the end.
fn parse_body(input: ParseStream<'_>) -> syn::Result<Expr> {
    if !input.peek(Token![=>]) {
        return Err(
            input.error("expected `=>` and what is to be done if this case of the `select!` is chosen")
        );
    }
    input.parse::<Token![=>]>()?;
    let body = if input.peek(token::Brace) {
        // As in a `match`: the block ends the arm, whatever comes after it.
        Expr::Block(syn::ExprBlock { attrs: Vec::new(), label: None, block: input.parse()? })
    } else {
        Expr::parse_with_earlier_boundary_rule(input)?
    };
    let is_block = matches!(
        body,
        Expr::Block(_)
            | Expr::If(_)
            | Expr::Match(_)
            | Expr::While(_)
            | Expr::ForLoop(_)
            | Expr::Loop(_)
            | Expr::Unsafe(_)
    );
    if input.peek(Token![,]) {
        input.parse::<Token![,]>()?;
    } else if !is_block && !input.is_empty() {
        return Err(input.error("expected `,` after the body of this case of the `select!`"));
    }
    Ok(body)
}

impl Pattern {
    fn new(pattern: Pat) -> Self {
        match pattern {
            Pat::TupleStruct(variant) => {
                let (qself, path) = (&variant.qself, &variant.path);
                let path = match qself {
                    Some(_) => syn::ExprPath { attrs: Vec::new(), qself: qself.clone(), path: path.clone() },
                    None => syn::ExprPath { attrs: Vec::new(), qself: None, path: path.clone() },
                };
                Self::Variant(quote!(#path), variant.elems.into_iter().collect())
            }
            Pat::Path(path) => Self::Unit(quote!(#path)),
            // A constant or a variant, by the way its name is written.
            Pat::Ident(ident)
                if ident.by_ref.is_none()
                    && ident.mutability.is_none()
                    && ident.subpat.is_none()
                    && ident.ident.to_string().starts_with(char::is_uppercase) =>
            {
                Self::Unit(quote!(#ident))
            }
            Pat::Paren(inner) => Self::new(*inner.pat),
            whole => Self::Whole(whole),
        }
    }

    /// The pattern with nothing bound, if it may fail to match.
    fn test(&self) -> Option<TokenStream> {
        match self {
            Self::Whole(_) => None,
            Self::Variant(path, inner) => {
                let inner = inner.iter().map(|pattern| match pattern {
                    Pat::Rest(rest) => quote!(#rest),
                    _ => quote!(_),
                });
                Some(quote!(#path(#(#inner),*)))
            }
            Self::Unit(path) => Some(path.clone()),
        }
    }

    /// Binds what is in `output` and goes on with `body`. What is inside a variant is bound by `let`, which the
    /// compiler wants irrefutable.
    fn bind(&self, body: &Expr) -> TokenStream {
        let output = Ident::new("output", Span::mixed_site());
        match self {
            Self::Whole(Pat::Wild(_)) => quote!({ ::core::mem::drop(#output); #body }),
            Self::Whole(pattern) => {
                let pattern = match pattern {
                    Pat::Or(_) => quote!((#pattern)),
                    _ => quote!(#pattern),
                };
                quote!({ let #pattern = #output; #body })
            }
            Self::Variant(path, inner) => {
                let (mut fields, mut lets) = (Vec::new(), Vec::new());
                for (index, pattern) in inner.iter().enumerate() {
                    match pattern {
                        Pat::Rest(_) | Pat::Wild(_) => fields.push(quote!(#pattern)),
                        _ => {
                            let field = Ident::new(&format!("field_{index}"), Span::mixed_site());
                            fields.push(quote!(#field));
                            lets.push(quote_spanned!(pattern.span()=> let #pattern = #field;));
                        }
                    }
                }
                quote!(match #output { #path(#(#fields),*) => { #(#lets)* #body } _ => ::core::unreachable!() })
            }
            Self::Unit(_) => quote!({ ::core::mem::drop(#output); #body }),
        }
    }
}

impl Select {
    fn write(&self) -> TokenStream {
        let Self { parts, is_biased, cases, default, otherwise } = self;
        // Locals are hygienic; the type is not, but lives in a block of its own.
        let local = |name: &str| Ident::new(name, Span::mixed_site());
        let (list, selected, output) = (local("cases"), local("selected"), local("output"));
        let selected_type = format_ident!("__GorustSelected");
        let count = cases.len();
        let variants: Vec<_> = (0..count).map(|index| format_ident!("Case{index}")).collect();
        let types: Vec<_> = (0..count).map(|index| format_ident!("T{index}")).collect();
        let futures: Vec<_> = (0..count).map(|index| local(&format!("future_{index}"))).collect();

        // (first, (second, ()))
        let mut pairs = quote!(());
        for (case, future) in cases.iter().zip(&futures).rev() {
            let (probe, option) = match case.guard {
                Some(_) => (quote!(of_option), quote!(::core::option::Option::as_pin_mut(#future))),
                None => (quote!(of), quote!(::core::option::Option::Some(#future))),
            };
            pairs = quote!((
                {
                    use #parts::{ForeignKind as _, NativeKind as _};
                    (&#parts::Probe::#probe(&#future)).kind()
                }.case(#option),
                #pairs
            ));
        }

        let mut place = quote!(#list);
        let mut outcomes = TokenStream::new();
        for (index, case) in cases.iter().enumerate() {
            let variant = &variants[index];
            let take = quote!(#parts::SelectCase::output(&mut #place.0));
            outcomes.extend(match case.pattern.test() {
                None => quote!(#index => break #selected_type::#variant(#take),),
                Some(test) => quote!(#index => {
                    let #output = #take;
                    #[allow(irrefutable_let_patterns, unused_variables, reason = "the type may have no other variant")]
                    if let #test = #output {
                        break #selected_type::#variant(#output);
                    }
                    #parts::SelectCase::turn_off(&mut #place.0);
                }),
            });
            place = quote!(#place.1);
        }

        let all_off = otherwise
            .iter()
            .map(|_| quote!(if !#parts::Cases::is_any_on(&#list) { break #selected_type::Otherwise; }));
        let chosen = match default {
            Some(_) => quote! {
                match #parts::choose_now::<_, #count>(&mut #list, #is_biased) {
                    ::core::option::Option::Some(index) => index,
                    ::core::option::Option::None => break #selected_type::Default,
                }
            },
            None => quote!(#parts::choose::<_, #count>(&mut #list, #is_biased).await),
        };
        let mut choice = quote!({
            let mut #list = #pairs;
            loop {
                #(#all_off)*
                match #chosen {
                    #outcomes
                    _ => ::core::unreachable!(),
                }
            }
        });
        for (case, future) in cases.iter().zip(&futures).rev() {
            let operand = &case.future;
            let operand = quote_spanned!(operand.span()=> #parts::operand(#operand));
            let operand = match &case.guard {
                None => operand,
                Some(guard) => quote! {
                    if #guard {
                        ::core::option::Option::Some(#operand)
                    } else {
                        ::core::option::Option::None
                    }
                },
            };
            choice = quote!(match ::core::pin::pin!(#operand) { #future => #choice });
        }

        let bodies = cases.iter().zip(&variants).map(|(case, variant)| {
            let body = case.pattern.bind(&case.body);
            quote!(#selected_type::#variant(#output) => #body,)
        });
        let default_body = default.iter().map(|body| quote!(#selected_type::Default => #body,));
        let otherwise_body = otherwise.iter().map(|body| quote!(#selected_type::Otherwise => #body,));
        let default_variant = default.iter().map(|_| quote!(Default,));
        let otherwise_variant = otherwise.iter().map(|_| quote!(Otherwise,));
        quote!({
            enum #selected_type<#(#types),*> {
                #(#variants(#types),)*
                #(#default_variant)*
                #(#otherwise_variant)*
            }
            let #selected = #choice;
            #[allow(unreachable_patterns, unreachable_code, reason = "a pattern may match whatever comes")]
            match #selected {
                #(#bodies)*
                #(#default_body)*
                #(#otherwise_body)*
            }
        })
    }
}
