//! Linux: `fs/locks.c`. flock(2) locks belong to open files, fcntl(2) locks to processes (their table of files).
//!
//! We: both as lists at the inode. A lock that conflicts parks the task until some lock of the inode goes.
//!
//! Quirks: no deadlock detection for `F_SETLKW`.

use std::cell::RefCell;

use callgate_abi::Errno;

use crate::Result;
use crate::sched::wait::WaitQueue;

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockOwner {
    /// An open file: flock(2) and open-file-description locks.
    File(usize),
    /// A table of files: record locks of a process.
    Files(usize),
}

/// A locked range of bytes, `end` included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLock {
    /// Who holds it.
    pub owner: LockOwner,
    /// The process to name to who asks; -1 for an open file's lock.
    pub pid: i32,
    /// Exclusive?
    pub write: bool,
    /// First byte.
    pub start: u64,
    /// Last byte.
    pub end: u64,
}

impl RecordLock {
    fn conflicts(&self, other: &Self) -> bool {
        self.owner != other.owner && (self.write || other.write) && self.start <= other.end && other.start <= self.end
    }
}

/// All locks of an inode.
#[derive(Default)]
pub struct FileLocks {
    flocks: RefCell<Vec<(LockOwner, bool)>>,
    records: RefCell<Vec<RecordLock>>,
    /// Where tasks wait for a lock to go.
    pub wait: WaitQueue,
}

impl FileLocks {
    /// flock(2): takes (shared or exclusive) or, with `None`, frees the whole file. EAGAIN if somebody else holds it.
    pub fn flock(&self, owner: LockOwner, exclusive: Option<bool>) -> Result<()> {
        let mut locks = self.flocks.borrow_mut();
        let before = locks.len();
        // As on Linux a conversion is not atomic: the old lock goes first.
        locks.retain(|(holder, _)| *holder != owner);
        let freed = locks.len() < before;
        let conflict = exclusive.is_some_and(|exclusive| locks.iter().any(|(_, other)| exclusive || *other));
        if let Some(exclusive) = exclusive.filter(|_| !conflict) {
            locks.push((owner, exclusive));
        }
        drop(locks);
        if freed {
            self.wait.wake_all();
        }
        if conflict { Err(Errno::EAGAIN) } else { Ok(()) }
    }

    /// The lock that stands in the way of `wanted`, if any.
    pub fn test(&self, wanted: &RecordLock) -> Option<RecordLock> {
        self.records.borrow().iter().find(|lock| lock.conflicts(wanted)).copied()
    }

    /// Takes a record lock, replacing what the owner holds in that range.
    pub fn lock(&self, wanted: RecordLock) -> Result<()> {
        if self.test(&wanted).is_some() {
            return Err(Errno::EAGAIN);
        }
        self.unlock(wanted.owner, wanted.start, wanted.end);
        self.records.borrow_mut().push(wanted);
        Ok(())
    }

    /// Frees a range of an owner's record locks; what lies around it stays locked.
    pub fn unlock(&self, owner: LockOwner, start: u64, end: u64) {
        let mut records = self.records.borrow_mut();
        let mut kept = Vec::with_capacity(records.len());
        for lock in records.drain(..) {
            if lock.owner != owner || lock.end < start || end < lock.start {
                kept.push(lock);
                continue;
            }
            if lock.start < start {
                kept.push(RecordLock { end: start - 1, ..lock });
            }
            if lock.end > end {
                kept.push(RecordLock { start: end + 1, ..lock });
            }
        }
        *records = kept;
        drop(records);
        self.wait.wake_all();
    }

    /// Frees everything that an owner holds.
    pub fn release(&self, owner: LockOwner) {
        if !self.flocks.borrow().is_empty() || !self.records.borrow().is_empty() {
            self.flocks.borrow_mut().retain(|(holder, _)| *holder != owner);
            self.unlock(owner, 0, u64::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: LockOwner = LockOwner::Files(1);
    const B: LockOwner = LockOwner::Files(2);

    fn record(owner: LockOwner, write: bool, start: u64, end: u64) -> RecordLock {
        RecordLock { owner, pid: 1, write, start, end }
    }

    #[test]
    fn unlocking_the_middle_splits_a_lock() {
        let locks = FileLocks::default();
        locks.lock(record(A, true, 0, 99)).unwrap();
        locks.unlock(A, 40, 59);
        assert_eq!(locks.test(&record(B, false, 40, 59)), None);
        assert!(locks.test(&record(B, false, 39, 39)).is_some());
        assert!(locks.test(&record(B, false, 60, 60)).is_some());
        assert_eq!(locks.lock(record(B, true, 0, 10)), Err(Errno::EAGAIN));
    }

    #[test]
    fn readers_share_and_writers_do_not() {
        let locks = FileLocks::default();
        locks.lock(record(A, false, 0, 9)).unwrap();
        locks.lock(record(B, false, 5, 9)).unwrap();
        assert_eq!(locks.lock(record(A, true, 5, 9)), Err(Errno::EAGAIN));
        locks.release(B);
        locks.lock(record(A, true, 5, 9)).unwrap();
    }

    #[test]
    fn flock_is_shared_or_exclusive() {
        let locks = FileLocks::default();
        let (a, b) = (LockOwner::File(1), LockOwner::File(2));
        locks.flock(a, Some(false)).unwrap();
        locks.flock(b, Some(false)).unwrap();
        assert_eq!(locks.flock(a, Some(true)), Err(Errno::EAGAIN));
        locks.flock(b, None).unwrap();
        locks.flock(a, Some(true)).unwrap();
    }
}
