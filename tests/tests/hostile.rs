//! Whatever a guest does and whatever bytes it is made of, the machine stays whole: a guest can't panic the host.

use std::rc::Rc;

use callgate_emulator::Interp;
use callgate_kernel::fs::tty::Console;
use callgate_kernel::{Config, EntryRoute, Machine, Outcome};
use callgate_tests::compile::{Compiler, compile};

/// A small generator of numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or(0)
    }
}

/// Runs a program's bytes on a small machine for a while; `None` if execve refuses them.
fn run(program: &[u8], arguments: &[&str], seed: u64, entry: EntryRoute) -> Option<Outcome> {
    let console = Console::Buffers { input: Vec::new(), output: Rc::default(), error: Rc::default() };
    let config = Config {
        console,
        entry,
        deterministic: Some(seed),
        max_memory: 256 << 20,
        max_instructions: Some(100_000_000),
        ..Config::default()
    };
    let mut machine = Machine::new(config, |kernel| Box::new(Interp::new(&kernel.memory))).expect("a machine");
    machine.kernel.vfs.install_file("/guest", program, 0o755).expect("the program is installed");
    let mut argv = vec![b"guest".to_vec()];
    argv.extend(arguments.iter().map(|argument| argument.as_bytes().to_vec()));
    machine.spawn(b"/guest", b"/tmp", argv, Vec::new()).ok()?;
    Some(machine.run())
}

#[test]
fn random_calls_leave_the_kernel_whole() {
    let path = compile(Compiler::Gcc, "hostile/random_calls", &["-O1", "-static"]);
    let program = std::fs::read(path).expect("the program");
    for seed in 1..=12 {
        let route = if seed % 3 == 0 { EntryRoute::Image } else { EntryRoute::Direct };
        let outcome = run(&program, &[&seed.to_string(), "12", "250"], seed, route);
        assert!(outcome.is_some(), "seed {seed}: the program was refused");
        assert!(!matches!(outcome, Some(Outcome::Broken(_))), "seed {seed}: {outcome:?}");
    }
}

#[test]
fn damaged_programs_are_refused_or_end() {
    let path = compile(Compiler::Gcc, "article", Compiler::Gcc.default_flags());
    let whole = std::fs::read(path).expect("the program");
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let mut refused = 0;
    for case in 0..150 {
        let mut program = whole.clone();
        // The headers decide what is mapped where; a cut decides what there is to map.
        for _ in 0..=numbers.below(8) {
            let at = numbers.below(0x200);
            program[at] = numbers.next() as u8;
        }
        if case % 5 == 0 {
            program.truncate(numbers.below(whole.len()));
        }
        let outcome = run(&program, &[], case, EntryRoute::Direct);
        refused += usize::from(outcome.is_none());
        assert!(!matches!(outcome, Some(Outcome::Broken(_))), "case {case}: {outcome:?}");
    }
    assert!((1..150).contains(&refused), "{refused} of 150 damaged programs were refused");
}

#[test]
fn random_bytes_as_code_end_or_run_out() {
    let path = compile(Compiler::Gcc, "article", Compiler::Gcc.default_flags());
    let whole = std::fs::read(path).expect("the program");
    let entry =
        usize::try_from(u64::from_le_bytes(whole[24..32].try_into().expect("e_entry")) - 0x40_0000).expect("small");
    let mut numbers = Numbers(88_172_645_463_325_252);
    for case in 0..150 {
        let mut program = whole.clone();
        for byte in &mut program[entry..entry + 256] {
            *byte = numbers.next() as u8;
        }
        let route = if case % 3 == 0 { EntryRoute::Image } else { EntryRoute::Direct };
        let outcome = run(&program, &[], case, route);
        assert!(!matches!(outcome, None | Some(Outcome::Broken(_))), "case {case}: {outcome:?}");
    }
}
