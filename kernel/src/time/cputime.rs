//! Processor time: for how long a thread or a process has run.
//!
//! An engine that counts instructions makes each of them a nanosecond, and then the result is the same in every run. Else
//! it is the host's time that passes in a task's turns, as on Linux. All of it is user time.

use std::time::Duration;

use crate::Task;
use crate::task::{SignalStruct, TaskLink};

impl TaskLink {
    /// Nanoseconds of a thread that doesn't run now.
    fn cputime(&self) -> u64 {
        self.body.borrow().as_ref().map_or(0, |task| task.cputime)
    }
}

impl SignalStruct {
    /// Nanoseconds of the threads that don't run now, and of those that have exited.
    fn cputime_at_rest(&self) -> u64 {
        let threads = self.threads.borrow();
        threads.iter().map(|thread| thread.cputime()).sum::<u64>().wrapping_add(self.cputime.get())
    }
}

impl Task {
    /// Nanoseconds of this thread, which runs.
    pub(crate) fn own_cputime(&self) -> u64 {
        self.cputime.wrapping_add(self.kernel.turn.get().map_or(0, |began| began.elapsed().as_nanos() as u64))
    }

    /// Processor time of this thread.
    pub fn thread_cputime(&self) -> Duration {
        Duration::from_nanos(self.own_cputime())
    }

    /// Processor time of this process.
    pub fn process_cputime(&self) -> Duration {
        self.cputime_of(self.signal())
    }

    /// Processor time of any process, as this task sees it.
    pub fn cputime_of(&self, group: &SignalStruct) -> Duration {
        // The task that asks is the one that runs: it isn't at rest.
        let running = if group.tgid == self.tgid() { self.own_cputime() } else { 0 };
        Duration::from_nanos(group.cputime_at_rest().wrapping_add(running))
    }

    /// Processor time of children that were waited for.
    pub fn children_cputime(&self) -> Duration {
        Duration::from_nanos(self.signal().child_cputime.get())
    }

    /// Processor time of any thread.
    pub fn cputime_of_thread(&self, thread: &TaskLink) -> Duration {
        if thread.pid == self.pid() { self.thread_cputime() } else { Duration::from_nanos(thread.cputime()) }
    }
}
