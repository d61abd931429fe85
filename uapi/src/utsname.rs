//! Linux: `linux/utsname.h`.

use std::fmt;

use callgate_abi::CType;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::traced::Traced;

/// The longest name.
pub const NEW_UTS_LEN: usize = 64;

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
    /// sysname, nodename, release, version, machine and domainname, cut to what there is room for.
    pub fn new(names: [&[u8]; 6]) -> NewUtsname {
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
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        let name = |i: usize| {
            let field = &self.names[i];
            let len = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
            String::from_utf8_lossy(&field[..len]).into_owned()
        };
        write!(f, "{{sysname={:?}, nodename={:?}, ...}}", name(0), name(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_in_nul_however_long_they_are() {
        assert_eq!(size_of::<NewUtsname>(), 390);
        let name = NewUtsname::new([b"Linux", &[b'x'; 66], b"", b"", b"", b""]);
        assert_eq!(name.names[1][63..], [b'x', 0]);
        assert_eq!(&name.names[0][..6], b"Linux\0");
    }
}
