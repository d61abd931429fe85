//! Linux: `linux/uio.h`, and other buffers that a trace prints better than as plain numbers and addresses.

use std::fmt::{Result, Write};

use callgate_abi::{ArgClass, CType, SyscallArg, TracedArg, UserMut, UserPtr, fmt_address, fmt_quoted};

use crate::array::{fmt_array, length};
use crate::user_structs;

user_structs! {
    /// One segment of readv(2) and writev(2).
    Iovec = "struct iovec" { iov_base: u64, iov_len: u64 }
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
        fmt_segments(arg, f, |segment, f| fmt_quoted(segment.iov_base, segment.iov_len, arg.memory, f))
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
        fmt_segments(arg, f, |segment, f| match left.get() {
            Some(n) => {
                let read = n.min(segment.iov_len);
                left.set(Some(n - read));
                fmt_quoted(segment.iov_base, read, arg.memory, f)
            }
            None => fmt_address(segment.iov_base, f),
        })
    }
}

/// Prints segments, each with what `base` makes of its bytes.
fn fmt_segments(arg: &TracedArg<'_>, f: &mut dyn Write, base: impl Fn(&Iovec, &mut dyn Write) -> Result) -> Result {
    fmt_array::<Iovec>(arg.raw, length(arg), arg, f, |segment, f| {
        f.write_str("{iov_base=")?;
        base(segment, f)?;
        write!(f, ", iov_len={}}}", segment.iov_len)
    })
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
