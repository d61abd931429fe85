//! What is on the stack when a signal's handler begins: `struct rt_sigframe`, of `asm/ucontext.h` and `asm/sigcontext.h`.

use callgate_abi::CType;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::SigSet;
use super::siginfo::SIGINFO_SIZE;

/// `stack_t`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StackT {
    /// `ss_sp`
    pub sp: u64,
    /// `ss_flags`
    pub flags: u32,
    /// Padding.
    pub pad: u32,
    /// `ss_size`
    pub size: u64,
}

impl CType for StackT {
    const NAME: &'static str = "stack_t";
}

/// `struct _fpx_sw_bytes`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[allow(missing_docs)] // the fields are the field's own names
pub struct FpxSwBytes {
    pub magic1: u32,
    pub extended_size: u32,
    pub xfeatures: u64,
    pub xstate_size: u32,
    pub padding: [u32; 7],
}

/// `struct sigcontext` of 64-bit programs.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[allow(missing_docs)] // the fields are the field's own names
pub struct SigContext {
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub di: u64,
    pub si: u64,
    pub bp: u64,
    pub bx: u64,
    pub dx: u64,
    pub ax: u64,
    pub cx: u64,
    pub sp: u64,
    pub ip: u64,
    pub flags: u64,
    pub cs: u16,
    pub gs: u16,
    pub fs: u16,
    pub ss: u16,
    pub err: u64,
    pub trapno: u64,
    pub oldmask: u64,
    pub cr2: u64,
    pub fpstate: u64,
    pub reserved: [u64; 8],
}

/// `struct ucontext`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[allow(missing_docs)] // the fields are the field's own names
pub struct UContext {
    pub flags: u64,
    pub link: u64,
    pub stack: StackT,
    pub mcontext: SigContext,
    pub sigmask: SigSet,
}

/// `struct rt_sigframe`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[allow(missing_docs)] // the fields are the field's own names
pub struct RtSigFrame {
    pub pretcode: u64,
    pub uc: UContext,
    pub info: [u8; SIGINFO_SIZE],
}

/// Where the context is in the frame.
pub const UC_OFFSET: u64 = core::mem::offset_of!(RtSigFrame, uc) as u64;
/// Where the `siginfo_t` is in the frame.
pub const INFO_OFFSET: u64 = core::mem::offset_of!(RtSigFrame, info) as u64;
/// The size of the frame.
pub const FRAME_SIZE: u64 = size_of::<RtSigFrame>() as u64;

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    #[test]
    fn the_frame_has_linuxs_layout() {
        assert_eq!(size_of::<SigContext>(), 256);
        assert_eq!(size_of::<FpxSwBytes>(), 48);
        assert_eq!(offset_of!(SigContext, ip), 128);
        assert_eq!(offset_of!(SigContext, cs), 144);
        assert_eq!(offset_of!(SigContext, trapno), 160);
        assert_eq!(offset_of!(SigContext, fpstate), 184);
        assert_eq!(size_of::<UContext>(), 304);
        assert_eq!(offset_of!(UContext, sigmask), 296);
        assert_eq!((UC_OFFSET, INFO_OFFSET, FRAME_SIZE), (8, 312, 440));
    }
}
