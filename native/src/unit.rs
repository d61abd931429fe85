//! The x87 unit, which also holds the MMX registers: the guest's while translated code needs it.
//!
//! Most code doesn't, and so only what starts in a block that does gets it; what comes to one by a branch finds
//! `unit_absent` in the context and leaves, to start there. Between runs the unit is the host's.
//!
//! Where the last instruction and its operand are is not asked of the host: processors differ in when they tell, and some
//! lose it when the host's kernel switches tasks. Translated code notes it in the context.

use std::arch::naked_asm;
use std::mem::offset_of;

use callgate_emulator::{Cpu, F80, FpuPointers, Space, seg};
use iced_x86::{Decoder, DecoderOptions, Instruction, Register};

use crate::context::Context;
use crate::enter::enter;
use crate::translate::LONGEST;

/// A register's place.
#[repr(C)]
#[derive(Default)]
struct Slot {
    bytes: [u8; 10],
    reserved: [u8; 6],
}

/// An XSAVE area with x87's component, and the host's control word.
#[repr(C, align(64))]
#[derive(Default)]
pub(crate) struct Area {
    control: u16,
    status: u16,
    /// A bit for each register that isn't empty, by physical number.
    in_use: u16,
    opcode: u16,
    pointers: [u64; 2],
    mxcsr: [u32; 2],
    /// From the top of the stack on.
    st: [Slot; 8],
    others: [[u64; 8]; 5],
    unused: [u64; 4],
    /// Which components it has, and none that is compacted.
    header: [u64; 8],
    host_control: u16,
}

const _: () = assert!(offset_of!(Area, header) == 512);

/// x87's component.
const X87: u32 = 1;

/// As [`enter`], with the unit's state from an area, and back there.
///
/// # Safety
/// As for [`enter`]; the area's header must be valid.
#[unsafe(naked)]
unsafe extern "sysv64" fn enter_with(context: *mut Context, area: *mut Area) {
    naked_asm!(
        "push rbx",
        "mov rbx, rsi",
        "fnstcw [rbx + {host_control}]",
        "mov eax, {x87}",
        "xor edx, edx",
        "xrstor64 [rbx]",
        "call {enter}",
        "mov eax, {x87}",
        "xor edx, edx",
        "xsave64 [rbx]",
        // As the calling convention wants it: empty, and with the control word that it had.
        "fninit",
        "fldcw [rbx + {host_control}]",
        "pop rbx",
        "ret",
        host_control = const offset_of!(Area, host_control),
        x87 = const X87,
        enter = sym enter,
    )
}

impl Area {
    /// Runs translated code with the guest's unit.
    ///
    /// # Safety
    /// As for [`enter`].
    pub(crate) unsafe fn enter(&mut self, context: *mut Context, cpu: &mut Cpu, space: &Space) {
        let fpu = &cpu.fpu;
        (self.control, self.status, self.in_use) = (fpu.control, fpu.status_word(), fpu.in_use.into());
        for (i, st) in (0..8).zip(&mut self.st) {
            st.bytes = fpu.raw(i).to_bytes();
        }
        self.header = [X87.into(), 0, 0, 0, 0, 0, 0, 0];
        // SAFETY: as the caller promises, and the header was just made.
        unsafe { enter_with(context, self) };
        let fpu = &mut cpu.fpu;
        fpu.set_control_word(self.control);
        fpu.set_status_word(self.status);
        fpu.in_use = self.in_use as u8;
        let top = usize::from(self.status >> 11);
        for (i, st) in self.st.iter().enumerate() {
            fpu.regs[(top + i) % 8] = F80::from_bytes(st.bytes);
        }
        // SAFETY: translated code, which else uses the context, has been left.
        let noted = unsafe { &*context };
        note(cpu, space, noted);
    }
}

/// Sets the unit's pointers to what translated code has noted.
fn note(cpu: &mut Cpu, space: &Space, noted: &Context) {
    let selector = |segment: usize| cpu.seg[segment].selector;
    let mut pointers = cpu.fpu.pointers;
    if noted.unit_last != 0 {
        let (_, opcode) = fetch(space, noted.unit_last);
        pointers =
            FpuPointers { instruction: noted.unit_last.into(), code_segment: selector(seg::CS), opcode, ..pointers };
    }
    if noted.unit_accessed != 0 {
        let (instruction, _) = fetch(space, noted.unit_accessed);
        let segment = match instruction.memory_segment() {
            Register::ES => seg::ES,
            Register::CS => seg::CS,
            Register::SS => seg::SS,
            _ => seg::DS,
        };
        pointers.operand = noted.unit_operand.into();
        pointers.operand_segment = selector(segment);
    }
    cpu.fpu.pointers = pointers;
}

/// The x87 instruction at an address, where it was translated just now, and its opcode: the low bits of the first byte, and
/// the second byte.
fn fetch(space: &Space, address: u32) -> (Instruction, u16) {
    let mut bytes = [0; LONGEST];
    space.peek(address.into(), &mut bytes);
    let mut decoder = Decoder::with_ip(64, &bytes, address.into(), DecoderOptions::NONE);
    let instruction = decoder.decode();
    let opcode = bytes.windows(2).find(|bytes| bytes[0] & !7 == 0xd8);
    (instruction, opcode.map_or(0, |bytes| u16::from(bytes[0] & 7) << 8 | u16::from(bytes[1])))
}
