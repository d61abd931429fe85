//! Binary floating point as x86 defines it, in integers.
//!
//! The manual describes SSE and x87 arithmetic as: unpack, decide special operands, compute exactly, round once to the
//! destination's precision and exponent range under the control register's rounding mode, and report each of six
//! exceptions in a sticky flag. SSE rounds to 24 or 53 bits; x87 to 24, 53 or 64 bits, always with the 15-bit exponent.
//!
//! All of these share one unpacked form with a 64-bit significand, and one rounding step that works on 128 bits. The
//! flags have the same bit positions in MXCSR and in the x87 status word, so one [`Env`] serves both.
//!
//! Why not a library: none that we know has x86's tininess rule (after rounding, with unbounded exponent), the
//! denormal-operand flag, precision control and square roots. Tests hold this module against the host's arithmetic and
//! against `rustc_apfloat`.

mod arith;
mod convert;
#[cfg(test)]
mod tests;

pub(crate) use arith::{add, div, fma, mul, nan_operand, sqrt};
pub(crate) use convert::{from_i64, from_u64, round_to_integral, to_i64, to_u64};

use core::cmp::Ordering;

/// Exception flags and masks: bit positions of MXCSR's and the x87 status word's low six bits.
pub(crate) mod flag {
    /// Invalid operation.
    pub(crate) const INVALID: u32 = 1;
    /// A denormal operand.
    pub(crate) const DENORMAL: u32 = 2;
    /// Division of a finite number by zero.
    pub(crate) const ZERO_DIVIDE: u32 = 4;
    /// The rounded result is too large.
    pub(crate) const OVERFLOW: u32 = 8;
    /// The rounded result is too small.
    pub(crate) const UNDERFLOW: u32 = 16;
    /// The result had to be rounded.
    pub(crate) const PRECISION: u32 = 32;
    /// All six.
    pub(crate) const ALL: u32 = 63;
    /// Those that are found before a result is computed.
    pub(crate) const PRE_COMPUTATION: u32 = INVALID | DENORMAL | ZERO_DIVIDE;
}

/// Rounding modes, in the encoding of the RC fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// To nearest, ties to even.
    Nearest,
    /// Toward minus infinity.
    Down,
    /// Toward plus infinity.
    Up,
    /// Toward zero.
    Zero,
}

impl Rounding {
    /// From a two-bit RC field.
    #[inline]
    pub(crate) fn from_rc(rc: u32) -> Self {
        match rc & 3 {
            0 => Self::Nearest,
            1 => Self::Down,
            2 => Self::Up,
            _ => Self::Zero,
        }
    }
}

/// What an operation reads from its control register, and the flags that it raises.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Env {
    /// The rounding mode.
    pub(crate) rounding: Rounding,
    /// Exceptions with a set bit are masked: they give a default result.
    pub(crate) masks: u32,
    /// Denormal operands count as zero (MXCSR.DAZ).
    pub(crate) daz: bool,
    /// Tiny results become zero (MXCSR.FTZ).
    pub(crate) ftz: bool,
    /// x87 rules: NaN selection by significand, unmasked over- and underflow rebias the exponent.
    pub(crate) x87: bool,
    /// Exceptions raised so far.
    pub(crate) flags: u32,
    /// The last rounding increased the magnitude (x87's C1).
    pub(crate) rounded_up: bool,
}

impl Env {
    /// As MXCSR's value says.
    #[inline]
    pub(crate) fn from_mxcsr(mxcsr: u32) -> Self {
        Self {
            rounding: Rounding::from_rc(mxcsr >> 13),
            masks: mxcsr >> 7 & flag::ALL,
            daz: mxcsr & 0x40 != 0,
            ftz: mxcsr & 0x8000 != 0,
            x87: false,
            flags: 0,
            rounded_up: false,
        }
    }

    /// As an x87 control word says.
    #[inline]
    pub(crate) fn from_x87_control(control: u16) -> Self {
        Self {
            rounding: Rounding::from_rc(u32::from(control) >> 10),
            masks: u32::from(control) & flag::ALL,
            daz: false,
            ftz: false,
            x87: true,
            flags: 0,
            rounded_up: false,
        }
    }

    /// Raises exceptions.
    #[inline]
    pub(crate) fn raise(&mut self, flags: u32) {
        self.flags |= flags;
    }

    /// Flags raised so far that are not masked.
    #[inline]
    pub(crate) fn unmasked(&self) -> u32 {
        self.flags & !self.masks
    }

    fn masked(&self, flag: u32) -> bool {
        self.masks & flag != 0
    }

    /// Raises invalid operation and answers the default NaN.
    pub(crate) fn invalid(&mut self) -> Float {
        self.raise(flag::INVALID);
        Float::DEFAULT_NAN
    }
}

/// Precision and exponent range of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// Bits of the significand, with the leading one.
    pub(crate) precision: u32,
    /// Exponent of the smallest normal number.
    pub(crate) min_exp: i32,
    /// Exponent of the largest number.
    pub(crate) max_exp: i32,
}

impl Format {
    /// binary16.
    pub(crate) const F16: Self = Self { precision: 11, min_exp: -14, max_exp: 15 };
    /// binary32.
    pub(crate) const F32: Self = Self { precision: 24, min_exp: -126, max_exp: 127 };
    /// binary64.
    pub(crate) const F64: Self = Self { precision: 53, min_exp: -1022, max_exp: 1023 };
    /// The x87 register format.
    pub(crate) const F80: Self = Self { precision: 64, min_exp: -16382, max_exp: 16383 };

    /// The register format under the control word's PC field.
    pub(crate) fn of_x87_control(control: u16) -> Self {
        let precision = match control >> 8 & 3 {
            0 => 24,
            2 => 53,
            _ => 64,
        };
        Self { precision, ..Self::F80 }
    }
}

/// Kinds of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// ±0.
    Zero,
    /// A non-zero finite number.
    Finite,
    /// ±∞.
    Infinite,
    /// A quiet NaN.
    QuietNan,
    /// A signalling NaN.
    SignalingNan,
    /// An encoding that the 387 and later refuse: unnormals, pseudo-infinities, pseudo-NaNs.
    Unsupported,
}

/// A number taken apart: `±sig/2^63 · 2^exp`, with bit 63 of `sig` set if finite.
/// NaNs keep their fraction left-aligned below bit 63, so that it survives conversions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Float {
    /// What it is.
    pub(crate) class: Class,
    /// Whether it is negative.
    pub(crate) sign: bool,
    /// Its exponent, if finite.
    pub(crate) exp: i32,
    /// Its significand.
    pub(crate) sig: u64,
    /// Whether it was stored as a denormal.
    pub(crate) denormal: bool,
}

const QUIET_BIT: u64 = 1 << 62;
const LEADING: u64 = 1 << 63;

impl Float {
    /// x86's answer to invalid operations: negative, quiet, otherwise empty.
    pub(crate) const DEFAULT_NAN: Self =
        Self { class: Class::QuietNan, sign: true, exp: 0, sig: LEADING | QUIET_BIT, denormal: false };

    /// ±0.
    pub(crate) const fn zero(sign: bool) -> Self {
        Self { class: Class::Zero, sign, exp: 0, sig: 0, denormal: false }
    }

    /// ±∞.
    pub(crate) const fn infinity(sign: bool) -> Self {
        Self { class: Class::Infinite, sign, exp: 0, sig: LEADING, denormal: false }
    }

    /// `sig/2^63 · 2^exp`, for a `sig` with bit 63 set.
    pub(crate) const fn finite(sign: bool, exp: i32, sig: u64) -> Self {
        Self { class: Class::Finite, sign, exp, sig, denormal: false }
    }

    /// Whether it is a NaN of either kind.
    #[inline]
    pub(crate) fn is_nan(&self) -> bool {
        matches!(self.class, Class::QuietNan | Class::SignalingNan)
    }

    /// The quiet form of a NaN.
    pub(crate) fn quieted(self) -> Self {
        Self { class: Class::QuietNan, sig: self.sig | QUIET_BIT | LEADING, ..self }
    }

    /// With its sign set.
    pub(crate) fn with_sign(self, sign: bool) -> Self {
        Self { sign, ..self }
    }

    /// Unpacks binary16.
    pub(crate) fn from_f16(bits: u16) -> Self {
        unpack(Format::F16, u64::from(bits), 5)
    }

    /// Unpacks binary32.
    pub(crate) fn from_f32(bits: u32) -> Self {
        unpack(Format::F32, u64::from(bits), 8)
    }

    /// Unpacks binary64.
    pub(crate) fn from_f64(bits: u64) -> Self {
        unpack(Format::F64, bits, 11)
    }

    /// Unpacks the x87 format: significand, and sign with exponent.
    pub(crate) fn from_f80(sig: u64, sign_exp: u16) -> Self {
        let sign = sign_exp & 0x8000 != 0;
        let biased = i32::from(sign_exp & 0x7fff);
        let leading = sig & LEADING != 0;
        let class = match (biased, leading) {
            (0, _) if sig == 0 => return Self::zero(sign),
            (0, _) => {
                // A denormal, or a pseudo-denormal with its leading bit set: both count 2^-16382.
                let shift = sig.leading_zeros();
                let exp = Format::F80.min_exp - shift as i32;
                return Self { denormal: true, ..Self::finite(sign, exp, sig << shift) };
            }
            (_, false) => Class::Unsupported,
            (0x7fff, true) if sig == LEADING => Class::Infinite,
            (0x7fff, true) if sig & QUIET_BIT != 0 => Class::QuietNan,
            (0x7fff, true) => Class::SignalingNan,
            (_, true) => Class::Finite,
        };
        Self { class, sign, exp: biased - 16383, sig, denormal: false }
    }

    /// Packs to binary16; the value must have been rounded to it.
    pub(crate) fn to_f16(self) -> u16 {
        pack(Format::F16, self, 5) as u16
    }

    /// Packs to binary32; the value must have been rounded to it.
    pub(crate) fn to_f32(self) -> u32 {
        pack(Format::F32, self, 8) as u32
    }

    /// Packs to binary64; the value must have been rounded to it.
    pub(crate) fn to_f64(self) -> u64 {
        pack(Format::F64, self, 11)
    }

    /// Packs to the x87 format: significand, and sign with exponent.
    pub(crate) fn to_f80(self) -> (u64, u16) {
        let sign = u16::from(self.sign) << 15;
        match self.class {
            Class::Zero => (0, sign),
            Class::Finite if self.exp < Format::F80.min_exp => {
                let shift = (Format::F80.min_exp - self.exp) as u32;
                (self.sig.checked_shr(shift).unwrap_or(0), sign)
            }
            Class::Finite => (self.sig, sign | (self.exp + 16383) as u16 & 0x7fff),
            Class::Infinite => (LEADING, sign | 0x7fff),
            _ => (self.sig | LEADING, sign | 0x7fff),
        }
    }
}

fn unpack(format: Format, bits: u64, exp_bits: u32) -> Float {
    let fraction_bits = format.precision - 1;
    let sign = bits >> (fraction_bits + exp_bits) & 1 != 0;
    let biased = (bits >> fraction_bits) as i32 & ((1 << exp_bits) - 1);
    let sig = bits << (64 - fraction_bits) >> 1;
    match biased {
        0 if sig == 0 => Float::zero(sign),
        0 => {
            let shift = sig.leading_zeros();
            let exp = format.min_exp - shift as i32;
            Float { denormal: true, ..Float::finite(sign, exp, sig << shift) }
        }
        b if b == (1 << exp_bits) - 1 => {
            let class = match sig {
                0 => Class::Infinite,
                s if s & QUIET_BIT != 0 => Class::QuietNan,
                _ => Class::SignalingNan,
            };
            Float { class, sign, exp: 0, sig: sig | LEADING, denormal: false }
        }
        b => Float::finite(sign, b - format.max_exp, sig | LEADING),
    }
}

fn pack(format: Format, value: Float, exp_bits: u32) -> u64 {
    let fraction_bits = format.precision - 1;
    let sign = u64::from(value.sign) << (fraction_bits + exp_bits);
    let max = ((1u64 << exp_bits) - 1) << fraction_bits;
    let fraction = value.sig << 1 >> (64 - fraction_bits);
    match value.class {
        Class::Zero => sign,
        Class::Finite if value.exp < format.min_exp => {
            let shift = (format.min_exp - value.exp) as u32 + 63 - fraction_bits;
            sign | value.sig.checked_shr(shift).unwrap_or(0)
        }
        Class::Finite => sign | ((value.exp + format.max_exp) as u64) << fraction_bits | fraction,
        Class::Infinite => sign | max,
        _ => sign | max | fraction,
    }
}

/// `sig / 2^drop` rounded to an integer; whether bits were lost; whether the magnitude grew.
fn round_at(rounding: Rounding, sign: bool, sig: u128, drop: u32) -> (u128, bool, bool) {
    let (kept, lost, half) = match drop {
        0 => (sig, 0, 1),
        1..=127 => (sig >> drop, sig & ((1 << drop) - 1), 1 << (drop - 1)),
        128 => (0, sig, 1 << 127),
        // Less than half a unit: any non-zero rest will do.
        _ => (0, u128::from(sig != 0), 2),
    };
    let up = match rounding {
        Rounding::Nearest => match lost.cmp(&half) {
            Ordering::Less => false,
            Ordering::Equal => kept & 1 != 0,
            Ordering::Greater => true,
        },
        Rounding::Down => sign && lost != 0,
        Rounding::Up => !sign && lost != 0,
        Rounding::Zero => false,
    };
    (kept + u128::from(up), lost != 0, up)
}

/// The one rounding step: `±sig/2^127 · 2^exp` (bit 127 set; bit 0 may stand for lower bits) to `format`.
pub(crate) fn round(env: &mut Env, format: Format, sign: bool, exp: i32, sig: u128) -> Float {
    let p = format.precision;
    let (kept, inexact, up) = round_at(env.rounding, sign, sig, 128 - p);
    let rounded_exp = exp + (kept >> p) as i32;
    env.rounded_up = up;
    if rounded_exp < format.min_exp {
        return round_tiny(env, format, sign, exp, sig, inexact, (rounded_exp, kept));
    }
    if rounded_exp > format.max_exp {
        env.raise(flag::OVERFLOW);
        if !env.masked(flag::OVERFLOW) {
            if inexact {
                env.raise(flag::PRECISION);
            }
            if rounded_exp - REBIAS > Format::F80.max_exp {
                env.raise(flag::PRECISION);
                env.rounded_up = true;
                return Float::infinity(sign);
            }
            return Float::finite(sign, rounded_exp - REBIAS, normalized(kept));
        }
        env.raise(flag::PRECISION);
        let to_infinity = match env.rounding {
            Rounding::Nearest => true,
            Rounding::Down => sign,
            Rounding::Up => !sign,
            Rounding::Zero => false,
        };
        env.rounded_up = to_infinity;
        return if to_infinity {
            Float::infinity(sign)
        } else {
            Float::finite(sign, format.max_exp, u64::MAX << (64 - p))
        };
    }
    if inexact {
        env.raise(flag::PRECISION);
    }
    Float::finite(sign, rounded_exp, normalized(kept))
}

/// What an unmasked x87 overflow subtracts from the exponent of a register result, and an underflow adds. (FSCALE can go
/// so far that this does not suffice: then the result is infinite or zero.)
const REBIAS: i32 = 24576;

/// The significand of a non-zero integer of at most 65 bits.
fn normalized(kept: u128) -> u64 {
    (kept << kept.leading_zeros() >> 64) as u64
}

fn round_tiny(
    env: &mut Env,
    format: Format,
    sign: bool,
    exp: i32,
    sig: u128,
    inexact: bool,
    unbounded: (i32, u128),
) -> Float {
    if !env.masked(flag::UNDERFLOW) {
        env.raise(flag::UNDERFLOW | if inexact { flag::PRECISION } else { 0 });
        if unbounded.0 + REBIAS < Format::F80.min_exp {
            env.raise(flag::PRECISION);
            env.rounded_up = false;
            return Float::zero(sign);
        }
        return Float::finite(sign, unbounded.0 + REBIAS, normalized(unbounded.1));
    }
    if env.ftz {
        env.raise(flag::UNDERFLOW | flag::PRECISION);
        return Float::zero(sign);
    }
    let extra = (format.min_exp - exp) as u32;
    let (kept, inexact, up) = round_at(env.rounding, sign, sig, 128 - format.precision + extra);
    env.rounded_up = up;
    if inexact {
        env.raise(flag::UNDERFLOW | flag::PRECISION);
    }
    if kept == 0 {
        return Float::zero(sign);
    }
    // Its unit is that of the smallest normal number.
    let top = 127 - kept.leading_zeros() as i32;
    Float::finite(sign, format.min_exp - (format.precision as i32 - 1) + top, normalized(kept))
}

/// Rounds a value to a format: quiets NaNs, raises for SNaNs, denormals and unsupported encodings.
pub(crate) fn convert(env: &mut Env, format: Format, value: Float) -> Float {
    let value = flush_denormal(env, value);
    env.rounded_up = false;
    match value.class {
        Class::Unsupported => env.invalid(),
        Class::SignalingNan => {
            env.raise(flag::INVALID);
            value.quieted()
        }
        Class::Finite => {
            note_denormals(env, &[value]);
            round(env, format, value.sign, value.exp, u128::from(value.sig) << 64)
        }
        _ => value,
    }
}

/// A denormal operand as DAZ wants it.
pub(crate) fn flush_denormal(env: &Env, value: Float) -> Float {
    if env.daz && value.denormal { Float::zero(value.sign) } else { value }
}

/// Raises the denormal flag for any denormal operand.
pub(crate) fn note_denormals(env: &mut Env, operands: &[Float]) {
    if operands.iter().any(|o| o.denormal) {
        env.raise(flag::DENORMAL);
    }
}

/// Compares; `None` for unordered. Quiet NaNs raise invalid only if `signaling`.
pub(crate) fn compare(env: &mut Env, a: Float, b: Float, signaling: bool) -> Option<Ordering> {
    let (a, b) = (flush_denormal(env, a), flush_denormal(env, b));
    let unsupported = a.class == Class::Unsupported || b.class == Class::Unsupported;
    if unsupported || a.is_nan() || b.is_nan() {
        let snan = a.class == Class::SignalingNan || b.class == Class::SignalingNan;
        if unsupported || snan || signaling {
            env.raise(flag::INVALID);
        }
        return None;
    }
    note_denormals(env, &[a, b]);
    Some(order(a, b))
}

/// The order of two values that are not NaN.
pub(crate) fn order(a: Float, b: Float) -> Ordering {
    let rank = |f: Float| match f.class {
        Class::Zero => (0, 0, 0),
        Class::Finite => (1, f.exp, f.sig),
        _ => (2, 0, 0),
    };
    let (ra, rb) = (rank(a), rank(b));
    match (a.class == Class::Zero, b.class == Class::Zero) {
        (true, true) => Ordering::Equal,
        _ if a.sign != b.sign && a.class != Class::Zero => negative_if(a.sign),
        _ if a.sign != b.sign => negative_if(!b.sign),
        _ if a.sign => rb.cmp(&ra),
        _ => ra.cmp(&rb),
    }
}

fn negative_if(negative: bool) -> Ordering {
    if negative { Ordering::Less } else { Ordering::Greater }
}
