//! /proc: what programs read there.

use callgate_abi::{Errno, Fd, UserMut};
use callgate_uapi::fcntl::OpenFlags;
use callgate_uapi::uio::BufSize;

use super::Guest;
use crate::fs::stat::readlink;

fn link(guest: &mut Guest, path: &str) -> crate::Result<String> {
    let (path, to) = (guest.path(path), guest.room(256));
    let n = guest.call(|task| readlink(task, path, UserMut::new(to), BufSize(256)))?;
    Ok(String::from_utf8(guest.peek(to, n)).unwrap())
}

#[test]
fn self_is_the_caller() {
    let mut guest = Guest::new();
    let pid = guest.task.tgid();
    assert_eq!(link(&mut guest, "/proc/self").unwrap(), pid.to_string());
    assert_eq!(link(&mut guest, "/proc/thread-self").unwrap(), format!("{pid}/task/{pid}"));
    assert_eq!(link(&mut guest, "/proc/self/cwd").unwrap(), "/");
    assert_eq!(link(&mut guest, "/proc/self/exe"), Err(Errno::ENOENT));
    assert_eq!(guest.stat("/proc/99999"), Err(Errno::ENOENT));
    assert_eq!(guest.stat("/proc/01"), Err(Errno::ENOENT));
}

#[test]
fn descriptors_are_links() {
    let mut guest = Guest::new();
    let fd = guest.create("/tmp/f");
    assert_eq!(link(&mut guest, "/proc/self/fd/3").unwrap(), "/tmp/f");
    guest.write(fd, b"data").unwrap();
    // Opening the link opens the file anew.
    assert_eq!(guest.slurp("/dev/fd/3").unwrap(), b"data");
    let path = guest.path("/tmp/f");
    guest.call(|task| crate::fs::namei::unlink(task, path)).unwrap();
    assert_eq!(link(&mut guest, "/proc/self/fd/3").unwrap(), "/tmp/f (deleted)");
    assert_eq!(guest.slurp("/proc/self/fd/3").unwrap(), b"data");
    assert!(link(&mut guest, "/proc/self/fd/1").unwrap().starts_with("pipe:["));
    let dir = guest.open("/proc/self/fd", OpenFlags::O_DIRECTORY).unwrap();
    let names: Vec<String> = guest.list(dir, 4096).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [".", "..", "0", "1", "2", "3", "4"]);
}

#[test]
fn every_file_can_be_read() {
    fn walk(guest: &mut Guest, path: &str, count: &mut usize) {
        let fd = guest.open(path, OpenFlags::O_DIRECTORY).unwrap();
        let mut names = Vec::new();
        loop {
            let piece = guest.list(fd, 1024).unwrap();
            if piece.is_empty() {
                break;
            }
            names.extend(piece);
        }
        guest.close(fd).unwrap();
        for (name, _) in names.into_iter().skip(2) {
            let inner = format!("{path}/{name}");
            *count += 1;
            let mode = match guest.stat(&inner) {
                Ok(stat) => stat.st_mode,
                // The descriptor of the listing itself, closed meanwhile.
                Err(Errno::ENOENT) if path.contains("/fd") => continue,
                Err(error) => panic!("{inner}: {error}"),
            };
            match mode & 0o170_000 {
                0o040_000 => walk(guest, &inner, count),
                0o100_000 => drop(guest.slurp(&inner).unwrap_or_else(|error| panic!("{inner}: {error}"))),
                _ => {}
            }
        }
    }
    let mut guest = Guest::new();
    let mut count = 0;
    walk(&mut guest, "/proc", &mut count);
    walk(&mut guest, "/sys", &mut count);
    assert!(count > 100, "{count}");
}

#[test]
fn formats() {
    let mut guest = Guest::new();
    let text = |guest: &mut Guest, path: &str| String::from_utf8(guest.slurp(path).unwrap()).unwrap();
    assert_eq!(text(&mut guest, "/proc/self/stat").split_whitespace().count(), 52);
    assert!(text(&mut guest, "/proc/self/status").starts_with("Name:\tinit\nUmask:\t0022\nState:\tR (running)\n"));
    assert!(text(&mut guest, "/proc/self/maps").contains("00100000-00500000 rw-p 00000000 00:00 0"));
    assert!(text(&mut guest, "/proc/kallsyms").contains(" entry_SYSCALL_64\n"));
    assert!(text(&mut guest, "/proc/mounts").contains("proc /proc proc rw,relatime 0 0\n"));
    assert!(text(&mut guest, "/proc/meminfo").starts_with("MemTotal:         262144 kB\n"));
    assert_eq!(text(&mut guest, "/proc/sys/kernel/ostype"), "Linux\n");
    let fd = guest.open("/proc/sys/kernel/hostname", OpenFlags::O_RDWR).unwrap();
    guest.write(fd, b"other\n").unwrap();
    assert_eq!(text(&mut guest, "/proc/sys/kernel/hostname"), "other\n");
    assert_eq!(guest.open("/proc/new", OpenFlags::O_CREAT), Err(Errno::ENOENT));
    assert_eq!(guest.open("/sys/new", OpenFlags::O_CREAT), Err(Errno::EACCES));
    assert_eq!(guest.write(Fd(1), b""), Ok(0));
}
