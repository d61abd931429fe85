//! Operand forms: each fetches its source, applies an operation to the destination, and is one instantiation of
//! a generic function per operation and source. Memory is read before anything changes.

use iced_x86::{Instruction, OpKind};

use super::fp::{Mx, Vector, VectorImm};
use super::int::{Binary, BinaryImm};
use super::lanes::{V, get, low, view, view_mut};
use super::shuffle::BlendV;
use crate::exit::{Exception, vector};
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};
use crate::interp::units::OSXMMEXCPT;
pub(super) use crate::interp::x87::check_pending as check_x87;
use crate::softfloat::flag;

/// Where a source operand comes from.
pub(super) trait Source {
    /// Fetches it, zero-extended.
    fn get(core: &mut Core<'_>, op: &Op) -> Result<V, Stop>;
}

/// An XMM register.
pub(super) struct Xmm;
/// 16 bytes of memory, which must be aligned.
pub(super) struct M128;
/// 16 bytes of memory anywhere.
pub(super) struct M128U;
/// 8 bytes of memory.
pub(super) struct M64;
/// 4 bytes of memory.
pub(super) struct M32;
/// 2 bytes of memory.
pub(super) struct M16;
/// 1 byte of memory.
pub(super) struct M8;
/// A 32-bit general register.
pub(super) struct R32;
/// A 64-bit general register.
pub(super) struct R64;
/// An MMX register.
pub(super) struct Mm;
/// The immediate byte, as a shift count.
pub(super) struct Imm;

impl Source for Xmm {
    #[inline(always)]
    fn get(core: &mut Core<'_>, op: &Op) -> Result<V, Stop> {
        Ok(*view(&core.cpu.xmm[op.src as usize]))
    }
}

impl Source for M128 {
    #[inline(always)]
    fn get(core: &mut Core<'_>, op: &Op) -> Result<V, Stop> {
        let address = aligned(core, op)?;
        core.load(address)
    }
}

impl Source for M128U {
    #[inline(always)]
    fn get(core: &mut Core<'_>, op: &Op) -> Result<V, Stop> {
        core.load(core.ea(op))
    }
}

macro_rules! narrow_memory {
    ($($name:ident, $t:ty;)*) => {$(
        impl Source for $name {
            #[inline(always)]
            fn get(core: &mut Core<'_>, op: &Op) -> Result<V, Stop> {
                Ok(low(core.load::<$t>(core.ea(op))?.into()))
            }
        }
    )*};
}

narrow_memory! { M64, u64; M32, u32; M16, u16; M8, u8; }

impl Source for R32 {
    #[inline(always)]
    fn get(core: &mut Core<'_>, op: &Op) -> Result<V, Stop> {
        Ok(low(core.r32(op.src).into()))
    }
}

impl Source for R64 {
    #[inline(always)]
    fn get(core: &mut Core<'_>, op: &Op) -> Result<V, Stop> {
        Ok(low(core.r64(op.src)))
    }
}

impl Source for Mm {
    #[inline(always)]
    fn get(core: &mut Core<'_>, op: &Op) -> Result<V, Stop> {
        Ok(low(core.cpu.fpu.mmx(op.src as u8)))
    }
}

impl Source for Imm {
    #[inline(always)]
    fn get(_: &mut Core<'_>, op: &Op) -> Result<V, Stop> {
        Ok(low((op.imm as u8).into()))
    }
}

/// The address of a 16-byte operand; #GP(0) unless it is a multiple of 16.
#[inline(always)]
pub(super) fn aligned(core: &mut Core<'_>, op: &Op) -> Result<u64, Stop> {
    let address = core.ea(op);
    if address & 15 != 0 {
        return Err(core.gp());
    }
    Ok(address)
}

/// The register form or the memory form, as the instruction has it.
pub(super) fn rm(i: &Instruction, register: Exec, memory: Exec) -> Exec {
    if (0..i.op_count()).any(|n| i.op_kind(n) == OpKind::Memory) { memory } else { register }
}

/// The `register`, `memory`, MMX `register` or MMX `memory` form.
pub(super) fn either(i: &Instruction, sse: [Exec; 2], mmx: [Exec; 2]) -> Exec {
    let [register, memory] = if i.op0_register().is_mm() { mmx } else { sse };
    rm(i, register, memory)
}

/// `xmm = xmm ∘ source`.
pub(super) fn int<O: Binary, S: Source>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let b = S::get(core, op)?;
    let destination = view_mut(&mut core.cpu.xmm[op.dst as usize]);
    *destination = O::apply::<16>(*destination, b);
    Ok(())
}

/// `xmm = xmm ∘ source, imm8`.
pub(super) fn int_imm<O: BinaryImm, S: Source>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let b = S::get(core, op)?;
    let destination = view_mut(&mut core.cpu.xmm[op.dst as usize]);
    *destination = O::apply::<16>(*destination, b, op.imm as u8);
    Ok(())
}

/// `mm = mm ∘ source`.
pub(super) fn mmx<O: Binary, S: Source>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    check_x87(core)?;
    let b = S::get(core, op)?;
    core.cpu.fpu.enter_mmx();
    let a = low(core.cpu.fpu.mmx(op.dst as u8));
    core.cpu.fpu.set_mmx(op.dst as u8, get(O::apply::<8>(a, b), 0));
    Ok(())
}

/// `mm = mm ∘ source, imm8`.
pub(super) fn mmx_imm<O: BinaryImm, S: Source>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    check_x87(core)?;
    let b = S::get(core, op)?;
    core.cpu.fpu.enter_mmx();
    let a = low(core.cpu.fpu.mmx(op.dst as u8));
    core.cpu.fpu.set_mmx(op.dst as u8, get(O::apply::<8>(a, b, op.imm as u8), 0));
    Ok(())
}

/// A blend under XMM0.
pub(super) fn blendv<O: BlendV, S: Source>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let b = S::get(core, op)?;
    let mask = *view(&core.cpu.xmm[0]);
    let destination = view_mut(&mut core.cpu.xmm[op.dst as usize]);
    *destination = O::apply(*destination, b, mask);
    Ok(())
}

/// `xmm = xmm ∘ source` in floating point.
pub(super) fn fp<O: Vector, S: Source>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let b = S::get(core, op)?;
    fp_complete::<O>(core, op, b)
}

/// The same with the source at hand.
pub(super) fn fp_complete<O: Vector>(core: &mut Core<'_>, op: &Op, b: V) -> Result<(), Stop> {
    let mut mx = Mx::new(core.cpu.mxcsr);
    let result = O::apply(&mut mx, *view(&core.cpu.xmm[op.dst as usize]), b);
    commit(core, &mx)?;
    *view_mut(&mut core.cpu.xmm[op.dst as usize]) = result;
    Ok(())
}

/// `xmm = xmm ∘ source, imm8` in floating point.
pub(super) fn fp_imm<O: VectorImm, S: Source>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let b = S::get(core, op)?;
    let mut mx = Mx::new(core.cpu.mxcsr);
    let result = O::apply(&mut mx, *view(&core.cpu.xmm[op.dst as usize]), b, op.imm as u8);
    commit(core, &mx)?;
    *view_mut(&mut core.cpu.xmm[op.dst as usize]) = result;
    Ok(())
}

/// Puts the raised flags into MXCSR. An unmasked one is #XM, and the instruction must not write its result.
#[inline(always)]
pub(super) fn commit(core: &mut Core<'_>, mx: &Mx) -> Result<(), Stop> {
    let set_and_masked = core.cpu.mxcsr & core.cpu.mxcsr >> 7;
    if (mx.raised | mx.earlier) & !set_and_masked == 0 {
        return Ok(());
    }
    core.cpu.mxcsr |= mx.earlier;
    raise_flags(core, mx.raised)
}

#[cold]
fn raise_flags(core: &mut Core<'_>, raised: u32) -> Result<(), Stop> {
    let unmasked = raised & !(core.cpu.mxcsr >> 7) & flag::ALL;
    // If one lane faults before computing, no lane reports what its result would have raised.
    let reported = if unmasked & flag::PRE_COMPUTATION != 0 { raised & flag::PRE_COMPUTATION } else { raised };
    core.cpu.mxcsr |= reported;
    if unmasked == 0 {
        return Ok(());
    }
    if core.cpu.cr4 & OSXMMEXCPT == 0 {
        return Err(core.ud());
    }
    Err(core.raise(Exception::new(vector::XM)))
}
