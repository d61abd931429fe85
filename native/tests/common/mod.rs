//! What tests of translated code begin with.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use callgate_emulator::{Cpu, CpuModel, Engine, Exit, Memory, PageFlags, Space};
use callgate_native::{Native, Setup};

/// Where a guest's code is.
pub(crate) const CODE: u64 = 0x40_0000;

/// The processors of guests here: with AVX-512 where the host has it.
pub(crate) fn model() -> CpuModel {
    if callgate_native::check(CpuModel::V4).is_ok() { CpuModel::V4 } else { CpuModel::default() }
}

/// A processor about to run a page of code, and the page.
pub(crate) fn guest(memory: &Memory, code: &[u8]) -> (Cpu, Space) {
    let mut space = Space::new(memory);
    let frame = memory.alloc().expect("a frame");
    frame.write(0, code);
    space.map(CODE, frame, PageFlags::USER | PageFlags::EXEC);
    let mut cpu = Cpu::of(model());
    cpu.rip = CODE;
    (cpu, space)
}

const ANYWHERE: Setup = Setup { low_memory: false, counts: true, alternate_stack: false, loops: Some(false) };
/// Engines whose budgets are kept.
#[allow(dead_code, reason = "not of interest in each test program")]
pub(crate) const COUNTING: [Setup; 2] = [ANYWHERE, Setup { low_memory: true, loops: Some(true), ..ANYWHERE }];
/// And those whose runs end by time.
#[allow(dead_code, reason = "not of interest in each test program")]
pub(crate) const SETUPS: [Setup; 4] = [
    COUNTING[0],
    COUNTING[1],
    Setup { counts: false, loops: Some(true), ..COUNTING[0] },
    Setup { counts: false, loops: Some(false), ..COUNTING[1] },
];

/// Runs as many instructions as said, or until something happens, however often time is over until then.
#[allow(dead_code, reason = "not of interest in each test program")]
pub(crate) fn run(engine: &mut dyn Engine, cpu: &mut Cpu, space: &mut Space, budget: u64) -> Exit {
    loop {
        match engine.run(cpu, space, budget) {
            Exit::Budget if !engine.counts() => {}
            exit => return exit,
        }
    }
}

/// An engine, and what keeps others from the host's first 4 GiB while it may have them.
pub(crate) struct Held {
    native: Native,
    _low: Option<MutexGuard<'static, ()>>,
}

impl Deref for Held {
    type Target = Native;

    fn deref(&self) -> &Native {
        &self.native
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Native {
        &mut self.native
    }
}

/// An engine that translates whatever comes up. None where it can't run, and says why.
pub(crate) fn native(memory: &Memory, setup: Setup) -> Option<Held> {
    static LOW: Mutex<()> = Mutex::new(());
    // What a test has panicked with is that test's affair.
    let low = setup.low_memory.then(|| LOW.lock().unwrap_or_else(PoisonError::into_inner));
    let mut native = match Native::new(memory, model(), setup) {
        Ok(native) => native,
        Err(error) => {
            eprintln!("skipped: {error}");
            return None;
        }
    };
    if setup.low_memory && !native.has_low_window() {
        eprintln!("skipped: something is in the host's first 4 GiB");
        return None;
    }
    assert_eq!(native.counts(), setup.counts);
    native.translate_at_once();
    Some(Held { native, _low: low })
}
