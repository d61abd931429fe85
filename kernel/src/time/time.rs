//! The older calls: gettimeofday(2), settimeofday(2), time(2), times(2).

use std::time::Duration;

use callgate_abi::{Errno, SYSCALL_DEFINE1, SYSCALL_DEFINE2, UserMut, UserPtr};
use callgate_uapi::time::{OldTime, Timeval, Timezone, Tms};
use callgate_uapi::traced::{In, Out};

use crate::{Result, Task};

/// The unit of times(2) and /proc: 100 a second (`USER_HZ`).
pub fn clock_ticks(duration: Duration) -> i64 {
    const TICK_NANOSECONDS: u128 = 10_000_000;
    i64::try_from(duration.as_nanos() / TICK_NANOSECONDS).unwrap_or(i64::MAX)
}

/// gettimeofday(2): the time of day.
#[SYSCALL_DEFINE2(gettimeofday)]
pub fn gettimeofday(task: &mut Task, tv: Out<Timeval>, tz: Out<Timezone>) -> Result<()> {
    if !tv.is_null() {
        let now = Timeval::from_duration(task.kernel.clock.realtime());
        tv.write(task, &now)?;
    }
    if tz.is_null() { Ok(()) } else { tz.write(task, &Timezone::default()) }
}

/// settimeofday(2): the clock is the host's, nobody can set it.
#[SYSCALL_DEFINE2(settimeofday)]
pub fn settimeofday(task: &mut Task, tv: In<Timeval>, tz: UserPtr<Timezone>) -> Result<()> {
    let time = if tv.is_null() { None } else { Some(tv.read(task)?) };
    if time.is_some_and(|time| !(0..=1_000_000).contains(&time.tv_usec)) {
        return Err(Errno::EINVAL);
    }
    if !tz.is_null() {
        tz.read(task)?;
    }
    if let Some(time) = time {
        time.to_duration()?;
    }
    Err(Errno::EPERM)
}

/// time(2): seconds since 1970-01-01 00:00:00 UTC.
#[SYSCALL_DEFINE1(time)]
pub fn time(task: &mut Task, tloc: UserMut<OldTime>) -> Result<i64> {
    let now = task.kernel.clock.realtime_coarse().as_secs() as i64;
    if !tloc.is_null() {
        tloc.write(task, &OldTime(now))?;
    }
    Ok(now)
}

/// times(2): processor times of the process and its children; returns ticks since the start.
#[SYSCALL_DEFINE1(times)]
pub fn times(task: &mut Task, tbuf: Out<Tms>) -> Result<i64> {
    if !tbuf.is_null() {
        let times = Tms {
            tms_utime: clock_ticks(task.process_cputime()),
            tms_stime: 0,
            tms_cutime: clock_ticks(task.children_cputime()),
            tms_cstime: 0,
        };
        tbuf.write(task, &times)?;
    }
    Ok(clock_ticks(task.kernel.clock.monotonic()))
}
