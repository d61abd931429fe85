//! Time: the clocks, and the calls that read them or wait for them.
//!
//! Linux keeps clocks in `kernel/time/`: posix-timers.c for clock_*(2), hrtimer.c for sleeping,
//! itimer.c for interval timers, time.c for what came before. So do we.
//!
//! Quirks:
//! - Monotonic time counts from the machine's start, and boot time is the same.
//! - Processor time is the number of instructions executed, a nanosecond each, all of it user time:
//!   it is the same in every run, whatever the engine.
//! - Nobody can set a clock: EPERM.

mod clock;
pub mod cputime;
pub mod itimer;
pub mod nanosleep;
pub mod posix_timers;
#[allow(clippy::module_inception)] // Linux's kernel/time/time.c
pub mod time;

use std::fmt;
use std::time::Duration;

use callgate_abi::Errno;

use crate::Result;
use crate::sys::traced::Traced;

pub use crate::fs::uapi::{Timespec, Timeval};
pub use clock::Clock;

const NANOSECONDS: u64 = 1_000_000_000;
const MICROSECONDS: u64 = 1_000_000;
/// The longest span that Linux knows, 292 years: longer ones are cut to it (`KTIME_MAX`).
const LONGEST: Duration = Duration::from_nanos(i64::MAX as u64);

impl Timespec {
    /// The span of time that a program asks for.
    ///
    /// # Errors
    /// EINVAL if it is negative, or has more nanoseconds than a second (`timespec64_valid`).
    pub fn to_duration(self) -> Result<Duration> {
        let seconds = u64::try_from(self.tv_sec).map_err(|_| Errno::EINVAL)?;
        let nanoseconds = self.tv_nsec as u64;
        if nanoseconds >= NANOSECONDS {
            return Err(Errno::EINVAL);
        }
        Ok(Duration::new(seconds, nanoseconds as u32).min(LONGEST))
    }
}

impl Timeval {
    /// The span of time that a program asks for.
    ///
    /// # Errors
    /// EINVAL if it is negative, or has more microseconds than a second.
    pub fn to_duration(self) -> Result<Duration> {
        let seconds = u64::try_from(self.tv_sec).map_err(|_| Errno::EINVAL)?;
        let microseconds = self.tv_usec as u64;
        if microseconds >= MICROSECONDS {
            return Err(Errno::EINVAL);
        }
        Ok(Duration::new(seconds, microseconds as u32 * 1000).min(LONGEST))
    }

    /// A span of time, cut to microseconds.
    pub fn from_duration(duration: Duration) -> Timeval {
        Timeval { tv_sec: duration.as_secs() as i64, tv_usec: i64::from(duration.subsec_micros()) }
    }
}

impl Traced for Timespec {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        write!(f, "{{tv_sec={}, tv_nsec={}}}", self.tv_sec, self.tv_nsec)
    }
}

impl Traced for Timeval {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        write!(f, "{{tv_sec={}, tv_usec={}}}", self.tv_sec, self.tv_usec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_out_of_range_are_invalid() {
        for (tv_sec, tv_nsec) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MIN, i64::MAX)] {
            assert_eq!(Timespec { tv_sec, tv_nsec }.to_duration(), Err(Errno::EINVAL));
        }
        let longest = Timespec { tv_sec: i64::MAX, tv_nsec: 999_999_999 }.to_duration().unwrap();
        assert_eq!(longest, LONGEST);
        assert_eq!(Timeval { tv_sec: 0, tv_usec: 1_000_000 }.to_duration(), Err(Errno::EINVAL));
        let duration = Timeval { tv_sec: 1, tv_usec: 999_999 }.to_duration().unwrap();
        assert_eq!(Timeval::from_duration(duration), Timeval { tv_sec: 1, tv_usec: 999_999 });
    }
}
