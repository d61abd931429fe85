//! clock_gettime(2), clock_getres(2), clock_settime(2), clock_nanosleep(2).
//!
//! Quirk: nobody can sleep by a clock of processor time; Linux allows it for a process's.

use std::time::Duration;

use callgate_abi::{Errno, SYSCALL_DEFINE2, SYSCALL_DEFINE4};
use callgate_uapi::time::{ClockId, NamedClock, TimerFlags, Timespec};
use callgate_uapi::traced::{In, Out};

use super::nanosleep;
use super::nanosleep::sleep_until;
use crate::{Result, Task};

/// How often Linux's coarse clocks tick: 250 times a second.
const COARSE_RESOLUTION: Duration = Duration::from_millis(4);
const HIGH_RESOLUTION: Duration = Duration::from_nanos(1);

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

/// The clock, if there is such.
fn kclock(id: ClockId) -> Result<KClock> {
    let (kind, resolution) = match NamedClock(id.0) {
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
fn can_sleep(id: ClockId) -> bool {
    matches!(
        NamedClock(id.0),
        NamedClock::CLOCK_REALTIME | NamedClock::CLOCK_MONOTONIC | NamedClock::CLOCK_BOOTTIME | NamedClock::CLOCK_TAI
    )
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
    let now = kclock(which_clock)?.now(task)?;
    tp.write(task, &Timespec::from(now))
}

/// clock_getres(2): tells how fine a clock is.
#[SYSCALL_DEFINE2(clock_getres)]
pub fn clock_getres(task: &mut Task, which_clock: ClockId, tp: Out<Timespec>) -> Result<()> {
    let clock = kclock(which_clock)?;
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
    kclock(which_clock)?;
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
    let clock = kclock(which_clock)?;
    if !can_sleep(which_clock) {
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
            assert!(kclock(ClockId(id)).is_ok(), "{id}");
        }
        for id in [8, 10, 12, 99, i32::MAX, -1] {
            assert_eq!(kclock(ClockId(id)), Err(Errno::EINVAL), "{id}");
        }
    }

    #[test]
    fn a_clock_can_name_a_process() {
        let clock = kclock(ClockId(!7 << 3 | 2)).unwrap();
        assert_eq!(clock.kind, Kind::Process(7));
        assert_eq!(kclock(ClockId(!7 << 3 | 6)).unwrap().kind, Kind::Thread(7));
    }
}
