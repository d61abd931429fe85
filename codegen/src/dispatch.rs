//! Linux's build turns rows into C arrays of function pointers: `sys_call_table` from the native table, and on a 64-bit
//! kernel `ia32_sys_call_table` from the 32-bit one, which prefers the compat entry points. Numbers without a row, and
//! rows without an entry point, get `sys_ni_syscall`.
//!
//! [`Dispatch`] is that step for all our outputs: which entry points there are, in which order, and which number leads
//! to which. The dispatch table, `entries.txt`, the kernel image and its symbols are made from it and from nothing else.

use std::collections::{BTreeMap, HashMap};

use crate::table::{AbiFilter, Row, Table, TableError, check_names, reserved_word};

/// The function that answers a number without an entry point.
pub const SYS_NI_SYSCALL: &str = "sys_ni_syscall";

/// All entry points of a kernel, and its tables of numbers.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The entry points, sorted by name.
    pub entry_points: Vec<EntryPoint>,
    /// `sys_call_table`.
    pub native: Numbers,
    /// `ia32_sys_call_table`, if the kernel has one.
    pub ia32: Option<Numbers>,
}

/// A function that rows lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPoint {
    /// Its name: `sys_read`.
    pub name: String,
    /// Whether the table says that it never returns.
    pub noreturn: bool,
    /// The path of the table with the first row that leads to it.
    pub path: String,
    /// The line of that row.
    pub line: usize,
    /// The number of that row.
    pub number: u32,
    /// The call's name in that row.
    pub call: String,
}

/// One table of numbers.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// The path of the table.
    pub path: String,
    /// The number for the next call.
    pub next: u32,
    /// The calls, ascending.
    pub calls: Vec<Call>,
}

/// A number with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The number.
    pub number: u32,
    /// What follows `__NR_`.
    pub name: String,
    /// The index of its entry point, if it has one.
    pub entry_point: Option<usize>,
}

impl Dispatch {
    /// The dispatch of a kernel for the chosen rows of its native table, and of its 32-bit table if it has one.
    pub fn new(native: (&Table, &AbiFilter), ia32: Option<(&Table, &AbiFilter)>) -> Result<Self, TableError> {
        let native_rows = rows(native.0, native.1, Row::entry_point)?;
        let ia32_rows = match ia32 {
            Some((table, abis)) => rows(table, abis, |row| row.compat_entry_point().or(row.entry_point()))?,
            None => Vec::new(),
        };

        let mut found = BTreeMap::new();
        let of_table = |table: &Table| table.path().to_owned();
        let paths = (of_table(native.0), ia32.map(|(table, _)| of_table(table)).unwrap_or_default());
        let all = native_rows.iter().map(|one| (&paths.0, one));
        for (path, (row, entry)) in all.chain(ia32_rows.iter().map(|one| (&paths.1, one))) {
            let Some(name) = *entry else { continue };
            let point = found.entry(name.to_owned()).or_insert_with(|| EntryPoint {
                name: name.to_owned(),
                noreturn: false,
                path: path.clone(),
                line: row.span.line,
                number: row.number,
                call: row.name.to_string(),
            });
            point.noreturn |= row.noreturn;
        }
        let entry_points: Vec<EntryPoint> = found.into_values().collect();
        let index: HashMap<&str, usize> =
            entry_points.iter().zip(0..).map(|(point, at)| (point.name.as_str(), at)).collect();
        let numbers = |(table, abis): (&Table, &AbiFilter), rows: &[(&Row, Option<&str>)]| Numbers {
            path: of_table(table),
            next: table.next_number(abis),
            calls: rows
                .iter()
                .map(|(row, entry)| Call {
                    number: row.number,
                    name: row.name.to_string(),
                    entry_point: entry.and_then(|name| index.get(name).copied()),
                })
                .collect(),
        };
        Ok(Self {
            native: numbers(native, &native_rows),
            ia32: ia32.map(|ia32| numbers(ia32, &ia32_rows)),
            entry_points,
        })
    }
}

impl Numbers {
    /// How many numbers the table has, holes included: one more than the largest.
    pub fn len(&self) -> usize {
        self.calls.last().map_or(0, |call| call.number as usize + 1)
    }

    /// Whether no number is taken.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// For each number from 0 on, its call; `None` for a hole.
    pub fn slots(&self) -> Vec<Option<&Call>> {
        let mut slots = vec![None; self.len()];
        for call in &self.calls {
            if let Some(slot) = slots.get_mut(call.number as usize) {
                *slot = Some(call);
            }
        }
        slots
    }
}

type EntryOf = fn(&Row) -> Option<&crate::table::Word>;

/// The chosen rows, ascending, each with the name of its entry point.
fn rows<'t>(
    table: &'t Table,
    abis: &AbiFilter,
    entry_of: EntryOf,
) -> Result<Vec<(&'t Row, Option<&'t str>)>, TableError> {
    let rows = table.ascending_rows(abis)?;
    check_names(table, &rows)?;
    let entry = |row: &'t Row| entry_of(row).filter(|word| word.as_str() != SYS_NI_SYSCALL);
    let reserved: Vec<_> = rows
        .iter()
        .filter_map(|row| entry(row))
        .filter(|word| crate::emit::ident(word.as_str()).is_none())
        .map(reserved_word)
        .collect();
    match reserved.is_empty() {
        true => Ok(rows.into_iter().map(|row| (row, entry(row).map(|word| word.as_str()))).collect()),
        false => Err(table.error(reserved)),
    }
}
