//! How fast guests run: instructions a second, and nanoseconds a system call.
//!
//! `cargo bench -p callgate-tests`. The programs are `tests/guests/bench/*.c`, compiled with `gcc -O2 -static`. An item
//! of the integer loop, of sha256 and of fib is an instruction; an item of getppid is a system call. Making the machine
//! and loading the program isn't measured.

#![forbid(unsafe_code)]

use std::rc::Rc;
use std::time::{Duration, Instant};

use callgate_emulator::Interp;
use callgate_kernel::fs::tty::Console;
use callgate_kernel::{Config, EntryRoute, Machine, Outcome};
use callgate_tests::compile::{Compiler, compile};
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
    // divan prints items a second; this is what the figures are compared by.
    if !std::env::args().any(|arg| arg == "--list" || arg == "--test") {
        summary();
    }
}

/// A machine in which `guest` is about to start.
fn machine(guest: &str, work: u64, entry: EntryRoute) -> Machine {
    let path = compile(Compiler::Gcc, &format!("bench/{guest}"), Compiler::Gcc.default_flags());
    let program = std::fs::read(path).expect("the program");
    let console = Console::Buffers { input: Vec::new(), output: Rc::default(), error: Rc::default() };
    let config = Config { entry, console, ..Config::default() };
    let mut machine = Machine::new(config, |kernel| Box::new(Interp::new(&kernel.memory))).expect("memory");
    machine.kernel.vfs.install_file("/guest", &program, 0o755).expect("room for the program");
    let argv = vec![b"guest".to_vec(), work.to_string().into_bytes()];
    machine.spawn(b"/guest", b"/", argv, Vec::new()).expect("it is executable");
    machine
}

/// What a run took.
struct Run {
    instructions: u64,
    calls: u64,
    time: Duration,
}

fn run(machine: &mut Machine) -> Run {
    let start = Instant::now();
    let outcome = machine.run();
    let time = start.elapsed();
    assert_eq!(outcome, Outcome::Exited(0));
    let stats = &machine.kernel.stats;
    Run { instructions: stats.instructions.get(), calls: stats.syscalls.get(), time }
}

fn bench(bencher: Bencher<'_, '_>, guest: &str, work: u64, entry: EntryRoute, items: fn(&Run) -> u64) {
    let once = run(&mut machine(guest, work, entry));
    bencher
        .counter(ItemsCount::new(items(&once)))
        .with_inputs(|| machine(guest, work, entry))
        .bench_local_values(|mut machine| run(&mut machine).calls);
}

#[divan::bench(sample_count = 10)]
fn integer_loop(bencher: Bencher<'_, '_>) {
    bench(bencher, "loop", 2_000_000, EntryRoute::Direct, |run| run.instructions);
}

#[divan::bench(sample_count = 10)]
fn sha256(bencher: Bencher<'_, '_>) {
    bench(bencher, "sha256", 512, EntryRoute::Direct, |run| run.instructions);
}

#[divan::bench(sample_count = 10)]
fn fib(bencher: Bencher<'_, '_>) {
    bench(bencher, "fib", 26, EntryRoute::Direct, |run| run.instructions);
}

#[divan::bench(sample_count = 10)]
fn getppid_direct(bencher: Bencher<'_, '_>) {
    bench(bencher, "getppid", 200_000, EntryRoute::Direct, |run| run.calls);
}

#[divan::bench(sample_count = 10)]
fn getppid_image(bencher: Bencher<'_, '_>) {
    bench(bencher, "getppid", 200_000, EntryRoute::Image, |run| run.calls);
}

/// The best of a few runs, as the sentence that a person wants.
fn summary() {
    let best = |guest, work, entry| {
        let runs = (0..5).map(|_| run(&mut machine(guest, work, entry)));
        runs.min_by_key(|run| run.time).expect("five runs")
    };
    for (guest, work) in [("loop", 5_000_000), ("sha256", 1024), ("fib", 28)] {
        let run = best(guest, work, EntryRoute::Direct);
        let rate = run.instructions as f64 / run.time.as_secs_f64() / 1e6;
        println!("{guest}: {rate:.0} million instructions a second ({} in {:.3?})", run.instructions, run.time);
    }
    for (name, entry) in [("direct", EntryRoute::Direct), ("image", EntryRoute::Image)] {
        let run = best("getppid", 1_000_000, entry);
        let each = run.time.as_nanos() as f64 / run.calls as f64;
        println!("getppid, {name}: {each:.0} ns a system call ({} calls in {:.3?})", run.calls, run.time);
    }
}
