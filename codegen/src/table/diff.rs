//! Linux's rule is that a number, once given, means the same call for ever: programs that were built with it are out
//! there. `checksyscalls.sh` finds calls that are missing in a table; nothing finds one that has got another number.
//!
//! [`Table::changes_to`] compares two tables row by row, and knows which changes break programs. A new row doesn't, and
//! neither does an entry point for a row that had none.

use std::collections::HashMap;

use super::{Row, Table, Word};

/// How a row of one table differs from that of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// There is a new call.
    Added,
    /// A call that had no entry point has one.
    Implemented,
    /// There is no such call any more.
    Removed,
    /// The call has another number.
    Renumbered,
    /// The number has another name.
    Renamed,
    /// The number is for other programs.
    AbiChanged,
    /// The call has another entry point, or none any more.
    EntryChanged,
    /// The call has another compat entry point.
    CompatChanged,
    /// The call returns now, or doesn't any more.
    NoreturnChanged,
}

impl ChangeKind {
    /// In one word or two.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Implemented => "implemented",
            Self::Removed => "removed",
            Self::Renumbered => "renumbered",
            Self::Renamed => "renamed",
            Self::AbiChanged => "abi changed",
            Self::EntryChanged => "entry changed",
            Self::CompatChanged => "compat entry changed",
            Self::NoreturnChanged => "noreturn changed",
        }
    }

    /// Whether programs that were made for the first table may not work with the second.
    pub const fn is_break(self) -> bool {
        !matches!(self, Self::Added | Self::Implemented | Self::NoreturnChanged)
    }
}

/// A difference between two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'t> {
    /// What has happened.
    pub kind: ChangeKind,
    /// The row in the first table.
    pub old: Option<&'t Row>,
    /// The row in the second table.
    pub new: Option<&'t Row>,
}

impl Table {
    /// What a second table changes: first, in the order of the first table, what has become of its rows; then, in the
    /// order of the second, what is new. A row can have changed in several ways.
    pub fn changes_to<'t>(&'t self, new: &'t Table) -> Vec<Change<'t>> {
        let pairs = Pairs::of(self, new);
        let mut changes = Vec::new();
        for (row, other) in pairs.old {
            match other {
                Some(other) => changes.extend(changed(row, other)),
                None => changes.push(Change { kind: ChangeKind::Removed, old: Some(row), new: None }),
            }
        }
        let added = pairs.rest.into_iter().map(|row| Change { kind: ChangeKind::Added, old: None, new: Some(row) });
        changes.extend(added);
        changes
    }
}

/// The rows of two tables, those together that are of one call.
struct Pairs<'t> {
    old: Vec<(&'t Row, Option<&'t Row>)>,
    rest: Vec<&'t Row>,
}

impl<'t> Pairs<'t> {
    fn of(old: &'t Table, new: &'t Table) -> Self {
        let mut pairs: Vec<(&Row, Option<&Row>)> = old.rows().map(|row| (row, None)).collect();
        let mut rest: Vec<Option<&Row>> = new.rows().map(Some).collect();
        // What is the same in most is paired first: what is left then has lost its name, its abi or its number.
        pair(&mut pairs, &mut rest, |row| (row.name.as_str(), row.abi.as_str(), Some(row.number)));
        pair(&mut pairs, &mut rest, |row| (row.name.as_str(), row.abi.as_str(), None));
        pair(&mut pairs, &mut rest, |row| (row.name.as_str(), "", Some(row.number)));
        pair(&mut pairs, &mut rest, |row| ("", row.abi.as_str(), Some(row.number)));
        Self { old: pairs, rest: rest.into_iter().flatten().collect() }
    }
}

/// Finds, for each row that has none yet, the first row of the rest with the same key.
fn pair<'t>(
    pairs: &mut [(&'t Row, Option<&'t Row>)],
    rest: &mut [Option<&'t Row>],
    key: impl Fn(&'t Row) -> (&'t str, &'t str, Option<u32>),
) {
    let mut places: HashMap<_, Vec<usize>> = HashMap::new();
    for (at, row) in rest.iter().enumerate().rev() {
        if let Some(row) = row {
            places.entry(key(row)).or_default().push(at);
        }
    }
    for (row, other) in pairs.iter_mut().filter(|(_, other)| other.is_none()) {
        let place = places.get_mut(&key(row)).and_then(Vec::pop);
        *other = place.and_then(|at| rest[at].take());
    }
}

fn changed<'t>(old: &'t Row, new: &'t Row) -> Vec<Change<'t>> {
    let entry = |row: &'t Row| row.entry_point().map(Word::as_str).filter(|entry| *entry != "sys_ni_syscall");
    let entry_kind = match (entry(old), entry(new)) {
        (None, Some(_)) => ChangeKind::Implemented,
        _ => ChangeKind::EntryChanged,
    };
    let compat = |row: &'t Row| row.compat_entry_point().map(Word::as_str);
    let kinds = [
        (old.number != new.number, ChangeKind::Renumbered),
        (old.name != new.name, ChangeKind::Renamed),
        (old.abi != new.abi, ChangeKind::AbiChanged),
        (entry(old) != entry(new), entry_kind),
        (compat(old) != compat(new), ChangeKind::CompatChanged),
        (old.noreturn != new.noreturn, ChangeKind::NoreturnChanged),
    ];
    let change = |kind| Change { kind, old: Some(old), new: Some(new) };
    kinds.into_iter().filter(|(differs, _)| *differs).map(|(_, kind)| change(kind)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        Table::parse("t", text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn kinds(old: &str, new: &str) -> Vec<(&'static str, u32)> {
        let (old, new) = (table(old), table(new));
        let changes = old.changes_to(&new).into_iter();
        changes.map(|one| (one.kind.name(), one.old.or(one.new).map_or(0, |row| row.number))).collect()
    }

    #[test]
    fn each_change_has_its_kind() {
        let old = "0 common read sys_read\n1 common write sys_write\n2 64 uselib\n3 common stat sys_stat\n";
        for (new, changes) in [
            (old.to_owned(), vec![]),
            (format!("{old}9 common greet sys_greet\n"), vec![("added", 9)]),
            (old.replace("1 common write sys_write\n", ""), vec![("removed", 1)]),
            (old.replace("3 common", "7 common"), vec![("renumbered", 3)]),
            (old.replace("common write", "common put"), vec![("renamed", 1)]),
            (old.replace("0 common", "0 64"), vec![("abi changed", 0)]),
            (old.replace("sys_stat", "sys_newstat"), vec![("entry changed", 3)]),
            (old.replace("sys_stat", "sys_ni_syscall"), vec![("entry changed", 3)]),
            (old.replace("sys_stat", "sys_stat compat_sys_stat"), vec![("compat entry changed", 3)]),
            (old.replace("sys_stat", "sys_stat - noreturn"), vec![("noreturn changed", 3)]),
            (old.replace("uselib", "uselib sys_uselib"), vec![("implemented", 2)]),
            (old.replace("uselib", "uselib sys_ni_syscall"), vec![]),
            (old.replace("3 common stat sys_stat", "4 64 stat sys_a"), vec![("removed", 3), ("added", 4)]),
            (
                old.replace("1 common write sys_write", "1 common put sys_put"),
                vec![("renamed", 1), ("entry changed", 1)],
            ),
        ] {
            assert_eq!(kinds(old, &new), changes, "{new}");
        }
    }

    #[test]
    fn two_names_that_change_places_are_two_other_numbers() {
        let changes = kinds("0 common a sys_a\n1 common b sys_b\n", "0 common b sys_b\n1 common a sys_a\n");
        assert_eq!(changes, [("renumbered", 0), ("renumbered", 1)]);
    }

    #[test]
    fn a_split_abi_is_one_row_that_changed_and_one_that_is_new() {
        let changes = kinds("13 common sig sys_sig\n", "13 64 sig sys_sig\n512 x32 sig compat_sys_sig\n");
        assert_eq!(changes, [("abi changed", 13), ("added", 512)]);
    }
}
