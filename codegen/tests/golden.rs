//! What each emitter makes of `traps.tbl`, a small table with every trap of the real ones.
//!
//! `UPDATE_EXPECT=1 cargo test -p callgate-codegen` writes the files in `golden/` anew.

use callgate_codegen::dispatch::Dispatch;
use callgate_codegen::emit::{self, Unistd};
use callgate_codegen::image::Image;
use callgate_codegen::{AbiFilter, Table};
use expect_test::expect_file;

fn table() -> Table {
    Table::parse("traps.tbl", include_str!("traps.tbl")).unwrap_or_else(|error| panic!("{error}"))
}

fn dispatch() -> Dispatch {
    let table = table();
    let ia32 =
        "1\ti386\texit\tsys_exit\t-\tnoreturn\n3\ti386\tread\tsys_read\n5\ti386\topen\tsys_open\tcompat_sys_open\n";
    let ia32 = Table::parse("traps_32.tbl", ia32).unwrap_or_else(|error| panic!("{error}"));
    let native = AbiFilter::new("common,64");
    Dispatch::new((&table, &native), Some((&ia32, &AbiFilter::all()))).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_table_in_linux_columns() {
    expect_file!["golden/traps.tbl"].assert_eq(&table().to_string());
}

#[test]
fn unistd_header() {
    let plain = Unistd { abis: AbiFilter::new("common,64"), emit_nr: true, ..Unistd::default() };
    expect_file!["golden/unistd_64.h"].assert_eq(&emit::unistd(&table(), "unistd_64.h", &plain));
    let x32 = Unistd {
        abis: AbiFilter::new("x32"),
        offset: Some("__X32_SYSCALL_BIT".to_owned()),
        prefix: "x32_".to_owned(),
        emit_nr: true,
    };
    expect_file!["golden/unistd_64_x32.h"].assert_eq(&emit::unistd(&table(), "generated/unistd_64_x32.h", &x32));
}

#[test]
fn syscalls_header() {
    let header = emit::syscalls(&table(), &AbiFilter::new("common,64"));
    expect_file!["golden/syscalls_64.h"].assert_eq(&header.unwrap_or_else(|error| panic!("{error}")));
    let error = emit::syscalls(&table(), &AbiFilter::all()).expect_err("3 is there for two abis");
    expect_file!["golden/syscalls_all.txt"].assert_eq(&format!("{error}\n"));
}

#[test]
fn rust_numbers() {
    let numbers = emit::rust(&table(), &AbiFilter::new("common,nospu"));
    expect_file!["golden/numbers.rs"].assert_eq(&numbers.unwrap_or_else(|error| panic!("{error}")));
    let none = emit::rust(&table(), &AbiFilter::new("sparc")).unwrap_or_else(|error| panic!("{error}"));
    assert!(none.starts_with("//") && none.lines().count() == 1, "{none}");
    let error = emit::rust(&table(), &AbiFilter::new("64,x32")).expect_err("two calls are named writev");
    expect_file!["golden/numbers_of_two_abis.txt"].assert_eq(&format!("{error}\n"));
}

#[test]
fn dispatch_and_entries() {
    expect_file!["golden/syscalls.rs"].assert_eq(&emit::dispatch(&dispatch(), "crate::Task"));
    expect_file!["golden/entries.txt"].assert_eq(&emit::entries(&dispatch()));
}

#[test]
fn symbols_and_image() {
    let image = Image::new(&dispatch(), "Linux version 0\n").expect("the image assembles");
    expect_file!["golden/System.map"].assert_eq(&emit::system_map(&image));
    assert_eq!(emit::kallsyms(&image), emit::system_map(&image));
    expect_file!["golden/kernel_image.rs"].assert_eq(&image.to_rust());
}

#[test]
fn the_same_table_gives_the_same_text() {
    let all = || {
        let dispatch = dispatch();
        let image = Image::new(&dispatch, "").expect("the image assembles");
        (emit::dispatch(&dispatch, "T"), emit::entries(&dispatch), image)
    };
    assert_eq!(all(), all());
}
