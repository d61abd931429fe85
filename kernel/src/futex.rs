//! Futexes: futex(2), and the list of robust ones.
//!
//! A program decides with atomic instructions whether it has to wait; only then does it call the
//! kernel, which checks the word once more and queues the thread under the word's identity: the
//! address space and address, or, in shared mappings, the page and offset. Threads are woken in the
//! order in which they came.
//!
//! Quirk: futexes with priority inheritance (FUTEX_LOCK_PI and its kin) answer ENOSYS.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::{Rc, Weak};
use std::time::Duration;

use callgate_abi::{
    ArgClass, Errno, SYSCALL_DEFINE2, SYSCALL_DEFINE3, SYSCALL_DEFINE6, SyscallArg, TracedArg, UserAddr, UserMut,
    UserPtr,
};
use callgate_uapi::time::Timespec;
use callgate_uapi::traced::Traced;
use linux_raw_sys::general::{self, CAP_SYS_PTRACE};

use crate::mm::{Access, PAGE_SIZE, TASK_SIZE};
use crate::sched::TaskState;
use crate::sched::wait::WaitQueue;
use crate::signal::restart::RestartBlock;
use crate::task::TaskLink;
use crate::{Result, Task};

/// Which futex: two words are the same one if and only if their keys are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// An address in an address space, by the address of its [`Mm`](crate::mm::Mm).
    Private { mm: usize, addr: u64 },
    /// An offset in a page that several address spaces share.
    Shared { frame: u32, offset: u64 },
}

/// A thread that waits.
struct Waiter {
    task: Weak<TaskLink>,
    bitset: u32,
    woken: Cell<bool>,
    key: Cell<Key>,
    queue: WaitQueue,
}

/// All threads that wait on futexes.
#[derive(Default)]
pub struct Futexes {
    queues: RefCell<BTreeMap<Key, Vec<Weak<Waiter>>>>,
}

impl Futexes {
    fn enqueue(&self, waiter: &Rc<Waiter>) {
        self.queues.borrow_mut().entry(waiter.key.get()).or_default().push(Rc::downgrade(waiter));
    }

    /// Takes a waiter out, and those that are gone with it.
    fn remove(&self, waiter: &Rc<Waiter>) {
        let mut queues = self.queues.borrow_mut();
        if let Some(queue) = queues.get_mut(&waiter.key.get()) {
            queue.retain(|other| other.upgrade().is_some_and(|other| !Rc::ptr_eq(&other, waiter)));
            if queue.is_empty() {
                queues.remove(&waiter.key.get());
            }
        }
    }

    /// Wakes up to `wake` waiters of `key` whose bitset has a bit of `bitset`, and moves up to `requeue`
    /// others to another key. Gives the numbers of both.
    fn wake_or_move(&self, key: Key, wake: usize, bitset: u32, requeue: usize, to: Key) -> (usize, usize) {
        let waiting = self.queues.borrow_mut().remove(&key).unwrap_or_default();
        let (mut woken, mut moved) = (Vec::new(), Vec::new());
        let mut left = Vec::new();
        for weak in waiting {
            // Whoever has been interrupted, or has died, waits no more.
            let alive = |w: &Rc<Waiter>| w.task.upgrade().is_some_and(|t| t.state.get() != TaskState::Dead);
            let Some(waiter) = weak.upgrade().filter(alive) else { continue };
            if waiter.bitset & bitset != 0 && woken.len() < wake {
                woken.push(waiter);
            } else if woken.len() >= wake && moved.len() < requeue {
                waiter.key.set(to);
                moved.push(waiter);
            } else {
                left.push(weak);
            }
        }
        if !left.is_empty() {
            self.queues.borrow_mut().insert(key, left);
        }
        for waiter in &moved {
            self.enqueue(waiter);
        }
        for waiter in &woken {
            waiter.woken.set(true);
            waiter.queue.wake_all();
        }
        (woken.len(), moved.len())
    }

    fn wake(&self, key: Key, wake: usize, bitset: u32) -> usize {
        self.wake_or_move(key, wake, bitset, 0, key).0
    }
}

impl Task {
    /// The futex at an address (`get_futex_key`).
    fn futex_key(&mut self, uaddr: u64, shared: bool, access: Access) -> Result<Key> {
        if !uaddr.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        if uaddr >= TASK_SIZE {
            return Err(Errno::EFAULT);
        }
        let private = Key::Private { mm: Rc::as_ptr(&self.mm) as usize, addr: uaddr };
        if !shared {
            return Ok(private);
        }
        let mut mm = self.mm.borrow_mut();
        mm.handle_fault(uaddr, access).or_else(|_| mm.handle_fault(uaddr, Access::READ)).map_err(|_| Errno::EFAULT)?;
        // A private page moves when it is copied on a write; its address stays.
        if !mm.find_vma(uaddr).is_some_and(|vma| vma.is_shared()) {
            return Ok(private);
        }
        let (frame, _) = mm.space.lookup(uaddr).ok_or(Errno::EFAULT)?;
        Ok(Key::Shared { frame: frame.number(), offset: uaddr % PAGE_SIZE })
    }

    fn futex_value(&mut self, uaddr: u64) -> Result<u32> {
        UserPtr::<u32>::new(uaddr).read(self)
    }
}

/// A wait on a futex.
#[derive(Clone, Copy)]
struct Wait {
    uaddr: u64,
    val: u32,
    bitset: u32,
    shared: bool,
    deadline: Option<Duration>,
}

fn futex_wait(task: &mut Task, wait: Wait) -> Result<i64> {
    let kernel = Rc::clone(&task.kernel);
    let queued = task.restart.state.as_ref().and_then(|state| state.downcast_ref::<Rc<Waiter>>()).cloned();
    let waiter = match queued {
        Some(waiter) => waiter,
        None => {
            if wait.bitset == 0 {
                return Err(Errno::EINVAL);
            }
            let key = task.futex_key(wait.uaddr, wait.shared, Access::READ)?;
            if task.futex_value(wait.uaddr)? != wait.val {
                return Err(Errno::EAGAIN);
            }
            let waiter = Rc::new(Waiter {
                task: Rc::downgrade(&task.link),
                bitset: wait.bitset,
                woken: Cell::new(false),
                key: Cell::new(key),
                queue: WaitQueue::new(),
            });
            kernel.futexes.enqueue(&waiter);
            task.restart.state = Some(Box::new(Rc::clone(&waiter)));
            waiter
        }
    };
    if waiter.woken.get() {
        return Ok(0);
    }
    // Time that is over counts before signals that came meanwhile.
    let over = wait.deadline.is_some_and(|deadline| kernel.clock.monotonic() >= deadline);
    let errno = if over { Errno::ETIMEDOUT } else { task.wait_on(&[&waiter.queue], wait.deadline) };
    if errno == crate::PARKED {
        return Err(errno);
    }
    kernel.futexes.remove(&waiter);
    task.restart.state = None;
    let Some(deadline) = wait.deadline.filter(|_| errno == Errno::ERESTARTSYS) else { return Err(errno) };
    let Wait { uaddr, val, bitset, shared, .. } = wait;
    Err(task.set_restart_block(RestartBlock::FutexWait { uaddr, val, bitset, shared, deadline }))
}

/// Waits again after a stop, to the same end.
pub(crate) fn wait_again(
    task: &mut Task,
    uaddr: u64,
    val: u32,
    bitset: u32,
    shared: bool,
    deadline: Duration,
) -> Result<i64> {
    futex_wait(task, Wait { uaddr, val, bitset, shared, deadline: Some(deadline) })
}

fn futex_wake(task: &mut Task, uaddr: u64, shared: bool, nr_wake: u32, bitset: u32) -> Result<i64> {
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    let key = task.futex_key(uaddr, shared, Access::READ)?;
    // One is woken even for 0: Linux counts after waking.
    let nr_wake = if nr_wake as i32 <= 0 { 1 } else { nr_wake as usize };
    Ok(task.kernel.futexes.wake(key, nr_wake, bitset) as i64)
}

/// Wakes whoever joins a thread that exits: the word at CLONE_CHILD_CLEARTID's address.
pub(crate) fn wake_at(task: &mut Task, uaddr: u64, nr_wake: u32) {
    // A bad address has nobody waiting at it.
    let _ = futex_wake(task, uaddr, true, nr_wake, general::FUTEX_BITSET_MATCH_ANY);
}

fn futex_requeue(task: &mut Task, call: &Call, expected: Option<u32>) -> Result<i64> {
    let (nr_wake, nr_requeue) = (call.val as i32, call.utime as i32);
    let (Ok(nr_wake), Ok(nr_requeue)) = (usize::try_from(nr_wake), usize::try_from(nr_requeue)) else {
        return Err(Errno::EINVAL);
    };
    let from = task.futex_key(call.uaddr, call.shared, Access::READ)?;
    let to = task.futex_key(call.uaddr2, call.shared, Access::READ)?;
    if let Some(expected) = expected
        && task.futex_value(call.uaddr)? != expected
    {
        return Err(Errno::EAGAIN);
    }
    let any = general::FUTEX_BITSET_MATCH_ANY;
    let (woken, moved) = task.kernel.futexes.wake_or_move(from, nr_wake, any, nr_requeue, to);
    Ok((woken + moved) as i64)
}

/// What FUTEX_WAKE_OP does to the second word, and when it wakes its waiters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WakeOp {
    op: u32,
    oparg: i32,
    cmp: u32,
    cmparg: i32,
}

impl WakeOp {
    fn decode(encoded: u32) -> WakeOp {
        let sign_extend = |bits: u32| (bits << 20) as i32 >> 20;
        let op = encoded >> 28;
        let mut oparg = sign_extend(encoded >> 12 & 0xfff);
        if op & general::FUTEX_OP_OPARG_SHIFT != 0 {
            oparg = 1 << (oparg & 31);
        }
        WakeOp {
            op: op & !general::FUTEX_OP_OPARG_SHIFT,
            oparg,
            cmp: encoded >> 24 & 0xf,
            cmparg: sign_extend(encoded & 0xfff),
        }
    }

    /// The new value of the word.
    fn apply(self, old: i32) -> Result<i32> {
        match self.op {
            general::FUTEX_OP_SET => Ok(self.oparg),
            general::FUTEX_OP_ADD => Ok(old.wrapping_add(self.oparg)),
            general::FUTEX_OP_OR => Ok(old | self.oparg),
            general::FUTEX_OP_ANDN => Ok(old & !self.oparg),
            general::FUTEX_OP_XOR => Ok(old ^ self.oparg),
            _ => Err(Errno::ENOSYS),
        }
    }

    /// Whether the second word's waiters are woken.
    fn compare(self, old: i32) -> Result<bool> {
        match self.cmp {
            general::FUTEX_OP_CMP_EQ => Ok(old == self.cmparg),
            general::FUTEX_OP_CMP_NE => Ok(old != self.cmparg),
            general::FUTEX_OP_CMP_LT => Ok(old < self.cmparg),
            general::FUTEX_OP_CMP_LE => Ok(old <= self.cmparg),
            general::FUTEX_OP_CMP_GT => Ok(old > self.cmparg),
            general::FUTEX_OP_CMP_GE => Ok(old >= self.cmparg),
            _ => Err(Errno::ENOSYS),
        }
    }
}

fn futex_wake_op(task: &mut Task, call: &Call) -> Result<i64> {
    let first = task.futex_key(call.uaddr, call.shared, Access::READ)?;
    let second = task.futex_key(call.uaddr2, call.shared, Access::WRITE)?;
    let op = WakeOp::decode(call.val3);
    let word = UserMut::<i32>::new(call.uaddr2);
    let old = word.read(task)?;
    let new = op.apply(old)?;
    word.write(task, &new)?;
    let wakes_second = op.compare(old)?;
    let any = general::FUTEX_BITSET_MATCH_ANY;
    let at_least_one = |n: u32| if n as i32 <= 0 { 1 } else { n as usize };
    let mut woken = task.kernel.futexes.wake(first, at_least_one(call.val), any);
    if wakes_second {
        woken += task.kernel.futexes.wake(second, at_least_one(call.utime as u32), any);
    }
    Ok(woken as i64)
}

/// The operation and its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FutexOp(pub u32);

impl FutexOp {
    const NAMES: [(&'static str, u32); 12] = [
        ("FUTEX_WAIT", general::FUTEX_WAIT),
        ("FUTEX_WAKE", general::FUTEX_WAKE),
        ("FUTEX_REQUEUE", general::FUTEX_REQUEUE),
        ("FUTEX_CMP_REQUEUE", general::FUTEX_CMP_REQUEUE),
        ("FUTEX_WAKE_OP", general::FUTEX_WAKE_OP),
        ("FUTEX_LOCK_PI", general::FUTEX_LOCK_PI),
        ("FUTEX_UNLOCK_PI", general::FUTEX_UNLOCK_PI),
        ("FUTEX_TRYLOCK_PI", general::FUTEX_TRYLOCK_PI),
        ("FUTEX_WAIT_BITSET", general::FUTEX_WAIT_BITSET),
        ("FUTEX_WAKE_BITSET", general::FUTEX_WAKE_BITSET),
        ("FUTEX_WAIT_REQUEUE_PI", general::FUTEX_WAIT_REQUEUE_PI),
        ("FUTEX_CMP_REQUEUE_PI", general::FUTEX_CMP_REQUEUE_PI),
    ];

    fn command(self) -> u32 {
        self.0 & !(general::FUTEX_PRIVATE_FLAG | general::FUTEX_CLOCK_REALTIME)
    }
}

impl SyscallArg for FutexOp {
    const CLASS: ArgClass = ArgClass::Enum;

    fn from_reg(raw: u64) -> FutexOp {
        FutexOp(raw as u32)
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("int")
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
        let op = FutexOp::from_reg(arg.raw);
        match FutexOp::NAMES.iter().find(|(_, command)| *command == op.command()) {
            Some((name, _)) => f.write_str(name)?,
            None => write!(f, "{:#x}", op.command())?,
        }
        if op.0 & general::FUTEX_PRIVATE_FLAG != 0 {
            f.write_str("_PRIVATE")?;
        }
        if op.0 & general::FUTEX_CLOCK_REALTIME != 0 {
            f.write_str("|FUTEX_CLOCK_REALTIME")?;
        }
        Ok(())
    }
}

/// futex(2)'s fourth argument: a time for waits, a number for the others. A trace can't know which,
/// so it prints a time only where one can be read.
#[derive(Clone, Copy, Debug)]
pub struct TimeoutOrCount(pub u64);

impl SyscallArg for TimeoutOrCount {
    const CLASS: ArgClass = ArgClass::Pointer;

    fn from_reg(raw: u64) -> TimeoutOrCount {
        TimeoutOrCount(raw)
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("const struct __kernel_timespec __user *")
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
        let mut bytes = [0; 16];
        if arg.raw < PAGE_SIZE || arg.memory.peek(arg.raw, &mut bytes) < bytes.len() {
            return callgate_abi::fmt_address(arg.raw, f);
        }
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            i64::from_le_bytes(word)
        };
        Timespec { tv_sec: word(0), tv_nsec: word(8) }.trace(f)
    }
}

/// The arguments of one futex call.
struct Call {
    uaddr: u64,
    shared: bool,
    val: u32,
    utime: u64,
    uaddr2: u64,
    val3: u32,
}

/// When a wait ends, on the monotonic clock.
fn deadline(task: &mut Task, op: FutexOp, utime: u64) -> Result<Option<Duration>> {
    if utime == 0 {
        return Ok(None);
    }
    let time = UserPtr::<Timespec>::new(utime).read(task)?.to_duration()?;
    let clock = &task.kernel.clock;
    let span = if op.command() == general::FUTEX_WAIT {
        time
    } else if op.0 & general::FUTEX_CLOCK_REALTIME != 0 {
        time.saturating_sub(clock.realtime())
    } else {
        time.saturating_sub(clock.monotonic())
    };
    Ok(Some(task.deadline_after(span)))
}

/// futex(2): waits on a word in memory, or wakes who does.
#[SYSCALL_DEFINE6(futex)]
pub fn futex(
    task: &mut Task,
    uaddr: UserMut<u32>,
    op: FutexOp,
    val: u32,
    utime: TimeoutOrCount,
    uaddr2: UserMut<u32>,
    val3: u32,
) -> Result<i64> {
    let shared = op.0 & general::FUTEX_PRIVATE_FLAG == 0;
    let call = Call { uaddr: uaddr.addr(), shared, val, utime: utime.0, uaddr2: uaddr2.addr(), val3 };
    let command = op.command();
    let waits = matches!(command, general::FUTEX_WAIT | general::FUTEX_WAIT_BITSET);
    let deadline = if waits { deadline(task, op, utime.0)? } else { None };
    if op.0 & general::FUTEX_CLOCK_REALTIME != 0 && command != general::FUTEX_WAIT_BITSET {
        return Err(Errno::ENOSYS);
    }
    let any = general::FUTEX_BITSET_MATCH_ANY;
    match command {
        general::FUTEX_WAIT => futex_wait(task, Wait { uaddr: call.uaddr, val, bitset: any, shared, deadline }),
        general::FUTEX_WAIT_BITSET => futex_wait(task, Wait { uaddr: call.uaddr, val, bitset: val3, shared, deadline }),
        general::FUTEX_WAKE => futex_wake(task, call.uaddr, shared, val, any),
        general::FUTEX_WAKE_BITSET => futex_wake(task, call.uaddr, shared, val, val3),
        general::FUTEX_REQUEUE => futex_requeue(task, &call, None),
        general::FUTEX_CMP_REQUEUE => futex_requeue(task, &call, Some(val3)),
        general::FUTEX_WAKE_OP => futex_wake_op(task, &call),
        _ => Err(Errno::ENOSYS),
    }
}

/// The size of `struct robust_list_head`.
const ROBUST_LIST_HEAD_SIZE: usize = 24;

/// set_robust_list(2): tells where the list of the thread's robust futexes begins.
#[SYSCALL_DEFINE2(set_robust_list)]
pub fn set_robust_list(task: &mut Task, head: UserAddr, len: usize) -> Result<()> {
    if len != ROBUST_LIST_HEAD_SIZE {
        return Err(Errno::EINVAL);
    }
    task.link.attr.borrow_mut().robust_list = head.0;
    Ok(())
}

/// get_robust_list(2): where a thread's list begins.
#[SYSCALL_DEFINE3(get_robust_list)]
pub fn get_robust_list(task: &mut Task, pid: i32, head_ptr: UserMut<u64>, len_ptr: UserMut<usize>) -> Result<()> {
    let target = match pid {
        0 => Rc::clone(&task.link),
        _ => task.kernel.find_task(pid).ok_or(Errno::ESRCH)?,
    };
    if target.signal.uid.get() != task.cred.fsuid && !task.cred.capable(CAP_SYS_PTRACE) {
        return Err(Errno::EPERM);
    }
    let head = target.attr.borrow().robust_list;
    len_ptr.write(task, &ROBUST_LIST_HEAD_SIZE)?;
    head_ptr.write(task, &head)
}

/// Frees the robust futexes of a thread that ends while it holds them: their words say so, and one
/// waiter is woken to see it (`exit_robust_list`).
pub(crate) fn exit_robust_list(task: &mut Task) {
    let head = std::mem::take(&mut task.link.attr.borrow_mut().robust_list);
    if head != 0 {
        // The list is the program's: where it can't be read, it ends.
        let _ = walk_robust_list(task, head);
    }
}

fn walk_robust_list(task: &mut Task, head: u64) -> Result<()> {
    let word = |task: &mut Task, addr: u64| UserPtr::<u64>::new(addr).read(task);
    let mut entry = word(task, head)?;
    let offset = word(task, head.wrapping_add(8))?;
    let pending = word(task, head.wrapping_add(16))? & !1;
    for _ in 0..general::ROBUST_LIST_LIMIT {
        let at = entry & !1;
        if at == head {
            break;
        }
        // The next entry is found before the futex is released: another thread may free it then.
        let next = word(task, at);
        if at != pending {
            release_robust(task, at.wrapping_add(offset), entry & 1 != 0)?;
        }
        entry = next?;
    }
    if pending != 0 {
        release_robust(task, pending.wrapping_add(offset), false)?;
    }
    Ok(())
}

/// Marks one futex as left by its owner. `pi` futexes are handed over by other means.
fn release_robust(task: &mut Task, uaddr: u64, pi: bool) -> Result<()> {
    if !uaddr.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    let word = UserMut::<u32>::new(uaddr);
    let value = word.read(task)?;
    if value & general::FUTEX_TID_MASK == task.pid() as u32 {
        word.write(task, &(value & general::FUTEX_WAITERS | general::FUTEX_OWNER_DIED))?;
        if value & general::FUTEX_WAITERS != 0 && !pi {
            wake_at(task, uaddr, 1);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_op_decodes_as_in_the_manual() {
        // FUTEX_OP(FUTEX_OP_ADD, -1, FUTEX_OP_CMP_GT, 1)
        let op = WakeOp::decode(1 << 28 | 4 << 24 | 0xfff << 12 | 1);
        assert_eq!(op, WakeOp { op: 1, oparg: -1, cmp: 4, cmparg: 1 });
        assert_eq!((op.apply(5), op.compare(5), op.compare(1)), (Ok(4), Ok(true), Ok(false)));
        // FUTEX_OP_OPARG_SHIFT
        assert_eq!(WakeOp::decode(0xa << 28 | 4 << 12).apply(1), Ok(17));
        assert_eq!(WakeOp::decode(7 << 28).apply(1), Err(Errno::ENOSYS));
    }

    #[test]
    fn waiters_of_dead_tasks_do_not_count() {
        let futexes = Futexes::default();
        let key = Key::Private { mm: 1, addr: 4 };
        let gone = Rc::new(Waiter {
            task: Weak::new(),
            bitset: 1,
            woken: Cell::new(false),
            key: Cell::new(key),
            queue: WaitQueue::new(),
        });
        futexes.enqueue(&gone);
        assert_eq!(futexes.wake(key, 1, 1), 0);
    }
}
