//! Where in a block the status flags may be lost.

use callgate_emulator::rflags;
use iced_x86::{Instruction, Mnemonic, OpKind, Register, RflagsBits};

use super::facts::{Class, Decoded};

/// The six status flags in iced's bits.
const STATUS: u32 = RflagsBits::CF | RflagsBits::PF | RflagsBits::AF | RflagsBits::ZF | RflagsBits::SF | RflagsBits::OF;

const _: () = assert!(rflags::STATUS.count_ones() == STATUS.count_ones());

/// The first instruction of a block before which the status flags can be lost without anybody's notice: it and what
/// follows it set them all, read none of those before, and can't fault until they are all set.
pub(super) fn first_setter(block: &[Decoded]) -> Option<usize> {
    let (mut dead, mut found) = (0, None);
    for (index, decoded) in block.iter().enumerate().rev() {
        if !is_computation(decoded) {
            dead = 0;
            continue;
        }
        let instruction = &decoded.instruction;
        if sets_always(instruction) {
            dead |= instruction.rflags_modified() & STATUS;
        }
        dead &= !instruction.rflags_read();
        if dead == STATUS {
            found = Some(index);
        }
    }
    found
}

/// Whether an instruction computes with general registers and can't fault, as one of the x87 unit can for an earlier one's
/// sake.
fn is_computation(decoded: &Decoded) -> bool {
    let instruction = &decoded.instruction;
    match decoded.class {
        Class::Nothing | Class::Lea => true,
        Class::Branch => instruction.is_jmp_short_or_near(),
        Class::Plain => {
            let is_general = |i| instruction.op_kind(i) != OpKind::Register || instruction.op_register(i).is_gpr();
            let divides = matches!(instruction.mnemonic(), Mnemonic::Div | Mnemonic::Idiv);
            !decoded.memory && !decoded.unit && !divides && (0..instruction.op_count()).all(is_general)
        }
        _ => false,
    }
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
