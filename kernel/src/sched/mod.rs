//! Who runs next.
//!
//! Linux keeps a run queue per processor and sleeps a task by putting it on wait queues and calling
//! `schedule()`. Here one host thread runs all tasks in turn. A task that must wait has no host
//! stack to sleep on: its handler returns, the task is *parked*, and a wake-up puts it back on the
//! run queue, where its handler is run again from its start ([`wait`]).
//!
//! Timers are one heap of deadlines on the monotonic clock. When nothing is runnable, the machine
//! sleeps on the host until the first deadline or until a watched host file is ready.

pub mod timer;
pub mod wait;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use crate::task::TaskLink;

/// The run queue: tasks that can make progress, in the order in which they became runnable.
#[derive(Default)]
pub struct RunQueue {
    queue: RefCell<VecDeque<Rc<TaskLink>>>,
}

impl RunQueue {
    /// Appends a task; the caller has made sure that it is not queued already.
    pub(crate) fn push(&self, task: Rc<TaskLink>) {
        self.queue.borrow_mut().push_back(task);
    }

    /// Appends a task unless it is queued already.
    pub(crate) fn push_once(&self, task: &Rc<TaskLink>) {
        let queued = self.queue.borrow().iter().any(|queued| Rc::ptr_eq(queued, task));
        if !queued {
            self.push(Rc::clone(task));
        }
    }

    /// Takes the task that has waited longest.
    pub(crate) fn pop(&self) -> Option<Rc<TaskLink>> {
        self.queue.borrow_mut().pop_front()
    }

    /// Whether no task is waiting to run.
    pub fn is_empty(&self) -> bool {
        self.queue.borrow().is_empty()
    }
}

/// Where a task stands with the scheduler (Linux: `__state` and `exit_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Running, or on the run queue.
    Running,
    /// Parked in a system call until woken or signalled (TASK_INTERRUPTIBLE).
    Interruptible,
    /// Parked until woken; signals other than SIGKILL wait (TASK_KILLABLE).
    Killable,
    /// Stopped by a job-control signal (TASK_STOPPED).
    Stopped,
    /// Has exited.
    Dead,
}

/// A cell holding the state, with the letter that `/proc/PID/stat` shows.
#[derive(Debug)]
pub struct StateCell(Cell<TaskState>);

impl StateCell {
    pub(crate) fn new(state: TaskState) -> StateCell {
        StateCell(Cell::new(state))
    }

    /// The state now.
    pub fn get(&self) -> TaskState {
        self.0.get()
    }

    pub(crate) fn set(&self, state: TaskState) {
        self.0.set(state);
    }

    /// The letter of proc(5).
    pub fn letter(&self) -> char {
        match self.0.get() {
            TaskState::Running => 'R',
            TaskState::Interruptible => 'S',
            TaskState::Killable => 'D',
            TaskState::Stopped => 'T',
            TaskState::Dead => 'Z',
        }
    }
}
