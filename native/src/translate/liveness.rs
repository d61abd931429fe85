//! Where in a block the status flags may be lost.

use callgate_emulator::rflags;
use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register, RflagsBits};

use super::unit;

/// The six status flags in iced's bits.
const STATUS: u32 = RflagsBits::CF | RflagsBits::PF | RflagsBits::AF | RflagsBits::ZF | RflagsBits::SF | RflagsBits::OF;

const _: () = assert!(rflags::STATUS.count_ones() == STATUS.count_ones());

/// The first instruction of a block before which the status flags can be lost without anybody's notice: it and what
/// follows it set them all, read none of those before, and can't fault until they are all set.
pub(super) fn first_setter(block: &[Instruction]) -> Option<usize> {
    (0..block.len()).find(|from| flags_are_dead(&block[*from..]))
}

/// Whether the status flags can be lost before some instructions.
fn flags_are_dead(instructions: &[Instruction]) -> bool {
    let mut set = 0;
    for instruction in instructions {
        if instruction.rflags_read() & STATUS & !set != 0 || !is_computation(instruction) {
            return false;
        }
        if sets_always(instruction) {
            set |= instruction.rflags_modified() & STATUS;
        }
        if set == STATUS {
            return true;
        }
    }
    false
}

/// Whether an instruction computes with general registers and can't fault, as one of the x87 unit can for an earlier one's
/// sake.
fn is_computation(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    (instruction.flow_control() == FlowControl::Next || instruction.is_jmp_short_or_near())
        && !instruction.is_stack_instruction()
        && !instruction.is_string_instruction()
        && !matches!(instruction.mnemonic(), M::Div | M::Idiv)
        && !unit::is_needed(instruction)
        && (0..instruction.op_count()).all(|i| match instruction.op_kind(i) {
            OpKind::Register => instruction.op_register(i).is_gpr(),
            OpKind::Memory => instruction.mnemonic() == M::Lea,
            _ => true,
        })
}

/// Whether the flags that an instruction modifies don't depend on its operands. Shifts by 0 modify none, nor do string
/// instructions without a round, and some processors leave flags alone that bit scans leave undefined.
fn sets_always(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    let is_shift = matches!(
        instruction.mnemonic(),
        M::Shl | M::Sal | M::Shr | M::Sar | M::Rol | M::Ror | M::Rcl | M::Rcr | M::Shld | M::Shrd
    );
    if is_shift {
        let last = instruction.op_count() - 1;
        return match instruction.op_kind(last) {
            OpKind::Immediate8 => instruction.immediate8() & 0x1f != 0,
            _ => instruction.op_register(last) != Register::CL && instruction.op_kind(last) != OpKind::Memory,
        };
    }
    !instruction.is_string_instruction() && !matches!(instruction.mnemonic(), M::Bsf | M::Bsr)
}
