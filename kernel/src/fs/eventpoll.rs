//! Linux: `fs/eventpoll.c`. An epoll keeps a list of files to watch, so that a wait does not have to name them each time.
//!
//! We: a wait polls every watched file. Edge-triggered entries remember how often the file's queues had been woken when they
//! were reported last: a wake-up since then is an edge.
//!
//! Quirks: a wait costs as much as there are watched files. `EPOLLEXCLUSIVE` and `EPOLLWAKEUP` change nothing.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::Duration;

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE1, SYSCALL_DEFINE4, SYSCALL_DEFINE6, UserMut, UserPtr};
use callgate_uapi::eventpoll::{EPOLLET, EPOLLONESHOT, EpollEvent, EpollFlags, EpollOp};
use callgate_uapi::fcntl::OpenFlags;
use callgate_uapi::poll::EPoll;
use callgate_uapi::time::Timespec;
use callgate_uapi::traced::In;

use super::anon_inodes::anon_inode_getfile;
use super::file::{File, FileOperations, fd_install};
use super::read_write::access_ok;
use super::select::{PollTable, restore_sigmask, set_user_sigmask};
use crate::sched::wait::WaitQueue;
use crate::{PARKED, Result, Task};

/// The bits that ask for no event.
const PRIVATE_BITS: u32 = EPOLLONESHOT | EPOLLET | 1 << 29 | 1 << 28;
/// How deep epolls may watch epolls.
const EP_MAX_NESTS: usize = 4;

/// A watched file.
struct Item {
    fd: Fd,
    file: Weak<File>,
    event: EpollEvent,
    disabled: bool,
    /// The wake-ups of the file's queues at the last report.
    seen: Option<u64>,
}

/// An epoll (`struct eventpoll`).
#[derive(Default)]
struct EventPoll {
    items: RefCell<VecDeque<Item>>,
    /// Who waits for the list itself to change.
    wait: WaitQueue,
}

impl EventPoll {
    /// Collects up to `max` events; with `take`, reports them: edges are seen and one-shots done.
    fn collect(&self, max: usize, take: bool, table: &mut PollTable) -> Vec<EpollEvent> {
        table.wait_on(&self.wait);
        // Whoever nests epolls deeper than epoll_ctl allows, from the outside in, hears nothing of the innermost.
        if table.nested().is_none() {
            return Vec::new();
        }
        let mut items = std::mem::take(&mut *self.items.borrow_mut());
        items.retain(|item| item.file.strong_count() > 0);
        let mut events = Vec::new();
        let mut reported = VecDeque::new();
        let mut kept = VecDeque::new();
        for mut item in items {
            let Some(file) = item.file.upgrade() else { continue };
            let Some(mut own) = table.nested() else { continue };
            let ready = file.op.poll(&file, &mut own).bits();
            let wakes = own.wakes();
            table.append(own);
            let always = (EPoll::ERR | EPoll::HUP).bits();
            let ready = ready & (item.event.events & !PRIVATE_BITS | always);
            let edge = item.event.events & EPOLLET == 0 || item.seen != Some(wakes);
            if ready == 0 || item.disabled || !edge || events.len() >= max {
                kept.push_back(item);
                continue;
            }
            events.push(EpollEvent { events: ready, data: item.event.data });
            if take {
                item.seen = Some(wakes);
                item.disabled = item.event.events & EPOLLONESHOT != 0;
            }
            reported.push_back(item);
        }
        // Who was reported goes behind who was not: everyone gets a turn when there is little room.
        kept.append(&mut reported);
        *self.items.borrow_mut() = kept;
        events
    }

    /// Does this epoll watch `target`, directly or through others, or are they nested too deep?
    fn reaches(&self, target: &EventPoll, depth: usize) -> bool {
        if std::ptr::eq(self, target) || depth > EP_MAX_NESTS {
            return true;
        }
        let items = self.items.borrow();
        items.iter().filter_map(|item| item.file.upgrade()).any(|file| {
            let inner = file.op.as_any().and_then(|any| any.downcast_ref::<EventPoll>());
            inner.is_some_and(|inner| inner.reaches(target, depth + 1))
        })
    }
}

impl FileOperations for EventPoll {
    fn name(&self) -> &'static str {
        "eventpoll"
    }

    fn poll(&self, _: &File, table: &mut PollTable) -> EPoll {
        if self.collect(1, false, table).is_empty() { EPoll::empty() } else { EPoll::IN | EPoll::RDNORM }
    }

    fn can_poll(&self) -> bool {
        true
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

/// epoll_create(2): makes an epoll. `size` says nothing any more.
#[SYSCALL_DEFINE1(epoll_create)]
pub fn epoll_create(task: &mut Task, size: i32) -> Result<Fd> {
    if size <= 0 {
        return Err(Errno::EINVAL);
    }
    epoll_create1(task, EpollFlags::empty())
}

/// epoll_create1(2): makes an epoll.
#[SYSCALL_DEFINE1(epoll_create1)]
pub fn epoll_create1(task: &mut Task, flags: EpollFlags) -> Result<Fd> {
    if !EpollFlags::EPOLL_CLOEXEC.contains(flags) {
        return Err(Errno::EINVAL);
    }
    let op = Rc::new(EventPoll::default());
    let file = anon_inode_getfile(&task.kernel.vfs, "eventpoll", op, OpenFlags::O_RDWR);
    fd_install(task, file, !flags.is_empty())
}

/// epoll_ctl(2): changes what an epoll watches.
#[SYSCALL_DEFINE4(epoll_ctl)]
pub fn epoll_ctl(task: &mut Task, epfd: Fd, op: EpollOp, fd: Fd, event: In<EpollEvent>) -> Result<()> {
    let event = if op == EpollOp::EPOLL_CTL_DEL { EpollEvent::default() } else { event.read(task)? };
    let epoll_file = task.files.borrow().get(epfd)?;
    let target = task.files.borrow().get(fd)?;
    if !target.op.can_poll() {
        return Err(Errno::EPERM);
    }
    let epoll = event_poll(&epoll_file).ok_or(Errno::EINVAL)?;
    if Rc::ptr_eq(&epoll_file, &target) {
        return Err(Errno::EINVAL);
    }
    if op == EpollOp::EPOLL_CTL_ADD && event_poll(&target).is_some_and(|inner| inner.reaches(epoll, 1)) {
        return Err(Errno::ELOOP);
    }
    let mut items = epoll.items.borrow_mut();
    let place = items.iter().position(|item| item.fd == fd && std::ptr::eq(item.file.as_ptr(), Rc::as_ptr(&target)));
    let item = Item { fd, file: Rc::downgrade(&target), event, disabled: false, seen: None };
    match (op, place) {
        (EpollOp::EPOLL_CTL_ADD, Some(_)) => return Err(Errno::EEXIST),
        (EpollOp::EPOLL_CTL_ADD, None) => items.push_back(item),
        (EpollOp::EPOLL_CTL_MOD | EpollOp::EPOLL_CTL_DEL, None) => return Err(Errno::ENOENT),
        (EpollOp::EPOLL_CTL_MOD, Some(place)) => items[place] = item,
        (EpollOp::EPOLL_CTL_DEL, Some(place)) => drop(items.remove(place)),
        _ => return Err(Errno::EINVAL),
    }
    drop(items);
    epoll.wait.wake_all();
    Ok(())
}

/// The epoll behind an open file.
fn event_poll(file: &File) -> Option<&EventPoll> {
    file.op.as_any()?.downcast_ref::<EventPoll>()
}

fn do_epoll_wait(
    task: &mut Task,
    epfd: Fd,
    events: UserMut<EpollEvent>,
    maxevents: i32,
    timeout: Option<Duration>,
) -> Result<i32> {
    const EP_MAX_EVENTS: usize = i32::MAX as usize / size_of::<EpollEvent>();
    let max = usize::try_from(maxevents).ok().filter(|max| (1..=EP_MAX_EVENTS).contains(max)).ok_or(Errno::EINVAL)?;
    if !access_ok(events.addr(), max * size_of::<EpollEvent>()) {
        return Err(Errno::EFAULT);
    }
    let file = task.files.borrow().get(epfd)?;
    let epoll = event_poll(&file).ok_or(Errno::EINVAL)?;
    let mut table = PollTable::default();
    let ready = epoll.collect(max, true, &mut table);
    if !ready.is_empty() {
        events.slice(ready.len()).write_from(task, &ready)?;
        return Ok(ready.len() as i32);
    }
    if timeout == Some(Duration::ZERO) {
        return Ok(0);
    }
    let deadline = timeout.map(|timeout| task.deadline_after(timeout));
    match table.wait(task, deadline) {
        Errno::ETIMEDOUT => Ok(0),
        PARKED => Err(PARKED),
        // Never begun again, whatever the handler's flags say.
        _ => Err(Errno::EINTR),
    }
}

fn milliseconds(timeout: i32) -> Option<Duration> {
    u64::try_from(timeout).ok().map(Duration::from_millis)
}

/// epoll_wait(2): waits until something watched is ready.
#[SYSCALL_DEFINE4(epoll_wait)]
pub fn epoll_wait(task: &mut Task, epfd: Fd, events: UserMut<EpollEvent>, maxevents: i32, timeout: i32) -> Result<i32> {
    do_epoll_wait(task, epfd, events, maxevents, milliseconds(timeout))
}

/// epoll_pwait(2): the same with a signal mask.
#[SYSCALL_DEFINE6(epoll_pwait)]
pub fn epoll_pwait(
    task: &mut Task,
    epfd: Fd,
    events: UserMut<EpollEvent>,
    maxevents: i32,
    timeout: i32,
    sigmask: UserPtr<u64>,
    sigsetsize: usize,
) -> Result<i32> {
    set_user_sigmask(task, sigmask, sigsetsize)?;
    let result = do_epoll_wait(task, epfd, events, maxevents, milliseconds(timeout));
    restore_sigmask(task, &result);
    result
}

/// epoll_pwait2(2): the same with a finer timeout.
#[SYSCALL_DEFINE6(epoll_pwait2)]
pub fn epoll_pwait2(
    task: &mut Task,
    epfd: Fd,
    events: UserMut<EpollEvent>,
    maxevents: i32,
    timeout: In<Timespec>,
    sigmask: UserPtr<u64>,
    sigsetsize: usize,
) -> Result<i32> {
    let timeout = if timeout.is_null() { None } else { Some(timeout.read(task)?.to_duration()?) };
    set_user_sigmask(task, sigmask, sigsetsize)?;
    let result = do_epoll_wait(task, epfd, events, maxevents, timeout);
    restore_sigmask(task, &result);
    result
}
