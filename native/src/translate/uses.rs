//! What instructions do with general registers.
//!
//! iced works that out anew for each instruction. But what an instruction uses beside its operands depends on its code
//! alone, and so does which operands it writes: that is asked once, and the operands are looked at.

use iced_x86::{Instruction, InstructionInfoFactory, OpAccess, OpKind, Register};

use super::operand::{like, number};

/// Codes of iced's, and some to spare.
const CODES: usize = 5000;

/// General registers, one bit each.
#[derive(Clone, Copy, Default)]
pub(super) struct Registers {
    pub(super) used: u32,
    pub(super) written: u32,
}

/// What a code does.
#[derive(Clone, Copy, Default)]
struct Entry {
    known: bool,
    /// The operands that are written, one bit each.
    operands: u8,
    /// Registers that are used and written without being named.
    used: u16,
    written: u16,
}

/// What is known of codes so far. The entries are made with the first.
pub(crate) struct Uses {
    info: InstructionInfoFactory,
    entries: Vec<Entry>,
}

fn writes(access: OpAccess) -> bool {
    !matches!(access, OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess)
}

impl Uses {
    pub(crate) fn new() -> Self {
        Self { info: InstructionInfoFactory::new(), entries: Vec::new() }
    }

    /// The general registers that an instruction uses, and those that it writes.
    pub(super) fn of(&mut self, instruction: &Instruction) -> Registers {
        let code = instruction.code() as usize;
        let entry = match self.entries.get(code) {
            Some(entry) if entry.known => *entry,
            _ => self.look_up(instruction),
        };
        let mut found = Registers { used: entry.used.into(), written: entry.written.into() };
        for i in 0..instruction.op_count() {
            if instruction.op_kind(i) == OpKind::Register
                && let Some(n) = number(instruction.op_register(i))
            {
                found.used |= 1 << n;
                found.written |= u32::from(entry.operands >> i & 1) << n;
            }
        }
        for register in [instruction.memory_base(), instruction.memory_index()] {
            found.used |= number(register).map_or(0, |n| 1 << n);
        }
        found
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
        let info = self.info.info(&sample);
        let mut entry = Entry { known: true, ..Entry::default() };
        for register in info.used_registers() {
            let Some(n @ 0..12) = number(register.register()) else { continue };
            entry.used |= 1 << n;
            entry.written |= u16::from(writes(register.access())) << n;
        }
        for i in 0..sample.op_count() {
            entry.operands |= u8::from(writes(info.op_access(i))) << i;
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
        }
        found
    }

    #[test]
    fn nothing_that_iced_says_is_missing() {
        let (mut uses, mut info) = (Uses::new(), InstructionInfoFactory::new());
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut compared = 0;
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
            let (ours, theirs) = (uses.of(&instruction), asked(&mut info, &instruction));
            assert_eq!(theirs.used & !ours.used, 0, "{instruction:?}");
            assert_eq!(theirs.written & !ours.written, 0, "{instruction:?}");
            compared += 1;
        }
        assert!(compared > 100_000, "{compared}");
    }
}
