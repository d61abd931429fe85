//! eventfd, epoll, memfd, and programs that must not be written to.

use callgate_abi::{Errno, Fd, UserMut, UserPtr, UserStr};
use callgate_uapi::eventfd::EventfdFlags;
use callgate_uapi::eventpoll::{EpollFlags, EpollOp};
use callgate_uapi::fcntl::{AtFlags, OpenFlags};
use callgate_uapi::memfd::MemfdFlags;
use callgate_uapi::traced::In;
use callgate_uapi::uio::{BufSize, PipeFds};

use super::Guest;
use crate::PARKED;
use crate::fs::anon_inodes::{eventfd2, memfd_create};
use crate::fs::eventpoll::{epoll_create1, epoll_ctl, epoll_wait};
use crate::fs::{open, pipe};

const EPOLLIN: u32 = 1;
const EPOLLET: u32 = 1 << 31;
const EPOLLONESHOT: u32 = 1 << 30;

fn ctl(guest: &mut Guest, epoll: Fd, op: EpollOp, fd: Fd, events: u32) -> crate::Result<()> {
    let event = [events.to_le_bytes(), fd.0.to_le_bytes(), [0; 4]].concat();
    let at = guest.bytes(&event);
    guest.call(|task| epoll_ctl(task, epoll, op, fd, In(UserPtr::new(at))))
}

/// The descriptors that are ready.
fn wait(guest: &mut Guest, epoll: Fd) -> Vec<i32> {
    let at = guest.room(12 * 8);
    let n = guest.call(|task| epoll_wait(task, epoll, UserMut::new(at), 8, 0)).unwrap();
    (0..n as u64).map(|i| i32::from_le_bytes(guest.peek(at + i * 12 + 4, 4).try_into().unwrap())).collect()
}

fn make_pipe(guest: &mut Guest) -> (Fd, Fd) {
    let at = guest.room(8);
    guest.call(|task| pipe::pipe(task, PipeFds(UserMut::new(at)))).unwrap();
    let [a, b] = [0, 4].map(|i| i32::from_le_bytes(guest.peek(at + i, 4).try_into().unwrap()));
    (Fd(a), Fd(b))
}

#[test]
fn an_eventfd_counts() {
    let mut guest = Guest::new();
    let flags = EventfdFlags::EFD_NONBLOCK;
    let fd = guest.call(|task| eventfd2(task, 3, flags)).unwrap();
    guest.write(fd, &4u64.to_le_bytes()).unwrap();
    assert_eq!(guest.read(fd, 8).unwrap(), 7u64.to_le_bytes());
    assert_eq!(guest.read(fd, 8), Err(Errno::EAGAIN));
    assert_eq!(guest.read(fd, 7), Err(Errno::EINVAL));
    assert_eq!(guest.write(fd, &u64::MAX.to_le_bytes()), Err(Errno::EINVAL));
    guest.write(fd, &(u64::MAX - 1).to_le_bytes()).unwrap();
    assert_eq!(guest.write(fd, &1u64.to_le_bytes()), Err(Errno::EAGAIN));
    let fd = guest.call(|task| eventfd2(task, 2, EventfdFlags::EFD_SEMAPHORE)).unwrap();
    for _ in 0..2 {
        assert_eq!(guest.read(fd, 8).unwrap(), 1u64.to_le_bytes());
    }
    assert_eq!(guest.read(fd, 8), Err(PARKED));
}

#[test]
fn epoll_reports_levels_edges_and_once() {
    let mut guest = Guest::new();
    let epoll = guest.call(|task| epoll_create1(task, EpollFlags::empty())).unwrap();
    let (r, w) = make_pipe(&mut guest);
    ctl(&mut guest, epoll, EpollOp::EPOLL_CTL_ADD, r, EPOLLIN).unwrap();
    assert_eq!(ctl(&mut guest, epoll, EpollOp::EPOLL_CTL_ADD, r, EPOLLIN), Err(Errno::EEXIST));
    assert_eq!(wait(&mut guest, epoll), []);
    guest.write(w, b"x").unwrap();
    assert_eq!(wait(&mut guest, epoll), [r.0]);
    assert_eq!(wait(&mut guest, epoll), [r.0]);
    ctl(&mut guest, epoll, EpollOp::EPOLL_CTL_MOD, r, EPOLLIN | EPOLLET).unwrap();
    assert_eq!(wait(&mut guest, epoll), [r.0]);
    assert_eq!(wait(&mut guest, epoll), []);
    guest.write(w, b"y").unwrap();
    assert_eq!(wait(&mut guest, epoll), [r.0]);
    ctl(&mut guest, epoll, EpollOp::EPOLL_CTL_MOD, r, EPOLLIN | EPOLLONESHOT).unwrap();
    assert_eq!(wait(&mut guest, epoll), [r.0]);
    guest.write(w, b"z").unwrap();
    assert_eq!(wait(&mut guest, epoll), []);
    ctl(&mut guest, epoll, EpollOp::EPOLL_CTL_DEL, r, 0).unwrap();
    assert_eq!(ctl(&mut guest, epoll, EpollOp::EPOLL_CTL_DEL, r, 0), Err(Errno::ENOENT));
}

#[test]
fn what_epoll_refuses() {
    let mut guest = Guest::new();
    let none = EpollFlags::empty();
    let a = guest.call(|task| epoll_create1(task, none)).unwrap();
    let b = guest.call(|task| epoll_create1(task, none)).unwrap();
    let file = guest.create("/tmp/f");
    let add = EpollOp::EPOLL_CTL_ADD;
    assert_eq!(ctl(&mut guest, a, add, file, EPOLLIN), Err(Errno::EPERM));
    assert_eq!(ctl(&mut guest, a, add, a, EPOLLIN), Err(Errno::EINVAL));
    assert_eq!(ctl(&mut guest, a, add, Fd(99), EPOLLIN), Err(Errno::EBADF));
    ctl(&mut guest, a, add, b, EPOLLIN).unwrap();
    assert_eq!(ctl(&mut guest, b, add, a, EPOLLIN), Err(Errno::ELOOP));
    let (r, w) = make_pipe(&mut guest);
    ctl(&mut guest, b, add, r, EPOLLIN).unwrap();
    guest.write(w, b"x").unwrap();
    // The inner epoll has something to report, so it is ready itself.
    assert_eq!(wait(&mut guest, a), [b.0]);
    // A closed file is watched no more.
    guest.close(r).unwrap();
    assert_eq!(wait(&mut guest, a), []);
}

#[test]
fn a_memfd_is_a_file_without_a_path() {
    let mut guest = Guest::new();
    let name = guest.path("mine");
    let fd = guest.call(|task| memfd_create(task, name, MemfdFlags::MFD_CLOEXEC)).unwrap();
    guest.write(fd, b"data").unwrap();
    let link = format!("/proc/self/fd/{}", fd.0);
    assert_eq!(guest.slurp(&link).unwrap(), b"data");
    let to = guest.room(64);
    let path = guest.path(&link);
    let n = guest.call(|task| crate::fs::stat::readlink(task, path, UserMut::new(to), BufSize(64))).unwrap();
    assert_eq!(guest.peek(to, n), b"/memfd:mine (deleted)");
    let bad = UserStr::new(0);
    assert_eq!(guest.call(|task| memfd_create(task, bad, MemfdFlags::empty())), Err(Errno::EFAULT));
}

#[test]
fn a_running_program_is_not_written_to() {
    let mut guest = Guest::new();
    guest.task.kernel.vfs.install_file("/bin/prog", b"\x7fELF", 0o755).unwrap();
    let running = open::open_exec(&guest.task, Fd::AT_FDCWD, b"/bin/prog", 0).unwrap();
    assert_eq!(guest.open("/bin/prog", OpenFlags::O_WRONLY), Err(Errno::ETXTBSY));
    assert_eq!(guest.open("/bin/prog", OpenFlags::O_TRUNC), Err(Errno::ETXTBSY));
    drop(running);
    let fd = guest.open("/bin/prog", OpenFlags::O_WRONLY).unwrap();
    assert_eq!(open::open_exec(&guest.task, Fd::AT_FDCWD, b"/bin/prog", 0).err(), Some(Errno::ETXTBSY));
    guest.close(fd).unwrap();
    assert!(open::open_exec(&guest.task, Fd::AT_FDCWD, b"/bin/prog", 0).is_ok());
    assert_eq!(open::open_exec(&guest.task, Fd::AT_FDCWD, b"/etc/passwd", 0).err(), Some(Errno::EACCES));
    assert_eq!(open::open_exec(&guest.task, Fd::AT_FDCWD, b"/etc", 0).err(), Some(Errno::EACCES));
    assert_eq!(open::open_exec(&guest.task, Fd::AT_FDCWD, b"/etc/x", 0).err(), Some(Errno::ENOENT));
}

#[test]
fn an_unnamed_file_can_get_a_name() {
    let mut guest = Guest::new();
    let fd = guest.open("/tmp", OpenFlags::O_TMPFILE | OpenFlags::O_RDWR).unwrap();
    guest.write(fd, b"later").unwrap();
    let (old, new) = (guest.path(format!("/proc/self/fd/{}", fd.0)), guest.path("/tmp/named"));
    let follow = AtFlags::AT_SYMLINK_FOLLOW;
    let (at, none) = (Fd::AT_FDCWD, AtFlags::empty());
    assert_eq!(guest.call(|task| crate::fs::namei::linkat(task, at, old, at, new, none)), Err(Errno::EXDEV));
    guest.call(|task| crate::fs::namei::linkat(task, at, old, at, new, follow)).unwrap();
    assert_eq!(guest.slurp("/tmp/named").unwrap(), b"later");
    assert_eq!(guest.stat("/tmp/named").unwrap().st_nlink, 1);
    assert_eq!(guest.open("/tmp", OpenFlags::O_TMPFILE), Err(Errno::EINVAL));
}

#[test]
fn epolls_nested_from_the_outside_in() {
    let mut guest = Guest::new();
    let none = EpollFlags::empty();
    let mut outer = guest.call(|task| epoll_create1(task, none)).unwrap();
    let first = outer;
    for _ in 0..500 {
        let inner = guest.call(|task| epoll_create1(task, none)).unwrap();
        ctl(&mut guest, outer, EpollOp::EPOLL_CTL_ADD, inner, EPOLLIN).unwrap();
        outer = inner;
    }
    let (r, w) = make_pipe(&mut guest);
    ctl(&mut guest, outer, EpollOp::EPOLL_CTL_ADD, r, EPOLLIN).unwrap();
    guest.write(w, b"x").unwrap();
    assert_eq!(wait(&mut guest, outer), [r.0]);
    assert_eq!(wait(&mut guest, first), []);
}
