//! What a prototypes file may say; every message about one is written here.

use std::collections::HashMap;

use super::{Lines, Parameter, Prototype};
use crate::ctype::CType;
use crate::table::{Diagnostic, Span};

/// A file with more errors than this is no file of prototypes.
const MAX_ERRORS: usize = 50;
/// The registers that carry arguments.
const REGISTERS: usize = 6;
const FORM: &str = "asmlinkage long sys_write(unsigned int fd, const char __user *buf, size_t count);";

/// Whether a word belongs to a type, so that no parameter can be named by it.
pub(super) fn is_of_type(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "const", "volatile", "restrict", "__user", "void", "signed", "unsigned", "char", "short", "int", "long",
        "float", "double", "bool", "size_t",
    ];
    WORDS.contains(&word)
}

/// Keeps what is wrong.
#[derive(Default)]
pub(super) struct Checker {
    errors: Vec<Diagnostic>,
}

impl Checker {
    pub(super) fn is_full(&self) -> bool {
        self.errors.len() >= MAX_ERRORS
    }

    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        if self.is_full() {
            self.errors.truncate(MAX_ERRORS);
            let message = format!("the file has {MAX_ERRORS} errors or more; only these are shown");
            let help = format!("make sure that the file has prototypes such as `{FORM}`");
            self.file(message, help);
        }
        self.errors
    }

    fn file(&mut self, message: String, help: String) {
        self.errors.push(Diagnostic::file(message, help));
    }

    fn at(&mut self, span: Span, message: impl Into<String>, label: &str, help: impl Into<String>) {
        self.errors.push(Diagnostic::at(span, message, label, help));
    }

    /// A text that the grammar refuses. It accepts every text, so this is never seen.
    pub(super) fn grammar(&mut self, message: &str) {
        self.file(format!("the prototypes can't be parsed: {message}"), format!("write them as `{FORM}`"));
    }

    /// Finds a comment at the end that is not closed.
    pub(super) fn comment(&mut self, lines: &Lines<'_>, source: &str) {
        let Some(at) = source.rfind("/*").filter(|at| !source[at + 2..].contains("*/")) else { return };
        let line = source[..at].rfind('\n').map_or(0, |newline| newline + 1);
        // Within another comment, the two characters mean nothing.
        if source[line..at].contains("//") || self.errors.iter().any(|error| error.message.contains("comment")) {
            return;
        }
        self.unclosed(lines.span(at, at + 2));
    }

    fn unclosed(&mut self, span: Span) {
        self.at(span, "the comment has no end", "begins here", "close it with `*/`");
    }

    /// What is neither a prototype nor anything else that may stand in the file.
    pub(super) fn other(&mut self, span: Span, text: &str) {
        let after = text.split_once(')').map(|(_, after)| after.trim_start());
        let (message, help): (&str, String) = if text.contains('{') || text.contains('}') {
            ("the file has a body in braces", "declare functions only, and structures as `struct stat;`".to_owned())
        } else if text.contains("(*") {
            let help =
                "no register carries a function: give the type of the address by a typedef's name, or as `void *`";
            ("a parameter is declared as a pointer to a function", help.to_owned())
        } else if text.contains("...") {
            let help = "declare all parameters; a system call has at most six";
            ("the prototype is variadic, and a system call can't be", help.to_owned())
        } else if text.contains("()") || text.contains('(') && after.is_none() {
            ("the prototype has no `)`", format!("write it as `{FORM}`"))
        } else if after.is_some_and(|after| !after.starts_with(';')) {
            ("the prototype has no `;` after its `)`", format!("write it as `{FORM}`"))
        } else if !text.contains('(') {
            ("this declares no function", format!("write prototypes such as `{FORM}`, and nothing else"))
        } else {
            ("this is no prototype of a system call", format!("write it as `{FORM}`"))
        };
        self.at(span, message, "begins here", help);
    }

    /// Something with parameters but without a name or without a type.
    pub(super) fn nameless(&mut self, span: Span) {
        self.at(
            span,
            "the prototype lacks a type or a name",
            "before the parenthesis",
            format!("write it as `{FORM}`"),
        );
    }

    /// The parameters of one prototype.
    pub(super) fn prototype(&mut self, prototype: &Prototype) {
        if prototype.entry.as_str().starts_with(|first: char| first.is_ascii_digit()) {
            let message = format!("the name `{}` begins with a digit", prototype.entry);
            self.at(prototype.entry.span, message, "not an identifier", format!("write it as `{FORM}`"));
        }
        if let Some(seventh) = prototype.parameters.get(REGISTERS) {
            let message = format!("`{}` has more than six parameters", prototype.entry);
            let help = "pass further values in a structure, by its address: each argument is a register";
            self.at(seventh.span, message, "the seventh", help);
        }
        let mut names = HashMap::new();
        for parameter in &prototype.parameters {
            self.c_type(parameter);
            let Some(name) = &parameter.name else { continue };
            if name.as_str().starts_with(|first: char| first.is_ascii_digit()) {
                let message = format!("the name `{name}` begins with a digit");
                self.at(name.span, message, "not an identifier", "name the parameter by letters, digits and `_`");
            }
            if let Some(first) = names.insert(name.as_str(), name.span) {
                let message = format!("`{}` has two parameters named `{name}`", prototype.entry);
                self.at(name.span, message, "the same name", "give each parameter a name of its own");
                self.related(first, "the first one");
            }
        }
    }

    fn c_type(&mut self, parameter: &Parameter) {
        if CType::parse(&parameter.c_type).is_some() {
            return;
        }
        let text = &parameter.c_type;
        let (message, help) = match text.as_str() {
            "void" => ("a parameter can't be `void`".to_owned(), "leave it out; `(void)` means no parameters"),
            "float" | "double" | "long double" => (
                format!("a parameter can't be `{text}`: arguments are in integer registers"),
                "pass an integer, or the address of the number",
            ),
            _ if !text.contains('*') && (text.starts_with("struct ") || text.starts_with("union ")) => (
                format!("a parameter can't be a `{text}` itself: it does not fit a register"),
                "pass its address, with a `*` before the parameter's name",
            ),
            _ => (format!("`{}` is no type of C", text.trim()), "write one type and one name, such as `size_t count`"),
        };
        self.at(parameter.span, message, "no register carries it", help);
    }

    fn related(&mut self, span: Span, text: &str) {
        if let Some(last) = self.errors.pop() {
            self.errors.push(last.related(span, text));
        }
    }

    /// Finds entry points that are declared twice.
    pub(super) fn names(&mut self, list: &[Prototype]) {
        let mut seen: HashMap<&str, &Prototype> = HashMap::new();
        for prototype in list {
            if self.is_full() {
                return;
            }
            let first = seen.entry(prototype.entry.as_str()).or_insert(prototype);
            if std::ptr::eq(*first, prototype) {
                continue;
            }
            let first = first.entry.span;
            let message = format!("`{}` is declared twice", prototype.entry);
            self.at(prototype.entry.span, message, "declared here again", "keep one of the two prototypes");
            self.related(first, "first declared here");
        }
    }
}
