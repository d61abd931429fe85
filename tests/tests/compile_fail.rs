//! Every misuse of the macros is one clear error at its place.
//!
//! The cases are compiled against what `callgate-codegen` makes of `ui/support/cases.tbl`: the
//! module stands beside the table (so that messages have stable paths) and is compared with codegen's
//! output here; the list of entry points is generated anew, for the variable by which the macros find it.
//! `TRYBUILD=overwrite cargo test -p callgate-tests --test compile_fail` writes both the module and the
//! expected messages again.

use callgate_codegen::dispatch::Dispatch;
use callgate_codegen::{AbiFilter, Prototypes, Table, emit};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// The variable that names the list of entry points.
const ENTRIES: &str = "CALLGATE_ENTRIES";
/// Set in the process that runs trybuild, which hands its environment on to the compiler.
const INNER: &str = "CALLGATE_COMPILE_FAIL";

/// Runs the calling test again, in a process with (or without) the list of entry points. Is this it?
fn in_inner_process(test: &str, entries: Option<&Path>) -> bool {
    if env::var_os(INNER).is_some() {
        return true;
    }
    let mut inner = Command::new(env::current_exe().expect("this test has a path"));
    inner.args(["--exact", test, "--nocapture"]).env(INNER, "1");
    match entries {
        Some(path) => inner.env(ENTRIES, path),
        None => inner.env_remove(ENTRIES),
    };
    let output = inner.output().expect("this test can be run again");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    print!("{}", said.concat());
    assert!(output.status.success(), "see the messages above");
    false
}

/// The table of the cases, as `Build` reads it.
fn dispatch() -> Dispatch {
    let text = include_str!("../ui/support/cases.tbl");
    let table = Table::parse("cases.tbl", text).expect("the table is right");
    Dispatch::new((&table, &AbiFilter::all()), None).expect("the table is right")
}

#[test]
fn misuses_are_refused_with_one_clear_message() {
    let entries = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail_entries.txt");
    fs::write(&entries, emit::entries(&dispatch())).expect("the target directory is ours");
    if in_inner_process("misuses_are_refused_with_one_clear_message", Some(&entries)) {
        trybuild::TestCases::new().compile_fail("ui/*.rs");
    }
}

#[test]
fn a_handler_that_disagrees_with_its_prototype_is_refused() {
    let prototypes = Prototypes::parse("syscalls.h", include_str!("../ui/support/syscalls.h"));
    let prototypes = prototypes.unwrap_or_else(|error| panic!("{error}"));
    let entries = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail_prototypes.txt");
    let text = emit::entries(&dispatch()) + &emit::prototype_entries(&dispatch(), &prototypes);
    fs::write(&entries, text).expect("the target directory is ours");
    if in_inner_process("a_handler_that_disagrees_with_its_prototype_is_refused", Some(&entries)) {
        trybuild::TestCases::new().compile_fail("ui/prototypes/*.rs");
    }
}

#[test]
fn there_are_forty_malformed_handlers() {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
    let cases = |dir: &str| {
        fs::read_dir(ui.join(dir))
            .expect("cases")
            .flatten()
            .filter(|case| case.path().extension().is_some_and(|extension| extension == "stderr"))
            .count()
    };
    assert!(cases("") + cases("without_list") + cases("prototypes") >= 40);
}

#[test]
fn without_the_list_the_compiler_finds_what_has_no_row() {
    if in_inner_process("without_the_list_the_compiler_finds_what_has_no_row", None) {
        trybuild::TestCases::new().compile_fail("ui/without_list/*.rs");
    }
}

#[test]
fn the_cases_module_is_what_codegen_makes_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/support/syscalls.rs");
    let generated = emit::dispatch(&dispatch(), "crate::Task");
    if env::var_os("TRYBUILD").is_some_and(|what| what == "overwrite") {
        fs::write(&path, &generated).expect("the source is writable");
    }
    let checked_in = fs::read_to_string(&path).expect("the module is there");
    assert!(checked_in == generated, "codegen's output has changed: run with TRYBUILD=overwrite");
}
