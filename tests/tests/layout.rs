//! How the command is linked.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;

use callgate_tests::callgate;
use glob::Pattern;
use object::{Object, ObjectSymbol};

#[test]
fn functions_that_are_to_lie_together_exist() {
    let script = fs::read_to_string(callgate::workspace().join("cli/start.ld")).expect("the script");
    let data = fs::read(callgate::binary()).expect("the command");
    let file = object::File::parse(&*data).expect("an executable");
    let names: BTreeSet<_> = file.symbols().map(|symbol| symbol.name().expect("a name").to_owned()).collect();
    let sections = script.lines().filter_map(|line| line.trim().strip_prefix(".text."));
    let patterns = sections.map(|section| section.trim_start_matches("unlikely."));
    let (found, lost): (Vec<_>, Vec<_>) = patterns.filter(|pattern| pattern.starts_with('_')).partition(|pattern| {
        let (start, _) = pattern.split_once('*').expect("a pattern");
        let pattern = Pattern::new(pattern).expect("a pattern");
        names.range(start.to_owned()..).take_while(|name| name.starts_with(start)).any(|name| pattern.matches(name))
    });
    // Without optimisation some functions are others.
    assert!(found.len() > 20 * lost.len(), "no longer there; `scripts/start-order` writes the script anew: {lost:#?}");
    assert!(found.len() > 500, "that many small programs need: {}", found.len());
}
