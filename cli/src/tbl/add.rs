//! `callgate tbl add`: a row for the table, and a function for the kernel. Both or none: what is wrong with the
//! arguments is said before anything is written.

use std::path::{Path, PathBuf};

use callgate_codegen::Table;
use callgate_codegen::table::{NewRow, Row, Style, Word};

use super::args::AddArgs;
use super::handler::handler;
use super::types::arguments;
use super::{WRONG, print, report, write};
use crate::exit::{Failure, Result};
use crate::image::TABLE_PATH;

/// Adds the row, and prints the handler.
pub(super) fn add(args: &AddArgs) -> Result {
    let arguments = arguments(&args.args).map_err(|error| Failure::own(format!("--args: {error}")))?;
    let file = file(args)?;
    let new = NewRow { name: args.name.clone(), number: args.nr, abi: args.abi.clone(), entry: args.entry.clone() };
    let (old, inserted) = match Table::read_new(&file).and_then(|old| old.insert(&new).map(|inserted| (old, inserted)))
    {
        Ok(both) => both,
        Err(error) => {
            report(&error);
            return Ok(WRONG);
        }
    };
    let (table, row) = (&inserted.table, &inserted.row);
    write(&file, table.source())?;
    say!("callgate: {}:{}: {}", table.path(), row.span.line, Style::of(table).row(row));
    for one in table.lints() {
        if one.place.as_ref().is_some_and(|place| place.span.line == row.span.line) {
            say!("{}", one.render(table.path(), table.source()));
        }
    }
    match attribute(row, &old) {
        Ok(word) => {
            say!("callgate: its handler, to be pasted anywhere in the kernel crate:");
            print(&handler(row, word, &arguments))?;
        }
        Err(why) => say!("callgate: {why}"),
    }
    Ok(0)
}

fn file(args: &AddArgs) -> Result<PathBuf> {
    match &args.file {
        Some(file) => Ok(file.clone()),
        None if Path::new(TABLE_PATH).is_file() => Ok(TABLE_PATH.into()),
        None => Err(Failure::own(format!("there is no {TABLE_PATH} in this directory; give the table after the name"))),
    }
}

/// The word that the handler's attribute takes for the row, or why there is no handler to write.
fn attribute<'r>(row: &'r Row, before: &Table) -> Result<&'r str, String> {
    let entry = row.entry.as_ref().map_or("", Word::as_str);
    let same = |other: &&Row| {
        [other.entry_point(), other.compat_entry_point()].into_iter().flatten().any(|word| word.as_str() == entry)
    };
    if let Some(other) = before.rows().find(same) {
        return Err(format!("its handler is there already: `{entry}` stands in the row of `{}` too", other.name));
    }
    match entry.strip_prefix("sys_") {
        Some(word) => Ok(word),
        None if entry.starts_with("compat_sys_") => Ok(entry),
        None => Err(format!("`{entry}` doesn't begin with `sys_`, so SYSCALL_DEFINE can't write it")),
    }
}
