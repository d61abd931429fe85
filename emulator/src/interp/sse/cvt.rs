//! Conversions between integers, single and double precision.
//!
//! What doesn't fit an integer becomes the "integer indefinite", the most negative one, and raises invalid.

use iced_x86::{Code, Instruction};

use super::forms::{M32, M64, M128, Mm, R32, R64, Source, Xmm, check_x87, commit, fp, rm};
use super::fp::{Mx, Real, Vector, each32, each64, vectors};
use super::lanes::{self, V, generate, get, view, view_mut, with};
use super::vex::{self, Compute, Fp, Gpr32, Gpr64, Mem, MemPart, Narrowing, One, Part, Reg, Y, form, narrow, sources};
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};
use crate::memory::Word;
use crate::softfloat::{self, Env, Float, Format, Rounding, flag};

/// An integer to a format.
#[inline(always)]
pub(super) fn from_int<T: Real>(mx: &mut Mx, value: i64) -> T::Bits {
    let magnitude = value.unsigned_abs();
    let significant = 64 - (magnitude.leading_zeros() + magnitude.trailing_zeros()).min(64);
    if significant <= T::FORMAT.precision {
        return T::from_i64(value).bits();
    }
    T::pack(mx.soft(|env| softfloat::from_i64(env, T::FORMAT, value)))
}

/// To a signed integer of `bits` bits, by MXCSR's rounding or toward zero.
#[inline(always)]
pub(super) fn to_int<T: Real>(mx: &mut Mx, value: T::Bits, bits: u32, truncate: bool) -> i64 {
    let rounding = if truncate { Rounding::Zero } else { Rounding::from_rc(mx.mxcsr >> 13) };
    mx.soft(|env| softfloat::to_i64(env, T::unpack(value), bits, rounding)).unwrap_or(i64::MIN >> (64 - bits))
}

/// To a 32-bit integer.
#[inline(always)]
pub(super) fn to_i32<T: Real>(mx: &mut Mx, value: T::Bits, truncate: bool) -> u32 {
    to_int::<T>(mx, value, 32, truncate) as u32
}

/// Truncation of a double of ordinary size: the instruction behind every C cast.
#[inline(always)]
pub(super) fn truncate_f64(mx: &mut Mx, value: u64, bits: u32) -> i64 {
    let v = f64::from_bits(value);
    // Below 2^31 every width fits; denormals are left to DAZ.
    if v.abs() < 2147483648.0 && v.ordinary_operand() {
        let integer = v as i64;
        if integer as f64 != v {
            mx.raised |= flag::PRECISION;
        }
        return integer;
    }
    to_int::<f64>(mx, value, bits, true)
}

/// An `i32` is always a double.
#[inline(always)]
pub(super) fn f64_of(value: u32) -> u64 {
    f64::from(value as i32).to_bits()
}

#[inline(always)]
pub(super) fn f32_of(mx: &mut Mx, value: u32) -> u32 {
    from_int::<f32>(mx, i64::from(value as i32))
}

/// Single to double: exact.
#[inline(always)]
pub(super) fn extend(mx: &mut Mx, value: u32) -> u64 {
    let v = f32::from_bits(value);
    if v.ordinary_operand() {
        return f64::from(v).to_bits();
    }
    mx.soft(|env| softfloat::convert(env, Format::F64, Float::from_f32(value))).to_f64()
}

/// Double to single.
#[inline(always)]
pub(super) fn shorten(mx: &mut Mx, value: u64) -> u32 {
    let v = f64::from_bits(value);
    if mx.usual() && v.ordinary_operand() {
        let r = v as f32;
        if r.ordinary_result() || v == 0.0 {
            if f64::from(r) != v {
                mx.raised |= flag::PRECISION;
            }
            return r.to_bits();
        }
    }
    mx.soft(|env: &mut Env| softfloat::convert(env, Format::F32, Float::from_f64(value))).to_f32()
}

/// Two 32-bit results in the low half.
#[inline(always)]
fn two(mut f: impl FnMut(usize) -> u32) -> V {
    let low = f(0);
    lanes::low(u64::from(low) | u64::from(f(1)) << 32)
}

/// Half to single: exact. Half denormals are ordinary numbers here, whatever MXCSR says.
#[inline(always)]
pub(super) fn extend_half(mx: &mut Mx, value: u16) -> u32 {
    mx.soft(|env| {
        let value = Float { denormal: false, ..Float::from_f16(value) };
        softfloat::convert(env, Format::F32, value)
    })
    .to_f32()
}

vectors! {
    Cvtph2ps(mx, _, b) each32(|i| extend_half(mx, get(b, i)));
    Cvtdq2ps(mx, _, b) each32(|i| f32_of(mx, get(b, i)));
    Cvtdq2pd(_mx, _, b) each64(|i| f64_of(get(b, i)));
    Cvtps2dq(mx, _, b) each32(|i| to_i32::<f32>(mx, get(b, i), false));
    Cvttps2dq(mx, _, b) each32(|i| to_i32::<f32>(mx, get(b, i), true));
    Cvtpd2dq(mx, _, b) two(|i| to_i32::<f64>(mx, get(b, i), false));
    Cvttpd2dq(mx, _, b) two(|i| to_i32::<f64>(mx, get(b, i), true));
    Cvtps2pd(mx, _, b) each64(|i| extend(mx, get(b, i)));
    Cvtpd2ps(mx, _, b) two(|i| shorten(mx, get(b, i)));
    Cvtss2sd(mx, a, b) with(a, 0, extend(mx, get(b, 0)));
    Cvtsd2ss(mx, a, b) with(a, 0, shorten(mx, get(b, 0)));
    /// From an MMX register; the high half is the destination's.
    Cvtpi2ps(mx, a, b) {
        let low = two(|i| f32_of(mx, get(b, i)));
        generate::<u64>(|i| get(if i == 0 { low } else { a }, i))
    };
    /// To an MMX register.
    Cvtps2pi(mx, _, b) two(|i| to_i32::<f32>(mx, get(b, i), false));
    /// To an MMX register, toward zero.
    Cvttps2pi(mx, _, b) two(|i| to_i32::<f32>(mx, get(b, i), true));
}

/// The conversions.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    if vex::is_vex(i) { select_vex(i) } else { select_legacy(i) }
}

fn select_vex(i: &Instruction) -> Option<Exec> {
    use Code::*;
    Some(match i.code() {
        VEX_Vcvtdq2ps_xmm_xmmm128 | VEX_Vcvtdq2ps_ymm_ymmm256 => form::<Fp<Cvtdq2ps>, Mem>(i),
        VEX_Vcvtps2dq_xmm_xmmm128 | VEX_Vcvtps2dq_ymm_ymmm256 => form::<Fp<Cvtps2dq>, Mem>(i),
        VEX_Vcvttps2dq_xmm_xmmm128 | VEX_Vcvttps2dq_ymm_ymmm256 => form::<Fp<Cvttps2dq>, Mem>(i),
        VEX_Vcvtdq2pd_xmm_xmmm64 | VEX_Vcvtdq2pd_ymm_xmmm128 => sources::<Fp<Cvtdq2pd>, Part<8>, MemPart<8>>(i),
        VEX_Vcvtps2pd_xmm_xmmm64 | VEX_Vcvtps2pd_ymm_xmmm128 => sources::<Fp<Cvtps2pd>, Part<8>, MemPart<8>>(i),
        VEX_Vcvtpd2dq_xmm_xmmm128 => narrow::<Fp<Cvtpd2dq>, Reg, Mem>(i),
        VEX_Vcvttpd2dq_xmm_xmmm128 => narrow::<Fp<Cvttpd2dq>, Reg, Mem>(i),
        VEX_Vcvtpd2ps_xmm_xmmm128 => narrow::<Fp<Cvtpd2ps>, Reg, Mem>(i),
        VEX_Vcvtpd2dq_xmm_ymmm256 => halved::<Cvtpd2dq>(i),
        VEX_Vcvttpd2dq_xmm_ymmm256 => halved::<Cvttpd2dq>(i),
        VEX_Vcvtpd2ps_xmm_ymmm256 => halved::<Cvtpd2ps>(i),
        VEX_Vcvtss2sd_xmm_xmm_xmmm32 => narrow::<Fp<Cvtss2sd>, Reg, One<M32>>(i),
        VEX_Vcvtsd2ss_xmm_xmm_xmmm64 => narrow::<Fp<Cvtsd2ss>, Reg, One<M64>>(i),
        VEX_Vcvtph2ps_xmm_xmmm64 | VEX_Vcvtph2ps_ymm_xmmm128 => sources::<Fp<Cvtph2ps>, Part<8>, MemPart<8>>(i),
        VEX_Vcvtps2ph_xmmm64_xmm_imm8 => rm(i, cvtps2ph::<{ vex::X }, false>, cvtps2ph::<{ vex::X }, true>),
        VEX_Vcvtps2ph_xmmm128_ymm_imm8 => rm(i, cvtps2ph::<{ vex::YMM }, false>, cvtps2ph::<{ vex::YMM }, true>),

        VEX_Vcvtsi2ss_xmm_xmm_rm32 => narrow::<FromInt<f32, false>, One<Gpr32>, One<M32>>(i),
        VEX_Vcvtsi2ss_xmm_xmm_rm64 => narrow::<FromInt<f32, true>, One<Gpr64>, One<M64>>(i),
        VEX_Vcvtsi2sd_xmm_xmm_rm32 => narrow::<FromInt<f64, false>, One<Gpr32>, One<M32>>(i),
        VEX_Vcvtsi2sd_xmm_xmm_rm64 => narrow::<FromInt<f64, true>, One<Gpr64>, One<M64>>(i),

        VEX_Vcvtss2si_r32_xmmm32 => rm(i, to_gpr::<f32, Xmm, false, false>, to_gpr::<f32, M32, false, false>),
        VEX_Vcvtss2si_r64_xmmm32 => rm(i, to_gpr::<f32, Xmm, true, false>, to_gpr::<f32, M32, true, false>),
        VEX_Vcvttss2si_r32_xmmm32 => rm(i, to_gpr::<f32, Xmm, false, true>, to_gpr::<f32, M32, false, true>),
        VEX_Vcvttss2si_r64_xmmm32 => rm(i, to_gpr::<f32, Xmm, true, true>, to_gpr::<f32, M32, true, true>),
        VEX_Vcvtsd2si_r32_xmmm64 => rm(i, to_gpr::<f64, Xmm, false, false>, to_gpr::<f64, M64, false, false>),
        VEX_Vcvtsd2si_r64_xmmm64 => rm(i, to_gpr::<f64, Xmm, true, false>, to_gpr::<f64, M64, true, false>),
        VEX_Vcvttsd2si_r32_xmmm64 => rm(i, to_gpr::<f64, Xmm, false, true>, to_gpr::<f64, M64, false, true>),
        VEX_Vcvttsd2si_r64_xmmm64 => rm(i, to_gpr::<f64, Xmm, true, true>, to_gpr::<f64, M64, true, true>),
        _ => return None,
    })
}

/// From 256 bits to 128.
fn halved<O: Vector>(i: &Instruction) -> Exec {
    rm(i, vex::vex::<Narrowing<O>, Reg, { vex::YMM }>, vex::vex::<Narrowing<O>, Mem, { vex::YMM }>)
}

/// An integer of 32 or 64 bits to the low lane.
struct FromInt<T, const WIDE: bool>(core::marker::PhantomData<T>);

impl<T: Low, const WIDE: bool> Compute for FromInt<T, WIDE> {
    #[inline(always)]
    fn apply<const L: usize>(mx: &mut Mx, _: Y, a: Y, b: Y, _: u8) -> Y {
        let value = if WIDE { get::<i64>(b[0], 0) } else { get::<i32>(b[0], 0).into() };
        [T::with_low(a[0], from_int::<T>(mx, value)), a[1]]
    }
}

/// VCVTPS2PH: rounds as its immediate says, or MXCSR; knows no FTZ.
fn cvtps2ph<const L: usize, const MEMORY: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let value = vex::register::<L>(core, if MEMORY { op.dst } else { op.src });
    let imm = op.imm as u32;
    let mut mx = Mx::new(core.cpu.mxcsr);
    let halves = value.map(|half| {
        let lane = |mx: &mut Mx, i: usize| -> u64 {
            mx.soft(|env| {
                env.ftz = false;
                if imm & 4 == 0 {
                    env.rounding = Rounding::from_rc(imm);
                }
                softfloat::convert(env, Format::F16, Float::from_f32(get(half, i))).to_f16().into()
            })
        };
        lane(&mut mx, 0) | lane(&mut mx, 1) << 16 | lane(&mut mx, 2) << 32 | lane(&mut mx, 3) << 48
    });
    let result: V = generate::<u64>(|i| halves[i]);
    if MEMORY {
        let address = core.ea(op);
        if L == vex::YMM {
            core.check_aligned(address, <V as Word>::ALIGN)?;
            core.check_store(address, 16)?;
            commit(core, &mx)?;
            return core.store(address, result);
        }
        core.check_aligned(address, <u64 as Word>::ALIGN)?;
        core.check_store(address, 8)?;
        commit(core, &mx)?;
        return core.store(address, halves[0]);
    }
    commit(core, &mx)?;
    vex::put::<{ vex::X }>(core, op.dst, [result, [0; 16]]);
    Ok(())
}

fn select_legacy(i: &Instruction) -> Option<Exec> {
    use Code::*;
    Some(match i.code() {
        Cvtdq2ps_xmm_xmmm128 => rm(i, fp::<Cvtdq2ps, Xmm>, fp::<Cvtdq2ps, M128>),
        Cvtps2dq_xmm_xmmm128 => rm(i, fp::<Cvtps2dq, Xmm>, fp::<Cvtps2dq, M128>),
        Cvttps2dq_xmm_xmmm128 => rm(i, fp::<Cvttps2dq, Xmm>, fp::<Cvttps2dq, M128>),
        Cvtpd2dq_xmm_xmmm128 => rm(i, fp::<Cvtpd2dq, Xmm>, fp::<Cvtpd2dq, M128>),
        Cvttpd2dq_xmm_xmmm128 => rm(i, fp::<Cvttpd2dq, Xmm>, fp::<Cvttpd2dq, M128>),
        Cvtpd2ps_xmm_xmmm128 => rm(i, fp::<Cvtpd2ps, Xmm>, fp::<Cvtpd2ps, M128>),
        Cvtdq2pd_xmm_xmmm64 => rm(i, fp::<Cvtdq2pd, Xmm>, fp::<Cvtdq2pd, M64>),
        Cvtps2pd_xmm_xmmm64 => rm(i, fp::<Cvtps2pd, Xmm>, fp::<Cvtps2pd, M64>),
        Cvtss2sd_xmm_xmmm32 => rm(i, fp::<Cvtss2sd, Xmm>, fp::<Cvtss2sd, M32>),
        Cvtsd2ss_xmm_xmmm64 => rm(i, fp::<Cvtsd2ss, Xmm>, fp::<Cvtsd2ss, M64>),

        Cvtsi2ss_xmm_rm32 => rm(i, from_gpr::<f32, R32, false>, from_gpr::<f32, M32, false>),
        Cvtsi2ss_xmm_rm64 => rm(i, from_gpr::<f32, R64, true>, from_gpr::<f32, M64, true>),
        Cvtsi2sd_xmm_rm32 => rm(i, from_gpr::<f64, R32, false>, from_gpr::<f64, M32, false>),
        Cvtsi2sd_xmm_rm64 => rm(i, from_gpr::<f64, R64, true>, from_gpr::<f64, M64, true>),

        Cvtss2si_r32_xmmm32 => rm(i, to_gpr::<f32, Xmm, false, false>, to_gpr::<f32, M32, false, false>),
        Cvtss2si_r64_xmmm32 => rm(i, to_gpr::<f32, Xmm, true, false>, to_gpr::<f32, M32, true, false>),
        Cvttss2si_r32_xmmm32 => rm(i, to_gpr::<f32, Xmm, false, true>, to_gpr::<f32, M32, false, true>),
        Cvttss2si_r64_xmmm32 => rm(i, to_gpr::<f32, Xmm, true, true>, to_gpr::<f32, M32, true, true>),
        Cvtsd2si_r32_xmmm64 => rm(i, to_gpr::<f64, Xmm, false, false>, to_gpr::<f64, M64, false, false>),
        Cvtsd2si_r64_xmmm64 => rm(i, to_gpr::<f64, Xmm, true, false>, to_gpr::<f64, M64, true, false>),
        Cvttsd2si_r32_xmmm64 => rm(i, to_gpr::<f64, Xmm, false, true>, to_gpr::<f64, M64, false, true>),
        Cvttsd2si_r64_xmmm64 => rm(i, to_gpr::<f64, Xmm, true, true>, to_gpr::<f64, M64, true, true>),

        // From memory they have nothing to do with MMX.
        Cvtpi2ps_xmm_mmm64 => rm(i, from_mm::<Cvtpi2ps, Mm>, fp::<Cvtpi2ps, M64>),
        Cvtpi2pd_xmm_mmm64 => rm(i, from_mm::<Cvtdq2pd, Mm>, fp::<Cvtdq2pd, M64>),
        Cvtps2pi_mm_xmmm64 => rm(i, to_mm::<Cvtps2pi, Xmm>, to_mm::<Cvtps2pi, M64>),
        Cvttps2pi_mm_xmmm64 => rm(i, to_mm::<Cvttps2pi, Xmm>, to_mm::<Cvttps2pi, M64>),
        Cvtpd2pi_mm_xmmm128 => rm(i, to_mm::<Cvtpd2dq, Xmm>, to_mm::<Cvtpd2dq, M128>),
        Cvttpd2pi_mm_xmmm128 => rm(i, to_mm::<Cvttpd2dq, Xmm>, to_mm::<Cvttpd2dq, M128>),
        _ => return None,
    })
}

/// A format whose bits go to and from the low lane.
trait Low: Real {
    fn low(value: V) -> Self::Bits;
    fn with_low(value: V, low: Self::Bits) -> V;
    fn truncate(mx: &mut Mx, value: Self::Bits, bits: u32) -> i64;
}

impl Low for f32 {
    #[inline(always)]
    fn low(value: V) -> u32 {
        get(value, 0)
    }
    #[inline(always)]
    fn with_low(value: V, low: u32) -> V {
        with(value, 0, low)
    }
    #[inline(always)]
    fn truncate(mx: &mut Mx, value: u32, bits: u32) -> i64 {
        to_int::<f32>(mx, value, bits, true)
    }
}

impl Low for f64 {
    #[inline(always)]
    fn low(value: V) -> u64 {
        get(value, 0)
    }
    #[inline(always)]
    fn with_low(value: V, low: u64) -> V {
        with(value, 0, low)
    }
    #[inline(always)]
    fn truncate(mx: &mut Mx, value: u64, bits: u32) -> i64 {
        truncate_f64(mx, value, bits)
    }
}

fn from_gpr<T: Low, S: Source, const WIDE: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let source = S::get(core, op)?;
    let value = if WIDE { get::<i64>(source, 0) } else { get::<i32>(source, 0).into() };
    let mut mx = Mx::new(core.cpu.mxcsr);
    let result = from_int::<T>(&mut mx, value);
    commit(core, &mx)?;
    let destination = view_mut(&mut core.cpu.xmm[op.dst as usize]);
    *destination = T::with_low(*destination, result);
    Ok(())
}

fn to_gpr<T: Low, S: Source, const WIDE: bool, const TRUNCATE: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let value = T::low(S::get(core, op)?);
    let mut mx = Mx::new(core.cpu.mxcsr);
    let bits = if WIDE { 64 } else { 32 };
    let result = if TRUNCATE { T::truncate(&mut mx, value, bits) } else { to_int::<T>(&mut mx, value, bits, false) };
    commit(core, &mx)?;
    if WIDE {
        core.set_r64(op.dst, result as u64);
    } else {
        core.set_r32(op.dst, result as u32);
    }
    Ok(())
}

fn from_mm<O: Vector, S: Source>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    check_x87(core)?;
    let b = S::get(core, op)?;
    let mut mx = Mx::new(core.cpu.mxcsr);
    let result = O::apply(&mut mx, *view(&core.cpu.xmm[op.dst as usize]), b);
    // Even #XM finds the register stack flat.
    core.cpu.fpu.enter_mmx();
    commit(core, &mx)?;
    *view_mut(&mut core.cpu.xmm[op.dst as usize]) = result;
    Ok(())
}

fn to_mm<O: Vector, S: Source>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    check_x87(core)?;
    let b = S::get(core, op)?;
    let mut mx = Mx::new(core.cpu.mxcsr);
    let result = O::apply(&mut mx, [0; 16], b);
    core.cpu.fpu.enter_mmx();
    commit(core, &mx)?;
    core.cpu.fpu.set_mmx(op.dst as u8, get(result, 0));
    Ok(())
}
