//! Reading and writing: positions, holes, short copies.

use callgate_abi::{Errno, Fd, SyscallArg, UserMut, UserPtr};
use callgate_uapi::fcntl::{FcntlCmd, FdFlags, OpenFlags};
use callgate_uapi::fs::Whence;
use callgate_uapi::uio::{ReadSegments, WriteSegments};

use super::Guest;
use crate::fs::fcntl::fcntl;
use crate::fs::open::attr::{fallocate, ftruncate};
use crate::fs::read_write::{lseek, pread64, pwrite64, read, readv, write, writev};
use crate::fs::{file, splice};

fn seek(guest: &mut Guest, fd: Fd, offset: i64, whence: Whence) -> crate::Result<u64> {
    guest.call(|task| lseek(task, fd, offset, whence))
}

#[test]
fn holes_read_as_zeroes_and_take_no_room() {
    let mut guest = Guest::new();
    let fd = guest.create("/tmp/f");
    seek(&mut guest, fd, 1 << 40, Whence::SEEK_SET).unwrap();
    assert_eq!(guest.write(fd, b"end"), Ok(3));
    let s = guest.stat("/tmp/f").unwrap();
    assert_eq!((s.st_size, s.st_blocks), ((1 << 40) + 3, 8));
    assert_eq!(seek(&mut guest, fd, 5, Whence::SEEK_DATA), Ok(1 << 40));
    assert_eq!(seek(&mut guest, fd, 5, Whence::SEEK_HOLE), Ok(5));
    seek(&mut guest, fd, -5, Whence::SEEK_END).unwrap();
    assert_eq!(guest.read(fd, 10).unwrap(), b"\0\0end");
    assert_eq!(seek(&mut guest, fd, -1, Whence::SEEK_SET), Err(Errno::EINVAL));
    assert_eq!(seek(&mut guest, fd, 0, Whence(9)), Err(Errno::EINVAL));
}

#[test]
fn truncation_forgets_what_it_cuts() {
    let mut guest = Guest::new();
    let fd = guest.create("/tmp/f");
    guest.write(fd, &[7; 5000]).unwrap();
    guest.call(|task| ftruncate(task, fd, 4097)).unwrap();
    guest.call(|task| ftruncate(task, fd, 5000)).unwrap();
    seek(&mut guest, fd, 4090, Whence::SEEK_SET).unwrap();
    assert_eq!(guest.read(fd, 10).unwrap(), [7, 7, 7, 7, 7, 7, 7, 0, 0, 0]);
    assert_eq!(guest.call(|task| ftruncate(task, fd, -1)), Err(Errno::EINVAL));
}

#[test]
fn appending_moves_to_the_end_first() {
    let mut guest = Guest::new();
    let a = guest.open("/tmp/f", OpenFlags::O_CREAT | OpenFlags::O_WRONLY | OpenFlags::O_APPEND).unwrap();
    let b = guest.create("/tmp/f");
    guest.write(b, b"12345").unwrap();
    guest.write(a, b"67").unwrap();
    assert_eq!(seek(&mut guest, a, 0, Whence::SEEK_CUR), Ok(7));
    assert_eq!(guest.slurp("/tmp/f").unwrap(), b"1234567");
}

#[test]
fn a_bad_pointer_after_a_good_page_is_a_short_transfer() {
    let mut guest = Guest::new();
    let fd = guest.create("/tmp/f");
    guest.write(fd, &[1; 8192]).unwrap();
    seek(&mut guest, fd, 0, Whence::SEEK_SET).unwrap();
    let end = super::MEMORY + super::MEMORY_SIZE;
    assert_eq!(guest.call(|task| read(task, fd, UserMut::new(end - 100), 200)), Ok(100));
    assert_eq!(seek(&mut guest, fd, 0, Whence::SEEK_CUR), Ok(100));
    assert_eq!(guest.call(|task| write(task, fd, UserPtr::new(end - 100), 200)), Ok(100));
    assert_eq!(guest.call(|task| write(task, fd, UserPtr::new(16), 5)), Err(Errno::EFAULT));
    assert_eq!(guest.call(|task| write(task, fd, UserPtr::new(u64::MAX), 5)), Err(Errno::EFAULT));
    assert_eq!(guest.call(|task| write(task, fd, UserPtr::new(16), 0)), Ok(0));
    let null = guest.open("/dev/null", OpenFlags::O_WRONLY).unwrap();
    assert_eq!(guest.call(|task| write(task, null, UserPtr::new(16), 5)), Ok(5));
}

#[test]
fn vectors_and_explicit_offsets() {
    let mut guest = Guest::new();
    let fd = guest.create("/tmp/f");
    let (a, b) = (guest.bytes(b"abc"), guest.bytes(b"defg"));
    let vector = [a, 3, 0, 0, b, 4].map(u64::to_le_bytes).concat();
    let vector = guest.bytes(&vector);
    assert_eq!(guest.call(|task| writev(task, fd, WriteSegments(UserPtr::new(vector)), 3)), Ok(7));
    let to = guest.room(8);
    assert_eq!(guest.call(|task| pread64(task, fd, UserMut::new(to), 8, 2)), Ok(5));
    assert_eq!(guest.peek(to, 5), b"cdefg");
    assert_eq!(guest.call(|task| pwrite64(task, fd, UserPtr::new(b), 4, -1)), Err(Errno::EINVAL));
    assert_eq!(guest.call(|task| readv(task, fd, ReadSegments(UserPtr::new(vector)), 1025)), Err(Errno::EINVAL));
    assert_eq!(guest.call(|task| readv(task, Fd(50), ReadSegments(UserPtr::new(vector)), 1025)), Err(Errno::EBADF));
    assert_eq!(guest.call(|task| pread64(task, Fd(1), UserMut::new(to), 8, 0)), Err(Errno::ESPIPE));
}

#[test]
fn access_modes_are_kept() {
    let mut guest = Guest::new();
    let r = guest.open("/etc/passwd", OpenFlags::empty()).unwrap();
    let w = guest.open("/tmp/f", OpenFlags::O_CREAT | OpenFlags::O_WRONLY).unwrap();
    assert_eq!(guest.write(r, b"x"), Err(Errno::EBADF));
    assert_eq!(guest.read(w, 1), Err(Errno::EBADF));
    assert_eq!(guest.write(Fd(99), b"x"), Err(Errno::EBADF));
    let dir = guest.open("/etc", OpenFlags::empty()).unwrap();
    assert_eq!(guest.read(dir, 1), Err(Errno::EISDIR));
    let path = guest.open("/etc/passwd", OpenFlags::O_PATH).unwrap();
    assert_eq!(guest.read(path, 1), Err(Errno::EBADF));
}

#[test]
fn the_devices() {
    let mut guest = Guest::new();
    let zero = guest.open("/dev/zero", OpenFlags::O_RDWR).unwrap();
    assert_eq!(guest.read(zero, 9).unwrap(), [0; 9]);
    let full = guest.open("/dev/full", OpenFlags::O_RDWR).unwrap();
    assert_eq!(guest.write(full, b"x"), Err(Errno::ENOSPC));
    let null = guest.open("/dev/null", OpenFlags::O_RDWR).unwrap();
    assert_eq!((guest.write(null, b"xy"), guest.read(null, 3)), (Ok(2), Ok(vec![])));
    let random = guest.open("/dev/urandom", OpenFlags::empty()).unwrap();
    assert_ne!(guest.read(random, 32).unwrap(), guest.read(random, 32).unwrap());
    assert_eq!(guest.open("/dev/tty", OpenFlags::O_RDWR), Err(Errno::ENXIO));
    assert_eq!(guest.stat("/dev/null").unwrap().st_rdev, 0x103);
}

#[test]
fn standard_streams() {
    let mut guest = Guest::with_input(b"in\n");
    assert_eq!(guest.write(Fd(1), b"Hi\n"), Ok(3));
    assert_eq!(*guest.output.borrow(), b"Hi\n");
    assert_eq!(guest.read(Fd(0), 10).unwrap(), b"in\n");
    assert_eq!(guest.read(Fd(0), 10).unwrap(), b"");
    assert_eq!(guest.write(Fd(0), b"x"), Err(Errno::EBADF));
}

#[test]
fn descriptors_are_the_lowest_free() {
    let mut guest = Guest::new();
    let a = guest.create("/tmp/f");
    assert_eq!(a, Fd(3));
    assert_eq!(guest.call(|task| file::dup(task, a)), Ok(Fd(4)));
    guest.close(Fd(0)).unwrap();
    assert_eq!(guest.call(|task| file::dup(task, a)), Ok(Fd(0)));
    assert_eq!(guest.call(|task| file::dup2(task, a, Fd(10))), Ok(Fd(10)));
    assert_eq!(guest.call(|task| file::dup2(task, Fd(77), Fd(77))), Err(Errno::EBADF));
    assert_eq!(guest.call(|task| file::dup3(task, a, a, FdFlags::empty())), Err(Errno::EINVAL));
    assert_eq!(guest.call(|task| file::dup2(task, a, Fd(1 << 20))), Err(Errno::EBADF));
    let arg = |raw| SyscallArg::from_reg(raw);
    let dupfd = guest.call(|task| fcntl(task, a, FcntlCmd::F_DUPFD_CLOEXEC, arg(20)));
    assert_eq!(dupfd, Ok(20));
    assert_eq!(guest.call(|task| fcntl(task, Fd(20), FcntlCmd::F_GETFD, arg(0))), Ok(1));
    assert_eq!(guest.call(|task| fcntl(task, a, FcntlCmd::F_DUPFD, arg(1 << 20))), Err(Errno::EINVAL));
    // A duplicate shares its position.
    guest.write(a, b"hello").unwrap();
    assert_eq!(seek(&mut guest, Fd(10), 0, Whence::SEEK_CUR), Ok(5));
    let closed = guest.task.files.borrow_mut().do_close_on_exec();
    assert_eq!(closed.len(), 1);
    for fd in 0..1024 {
        let _ = fd;
        if guest.call(|task| file::dup(task, a)).is_err() {
            break;
        }
    }
    assert_eq!(guest.call(|task| file::dup(task, a)), Err(Errno::EMFILE));
    assert_eq!(guest.open("/tmp/missing", OpenFlags::empty()), Err(Errno::EMFILE));
}

#[test]
fn sendfile_and_fallocate() {
    let mut guest = Guest::new();
    let a = guest.create("/tmp/a");
    let b = guest.create("/tmp/b");
    let data: Vec<u8> = (0..100_000u32).map(|i| (i * 7) as u8).collect();
    guest.write(a, &data).unwrap();
    let offset = guest.bytes(&10i64.to_le_bytes());
    let sent = guest.call(|task| splice::sendfile64(task, b, a, UserMut::new(offset), 1 << 30));
    assert_eq!(sent, Ok(99_990));
    assert_eq!(guest.slurp("/tmp/b").unwrap(), data[10..]);
    guest.call(|task| fallocate(task, b, 3, 0, 50_000)).unwrap();
    assert_eq!(guest.slurp("/tmp/b").unwrap()[49_990..50_010], [&[0; 10], &data[50_010..50_020]].concat());
    assert_eq!(guest.call(|task| fallocate(task, b, 0, 0, 0)), Err(Errno::EINVAL));
    assert_eq!(guest.call(|task| fallocate(task, b, 0, i64::MAX, 5)), Err(Errno::EFBIG));
    // More than there is memory: refused, and nothing is kept.
    let before = guest.task.kernel.memory.frames_in_use();
    assert_eq!(guest.call(|task| fallocate(task, b, 0, 0, 1 << 40)), Err(Errno::ENOSPC));
    assert!(guest.task.kernel.memory.frames_in_use() < before + 10);
}

#[test]
fn a_host_file_is_read_page_by_page() {
    let mut guest = Guest::new();
    let path = std::env::temp_dir().join(format!("callgate-page-{}", std::process::id()));
    let data: Vec<u8> = (0..20_000u32).map(|i| (i / 3) as u8).collect();
    std::fs::write(&path, &data).unwrap();
    let before = guest.task.kernel.memory.frames_in_use();
    let file = std::fs::File::open(&path).unwrap();
    guest.task.kernel.vfs.install_host_file("/deep/er/prog", file, 0o755).unwrap();
    assert_eq!(guest.task.kernel.memory.frames_in_use(), before);
    assert_eq!(guest.stat("/deep/er/prog").unwrap().st_size, 20_000);
    assert_eq!(guest.slurp("/deep/er/prog").unwrap(), data);
    let fd = guest.open("/deep/er/prog", OpenFlags::O_RDWR).unwrap();
    guest.call(|task| ftruncate(task, fd, 5000)).unwrap();
    guest.call(|task| ftruncate(task, fd, 9000)).unwrap();
    assert_eq!(guest.slurp("/deep/er/prog").unwrap()[..], [&data[..5000], &[0; 4000]].concat());
    std::fs::remove_file(path).unwrap();
}
