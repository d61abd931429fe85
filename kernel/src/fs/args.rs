//! Arguments of file calls that a trace prints better than as plain numbers and addresses.

use std::fmt::{Result, Write};

use callgate_abi::{ArgClass, CType, SyscallArg, TracedArg, UserMut, UserPtr, fmt_address, fmt_quoted, syscall_enum};
use zerocopy::{FromZeros, IntoBytes};

use super::uapi::{Iovec, Pollfd};

/// Permission bits, and for mknod(2) the type: printed in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UMode(pub u16);

impl SyscallArg for UMode {
    const CLASS: ArgClass = ArgClass::Int;

    fn from_reg(raw: u64) -> Self {
        Self(raw as u16)
    }

    fn c_type(f: &mut dyn Write) -> Result {
        f.write_str("umode_t")
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn Write) -> Result {
        write!(f, "0{:02o}", Self::from_reg(arg.raw).0)
    }
}

/// The length of a buffer that Linux declares `int`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufSize(pub i32);

impl SyscallArg for BufSize {
    const CLASS: ArgClass = ArgClass::Length;

    fn from_reg(raw: u64) -> Self {
        Self(raw as i32)
    }

    fn c_type(f: &mut dyn Write) -> Result {
        f.write_str("int")
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn Write) -> Result {
        write!(f, "{}", Self::from_reg(arg.raw).0)
    }
}

/// How many elements of an array a trace shows.
const SHOWN: u64 = 16;

/// Prints an array as strace does: `[a, b]`, with dots for what is not shown; the address if it can't be read.
fn fmt_array<T: FromZeros + IntoBytes + zerocopy::FromBytes>(
    addr: u64,
    len: u64,
    arg: &TracedArg<'_>,
    f: &mut dyn Write,
    show: impl Fn(&T, &mut dyn Write) -> Result,
) -> Result {
    let mut elements = Vec::new();
    for i in 0..len.min(SHOWN) {
        let mut element = T::new_zeroed();
        let at = addr.wrapping_add(i * size_of::<T>() as u64);
        if arg.memory.peek(at, element.as_mut_bytes()) < size_of::<T>() {
            return fmt_address(addr, f);
        }
        elements.push(element);
    }
    f.write_char('[')?;
    for (i, element) in elements.iter().enumerate() {
        f.write_str(if i > 0 { ", " } else { "" })?;
        show(element, f)?;
    }
    f.write_str(if len > SHOWN { ", ...]" } else { "]" })
}

/// How many elements there are: the next argument.
fn length(arg: &TracedArg<'_>) -> u64 {
    arg.next.map_or(0, |(raw, _)| raw)
}

/// The segments that writev(2) and its kin write: printed with their bytes.
#[derive(Clone, Copy, Debug)]
pub struct WriteSegments(pub UserPtr<Iovec>);

impl SyscallArg for WriteSegments {
    const CLASS: ArgClass = ArgClass::Pointer;

    fn from_reg(raw: u64) -> Self {
        Self(UserPtr::new(raw))
    }

    fn c_type(f: &mut dyn Write) -> Result {
        Iovec::pointer(true, f)
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn Write) -> Result {
        fmt_array::<Iovec>(arg.raw, length(arg), arg, f, |segment, f| {
            f.write_str("{iov_base=")?;
            fmt_quoted(segment.iov_base, segment.iov_len, arg.memory, f)?;
            write!(f, ", iov_len={}}}", segment.iov_len)
        })
    }
}

/// The segments that readv(2) and its kin fill: printed with what was read.
#[derive(Clone, Copy, Debug)]
pub struct ReadSegments(pub UserPtr<Iovec>);

impl SyscallArg for ReadSegments {
    const CLASS: ArgClass = ArgClass::Pointer;

    fn from_reg(raw: u64) -> Self {
        Self(UserPtr::new(raw))
    }

    fn c_type(f: &mut dyn Write) -> Result {
        Iovec::pointer(true, f)
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn Write) -> Result {
        let left = std::cell::Cell::new(arg.result.and_then(|n| u64::try_from(n).ok()));
        fmt_array::<Iovec>(arg.raw, length(arg), arg, f, |segment, f| {
            f.write_str("{iov_base=")?;
            match left.get() {
                Some(n) => {
                    let read = n.min(segment.iov_len);
                    left.set(Some(n - read));
                    fmt_quoted(segment.iov_base, read, arg.memory, f)?;
                }
                None => fmt_address(segment.iov_base, f)?,
            }
            write!(f, ", iov_len={}}}", segment.iov_len)
        })
    }
}

/// The two descriptors that pipe(2) stores.
#[derive(Clone, Copy, Debug)]
pub struct PipeFds(pub UserMut<i32>);

impl SyscallArg for PipeFds {
    const CLASS: ArgClass = ArgClass::Pointer;

    fn from_reg(raw: u64) -> Self {
        Self(UserMut::new(raw))
    }

    fn c_type(f: &mut dyn Write) -> Result {
        i32::pointer(false, f)
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn Write) -> Result {
        if arg.result.is_some_and(|result| result >= 0) {
            fmt_array::<i32>(arg.raw, 2, arg, f, |fd, f| write!(f, "{fd}"))
        } else {
            fmt_address(arg.raw, f)
        }
    }
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
    let bits = super::select::EPoll::from_bits_retain(u32::from(bits as u16));
    let mut separator = "";
    for (name, _) in bits.iter_names() {
        write!(f, "{separator}POLL{name}")?;
        separator = "|";
    }
    f.write_str(if separator.is_empty() { "0" } else { "" })
}

syscall_enum! {
    /// What ioctl(2) asks for.
    pub struct IoctlCmd: u32, "unsigned int" {
        TCGETS = linux_raw_sys::ioctl::TCGETS,
        TCSETS = linux_raw_sys::ioctl::TCSETS,
        TCSETSW = linux_raw_sys::ioctl::TCSETSW,
        TCSETSF = linux_raw_sys::ioctl::TCSETSF,
        TIOCSCTTY = linux_raw_sys::ioctl::TIOCSCTTY,
        TIOCNOTTY = linux_raw_sys::ioctl::TIOCNOTTY,
        TIOCGPGRP = linux_raw_sys::ioctl::TIOCGPGRP,
        TIOCSPGRP = linux_raw_sys::ioctl::TIOCSPGRP,
        TIOCGSID = linux_raw_sys::ioctl::TIOCGSID,
        TIOCGWINSZ = linux_raw_sys::ioctl::TIOCGWINSZ,
        TIOCSWINSZ = linux_raw_sys::ioctl::TIOCSWINSZ,
        FIONREAD = linux_raw_sys::ioctl::FIONREAD,
        FIONBIO = linux_raw_sys::ioctl::FIONBIO,
        FIOCLEX = linux_raw_sys::ioctl::FIOCLEX,
        FIONCLEX = linux_raw_sys::ioctl::FIONCLEX,
    }
}
