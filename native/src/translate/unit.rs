//! Instructions of the x87 unit and of MMX: as they are, where the unit is the guest's, with notes for its pointers.

use iced_x86::{Code, Instruction, MemoryOperand, Mnemonic, Register};

use super::facts::Decoded;
use super::operand::confine;
use super::{Outside, Translator, Untranslated};
use crate::context::{SCRATCH, slot};
use crate::emit::JMP;

/// Whether an instruction that is translated uses the unit even if no operand is one of its registers.
pub(super) fn is_needed(instruction: &Instruction) -> bool {
    is_x87(instruction) || instruction.mnemonic() == Mnemonic::Emms
}

/// Whether it is one of x87's. All others with such names are the interpreter's.
fn is_x87(instruction: &Instruction) -> bool {
    (Mnemonic::F2xm1..=Mnemonic::Fyl2xp1).contains(&instruction.mnemonic()) || instruction.mnemonic() == Mnemonic::Wait
}

/// Whether the unit's pointers tell of an instruction: those that control it are not told of.
pub(super) fn is_noted(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    is_x87(instruction) && !matches!(instruction.mnemonic(), M::Fldcw | M::Fnclex | M::Fnstcw | M::Fnstsw | M::Wait)
}

impl Translator<'_> {
    /// Leaves if the unit is the host's, for a block's sake.
    pub(super) fn check_unit(&mut self, block: usize) {
        self.emit.load(SCRATCH, slot::UNIT_ABSENT);
        self.emit.skip_if_rcx_0(5);
        let branch = self.emit.branch(JMP);
        self.piece.outside.push((branch, Outside::Unit(block)));
    }

    /// An instruction that the unit's pointers tell of.
    pub(super) fn noted(&mut self, decoded: &Decoded) -> Result<(), Untranslated> {
        let original = &decoded.instruction;
        let address = original.ip() as u32;
        if !decoded.memory {
            self.plain(decoded)?;
            self.emit.store_imm(slot::UNIT_LAST, address);
            return Ok(());
        }
        if matches!(original.segment_prefix(), Register::FS | Register::GS) || self.is_lent(SCRATCH) {
            return Err(Untranslated);
        }
        let mut instruction = *original;
        // These write no general registers.
        let _ = self.with_host_registers(&mut instruction, decoded.registers)?;
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        let operand = instruction;
        confine(&mut instruction, self.emit.kind.origin);
        self.emit.instruction(&instruction)?;
        self.emit.store_imm(slot::UNIT_LAST, address);
        self.emit.store_imm(slot::UNIT_ACCESSED, address);
        if base.is_gpr() || index.is_gpr() {
            let (scale, displacement) = (operand.memory_index_scale(), operand.memory_displacement64() as i64);
            let size = operand.memory_displ_size();
            let operand = MemoryOperand::new(base, index, scale, displacement, size, false, Register::None);
            let lea = Instruction::with2(Code::Lea_r32_m, Register::ECX, operand).map_err(|_| Untranslated)?;
            self.emit.instruction(&lea)?;
            self.emit.store_32(slot::UNIT_OPERAND, SCRATCH);
            self.held = None;
        } else {
            self.emit.store_imm(slot::UNIT_OPERAND, operand.memory_displacement64() as u32);
        }
        self.give_back();
        Ok(())
    }
}
