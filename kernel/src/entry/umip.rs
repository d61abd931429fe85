//! Instructions that tell programs about system tables (`arch/x86/kernel/umip.c`).
//!
//! With CR4.UMIP they raise #GP in ring 3. Some old programs live from them, so Linux answers in the processor's place:
//! with tables that are empty and lie where nobody has any, and with what CR0 always holds.
//!
//! Quirk, Linux's: a 32-bit register keeps its upper half.

use callgate_abi::{PtRegs, UserMemory};
use callgate_emulator::{Exception, page_fault};
use callgate_uapi::signal::{SIGSEGV, code};
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use crate::Task;

/// Where the tables are said to be.
const GDT_BASE: u64 = 0xffff_ffff_fffe_0000;
const IDT_BASE: u64 = 0xffff_ffff_ffff_0000;
/// CR0: PE, MP, ET, NE, WP, AM, PG.
const CR0: u64 = 0x8005_0033;
/// The task register.
const TSS_SELECTOR: u64 = 0x40;

impl Task {
    /// Answers in the processor's place (`fixup_umip_exception`); false if the #GP is about something else.
    pub(super) fn fixup_umip_exception(&mut self) -> bool {
        let mut bytes = [0; 15];
        let n = self.mm.borrow().space.peek(self.regs.ip, &mut bytes);
        let instruction = Decoder::with_ip(64, &bytes[..n], self.regs.ip, DecoderOptions::NONE).decode();
        let in_memory = instruction.op0_kind() == OpKind::Memory;
        let (value, len) = match instruction.mnemonic() {
            // The limit comes first.
            Mnemonic::Sgdt => (u128::from(GDT_BASE) << 16, 10),
            Mnemonic::Sidt => (u128::from(IDT_BASE) << 16, 10),
            Mnemonic::Smsw | Mnemonic::Sldt | Mnemonic::Str => {
                let value = match instruction.mnemonic() {
                    Mnemonic::Smsw => CR0,
                    Mnemonic::Str => TSS_SELECTOR,
                    _ => 0,
                };
                (value.into(), if in_memory { 2 } else { instruction.op0_register().size() })
            }
            _ => return false,
        };
        if in_memory {
            let Some(address) = self.address_of(&instruction) else { return false };
            if self.copy_to_user(address, &value.to_le_bytes()[..len]).is_err() {
                self.remember_fault(&Exception::page_fault(address, page_fault::USER | page_fault::WRITE));
                self.force_fault(SIGSEGV, code::SEGV_MAPERR, address);
                return true;
            }
        } else if let Some(register) = register(&mut self.regs, instruction.op0_register()) {
            let (mut bytes, part) = (register.to_le_bytes(), value.to_le_bytes());
            bytes[..len].copy_from_slice(&part[..len]);
            *register = u64::from_le_bytes(bytes);
        }
        self.regs.ip = instruction.next_ip();
        self.regs_changed = true;
        true
    }

    /// The linear address of a memory operand.
    fn address_of(&mut self, instruction: &Instruction) -> Option<u64> {
        let bases = [Register::FS, Register::GS].map(|segment| self.cpu.seg[segment.number()].base);
        let regs = &mut self.regs;
        instruction.virtual_address(0, 0, |named, _, _| match named {
            Register::FS => Some(bases[0]),
            Register::GS => Some(bases[1]),
            _ if named.is_segment_register() => Some(0),
            _ => register(regs, named).map(|value| *value),
        })
    }
}

/// Where a general register of any size is saved.
fn register(regs: &mut PtRegs, named: Register) -> Option<&mut u64> {
    Some(match named.full_register() {
        Register::RAX => &mut regs.ax,
        Register::RCX => &mut regs.cx,
        Register::RDX => &mut regs.dx,
        Register::RBX => &mut regs.bx,
        Register::RSP => &mut regs.sp,
        Register::RBP => &mut regs.bp,
        Register::RSI => &mut regs.si,
        Register::RDI => &mut regs.di,
        Register::R8 => &mut regs.r8,
        Register::R9 => &mut regs.r9,
        Register::R10 => &mut regs.r10,
        Register::R11 => &mut regs.r11,
        Register::R12 => &mut regs.r12,
        Register::R13 => &mut regs.r13,
        Register::R14 => &mut regs.r14,
        Register::R15 => &mut regs.r15,
        _ => return None,
    })
}
