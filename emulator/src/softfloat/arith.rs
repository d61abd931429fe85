//! Addition, multiplication, division and square root: exact, then rounded once.
//!
//! Special operands are judged in the manual's order of precedence: signalling NaN, quiet NaN, other invalid operands
//! and division by zero, denormal operands, and only then the result.

use super::{Class, Env, Float, Format, Rounding, flag, flush_denormal, note_denormals, round};

/// The result that a NaN among the operands demands, if there is one. SSE answers its first operand, x87 the one with
/// the larger significand, but a quiet one before a signalling one.
pub(crate) fn nan_operand(env: &mut Env, a: Float, b: Float) -> Option<Float> {
    if a.class == Class::Unsupported || b.class == Class::Unsupported {
        return Some(env.invalid());
    }
    if !a.is_nan() && !b.is_nan() {
        return None;
    }
    let signaling = |f: Float| f.class == Class::SignalingNan;
    if signaling(a) || signaling(b) {
        env.raise(flag::INVALID);
    }
    let first = match (a.is_nan(), b.is_nan()) {
        (true, false) => true,
        (false, _) => false,
        _ if !env.x87 => true,
        _ if signaling(a) != signaling(b) => signaling(b),
        _ if a.sig != b.sig => a.sig > b.sig,
        _ => !a.sign,
    };
    Some(if first { a } else { b }.quieted())
}

/// `a + b`; subtraction is addition of `b` with its sign changed, NaNs aside: pass `subtract`.
pub(crate) fn add(env: &mut Env, format: Format, a: Float, b: Float, subtract: bool) -> Float {
    env.rounded_up = false;
    let (a, b) = (flush_denormal(env, a), flush_denormal(env, b));
    if let Some(nan) = nan_operand(env, a, b) {
        return nan;
    }
    let b = b.with_sign(b.sign ^ subtract);
    if a.class == Class::Infinite && b.class == Class::Infinite && a.sign != b.sign {
        return env.invalid();
    }
    note_denormals(env, &[a, b]);
    match (a.class, b.class) {
        (Class::Infinite, _) => a,
        (_, Class::Infinite) => b,
        (Class::Zero, Class::Zero) if a.sign == b.sign => a,
        (Class::Zero, Class::Zero) => Float::zero(env.rounding == Rounding::Down),
        (Class::Zero, _) => round(env, format, b.sign, b.exp, u128::from(b.sig) << 64),
        (_, Class::Zero) => round(env, format, a.sign, a.exp, u128::from(a.sig) << 64),
        _ => add_finite(env, format, a, b),
    }
}

/// `±sig/2^126 · 2^exp`, with bit 126 set, so that a sum still fits.
#[derive(Clone, Copy)]
struct Wide {
    sign: bool,
    exp: i32,
    sig: u128,
}

fn add_finite(env: &mut Env, format: Format, a: Float, b: Float) -> Float {
    let wide = |f: Float| Wide { sign: f.sign, exp: f.exp, sig: u128::from(f.sig) << 63 };
    add_wide(env, format, wide(a), wide(b))
}

fn add_wide(env: &mut Env, format: Format, a: Wide, b: Wide) -> Float {
    let (large, small) = if (a.exp, a.sig) >= (b.exp, b.sig) { (a, b) } else { (b, a) };
    let (x, y) = (large.sig, shift_right_sticky(small.sig, (large.exp - small.exp) as u32));
    let sum = if large.sign == small.sign { x + y } else { x - y };
    if sum == 0 {
        return Float::zero(env.rounding == Rounding::Down);
    }
    let shift = sum.leading_zeros();
    round(env, format, large.sign, large.exp + 1 - shift as i32, sum << shift)
}

fn shift_right_sticky(value: u128, shift: u32) -> u128 {
    match shift {
        0 => value,
        1..=127 => value >> shift | u128::from(value << (128 - shift) != 0),
        _ => u128::from(value != 0),
    }
}

/// `a · b`.
pub(crate) fn mul(env: &mut Env, format: Format, a: Float, b: Float) -> Float {
    env.rounded_up = false;
    let (a, b) = (flush_denormal(env, a), flush_denormal(env, b));
    if let Some(nan) = nan_operand(env, a, b) {
        return nan;
    }
    let sign = a.sign ^ b.sign;
    match (a.class, b.class) {
        (Class::Infinite, Class::Zero) | (Class::Zero, Class::Infinite) => return env.invalid(),
        _ => note_denormals(env, &[a, b]),
    }
    match (a.class, b.class) {
        (Class::Infinite, _) | (_, Class::Infinite) => Float::infinity(sign),
        (Class::Zero, _) | (_, Class::Zero) => Float::zero(sign),
        _ => {
            let product = u128::from(a.sig) * u128::from(b.sig);
            let shift = product.leading_zeros();
            round(env, format, sign, a.exp + b.exp + 1 - shift as i32, product << shift)
        }
    }
}

/// `a · b + c`, rounded once, for formats of at most 53 bits. Of several NaNs the first operand's is the answer.
pub(crate) fn fma(env: &mut Env, format: Format, a: Float, b: Float, c: Float) -> Float {
    env.rounded_up = false;
    let (a, b, c) = (flush_denormal(env, a), flush_denormal(env, b), flush_denormal(env, c));
    let sign = a.sign ^ b.sign;
    let operands = [a, b, c];
    if let Some(nan) = operands.iter().find(|f| f.is_nan()) {
        if operands.iter().any(|f| f.class == Class::SignalingNan) {
            env.raise(flag::INVALID);
        }
        return nan.quieted();
    }
    match (a.class, b.class) {
        (Class::Infinite, Class::Zero) | (Class::Zero, Class::Infinite) => return env.invalid(),
        (Class::Infinite, _) | (_, Class::Infinite) if c.class == Class::Infinite && c.sign != sign => {
            return env.invalid();
        }
        _ => note_denormals(env, &operands),
    }
    match (a.class, b.class, c.class) {
        (Class::Infinite, _, _) | (_, Class::Infinite, _) => Float::infinity(sign),
        (_, _, Class::Infinite) => c,
        (Class::Zero, _, Class::Zero) | (_, Class::Zero, Class::Zero) if c.sign == sign => c,
        (Class::Zero, _, Class::Zero) | (_, Class::Zero, Class::Zero) => Float::zero(env.rounding == Rounding::Down),
        (Class::Zero, _, _) | (_, Class::Zero, _) => round(env, format, c.sign, c.exp, u128::from(c.sig) << 64),
        _ => {
            // Bit 127 or 126 leads. Significands of 53 bits leave enough zeros below to move it by one.
            let product = u128::from(a.sig) * u128::from(b.sig);
            let shift = product.leading_zeros();
            let product = Wide { sign, exp: a.exp + b.exp + 1 - shift as i32, sig: product << shift >> 1 };
            let addend = Wide { sign: c.sign, exp: c.exp, sig: u128::from(c.sig) << 63 };
            if c.class == Class::Zero {
                return round(env, format, sign, product.exp, product.sig << 1);
            }
            add_wide(env, format, product, addend)
        }
    }
}

/// `a / b`.
pub(crate) fn div(env: &mut Env, format: Format, a: Float, b: Float) -> Float {
    env.rounded_up = false;
    let (a, b) = (flush_denormal(env, a), flush_denormal(env, b));
    if let Some(nan) = nan_operand(env, a, b) {
        return nan;
    }
    let sign = a.sign ^ b.sign;
    match (a.class, b.class) {
        (Class::Infinite, Class::Infinite) | (Class::Zero, Class::Zero) => return env.invalid(),
        (Class::Finite, Class::Zero) => {
            env.raise(flag::ZERO_DIVIDE);
            return Float::infinity(sign);
        }
        _ => note_denormals(env, &[a, b]),
    }
    match (a.class, b.class) {
        (Class::Infinite, _) => Float::infinity(sign),
        (Class::Zero, _) | (_, Class::Infinite) => Float::zero(sign),
        _ => {
            let (n, d) = (u128::from(a.sig) << 63, u128::from(b.sig));
            let high = n / d;
            let n = (n - high * d) << 64;
            let low = n / d;
            let rest = n - low * d;
            let quotient = high << 64 | low | u128::from(rest != 0);
            let shift = quotient.leading_zeros();
            round(env, format, sign, a.exp - b.exp - shift as i32, quotient << shift)
        }
    }
}

/// The square root of `a`.
pub(crate) fn sqrt(env: &mut Env, format: Format, a: Float) -> Float {
    env.rounded_up = false;
    let a = flush_denormal(env, a);
    match a.class {
        Class::Unsupported => env.invalid(),
        Class::QuietNan => a,
        Class::SignalingNan => {
            env.raise(flag::INVALID);
            a.quieted()
        }
        Class::Zero => a,
        _ if a.sign => env.invalid(),
        Class::Infinite => a,
        Class::Finite => {
            note_denormals(env, &[a]);
            let radicand = u128::from(a.sig) << (63 + (a.exp & 1));
            let root = radicand.isqrt();
            let rest = radicand - root * root;
            // The rest tells the next bit: above `root`, the fraction is more than a half. It is never exactly a half.
            let below = u128::from(rest > root) << 63 | u128::from(rest != 0);
            round(env, format, false, a.exp >> 1, root << 64 | below)
        }
    }
}
