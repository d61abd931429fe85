//! The silicon oracle's command: as many cases as one likes.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Instant;

use callgate_silicon::{Options, run};
use clap::Parser;

/// Runs random instructions on the core and on this processor, and compares.
#[derive(Parser)]
struct Args {
    /// How many cases: a number, with k or M for thousands or millions
    #[arg(long, default_value = "1M", value_parser = count)]
    cases: u64,
    /// The seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of the first case
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Only codes whose name, as iced-x86 spells it, begins so
    #[arg(long)]
    only: Option<String>,
    /// How many to run at a time: one for each processor, unless told
    #[arg(long)]
    jobs: Option<usize>,
    /// Run translated code, not the interpreter
    #[arg(long)]
    translated: bool,
    /// And have its window in the host's first 4 GiB, which one job can
    #[arg(long, requires = "translated", conflicts_with = "jobs")]
    low: bool,
    /// And count no instructions: runs end by a timer
    #[arg(long, requires = "translated")]
    uncounted: bool,
    /// And check returns by the instruction `loop`, or not: as is fast on this host, unless told
    #[arg(long, requires = "translated")]
    loops: Option<bool>,
    /// Mismatches to show of each code
    #[arg(long, default_value_t = 2)]
    keep: usize,
}

fn count(text: &str) -> Result<u64, String> {
    let (number, factor) = match text.strip_suffix(['M', 'm']) {
        Some(number) => (number, 1_000_000),
        None => match text.strip_suffix('k') {
            Some(number) => (number, 1000),
            None => (text, 1),
        },
    };
    let number: u64 = number.parse().map_err(|error| format!("{error}"))?;
    number.checked_mul(factor).ok_or_else(|| "too many".into())
}

fn main() -> ExitCode {
    let Args { cases, seed, first, only, translated, low, uncounted, loops, jobs, keep } = Args::parse();
    let all = || std::thread::available_parallelism().map_or(1, |n| n.get());
    let jobs = if low { 1 } else { jobs.unwrap_or_else(all) };
    let start = Instant::now();
    match run(&Options { seed, cases, first, only, translated, low, uncounted, loops, keep, jobs }) {
        Ok(report) => {
            let seconds = start.elapsed().as_secs_f64();
            println!("{report}, {seconds:.1} s with {jobs} jobs, {:.0} cases/s", report.cases as f64 / seconds);
            if report.mismatches == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("callgate-silicon: {error}");
            ExitCode::from(125)
        }
    }
}
