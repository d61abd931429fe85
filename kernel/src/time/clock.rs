//! The clocks: the host's, or a virtual one that instructions drive.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// The kernel's clocks. Monotonic time counts from the machine's start.
#[derive(Debug)]
pub enum Clock {
    /// The host's clocks.
    Host {
        /// The moment of the machine's start.
        start: Instant,
    },
    /// One nanosecond an instruction, from a fixed date on; idle time passes at once. Two runs of
    /// one program with one input see the same times.
    Virtual {
        /// Nanoseconds since the machine's start.
        now: Cell<u64>,
    },
}

/// Where virtual time begins: 2025-01-01 00:00:00 UTC.
const VIRTUAL_EPOCH: Duration = Duration::from_secs(1_735_689_600);

impl Clock {
    /// The host's clocks, started now.
    pub fn host() -> Clock {
        Clock::Host { start: Instant::now() }
    }

    /// A virtual clock at zero.
    pub fn virtual_clock() -> Clock {
        Clock::Virtual { now: Cell::new(0) }
    }

    /// Whether instructions drive it.
    pub fn is_virtual(&self) -> bool {
        matches!(self, Clock::Virtual { .. })
    }

    /// CLOCK_MONOTONIC: time since the machine's start.
    pub fn monotonic(&self) -> Duration {
        match self {
            Clock::Host { start } => start.elapsed(),
            Clock::Virtual { now } => Duration::from_nanos(now.get()),
        }
    }

    /// CLOCK_REALTIME: time since 1970-01-01 00:00:00 UTC.
    pub fn realtime(&self) -> Duration {
        match self {
            Clock::Host { .. } => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Clock::Virtual { now } => VIRTUAL_EPOCH + Duration::from_nanos(now.get()),
        }
    }

    /// CLOCK_REALTIME_COARSE: the same as of the last tick, and cheaper to ask for. It is what goes into inodes.
    pub fn realtime_coarse(&self) -> Duration {
        match self {
            Clock::Host { .. } => {
                let now = clock_gettime(ClockId::RealtimeCoarse);
                Duration::try_from(now).unwrap_or_default()
            }
            Clock::Virtual { .. } => self.realtime(),
        }
    }

    /// Tells a virtual clock that instructions were executed.
    pub(crate) fn advance(&self, instructions: u64) {
        if let Clock::Virtual { now } = self {
            now.set(now.get().saturating_add(instructions));
        }
    }

    /// Moves a virtual clock to `deadline`; false where time passes by itself.
    pub(crate) fn skip_to(&self, deadline: Duration) -> bool {
        match self {
            Clock::Host { .. } => false,
            Clock::Virtual { now } => {
                now.set(now.get().max(u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX)));
                true
            }
        }
    }
}
