//! The table of tasks: ids, and finding tasks by them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Pid, SignalStruct, TaskLink};
use crate::kernel::Kernel;
use crate::{Errno, Result};

/// Ids are below this (kernel.pid_max on a small machine).
pub const PID_MAX: Pid = 32768;
/// Ids below this are not given again after the first round.
const RESERVED_PIDS: Pid = 300;

/// All tasks and thread groups, by id. A thread group stays until its parent has waited for it.
#[derive(Default)]
pub struct PidTable {
    tasks: RefCell<BTreeMap<Pid, Rc<TaskLink>>>,
    groups: RefCell<BTreeMap<Pid, Rc<SignalStruct>>>,
    last: Cell<Pid>,
}

impl PidTable {
    /// A free id, the next after the one given last (`alloc_pid`).
    ///
    /// # Errors
    /// EAGAIN when all are taken.
    pub(crate) fn alloc(&self) -> Result<Pid> {
        let (tasks, groups) = (self.tasks.borrow(), self.groups.borrow());
        let taken = |pid: Pid| {
            tasks.contains_key(&pid)
                || groups.contains_key(&pid)
                || groups.values().any(|group| group.pgrp.get() == pid || group.session.get() == pid)
        };
        let last = self.last.get();
        let pid = (last + 1..PID_MAX).chain(RESERVED_PIDS..=last).find(|&pid| !taken(pid)).ok_or(Errno::EAGAIN)?;
        self.last.set(pid);
        Ok(pid)
    }

    pub(crate) fn insert(&self, task: &Rc<TaskLink>) {
        self.tasks.borrow_mut().insert(task.pid, Rc::clone(task));
        self.groups.borrow_mut().insert(task.signal.tgid, Rc::clone(&task.signal));
    }

    pub(crate) fn remove_task(&self, pid: Pid) {
        self.tasks.borrow_mut().remove(&pid);
    }

    pub(crate) fn remove_group(&self, tgid: Pid) {
        self.groups.borrow_mut().remove(&tgid);
    }
}

impl Kernel {
    /// The thread with this id that has not exited.
    pub fn find_task(&self, pid: Pid) -> Option<Rc<TaskLink>> {
        self.pids.tasks.borrow().get(&pid).cloned()
    }

    /// The process with this id; it may be a zombie.
    pub fn find_process(&self, tgid: Pid) -> Option<Rc<SignalStruct>> {
        self.pids.groups.borrow().get(&tgid).cloned()
    }

    /// All processes in the order of their ids, zombies included.
    pub fn processes(&self) -> Vec<Rc<SignalStruct>> {
        self.pids.groups.borrow().values().cloned().collect()
    }

    /// All threads that have not exited.
    pub fn tasks(&self) -> Vec<Rc<TaskLink>> {
        self.pids.tasks.borrow().values().cloned().collect()
    }

    /// The id that was given last, for /proc/loadavg.
    pub fn last_pid(&self) -> Pid {
        self.pids.last.get()
    }
}
