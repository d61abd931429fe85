//! From the sources of `tests/guests/` to programs, each content once: the program's directory is named by a hash of
//! the source, of what it includes and of the command.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::callgate::{profile_dir, workspace};

/// What makes a program of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compiler {
    /// `gcc -static`, with glibc.
    Gcc,
    /// `musl-gcc -static`, with musl.
    Musl,
    /// `rustc` with the C runtime linked statically.
    Rust,
}

impl Compiler {
    fn command(self) -> &'static str {
        match self {
            Compiler::Gcc => "gcc",
            Compiler::Musl => "musl-gcc",
            Compiler::Rust => "rustc",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Compiler::Gcc | Compiler::Musl => "c",
            Compiler::Rust => "rs",
        }
    }

    /// The flags of a guest that asks for no others.
    #[must_use]
    pub fn default_flags(self) -> &'static [&'static str] {
        match self {
            Compiler::Gcc | Compiler::Musl => &["-O2", "-static"],
            Compiler::Rust => &["-O", "-Ctarget-feature=+crt-static", "--edition=2024"],
        }
    }

    /// Whether the machine has it.
    #[must_use]
    pub fn is_installed(self) -> bool {
        Command::new(self.command()).arg("--version").output().is_ok_and(|output| output.status.success())
    }
}

/// Whether gcc finds the static library `lib{name}.a`.
#[must_use]
pub fn has_library(name: &str) -> bool {
    let output = Command::new("gcc").arg(format!("-print-file-name=lib{name}.a")).output();
    // What it doesn't find it prints as it was asked for.
    output.is_ok_and(|output| output.stdout.starts_with(b"/"))
}

/// Where the guests' sources are.
#[must_use]
pub fn sources() -> PathBuf {
    workspace().join("tests/guests")
}

/// A directory below `target` for what tests make.
#[must_use]
pub fn scratch() -> PathBuf {
    profile_dir().parent().expect("a target directory").join("tmp/guests")
}

/// Compiles the guest `name` and returns the program's path, which ends in the name.
///
/// # Panics
/// If it doesn't compile: the guests are ours.
#[must_use]
pub fn compile(compiler: Compiler, name: &str, flags: &[&str]) -> PathBuf {
    let source = sources().join(name).with_extension(compiler.extension());
    let mut key = DefaultHasher::new();
    (compiler, flags).hash(&mut key);
    for file in [&source, &sources().join("guest.h")] {
        std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).hash(&mut key);
    }
    let stem = Path::new(name).file_name().unwrap_or(OsStr::new(name));
    let program = scratch().join(format!("{:016x}", key.finish())).join(stem);
    if program.exists() {
        return program;
    }
    // Compiled under another name first: tests run side by side, and one may not execute what another still writes.
    let directory = program.parent().expect("a directory");
    std::fs::create_dir_all(directory).expect("a directory for the program");
    let unfinished =
        tempfile::Builder::new().prefix("unfinished").tempdir_in(directory).expect("a directory for the compiler");
    let output = unfinished.path().join("program");
    let mut command = Command::new(compiler.command());
    // Archives are searched for what the files before them lack.
    let (libraries, flags): (Vec<&str>, Vec<&str>) = flags.iter().partition(|flag| flag.starts_with("-l"));
    command.args(flags).arg("-o").arg(&output).arg(&source).args(libraries);
    if compiler != Compiler::Rust {
        command.args(["-w", "-lm"]);
    }
    let result = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(result.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&result.stderr));
    std::fs::rename(&output, &program).expect("the finished program has its name");
    program
}
