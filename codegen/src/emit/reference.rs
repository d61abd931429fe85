//! What a kernel says of its own calls. The table has names and numbers; arguments, types and places come from the
//! handlers, whose `Metadata` a kernel turns into this list. `prototypes`, `wrappers`, `json` and `markdown` are made of
//! it and of nothing else.

use std::collections::BTreeSet;

/// The calls of a kernel, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// The table's path, for the head of each file.
    pub table: String,
    /// The calls, in the order in which they shall be listed.
    pub calls: Vec<Syscall>,
}

/// A system call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Syscall {
    /// Its number.
    pub number: u32,
    /// Its name: `write`.
    pub name: String,
    /// Its entry point: `sys_write`. Empty for a row without one.
    pub entry: String,
    /// Its arguments.
    pub args: Vec<Argument>,
    /// What a program gets, in C: `ssize_t`.
    pub ret: String,
    /// Whether it never returns.
    pub noreturn: bool,
    /// The source file of its handler.
    pub file: String,
    /// The line of its handler.
    pub line: u32,
    /// The first line of its documentation.
    pub doc: String,
    /// Whether it has a handler at all: if not, all but number, name and entry point means nothing.
    pub implemented: bool,
}

/// An argument of a system call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Argument {
    /// Its name: `buf`.
    pub name: String,
    /// Its type in C, as the kernel declares it: `const char __user *`.
    pub c_type: String,
}

impl Reference {
    /// The calls that have a handler.
    pub(super) fn implemented(&self) -> impl Iterator<Item = &Syscall> + Clone {
        self.calls.iter().filter(|call| call.implemented)
    }

    /// The structures and unions that arguments point to: `struct stat`.
    pub(super) fn structures(&self) -> BTreeSet<String> {
        let args = self.implemented().flat_map(|call| &call.args);
        args.filter_map(|arg| structure(&arg.c_type)).collect()
    }
}

impl Syscall {
    /// The parameters in C, `void` if there are none.
    pub(super) fn parameters(&self) -> String {
        match self.args.as_slice() {
            [] => "void".to_owned(),
            args => args.iter().map(|arg| declaration(&arg.c_type, &c_name(&arg.name))).collect::<Vec<_>>().join(", "),
        }
    }
}

/// A parameter: `const char __user *buf`.
pub(super) fn declaration(c_type: &str, name: &str) -> String {
    let gap = if c_type.ends_with('*') { "" } else { " " };
    format!("{c_type}{gap}{name}")
}

/// The parameter's name, unless it is one of C's words or a macro of its headers.
pub(super) fn c_name(name: &str) -> String {
    const TAKEN: &[&str] = &[
        "auto", "bool", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum",
        "errno", "extern", "false", "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict",
        "return", "short", "signed", "sizeof", "static", "struct", "switch", "true", "typedef", "union", "unsigned",
        "void", "volatile", "while",
    ];
    match TAKEN.contains(&name) {
        true => format!("{name}_"),
        false => name.to_owned(),
    }
}

/// The structure or union that a type names.
fn structure(c_type: &str) -> Option<String> {
    let mut words = c_type.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
    let kind = words.find(|word| matches!(*word, "struct" | "union"))?;
    let name = words.find(|word| !word.is_empty())?;
    Some(format!("{kind} {name}"))
}
