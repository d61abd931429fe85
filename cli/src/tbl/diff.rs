//! `callgate tbl diff`: what a table changes, and whether programs would notice.

use callgate_codegen::Table;
use callgate_codegen::table::{Change, ChangeKind, Row, Word};
use serde_json::{Value, json};

use super::args::DiffArgs;
use super::{WRONG, print, report};
use crate::exit::Result;

/// Prints the changes; one that breaks programs makes the exit code 1.
pub(super) fn diff(args: &DiffArgs) -> Result {
    let mut tables = Vec::new();
    for file in [&args.old, &args.new] {
        match Table::read(file) {
            Ok(table) => tables.push(table),
            Err(error) => report(&error),
        }
    }
    let [old, new] = tables.as_slice() else { return Ok(WRONG) };
    let changes = old.changes_to(new);
    print(&if args.json { as_json(old, new, &changes) } else { as_text(old, new, &changes) })?;
    Ok(if breaks(&changes) { WRONG } else { 0 })
}

fn breaks(changes: &[Change<'_>]) -> bool {
    changes.iter().any(|change| change.kind.is_break())
}

/// A line a change, and one that counts them.
fn as_text(old: &Table, new: &Table, changes: &[Change<'_>]) -> String {
    let mut text = String::new();
    for change in changes {
        // A change is shown where the second table has it; what is gone, where the first one had it.
        let (table, row) = match (change.new, change.old) {
            (Some(row), _) => (new, row),
            (None, Some(row)) => (old, row),
            (None, None) => continue,
        };
        let place = format!("{}:{}", table.path(), row.span.line);
        let mark = if change.kind.is_break() { "break: " } else { "" };
        text += &format!("{place}: {mark}{}: {}\n", change.kind.name(), told(change, row));
    }
    let mut counts: Vec<(ChangeKind, usize)> = Vec::new();
    for change in changes {
        match counts.iter_mut().find(|(kind, _)| *kind == change.kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((change.kind, 1)),
        }
    }
    counts.sort();
    let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {}", kind.name())).collect();
    text += &match (changes.is_empty(), breaks(changes)) {
        (true, _) => "no call differs\n".to_owned(),
        (false, true) => format!("{}: programs break\n", counts.join(", ")),
        (false, false) => format!("{}: no program breaks\n", counts.join(", ")),
    };
    text
}

/// What a change is, in a few words.
fn told(change: &Change<'_>, row: &Row) -> String {
    let call = format!("{} {} `{}`", row.number, row.abi, row.name);
    let entry = |word: Option<&Word>| word.map_or("none".to_owned(), ToString::to_string);
    let Some((old, new)) = change.old.zip(change.new) else {
        return match row.entry_point() {
            Some(entry) => format!("{call}, {entry}"),
            None => format!("{call}, no entry point"),
        };
    };
    match change.kind {
        ChangeKind::Renumbered => format!("{} `{}`: {} is now {}", new.abi, new.name, old.number, new.number),
        ChangeKind::Renamed => format!("{} {}: `{}` is now `{}`", new.number, new.abi, old.name, new.name),
        ChangeKind::AbiChanged => format!("{} `{}`: {} is now {}", new.number, new.name, old.abi, new.abi),
        ChangeKind::NoreturnChanged if new.noreturn => format!("{call} does not return any more"),
        ChangeKind::NoreturnChanged => format!("{call} returns now"),
        ChangeKind::CompatChanged => {
            format!("{call}: {} is now {}", entry(old.compat_entry_point()), entry(new.compat_entry_point()))
        }
        _ => format!("{call}: {} is now {}", entry(old.entry_point()), entry(new.entry_point())),
    }
}

fn as_json(old: &Table, new: &Table, changes: &[Change<'_>]) -> String {
    let row = |row: Option<&Row>| row.map_or(Value::Null, super::json);
    let change = |change: &Change<'_>| {
        let (old, new) = (row(change.old), row(change.new));
        json!({"kind": change.kind.name(), "break": change.kind.is_break(), "old": old, "new": new})
    };
    let all: Vec<Value> = changes.iter().map(change).collect();
    let whole = json!({"old": old.path(), "new": new.path(), "break": breaks(changes), "changes": all});
    // Values print without fail: there is no key but strings.
    format!("{whole:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "0 common a sys_a\n1 64 b sys_b\n2 common c sys_c\n3 common d sys_d\n4 64 e\n5 64 f sys_f\n";
    const NEW: &str = "0 common a sys_new_a\n2 common see sys_c\n3 64 d sys_d compat_sys_d\n4 64 e sys_e\n\
                       6 64 f sys_f - noreturn\n7 64 g\n";

    #[test]
    fn each_change_is_told_where_it_is() {
        let (old, new) = (Table::parse("old", OLD).unwrap(), Table::parse("new", NEW).unwrap());
        let expected = "\
new:1: break: entry changed: 0 common `a`: sys_a is now sys_new_a
old:2: break: removed: 1 64 `b`, sys_b
new:2: break: renamed: 2 common: `c` is now `see`
new:3: break: abi changed: 3 `d`: common is now 64
new:3: break: compat entry changed: 3 64 `d`: none is now compat_sys_d
new:4: implemented: 4 64 `e`: none is now sys_e
new:5: break: renumbered: 64 `f`: 5 is now 6
new:5: noreturn changed: 6 64 `f` does not return any more
new:6: added: 7 64 `g`, no entry point
1 added, 1 implemented, 1 removed, 1 renumbered, 1 renamed, 1 abi changed, 1 entry changed, 1 compat entry changed, \
1 noreturn changed: programs break
";
        assert_eq!(as_text(&old, &new, &old.changes_to(&new)), expected);
        assert_eq!(as_text(&old, &old, &old.changes_to(&old)), "no call differs\n");
    }

    #[test]
    fn json_has_both_rows() {
        let (old, new) = (Table::parse("old", OLD).unwrap(), Table::parse("new", NEW).unwrap());
        let parsed: Value = serde_json::from_str(&as_json(&old, &new, &old.changes_to(&new))).unwrap();
        assert_eq!((&parsed["break"], &parsed["old"]), (&json!(true), &json!("old")));
        let removed = &parsed["changes"][1];
        assert_eq!(
            (&removed["kind"], &removed["old"]["name"], &removed["new"]),
            (&json!("removed"), &json!("b"), &Value::Null)
        );
    }
}
