//! MXCSR, and FXSAVE and FXRSTOR, whose image [`crate::fxsave`] knows.

use iced_x86::{Code, Instruction};

use super::forms::aligned;
use crate::fxsave::{IMAGE, MXCSR_MASK};
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};

type Done = Result<(), Stop>;

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

fn fxsave<const WIDE: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let address = aligned(core, op)?;
    let image = core.cpu.fx_image(WIDE);
    core.check_store(address, IMAGE)?;
    for (i, chunk) in image.chunks_exact(16).enumerate() {
        let value = chunk.iter().rev().fold(0u128, |value, byte| value << 8 | u128::from(*byte));
        core.store(address.wrapping_add(16 * i as u64), value)?;
    }
    Ok(())
}

fn fxrstor<const WIDE: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let address = aligned(core, op)?;
    let mut image = [0; IMAGE];
    for (i, chunk) in image.chunks_exact_mut(16).enumerate() {
        let value: u128 = core.load(address.wrapping_add(16 * i as u64))?;
        chunk.copy_from_slice(&value.to_le_bytes());
    }
    core.cpu.load_fx_image(&image, WIDE).map_err(|_| core.gp())
}
