//! What a refused declaration becomes: its errors, and enough beside them that nothing else fails.

use crate::check::Refused;
use crate::expand;
use crate::parse::{Input, Item};
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{FnArg, ItemFn};

/// The errors, the function, and an implementation of the row's trait that answers ENOSYS.
pub(crate) fn handler(input: Input, refused: &Refused) -> TokenStream {
    let errors = refused.errors.iter().map(syn::Error::to_compile_error);
    let mut name = format_ident!("_");
    let item = match input.item {
        Item::Function(function) if is_method(&function) => {
            // A constant of an `impl` needs a name; and the function's body names `self`, so that
            // the function has to stay. The compiler knows what to do with it there.
            name = format_ident!("SYSCALL_{}", function.sig.ident);
            function.into_token_stream()
        }
        Item::Function(function) => tame(*function),
        Item::Other(item) | Item::Broken(item, _) => item,
    };
    let implementation = refused.entry.as_ref().map(|(entry, place)| {
        let implementation = expand::ni(entry, None, *place);
        quote!(const #name: () = { #implementation };)
    });
    quote! {
        #(#errors)*
        #item
        #implementation
    }
}

fn is_method(function: &ItemFn) -> bool {
    function.sig.inputs.iter().any(|input| matches!(input, FnArg::Receiver(_)))
}

/// The function without what the compiler would refuse on its own.
fn tame(mut function: ItemFn) -> TokenStream {
    function.sig.unsafety = None;
    function.sig.abi = None;
    function.sig.variadic = None;
    function.into_token_stream()
}
