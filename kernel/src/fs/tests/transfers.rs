//! The oracle again: random reads, writes and seeks on one file, and on one pipe, here and on the host.

use std::os::fd::{AsFd, OwnedFd};

use callgate_abi::{Errno, Fd, SyscallArg, UserMut, UserPtr};
use callgate_uapi::fcntl::{FcntlCmd, FdFlags, OpenFlags};
use callgate_uapi::fs::Whence;
use callgate_uapi::ioctl::IoctlCmd;
use callgate_uapi::poll::PollFds;
use callgate_uapi::uio::PipeFds;
use rustix::fs::{FallocateFlags, OFlags, SeekFrom};
use rustix::pipe::PipeFlags;

use super::Guest;
use super::differential::Dice;
use crate::fs::fcntl::fcntl;
use crate::fs::open::attr;
use crate::fs::{ioctl, pipe, read_write, select};

/// What a call answered: a number and, for reads, the bytes.
type Answer = Result<(u64, Vec<u8>), i32>;

fn host<T: TryInto<u64>>(result: rustix::io::Result<T>) -> Answer {
    result.map(|n| (n.try_into().unwrap_or(0), Vec::new())).map_err(rustix::io::Errno::raw_os_error)
}

fn ours<T: TryInto<u64>>(result: crate::Result<T>) -> Answer {
    result.map(|n| (n.try_into().unwrap_or(0), Vec::new())).map_err(|error: Errno| error.code().into())
}

fn host_read(result: rustix::io::Result<usize>, mut buffer: Vec<u8>) -> Answer {
    let n = result.map_err(rustix::io::Errno::raw_os_error)?;
    buffer.truncate(n);
    Ok((n as u64, buffer))
}

/// Bytes that tell where they come from.
fn pattern(dice: &mut Dice, len: usize) -> Vec<u8> {
    let start = dice.roll(251);
    (0..len).map(|i| ((start + i) % 251) as u8).collect()
}

fn size(dice: &mut Dice) -> usize {
    match dice.roll(5) {
        0 => dice.roll(5),
        1 => 4096,
        2 => dice.roll(4200),
        3 => dice.roll(20_000),
        _ => dice.roll(90_000),
    }
}

#[test]
fn random_accesses_to_a_file() {
    for seed in 0..30 {
        let path = std::env::temp_dir().join(format!("callgate-rw-{}-{seed}", std::process::id()));
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::TRUNC;
        let file: OwnedFd = rustix::fs::open(&path, flags, rustix::fs::Mode::from_raw_mode(0o644)).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut guest = Guest::new();
        let fd = guest.create("/tmp/f");
        let mut dice = Dice(seed);
        for step in 0..80 {
            let kind = dice.roll(9);
            let len = size(&mut dice);
            let offset = dice.roll(60_000) as i64 - 1000;
            let (theirs, mine) = file_call(&mut guest, fd, &file, kind, len, offset, &mut dice);
            assert_eq!(mine, theirs, "seed {seed}, step {step}: kind {kind}, length {len}, offset {offset}");
        }
        let theirs = rustix::fs::fstat(&file).unwrap().st_size;
        assert_eq!(guest.stat("/tmp/f").unwrap().st_size, theirs);
    }
}

fn file_call(
    guest: &mut Guest,
    fd: Fd,
    file: &OwnedFd,
    kind: usize,
    len: usize,
    offset: i64,
    dice: &mut Dice,
) -> (Answer, Answer) {
    let bytes = pattern(dice, len);
    match kind {
        0 | 1 => (host(rustix::io::write(file, &bytes)), ours(guest.write(fd, &bytes))),
        2 => {
            let mut buffer = vec![0; len];
            let theirs = host_read(rustix::io::read(file, &mut buffer), buffer);
            let mine = guest.read(fd, len).map(|b| (b.len() as u64, b)).map_err(|e| e.code().into());
            (theirs, mine)
        }
        3 => {
            let theirs = host(rustix::io::pwrite(file, &bytes, offset as u64));
            let at = guest.bytes(&bytes);
            (theirs, ours(guest.call(|task| read_write::pwrite64(task, fd, UserPtr::new(at), len, offset))))
        }
        4 => {
            let mut buffer = vec![0; len];
            let theirs = host_read(rustix::io::pread(file, &mut buffer, offset as u64), buffer);
            let at = guest.room(len.max(1));
            let mine = guest.call(|task| read_write::pread64(task, fd, UserMut::new(at), len, offset));
            let mine = mine.map(|n| (n as u64, guest.peek(at, n))).map_err(|e| e.code().into());
            (theirs, mine)
        }
        5 => {
            let (to, whence) = match dice.roll(3) {
                0 => (SeekFrom::Start(offset as u64), Whence::SEEK_SET),
                1 => (SeekFrom::Current(offset), Whence::SEEK_CUR),
                _ => (SeekFrom::End(offset), Whence::SEEK_END),
            };
            let mine = guest.call(|task| read_write::lseek(task, fd, offset, whence));
            (host(rustix::fs::seek(file, to)), ours(mine))
        }
        6 => {
            let theirs = rustix::fs::ftruncate(file, offset as u64).map(|()| 0u64);
            let mine = guest.call(|task| attr::ftruncate(task, fd, offset)).map(|()| 0u64);
            (host(theirs), ours(mine))
        }
        7 => {
            let flags = *dice.pick(&[0, 1, 3]);
            let theirs =
                rustix::fs::fallocate(file, FallocateFlags::from_bits_retain(flags), offset.max(0) as u64, len as u64);
            let offset = offset.max(0);
            let mine = guest.call(|task| attr::fallocate(task, fd, flags as i32, offset, len as i64));
            (host(theirs.map(|()| 0u64)), ours(mine.map(|()| 0u64)))
        }
        _ => {
            let append = dice.roll(2) == 0;
            let flag = if append { OFlags::APPEND } else { OFlags::empty() };
            let theirs = rustix::fs::fcntl_setfl(file, flag).map(|()| 0u64);
            let flag = if append { OpenFlags::O_APPEND } else { OpenFlags::empty() };
            let arg = SyscallArg::from_reg(flag.bits() as u64);
            (host(theirs), ours(guest.call(|task| fcntl(task, fd, FcntlCmd::F_SETFL, arg))))
        }
    }
}

#[test]
fn random_accesses_to_a_pipe() {
    for seed in 0..30 {
        let (host_r, host_w) = rustix::pipe::pipe_with(PipeFlags::NONBLOCK).unwrap();
        let mut guest = Guest::new();
        let at = guest.room(8);
        guest.call(|task| pipe::pipe2(task, PipeFds(UserMut::new(at)), FdFlags::O_NONBLOCK)).unwrap();
        let (r, w) = (Fd(3), Fd(4));
        let mut dice = Dice(1000 + seed);
        for step in 0..150 {
            let kind = dice.roll(8);
            let len = size(&mut dice);
            let (theirs, mine) = pipe_call(&mut guest, (r, w), (&host_r, &host_w), kind, len, &mut dice);
            assert_eq!(mine, theirs, "seed {seed}, step {step}: kind {kind}, length {len}");
        }
    }
}

fn pipe_call(
    guest: &mut Guest,
    (r, w): (Fd, Fd),
    (host_r, host_w): (&OwnedFd, &OwnedFd),
    kind: usize,
    len: usize,
    dice: &mut Dice,
) -> (Answer, Answer) {
    match kind {
        0..=2 => {
            let bytes = pattern(dice, len);
            (host(rustix::io::write(host_w, &bytes)), ours(guest.write(w, &bytes)))
        }
        3..=5 => {
            let mut buffer = vec![0; len];
            let theirs = host_read(rustix::io::read(host_r, &mut buffer), buffer);
            let mine = guest.read(r, len).map(|b| (b.len() as u64, b)).map_err(|e| e.code().into());
            (theirs, mine)
        }
        6 => {
            let at = guest.room(4);
            guest.call(|task| ioctl::ioctl(task, r, IoctlCmd::FIONREAD, SyscallArg::from_reg(at))).unwrap();
            let mine = u32::from_le_bytes(guest.peek(at, 4).try_into().unwrap());
            (host(rustix::io::ioctl_fionread(host_r)), Ok((mine.into(), Vec::new())))
        }
        _ => {
            let mut answers = [Vec::new(), Vec::new()];
            for (fd, ours, events) in [(host_r, r, 1u16), (host_w, w, 4)] {
                let flags = rustix::event::PollFlags::from_bits_retain(events);
                let mut fds = [rustix::event::PollFd::from_borrowed_fd(fd.as_fd(), flags)];
                rustix::event::poll(&mut fds, Some(&rustix::event::Timespec::default())).unwrap();
                answers[0].push(fds[0].revents().bits() as u8);
                let entry = [&ours.0.to_le_bytes()[..], &events.to_le_bytes(), &[0; 2]].concat();
                let at = guest.bytes(&entry);
                guest.call(|task| select::poll(task, PollFds(UserMut::new(at)), 1, 0)).unwrap();
                answers[1].push(guest.peek(at + 6, 1)[0]);
            }
            let [theirs, mine] = answers;
            (Ok((0, theirs)), Ok((0, mine)))
        }
    }
}
