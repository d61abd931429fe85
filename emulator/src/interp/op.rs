//! The decoded form of an instruction.

use super::core::Core;

/// Executes an instruction and those that follow it in its block, by calling the next one's function last of all: the
/// compiler makes that a jump. A function is chosen at decode by operation, operand size and operand kinds, so that it has
/// nothing left to find out.
pub(crate) type Step = for<'a> fn(&mut Core<'a>, &Op, &[Op]) -> End;

/// Executes an instruction alone. On `Err` with [`Stop::Fault`], [`Stop::NonCanonical`] or [`Stop::CodeWrite`] it has
/// changed nothing.
pub(crate) type Exec = for<'a> fn(&mut Core<'a>, &Op) -> Result<(), Stop>;

/// How a block is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// At its end, to the instruction after it.
    FallsThrough,
    /// By its last instruction, a branch whose target is always the same.
    Direct,
    /// By such a branch before its end: the one with the number `core.side`.
    Side,
    /// To `core.rip`.
    Indirect,
    /// The instruction before the last `core.unexecuted` ones stopped, as `core.stop` says.
    Stopped,
}

/// Why execution can't simply go on with the next operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// An exception, described in `core.fault`. The instruction is not retired.
    Fault,
    /// An address is no 48-bit one: #SS if the operand's segment is the stack's, else #GP. The instruction is not retired.
    NonCanonical,
    /// The instruction would write decoded code, in the frame `core.code_frame`. It is executed again once that is gone.
    CodeWrite,
    /// The instruction is done and the block must be left, because it changed what blocks depend on.
    Resync,
    /// An iteration of a repeated string instruction is done, and others are left. The instruction is not retired.
    Iteration,
    /// The instruction is done, and raises #DB whatever TF says.
    Trap,
    /// The instruction is done, and is `syscall` for someone outside.
    Syscall,
    /// The instruction is done, and is `vmcall`.
    Hypercall,
    /// The instruction is done, and is `int n` for someone outside; n is in `core.interrupt`.
    Interrupt,
    /// The instruction is done, and is `hlt`.
    Halt,
}

macro_rules! numbers {
    ($($name:ident)*) => {
        /// A register's number: 0 to 31, typed so that it indexes 32 registers without a bounds check.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs)]
        pub(crate) enum Num { $($name),* }

        impl Num {
            const ALL: [Self; 32] = [$(Self::$name),*];
        }
    };
}
numbers!(N0 N1 N2 N3 N4 N5 N6 N7 N8 N9 N10 N11 N12 N13 N14 N15 N16 N17 N18 N19 N20 N21 N22 N23 N24 N25 N26 N27 N28 N29 N30 N31);

impl Num {
    /// As a general register: one that always reads 0.
    pub(crate) const ZERO: Self = Self::N16;

    /// The number `n` modulo 32.
    pub(crate) const fn new(n: usize) -> Self {
        Self::ALL[n % 32]
    }
}

/// An instruction, decoded once. 40 bytes.
#[derive(Clone, Copy)]
pub(crate) struct Op {
    /// Does it, and what follows.
    pub(crate) step: Step,
    /// Does it, if `step` is [`called`](super::decode).
    pub(crate) exec: Exec,
    /// The immediate operand, sign-extended as the instruction does; the number of a fourth register operand or of a
    /// gather's index register; of calls the address to return to; of x87 instructions where and what they are.
    pub(crate) imm: u64,
    /// Memory operand: displacement, with rip already added for rip-relative ones. Of direct branches, the target.
    pub(crate) disp: u64,
    /// Memory operand: base register, or [`Num::ZERO`].
    pub(crate) base: Num,
    /// Memory operand: index register, or [`Num::ZERO`].
    pub(crate) index: Num,
    /// Memory operand: the low four bits are the index's factor, the next three the number of the segment, after
    /// overrides and defaults; [`Op::ADDRESS_32`].
    pub(crate) scale: u8,
    /// First register operand (of the r/m and reg fields), by iced's operand order: a general register's number (for byte
    /// registers twice that, plus 1 for ah, ch, dh and bh), an xmm, mm, st, segment or control register's number.
    pub(crate) dst: Num,
    /// Second register operand.
    pub(crate) src: Num,
    /// Third register operand (VEX); the second again if there are two. Of direct branches, their number in the block.
    pub(crate) aux: Num,
    /// Offset of the instruction in its block, in bytes.
    pub(crate) offset: u8,
    /// How many instructions of its block come before it.
    pub(crate) before: u8,
}

impl Op {
    /// In `scale`: the address is cut to 32 bits.
    pub(crate) const ADDRESS_32: u8 = 0x80;

    /// Number of the memory operand's segment.
    #[inline(always)]
    pub(crate) fn seg(&self) -> u8 {
        self.scale >> 4 & 7
    }

    /// What the index register is multiplied with. A shift would need the host's cl, where something else is.
    #[inline(always)]
    pub(crate) fn factor(&self) -> u64 {
        u64::from(self.scale & 15)
    }

    /// Sets the number of the memory operand's segment.
    pub(crate) fn set_seg(&mut self, seg: u8) {
        self.scale = self.scale & !(7 << 4) | (seg & 7) << 4;
    }
}

/// What an instruction goes on to.
pub(crate) trait Next {
    /// Goes on.
    fn next(core: &mut Core<'_>, rest: &[Op]) -> End;
}

/// The next instruction, whatever it is.
pub(crate) struct Dispatch;

impl Next for Dispatch {
    #[inline(always)]
    fn next(core: &mut Core<'_>, rest: &[Op]) -> End {
        core.next(rest)
    }
}

/// The [`Step`] of a function that executes one instruction alone.
macro_rules! step {
    ($exec:expr) => {{
        let step: $crate::interp::op::Step = |core, op, rest| match $exec(core, op) {
            Ok(()) => core.next(rest),
            Err(stop) => core.stopped(rest, stop),
        };
        step
    }};
}
pub(crate) use step;
