//! Sets of system calls, as `--trace-calls` takes them: `write,exit_group`, `!brk,mmap`, `all`, `none`.
//!
//! Names are those of the tables. The tables the kernel was built with are the only list of them.

use std::collections::BTreeSet;
use std::str::FromStr;

use callgate_kernel::syscalls;

use crate::near;

/// Some system calls, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallSet {
    names: BTreeSet<String>,
    /// The names are those that are not in the set.
    inverted: bool,
}

impl CallSet {
    /// Every call.
    pub(crate) fn all() -> CallSet {
        CallSet { names: BTreeSet::new(), inverted: true }
    }

    /// Whether the call of this name is in the set.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names.contains(name) != self.inverted
    }
}

/// All names in the tables.
fn known() -> impl Iterator<Item = &'static str> {
    let tables = [syscalls::sys_call_table_names, syscalls::ia32_sys_call_table_names];
    tables.into_iter().flat_map(|names| names.iter()).filter(|name| !name.is_empty())
}

impl FromStr for CallSet {
    type Err = String;

    fn from_str(text: &str) -> Result<CallSet, String> {
        let (list, inverted) = match text.strip_prefix('!') {
            Some(list) => (list, true),
            None => (text, false),
        };
        let mut set = match list {
            "all" => CallSet::all(),
            "none" => CallSet::default(),
            _ => {
                let names = list.split(',').filter(|name| !name.is_empty()).map(|name| {
                    if known().any(|known| known == name) {
                        return Ok(name.to_owned());
                    }
                    let near = near::suggestion(name, known());
                    Err(format!("the tables have no system call `{name}`{near}"))
                });
                CallSet { names: names.collect::<Result<_, _>>()?, inverted: false }
            }
        };
        set.inverted ^= inverted;
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> CallSet {
        text.parse().unwrap()
    }

    #[test]
    fn a_set_is_a_list_of_names() {
        let set = set("write,exit_group");
        assert!(set.contains("write") && set.contains("exit_group") && !set.contains("read"));
    }

    #[test]
    fn an_exclamation_mark_takes_the_others() {
        assert!(set("!write").contains("read") && !set("!write").contains("write"));
        assert!(set("all").contains("read") && !set("!all").contains("read"));
        assert!(!set("none").contains("read"));
    }

    #[test]
    fn a_name_that_no_table_has_is_an_error_with_a_near_one() {
        let error = "wirte".parse::<CallSet>().unwrap_err();
        assert!(error.contains("`wirte`") && error.contains("`write`"), "{error}");
    }
}
