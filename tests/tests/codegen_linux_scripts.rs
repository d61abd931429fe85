//! Our headers against those of Linux's own scripts, byte for byte, for every table of a Linux source tree.
//!
//! The tree is named by `CALLGATE_LINUX_SOURCE`, or several are, with colons between them (Debian's packages
//! `linux-source-6.1` and `linux-source-6.12`, unpacked; only `*.tbl` and `scripts/` are used). Without it the test says
//! that it was skipped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use callgate_codegen::emit::{self, Unistd};
use callgate_codegen::{AbiFilter, Table};

#[test]
fn headers_are_those_of_linux_scripts() {
    let trees = std::env::var_os("CALLGATE_LINUX_SOURCE").filter(|trees| !trees.is_empty());
    let Some(trees) = trees else {
        eprintln!("SKIPPED: CALLGATE_LINUX_SOURCE names no Linux source tree");
        return;
    };
    for tree in std::env::split_paths(&trees) {
        compare(&tree);
    }
}

/// Every table of a tree, with every choice of its rows and the options that Linux's Makefiles use.
fn compare(tree: &Path) {
    let out = tempfile::tempdir().expect("a temporary directory");
    let mut tables = Vec::new();
    find_tables(tree, &mut tables);
    assert!(!tables.is_empty(), "no tables below {}", tree.display());
    let (mut compared, mut refused) = (0, 0);
    let syscalltbl = std::fs::read_to_string(tree.join("scripts/syscalltbl.sh")).expect("Linux's script");
    let dash_is_none = syscalltbl.contains("noreturn");
    for path in &tables {
        let table = Table::read(path).unwrap_or_else(|error| panic!("{error}"));
        let printed = Table::parse("printed", table.to_string()).unwrap_or_else(|error| panic!("{error}"));
        assert!(table.rows().eq(printed.rows()), "{}: printing changes it", path.display());

        let abis: BTreeSet<&str> = table.rows().map(|row| row.abi.as_str()).collect();
        let mut choices = vec![String::new()];
        choices.extend(abis.iter().flat_map(|abi| [(*abi).to_owned(), format!("common,{abi}")]));
        choices.push("common,time32,64,renameat,rlimit,memfd_secret".to_owned());
        for choice in &choices {
            let filter = AbiFilter::new(choice);
            for (offset, prefix, emit_nr) in [
                (None, "", false),
                (None, "", true),
                (None, "ia32_", true),
                (Some("__X32_SYSCALL_BIT"), "", true),
                (Some("__NR_Linux"), "x32_", false),
            ] {
                let mut args: Vec<&str> = Vec::new();
                if !choice.is_empty() {
                    args.extend(["--abis", choice]);
                }
                if let Some(offset) = offset {
                    args.extend(["--offset", offset]);
                }
                if !prefix.is_empty() {
                    args.extend(["--prefix", prefix]);
                }
                if emit_nr {
                    args.push("--emit-nr");
                }
                let theirs = script(tree, "syscallhdr.sh", &args, path, &out.path().join("unistd_64__x-y.h"));
                let options = Unistd {
                    abis: filter.clone(),
                    offset: offset.map(str::to_owned),
                    prefix: prefix.to_owned(),
                    emit_nr,
                };
                let ours = emit::unistd(&table, "unistd_64__x-y.h", &options);
                assert_eq!(theirs.as_deref(), Some(&*ours), "{} {args:?}", path.display());
                compared += 1;
            }
            let args: &[&str] = if choice.is_empty() { &[] } else { &["--abis", choice] };
            let theirs = script(tree, "syscalltbl.sh", args, path, &out.path().join("syscalls.h"));
            match (theirs, emit::syscalls(&table, &filter)) {
                (Some(theirs), Ok(ours)) => {
                    let theirs = if dash_is_none { theirs } else { without_dashes(&theirs) };
                    assert_eq!(theirs, ours, "{} {choice}", path.display());
                }
                (None, Err(_)) => refused += 1,
                (theirs, ours) => panic!("{} {choice}: {:?} {ours:?}", path.display(), theirs.is_some()),
            }
            compared += 1;
        }
    }
    println!(
        "{}: {} tables, {compared} outputs compared ({refused} refused by both), 0 differences",
        tree.display(),
        tables.len()
    );
}

/// What a script of the tree writes, or `None` if it refuses.
fn script(tree: &Path, name: &str, args: &[&str], table: &Path, out: &Path) -> Option<String> {
    let mut command = Command::new("sh");
    command.arg(tree.join("scripts").join(name)).args(args).arg(table).arg(out);
    let done = command.output().expect("sh runs");
    done.status.success().then(|| std::fs::read_to_string(out).expect("the script wrote it"))
}

fn find_tables(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(dir).expect("a directory").flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match path.is_dir() {
            true => find_tables(&path, found),
            false if name.starts_with("syscall") && name.ends_with(".tbl") => found.push(path),
            false => {}
        }
    }
}

/// Scripts from before there was a column for noreturn took `-` for a compat entry point of that name. One row of one
/// table of 6.1 has it (s390's ioperm); we give what later scripts make of it.
fn without_dashes(made: &str) -> String {
    let line = |line: &str| match line.strip_prefix("__SYSCALL_WITH_COMPAT(").and_then(|rest| rest.strip_suffix(", -)"))
    {
        Some(rest) => format!("__SYSCALL({rest})\n"),
        None => format!("{line}\n"),
    };
    made.lines().map(line).collect()
}
