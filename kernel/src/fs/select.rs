//! Linux: `fs/select.c`. poll and select ask many files what is ready, and wait on all their queues at once.
//!
//! We: each file's `poll` tells what is ready and puts its queues into a [`PollTable`]; the same table serves a blocking read or
//! write. When nothing is ready the task is parked on all of them, and the handler asks again when woken.
//!
//! Quirks: a ppoll or select that a stop and continue interrupts begins its timeout anew.

use std::time::Duration;

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE3, SYSCALL_DEFINE5, SYSCALL_DEFINE6, UserMut, UserPtr};
use callgate_uapi::poll::{EPoll, PollFds, Pollfd, SigsetArg};
use callgate_uapi::resource::RLIMIT_NOFILE;
use callgate_uapi::signal::SigSet;
use callgate_uapi::time::{Timespec, Timeval};

use super::read_write::access_ok;
use crate::sched::wait::WaitQueue;
use crate::signal::restart::RestartBlock;
use crate::{PARKED, Result, Task};

const SELECT_IN: EPoll =
    EPoll::RDNORM.union(EPoll::RDBAND).union(EPoll::IN).union(EPoll::HUP).union(EPoll::ERR).union(EPoll::NVAL);
const SELECT_OUT: EPoll = EPoll::WRBAND.union(EPoll::WRNORM).union(EPoll::OUT).union(EPoll::ERR).union(EPoll::NVAL);
const SELECT_EX: EPoll = EPoll::PRI.union(EPoll::NVAL);

/// The queues that a poll has met (`struct poll_table`).
#[derive(Default)]
pub struct PollTable {
    queues: Vec<WaitQueue>,
    nesting: usize,
}

impl PollTable {
    /// Adds a queue (`poll_wait`).
    pub fn wait_on(&mut self, queue: &WaitQueue) {
        self.queues.push(queue.clone());
    }

    /// A table for the files that an epoll watches, one level further in; none if that is too deep.
    pub fn nested(&self) -> Option<Self> {
        /// How deep epolls may watch epolls (`EP_MAX_NESTS`).
        const MAX: usize = 5;
        (self.nesting < MAX).then(|| Self { queues: Vec::new(), nesting: self.nesting + 1 })
    }

    /// Adds all queues of another table.
    pub fn append(&mut self, mut other: Self) {
        self.queues.append(&mut other.queues);
    }

    /// How often the queues were woken, all together.
    pub fn wakes(&self) -> u64 {
        self.queues.iter().fold(0, |sum, queue| sum.wrapping_add(queue.wakes()))
    }

    /// Parks the task on all queues; gives the errno for the handler to return.
    pub fn wait(&self, task: &mut Task, deadline: Option<Duration>) -> Errno {
        let queues: Vec<&WaitQueue> = self.queues.iter().collect();
        task.wait_on(&queues, deadline)
    }
}

/// What one descriptor has ready.
fn poll_one(task: &Task, fd: i32, table: &mut PollTable) -> EPoll {
    let file = task.files.borrow().get(Fd(fd));
    file.map_or(EPoll::NVAL, |file| file.op.poll(&file, table))
}

/// Waits until something is ready, the timeout is over, or a signal comes. `Ok`: the time is over.
fn wait(task: &mut Task, table: &PollTable, timeout: Option<Duration>) -> Result<()> {
    if timeout == Some(Duration::ZERO) {
        return Ok(());
    }
    let deadline = timeout.map(|timeout| task.deadline_after(timeout));
    match table.wait(task, deadline) {
        Errno::ETIMEDOUT => Ok(()),
        PARKED => Err(PARKED),
        // A handler makes the call end; without one it begins again.
        _ => Err(Errno::ERESTARTNOHAND),
    }
}

fn do_sys_poll(task: &mut Task, ufds: UserMut<Pollfd>, nfds: u32, timeout: Option<Duration>) -> Result<i32> {
    if u64::from(nfds) > task.rlimit(RLIMIT_NOFILE) {
        return Err(Errno::EINVAL);
    }
    let mut fds = vec![Pollfd::default(); nfds as usize];
    ufds.slice(fds.len()).read_into(task, &mut fds)?;
    let mut table = PollTable::default();
    let mut ready = 0;
    for entry in &mut fds {
        entry.revents = 0;
        if entry.fd >= 0 {
            let wanted = EPoll::from_bits_truncate(entry.events as u16 as u32) | EPoll::ERR | EPoll::HUP | EPoll::NVAL;
            entry.revents = (poll_one(task, entry.fd, &mut table) & wanted).bits() as i16;
        }
        ready += i32::from(entry.revents != 0);
    }
    if ready == 0 {
        wait(task, &table, timeout)?;
    }
    // Looked at even for no entries at all.
    if !access_ok(ufds.addr(), fds.len() * size_of::<Pollfd>()) {
        return Err(Errno::EFAULT);
    }
    for (i, entry) in fds.iter().enumerate() {
        // Only revents is the kernel's to write.
        UserMut::<i16>::new(ufds.offset(i).addr() + 6).write(task, &entry.revents)?;
    }
    Ok(ready)
}

/// poll(2): waits until one of several descriptors is ready.
#[SYSCALL_DEFINE3(poll)]
pub fn poll(task: &mut Task, ufds: PollFds, nfds: u32, timeout_msecs: i32) -> Result<i32> {
    let timeout = u64::try_from(timeout_msecs).ok().map(Duration::from_millis);
    let result = do_sys_poll(task, ufds.0, nfds, timeout);
    restartable_poll(task, ufds.0, nfds, result)
}

/// A poll that only a stop has interrupted goes on to its original end, through restart_syscall(2).
fn restartable_poll(task: &mut Task, ufds: UserMut<Pollfd>, nfds: u32, result: Result<i32>) -> Result<i32> {
    if result != Err(Errno::ERESTARTNOHAND) {
        return result;
    }
    let deadline = task.restart.deadline;
    Err(task.set_restart_block(RestartBlock::Poll { ufds: ufds.addr(), nfds, deadline }))
}

/// Polls again, until a point on the monotonic clock.
pub(crate) fn poll_again(task: &mut Task, ufds: u64, nfds: u32, deadline: Option<Duration>) -> Result<i32> {
    let now = task.kernel.clock.monotonic();
    let ufds = UserMut::new(ufds);
    let result = do_sys_poll(task, ufds, nfds, deadline.map(|deadline| deadline.saturating_sub(now)));
    restartable_poll(task, ufds, nfds, result)
}

/// Blocks other signals for the length of the call. The old set comes back when the call ends or when a handler has run.
pub(super) fn set_user_sigmask(task: &mut Task, mask: UserPtr<u64>, size: usize) -> Result<()> {
    if mask.is_null() {
        return Ok(());
    }
    if size != size_of::<u64>() {
        return Err(Errno::EINVAL);
    }
    let set = mask.read(task)?;
    if !task.restart.again {
        task.saved_sigmask = Some(task.blocked);
        task.set_blocked(SigSet(set));
    }
    Ok(())
}

/// The call has ended: puts the signal mask back, unless a handler is to run first.
pub(super) fn restore_sigmask(task: &mut Task, result: &Result<i32>) {
    if matches!(result, Err(PARKED | Errno::ERESTARTNOHAND | Errno::EINTR)) {
        return;
    }
    if let Some(old) = task.saved_sigmask.take() {
        task.set_blocked(old);
    }
}

/// Writes back how much of the timeout is left, where the call does that.
fn time_left(task: &mut Task, timeout: Option<Duration>) -> Duration {
    let now = task.kernel.clock.monotonic();
    match (timeout, task.restart.deadline) {
        (Some(_), Some(deadline)) => deadline.saturating_sub(now),
        (Some(timeout), None) => timeout,
        (None, _) => Duration::ZERO,
    }
}

/// ppoll(2): poll with a finer timeout and a signal mask.
#[SYSCALL_DEFINE5(ppoll)]
pub fn ppoll(
    task: &mut Task,
    ufds: PollFds,
    nfds: u32,
    tsp: UserMut<Timespec>,
    sigmask: UserPtr<u64>,
    sigsetsize: usize,
) -> Result<i32> {
    let timeout = if tsp.is_null() { None } else { Some(tsp.read(task)?.to_duration()?) };
    set_user_sigmask(task, sigmask, sigsetsize)?;
    let result = do_sys_poll(task, ufds.0, nfds, timeout);
    if result != Err(PARKED) && timeout.is_some() {
        let left = time_left(task, timeout);
        // A program that can't be told is not an error.
        let _ = tsp.write(task, &left.into());
    }
    restore_sigmask(task, &result);
    result
}

/// One of select(2)'s three sets.
struct FdSet {
    addr: UserMut<u64>,
    wanted: Vec<u64>,
    ready: Vec<u64>,
}

impl FdSet {
    fn read(task: &mut Task, addr: UserMut<u64>, words: usize) -> Result<Self> {
        let mut wanted = vec![0; words];
        if !addr.is_null() {
            addr.slice(words).read_into(task, &mut wanted)?;
        }
        Ok(Self { addr, ready: vec![0; words], wanted })
    }

    fn wants(&self, fd: usize) -> bool {
        self.wanted[fd / 64] >> (fd % 64) & 1 != 0
    }

    fn report(&mut self, fd: usize, ready: bool) -> i32 {
        let set = ready && self.wants(fd);
        self.ready[fd / 64] |= u64::from(set) << (fd % 64);
        set.into()
    }
}

fn core_sys_select(task: &mut Task, n: i32, sets: [UserMut<u64>; 3], timeout: Option<Duration>) -> Result<i32> {
    let n = usize::try_from(n).map_err(|_| Errno::EINVAL)?;
    // Descriptors above what the process ever had are not looked at.
    let n = n.min(task.files.borrow().max_fds().next_multiple_of(64).max(64));
    let words = n.div_ceil(64);
    let [input, output, exceptional] = sets;
    let mut input = FdSet::read(task, input, words)?;
    let mut output = FdSet::read(task, output, words)?;
    let mut exceptional = FdSet::read(task, exceptional, words)?;
    let mut table = PollTable::default();
    let mut ready = 0;
    for fd in 0..n {
        if !input.wants(fd) && !output.wants(fd) && !exceptional.wants(fd) {
            continue;
        }
        let mask = poll_one(task, fd as i32, &mut table);
        if mask == EPoll::NVAL {
            return Err(Errno::EBADF);
        }
        ready += input.report(fd, mask.intersects(SELECT_IN));
        ready += output.report(fd, mask.intersects(SELECT_OUT));
        ready += exceptional.report(fd, mask.intersects(SELECT_EX));
    }
    if ready == 0 {
        wait(task, &table, timeout)?;
    }
    for set in [input, output, exceptional] {
        if !set.addr.is_null() {
            set.addr.slice(words).write_from(task, &set.ready)?;
        }
    }
    Ok(ready)
}

/// select(2): waits until one of three sets of descriptors has something ready.
#[SYSCALL_DEFINE5(select)]
pub fn select(
    task: &mut Task,
    n: i32,
    inp: UserMut<u64>,
    outp: UserMut<u64>,
    exp: UserMut<u64>,
    tvp: UserMut<Timeval>,
) -> Result<i32> {
    let timeout = if tvp.is_null() {
        None
    } else {
        let tv = tvp.read(task)?;
        let seconds = tv.tv_sec.checked_add(tv.tv_usec / 1_000_000).ok_or(Errno::EINVAL)?;
        Some(Timespec { tv_sec: seconds, tv_nsec: tv.tv_usec % 1_000_000 * 1000 }.to_duration()?)
    };
    let result = core_sys_select(task, n, [inp, outp, exp], timeout);
    if result != Err(PARKED) && timeout.is_some() {
        let left = time_left(task, timeout);
        let left = Timeval { tv_sec: left.as_secs() as i64, tv_usec: left.subsec_micros().into() };
        let _ = tvp.write(task, &left);
    }
    result
}

/// pselect6(2): select with a finer timeout and a signal mask.
#[SYSCALL_DEFINE6(pselect6)]
pub fn pselect6(
    task: &mut Task,
    n: i32,
    inp: UserMut<u64>,
    outp: UserMut<u64>,
    exp: UserMut<u64>,
    tsp: UserMut<Timespec>,
    sig: UserPtr<SigsetArg>,
) -> Result<i32> {
    let mask = if sig.is_null() { SigsetArg::default() } else { sig.read(task)? };
    let timeout = if tsp.is_null() { None } else { Some(tsp.read(task)?.to_duration()?) };
    set_user_sigmask(task, UserPtr::new(mask.sigset), mask.size as usize)?;
    let result = core_sys_select(task, n, [inp, outp, exp], timeout);
    if result != Err(PARKED) && timeout.is_some() {
        let left = time_left(task, timeout);
        let _ = tsp.write(task, &left.into());
    }
    restore_sigmask(task, &result);
    result
}
