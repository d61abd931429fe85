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

/// A handler's argument against what its prototype declares, evaluated where a constant is. The error is shown at the
/// caller: the macro gives the call the place of the argument's type.
impl Declared {
    /// Ends the build with a message if a Rust type can't stand for the parameter.
    ///
    /// # Panics
    /// That is how it does so.
    #[track_caller]
    pub const fn hold<T: SyscallArg>(self, message: &str) {
        assert!(self.agrees::<T>(), "{}", message);
    }

    /// Ends the build if a Rust type can't stand for the parameter, or leads elsewhere, or writes what is only read. It
    /// gives one message at most: what is no address at all leads nowhere.
    ///
    /// # Panics
    /// That is how it does so.
    #[track_caller]
    pub const fn hold_pointer<T: SyscallArg>(self, message: &str, to: Pointee, elsewhere: &str, written: &str) {
        self.hold::<T>(message);
        assert!(to.agrees::<T>(), "{}", elsewhere);
        assert!(to.permits::<T>(), "{}", written);
    }
}

/// What is at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointee {
    /// What C calls it: `struct stat`, `int`, `void`.
    pub name: &'static str,
    /// How many bytes it has; in a prototype 0 if it is no integer.
    pub size: usize,
    /// Whether the call only reads it.
    pub constant: bool,
}

impl Pointee {
    /// Whether a Rust pointer leaves alone what the prototype declares `const`.
    #[must_use]
    pub const fn permits<T: SyscallArg>(self) -> bool {
        match T::POINTEE {
            Some(own) => own.constant || !self.constant,
            None => true,
        }
    }

    /// Whether a Rust pointer leads where the prototype's does, as far as both say it: a structure is the one of that
    /// name, an integer has its size.
    #[must_use]
    pub const fn agrees<T: SyscallArg>(self) -> bool {
        let Some(own) = T::POINTEE else { return true };
        if same(self.name, "void") || same(own.name, "void") {
            return true;
        }
        match (is_structure(self.name), is_structure(own.name)) {
            (true, true) => same(self.name, own.name),
            (false, true) => self.size == 0,
            (_, false) => self.size == 0 || self.size == own.size,
        }
    }
}

const fn is_structure(name: &str) -> bool {
    matches!(name.as_bytes(), [b's', b't', b'r', b'u', b'c', b't', b' ', ..] | [b'u', b'n', b'i', b'o', b'n', b' ', ..])
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

#[cfg(test)]
mod tests {
    use super::{Declared, Pointee};
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

    #[test]
    fn pointers_agree_with_where_c_says_they_lead() {
        struct Stat;
        impl crate::CType for Stat {
            const NAME: &'static str = "struct stat";
        }
        let to = |name, size, constant| Pointee { name, size, constant };
        assert!(to("struct stat", 0, false).agrees::<UserMut<Stat>>());
        assert!(to("struct stat", 0, true).agrees::<UserPtr<Stat>>());
        assert!(to("struct stat", 0, false).permits::<UserPtr<Stat>>(), "C leaves `const` out at times");
        assert!(to("struct stat", 0, true).permits::<UserPtr<Stat>>());
        assert!(!to("struct stat", 0, true).permits::<UserMut<Stat>>());
        assert!(!to("struct statfs", 0, false).agrees::<UserMut<Stat>>());
        assert!(!to("struct stat64", 0, false).agrees::<UserMut<Stat>>());
        assert!(to("int", 4, false).agrees::<UserMut<u32>>() && !to("int", 4, false).agrees::<UserMut<u64>>());
        assert!(!to("int", 4, false).agrees::<UserMut<Stat>>());
        assert!(to("void", 0, false).agrees::<UserMut<Stat>>() && to("sigset_t", 0, false).agrees::<UserMut<u64>>());
        assert!(to("int", 4, false).agrees::<UserAddr>() && to("char", 1, true).agrees::<UserStr>());
        assert!(to("*", 8, true).agrees::<UserPtr<UserStr>>());
    }
}
