//! The command and its engines: which one runs a program, what is said of that, and what happens where the host refuses.

#![forbid(unsafe_code)]

use std::process::{Command, Output, Stdio};

use callgate_emulator::CpuModel;
use callgate_tests::callgate;
use callgate_tests::compile::{Compiler, compile};
use callgate_tests::skip;

/// Enough for the interpreter, and not for the native engine: guests' memory, which is reserved whole, and no window of 4 GiB
/// beside it; files, and so memory objects, of 50 KiB, and of 500 MiB.
const CRAMPED: [&str; 3] = ["-v 6300000", "-f 100", "-f 1000000"];

fn run(options: &[&str]) -> Command {
    let mut command = Command::new(callgate::binary());
    command.arg("run").args(options).arg("--").arg(compile(Compiler::Gcc, "article", Compiler::Gcc.default_flags()));
    command
}

/// A program that runs for long enough to be translated: 300,000 rounds of a loop.
fn run_long(options: &[&str]) -> Command {
    let mut command = Command::new(callgate::binary());
    let program = compile(Compiler::Gcc, "bench/loop", Compiler::Gcc.default_flags());
    command.arg("run").args(options).arg("--").arg(program).arg("300000");
    command
}

/// A command with a limit, as the shell's `ulimit` says it.
fn limited(limit: &str, inner: Command) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit {limit} && exec \"$@\"")).arg("sh");
    command.arg(inner.get_program()).args(inner.get_args());
    command
}

fn output(mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("it can be run");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

#[test]
fn stats_tell_the_engine_and_why() {
    let (code, out, err) = output(run(&["--stats", "--engine", "interp"]));
    assert_eq!((code, out.as_str()), (0, "Hi\n"), "{err}");
    assert!(err.contains("stats: engine=interp entry=direct why=\"--engine interp\"\n"), "{err}");
    if let Err(why) = callgate_native::check(CpuModel::default()) {
        let (code, _, err) = output(run(&["--stats"]));
        assert_eq!(code, 0, "{err}");
        assert!(
            err.contains(&format!("stats: engine=interp entry=direct why=\"--engine auto, and {why}\"\n")),
            "{err}"
        );
        return skip(&format!("the native engine: {why}"));
    }
    for (choice, why) in [("auto", "--engine auto, and the host has all it needs"), ("native", "--engine native")] {
        let (code, out, err) = output(run(&["--stats", "--engine", choice]));
        assert_eq!((code, out.as_str()), (0, "Hi\n"), "{err}");
        assert!(err.contains(&format!("stats: engine=native entry=direct why=\"{why}\"\n")), "{err}");
    }
}

#[test]
fn where_the_host_has_too_little_auto_falls_back_and_says_so() {
    let (code, sum, err) = output(run_long(&["--engine", "interp"]));
    assert_eq!((code, err.as_str()), (0, ""));
    for limit in CRAMPED {
        let (code, out, err) = output(limited(limit, run_long(&["--engine", "auto"])));
        assert_eq!((code, &out), (0, &sum), "{limit}: {err}");
        if callgate_native::check(CpuModel::default()).is_ok() {
            let line = "callgate: the interpreter runs the program, since the native engine can't: ";
            assert!(err.starts_with(line) && err.lines().count() == 1, "{limit}: {err}");
            // The figures know it, too.
            let (_, _, err) = output(limited(limit, run_long(&["--engine", "auto", "--stats"])));
            assert!(err.contains("stats: engine=interp entry=direct why=\"--engine auto, and "), "{limit}: {err}");
        }
    }
}

#[test]
fn a_short_program_needs_no_more_than_the_interpreter() {
    for limit in CRAMPED {
        let (code, out, err) = output(limited(limit, run(&["--engine", "auto"])));
        assert_eq!((code, out.as_str()), (0, "Hi\n"), "{limit}: {err}");
        assert!(err.is_empty() || callgate_native::check(CpuModel::default()).is_err(), "{limit}: {err}");
    }
}

#[test]
fn where_the_host_has_too_little_native_is_refused() {
    for limit in CRAMPED {
        let (code, out, err) = output(limited(limit, run(&["--engine", "native"])));
        assert_eq!((code, out.as_str()), (125, ""), "{limit}: {err}");
        let line = "callgate: --engine native can't be had here: ";
        assert!(err.starts_with(line) && err.lines().count() == 1, "{limit}: {err}");
    }
}

#[test]
fn the_interpreter_makes_do_with_little() {
    for limit in CRAMPED {
        let (code, out, err) = output(limited(limit, run(&["--engine", "interp"])));
        assert_eq!((code, out.as_str(), err.as_str()), (0, "Hi\n", ""), "{limit}");
    }
}

#[test]
fn little_memory_of_its_own_is_enough() {
    let (code, sum, _) = output(run_long(&["--engine", "interp"]));
    assert_eq!(code, 0);
    for limit in ["-d 1000000", "-d 20000"] {
        for engine in ["interp", "auto", "native"] {
            if engine == "native" && callgate_native::check(CpuModel::default()).is_err() {
                continue;
            }
            let (code, out, err) = output(limited(limit, run_long(&["--engine", engine])));
            assert_eq!((code, &out, err.as_str()), (0, &sum, ""), "{limit}, {engine}");
        }
    }
}

#[test]
fn a_limit_that_leaves_no_memory_is_told() {
    for engine in ["interp", "auto", "native"] {
        let (code, out, err) = output(limited("-v 400000", run(&["--engine", engine])));
        assert_eq!((code, out.as_str()), (125, ""), "{err}");
        assert_eq!(err, "callgate: the machine can't be made: Cannot allocate memory\n");
    }
}

#[test]
fn nobody_has_to_read_the_figures() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = run(&["--stats"]);
    let output = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(writer).output().expect("it can be run");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"Hi\n"[..]));
}
