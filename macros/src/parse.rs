//! What stands in the source, without a judgement of it.

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Block, Expr, Ident, ItemFn, LitStr, Stmt, braced};

/// A use of the attribute.
pub(crate) struct Input {
    /// How many arguments its name says.
    pub(crate) n: usize,
    /// What stands in its parentheses.
    pub(crate) word: Word,
    /// What it stands on.
    pub(crate) item: Item,
}

/// What stands in the attribute's parentheses.
pub(crate) enum Word {
    /// One identifier, as it has to be.
    Ident(Ident),
    /// The identifier in quotes.
    Quoted(LitStr),
    /// Nothing.
    Missing,
    /// Something else.
    Other(TokenStream),
}

/// What the attribute stands on.
pub(crate) enum Item {
    Function(Box<ItemFn>),
    /// Another item.
    Other(TokenStream),
    /// Nothing that can be parsed, and what the parser says.
    Broken(TokenStream, syn::Error),
}

/// A function whose body stays as it is: the compiler has parsed it already, and will again.
fn function(input: ParseStream<'_>) -> syn::Result<ItemFn> {
    let (attrs, vis, sig) = (input.call(Attribute::parse_outer)?, input.parse()?, input.parse()?);
    let body;
    let brace_token = braced!(body in input);
    let stmts = vec![Stmt::Expr(Expr::Verbatim(body.parse()?), None)];
    Ok(ItemFn { attrs, vis, sig, block: Box::new(Block { brace_token, stmts }) })
}

impl Input {
    pub(crate) fn new(n: usize, attribute: TokenStream, item: TokenStream) -> Self {
        let item = match function.parse2(item.clone()) {
            Ok(function) => Item::Function(Box::new(function)),
            Err(_) if syn::parse2::<syn::Item>(item.clone()).is_ok() => Item::Other(item),
            Err(error) => Item::Broken(item, error),
        };
        Self { n, word: Word::new(attribute), item }
    }

    /// The attribute's name.
    pub(crate) fn macro_name(&self) -> String {
        format!("SYSCALL_DEFINE{}", self.n)
    }
}

impl Word {
    fn new(attribute: TokenStream) -> Self {
        if attribute.is_empty() {
            return Self::Missing;
        }
        if let Ok(ident) = Ident::parse_any.parse2(attribute.clone()) {
            return Self::Ident(ident);
        }
        match syn::parse2(attribute.clone()) {
            Ok(quoted) => Self::Quoted(quoted),
            Err(_) => Self::Other(attribute),
        }
    }

    /// The identifier and its place, as far as it can be guessed.
    pub(crate) fn guess(&self) -> Option<(String, Span)> {
        match self {
            Self::Ident(ident) => Some((ident.unraw().to_string(), ident.span())),
            Self::Quoted(quoted) => Some((quoted.value(), quoted.span())),
            Self::Missing => None,
            Self::Other(tokens) => {
                let first = tokens.clone().into_iter().next()?;
                Some((first.to_string(), first.span()))
            }
        }
    }
}
