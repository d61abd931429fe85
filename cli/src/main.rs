//! callgate: run Linux programs on a generated kernel, and see every system call.
//!
//! One file a command: [`run`], [`trace`], [`explain`], [`generate`], [`tbl`], [`disasm`], and
//! [`demo`] where there is none. What they share: [`args`] (the command line), [`program`] (the
//! program to run and the machine for it), [`exit`] (exit codes), [`asm`] (instructions as text).
//!
//! Whatever callgate itself has to say goes to standard error, one line a fact, with `callgate: `
//! before it.
#![forbid(unsafe_code)]

mod args;
mod asm;
mod calls;
mod color;
mod demo;
mod disasm;
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

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, TblCommand};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let result = match cli.command {
        None => demo::demo(),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Trace(args)) => trace::trace(&args),
        Some(Command::Explain(args)) => explain::explain(&args),
        Some(Command::Gen(args)) => generate::generate(&args),
        Some(Command::Tbl { command: TblCommand::Check { files } }) => tbl::check(&files),
        Some(Command::Disasm(args)) => disasm::disasm(&args),
    };
    match result {
        Ok(code) => code.into(),
        Err(failure) => {
            eprintln!("callgate: {failure}");
            failure.code.into()
        }
    }
}

/// Prints help, or what is wrong with the command line: that is a failure of ours, not the guest's.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Help may be cut short by a pager that was left.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    eprint!("callgate: {}", text.strip_prefix("error: ").unwrap_or(&text));
    exit::Failure::own("").code.into()
}
