//! From a checked declaration to Rust.

use crate::check::{CondSyscall, Handler, Return};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;

/// A span for generated code whose errors shall be shown at `place`: to lints it is the macro's.
pub(crate) fn at(place: Span) -> Span {
    Span::mixed_site().located_at(place)
}

/// The function and its row's trait.
pub(crate) fn handler(handler: &Handler<'_>) -> TokenStream {
    let function = handler.function;
    let Handler {
        name,
        entry,
        context,
        doc,
        ..
    } = handler;
    let function_name = &function.sig.ident;

    // Parameters of the closure, which can't be confused with what the function's scope has.
    let local = |name| Ident::new(name, at(Span::call_site()));
    let context_name = local("context");
    let args_name = local(if handler.args.is_empty() {
        "_args"
    } else {
        "args"
    });

    let context_arg = quote_spanned! {at(context.span())=>
        <#context as ::callgate_abi::HandlerContext<crate::syscalls::Context>>::from_context(#context_name)
    };
    let decoded = handler.args.iter().enumerate().map(|(i, arg)| {
        let ty = arg.ty;
        quote_spanned!(at(ty.span())=> <#ty as ::callgate_abi::SyscallArg>::from_reg(#args_name[#i]))
    });
    let call = quote!(#function_name(#context_arg #(, #decoded)*));
    let args = handler.args.iter().map(|arg| {
        let (ty, name) = (arg.ty, &arg.name);
        quote_spanned!(at(ty.span())=> ::callgate_abi::ArgMetadata::of::<#ty>(#name))
    });

    let (return_type, call) = match handler.ret {
        Return::Never => (quote!(::core::convert::Infallible), call),
        Return::Type(ty) => {
            let span = at(ty.span());
            let call = quote_spanned!(span=> ::callgate_abi::SyscallReturn::into_raw(#call));
            (ty.to_token_stream(), call)
        }
    };
    let ret =
        quote_spanned!(at(return_type.span())=> ::callgate_abi::RetMetadata::of::<#return_type>());
    // Without the macro's own context, line!() is where the function's name stands.
    let line = quote_spanned!(function_name.span()=> ::core::line!());

    let implementation = implement(
        entry,
        handler.place,
        &return_type,
        &quote! {
            ::callgate_abi::Handler {
                call: |#context_name, #args_name| #call,
                metadata: ::callgate_abi::Metadata {
                    name: #name,
                    entry: #entry,
                    args: &[#(#args),*],
                    ret: #ret,
                    file: ::core::file!(),
                    line: #line,
                    doc: #doc,
                },
                implemented: true,
            }
        },
    );
    let cfgs = function
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("cfg"));
    quote! {
        #function
        #(#cfgs)*
        const _: () = { #implementation };
    }
}

/// The entry point's trait, implemented for the table. Its header stands at `place`, so that two of
/// them conflict there.
fn implement(
    entry: &str,
    place: Span,
    return_type: &TokenStream,
    handler: &TokenStream,
) -> TokenStream {
    let place = at(place);
    let entry = Ident::new(entry, place);
    let header = quote_spanned! {place=>
        impl crate::syscalls::entry::#entry for crate::syscalls::SysCallTable
    };
    quote! {
        #[automatically_derived]
        #header {
            type Return = #return_type;
            const HANDLER: ::callgate_abi::Handler<crate::syscalls::Context> = #handler;
        }
    }
}

/// The entry point's trait for a row that has no handler.
pub(crate) fn ni(entry: &str, name: Option<&str>, place: Span) -> TokenStream {
    let name = name.map(|name| quote!(.with_name(#name)));
    implement(
        entry,
        place,
        &quote!(::callgate_abi::NotImplemented),
        &quote!(::callgate_abi::Handler::ni(#entry) #name),
    )
}

/// The list of what is not implemented, and what is wrong with it.
pub(crate) fn cond_syscall(list: &CondSyscall) -> TokenStream {
    let errors = list.errors.iter().map(syn::Error::to_compile_error);
    let entries = list
        .entries
        .iter()
        .map(|(entry, name, place)| ni(entry, name.as_deref(), *place));
    quote! {
        #(#errors)*
        const _: () = { #(#entries)* };
    }
}
