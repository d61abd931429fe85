//! Linux: `asm/poll.h`.

use std::fmt::{Result, Write};

use bitflags::bitflags;
use callgate_abi::{ArgClass, CType, SyscallArg, TracedArg, UserMut};

use crate::array::{fmt_array, length};
use crate::user_structs;

bitflags! {
    /// What is ready (`EPOLL*`, and the same bits as `POLL*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct EPoll: u32 {
        /// There is something to read.
        const IN = 0x1;
        /// There is something urgent.
        const PRI = 0x2;
        /// There is room to write.
        const OUT = 0x4;
        /// Something is broken: nobody reads the pipe.
        const ERR = 0x8;
        /// The other end is gone.
        const HUP = 0x10;
        /// Not an open descriptor.
        const NVAL = 0x20;
        /// As `IN`.
        const RDNORM = 0x40;
        /// Urgent data.
        const RDBAND = 0x80;
        /// As `OUT`.
        const WRNORM = 0x100;
        /// Room for urgent data.
        const WRBAND = 0x200;
        /// The other end will write no more.
        const RDHUP = 0x2000;
    }
}

impl EPoll {
    /// A file that is always ready.
    pub const DEFAULT: Self = Self::IN.union(Self::OUT).union(Self::RDNORM).union(Self::WRNORM);
}

user_structs! {
    /// One descriptor of poll(2).
    Pollfd = "struct pollfd" { fd: i32, events: i16, revents: i16 }
    /// pselect6(2)'s sixth argument: a signal mask and its size.
    SigsetArg = "struct sigset_argpack" { sigset: u64, size: u64 }
}

/// The descriptors of poll(2): printed with what is asked, after the call with what came.
#[derive(Clone, Copy, Debug)]
pub struct PollFds(pub UserMut<Pollfd>);

impl SyscallArg for PollFds {
    const CLASS: ArgClass = ArgClass::Pointer;

    fn from_reg(raw: u64) -> Self {
        Self(UserMut::new(raw))
    }

    fn c_type(f: &mut dyn Write) -> Result {
        Pollfd::pointer(false, f)
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn Write) -> Result {
        let came = arg.result.is_some_and(|result| result > 0);
        fmt_array::<Pollfd>(arg.raw, length(arg) & 0xffff_ffff, arg, f, |entry, f| {
            write!(f, "{{fd={}, events=", entry.fd)?;
            fmt_poll_bits(entry.events, f)?;
            if came {
                f.write_str(", revents=")?;
                fmt_poll_bits(entry.revents, f)?;
            }
            f.write_char('}')
        })
    }
}

/// Prints poll's bits: `POLLIN|POLLHUP`.
fn fmt_poll_bits(bits: i16, f: &mut dyn Write) -> Result {
    let bits = EPoll::from_bits_retain(u32::from(bits as u16));
    let mut separator = "";
    for (name, _) in bits.iter_names() {
        write!(f, "{separator}POLL{name}")?;
        separator = "|";
    }
    f.write_str(if separator.is_empty() { "0" } else { "" })
}
