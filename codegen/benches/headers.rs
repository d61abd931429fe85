//! How fast headers are made.
//!
//! `cargo bench -p callgate-codegen`. With `CALLGATE_LINUX_SOURCE` naming a Linux source tree (Debian's `linux-source-6.1`
//! or later, unpacked; the last one if there are colons), the eight headers that Linux's build makes for x86 are made
//! - by Linux's own scripts, one after the other, as `make` calls them,
//! - by one process that uses this crate and nothing else (this program itself),
//! - by one `callgate gen batch`, if `cargo build --release` has built the command, which is a program of 30 MB.
//!
//! Each reads the tables and writes the files; once they are not there, and once they are there already. The results are
//! compared byte for byte. Parsing a table and making two headers of it is measured inside a process.

#![forbid(unsafe_code)]

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use callgate_codegen::emit::{self, Unistd};
use callgate_codegen::{AbiFilter, Table, write_if_changed};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The variable that makes a process of this program the generator: the directories of tables and of headers.
const GENERATE: &str = "CALLGATE_BENCH_GENERATE";

/// One header of Linux's arch/x86/entry/syscalls/Makefile.
struct Header {
    name: &'static str,
    table: &'static str,
    abis: &'static str,
    offset: Option<&'static str>,
    prefix: &'static str,
}

const fn header(name: &'static str, table: &'static str, abis: &'static str) -> Header {
    Header { name, table, abis, offset: None, prefix: "" }
}

const HEADERS: [Header; 8] = [
    header("unistd_32.h", "syscall_32.tbl", "i386"),
    Header { prefix: "ia32_", ..header("unistd_32_ia32.h", "syscall_32.tbl", "i386") },
    header("unistd_64.h", "syscall_64.tbl", "common,64"),
    Header { offset: Some("__X32_SYSCALL_BIT"), ..header("unistd_x32.h", "syscall_64.tbl", "common,x32") },
    Header { prefix: "x32_", ..header("unistd_64_x32.h", "syscall_64.tbl", "x32") },
    header("syscalls_32.h", "syscall_32.tbl", "i386"),
    header("syscalls_64.h", "syscall_64.tbl", "common,64"),
    header("syscalls_x32.h", "syscall_64.tbl", "common,x32"),
];

fn main() -> Result<()> {
    if let Some(dirs) = env::var_os(GENERATE) {
        let mut dirs = env::split_paths(&dirs);
        let dir = || "two directories are expected";
        return generate(&dirs.next().ok_or_else(dir)?, &dirs.next().ok_or_else(dir)?);
    }
    let trees = env::var_os("CALLGATE_LINUX_SOURCE").filter(|trees| !trees.is_empty());
    let tree = trees.and_then(|trees| env::split_paths(&trees).last());
    match &tree {
        Some(tree) => against_scripts(tree)?,
        None => println!("SKIPPED: CALLGATE_LINUX_SOURCE names no Linux source tree, whose scripts could be measured"),
    }
    in_process(tree.as_deref())
}

/// What the process does that is measured.
fn generate(tables: &Path, out: &Path) -> Result<()> {
    for table in ["syscall_32.tbl", "syscall_64.tbl"] {
        let parsed = Table::read(tables.join(table))?;
        for header in HEADERS.iter().filter(|header| header.table == table) {
            write_if_changed(out.join(header.name), text(&parsed, header)?)?;
        }
    }
    Ok(())
}

fn text(table: &Table, header: &Header) -> Result<String> {
    let abis = AbiFilter::new(header.abis);
    Ok(match header.name.starts_with("unistd") {
        true => {
            let offset = header.offset.map(str::to_owned);
            let options = Unistd { abis, offset, prefix: header.prefix.to_owned(), emit_nr: false };
            emit::unistd(table, header.name, &options)
        }
        false => emit::syscalls(table, &abis)?,
    })
}

fn against_scripts(tree: &Path) -> Result<()> {
    let tables = tree.join("arch/x86/entry/syscalls");
    let dir = env::temp_dir().join(format!("callgate-headers-{}", std::process::id()));
    let (theirs, ours) = (dir.join("theirs"), dir.join("ours"));
    let this = env::current_exe()?;
    let mut library = child(&this);
    library.env(GENERATE, env::join_paths([&tables, &ours])?);
    let mut ways = vec![("one process", library)];
    match this.ancestors().nth(2).map(|dir| dir.join("callgate")).filter(|path| path.exists()) {
        Some(path) => {
            let mut command = child(path);
            command.args(["gen", "batch"]).arg(dir.join("headers.list"));
            ways.push(("callgate gen batch", command));
        }
        None => println!("SKIPPED: `callgate gen batch`, which `cargo build --release` builds"),
    }
    let mut scripts = Vec::new();
    let mut times = vec![(Vec::new(), Vec::new()); ways.len()];
    for _ in 0..40 {
        fresh(&theirs)?;
        let start = Instant::now();
        for header in &HEADERS {
            let script = if header.name.starts_with("unistd") { "syscallhdr.sh" } else { "syscalltbl.sh" };
            let mut sh = child("sh");
            sh.arg(tree.join("scripts").join(script)).args(options(header));
            let status = sh.arg(tables.join(header.table)).arg(theirs.join(header.name)).status()?;
            assert!(status.success(), "{}", header.name);
        }
        scripts.push(start.elapsed());
        fs::write(dir.join("headers.list"), batch(&tables, &ours))?;
        for ((name, command), (first, again)) in ways.iter_mut().zip(&mut times) {
            fresh(&ours)?;
            for times in [first, again] {
                let start = Instant::now();
                let status = command.status()?;
                times.push(start.elapsed());
                assert!(status.success(), "{name}");
            }
            for header in &HEADERS {
                let same = fs::read(theirs.join(header.name))? == fs::read(ours.join(header.name))?;
                assert!(same, "{}: {name} makes it otherwise than Linux's script", header.name);
            }
        }
    }
    fs::remove_dir_all(&dir)?;
    let scripts = fastest(&scripts)?;
    println!("the eight headers of x86, equal to Linux's byte for byte");
    println!("  {:<38}{scripts:>10.2?}", "Linux's scripts");
    for ((name, _), (first, again)) in ways.iter().zip(times) {
        for (what, times) in [("", first), (", nothing to change", again)] {
            let time = fastest(&times)?;
            let factor = scripts.as_secs_f64() / time.as_secs_f64();
            println!("  {:<38}{time:>10.2?}   {factor:.0} times faster", format!("{name}{what}"));
        }
    }
    Ok(())
}

/// A command as a shell would start it: without the directories that cargo has libraries looked for in.
fn child(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// An empty directory.
fn fresh(dir: &Path) -> std::io::Result<()> {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir)
}

/// The options that a header takes, of the scripts and of the command.
fn options(header: &Header) -> Vec<&str> {
    let mut options = vec!["--abis", header.abis];
    options.extend(header.offset.iter().flat_map(|offset| ["--offset", offset]));
    if !header.prefix.is_empty() {
        options.extend(["--prefix", header.prefix]);
    }
    options
}

/// The headers as `callgate gen batch` reads them.
fn batch(tables: &Path, out: &Path) -> String {
    let line = |header: &Header| {
        let what = if header.name.starts_with("unistd") { "unistd" } else { "syscalls" };
        let (table, path) = (tables.join(header.table), out.join(header.name));
        format!("{what} {} {} -o {}\n", options(header).join(" "), table.display(), path.display())
    };
    HEADERS.iter().map(line).collect()
}

fn in_process(tree: Option<&Path>) -> Result<()> {
    let mut tables = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../syscall_32.tbl")];
    if let Some(tree) = tree {
        find_tables(tree, &mut tables);
    }
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let largest = tables.iter().max_by_key(|path| size(path)).ok_or("there is no table")?;
    let source = fs::read_to_string(largest)?;
    let (mut times, mut rows) = (Vec::new(), 0);
    for _ in 0..500 {
        let start = Instant::now();
        let table = Table::parse("table", source.as_str())?;
        // One abi, because the rows of several need not ascend together.
        let abi = table.rows().next().map_or("", |row| row.abi.as_str());
        let abis = AbiFilter::new(abi);
        let made = emit::unistd(&table, "unistd.h", &Unistd { abis: abis.clone(), ..Unistd::default() });
        let calls = emit::syscalls(&table, &abis)?;
        times.push(start.elapsed());
        assert!(!made.is_empty() && !calls.is_empty());
        rows = table.rows().count();
    }
    println!("{}, {} bytes, {rows} rows", largest.display(), source.len());
    println!("  parse and emit    {:>10.2?}", fastest(&times)?);
    Ok(())
}

fn find_tables(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => find_tables(&path, found),
            Ok(kind) if kind.is_file() && path.extension().is_some_and(|end| end == "tbl") => found.push(path),
            _ => {}
        }
    }
}

/// The run that other processes of the machine disturbed least.
fn fastest(times: &[Duration]) -> Result<Duration> {
    Ok(*times.iter().min().ok_or("nothing was measured")?)
}
