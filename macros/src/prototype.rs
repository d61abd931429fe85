//! A handler against its C prototype, if `Build` was given one: as many arguments, of the same names, of types that can
//! stand for C's. The last is for the compiler to find out, which knows what a type's name means; the assertion that it
//! evaluates is made here with its message.

use crate::check::{Arg, source};
use crate::entries::{Entries, Parameter, Pointee, Prototype};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Signature};

/// What a prototype declares an argument to be.
pub(crate) struct Declared {
    /// The value of `callgate_abi::Declared`.
    pub(crate) class: TokenStream,
    /// What is said if the type can't stand for it.
    pub(crate) message: String,
    /// The prototype's spelling of the type.
    pub(crate) c_type: String,
    /// Where it leads, if it is an address.
    pub(crate) leads: Option<Leads>,
}

/// Where a prototype's address leads.
pub(crate) struct Leads {
    /// The value of `callgate_abi::Pointee`.
    pub(crate) pointee: TokenStream,
    /// What is said if the type leads elsewhere.
    pub(crate) elsewhere: String,
    /// What is said if the type is for writing, and the prototype's is not.
    pub(crate) written: String,
}

/// The arguments with what the prototype says of each; errors where it says something else.
pub(crate) fn hold<'a>(
    mut args: Vec<Arg<'a>>,
    entry: &str,
    sig: &Signature,
    entries: &Entries,
) -> Result<Vec<Arg<'a>>, Vec<Error>> {
    let Entries::Known(table) = entries else { return Ok(args) };
    let Some(prototype) = table.prototype(entry) else { return Ok(args) };
    if prototype.parameters.len() != args.len() {
        return Err(vec![arity(&args, sig, &prototype)]);
    }
    let mut errors = Vec::new();
    for (arg, parameter) in args.iter_mut().zip(&prototype.parameters) {
        if !(parameter.name.is_empty() || parameter.name == arg.name) {
            errors.push(Error::new(arg.place, name(arg, parameter, &prototype)));
        }
        arg.declared = class(parameter.class).map(|class| Declared {
            class,
            message: ty(arg, parameter, &prototype),
            c_type: parameter.c_type.to_owned(),
            leads: parameter.pointee.as_ref().map(|to| pointee(arg, parameter, to, &prototype)),
        });
    }
    if errors.is_empty() { Ok(args) } else { Err(errors) }
}

fn arity(args: &[Arg<'_>], sig: &Signature, prototype: &Prototype<'_>) -> Error {
    let (found, declared) = (args.len(), prototype.parameters.len());
    let plural = |n| if n == 1 { "" } else { "s" };
    let text = format!(
        "`{}` has {found} argument{} after its context, and its prototype has {declared}\n{}",
        sig.ident,
        plural(found),
        quoted(prototype),
    );
    match args.get(declared) {
        Some(extra) => {
            Error::new(extra.place, format!("{text}\nleave out what it does not have, or correct the prototype"))
        }
        None => {
            let missing: Vec<_> =
                prototype.parameters.iter().skip(found).map(|one| format!("`{}`", one.text)).collect();
            let text = format!("{text}\nadd {}, or correct the prototype", missing.join(" and "));
            Error::new(sig.paren_token.span.close(), text)
        }
    }
}

fn name(arg: &Arg<'_>, parameter: &Parameter<'_>, prototype: &Prototype<'_>) -> String {
    format!(
        "this argument is `{}` in its prototype, and not `{}`\n{}\nrename it, or correct the prototype",
        parameter.text,
        arg.name,
        quoted(prototype)
    )
}

fn ty(arg: &Arg<'_>, parameter: &Parameter<'_>, prototype: &Prototype<'_>) -> String {
    let instead = match parameter.class {
        "integer1" => "`u8`, `i8`",
        "integer2" => "`u16`, `i16`",
        "integer4" => "`u32`, `i32`, `Fd`, or flags or an enumeration of 32 bits",
        "integer8" => "`u64`, `i64`, `usize`, `UserAddr`, or flags of 64 bits",
        "length" => "`usize`",
        "bytes" => "`UserStr`, `UserPtr<u8>` or `UserMut<u8>`",
        "anything" => "`UserPtr<T>`, `UserMut<T>` or `UserAddr`",
        _ => "`UserPtr<T>` or `UserMut<T>` of a structure",
    };
    format!(
        "`{}` can't stand for `{}` of its prototype\n{}\nmake it {instead}; or correct the prototype",
        source(arg.ty),
        parameter.text,
        quoted(prototype)
    )
}

fn pointee(arg: &Arg<'_>, parameter: &Parameter<'_>, to: &Pointee<'_>, prototype: &Prototype<'_>) -> Leads {
    let Pointee { constant, size, name } = *to;
    let (own, text, quoted) = (source(arg.ty), parameter.text, quoted(prototype));
    let pointer = if constant { "UserPtr" } else { "UserMut" };
    Leads {
        pointee: quote!(::callgate_abi::Pointee { name: #name, size: #size, constant: #constant }),
        elsewhere: format!(
            "`{own}` leads elsewhere than `{text}` of its prototype\n{quoted}\n\
             make it a `{pointer}` of what C calls `{name}`; or correct the prototype"
        ),
        written: format!(
            "`{own}` can be written, and `{text}` of its prototype is only read\n{quoted}\n\
             make it a `UserPtr`; or correct the prototype"
        ),
    }
}

fn quoted(prototype: &Prototype<'_>) -> String {
    format!("{}: {}", prototype.place, prototype.text)
}

/// The class as a value of `callgate_abi::Declared`; none if nothing is known of the type.
fn class(word: &str) -> Option<TokenStream> {
    Some(match word {
        "integer1" => quote!(Integer(1)),
        "integer2" => quote!(Integer(2)),
        "integer4" => quote!(Integer(4)),
        "integer8" => quote!(Integer(8)),
        "length" => quote!(Length),
        "bytes" => quote!(Bytes),
        "anything" => quote!(Anything),
        "address" => quote!(Address),
        _ => return None,
    })
}
