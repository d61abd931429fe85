//! Answers: from what a handler returns to rax, and to strace's text.
//!
//! A Linux handler returns a `long`: a value, or the negative of an error number. Between the two
//! lies nothing but the convention that values of -4095 to -1 are errors.
//!
//! [`SyscallReturn`] encodes a `Result` that way, so a handler can't confuse them.

use crate::errno::Errno;
use crate::show::fmt_address;
use crate::{Fd, UserAddr};
use core::convert::Infallible;
use core::fmt;

/// A type that a handler can return.
#[diagnostic::on_unimplemented(
    message = "a system call can't return `{Self}`",
    label = "no `SyscallReturn`: can't be put in rax",
    note = "handlers return `Result<T, Errno>` with `T` an integer, `()`, `Fd` or `UserAddr`; or such a `T` if they can't fail; or `!`"
)]
pub trait SyscallReturn: Sized {
    /// The value for rax.
    fn into_raw(self) -> i64;

    /// Writes the type's name in a C prototype.
    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("long")
    }

    /// Prints an answer as strace does after the `=`.
    fn fmt(raw: i64, f: &mut dyn fmt::Write) -> fmt::Result {
        write!(f, "{raw}")
    }
}

/// What the handler of a row marked `noreturn` returns: nothing that a program could ever see.
#[diagnostic::on_unimplemented(
    message = "the row says `noreturn`, but this handler can return `{Self}`",
    label = "has to be `!` or `Exited`",
    note = "take `noreturn` from the row, or return `!`; `Exited` is for a handler after which the task is gone"
)]
pub trait NoReturn: SyscallReturn {}

/// What a handler returns that has ended its task: there is no program to answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exited;

impl SyscallReturn for Exited {
    fn into_raw(self) -> i64 {
        0
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("void")
    }

    fn fmt(_raw: i64, f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("?")
    }
}

impl NoReturn for Exited {}

impl SyscallReturn for Infallible {
    fn into_raw(self) -> i64 {
        match self {}
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("void")
    }

    fn fmt(_raw: i64, f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("?")
    }
}

impl NoReturn for Infallible {}

/// The return type of what [`COND_SYSCALL!`](crate::COND_SYSCALL) lists: it fits every row.
#[derive(Clone, Copy, Debug)]
pub enum NotImplemented {}

impl SyscallReturn for NotImplemented {
    fn into_raw(self) -> i64 {
        match self {}
    }

    fn fmt(raw: i64, f: &mut dyn fmt::Write) -> fmt::Result {
        <Result<i64, Errno>>::fmt(raw, f)
    }
}

impl NoReturn for NotImplemented {}

macro_rules! int_returns {
    ($($int:ty => $c:literal;)*) => {$(
        impl SyscallReturn for $int {
            fn into_raw(self) -> i64 {
                self as i64
            }

            fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
                f.write_str($c)
            }

            fn fmt(raw: i64, f: &mut dyn fmt::Write) -> fmt::Result {
                write!(f, "{}", raw as Self)
            }
        }
    )*};
}

int_returns! {
    i8 => "signed char";
    i16 => "short";
    i32 => "int";
    i64 => "long";
    isize => "ssize_t";
    u8 => "unsigned char";
    u16 => "unsigned short";
    u32 => "unsigned int";
    u64 => "unsigned long";
    usize => "ssize_t";
}

impl SyscallReturn for bool {
    fn into_raw(self) -> i64 {
        i64::from(self)
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("int")
    }
}

impl SyscallReturn for () {
    fn into_raw(self) -> i64 {
        0
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("int")
    }
}

impl SyscallReturn for Fd {
    fn into_raw(self) -> i64 {
        i64::from(self.0)
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("int")
    }
}

impl SyscallReturn for UserAddr {
    fn into_raw(self) -> i64 {
        self.0.cast_signed()
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("unsigned long")
    }

    fn fmt(raw: i64, f: &mut dyn fmt::Write) -> fmt::Result {
        // mmap at 0 is an answer, and not "no answer".
        match raw {
            0 => f.write_str("0"),
            _ => fmt_address(raw.cast_unsigned(), f),
        }
    }
}

impl<T: SyscallReturn, E: Into<Errno>> SyscallReturn for Result<T, E> {
    fn into_raw(self) -> i64 {
        match self {
            Ok(value) => value.into_raw(),
            Err(error) => -i64::from(error.into().code()),
        }
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        T::c_type(f)
    }

    fn fmt(raw: i64, f: &mut dyn fmt::Write) -> fmt::Result {
        match Errno::from_raw(raw) {
            Some(errno) if errno.is_restart() => write!(f, "? {errno}"),
            Some(errno) => write!(f, "-1 {errno}"),
            None => T::fmt(raw, f),
        }
    }
}
