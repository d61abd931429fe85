//! Linux describes its system calls in one text file an architecture, `syscall*.tbl`, a row a call:
//!
//! ```text
//! <number> <abi> <name> [<entry point> [<compat entry point> [noreturn]]]
//! ```
//!
//! and reads it with `grep` and the shell's `read`. We read the same files with a [pest] grammar into a [`Table`] that
//! knows where each word stands, so that whatever is wrong with a row can be shown under the row.
//!
//! Quirks, all Linux's own:
//! - A row may have no entry point: its number is kept and answers `ENOSYS`.
//! - One number may stand in several rows of different abis, and one entry point in several rows.
//! - `common` belongs to every abi of its file, so it collides with all of them.
//! - Columns are separated by tabs, blanks, or both.

mod check;
mod diagnostic;
mod diff;
mod filter;
mod format;
mod insert;
mod lint;
mod parse;

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

pub use diagnostic::{Diagnostic, Label, Severity, TableError};
pub use diff::{Change, ChangeKind};
pub use filter::AbiFilter;
pub use format::Style;
pub use insert::{Inserted, NewRow};
pub use lint::Lint;

pub(crate) use check::reserved_word;

/// The largest number that a row may have. A table becomes an array indexed by number, so one stray digit would cost
/// gigabytes; Linux's own largest is 547.
pub const MAX_NUMBER: u32 = 65_535;

/// A table's text, its rows, and where they stand.
#[derive(Clone, Debug)]
pub struct Table {
    path: String,
    source: Arc<str>,
    lines: Vec<Line>,
    warnings: Vec<Diagnostic>,
}

/// One line of a table.
#[allow(clippy::large_enum_variant, reason = "most lines are rows")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line with nothing, or only blanks and tabs.
    Blank,
    /// A line that begins with `#`.
    Comment(Word),
    /// A system call.
    Row(Row),
}

/// One system call of a table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What user space puts in the number register.
    pub number: u32,
    /// The abi, or family of programs, that the row is for: `common`, `64`, `i386`, `nospu` …
    pub abi: Word,
    /// The name that follows `__NR_`.
    pub name: Word,
    /// The column of the entry point as written, `-` included. See [`Row::entry_point`].
    pub entry: Option<Word>,
    /// The column of the compat entry point as written, `-` included. See [`Row::compat_entry_point`].
    pub compat: Option<Word>,
    /// Whether the last column says `noreturn`.
    pub noreturn: bool,
    /// The whole row, from the number to the last word.
    pub span: Span,
}

/// A word of a table. Two words are equal when they read the same, wherever they stand.
#[derive(Clone)]
pub struct Word {
    /// The whole text that the word is a part of.
    source: Arc<str>,
    /// Where it stands.
    pub span: Span,
}

/// A place in a table: never longer than one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The line, from 1.
    pub line: usize,
    /// The column of the first character, from 1, in characters.
    pub column: usize,
    /// The first byte, from the start of the file.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Table {
    /// Reads the table in the file at `path`; messages will name it by that path.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, TableError> {
        let path = path.as_ref();
        let shown = path.display().to_string();
        match std::fs::read(path) {
            Ok(bytes) => Self::from_bytes(shown, &bytes),
            Err(error) => Err(TableError::unreadable(shown, &error)),
        }
    }

    /// Reads a table from bytes that may not even be text; messages will name it `path`.
    pub fn from_bytes(path: impl Into<String>, bytes: &[u8]) -> Result<Self, TableError> {
        let path = path.into();
        match check::text(bytes) {
            Ok(source) => Self::parse(path, source),
            Err(diagnostic) => Err(TableError::new(path, "", vec![*diagnostic])),
        }
    }

    /// Reads a table from its text; messages will name it `path`.
    pub fn parse(path: impl Into<String>, source: impl Into<Arc<str>>) -> Result<Self, TableError> {
        Self::of(path.into(), source.into(), false)
    }

    /// Reads the table in the file at `path`, which need not have a row yet: [`Table::insert`] gives it one.
    pub fn read_new(path: impl AsRef<Path>) -> Result<Self, TableError> {
        let path = path.as_ref();
        match std::fs::read_to_string(path) {
            Ok(source) => Self::of(path.display().to_string(), source.into(), true),
            // What is wrong with the file is told as ever.
            Err(_) => Self::read(path),
        }
    }

    fn of(path: String, source: Arc<str>, may_be_empty: bool) -> Result<Self, TableError> {
        match parse::lines(&source, may_be_empty) {
            Ok((lines, warnings)) => Ok(Self { path, source, lines, warnings }),
            Err(diagnostics) => Err(TableError::new(path, &source, diagnostics)),
        }
    }

    /// The name that messages give the table.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The text that was read.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Every line in the file's order, comments and blank lines too.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The rows in the file's order.
    pub fn rows(&self) -> impl Iterator<Item = &Row> + Clone {
        self.lines.iter().filter_map(|line| match line {
            Line::Row(row) => Some(row),
            _ => None,
        })
    }

    /// The rows of the chosen abis, in the file's order.
    pub fn rows_of<'a>(&'a self, abis: &'a AbiFilter) -> impl Iterator<Item = &'a Row> + Clone {
        self.rows().filter(|row| abis.matches(row.abi.as_str()))
    }

    /// What is doubtful in the table's order, though it can be used; [`Table::lints`] finds more.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The number for the next call of the chosen abis: above all of theirs, and used by no other abi.
    pub fn next_number(&self, abis: &AbiFilter) -> u32 {
        let used: BTreeSet<u32> = self.rows().map(|row| row.number).collect();
        let last = self.rows_of(abis).map(|row| row.number).max();
        let mut next = last.map_or(0, |last| last + 1);
        while used.contains(&next) {
            next += 1;
        }
        next
    }

    /// The rows of the chosen abis, made sure to be one array: each number once and each number above the one before.
    ///
    /// Linux's scripts find this out for one choice of abis after the other, and so do we: a table can be in order
    /// for `common,64` and not for `common,x32`.
    pub fn ascending_rows(&self, abis: &AbiFilter) -> Result<Vec<&Row>, TableError> {
        let rows: Vec<&Row> = self.rows().filter(|row| abis.matches(row.abi.as_str())).collect();
        let diagnostics: Vec<_> = rows
            .windows(2)
            .filter(|pair| pair[0].number >= pair[1].number)
            .map(|pair| check::not_ascending(pair[0], pair[1], abis))
            .take(check::MAX_ERRORS)
            .collect();
        match diagnostics.is_empty() {
            true => Ok(rows),
            false => Err(self.error(diagnostics)),
        }
    }

    /// Makes sure that the rows of each abi, with the `common` ones, are one array. What is wrong about two `common`
    /// rows is said once, though it is wrong for every abi.
    pub fn check_each_abi(&self) -> Result<(), TableError> {
        let mut abis: BTreeSet<&str> = self.rows().map(|row| row.abi.as_str()).collect();
        if abis.len() > check::MAX_ABIS {
            // That each of them is in order by itself, and `common` is, was made sure of when the table was read.
            abis.clear();
        }
        let mut diagnostics: Vec<Diagnostic> = Vec::new();
        for abi in abis.iter().filter(|abi| **abi != check::COMMON || abis.len() == 1) {
            let Err(error) = self.ascending_rows(&AbiFilter::new(&format!("{},{abi}", check::COMMON))) else {
                continue;
            };
            let place = |one: &Diagnostic| one.place.as_ref().map(|place| place.span.start);
            for found in error.into_diagnostics() {
                if diagnostics.iter().all(|known| place(known) != place(&found)) {
                    diagnostics.push(found);
                }
            }
        }
        match diagnostics.is_empty() {
            true => Ok(()),
            false => Err(self.error(diagnostics)),
        }
    }

    /// An error about this table that shows its lines.
    pub(crate) fn error(&self, diagnostics: Vec<Diagnostic>) -> TableError {
        TableError::new(self.path.clone(), &self.source, diagnostics)
    }
}

/// Makes sure that no two of the rows have one name, which would make two constants of that name.
pub(crate) fn check_names(table: &Table, rows: &[&Row]) -> Result<(), TableError> {
    let mut first = std::collections::HashMap::new();
    let twice: Vec<_> = rows
        .iter()
        .filter_map(|row| first.insert(row.name.as_str(), *row).map(|before| check::name_twice(before, row)))
        .take(check::MAX_ERRORS)
        .collect();
    match twice.is_empty() {
        true => Ok(()),
        false => Err(table.error(twice)),
    }
}

impl Row {
    /// The function behind the call, unless the row only keeps the number.
    pub fn entry_point(&self) -> Option<&Word> {
        self.entry.as_ref().filter(|word| word.as_str() != "-")
    }

    /// The function for programs of the other word size, where it differs.
    pub fn compat_entry_point(&self) -> Option<&Word> {
        self.compat.as_ref().filter(|word| word.as_str() != "-")
    }

    /// What a comparison of two rows compares: everything but the places.
    fn words(&self) -> (u32, &str, &str, Option<&Word>, Option<&Word>, bool) {
        (self.number, self.abi.as_str(), self.name.as_str(), self.entry.as_ref(), self.compat.as_ref(), self.noreturn)
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.words() == other.words()
    }
}

impl Eq for Row {}

impl Word {
    /// A word of that text.
    pub(crate) fn in_source(source: &Arc<str>, span: Span) -> Self {
        Self { source: Arc::clone(source), span }
    }

    /// A word that stands in no table.
    pub(crate) fn new(text: impl Into<Arc<str>>) -> Self {
        let source = text.into();
        Self { span: Span { end: source.len(), ..Span::default() }, source }
    }

    /// What it reads.
    pub fn as_str(&self) -> &str {
        self.source.get(self.span.start..self.span.end).unwrap_or_default()
    }
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Word {}

impl Hash for Word {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Word").field(&self.as_str()).field(&self.span).finish()
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
