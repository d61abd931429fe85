//! `callgate tbl` and `callgate gen`: what they print, what they write, how they end.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use callgate_codegen::dispatch::Dispatch;
use callgate_codegen::table::{ChangeKind, Lint, NewRow};
use callgate_codegen::{AbiFilter, Table, emit};
use callgate_tests::callgate::{self, workspace};
use callgate_tests::run::{Outcome, run};

/// A table in Linux's columns, with a block for x32 and nothing to object to.
const TABLE: &str = "\
# <number> <abi> <name> [<entry point> [<compat entry point> [noreturn]]]
0\tcommon\tread\t\t\tsys_read
1\tcommon\twrite\t\t\tsys_write
2\t64\treadv\t\t\tsys_readv
3\t64\twritev\t\t\tsys_writev
4\tcommon\texit\t\t\tsys_exit\t\t\t-\t\t\tnoreturn

# x32
512\tx32\treadv\t\t\tcompat_sys_readv
513\tx32\twritev\t\t\tcompat_sys_writev
";

/// A directory with `t.tbl` in it.
fn directory(table: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("t.tbl"), table).expect("a table");
    directory
}

fn callgate_in(directory: &Path, args: &[&str]) -> Outcome {
    let args: Vec<OsString> = args.iter().map(Into::into).collect();
    let outcome = run(callgate::binary(), &args, directory, None, Duration::from_secs(60));
    assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
    outcome
}

fn read(directory: &tempfile::TempDir) -> String {
    fs::read_to_string(directory.path().join("t.tbl")).expect("the table")
}

/// The command with `t.tbl` of this text ends with this code.
fn tbl(table: &str, args: &[&str], code: i32) -> Outcome {
    let directory = directory(table);
    let outcome = callgate_in(directory.path(), &[&["tbl"], args].concat());
    assert_eq!(outcome.code, code, "{args:?}: {outcome:?}");
    outcome
}

#[test]
fn each_command_teaches_by_examples() {
    for command in [
        &["tbl", "check"][..],
        &["tbl", "fmt"],
        &["tbl", "list"],
        &["tbl", "add"],
        &["tbl", "diff"],
        &["gen"],
        &["gen", "unistd"],
        &["gen", "syscalls"],
        &["gen", "system-map"],
        &["gen", "prototypes"],
        &["gen", "wrappers"],
        &["gen", "json"],
        &["gen", "markdown"],
    ] {
        let outcome = callgate::command(command.iter().copied().chain(["--help"]));
        assert_eq!(outcome.code, 0, "{command:?}: {outcome:?}");
        let (_, examples) = outcome.stdout.split_once("Example").expect("examples");
        assert!(examples.contains(&format!("callgate {}", command.join(" "))), "{command:?}: {}", outcome.stdout);
    }
}

#[test]
fn check_counts_and_says_what_comes_next() {
    let outcome = tbl(TABLE, &["check", "--deny", "warnings", "t.tbl"], 0);
    assert_eq!(outcome.stdout, "t.tbl: 7 rows (64, common, x32), next free number 5\n");
    assert_eq!(outcome.stderr, "");
}

#[test]
fn check_warns_and_denies_by_name() {
    let table = TABLE.replace("\twrite\t\t\tsys_write", "\tsys_write\t\tsys_write").replace("4\tc", "5\tc");
    let outcome = tbl(&table, &["check", "t.tbl"], 0);
    assert!(outcome.stdout.ends_with("next free number 6, 2 warnings\n"), "{outcome:?}");
    for said in ["warning[sys_prefix]: the name `sys_write`", " --> t.tbl:3:10", "warning[gap]: the number 4 is free"] {
        assert!(outcome.stderr.contains(said), "{said}: {}", outcome.stderr);
    }

    let outcome = tbl(&table, &["check", "--deny", "sys_prefix", "t.tbl"], 1);
    assert!(outcome.stderr.contains("error[sys_prefix]: ") && outcome.stderr.contains("warning[gap]: "), "{outcome:?}");
    assert!(outcome.stderr.ends_with("callgate: t.tbl: 1 error\n") && outcome.stdout.is_empty(), "{outcome:?}");

    let outcome = tbl(&table, &["check", "--deny", "warnings", "t.tbl"], 1);
    assert!(outcome.stderr.ends_with("callgate: t.tbl: 2 errors\n"), "{outcome:?}");
    let outcome = tbl(&table, &["check", "--deny", "warnings", "--allow", "sys_prefix,gap", "t.tbl"], 0);
    assert_eq!(outcome.stderr, "");

    let outcome = tbl(&table, &["check", "--deny", "no_such_lint", "t.tbl"], 125);
    assert!(outcome.stderr.contains("no_such_lint") && outcome.stderr.contains("sys_prefix"), "{outcome:?}");
}

#[test]
fn check_says_of_several_files_what_is_wrong_with_each() {
    let directory = directory(TABLE);
    fs::write(directory.path().join("u.tbl"), "0 common a sys_a\n0 common b sys_b\n").expect("a table");
    let outcome = callgate_in(directory.path(), &["tbl", "check", "u.tbl", "none.tbl", "t.tbl"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stdout.starts_with("t.tbl: 7 rows") && outcome.stdout.lines().count() == 1, "{outcome:?}");
    for said in ["the number 0 is taken already", "callgate: u.tbl: 1 error\n", "callgate: none.tbl: 1 error\n"] {
        assert!(outcome.stderr.contains(said), "{said}: {}", outcome.stderr);
    }
    // Out of order for one of the abis only.
    let unsorted = "1 64 a sys_a\n2 64 d sys_d\n5 32 b sys_b\n4 common c sys_c\n";
    let outcome = tbl(unsorted, &["check", "t.tbl"], 1);
    assert!(outcome.stderr.contains("not sorted: 4 comes after 5"), "{outcome:?}");
    tbl(unsorted, &["check", "--allow", "unsorted_abi", "t.tbl"], 0);
}

#[test]
fn fmt_writes_columns_and_nothing_else() {
    let ugly = TABLE.replace("\t\t\tsys_w", "  sys_w").replace("1\tcommon", "1 common");
    let directory = directory(&ugly);
    let path = directory.path().join("t.tbl");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a mode");
    std::os::unix::fs::symlink("t.tbl", directory.path().join("link.tbl")).expect("a link");

    let outcome = callgate_in(directory.path(), &["tbl", "fmt", "--check", "t.tbl"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert_eq!(outcome.stderr, "callgate: t.tbl: 2 lines to be formatted\n");
    assert_eq!(read(&directory), ugly, "--check writes nothing");
    let patch = "--- t.tbl\n+++ t.tbl\n@@ -3 +3 @@\n-1 common\twrite  sys_write\n+1\tcommon\twrite\t\t\tsys_write\n\
                 @@ -5 +5 @@\n-3\t64\twritev  sys_writev\n+3\t64\twritev\t\t\tsys_writev\n";
    assert_eq!(outcome.stdout, patch);

    let outcome = callgate_in(directory.path(), &["tbl", "fmt", "link.tbl"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{outcome:?}");
    assert_eq!(outcome.stderr, "callgate: link.tbl: 2 lines formatted\n");
    assert_eq!(read(&directory), TABLE);
    assert!(fs::symlink_metadata(directory.path().join("link.tbl")).expect("the link").is_symlink());
    assert_eq!(fs::metadata(&path).expect("the table").permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(directory.path()).expect("the directory").count(), 2, "no other file is left");

    for check in [&["tbl", "fmt", "t.tbl"][..], &["tbl", "fmt", "--check", "t.tbl"]] {
        let outcome = callgate_in(directory.path(), check);
        assert_eq!((outcome.code, outcome.stdout + &outcome.stderr), (0, String::new()), "{check:?}");
    }
}

#[test]
fn fmt_leaves_a_wrong_table_alone() {
    let wrong = "0 common a sys_a\n0 common b sys_b\n";
    let directory = directory(wrong);
    let outcome = callgate_in(directory.path(), &["tbl", "fmt", "t.tbl"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stderr.contains("taken already"), "{outcome:?}");
    assert_eq!(read(&directory), wrong);
}

#[test]
fn list_chooses_and_aligns() {
    let all = tbl(TABLE, &["list", "t.tbl"], 0);
    assert_eq!(all.stdout.lines().count(), 8, "{}", all.stdout);
    let some = tbl(TABLE, &["list", "--name", "*v", "--abi", "64,x32", "--nr", "3..512", "t.tbl"], 0);
    let expected = "NUMBER  ABI  NAME    ENTRY             COMPAT\n     3  64   writev  sys_writev        -\n   \
                    512  x32  readv   compat_sys_readv  -\n";
    assert_eq!(some.stdout, expected);
    let json = tbl(TABLE, &["list", "--nr", "4", "--json", "t.tbl"], 0);
    let object = "[\n  {\"abi\":\"common\",\"compat\":null,\"entry\":\"sys_exit\",\"line\":6,\"name\":\"exit\",\"noreturn\":true,\
                  \"number\":4}\n]\n";
    assert_eq!(json.stdout, object);

    let none = tbl(TABLE, &["list", "--name", "wrte", "t.tbl"], 1);
    assert_eq!(none.stderr, "callgate: t.tbl: no row is like that; did you mean `write` or `writev`?\n");
    let none = tbl(TABLE, &["list", "--abi", "i386", "--json", "t.tbl"], 1);
    assert_eq!(none.stdout, "[]\n");
    assert!(none.stderr.contains("no abi `i386`, but 64, common, x32"), "{none:?}");
    let wrong = tbl(TABLE, &["list", "--nr", "9..0", "t.tbl"], 125);
    assert!(wrong.stderr.contains("9..0"), "{wrong:?}");

    let built_in = callgate::command(["tbl", "list", "--name", "umount2"]);
    assert!(built_in.stdout.contains("   166  common  umount2  sys_umount  -\n"), "{built_in:?}");
}

#[test]
fn add_writes_the_row_and_prints_the_handler() {
    let directory = directory(TABLE);
    let outcome = callgate_in(directory.path(), &["tbl", "add", "greet", "--args", "buf:*mut u8,len:usize", "t.tbl"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(read(&directory), TABLE.replace("noreturn\n\n", "noreturn\n5\tcommon\tgreet\t\t\tsys_greet\n\n"));
    assert!(outcome.stderr.starts_with("callgate: t.tbl:7: 5\tcommon\tgreet\t\t\tsys_greet\n"), "{outcome:?}");
    let handler = "\
use callgate_abi::{SYSCALL_DEFINE2, UserMut};

use crate::{Errno, Result, Task};

/// greet(2): what it does, in one sentence.
#[SYSCALL_DEFINE2(greet)]
pub fn greet(task: &mut Task, buf: UserMut<u8>, len: usize) -> Result<usize> {
    let _ = (task, buf, len); // To be written.
    Err(Errno::ENOSYS)
}
";
    assert_eq!(outcome.stdout, handler);

    // Where a table of the usual name is, nobody has to name it.
    fs::rename(directory.path().join("t.tbl"), directory.path().join("syscall_64.tbl")).expect("a name");
    let outcome = callgate_in(directory.path(), &["tbl", "add", "bow", "--nr", "600", "--entry", "sys_read"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.stderr.starts_with("callgate: syscall_64.tbl:12: 600\tcommon\tbow\t\t\tsys_read\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("warning[mismatched_entry]"), "{outcome:?}");
    assert!(outcome.stderr.contains("its handler is there already: `sys_read` stands in the row of `read` too"));
    assert_eq!(outcome.stdout, "");
}

/// What is printed is pasted into a kernel as it is, and builds without a warning.
#[test]
fn the_handlers_of_added_calls_compile() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli_tbl_handlers");
    fs::create_dir_all(&directory).expect("the target directory is ours");
    let path = directory.join("t.tbl");
    fs::write(&path, "0\tcommon\tread\n").expect("a table");
    let mut main = "#![deny(warnings)]\n#![allow(dead_code)]\nmod syscalls;\npub use callgate_abi::Errno;\n\
                    pub type Result<T> = core::result::Result<T, Errno>;\npub struct Task;\nfn main() {}\n"
        .to_owned();
    for (name, args) in [
        ("greet", "buf:*mut u8,len:usize"),
        ("nothing", ""),
        ("yield", "int type, u8 task"),
        ("six", "int fd, const char __user *path, void *buf, size_t len, unsigned long long flags, long last"),
        ("pointers", "unsigned int *n, argv: *const *const u8, void *addr, x: &mut i64, b: bool, at: isize"),
    ] {
        let outcome = callgate_in(&directory, &["tbl", "add", name, "--args", args, "t.tbl"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        fs::write(directory.join(format!("{name}_call.rs")), &outcome.stdout).expect("a handler");
        main += &format!("mod {name}_call;\n");
    }
    let table = Table::read(&path).unwrap_or_else(|error| panic!("{error}"));
    let dispatch = Dispatch::new((&table, &AbiFilter::all()), None).unwrap_or_else(|error| panic!("{error}"));
    let module = format!("#![allow(dead_code)]\n{}", emit::dispatch(&dispatch, "crate::Task"));
    fs::write(directory.join("syscalls.rs"), module).expect("the table's module");
    fs::write(directory.join("main.rs"), main).expect("the crate");
    trybuild::TestCases::new().pass(directory.join("main.rs"));
}

#[test]
fn add_refuses_and_writes_nothing() {
    for (args, code, said) in [
        (&["read"][..], 1, "there is a call `read` already; its number is 0\n --> t.tbl:2:1"),
        (&["greet", "--nr", "3"], 1, "the number 3 is taken already, by `writev`\n --> t.tbl:5:1"),
        (&["greet", "--nr", "513", "--abi", "x32"], 1, "the number 513 is taken already"),
        (&["sys_greet"], 1, "name the call `greet`"),
        (&["greet", "--abi", "x32"], 1, "the block of numbers that x32 has for itself is closed"),
        (&["greet", "--nr", "70000"], 1, "larger than 65535"),
        (&["gr-eet"], 1, "the name `gr-eet` is not an identifier"),
        (&["a b"], 1, "the name `a b` is not one word"),
        (&["greet", "--abi", "a\nb"], 1, "the abi `a\\nb` is not one word"),
        (&["greet", "--entry", ""], 1, "the entry point `` is not one word"),
        (&["greet", "--args", "len"], 125, "callgate: --args: `len` has no name"),
        (&["greet", "--args", "x: f64"], 125, "no floating-point registers"),
        (&["greet", "--args", "a:u8,b:u8,c:u8,d:u8,e:u8,f:u8,g:u8"], 125, "these are 7 arguments"),
        (&["greet", "--nr", "x"], 125, "invalid value 'x' for '--nr <N>'"),
    ] {
        let directory = directory(TABLE);
        let outcome = callgate_in(directory.path(), &[&["tbl", "add"], args, &["t.tbl"]].concat());
        assert_eq!(outcome.code, code, "{args:?}: {outcome:?}");
        assert!(outcome.stderr.contains(said), "{args:?}: no {said:?} in {}", outcome.stderr);
        assert_eq!((outcome.stdout.as_str(), read(&directory).as_str()), ("", TABLE), "{args:?}");
    }
    let nowhere = callgate::command(["tbl", "add", "greet"]);
    assert_eq!(nowhere.code, 125);
    assert!(nowhere.stderr.contains("no syscall_64.tbl in this directory"), "{nowhere:?}");
}

#[test]
fn diff_ends_with_1_if_programs_break() {
    let directory = directory(TABLE);
    let path = directory.path();
    let diff = |new: &str, args: &[&str]| {
        fs::write(path.join("new.tbl"), new).expect("a table");
        callgate_in(path, &[&["tbl", "diff"], args, &["t.tbl", "new.tbl"]].concat())
    };
    let same = diff(&TABLE.replace('\t', "  "), &[]);
    assert_eq!((same.code, same.stdout.as_str()), (0, "no call differs\n"), "{same:?}");

    let added = diff(&TABLE.replace("\n\n", "\n5\tcommon\tgreet\t\t\tsys_greet\n\n"), &[]);
    assert_eq!(added.code, 0, "{added:?}");
    assert_eq!(added.stdout, "new.tbl:7: added: 5 common `greet`, sys_greet\n1 added: no program breaks\n");

    let broken = TABLE.replace("0\tcommon\tread", "0\t64\tread").replace("1\tcommon\twrite\t\t\tsys_write\n", "");
    let broken =
        broken.replace("sys_exit", "sys_leave").replace("513\t", "514\t").replace("2\t64\treadv", "2\t64\tgather");
    let outcome = diff(&broken, &[]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let expected = "\
new.tbl:2: break: abi changed: 0 `read`: common is now 64
t.tbl:3: break: removed: 1 common `write`, sys_write
new.tbl:3: break: renamed: 2 64: `readv` is now `gather`
new.tbl:5: break: entry changed: 4 common `exit`: sys_exit is now sys_leave
new.tbl:9: break: renumbered: x32 `writev`: 513 is now 514
1 removed, 1 renumbered, 1 renamed, 1 abi changed, 1 entry changed: programs break
";
    assert_eq!(outcome.stdout, expected);
    let json = diff(&broken, &["--json"]);
    assert_eq!(json.code, 1);
    assert!(json.stdout.contains("\"break\": true") && json.stdout.contains("\"kind\": \"renumbered\""), "{json:?}");

    let wrong = callgate_in(path, &["tbl", "diff", "t.tbl", "none.tbl"]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (1, ""), "{wrong:?}");
}

#[test]
fn handlers_make_prototypes_wrappers_and_pages() {
    let prototypes = callgate::command(["gen", "prototypes"]);
    assert_eq!(prototypes.code, 0, "{prototypes:?}");
    let write = "asmlinkage long sys_write(unsigned int fd, const char __user *buf, size_t count);\n";
    assert!(prototypes.stdout.contains(write), "{}", prototypes.stdout);
    let page = callgate::command(["gen", "markdown"]);
    assert!(
        page.stdout.contains("| 1 | `write` | `unsigned int fd, const char *buf, size_t count` |"),
        "{}",
        page.stdout
    );
    let json = callgate::command(["gen", "json"]);
    assert!(
        json.stdout.contains("\"name\": \"write\", \"entry\": \"sys_write\", \"implemented\": true"),
        "{}",
        json.stdout
    );
    let schema = callgate::command(["gen", "json", "--schema"]);
    assert!(schema.stdout.contains("\"$schema\""), "{}", schema.stdout);
    // The same table from a file is as good.
    let file = OsString::from(workspace().join("syscall_64.tbl"));
    let from_file = callgate::command([OsString::from("gen"), "prototypes".into(), file]);
    let lines = |outcome: &Outcome| outcome.stdout.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!((from_file.code, lines(&from_file)), (0, lines(&prototypes)));
}

#[test]
fn what_needs_handlers_refuses_another_table() {
    let directory = directory(TABLE);
    for args in [&["prototypes"][..], &["wrappers", "c"], &["wrappers", "rust"], &["json"], &["markdown"]] {
        let outcome = callgate_in(directory.path(), &[&["gen"], args, &["t.tbl"]].concat());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (125, ""), "{args:?}: {outcome:?}");
        let said = format!("callgate: `gen {}` is made of the handlers' types, and t.tbl is another table", args[0]);
        assert!(outcome.stderr.starts_with(&said), "{args:?}: {outcome:?}");
    }
    for what in ["unistd", "rust", "system-map", "kallsyms", "syscalls"] {
        let outcome = callgate_in(directory.path(), &["gen", what, "t.tbl"]);
        assert!(outcome.code == 0 && outcome.stdout.contains("writev"), "{what}: {outcome:?}");
    }
    let language = callgate::command(["gen", "wrappers"]);
    assert!(language.code == 125 && language.stderr.contains("<LANGUAGE>"), "{language:?}");
    let file = OsString::from(workspace().join("syscall_32.tbl"));
    let other = callgate::command([OsString::from("gen"), "wrappers".into(), "c".into(), file]);
    assert!(other.code == 125 && other.stderr.contains("the table of 32-bit ones"), "{other:?}");
}

/// The wrappers of the whole table compile without a warning, and a program that has only them writes.
#[test]
fn a_program_calls_by_wrappers_in_c_and_rust() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let c = "#include \"calls.h\"\nint main(void)\n{\n\tif (sys_close(77) != -1 || errno != EBADF)\n\t\treturn 1;\n\
             \treturn sys_write(1, \"Hi\\n\", 3) != 3;\n}\n";
    let rust = "#![allow(dead_code)]\nmod calls;\nfn main() {\n    \
                let n = unsafe { calls::write(1, b\"Hi\\n\".as_ptr().cast(), 3) };\n    \
                let bad = unsafe { calls::close(77) };\n    \
                std::process::exit(i32::from(n.ok() != Some(3) || bad.err().map(|e| e.0) != Some(9)));\n}\n";
    for (language, header, source, text, compiler) in [
        (
            "c",
            "calls.h",
            "main.c",
            c,
            &["gcc", "-Wall", "-Wextra", "-Werror", "-static", "-o", "program", "main.c"][..],
        ),
        (
            "rust",
            "calls.rs",
            "main.rs",
            rust,
            &["rustc", "--edition=2024", "-Ctarget-feature=+crt-static", "-Dwarnings", "-o", "program", "main.rs"],
        ),
    ] {
        let outcome = callgate_in(path, &["gen", "wrappers", language, "-o", header]);
        assert_eq!((outcome.code, outcome.stdout + &outcome.stderr), (0, String::new()), "{language}");
        fs::write(path.join(source), text).expect("a program");
        let compiled = Command::new(compiler[0]).args(&compiler[1..]).current_dir(path).output().expect("the compiler");
        assert!(compiled.status.success(), "{language}: {}", String::from_utf8_lossy(&compiled.stderr));
        let native = Command::new(path.join("program")).output().expect("the program");
        assert_eq!((native.status.code(), native.stdout.as_slice()), (Some(0), &b"Hi\n"[..]), "{language}");
        let here = callgate_in(path, &["run", "./program"]);
        assert_eq!((here.code, here.stdout.as_str()), (0, "Hi\n"), "{language}: {here:?}");
    }
}

/// The tables of Linux itself have few findings, none of them an error, and stay what they are when they are formatted.
#[test]
fn the_tables_of_linux_are_nearly_right() {
    let Some(trees) = std::env::var_os("CALLGATE_LINUX_SOURCE") else {
        eprintln!("SKIPPED: CALLGATE_LINUX_SOURCE names no Linux source tree");
        return;
    };
    let mut tables = Vec::new();
    for tree in std::env::split_paths(&trees) {
        let before = tables.len();
        find_tables(&tree, &mut tables);
        assert!(tables.len() > before, "no tables below {}", tree.display());
    }
    let mut all = 0;
    for path in &tables {
        let table = Table::read(path).unwrap_or_else(|error| panic!("{error}"));
        table.check_each_abi().unwrap_or_else(|error| panic!("{error}"));
        let found = table.lints();
        let said: Vec<_> = found.iter().map(|one| one.message.as_str()).collect();
        assert!(found.len() <= 8, "{}: {said:#?}", path.display());
        all += found.len();

        let formatted = Table::parse("formatted", table.to_string()).unwrap_or_else(|error| panic!("{error}"));
        assert!(table.rows().eq(formatted.rows()), "{}", path.display());
        assert_eq!(formatted.to_string(), formatted.source(), "{}", path.display());
        assert!(!formatted.lints().iter().any(|one| one.lint == Some(Lint::MisalignedColumns)), "{}", path.display());
        assert_eq!(table.changes_to(&formatted), []);

        let greet = NewRow { name: "greet".to_owned(), ..NewRow::default() };
        let more = table.insert(&greet).unwrap_or_else(|error| panic!("{error}"));
        let kinds: Vec<_> = table.changes_to(&more.table).iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [ChangeKind::Added], "{}", path.display());
        assert!(more.table.lints().len() <= found.len(), "{}: {}", path.display(), more.row);
    }
    println!("{} tables, {all} findings", tables.len());
}

/// The tables of system calls below a directory.
fn find_tables(directory: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            find_tables(&path, found);
        } else if name.starts_with("syscall") && name.ends_with(".tbl") {
            found.push(path);
        }
    }
}
