//! Random instructions of a given [`Code`]: operands, prefixes, and the state that makes them meaningful.
//!
//! An instruction is made by iced-x86's encoder, sometimes given a prefix more, and then taken as its decoder reads it.
//! Addresses are chosen first; the registers that they are made of are set to match.

use iced_x86::{
    Code, Decoder, DecoderOptions, Encoder, EncodingKind, FlowControl, Instruction, Mnemonic, OpCodeInfo,
    OpCodeOperandKind as Kind, OpKind, Register, RoundingControl,
};

use crate::compare::operand_address;
use crate::native::{avx_512, is_intel};
use crate::rng::{Pool, Rng};
use crate::segments;
use crate::state::{AVX_512, DATA, State, TARGET, USUAL, WINDOWS, XSAVE_AVX, at, field, image, put, window};
use crate::tolerance::{approximated, mxcsr_offset};

/// rax, rcx … as `State::gpr` has them.
const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const RSP: usize = 4;
const RSI: usize = 6;
const RDI: usize = 7;

/// The memory that programs use.
pub(crate) const PINNED: u64 = DATA + 0x1000;

/// The bytes of an instruction, and what they are at their address.
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) instruction: Instruction,
}

/// What limits the choice of operands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Anything goes.
    Free,
    /// In a program: memory only around `PINNED`, where r14 points, with r13 as a small index. Few registers.
    Pinned,
}

/// An instruction of a code, at an address whose slot ends in a branch target; or none if this try was a bad one.
pub(crate) fn encode(code: Code, ip: u64, target: u64, form: Form, rng: &mut Rng) -> Option<Encoded> {
    let template = template(code, target, form, rng)?;
    let decode = |bytes: &[u8]| {
        let i = Decoder::with_ip(64, bytes, ip, DecoderOptions::NONE).decode();
        (i.code() == code && i.len() == bytes.len()).then_some(Encoded { bytes: bytes.to_vec(), instruction: i })
    };
    // What is ignored may be anything: W, and the length of scalars.
    let ignored = if is_evex(code) { (rng.below(2) as u32, rng.below(3) as u32) } else { (0, 0) };
    let encode_at = |ip: u64| {
        let mut encoder = Encoder::try_new(64).ok()?;
        encoder.set_evex_wig(ignored.0);
        if template.rounding_control() == RoundingControl::None {
            encoder.set_evex_lig(ignored.1);
        }
        encoder.encode(&template, ip).ok()?;
        Some(encoder.take_buffer())
    };
    if form == Form::Free && rng.one_in(8) {
        // Mostly such a prefix means nothing. Where it does, the decoder knows; but on branches 66h is the maker's choice.
        let prefix = rng.pick(&[0x2e, 0x3e, 0x26, 0x36, 0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3]);
        let branch = template.flow_control() != FlowControl::Next;
        if !(branch && prefix == 0x66)
            && let Some(mut bytes) = encode_at(ip + 1)
        {
            bytes.insert(0, prefix);
            if let Some(encoded) = decode(&bytes) {
                return Some(encoded);
            }
        }
    }
    decode(&encode_at(ip)?)
}

fn template(code: Code, target: u64, form: Form, rng: &mut Rng) -> Option<Instruction> {
    let op_code = code.op_code();
    let mut i = Instruction::new();
    i.set_code(code);
    let mut in_memory = false;
    let vectors = if is_evex(code) { 32 } else { 16 };
    for n in 0..op_code.op_count() {
        let as_memory = rng.one_in(2);
        let mut reg = |first: Register, count: u64| {
            // In a program few, so that results are used.
            let few = form == Form::Pinned && !rng.one_in(4);
            let number = match count {
                20 if few => rng.pick(&[0, 2, 3, 4, 6, 7]),
                16 if few => rng.pick(&[0, 1, 2, 3, 6]),
                _ if few => rng.below(3),
                _ => rng.below(count),
            };
            Operand::Register(first + number as u32)
        };
        let operand = match op_code.op_kind(n) {
            Kind::r8_or_mem | Kind::r8_reg | Kind::r8_opcode if !as_memory || op_code.op_kind(n) != Kind::r8_or_mem => {
                reg(Register::AL, 20)
            }
            Kind::r16_or_mem if !as_memory => reg(Register::AX, 16),
            Kind::r32_or_mem if !as_memory => reg(Register::EAX, 16),
            Kind::r64_or_mem if !as_memory => reg(Register::RAX, 16),
            Kind::mm_or_mem if !as_memory => reg(Register::MM0, 8),
            Kind::xmm_or_mem if !as_memory => reg(Register::XMM0, vectors),
            Kind::ymm_or_mem if !as_memory => reg(Register::YMM0, vectors),
            Kind::zmm_or_mem if !as_memory => reg(Register::ZMM0, vectors),
            Kind::k_or_mem if !as_memory => reg(Register::K0, 8),
            Kind::r8_or_mem
            | Kind::r16_or_mem
            | Kind::r32_or_mem
            | Kind::r64_or_mem
            | Kind::mm_or_mem
            | Kind::xmm_or_mem
            | Kind::ymm_or_mem
            | Kind::zmm_or_mem
            | Kind::k_or_mem
            | Kind::mem => Operand::Memory,
            Kind::mem_offs => Operand::Offset,
            Kind::mem_vsib32x | Kind::mem_vsib64x => Operand::Vsib(Register::XMM0),
            Kind::mem_vsib32y | Kind::mem_vsib64y => Operand::Vsib(Register::YMM0),
            Kind::mem_vsib32z | Kind::mem_vsib64z => Operand::Vsib(Register::ZMM0),
            Kind::r16_reg | Kind::r16_reg_mem | Kind::r16_rm | Kind::r16_opcode => reg(Register::AX, 16),
            Kind::r32_reg | Kind::r32_reg_mem | Kind::r32_rm | Kind::r32_opcode | Kind::r32_vvvv => {
                reg(Register::EAX, 16)
            }
            Kind::r64_reg | Kind::r64_reg_mem | Kind::r64_rm | Kind::r64_opcode | Kind::r64_vvvv => {
                reg(Register::RAX, 16)
            }
            Kind::mm_reg | Kind::mm_rm => reg(Register::MM0, 8),
            Kind::xmm_reg | Kind::xmm_rm | Kind::xmm_vvvv | Kind::xmm_is4 => reg(Register::XMM0, vectors),
            Kind::ymm_reg | Kind::ymm_rm | Kind::ymm_vvvv | Kind::ymm_is4 => reg(Register::YMM0, vectors),
            Kind::zmm_reg | Kind::zmm_rm | Kind::zmm_vvvv => reg(Register::ZMM0, vectors),
            Kind::k_reg | Kind::k_rm | Kind::k_vvvv => reg(Register::K0, 8),
            Kind::sti_opcode => reg(Register::ST0, 8),
            Kind::seg_reg => reg(Register::ES, 6),
            Kind::cr_reg => Operand::Register(rng.pick(&[Register::CR0, Register::CR2, Register::CR3, Register::CR4])),
            Kind::dr_reg => reg(Register::DR0, 8),
            Kind::al => Operand::Register(Register::AL),
            Kind::cl => Operand::Register(Register::CL),
            Kind::ax => Operand::Register(Register::AX),
            Kind::dx => Operand::Register(Register::DX),
            Kind::eax => Operand::Register(Register::EAX),
            Kind::rax => Operand::Register(Register::RAX),
            Kind::st0 => Operand::Register(Register::ST0),
            Kind::fs => Operand::Register(Register::FS),
            Kind::gs => Operand::Register(Register::GS),
            Kind::imm8 if n > 0 && matches!(op_code.op_kind(n - 1), Kind::imm16 | Kind::imm8) => {
                // ENTER's nesting level: the stack that it copies must be in the window.
                i.set_op_kind(n, OpKind::Immediate8_2nd);
                i.set_immediate8_2nd(rng.below(4) as u8);
                continue;
            }
            Kind::imm8 if code.mnemonic() == Mnemonic::Int => {
                // A system call would be the host's, and ours ends the case.
                let vector = rng.below(256) as u8;
                i.set_op_kind(n, OpKind::Immediate8);
                i.set_immediate8(if vector == 0x80 { 3 } else { vector });
                continue;
            }
            Kind::imm8 => Operand::Immediate(OpKind::Immediate8),
            Kind::imm8_const_1 => {
                i.set_op_kind(n, OpKind::Immediate8);
                i.set_immediate8(1);
                continue;
            }
            Kind::imm4_m2z => Operand::Immediate(OpKind::Immediate8),
            Kind::imm8sex16 => Operand::Immediate(OpKind::Immediate8to16),
            Kind::imm8sex32 => Operand::Immediate(OpKind::Immediate8to32),
            Kind::imm8sex64 => Operand::Immediate(OpKind::Immediate8to64),
            Kind::imm16 => Operand::Immediate(OpKind::Immediate16),
            Kind::imm32 => Operand::Immediate(OpKind::Immediate32),
            Kind::imm32sex64 => Operand::Immediate(OpKind::Immediate32to64),
            Kind::imm64 => Operand::Immediate(OpKind::Immediate64),
            Kind::seg_rSI => Operand::Implied(OpKind::MemorySegRSI, OpKind::MemorySegESI),
            Kind::es_rDI => Operand::Implied(OpKind::MemoryESRDI, OpKind::MemoryESEDI),
            Kind::seg_rDI => Operand::Implied(OpKind::MemorySegRDI, OpKind::MemorySegEDI),
            Kind::seg_rBX_al => {
                i.set_op_kind(n, OpKind::Memory);
                i.set_memory_base(if rng.one_in(8) { Register::EBX } else { Register::RBX });
                i.set_memory_index(Register::AL);
                continue;
            }
            Kind::br64_1 | Kind::br64_4 => {
                i.set_op_kind(n, OpKind::NearBranch64);
                i.set_near_branch64(target);
                continue;
            }
            _ => return None,
        };
        match operand {
            Operand::Register(register) => {
                i.set_op_kind(n, OpKind::Register);
                i.set_op_register(n, register);
            }
            Operand::Immediate(kind) => {
                i.set_op_kind(n, kind);
                immediate(&mut i, kind, rng);
                if code.mnemonic() == Mnemonic::Enter && !rng.one_in(8) {
                    i.set_immediate16(rng.below(200) as u16);
                }
            }
            Operand::Implied(wide, narrow) => {
                // All implied operands of an instruction have one address size.
                let narrow_before = (0..n)
                    .any(|n| matches!(i.op_kind(n), OpKind::MemorySegESI | OpKind::MemoryESEDI | OpKind::MemorySegEDI));
                let first = !(0..n).any(|n| matches!(i.op_kind(n), OpKind::MemorySegRSI | OpKind::MemoryESRDI));
                i.set_op_kind(n, if narrow_before || first && rng.one_in(8) { narrow } else { wide });
            }
            Operand::Memory => {
                in_memory = true;
                i.set_op_kind(n, OpKind::Memory);
                if op_code.can_broadcast() && rng.one_in(2) {
                    i.set_is_broadcast(true);
                }
                memory(&mut i, form, rng);
            }
            Operand::Offset => {
                in_memory = true;
                i.set_op_kind(n, OpKind::Memory);
                let narrow = rng.one_in(4);
                i.set_memory_displ_size(if narrow { 4 } else { 8 });
                i.set_memory_displacement64(address(8, rng) & if narrow { 0xffff_ffff } else { u64::MAX });
            }
            Operand::Vsib(first) => {
                in_memory = true;
                i.set_op_kind(n, OpKind::Memory);
                i.set_memory_base(Register::RAX + rng.below(16) as u32);
                i.set_memory_index(first + rng.below(vectors) as u32);
                i.set_memory_index_scale(1 << rng.below(4));
                i.set_memory_displ_size(1);
                i.set_memory_displacement64((i64::from(rng.next() as i8) * displacement_unit(&i, rng)) as u64);
            }
        }
    }
    if is_evex(code) {
        decorate(&mut i, op_code, in_memory, form, rng);
    }
    if form == Form::Free {
        if op_code.can_use_lock_prefix() && i.op0_kind() == OpKind::Memory && rng.one_in(4) {
            i.set_has_lock_prefix(true);
        }
        if op_code.can_use_rep_prefix() && rng.one_in(2) {
            i.set_has_rep_prefix(true);
        } else if op_code.can_use_repne_prefix() && rng.one_in(2) {
            i.set_has_repne_prefix(true);
        }
        if in_memory && rng.one_in(6) {
            i.set_segment_prefix(Register::ES + rng.below(6) as u32);
        }
    }
    Some(i)
}

/// Whether it has an EVEX prefix.
pub(crate) fn is_evex(code: Code) -> bool {
    code.op_code().encoding() == EncodingKind::EVEX
}

/// Gives an instruction with an EVEX prefix what that has beside operands: an opmask, and how to round.
fn decorate(i: &mut Instruction, op_code: &OpCodeInfo, in_memory: bool, form: Form, rng: &mut Rng) {
    if op_code.can_use_op_mask_register() && (op_code.require_op_mask_register() || !rng.one_in(4)) {
        let count = if form == Form::Pinned && !rng.one_in(4) { 3 } else { 7 };
        i.set_op_mask(Register::K1 + rng.below(count) as u32);
        i.set_zeroing_masking(op_code.can_use_zeroing_masking() && rng.one_in(2));
    }
    if in_memory || rng.one_in(2) {
        return;
    }
    if op_code.can_use_rounding_control() {
        use RoundingControl as R;
        i.set_rounding_control(rng.pick(&[R::RoundToNearest, R::RoundDown, R::RoundUp, R::RoundTowardZero]));
    } else if op_code.can_suppress_all_exceptions() {
        i.set_suppress_all_exceptions(true);
    }
}

/// What a short displacement counts in, mostly: an EVEX prefix compresses multiples of what is accessed.
fn displacement_unit(i: &Instruction, rng: &mut Rng) -> i64 {
    if !is_evex(i.code()) || rng.one_in(4) {
        return 1;
    }
    let size = if i.is_vsib() { i.memory_size().element_size() } else { i.memory_size().size() };
    size.max(1) as i64
}

enum Operand {
    Register(Register),
    Immediate(OpKind),
    /// Addressed by rsi or rdi; by esi or edi.
    Implied(OpKind, OpKind),
    Memory,
    Offset,
    Vsib(Register),
}

fn immediate(i: &mut Instruction, kind: OpKind, rng: &mut Rng) {
    let value = rng.integer();
    match kind {
        OpKind::Immediate8 => i.set_immediate8(value as u8),
        OpKind::Immediate8to16 => i.set_immediate8to16(i16::from(value as i8)),
        OpKind::Immediate8to32 => i.set_immediate8to32(i32::from(value as i8)),
        OpKind::Immediate8to64 => i.set_immediate8to64(i64::from(value as i8)),
        OpKind::Immediate16 => i.set_immediate16(value as u16),
        OpKind::Immediate32 => i.set_immediate32(value as u32),
        OpKind::Immediate32to64 => i.set_immediate32to64(i64::from(value as i32)),
        _ => i.set_immediate64(value),
    }
}

/// A memory operand's form.
fn memory(i: &mut Instruction, form: Form, rng: &mut Rng) {
    if form == Form::Pinned {
        let aligned = if rng.one_in(8) { 0xff } else { 0xe0 };
        let displacement = (rng.next() as u8 & aligned) as i8 as u64;
        match rng.below(8) {
            0 => {
                let base = rng.pick(&[Register::RIP, Register::None]);
                i.set_memory_base(base);
                i.set_memory_displ_size(8);
                i.set_memory_displacement64(PINNED.wrapping_add(displacement));
                return;
            }
            1 | 2 => {
                i.set_memory_index(Register::R13);
                i.set_memory_index_scale(1 << rng.below(4));
            }
            _ => {}
        }
        i.set_memory_base(Register::R14);
        i.set_memory_displ_size(1);
        i.set_memory_displacement64(displacement);
        return;
    }
    let narrow = rng.one_in(8);
    let (registers, wide) = if narrow { (Register::EAX, 4) } else { (Register::RAX, 8) };
    let unit = displacement_unit(i, rng);
    let small = |rng: &mut Rng| i64::from(rng.next() as i8) * unit;
    let size = if is_evex(i.code()) { i.memory_size().size().max(16) as u64 } else { 16 };
    match rng.below(10) {
        0 => {
            i.set_memory_base(if narrow { Register::EIP } else { Register::RIP });
            i.set_memory_displ_size(wide);
            i.set_memory_displacement64(address(size, rng) & 0x7fff_ffff);
        }
        1 => {
            i.set_memory_displ_size(wide);
            i.set_memory_displacement64(address(size, rng) & 0x7fff_ffff);
        }
        kind => {
            i.set_memory_base(registers + rng.below(16) as u32);
            if kind < 5 {
                let index = rng.below(16) as u32;
                if index != 4 {
                    i.set_memory_index(registers + index);
                    i.set_memory_index_scale(1 << rng.below(4));
                }
            }
            let mask = if narrow { 0xffff_ffff } else { u64::MAX };
            match rng.below(3) {
                0 => {}
                1 => {
                    i.set_memory_displ_size(1);
                    i.set_memory_displacement64(small(rng) as u64 & mask);
                }
                _ => {
                    i.set_memory_displ_size(wide);
                    i.set_memory_displacement64(i64::from(rng.next() as i32) as u64 & mask);
                }
            }
        }
    }
}

/// Where an operand of `size` bytes may be: mostly in a window, aligned or not; at and over borders; nowhere.
fn address(size: u64, rng: &mut Rng) -> u64 {
    let window = (DATA + WINDOWS[0].0 as u64, WINDOWS[0].1 as u64);
    let near = |border: u64, rng: &mut Rng| border - rng.below(size + 1);
    match rng.below(32) {
        0 | 1 => near(DATA + 0x1000, rng),
        2 => near(DATA + 0x2000, rng),
        3 => near(DATA + 0x3000, rng),
        4 => match rng.below(3) {
            0 => 1 << 47 | rng.below(64),
            1 => 1 << 63 | rng.next() >> 1,
            _ => DATA + 0x2000 + rng.below(0x1000 - size),
        },
        5..12 => window.0 + rng.below(window.1 - size),
        _ => window.0 + (rng.below(window.1 - size) & !63 | (rng.below(64) & !(size.max(1).next_power_of_two() - 1))),
    }
}

/// Sets the registers that the instruction's addresses are made of, and what else it needs to mean something.
pub(crate) fn prepare(i: &Instruction, state: &mut State, rng: &mut Rng, pool: &Pool) {
    prepare_values(i, state, rng);
    let sourced = (0..i.op_count()).any(|n| matches!(i.op_kind(n), OpKind::MemorySegRSI | OpKind::MemorySegESI));
    if sourced {
        state.gpr[RSI] = address(8, rng);
    }
    for n in 0..i.op_count() {
        match i.op_kind(n) {
            OpKind::Memory if i.mnemonic() != Mnemonic::Lea => prepare_memory(i, state, rng, pool),
            OpKind::MemoryESRDI | OpKind::MemoryESEDI | OpKind::MemorySegRDI | OpKind::MemorySegEDI => {
                state.gpr[RDI] = if sourced && rng.one_in(4) {
                    state.gpr[RSI].wrapping_add(rng.below(64))
                } else {
                    address(16, rng)
                };
            }
            _ => {}
        }
    }
    if i.flow_control() != FlowControl::Next {
        prepare_branch(i, state, rng);
    }
    segments::prepare(i, state, rng);
}

fn prepare_values(i: &Instruction, state: &mut State, rng: &mut Rng) {
    use Mnemonic as M;
    if i.is_string_instruction() {
        // So few that they stay near the window, in either direction.
        let most = rng.pick(&[100, 12, 12]);
        state.gpr[RCX] = rng.below(most);
    }
    match i.mnemonic() {
        M::Div | M::Idiv if rng.one_in(2) => state.gpr[RDX] = if rng.one_in(2) { 0 } else { rng.below(100) },
        M::Bt | M::Bts | M::Btr | M::Btc if i.op0_kind() == OpKind::Memory && i.op1_kind() == OpKind::Register => {
            let number = i.op1_register().full_register().number();
            let bits = 8 * i.op1_register().size();
            let offset = rng.below(1000).wrapping_sub(500);
            state.gpr[number] = if bits == 64 { offset } else { offset & ((1 << bits) - 1) | rng.next() << bits };
        }
        M::Cmpxchg if i.op0_kind() == OpKind::Register && rng.one_in(2) => {
            state.gpr[RAX] = state.gpr[i.op0_register().full_register().number()];
        }
        M::Xsave | M::Xsave64 | M::Xsavec | M::Xsavec64 | M::Xsaveopt | M::Xsaveopt64 | M::Xrstor | M::Xrstor64 => {
            // Components that host and core both have.
            state.gpr[RAX] = rng.below(8);
            state.gpr[RDX] = 0;
            if common_components(state) & u64::from(AVX_512) != 0 && rng.one_in(2) {
                state.gpr[RAX] |= rng.next() & u64::from(AVX_512);
            }
        }
        M::Popf | M::Popfq | M::Popfd => {
            // Neither single steps nor alignment checks: those would be traps of what comes after.
            let flags = rng.next() & !0x0004_0100;
            state.poke(state.gpr[RSP], &flags.to_le_bytes());
        }
        M::Xgetbv => state.gpr[RCX] = rng.below(2),
        _ => {}
    }
}

fn prepare_memory(i: &Instruction, state: &mut State, rng: &mut Rng, pool: &Pool) {
    use Mnemonic as M;
    let (base, index) = (i.memory_base(), i.memory_index());
    let large = matches!(
        i.mnemonic(),
        M::Fxsave
            | M::Fxsave64
            | M::Fxrstor
            | M::Fxrstor64
            | M::Xsave
            | M::Xsave64
            | M::Xrstor
            | M::Xrstor64
            | M::Xsavec
            | M::Xsavec64
            | M::Xsaveopt
            | M::Xsaveopt64
    );
    let mut target = if large {
        DATA + WINDOWS[0].0 as u64 + if rng.one_in(16) { rng.below(192) } else { 64 * rng.below(3) }
    } else {
        address(i.memory_size().size().max(1) as u64, rng)
    };
    if matches!(i.mnemonic(), M::Bt | M::Bts | M::Btr | M::Btc) && i.op1_kind() == OpKind::Register {
        target = DATA + 0x1000 + 8 * rng.below(32) - 128 + if rng.one_in(4) { rng.below(8) } else { 0 };
    }
    if i.is_vsib() {
        gather(i, state, rng);
        target = DATA + 0x1000;
    } else if i.op_mask() != Register::None && rng.one_in(4) {
        target = masked_border(i, state, rng);
    }
    let segment = match i.segment_prefix() {
        Register::FS => state.fs,
        Register::GS => state.gs,
        _ => 0,
    };
    let value = |register: Register, state: &State| {
        let value = if register.is_gpr() { state.gpr[register.full_register().number()] } else { 0 };
        if register.is_gpr32() { value & 0xffff_ffff } else { value }
    };
    let scaled = if index == Register::AL {
        state.gpr[RAX] & 0xff
    } else {
        value(index, state).wrapping_mul(u64::from(i.memory_index_scale()))
    };
    // An instruction that pushes or pops keeps its stack.
    let stack = i.is_stack_instruction() && base.full_register() == Register::RSP;
    if base.is_gpr() && base.full_register() != index.full_register() && !stack {
        state.gpr[base.full_register().number()] =
            target.wrapping_sub(segment).wrapping_sub(scaled).wrapping_sub(i.memory_displacement64());
    }
    if matches!(i.mnemonic(), M::Fxrstor | M::Fxrstor64 | M::Xrstor | M::Xrstor64) && !rng.one_in(8) {
        let mut restored = image(rng, pool);
        let others = if state.has_avx_512() { rng.next() as u8 & AVX_512 } else { 0 };
        restored[at::IN_USE] = rng.below(8) as u8 | others;
        if rng.one_in(16) {
            restored[at::IN_USE + rng.below(64) as usize] |= rng.next() as u8;
        }
        state.poke(target, &restored);
    }
    if matches!(i.mnemonic(), M::Fldenv | M::Frstor | M::Fldcw) && !rng.one_in(4) {
        let restored = image(rng, pool);
        state.poke(target, &restored[..2]);
        if i.mnemonic() != M::Fldcw {
            // The status word is the second of the environment's fields, of 16 or 32 bits.
            let field = if matches!(i.memory_size().size(), 28 | 108) { 4 } else { 2 };
            state.poke(target + field, &restored[2..4]);
        }
    }
    if matches!(i.mnemonic(), M::Ldmxcsr | M::Vldmxcsr) && !rng.one_in(8) {
        let restored = image(rng, pool);
        state.poke(target, &restored[at::MXCSR..at::MXCSR + 4]);
    }
    if matches!(i.mnemonic(), M::Cmpxchg8b | M::Cmpxchg16b) && rng.one_in(2) {
        let half = i.memory_size().size() / 2;
        let [low, high] = [RAX, RDX].map(|register| state.gpr[register].to_le_bytes());
        state.poke(target, &low[..half]);
        state.poke(target + half as u64, &high[..half]);
    }
    if i.mnemonic() == M::Cmpxchg && rng.one_in(2) {
        let accumulator = state.gpr[RAX].to_le_bytes();
        state.poke(target, &accumulator[..i.memory_size().size()]);
    }
}

/// Whether running it says something about it alone: its memory operand is in the data or where nobody has memory, and
/// what is written without being compared is within the windows.
pub(crate) fn is_fair(i: &Instruction, state: &State) -> bool {
    use Mnemonic as M;
    let Some(address) = operand_address(i, state) else { return true };
    if i.mnemonic() == M::Lea {
        return true;
    }
    // What is loaded into MXCSR is known, or not there.
    if let Some(at) = mxcsr_offset(i).map(|offset| address.wrapping_add(offset + 2))
        && window(at).is_none()
        && (DATA..DATA + 0x3000).contains(&at)
    {
        return false;
    }
    let size = match i.mnemonic() {
        M::Fxsave | M::Fxsave64 => 512,
        M::Xsave | M::Xsave64 | M::Xsavec | M::Xsavec64 | M::Xsaveopt | M::Xsaveopt64 => XSAVE_AVX as u64,
        M::Fnsave | M::Fnstenv => i.memory_size().size() as u64,
        _ => 0,
    };
    // The address may have taken the register that names the components; the host has more of them.
    let (saves, restores) = (size == XSAVE_AVX as u64, matches!(i.mnemonic(), M::Xrstor | M::Xrstor64));
    let others = state.gpr[RAX] & !common_components(state);
    if (saves || restores && is_intel()) && (others != 0 || state.gpr[RDX] != 0) {
        return false;
    }
    if restores && avx_512().is_some() && others & u64::from(AVX_512) != 0 {
        return false;
    }
    let data = DATA - 0x1000..DATA + 0x4000;
    let size = match approximated(i) {
        // What is approximated is known, if the host's table is another than the core's.
        Some(_) if is_intel() => i.memory_size().size() as u64,
        _ => size,
    };
    let nowhere = address >> 47 != 0;
    // Its last byte is in the same window, or in the page that can't be written.
    let inside = |size: u64| match (window(address), window(address + size - 1)) {
        (Some(first), Some(last)) => last - first == size as usize - 1,
        _ => address + size > DATA + 0x2000,
    };
    nowhere || data.contains(&address) && (size == 0 || inside(size))
}

/// The components that host and core have at the same places.
fn common_components(state: &State) -> u64 {
    if is_intel() { USUAL.into() } else { state.xsave[at::IN_USE].into() }
}

/// An address at the border of what can be read, or written, for an operand with an opmask: one that mostly leaves out
/// what is beyond the border.
fn masked_border(i: &Instruction, state: &mut State, rng: &mut Rng) -> u64 {
    let (size, element) = (i.memory_size().size().max(1) as u64, i.memory_size().element_size().max(1) as u64);
    let unit = if rng.one_in(4) { 1 } else { element };
    // So many bytes are before the border.
    let before = unit * rng.below(size / unit + 1);
    let border = DATA + rng.pick(&[0, 0x2000, 0x2000, 0x3000]);
    let first =
        u32::try_from(before / element).ok().and_then(|count| 1u64.checked_shl(count)).map_or(u64::MAX, |bit| bit - 1);
    let inside = if border == DATA { !first } else { first };
    if !rng.one_in(4) {
        and_opmask(i, state, inside);
    }
    border - before
}

/// Clears bits of an instruction's opmask.
fn and_opmask(i: &Instruction, state: &mut State, mask: u64) {
    let at = at::opmask(i.op_mask().number());
    let value = field(&state.xsave, at, 8) as u64 & mask;
    put(&mut state.xsave, at, &value.to_le_bytes());
}

/// Sets a gather's or scatter's indices so that its elements are in the window.
fn gather(i: &Instruction, state: &mut State, rng: &mut Rng) {
    let number = i.memory_index().number();
    let wide = i.is_vsib64();
    let lane = |rng: &mut Rng| rng.below(64).wrapping_sub(32);
    let vector = |rng: &mut Rng| {
        let bits = if wide { 64 } else { 32 };
        (0..128 / bits).fold(0u128, |v, _| v << bits | u128::from(lane(rng)) & ((1 << bits) - 1))
    };
    for part in 0..if is_evex(i.code()) { 4 } else { 2 } {
        put(&mut state.xsave, at::vector(number, part), &vector(rng).to_le_bytes());
    }
    if is_evex(i.code()) && rng.one_in(4) {
        lead_astray(i, state, rng);
    }
}

/// Has one element of a gather or scatter be where nothing can be read, or nothing written; its opmask mostly leaves it
/// out.
fn lead_astray(i: &Instruction, state: &mut State, rng: &mut Rng) {
    let size = if i.is_vsib64() { 8 } else { 4 };
    let lane = rng.below(i.memory_index().size() as u64 / size);
    // Distances from where the elements are.
    let far = (rng.pick(&[0x1000, 0x2000]) + rng.below(0x800) * 2) / u64::from(i.memory_index_scale());
    let left_out = !rng.one_in(8);
    let index = if left_out && rng.one_in(2) { rng.next() } else { far };
    let (part, within) = ((lane * size / 16) as usize, (lane * size % 16) as usize);
    let at = at::vector(i.memory_index().number(), part) + within;
    put(&mut state.xsave, at, &index.to_le_bytes()[..size as usize]);
    if left_out {
        and_opmask(i, state, !(1 << lane));
    }
}

/// Sends a branch by register or memory to the target.
fn prepare_branch(i: &Instruction, state: &mut State, rng: &mut Rng) {
    let target = (i.ip() & !0xff) + TARGET as u64;
    match i.flow_control() {
        FlowControl::Return => {
            state.poke(state.gpr[RSP], &target.to_le_bytes());
        }
        FlowControl::IndirectBranch | FlowControl::IndirectCall => match i.op0_kind() {
            OpKind::Register => state.gpr[i.op0_register().full_register().number()] = target,
            _ => {
                let value = |r: Register, _: usize, _: usize| {
                    Some(match r {
                        Register::None | Register::ES | Register::CS | Register::SS | Register::DS => 0,
                        Register::FS => state.fs,
                        Register::GS => state.gs,
                        r => state.gpr[r.full_register().number()] & if r.size() == 4 { 0xffff_ffff } else { u64::MAX },
                    })
                };
                if let Some(at) = i.virtual_address(0, 0, value) {
                    state.poke(at, &target.to_le_bytes());
                }
            }
        },
        _ => {}
    }
    if i.is_loop() || i.is_loopcc() || i.is_jcx_short() {
        state.gpr[RCX] = rng.below(3) | if rng.one_in(4) { 1 << 32 } else { 0 };
    }
}
