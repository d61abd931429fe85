//! `pt_regs`: the registers of an interrupted program.
//!
//! Linux pushes them on the kernel stack at every entry, in an order that the C calling convention
//! suggests (the registers that a C function preserves last), and signal frames, ptrace and core
//! dumps have the same order since. `orig_ax` holds the number of the system call, because `ax`
//! gets the answer.
//!
//! The structure here has that order, so that the image's assembly can push it and Rust can read it.

use core::mem::offset_of;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The registers of an interrupted program, in the order in which Linux saves them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)] // the field's names are the registers' names
pub struct PtRegs {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub bp: u64,
    pub bx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub ax: u64,
    pub cx: u64,
    pub dx: u64,
    pub si: u64,
    pub di: u64,
    /// The number of the system call, or the error code of the exception, or -1.
    pub orig_ax: u64,
    pub ip: u64,
    pub cs: u64,
    pub flags: u64,
    pub sp: u64,
    pub ss: u64,
}

impl PtRegs {
    /// The size of the saved registers on the kernel stack.
    pub const SIZE: usize = size_of::<Self>();
    /// Offset of `r15`, the last one pushed.
    pub const R15: usize = offset_of!(Self, r15);
    /// Offset of `r14`.
    pub const R14: usize = offset_of!(Self, r14);
    /// Offset of `r13`.
    pub const R13: usize = offset_of!(Self, r13);
    /// Offset of `r12`.
    pub const R12: usize = offset_of!(Self, r12);
    /// Offset of `bp`.
    pub const BP: usize = offset_of!(Self, bp);
    /// Offset of `bx`.
    pub const BX: usize = offset_of!(Self, bx);
    /// Offset of `r11`, which `syscall` loads with the flags.
    pub const R11: usize = offset_of!(Self, r11);
    /// Offset of `r10`, the fourth argument.
    pub const R10: usize = offset_of!(Self, r10);
    /// Offset of `r9`, the sixth argument.
    pub const R9: usize = offset_of!(Self, r9);
    /// Offset of `r8`, the fifth argument.
    pub const R8: usize = offset_of!(Self, r8);
    /// Offset of `ax`, the answer.
    pub const AX: usize = offset_of!(Self, ax);
    /// Offset of `cx`, which `syscall` loads with the address of the next instruction.
    pub const CX: usize = offset_of!(Self, cx);
    /// Offset of `dx`, the third argument.
    pub const DX: usize = offset_of!(Self, dx);
    /// Offset of `si`, the second argument.
    pub const SI: usize = offset_of!(Self, si);
    /// Offset of `di`, the first argument.
    pub const DI: usize = offset_of!(Self, di);
    /// Offset of `orig_ax`, the number of the call.
    pub const ORIG_AX: usize = offset_of!(Self, orig_ax);
    /// Offset of `ip`: from here on it is the frame that `iretq` takes.
    pub const IP: usize = offset_of!(Self, ip);
    /// Offset of `cs`.
    pub const CS: usize = offset_of!(Self, cs);
    /// Offset of `flags`.
    pub const FLAGS: usize = offset_of!(Self, flags);
    /// Offset of `sp`.
    pub const SP: usize = offset_of!(Self, sp);
    /// Offset of `ss`.
    pub const SS: usize = offset_of!(Self, ss);

    /// The arguments of a 64-bit system call. The fourth is in r10 and not in rcx, because the
    /// `syscall` instruction keeps the return address in rcx.
    pub fn syscall_args(&self) -> [u64; 6] {
        [self.di, self.si, self.dx, self.r10, self.r8, self.r9]
    }

    /// The arguments of an i386 system call (`int $0x80`): the low halves of six other registers.
    pub fn ia32_args(&self) -> [u64; 6] {
        [self.bx, self.cx, self.dx, self.si, self.di, self.bp].map(|raw| raw & 0xffff_ffff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_has_linux_order_and_size() {
        assert_eq!(PtRegs::SIZE, 168);
        assert_eq!([PtRegs::R15, PtRegs::BP, PtRegs::AX, PtRegs::ORIG_AX], [0, 32, 80, 120]);
        assert_eq!([PtRegs::IP, PtRegs::SS], [128, 160]);
    }

    #[test]
    fn ia32_arguments_are_the_low_halves() {
        let regs = PtRegs { bx: u64::MAX, bp: 0x1_0000_0002, ..PtRegs::default() };
        assert_eq!(regs.ia32_args(), [0xffff_ffff, 0, 0, 0, 0, 2]);
    }
}
