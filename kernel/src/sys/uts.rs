//! The system's name: uname(2), sethostname(2), setdomainname(2).
//!
//! Quirk: there is one UTS namespace.

use callgate_abi::{CType, Errno, SYSCALL_DEFINE1, SYSCALL_DEFINE2, UserPtr};
use linux_raw_sys::general::CAP_SYS_ADMIN;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::traced::{Out, Traced};
use crate::{Result, Task};

/// What the kernel calls itself.
pub const SYSNAME: &str = "Linux";
/// The version whose behaviour it has.
pub const RELEASE: &str = "6.12.0-callgate";
/// Which build of it.
pub const VERSION: &str = concat!("#1 callgate ", env!("CARGO_PKG_VERSION"));
/// The machine.
pub const MACHINE: &str = "x86_64";

/// The longest name.
const NEW_UTS_LEN: usize = 64;
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

/// `struct new_utsname`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct NewUtsname {
    /// sysname, nodename, release, version, machine, domainname.
    names: [[u8; NEW_UTS_LEN + 1]; 6],
}

impl CType for NewUtsname {
    const NAME: &'static str = "struct new_utsname";
}

impl NewUtsname {
    fn new(uts: &UtsNames, machine: &str) -> NewUtsname {
        let names = [
            SYSNAME.as_bytes(),
            &uts.nodename,
            RELEASE.as_bytes(),
            VERSION.as_bytes(),
            machine.as_bytes(),
            &uts.domainname,
        ];
        NewUtsname {
            names: names.map(|name| {
                let mut field = [0; NEW_UTS_LEN + 1];
                let len = name.len().min(NEW_UTS_LEN);
                field[..len].copy_from_slice(&name[..len]);
                field
            }),
        }
    }
}

impl Traced for NewUtsname {
    fn trace(&self, f: &mut dyn std::fmt::Write) -> std::fmt::Result {
        let name = |i: usize| {
            let field = &self.names[i];
            let len = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
            String::from_utf8_lossy(&field[..len]).into_owned()
        };
        write!(f, "{{sysname={:?}, nodename={:?}, ...}}", name(0), name(1))
    }
}

/// uname(2): tells what system this is.
#[SYSCALL_DEFINE1(newuname)]
pub fn newuname(task: &mut Task, name: Out<NewUtsname>) -> Result<()> {
    let linux32 = task.link.attr.borrow().personality & PER_MASK == PER_LINUX32;
    let answer = NewUtsname::new(&task.kernel.uts.borrow(), if linux32 { "i686" } else { MACHINE });
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
    fn names_end_in_nul_however_long_they_are() {
        assert_eq!(size_of::<NewUtsname>(), 390);
        let uts = UtsNames { nodename: vec![b'x'; 64], ..UtsNames::default() };
        let name = NewUtsname::new(&uts, MACHINE);
        assert_eq!(name.names[1][64], 0);
        assert_eq!(&name.names[0][..6], b"Linux\0");
        assert!(RELEASE.len() <= NEW_UTS_LEN && VERSION.len() <= NEW_UTS_LEN);
    }
}
