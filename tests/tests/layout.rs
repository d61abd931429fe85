//! How the command is linked.

#![forbid(unsafe_code)]

use std::fs;

use callgate_tests::{callgate, skip};
use glob::Pattern;
use object::{Object, ObjectSection, ObjectSymbol};

#[test]
fn what_a_short_run_needs_is_put_together() {
    let script = fs::read_to_string(callgate::workspace().join("cli/start.ld")).expect("the script");
    let data = fs::read(callgate::binary()).expect("the command");
    let file = object::File::parse(&*data).expect("an executable");
    let Some(section) = file.section_by_name(".text.start") else {
        return skip("the command has no .text.start: it is linked by a linker of your own");
    };
    let index = Some(section.index());
    let names: Vec<_> = (file.symbols().filter(|symbol| symbol.section_index() == index))
        .map(|symbol| format!(".text.{}", symbol.name().expect("a name")))
        .collect();
    let patterns = script.lines().filter_map(|line| line.trim().strip_prefix("*(")?.strip_suffix(')'));
    let (found, lost): (Vec<_>, Vec<_>) = patterns.partition(|pattern| {
        let pattern = Pattern::new(pattern).expect("a pattern");
        names.iter().any(|name| pattern.matches(name))
    });
    // Without optimisation some functions are others.
    assert!(found.len() > 20 * lost.len(), "no longer there; `scripts/start-order` writes the script anew: {lost:#?}");
}
