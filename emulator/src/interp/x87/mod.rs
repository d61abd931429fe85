//! x87 and MMX instructions.

use iced_x86::Instruction;

use super::op::Exec;

/// The function that executes an instruction, if it is one of ours.
pub(crate) fn select(_instruction: &Instruction) -> Option<Exec> {
    None
}
