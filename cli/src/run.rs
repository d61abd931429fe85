//! `callgate run`, and what it shares with `trace` and `explain`: the machine, and how a run ends.

use std::time::Instant;

use callgate_emulator::CpuModel;
use callgate_kernel::fs::tty::Console;
use callgate_kernel::{Config, EntryRoute, Machine, Outcome};

use crate::args::{CpuChoice, EntryChoice, GuestArgs, RunArgs};
use crate::engine::Plan;
use crate::exit::{Failure, Result, code_of};
use crate::output::Output;
use crate::program::Program;
use crate::trace::Tracer;

/// Runs a program.
pub(crate) fn run(args: &RunArgs) -> Result {
    let program = Program::find(name(&args.guest)?)?;
    let mut run = Run::new(&args.guest, args.entry.into(), Console::Host)?;
    if let Some(calls) = &args.trace_calls {
        let tracer = Tracer::text(Output::stderr(), calls.clone());
        run.machine.kernel.set_observer(Box::new(tracer));
    }
    program.start(&mut run.machine, &args.guest)?;
    let ended = run.finish();
    // The process ends here: the host takes all memory back at once, where we would give it back piece by piece.
    std::mem::forget(run);
    ended
}

impl From<EntryChoice> for EntryRoute {
    fn from(choice: EntryChoice) -> EntryRoute {
        match choice {
            EntryChoice::Direct => EntryRoute::Direct,
            EntryChoice::Image => EntryRoute::Image,
        }
    }
}

/// The program's name as given.
pub(crate) fn name(guest: &GuestArgs) -> Result<&std::ffi::OsStr> {
    guest.command.first().map(|name| name.as_os_str()).ok_or_else(|| Failure::own("no program was named"))
}

/// A machine as the options want it, and what is said at its end.
pub(crate) struct Run<'a> {
    pub(crate) machine: Machine,
    guest: &'a GuestArgs,
    entry: EntryRoute,
    plan: Plan,
}

impl<'a> Run<'a> {
    /// Makes the machine.
    ///
    /// # Errors
    /// If the host can't do what the options ask for.
    pub(crate) fn new(guest: &'a GuestArgs, entry: EntryRoute, console: Console) -> Result<Self> {
        let cpu = match guest.cpu {
            CpuChoice::V1 => CpuModel::V1,
            CpuChoice::V2 => CpuModel::V2,
            CpuChoice::V3 => CpuModel::V3,
            CpuChoice::V4 => CpuModel::V4,
        };
        let plan = Plan::of(guest.engine, cpu, guest.stats)?;
        let config = Config {
            max_memory: guest.max_memory,
            cpu,
            entry,
            layout: plan.layout(),
            deterministic: guest.deterministic,
            max_instructions: guest.max_instructions,
            timeout: guest.timeout,
            console,
        };
        // Who doesn't ask for the count doesn't pay for it.
        let counts = guest.deterministic.is_some() || guest.max_instructions.is_some() || guest.stats;
        let machine = Machine::new(config, |kernel| plan.engine(kernel, counts))
            .map_err(|errno| Failure::own(format!("the machine can't be made: {}", errno.description())))?;
        plan.check()?;
        plan.place_handlers()?;
        Ok(Run { machine, guest, entry, plan })
    }

    /// Runs the machine to its end, and gives the exit code.
    ///
    /// # Errors
    /// If it didn't end by itself.
    pub(crate) fn finish(&mut self) -> Result {
        let start = Instant::now();
        let outcome = self.machine.run();
        if self.guest.stats {
            self.print_stats(start.elapsed().as_secs_f64());
        }
        match outcome {
            Outcome::Exited(status) => Ok(code_of(status)),
            Outcome::InstructionLimit => Err(Failure::own("ended: --max-instructions is reached")),
            Outcome::Timeout => Err(Failure::own("ended: --timeout is over")),
            Outcome::Deadlock => Err(Failure::own("ended: every task waits for something that can't happen")),
            Outcome::Broken(what) => Err(Failure::own(format!("bug in callgate: {what}"))),
        }
    }

    /// Figures of the run, for people and programs: `key=value`, one kind of thing a line.
    fn print_stats(&self, seconds: f64) {
        let Run { machine, plan, .. } = self;
        let stats = &machine.kernel.stats;
        let (instructions, calls) = (stats.instructions.get(), stats.syscalls.get());
        let entry = match self.entry {
            EntryRoute::Direct => "direct",
            EntryRoute::Image => "image",
        };
        let (ips, ns_per_call) = (per(instructions, seconds), per_call(seconds, calls));
        say!("callgate: stats: engine={} entry={entry} why={:?}", machine.engine_name(), plan.why());
        say!("callgate: stats: instructions={instructions} seconds={seconds:.6} ips={ips:.0}");
        say!("callgate: stats: calls={calls} ns_per_call={ns_per_call:.1}");
        let figures = machine.engine_figures();
        if !figures.is_empty() {
            let words: Vec<String> = figures.iter().map(|(name, value)| format!("{name}={value}")).collect();
            say!("callgate: stats: {}", words.join(" "));
        }
        say!("callgate: stats: tasks={} switches={}", stats.tasks.get(), stats.switches.get());
        say!(
            "callgate: stats: memory={} max_memory={}",
            machine.kernel.memory.frames_in_use() * callgate_emulator::PAGE_SIZE as u64,
            machine.kernel.memory.limit()
        );
    }
}

fn per(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// The run's time divided by its calls: what a call costs in a program that does nothing else.
fn per_call(seconds: f64, calls: u64) -> f64 {
    if calls > 0 { seconds * 1e9 / calls as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_an_empty_run_are_zero() {
        assert_eq!((per(5, 0.0), per_call(1.0, 0)), (0.0, 0.0));
        assert_eq!((per(6, 2.0), per_call(2e-9, 2)), (3.0, 1.0));
    }
}
