//! Segment registers, far branches and returns: in ring 3 they can go where Linux's descriptor table lets them.

use iced_x86::{Instruction, Mnemonic as M, OpKind, Register};

use crate::compare::operand_address;
use crate::rng::Rng;
use crate::state::{DATA, State, TARGET};

/// 64-bit code and data of ring 3, as Linux has them.
pub(crate) const USER_CS: u16 = 0x33;
pub(crate) const USER_DS: u16 = 0x2b;
/// Linux's descriptors, as far as programs can tell: kernel's code and data, user's 32-bit code, data and code, the task
/// state segment, and a data segment that tells the processor's number.
pub(crate) const GDT: [u64; 16] = [
    0,
    0x00cf_9b00_0000_ffff,
    0x00af_9b00_0000_ffff,
    0x00cf_9300_0000_ffff,
    0x00cf_fb00_0000_ffff,
    0x00cf_f300_0000_ffff,
    0x00af_fb00_0000_ffff,
    0,
    0x0000_8b00_0000_206f,
    0,
    0,
    0,
    0,
    0,
    0,
    0x0040_f500_0000_0000,
];
/// 32-bit code of ring 3, which the core does not execute.
const USER32_CS: u16 = 0x23;

/// A selector for a data segment: null, the user's, others that may be read, and all kinds that may not.
fn data(rng: &mut Rng) -> u16 {
    match rng.below(4) {
        0 => 0,
        1 => USER_DS,
        2 => rng.pick(&[USER_CS, USER32_CS, 0x28, 0x29, 0x2a, 0x30, 0x7b, 0x78]),
        _ => rng.pick(&[0x08, 0x10, 0x13, 0x18, 0x1b, 0x38, 0x40, 0x43, 0x50, 0x63, 0x80, 0x83, 4, 7, 0x2f, 0xffff]),
    }
}

/// A selector for a code segment: mostly the user's.
fn code(rng: &mut Rng) -> u16 {
    match rng.below(4) {
        0 => rng.pick(&[0, 3, 0x30, 0x10, 0x13, 0x08, 0x2b, 0x43, 0x40, 0x63, 0x80, 0x37, 4, 0xffff]),
        _ => USER_CS,
    }
}

/// A selector for the stack.
fn stack(rng: &mut Rng) -> u16 {
    if rng.one_in(4) { data(rng) } else { USER_DS }
}

/// Random selectors of ds, es, fs and gs. (None is null with a privilege level: returns from the kernel may clear those.)
pub(crate) fn selectors(rng: &mut Rng) -> [u16; 4] {
    if rng.one_in(8) { [(); 4].map(|()| rng.pick(&[0, USER_DS, USER_CS])) } else { [0; 4] }
}

/// Sets the selectors that an instruction reads, and the addresses beside them.
pub(crate) fn prepare(i: &Instruction, state: &mut State, rng: &mut Rng) {
    let target = (i.ip() & !0xff) + TARGET as u64;
    let top = state.gpr[4];
    // The size of each item that a far return pops.
    let item = i.code().op_code().operand_size() as u64 / 8;
    match i.mnemonic() {
        M::Mov if i.op_kind(0) == OpKind::Register && i.op0_register().is_segment_register() => {
            let selector = if i.op0_register() == Register::SS { stack(rng) } else { data(rng) };
            match i.op1_kind() {
                OpKind::Register => {
                    let register = &mut state.gpr[i.op1_register().full_register().number()];
                    *register = *register & !0xffff | u64::from(selector);
                }
                _ => poke_operand(i, state, 0, &selector.to_le_bytes()),
            }
        }
        M::Lar | M::Lsl | M::Verr | M::Verw => {
            // The limit of the last descriptor is the processor's number.
            let selector = match data(rng) {
                0x78 | 0x7b => USER_DS,
                selector => selector,
            };
            match i.op_kind(i.op_count() - 1) {
                OpKind::Register => {
                    let register = &mut state.gpr[i.op_register(i.op_count() - 1).full_register().number()];
                    *register = *register & !0xffff | u64::from(selector);
                }
                _ => poke_operand(i, state, 0, &selector.to_le_bytes()),
            }
        }
        M::Pop if i.op_kind(0) == OpKind::Register && i.op0_register().is_segment_register() => {
            state.poke(top, &data(rng).to_le_bytes());
        }
        M::Lfs | M::Lgs => poke_operand(i, state, i.memory_size().size() as u64 - 2, &data(rng).to_le_bytes()),
        M::Lss => poke_operand(i, state, i.memory_size().size() as u64 - 2, &stack(rng).to_le_bytes()),
        M::Call | M::Jmp if i.is_call_far_indirect() || i.is_jmp_far_indirect() => {
            poke_operand(i, state, 0, &target.to_le_bytes());
            poke_operand(i, state, i.memory_size().size() as u64 - 2, &code(rng).to_le_bytes());
        }
        M::Retf => {
            state.poke(top, &target.to_le_bytes());
            state.poke(top + item, &u64::from(code(rng)).to_le_bytes());
        }
        M::Iret | M::Iretd | M::Iretq => {
            // Neither single steps nor alignment checks: those would be traps of what comes after.
            let flags = rng.next() & !0x4_0100;
            let rsp = DATA + 0x1000 + rng.below(64);
            let frame = [target, code(rng).into(), flags, rsp, stack(rng).into()];
            for (at, value) in (top..).step_by(item as usize).zip(frame) {
                state.poke(at, &value.to_le_bytes());
            }
        }
        _ => {}
    }
}

fn poke_operand(i: &Instruction, state: &mut State, offset: u64, bytes: &[u8]) {
    if let Some(start) = operand_address(i, state) {
        state.poke(start.wrapping_add(offset), bytes);
    }
}
