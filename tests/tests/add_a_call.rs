//! The loop that people come for: a row in the table, a function, and a program that calls it.
//!
//! On a copy of the workspace: a row alone doesn't build, and the message says what to write; with the function it
//! builds, and everything that is generated knows the call. The copy has a target directory of its own, which stays for
//! the next run: cargo knows packages by their place in the workspace, and would take one's kernel for the other's.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use callgate_tests::callgate::{profile_dir, workspace};
use callgate_tests::run::{Outcome, run};

const ROW: &str = "472\tcommon\tgreet\t\t\tsys_greet\n";

const HANDLER: &str = r#"//! The call of the test.

use callgate_abi::{SYSCALL_DEFINE2, UserMut};

use crate::{Result, Task};

/// greet(2): writes a greeting of at most `len` bytes to `buf` and returns how many it wrote.
#[SYSCALL_DEFINE2(greet)]
pub fn greet(task: &mut Task, buf: UserMut<u8>, len: usize) -> Result<usize> {
    let greeting = b"hello from a new call\n";
    let greeting = &greeting[..greeting.len().min(len)];
    buf.slice(greeting.len()).write_from(task, greeting)?;
    Ok(greeting.len())
}
"#;

const PROGRAM: &str = r#"
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "unistd_64.h"

int main(void)
{
	char text[64];
	long n = syscall(__NR_greet, text, 17);

	printf("%ld: %.*s\n", n, (int)n, text);
	return syscall(__NR_greet, (char *)16, 5) == -1 ? 0 : 1;
}
"#;

/// Brings the files of `to` to the contents of `from`, and leaves alone (with their times) those that have them.
fn mirror(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    let names = |path: &Path| -> Vec<OsString> {
        fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").file_name()).collect()
    };
    let ours = |name: &&OsString| *name != "target" && *name != ".git";
    let wanted = names(from);
    for name in names(to).iter().filter(ours).filter(|name| !wanted.contains(name)) {
        let path = to.join(name);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("an old file goes");
    }
    for name in wanted.iter().filter(ours) {
        let (from, to) = (from.join(name), to.join(name));
        if from.is_dir() {
            mirror(&from, &to);
        } else if fs::read(&from).ok() != fs::read(&to).ok() {
            fs::copy(&from, &to).expect("its copy");
        }
    }
}

/// A copy of the workspace, and cargo on it.
struct Copy {
    root: PathBuf,
    release: bool,
}

impl Copy {
    fn append(&self, file: &str, text: &str) {
        let path = self.root.join(file);
        let old = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, old + text).expect("room for a line");
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.root.join(file), text).expect("a file");
    }

    fn build(&self) -> (Result<PathBuf, String>, Duration) {
        let start = Instant::now();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root).args(["build", "--offline", "--workspace", "--bin", "callgate", "--color=never"]);
        cargo.args(self.release.then_some("--release"));
        let profiles = profile_dir();
        cargo.env_remove("CARGO_BUILD_BUILD_DIR");
        cargo.env("CARGO_TARGET_DIR", self.root.join("target"));
        let output = cargo.output().expect("cargo");
        let program = self.root.join("target").join(profiles.file_name().expect("a profile")).join("callgate");
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        (if output.status.success() { Ok(program) } else { Err(messages) }, start.elapsed())
    }
}

fn output(callgate: &Path, args: &[OsString]) -> Outcome {
    let outcome = run(callgate, args, Path::new("/"), None, Duration::from_secs(60));
    assert_eq!(outcome.code, 0, "{args:?}: {outcome:?}");
    outcome
}

#[test]
fn a_row_and_a_function_make_a_system_call() {
    let release = profile_dir().ends_with("release");
    let copy = Copy { root: profile_dir().join("add_a_call"), release };
    mirror(workspace(), &copy.root);
    copy.build().0.unwrap_or_else(|messages| panic!("the copy doesn't build:\n{messages}"));

    copy.append("syscall_64.tbl", ROW);
    let table = fs::read_to_string(copy.root.join("syscall_64.tbl")).expect("the table");
    let line = table.lines().count();
    let messages = copy.build().0.expect_err("a row without a function doesn't build");
    let place = format!("syscall_64.tbl:{line}");
    for piece in [place.as_str(), "472", "greet", "sys_greet", "SYSCALL_DEFINE", "fn greet"] {
        assert!(messages.contains(piece), "no {piece:?} in\n{messages}");
    }
    println!("what the compiler says to a row without a function:\n{messages}");

    copy.write("kernel/src/greet.rs", HANDLER);
    copy.append("kernel/src/lib.rs", "\nmod greet;\n");
    let (built, duration) = copy.build();
    let callgate = built.unwrap_or_else(|messages| panic!("the row with its function doesn't build:\n{messages}"));
    let profile = if release { "release" } else { "debug" };
    println!("the rebuild took {:.1} s ({profile})", duration.as_secs_f64());

    let header = output(&callgate, &["gen".into(), "unistd".into()]).stdout;
    assert!(header.lines().any(|line| line == "#define __NR_greet 472"), "{header}");
    let symbols = output(&callgate, &["gen".into(), "kallsyms".into()]).stdout;
    assert!(symbols.lines().any(|line| line.split_whitespace().nth(2) == Some("__x64_sys_greet")), "{symbols}");

    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("unistd_64.h"), header).expect("the header");
    fs::write(directory.path().join("greet.c"), PROGRAM).expect("the program");
    let mut gcc = Command::new("gcc");
    gcc.current_dir(directory.path()).args(["-static", "-include", "stddef.h", "-o", "greet", "greet.c"]);
    let result = gcc.output().expect("gcc");
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    let program = directory.path().join("greet");
    let outcome = output(&callgate, &["run".into(), "--".into(), program.clone().into()]);
    assert_eq!(outcome.stdout, "17: hello from a new \n");
    let trace = output(&callgate, &["trace".into(), "--".into(), program.into()]).stderr;
    assert!(trace.contains(r#"greet("hello from a new ", 17)"#), "{trace}");
    assert!(trace.contains("greet(0x10, 5)") && trace.contains("EFAULT"), "{trace}");
}
