//! In Linux the entry point of `write` is `sys_write`, and that of a fifth of the rows something else: `stat` is handled
//! by `sys_newstat`, `_llseek` by `sys_llseek`, `futex` by `sys_futex_time32`, `madvise` by `parisc_madvise`.
//!
//! So a row is taken apart into what the call is called and what Linux puts around that, and the two names belong
//! together if the same is left of both. `readv` and `sys_read` don't, nor do `pipe2` and `sys_pipe`.

use std::collections::HashMap;

use super::Lint;
use crate::table::{Diagnostic, Row, Table, Word, check};

/// What stands before a call's own name: of whom the function is, and which version of it.
const BEFORE: &[&str] = &[
    "sys_", "compat_", "sysm_", "sysn32_", "sys32_", "sys64_", "_", "osf_", "old_", "old", "new", "aarch32_", "alpha_",
    "arm_", "ia32_", "ia64_", "mips_", "oabi_", "parisc_", "ppc_", "ppc32_", "ppc64_", "s390_", "sh_", "sparc_",
    "sparc64_", "x32_", "xtensa_", "32_", "64_",
];

/// What stands after it: for which size of words, times and ids.
const AFTER: &[&str] = &["_time32", "_time64", "_wrapper", "16", "32", "64", "_"];

/// Entry points for calls that aren't there.
const NOT_IMPLEMENTED: &[&str] = &["sys_ni_syscall", "sys_nis_syscall", "sys32_unimplemented"];

/// Calls whose handler is simply named otherwise in Linux, on most architectures.
const OTHERWISE: &[(&str, &str)] = &[("umount2", "umount"), ("ugetrlimit", "getrlimit"), ("mmap2", "mmap_pgoff")];

/// Rows whose two names don't belong together.
pub(super) fn mismatched(table: &Table) -> Vec<Diagnostic> {
    let mut calls: HashMap<&str, &Row> = HashMap::new();
    for row in table.rows() {
        calls.entry(core(row.name.as_str())).or_insert(row);
    }
    let find = |row: &Row, entry: &Word, compat: bool| {
        if NOT_IMPLEMENTED.contains(&entry.as_str()) || belongs(row.name.as_str(), entry.as_str()) {
            return None;
        }
        let message = format!("`{entry}` does not read like the entry point of `{}`", row.name);
        let own = if compat { "compat_sys_" } else { "sys_" };
        let help = format!("write `{own}{}`, if that is meant; an entry point may have a name of its own", row.name);
        let found = Diagnostic::at(entry.span, message, "another name", help).warning(Lint::MismatchedEntry);
        Some(match calls.get(core(entry.as_str())).filter(|other| other.name != row.name) {
            Some(other) => found.related(other.name.span, "this name goes with it"),
            None => found,
        })
    };
    let both = |row: &Row| {
        let native = row.entry_point().and_then(|entry| find(row, entry, false));
        native.or_else(|| row.compat_entry_point().and_then(|entry| find(row, entry, true)))
    };
    table.rows().filter_map(both).take(check::MAX_ERRORS).collect()
}

/// Whether a row keeps its number only.
pub(super) fn is_absent(row: &Row) -> bool {
    row.entry_point().is_none_or(|entry| NOT_IMPLEMENTED.contains(&entry.as_str()))
}

fn belongs(name: &str, entry: &str) -> bool {
    let (name, entry) = (core(name), core(entry));
    let second = |name| unversioned(name).is_some_and(|name| !name.is_empty());
    name == entry || OTHERWISE.contains(&(name, entry)) || second(name) && unversioned(name) == unversioned(entry)
}

/// `preadv64v2` is how Linux calls the `preadv2` with 64-bit positions.
fn unversioned(name: &str) -> Option<&str> {
    name.strip_suffix("64v2").or_else(|| name.strip_suffix('2'))
}

/// What the call is called.
fn core(name: &str) -> &str {
    let mut rest = name;
    while let Some(less) = BEFORE.iter().find_map(|before| rest.strip_prefix(before)).filter(|less| !less.is_empty()) {
        rest = less;
    }
    while let Some(less) = AFTER.iter().find_map(|after| rest.strip_suffix(after)).filter(|less| !less.is_empty()) {
        rest = less;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::belongs;

    #[test]
    fn what_linux_names_otherwise_belongs_together() {
        for (name, entry) in [
            ("write", "sys_write"),
            ("stat", "sys_newstat"),
            ("umount2", "sys_umount"),
            ("umount", "sys_oldumount"),
            ("_llseek", "sys_llseek"),
            ("futex", "sys_futex_time32"),
            ("futex_time64", "sys_futex"),
            ("clock_gettime", "sys_clock_gettime32"),
            ("clock_gettime64", "sys_clock_gettime"),
            ("fadvise64", "sys_fadvise64_64"),
            ("lchown32", "sys_lchown"),
            ("lchown", "sys_lchown16"),
            ("mmap", "sys_mips_mmap"),
            ("pread64", "sys_pread_wrapper"),
            ("rt_sigreturn", "sysn32_rt_sigreturn"),
            ("fork", "__sys_fork"),
            ("readv", "sys_readv"),
            ("preadv2", "compat_sys_preadv64v2"),
            ("mmap2", "sys_mmap_pgoff"),
            ("s", "sys_s"),
        ] {
            assert!(belongs(name, entry), "{name} {entry}");
        }
    }

    #[test]
    fn what_belongs_to_another_call_does_not() {
        for (name, entry) in [
            ("readv", "sys_read"),
            ("read", "sys_readv"),
            ("pipe2", "sys_pipe"),
            ("dup", "sys_dup2"),
            ("stat", "sys_newlstat"),
            ("umount", "sys_mount"),
            ("clone3", "sys_clone"),
            ("greet", "sys_great"),
        ] {
            assert!(!belongs(name, entry), "{name} {entry}");
        }
    }
}
