//! Each table in `bad/` is wrong, and the text beside it is what its author is told.
//!
//! `UPDATE_EXPECT=1 cargo test -p callgate-codegen` writes the texts anew.

use std::fs;
use std::path::Path;

use callgate_codegen::Table;
use callgate_codegen::table::Severity;
use expect_test::expect_file;

#[test]
fn a_wrong_table_says_where_and_what_and_what_to_do() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let entries = fs::read_dir(&dir).expect("the directory of wrong tables").flatten();
    let mut tables: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "tbl"))
        .collect();
    tables.sort();
    assert!(tables.len() >= 40, "only {} wrong tables", tables.len());
    for path in tables {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(&path).expect("a wrong table");
        let error = Table::from_bytes(name.as_str(), &bytes).expect_err(&name);
        for diagnostic in error.diagnostics() {
            assert_eq!(diagnostic.severity, Severity::Error);
            assert!(!diagnostic.message.is_empty() && !diagnostic.help.is_empty(), "{name}");
            assert!(!diagnostic.message.ends_with('.'), "{name}: a sentence of a message has no full stop");
        }
        expect_file![path.with_extension("txt")].assert_eq(&format!("{error}\n"));
    }
}

#[test]
fn a_table_that_is_missing_or_a_directory_is_named() {
    let error = Table::read("no/such.tbl").expect_err("no such file").to_string();
    assert!(error.contains("no/such.tbl") && error.contains("No such file"), "{error}");
    let error = Table::read(env!("CARGO_MANIFEST_DIR")).expect_err("a directory").to_string();
    assert!(error.contains("directory"), "{error}");
}

#[test]
fn a_common_row_below_the_x32_block_is_only_doubtful() {
    let text =
        "0 64 old\n1 common write sys_write\n512 x32 ioctl compat_sys_ioctl\n2 common greet sys_greet\n3 64 a sys_a\n";
    let table = Table::parse("t.tbl", text).expect("usable");
    let [warning] = table.warnings() else { panic!("{:?}", table.warnings()) };
    assert_eq!(warning.severity, Severity::Warning);
    assert!(warning.message.contains("not sorted for abi `x32`"), "{}", warning.message);
    let x32 = table.ascending_rows(&callgate_codegen::AbiFilter::new("common,x32"));
    assert!(x32.is_err(), "Linux's script refuses these rows, and so do we");
    assert!(table.ascending_rows(&callgate_codegen::AbiFilter::new("common,64")).is_ok());
}
