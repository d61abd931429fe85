//! Forms of VEX-encoded instructions: three operands, 128 or 256 bits.
//!
//! The manual defines almost all of AVX as SSE on each 128-bit half, so each operation on a half serves both widths. What
//! VEX changes is alike for all: the destination is none of the sources, memory need not be aligned, and the bits above
//! the result are cleared.
//!
//! The packed form of an instruction has its first source in `src` and its second in `aux`, which is `src` again if there
//! is one source only.

use core::marker::PhantomData;

use iced_x86::{EncodingKind, Instruction, Mnemonic};

use super::forms::{Source, commit, rm};
use super::fp::{Mx, Vector, VectorImm};
use super::int::{Binary, BinaryImm};
use super::lanes::{V, low, view, view_mut};
use super::shuffle::BlendV;
use crate::interp::core::Core;
use crate::interp::op::{Exec, Num, Op, Stop};

/// A register's halves, the low one first.
pub(super) type Y = [V; 2];

/// Halves in a 128-bit operand and in a 256-bit one.
pub(super) const X: usize = 1;
pub(super) const YMM: usize = 2;

const ZERO: V = [0; 16];

/// Whether an instruction is one of these.
pub(super) fn is_vex(i: &Instruction) -> bool {
    i.code().encoding() == EncodingKind::VEX
}

// `WITHOUT_V`: of each mnemonic's number the one of its kin.
include!(concat!(env!("OUT_DIR"), "/mnemonics.rs"));

/// The mnemonic under which an operation is listed: `Paddb` for VPADDB too, whose name is that with a V in front.
pub(super) fn mnemonic(i: &Instruction) -> Mnemonic {
    if !is_vex(i) {
        return i.mnemonic();
    }
    let kin = WITHOUT_V.get(i.mnemonic() as usize).and_then(|kin| Mnemonic::try_from(usize::from(*kin)).ok());
    kin.unwrap_or(i.mnemonic())
}

/// Reads a register; of 128-bit operands, the high half is not looked at.
#[inline(always)]
pub(super) fn register<const L: usize>(core: &Core<'_>, n: Num) -> Y {
    [*view(&core.cpu.xmm[n as usize]), if L == YMM { *view(&core.cpu.ymm_high[n as usize]) } else { ZERO }]
}

/// Writes a register, and clears what lies above.
#[inline(always)]
pub(super) fn put<const L: usize>(core: &mut Core<'_>, n: Num, value: Y) {
    *view_mut(&mut core.cpu.xmm[n as usize]) = value[0];
    *view_mut(&mut core.cpu.ymm_high[n as usize]) = if L == YMM { value[1] } else { ZERO };
    core.cpu.zmm_high[n as usize] = [0; 2];
}

/// Where the last source operand comes from.
pub(super) trait Operand {
    /// Fetches it.
    fn get<const L: usize>(core: &mut Core<'_>, op: &Op) -> Result<Y, Stop>;
}

/// A register.
pub(super) struct Reg;
/// As many bytes of memory as the destination has.
pub(super) struct Mem;
/// The same, aligned to its size.
pub(super) struct MemAligned;
/// A source of at most 128 bits, for both halves.
pub(super) struct One<S>(PhantomData<S>);
/// `BYTES` bytes of a register for each half.
pub(super) struct Part<const BYTES: usize>;
/// `BYTES` bytes of memory for each half.
pub(super) struct MemPart<const BYTES: usize>;

impl Operand for Reg {
    #[inline(always)]
    fn get<const L: usize>(core: &mut Core<'_>, op: &Op) -> Result<Y, Stop> {
        Ok(register::<L>(core, op.aux))
    }
}

/// Loads one half or two.
#[inline(always)]
pub(super) fn load<const L: usize>(core: &mut Core<'_>, address: u64) -> Result<Y, Stop> {
    if L == YMM {
        return Ok(zerocopy::transmute!(core.load::<[u8; 32]>(address)?));
    }
    Ok([core.load(address)?, ZERO])
}

impl Operand for Mem {
    #[inline(always)]
    fn get<const L: usize>(core: &mut Core<'_>, op: &Op) -> Result<Y, Stop> {
        load::<L>(core, core.ea(op))
    }
}

/// The address of the memory operand; #GP(0) unless it is a multiple of the operand's size.
#[inline(always)]
pub(super) fn aligned<const L: usize>(core: &mut Core<'_>, op: &Op) -> Result<u64, Stop> {
    let address = core.ea(op);
    if address & (16 * L as u64 - 1) != 0 {
        return Err(core.gp());
    }
    Ok(address)
}

impl Operand for MemAligned {
    #[inline(always)]
    fn get<const L: usize>(core: &mut Core<'_>, op: &Op) -> Result<Y, Stop> {
        let address = aligned::<L>(core, op)?;
        load::<L>(core, address)
    }
}

impl<S: Source> Operand for One<S> {
    #[inline(always)]
    fn get<const L: usize>(core: &mut Core<'_>, op: &Op) -> Result<Y, Stop> {
        let value = S::get(core, op)?;
        Ok([value, value])
    }
}

/// The first `bytes` bytes of a value for the low half, the next for the high one.
#[inline(always)]
fn parts(value: V, bytes: usize) -> Y {
    [value, (u128::from_le_bytes(value) >> (8 * bytes)).to_le_bytes()]
}

impl<const BYTES: usize> Operand for Part<BYTES> {
    #[inline(always)]
    fn get<const L: usize>(core: &mut Core<'_>, op: &Op) -> Result<Y, Stop> {
        Ok(parts(register::<X>(core, op.aux)[0], BYTES))
    }
}

impl<const BYTES: usize> Operand for MemPart<BYTES> {
    #[inline(always)]
    fn get<const L: usize>(core: &mut Core<'_>, op: &Op) -> Result<Y, Stop> {
        let address = core.ea(op);
        let value = match BYTES * L {
            2 => low(core.load::<u16>(address)?.into()),
            4 => low(core.load::<u32>(address)?.into()),
            8 => low(core.load::<u64>(address)?),
            _ => core.load(address)?,
        };
        Ok(parts(value, BYTES))
    }
}

/// The second source register, its low half.
pub(super) struct Xmm2;
/// A 32-bit general register as second source.
pub(super) struct Gpr32;
/// A 64-bit general register as second source.
pub(super) struct Gpr64;

impl Source for Xmm2 {
    #[inline(always)]
    fn get(core: &mut Core<'_>, op: &Op) -> Result<V, Stop> {
        Ok(register::<X>(core, op.aux)[0])
    }
}

impl Source for Gpr32 {
    #[inline(always)]
    fn get(core: &mut Core<'_>, op: &Op) -> Result<V, Stop> {
        Ok(low(core.r32(op.aux).into()))
    }
}

impl Source for Gpr64 {
    #[inline(always)]
    fn get(core: &mut Core<'_>, op: &Op) -> Result<V, Stop> {
        Ok(low(core.r64(op.aux)))
    }
}

/// What an instruction computes.
pub(super) trait Compute {
    /// Of the destination's old value, its two sources and its immediate.
    fn apply<const L: usize>(mx: &mut Mx, old: Y, a: Y, b: Y, imm: u8) -> Y;
    /// The result, if it is an ordinary one that changes nothing in MXCSR.
    #[inline(always)]
    fn quick<const L: usize>(_mxcsr: u32, _a: Y, _b: Y) -> Option<Y> {
        None
    }
}

/// Integer arithmetic on each half.
pub(super) struct Int<O>(PhantomData<O>);
/// The same with an immediate, of which the high half takes the bits from `SHIFT` on.
pub(super) struct IntImm<O, const SHIFT: u32>(PhantomData<O>);
/// Floating point on each half.
pub(super) struct Fp<O>(PhantomData<O>);
/// The same with an immediate.
pub(super) struct FpImm<O>(PhantomData<O>);
/// A conversion to lanes of half the size: the results for both halves are neighbours.
pub(super) struct Narrowing<O>(PhantomData<O>);

/// Both halves, or the low one.
#[inline(always)]
fn halves<const L: usize>(mut f: impl FnMut(usize) -> V) -> Y {
    let low = f(0);
    [low, if L == YMM { f(1) } else { ZERO }]
}

impl<O: Binary> Compute for Int<O> {
    #[inline(always)]
    fn apply<const L: usize>(_: &mut Mx, _: Y, a: Y, b: Y, _: u8) -> Y {
        halves::<L>(|h| O::apply::<16>(a[h], b[h]))
    }
}

impl<O: BinaryImm, const SHIFT: u32> Compute for IntImm<O, SHIFT> {
    #[inline(always)]
    fn apply<const L: usize>(_: &mut Mx, _: Y, a: Y, b: Y, imm: u8) -> Y {
        halves::<L>(|h| O::apply::<16>(a[h], b[h], imm >> (SHIFT * h as u32)))
    }
}

impl<O: Vector> Compute for Fp<O> {
    #[inline(always)]
    fn apply<const L: usize>(mx: &mut Mx, _: Y, a: Y, b: Y, _: u8) -> Y {
        halves::<L>(|h| O::apply(mx, a[h], b[h]))
    }

    #[inline(always)]
    fn quick<const L: usize>(mxcsr: u32, a: Y, b: Y) -> Option<Y> {
        let high = if L == YMM { O::quick(mxcsr, a[1], b[1])? } else { ZERO };
        Some([O::quick(mxcsr, a[0], b[0])?, high])
    }
}

impl<O: VectorImm> Compute for FpImm<O> {
    #[inline(always)]
    fn apply<const L: usize>(mx: &mut Mx, _: Y, a: Y, b: Y, imm: u8) -> Y {
        if L == YMM { O::apply_wide(mx, a, b, imm) } else { [O::apply(mx, a[0], b[0], imm), ZERO] }
    }
}

impl<O: Vector> Compute for Narrowing<O> {
    #[inline(always)]
    fn apply<const L: usize>(mx: &mut Mx, _: Y, a: Y, b: Y, _: u8) -> Y {
        let [x, y] = halves::<L>(|h| O::apply(mx, a[h], b[h]));
        [super::shuffle::Movhigh::apply::<16>(x, y), ZERO]
    }
}

/// `destination = source ∘ last source`.
pub(super) fn vex<C: Compute, B: Operand, const L: usize>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let b = B::get::<L>(core, op)?;
    match C::quick::<L>(core.cpu.mxcsr, register::<L>(core, op.src), b) {
        Some(result) => {
            put::<L>(core, op.dst, result);
            Ok(())
        }
        None => complete::<C, L>(core, op, b),
    }
}

/// The same with all that MXCSR may ask for.
#[inline(always)]
fn complete<C: Compute, const L: usize>(core: &mut Core<'_>, op: &Op, b: Y) -> Result<(), Stop> {
    let mut mx = Mx::new(core.cpu.mxcsr);
    let (old, a) = (register::<L>(core, op.dst), register::<L>(core, op.src));
    let result = C::apply::<L>(&mut mx, old, a, b, op.imm as u8);
    commit(core, &mx)?;
    put::<L>(core, op.dst, result);
    Ok(())
}

/// Whether the destination has 256 bits.
pub(super) fn wide(i: &Instruction) -> bool {
    i.op0_register().is_ymm()
}

/// By the destination's width; the last source is a register, or is fetched by `M`.
pub(super) fn form<C: Compute, M: Operand>(i: &Instruction) -> Exec {
    sources::<C, Reg, M>(i)
}

/// The same with another source for registers too.
pub(super) fn sources<C: Compute, R: Operand, M: Operand>(i: &Instruction) -> Exec {
    if wide(i) { rm(i, vex::<C, R, YMM>, vex::<C, M, YMM>) } else { rm(i, vex::<C, R, X>, vex::<C, M, X>) }
}

/// 128 bits always.
pub(super) fn narrow<C: Compute, R: Operand, M: Operand>(i: &Instruction) -> Exec {
    rm(i, vex::<C, R, X>, vex::<C, M, X>)
}

/// A blend under a register, whose number is in the immediate's place.
fn blendv<O: BlendV, B: Operand, const L: usize>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let b = B::get::<L>(core, op)?;
    let (a, mask) = (register::<L>(core, op.src), register::<L>(core, Num::new(op.imm as usize)));
    put::<L>(core, op.dst, halves::<L>(|h| O::apply(a[h], b[h], mask[h])));
    Ok(())
}

/// The blends.
pub(super) fn blend<O: BlendV>(i: &Instruction) -> Exec {
    if wide(i) {
        rm(i, blendv::<O, Reg, YMM>, blendv::<O, Mem, YMM>)
    } else {
        rm(i, blendv::<O, Reg, X>, blendv::<O, Mem, X>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mnemonic_is_found_without_its_v() {
        let names: Vec<String> = Mnemonic::values().map(|m| format!("{m:?}").to_lowercase()).collect();
        for v in Mnemonic::values().filter(|m| format!("{m:?}").starts_with('V')) {
            let rest = &names[v as usize][1..];
            let kin = Mnemonic::values().find(|m| names[*m as usize] == rest);
            assert_eq!(WITHOUT_V[v as usize], kin.unwrap_or(v) as u16);
        }
    }
}
