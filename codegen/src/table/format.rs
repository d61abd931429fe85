//! Linux writes its tables with tabs: number, abi and name at the tab stops 0, 8 and 16, the entry point 24 columns
//! further on (x86, arm, s390) or 32 (mips, powerpc, the generic table), the compat entry point 32 after that. A word
//! that reaches beyond its column pushes the next one to the next tab stop.
//!
//! We print any table in that style, each with the widths that most of its rows have already. Only what can't move when
//! the table is printed counts for that: a row whose words are short. So printing twice is printing once.

use std::collections::BTreeMap;
use std::fmt;

use super::{Line, Row, Table, Word};

/// How far a tab goes.
const TAB: usize = 8;

/// Where words stand in the lines of a table, in columns from 0, tabs expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// The entry point's column.
    pub entry: usize,
    /// The compat entry point's column.
    pub compat: usize,
    /// The column of `noreturn`.
    pub noreturn: usize,
}

/// The columns of number, abi and name.
const NUMBER: usize = 0;
const ABI: usize = TAB;
const NAME: usize = 2 * TAB;

/// As Linux's x86 tables.
impl Default for Style {
    fn default() -> Self {
        Self { entry: NAME + 24, compat: NAME + 24 + 32, noreturn: NAME + 24 + 32 + 24 }
    }
}

impl Style {
    /// The style that most of a table's rows have; that of x86 where there is no telling.
    pub fn of(table: &Table) -> Self {
        let seen = Columns::of(table);
        let plain = Self::default();
        let width = |from: Option<usize>, to: Option<usize>, widths: &[usize], usual: usize| {
            let width = to.zip(from).and_then(|(to, from)| to.checked_sub(from));
            width.filter(|width| widths.contains(width)).unwrap_or(usual)
        };
        let entry = NAME + width(Some(NAME), seen.0[3], &[24, 32, 40], plain.entry - NAME);
        let compat = entry + width(seen.0[3], seen.0[4], &[24, 32, 40], plain.compat - plain.entry);
        let noreturn = compat + width(seen.0[4], seen.0[5], &[16, 24, 32], plain.noreturn - plain.compat);
        Self { entry, compat, noreturn }
    }

    /// A row in this style, without the newline.
    pub fn row(&self, row: &Row) -> String {
        let mut line = row.number.to_string();
        let mut width = line.len();
        for (word, column) in [
            (Some(row.abi.as_str()), ABI),
            (Some(row.name.as_str()), NAME),
            (row.entry.as_ref().map(Word::as_str), self.entry),
            (row.compat.as_ref().map(Word::as_str), self.compat),
            (row.noreturn.then_some("noreturn"), self.noreturn),
        ] {
            let Some(word) = word else { continue };
            let tabs = (column / TAB).saturating_sub(width / TAB).max(1);
            line.extend(std::iter::repeat_n('\t', tabs));
            line.push_str(word);
            width = (width / TAB + tabs) * TAB + word.chars().count();
        }
        line
    }

    /// A line in this style, without the newline.
    pub fn line(&self, line: &Line) -> String {
        match line {
            Line::Blank => String::new(),
            Line::Comment(comment) => comment.to_string(),
            Line::Row(row) => self.row(row),
        }
    }
}

/// Prints the table in its own [`Style`]; comments and blank lines stay where they are.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = Style::of(self);
        self.lines().iter().try_for_each(|line| writeln!(f, "{}", style.line(line)))
    }
}

/// Prints the row in the style of Linux's x86 tables.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Style::default().row(self))
    }
}

/// The words of a row and the columns that they stand at, from 0, tabs expanded.
pub(super) fn columns<'r>(table: &Table, row: &'r Row) -> Vec<(usize, usize, Option<&'r Word>)> {
    let line = table.source.get(row.span.start..row.span.end).unwrap_or_default();
    let (mut found, mut width, mut in_word) = (Vec::with_capacity(6), 0, false);
    for letter in line.chars() {
        let gap = matches!(letter, ' ' | '\t');
        if !gap && !in_word {
            found.push((width, width, None));
        }
        width = if letter == '\t' { (width / TAB + 1) * TAB } else { width + 1 };
        if let Some(last) = found.last_mut().filter(|_| !gap) {
            last.1 = width;
        }
        in_word = !gap;
    }
    let words = [None, Some(&row.abi), Some(&row.name), row.entry.as_ref(), row.compat.as_ref()];
    for (place, word) in found.iter_mut().zip(words) {
        place.2 = word;
    }
    found
}

/// The column at which each word stands in most rows, of number, abi, name, entry point, compat entry point and
/// `noreturn`; none where no row tells it.
pub(super) struct Columns(pub [Option<usize>; 6]);

impl Columns {
    /// A word longer than this may push the next one out of its column, so what follows it tells nothing.
    const SHORT: [usize; 6] = [TAB, TAB, 24, 24, 16, usize::MAX];

    pub(super) fn of(table: &Table) -> Self {
        let mut votes: [BTreeMap<usize, usize>; 6] = Default::default();
        for row in table.rows() {
            for (at, (start, end, _)) in columns(table, row).into_iter().enumerate().take(6) {
                *votes[at].entry(start).or_default() += 1;
                if end - start >= Self::SHORT[at] {
                    break;
                }
            }
        }
        // The leftmost of the columns that most rows have.
        let most = |votes: BTreeMap<usize, usize>| {
            let best = votes.values().max().copied()?;
            votes.into_iter().find(|(_, count)| *count == best).map(|(column, _)| column)
        };
        let mut columns = Self(votes.map(most));
        columns.0[0] = Some(NUMBER);
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        Table::parse("t", text).unwrap_or_else(|error| panic!("{error}")).to_string()
    }

    #[test]
    fn a_table_keeps_the_widths_that_most_of_its_rows_have() {
        let wide = "0\tcommon\tread\t\t\t\tsys_read\n1\tcommon\twrite\t\t\t\tsys_write\t\t\tcompat_sys_write\n";
        assert_eq!(printed(wide), wide);
        assert_eq!(
            printed(&format!("{wide}2 common open sys_open\n")),
            format!("{wide}2\tcommon\topen\t\t\t\tsys_open\n")
        );
        let narrow = "0\tcommon\tread\t\t\tsys_read\n3\tcommon\tnanosleep\t\tsys_nanosleep\tcompat_sys_nanosleep\n";
        assert_eq!(printed(narrow), narrow.replace("sys_nanosleep\tcompat", "sys_nanosleep\t\t\tcompat"));
    }

    #[test]
    fn long_words_push_the_next_one_to_a_tab_stop() {
        let long = "a_name_of_twenty_four_chr";
        let text = format!(
            "0 a_long_abi {long} sys_{long}_and_more_of_it compat_sys_read noreturn\n1 64 b sys_b - noreturn\n"
        );
        expect_test::expect![[r#"
            0	a_long_abi	a_name_of_twenty_four_chr	sys_a_name_of_twenty_four_chr_and_more_of_it	compat_sys_read	noreturn
            1	64	b			sys_b				-			noreturn
        "#]]
        .assert_eq(&printed(&text));
    }

    #[test]
    fn blank_lines_and_comments_stay() {
        assert_eq!(printed("# a\n\n \t \n  # b \n0 common read\n\n\n"), "# a\n\n\n# b \n0\tcommon\tread\n\n\n");
        assert_eq!(printed("0 common read"), "0\tcommon\tread\n");
    }
}
