//! Addresses in a program's memory, with the type of what is there.
//!
//! Linux marks them `__user` and touches them only through `copy_from_user` and `copy_to_user`,
//! which say how many bytes they could not copy; a handler answers EFAULT then. The address is not
//! checked before: a call that fails earlier for another reason never looks at it.
//!
//! [`UserPtr`] is for what the call reads, [`UserMut`] for what it writes; their names in C are
//! `const T __user *` and `T __user *`.

use crate::arg::{ArgClass, SyscallArg, TracedArg};
use crate::errno::Errno;
use crate::prototype::Pointee;
use crate::show::{fmt_address, fmt_quoted, fmt_string};
use core::fmt;
use core::marker::PhantomData;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A program's memory, as its system calls see it.
pub trait UserMemory {
    /// Fills `dst` from the program's memory.
    ///
    /// # Errors
    /// How many bytes, at the end, could not be copied.
    fn copy_from_user(&mut self, dst: &mut [u8], src: u64) -> Result<(), usize>;

    /// Copies `src` to the program's memory.
    ///
    /// # Errors
    /// How many bytes, at the end, could not be copied.
    fn copy_to_user(&mut self, dst: u64, src: &[u8]) -> Result<(), usize>;
}

/// What a type that a user pointer points to is called in C.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no name in C, so no user pointer can point to it",
    label = "no `CType`",
    note = "write `impl CType for {Self} {{ const NAME: &'static str = \"struct …\"; }}`"
)]
pub trait CType {
    /// `struct stat`, `unsigned int`, `char`.
    const NAME: &'static str;

    /// Is it a byte, so that a pointer to it and a length make a printable buffer?
    const IS_BYTE: bool = false;

    /// Writes the C type of a pointer to it.
    fn pointer(constant: bool, f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str(if constant { "const " } else { "" })?;
        write!(f, "{} __user *", Self::NAME)
    }
}

macro_rules! c_types {
    ($($rust:ty => $c:literal;)*) => {$(
        impl CType for $rust {
            const NAME: &'static str = $c;
        }
    )*};
}

c_types! {
    i8 => "signed char";
    i16 => "short";
    i32 => "int";
    i64 => "long";
    isize => "long";
    u16 => "unsigned short";
    u32 => "unsigned int";
    u64 => "unsigned long";
    usize => "size_t";
    core::ffi::c_void => "void";
}

impl CType for u8 {
    const NAME: &'static str = "char";
    const IS_BYTE: bool = true;
}

/// `argv` and `envp` are pointers to such.
impl CType for UserStr {
    const NAME: &'static str = "const char __user *";

    fn pointer(constant: bool, f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str(Self::NAME)?;
        f.write_str(if constant { "const __user *" } else { " __user *" })
    }
}

/// Pointers in an array of pointers.
impl CType for UserAddr {
    const NAME: &'static str = "void __user *";

    fn pointer(constant: bool, f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str(Self::NAME)?;
        f.write_str(if constant { "const __user *" } else { " __user *" })
    }
}

/// What both kinds of pointers have, but for printing.
macro_rules! user_pointer {
    ($pointer:ident, $slice:ident, $constant:literal, $what:literal) => {
        #[doc = $what]
        #[repr(transparent)]
        #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
        pub struct $pointer<T>(u64, PhantomData<fn() -> T>);

        impl<T> Clone for $pointer<T> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T> Copy for $pointer<T> {}

        impl<T> PartialEq for $pointer<T> {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }

        impl<T> Eq for $pointer<T> {}

        impl<T> fmt::Debug for $pointer<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($pointer), "({:#x})"), self.0)
            }
        }

        impl<T> $pointer<T> {
            /// The pointer to this address.
            pub const fn new(addr: u64) -> Self {
                Self(addr, PhantomData)
            }

            /// Its address, which nobody has checked.
            pub const fn addr(self) -> u64 {
                self.0
            }

            /// Is it NULL?
            pub const fn is_null(self) -> bool {
                self.0 == 0
            }

            /// The same address, with another thing there.
            pub const fn cast<U>(self) -> $pointer<U> {
                $pointer::new(self.0)
            }

            /// The pointer to the element `count` elements further.
            pub const fn offset(self, count: usize) -> Self {
                let bytes = (count as u64).wrapping_mul(size_of::<T>() as u64);
                Self::new(self.0.wrapping_add(bytes))
            }

            /// The `len` elements from here on.
            pub const fn slice(self, len: usize) -> $slice<T> {
                $slice { start: self, len }
            }

            /// Reads the value there.
            ///
            /// # Errors
            /// EFAULT.
            pub fn read(self, memory: &mut (impl UserMemory + ?Sized)) -> Result<T, Errno>
            where
                T: FromBytes + IntoBytes,
            {
                let mut value = T::new_zeroed();
                match memory.copy_from_user(value.as_mut_bytes(), self.0) {
                    Ok(()) => Ok(value),
                    Err(_) => Err(Errno::EFAULT),
                }
            }
        }

        #[doc = concat!("Elements in a program's memory, from [`", stringify!($pointer), "::slice`].")]
        pub struct $slice<T> {
            start: $pointer<T>,
            len: usize,
        }

        impl<T> Clone for $slice<T> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T> Copy for $slice<T> {}

        impl<T> $slice<T> {
            /// The address of the first element.
            pub const fn addr(self) -> u64 {
                self.start.0
            }

            /// How many elements.
            pub const fn len(self) -> usize {
                self.len
            }

            /// None at all?
            pub const fn is_empty(self) -> bool {
                self.len == 0
            }

            /// Reads the first `values.len()` elements, which are at most [`len`](Self::len).
            ///
            /// # Errors
            /// EFAULT; EINVAL for more elements than there are.
            pub fn read_into(self, memory: &mut (impl UserMemory + ?Sized), values: &mut [T]) -> Result<(), Errno>
            where
                T: FromBytes + IntoBytes,
            {
                if values.len() > self.len {
                    return Err(Errno::EINVAL);
                }
                memory.copy_from_user(values.as_mut_bytes(), self.start.0).map_err(|_| Errno::EFAULT)
            }
        }

        impl<T: CType> SyscallArg for $pointer<T> {
            const CLASS: ArgClass = if T::IS_BYTE { ArgClass::Buffer } else { ArgClass::Pointer };
            const POINTEE: Option<Pointee> = Some(Pointee { name: T::NAME, size: size_of::<T>(), constant: $constant });

            fn from_reg(raw: u64) -> Self {
                Self::new(raw)
            }

            fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
                T::pointer($constant, f)
            }

            fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
                match shown_bytes::<T>($constant, arg) {
                    Some(len) => fmt_quoted(arg.raw, len, arg.memory, f),
                    None => fmt_address(arg.raw, f),
                }
            }
        }
    };
}

user_pointer!(UserPtr, UserSlice, true, "The address of what a call reads: `const T __user *`.");
user_pointer!(UserMut, UserSliceMut, false, "The address of what a call writes: `T __user *`.");

/// How many bytes there are to print at a pointer: what the call reads, or what it has written.
fn shown_bytes<T: CType>(constant: bool, arg: &TracedArg<'_>) -> Option<u64> {
    let len = arg.length().filter(|_| T::IS_BYTE)?;
    if constant {
        return Some(len);
    }
    let written = arg.result.and_then(|result| u64::try_from(result).ok())?;
    Some(written.min(len))
}

impl<T> UserMut<T> {
    /// Writes a value there.
    ///
    /// # Errors
    /// EFAULT.
    pub fn write(self, memory: &mut (impl UserMemory + ?Sized), value: &T) -> Result<(), Errno>
    where
        T: IntoBytes + Immutable,
    {
        memory.copy_to_user(self.0, value.as_bytes()).map_err(|_| Errno::EFAULT)
    }
}

impl<T> UserSliceMut<T> {
    /// Writes the first `values.len()` elements, which are at most [`len`](Self::len).
    ///
    /// # Errors
    /// EFAULT; EINVAL for more elements than there are.
    pub fn write_from(self, memory: &mut (impl UserMemory + ?Sized), values: &[T]) -> Result<(), Errno>
    where
        T: IntoBytes + Immutable,
    {
        if values.len() > self.len {
            return Err(Errno::EINVAL);
        }
        memory.copy_to_user(self.start.0, values.as_bytes()).map_err(|_| Errno::EFAULT)
    }
}

/// The address of a string that ends in NUL: `const char __user *`.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct UserStr(u64);

/// How much of a string is read at once. A read never crosses a page: the string may end before it.
const STRING_CHUNK: usize = 256;

impl UserStr {
    /// The string at this address.
    pub const fn new(addr: u64) -> Self {
        Self(addr)
    }

    /// Its address, which nobody has checked.
    pub const fn addr(self) -> u64 {
        self.0
    }

    /// Is it NULL?
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// Reads the string into `buf` and returns it without its NUL. `buf` has to have room for the
    /// NUL, as Linux's PATH_MAX counts it.
    ///
    /// # Errors
    /// EFAULT if memory ends before the string does; ENAMETOOLONG if `buf` does.
    pub fn read<'b>(self, memory: &mut (impl UserMemory + ?Sized), buf: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        let mut len = 0;
        while len < buf.len() {
            let addr = self.0.wrapping_add(len as u64);
            let in_chunk = STRING_CHUNK - (addr % STRING_CHUNK as u64) as usize;
            let end = buf.len().min(len + in_chunk);
            let chunk = &mut buf[len..end];
            let missing = memory.copy_from_user(chunk, addr).err().unwrap_or(0);
            let read = chunk.len().saturating_sub(missing);
            if let Some(nul) = chunk[..read].iter().position(|&byte| byte == 0) {
                return Ok(&buf[..len + nul]);
            }
            if missing > 0 {
                return Err(Errno::EFAULT);
            }
            len = end;
        }
        Err(Errno::ENAMETOOLONG)
    }
}

impl SyscallArg for UserStr {
    const CLASS: ArgClass = ArgClass::String;
    const POINTEE: Option<Pointee> = Some(Pointee { name: "char", size: 1, constant: true });

    fn from_reg(raw: u64) -> Self {
        Self(raw)
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("const char __user *")
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
        fmt_string(arg.raw, arg.memory, f)
    }
}

/// An address that is not followed, or whose meaning another argument decides (`mmap`, `ioctl`).
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct UserAddr(pub u64);

impl SyscallArg for UserAddr {
    const CLASS: ArgClass = ArgClass::Pointer;

    fn from_reg(raw: u64) -> Self {
        Self(raw)
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("unsigned long")
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
        fmt_address(arg.raw, f)
    }
}
