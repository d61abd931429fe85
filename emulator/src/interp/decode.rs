//! From bytes to operations: iced-x86 decodes, then operands are packed and the executing function is selected.

use iced_x86::{Decoder, DecoderError, DecoderOptions, EncodingKind, Instruction, OpKind, Register};

use crate::cpuid;
use crate::seg;

use super::op::{End, Exec, Num, Op, Step, Stop};
use super::units::Target;
use super::{core::Core, int, sse, x87};

/// What the bytes at an address are. It fits in a register.
pub(crate) enum Decoded {
    /// An instruction. Its operation is where it was asked for, ready to run; its offset is not set.
    Op {
        /// Its length in bytes.
        len: u8,
        /// Nothing after it is decoded with it: it branches, or changes what decoding depends on.
        ends_block: bool,
        /// It is a branch whose target is always the same: `Op::disp`.
        branches: bool,
    },
    /// It goes on beyond the bytes given.
    Truncated,
}

/// Decodes the decoder's next instruction, whose bytes, and all that follow, are `bytes`. What iced-x86 and we make of it is
/// left in place: copying what was just written in small parts takes as long as decoding.
pub(crate) fn decode(
    target: Target,
    decoder: &mut Decoder<'_>,
    bytes: &[u8],
    instruction: &mut Instruction,
    op: &mut Op,
) -> Decoded {
    let ip = decoder.ip();
    decoder.decode_out(instruction);
    if instruction.is_invalid() {
        if decoder.last_error() == DecoderError::NoMoreBytes && bytes.len() < 15 {
            return Decoded::Truncated;
        }
        *op = pack(instruction, called, if goes_on(bytes) { too_long } else { undefined });
        return Decoded::Op { len: instruction.len().max(1) as u8, ends_block: true, branches: false };
    }
    let ends_block;
    (*op, ends_block) = ready(target, instruction);
    if let Some(place) = x87::place(ip, &bytes[..instruction.len()]) {
        op.imm = place;
    }
    let branches = int::branches_directly(instruction);
    if branches {
        op.disp = instruction.near_branch_target();
    }
    Decoded::Op { len: instruction.len() as u8, ends_block, branches }
}

/// An instruction's operation, and whether nothing after it is decoded with it.
pub(super) fn ready(target: Target, instruction: &Instruction) -> (Op, bool) {
    let action = if cpuid::has(target.model, instruction) { select(instruction) } else { None };
    let action = action.map(|action| target.units.refusal(instruction).map_or(action, |refusal| (called, refusal)));
    let ends_block = action.is_none() || int::ends_block(instruction);
    let (step, exec) = action.unwrap_or((called, missing));
    (pack(instruction, step, exec), ends_block)
}

/// What executes an instruction, if it is one of ours.
pub(super) fn select(instruction: &Instruction) -> Option<(Step, Exec)> {
    if let Some(step) = int::select_step(instruction).or_else(|| sse::select_step(instruction)) {
        return Some((step, undefined));
    }
    let exec = int::select(instruction).or_else(|| sse::select(instruction));
    exec.map(|exec| (called as Step, exec)).or_else(|| x87::select(instruction))
}

/// An operation that has a function for itself alone.
pub(super) fn called(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    match (op.exec)(core, op) {
        Ok(()) => core.next(rest),
        Err(stop) => core.stopped(rest, stop),
    }
}

/// What there is before anything was decoded.
pub(super) const UNDEFINED: Op = Op {
    step: called,
    exec: undefined,
    imm: 0,
    disp: 0,
    base: Num::ZERO,
    index: Num::ZERO,
    scale: 0,
    dst: Num::N0,
    src: Num::N0,
    aux: Num::N0,
    offset: 0,
    before: 0,
};

/// No instruction at all.
pub(super) fn undefined(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    Err(core.ud())
}

/// Whether an instruction that iced-x86 takes for none has only too many bytes: whether it is one, or would go on, without
/// some of its prefixes.
fn goes_on(mut bytes: &[u8]) -> bool {
    const LONGEST: usize = 15;
    loop {
        let mut decoder = Decoder::new(64, bytes, DecoderOptions::NONE);
        if !decoder.decode().is_invalid() || decoder.last_error() == DecoderError::NoMoreBytes {
            return true;
        }
        let [0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3, rest @ ..] = bytes else { return false };
        if decoder.position() < LONGEST {
            return false;
        }
        bytes = rest;
    }
}

/// More than 15 bytes.
fn too_long(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    Err(core.gp())
}

/// An instruction that we don't have.
fn missing(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    Err(core.lacks())
}

/// A register's number as `Op` has it.
fn number(register: Register) -> Num {
    if register.is_gpr8() {
        // iced orders al, cl, dl, bl, ah, ch, dh, bh, spl, bpl, sil, dil, r8b …
        let n = register.number();
        return Num::new(match register {
            Register::AH | Register::CH | Register::DH | Register::BH => (n - 4) * 2 + 1,
            _ if n >= 8 => (n - 4) * 2,
            _ => n * 2,
        });
    }
    Num::new(register.number())
}

/// Packs the operands: all there are, whatever `exec` uses.
pub(crate) fn pack(instruction: &Instruction, step: Step, exec: Exec) -> Op {
    let mut op = Op { step, exec, ..UNDEFINED };
    op.set_seg(if instruction.is_stack_instruction() { seg::SS } else { seg::DS } as u8);
    let mut registers = [Num::N0; 3];
    let mut count = 0;
    for i in 0..instruction.op_count() {
        match instruction.op_kind(i) {
            OpKind::Register => {
                let register = number(instruction.op_register(i));
                match registers.get_mut(count) {
                    // A fourth operand has no other that is an immediate.
                    _ if i == 3 => op.imm = register as u64,
                    Some(slot) => {
                        *slot = register;
                        count += 1;
                    }
                    None => {}
                }
            }
            OpKind::Memory => pack_memory(instruction, &mut op),
            OpKind::MemorySegSI
            | OpKind::MemorySegDI
            | OpKind::MemorySegESI
            | OpKind::MemorySegEDI
            | OpKind::MemoryESEDI => {
                op.set_seg(segment(instruction.memory_segment().number(), Num::ZERO));
                op.scale |= Op::ADDRESS_32;
            }
            OpKind::MemorySegRSI | OpKind::MemorySegRDI => {
                op.set_seg(segment(instruction.memory_segment().number(), Num::ZERO));
            }
            OpKind::Immediate8_2nd => op.imm |= u64::from(instruction.immediate8_2nd()) << 32,
            _ => {
                if let Ok(imm) = instruction.try_immediate(i) {
                    op.imm = imm;
                }
            }
        }
    }
    if count == 2 {
        registers[2] = registers[1];
    }
    [op.dst, op.src, op.aux] = registers;
    if instruction.encoding() == EncodingKind::EVEX {
        op.imm = sse::EvexForm::of(instruction).bits();
    }
    if instruction.is_call_near() || instruction.is_call_near_indirect() {
        op.imm = instruction.next_ip();
    }
    op
}

/// The segment that an address is in. Prefixes of all but fs and gs mean nothing in 64-bit mode: whether a bad address is
/// #SS or #GP is then up to the base.
pub(super) fn segment(named: usize, base: Num) -> u8 {
    const RSP: Num = Num::N4;
    const RBP: Num = Num::N5;
    let segment = match (named, base) {
        (seg::FS | seg::GS, _) => named,
        (_, RSP | RBP) => seg::SS,
        _ => seg::DS,
    };
    segment as u8
}

fn pack_memory(instruction: &Instruction, op: &mut Op) {
    let (base, index) = (instruction.memory_base(), instruction.memory_index());
    // iced adds rip to the displacement of rip-relative operands.
    op.disp = instruction.memory_displacement64();
    if base.is_gpr() {
        op.base = Num::new(base.number());
    }
    // XLAT's index is al, which it adds itself.
    if index.is_gpr() && !index.is_gpr8() {
        op.index = Num::new(index.number());
    }
    if index.is_vector_register() {
        // Gathers have no immediate.
        op.imm = index.number() as u64;
    }
    op.scale |= instruction.memory_index_scale() as u8 & 15;
    let narrow = |register: Register| register.is_gpr32() || register == Register::EIP;
    if narrow(base)
        || narrow(index)
        || base == Register::None
            && (index == Register::None || index.is_vector_register())
            && instruction.memory_displ_size() == 4
            && op.disp >> 32 == 0
    {
        // A plain 32-bit displacement is zero-extended by the address-size prefix and sign-extended without; where it
        // was not negative both are the same.
        op.scale |= Op::ADDRESS_32;
    }
    op.set_seg(segment(instruction.memory_segment().number(), op.base));
}
