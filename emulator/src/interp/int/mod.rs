//! The integer and system instructions, by the chapters that manuals have.

mod alu;
mod arith;
mod bits;
mod branch;
mod control;
mod descriptor;
mod far;
mod flagless;
mod fused;
mod interrupt;
mod muldiv;
pub(super) mod operand;
mod pairs;
mod ports;
mod segment;
mod shift;
mod stack;
mod string;
mod system;

use iced_x86::{FlowControl, Instruction, OpKind};

use super::op::{Exec, Step};

pub(super) use flagless::Pending;
pub(super) use fused::fuse;
pub(super) use interrupt::{Source, deliver};
pub(super) use pairs::{Kind, kind, kind_of_fused, pair};

/// The function that executes an instruction, if it is one of ours.
pub(crate) fn select(instruction: &Instruction) -> Option<Exec> {
    let families = [
        // Moves of segment and control registers come before those of general ones.
        segment::select,
        system::select,
        control::select,
        ports::select,
        descriptor::select,
        string::select,
        stack::select,
        far::select,
        interrupt::select,
    ];
    families.iter().find_map(|select| select(instruction))
}

/// The function that executes an instruction and goes on, if it is one of the many that programs consist of.
pub(crate) fn select_step(instruction: &Instruction) -> Option<Step> {
    if uses_special_registers(instruction) {
        return None;
    }
    let families = [
        alu::select,
        stack::select_step,
        branch::select,
        shift::select,
        muldiv::select,
        bits::select,
        system::select_step,
    ];
    families.iter().find_map(|select| select(instruction))
}

/// Whether a segment, control or debug register is an operand.
fn uses_special_registers(instruction: &Instruction) -> bool {
    (0..instruction.op_count()).any(|i| {
        let register = instruction.op_register(i);
        register.is_segment_register() || register.is_cr() || register.is_dr() || register.is_tr()
    })
}

/// Whether decoding of a block must end after an instruction.
pub(crate) fn ends_block(instruction: &Instruction) -> bool {
    instruction.flow_control() != FlowControl::Next || system::ends_block(instruction)
}

/// Whether it is a branch whose target is always the same.
pub(crate) fn branches_directly(instruction: &Instruction) -> bool {
    matches!(instruction.op0_kind(), OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64)
}
