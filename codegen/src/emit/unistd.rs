//! The header with the numbers, byte for byte as Linux's `scripts/syscallhdr.sh` makes it:
//!
//! ```c
//! #ifndef _UAPI_ASM_UNISTD_64_H
//! #define _UAPI_ASM_UNISTD_64_H
//!
//! #define __NR_read 0
//!
//! #ifdef __KERNEL__
//! #define __NR_syscalls 472
//! #endif
//!
//! #endif /* _UAPI_ASM_UNISTD_64_H */
//! ```
//!
//! Quirk, Linux's own: `__NR_syscalls` is one more than the last row's number, not than the largest.

use super::push_decimal;
use crate::table::{AbiFilter, Table};

/// The options of the header; the default has none.
#[derive(Clone, Debug, Default)]
pub struct Unistd {
    /// Which rows.
    pub abis: AbiFilter,
    /// What is added to each number, as a C expression: `__X32_SYSCALL_BIT`.
    pub offset: Option<String>,
    /// What stands between `__NR_` and a name: `ia32_`.
    pub prefix: String,
    /// Whether `__NR_syscalls` is defined for the kernel.
    pub emit_nr: bool,
}

/// The header of that name (which makes the include guard).
pub fn unistd(table: &Table, file_name: &str, options: &Unistd) -> String {
    let guard = guard(file_name);
    let prefix = options.prefix.as_str();
    let mut out = String::with_capacity(table.source().len());
    out.extend(["#ifndef ", &guard, "\n#define ", &guard, "\n\n"]);
    let mut max = 0;
    let (before, after) = match options.offset.as_deref() {
        None | Some("") => (" ".to_owned(), "\n"),
        Some(offset) => (format!(" ({offset} + "), ")\n"),
    };
    for row in table.rows_of(&options.abis) {
        max = row.number;
        out.extend(["#define __NR_", prefix, row.name.as_str(), &before]);
        push_decimal(&mut out, row.number);
        out.push_str(after);
    }
    if options.emit_nr {
        let count = max + 1;
        out += &format!("\n#ifdef __KERNEL__\n#define __NR_{prefix}syscalls {count}\n#endif\n");
    }
    out + &format!("\n#endif /* {guard} */\n")
}

fn guard(file_name: &str) -> String {
    let base = file_name.rsplit('/').next().unwrap_or_default();
    let letter = |letter: char| match letter.to_ascii_uppercase() {
        letter if letter.is_ascii_uppercase() || letter.is_ascii_digit() => letter,
        _ => '_',
    };
    let upper: String = base.chars().map(letter).collect();
    format!("_UAPI_ASM_{}", upper.replace("__", "_"))
}
