//! From text to lines: runs the grammar and gives each word its place. What a word may say is `check`'s business.

use pest::Parser as _;
use pest::iterators::Pair;
use pest_derive::Parser;

use super::check::{self, Checker};
use super::{Diagnostic, Line, Row, Span, Word};

#[derive(Parser)]
#[grammar = "table/table.pest"]
struct Grammar;

/// The columns of one row as they were written.
#[derive(Default)]
pub(super) struct RawRow {
    pub indent: Option<Word>,
    pub number: Option<Word>,
    pub abi: Option<Word>,
    pub name: Option<Word>,
    pub entry: Option<Word>,
    pub compat: Option<Word>,
    pub noreturn: Option<Word>,
    pub extra: Option<Word>,
}

/// Reads all lines; fails with every error that the table has (up to [`check::MAX_ERRORS`]).
pub(super) fn lines(source: &str) -> Result<(Vec<Line>, Vec<Diagnostic>), Vec<Diagnostic>> {
    check::newlines(source).map_err(|diagnostic| vec![*diagnostic])?;
    let table = match Grammar::parse(Rule::table, source) {
        Ok(mut pairs) => pairs.next(),
        Err(error) => return Err(vec![check::grammar(&error.variant.message())]),
    };
    let pairs = table.into_iter().flat_map(Pair::into_inner);

    let mut lines = Vec::new();
    let mut checker = Checker::default();
    for (index, pair) in pairs.filter(|pair| pair.as_rule() == Rule::line).enumerate() {
        let place = Place { line: index + 1, start: pair.as_span().start(), source };
        lines.push(match pair.into_inner().next() {
            None => Line::Blank,
            Some(comment) if comment.as_rule() == Rule::comment => Line::Comment(place.word(&comment)),
            Some(row) => match checker.row(place.row(row)) {
                Some(row) => Line::Row(row),
                None => Line::Blank,
            },
        });
        if checker.is_full() {
            break;
        }
    }
    // After the last newline there is no line, unless something stands there.
    if source.is_empty() || source.ends_with('\n') {
        lines.pop_if(|line| *line == Line::Blank);
    }
    checker.order(lines.iter().filter_map(|line| match line {
        Line::Row(row) => Some(row),
        _ => None,
    }));
    let warnings = checker.finish(lines.iter().any(|line| matches!(line, Line::Row(_))))?;
    Ok((lines, warnings))
}

/// A line of the source.
struct Place<'s> {
    line: usize,
    start: usize,
    source: &'s str,
}

impl Place<'_> {
    fn row(&self, pair: Pair<'_, Rule>) -> RawRow {
        let mut row = RawRow::default();
        for column in pair.into_inner() {
            let word = Some(self.word(&column));
            match column.as_rule() {
                Rule::indent => row.indent = word,
                Rule::number => row.number = word,
                Rule::abi => row.abi = word,
                Rule::name => row.name = word,
                Rule::entry => row.entry = word,
                Rule::compat => row.compat = word,
                Rule::noreturn => row.noreturn = word,
                _ => row.extra = word,
            }
        }
        row
    }

    fn word(&self, pair: &Pair<'_, Rule>) -> Word {
        let span = pair.as_span();
        let before = self.source.get(self.start..span.start()).unwrap_or_default();
        Word {
            text: span.as_str().to_owned(),
            span: Span { line: self.line, column: before.chars().count() + 1, start: span.start(), end: span.end() },
        }
    }
}

impl RawRow {
    /// From the first word to the last.
    pub(super) fn span(&self) -> Span {
        let first = self.number.as_ref().map_or(Span::default(), |word| word.span);
        let words = [&self.abi, &self.name, &self.entry, &self.compat, &self.noreturn];
        let end = words.into_iter().flatten().map(|word| word.span.end).max();
        Span { end: end.unwrap_or(first.end), ..first }
    }

    /// The row, if its columns were found to be right.
    pub(super) fn into_row(self, number: u32) -> Option<Row> {
        let span = self.span();
        Some(Row {
            number,
            abi: self.abi?,
            name: self.name?,
            entry: self.entry,
            compat: self.compat,
            noreturn: self.noreturn.is_some(),
            span,
        })
    }
}
