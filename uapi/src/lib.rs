//! What programs and the kernel share: structures in user memory, flags, commands, numbers.
//!
//! Linux has them in `include/uapi` and `arch/x86/include/uapi`; a module here is named as the header there. Each type of
//! an argument knows its C type and how a trace prints it (`callgate_abi::SyscallArg`), so that a handler's signature is
//! all that it takes.
//!
//! None of this depends on the table of system calls. It is a crate of its own because its derives are more code than the
//! kernel's own, and who edits a row need not compile them again.
#![forbid(unsafe_code)]

mod array;
pub mod capability;
pub mod eventfd;
pub mod eventpoll;
pub mod fcntl;
pub mod fs;
pub mod ioctl;
pub mod memfd;
pub mod mman;
pub mod poll;
pub mod prctl;
pub mod random;
pub mod resource;
pub mod sched;
pub mod signal;
pub mod stat;
pub mod sysinfo;
pub mod time;
pub mod traced;
pub mod uio;
pub mod utsname;
pub mod wait;

/// Declares structures that programs see, in C's layout and with their C names.
macro_rules! user_structs {
    ($($(#[$doc:meta])* $name:ident = $c:literal { $($(#[$field_doc:meta])* $field:ident: $ty:ty),* $(,)? })*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)]
        #[repr(C)]
        #[allow(missing_docs)] // the fields are the field's own names
        pub struct $name { $($(#[$field_doc])* pub $field: $ty),* }
        impl callgate_abi::CType for $name {
            const NAME: &'static str = $c;
        }
    )* };
}
pub(crate) use user_structs;
