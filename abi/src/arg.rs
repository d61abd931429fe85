//! Arguments: from a 64-bit register to a Rust value, and to strace's text.
//!
//! A Linux handler gets six `long`s and casts each to the type of its parameter, so that only the
//! low bits count that the type has: `write(0x1_0000_0001, …)` writes to descriptor 1. Nothing is
//! checked then; a bad descriptor or address is found where it is used, which decides whether EBADF,
//! EFAULT or EINVAL is answered.
//!
//! [`SyscallArg`] does the same for a typed parameter, and knows how strace prints the type and what
//! it is called in C.

use crate::prototype::Pointee;
use crate::show::fmt_address;
use core::fmt;

/// What kind of thing an argument is, for its neighbours and for listings.
///
/// A [`Buffer`](Self::Buffer) that stands before a [`Length`](Self::Length) prints its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgClass {
    /// A number.
    Int,
    /// `size_t`: how many bytes or elements the argument before it has.
    Length,
    /// A file descriptor.
    Fd,
    /// A set of named bits.
    Flags,
    /// One of several named numbers.
    Enum,
    /// The address of a structure, or of anything.
    Pointer,
    /// The address of bytes, whose number is the next argument.
    Buffer,
    /// The address of a string that ends in NUL.
    String,
}

/// A type that an argument of a system call can have.
///
/// Implemented for integers, [`Fd`], [`UserPtr`](crate::UserPtr), [`UserMut`](crate::UserMut),
/// [`UserStr`](crate::UserStr), [`UserAddr`](crate::UserAddr), and what
/// [`impl_syscall_flags!`](crate::impl_syscall_flags) and [`syscall_enum!`](crate::syscall_enum) get.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an argument of a system call",
    label = "no `SyscallArg`: can't be made from one 64-bit register",
    note = "arguments are integers, `Fd`, `UserPtr<T>`, `UserMut<T>`, `UserStr` or `UserAddr`",
    note = "for a type of your own: `impl_syscall_flags!` (bitflags), `syscall_enum!`, or implement `SyscallArg`"
)]
pub trait SyscallArg: Sized {
    /// What kind of thing it is.
    const CLASS: ArgClass;

    /// How many bytes of the register count, for a comparison with a C prototype.
    const SIZE: usize = size_of::<Self>();

    /// What it leads to, if it is a pointer that says so, for the same comparison.
    const POINTEE: Option<Pointee> = None;

    /// The value that a register stands for, by Linux's rules of truncation and sign. Never fails.
    fn from_reg(raw: u64) -> Self;

    /// Writes the type's name in a C prototype: `unsigned int`, `const char __user *`.
    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result;

    /// Prints the argument as strace does.
    fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result;
}

/// An argument and what is around it, for printing.
#[derive(Clone, Copy)]
pub struct TracedArg<'a> {
    /// Its register.
    pub raw: u64,
    /// The argument after it.
    pub next: Option<(u64, ArgClass)>,
    /// What the call answered; none while it runs.
    pub result: Option<i64>,
    /// The program's memory.
    pub memory: &'a dyn PeekMemory,
}

impl TracedArg<'_> {
    /// The length that the next argument gives, if it is one.
    pub fn length(&self) -> Option<u64> {
        self.next.and_then(|(raw, class)| (class == ArgClass::Length).then_some(raw))
    }
}

/// A program's memory, read without a trace: no page is brought in by it.
pub trait PeekMemory {
    /// Reads as many bytes as are there, and returns how many.
    fn peek(&self, addr: u64, buf: &mut [u8]) -> usize;
}

/// No memory at all: pointers print as addresses.
impl PeekMemory for () {
    fn peek(&self, _addr: u64, _buf: &mut [u8]) -> usize {
        0
    }
}

macro_rules! int_args {
    ($($int:ty => $class:ident, $c:literal;)*) => {$(
        impl SyscallArg for $int {
            const CLASS: ArgClass = ArgClass::$class;

            fn from_reg(raw: u64) -> Self {
                raw as Self
            }

            fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
                f.write_str($c)
            }

            fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
                write!(f, "{}", Self::from_reg(arg.raw))
            }
        }
    )*};
}

int_args! {
    i8 => Int, "signed char";
    i16 => Int, "short";
    i32 => Int, "int";
    i64 => Int, "long";
    isize => Int, "long";
    u8 => Int, "unsigned char";
    u16 => Int, "unsigned short";
    u32 => Int, "unsigned int";
    u64 => Int, "unsigned long";
    usize => Length, "size_t";
}

/// C's `bool` in a register: the low byte counts, and anything but 0 is true.
impl SyscallArg for bool {
    const CLASS: ArgClass = ArgClass::Int;

    fn from_reg(raw: u64) -> Self {
        raw as u8 != 0
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("bool")
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str(if Self::from_reg(arg.raw) { "true" } else { "false" })
    }
}

/// A file descriptor. Linux declares it `unsigned int`; negative ones are just not open, but
/// [`AT_FDCWD`](Self::AT_FDCWD) stands for the current directory where a directory is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fd(pub i32);

impl Fd {
    /// The current directory, in calls of the `openat` family.
    pub const AT_FDCWD: Self = Self(-100);
}

impl SyscallArg for Fd {
    const CLASS: ArgClass = ArgClass::Fd;

    fn from_reg(raw: u64) -> Self {
        Self(raw as i32)
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("unsigned int")
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
        match Self::from_reg(arg.raw) {
            Self::AT_FDCWD => f.write_str("AT_FDCWD"),
            Self(fd) => write!(f, "{fd}"),
        }
    }
}

/// A raw register, whose meaning nobody declared: what an unimplemented call is printed with.
pub(crate) struct Register;

impl SyscallArg for Register {
    const CLASS: ArgClass = ArgClass::Int;

    fn from_reg(_raw: u64) -> Self {
        Self
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("unsigned long")
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
        fmt_address(arg.raw, f)
    }
}
