//! Every message that the macros give, and the rules behind them.
//!
//! A handler is a plain function: a context, then at most six parameters, each from one register.
//! What the compiler has to judge (types that lack `SyscallArg`, another context) is not here but at
//! the traits of `callgate_abi`.

use crate::entries::{Entries, Table};
use crate::parse::{Input, Item, Word};
use crate::prototype::{self, Declared};
use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{
    Error, Expr, FnArg, GenericArgument, Ident, ItemFn, Lit, Meta, Pat, PatType, PathArguments, ReturnType, Signature,
    Token, Type,
};

/// Why there are no type parameters, nor `impl Trait`.
const GENERIC: &str = "a handler can't be generic: the table holds one function for its entry point";
/// The registers that carry arguments.
const REGISTERS: usize = 6;

/// A declaration that has nothing wrong with it.
pub(crate) struct Handler<'a> {
    pub(crate) function: &'a ItemFn,
    /// What people call it: the row's name, or the attribute's word.
    pub(crate) name: String,
    /// The entry point.
    pub(crate) entry: String,
    /// Where the attribute's word stands.
    pub(crate) place: Span,
    /// The context's type, without `&mut`.
    pub(crate) context: &'a Type,
    pub(crate) args: Vec<Arg<'a>>,
    pub(crate) ret: Return<'a>,
    /// The first line of the documentation.
    pub(crate) doc: String,
}

/// An argument.
pub(crate) struct Arg<'a> {
    pub(crate) name: String,
    pub(crate) place: Span,
    pub(crate) ty: &'a Type,
    /// What the prototype declares it to be, if there is one.
    pub(crate) declared: Option<Declared>,
}

/// What a handler returns.
pub(crate) enum Return<'a> {
    Never,
    Type(&'a Type),
}

/// A declaration with errors, at least one.
pub(crate) struct Refused {
    pub(crate) errors: Vec<Error>,
    /// The row that is meant, as far as it is known, and where it is named.
    pub(crate) entry: Option<(String, Span)>,
}

/// `COND_SYSCALL!`'s list: entry points with rows' names and places, and what is wrong.
pub(crate) struct CondSyscall {
    pub(crate) entries: Vec<(String, Option<String>, Span)>,
    pub(crate) errors: Vec<Error>,
}

/// Checks a use of the attribute.
pub(crate) fn handler<'a>(input: &'a Input, entries: &Entries) -> Result<Handler<'a>, Refused> {
    let mut errors = Vec::new();
    let function = match &input.item {
        Item::Function(function) => function,
        Item::Other(item) => {
            let place = item.clone().into_iter().next().map_or_else(Span::call_site, |t| t.span());
            let text = format!("`{}` goes on a function with a body: the handler", input.macro_name());
            errors.push(Error::new(place, text));
            return Err(Refused { errors, entry: guess_entry(input, entries) });
        }
        Item::Broken(_, error) => {
            errors.push(error.clone());
            return Err(Refused { errors, entry: guess_entry(input, entries) });
        }
    };
    let row = word(input, entries, &mut errors);
    let sig = &function.sig;
    modifiers(sig, &mut errors);
    let context_and_args = parameters(input, sig, &mut errors);
    let ret = answer(sig, &mut errors);
    match (row, context_and_args, ret) {
        (Some((entry, name, place)), Some((context, args)), Some(ret)) if errors.is_empty() => {
            let doc = first_doc_line(function);
            let args = match prototype::hold(args, &entry, sig, entries) {
                Ok(args) => args,
                Err(errors) => return Err(Refused { errors, entry: Some((entry, place)) }),
            };
            Ok(Handler { function, name, entry, place, context, args, ret, doc })
        }
        _ => Err(Refused { errors, entry: guess_entry(input, entries) }),
    }
}

/// The entry point that is meant by a word: `write` → `sys_write`. A compat entry point, which has
/// another prefix, is written whole.
fn entry_of(word: &str) -> String {
    if word.starts_with("sys_") || word.starts_with("compat_sys_") { word.to_owned() } else { format!("sys_{word}") }
}

/// The row that a refused declaration means, so that it is not reported as missing as well.
fn guess_entry(input: &Input, entries: &Entries) -> Option<(String, Span)> {
    let guessed = input.word.guess().or_else(|| match &input.item {
        Item::Function(function) => {
            let name = &function.sig.ident;
            Some((name.unraw().to_string(), name.span()))
        }
        Item::Other(_) | Item::Broken(..) => None,
    });
    let (word, place) = guessed?;
    let entry = entry_of(&word);
    let known = match entries {
        Entries::Known(table) => table.name(&entry).is_some(),
        Entries::Unknown | Entries::Unreadable(..) => matches!(input.word, Word::Ident(_)),
    };
    known.then_some((entry, place))
}

/// The attribute's word: the entry point, the name and the place.
fn word(input: &Input, entries: &Entries, errors: &mut Vec<Error>) -> Option<(String, String, Span)> {
    let macro_name = input.macro_name();
    let function = match &input.item {
        Item::Function(function) => function.sig.ident.unraw().to_string(),
        Item::Other(_) | Item::Broken(..) => "write".to_owned(),
    };
    let mut refuse = |place: &dyn ToTokens, text: String| {
        errors.push(Error::new_spanned(place, text));
        None
    };
    match &input.word {
        Word::Ident(ident) => {
            let word = ident.unraw().to_string();
            if let Some(rest) = word.strip_prefix("sys_") {
                let text = format!("the entry point is written without `sys_`: `{macro_name}({rest})`");
                return refuse(ident, text);
            }
            let entry = entry_of(&word);
            match row_name(&entry, ident.span(), entries, no_row) {
                Ok(name) => Some((entry, name.unwrap_or(word), ident.span())),
                Err(error) => {
                    errors.push(error);
                    None
                }
            }
        }
        Word::Missing => {
            let text = format!(
                "which system call? the word in parentheses is the row's entry point without \
                 `sys_`, as in `{macro_name}({function})`"
            );
            errors.push(Error::new(Span::call_site(), text));
            None
        }
        Word::Quoted(quoted) => {
            let word = quoted.value();
            refuse(quoted, format!("the entry point is written without quotes: `{macro_name}({word})`"))
        }
        Word::Other(tokens) => refuse(
            tokens,
            format!(
                "one word is expected, the row's entry point without `sys_`, as in \
                 `{macro_name}({function})`; names and types of arguments are the function's"
            ),
        ),
    }
}

/// The name of the entry point's row, if there is a list of them; an error if it has no such row.
fn row_name(
    entry: &str,
    place: Span,
    entries: &Entries,
    no_row: fn(&str, &Table) -> String,
) -> Result<Option<String>, Error> {
    match entries {
        Entries::Unknown => Ok(None),
        Entries::Unreadable(path, why) => {
            let text = format!("the list of entry points {} can't be read: {why}", path.display());
            Err(Error::new(place, text))
        }
        Entries::Known(table) => match table.name(entry) {
            Some(name) => Ok(Some(name.to_owned())),
            None => Err(Error::new(place, no_row(entry, table))),
        },
    }
}

/// A handler's entry point that no row has: what may have been meant, or the row to add.
fn no_row(entry: &str, table: &Table) -> String {
    let word = entry.trim_start_matches("sys_");
    let text = near_entries(entry, table);
    if table.named(word).is_some() {
        return text; // a second row of this name would be refused
    }
    if entry.starts_with("compat_sys_") {
        return format!("{text}\na compat entry point stands in the fifth column of its call's row");
    }
    format!("{text}\nfor a new system call, add the row\n    {}\tcommon\t{word}\t{entry}", table.next_number())
}

/// An entry point of `COND_SYSCALL!` that no row has.
fn no_row_in_list(entry: &str, table: &Table) -> String {
    near_entries(entry, table) + "\nthis list has the rows that are not implemented, and nothing else"
}

fn near_entries(entry: &str, table: &Table) -> String {
    let text = format!("no row of {} has the entry point `{entry}`", table.path());
    let near = table.near(entry);
    if let Some(row) = table.named(entry.trim_start_matches("sys_")) {
        format!("{text}\nthe row `{}` has the entry point `{}`", row.name, row.entry)
    } else if near.is_empty() {
        text
    } else {
        format!("{text}\nthere is `{}`", near.join("`, `"))
    }
}

/// What can stand before and after a function's name, and may not.
fn modifiers(sig: &Signature, errors: &mut Vec<Error>) {
    let mut refuse = |place: &dyn ToTokens, text: &str| {
        errors.push(Error::new_spanned(place, text));
    };
    if let Some(token) = &sig.asyncness {
        refuse(token, "a handler can't be `async`: it has answered when it returns to the table");
    }
    if let Some(token) = &sig.unsafety {
        refuse(token, "a handler can't be `unsafe`: the table calls it with whatever a program put in registers");
    }
    if let Some(abi) = &sig.abi {
        refuse(abi, "a handler is a plain Rust function, without `extern`");
    }
    if let Some(variadic) = &sig.variadic {
        refuse(variadic, "a handler can't be variadic: its arguments are six registers");
    }
    let clause = &sig.generics.where_clause;
    if !sig.generics.params.is_empty() {
        refuse(&sig.generics, GENERIC);
    } else if let Some(clause) = clause {
        refuse(clause, GENERIC);
    }
}

/// The parameters: the context's type, and the arguments.
fn parameters<'a>(input: &Input, sig: &'a Signature, errors: &mut Vec<Error>) -> Option<(&'a Type, Vec<Arg<'a>>)> {
    let mut typed = Vec::new();
    for parameter in &sig.inputs {
        match parameter {
            FnArg::Typed(parameter) => typed.push(parameter),
            FnArg::Receiver(receiver) => {
                let text = "a handler has no `self`: its context is an ordinary first parameter, \
                            `&mut crate::syscalls::Context`";
                errors.push(Error::new_spanned(receiver, text));
                return None;
            }
        }
    }
    let context = context(input, sig, &typed, errors);
    let args = match (&context, typed.split_first()) {
        (Context::Missing, _) | (_, None) => typed.as_slice(),
        (_, Some((_, args))) => args,
    };
    let types_ok = args.iter().filter(|arg| !argument_type(arg, errors)).count() == 0;
    let names: Vec<_> = args.iter().map(|arg| argument_name(arg, errors)).collect();
    // Without a context the count is most likely wrong because of that.
    if !matches!(context, Context::Missing) {
        arity(input, sig, args, errors);
    }
    let Context::Type(context) = context else {
        return None;
    };
    let args = args.iter().zip(names);
    let arg = |(arg, name): (&&'a PatType, Option<String>)| {
        Some(Arg { name: name?, place: arg.pat.span(), ty: &arg.ty, declared: None })
    };
    let args = args.map(arg).collect::<Option<_>>()?;
    types_ok.then_some((context, args))
}

/// What the first parameter is.
enum Context<'a> {
    /// The context, with this type behind its `&mut`.
    Type(&'a Type),
    /// The context, but of a wrong form.
    Wrong,
    /// An argument.
    Missing,
}

fn context<'a>(input: &Input, sig: &Signature, typed: &[&'a PatType], errors: &mut Vec<Error>) -> Context<'a> {
    const CONTEXT: &str = "`&mut crate::syscalls::Context`";
    let Some(first) = typed.first() else {
        let text = format!("the first parameter of a handler is its context, {CONTEXT}");
        errors.push(Error::new(sig.paren_token.span.join(), text));
        return Context::Missing;
    };
    match bare(&first.ty) {
        Type::Reference(reference) if reference.mutability.is_some() => {
            if let Some(lifetime) = reference.lifetime.as_ref().filter(|name| name.ident != "_") {
                let text = "a handler borrows its context for the call: without a lifetime's name";
                errors.push(Error::new(lifetime.span(), text));
                return Context::Wrong;
            }
            if let Type::ImplTrait(generic) = bare(&reference.elem) {
                errors.push(Error::new_spanned(generic, GENERIC));
                return Context::Wrong;
            }
            Context::Type(&reference.elem)
        }
        // As many parameters as with a context: this one is meant to be it.
        Type::Reference(_) | Type::Path(_) if typed.len() == input.n + 1 => {
            let found = source(&first.ty);
            let text = format!("a handler's context is {CONTEXT}, not `{found}`");
            errors.push(Error::new_spanned(&first.ty, text));
            Context::Wrong
        }
        _ => {
            let text = format!("the first parameter of a handler is its context, {CONTEXT}");
            errors.push(Error::new_spanned(first, text));
            Context::Missing
        }
    }
}

/// Is the number of arguments that of the attribute's name?
fn arity(input: &Input, sig: &Signature, args: &[&PatType], errors: &mut Vec<Error>) {
    let (n, found) = (input.n, args.len());
    let (name, plural) = (&sig.ident, if found == 1 { "" } else { "s" });
    if let Some(seventh) = args.get(REGISTERS) {
        let text = "a system call has at most six arguments, one a register: rdi, rsi, rdx, r10, r8, r9";
        errors.push(Error::new_spanned(seventh, text));
    } else if found != n {
        let text = format!(
            "`{name}` has {found} argument{plural} after its context: \
             `SYSCALL_DEFINE{found}`, not `SYSCALL_DEFINE{n}`"
        );
        errors.push(match args.get(n) {
            Some(extra) => Error::new_spanned(extra, text),
            None => Error::new(sig.paren_token.span.join(), text),
        });
    }
}

/// The parameter's name, for traces and prototypes.
fn argument_name(arg: &PatType, errors: &mut Vec<Error>) -> Option<String> {
    match &*arg.pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => {
            let name = pat.ident.unraw().to_string();
            Some(name.trim_start_matches('_').to_owned())
        }
        Pat::Wild(_) => {
            let text = "an argument has a name, which traces and prototypes show; \
                        one that is not used begins with `_`: `_flags`";
            errors.push(Error::new_spanned(&arg.pat, text));
            None
        }
        pattern => {
            let text = "an argument has a name, which traces and prototypes show: \
                        take the pattern apart in the body";
            errors.push(Error::new_spanned(pattern, text));
            None
        }
    }
}

/// Can the type be made from a register, as far as its form tells?
fn argument_type(arg: &PatType, errors: &mut Vec<Error>) -> bool {
    let what = |ty: &Type| source(ty);
    let text = match bare(&arg.ty) {
        Type::Reference(reference) => {
            let instead = match bare(&reference.elem) {
                Type::Path(path) if path.path.is_ident("str") => "`UserStr`".to_owned(),
                Type::Slice(slice) => {
                    let pointer = user_pointer(reference.mutability.is_some());
                    format!("`{pointer}<{}>` and a `usize`", what(&slice.elem))
                }
                elem => format!("`{}<{}>`", user_pointer(reference.mutability.is_some()), what(elem)),
            };
            format!("an argument can't be a reference: the program gives an address, {instead}")
        }
        Type::Ptr(pointer) => format!(
            "an argument can't be a raw pointer: the program's memory is not the kernel's; \
             use `{}<{}>`",
            user_pointer(pointer.mutability.is_some()),
            what(&pointer.elem),
        ),
        Type::ImplTrait(generic) => {
            errors.push(Error::new_spanned(generic, GENERIC));
            return false;
        }
        Type::Path(path) => match path.path.segments.last().map(|last| last.ident.to_string()) {
            Some(float) if path.path.get_ident().is_some() && (float == "f32" || float == "f64") => {
                "an argument can't be a float: arguments are in integer registers".to_owned()
            }
            Some(owned) if owned == "String" || owned == "CString" => {
                format!("an argument can't be a `{owned}`: the program gives an address, `UserStr`")
            }
            Some(owned) if owned == "Vec" || owned == "Box" => format!(
                "an argument can't be a `{owned}`: the program gives an address, `UserPtr<T>`, \
                 and the length is an argument of its own"
            ),
            _ => return true,
        },
        _ => return true,
    };
    errors.push(Error::new_spanned(&arg.ty, text));
    false
}

fn user_pointer(mutable: bool) -> &'static str {
    if mutable { "UserMut" } else { "UserPtr" }
}

/// What the handler returns.
fn answer<'a>(sig: &'a Signature, errors: &mut Vec<Error>) -> Option<Return<'a>> {
    let ReturnType::Type(_, ty) = &sig.output else {
        let text = "a handler says what the program gets: \
                    `-> Result<usize>`, `-> Result<()>` for 0 or an error, `-> !` for nothing ever";
        errors.push(Error::new(sig.paren_token.span.close(), text));
        return None;
    };
    match borrowed(ty) {
        None if matches!(bare(ty), Type::Never(_)) => Some(Return::Never),
        None => Some(Return::Type(ty)),
        Some(found) => {
            let text = format!("a system call can't return `{}`: the answer is one number, in rax", source(found));
            errors.push(Error::new_spanned(found, text));
            None
        }
    }
}

/// The first thing in a return type that has no place in the table's constant: the compiler would
/// speak of lifetimes and opaque types.
fn borrowed(ty: &Type) -> Option<&Type> {
    match bare(ty) {
        found @ (Type::Reference(_) | Type::Ptr(_) | Type::ImplTrait(_)) => Some(found),
        Type::Tuple(tuple) => tuple.elems.iter().find_map(borrowed),
        Type::Array(array) => borrowed(&array.elem),
        Type::Path(path) => match &path.path.segments.last()?.arguments {
            PathArguments::AngleBracketed(generic) => generic.args.iter().find_map(|arg| match arg {
                GenericArgument::Type(ty) => borrowed(ty),
                _ => None,
            }),
            _ => None,
        },
        _ => None,
    }
}

/// The type without the parentheses and the invisible groups that `macro_rules!` puts around it.
fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => bare(&inner.elem),
        Type::Group(inner) => bare(&inner.elem),
        ty => ty,
    }
}

/// The type as a person writes it: tokens print with a space between any two.
pub(crate) fn source(ty: &Type) -> String {
    let text = ty.to_token_stream().to_string();
    let mut tidy = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let between_words = |last: char, next: char| {
            let word = |char: char| char.is_alphanumeric() || char == '_';
            ",;+=".contains(last) || "+=".contains(next) || (word(last) && (word(next) || next == '\''))
        };
        let kept = match (tidy.chars().last(), chars.peek()) {
            (Some(last), Some(&next)) if char == ' ' => between_words(last, next),
            _ => true,
        };
        if kept {
            tidy.push(char);
        }
    }
    tidy
}

/// The first line of the function's documentation.
fn first_doc_line(function: &ItemFn) -> String {
    let mut lines = function.attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    // One attribute is a line of `///`, or all of `/** */`.
    lines
        .find_map(|text| text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned))
        .unwrap_or_default()
}

/// Checks `COND_SYSCALL!`'s list.
pub(crate) fn cond_syscall(list: TokenStream, entries: &Entries) -> CondSyscall {
    let mut checked = CondSyscall { entries: Vec::new(), errors: Vec::new() };
    let list = match Punctuated::<Ident, Token![,]>::parse_terminated.parse2(list) {
        Ok(list) => list,
        Err(error) => {
            let text = "a list of entry points is expected: `sys_accept, sys_accept4,`";
            checked.errors.push(Error::new(error.span(), text));
            return checked;
        }
    };
    for ident in list {
        let word = ident.to_string();
        let entry = entry_of(&word);
        if entry != word {
            let text = format!("entry points are written whole in this list: `{entry}`");
            checked.errors.push(Error::new(ident.span(), text));
        }
        match row_name(&entry, ident.span(), entries, no_row_in_list) {
            Ok(name) => checked.entries.push((entry, name, ident.span())),
            Err(error) if entry == word => checked.errors.push(error),
            Err(_) => {}
        }
    }
    checked
}
