//! The integer and system instructions.

use iced_x86::Instruction;

use super::op::Exec;

/// The function that executes an instruction, if it is one of ours.
pub(crate) fn select(_instruction: &Instruction) -> Option<Exec> {
    None
}

/// Whether decoding of a block must end after an instruction.
pub(crate) fn ends_block(instruction: &Instruction) -> bool {
    instruction.flow_control() != iced_x86::FlowControl::Next
}
