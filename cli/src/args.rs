//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use callgate_kernel::Config;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::calls::CallSet;
use crate::deferred::Deferred;
use crate::generate::GenCommand;
use crate::tbl::TblCommand;

/// Run Linux programs on a generated kernel, and see every system call.
///
/// Rows of syscall_64.tbl and functions with a SYSCALL_DEFINE attribute make a kernel; x86-64 Linux
/// programs run on it, on an emulated core, without a virtual machine and without privileges.
/// Without a command, a small program that writes "Hi" is run and explained.
#[derive(Debug, Parser)]
#[command(name = "callgate", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do; without it, the built-in demonstration.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Cli {
    /// What a command line says that runs a program without options, as most do. Clap would say the same, once it has been
    /// told of all options there are, for which it needs a twentieth of the time that a small program runs.
    pub(crate) fn without_options(mut words: impl Iterator<Item = OsString>) -> Option<Cli> {
        words.nth(1).filter(|command| command == "run")?;
        let command: Vec<OsString> = words.collect();
        command.first().filter(|program| !program.as_encoded_bytes().starts_with(b"-"))?;
        let guest = GuestArgs {
            env: Vec::new(),
            cwd: "/".into(),
            engine: EngineChoice::Auto,
            cpu: CpuChoice::V3,
            deterministic: None,
            max_memory: Config::MAX_MEMORY,
            max_instructions: None,
            timeout: None,
            stats: false,
            command,
        };
        let run = RunArgs { entry: EntryChoice::Direct, trace_calls: None, guest };
        Some(Cli { command: Some(Command::Run(Deferred(run))) })
    }
}

const EXAMPLES: &str = "\
Examples:
  callgate                                   the demonstration: write(1, \"Hi\\n\", 3), explained
  callgate run ./hello                       run a static program; the exit code is the program's
  callgate trace ./hello                     print each of its system calls, as strace does
  callgate explain --trace-calls write ./hello
                                             show each instruction of a call's way into the kernel and back
  callgate disasm entry_SYSCALL_64           the kernel's entry code
  callgate tbl check syscall_64.tbl          what is wrong with a table
  callgate tbl add greet --args 'char *buf, size_t len'
                                             a row for a new system call, and the handler to paste
  callgate gen unistd --abis common,64       the header with the __NR_ numbers

Make a program: gcc -static -o hello hello.c

Exit codes of run, trace and explain: the program's; 128+n if signal n has ended it; 127 if the program is not found;
126 if it can't be executed; 125 if callgate itself has failed, or has ended the run.";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a program.
    #[command(after_help = RUN_EXAMPLES)]
    Run(Deferred<RunArgs>),
    /// Run a program and print each system call as strace does.
    #[command(after_help = TRACE_EXAMPLES)]
    Trace(Deferred<TraceArgs>),
    /// Run a program and show the whole way of each system call, instruction by instruction.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(Deferred<ExplainArgs>),
    /// Make headers, listings and functions from a table.
    #[command(after_help = crate::generate::EXAMPLES)]
    Gen {
        /// What to make.
        #[command(subcommand)]
        command: Deferred<GenCommand>,
    },
    /// Check tables, format, list, extend and compare them.
    Tbl {
        /// What to do with them.
        #[command(subcommand)]
        command: Deferred<TblCommand>,
    },
    /// Disassemble a function of the kernel image, or show one of its tables.
    #[command(after_help = DISASM_EXAMPLES)]
    Disasm(Deferred<DisasmArgs>),
}

const RUN_EXAMPLES: &str = "\
The program sees an in-memory root with /proc, /dev, /sys and /tmp, itself at its own absolute path, and nothing else of
the host but standard input, output and error. Its environment is PATH, HOME, TERM and what --env gives.

Examples:
  callgate run ./a.out one two
  callgate run --env LANG=C --cwd /tmp /bin/busybox sh -c 'echo $LANG; pwd'
  callgate run --deterministic --stats ./a.out       the same run every time, with figures on stderr
  callgate run --max-memory 64M --timeout 10 ./a.out";

const TRACE_EXAMPLES: &str = "\
Examples:
  callgate trace ./a.out
  callgate trace --trace-calls openat,read ./a.out
  callgate trace --trace-calls '!brk,mmap' -o calls.txt ./a.out
  callgate trace --json ./a.out 2>&1 >/dev/null | jq .name";

const EXPLAIN_EXAMPLES: &str = "\
A call is shown in seven steps: the program's instructions before it; the registers with number and arguments; the
`syscall` instruction and what the processor does at it; the kernel's entry code up to the table; the handler; the way
of the answer into rax; and the return to the program. All values are read from the machine while it runs.

Examples:
  callgate explain ./a.out
  callgate explain --trace-calls write --limit 1 ./a.out
  callgate explain --html way.html ./a.out           as a page for a browser
  callgate explain --full -o way.txt ./a.out         no instruction left out, however often it was seen";

const DISASM_EXAMPLES: &str = "\
Examples:
  callgate disasm entry_SYSCALL_64
  callgate disasm __x64_sys_write
  callgate disasm sys_call_table                     the table: number, address, function
  callgate disasm idt_table                          the interrupt gates
  callgate disasm 0xffffffff81000000                 the function at an address";

/// Options of run, trace and explain, and the program.
#[derive(Debug, Args)]
pub(crate) struct GuestArgs {
    /// Add a variable to the program's environment (which has PATH, HOME and TERM).
    #[arg(long, value_name = "K=V", value_parser = parse_env)]
    pub(crate) env: Vec<OsString>,
    /// The directory of the guest that the program starts in.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(crate) cwd: OsString,
    /// What executes the program's instructions.
    #[arg(long, value_enum, default_value_t = EngineChoice::Auto)]
    pub(crate) engine: EngineChoice,
    /// The level of x86-64 that the processor has: what CPUID tells, and what executes.
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = CpuChoice::V3)]
    pub(crate) cpu: CpuChoice,
    /// Make runs repeatable: a virtual clock, randomness from SEED.
    #[arg(long, value_name = "SEED", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    pub(crate) deterministic: Option<u64>,
    /// Memory that the guest may use; K, M and G may follow the number.
    #[arg(long, value_name = "BYTES", default_value = "4G", value_parser = parse_size)]
    pub(crate) max_memory: u64,
    /// End the run after so many instructions; K, M and G are powers of 1000 here.
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(crate) max_instructions: Option<u64>,
    /// End the run after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) timeout: Option<Duration>,
    /// Count instructions, and print figures of the run on standard error: `callgate: stats: key=value …`.
    #[arg(long)]
    pub(crate) stats: bool,
    /// The program, as a path or as a name to be found in PATH, and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_names = ["PROG", "ARGS"])]
    pub(crate) command: Vec<OsString>,
}

/// `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The way of system calls: handled at once, or through the kernel image in ring 0.
    #[arg(long, value_enum, default_value_t = EntryChoice::Direct)]
    pub(crate) entry: EntryChoice,
    /// Print these calls on standard error: `write,exit_group`, `!brk`, `all`.
    #[arg(long, value_name = "SET", allow_hyphen_values = true)]
    pub(crate) trace_calls: Option<CallSet>,
    #[command(flatten)]
    pub(crate) guest: GuestArgs,
}

/// `trace`.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// The way of system calls: handled at once, or through the kernel image in ring 0.
    #[arg(long, value_enum, default_value_t = EntryChoice::Direct)]
    pub(crate) entry: EntryChoice,
    /// The calls to print: `write,exit_group`, `!brk`, `all`.
    #[arg(long, value_name = "SET", default_value = "all")]
    pub(crate) trace_calls: CallSet,
    /// Print one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write to FILE and not to standard error.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) guest: GuestArgs,
}

/// `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The way of system calls; only the kernel image's can be shown.
    #[arg(long, value_enum, default_value_t = EntryChoice::Image, hide = true)]
    pub(crate) entry: EntryChoice,
    /// The calls to show: `write,exit_group`, `!brk`, `all`.
    #[arg(long, value_name = "SET", default_value = "all")]
    pub(crate) trace_calls: CallSet,
    /// Show only the first N calls; the program runs on.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Show every instruction: later calls aren't shortened, and equal instructions aren't gathered in one line.
    #[arg(long)]
    pub(crate) full: bool,
    /// Write to FILE and not to standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write to FILE as a page for a browser.
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) guest: GuestArgs,
}

/// An engine, as the user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineChoice {
    /// The fastest that this host can run.
    Auto,
    /// The interpreter: portable and exact.
    Interp,
    /// Translation to confined host code; needs an x86-64 Linux host with AVX2.
    Native,
}

/// A level of x86-64, as the user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CpuChoice {
    /// Up to SSE2.
    V1,
    /// Up to SSE4.2.
    V2,
    /// Up to AVX2, FMA and BMI2.
    V3,
    /// With AVX-512: F, CD, BW, DQ and VL.
    V4,
}

/// A way of system calls, as the user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EntryChoice {
    /// The core leaves at `syscall`, and the kernel dispatches.
    Direct,
    /// The core executes the kernel image's entry code in ring 0.
    Image,
}

/// `disasm`.
#[derive(Debug, Args)]
pub(crate) struct DisasmArgs {
    /// A symbol of the image, or an address in hexadecimal.
    pub(crate) symbol: String,
}

fn parse_env(text: &str) -> Result<OsString, String> {
    match text.split_once('=') {
        Some(("", _)) | None => Err("has to be NAME=value".to_owned()),
        Some(_) => Ok(text.into()),
    }
}

/// A number, with a suffix that multiplies it by a power of `unit`.
fn scaled(text: &str, unit: u64) -> Result<u64, String> {
    let (digits, power) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1),
        Some((at, 'm' | 'M')) => (&text[..at], 2),
        Some((at, 'g' | 'G')) => (&text[..at], 3),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| "has to be a number, with K, M or G after it if you like")?;
    number.checked_mul(unit.pow(power)).ok_or_else(|| "is too large".to_owned())
}

fn parse_size(text: &str) -> Result<u64, String> {
    match scaled(text, 1024)? {
        small @ ..0x10_0000 => Err(format!("{small} bytes are too few: a machine needs at least 1M")),
        size => Ok(size),
    }
}

fn parse_count(text: &str) -> Result<u64, String> {
    scaled(text, 1000)
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "has to be a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// What clap says is wrong, as it can follow `callgate: `.
pub(crate) fn complaint(error: &clap::Error) -> String {
    let text = error.render().to_string();
    text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn guest(line: &[&str]) -> GuestArgs {
        match Cli::try_parse_from(line).unwrap().command {
            Some(Command::Run(run)) => run.0.guest,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_options_clap_would_say_the_same() {
        let lines: [&[&str]; 8] = [
            &["./a.out"],
            &["./a.out", "one", ""],
            &["a.out", "--stats", "-h", "--help", "--engine=interp"],
            &["a.out", "--", "x", "--"],
            &["a.out", "-", "--trace-calls", "all"],
            &["run"],
            &["é", "\u{1f980}"],
            &[""],
        ];
        for line in lines {
            let words = ["callgate", "run"].iter().chain(line);
            let parsed = Cli::try_parse_from(words.clone()).expect("good arguments");
            let plain = Cli::without_options(words.map(OsString::from)).expect("no options");
            assert_eq!(format!("{plain:?}"), format!("{parsed:?}"));
        }
        let others: [&[&str]; 7] =
            [&[], &["run"], &["run", "--stats", "x"], &["run", "-h"], &["run", "--", "x"], &["trace", "x"], &["x"]];
        for line in others {
            let words = ["callgate"].iter().chain(line).map(OsString::from);
            assert!(Cli::without_options(words).is_none(), "{line:?}");
        }
    }

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_the_program_is_the_programs() {
        let args = guest(&["callgate", "run", "--stats", "ls", "-la", "--help", "--", "--stats"]);
        assert_eq!(args.command, ["ls", "-la", "--help", "--", "--stats"]);
        let args = guest(&["callgate", "run", "--", "./-odd", "x"]);
        assert_eq!(args.command, ["./-odd", "x"]);
    }

    #[test]
    fn a_seed_is_optional() {
        assert_eq!(guest(&["callgate", "run", "--deterministic", "a"]).deterministic, Some(0));
        assert_eq!(guest(&["callgate", "run", "--deterministic=7", "a"]).deterministic, Some(7));
        assert_eq!(guest(&["callgate", "run", "a"]).deterministic, None);
    }

    #[test]
    fn sizes_have_suffixes() {
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("4g"), Ok(4 << 30));
        assert_eq!(parse_count("10k"), Ok(10_000));
        assert!(parse_size("12").is_err() && parse_size("M").is_err() && parse_size("99999999999G").is_err());
        assert!(parse_seconds("-1").is_err() && parse_seconds("nan").is_err());
        assert_eq!(parse_seconds("0.5"), Ok(Duration::from_millis(500)));
    }

    #[test]
    fn a_variable_has_a_name() {
        assert!(parse_env("=x").is_err() && parse_env("x").is_err());
        assert_eq!(parse_env("x="), Ok("x=".into()));
    }
}
