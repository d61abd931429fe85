//! Pipes and FIFOs: how much fits, what breaks, who waits.

use callgate_abi::{Errno, Fd, SyscallArg, UserMut};
use callgate_uapi::fcntl::{FcntlCmd, FdFlags, OpenFlags};
use callgate_uapi::fs::Whence;
use callgate_uapi::ioctl::IoctlCmd;
use callgate_uapi::poll::PollFds;
use callgate_uapi::signal::SIGPIPE;
use callgate_uapi::stat::UMode;
use callgate_uapi::uio::PipeFds;

use super::Guest;
use crate::PARKED;
use crate::fs::fcntl::fcntl;
use crate::fs::{ioctl, namei, pipe, read_write, select};

fn make(guest: &mut Guest, flags: FdFlags) -> (Fd, Fd) {
    let at = guest.room(8);
    guest.call(|task| pipe::pipe2(task, PipeFds(UserMut::new(at)), flags)).unwrap();
    let [a, b] = [0, 4].map(|i| i32::from_le_bytes(guest.peek(at + i, 4).try_into().unwrap()));
    (Fd(a), Fd(b))
}

fn poll(guest: &mut Guest, fd: Fd) -> i16 {
    let entry = [fd.0.to_le_bytes(), 0xffffu32.to_le_bytes()].concat();
    let at = guest.bytes(&entry);
    guest.call(|task| select::poll(task, PollFds(UserMut::new(at)), 1, 0)).unwrap();
    i16::from_le_bytes(guest.peek(at + 6, 2).try_into().unwrap())
}

#[test]
fn sixteen_pages_fit_and_small_writes_are_whole() {
    let mut guest = Guest::new();
    let (r, w) = make(&mut guest, FdFlags::O_NONBLOCK);
    assert_eq!(guest.read(r, 1), Err(Errno::EAGAIN));
    assert_eq!(guest.write(w, &[1; 70_000]), Ok(65_536));
    assert_eq!(guest.write(w, &[2; 10]), Err(Errno::EAGAIN));
    guest.read(r, 100).unwrap();
    // The first slot is not free yet.
    assert_eq!(guest.write(w, &[2; 10]), Err(Errno::EAGAIN));
    guest.read(r, 3996).unwrap();
    assert_eq!(guest.write(w, &[2; 5000]), Ok(4096));
    let at = guest.room(4);
    guest.call(|task| ioctl::ioctl(task, r, IoctlCmd::FIONREAD, SyscallArg::from_reg(at))).unwrap();
    assert_eq!(guest.peek(at, 4), 65_536u32.to_le_bytes());
}

#[test]
fn small_writes_join_one_slot() {
    let mut guest = Guest::new();
    let (r, w) = make(&mut guest, FdFlags::O_NONBLOCK);
    for _ in 0..4096 {
        guest.write(w, b"0123456789abcdef").unwrap();
    }
    assert_eq!(guest.write(w, b"x"), Err(Errno::EAGAIN));
    assert_eq!(guest.read(r, 65_536).unwrap().len(), 65_536);
}

#[test]
fn write_to_a_closed_pipe_raises_sigpipe() {
    let mut guest = Guest::new();
    let (r, w) = make(&mut guest, FdFlags::empty());
    guest.close(r).unwrap();
    assert_eq!(poll(&mut guest, w), 0x10c);
    assert_eq!(guest.write(w, b"x"), Err(Errno::EPIPE));
    assert!(guest.task.link.pending.borrow().set().contains(SIGPIPE));
}

#[test]
fn the_end_comes_after_the_data() {
    let mut guest = Guest::new();
    let (r, w) = make(&mut guest, FdFlags::empty());
    guest.write(w, b"last").unwrap();
    guest.close(w).unwrap();
    assert_eq!(poll(&mut guest, r), 0x51);
    assert_eq!(guest.read(r, 10).unwrap(), b"last");
    assert_eq!(guest.read(r, 10).unwrap(), b"");
    assert_eq!(poll(&mut guest, r), 0x10);
    assert_eq!(guest.call(|task| read_write::lseek(task, r, 0, Whence::SEEK_CUR)), Err(Errno::ESPIPE));
}

#[test]
fn a_blocked_write_goes_on_where_it_stopped() {
    let mut guest = Guest::new();
    let (r, w) = make(&mut guest, FdFlags::empty());
    let data: Vec<u8> = (0..200_000u32).map(|i| (i / 5) as u8).collect();
    let at = guest.bytes(&data);
    let mut seen = Vec::new();
    let write =
        |guest: &mut Guest| guest.call(|task| read_write::write(task, w, callgate_abi::UserPtr::new(at), data.len()));
    let mut result = write(&mut guest);
    while result == Err(PARKED) {
        let restart = std::mem::take(&mut guest.task.restart);
        seen.extend(guest.read(r, 10_000).unwrap());
        guest.task.restart = restart;
        result = write(&mut guest);
    }
    assert_eq!(result, Ok(200_000));
    while seen.len() < data.len() {
        seen.extend(guest.read(r, 65_536).unwrap());
    }
    assert_eq!(seen, data);
}

#[test]
fn an_empty_pipe_parks_its_reader() {
    let mut guest = Guest::new();
    let (r, w) = make(&mut guest, FdFlags::empty());
    assert_eq!(guest.read(r, 1), Err(PARKED));
    guest.task.restart = Default::default();
    guest.write(w, b"x").unwrap();
    assert_eq!(guest.read(r, 1).unwrap(), b"x");
}

#[test]
fn the_size_can_be_changed() {
    let mut guest = Guest::new();
    let (_, w) = make(&mut guest, FdFlags::O_NONBLOCK);
    let mut size = |cmd, arg| guest.call(|task| fcntl(task, w, cmd, SyscallArg::from_reg(arg)));
    assert_eq!(size(FcntlCmd::F_GETPIPE_SZ, 0), Ok(65_536));
    assert_eq!(size(FcntlCmd::F_SETPIPE_SZ, 5000), Ok(8192));
    assert_eq!(guest.write(w, &[0; 10_000]), Ok(8192));
    let smaller = guest.call(|task| fcntl(task, w, FcntlCmd::F_SETPIPE_SZ, SyscallArg::from_reg(1)));
    assert_eq!(smaller, Err(Errno::EBUSY));
}

#[test]
fn a_fifo_waits_for_its_other_end() {
    let mut guest = Guest::new();
    let path = guest.path("/tmp/fifo");
    guest.call(|task| namei::mknod(task, path, UMode(0o010_644), 0)).unwrap();
    let nonblock = OpenFlags::O_NONBLOCK;
    assert_eq!(guest.open("/tmp/fifo", OpenFlags::O_WRONLY | nonblock), Err(Errno::ENXIO));
    assert_eq!(guest.open("/tmp/fifo", OpenFlags::empty()), Err(PARKED));
    let waiting = std::mem::take(&mut guest.task.restart);
    let w = guest.open("/tmp/fifo", OpenFlags::O_WRONLY).unwrap();
    guest.task.restart = waiting;
    let r = guest.open("/tmp/fifo", OpenFlags::empty()).unwrap();
    guest.write(w, b"through").unwrap();
    assert_eq!(guest.read(r, 10).unwrap(), b"through");
}

#[test]
fn poll_reports_bad_descriptors() {
    let mut guest = Guest::new();
    assert_eq!(poll(&mut guest, Fd(99)), 0x20);
    assert_eq!(poll(&mut guest, Fd(-1)), 0);
    let at = guest.bytes(&[0; 8]);
    assert_eq!(guest.call(|task| select::poll(task, PollFds(UserMut::new(at)), 5000, 0)), Err(Errno::EINVAL));
}
