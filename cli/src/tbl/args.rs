//! The command line of `callgate tbl`.

use std::path::PathBuf;

use callgate_codegen::table::Lint;
use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Args, Subcommand};

/// `tbl`.
#[derive(Debug, Subcommand)]
pub(crate) enum TblCommand {
    /// Say what is wrong with tables, and what is doubtful; the exit code is 1 if anything is wrong.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Put tables into Linux's columns; comments and blank lines stay.
    #[command(after_help = FMT_EXAMPLES)]
    Fmt(FmtArgs),
    /// List the calls of a table, all or some.
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// Add a call to a table, and print the handler to paste.
    #[command(after_help = ADD_EXAMPLES)]
    Add(AddArgs),
    /// Compare two tables; the exit code is 1 if programs would break.
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),
}

const CHECK_EXAMPLES: &str = "\
A row is: <number> <abi> <name> [<entry point> [<compat entry point> [noreturn]]]

Errors are what no table may have. Lints are what is likely a mistake; they are warnings, each with its name in brackets, \
and --deny makes them errors.

Examples:
  callgate tbl check syscall_64.tbl syscall_32.tbl
  callgate tbl check --deny warnings syscall_64.tbl              as a step of continuous integration
  callgate tbl check --deny gap,lonely_abi --allow mismatched_entry syscall.tbl";

const FMT_EXAMPLES: &str = "\
Number, abi and name stand at tab stops, the entry points where most rows of the table have them: Linux has tables with \
names of 24 columns and tables with names of 32. Only blanks and tabs change, never a word. A file is written whole, or \
not at all if its table is wrong.

Examples:
  callgate tbl fmt syscall_64.tbl
  callgate tbl fmt --check syscall_64.tbl syscall_32.tbl         print the differences; exit code 1 if there are any
  callgate tbl fmt --check syscall_64.tbl | patch -p0            what it prints is a patch";

const LIST_EXAMPLES: &str = "\
Without FILE it is the table that this kernel was built with. The exit code is 1 if no row is found.

Examples:
  callgate tbl list
  callgate tbl list --name 'pidfd_*' --name 'clone?'
  callgate tbl list --nr 0..9                                    numbers 0 to 9
  callgate tbl list --abi x32 syscall_64.tbl
  callgate tbl list --json | jq '.[] | select(.entry == null)'";

const ADD_EXAMPLES: &str = "\
The row gets the next free number and its place below the last row of its abi: on x86-64 before the block of x32. \
Nothing else of the file changes. The handler goes to standard output, what has happened to standard error.

Arguments can be written as in Rust or as in C; the handler has the types that callgate-abi has for them:
  buf: *mut u8, len: usize               buf: UserMut<u8>, len: usize
  char __user *buf, size_t len           buf: UserMut<u8>, len: usize
  const char *path, int flags            path: UserStr, flags: i32
  unsigned int fd, struct stat *st       fd: Fd, st: UserMut<Stat>

Examples:
  callgate tbl add greet --args 'buf: *mut u8, len: usize'
  callgate tbl add greet --args 'char __user *buf, size_t len' syscall_64.tbl >> kernel/src/greet.rs
  callgate tbl add --nr 600 --abi 64 --entry sys_my_greet greet my.tbl";

const DIFF_EXAMPLES: &str = "\
Programs hold numbers: a call that is removed, renumbered, renamed, given to other programs or to another entry point \
breaks them, and the exit code is 1. A call that is added, or that gets its first entry point, breaks nothing.

Examples:
  callgate tbl diff linux-6.1/syscall_64.tbl linux-6.12/syscall_64.tbl
  git show HEAD:syscall_64.tbl > old.tbl && callgate tbl diff old.tbl syscall_64.tbl
  callgate tbl diff --json old.tbl new.tbl | jq '.changes[] | select(.break)'";

/// `tbl check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Make these lints errors; `warnings` is all of them.
    #[arg(long, value_name = "LINT", value_delimiter = ',', value_parser = lint_parser(true))]
    pub(crate) deny: Vec<Lints>,
    /// Don't look for these.
    #[arg(long, value_name = "LINT", value_delimiter = ',', value_parser = lint_parser(false))]
    pub(crate) allow: Vec<Lints>,
    /// The tables.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// `tbl fmt`.
#[derive(Debug, Args)]
pub(crate) struct FmtArgs {
    /// Write nothing; print what differs, and exit with 1 if anything does.
    #[arg(long)]
    pub(crate) check: bool,
    /// The tables.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// `tbl list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only rows of these abis.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) abi: Vec<String>,
    /// Only calls whose name matches the pattern, in which * stands for any letters and ? for one.
    #[arg(long, value_name = "GLOB", value_parser = parse_glob)]
    pub(crate) name: Vec<glob::Pattern>,
    /// Only the call with this number, or those from A to B.
    #[arg(long, value_name = "N|A..B", value_parser = parse_numbers)]
    pub(crate) nr: Option<Numbers>,
    /// Print an array of JSON objects, one a row.
    #[arg(long)]
    pub(crate) json: bool,
    /// The table.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// `tbl add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The name of the call, without `sys_`.
    pub(crate) name: String,
    /// Its number, if not the next free one.
    #[arg(long, value_name = "N")]
    pub(crate) nr: Option<u32>,
    /// Its abi, if not that of most rows.
    #[arg(long)]
    pub(crate) abi: Option<String>,
    /// Its entry point, if not `sys_NAME`.
    #[arg(long, value_name = "E")]
    pub(crate) entry: Option<String>,
    /// Its arguments, for the handler: up to six, as in Rust or as in C.
    #[arg(long, value_name = "ARGS", default_value = "")]
    pub(crate) args: String,
    /// The table to write to; `syscall_64.tbl` of this directory if not given.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// `tbl diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// The table that programs were made for.
    pub(crate) old: PathBuf,
    /// The table that they would find.
    pub(crate) new: PathBuf,
}

/// One lint, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lints {
    /// `warnings`.
    All,
    /// The lint of a name.
    One(Lint),
}

impl Lints {
    /// Whether the lint is meant.
    pub(crate) fn holds(self, lint: Lint) -> bool {
        self == Self::All || self == Self::One(lint)
    }
}

/// Numbers from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) first: u32,
    pub(crate) last: u32,
}

/// Takes the names of lints, and shows them in the help.
fn lint_parser(all: bool) -> impl TypedValueParser<Value = Lints> {
    let lints = Lint::ALL.iter().map(|lint| PossibleValue::new(lint.name()).help(lint.description()));
    let warnings = all.then(|| PossibleValue::new("warnings").help("all of them"));
    clap::builder::PossibleValuesParser::new(lints.chain(warnings))
        .map(|name| Lint::from_name(&name).map_or(Lints::All, Lints::One))
}

fn parse_glob(text: &str) -> Result<glob::Pattern, String> {
    glob::Pattern::new(text).map_err(|error| error.to_string())
}

fn parse_numbers(text: &str) -> Result<Numbers, String> {
    let number = |text: &str| {
        text.parse::<u32>().map_err(|_| format!("`{text}` is not a number; give one, or two as in `0..9`"))
    };
    let (first, last) = match text.split_once("..") {
        Some(("", "")) => return Err("has to be a number, or two as in `0..9`".to_owned()),
        Some((first, last)) => (first, last.strip_prefix('=').unwrap_or(last)),
        None => (text, text),
    };
    let open = text.contains("..");
    let numbers = Numbers {
        first: if open && first.is_empty() { 0 } else { number(first)? },
        last: if open && last.is_empty() { u32::MAX } else { number(last)? },
    };
    match numbers.first <= numbers.last {
        true => Ok(numbers),
        false => Err("has to begin with the smaller number, as in `0..9`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_one_or_from_one_to_another() {
        for (text, first, last) in
            [("7", 7, 7), ("0..9", 0, 9), ("0..=9", 0, 9), ("5..", 5, u32::MAX), ("..5", 0, 5), ("3..3", 3, 3)]
        {
            assert_eq!(parse_numbers(text), Ok(Numbers { first, last }), "{text}");
        }
        for text in ["", "..", "9..0", "x", "1..x", "-1", "99999999999"] {
            assert!(parse_numbers(text).is_err(), "{text}");
        }
    }
}
