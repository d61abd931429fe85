//! The kinds of translated code. A cache is all of one.

use crate::context::HOMED;
use crate::window::Origin;

/// What the code of a cache has in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Where the window is that it accesses.
    pub(crate) origin: Origin,
    /// It counts its instructions, in a register that the guest's r8 has otherwise. What doesn't is stopped by a signal.
    pub(crate) counts: bool,
    /// Its calls leave room on the return stack for handlers of signals that run there.
    pub(crate) probes: bool,
    /// It compares addresses by `loop`, which goes on in line where they are the same, and not by `jrcxz`, which branches.
    pub(crate) loops: bool,
    /// The guest has AVX-512, whose state goes in and out with it.
    pub(crate) avx_512: bool,
}

impl Kind {
    /// The guest's registers that have no host register of their own.
    pub(crate) fn homed(self) -> &'static [u8] {
        if self.counts { &HOMED } else { &HOMED[..HOMED.len() - 1] }
    }
}
