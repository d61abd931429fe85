//! What tests of translated code begin with.

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

/// An engine that translates whatever comes up. None where it can't run, and says why.
pub(crate) fn native(memory: &Memory) -> Option<Native> {
    match Native::new(memory, CpuModel::default()) {
        Ok(mut native) => {
            native.translate_at_once();
            Some(native)
        }
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}
