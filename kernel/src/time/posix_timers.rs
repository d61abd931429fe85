//! clock_gettime(2), clock_getres(2), clock_settime(2), clock_nanosleep(2).
//!
//! Quirk: nobody can sleep by a clock of processor time; Linux allows it for a process's.

use std::fmt;
use std::time::Duration;

use bitflags::bitflags;
use callgate_abi::{
    ArgClass, Errno, SYSCALL_DEFINE2, SYSCALL_DEFINE4, SyscallArg, TracedArg, impl_syscall_flags, syscall_enum,
};
use linux_raw_sys::general;

use super::nanosleep::sleep_until;
use super::{Timespec, nanosleep};
use crate::sys::traced::{In, Out};
use crate::{Result, Task};

/// How often Linux's coarse clocks tick: 250 times a second.
const COARSE_RESOLUTION: Duration = Duration::from_millis(4);
const HIGH_RESOLUTION: Duration = Duration::from_nanos(1);

syscall_enum! {
    /// Clocks that have a name.
    struct NamedClock: i32, "clockid_t" {
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

/// A clock that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Realtime,
    RealtimeCoarse,
    Monotonic,
    Process(i32),
    Thread(i32),
}

/// What a clock id means: the clock, and its resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KClock {
    kind: Kind,
    resolution: Duration,
}

impl ClockId {
    /// The clock, if there is such.
    fn kclock(self) -> Result<KClock> {
        let (kind, resolution) = match NamedClock(self.0) {
            NamedClock::CLOCK_REALTIME | NamedClock::CLOCK_TAI => (Kind::Realtime, HIGH_RESOLUTION),
            NamedClock::CLOCK_MONOTONIC | NamedClock::CLOCK_MONOTONIC_RAW | NamedClock::CLOCK_BOOTTIME => {
                (Kind::Monotonic, HIGH_RESOLUTION)
            }
            NamedClock::CLOCK_REALTIME_COARSE => (Kind::RealtimeCoarse, COARSE_RESOLUTION),
            NamedClock::CLOCK_MONOTONIC_COARSE => (Kind::Monotonic, COARSE_RESOLUTION),
            NamedClock::CLOCK_PROCESS_CPUTIME_ID => (Kind::Process(0), HIGH_RESOLUTION),
            NamedClock::CLOCK_THREAD_CPUTIME_ID => (Kind::Thread(0), HIGH_RESOLUTION),
            NamedClock(id) if id < 0 => {
                // From high to low: the complement of the id, a bit for threads, two for the kind of
                // time, of which 3 stands for a clock device.
                let pid = !(id >> 3);
                let resolution = match id & 3 {
                    0 | 1 => COARSE_RESOLUTION,
                    2 => HIGH_RESOLUTION,
                    _ => return Err(Errno::EINVAL),
                };
                (if id & 4 != 0 { Kind::Thread(pid) } else { Kind::Process(pid) }, resolution)
            }
            // Alarm clocks need a real-time clock device, which this machine hasn't.
            _ => return Err(Errno::EINVAL),
        };
        Ok(KClock { kind, resolution })
    }

    /// Whether one can sleep by it.
    fn can_sleep(self) -> bool {
        matches!(
            NamedClock(self.0),
            NamedClock::CLOCK_REALTIME
                | NamedClock::CLOCK_MONOTONIC
                | NamedClock::CLOCK_BOOTTIME
                | NamedClock::CLOCK_TAI
        )
    }
}

impl KClock {
    fn now(self, task: &Task) -> Result<Duration> {
        let clock = &task.kernel.clock;
        let now = match self.kind {
            Kind::Realtime => clock.realtime(),
            Kind::RealtimeCoarse => clock.realtime_coarse(),
            Kind::Monotonic => clock.monotonic(),
            Kind::Process(0) => task.process_cputime(),
            Kind::Thread(0) => task.thread_cputime(),
            Kind::Process(pid) => task.cputime_of(&*task.kernel.find_process(pid).ok_or(Errno::EINVAL)?),
            Kind::Thread(pid) => {
                let thread = task.kernel.find_task(pid).filter(|thread| thread.signal.tgid == task.tgid());
                task.cputime_of_thread(&*thread.ok_or(Errno::EINVAL)?)
            }
        };
        let tick = self.resolution.as_nanos() as u32;
        // The coarse clocks show the last tick. A second is a whole number of ticks.
        Ok(Duration::new(now.as_secs(), now.subsec_nanos() / tick * tick))
    }
}

/// clock_gettime(2): reads a clock.
#[SYSCALL_DEFINE2(clock_gettime)]
pub fn clock_gettime(task: &mut Task, which_clock: ClockId, tp: Out<Timespec>) -> Result<()> {
    let now = which_clock.kclock()?.now(task)?;
    tp.write(task, &Timespec::from(now))
}

/// clock_getres(2): tells how fine a clock is.
#[SYSCALL_DEFINE2(clock_getres)]
pub fn clock_getres(task: &mut Task, which_clock: ClockId, tp: Out<Timespec>) -> Result<()> {
    let clock = which_clock.kclock()?;
    clock.now(task)?;
    if tp.is_null() { Ok(()) } else { tp.write(task, &Timespec::from(clock.resolution)) }
}

/// clock_settime(2): the clocks are the host's, nobody can set them.
#[SYSCALL_DEFINE2(clock_settime)]
pub fn clock_settime(task: &mut Task, which_clock: ClockId, tp: In<Timespec>) -> Result<()> {
    // A clock made from an id is looked up after the time is read; of the others, one can be set.
    if which_clock.0 >= 0 && NamedClock(which_clock.0) != NamedClock::CLOCK_REALTIME {
        return Err(Errno::EINVAL);
    }
    let time = tp.read(task)?;
    which_clock.kclock()?;
    if which_clock.0 >= 0 {
        time.to_duration()?;
    }
    Err(Errno::EPERM)
}

/// clock_nanosleep(2): sleeps for a span of time, or until a point in time.
#[SYSCALL_DEFINE4(clock_nanosleep)]
pub fn clock_nanosleep(
    task: &mut Task,
    which_clock: ClockId,
    flags: TimerFlags,
    rqtp: In<Timespec>,
    rmtp: Out<Timespec>,
) -> Result<i32> {
    if matches!(NamedClock(which_clock.0), NamedClock::CLOCK_REALTIME_ALARM | NamedClock::CLOCK_BOOTTIME_ALARM) {
        return Err(Errno::EOPNOTSUPP);
    }
    let clock = which_clock.kclock()?;
    if !which_clock.can_sleep() {
        // A thread can't wait for its own processor time to pass.
        let own = which_clock.0 < 0 && matches!(clock.kind, Kind::Thread(_));
        return Err(if own { Errno::EINVAL } else { Errno::EOPNOTSUPP });
    }
    let time = rqtp.read(task)?.to_duration()?;
    if !flags.contains(TimerFlags::TIMER_ABSTIME) {
        return nanosleep::sleep_for(task, time, rmtp);
    }
    // The point in time on the monotonic clock is found out once.
    let span = time.saturating_sub(clock.now(task)?);
    let deadline = task.deadline_after(span);
    sleep_until(task, deadline, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_linux_knows() {
        for id in [0, 1, 2, 3, 4, 5, 6, 7, 11] {
            assert!(ClockId(id).kclock().is_ok(), "{id}");
        }
        for id in [8, 10, 12, 99, i32::MAX, -1] {
            assert_eq!(ClockId(id).kclock(), Err(Errno::EINVAL), "{id}");
        }
    }

    #[test]
    fn a_clock_can_name_a_process() {
        let clock = ClockId(!7 << 3 | 2).kclock().unwrap();
        assert_eq!(clock.kind, Kind::Process(7));
        assert_eq!(ClockId(!7 << 3 | 6).kclock().unwrap().kind, Kind::Thread(7));
    }
}
