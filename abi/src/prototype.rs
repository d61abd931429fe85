//! A handler's parameter against that of a C prototype.
//!
//! Linux's `asmlinkage long sys_write(unsigned int fd, const char __user *buf, size_t count)` says of each register how
//! many of its bits count, or what is at the address in it. A Rust type says the same by its class and its size; what
//! the two can disagree about is compared here, while the handler is compiled.

use crate::arg::{ArgClass, SyscallArg};

/// What a prototype declares a parameter to be. `SYSCALL_DEFINEn` compares it with the handler's type if
/// `callgate_codegen::Build` was given prototypes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// An integer of that many bytes. One of 8 (`unsigned long`) can also be an address, or a descriptor, whose upper
    /// half Linux ignores.
    Integer(usize),
    /// `size_t`.
    Length,
    /// `char *`: bytes or a string.
    Bytes,
    /// `void *`: the address of anything.
    Anything,
    /// The address of something else.
    Address,
    /// A type that only its name is known of.
    Named,
}

impl Declared {
    /// Whether a Rust type can stand for the parameter.
    #[must_use]
    pub const fn agrees<T: SyscallArg>(self) -> bool {
        let address = matches!(T::CLASS, ArgClass::Pointer | ArgClass::Buffer | ArgClass::String);
        match self {
            Self::Integer(8) if matches!(T::CLASS, ArgClass::Pointer | ArgClass::Fd) => true,
            Self::Integer(size) => !address && T::SIZE == size,
            Self::Length => matches!(T::CLASS, ArgClass::Length | ArgClass::Int) && T::SIZE == size_of::<u64>(),
            Self::Bytes => matches!(T::CLASS, ArgClass::Buffer | ArgClass::String),
            Self::Anything => address,
            Self::Address => matches!(T::CLASS, ArgClass::Pointer),
            Self::Named => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Declared;
    use crate::{Fd, UserAddr, UserMut, UserPtr, UserStr};

    #[test]
    fn types_agree_with_what_c_would_pass() {
        assert!(Declared::Integer(4).agrees::<Fd>() && Declared::Integer(4).agrees::<u32>());
        assert!(!Declared::Integer(4).agrees::<u64>() && !Declared::Integer(8).agrees::<i32>());
        assert!(Declared::Integer(8).agrees::<UserAddr>() && !Declared::Integer(4).agrees::<UserAddr>());
        assert!(!Declared::Integer(8).agrees::<UserStr>());
        assert!(Declared::Length.agrees::<usize>() && Declared::Length.agrees::<u64>());
        assert!(!Declared::Length.agrees::<u32>() && !Declared::Length.agrees::<UserAddr>());
        assert!(Declared::Bytes.agrees::<UserStr>() && Declared::Bytes.agrees::<UserMut<u8>>());
        assert!(!Declared::Bytes.agrees::<u64>() && !Declared::Bytes.agrees::<UserPtr<u64>>());
        assert!(Declared::Address.agrees::<UserPtr<u64>>() && !Declared::Address.agrees::<UserStr>());
        assert!(Declared::Anything.agrees::<UserPtr<u8>>() && !Declared::Anything.agrees::<i32>());
        assert!(Declared::Named.agrees::<i32>());
    }
}
