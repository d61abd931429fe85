//! What tests of translated code begin with.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use callgate_emulator::{Cpu, CpuModel, Memory, PageFlags, Space};
use callgate_native::Native;

/// Where a guest's code is.
pub(crate) const CODE: u64 = 0x40_0000;

/// A processor about to run a page of code, and the page.
pub(crate) fn guest(memory: &Memory, code: &[u8]) -> (Cpu, Space) {
    let mut space = Space::new(memory);
    let frame = memory.alloc().expect("a frame");
    frame.write(0, code);
    space.map(CODE, frame, PageFlags::USER | PageFlags::EXEC);
    let mut cpu = Cpu::default();
    cpu.rip = CODE;
    (cpu, space)
}

/// Where an engine has its windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Windows {
    Anywhere,
    /// The first of them in the host's first 4 GiB.
    Low,
}

/// All that there are.
pub(crate) const WINDOWS: [Windows; 2] = [Windows::Anywhere, Windows::Low];

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
pub(crate) fn native(memory: &Memory, windows: Windows) -> Option<Held> {
    static LOW: Mutex<()> = Mutex::new(());
    let is_low = windows == Windows::Low;
    // What a test has panicked with is that test's affair.
    let low = is_low.then(|| LOW.lock().unwrap_or_else(PoisonError::into_inner));
    let made = if is_low { Native::in_low_memory } else { Native::new }(memory, CpuModel::default());
    let mut native = match made {
        Ok(native) => native,
        Err(error) => {
            eprintln!("skipped: {error}");
            return None;
        }
    };
    if is_low && !native.has_low_window() {
        eprintln!("skipped: something is in the host's first 4 GiB");
        return None;
    }
    native.translate_at_once();
    Some(Held { native, _low: low })
}
