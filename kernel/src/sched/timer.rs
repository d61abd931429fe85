//! Timers: one heap of deadlines on the monotonic clock, for parked calls and for alarms.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::task::TaskLink;

/// What happens when a timer expires.
pub enum Expiry {
    /// A parked task is woken; its handler sees that its deadline has passed.
    Wake(Weak<TaskLink>),
    /// Something else, such as an interval timer that sends a signal.
    Call(Rc<dyn Fn()>),
}

struct Timer {
    deadline: Duration,
    sequence: u64,
    expiry: Expiry,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Timer) -> bool {
        (self.deadline, self.sequence) == (other.deadline, other.sequence)
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Timer) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Timer) -> std::cmp::Ordering {
        (self.deadline, self.sequence).cmp(&(other.deadline, other.sequence))
    }
}

/// All pending timers, earliest first; timers with one deadline expire in the order of their making.
#[derive(Default)]
pub struct Timers {
    heap: RefCell<BinaryHeap<Reverse<Timer>>>,
    sequence: Cell<u64>,
}

impl Timers {
    /// Adds a timer that expires when the monotonic clock reaches `deadline`.
    pub fn add(&self, deadline: Duration, expiry: Expiry) {
        let sequence = self.sequence.get();
        self.sequence.set(sequence + 1);
        self.heap.borrow_mut().push(Reverse(Timer { deadline, sequence, expiry }));
    }

    /// The earliest deadline.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.heap.borrow().peek().map(|Reverse(timer)| timer.deadline)
    }

    /// Runs every timer whose deadline is not after `now`.
    pub fn expire(&self, now: Duration) {
        while self.next_deadline().is_some_and(|deadline| deadline <= now) {
            // The borrow ends before the expiry runs: it may add timers.
            let timer = self.heap.borrow_mut().pop();
            match timer.map(|Reverse(timer)| timer.expiry) {
                Some(Expiry::Wake(task)) => {
                    if let Some(task) = task.upgrade() {
                        task.wake();
                    }
                }
                Some(Expiry::Call(call)) => call(),
                None => return,
            }
        }
    }
}
