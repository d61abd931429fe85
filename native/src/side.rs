//! The sides of an engine: code, and the windows that it accesses.
//!
//! Code for the window at the host's address 0 is another than for those at gs. So there are two caches, and each has its
//! jump table: what is wrong on one side can't be reached from the other. One space at a time has the window at 0, the
//! first one that comes; in its place comes one that runs for long without it.

use std::io;

use callgate_emulator::CpuModel;

use crate::cache::{Cache, Figures};
use crate::engine::Setup;
use crate::enter;
use crate::host;
use crate::kind::Kind;
use crate::window::{Origin, Shared, Windows};

/// Instructions that others execute without the owner of the window at 0 before one of them gets it: many times what it
/// costs, which is to translate its code anew.
const PATIENCE: u64 = 50_000_000;

/// One side.
pub(crate) struct Side {
    pub(crate) kind: Kind,
    pub(crate) shared: Shared,
    pub(crate) windows: Windows,
    pub(crate) cache: Cache,
}

impl Side {
    fn new(model: CpuModel, kind: Kind) -> io::Result<Self> {
        let mut shared = Shared::new()?;
        // SAFETY: all zeros is a valid context, and nobody else has a reference.
        let fields = unsafe { &mut *shared.context() };
        fields.leave = enter::leave as *const () as u64;
        let windows = Windows::new(&mut shared, kind.origin)?;
        Ok(Self { kind, shared, windows, cache: Cache::new(model, kind)? })
    }
}

/// The sides that there are.
pub(crate) struct Sides {
    pub(crate) model: CpuModel,
    /// The one that code runs on.
    pub(crate) now: Side,
    /// Made when it is first needed, unless the host refuses it.
    other: Option<Side>,
    refused: bool,
    /// The space that has the window at 0, if there is such a window; 0 is none.
    owner: Option<u64>,
    /// Instructions that others have executed since it did.
    others: u64,
}

impl Sides {
    /// With a window at 0, if that is wanted and the host's first 4 GiB are free; and else one at gs.
    ///
    /// # Errors
    /// What the host says.
    pub(crate) fn new(model: CpuModel, setup: Setup) -> io::Result<Self> {
        let Setup { low_memory, counts, alternate_stack, loops } = setup;
        let loops = loops.unwrap_or_else(host::has_fast_loop);
        let kind = |origin| Kind { origin, counts, probes: !alternate_stack, loops, avx_512: model.has_avx_512() };
        let zero = if low_memory { Side::new(model, kind(Origin::Zero)).ok() } else { None };
        let owner = zero.is_some().then_some(0);
        let now = match zero {
            Some(side) => side,
            None => Side::new(model, kind(Origin::Gs))?,
        };
        Ok(Self { model, now, other: None, refused: false, owner, others: 0 })
    }

    /// Turns to the side of a space. False if it can't be had.
    #[inline]
    pub(crate) fn turn_to(&mut self, space: u64) -> bool {
        match self.owner {
            None => true,
            Some(owner) if owner == space && self.now.kind.origin == Origin::Zero => true,
            Some(owner) => self.turn_slowly(owner, space),
        }
    }

    fn turn_slowly(&mut self, owner: u64, space: u64) -> bool {
        let takes_over = owner == 0 || owner != space && self.others > PATIENCE;
        let origin = if takes_over || owner == space { Origin::Zero } else { Origin::Gs };
        if takes_over {
            self.owner = Some(space);
            self.others = 0;
            for side in [Some(&mut self.now), self.other.as_mut()].into_iter().flatten() {
                // A space has a window on one side only.
                side.windows.release(space);
                side.windows.release(owner);
            }
        }
        if self.now.kind.origin == origin {
            return true;
        }
        if self.other.is_none() && !self.refused {
            self.other = Side::new(self.model, Kind { origin, ..self.now.kind }).ok();
            self.refused = self.other.is_none();
        }
        match &mut self.other {
            Some(other) => {
                std::mem::swap(&mut self.now, other);
                true
            }
            None => false,
        }
    }

    /// Notes how many instructions a space has executed.
    #[inline]
    pub(crate) fn note(&mut self, space: u64, instructions: u64) {
        match self.owner {
            Some(owner) if owner != space => self.others += instructions,
            _ => self.others = 0,
        }
    }

    /// Whether there is a window at 0.
    pub(crate) fn has_low(&self) -> bool {
        self.owner.is_some()
    }

    /// The figures of all.
    pub(crate) fn figures(&self) -> Figures {
        let other = self.other.as_ref().map(|side| side.cache.figures).unwrap_or_default();
        self.now.cache.figures + other
    }
}
