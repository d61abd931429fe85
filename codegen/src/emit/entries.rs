//! What the `SYSCALL_DEFINEn` macros need to know of the tables, for the message about a handler without a row:
//!
//! ```text
//! table syscall_64.tbl
//! next 472
//! entry sys_exit exit 60 noreturn
//! entry sys_read read 0
//! ```
//!
//! and, if there is a file of prototypes, a line for each that belongs to an entry point. Its words are separated by tabs:
//! the entry point, the place, the prototype; and for each parameter its class, its name (or nothing), its declaration, its
//! type, and where it leads.

use crate::dispatch::Dispatch;
use crate::prototypes::{Parameter, Prototypes};

/// The list, one entry point a line, sorted by name.
pub fn entries(dispatch: &Dispatch) -> String {
    let mut out = format!("table {}\nnext {}\n", dispatch.native.path, dispatch.native.next);
    for point in &dispatch.entry_points {
        let noreturn = if point.noreturn { " noreturn" } else { "" };
        out += &format!("entry {} {} {}{noreturn}\n", point.name, point.call, point.number);
    }
    out
}

/// The lines about prototypes, which follow the list.
pub fn prototype_entries(dispatch: &Dispatch, prototypes: &Prototypes) -> String {
    let mut out = String::new();
    let known = |name: &str| dispatch.entry_points.binary_search_by(|point| point.name.as_str().cmp(name)).is_ok();
    for prototype in prototypes.list().iter().filter(|prototype| known(prototype.entry.as_str())) {
        let (entry, path, line) = (&prototype.entry, prototypes.path(), prototype.entry.span.line);
        let parameter = |one: &Parameter| {
            let name = one.name.as_ref().map_or("", |name| name.as_str());
            format!("\t{}\t{name}\t{one}\t{}\t{}", one.class(), one.c_type, one.pointee())
        };
        let parameters: String = prototype.parameters.iter().map(parameter).collect();
        out += &format!("prototype {entry}\t{path}:{line}\t{prototype}{parameters}\n");
    }
    out
}
