//! callgate: run Linux programs on a generated kernel, and see every system call.
//!
//! One file a command: [`run`], [`trace`], [`explain`], [`generate`], [`tbl`], [`disasm`], and
//! [`demo`] where there is none. What they share: [`entry`] (where the process begins), [`args`] (the
//! command line), [`program`] (the program to run and the machine for it), [`exit`] (exit codes),
//! [`asm`] (instructions as text).
//!
//! Whatever callgate itself has to say goes to standard error, one line a fact, with `callgate: `
//! before it.
#![deny(unsafe_code)]
#![cfg_attr(all(target_os = "linux", target_env = "gnu", not(test)), no_main)]

/// Writes a line to the standard error output. If nobody reads that, the line is lost and nothing else.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod args;
mod asm;
mod calls;
mod color;
mod deferred;
mod demo;
mod disasm;
mod engine;
mod entry;
mod exit;
mod explain;
mod generate;
mod image;
mod near;
mod output;
mod program;
mod run;
mod tbl;
mod trace;

use clap::Parser;

use args::{Cli, Command};
use engine::Heap;
use exit::{Failure, Result};

#[global_allocator]
static HEAP: Heap = Heap;

#[cfg(not(all(target_os = "linux", target_env = "gnu", not(test))))]
fn main() {
    std::process::exit(start().into())
}

/// Does what the command line says, and gives the exit code.
fn start() -> u8 {
    // Before anything is allocated, if a program is to be run.
    if std::env::args_os().nth(1).is_some_and(|command| command == "run") {
        engine::provide_heap();
    }
    report_panics();
    entry::prepare();
    // A panic is a bug of ours, whatever the guest has done: it gets our exit code.
    let parse = || Cli::without_options(std::env::args_os()).map_or_else(Cli::try_parse, Ok);
    let ended = std::panic::catch_unwind(|| match parse() {
        Ok(cli) => command(cli),
        Err(error) => usage(&error),
    });
    match ended {
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => {
            say!("callgate: {failure}");
            failure.code
        }
        Err(_) => Failure::own("").code,
    }
}

fn command(cli: Cli) -> Result {
    match cli.command {
        None => demo::demo(),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Trace(args)) => trace::trace(&args),
        Some(Command::Explain(args)) => explain::explain(&args),
        Some(Command::Gen { command }) => generate::generate(&command),
        Some(Command::Tbl { command }) => tbl::tbl(&command),
        Some(Command::Disasm(args)) => disasm::disasm(&args),
    }
}

/// Lets a panic say in one line what it is; with `RUST_BACKTRACE` set, all that Rust knows.
fn report_panics() {
    let rusts = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or("panic");
        let place = info.location().map(|place| format!(" ({}:{})", place.file(), place.line()));
        say!("callgate: bug in callgate: {text}{}", place.unwrap_or_default());
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            rusts(info);
        }
    }));
}

/// Prints help, or what is wrong with the command line: that is a failure of ours, not the guest's.
fn usage(error: &clap::Error) -> Result {
    if !error.use_stderr() {
        // Help may be cut short by a pager that was left.
        let _ = error.print();
        return Ok(0);
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // A group of commands was named and none of them: the help is all that there is to say.
        let _ = error.print();
        return Ok(Failure::own("").code);
    }
    Err(Failure::own(args::complaint(error)))
}
