//! The integer and system instructions, by the chapters that manuals have.

mod alu;
mod arith;
mod bits;
mod branch;
mod far;
mod fused;
mod interrupt;
mod muldiv;
mod operand;
mod segment;
mod shift;
mod stack;
mod string;
mod system;

use iced_x86::{FlowControl, Instruction};

use super::op::Exec;

pub(super) use fused::fuse;
pub(super) use interrupt::{Source, deliver};

/// The function that executes an instruction, if it is one of ours.
pub(crate) fn select(instruction: &Instruction) -> Option<Exec> {
    let families = [
        // Moves of segment and control registers come before those of general ones.
        segment::select,
        system::select,
        string::select,
        alu::select,
        stack::select,
        branch::select,
        far::select,
        shift::select,
        muldiv::select,
        bits::select,
        interrupt::select,
    ];
    families.iter().find_map(|select| select(instruction))
}

/// Whether decoding of a block must end after an instruction.
pub(crate) fn ends_block(instruction: &Instruction) -> bool {
    instruction.flow_control() != FlowControl::Next || system::ends_block(instruction)
}
