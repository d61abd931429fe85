//! What a test says: a program, and that it behaves here as it does natively.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use callgate_emulator::CpuModel;
use similar::TextDiff;

use crate::callgate;
use crate::compile::{Compiler, compile, has_library};
use crate::run::{Outcome, run};
use crate::skip;

/// Native runs take milliseconds; a machine that compiles beside them may be slow.
const NATIVE_LIMIT: Duration = Duration::from_secs(60);
/// On callgate they run on an interpreter, which a debug build of the kernel drives.
const CALLGATE_LIMIT: Duration = Duration::from_secs(180);

/// The two ways of a system call, which must mean the same.
pub const ENTRIES: [&str; 2] = ["direct", "image"];

/// The engines, which must do the same.
pub const ENGINES: [&str; 2] = ["interp", "native"];

/// A program and how to run it.
#[derive(Clone, Debug)]
pub struct Guest {
    program: Program,
    args: Vec<OsString>,
    input: Option<Vec<u8>>,
    needs_root: bool,
    options: Vec<OsString>,
    tunables: &'static str,
    entries: &'static [&'static str],
    normalise: fn(&str) -> String,
    expected_code: Option<i32>,
}

#[derive(Clone, Debug)]
enum Program {
    Source { compiler: Compiler, name: String, flags: Vec<&'static str> },
    Installed(PathBuf),
}

impl Guest {
    /// The guest `name` of `tests/guests/`, compiled with `compiler`.
    #[must_use]
    pub fn new(compiler: Compiler, name: &str) -> Guest {
        Guest::of(Program::Source { compiler, name: name.to_owned(), flags: compiler.default_flags().to_vec() })
    }

    /// A program that the machine has.
    #[must_use]
    pub fn installed(path: &Path) -> Guest {
        Guest::of(Program::Installed(path.to_owned()))
    }

    fn of(program: Program) -> Guest {
        Guest {
            program,
            args: Vec::new(),
            input: None,
            needs_root: false,
            options: Vec::new(),
            tunables: "",
            entries: &ENTRIES,
            normalise: str::to_owned,
            expected_code: None,
        }
    }

    /// Compiles with these flags and no others.
    #[must_use]
    pub fn flags(mut self, new: &[&'static str]) -> Guest {
        if let Program::Source { flags, .. } = &mut self.program {
            *flags = new.to_vec();
        }
        self
    }

    /// Passes these arguments.
    #[must_use]
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Guest {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Gives these bytes on standard input, through a pipe. Without it, standard input is /dev/null.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Guest {
        self.input = Some(bytes.into());
        self
    }

    /// Does nothing unless the native run is root's, as every guest on callgate is.
    #[must_use]
    pub fn needs_root(mut self) -> Guest {
        self.needs_root = true;
        self
    }

    /// Runs on a processor of this level: v1 to v4. Natively glibc is told not to use what that lacks. On v4 the native engine
    /// takes part where the host has AVX-512.
    #[must_use]
    pub fn level(mut self, level: &str) -> Guest {
        self.options = ["--cpu", level].map(Into::into).into();
        self.tunables = match level {
            "v1" => "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-BMI1,-BMI2,-LZCNT,-MOVBE,-SSE4_2,-SSE4_1,-SSSE3,-SSE3,-POPCNT",
            "v2" => "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-BMI1,-BMI2,-LZCNT,-MOVBE",
            _ => "",
        };
        self
    }

    /// Runs by the direct route alone: for a program that computes and hardly calls the kernel.
    #[must_use]
    pub fn direct_only(mut self) -> Guest {
        self.entries = &ENTRIES[..1];
        self
    }

    /// Rewrites both outputs before they are compared, where the native one depends on the machine.
    #[must_use]
    pub fn normalise(mut self, rewrite: fn(&str) -> String) -> Guest {
        self.normalise = rewrite;
        self
    }

    /// States the exit code (128 + n for signal n), which the native run too must have.
    #[must_use]
    pub fn ends_with(mut self, code: i32) -> Guest {
        self.expected_code = Some(code);
        self
    }

    /// Runs natively, then on callgate by both routes, and compares.
    ///
    /// With `CALLGATE_NATIVE_ONLY` in the environment it runs natively twice instead: for who writes a guest, to see
    /// first that Linux itself keeps what the guest takes for a promise, and that the guest prints nothing that differs
    /// between two good runs.
    ///
    /// # Panics
    /// If an output or an exit code differs, with the differences; or if the native run breaks a promise that the guest
    /// states.
    pub fn check(&self) {
        let Some(native) = self.native() else { return };
        if std::env::var_os("CALLGATE_NATIVE_ONLY").is_some() {
            self.compare("natively again", &native, &self.native().expect("it ran before"));
            return;
        }
        let v4 = self.options.iter().any(|option| option == "v4");
        let lacks = callgate_native::check(if v4 { CpuModel::V4 } else { CpuModel::default() }).err();
        for engine in ENGINES {
            if let (true, "native", Some(why)) = (v4, engine, &lacks) {
                skip(&format!("the native engine: {why}"));
                continue;
            }
            for entry in self.entries {
                let how = format!("callgate --engine {engine} --entry {entry}");
                self.compare(&how, &native, &self.on_callgate(engine, entry));
            }
        }
    }

    /// Runs natively and checks that Linux keeps the promises that the guest states. None where it can't run.
    ///
    /// # Panics
    /// If a promise is broken.
    #[must_use]
    pub fn native(&self) -> Option<Outcome> {
        if let Program::Source { compiler, .. } = &self.program
            && !compiler.is_installed()
        {
            skip(&format!("no {compiler:?} compiler"));
            return None;
        }
        if let Program::Source { flags, .. } = &self.program
            && let Some(library) =
                flags.iter().filter_map(|flag| flag.strip_prefix("-l")).find(|name| !has_library(name))
        {
            skip(&format!("no lib{library}.a"));
            return None;
        }
        if self.needs_root && !native_is_root() {
            eprintln!("skipped: not root, natively");
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory for the guest");
        let mut args = vec![format!("GLIBC_TUNABLES={}", self.tunables).into(), self.path().into()];
        args.extend(self.args.iter().cloned());
        let (program, args) = match self.tunables {
            "" => (self.path(), &self.args),
            _ => (PathBuf::from("/usr/bin/env"), &args),
        };
        let outcome = run(&program, args, directory.path(), self.input.as_deref(), NATIVE_LIMIT);
        assert!(!outcome.stdout.contains("WRONG"), "this machine's own kernel breaks a promise:\n{}", outcome.stdout);
        if let Some(code) = self.expected_code {
            assert_eq!(outcome.code, code, "the native exit code; output:\n{}{}", outcome.stdout, outcome.stderr);
        }
        Some(outcome)
    }

    /// Runs on callgate, on an engine and by the route `entry`.
    #[must_use]
    pub fn on_callgate(&self, engine: &str, entry: &str) -> Outcome {
        let directory = tempfile::tempdir().expect("a directory for callgate");
        let mut args: Vec<OsString> =
            ["run", "--engine", engine, "--entry", entry, "--cwd", "/tmp"].map(Into::into).into();
        args.extend(self.options.iter().cloned());
        args.push("--".into());
        args.push(self.path().into());
        args.extend(self.args.iter().cloned());
        run(callgate::binary(), &args, directory.path(), self.input.as_deref(), CALLGATE_LIMIT)
    }

    fn path(&self) -> PathBuf {
        match &self.program {
            Program::Source { compiler, name, flags } => compile(*compiler, name, flags),
            Program::Installed(path) => path.clone(),
        }
    }

    fn compare(&self, how: &str, native: &Outcome, here: &Outcome) {
        let mut report = String::new();
        for (stream, native, here) in
            [("stdout", &native.stdout, &here.stdout), ("stderr", &native.stderr, &here.stderr)]
        {
            let (native, here) = ((self.normalise)(native), (self.normalise)(here));
            if native != here {
                let diff = TextDiff::from_lines(&native, &here);
                report +=
                    &format!("{stream} differs:\n{}", diff.unified_diff().context_radius(2).header("native", how));
            }
        }
        if native.code != here.code {
            report += &format!("the exit code is {} natively and {} here\n{}", native.code, here.code, here.stderr);
        }
        assert!(report.is_empty(), "{}, {how}:\n{report}", self.path().display());
    }
}

fn native_is_root() -> bool {
    // The owner of /proc/self is who runs this.
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("/proc/self")) == 0
}
