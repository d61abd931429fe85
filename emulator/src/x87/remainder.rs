//! FPREM, FPREM1, FSCALE and FXTRACT: exact operations on exponents and remainders.

use crate::softfloat::{Class, Env, Float, Format, Rounding, flag, from_i64, nan_operand, round, to_i64};

/// What a remainder instruction leaves.
pub(crate) struct Remainder {
    /// The (partial) remainder.
    pub(crate) value: Float,
    /// What is known of the quotient.
    pub(crate) quotient: Quotient,
}

/// What a remainder instruction tells of its quotient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quotient {
    /// Its low three bits.
    Complete(u8),
    /// The reduction is incomplete.
    Partial,
    /// There is none: a NaN.
    Invalid,
}

/// FPREM (`nearest` false: the quotient is truncated) and FPREM1 (rounded to nearest, as IEEE 754 says).
///
/// A reduction takes away at most 63 bits of the difference between the exponents; of a larger one, as many as leaves a
/// multiple of 32, which is what processors do.
pub(crate) fn remainder(env: &mut Env, a: Float, b: Float, nearest: bool) -> Remainder {
    let whole = |value| Remainder { value, quotient: Quotient::Complete(0) };
    if let Some(nan) = nan_operand(env, a, b) {
        return Remainder { value: nan, quotient: Quotient::Invalid };
    }
    if a.class == Class::Infinite || b.class == Class::Zero {
        return Remainder { value: env.invalid(), quotient: Quotient::Invalid };
    }
    if a.denormal || b.denormal {
        env.raise(flag::DENORMAL);
    }
    if a.class == Class::Zero {
        return whole(a);
    }
    if b.class == Class::Infinite {
        // Which may underflow.
        return whole(exact(env, a.sign, a.exp, a.sig.into()));
    }
    let difference = a.exp - b.exp;
    let divisor = u128::from(b.sig);
    if difference >= 64 {
        // Take away 2^(difference - step) times as much as fits.
        let step = 32 + difference % 32;
        let rest = (u128::from(a.sig) << step) % divisor;
        return Remainder { value: exact(env, a.sign, b.exp + difference - step, rest), quotient: Quotient::Partial };
    }
    if difference < -1 || (difference < 0 && !nearest) {
        return whole(exact(env, a.sign, a.exp, a.sig.into()));
    }
    // Count in half units of the divisor's last place, so that a difference of -1 has room.
    let dividend = u128::from(a.sig) << (difference + 1);
    let divisor = divisor << 1;
    let (mut quotient, mut rest, mut sign) = (dividend / divisor, dividend % divisor, a.sign);
    let twice = rest << 1;
    if nearest && (twice > divisor || (twice == divisor && quotient & 1 != 0)) {
        rest = divisor - rest;
        quotient += 1;
        sign = !sign;
    }
    let value = if rest == 0 { Float::zero(a.sign) } else { exact(env, sign, b.exp - 1, rest) };
    Remainder { value, quotient: Quotient::Complete(quotient as u8 & 7) }
}

/// `rest · 2^(exp-63)`; remainders need no rounding.
fn exact(env: &mut Env, sign: bool, exp: i32, rest: u128) -> Float {
    if rest == 0 {
        return Float::zero(sign);
    }
    let shift = rest.leading_zeros();
    round(env, Format::F80, sign, exp + 64 - shift as i32, rest << shift)
}

/// FSCALE: `a · 2^trunc(b)`.
pub(crate) fn scale(env: &mut Env, a: Float, b: Float) -> Float {
    if let Some(nan) = nan_operand(env, a, b) {
        return nan;
    }
    match (a.class, b.class, b.sign) {
        (Class::Infinite, Class::Infinite, true) | (Class::Zero, Class::Infinite, false) => {
            return env.invalid();
        }
        _ if a.denormal || b.denormal => env.raise(flag::DENORMAL),
        _ => {}
    }
    match (a.class, b.class) {
        (Class::Zero | Class::Infinite, _) => return a,
        (_, Class::Zero) => return exact(env, a.sign, a.exp, a.sig.into()),
        (_, Class::Infinite) if b.sign => return Float::zero(a.sign),
        (_, Class::Infinite) => return Float::infinity(a.sign),
        _ => {}
    }
    // Beyond ±2^16 every result over- or underflows.
    let limit = 1 << 16;
    let by = to_i64(&mut env.clone(), b, 64, Rounding::Zero);
    let by = by.unwrap_or(if b.sign { -limit } else { limit }).clamp(-limit, limit);
    round(env, Format::F80, a.sign, a.exp + by as i32, u128::from(a.sig) << 64)
}

/// FXTRACT: the exponent as a number, and the significand.
pub(crate) fn extract(env: &mut Env, a: Float) -> (Float, Float) {
    match a.class {
        Class::Unsupported => {
            let nan = env.invalid();
            (nan, nan)
        }
        Class::QuietNan | Class::SignalingNan => {
            if a.class == Class::SignalingNan {
                env.raise(flag::INVALID);
            }
            (a.quieted(), a.quieted())
        }
        Class::Infinite => (Float::infinity(false), a),
        Class::Zero => {
            env.raise(flag::ZERO_DIVIDE);
            (Float::infinity(true), a)
        }
        Class::Finite => {
            if a.denormal {
                env.raise(flag::DENORMAL);
            }
            (from_i64(env, Format::F80, a.exp.into()), Float::finite(a.sign, 0, a.sig))
        }
    }
}
