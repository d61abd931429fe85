//! parse → print → parse is the same model; no text makes the parser panic; time grows with the text and no faster.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use callgate_codegen::table::{Diagnostic, Line, Lint};
use callgate_codegen::{AbiFilter, Table, emit};
use proptest::prelude::*;

/// A row's text, with the separators of real tables between its columns.
fn row(number: u32, gap: &str, name: &str, tail: &[&str]) -> String {
    let mut row = format!("{number}{gap}common{gap}{name}");
    for word in tail {
        row += gap;
        row += word;
    }
    row + "\n"
}

fn gap() -> impl Strategy<Value = String> {
    "[ \t]{1,4}"
}

fn tail() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::select(vec![
        vec![],
        vec!["sys_a"],
        vec!["-"],
        vec!["-", "compat_sys_a"],
        vec!["sys_a", "-"],
        vec!["sys_a", "compat_sys_with_a_name_longer_than_its_column"],
        vec!["sys_a", "-", "noreturn"],
        vec!["sys_with_a_name_much_longer_than_its_column", "compat_sys_a", "noreturn"],
    ])
}

fn lines() -> impl Strategy<Value = String> {
    let between =
        prop_oneof![Just(String::new()), "\\PC{0,20}".prop_map(|text| format!("# {text}\n")), Just(" \n".to_owned())];
    let rows = (0..50_u32, gap(), "[a-z_][a-z0-9_]{0,30}", tail(), between);
    prop::collection::vec(rows, 1..40).prop_map(|rows| {
        let mut text = String::new();
        let mut number = 0;
        for (step, gap, name, tail, between) in rows {
            number += step + 1;
            text += &between;
            text += &row(number, &gap, &name, &tail);
        }
        text
    })
}

proptest! {
    #[test]
    fn printing_keeps_the_model(text in lines()) {
        let first = Table::parse("first", text.as_str()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let printed = first.to_string();
        let second = Table::parse("second", printed.as_str()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(first.lines(), second.lines());
        prop_assert_eq!(printed, second.to_string());
    }

    /// `tbl fmt` is this: printing what has been printed changes nothing, and what has been printed stands in columns.
    #[test]
    fn formatting_twice_is_formatting_once(text in lines(), newline in any::<bool>()) {
        let text = if newline { text.as_str() } else { text.trim_end_matches('\n') };
        let parse = |text: &str| Table::parse("t", text).map_err(|error| TestCaseError::fail(error.to_string()));
        let (first, once) = (parse(text)?, parse(&parse(text)?.to_string())?);
        prop_assert!(first.rows().eq(once.rows()));
        prop_assert_eq!(first.lines(), once.lines());
        prop_assert_eq!(once.source(), once.to_string());
        let beside = |one: &Diagnostic| one.lint == Some(Lint::MisalignedColumns);
        prop_assert!(!once.lints().iter().any(beside), "{}", once.source());
    }

    #[test]
    fn spans_are_the_words(text in lines()) {
        let table = Table::parse("t", text.as_str()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        for line in table.lines() {
            let Line::Row(row) = line else { continue };
            for word in [Some(&row.abi), Some(&row.name), row.entry.as_ref(), row.compat.as_ref()].into_iter().flatten() {
                prop_assert_eq!(text.get(word.span.start..word.span.end), Some(word.as_str()));
                let line = text.lines().nth(word.span.line - 1).unwrap_or_default();
                let rest: String = line.chars().skip(word.span.column - 1).collect();
                prop_assert!(rest.starts_with(word.as_str()));
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Table::from_bytes("bytes", &bytes));
    }

    #[test]
    fn no_text_of_a_tables_letters_makes_it_panic(text in "([0-9]{1,6}|[ \t]|common|64|-|noreturn|sys_a|#|é|\n|\r|\u{0}|\u{202e}){0,60}") {
        match Table::parse("text", text) {
            Ok(table) => {
                drop(emit::syscalls(&table, &AbiFilter::all()));
                drop(emit::rust(&table, &AbiFilter::new("common")));
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn our_own_tables_print_as_they_are_written() {
    for name in ["syscall_64.tbl", "syscall_32.tbl"] {
        let path = format!("{}/../{name}", env!("CARGO_MANIFEST_DIR"));
        let table = Table::read(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(table.to_string(), table.source(), "{name}");
        assert!(table.lints().is_empty(), "{name}: {:?}", table.lints());
    }
}

#[test]
fn the_next_free_number_is_after_the_last_common_row() {
    let path = format!("{}/../syscall_64.tbl", env!("CARGO_MANIFEST_DIR"));
    let table = Table::read(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(table.next_number(&AbiFilter::new("common,64")), 472);
    assert_eq!(table.next_number(&AbiFilter::all()), 548);
}

/// Ten times the text may take ten times as long, with room for a busy machine, and not a hundred times.
#[test]
fn time_grows_with_the_text() {
    let rows = |count: usize| {
        let mut text = String::new();
        // Each abi has numbers of its own, so that the table is right.
        for at in 0..count {
            let _ = writeln!(text, "{}\tabi{}\tcall{at}\tsys_call{at}", at % 60_000, at / 60_000);
        }
        text
    };
    let wrong = |count: usize| "9 common a sys_a\n".repeat(count);
    let word = |count: usize| format!("0 common {} sys_a", "a".repeat(count * 16));
    let blanks = |count: usize| " ".repeat(count * 16);
    for make in [&rows as &dyn Fn(usize) -> String, &wrong, &word, &blanks] {
        let time = |text: &str| {
            let start = Instant::now();
            drop(Table::parse("t", text));
            start.elapsed()
        };
        let (small, large) = (make(4_000), make(40_000));
        let least = (0..3).map(|_| time(&small)).min().unwrap_or_default();
        let taken = (0..3).map(|_| time(&large)).min().unwrap_or_default();
        assert!(taken < least * 40 + Duration::from_millis(50), "{least:?} became {taken:?}");
    }
}
