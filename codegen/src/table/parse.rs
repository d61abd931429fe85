//! From text to lines: runs the grammar and gives each word its place. What a word may say is `check`'s business.

use std::sync::Arc;

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
pub(super) struct RawRow<'s> {
    pub indent: Option<RawWord<'s>>,
    pub number: Option<RawWord<'s>>,
    pub abi: Option<RawWord<'s>>,
    pub name: Option<RawWord<'s>>,
    pub entry: Option<RawWord<'s>>,
    pub compat: Option<RawWord<'s>>,
    pub noreturn: Option<RawWord<'s>>,
    pub extra: Option<RawWord<'s>>,
}

/// A [`Word`] while its row is looked at.
#[derive(Clone, Copy)]
pub(super) struct RawWord<'s> {
    pub text: &'s str,
    pub span: Span,
}

/// What the grammar keeps of a text is many times as large as the text, so it is given some lines at a time. This many
/// bytes make few calls, and little memory that has not been used before.
const PIECE: usize = 2048;

/// Reads all lines; fails with every error that the table has (up to [`check::MAX_ERRORS`]), one of which can be that it has
/// no rows.
pub(super) fn lines(source: &Arc<str>, may_be_empty: bool) -> Result<(Vec<Line>, Vec<Diagnostic>), Vec<Diagnostic>> {
    check::newlines(source).map_err(|diagnostic| vec![*diagnostic])?;
    let mut lines = Vec::with_capacity(source.bytes().filter(|&byte| byte == b'\n').count() + 1);
    let mut checker = Checker::default();
    'all: for (offset, piece) in pieces(source) {
        let parsed = match Grammar::parse(Rule::lines, piece) {
            Ok(mut pairs) => pairs.next(),
            Err(error) => return Err(vec![check::grammar(&error.variant.message())]),
        };
        let pairs = parsed.into_iter().flat_map(Pair::into_inner);
        for pair in pairs.take_while(|pair| pair.as_rule() != Rule::EOI) {
            let mut place =
                Place { source, offset, line: lines.len() + 1, column: 1, at: pair.as_span().start() + offset };
            lines.push(place.line(pair, &mut checker));
            if checker.is_full() {
                break 'all;
            }
        }
    }
    checker.order(lines.iter().filter_map(|line| match line {
        Line::Row(row) => Some(row),
        _ => None,
    }));
    let warnings = checker.finish(may_be_empty || lines.iter().any(|line| matches!(line, Line::Row(_))))?;
    Ok((lines, warnings))
}

/// The text in pieces of whole lines, each without its last newline, and where each begins.
fn pieces(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let (start, rest) = (next, source.get(next..).filter(|rest| !rest.is_empty())?);
        let newline = rest.bytes().skip(PIECE).position(|byte| byte == b'\n');
        let piece = newline.and_then(|at| rest.get(..PIECE + at + 1)).unwrap_or(rest);
        next += piece.len();
        Some((start, piece.strip_suffix('\n').unwrap_or(piece)))
    })
}

/// How far a line has been read.
struct Place<'s> {
    source: &'s Arc<str>,
    /// Where the text begins that the grammar was given.
    offset: usize,
    line: usize,
    column: usize,
    at: usize,
}

impl<'s> Place<'s> {
    fn line(&mut self, line: Pair<'s, Rule>, checker: &mut Checker) -> Line {
        let mut row = RawRow::default();
        for pair in line.into_inner() {
            let word = self.word(&pair);
            let column = match pair.as_rule() {
                Rule::comment => return Line::Comment(Word::in_source(self.source, word.span)),
                Rule::indent => &mut row.indent,
                Rule::number | Rule::stray => &mut row.number,
                Rule::abi => &mut row.abi,
                Rule::name => &mut row.name,
                Rule::entry => &mut row.entry,
                Rule::compat => &mut row.compat,
                Rule::noreturn => &mut row.noreturn,
                Rule::extra => &mut row.extra,
                _ => break,
            };
            if !word.text.is_empty() {
                *column = Some(word);
            }
        }
        match checker.row(&row) {
            Some(number) => row.into_row(number, self.source).map_or(Line::Blank, Line::Row),
            None => Line::Blank,
        }
    }

    fn word(&mut self, pair: &Pair<'s, Rule>) -> RawWord<'s> {
        let (text, start) = (pair.as_str(), pair.as_span().start() + self.offset);
        let before = self.source.get(self.at..start).unwrap_or_default();
        self.column += if before.is_ascii() { before.len() } else { before.chars().count() };
        self.at = start;
        RawWord { text, span: Span { line: self.line, column: self.column, start, end: start + text.len() } }
    }
}

impl RawRow<'_> {
    /// From the first word to the last.
    fn span(&self) -> Span {
        let first = self.number.map_or(Span::default(), |word| word.span);
        let words = [self.abi, self.name, self.entry, self.compat, self.noreturn];
        let end = words.into_iter().flatten().map(|word| word.span.end).max();
        Span { end: end.unwrap_or(first.end), ..first }
    }

    /// The row, if its columns were found to be right.
    fn into_row(self, number: u32, source: &Arc<str>) -> Option<Row> {
        let word = |word: RawWord<'_>| Word::in_source(source, word.span);
        Some(Row {
            number,
            abi: self.abi.map(word)?,
            name: self.name.map(word)?,
            entry: self.entry.map(word),
            compat: self.compat.map(word),
            noreturn: self.noreturn.is_some(),
            span: self.span(),
        })
    }
}
