//! A table of megabytes and a line of a megabyte end in time linear in their size.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use callgate_codegen::Table;

/// Ten megabytes, or as much of it as a debug build reads in about the same time.
const SIZE: usize = if cfg!(debug_assertions) { 1_000_000 } else { 10_000_000 };

/// A quadratic reader would need hours for the larger ones.
const LIMIT: Duration = Duration::from_secs(60);

fn read(what: &str, text: &str) -> Result<Table, callgate_codegen::TableError> {
    let start = Instant::now();
    let table = Table::parse("large.tbl", text);
    if let Ok(table) = &table {
        assert_eq!(table.to_string().lines().count(), text.lines().count(), "{what}");
    }
    assert!(start.elapsed() < LIMIT, "{what}: {:?}", start.elapsed());
    table
}

#[test]
fn large_tables_are_read_in_linear_time() {
    let mut rows = String::new();
    // Numbers have a largest, abis do not.
    'all: for abi in 0.. {
        for number in 0..60_000 {
            let _ = writeln!(rows, "{number}\tabi{abi}\tcall{number}_{abi}\t\tsys_call{number}");
            if rows.len() > SIZE {
                break 'all;
            }
        }
    }
    let table = read("rows", &rows).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(table.rows().count(), rows.lines().count());

    let row = "0\tcommon\tread\t\t\tsys_read\n";
    let repeated = |text: &str| text.repeat(SIZE / text.len());
    for filling in ["# a comment\n", "\n", " \t \n"] {
        assert!(read(filling, &(repeated(filling) + row)).is_ok());
    }
    for wrong in [row, "0 common\n", "x\n", "1 a b c d e f g\n"] {
        assert!(read(wrong, &repeated(wrong)).is_err());
    }
}

#[test]
fn a_long_line_is_read_in_linear_time() {
    let repeated = |text: &str| text.repeat(1_000_000 / text.len());
    for text in ["0", "a ", " ", "\t", "#", "0 ", "é", "0 common read sys_read "] {
        let _ = read(text, &repeated(text));
        let _ = read(text, &format!("0\tcommon\tread\tsys_read\n{}\n", repeated(text)));
    }
    let comment = format!("#{}\n0\tcommon\tread\t\t\tsys_read\n", repeated("x"));
    assert!(read("comment", &comment).is_ok());
}
