//! Linux has one short script an output (`scripts/syscallhdr.sh`, `scripts/syscalltbl.sh`). We have one file an output,
//! that reads like the file it emits; each is a function from a model to text, the same text for the same model.

mod dispatch;
mod entries;
mod json;
mod markdown;
mod prototypes;
mod reference;
mod rust;
mod symbols;
mod syscalls;
mod unistd;
mod wrappers;

pub use dispatch::dispatch;
pub use entries::{entries, prototype_entries};
pub use json::{JSON_SCHEMA, json};
pub use markdown::markdown;
pub use prototypes::prototypes;
pub use reference::{Argument, Reference, Syscall};
pub use rust::rust;
pub use symbols::{kallsyms, system_map};
pub use syscalls::syscalls;
pub use unistd::{Unistd, unistd};
pub use wrappers::{wrappers_c, wrappers_rust};

/// Names by number, as `callgate_abi::Names`.
pub(crate) fn names_to_rust<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let (mut text, mut ends, mut end) = (String::new(), Vec::new(), 0);
    for name in names {
        text += &format!("        {name:?},\n");
        end += name.len();
        ends.push(end);
    }
    format!("::callgate_abi::Names::new(\n    concat!(\n{text}    ),\n    &{ends:?},\n)")
}

/// Appends a number in decimal. Headers are mostly numbers, and this takes a third of the time of formatting one.
fn push_decimal(out: &mut String, number: u32) {
    if number >= 10 {
        push_decimal(out, number / 10);
    }
    out.push(char::from(b'0' + (number % 10) as u8));
}

/// Rust's words that can be identifiers only with `r#` before them.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum",
    "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move",
    "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// A C identifier as a Rust one; `None` for the few words that can't be one.
pub fn ident(name: &str) -> Option<String> {
    match name {
        "self" | "Self" | "super" | "crate" | "_" => None,
        _ if KEYWORDS.contains(&name) => Some(format!("r#{name}")),
        _ => Some(name.to_owned()),
    }
}
