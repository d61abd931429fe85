//! From a checked declaration to Rust.

use crate::check::{Arg, CondSyscall, Handler, Return};
use crate::prototype::{Declared, Leads};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;

/// A span for generated code whose errors shall be shown at `place`: to lints it is the macro's.
pub(crate) fn at(place: Span) -> Span {
    Span::mixed_site().located_at(place)
}

/// The function, and beside it its row's trait, implemented for the table.
pub(crate) fn handler(handler: &Handler<'_>) -> TokenStream {
    let function = handler.function;
    let implementation = implement(&handler.entry, handler.place, &return_type(handler), &value(handler));
    let declared = handler.args.iter().filter_map(declared);
    let cfgs = function.attrs.iter().filter(|attr| attr.path().is_ident("cfg"));
    quote! {
        #function
        #(#cfgs)*
        const _: () = { #(#declared)* #implementation };
    }
}

/// The assertion that an argument's type can stand for what the prototype declares. It is one constant and one call,
/// because a kernel has many hundreds of arguments.
fn declared(arg: &Arg<'_>) -> Option<TokenStream> {
    let (ty, declared) = (arg.ty, arg.declared.as_ref()?);
    let Declared { class, message, leads, .. } = declared;
    let declared = quote_spanned!(at(ty.span())=> ::callgate_abi::Declared::#class);
    Some(match leads {
        None => quote_spanned!(at(ty.span())=> const _: () = #declared.hold::<#ty>(#message);),
        Some(Leads { pointee, elsewhere, written }) => quote_spanned! {at(ty.span())=>
            const _: () = #declared.hold_pointer::<#ty>(#message, #pointee, #elsewhere, #written);
        },
    })
}

/// The type that the trait gets to know.
fn return_type(handler: &Handler<'_>) -> TokenStream {
    match handler.ret {
        Return::Never => quote!(::core::convert::Infallible),
        Return::Type(ty) => ty.to_token_stream(),
    }
}

/// The value of the trait's constant.
fn value(handler: &Handler<'_>) -> TokenStream {
    let Handler { name, entry, doc, function, .. } = handler;
    // Parameters of the closure, which can't be confused with what the function's scope has.
    let local = |name| Ident::new(name, at(Span::call_site()));
    let context = local("context");
    let args = local(if handler.args.is_empty() { "_args" } else { "args" });
    let call = call(handler, &context, &args);
    let arg_metadata = handler.args.iter().map(|arg| {
        let (ty, name) = (arg.ty, &arg.name);
        let declared = arg.declared.as_ref().map(|declared| {
            let c_type = &declared.c_type;
            quote!(.declared(#c_type))
        });
        quote_spanned!(at(ty.span())=> ::callgate_abi::ArgMetadata::of::<#ty>(#name) #declared)
    });
    // Without the macro's own context, line!() is where the function's name stands.
    let line = quote_spanned!(function.sig.ident.span()=> ::core::line!());
    // What is known of the return type here is what the row's trait asks of it. Named by itself it
    // would have to be checked once more, and would fail with one more message.
    let trait_name = Ident::new(entry, at(handler.place));
    let generic = quote!(Row: crate::syscalls::entry::#trait_name);
    let answer = quote!(sys_answer::<crate::syscalls::SysCallTable>());
    let call = match handler.ret {
        Return::Never => call,
        Return::Type(_) => quote!(#answer.into_raw(#call)),
    };
    quote! {{
        #[inline]
        const fn sys_answer<#generic>() -> ::callgate_abi::Answer<Row::Return> {
            ::callgate_abi::Answer::NEW
        }
        ::callgate_abi::Handler {
            call: |#context, #args| #call,
            name: #name,
            entry: #entry,
            about: || ::callgate_abi::About {
                args: ::callgate_abi::ArgList::new([#(#arg_metadata),*]),
                ret: #answer.metadata,
                file: ::core::file!(),
                line: #line,
                doc: #doc,
            },
            implemented: true,
        }
    }}
}

/// The call of the function, with arguments from the registers.
fn call(handler: &Handler<'_>, context: &Ident, args: &Ident) -> TokenStream {
    let function = &handler.function.sig.ident;
    let ty = handler.context;
    let context = quote_spanned! {at(ty.span())=>
        <#ty as ::callgate_abi::HandlerContext<crate::syscalls::Context>>::from_context(#context)
    };
    let decoded = handler.args.iter().enumerate().map(|(i, arg)| {
        let ty = arg.ty;
        quote_spanned!(at(ty.span())=> <#ty as ::callgate_abi::SyscallArg>::from_reg(#args[#i]))
    });
    quote!(#function(#context #(, #decoded)*))
}

/// The entry point's trait, implemented for the table. Its header stands at `place`, so that two of
/// them conflict there.
fn implement(entry: &str, place: Span, return_type: &TokenStream, handler: &TokenStream) -> TokenStream {
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
    implement(entry, place, &quote!(::callgate_abi::NotImplemented), &quote!(::callgate_abi::Handler::ni(#entry) #name))
}

/// The list of what is not implemented, and what is wrong with it.
pub(crate) fn cond_syscall(list: &CondSyscall) -> TokenStream {
    let errors = list.errors.iter().map(syn::Error::to_compile_error);
    let entries = &list.entries;
    let entries = entries.iter().map(|(entry, name, place)| ni(entry, name.as_deref(), *place));
    quote! {
        #(#errors)*
        const _: () = { #(#entries)* };
    }
}
