//! What translation asks of instructions, over and over.
//!
//! Most of it depends on an instruction's code alone: how it is translated at all, what it uses beside its operands, which
//! of those it writes. That is asked of iced once for each code, and the operands are looked at.

use callgate_emulator::CpuModel;
use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::loans::RSP;
use super::operand::{is_odd, like, number, plain_memory};
use super::{stack, unit};
use crate::kind::Kind;
use crate::verify::{self, CODES};
use crate::window::WINDOW;

/// How an instruction is translated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Class {
    /// It is left to the interpreter.
    #[default]
    Left,
    /// It does nothing.
    Nothing,
    Syscall,
    Push,
    Pop,
    Leave,
    Lea,
    String,
    /// All that go on elsewhere, but for `syscall`.
    Branch,
    /// One that the x87 unit's pointers tell of.
    Noted,
    /// It does what it does with its operands, wherever they are.
    Plain,
}

/// General registers, one bit each.
#[derive(Clone, Copy, Default)]
pub(super) struct Registers {
    pub(super) used: u32,
    pub(super) written: u32,
    /// Those of which nothing is left that was there before, and that nothing else is done with.
    pub(super) replaced: u32,
}

/// An instruction, and what is asked of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Decoded {
    pub(super) instruction: Instruction,
    pub(super) class: Class,
    /// It needs the x87 unit.
    pub(super) unit: bool,
    /// It has an operand in memory.
    pub(super) memory: bool,
    /// It names rsp, or a part of it, as an operand.
    pub(super) names_stack: bool,
    pub(super) registers: Registers,
}

impl Decoded {
    /// Whether a block ends with it.
    pub(super) fn ends(&self) -> bool {
        matches!(self.class, Class::Branch | Class::Syscall)
    }
}

/// What a code does.
#[derive(Clone, Copy, Default)]
struct Entry {
    known: bool,
    class: Class,
    unit: bool,
    /// Whether it can be translated depends on its operands.
    odd: bool,
    /// The operands that are written, one bit each.
    operands: u8,
    /// Those that are always written, as a whole, and not read.
    replaced: u8,
    /// Registers that are used and written without being named.
    used: u16,
    written: u16,
}

/// What is known of codes so far. The entries are made with the first.
pub(crate) struct Facts {
    model: CpuModel,
    info: InstructionInfoFactory,
    entries: Vec<Entry>,
}

fn writes(access: OpAccess) -> bool {
    !matches!(access, OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess)
}

impl Facts {
    pub(crate) fn new(model: CpuModel) -> Self {
        Self { model, info: InstructionInfoFactory::new(), entries: Vec::new() }
    }

    fn entry(&mut self, instruction: &Instruction) -> Entry {
        match self.entries.get(instruction.code() as usize) {
            Some(entry) if entry.known => *entry,
            _ => self.look_up(instruction),
        }
    }

    /// The general registers that an instruction uses, and those that it writes.
    pub(super) fn of(&mut self, instruction: &Instruction) -> Registers {
        let mut decoded = Decoded { instruction: *instruction, ..Decoded::default() };
        self.look_at(&mut decoded);
        decoded.registers
    }

    /// Finds out all that is asked of an instruction.
    pub(super) fn look_at(&mut self, decoded: &mut Decoded) {
        let instruction = &decoded.instruction;
        let entry = self.entry(instruction);
        let mut registers = Registers { used: entry.used.into(), written: entry.written.into(), replaced: 0 };
        let (mut read, mut named, mut memory, mut unit) = (registers.used, 0, false, entry.unit);
        for i in 0..instruction.op_count() {
            match instruction.op_kind(i) {
                OpKind::Register => {
                    let register = instruction.op_register(i);
                    let Some(n) = number(register) else {
                        unit |= register.is_mm();
                        continue;
                    };
                    named |= 1 << n;
                    registers.written |= u32::from(entry.operands >> i & 1) << n;
                    if entry.replaced >> i & 1 != 0 && register.size() >= 4 {
                        registers.replaced |= 1 << n;
                    } else {
                        read |= 1 << n;
                    }
                }
                OpKind::Memory => {
                    memory = true;
                    for register in [instruction.memory_base(), instruction.memory_index()] {
                        read |= number(register).map_or(0, |n| 1 << n);
                    }
                }
                _ => {}
            }
        }
        registers.used |= named | read;
        registers.replaced &= !read;
        let can_be = match entry.class {
            Class::String => stack::string_key(instruction).is_some(),
            _ => !entry.odd || plain_memory(instruction),
        };
        decoded.class = if can_be && instruction.next_ip() < WINDOW { entry.class } else { Class::Left };
        (decoded.unit, decoded.memory, decoded.names_stack) = (unit, memory, named >> RSP & 1 != 0);
        decoded.registers = registers;
    }

    /// How instructions of a code are translated, if their operands don't forbid it.
    fn class(&self, instruction: &Instruction) -> Class {
        if instruction.is_invalid() || !self.model.executes(instruction) {
            return Class::Left;
        }
        let kind = Kind { avx_512: self.model.has_avx_512(), ..Kind::default() };
        match instruction.mnemonic() {
            Mnemonic::Endbr64 | Mnemonic::Endbr32 | Mnemonic::Nop => Class::Nothing,
            Mnemonic::Syscall => Class::Syscall,
            Mnemonic::Push => Class::Push,
            Mnemonic::Pop => Class::Pop,
            Mnemonic::Leave => Class::Leave,
            Mnemonic::Loop => Class::Branch,
            Mnemonic::Loope | Mnemonic::Loopne => Class::Left,
            _ if instruction.is_string_instruction() => Class::String,
            _ if !verify::permitted(instruction, kind) => Class::Left,
            Mnemonic::Lea => Class::Lea,
            _ if instruction.flow_control() != FlowControl::Next => Class::Branch,
            _ if unit::is_noted(instruction) => Class::Noted,
            _ => Class::Plain,
        }
    }

    /// Asks iced, of the same instruction with operands that no instruction uses without naming them. Not remembered of
    /// string instructions, whose prefix makes a difference.
    #[cold]
    fn look_up(&mut self, instruction: &Instruction) -> Entry {
        let mut sample = *instruction;
        for i in 0..sample.op_count() {
            let register = sample.op_register(i);
            if sample.op_kind(i) == OpKind::Register && register.is_gpr() {
                sample.set_op_register(i, like(register, 12 + (i as u8 & 3)));
            }
        }
        for (register, set) in [
            (sample.memory_base(), Instruction::set_memory_base as fn(&mut Instruction, Register)),
            (sample.memory_index(), Instruction::set_memory_index),
        ] {
            if register.is_gpr() {
                set(&mut sample, like(register, 15));
            }
        }
        let class = self.class(instruction);
        let info = self.info.info(&sample);
        let (unit, odd) = (unit::is_needed(instruction), is_odd(instruction));
        let mut entry = Entry { known: true, class, unit, odd, ..Entry::default() };
        for register in info.used_registers() {
            let Some(n @ 0..12) = number(register.register()) else { continue };
            entry.used |= 1 << n;
            entry.written |= u16::from(writes(register.access())) << n;
        }
        // Where nothing is found, some processors leave the register alone.
        let may_leave = matches!(sample.mnemonic(), Mnemonic::Bsf | Mnemonic::Bsr);
        for i in 0..sample.op_count() {
            let access = info.op_access(i);
            entry.operands |= u8::from(writes(access)) << i;
            entry.replaced |= u8::from(access == OpAccess::Write && !may_leave) << i;
        }
        if !sample.is_string_instruction() {
            self.entries.resize(CODES, Entry::default());
            self.entries[sample.code() as usize] = entry;
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions};

    use super::*;

    /// All that iced says of an instruction.
    fn asked(info: &mut InstructionInfoFactory, instruction: &Instruction) -> Registers {
        let mut found = Registers::default();
        for register in info.info(instruction).used_registers() {
            let Some(n) = number(register.register()) else { continue };
            found.used |= 1 << n;
            found.written |= u32::from(writes(register.access())) << n;
            // Those that it may be replaced by: all that happens to it.
            found.replaced |= u32::from(register.access() != OpAccess::Write) << n;
        }
        found.replaced = found.written & !found.replaced;
        found
    }

    #[test]
    fn nothing_that_iced_says_is_missing() {
        let (mut facts, mut info) = (Facts::new(CpuModel::default()), InstructionInfoFactory::new());
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let (mut compared, mut replaced) = (0, 0);
        for _ in 0..2_000_000 {
            let mut bytes = [0; 15];
            for byte in &mut bytes {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *byte = state as u8;
            }
            // Half of them from the second map.
            if state >> 8 & 1 == 0 {
                bytes[1] = 0x0f;
                bytes[0] = if state >> 9 & 1 == 0 { 0x48 } else { 0x66 };
            }
            let instruction = Decoder::new(64, &bytes, DecoderOptions::NONE).decode();
            if instruction.is_invalid() {
                continue;
            }
            let (ours, theirs) = (facts.of(&instruction), asked(&mut info, &instruction));
            assert_eq!(theirs.used & !ours.used, 0, "{instruction:?}");
            assert_eq!(theirs.written & !ours.written, 0, "{instruction:?}");
            assert_eq!(ours.replaced & !theirs.replaced, 0, "{instruction:?}");
            replaced += ours.replaced.count_ones();
            compared += 1;
        }
        assert!(compared > 100_000 && replaced > 10_000, "{compared}, {replaced}");
    }
}
