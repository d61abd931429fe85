//! `callgate tbl`: tables checked, put into columns, listed, extended and compared.
//!
//! One file a command. What they know of tables is `callgate-codegen`'s; what is here is what they say and where they
//! write. A table that can't be used ends each of them with exit code 1, and its errors on standard error.

mod add;
mod args;
mod check;
mod diff;
mod fmt;
mod handler;
mod list;
mod types;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use callgate_codegen::table::{Row, Severity, Word};
use callgate_codegen::{Table, TableError, write_if_changed};

use crate::exit::{Failure, Result};

pub(crate) use args::TblCommand;

/// The exit code where a table is wrong, or isn't as it should be.
const WRONG: u8 = 1;

/// Does what is asked for.
pub(crate) fn tbl(command: &TblCommand) -> Result {
    match command {
        TblCommand::Check(args) => Ok(check::check(args)),
        TblCommand::Fmt(args) => fmt::fmt(args),
        TblCommand::List(args) => list::list(args),
        TblCommand::Add(args) => add::add(args),
        TblCommand::Diff(args) => diff::diff(args),
    }
}

/// Prints an error's messages, and a line that counts them.
fn report(error: &TableError) {
    say!("{error}\n");
    let errors = error.diagnostics().iter().filter(|one| one.severity == Severity::Error).count();
    say_count(error.path(), errors);
}

fn say_count(path: &str, errors: usize) {
    say!("callgate: {path}: {errors} error{}", if errors == 1 { "" } else { "s" });
}

/// Makes the file hold `text`, whole or not at all. A link stays a link.
fn write(path: &Path, text: &str) -> Result<()> {
    let written = path.canonicalize().and_then(|target| write_if_changed(target, text));
    match written {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::own(format!("{}: can't be written: {error}", path.display()))),
    }
}

/// Writes to standard output. A reader that has gone away is no failure.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::own(format!("the output can't be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// The abis of a table, each once.
fn abis(table: &Table) -> BTreeSet<&str> {
    table.rows().map(|row| row.abi.as_str()).collect()
}

/// A row as JSON; the names are those of `gen json`.
fn json(row: &Row) -> serde_json::Value {
    serde_json::json!({
        "number": row.number,
        "abi": row.abi.as_str(),
        "name": row.name.as_str(),
        "entry": row.entry_point().map(Word::as_str),
        "compat": row.compat_entry_point().map(Word::as_str),
        "noreturn": row.noreturn,
        "line": row.span.line,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image;

    #[test]
    fn the_kernels_own_tables_are_good() {
        for (name, text) in [(image::TABLE_PATH, image::TABLE), ("syscall_32.tbl", image::IA32_TABLE)] {
            let table = Table::parse(name, text).unwrap();
            assert_eq!(table.lints(), []);
            assert_eq!(table.to_string(), text);
        }
    }
}
