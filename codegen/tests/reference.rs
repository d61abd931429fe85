//! What is made of handlers' types, for a few calls with every trap: types, names and texts that mean something to the
//! language that they are written into. The wrappers are compiled, and make calls of the machine that runs the test.
//!
//! `UPDATE_EXPECT=1 cargo test -p callgate-codegen` writes the files in `golden/` anew.

use std::path::Path;
use std::process::Command;

use callgate_codegen::emit::{self, Argument, Reference, Syscall};
use expect_test::expect_file;

fn call(number: u32, name: &str, entry: &str, ret: &str, args: &[(&str, &str)], doc: &str) -> Syscall {
    let args = args.iter().map(|(c_type, name)| Argument { name: (*name).to_owned(), c_type: (*c_type).to_owned() });
    Syscall {
        number,
        name: name.to_owned(),
        entry: entry.to_owned(),
        args: args.collect(),
        ret: ret.to_owned(),
        noreturn: false,
        file: "kernel/src/fs.rs".to_owned(),
        line: number + 10,
        doc: doc.to_owned(),
        implemented: true,
    }
}

fn reference() -> Reference {
    const STR: (&str, &str) = ("const char __user *", "filename");
    let absent = |number, name: &str, entry: &str| Syscall {
        number,
        name: name.to_owned(),
        entry: entry.to_owned(),
        ..Syscall::default()
    };
    let buf = [("unsigned int", "fd"), ("const char __user *", "buf"), ("size_t", "count")];
    let odd = [("bool", "default"), ("umode_t", "type"), ("fancy_t", "errno"), ("const fancy_t __user *", "answer")];
    let calls = vec![
        call(1, "write", "sys_write", "ssize_t", &buf, "write(2): writes `count` bytes from \\ \"buf\" | to a file."),
        call(3, "close", "sys_close", "int", &[("unsigned int", "fd")], ""),
        call(
            4,
            "stat",
            "sys_newstat",
            "int",
            &[STR, ("struct stat __user *", "statbuf")],
            "stat(2): */ asks <about> it.",
        ),
        call(39, "getpid", "sys_getpid", "int", &[], "getpid(2): who am I?"),
        call(
            59,
            "execve",
            "sys_execve",
            "int",
            &[STR, ("const char __user *const __user *", "argv"), ("const char __user *const __user *", "envp")],
            "execve(2)",
        ),
        Syscall {
            noreturn: true,
            ret: "void".to_owned(),
            ..call(60, "exit", "sys_exit", "void", &[("int", "error_code")], "exit(2): ends the thread.")
        },
        absent(134, "uselib", ""),
        absent(165, "mount", "sys_mount"),
        call(300, "loop", "sys_loop", "unsigned long", &odd, "A name that is Rust's."),
        call(301, "answer", "sys_loop", "long", &odd, "The same entry point."),
        call(
            274,
            "get_robust_list",
            "sys_get_robust_list",
            "int",
            &[
                ("pid_t", "pid"),
                ("struct robust_list_head __user *__user *", "head_ptr"),
                ("size_t __user *", "len_ptr"),
            ],
            "Addresses of addresses.",
        ),
        call(
            302,
            "six",
            "sys_six",
            "unsigned long",
            &[("int", "a"), ("long", "b"), ("u8", "c"), ("loff_t", "d"), ("int __user *", "e"), ("void __user *", "f")],
            "",
        ),
    ];
    Reference { table: "traps.tbl".to_owned(), calls }
}

#[test]
fn every_output() {
    let reference = reference();
    expect_file!["golden/prototypes.h"].assert_eq(&emit::prototypes(&reference));
    expect_file!["golden/wrappers.h"].assert_eq(&emit::wrappers_c(&reference));
    expect_file!["golden/wrappers.rs"].assert_eq(&emit::wrappers_rust(&reference));
    expect_file!["golden/syscalls.json"].assert_eq(&emit::json(&reference));
    expect_file!["golden/syscalls.md"].assert_eq(&emit::markdown(&reference));
}

#[test]
fn no_calls_at_all() {
    let none = Reference { table: "none.tbl".to_owned(), calls: Vec::new() };
    assert_eq!(emit::prototypes(&none).lines().count(), 2);
    let json: serde_json::Value = serde_json::from_str(&emit::json(&none)).expect("JSON");
    assert_eq!(json["calls"].as_array().map(Vec::len), Some(0));
    assert!(emit::markdown(&none).contains("0 of 0 calls"));
    build_and_run("none", &emit::wrappers_c(&none), "int main(void) { return 0; }", None);
}

/// The schema's own words are enough to check what it asks of objects: names, kinds, nothing missing, nothing else.
#[test]
fn the_json_keeps_to_its_schema() {
    let schema: serde_json::Value = serde_json::from_str(emit::JSON_SCHEMA).expect("JSON");
    let json: serde_json::Value = serde_json::from_str(&emit::json(&reference())).expect("JSON");
    assert_eq!(json["$schema"], schema["$id"]);
    conforms(&schema, &json, "");
    assert_eq!(json["calls"][0]["doc"], reference().calls[0].doc.as_str(), "escapes are undone by a reader");
}

fn conforms(schema: &serde_json::Value, value: &serde_json::Value, place: &str) {
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        _ => value.is_null(),
    };
    let kinds = match &schema["type"] {
        serde_json::Value::String(kind) => vec![kind.as_str()],
        kinds => kinds.as_array().into_iter().flatten().filter_map(|kind| kind.as_str()).collect(),
    };
    assert!(kinds.is_empty() || kinds.iter().any(|kind| is(kind)), "{place} is no {kinds:?}: {value}");
    for name in schema["required"].as_array().into_iter().flatten().filter_map(|name| name.as_str()) {
        assert!(value.get(name).is_some(), "{place} has no {name}");
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        let known = schema["properties"].get(name).unwrap_or_else(|| panic!("{place}: the schema knows no {name}"));
        conforms(known, value, &format!("{place}/{name}"));
    }
    for value in value.as_array().into_iter().flatten() {
        conforms(&schema["items"], value, &format!("{place}/*"));
    }
}

const C_PROGRAM: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void)
{
	struct stat here;
	if (sys_getpid() != getpid())
		return 1;
	if (sys_write(1, "typed\n", 6) != 6)
		return 2;
	errno = 0;
	if (sys_close(12345) != -1 || errno != EBADF)
		return 3;
	if (sys_stat("/", &here) != 0 || !S_ISDIR(here.st_mode))
		return 4;
	sys_exit(42);
}
"#;

const RUST_PROGRAM: &str = r#"
#[allow(dead_code)]
#[path = "wrappers.rs"]
mod calls;

fn main() {
    // SAFETY: the addresses are those of live bytes.
    unsafe {
        assert_eq!(calls::getpid(), Ok(std::process::id() as i32));
        assert_eq!(calls::write(1, "typed\n".as_ptr(), 6), Ok(6));
        assert_eq!(calls::close(12345), Err(calls::Errno(9)));
        let mut stat = [0u8; 256];
        assert_eq!(calls::stat(c"/".as_ptr().cast(), stat.as_mut_ptr().cast()), Ok(0));
        calls::exit(42)
    }
}
"#;

/// The numbers of the calls are those of 64-bit x86, whose only programs can run here.
const HERE: bool = cfg!(all(target_arch = "x86_64", target_os = "linux"));

#[test]
fn a_c_program_makes_calls_by_name() {
    build_and_run("wrappers_c", &emit::wrappers_c(&reference()), C_PROGRAM, Some((42, "typed\n")));
}

fn build_and_run(name: &str, header: &str, program: &str, expected: Option<(i32, &str)>) {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).expect("the target directory is ours");
    let write = |file: &str, text: &str| std::fs::write(dir.join(file), text).expect("the target directory is ours");
    write("wrappers.h", header);
    write("main.c", &format!("#include \"wrappers.h\"\n{program}"));
    let strict = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-D_DEFAULT_SOURCE", "main.c", "-o", "main"];
    let built = Command::new("gcc").args(strict).current_dir(&dir).output();
    let Ok(built) = built else {
        eprintln!("skipped: there is no gcc to compile the wrappers with");
        return;
    };
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    run(&dir, expected);
}

fn run(dir: &Path, expected: Option<(i32, &str)>) {
    let Some((code, printed)) = expected.filter(|_| HERE) else { return };
    let ran = Command::new(dir.join("main")).output().expect("the program runs");
    assert_eq!((ran.status.code(), String::from_utf8_lossy(&ran.stdout).as_ref()), (Some(code), printed));
}

#[test]
fn a_rust_program_makes_calls_by_name() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrappers_rust");
    std::fs::create_dir_all(&dir).expect("the target directory is ours");
    let write = |file: &str, text: &str| std::fs::write(dir.join(file), text).expect("the target directory is ours");
    write("wrappers.rs", &emit::wrappers_rust(&reference()));
    write("main.rs", RUST_PROGRAM);
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let strict = ["--edition=2024", "-Dwarnings", "main.rs", "-o", "main"];
    let built =
        Command::new(rustc).args(strict).current_dir(&dir).output().expect("rustc compiles tests, so it is here");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    run(&dir, Some((42, "typed\n")));
}
