//! Paths: what a walk promises.

use callgate_abi::{Errno, Fd, UserMut};
use callgate_uapi::fcntl::OpenFlags;
use callgate_uapi::fs::RenameFlags;
use callgate_uapi::stat::UMode;
use callgate_uapi::traced::Out;

use super::Guest;
use crate::fs::{dcache, namei, open, stat};

fn cwd(guest: &mut Guest) -> crate::Result<Vec<u8>> {
    let at = guest.room(4096);
    let n = guest.call(|task| dcache::getcwd(task, UserMut::new(at), 4096))?;
    Ok(guest.peek(at, n - 1))
}

#[test]
fn the_root_has_what_programs_expect() {
    let mut guest = Guest::new();
    for path in ["/proc/self", "/dev/null", "/etc/passwd", "/tmp", "/root", "/sys/devices/system/cpu/online"] {
        assert!(guest.stat(path).is_ok(), "{path}");
    }
    assert_eq!(guest.slurp("/etc/hostname").unwrap(), b"callgate\n");
    assert_eq!(guest.stat("/tmp").unwrap().st_mode, 0o041_777);
    assert_ne!(guest.stat("/tmp").unwrap().st_dev, guest.stat("/").unwrap().st_dev);
}

#[test]
fn dot_dot_of_the_root_and_of_a_mount() {
    let mut guest = Guest::new();
    assert_eq!(guest.stat("/..").unwrap().st_ino, guest.stat("/").unwrap().st_ino);
    assert_eq!(guest.stat("/tmp/..").unwrap(), guest.stat("/").unwrap());
}

#[test]
fn too_long_names_and_paths() {
    let mut guest = Guest::new();
    let name = "x".repeat(256);
    assert_eq!(guest.stat(&format!("/tmp/{name}")), Err(Errno::ENAMETOOLONG));
    assert_eq!(guest.stat(&format!("/tmp/{}", &name[1..])), Err(Errno::ENOENT));
    assert_eq!(guest.stat(&"/x".repeat(2100)), Err(Errno::ENAMETOOLONG));
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let mut guest = Guest::new();
    let fd = guest.create("/tmp/l0");
    guest.close(fd).unwrap();
    for i in 1..=41 {
        let (target, path) = (guest.path(format!("l{}", i - 1)), guest.path(format!("/tmp/l{i}")));
        guest.call(|task| namei::symlink(task, target, path)).unwrap();
    }
    assert!(guest.open("/tmp/l40", OpenFlags::empty()).is_ok());
    assert_eq!(guest.open("/tmp/l41", OpenFlags::empty()), Err(Errno::ELOOP));
}

#[test]
fn a_removed_working_directory() {
    let mut guest = Guest::new();
    let path = guest.path("/tmp/gone");
    guest.call(|task| namei::mkdir(task, path, UMode(0o777))).unwrap();
    guest.call(|task| open::close::chdir(task, path)).unwrap();
    assert_eq!(cwd(&mut guest).unwrap(), b"/tmp/gone");
    guest.call(|task| namei::rmdir(task, path)).unwrap();
    assert_eq!(cwd(&mut guest), Err(Errno::ENOENT));
    assert_eq!(guest.open("x", OpenFlags::O_CREAT), Err(Errno::ENOENT));
    assert_eq!(guest.open(".", OpenFlags::empty()).map(drop), Ok(()));
}

#[test]
fn getcwd_follows_a_rename() {
    let mut guest = Guest::new();
    let (a, b) = (guest.path("/tmp/a"), guest.path("/tmp/b"));
    let deep = guest.path("/tmp/a/deep");
    guest.call(|task| namei::mkdir(task, a, UMode(0o777))).unwrap();
    guest.call(|task| namei::mkdir(task, deep, UMode(0o777))).unwrap();
    guest.call(|task| open::close::chdir(task, deep)).unwrap();
    guest.call(|task| namei::rename(task, a, b)).unwrap();
    assert_eq!(cwd(&mut guest).unwrap(), b"/tmp/b/deep");
    let at = guest.room(64);
    let short = guest.call(|task| dcache::getcwd(task, UserMut::new(at), 11));
    assert_eq!(short, Err(Errno::ERANGE));
    assert_eq!(guest.call(|task| dcache::getcwd(task, UserMut::new(at), 12)), Ok(12));
}

#[test]
fn a_mount_point_cannot_be_removed_or_replaced() {
    let mut guest = Guest::new();
    let (tmp, other) = (guest.path("/tmp"), guest.path("/other"));
    assert_eq!(guest.call(|task| namei::rmdir(task, tmp)), Err(Errno::EBUSY));
    assert_eq!(guest.call(|task| namei::rename(task, tmp, other)), Err(Errno::EBUSY));
    let (etc, inside) = (guest.path("/etc/passwd"), guest.path("/tmp/x"));
    assert_eq!(guest.call(|task| namei::rename(task, etc, inside)), Err(Errno::EXDEV));
    let exchange = RenameFlags::RENAME_EXCHANGE;
    let dir = Fd::AT_FDCWD;
    assert_eq!(guest.call(|task| namei::renameat2(task, dir, tmp, dir, etc, exchange)), Err(Errno::EBUSY));
}

#[test]
fn errors_come_in_linux_order() {
    let mut guest = Guest::new();
    let bad = callgate_abi::UserStr::new(16);
    assert_eq!(guest.call(|task| open::open(task, bad, OpenFlags::empty(), UMode(0))), Err(Errno::EFAULT));
    let (path, buf) = (guest.path("/etc/passwd"), Out(UserMut::new(16)));
    assert_eq!(guest.call(|task| stat::newstat(task, path, buf)), Err(Errno::EFAULT));
    assert_eq!(guest.stat("/etc/passwd/x"), Err(Errno::ENOTDIR));
    assert_eq!(guest.stat("/etc/passwd/"), Err(Errno::ENOTDIR));
    assert_eq!(guest.open("/etc", OpenFlags::O_WRONLY), Err(Errno::EISDIR));
    let at = guest.path("passwd");
    assert_eq!(guest.call(|task| open::openat(task, Fd(77), at, OpenFlags::empty(), UMode(0))), Err(Errno::EBADF));
    let file = guest.open("/etc/passwd", OpenFlags::empty()).unwrap();
    assert_eq!(guest.call(|task| open::openat(task, file, at, OpenFlags::empty(), UMode(0))), Err(Errno::ENOTDIR));
}

#[test]
fn listings_are_newest_first_and_can_be_continued() {
    let mut guest = Guest::new();
    for name in ["a", "b", "c"] {
        let fd = guest.create(&format!("/tmp/{name}"));
        guest.close(fd).unwrap();
    }
    let dir = guest.open("/tmp", OpenFlags::O_DIRECTORY).unwrap();
    let first = guest.list(dir, 24 * 3).unwrap();
    assert_eq!(first, [(".".into(), 1), ("..".into(), 5), ("c".into(), 4)]);
    let path = guest.path("/tmp/b");
    guest.call(|task| namei::unlink(task, path)).unwrap();
    assert_eq!(guest.list(dir, 100).unwrap(), [("a".to_owned(), i64::from(i32::MAX))]);
    assert_eq!(guest.list(dir, 100).unwrap(), []);
    let again = guest.open("/tmp", OpenFlags::O_DIRECTORY).unwrap();
    assert_eq!(guest.list(again, 23), Err(Errno::EINVAL));
    assert_eq!(guest.stat("/tmp").unwrap().st_size, 20 * 4);
}

#[test]
fn other_users_are_kept_out() {
    let mut guest = Guest::new();
    let fd = guest.create("/tmp/mine");
    guest.close(fd).unwrap();
    guest.task.cred.fsuid = 1000;
    guest.task.cred.fsgid = 1000;
    guest.task.cred.uid = 1000;
    guest.task.cred.cap_effective = 0;
    assert_eq!(guest.open("/tmp/mine", OpenFlags::O_WRONLY), Err(Errno::EACCES));
    assert!(guest.open("/tmp/mine", OpenFlags::empty()).is_ok());
    let path = guest.path("/tmp/mine");
    // The sticky bit of /tmp.
    assert_eq!(guest.call(|task| namei::unlink(task, path)), Err(Errno::EPERM));
    assert_eq!(guest.call(|task| open::attr::chmod(task, path, UMode(0o777))), Err(Errno::EPERM));
    assert_eq!(guest.open("/root/x", OpenFlags::O_CREAT), Err(Errno::EACCES));
    assert_eq!(guest.open("/new", OpenFlags::O_CREAT), Err(Errno::EACCES));
}

#[test]
fn a_tree_can_be_deeper_than_the_hosts_stack() {
    let mut guest = Guest::new();
    let name = guest.path("d");
    let tmp = guest.path("/tmp");
    guest.call(|task| open::close::chdir(task, tmp)).unwrap();
    for _ in 0..100_000 {
        guest.call(|task| namei::mkdir(task, name, UMode(0o777))).unwrap();
        guest.call(|task| open::close::chdir(task, name)).unwrap();
    }
    assert_eq!(cwd(&mut guest), Err(Errno::ENAMETOOLONG));
    assert!(guest.slurp("/proc/self/status").is_ok());
    drop(guest);
}
