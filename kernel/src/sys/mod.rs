//! Who a task is and what it may use: ids, capabilities, limits, the system's name, scheduling
//! attributes, and calls that belong nowhere else.
//!
//! Linux keeps most of these in `kernel/sys.c`; credentials are in `kernel/cred.c`, capabilities in
//! `kernel/capability.c`, scheduling in `kernel/sched/`.

pub mod attributes;
pub mod capability;
pub mod cred;
pub mod groups;
pub mod ids;
pub mod pgrp;
pub mod prctl;
pub mod priority;
pub mod rlimit;
pub mod rusage;
pub mod sched;
pub mod sysinfo;
pub mod traced;
pub mod uts;

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
