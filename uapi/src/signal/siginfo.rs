//! `siginfo_t`: what a signal tells about itself (sigaction(2)).
//!
//! The structure has 128 bytes: three numbers, then a union at offset 16 whose meaning `si_signo`
//! and `si_code` decide. We keep the meaning and make the bytes when a program sees them.

use std::fmt;

use callgate_abi::CType;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::code::{self, CLD_EXITED, SI_KERNEL, SI_QUEUE};
use super::numbers::SignalName;
use crate::traced::Traced;

/// The size of `siginfo_t`.
pub const SIGINFO_SIZE: usize = 128;
/// How much of it the kernel keeps: what follows is padding.
pub const KERNEL_SIGINFO_SIZE: usize = 48;

/// What a signal tells about itself (siginfo_t, sigaction(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SigInfo {
    /// The signal's number.
    pub signo: i32,
    /// si_errno.
    pub errno: i32,
    /// si_code: SI_USER, SEGV_MAPERR, CLD_EXITED, …
    pub code: i32,
    /// What the code says is there.
    pub fields: SigFields,
}

/// The union in siginfo_t.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SigFields {
    /// Nothing.
    #[default]
    None,
    /// kill(2), tgkill(2), sigqueue(3): sender and value.
    Kill {
        /// si_pid
        pid: i32,
        /// si_uid
        uid: u32,
        /// si_value
        value: u64,
    },
    /// SIGCHLD: the child, its status and times in clock ticks.
    Child {
        /// si_pid
        pid: i32,
        /// si_uid
        uid: u32,
        /// si_status
        status: i32,
    },
    /// A fault: the address.
    Fault {
        /// si_addr
        addr: u64,
    },
    /// Whatever rt_sigqueueinfo(2) was given.
    Raw([u8; KERNEL_SIGINFO_SIZE - 16]),
}

impl SigInfo {
    /// A signal that the kernel itself sends, such as an expired timer's.
    pub fn kernel(signo: i32) -> SigInfo {
        SigInfo { signo, errno: 0, code: SI_KERNEL, fields: SigFields::Kill { pid: 0, uid: 0, value: 0 } }
    }

    /// The bytes of `siginfo_t`.
    pub fn to_bytes(&self) -> [u8; SIGINFO_SIZE] {
        let mut bytes = [0; SIGINFO_SIZE];
        let mut put = |offset: usize, data: &[u8]| bytes[offset..offset + data.len()].copy_from_slice(data);
        put(0, &self.signo.to_le_bytes());
        put(4, &self.errno.to_le_bytes());
        put(8, &self.code.to_le_bytes());
        match self.fields {
            SigFields::None => {}
            SigFields::Kill { pid, uid, value } => {
                put(16, &pid.to_le_bytes());
                put(20, &uid.to_le_bytes());
                put(24, &value.to_le_bytes());
            }
            SigFields::Child { pid, uid, status } => {
                put(16, &pid.to_le_bytes());
                put(20, &uid.to_le_bytes());
                put(24, &status.to_le_bytes());
            }
            SigFields::Fault { addr } => put(16, &addr.to_le_bytes()),
            SigFields::Raw(raw) => put(16, &raw),
        }
        bytes
    }

    /// What a program has put in a `siginfo_t` for rt_sigqueueinfo(2).
    pub fn from_bytes(bytes: &[u8; SIGINFO_SIZE]) -> SigInfo {
        let word = |offset: usize| {
            i32::from_le_bytes([bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]])
        };
        let mut raw = [0; KERNEL_SIGINFO_SIZE - 16];
        raw.copy_from_slice(&bytes[16..KERNEL_SIGINFO_SIZE]);
        SigInfo { signo: word(0), errno: word(4), code: word(8), fields: SigFields::Raw(raw) }
    }
}

/// As strace prints it: `{si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=NULL}`.
impl fmt::Display for SigInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{si_signo={}", SignalName(self.signo))?;
        match code::name(self.signo, self.code) {
            Some(name) => write!(f, ", si_code={name}")?,
            None => write!(f, ", si_code={:#x}", self.code)?,
        }
        match self.fields {
            // strace leaves the sender out where the kernel itself is it.
            SigFields::None => {}
            SigFields::Kill { .. } if self.code == SI_KERNEL => {}
            SigFields::Kill { pid, uid, value } => {
                write!(f, ", si_pid={pid}, si_uid={uid}")?;
                if self.code == SI_QUEUE {
                    write!(f, ", si_int={}, si_ptr={value:#x}", value as i32)?;
                }
            }
            SigFields::Child { pid, uid, status } => {
                write!(f, ", si_pid={pid}, si_uid={uid}, si_status=")?;
                // The status is a signal unless the child has exited by itself.
                if self.code == CLD_EXITED {
                    write!(f, "{status}")?
                } else {
                    write!(f, "{}", SignalName(status))?
                }
                write!(f, ", si_utime=0, si_stime=0")?;
            }
            SigFields::Fault { addr: 0 } => write!(f, ", si_addr=NULL")?,
            SigFields::Fault { addr } => write!(f, ", si_addr={addr:#x}")?,
            SigFields::Raw(raw) => {
                let word = |i: usize| i32::from_le_bytes([raw[i], raw[i + 1], raw[i + 2], raw[i + 3]]);
                let pointer = u64::from(word(8) as u32) | u64::from(word(12) as u32) << 32;
                write!(f, ", si_pid={}, si_uid={}", word(0), word(4))?;
                write!(f, ", si_int={}, si_ptr={pointer:#x}", word(8))?;
            }
        }
        f.write_str("}")
    }
}

/// `siginfo_t` where a call only passes it on.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(transparent)]
pub struct SiginfoT(pub [u8; SIGINFO_SIZE]);

impl CType for SiginfoT {
    const NAME: &'static str = "siginfo_t";
}

impl Traced for SiginfoT {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        write!(f, "{}", SigInfo::from_bytes(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::numbers::{SIGCHLD, SIGSEGV};
    use super::*;

    #[test]
    fn a_siginfo_has_linuxs_offsets() {
        let info =
            SigInfo { signo: SIGCHLD, errno: 0, code: 1, fields: SigFields::Child { pid: 0x1234, uid: 7, status: 3 } };
        let bytes = info.to_bytes();
        assert_eq!(bytes[..4], [17, 0, 0, 0]);
        assert_eq!(bytes[8..12], [1, 0, 0, 0]);
        assert_eq!(bytes[16..28], [0x34, 0x12, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(SigInfo::from_bytes(&bytes).to_bytes(), bytes);
    }

    #[test]
    fn a_siginfo_reads_as_in_strace() {
        let fault = SigInfo { signo: SIGSEGV, errno: 0, code: 1, fields: SigFields::Fault { addr: 0 } };
        assert_eq!(fault.to_string(), "{si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=NULL}");
        let kill = SigInfo { signo: 15, errno: 0, code: 0, fields: SigFields::Kill { pid: 2, uid: 0, value: 0 } };
        assert_eq!(kill.to_string(), "{si_signo=SIGTERM, si_code=SI_USER, si_pid=2, si_uid=0}");
        assert_eq!(SigInfo::kernel(14).to_string(), "{si_signo=SIGALRM, si_code=SI_KERNEL}");
    }
}
