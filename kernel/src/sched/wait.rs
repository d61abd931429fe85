//! Wait queues: where parked tasks wait.
//!
//! Linux puts a task on a wait queue, checks its condition, and sleeps in `schedule()`. We park it
//! instead: [`Task::wait_on`](crate::Task::wait_on) registers the task on the queues and gives the
//! errno [`PARKED`](crate::PARKED), which the handler returns. A wake-up makes the task runnable and
//! its handler runs again, finds its condition true or parks once more. So wake-ups may be
//! spurious, and [`WaitQueue::wake_all`] is always safe.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::task::TaskLink;

/// A queue of parked tasks. Clones are the same queue.
#[derive(Clone, Default)]
pub struct WaitQueue {
    waiters: Rc<RefCell<Vec<Rc<TaskLink>>>>,
    wakes: Rc<Cell<u64>>,
}

impl WaitQueue {
    /// An empty queue.
    pub fn new() -> WaitQueue {
        WaitQueue::default()
    }

    /// Registers a task; once, however often it parks here.
    pub(crate) fn add(&self, task: &Rc<TaskLink>) {
        let mut waiters = self.waiters.borrow_mut();
        if !waiters.iter().any(|w| Rc::ptr_eq(w, task)) {
            waiters.push(Rc::clone(task));
        }
    }

    /// How often [`WaitQueue::wake_all`] was called: an edge-triggered epoll looks for changes.
    pub fn wakes(&self) -> u64 {
        self.wakes.get()
    }

    /// Makes every task that is parked here runnable.
    pub fn wake_all(&self) {
        self.wakes.set(self.wakes.get().wrapping_add(1));
        if self.waiters.borrow().is_empty() {
            return;
        }
        let waiters = std::mem::take(&mut *self.waiters.borrow_mut());
        for task in waiters {
            task.wake();
        }
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.borrow().is_empty()
    }
}

impl std::fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WaitQueue({})", self.waiters.borrow().len())
    }
}
