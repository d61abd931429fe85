//! Pointers to small structures that a trace prints in full, as strace does.
//!
//! [`In`] and [`Out`] are [`UserPtr`] and [`UserMut`] to a type that knows its text: what a call
//! reads is printed always, what it writes once it has succeeded, and the address where neither is
//! known.

use std::fmt;
use std::ops::Deref;

use callgate_abi::{ArgClass, CType, SyscallArg, TracedArg, UserMut, UserPtr, fmt_address};
use zerocopy::{FromBytes, IntoBytes};

/// A structure in user memory that a trace prints.
pub trait Traced: CType + FromBytes + IntoBytes {
    /// Prints it as strace does: `{tv_sec=1, tv_nsec=0}`.
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result;
}

/// The address of a structure that the call reads.
#[derive(Debug)]
pub struct In<T>(pub UserPtr<T>);

/// The address of a structure that the call writes.
#[derive(Debug)]
pub struct Out<T>(pub UserMut<T>);

macro_rules! traced_pointer {
    ($pointer:ident, $inner:ident, $constant:literal) => {
        impl<T> Clone for $pointer<T> {
            fn clone(&self) -> $pointer<T> {
                *self
            }
        }

        impl<T> Copy for $pointer<T> {}

        impl<T> Deref for $pointer<T> {
            type Target = $inner<T>;

            fn deref(&self) -> &$inner<T> {
                &self.0
            }
        }

        impl<T: Traced> SyscallArg for $pointer<T> {
            const CLASS: ArgClass = ArgClass::Pointer;

            fn from_reg(raw: u64) -> $pointer<T> {
                $pointer($inner::new(raw))
            }

            fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
                T::pointer($constant, f)
            }

            fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
                let known = $constant || arg.result.is_some_and(|result| result >= 0);
                let mut value = T::new_zeroed();
                let bytes = value.as_mut_bytes();
                if arg.raw != 0 && known && arg.memory.peek(arg.raw, bytes) == bytes.len() {
                    value.trace(f)
                } else {
                    fmt_address(arg.raw, f)
                }
            }
        }
    };
}

traced_pointer!(In, UserPtr, true);
traced_pointer!(Out, UserMut, false);

#[cfg(test)]
mod tests {
    use callgate_abi::PeekMemory;

    use super::*;
    use crate::signal::SigSet;

    struct Word(u64);

    impl PeekMemory for Word {
        fn peek(&self, addr: u64, buf: &mut [u8]) -> usize {
            let bytes = self.0.to_le_bytes();
            let n = if addr == 16 { buf.len().min(8) } else { 0 };
            buf[..n].copy_from_slice(&bytes[..n]);
            n
        }
    }

    fn printed<A: SyscallArg>(raw: u64, result: Option<i64>) -> String {
        let mut text = String::new();
        A::fmt(&TracedArg { raw, next: None, result, memory: &Word(2) }, &mut text).unwrap();
        text
    }

    #[test]
    fn contents_are_printed_where_they_are_known() {
        assert_eq!(printed::<In<SigSet>>(16, None), "[INT]");
        assert_eq!(printed::<In<SigSet>>(0, None), "NULL");
        assert_eq!(printed::<In<SigSet>>(24, None), "0x18");
        assert_eq!(printed::<Out<SigSet>>(16, Some(0)), "[INT]");
        assert_eq!(printed::<Out<SigSet>>(16, Some(-14)), "0x10");
        assert_eq!(printed::<Out<SigSet>>(16, None), "0x10");
    }
}
