//! MXCSR; FXSAVE and FXRSTOR, whose image [`crate::fxsave`] knows; XSAVE and XRSTOR, whose area [`crate::xstate`] knows.
//!
//! Everything that an XSAVE writes is checked before it writes anything; an XRSTOR reads everything first.
//!
//! Quirk: XSAVEOPT writes what has not changed since the last XRSTOR too, as it may.

use iced_x86::{Code, Instruction};

use super::forms::aligned;
use crate::cpu::reg;
use crate::fxsave::{IMAGE, MXCSR_MASK};
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};
use crate::xstate;

/// MXCSR after reset: everything masked.
const INITIAL_MXCSR: u32 = 0x1f80;

/// The last byte of FXSAVE's area, which is touched first.
const LAST: u64 = 511;

type Done = Result<(), Stop>;

/// State instructions, and those that order memory accesses, which are never out of order here.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    use Code::*;
    Some(match i.code() {
        Ldmxcsr_m32 | VEX_Vldmxcsr_m32 => ldmxcsr,
        Stmxcsr_m32 | VEX_Vstmxcsr_m32 => stmxcsr,
        Fxsave_m512byte => fxsave::<false>,
        Fxsave64_m512byte => fxsave::<true>,
        Fxrstor_m512byte => fxrstor::<false>,
        Fxrstor64_m512byte => fxrstor::<true>,
        Xsave_mem => xsave::<Plain, false>,
        Xsave64_mem => xsave::<Plain, true>,
        Xsaveopt_mem => xsave::<Optimised, false>,
        Xsaveopt64_mem => xsave::<Optimised, true>,
        Xsavec_mem => xsave::<Compacted, false>,
        Xsavec64_mem => xsave::<Compacted, true>,
        Xrstor_mem => xrstor::<false>,
        Xrstor64_mem => xrstor::<true>,
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

/// The image's address: #AC unless it is a multiple of 4, if that is checked; #GP(0) unless it is one of 16.
fn image_address(core: &mut Core<'_>, op: &Op) -> Result<u64, Stop> {
    let address = core.ea(op);
    core.check_aligned(address, 4)?;
    aligned(core, op)
}

fn fxsave<const WIDE: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let address = image_address(core, op)?;
    let image = core.cpu.fx_image(WIDE);
    core.check_store(address.wrapping_add(LAST), 1)?;
    core.check_store(address, IMAGE)?;
    for (i, chunk) in image.chunks_exact(16).enumerate() {
        let value = chunk.iter().rev().fold(0u128, |value, byte| value << 8 | u128::from(*byte));
        core.store(address.wrapping_add(16 * i as u64), value)?;
    }
    Ok(())
}

fn fxrstor<const WIDE: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let address = image_address(core, op)?;
    core.check_load(address.wrapping_add(LAST), 1)?;
    let mut image = [0; IMAGE];
    for (i, chunk) in image.chunks_exact_mut(16).enumerate() {
        let value: u128 = core.load(address.wrapping_add(16 * i as u64))?;
        chunk.copy_from_slice(&value.to_le_bytes());
    }
    core.cpu.load_fx_image(&image, WIDE).map_err(|_| core.gp())
}

/// Which of the instructions that save.
trait Kind {
    /// Components in their initial state are not written.
    const SKIPS_INITIAL: bool;
    /// The area gets the compacted form, its whole header included.
    const COMPACT: bool;
}

struct Plain;
struct Optimised;
struct Compacted;

impl Kind for Plain {
    const SKIPS_INITIAL: bool = false;
    const COMPACT: bool = false;
}

impl Kind for Optimised {
    const SKIPS_INITIAL: bool = true;
    const COMPACT: bool = false;
}

impl Kind for Compacted {
    const SKIPS_INITIAL: bool = true;
    const COMPACT: bool = true;
}

/// CR4.OSXSAVE, without which the instructions are not there.
const OSXSAVE: u64 = 1 << 18;

/// The area's address; #GP(0) unless it is a multiple of 64.
fn area_address(core: &mut Core<'_>, op: &Op) -> Result<u64, Stop> {
    if core.cpu.cr4 & OSXSAVE == 0 {
        return Err(core.ud());
    }
    let address = core.ea(op);
    if address & 63 != 0 {
        return Err(core.gp());
    }
    Ok(address)
}

/// The components that edx:eax asks for and XCR0 has.
fn requested(core: &Core<'_>) -> u64 {
    (core.gpr[reg::RDX] << 32 | core.gpr[reg::RAX] & 0xffff_ffff) & core.cpu.xcr0
}

fn xsave<K: Kind, const WIDE: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let address = area_address(core, op)?;
    let requested = requested(core);
    let mut used = core.cpu.components_in_use();
    if core.cpu.mxcsr != INITIAL_MXCSR {
        // MXCSR is saved with SSE's component.
        used |= xstate::SSE;
    }
    let header = address.wrapping_add(xstate::HEADER_AT as u64);
    core.check_store(address, 1)?;
    let held = if K::COMPACT { 0 } else { core.load::<u64>(header)? & !requested } | used & requested;
    let form = if K::COMPACT { xstate::COMPACT | requested } else { 0 };
    let area = core.cpu.xsave_area(WIDE, form);
    let written = if K::SKIPS_INITIAL { requested & used } else { requested };
    core.check_store(address, xstate::size(requested, form))?;
    for range in xstate::ranges(written, form) {
        for at in range.step_by(8) {
            core.store(address.wrapping_add(at as u64), xstate::word(&area, at))?;
        }
    }
    core.store(header, held)?;
    if K::COMPACT {
        core.store(header.wrapping_add(8), form)?;
    }
    Ok(())
}

fn xrstor<const WIDE: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let address = area_address(core, op)?;
    let wanted = requested(core);
    let mut area = [0; xstate::SIZE];
    // Components that are neither wanted nor held are not looked at; but the area's start is.
    core.check_load(address, 1)?;
    let header = xstate::HEADER_AT..xstate::HEADER_END;
    load_range(core, address, &mut area, header)?;
    let (held, form) = (xstate::word(&area, xstate::HEADER_AT), xstate::word(&area, xstate::HEADER_AT + 8));
    let always = if form & xstate::COMPACT == 0 { xstate::SSE & wanted } else { 0 };
    for range in xstate::ranges(wanted & held | always, form & (xstate::COMPACT | core.cpu.xcr0)) {
        load_range(core, address, &mut area, range)?;
    }
    if wanted & (xstate::SSE | xstate::AVX) != 0 {
        load_range(core, address, &mut area, 24..32)?;
    }
    core.cpu.load_xsave_area(&area, wanted, WIDE).map_err(|_| core.gp())
}

/// Loads a part of the area.
fn load_range(core: &mut Core<'_>, address: u64, area: &mut [u8; xstate::SIZE], range: xstate::Range) -> Done {
    for at in range.step_by(8) {
        let value: u64 = core.load(address.wrapping_add(at as u64))?;
        area[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    Ok(())
}
