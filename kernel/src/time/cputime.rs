//! Processor time: how much a thread or a process has executed.
//!
//! Linux counts the time that a task has a processor. We count instructions, a nanosecond each: the
//! result is the same in every run. All of it is user time.

use std::time::Duration;

use crate::Task;
use crate::task::{SignalStruct, TaskLink};

/// The time that so many instructions stand for.
pub fn of_instructions(instructions: u64) -> Duration {
    Duration::from_nanos(instructions)
}

impl TaskLink {
    /// Instructions of a thread that doesn't run now.
    fn instructions(&self) -> u64 {
        self.body.borrow().as_ref().map_or(0, |task| task.cpu.user_instructions)
    }
}

impl SignalStruct {
    /// Instructions of the threads that don't run now, and of those that have exited.
    fn instructions_at_rest(&self) -> u64 {
        let threads = self.threads.borrow();
        threads.iter().map(|thread| thread.instructions()).sum::<u64>().wrapping_add(self.instructions.get())
    }
}

impl Task {
    /// Processor time of this thread.
    pub fn thread_cputime(&self) -> Duration {
        of_instructions(self.cpu.user_instructions)
    }

    /// Processor time of this process.
    pub fn process_cputime(&self) -> Duration {
        self.cputime_of(self.signal())
    }

    /// Processor time of any process, as this task sees it.
    pub fn cputime_of(&self, group: &SignalStruct) -> Duration {
        // The task that asks is the one that runs: it isn't at rest.
        let running = if group.tgid == self.tgid() { self.cpu.user_instructions } else { 0 };
        of_instructions(group.instructions_at_rest().wrapping_add(running))
    }

    /// Processor time of children that were waited for.
    pub fn children_cputime(&self) -> Duration {
        of_instructions(self.signal().child_instructions.get())
    }

    /// Processor time of any thread.
    pub fn cputime_of_thread(&self, thread: &TaskLink) -> Duration {
        if thread.pid == self.pid() { self.thread_cputime() } else { of_instructions(thread.instructions()) }
    }
}
