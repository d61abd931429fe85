//! The system's name: uname(2), sethostname(2), setdomainname(2).
//!
//! Quirk: there is one UTS namespace.

use callgate_abi::{Errno, SYSCALL_DEFINE1, SYSCALL_DEFINE2, UserPtr};
use callgate_uapi::traced::Out;
use callgate_uapi::utsname::{NEW_UTS_LEN, NewUtsname};
use linux_raw_sys::general::CAP_SYS_ADMIN;

use crate::{Result, Task};

/// What the kernel calls itself.
pub const SYSNAME: &str = "Linux";
/// The version whose behaviour it has.
pub const RELEASE: &str = "6.12.0-callgate";
/// Which build of it.
pub const VERSION: &str = concat!("#1 callgate ", env!("CARGO_PKG_VERSION"));
/// The machine.
pub const MACHINE: &str = "x86_64";

/// personality(2) of 32-bit programs.
const PER_LINUX32: u32 = 8;
const PER_MASK: u32 = 0xff;

/// The names that can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UtsNames {
    /// The host's name.
    pub nodename: Vec<u8>,
    /// The NIS domain's name.
    pub domainname: Vec<u8>,
}

impl Default for UtsNames {
    fn default() -> UtsNames {
        UtsNames { nodename: b"callgate".to_vec(), domainname: b"(none)".to_vec() }
    }
}

fn new_utsname(uts: &UtsNames, machine: &str) -> NewUtsname {
    let (sysname, release, version) = (SYSNAME.as_bytes(), RELEASE.as_bytes(), VERSION.as_bytes());
    NewUtsname::new([sysname, &uts.nodename, release, version, machine.as_bytes(), &uts.domainname])
}

/// uname(2): tells what system this is.
#[SYSCALL_DEFINE1(newuname)]
pub fn newuname(task: &mut Task, name: Out<NewUtsname>) -> Result<()> {
    let linux32 = task.link.attr.borrow().personality & PER_MASK == PER_LINUX32;
    let answer = new_utsname(&task.kernel.uts.borrow(), if linux32 { "i686" } else { MACHINE });
    name.write(task, &answer)
}

/// Reads a new name.
fn read_name(task: &mut Task, name: UserPtr<u8>, len: i32) -> Result<Vec<u8>> {
    if !task.cred.capable(CAP_SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let len = usize::try_from(len).ok().filter(|&len| len <= NEW_UTS_LEN).ok_or(Errno::EINVAL)?;
    let mut bytes = vec![0; len];
    name.slice(len).read_into(task, &mut bytes)?;
    Ok(bytes)
}

/// sethostname(2): sets the host's name.
#[SYSCALL_DEFINE2(sethostname)]
pub fn sethostname(task: &mut Task, name: UserPtr<u8>, len: i32) -> Result<()> {
    let name = read_name(task, name, len)?;
    task.kernel.uts.borrow_mut().nodename = name;
    Ok(())
}

/// setdomainname(2): sets the NIS domain's name.
#[SYSCALL_DEFINE2(setdomainname)]
pub fn setdomainname(task: &mut Task, name: UserPtr<u8>, len: i32) -> Result<()> {
    let name = read_name(task, name, len)?;
    task.kernel.uts.borrow_mut().domainname = name;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_names_are_not_cut() {
        assert!(RELEASE.len() <= NEW_UTS_LEN && VERSION.len() <= NEW_UTS_LEN);
    }
}
