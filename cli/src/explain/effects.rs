//! What an instruction of ring 0 has done: registers and memory, read before and after it.

use callgate_emulator::{Cpu, seg};
use iced_x86::{
    FlowControl, Instruction, InstructionInfoFactory, InstructionInfoOptions, Mnemonic, OpAccess, OpKind, Register,
    UsedMemory,
};

use super::places::Places;
use super::processor::flags;

/// The flags that a comparison is about.
const COMPARED: u64 = {
    use callgate_emulator::rflags::{CF, OF, SF, ZF};
    CF | ZF | SF | OF
};

/// Finds out what instructions do.
pub(super) struct Effects {
    factory: InstructionInfoFactory,
}

impl Effects {
    /// The usual one.
    pub(super) fn new() -> Effects {
        Effects { factory: InstructionInfoFactory::new() }
    }

    /// What the instruction has done, in a few words.
    pub(super) fn of(&mut self, instruction: &Instruction, before: &Cpu, after: &Cpu, places: &Places<'_>) -> String {
        match instruction.mnemonic() {
            Mnemonic::Swapgs => return swapgs(before, after, places),
            Mnemonic::Cmp | Mnemonic::Test => return self.comparison(instruction, before, after, places),
            Mnemonic::Ret => return format!("→ {}", places.value(after.rip)),
            _ => {}
        }
        match instruction.flow_control() {
            FlowControl::ConditionalBranch if after.rip == instruction.next_ip() => return "not taken".to_owned(),
            FlowControl::ConditionalBranch => return format!("→ {}", places.value(after.rip)),
            FlowControl::IndirectCall | FlowControl::IndirectBranch => return format!("→ {}", places.value(after.rip)),
            FlowControl::Call | FlowControl::UnconditionalBranch => return String::new(),
            _ => {}
        }
        let source = self.loads(instruction, before).first().map(|load| match places.read(load.0, load.1) {
            Some(_) => format!("{} = ", places.place(load.0)),
            None => String::new(),
        });
        let source = source.filter(|_| takes_from_memory(instruction.mnemonic())).unwrap_or_default();
        let mut parts: Vec<String> = self
            .written_registers(instruction)
            .into_iter()
            .map(|register| {
                let name = format!("{register:?}").to_lowercase();
                format!("{name} ← {source}{}", places.value(value(after, register).unwrap_or(0)))
            })
            .collect();
        parts.extend(self.stores(instruction, before).into_iter().filter_map(|(addr, size)| {
            Some(format!("{} ← {}", places.place(addr), places.value(places.read(addr, size)?)))
        }));
        parts.join(", ")
    }

    /// The places that an instruction has written to, with their sizes.
    pub(super) fn stores(&mut self, instruction: &Instruction, before: &Cpu) -> Vec<(u64, usize)> {
        let writes = |access| matches!(access, OpAccess::Write | OpAccess::ReadWrite | OpAccess::CondWrite);
        self.memory(instruction, before, writes)
    }

    /// The places that it has read.
    pub(super) fn loads(&mut self, instruction: &Instruction, before: &Cpu) -> Vec<(u64, usize)> {
        let reads = |access| matches!(access, OpAccess::Read | OpAccess::ReadWrite | OpAccess::CondRead);
        self.memory(instruction, before, reads)
    }

    fn memory(&mut self, instruction: &Instruction, cpu: &Cpu, wanted: fn(OpAccess) -> bool) -> Vec<(u64, usize)> {
        let info = self.factory.info_options(instruction, InstructionInfoOptions::NO_REGISTER_USAGE);
        let used = info.used_memory().iter().filter(|memory| wanted(memory.access()));
        used.filter_map(|memory| Some((address(memory, cpu)?, memory.memory_size().size()))).collect()
    }

    /// The general registers that it has written to, but the stack pointer of pushes and pops.
    fn written_registers(&mut self, instruction: &Instruction) -> Vec<Register> {
        let by_itself = matches!(instruction.mnemonic(), Mnemonic::Push | Mnemonic::Pop);
        let info = self.factory.info_options(instruction, InstructionInfoOptions::NO_MEMORY_USAGE);
        let written = info.used_registers().iter().filter(|used| {
            let writes = matches!(used.access(), OpAccess::Write | OpAccess::ReadWrite | OpAccess::CondWrite);
            writes && used.register().is_gpr() && !(by_itself && used.register().full_register() == Register::RSP)
        });
        let mut registers: Vec<Register> = written.map(|used| used.register().full_register()).collect();
        registers.dedup();
        registers
    }

    fn comparison(&mut self, instruction: &Instruction, before: &Cpu, after: &Cpu, places: &Places<'_>) -> String {
        let operand = match instruction.op0_kind() {
            OpKind::Register => value(before, instruction.op0_register().full_register()),
            _ => None,
        };
        let memory = self.loads(instruction, before);
        let memory = memory.first().and_then(|&(addr, size)| {
            Some(format!("{} = {}", places.place(addr), places.value(places.read(addr, size)?)))
        });
        let parts: Vec<String> = operand.map(|value| places.value(value)).into_iter().chain(memory).collect();
        format!("{} {}", parts.join(" : "), flags(after.rflags() & COMPARED))
    }
}

/// Whether what is read goes to a register as it is.
fn takes_from_memory(mnemonic: Mnemonic) -> bool {
    matches!(mnemonic, Mnemonic::Mov | Mnemonic::Pop | Mnemonic::Movsxd | Mnemonic::Movzx)
}

fn swapgs(before: &Cpu, after: &Cpu, places: &Places<'_>) -> String {
    let base = |cpu: &Cpu| places.value(cpu.seg[seg::GS].base);
    format!("gs.base {} ↔ {}", base(before), base(after))
}

/// A register's value.
pub(super) fn value(cpu: &Cpu, register: Register) -> Option<u64> {
    if !register.is_gpr() {
        return None;
    }
    let full = *cpu.gpr.get(register.full_register().number())?;
    Some(match register.size() {
        1 => full & 0xff,
        2 => full & 0xffff,
        4 => full & 0xffff_ffff,
        _ => full,
    })
}

fn address(memory: &UsedMemory, cpu: &Cpu) -> Option<u64> {
    memory.virtual_address(0, |register, _, _| match register {
        Register::FS => Some(cpu.seg[seg::FS].base),
        Register::GS => Some(cpu.seg[seg::GS].base),
        // The other segments are flat.
        Register::ES | Register::CS | Register::SS | Register::DS => Some(0),
        register => value(cpu, register),
    })
}

/// The vector of `int n`, 3 and 4 for its short forms.
pub(super) fn vector(instruction: &Instruction) -> Option<u8> {
    match instruction.mnemonic() {
        Mnemonic::Int => Some(instruction.immediate8()),
        Mnemonic::Int3 => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callgate_emulator::reg;
    use iced_x86::Decoder;

    #[test]
    fn what_a_push_through_gs_touches() {
        let mut cpu = Cpu::default();
        cpu.gpr[reg::RSP] = 0x1000;
        cpu.seg[seg::GS].base = 0x5000;
        // push qword ptr gs:[8]
        let code = [0x65, 0xff, 0x34, 0x25, 8, 0, 0, 0];
        let instruction = Decoder::new(64, &code, 0).decode();
        let mut effects = Effects::new();
        assert_eq!(effects.stores(&instruction, &cpu), [(0xff8, 8)]);
        assert_eq!(effects.loads(&instruction, &cpu), [(0x5008, 8)]);
        assert_eq!(effects.written_registers(&instruction), []);
    }
}
