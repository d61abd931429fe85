//! The header that a C kernel includes between two definitions of `__SYSCALL`, byte for byte as Linux's
//! `scripts/syscalltbl.sh` makes it: a line a number, holes filled.
//!
//! ```c
//! __SYSCALL(0, sys_read)
//! __SYSCALL_WITH_COMPAT(13, sys_rt_sigaction, compat_sys_rt_sigaction)
//! __SYSCALL_NORETURN(60, sys_exit)
//! __SYSCALL_COMPAT_NORETURN(61, sys_a, compat_sys_a)
//! ```

use crate::dispatch::SYS_NI_SYSCALL;
use crate::table::{AbiFilter, Table, TableError};

/// The header for the chosen rows; an error where Linux's script refuses them.
pub fn syscalls(table: &Table, abis: &AbiFilter) -> Result<String, TableError> {
    let mut out = String::with_capacity(table.source().len());
    let mut next = 0;
    for row in table.ascending_rows(abis)? {
        for hole in next..row.number {
            out.extend(["__SYSCALL(", &hole.to_string(), ", ", SYS_NI_SYSCALL, ")\n"]);
        }
        let nr = row.number.to_string();
        let nr = nr.as_str();
        // As written, even a `-`: s390 has rows with a compat entry point only.
        let native = row.entry.as_ref().map_or("", |word| word.as_str());
        match (row.noreturn, row.compat_entry_point().map(|word| word.as_str())) {
            (true, Some(compat)) => out.extend(["__SYSCALL_COMPAT_NORETURN(", nr, ", ", native, ", ", compat, ")\n"]),
            (true, None) => out.extend(["__SYSCALL_NORETURN(", nr, ", ", native, ")\n"]),
            (false, Some(compat)) => out.extend(["__SYSCALL_WITH_COMPAT(", nr, ", ", native, ", ", compat, ")\n"]),
            (false, None) if native.is_empty() => out.extend(["__SYSCALL(", nr, ", ", SYS_NI_SYSCALL, ")\n"]),
            (false, None) => out.extend(["__SYSCALL(", nr, ", ", native, ")\n"]),
        }
        next = row.number + 1;
    }
    Ok(out)
}
