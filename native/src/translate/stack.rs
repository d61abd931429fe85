//! Instructions that use the stack or strings without naming them.

use iced_x86::{Code, FlowControl, Instruction, MemorySize, OpKind, Register};

use super::facts::{Class, Decoded};
use super::loans::{Place, RSP};
use super::operand::{move_displacement, number};
use super::{Translator, Untranslated};
use crate::context::{SCRATCH, STACK};
use crate::emit::CALL;

const RBP: u8 = 5;
/// How far pushes and pops go before rsp is moved.
const MOST_MOVED: i32 = 96;

/// Prefix, byte form's opcode and operand size of a string instruction, if it is one with a stub.
pub(super) fn string_key(instruction: &Instruction) -> Option<(Option<u8>, u8, u8)> {
    use Code as C;
    let (opcode, size) = match instruction.code() {
        C::Movsb_m8_m8 => (0xa4, 1),
        C::Movsw_m16_m16 => (0xa4, 2),
        C::Movsd_m32_m32 => (0xa4, 4),
        C::Movsq_m64_m64 => (0xa4, 8),
        C::Cmpsb_m8_m8 => (0xa6, 1),
        C::Cmpsw_m16_m16 => (0xa6, 2),
        C::Cmpsd_m32_m32 => (0xa6, 4),
        C::Cmpsq_m64_m64 => (0xa6, 8),
        C::Stosb_m8_AL => (0xaa, 1),
        C::Stosw_m16_AX => (0xaa, 2),
        C::Stosd_m32_EAX => (0xaa, 4),
        C::Stosq_m64_RAX => (0xaa, 8),
        C::Lodsb_AL_m8 => (0xac, 1),
        C::Lodsw_AX_m16 => (0xac, 2),
        C::Lodsd_EAX_m32 => (0xac, 4),
        C::Lodsq_RAX_m64 => (0xac, 8),
        C::Scasb_AL_m8 => (0xae, 1),
        C::Scasw_AX_m16 => (0xae, 2),
        C::Scasd_EAX_m32 => (0xae, 4),
        C::Scasq_RAX_m64 => (0xae, 8),
        _ => return None,
    };
    let wide = (0..instruction.op_count()).all(|i| {
        matches!(
            instruction.op_kind(i),
            OpKind::MemorySegRSI | OpKind::MemorySegRDI | OpKind::MemoryESRDI | OpKind::Register
        )
    });
    let based = matches!(instruction.segment_prefix(), Register::FS | Register::GS);
    let prefix = match (instruction.has_rep_prefix(), instruction.has_repne_prefix()) {
        (true, _) => Some(0xf3),
        (_, true) => Some(0xf2),
        _ => None,
    };
    (wide && !based).then_some((prefix, opcode, size))
}

impl Translator<'_> {
    pub(super) fn string(&mut self, instruction: &Instruction) -> Result<(), Untranslated> {
        let (prefix, opcode, size) = string_key(instruction).ok_or(Untranslated)?;
        if self.is_lent(SCRATCH) {
            return Err(Untranslated);
        }
        let stub = self.stubs.string(prefix, opcode, size).ok_or(Untranslated)?.start;
        self.held = None;
        self.branch_to_stub(CALL, stub);
        Ok(())
    }

    pub(super) fn push(&mut self, decoded: &Decoded) -> Result<(), Untranslated> {
        let instruction = &decoded.instruction;
        let below = self.moved - 8;
        match instruction.code() {
            Code::Pushq_imm8 | Code::Pushq_imm32 => self.emit.store_stack_imm(below, instruction.immediate(0)),
            Code::Push_r64 | Code::Push_rm64 if instruction.op0_kind() == OpKind::Register => {
                let n = number(instruction.op0_register()).ok_or(Untranslated)?;
                let register = match self.place(n) {
                    Place::Host(register) => register,
                    Place::Home(home) => self.borrow_for(n, home)?,
                };
                self.emit.store_stack(below, register);
            }
            Code::Push_rm64 if instruction.memory_size() == MemorySize::UInt64 => {
                let register = self.borrow(decoded.registers.used, false)?;
                self.load_operand(decoded, register)?;
                self.emit.store_stack(below, register);
            }
            _ => return Err(Untranslated),
        }
        self.moved -= 8;
        self.give_back();
        Ok(())
    }

    pub(super) fn pop(&mut self, decoded: &Decoded) -> Result<(), Untranslated> {
        let instruction = &decoded.instruction;
        match instruction.code() {
            Code::Pop_r64 | Code::Pop_rm64 if instruction.op0_kind() == OpKind::Register => {
                let n = number(instruction.op0_register()).ok_or(Untranslated)?;
                if n == RSP {
                    self.emit.load_stack(STACK, self.moved);
                    self.moved = 0;
                    return Ok(());
                }
                match self.place(n) {
                    Place::Host(register) => self.emit.load_stack(register, self.moved),
                    Place::Home(home) => {
                        let register = self.borrow(0, false)?;
                        self.emit.load_stack(register, self.moved);
                        self.emit.store(home, register);
                        self.note_held(register, n);
                    }
                }
            }
            Code::Pop_rm64 => {
                let used = decoded.registers.used;
                let based = matches!(instruction.segment_prefix(), Register::FS | Register::GS);
                if based || used & self.at_home != 0 {
                    // Its address would need a register that is borrowed after the stack was read, which can fault.
                    return Err(Untranslated);
                }
                let register = self.borrow(used, false)?;
                self.emit.load_stack(register, self.moved);
                self.move_operand(decoded, register, Code::Mov_rm64_r64)?;
            }
            _ => return Err(Untranslated),
        }
        self.moved += 8;
        self.give_back();
        Ok(())
    }

    /// Moves the guest's rsp to where pushes and pops have left it.
    pub(super) fn move_stack(&mut self) {
        if self.moved != 0 {
            self.emit.add(STACK, self.moved);
            self.moved = 0;
        }
    }

    /// Whether an instruction needs the guest's rsp in its register as it is.
    pub(super) fn needs_stack(&self, decoded: &Decoded) -> bool {
        match decoded.class {
            Class::Push => decoded.names_stack || self.moved < -MOST_MOVED,
            Class::Pop => self.moved > MOST_MOVED,
            Class::Leave => false,
            Class::Syscall => true,
            Class::Branch => !matches!(decoded.instruction.flow_control(), FlowControl::Call | FlowControl::Return),
            _ => decoded.names_stack,
        }
    }

    /// An instruction whose memory operand by rsp allows for how rsp has moved, if it has one and rsp has.
    pub(super) fn with_moved_stack(&self, decoded: &Decoded) -> Option<Decoded> {
        let moves = self.moved != 0 && number(decoded.instruction.memory_base()) == Some(RSP);
        moves.then(|| {
            let mut decoded = *decoded;
            move_displacement(&mut decoded.instruction, self.moved.into());
            decoded
        })
    }

    /// leave: rsp from rbp, then rbp from the stack.
    pub(super) fn leave_frame(&mut self, instruction: &Instruction) -> Result<(), Untranslated> {
        if instruction.code() != Code::Leaveq || self.is_lent(SCRATCH) {
            return Err(Untranslated);
        }
        self.held = None;
        // mov rcx, rbp; mov rbp, gs:[ecx]; lea r11, [rcx + 8]
        self.emit.mov(SCRATCH, RBP);
        self.emit.load_window(RBP, SCRATCH);
        self.emit.add_to(STACK, SCRATCH, 8);
        self.moved = 0;
        Ok(())
    }
}
