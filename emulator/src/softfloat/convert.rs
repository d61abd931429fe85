//! Conversions between floating point and integers.

use super::{Class, Env, Float, Format, Rounding, flag, flush_denormal, note_denormals, round, round_at};

/// An integer, rounded to a format.
pub(crate) fn from_i64(env: &mut Env, format: Format, value: i64) -> Float {
    from_magnitude(env, format, value < 0, value.unsigned_abs())
}

/// An unsigned integer, rounded to a format.
pub(crate) fn from_u64(env: &mut Env, format: Format, value: u64) -> Float {
    from_magnitude(env, format, false, value)
}

fn from_magnitude(env: &mut Env, format: Format, sign: bool, magnitude: u64) -> Float {
    env.rounded_up = false;
    if magnitude == 0 {
        return Float::zero(false);
    }
    let shift = magnitude.leading_zeros();
    round(env, format, sign, 63 - shift as i32, u128::from(magnitude) << (64 + shift))
}

/// A signed integer of `bits` bits; `None`, with invalid raised, for what does not fit. The denormal flag is left
/// alone: no instruction that converts to an integer raises it.
pub(crate) fn to_i64(env: &mut Env, value: Float, bits: u32, rounding: Rounding) -> Option<i64> {
    let limit = 1u128 << (bits - 1);
    let magnitude = to_magnitude(env, value, rounding, limit - 1, limit)? as i64;
    Some(if value.sign { magnitude.wrapping_neg() } else { magnitude })
}

/// An unsigned integer of `bits` bits, as [`to_i64`].
pub(crate) fn to_u64(env: &mut Env, value: Float, bits: u32, rounding: Rounding) -> Option<u64> {
    to_magnitude(env, value, rounding, u128::from(u64::MAX >> (64 - bits)), 0)
}

/// The magnitude of an integer that is at most `positive`, or `negative` below zero.
fn to_magnitude(env: &mut Env, value: Float, rounding: Rounding, positive: u128, negative: u128) -> Option<u64> {
    env.rounded_up = false;
    let value = flush_denormal(env, value);
    match value.class {
        Class::Zero => return Some(0),
        Class::Finite if value.exp < 64 => {}
        _ => {
            env.raise(flag::INVALID);
            return None;
        }
    }
    let (magnitude, inexact, up) = integer_part(value, rounding);
    if magnitude > if value.sign { negative } else { positive } {
        env.raise(flag::INVALID);
        return None;
    }
    if inexact {
        env.raise(flag::PRECISION);
    }
    env.rounded_up = up;
    Some(magnitude as u64)
}

/// For a finite value below 2^64: its magnitude as an integer, whether inexact, whether the magnitude grew.
fn integer_part(value: Float, rounding: Rounding) -> (u128, bool, bool) {
    let drop = (127 - value.exp) as u32;
    round_at(rounding, value.sign, u128::from(value.sig) << 64, drop)
}

/// The nearest integer in the same format; `quiet` leaves the precision flag alone.
pub(crate) fn round_to_integral(env: &mut Env, value: Float, rounding: Rounding, quiet: bool) -> Float {
    env.rounded_up = false;
    let value = flush_denormal(env, value);
    match value.class {
        Class::Unsupported => env.invalid(),
        Class::SignalingNan => {
            env.raise(flag::INVALID);
            value.quieted()
        }
        Class::Finite => {
            if env.x87 {
                note_denormals(env, &[value]);
            }
            if value.exp >= 63 {
                return value;
            }
            let (magnitude, inexact, up) = integer_part(value, rounding);
            env.rounded_up = up;
            if inexact && !quiet {
                env.raise(flag::PRECISION);
            }
            if magnitude == 0 {
                return Float::zero(value.sign);
            }
            let shift = magnitude.leading_zeros();
            Float::finite(value.sign, 127 - shift as i32, (magnitude << shift >> 64) as u64)
        }
        _ => value,
    }
}
