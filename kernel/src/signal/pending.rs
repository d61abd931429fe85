//! Pending signals: a queue, and the set of what is in it (`struct sigpending`).
//!
//! A signal below SIGRTMIN is queued once, however often it is sent; a real-time one each time.

use callgate_uapi::signal::{SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGRTMIN, SIGSEGV, SIGSYS, SIGTRAP, SigInfo, SigSet};

use std::collections::VecDeque;

/// Signals that the running instruction itself causes: they are delivered before all others.
const SYNCHRONOUS: SigSet = SigSet::of(&[SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS]);

/// What a task, or a thread group, has to attend to on its way back to user mode.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    queue: VecDeque<SigInfo>,
    set: SigSet,
    /// The group is being stopped by this signal, and this task has yet to (JOBCTL_STOP_PENDING).
    pub(super) stop: Option<i32>,
    /// Blocked signals that the task waits for in sigtimedwait(2): they wake it all the same.
    pub(super) waited: SigSet,
}

impl Pending {
    /// The signals that are pending.
    pub fn set(&self) -> SigSet {
        self.set
    }

    /// How many are queued.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none is queued.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Queues a signal, unless it is one that counts once and it is pending already.
    pub fn push(&mut self, info: SigInfo) {
        if info.signo < SIGRTMIN && self.set.contains(info.signo) {
            return;
        }
        self.set.insert(info.signo);
        self.queue.push_back(info);
    }

    /// Takes the signal that Linux would deliver next, leaving those in `blocked`.
    pub fn take_next(&mut self, blocked: SigSet) -> Option<SigInfo> {
        let ready = self.set & !blocked;
        if ready.is_empty() {
            return None;
        }
        let first = if ready.contains(SIGKILL) { Some(SIGKILL) } else { (ready & SYNCHRONOUS).first() };
        self.take(first.or(ready.first())?)
    }

    /// Takes a fault of the running instruction: it comes even before the signals of other kinds
    /// that are pending for this task (`dequeue_synchronous_signal`).
    pub(super) fn take_fault(&mut self, blocked: SigSet) -> Option<SigInfo> {
        if (self.set & SYNCHRONOUS & !blocked).is_empty() {
            return None;
        }
        let is_fault =
            |info: &SigInfo| info.code > 0 && SYNCHRONOUS.contains(info.signo) && !blocked.contains(info.signo);
        let at = self.queue.iter().position(is_fault)?;
        let info = self.queue.remove(at)?;
        self.forget(info.signo);
        Some(info)
    }

    /// Takes the first queued `sig`.
    pub fn take(&mut self, sig: i32) -> Option<SigInfo> {
        let at = self.queue.iter().position(|info| info.signo == sig)?;
        let info = self.queue.remove(at);
        self.forget(sig);
        info
    }

    /// Takes `sig` out of the set if no more of it is queued.
    fn forget(&mut self, sig: i32) {
        if !self.queue.iter().any(|info| info.signo == sig) {
            self.set.remove(sig);
        }
    }

    /// Drops all signals of `set`.
    pub fn flush(&mut self, set: SigSet) {
        if !(self.set & set).is_empty() {
            self.queue.retain(|info| !set.contains(info.signo));
            self.set = self.set & !set;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pending: &mut Pending, blocked: SigSet) -> Vec<i32> {
        std::iter::from_fn(|| pending.take_next(blocked)).map(|info| info.signo).collect()
    }

    #[test]
    fn faults_come_first_then_the_lowest_number() {
        let mut pending = Pending::default();
        for sig in [40, 15, 2, 11, 9] {
            pending.push(SigInfo::kernel(sig));
        }
        assert_eq!(taken(&mut pending, SigSet::of(&[2])), [9, 11, 15, 40]);
        assert_eq!(pending.set(), SigSet::of(&[2]));
    }

    #[test]
    fn only_real_time_signals_are_counted() {
        let mut pending = Pending::default();
        for _ in 0..3 {
            pending.push(SigInfo::kernel(10));
            pending.push(SigInfo::kernel(34));
        }
        assert_eq!(taken(&mut pending, SigSet::EMPTY), [10, 34, 34, 34]);
        assert!(pending.is_empty() && pending.set().is_empty());
    }

    #[test]
    fn a_flushed_signal_is_gone() {
        let mut pending = Pending::default();
        pending.push(SigInfo::kernel(18));
        pending.push(SigInfo::kernel(15));
        pending.flush(SigSet::of(&[18, 20]));
        assert_eq!(taken(&mut pending, SigSet::EMPTY), [15]);
    }
}
