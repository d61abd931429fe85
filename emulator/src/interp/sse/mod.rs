//! MMX, SSE to SSE4.2, AES, PCLMULQDQ and SHA in their legacy encodings; AVX, AVX2, FMA and F16C; AVX-512; XSAVE.
//!
//! `select` chooses, by family, an instance of one of the generic forms in [`forms`]: an operation on values (`int`, `fp`,
//! `cvt`, `shuffle`) combined with where its source comes from. MMX instructions share the operations and take them
//! 64 bits wide; VEX encodings ([`vex`]) take them once for each half of a register, EVEX ([`evex`]) for each quarter.
//!
//! Quirks:
//! - RCPPS and RSQRTPS answer better approximations than silicon's tables.
//! - Where makers differ we do as AMD: CVTPI2PS from memory leaves the x87 stack alone, SHA's memory operands need no
//!   alignment. But MXCSR has no bit 17 (misaligned SSE).

mod approximate;
mod avx;
#[cfg(test)]
mod avx_tests;
mod cmp;
mod crypto;
mod cvt;
mod evex;
mod fma;
mod forms;
mod fp;
mod gather;
mod int;
mod lanes;
mod masked;
mod mov;
mod select;
mod shuffle;
mod state;
mod steps;
mod strings;
#[cfg(test)]
pub(super) mod tests;
mod vex;

use iced_x86::Instruction;

pub(super) use cmp::order_flags;
pub(super) use evex::Form as EvexForm;
use fp::Mx;

use super::op::Exec;

pub(super) use steps::select as select_step;

/// The function that executes an instruction, if it is one of ours.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    evex::select(i)
        .or_else(|| mov::select(i))
        .or_else(|| avx::select(i))
        .or_else(|| fma::select(i))
        .or_else(|| select::integer(i))
        .or_else(|| select::floating_point(i))
        .or_else(|| cmp::select(i))
        .or_else(|| cvt::select(i))
        .or_else(|| state::select(i))
        .or_else(|| strings::select(i))
}
