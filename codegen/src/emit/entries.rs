//! What the `SYSCALL_DEFINEn` macros need to know of the tables, for the message about a handler without a row:
//!
//! ```text
//! table syscall_64.tbl
//! next 472
//! entry sys_exit exit 60 noreturn
//! entry sys_read read 0
//! ```

use crate::dispatch::Dispatch;

/// The list, one entry point a line, sorted by name.
pub fn entries(dispatch: &Dispatch) -> String {
    let mut out = format!("table {}\nnext {}\n", dispatch.native.path, dispatch.native.next);
    for point in &dispatch.entry_points {
        let noreturn = if point.noreturn { " noreturn" } else { "" };
        out += &format!("entry {} {} {}{noreturn}\n", point.name, point.call, point.number);
    }
    out
}
