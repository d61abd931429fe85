//! MXCSR, and FXSAVE's image of the x87 and SSE state.
//!
//! The image's first 416 bytes are written; the rest, reserved or left to software, is not touched.

use iced_x86::{Code, Instruction};

use super::forms::aligned;
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};
use crate::x87::F80;

type Done = Result<(), Stop>;

/// The bits of MXCSR that exist; others are #GP.
const MXCSR_MASK: u32 = 0xffff;

/// State instructions, and those that order memory accesses, which are never out of order here.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    use Code::*;
    Some(match i.code() {
        Ldmxcsr_m32 => ldmxcsr,
        Stmxcsr_m32 => stmxcsr,
        Fxsave_m512byte => fxsave::<false>,
        Fxsave64_m512byte => fxsave::<true>,
        Fxrstor_m512byte => fxrstor::<false>,
        Fxrstor64_m512byte => fxrstor::<true>,
        Emms => emms,
        Sfence | Sfence_F9 | Sfence_FA | Sfence_FB | Sfence_FC | Sfence_FD | Sfence_FE | Sfence_FF => nothing,
        Lfence | Lfence_E9 | Lfence_EA | Lfence_EB | Lfence_EC | Lfence_ED | Lfence_EE | Lfence_EF => nothing,
        Mfence | Mfence_F1 | Mfence_F2 | Mfence_F3 | Mfence_F4 | Mfence_F5 | Mfence_F6 | Mfence_F7 => nothing,
        Prefetchnta_m8 | Prefetcht0_m8 | Prefetcht1_m8 | Prefetcht2_m8 => nothing,
        _ => return None,
    })
}

fn nothing(_: &mut Core<'_>, _: &Op) -> Done {
    Ok(())
}

fn emms(core: &mut Core<'_>, _: &Op) -> Done {
    super::forms::check_x87(core)?;
    core.cpu.fpu.enter_mmx();
    core.cpu.fpu.in_use = 0;
    Ok(())
}

fn ldmxcsr(core: &mut Core<'_>, op: &Op) -> Done {
    let value: u32 = core.load(core.ea(op))?;
    if value & !MXCSR_MASK != 0 {
        return Err(core.gp());
    }
    core.cpu.mxcsr = value;
    Ok(())
}

fn stmxcsr(core: &mut Core<'_>, op: &Op) -> Done {
    core.store(core.ea(op), core.cpu.mxcsr)
}

const IMAGE: usize = 416;
const ST: usize = 32;
const XMM: usize = 160;

fn fxsave<const WIDE: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let address = aligned(core, op)?;
    let fpu = &core.cpu.fpu;
    let mut image = [0u8; IMAGE];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &fpu.control.to_le_bytes());
    put(2, &fpu.status_word().to_le_bytes());
    put(4, &[fpu.in_use]);
    put(6, &fpu.opcode.to_le_bytes());
    // Without REX.W the upper halves are the segment selectors, which 64-bit processors no longer keep.
    let width = if WIDE { 8 } else { 4 };
    put(8, &fpu.ip.to_le_bytes()[..width]);
    put(16, &fpu.dp.to_le_bytes()[..width]);
    put(24, &core.cpu.mxcsr.to_le_bytes());
    put(28, &MXCSR_MASK.to_le_bytes());
    for i in 0..8 {
        put(ST + 16 * usize::from(i), &fpu.raw(i).to_bytes());
    }
    for (i, value) in core.cpu.xmm[..16].iter().enumerate() {
        put(XMM + 16 * i, &value.to_le_bytes());
    }
    core.check_store(address, IMAGE)?;
    for (i, chunk) in image.chunks_exact(16).enumerate() {
        let value = chunk.iter().rev().fold(0u128, |value, byte| value << 8 | u128::from(*byte));
        core.store(address.wrapping_add(16 * i as u64), value)?;
    }
    Ok(())
}

fn fxrstor<const WIDE: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let address = aligned(core, op)?;
    let mut image = [0u128; IMAGE / 16];
    for (i, value) in image.iter_mut().enumerate() {
        *value = core.load(address.wrapping_add(16 * i as u64))?;
    }
    let mxcsr = (image[1] >> 64) as u32;
    if mxcsr & !MXCSR_MASK != 0 {
        return Err(core.gp());
    }
    core.cpu.mxcsr = mxcsr;
    let fpu = &mut core.cpu.fpu;
    fpu.set_control_word(image[0] as u16);
    fpu.set_status_word((image[0] >> 16) as u16);
    fpu.in_use = (image[0] >> 32) as u8;
    fpu.opcode = (image[0] >> 48) as u16 & 0x7ff;
    let pointer = |value: u64| if WIDE { value } else { u64::from(value as u32) };
    fpu.ip = pointer((image[0] >> 64) as u64);
    fpu.dp = pointer(image[1] as u64);
    for i in 0..8 {
        let bits = image[ST / 16 + usize::from(i)];
        fpu.load_raw(i, F80 { sig: bits as u64, sign_exp: (bits >> 64) as u16 });
    }
    core.cpu.xmm[..16].copy_from_slice(&image[XMM / 16..]);
    Ok(())
}
