//! `callgate tbl`: what is wrong with tables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use callgate_codegen::table::Severity;
use callgate_codegen::{AbiFilter, Table, TableError, default_abis};

use crate::exit::Result;

/// The exit code where a table is wrong.
const WRONG: u8 = 1;

/// Checks each file; errors and warnings go to standard error, a line for each good table to standard output.
pub(crate) fn check(files: &[PathBuf]) -> Result {
    let mut code = 0;
    for file in files {
        match checked(file) {
            Ok(table) => {
                for warning in table.warnings() {
                    eprintln!("{}\n", warning.render(table.path(), table.source()));
                }
                print(&summary(&table));
            }
            Err(errors) => {
                for error in &errors {
                    eprintln!("{error}\n");
                }
                let count = errors.iter().flat_map(|error| error.diagnostics());
                let count = count.filter(|one| one.severity == Severity::Error).count();
                eprintln!("callgate: {}: {count} error{}", file.display(), if count == 1 { "" } else { "s" });
                code = WRONG;
            }
        }
    }
    Ok(code)
}

/// Reads a table, and makes sure that each of its abis makes one array.
fn checked(file: &Path) -> Result<Table, Vec<TableError>> {
    let table = Table::read(file).map_err(|error| vec![error])?;
    let abis: BTreeSet<&str> = table.rows().map(|row| row.abi.as_str()).collect();
    let mut errors: Vec<TableError> = Vec::new();
    for abi in abis.iter().filter(|abi| **abi != "common") {
        let filter = AbiFilter::new(&format!("common,{abi}"));
        if let Err(error) = table.ascending_rows(&filter) {
            // Two common rows in the wrong order are wrong for every abi; once is enough.
            let place =
                |error: &TableError| error.diagnostics().first().and_then(|one| one.place.as_ref().map(|p| p.span));
            if errors.iter().all(|known| place(known) != place(&error)) {
                errors.push(error);
            }
        }
    }
    if abis.iter().all(|abi| *abi == "common") {
        errors.extend(table.ascending_rows(&AbiFilter::all()).err());
    }
    if errors.is_empty() { Ok(table) } else { Err(errors) }
}

fn summary(table: &Table) -> String {
    let abis: BTreeSet<&str> = table.rows().map(|row| row.abi.as_str()).collect();
    let abis: Vec<&str> = abis.into_iter().collect();
    let warnings = match table.warnings().len() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        n => format!(", {n} warnings"),
    };
    format!(
        "{}: {} rows ({}), next free number {}{warnings}",
        table.path(),
        table.rows().count(),
        abis.join(", "),
        table.next_number(&default_abis(table)),
    )
}

/// Like `println!`, but a reader that has gone away is no reason to panic.
fn print(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image;

    #[test]
    fn a_summary_says_what_comes_next() {
        let table = Table::parse("t.tbl", "0\tcommon\tread\tsys_read\n512\tx32\tx\tsys_x\n3\t64\ty\tsys_y\n").unwrap();
        assert_eq!(summary(&table), "t.tbl: 3 rows (64, common, x32), next free number 4");
    }

    #[test]
    fn the_kernels_own_tables_are_good() {
        for (name, text) in [(image::TABLE_PATH, image::TABLE), ("syscall_32.tbl", image::IA32_TABLE)] {
            assert_eq!(Table::parse(name, text).unwrap().warnings(), []);
        }
    }
}
