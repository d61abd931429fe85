//! The header that a C kernel includes between two definitions of `__SYSCALL`, byte for byte as Linux's
//! `scripts/syscalltbl.sh` makes it: a line a number, holes filled.
//!
//! ```c
//! __SYSCALL(0, sys_read)
//! __SYSCALL_WITH_COMPAT(13, sys_rt_sigaction, compat_sys_rt_sigaction)
//! __SYSCALL_NORETURN(60, sys_exit)
//! __SYSCALL_COMPAT_NORETURN(61, sys_a, compat_sys_a)
//! ```

use super::push_decimal;
use crate::dispatch::SYS_NI_SYSCALL;
use crate::table::{AbiFilter, Table, TableError};

/// The header for the chosen rows; an error where Linux's script refuses them.
pub fn syscalls(table: &Table, abis: &AbiFilter) -> Result<String, TableError> {
    let mut out = String::with_capacity(table.source().len());
    let mut next = 0;
    for row in table.ascending_rows(abis)? {
        for hole in next..row.number {
            line(&mut out, "__SYSCALL(", hole, &[SYS_NI_SYSCALL]);
        }
        // As written, even a `-`: s390 has rows with a compat entry point only.
        let native = row.entry.as_ref().map_or("", |word| word.as_str());
        match (row.noreturn, row.compat_entry_point().map(|word| word.as_str())) {
            (true, Some(compat)) => line(&mut out, "__SYSCALL_COMPAT_NORETURN(", row.number, &[native, compat]),
            (true, None) => line(&mut out, "__SYSCALL_NORETURN(", row.number, &[native]),
            (false, Some(compat)) => line(&mut out, "__SYSCALL_WITH_COMPAT(", row.number, &[native, compat]),
            (false, None) if native.is_empty() => line(&mut out, "__SYSCALL(", row.number, &[SYS_NI_SYSCALL]),
            (false, None) => line(&mut out, "__SYSCALL(", row.number, &[native]),
        }
        next = row.number + 1;
    }
    Ok(out)
}

/// One invocation of a macro: its name with the parenthesis, and its arguments.
fn line(out: &mut String, call: &str, number: u32, entries: &[&str]) {
    out.push_str(call);
    push_decimal(out, number);
    for entry in entries {
        out.extend([", ", entry]);
    }
    out.push_str(")\n");
}
