//! Linux: `linux/random.h`.

use bitflags::bitflags;
use callgate_abi::impl_syscall_flags;
use linux_raw_sys::general;

bitflags! {
    /// Flags of getrandom(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct GetrandomFlags: u32 {
        /// Don't wait until there is enough entropy. There always is.
        const GRND_NONBLOCK = general::GRND_NONBLOCK;
        /// From the generator that once counted entropy.
        const GRND_RANDOM = general::GRND_RANDOM;
        /// Even if there is not enough entropy.
        const GRND_INSECURE = general::GRND_INSECURE;
    }
}
impl_syscall_flags!(GetrandomFlags: u32, "unsigned int");
