//! The older calls: gettimeofday(2), settimeofday(2), time(2), times(2).

use std::fmt;
use std::time::Duration;

use callgate_abi::{CType, Errno, SYSCALL_DEFINE1, SYSCALL_DEFINE2, UserMut, UserPtr};

use super::Timeval;
use crate::sys::traced::{In, Out, Traced};
use crate::sys::user_structs;
use crate::{Result, Task};

user_structs! {
    /// The time zone that nobody uses any more.
    Timezone = "struct timezone" { tz_minuteswest: i32, tz_dsttime: i32 }
    /// Processor times in clock ticks.
    Tms = "struct tms" { tms_utime: i64, tms_stime: i64, tms_cutime: i64, tms_cstime: i64 }
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

/// The type of time(2)'s answer.
#[derive(Clone, Copy, Debug, zerocopy::IntoBytes, zerocopy::Immutable)]
#[repr(transparent)]
pub struct OldTime(i64);

impl CType for OldTime {
    const NAME: &'static str = "__kernel_old_time_t";
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
