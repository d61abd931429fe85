//! Linux declares each entry point in `include/linux/syscalls.h`, and the C compiler holds nobody to it: the macro
//! that defines the function casts whatever it is given.
//!
//! Here such a file is optional. Given to [`Build::prototypes`](crate::Build::prototypes), it makes the build fail at a
//! handler's parameter whose name or class is not the prototype's, that leads to another structure or writes what is
//! `const`, or where one is missing; the message quotes the prototype with its file and line. What is made of handlers
//! that agree spells their types as the prototypes do.
//!
//! Quirks:
//! - A parameter without a name holds the handler to its type only.
//! - Lines for the preprocessor are skipped, so that both sides of an `#if` are read.
//! - What is returned is not compared: in C it is always `long`.
//! - A pointer without `const` says nothing: Linux leaves it out of many that it only reads.

mod check;
mod grammar;

use std::fmt;
use std::sync::Arc;

use pest::Parser as _;
use pest::iterators::Pair;

use self::grammar::{Grammar, Rule};
use crate::ctype::CType;
use crate::table::{Diagnostic, Span, TableError, Word};

/// A file of C prototypes.
#[derive(Clone, Debug)]
pub struct Prototypes {
    path: String,
    list: Vec<Prototype>,
}

/// A prototype.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prototype {
    /// The entry point: `sys_write`.
    pub entry: Word,
    /// What stands before it: `asmlinkage long`.
    pub ret: String,
    /// The parameters; none for `(void)`.
    pub parameters: Vec<Parameter>,
}

/// A parameter of a prototype.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name, if it has one.
    pub name: Option<Word>,
    /// Its type, with one space between words: `const char __user *`.
    pub c_type: String,
    /// Its first line, from the type on.
    pub span: Span,
}

impl Prototypes {
    /// Reads prototypes from bytes that may not even be text; messages will name the file `path`.
    pub fn from_bytes(path: impl Into<String>, bytes: &[u8]) -> Result<Self, TableError> {
        match std::str::from_utf8(bytes) {
            Ok(source) => Self::parse(path, source),
            Err(error) => {
                let message = format!(
                    "the file is not UTF-8 text: the byte at offset {} begins no character",
                    error.valid_up_to()
                );
                let diagnostic = Diagnostic::file(message, "give a text file with C prototypes of system calls");
                Err(TableError::new(path.into(), "", vec![diagnostic]))
            }
        }
    }

    /// Reads prototypes from their text; messages will name the file `path`.
    pub fn parse(path: impl Into<String>, source: &str) -> Result<Self, TableError> {
        let source: Arc<str> = source.into();
        let source = &source;
        let path = path.into();
        let lines = Lines::new(source);
        let mut checker = check::Checker::default();
        let mut list = Vec::new();
        match Grammar::parse(Rule::file, source) {
            Ok(pairs) => {
                for item in pairs.flat_map(Pair::into_inner) {
                    let span = lines.span(item.as_span().start(), item.as_span().end());
                    match item.as_rule() {
                        Rule::prototype => list.extend(lines.prototype(item, &mut checker)),
                        Rule::other => checker.other(span, item.as_str()),
                        Rule::EOI => checker.comment(&lines, source),
                        _ => {}
                    }
                    if checker.is_full() {
                        break;
                    }
                }
            }
            Err(error) => checker.grammar(&error.variant.message()),
        }
        checker.names(&list);
        match checker.finish() {
            errors if errors.is_empty() => Ok(Self { path, list }),
            errors => Err(TableError::new(path, source, errors)),
        }
    }

    /// The name that messages give the file.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The prototypes, in the file's order.
    pub fn list(&self) -> &[Prototype] {
        &self.list
    }
}

/// The prototype on one line, as the file could have it.
impl fmt::Display for Prototype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gap = if self.ret.ends_with('*') { "" } else { " " };
        write!(f, "{}{gap}{}(", self.ret, self.entry)?;
        if self.parameters.is_empty() {
            f.write_str("void")?;
        }
        let mut separator = "";
        for parameter in &self.parameters {
            write!(f, "{separator}{parameter}")?;
            separator = ", ";
        }
        f.write_str(");")
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.c_type)?;
        match &self.name {
            Some(name) if self.c_type.ends_with('*') => write!(f, "{name}"),
            Some(name) => write!(f, " {name}"),
            None => Ok(()),
        }
    }
}

/// Two parameters are equal when they read the same, wherever they stand.
impl PartialEq for Parameter {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.c_type) == (&other.name, &other.c_type)
    }
}

impl Eq for Parameter {}

impl Parameter {
    /// The class of the type, in the word by which the macros know it.
    pub(crate) fn class(&self) -> String {
        match CType::parse(&self.c_type) {
            Some(CType::Integer { size, .. }) => format!("integer{size}"),
            Some(CType::Length) => "length".to_owned(),
            Some(CType::Pointer { to: "char" | "unsigned char" | "signed char" | "u8" | "__u8", .. }) => {
                "bytes".to_owned()
            }
            Some(CType::Pointer { to: "void", .. }) => "anything".to_owned(),
            Some(CType::Pointer { .. }) => "address".to_owned(),
            Some(CType::Named(_)) | None => "named".to_owned(),
        }
    }
}

impl Parameter {
    /// Where an address leads, in the words by which the macros know it: `const`, if the call only reads there; the size
    /// of an integer, or 0; and the name. Nothing for another type.
    pub(crate) fn pointee(&self) -> String {
        let Some(CType::Pointer { to, constant }) = CType::parse(&self.c_type) else { return String::new() };
        let size = match CType::parse(to) {
            _ if to == "*" => 8,
            Some(CType::Integer { size, .. }) => size,
            Some(CType::Length) => 8,
            _ => 0,
        };
        format!("{}{size} {to}", if constant { "const " } else { "" })
    }
}

/// Where lines begin: places are looked up, as counting from the start each time would take quadratic time.
struct Lines<'s> {
    source: &'s Arc<str>,
    starts: Vec<usize>,
}

impl<'s> Lines<'s> {
    fn new(source: &'s Arc<str>) -> Self {
        let newlines = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { source, starts: std::iter::once(0).chain(newlines).collect() }
    }

    /// The place of a text, as far as its first line reaches.
    fn span(&self, start: usize, end: usize) -> Span {
        let line = self.starts.partition_point(|&first| first <= start);
        let first = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let last = self.starts.get(line).map_or(self.source.len(), |next| next - 1);
        let before = self.source.get(first..start).unwrap_or_default();
        Span { line, column: before.chars().count() + 1, start, end: end.min(last).max(start) }
    }

    fn word(&self, token: &Pair<'_, Rule>) -> Word {
        let span = token.as_span();
        Word::in_source(self.source, self.span(span.start(), span.end()))
    }

    fn prototype(&self, pair: Pair<'_, Rule>, checker: &mut check::Checker) -> Option<Prototype> {
        let whole = self.span(pair.as_span().start(), pair.as_span().end());
        let mut parts = pair.into_inner();
        let mut head: Vec<_> = parts.next()?.into_inner().collect();
        let entry = head.pop().filter(|last| last.as_rule() == Rule::word);
        let entry = entry.filter(|last| !(head.is_empty() || check::is_of_type(last.as_str())));
        let Some(entry) = entry.map(|entry| self.word(&entry)) else {
            checker.nameless(whole);
            return None;
        };
        let mut parameters: Vec<_> = parts.map(|part| self.parameter(part)).collect();
        if parameters.len() == 1 && parameters.iter().all(|only| only.name.is_none() && only.c_type == "void") {
            parameters.clear();
        }
        let prototype = Prototype { entry, ret: join(&head), parameters };
        checker.prototype(&prototype);
        Some(prototype)
    }

    fn parameter(&self, pair: Pair<'_, Rule>) -> Parameter {
        let span = self.span(pair.as_span().start(), pair.as_span().end());
        let mut tokens: Vec<_> = pair.into_inner().collect();
        let arrays = tokens.iter().rev().take_while(|token| token.as_rule() == Rule::array).count();
        tokens.truncate(tokens.len() - arrays);
        let name = match tokens.as_slice() {
            [before @ .., last] if last.as_rule() == Rule::word && !check::is_of_type(last.as_str()) => match before {
                [] => None,
                [.., kind] if matches!(kind.as_str(), "struct" | "union" | "enum") => None,
                _ => Some(self.word(last)),
            },
            _ => None,
        };
        tokens.truncate(tokens.len() - usize::from(name.is_some()));
        let mut c_type = join(&tokens);
        if arrays > 0 {
            c_type += if c_type.ends_with('*') { "" } else { " " };
            c_type += &"*".repeat(arrays);
        }
        Parameter { name, c_type, span }
    }
}

/// Words with a space between any two, and stars where C's programmers put them.
fn join(tokens: &[Pair<'_, Rule>]) -> String {
    let mut out = String::new();
    for token in tokens {
        let star = |text: &str| text.ends_with('*');
        if !out.is_empty() && !(star(&out)) {
            out.push(' ');
        }
        out += token.as_str();
    }
    out
}
