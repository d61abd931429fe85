//! Interval timers: setitimer(2), getitimer(2), alarm(2).
//!
//! Linux has three for each process: real time (SIGALRM), processor time in user mode (SIGVTALRM),
//! and processor time in all (SIGPROF). alarm(2) is the first, by the second.
//!
//! Quirk: the timers of processor time are looked at when their process's turn ends, so their
//! signals can come late by a time slice.

use std::rc::{Rc, Weak};
use std::time::Duration;

use callgate_abi::{Errno, SYSCALL_DEFINE1, SYSCALL_DEFINE2, SYSCALL_DEFINE3};
use callgate_uapi::signal::{SIGALRM, SIGPROF, SIGVTALRM, SigInfo};
use callgate_uapi::time::{Itimer, Itimerval, Timeval};
use callgate_uapi::traced::{In, Out};

use crate::kernel::Kernel;
use crate::sched::timer::Expiry;
use crate::signal::send_group_signal;
use crate::task::SignalStruct;
use crate::{Result, Task};

/// An interval timer: when it expires next, and its period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timer {
    /// On the timer's clock; none while the timer is off.
    pub deadline: Option<Duration>,
    /// Zero for a timer that expires once.
    pub interval: Duration,
}

impl Timer {
    /// The timer after an expiry at `now`: off, or at its next period's end, late ones skipped.
    fn next(self, now: Duration) -> Timer {
        let deadline = self.deadline.filter(|_| !self.interval.is_zero()).map(|deadline| {
            let late = now.saturating_sub(deadline).as_nanos();
            let periods = late / self.interval.as_nanos() + 1;
            let ahead = u64::try_from(periods.saturating_mul(self.interval.as_nanos())).unwrap_or(u64::MAX);
            deadline.saturating_add(Duration::from_nanos(ahead))
        });
        Timer { deadline, ..self }
    }

    /// As a program sees it. A running timer has at least a microsecond left.
    fn to_itimerval(self, now: Duration) -> Itimerval {
        let left =
            self.deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_sub(now).max(Duration::from_micros(1)));
        Itimerval { it_interval: Timeval::from_duration(self.interval), it_value: Timeval::from_duration(left) }
    }
}

/// Sets the real-time timer of a process and gets what it was.
fn set_real_timer(kernel: &Kernel, group: &Rc<SignalStruct>, new: Timer) -> Timer {
    let (deadline, interval, generation) = group.itimer_real.get();
    // Entries of the timer heap stay there; the generation tells which one counts.
    let generation = generation.wrapping_add(1);
    group.itimer_real.set((new.deadline, new.interval, generation));
    if let Some(deadline) = new.deadline {
        let group = Rc::downgrade(group);
        kernel.timers.add(deadline, Expiry::Call(Rc::new(move || expire(&group, generation))));
    }
    Timer { deadline, interval }
}

/// The real-time timer of a process has expired, unless it was set anew meanwhile.
fn expire(group: &Weak<SignalStruct>, generation: u64) {
    let Some(group) = group.upgrade() else { return };
    let (deadline, interval, current) = group.itimer_real.get();
    let thread = group.threads.borrow().first().cloned();
    let Some(kernel) = thread.and_then(|thread| thread.kernel()).filter(|_| current == generation) else { return };
    let next = Timer { deadline, interval }.next(kernel.clock.monotonic());
    set_real_timer(&kernel, &group, next);
    send_group_signal(&kernel, &group, SigInfo::kernel(SIGALRM));
}

/// A timer that is set to `value` now.
fn timer_from(value: Duration, interval: Duration, now: Duration) -> Timer {
    let deadline = (!value.is_zero()).then(|| now.saturating_add(value));
    Timer { deadline, interval }
}

impl Task {
    fn get_timer(&self, which: Itimer) -> Result<Itimerval> {
        match which {
            Itimer::ITIMER_REAL => {
                let (deadline, interval, _) = self.signal().itimer_real.get();
                Ok(Timer { deadline, interval }.to_itimerval(self.kernel.clock.monotonic()))
            }
            _ => Ok(self.cpu_timer(which)?.to_itimerval(self.process_cputime())),
        }
    }

    fn set_timer(&mut self, which: Itimer, value: Duration, interval: Duration) -> Result<Itimerval> {
        match which {
            Itimer::ITIMER_REAL => {
                let now = self.kernel.clock.monotonic();
                let old = set_real_timer(&self.kernel, self.signal(), timer_from(value, interval, now));
                Ok(old.to_itimerval(now))
            }
            _ => {
                let old = self.cpu_timer(which)?;
                let now = self.process_cputime();
                self.set_cpu_timer(which, timer_from(value, interval, now));
                Ok(old.to_itimerval(now))
            }
        }
    }

    fn cpu_timer(&self, which: Itimer) -> Result<Timer> {
        let timers = self.signal().itimer_cpu.get();
        match which {
            Itimer::ITIMER_VIRTUAL => Ok(timers[0]),
            Itimer::ITIMER_PROF => Ok(timers[1]),
            _ => Err(Errno::EINVAL),
        }
    }

    fn set_cpu_timer(&self, which: Itimer, timer: Timer) {
        let mut timers = self.signal().itimer_cpu.get();
        timers[usize::from(which == Itimer::ITIMER_PROF)] = timer;
        self.signal().itimer_cpu.set(timers);
    }

    /// Whether a timer of the process' own processor time runs.
    pub(crate) fn has_cpu_timer(&self) -> bool {
        self.signal().itimer_cpu.get().iter().any(|timer| timer.deadline.is_some())
    }

    /// Sends the signals of timers whose processor time has passed.
    pub(crate) fn check_cpu_timers(&mut self) {
        if !self.has_cpu_timer() {
            return;
        }
        let now = self.process_cputime();
        for (which, sig) in [(Itimer::ITIMER_VIRTUAL, SIGVTALRM), (Itimer::ITIMER_PROF, SIGPROF)] {
            let Ok(timer) = self.cpu_timer(which) else { continue };
            if timer.deadline.is_some_and(|deadline| deadline <= now) {
                self.set_cpu_timer(which, timer.next(now));
                send_group_signal(&self.kernel, self.signal(), SigInfo::kernel(sig));
            }
        }
    }
}

/// getitimer(2): tells how long a timer still runs.
#[SYSCALL_DEFINE2(getitimer)]
pub fn getitimer(task: &mut Task, which: Itimer, value: Out<Itimerval>) -> Result<()> {
    let timer = task.get_timer(which)?;
    value.write(task, &timer)
}

/// setitimer(2): starts or stops a timer and tells how long it would still have run.
#[SYSCALL_DEFINE3(setitimer)]
pub fn setitimer(task: &mut Task, which: Itimer, value: In<Itimerval>, ovalue: Out<Itimerval>) -> Result<()> {
    // NULL stops the timer, which no standard says.
    let new = if value.is_null() { Itimerval::default() } else { value.read(task)? };
    let (value, interval) = (new.it_value.to_duration()?, new.it_interval.to_duration()?);
    let old = task.set_timer(which, value, interval)?;
    if ovalue.is_null() { Ok(()) } else { ovalue.write(task, &old) }
}

/// alarm(2): has SIGALRM sent in some seconds; returns how many an earlier alarm still had.
#[SYSCALL_DEFINE1(alarm)]
pub fn alarm(task: &mut Task, seconds: u32) -> Result<u32> {
    let old = task.set_timer(Itimer::ITIMER_REAL, Duration::from_secs(seconds.into()), Duration::ZERO)?;
    // Rounded, but never to 0 while the alarm is on.
    let Timeval { tv_sec, tv_usec } = old.it_value;
    let up = (tv_sec == 0 && tv_usec != 0) || tv_usec >= 500_000;
    Ok((tv_sec as u32).wrapping_add(u32::from(up)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_periodic_timer_skips_what_it_missed() {
        let ms = Duration::from_millis;
        let timer = Timer { deadline: Some(ms(10)), interval: ms(4) };
        assert_eq!(timer.next(ms(10)).deadline, Some(ms(14)));
        assert_eq!(timer.next(ms(21)).deadline, Some(ms(22)));
        let once = Timer { interval: Duration::ZERO, ..timer };
        assert_eq!(once.next(ms(10)).deadline, None);
    }

    #[test]
    fn a_running_timer_has_time_left() {
        let timer = Timer { deadline: Some(Duration::from_secs(1)), interval: Duration::ZERO };
        assert_eq!(timer.to_itimerval(Duration::from_secs(2)).it_value, Timeval { tv_sec: 0, tv_usec: 1 });
        assert_eq!(Timer::default().to_itimerval(Duration::ZERO), Itimerval::default());
    }
}
