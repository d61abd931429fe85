//! x87 instructions.
//!
//! A waiting instruction first raises #MF if an unmasked exception is pending. It then checks the register stack (an empty
//! source or a full destination is an invalid operation with SF set, and C1 tells which), computes, records flags, and
//! writes its result unless an unmasked exception was found before computing. [`crate::x87::Fpu`] knows these steps; the
//! files here say which operands and which function each instruction has.
//!
//! Quirks:
//! - Where makers differ we do as AMD: FCOMI and FCMOV leave C1 alone, and FLD loads a denormal whose exception is
//!   unmasked.
//! - Transcendental results are correctly rounded; those of silicon are now and then one unit off.

/// The [`Step`] of a function that executes an instruction with an operand in memory.
macro_rules! in_memory {
    ($exec:expr) => {{
        let step: $crate::interp::op::Step = |core, op, rest| {
            let done = $exec(core, op);
            $crate::interp::x87::remember::<true>(core, op, rest, done)
        };
        step
    }};
}

/// The [`Step`] of a function that executes an instruction without one.
macro_rules! in_registers {
    ($exec:expr) => {{
        let step: $crate::interp::op::Step = |core, op, rest| {
            let done = $exec(core, op);
            $crate::interp::x87::remember::<false>(core, op, rest, done)
        };
        step
    }};
}

mod arith;
mod compare;
mod control;
mod function;
mod load;
#[cfg(test)]
mod tests;

use iced_x86::Instruction;

use super::core::Core;
use super::decode::{called, undefined};
use super::op::{End, Exec, Op, Step, Stop};
use crate::cpu::seg;
use crate::exit::{Exception, vector};
use crate::x87::Pointers;

/// The functions that execute an instruction, if it is one of ours.
pub(super) fn select(i: &Instruction) -> Option<(Step, Exec)> {
    let code = i.code();
    if let Some(step) = arith::select(code).or_else(|| load::select(code)).or_else(|| compare::select(code)) {
        return Some((step, undefined));
    }
    if let Some(exec) = control::select(code) {
        return Some((called, exec));
    }
    let exec = control::select_stack(code).or_else(|| function::select(code))?;
    Some((in_registers!(|core: &mut Core<'_>, op: &Op| (op.exec)(core, op)), exec))
}

/// What [`remember`] finds in an operation's `imm`, for which x87 instructions have no other use: the opcode, and above
/// it the address, whose first 16 bits say nothing. None if it is no x87 instruction.
pub(super) fn place(ip: u64, bytes: &[u8]) -> Option<u64> {
    let prefix = |byte: &u8| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf2 | 0xf3);
    let [first @ 0xd8..=0xdf, second, ..] = &bytes[bytes.iter().position(|byte| !prefix(byte))?..] else { return None };
    Some(ip << 16 | u64::from(first & 7) << 8 | u64::from(*second))
}

/// Goes on behind an instruction that the unit's pointers tell of when it is done.
#[inline(always)]
fn remember<const IN_MEMORY: bool>(core: &mut Core<'_>, op: &Op, rest: &[Op], done: Result<(), Stop>) -> End {
    if let Err(stop) = done {
        return core.stopped(rest, stop);
    }
    let (offset, cpu) = (core.offset(op), &mut *core.cpu);
    let pointers = &mut cpu.fpu.pointers;
    pointers.instruction = (op.imm as i64 >> 16) as u64;
    pointers.opcode = op.imm as u16 & Pointers::OPCODE;
    pointers.code_segment = cpu.seg[seg::CS].selector;
    if IN_MEMORY {
        pointers.operand = offset;
        pointers.operand_segment = cpu.seg[usize::from(op.seg()).min(seg::GS)].selector;
    }
    core.next(rest)
}

/// What waiting instructions and MMX instructions begin with.
#[inline(always)]
pub(super) fn check_pending(core: &mut Core<'_>) -> Result<(), Stop> {
    if core.cpu.fpu.error_pending() {
        return Err(core.raise(Exception::new(vector::MF)));
    }
    Ok(())
}
