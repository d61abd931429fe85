//! x87 instructions.
//!
//! A waiting instruction first raises #MF if an unmasked exception is pending. It then checks the register stack (an empty
//! source or a full destination is an invalid operation with SF set, and C1 tells which), computes, records flags, and
//! writes its result unless an unmasked exception was found before computing. [`crate::x87::Fpu`] knows these steps; the
//! files here say which operands and which function each instruction has.
//!
//! Quirks:
//! - The last instruction's address and opcode are not tracked.
//! - Where makers differ we do as AMD: FCOMI and FCMOV leave C1 alone, and FLD loads a denormal whose exception is
//!   unmasked.
//! - Transcendental results are correctly rounded; those of silicon are now and then one unit off.

mod arith;
mod compare;
mod control;
mod function;
mod load;
#[cfg(test)]
mod tests;

use iced_x86::Instruction;

use super::core::Core;
use super::op::{Exec, Stop};
use crate::exit::{Exception, vector};

/// The function that executes an instruction, if it is one of ours.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    arith::select(i.code())
        .or_else(|| load::select(i.code()))
        .or_else(|| compare::select(i.code()))
        .or_else(|| control::select(i.code()))
        .or_else(|| function::select(i.code()))
}

/// What waiting instructions and MMX instructions begin with.
#[inline(always)]
pub(super) fn check_pending(core: &mut Core<'_>) -> Result<(), Stop> {
    if core.cpu.fpu.error_pending() {
        return Err(core.raise(Exception::new(vector::MF)));
    }
    Ok(())
}
