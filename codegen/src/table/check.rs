//! What the words of a row may be, and how rows stand to each other; every message about a table is written here.
//!
//! Linux's scripts check that the chosen rows ascend and that the last column says `noreturn`. Everything else goes
//! into C as it stands, and a row that doesn't begin with a digit is skipped without a word. We refuse what Linux
//! refuses, and also what can only be a mistake.

use std::collections::HashMap;

use super::parse::{RawRow, RawWord};
use super::{AbiFilter, Diagnostic, Lint, MAX_NUMBER, Row, Span, Word};

/// A table with more errors than this is not a table; the rest would not help.
pub(super) const MAX_ERRORS: usize = 50;

const FORMAT: &str = "<number> <abi> <name> [<entry point> [<compat entry point> [noreturn]]]";

/// The table's text, if the file holds text.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Box<Diagnostic>> {
    let help = "give the text file with the rows, not a program or an archive";
    // `contains` is much the faster one.
    let zero = bytes.contains(&0).then(|| bytes.iter().position(|&byte| byte == 0));
    if let Some(at) = zero.flatten() {
        let line = line_of(bytes, at);
        let message = format!("the file is binary: it has a zero byte at offset {at} (line {line})");
        return Err(Box::new(Diagnostic::file(message, help)));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let line = line_of(bytes, at);
        let message = format!("the file is not UTF-8 text: the byte at offset {at} (line {line}) begins no character");
        Box::new(Diagnostic::file(message, help))
    })
}

/// Refuses carriage returns, which Linux's scripts would take for the last letter of the entry point.
pub(super) fn newlines(source: &str) -> Result<(), Box<Diagnostic>> {
    let Some(at) = source.find('\r') else {
        return match source.as_bytes().contains(&0) {
            true => text(source.as_bytes()).map(drop),
            false => Ok(()),
        };
    };
    let start = source[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let span = Span {
        line: line_of(source.as_bytes(), at),
        column: source[start..at].chars().count() + 1,
        start: at,
        end: at + 1,
    };
    let message = "the file has a carriage return, as Windows writes it at the end of a line";
    let help = "save the table with Unix line ends, for example with `sed -i 's/\\r$//'`";
    let found = Diagnostic::at(span, message, "a carriage return", help);
    Err(Box::new(found))
}

/// A text that the grammar refuses. It accepts every text, so this is never seen.
pub(super) fn grammar(message: &str) -> Diagnostic {
    Diagnostic::file(format!("the table can't be parsed: {message}"), format!("write rows as `{FORMAT}`"))
}

/// Two chosen rows of which the second does not come after the first.
pub(super) fn not_ascending(first: &Row, second: &Row, abis: &AbiFilter) -> Diagnostic {
    let message = match first.number == second.number {
        true => format!("the rows chosen by `{abis}` have number {} twice", second.number),
        false => format!("the rows chosen by `{abis}` are not sorted: {} comes after {}", second.number, first.number),
    };
    let help = "choose abis that belong to one kind of program, or sort their rows by number";
    Diagnostic::at(second.span, message, "must be the larger number", help).related(first.span, "the row before")
}

/// Two chosen rows whose name makes one constant.
pub(crate) fn name_twice(first: &Row, second: &Row) -> Diagnostic {
    let message = format!("the chosen rows {} and {} have one name, `{}`", first.number, second.number, second.name);
    let help = "choose abis that belong to one kind of program, such as `common,64`, or rename one of the rows";
    Diagnostic::at(second.name.span, message, "the same name", help).related(first.name.span, "the first row")
}

/// An entry point that no Rust item can be named by.
pub(crate) fn reserved_word(word: &Word) -> Diagnostic {
    let message = format!("the entry point `{word}` is a word that Rust keeps for itself");
    Diagnostic::at(word.span, message, "can't name a trait", "rename the entry point, for example to `sys_…`")
}

fn line_of(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().filter(|&&byte| byte == b'\n').count() + 1
}

/// Looks at one row after the other and keeps what is wrong.
#[derive(Default)]
pub(super) struct Checker {
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl Checker {
    /// The row's number, if each of its words can stand where it stands.
    pub(super) fn row(&mut self, raw: &RawRow<'_>) -> Option<u32> {
        let before = self.errors.len();
        let number = self.number(raw)?;
        self.columns(raw);
        (self.errors.len() == before).then_some(number)
    }

    fn number(&mut self, raw: &RawRow<'_>) -> Option<u32> {
        let word = raw.number.as_ref()?;
        let RawWord { span, text } = *word;
        if let Some(indent) = &raw.indent {
            self.error(Diagnostic::at(
                indent.span,
                "the row begins with blanks, so Linux's scripts would skip it",
                "blanks before the number",
                "begin the row with its number, or with `#` if it is a comment",
            ));
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            let shown = shorten(text);
            let (message, help) = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
                Some(digits) => (
                    format!("the number `{shown}` is hexadecimal"),
                    match u32::from_str_radix(digits, 16) {
                        Ok(number) => format!("write it as a decimal number: {number}"),
                        Err(_) => "write it as a decimal number".to_owned(),
                    },
                ),
                None => (
                    format!("`{shown}` is not a number"),
                    format!("begin a row with its number and a comment with `#`; a row reads `{FORMAT}`"),
                ),
            };
            self.error(Diagnostic::at(span, message, "the number's column", help));
            return None;
        }
        if text.len() > 1 && text.starts_with('0') {
            let digits = text.trim_start_matches('0');
            let decimal = if digits.is_empty() { "0" } else { digits };
            self.error(Diagnostic::at(
                span,
                format!(
                    "the number `{}` begins with 0, which the shell of Linux's scripts takes for octal",
                    shorten(text)
                ),
                "not a plain decimal number",
                format!("write it as {}", shorten(decimal)),
            ));
            return None;
        }
        match text.parse() {
            Ok(number) if number <= MAX_NUMBER => Some(number),
            _ => {
                self.error(Diagnostic::at(
                    span,
                    format!(
                        "the number {} is larger than {MAX_NUMBER}, the largest that a table may have",
                        shorten(text)
                    ),
                    "too large",
                    "give the call the next free number: tables are arrays, and a large number makes a large array",
                ));
                None
            }
        }
    }

    fn columns(&mut self, raw: &RawRow<'_>) {
        let words = [&raw.abi, &raw.name, &raw.entry, &raw.compat, &raw.noreturn, &raw.extra];
        if let Some(word) = words.into_iter().flatten().find(|word| word.text.starts_with('#')) {
            let message = "a comment follows the row, and Linux's scripts would take its words for columns";
            return self.error(Diagnostic::at(word.span, message, "a comment", "put the comment on a line of its own"));
        }
        let end = |word: &RawWord<'_>| Span {
            start: word.span.end,
            column: word.span.column + word.text.chars().count(),
            ..word.span
        };
        let (number, abi) = match (&raw.number, &raw.abi) {
            (Some(number), Some(abi)) => (number, abi),
            (number, _) => {
                let span = number.as_ref().map_or(Span::default(), end);
                let help = format!("a row reads `{FORMAT}`");
                return self.error(Diagnostic::at(span, "the row has a number and nothing else", "no abi", help));
            }
        };
        if !abi.text.bytes().all(is_identifier) {
            let message = format!(
                "`{}` can't be an abi: it has other characters than letters, digits and `_`",
                shorten(abi.text)
            );
            let help = "write the abi between number and name, such as `common`, `64`, `x32` or `i386`";
            self.error(Diagnostic::at(abi.span, message, "the abi's column", help));
        }
        let Some(name) = &raw.name else {
            let help = format!(
                "write the call's name after the abi: `{} {} <name> [<entry point>]`",
                number.text,
                shorten(abi.text)
            );
            return self.error(Diagnostic::at(end(abi), "the row has no name", "no name", help));
        };
        self.identifier(
            name,
            "the name",
            "name the call by letters, digits and `_`, the first no digit: it becomes `__NR_<name>`",
        );
        if let Some(entry) = raw.entry.as_ref().filter(|entry| entry.text != "-") {
            let help = "name a C function, such as `sys_read`; leave the column out if the number only stays reserved";
            self.identifier(entry, "the entry point", help);
        }
        if let Some(compat) = raw.compat.as_ref().filter(|compat| compat.text != "-") {
            match compat.text {
                "noreturn" => self.error(Diagnostic::at(
                    compat.span,
                    "`noreturn` stands in the column of the compat entry point",
                    "the fifth column",
                    "write `-` for no compat entry point before it: `- noreturn`",
                )),
                _ => {
                    let help = "name a C function, such as `compat_sys_open`, or write `-` for none";
                    self.identifier(compat, "the compat entry point", help);
                }
            }
        }
        if let Some(noreturn) = raw.noreturn.as_ref().filter(|word| word.text != "noreturn") {
            let message =
                format!("the last column says `{}`, and all it may say is `noreturn`", shorten(noreturn.text));
            let help = "write `noreturn` if the call never returns, or leave the column out";
            self.error(Diagnostic::at(noreturn.span, message, "not `noreturn`", help));
        }
        if let Some(extra) = &raw.extra {
            let help = format!("leave out what follows; a row reads `{FORMAT}`, and a comment has a line of its own");
            self.error(Diagnostic::at(extra.span, "the row has a column too many", "an unknown column", help));
        }
    }

    fn identifier(&mut self, word: &RawWord<'_>, what: &str, help: &str) {
        let text = word.text;
        let first = text.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
        if !(first && text.bytes().all(is_identifier)) {
            let message = format!("{what} `{}` is not an identifier", shorten(text));
            self.error(Diagnostic::at(word.span, message, "not an identifier", help));
        }
    }

    /// Finds numbers that are taken twice and rows that stand too low.
    pub(super) fn order<'r>(&mut self, rows: impl Iterator<Item = &'r Row> + Clone) {
        // Most tables ascend as a whole, and then nothing has to be remembered.
        if rows.clone().is_sorted_by(|row, next| row.number < next.number) {
            return;
        }
        let mut order = Order::default();
        for row in rows {
            let Some(found) = order.place(row) else { continue };
            match found.severity {
                super::Severity::Error => self.error(found),
                super::Severity::Warning => self.warnings.push(found),
            }
            self.warnings.truncate(MAX_ERRORS);
            if self.is_full() {
                break;
            }
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.errors.len() >= MAX_ERRORS
    }

    /// The warnings, or the errors in the file's order.
    pub(super) fn finish(mut self, has_rows: bool) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        if self.is_full() {
            let message = format!("the table has {MAX_ERRORS} errors or more; only these are shown");
            self.errors.push(Diagnostic::file(message, "correct these first, or make sure that the file is a table"));
        } else if self.errors.is_empty() && !has_rows {
            let help = format!("write one system call a line: `{FORMAT}`");
            self.errors.push(Diagnostic::file("the table has no rows", help));
        }
        self.errors.sort_by_key(|error| error.place.as_ref().map_or(usize::MAX, |place| place.span.start));
        match self.errors.is_empty() {
            true => Ok(self.warnings),
            false => Err(self.errors),
        }
    }

    fn error(&mut self, diagnostic: Diagnostic) {
        self.errors.push(diagnostic);
    }
}

/// The rows so far, as the order of the next one needs them.
#[derive(Default)]
struct Order<'r> {
    rows: Vec<&'r Row>,
    /// The first row with a number: of `common`, of any other abi, and of each abi.
    common: HashMap<u32, &'r Row>,
    other: HashMap<u32, &'r Row>,
    of_abi: HashMap<(u32, &'r str), &'r Row>,
    /// The row with the largest number: of `common`, and of each abi.
    last_common: Option<&'r Row>,
    last: HashMap<&'r str, &'r Row>,
}

/// The abi that belongs to every other one.
pub(super) const COMMON: &str = "common";

/// With more abis than this in one table, `common` is no longer compared with each of them.
pub(super) const MAX_ABIS: usize = 64;

impl<'r> Order<'r> {
    /// Takes the next row, and says so if it can't stand where it stands.
    fn place(&mut self, row: &'r Row) -> Option<Diagnostic> {
        let abi = row.abi.as_str();
        let taken = self.of_abi.get(&(row.number, abi)).copied();
        let taken = taken.or_else(|| match abi {
            COMMON => self.other.get(&row.number).copied(),
            _ => self.common.get(&row.number).copied(),
        });
        if let Some(first) = taken {
            let message = match first.abi == row.abi {
                true => format!("the number {} is taken already", row.number),
                false => format!(
                    "the number {} is taken already by abi `{}`, and `{COMMON}` belongs to every abi",
                    row.number, first.abi
                ),
            };
            let help = "give one of the two rows the next free number, or remove it";
            return Some(
                Diagnostic::at(row.span, message, "taken here again", help).related(first.span, "first taken here"),
            );
        }
        let unsorted = self.above(row).map(|above| {
            let message = format!("the rows are not sorted: {} comes after {}", row.number, above.number);
            let next = self.next_of_family(row).unwrap_or(above);
            let help =
                format!("move the row above the one of {} `{}` (line {})", next.number, next.name, next.span.line);
            Diagnostic::at(row.span, message, "stands too low", help).related(above.span, "a larger number")
        });
        let unsorted = match unsorted {
            None => self.doubtful(row),
            error => error,
        };
        self.rows.push(row);
        self.of_abi.insert((row.number, abi), row);
        let last = |last: &mut &'r Row| *last = if last.number < row.number { row } else { last };
        self.last.entry(abi).and_modify(last).or_insert(row);
        match abi {
            COMMON => {
                self.common.insert(row.number, row);
                self.last_common = self.last.get(COMMON).copied();
            }
            _ => {
                self.other.entry(row.number).or_insert(row);
            }
        }
        unsorted
    }

    /// A row of the same kind of program that stands above and has a larger number, whichever kind is meant.
    fn above(&self, row: &Row) -> Option<&'r Row> {
        let larger = |above: &&'r Row| above.number > row.number;
        let own = self.last.get(row.abi.as_str()).copied().filter(larger);
        let own = own.or(self.last_common.filter(larger));
        if own.is_some() || row.abi.as_str() != COMMON || self.last.len() > MAX_ABIS {
            return own;
        }
        // A common row belongs to each abi. It is wrong if it is out of order in all of them: a number above those of
        // `64` may well follow a block of `x32` that Linux keeps at the end.
        let mut others = self.last.iter().filter(|(abi, _)| **abi != COMMON).map(|(_, last)| *last);
        let first = others.next()?;
        let lowest = others.fold(first, |low, last| if last.number < low.number { last } else { low });
        Some(lowest).filter(larger)
    }

    /// The row that a row should stand right above of.
    fn next_of_family(&self, row: &Row) -> Option<&'r Row> {
        let family =
            |other: &&&Row| row.abi == other.abi || [&row.abi, &other.abi].iter().any(|abi| abi.as_str() == COMMON);
        let larger = self.rows.iter().filter(|other| other.number > row.number);
        larger.filter(family).min_by_key(|other| other.number).copied()
    }

    /// A common row that is out of order for some of the abis.
    fn doubtful(&self, row: &Row) -> Option<Diagnostic> {
        if row.abi.as_str() != COMMON || self.last.len() > MAX_ABIS {
            return None;
        }
        let above = self.last.values().copied().filter(|above| above.number > row.number);
        let above = above.max_by_key(|above| above.number)?;
        let message =
            format!("the rows are not sorted for abi `{}`: {} comes after {}", above.abi, row.number, above.number);
        let help = format!("move the row above the first one of abi `{}`, as Linux's scripts need it", above.abi);
        let found = Diagnostic::at(row.span, message, "stands too low", help).related(above.span, "a larger number");
        Some(found.warning(Lint::UnsortedAbi))
    }
}

fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A word as a message shows it: printable, and not a megabyte of it.
fn shorten(text: &str) -> String {
    let printable = |letter: char| {
        if letter.is_control() { '\u{FFFD}' } else { letter }
    };
    let mut shown: String = text.chars().take(40).map(printable).collect();
    if text.chars().nth(40).is_some() {
        shown.push('…');
    }
    shown
}
