//! In Linux a new call gets the number after the last one, on every architecture the same, and its row stands below the
//! last `common` one: not at the end of the file, where x86-64 has the block of x32.
//!
//! [`Table::insert`] does that for any table. Nothing but the new line changes.

use std::collections::{BTreeSet, HashMap};

use super::lint::{KeptFree, X32_BLOCK, has_x32_block, overlap};
use super::{AbiFilter, Diagnostic, MAX_NUMBER, Row, Span, Style, Table, TableError, Word, check};
use crate::default_abis;

/// A row to be. What is not given is chosen as Linux would.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRow {
    /// The call's name.
    pub name: String,
    /// Its number; the next free one if not given.
    pub number: Option<u32>,
    /// Its abi; that of most rows if not given.
    pub abi: Option<String>,
    /// Its entry point; `sys_` and the name if not given.
    pub entry: Option<String>,
}

/// A table with a new row.
#[derive(Clone, Debug)]
pub struct Inserted {
    /// The table; its text is [`Table::source`].
    pub table: Table,
    /// The row, where it stands now.
    pub row: Row,
}

impl Table {
    /// The number for the next call: above all of the chosen abis, and neither used nor kept free for something else.
    pub fn free_number(&self, abis: &AbiFilter) -> u32 {
        let used: BTreeSet<u32> = self.rows().map(|row| row.number).collect();
        let (kept, x32) = (KeptFree::of(self), has_x32_block(self));
        let mut number = self.next_number(abis);
        while used.contains(&number) || kept.comment(number).is_some() || x32 && X32_BLOCK.contains(&number) {
            number += 1;
        }
        number
    }

    /// The table with one row more, in its place. Whatever is wrong with the row, or would be with the table, is the
    /// error.
    pub fn insert(&self, new: &NewRow) -> Result<Inserted, TableError> {
        self.check_each_abi()?;
        let row = self.row_to_be(new)?;
        self.not_there_yet(&row)?;
        let (at, newline) = self.place_for(&row);
        let mut text = self.source().to_owned();
        text.insert_str(at, &format!("{newline}{}\n", Style::of(self).row(&row)));
        let table = Table::parse(self.path(), text)?;
        table.check_each_abi()?;
        let inserted = table.rows().find(|inserted| **inserted == row).cloned();
        let row = inserted.unwrap_or(row);
        Ok(Inserted { table, row })
    }

    fn row_to_be(&self, new: &NewRow) -> Result<Row, TableError> {
        if let Some(rest) = new.name.strip_prefix("sys_").filter(|rest| !rest.is_empty()) {
            let message = format!("the name `{}` begins with `sys_`, which belongs to the entry point", new.name);
            let help = format!("name the call `{rest}`; its entry point is `sys_{rest}` then");
            return Err(self.error(vec![Diagnostic::file(message, help)]));
        }
        let abi = new.abi.clone().unwrap_or_else(|| self.usual_abi());
        if abi == "x32" && new.number.is_none() && has_x32_block(self) {
            let message = "the block of numbers that x32 has for itself is closed";
            let help = "make the call `common`, which x32 programs can call too, or give its number";
            return Err(self.error(vec![Diagnostic::file(message, help)]));
        }
        let number = new.number.unwrap_or_else(|| self.free_number(&default_abis(self)));
        if number > MAX_NUMBER {
            let message = format!("the number {number} is larger than {MAX_NUMBER}, the largest that a table may have");
            let help = format!("the next free number is {}", self.free_number(&default_abis(self)));
            return Err(self.error(vec![Diagnostic::file(message, help)]));
        }
        let entry = new.entry.clone().unwrap_or_else(|| format!("sys_{}", new.name));
        let row = Row {
            number,
            abi: Word::new(abi.as_str()),
            name: Word::new(new.name.as_str()),
            entry: Some(Word::new(entry.as_str())),
            compat: None,
            noreturn: false,
            span: Span::default(),
        };
        for (what, word) in [("name", row.name.as_str()), ("abi", &abi), ("entry point", &entry)] {
            if word.is_empty() || word.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
                let message = format!("the {what} `{}` is not one word", word.escape_debug());
                return Err(self.error(vec![Diagnostic::file(message, "write it by letters, digits and `_`")]));
            }
        }
        // What else a word may be is told as it is of a row in a file.
        Table::parse("the new row", row.to_string()).map(|_| row)
    }

    /// The abi of most rows; of several, the one that stands first.
    fn usual_abi(&self) -> String {
        let mut abis: HashMap<&str, (usize, usize)> = HashMap::new();
        for (at, row) in self.rows().enumerate() {
            // The first row counts against the later ones, among abis of as many rows.
            abis.entry(row.abi.as_str()).or_insert((0, usize::MAX - at)).0 += 1;
        }
        let usual = abis.into_iter().max_by_key(|(_, rank)| *rank);
        usual.map_or(check::COMMON, |(abi, _)| abi).to_owned()
    }

    fn not_there_yet(&self, new: &Row) -> Result<(), TableError> {
        let next = || format!("the next free number is {}", self.free_number(&default_abis(self)));
        let find = |row: &Row| {
            if row.name == new.name {
                let message = format!("there is a call `{}` already; its number is {}", row.name, row.number);
                return Some(Diagnostic::at(row.span, message, "this row", "choose another name, or change this row"));
            }
            (row.number == new.number).then(|| {
                let message = format!("the number {} is taken already, by `{}`", row.number, row.name);
                Diagnostic::at(row.span, message, "this row", next())
            })
        };
        let found: Vec<_> = self.rows().filter(|row| overlap(row, new)).filter_map(find).take(1).collect();
        match found.is_empty() {
            true => Ok(()),
            false => Err(self.error(found)),
        }
    }

    /// The offset that the row's line begins at, and what has to stand before it.
    fn place_for(&self, new: &Row) -> (usize, &'static str) {
        let has_block = has_x32_block(self);
        let apart = |row: &&Row| {
            let x32 = |row: &Row| has_block && row.abi.as_str() == "x32";
            X32_BLOCK.start() > &new.number && x32(row) && !x32(new)
        };
        let family = |row: &&Row| overlap(row, new) && !apart(row);
        let below = |row: &&Row| row.number <= new.number;
        // A table may have its abis one after the other, so what counts is the row's own abi first.
        let before = self.rows().filter(family).filter(below).max_by_key(|row| (row.number, row.span.start));
        let before = before.or_else(|| self.rows().filter(below).max_by_key(|row| (row.number, row.span.start)));
        match before {
            None => match self.rows().next() {
                Some(first) => (first.span.start, ""),
                None if self.source().is_empty() || self.source().ends_with('\n') => (self.source().len(), ""),
                None => (self.source().len(), "\n"),
            },
            Some(row) => match self.source().get(row.span.end..).and_then(|rest| rest.find('\n')) {
                Some(newline) => (row.span.end + newline + 1, ""),
                None => (self.source().len(), "\n"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_table_begins_with_its_first_row() {
        let new = NewRow { name: "print".to_owned(), ..NewRow::default() };
        for (before, after) in [
            ("", "0\tcommon\tprint\t\t\tsys_print\n"),
            ("# Mine.", "# Mine.\n0\tcommon\tprint\t\t\tsys_print\n"),
            ("# Mine.\n\n", "# Mine.\n\n0\tcommon\tprint\t\t\tsys_print\n"),
        ] {
            let table = Table::of("new.tbl".to_owned(), before.into(), true).unwrap();
            assert_eq!(table.insert(&new).unwrap().table.source(), after);
        }
    }

    const TABLE: &str = "\
# Calls.
0\tcommon\tread\t\t\tsys_read
3\t64\twritev\t\t\tsys_writev
# 4 is unused
6\tcommon\texit\t\t\tsys_exit\t\t\t-\t\t\tnoreturn

# x32
512\tx32\twritev\t\t\tsys_writev
";

    fn insert(text: &str, name: &str, number: Option<u32>, abi: Option<&str>) -> String {
        let table = Table::parse("t.tbl", text).unwrap_or_else(|error| panic!("{error}"));
        let new = NewRow { name: name.to_owned(), number, abi: abi.map(str::to_owned), entry: None };
        match table.insert(&new) {
            Ok(inserted) => {
                let line = inserted.row.span.line;
                let lines: Vec<&str> = inserted.table.source().lines().collect();
                assert_eq!(lines.len(), text.lines().count() + 1, "one line more");
                let rest: Vec<&str> = [&lines[..line - 1], &lines[line..]].concat();
                assert_eq!(rest, text.lines().collect::<Vec<_>>(), "nothing else changes");
                format!("{line}: {}\n", lines[line - 1])
            }
            Err(error) => format!("{error}\n"),
        }
    }

    #[test]
    fn a_call_gets_the_next_number_above_the_block_of_x32() {
        expect![[r#"
            6: 7	common	greet			sys_greet
        "#]]
        .assert_eq(&insert(TABLE, "greet", None, None));
        expect![[r#"
            1: 0	common	greet			sys_greet
        "#]]
        .assert_eq(&insert("1 common read sys_read", "greet", Some(0), None));
        expect![[r#"
            2: 2	common	greet			sys_greet
        "#]]
        .assert_eq(&insert("1 common read sys_read", "greet", None, None));
    }

    #[test]
    fn a_given_number_finds_its_place() {
        expect![[r#"
            4: 5	common	greet			sys_greet
        "#]]
        .assert_eq(&insert(TABLE, "greet", Some(5), None));
        expect![[r#"
            9: 600	common	greet			sys_greet
        "#]]
        .assert_eq(&insert(TABLE, "greet", Some(600), None));
        expect![[r#"
            9: 513	x32	greet			sys_greet
        "#]]
        .assert_eq(&insert(TABLE, "greet", Some(513), Some("x32")));
        expect![[r#"
            3: 3	i386	greet			sys_greet
        "#]]
        .assert_eq(&insert(TABLE, "greet", Some(3), Some("i386")));
    }

    #[test]
    fn a_number_that_is_kept_free_is_not_the_next_one() {
        let text = "0\tcommon\tread\tsys_read\n# 1 is unused\n# 2 reserved for write\n";
        expect![[r#"
            2: 3	common	greet	sys_greet
        "#]]
        .assert_eq(&insert(text, "greet", None, None).replace("\t\t\t", "\t"));
        let full: String = (0..512).map(|n| format!("{n} 64 call{n}\n")).collect();
        expect![[r#"
            513: 548	64	greet			sys_greet
        "#]]
        .assert_eq(&insert(&(full + "547 x32 last\n"), "greet", None, None));
    }

    #[test]
    fn what_is_there_already_is_refused() {
        expect![[r#"
            error: there is a call `read` already; its number is 0
             --> t.tbl:2:1
              |
            2 | 0    common    read            sys_read
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ this row
              |
              = help: choose another name, or change this row
        "#]]
        .assert_eq(&insert(TABLE, "read", None, None));
        expect![[r#"
            error: the number 3 is taken already, by `writev`
             --> t.tbl:3:1
              |
            3 | 3    64    writev            sys_writev
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ this row
              |
              = help: the next free number is 7
        "#]]
        .assert_eq(&insert(TABLE, "greet", Some(3), None));
        expect![[r#"
            error: the name `sys_greet` begins with `sys_`, which belongs to the entry point
            --> t.tbl
             = help: name the call `greet`; its entry point is `sys_greet` then
        "#]]
        .assert_eq(&insert(TABLE, "sys_greet", None, None));
        expect![[r#"
            error: the block of numbers that x32 has for itself is closed
            --> t.tbl
             = help: make the call `common`, which x32 programs can call too, or give its number
        "#]]
        .assert_eq(&insert(TABLE, "greet", None, Some("x32")));
        expect![[r#"
            error: the number 65536 is larger than 65535, the largest that a table may have
            --> t.tbl
             = help: the next free number is 7
        "#]]
        .assert_eq(&insert(TABLE, "greet", Some(65_536), None));
        expect![[r#"
            error: the name `gr eet` is not one word
            --> t.tbl
             = help: write it by letters, digits and `_`
        "#]]
        .assert_eq(&insert(TABLE, "gr eet", None, None));
        expect![[r#"
            error: the name `gr-eet` is not an identifier
             --> the new row:1:10
              |
            1 | 7    common    gr-eet            sys_gr-eet
              |                ^^^^^^ not an identifier
              |
              = help: name the call by letters, digits and `_`, the first no digit: it becomes `__NR_<name>`

            error: the entry point `sys_gr-eet` is not an identifier
             --> the new row:1:19
              |
            1 | 7    common    gr-eet            sys_gr-eet
              |                                  ^^^^^^^^^^ not an identifier
              |
              = help: name a C function, such as `sys_read`; leave the column out if the number only stays reserved
        "#]]
        .assert_eq(&insert(TABLE, "gr-eet", None, None));
        expect![[r#"
            error: the name `` is not one word
            --> t.tbl
             = help: write it by letters, digits and `_`
        "#]]
        .assert_eq(&insert(TABLE, "", None, None));
    }
}
