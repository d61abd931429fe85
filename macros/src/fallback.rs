//! What a refused declaration becomes: its errors, and enough beside them that nothing else fails.

use crate::check::Refused;
use crate::expand;
use crate::parse::{Input, Item};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{FnArg, ItemFn};

/// The errors, the function, and an implementation of the row's trait that answers ENOSYS.
pub(crate) fn handler(input: Input, refused: &Refused) -> TokenStream {
    let errors = refused.errors.iter().map(syn::Error::to_compile_error);
    let item = match input.item {
        Item::Function(function) => tame(*function),
        Item::Other(item) | Item::Broken(item, _) => item,
    };
    let implementation = refused.entry.as_ref().map(|(entry, place)| {
        let implementation = expand::ni(entry, None, *place);
        quote!(const _: () = { #implementation };)
    });
    quote! {
        #(#errors)*
        #item
        #implementation
    }
}

/// The function without what the compiler would refuse on its own.
fn tame(mut function: ItemFn) -> TokenStream {
    if function
        .sig
        .inputs
        .iter()
        .any(|input| matches!(input, FnArg::Receiver(_)))
    {
        return TokenStream::new(); // its body names `self`
    }
    function.sig.unsafety = None;
    function.sig.abi = None;
    function.sig.variadic = None;
    function.into_token_stream()
}
