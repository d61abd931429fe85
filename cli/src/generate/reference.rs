//! What this kernel says of its calls: the rows of its tables with what the compiler knows of their handlers.

use std::collections::HashMap;
use std::fmt;

use callgate_abi::Metadata;
use callgate_codegen::emit::{Argument, Reference, Syscall};
use callgate_codegen::table::{Row, Word};
use callgate_codegen::{AbiFilter, Table, TableError};
use callgate_kernel::syscalls::ENTRY_POINTS;

use crate::image;

/// The programs that a table of this kernel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Programs {
    /// Those that call with the `syscall` instruction.
    Native,
    /// Those that call with `int $0x80`.
    Ia32,
}

/// Which of this kernel's tables it is, wherever it was read from; none if it is another kernel's.
pub(super) fn programs(table: &Table) -> Result<Option<Programs>, TableError> {
    for (text, programs) in [(image::TABLE, Programs::Native), (image::IA32_TABLE, Programs::Ia32)] {
        if table.source() == text || Table::parse(image::TABLE_PATH, text)?.rows().eq(table.rows()) {
            return Ok(Some(programs));
        }
    }
    Ok(None)
}

/// The chosen rows of a table of this kernel, and their handlers.
pub(super) fn reference(table: &Table, abis: &AbiFilter, programs: Programs) -> Reference {
    let handlers: HashMap<&str, Metadata> = ENTRY_POINTS
        .iter()
        .filter(|handler| handler.implemented)
        .map(|handler| (handler.entry, handler.metadata()))
        .collect();
    let call = |row: &Row| {
        let native = row.entry_point();
        let entry = if programs == Programs::Ia32 { row.compat_entry_point().or(native) } else { native };
        let entry = entry.map_or("", Word::as_str);
        let call =
            Syscall { number: row.number, name: row.name.to_string(), entry: entry.to_owned(), ..Syscall::default() };
        match handlers.get(entry) {
            None => call,
            Some(metadata) => Syscall {
                args: metadata.args.iter().map(argument).collect(),
                ret: written(|f| (metadata.ret.c_type)(f)),
                noreturn: row.noreturn,
                file: metadata.file.to_owned(),
                line: metadata.line,
                doc: metadata.doc.to_owned(),
                implemented: true,
                ..call
            },
        }
    };
    Reference { table: table.path().to_owned(), calls: table.rows_of(abis).map(call).collect() }
}

fn argument(argument: &callgate_abi::ArgMetadata) -> Argument {
    Argument { name: argument.name.to_owned(), c_type: written(|f| argument.fmt_c_type(f)) }
}

fn written(write: impl FnOnce(&mut dyn fmt::Write) -> fmt::Result) -> String {
    let mut text = String::new();
    // A String takes whatever is written.
    let _ = write(&mut text);
    text
}
