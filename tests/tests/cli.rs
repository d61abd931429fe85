//! The command: what it shows, and what it says when it can't.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use callgate_tests::callgate::{self, workspace};
use callgate_tests::compile::{Compiler, compile};
use callgate_tests::run::Outcome;

/// A file with these bytes and the execute permission, in a directory of its own.
fn file(bytes: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("program");
    fs::write(&path, bytes).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    (directory, path)
}

fn article() -> PathBuf {
    compile(Compiler::Gcc, "article", &["-O0", "-g", "-no-pie", "-static"])
}

/// `callgate run PROGRAM` fails with `code` and one message, which names the program and says `what`.
fn refuses(program: &Path, code: i32, what: &str) {
    for verb in ["run", "trace", "explain"] {
        let outcome = callgate::command([verb.into(), OsString::from("--"), program.into()]);
        assert_eq!(outcome.code, code, "{verb}: {outcome:?}");
        assert_eq!(outcome.stdout, "", "{verb}");
        one_message(&outcome);
        assert!(outcome.stderr.contains(&*program.to_string_lossy()), "{verb}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(what), "{verb}: no {what:?} in {}", outcome.stderr);
    }
}

fn one_message(outcome: &Outcome) {
    let lines: Vec<_> = outcome.stderr.lines().collect();
    assert!(lines.len() == 1 && lines[0].starts_with("callgate: "), "not one message: {outcome:?}");
    no_panic(outcome);
}

fn no_panic(outcome: &Outcome) {
    assert!(!outcome.stderr.contains("panicked") && outcome.code != 101, "{outcome:?}");
}

/// The pieces stand in the text, each after the one before.
fn in_order(text: &str, pieces: &[&str]) {
    let mut rest = text;
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            panic!("no {piece:?} after what was found before it in\n{text}");
        };
        rest = &rest[at + piece.len()..];
    }
}

#[test]
fn a_missing_program_is_not_found() {
    refuses(Path::new("./no-such-program"), 127, "no such file");
}

#[test]
fn a_path_through_a_file_is_not_found() {
    let (_directory, path) = file(b"x", 0o755);
    refuses(&path.join("below"), 127, "no such file");
}

#[test]
fn a_directory_is_not_executable() {
    let directory = tempfile::tempdir().expect("a directory");
    refuses(directory.path(), 126, "is a directory");
}

#[test]
fn a_text_file_is_not_executable() {
    let (_directory, path) = file(b"just some text\n", 0o755);
    refuses(&path, 126, "is a text file");
}

#[test]
fn an_empty_file_is_not_executable() {
    let (_directory, path) = file(b"", 0o755);
    refuses(&path, 126, "is empty");
}

#[test]
fn a_truncated_program_is_not_executable() {
    let whole = fs::read(article()).expect("the program");
    // Within the header, within the program headers, within the code.
    for length in [5, 20, 63, 64, 100, 500] {
        let (_directory, path) = file(&whole[..length], 0o755);
        refuses(&path, 126, "is a truncated ELF file");
    }
}

#[test]
fn a_program_with_nonsense_in_its_headers_is_refused_without_a_panic() {
    let whole = fs::read(article()).expect("the program");
    let mut seed = 1u64;
    // The headers' fields one after the other, each with bytes that a linker would never write.
    for at in (4..64 + 56 * 4).step_by(4) {
        for value in [0u32, 1, 0x7fff_ffff, 0xffff_ffff] {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(u64::from(value));
            if seed >> 61 != 0 {
                continue; // one in eight is enough for every day
            }
            let mut bytes = whole.clone();
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            let (_directory, path) = file(&bytes, 0o755);
            let args = ["run", "--max-instructions", "1000000", "--"].map(OsString::from);
            no_panic(&callgate::command(args.into_iter().chain([path.into()])));
        }
    }
}

#[test]
fn a_program_for_another_machine_is_not_executable() {
    let mut bytes = fs::read(article()).expect("the program");
    bytes[18] = 183; // e_machine
    let (_directory, path) = file(&bytes, 0o755);
    refuses(&path, 126, "AArch64");
    bytes[18] = 3; // i386
    bytes[4] = 1; // of 32 bits
    let (_directory, path) = file(&bytes, 0o755);
    refuses(&path, 126, "i386");
}

#[test]
fn a_dynamic_program_without_its_interpreter_is_not_found() {
    let program = compile(Compiler::Gcc, "article", &["-O0", "-Wl,--dynamic-linker=/no/such/interpreter.so"]);
    refuses(&program, 127, "/no/such/interpreter.so");
}

#[test]
fn a_file_without_permission_is_not_executable() {
    let (_directory, path) = file(&fs::read(article()).expect("the program"), 0o644);
    refuses(&path, 126, "is not executable");
}

#[test]
fn unknown_options_are_our_own_error() {
    for args in
        [&["run"][..], &["run", "--entry", "sideways", "--", "x"], &["no-such-verb"], &["run", "--no-such-option"]]
    {
        let outcome = callgate::command(args);
        assert_eq!(outcome.code, 125, "{args:?}: {outcome:?}");
        assert!(outcome.stderr.starts_with("callgate: ") && outcome.stdout.is_empty(), "{args:?}: {outcome:?}");
        no_panic(&outcome);
    }
}

#[test]
fn every_command_has_help() {
    for verb in [&[][..], &["run"], &["trace"], &["explain"], &["tbl"], &["tbl", "check"], &["gen"], &["disasm"]] {
        let outcome = callgate::command(verb.iter().copied().chain(["--help"]));
        assert_eq!(outcome.code, 0, "{verb:?}: {outcome:?}");
        assert!(outcome.stdout.contains("Usage: callgate"), "{verb:?}: {outcome:?}");
    }
}

/// A group of commands without one of them says which there are, as help and not as a message.
#[test]
fn a_group_of_commands_alone_shows_its_help() {
    for group in ["gen", "tbl"] {
        let outcome = callgate::command([group]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (125, ""), "{outcome:?}");
        assert!(outcome.stderr.contains(&format!("Usage: callgate {group} <COMMAND>")), "{}", outcome.stderr);
        assert!(!outcome.stderr.starts_with("callgate: "), "{}", outcome.stderr);
    }
}

#[test]
fn a_guests_exit_code_is_ours() {
    let faults = compile(Compiler::Gcc, "faults", Compiler::Gcc.default_flags());
    for (kind, code) in [("exit-300", 44), ("null-write", 139), ("kill-self", 137)] {
        let args = [OsString::from("run"), "--".into(), faults.clone().into(), kind.into()];
        assert_eq!(callgate::command(args).code, code, "{kind}");
    }
}

#[test]
fn trace_prints_calls_as_strace_does() {
    let outcome = callgate::command([OsString::from("trace"), "--".into(), article().into()]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(outcome.stdout, "Hi\n");
    let line = outcome.stderr.lines().find(|line| line.contains("write(1")).expect("the call");
    assert!(line.contains(r#"write(1, "Hi\n", 3)"#) && line.ends_with("= 3"), "{line}");
    in_order(&outcome.stderr, &["brk(", "write(1", "exit_group(0)"]);
}

#[test]
fn explain_shows_the_whole_way_of_a_call() {
    let outcome = callgate::command([OsString::from("explain"), "--".into(), article().into()]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    shows_the_whole_way(&(outcome.stdout + &outcome.stderr));
}

#[test]
fn the_demonstration_explains_the_articles_program() {
    let outcome = callgate::command::<&str>([]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    shows_the_whole_way(&(outcome.stdout + &outcome.stderr));
}

/// All the elements, from the instruction to the next one after it; of the call that writes.
fn shows_the_whole_way(text: &str) {
    let handler = text.find("<__x64_sys_write>").unwrap_or_else(|| panic!("no handler in\n{text}"));
    let instruction = text[..handler].rfind("0f 05").unwrap_or_else(|| panic!("no instruction before it in\n{text}"));
    let call = &text[instruction..];
    let line = "read_write.rs:";
    let way = [
        "0f 05",
        "syscall",
        "rcx",
        "r11",
        "IA32_LSTAR",
        "<entry_SYSCALL_64>",
        "IA32_FMASK",
        "IA32_STAR",
        "ring",
        "3 → 0",
        "swapgs",
        "top of the kernel stack",
        "call do_syscall_64",
        "sys_call_table[1]",
        "<__x64_sys_write>",
        r#"write(1, "Hi\n", 3)"#,
        line,
        "vfs_write",
        "_write(",
        "pt_regs.ax ← 0x3",
        "swapgs",
        "sysretq",
        "0 → 3",
    ];
    in_order(call, &way);
    let number = call.split(line).nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    let number: usize = number.and_then(|number| number.parse().ok()).expect("a line number");
    let source = fs::read_to_string(workspace().join("kernel/src/fs/read_write.rs")).expect("the handler's file");
    let there = source.lines().skip(number.saturating_sub(1)).take(2).collect::<String>();
    assert!(there.contains("write"), "line {number} of read_write.rs is not the handler: {there}");
}

/// The generated header's numbers are those of the machine's own headers.
#[test]
fn gen_unistd_agrees_with_the_c_library() {
    let outcome = callgate::command(["gen", "unistd"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("generated.h"), &outcome.stdout).expect("a file");
    let mut program = String::from("#include \"generated.h\"\n#include <sys/syscall.h>\n");
    let mut calls = 0;
    for name in outcome.stdout.split("#define __NR_").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
        program += &format!("#ifdef SYS_{name}\n_Static_assert(SYS_{name} == __NR_{name}, \"{name}\");\n#endif\n");
        calls += 1;
    }
    assert!(calls > 350, "only {calls} calls");
    fs::write(directory.path().join("check.c"), program).expect("a file");
    let gcc = Command::new("gcc").args(["-c", "check.c"]).current_dir(directory.path()).output().expect("gcc");
    assert!(gcc.status.success(), "{}", String::from_utf8_lossy(&gcc.stderr));
}

#[test]
fn the_listings_name_what_can_be_disassembled() {
    let listing = callgate::command(["gen", "kallsyms"]);
    assert_eq!(listing.code, 0, "{listing:?}");
    for symbol in ["entry_SYSCALL_64", "do_syscall_64", "sys_call_table", "__x64_sys_write", "entry_INT80_compat"] {
        let line = listing.stdout.lines().find(|line| line.split_whitespace().nth(2) == Some(symbol));
        let line = line.unwrap_or_else(|| panic!("no {symbol} in the listing"));
        assert!(line.starts_with("ffffffff8"), "{line}");
    }
    let map = callgate::command(["gen", "system-map"]);
    assert_eq!(map.code, 0);
    assert!(map.stdout.lines().any(|line| line.ends_with(" entry_SYSCALL_64")), "{}", map.stdout);
    let code = callgate::command(["disasm", "entry_SYSCALL_64"]);
    assert_eq!(code.code, 0);
    in_order(&code.stdout, &["swapgs", "call", "do_syscall_64", "swapgs", "sysret"]);
    let none = callgate::command(["disasm", "no_such_symbol"]);
    assert_eq!(none.code, 125);
    one_message(&none);
}

#[test]
fn gen_makes_linuxs_other_files() {
    let syscalls = callgate::command(["gen", "syscalls"]);
    assert!(syscalls.stdout.contains("__SYSCALL(0, sys_read)"), "{}", syscalls.stdout);
    let rust = callgate::command(["gen", "rust"]);
    assert!(rust.stdout.contains("__NR_write: u32 = 1"), "{}", rust.stdout);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("unistd_64.h");
    let to_file = callgate::command([OsString::from("gen"), "unistd".into(), "-o".into(), path.clone().into()]);
    assert_eq!((to_file.code, to_file.stdout.as_str()), (0, ""), "{to_file:?}");
    assert_eq!(fs::read_to_string(path).expect("the file"), callgate::command(["gen", "unistd"]).stdout);
}

/// One process makes what eight would, and what a line can't make is said with the line's place.
#[test]
fn gen_batch_makes_many_outputs() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let table = workspace().join("syscall_64.tbl");
    let lines = format!(
        "# what x86 needs\n\nunistd --abis common,64 {table} -o {a}\n\tunistd --abis x32 --prefix x32_ {table} -o {b}\n\
         syscalls --abis common,64 {table} -o {c}\n",
        table = table.display(),
        a = path("unistd_64.h").display(),
        b = path("unistd_64_x32.h").display(),
        c = path("syscalls_64.h").display(),
    );
    fs::write(path("headers.list"), &lines).expect("a file");
    let batch = || callgate::command([OsString::from("gen"), "batch".into(), path("headers.list").into()]);
    let outcome = batch();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{outcome:?}");
    let made = |name| fs::read_to_string(path(name)).expect("it was made");
    let alone = callgate::command(["gen", "unistd", "--abis", "common,64"]);
    assert_eq!(made("unistd_64.h"), alone.stdout);
    assert!(made("unistd_64_x32.h").starts_with("#ifndef _UAPI_ASM_UNISTD_64_X32_H\n"));
    assert!(made("syscalls_64.h").contains("__SYSCALL(0, sys_read)\n"));

    // All lines are read before anything is made.
    fs::remove_file(path("unistd_64.h")).expect("it was made");
    fs::write(path("headers.list"), lines.clone() + "unistd --prefixes x\n").expect("a file");
    let outcome = batch();
    assert_eq!(outcome.code, 125, "{outcome:?}");
    assert!(outcome.stderr.contains("headers.list:6: unexpected argument '--prefixes' found"), "{}", outcome.stderr);
    assert!(!path("unistd_64.h").exists());

    fs::write(path("headers.list"), lines + "rust no-such.tbl\n").expect("a file");
    let outcome = batch();
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stderr.contains("no-such.tbl") && path("unistd_64.h").exists(), "{outcome:?}");
}

#[test]
fn our_own_tables_are_right() {
    for table in ["syscall_64.tbl", "syscall_32.tbl"] {
        let path = workspace().join(table);
        let outcome = callgate::command([OsString::from("tbl"), "check".into(), path.into()]);
        assert_eq!(outcome.code, 0, "{table}: {outcome:?}");
    }
}

/// `tbl check` refuses a table with these bytes, and points at `place` in it.
fn table_is_refused(bytes: &[u8], place: &str, what: &str) {
    let (_directory, path) = file(bytes, 0o644);
    let outcome = callgate::command([OsString::from("tbl"), "check".into(), path.clone().into()]);
    assert!(outcome.code != 0 && outcome.code < 126, "{outcome:?}");
    no_panic(&outcome);
    let place = format!("{}{place}", path.display());
    let said = outcome.stdout + &outcome.stderr;
    assert!(said.contains(&place), "no {place} in\n{said}");
    assert!(said.contains(what), "no {what:?} in\n{said}");
}

#[test]
fn malformed_tables_are_refused_at_their_place() {
    table_is_refused(b"0 common read sys_read\n0 common write sys_write\n", ":2:1", "taken already");
    table_is_refused(b"0 common read sys_read - noreturn more\n", ":1:", "column");
    table_is_refused(b"0 common read sys_read - maybe\n", ":1:", "noreturn");
    table_is_refused(b"99999999999 common read sys_read\n", ":1:1", "99999999999");
    table_is_refused(b"0 common read sys-read!\n", ":1:15", "sys-read!");
    table_is_refused(b"2 common open sys_open\n1 common write sys_write\n", ":2:1", "not sorted");
    table_is_refused(b"read common 0 sys_read\n", ":1:1", "");
    table_is_refused(b"0\n", ":1:", "");
    table_is_refused(b"0 common\n", ":1:", "");
    table_is_refused(b"0 common read sys_read\r\n", ":1:", "");
    table_is_refused(b"", "", "no rows");
    table_is_refused(b"# nothing but a comment\n", "", "no rows");
    table_is_refused(&fs::read(article()).expect("a binary file"), "", "");
    table_is_refused(b"0 common \xff\xfe sys_read\n", "", "");
}

#[test]
fn a_table_that_is_missing_or_a_directory_is_one_message() {
    let directory = tempfile::tempdir().expect("a directory");
    for path in [directory.path().join("missing.tbl"), directory.path().to_owned()] {
        let outcome = callgate::command([OsString::from("tbl"), "check".into(), path.clone().into()]);
        assert!(outcome.code != 0 && outcome.code < 126, "{outcome:?}");
        no_panic(&outcome);
        assert_eq!(outcome.stderr.matches("error: ").count(), 1, "{outcome:?}");
        assert!(outcome.stderr.contains(&*path.to_string_lossy()), "{outcome:?}");
    }
}

#[test]
fn instructions_can_be_limited() {
    let program = compile(Compiler::Gcc, "bench/loop", Compiler::Gcc.default_flags());
    let args = ["run", "--max-instructions", "100000", "--"].map(OsString::from);
    let outcome = callgate::command(args.into_iter().chain([program.into(), "1000000000".into()]));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (125, ""), "{outcome:?}");
    one_message(&outcome);
}

#[test]
fn equal_seeds_make_equal_runs() {
    let program = compile(Compiler::Gcc, "random", Compiler::Gcc.default_flags());
    let run =
        |option: &str| callgate::command([OsString::from("run"), option.into(), "--".into(), program.clone().into()]);
    let first = run("--deterministic=7");
    assert_eq!(first.code, 0, "{first:?}");
    assert_eq!(first, run("--deterministic=7"));
    assert_ne!(first, run("--deterministic=8"));
}

/// A guest sees nothing of the host but its program.
#[test]
fn the_host_is_out_of_sight() {
    let directory = tempfile::tempdir().expect("a directory");
    let secret = directory.path().join("secret");
    fs::write(&secret, "of the host").expect("a file");
    let program = compile(Compiler::Gcc, "cat", Compiler::Gcc.default_flags());
    for path in [secret, "/etc/shadow".into(), workspace().join("Cargo.toml"), "/proc/self/root/etc/shadow".into()] {
        let args = [OsString::from("run"), "--".into(), program.clone().into(), path.clone().into()];
        let outcome = callgate::command(args);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{}: {outcome:?}", path.display());
    }
}

/// Exit code, output and complaints of what a shell makes of a line, in which `$1` and so on are these words.
fn shell(line: &str, words: &[OsString]) -> (Option<i32>, String, String) {
    let mut command = Command::new("sh");
    let output = command.arg("-c").arg(line).arg("sh").args(words).output().expect("a shell");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_is_closed_is_null_to_the_guest() {
    let run = |line, program: PathBuf, args: &[&str]| {
        let words = [callgate::binary().into(), "run".into(), program.into()];
        shell(line, &words.into_iter().chain(args.iter().map(OsString::from)).collect::<Vec<_>>())
    };
    let nothing = (Some(0), String::new(), String::new());
    // Neither the program's file nor the guest's memory takes the place.
    let cat = compile(Compiler::Gcc, "cat", Compiler::Gcc.default_flags());
    assert_eq!(run("exec \"$@\" <&-", cat, &["/dev/stdin"]), nothing);
    assert_eq!(run("exec \"$@\" <&- >&-", article(), &[]), nothing);
}

#[test]
fn nobody_has_to_read_a_listing_to_its_end() {
    let (_, out, err) = shell("\"$1\" gen kallsyms | head -n 1", &[callgate::binary().into()]);
    assert_eq!((out.lines().count(), err.as_str()), (1, ""));
}
