//! Linux: `linux/time.h`, `linux/time_types.h`, `linux/times.h`, `linux/utime.h`.

use std::fmt;
use std::time::Duration;

use bitflags::bitflags;
use callgate_abi::{ArgClass, CType, Errno, SyscallArg, TracedArg, impl_syscall_flags, syscall_enum};
use linux_raw_sys::general;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::traced::Traced;
use crate::user_structs;

const NANOSECONDS: u64 = 1_000_000_000;
const MICROSECONDS: u64 = 1_000_000;
/// The longest span that Linux knows, 292 years: longer ones are cut to it (`KTIME_MAX`).
const LONGEST: Duration = Duration::from_nanos(i64::MAX as u64);

user_structs! {
    /// Seconds and nanoseconds since 1970-01-01 00:00:00 UTC.
    Timespec = "struct __kernel_timespec" { tv_sec: i64, tv_nsec: i64 }
    /// Seconds and microseconds.
    Timeval = "struct __kernel_old_timeval" { tv_sec: i64, tv_usec: i64 }
    /// utime(2)'s two times.
    Utimbuf = "struct utimbuf" { actime: i64, modtime: i64 }
    /// The time zone that nobody uses any more.
    Timezone = "struct timezone" { tz_minuteswest: i32, tz_dsttime: i32 }
    /// Processor times in clock ticks.
    Tms = "struct tms" { tms_utime: i64, tms_stime: i64, tms_cutime: i64, tms_cstime: i64 }
}

impl PartialOrd for Timespec {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timespec {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.tv_sec, self.tv_nsec).cmp(&(other.tv_sec, other.tv_nsec))
    }
}

impl From<Duration> for Timespec {
    fn from(d: Duration) -> Self {
        Self { tv_sec: d.as_secs() as i64, tv_nsec: d.subsec_nanos().into() }
    }
}

impl Timespec {
    /// The span of time that a program asks for.
    ///
    /// # Errors
    /// EINVAL if it is negative, or has more nanoseconds than a second (`timespec64_valid`).
    pub fn to_duration(self) -> Result<Duration, Errno> {
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
    pub fn to_duration(self) -> Result<Duration, Errno> {
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

impl Traced for Timezone {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        write!(f, "{{tz_minuteswest={}, tz_dsttime={}}}", self.tz_minuteswest, self.tz_dsttime)
    }
}

impl Traced for Tms {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        let Tms { tms_utime, tms_stime, tms_cutime, tms_cstime } = self;
        write!(f, "{{tms_utime={tms_utime}, tms_stime={tms_stime}, tms_cutime={tms_cutime}, tms_cstime={tms_cstime}}}")
    }
}

/// The type of time(2)'s answer.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(transparent)]
pub struct OldTime(pub i64);

impl CType for OldTime {
    const NAME: &'static str = "__kernel_old_time_t";
}

syscall_enum! {
    /// Which timer.
    pub struct Itimer: i32, "int" {
        ITIMER_REAL = general::ITIMER_REAL as i32,
        ITIMER_VIRTUAL = general::ITIMER_VIRTUAL as i32,
        ITIMER_PROF = general::ITIMER_PROF as i32,
    }
}

/// `struct itimerval`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Itimerval {
    /// The period, or 0.
    pub it_interval: Timeval,
    /// Time until the next expiry, or 0 where the timer is off.
    pub it_value: Timeval,
}

impl CType for Itimerval {
    const NAME: &'static str = "struct __kernel_old_itimerval";
}

impl Traced for Itimerval {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("{it_interval=")?;
        self.it_interval.trace(f)?;
        f.write_str(", it_value=")?;
        self.it_value.trace(f)?;
        f.write_str("}")
    }
}

syscall_enum! {
    /// Clocks that have a name.
    pub struct NamedClock: i32, "clockid_t" {
        CLOCK_REALTIME = general::CLOCK_REALTIME as i32,
        CLOCK_MONOTONIC = general::CLOCK_MONOTONIC as i32,
        CLOCK_PROCESS_CPUTIME_ID = general::CLOCK_PROCESS_CPUTIME_ID as i32,
        CLOCK_THREAD_CPUTIME_ID = general::CLOCK_THREAD_CPUTIME_ID as i32,
        CLOCK_MONOTONIC_RAW = general::CLOCK_MONOTONIC_RAW as i32,
        CLOCK_REALTIME_COARSE = general::CLOCK_REALTIME_COARSE as i32,
        CLOCK_MONOTONIC_COARSE = general::CLOCK_MONOTONIC_COARSE as i32,
        CLOCK_BOOTTIME = general::CLOCK_BOOTTIME as i32,
        CLOCK_REALTIME_ALARM = general::CLOCK_REALTIME_ALARM as i32,
        CLOCK_BOOTTIME_ALARM = general::CLOCK_BOOTTIME_ALARM as i32,
        CLOCK_TAI = general::CLOCK_TAI as i32,
    }
}

/// A clock, as a program names it: one of the constants, or made from a process's or thread's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockId(pub i32);

impl SyscallArg for ClockId {
    const CLASS: ArgClass = ArgClass::Enum;

    fn from_reg(raw: u64) -> ClockId {
        ClockId(raw as i32)
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        NamedClock::c_type(f)
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
        NamedClock::fmt(arg, f)
    }
}

bitflags! {
    /// Flags of clock_nanosleep.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct TimerFlags: i32 {
        /// The time is a point, not a span.
        const TIMER_ABSTIME = general::TIMER_ABSTIME as i32;
    }
}
impl_syscall_flags!(TimerFlags: i32, "int");

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
