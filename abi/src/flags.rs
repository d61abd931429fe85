//! Flags and enumerations as arguments.
//!
//! Linux declares them `int` and checks unknown bits and values where it uses them; strace has a
//! table of names for each. So decoding keeps everything, and the names come from the type.

use core::fmt;

/// Prints flags as strace does: `O_WRONLY|O_CREAT|0x40000000`, or `0`.
///
/// # Errors
/// Those of `f`.
pub fn fmt_flags<F: bitflags::Flags>(flags: F, f: &mut dyn fmt::Write) -> fmt::Result
where
    F::Bits: fmt::LowerHex + PartialEq,
{
    let mut names = flags.iter_names();
    let mut separator = "";
    for (name, _) in names.by_ref() {
        write!(f, "{separator}{name}")?;
        separator = "|";
    }
    let unknown = names.remaining().bits();
    if unknown != <F::Bits as bitflags::Bits>::EMPTY {
        return write!(f, "{separator}{unknown:#x}");
    }
    f.write_str(if separator.is_empty() { "0" } else { "" })
}

/// Makes a `bitflags` type an argument of system calls: `impl_syscall_flags!(TYPE: INTEGER, "C type")`.
///
/// ```
/// # use callgate_abi::{SyscallArg, TracedArg, impl_syscall_flags};
/// bitflags::bitflags! {
///     #[derive(Clone, Copy)]
///     pub struct OpenFlags: i32 {
///         const O_WRONLY = 1;
///         const O_CREAT = 0o100;
///     }
/// }
/// impl_syscall_flags!(OpenFlags: i32, "int");
///
/// let mut text = String::new();
/// let arg = TracedArg { raw: 0o100 | 1 | 0x4000_0000, next: None, result: None, memory: &() };
/// <OpenFlags as SyscallArg>::fmt(&arg, &mut text).unwrap();
/// assert_eq!(text, "O_WRONLY|O_CREAT|0x40000000");
/// ```
#[macro_export]
macro_rules! impl_syscall_flags {
    ($flags:ty: $int:ty, $c_type:literal) => {
        impl $crate::SyscallArg for $flags {
            const CLASS: $crate::ArgClass = $crate::ArgClass::Flags;

            fn from_reg(raw: u64) -> Self {
                Self::from_bits_retain(<$int as $crate::SyscallArg>::from_reg(raw))
            }

            fn c_type(f: &mut dyn ::core::fmt::Write) -> ::core::fmt::Result {
                f.write_str($c_type)
            }

            fn fmt(arg: &$crate::TracedArg<'_>, f: &mut dyn ::core::fmt::Write) -> ::core::fmt::Result {
                $crate::fmt_flags(<Self as $crate::SyscallArg>::from_reg(arg.raw), f)
            }
        }
    };
}

/// Declares a type for one of several named numbers, any of which a program can give.
///
/// It is a structure with constants and not an `enum`: a number without a name is the handler's to
/// refuse, when its turn comes.
///
/// ```
/// # use callgate_abi::{SyscallArg, TracedArg, syscall_enum};
/// syscall_enum! {
///     /// Where lseek counts from.
///     pub struct Whence: u32, "unsigned int" {
///         SEEK_SET = 0,
///         SEEK_CUR = 1,
///         SEEK_END = 2,
///     }
/// }
///
/// assert_eq!(Whence::from_reg(1 << 32 | 2), Whence::SEEK_END);
/// let mut text = String::new();
/// for raw in [1, 77] {
///     let arg = TracedArg { raw, next: None, result: None, memory: &() };
///     <Whence as SyscallArg>::fmt(&arg, &mut text).unwrap();
///     text += " ";
/// }
/// assert_eq!(text, "SEEK_CUR 0x4d ");
/// ```
#[macro_export]
macro_rules! syscall_enum {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident: $int:ty, $c_type:literal {
            $($(#[$value_meta:meta])* $value:ident = $number:expr),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis struct $name(pub $int);

        #[allow(missing_docs, dead_code)] // the values are the field's own names
        impl $name {
            $($(#[$value_meta])* $vis const $value: Self = Self($number);)*
        }

        impl $crate::SyscallArg for $name {
            const CLASS: $crate::ArgClass = $crate::ArgClass::Enum;

            fn from_reg(raw: u64) -> Self {
                Self(<$int as $crate::SyscallArg>::from_reg(raw))
            }

            fn c_type(f: &mut dyn ::core::fmt::Write) -> ::core::fmt::Result {
                f.write_str($c_type)
            }

            fn fmt(
                arg: &$crate::TracedArg<'_>,
                f: &mut dyn ::core::fmt::Write,
            ) -> ::core::fmt::Result {
                match <Self as $crate::SyscallArg>::from_reg(arg.raw) {
                    $(Self::$value => f.write_str(stringify!($value)),)*
                    Self(other) => ::core::write!(f, "{other:#x}"),
                }
            }
        }
    };
}
