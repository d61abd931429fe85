//! The command line of `callgate gen`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::deferred::Deferred;

/// `gen`.
#[derive(Debug, Subcommand)]
pub(crate) enum GenCommand {
    #[command(flatten)]
    One(Output),
    /// Make all that the lines of FILE ask for; each table is read once.
    #[command(after_help = BATCH_EXAMPLES)]
    Batch {
        /// A line an output, as it would follow `callgate gen`; blank lines and those that begin with `#` say nothing.
        /// `-` is standard input.
        file: PathBuf,
    },
}

/// What can be made.
#[derive(Debug, Subcommand)]
pub(crate) enum Output {
    /// The C header with the numbers, as Linux's syscallhdr.sh makes it.
    #[command(after_help = UNISTD_EXAMPLES)]
    Unistd(Deferred<UnistdArgs>),
    /// The C header with the table's entries, as Linux's syscalltbl.sh makes it.
    #[command(after_help = SYSCALLS_EXAMPLES)]
    Syscalls(Deferred<TableArgs>),
    /// The numbers for Rust.
    Rust(Deferred<TableArgs>),
    /// The kernel image's symbols, as /proc/kallsyms lists them.
    Kallsyms(Deferred<TableArgs>),
    /// The same as System.map.
    #[command(after_help = SYSTEM_MAP_EXAMPLES)]
    SystemMap(Deferred<TableArgs>),
    /// The handlers' prototypes in C, made of their types.
    #[command(after_help = PROTOTYPES_EXAMPLES)]
    Prototypes(Deferred<TableArgs>),
    /// Functions for programs that make the calls, a function a call.
    #[command(after_help = WRAPPERS_EXAMPLES)]
    Wrappers(Deferred<WrappersArgs>),
    /// All that is known of the calls, for programs.
    #[command(after_help = JSON_EXAMPLES)]
    Json(Deferred<JsonArgs>),
    /// The reference page: number, name, arguments, the handler's place, what it does.
    #[command(after_help = MARKDOWN_EXAMPLES)]
    Markdown(Deferred<TableArgs>),
}

pub(crate) const EXAMPLES: &str = "\
Without TABLE it is the table that this kernel was built with. Names, numbers and symbols are made of any table; what \
needs the handlers' types (prototypes, wrappers, json, markdown) of this kernel's own tables only.

Examples:
  callgate gen unistd --abis common,64 -o unistd_64.h
  callgate gen syscalls --abis common,64 -o syscalls_64.h
  callgate gen rust -o nr.rs
  callgate gen system-map | grep __x64_sys_write
  callgate gen wrappers c -o calls.h
  callgate gen markdown -o SYSCALLS.md
  callgate gen batch headers.list";

const UNISTD_EXAMPLES: &str = "\
Examples:
  callgate gen unistd --abis common,64 -o unistd_64.h
  callgate gen unistd --abis common,x32 --offset __X32_SYSCALL_BIT -o unistd_x32.h
  callgate gen unistd --abis i386 --prefix ia32_ --emit-nr syscall_32.tbl -o unistd_32_ia32.h";

const SYSCALLS_EXAMPLES: &str = "\
Example:
  callgate gen syscalls --abis common,64 -o syscalls_64.h

and in C, for an array of the entry points:
  #define __SYSCALL(nr, entry) [nr] = entry,
  sys_call_ptr_t table[] = {
  #include \"syscalls_64.h\"
  };";

const SYSTEM_MAP_EXAMPLES: &str = "\
Example:
  callgate gen system-map | grep __x64_sys_write";

const PROTOTYPES_EXAMPLES: &str = "\
Example:
  callgate gen prototypes | grep sys_write
  asmlinkage long sys_write(unsigned int fd, const char __user *buf, size_t count);";

const WRAPPERS_EXAMPLES: &str = "\
A wrapper makes the call with the `syscall` instruction, so it works before any C library knows the call. In C it returns \
-1 and sets errno as the C library does; in Rust it returns a Result.

Examples:
  callgate gen wrappers c -o calls.h          #include \"calls.h\"  …  sys_greet(buf, sizeof buf)
  callgate gen wrappers rust -o calls.rs      mod calls;  …  unsafe { calls::greet(p, n) }?";

const JSON_EXAMPLES: &str = "\
Examples:
  callgate gen json | jq -r '.calls[] | select(.implemented) | .name'
  callgate gen json --schema                  what the file is made of, as JSON Schema";

const MARKDOWN_EXAMPLES: &str = "\
Example:
  callgate gen markdown -o SYSCALLS.md";

const BATCH_EXAMPLES: &str = "\
Words are separated by blanks. Files are named from the directory that callgate is called in.

Example, a part of what Linux makes for x86:
  unistd --abis i386 syscall_32.tbl -o unistd_32.h
  unistd --abis i386 --prefix ia32_ syscall_32.tbl -o unistd_32_ia32.h
  unistd --abis common,64 syscall_64.tbl -o unistd_64.h
  syscalls --abis common,64 syscall_64.tbl -o syscalls_64.h";

/// What all of them take.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TableArgs {
    /// Which rows: a comma-separated list of abis, each matching by its beginning as in Linux's scripts.
    /// Without it all, but no x32 rows of a table that has 64-bit ones.
    #[arg(long, value_name = "A,B")]
    pub(crate) abis: Option<String>,
    /// Write to FILE, whole or not at all, and not to standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The table to make it from.
    pub(crate) table: Option<PathBuf>,
}

/// `gen unistd`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct UnistdArgs {
    /// A C expression that is added to each number.
    #[arg(long, value_name = "X")]
    pub(crate) offset: Option<String>,
    /// What stands between `__NR_` and each name.
    #[arg(long, value_name = "P")]
    pub(crate) prefix: Option<String>,
    /// Define `__NR_syscalls` too, for the kernel.
    #[arg(long)]
    pub(crate) emit_nr: bool,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

/// `gen wrappers`.
#[derive(Clone, Debug, Args)]
pub(crate) struct WrappersArgs {
    /// The language of the programs.
    #[arg(value_enum)]
    pub(crate) language: Language,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

/// `gen json`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct JsonArgs {
    /// Print the schema of the output instead.
    #[arg(long)]
    pub(crate) schema: bool,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

/// A language that programs are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// A header with static inline functions.
    C,
    /// A module with functions that return a Result.
    Rust,
}

impl Output {
    /// Its name on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Unistd(_) => "unistd",
            Self::Syscalls(_) => "syscalls",
            Self::Rust(_) => "rust",
            Self::Kallsyms(_) => "kallsyms",
            Self::SystemMap(_) => "system-map",
            Self::Prototypes(_) => "prototypes",
            Self::Wrappers(_) => "wrappers",
            Self::Json(_) => "json",
            Self::Markdown(_) => "markdown",
        }
    }

    /// The table that it is made from, and where it goes.
    pub(crate) fn table(&self) -> &TableArgs {
        match self {
            Self::Unistd(args) => &args.table,
            Self::Wrappers(args) => &args.table,
            Self::Json(args) => &args.table,
            Self::Syscalls(args)
            | Self::Rust(args)
            | Self::Kallsyms(args)
            | Self::SystemMap(args)
            | Self::Prototypes(args)
            | Self::Markdown(args) => args,
        }
    }
}
