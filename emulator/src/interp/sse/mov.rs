//! Moves between registers, memory and general registers. Temporal hints change nothing here.

use iced_x86::{Code, Instruction, OpKind, Register};

use super::forms::{
    M8, M16, M32, M64, M128, M128U, Mm, R32, R64, Xmm, aligned, check_x87, int, int_imm, mmx, mmx_imm, rm,
};
use super::int::{BinaryImm, define_imm};
use super::lanes::{Lane, V, get, low, sign_bits, view, with};
use super::shuffle::{Copy, CopyLow, Movhigh, Movhlps, Movlow, Movss};
use crate::cpu::{reg, seg};
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};
use crate::memory::Word;

type Done = Result<(), Stop>;

/// The moves.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    use Code::*;
    let x: Exec = int::<Copy, Xmm>;
    Some(match i.code() {
        Movaps_xmm_xmmm128 | Movapd_xmm_xmmm128 | Movdqa_xmm_xmmm128 => rm(i, x, int::<Copy, M128>),
        Movaps_xmmm128_xmm | Movapd_xmmm128_xmm | Movdqa_xmmm128_xmm => rm(i, x, store_aligned),
        Movups_xmm_xmmm128 | Movupd_xmm_xmmm128 | Movdqu_xmm_xmmm128 => rm(i, x, int::<Copy, M128U>),
        Movups_xmmm128_xmm | Movupd_xmmm128_xmm | Movdqu_xmmm128_xmm => rm(i, x, store_unaligned),
        Lddqu_xmm_m128 => int::<Copy, M128U>,
        Movntdqa_xmm_m128 => int::<Copy, M128>,
        Movntps_m128_xmm | Movntpd_m128_xmm | Movntdq_m128_xmm => store_aligned,
        Movss_xmm_xmmm32 => rm(i, int::<Movss, Xmm>, int::<Copy, M32>),
        Movss_xmmm32_xmm => rm(i, int::<Movss, Xmm>, store_low::<u32>),
        Movsd_xmm_xmmm64 => rm(i, int::<Movlow, Xmm>, int::<Copy, M64>),
        Movsd_xmmm64_xmm => rm(i, int::<Movlow, Xmm>, store_low::<u64>),
        Movlps_xmm_m64 | Movlpd_xmm_m64 => int::<Movlow, M64>,
        Movlps_m64_xmm | Movlpd_m64_xmm => store_low::<u64>,
        Movhps_xmm_m64 | Movhpd_xmm_m64 => int::<Movhigh, M64>,
        Movhps_m64_xmm | Movhpd_m64_xmm => store_high,
        Movlhps_xmm_xmm => int::<Movhigh, Xmm>,
        Movhlps_xmm_xmm => int::<Movhlps, Xmm>,

        Movd_xmm_rm32 => rm(i, int::<Copy, R32>, int::<Copy, M32>),
        Movq_xmm_rm64 => rm(i, int::<Copy, R64>, int::<Copy, M64>),
        Movd_rm32_xmm => rm(i, extract::<u32>, store_low::<u32>),
        Movq_rm64_xmm => rm(i, extract::<u64>, store_low::<u64>),
        Movq_xmm_xmmm64 => rm(i, int::<CopyLow, Xmm>, int::<Copy, M64>),
        Movq_xmmm64_xmm => rm(i, int::<CopyLow, Xmm>, store_low::<u64>),
        Movd_mm_rm32 => rm(i, mmx::<Copy, R32>, mmx::<Copy, M32>),
        Movq_mm_rm64 => rm(i, mmx::<Copy, R64>, mmx::<Copy, M64>),
        Movq_mm_mmm64 => rm(i, mmx::<Copy, Mm>, mmx::<Copy, M64>),
        Movq_mmm64_mm => rm(i, mmx::<Copy, Mm>, store_mm::<u64>),
        Movd_rm32_mm => rm(i, extract_mm::<u32>, store_mm::<u32>),
        Movq_rm64_mm => rm(i, extract_mm::<u64>, store_mm::<u64>),
        Movntq_m64_mm => store_mm::<u64>,
        Movq2dq_xmm_mm => movq2dq,
        Movdq2q_mm_xmm => mmx::<Copy, Xmm>,
        Movnti_m32_r32 => movnti_32,
        Movnti_m64_r64 => movnti_64,

        Pinsrb_xmm_r32m8_imm8 | Pinsrb_xmm_r64m8_imm8 => rm(i, int_imm::<Pinsrb, R32>, int_imm::<Pinsrb, M8>),
        Pinsrw_xmm_r32m16_imm8 | Pinsrw_xmm_r64m16_imm8 => rm(i, int_imm::<Pinsrw, R32>, int_imm::<Pinsrw, M16>),
        Pinsrd_xmm_rm32_imm8 => rm(i, int_imm::<Pinsrd, R32>, int_imm::<Pinsrd, M32>),
        Pinsrq_xmm_rm64_imm8 => rm(i, int_imm::<Pinsrq, R64>, int_imm::<Pinsrq, M64>),
        Pinsrw_mm_r32m16_imm8 | Pinsrw_mm_r64m16_imm8 => rm(i, mmx_imm::<Pinsrw, R32>, mmx_imm::<Pinsrw, M16>),
        Pextrb_r32m8_xmm_imm8 | Pextrb_r64m8_xmm_imm8 => rm(i, extract::<u8>, store_lane::<u8>),
        Pextrw_r32m16_xmm_imm8 | Pextrw_r64m16_xmm_imm8 => rm(i, extract::<u16>, store_lane::<u16>),
        Pextrw_r32_xmm_imm8 | Pextrw_r64_xmm_imm8 => extract::<u16>,
        Pextrw_r32_mm_imm8 | Pextrw_r64_mm_imm8 => extract_mm::<u16>,
        Pextrd_rm32_xmm_imm8 => rm(i, extract::<u32>, store_lane::<u32>),
        Pextrq_rm64_xmm_imm8 => rm(i, extract::<u64>, store_lane::<u64>),
        Extractps_rm32_xmm_imm8 | Extractps_r64m32_xmm_imm8 => rm(i, extract::<u32>, store_lane::<u32>),

        Pmovmskb_r32_xmm | Pmovmskb_r64_xmm => pmovmskb,
        Movmskps_r32_xmm | Movmskps_r64_xmm => movmskps,
        Movmskpd_r32_xmm | Movmskpd_r64_xmm => movmskpd,
        Pmovmskb_r32_mm | Pmovmskb_r64_mm => pmovmskb_mm,
        Maskmovq_rDI_mm_mm | Maskmovdqu_rDI_xmm_xmm | VEX_Vmaskmovdqu_rDI_xmm_xmm => select_masked(i),
        _ => return None,
    })
}

fn store_aligned(core: &mut Core<'_>, op: &Op) -> Done {
    let address = aligned(core, op)?;
    core.store(address, *view(&core.cpu.xmm[op.dst as usize]))
}

fn store_unaligned(core: &mut Core<'_>, op: &Op) -> Done {
    core.store(core.ea(op), *view(&core.cpu.xmm[op.dst as usize]))
}

pub(super) fn store_low<T: Lane + Word>(core: &mut Core<'_>, op: &Op) -> Done {
    core.store(core.ea(op), get::<T>(*view(&core.cpu.xmm[op.dst as usize]), 0))
}

pub(super) fn store_high(core: &mut Core<'_>, op: &Op) -> Done {
    core.store(core.ea(op), get::<u64>(*view(&core.cpu.xmm[op.dst as usize]), 1))
}

/// The lane that the immediate names; none means lane 0.
pub(super) fn store_lane<T: Lane + Word>(core: &mut Core<'_>, op: &Op) -> Done {
    core.store(core.ea(op), get::<T>(*view(&core.cpu.xmm[op.dst as usize]), op.imm as usize))
}

pub(super) fn extract<T: Lane + Into<u64>>(core: &mut Core<'_>, op: &Op) -> Done {
    core.set_r64(op.dst, get::<T>(*view(&core.cpu.xmm[op.src as usize]), op.imm as usize).into());
    Ok(())
}

fn store_mm<T: Lane + Word>(core: &mut Core<'_>, op: &Op) -> Done {
    check_x87(core)?;
    let value = core.cpu.fpu.mmx(op.dst as u8);
    core.store(core.ea(op), get::<T>(low(value), 0))?;
    core.cpu.fpu.enter_mmx();
    Ok(())
}

fn extract_mm<T: Lane + Into<u64>>(core: &mut Core<'_>, op: &Op) -> Done {
    check_x87(core)?;
    let lanes = 8 / size_of::<T>();
    let value = core.cpu.fpu.mmx(op.src as u8);
    core.set_r64(op.dst, get::<T>(low(value), op.imm as usize % lanes).into());
    core.cpu.fpu.enter_mmx();
    Ok(())
}

fn movq2dq(core: &mut Core<'_>, op: &Op) -> Done {
    check_x87(core)?;
    core.cpu.xmm[op.dst as usize] = core.cpu.fpu.mmx(op.src as u8).into();
    core.cpu.fpu.enter_mmx();
    Ok(())
}

fn movnti_32(core: &mut Core<'_>, op: &Op) -> Done {
    core.store(core.ea(op), core.r32(op.dst))
}

fn movnti_64(core: &mut Core<'_>, op: &Op) -> Done {
    core.store(core.ea(op), core.r64(op.dst))
}

define_imm! {
    Pinsrb(a, b, imm) with(a, imm.into(), get::<u8>(b, 0));
    Pinsrw(a, b, imm) with(a, usize::from(imm) % (W / 2), get::<u16>(b, 0));
    Pinsrd(a, b, imm) with(a, imm.into(), get::<u32>(b, 0));
    Pinsrq(a, b, imm) with(a, imm.into(), get::<u64>(b, 0));
}

fn pmovmskb(core: &mut Core<'_>, op: &Op) -> Done {
    let value = view(&core.cpu.xmm[op.src as usize]);
    let bits = sign_bits(get(*value, 0)) | sign_bits(get(*value, 1)) << 8;
    core.set_r32(op.dst, bits);
    Ok(())
}

fn movmskps(core: &mut Core<'_>, op: &Op) -> Done {
    let lanes = u32::split(*view(&core.cpu.xmm[op.src as usize]));
    let bits = lanes[0] >> 31 | lanes[1] >> 31 << 1 | lanes[2] >> 31 << 2 | lanes[3] >> 31 << 3;
    core.set_r32(op.dst, bits);
    Ok(())
}

fn movmskpd(core: &mut Core<'_>, op: &Op) -> Done {
    let lanes = u64::split(*view(&core.cpu.xmm[op.src as usize]));
    core.set_r64(op.dst, lanes[0] >> 63 | lanes[1] >> 63 << 1);
    Ok(())
}

fn pmovmskb_mm(core: &mut Core<'_>, op: &Op) -> Done {
    check_x87(core)?;
    let bits = sign_bits(core.cpu.fpu.mmx(op.src as u8));
    core.set_r32(op.dst, bits);
    core.cpu.fpu.enter_mmx();
    Ok(())
}

/// The masked stores address memory by rDI alone; segment and address size select the function.
fn select_masked(i: &Instruction) -> Exec {
    let mm = i.code() == Code::Maskmovq_rDI_mm_mm;
    let narrow = i.op0_kind() == OpKind::MemorySegEDI;
    match (i.memory_segment(), narrow, mm) {
        (Register::FS, false, false) => maskmovdqu::<{ seg::FS }, false>,
        (Register::FS, true, false) => maskmovdqu::<{ seg::FS }, true>,
        (Register::GS, false, false) => maskmovdqu::<{ seg::GS }, false>,
        (Register::GS, true, false) => maskmovdqu::<{ seg::GS }, true>,
        (_, false, false) => maskmovdqu::<{ seg::DS }, false>,
        (_, true, false) => maskmovdqu::<{ seg::DS }, true>,
        (Register::FS, false, true) => maskmovq::<{ seg::FS }, false>,
        (Register::FS, true, true) => maskmovq::<{ seg::FS }, true>,
        (Register::GS, false, true) => maskmovq::<{ seg::GS }, false>,
        (Register::GS, true, true) => maskmovq::<{ seg::GS }, true>,
        (_, false, true) => maskmovq::<{ seg::DS }, false>,
        (_, true, true) => maskmovq::<{ seg::DS }, true>,
    }
}

fn maskmovdqu<const SEG: usize, const NARROW: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let (value, mask) = (core.cpu.xmm[op.dst as usize], core.cpu.xmm[op.src as usize]);
    store_masked(core, masked_address::<SEG, NARROW>(core), &value.to_le_bytes(), mask)
}

fn maskmovq<const SEG: usize, const NARROW: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    check_x87(core)?;
    let (value, mask) = (core.cpu.fpu.mmx(op.dst as u8), core.cpu.fpu.mmx(op.src as u8));
    // Even if it can't store then.
    core.cpu.fpu.enter_mmx();
    store_masked(core, masked_address::<SEG, NARROW>(core), &value.to_le_bytes(), mask.into())
}

fn masked_address<const SEG: usize, const NARROW: bool>(core: &Core<'_>) -> u64 {
    let rdi = core.gpr[reg::RDI];
    let offset = if NARROW { u64::from(rdi as u32) } else { rdi };
    if SEG == seg::DS { offset } else { offset.wrapping_add(core.cpu.seg[SEG].base) }
}

/// Stores the bytes whose mask byte has its top bit set. Whether the others can fault is left to the processor: they do,
/// as on AMD's.
fn store_masked(core: &mut Core<'_>, address: u64, bytes: &[u8], mask: u128) -> Done {
    // EFLAGS.AC wants quadwords, whatever is chosen.
    core.check_aligned(address, 8)?;
    let chosen = |i: &usize| mask >> (8 * i + 7) & 1 != 0;
    core.check_store(address, bytes.len())?;
    for i in (0..bytes.len()).filter(chosen) {
        core.store(address.wrapping_add(i as u64), bytes[i])?;
    }
    Ok(())
}
