//! Packed decimals: FBLD and FBSTP. Eighteen digits, two a byte, lowest first; the sign is bit 7 of the tenth byte.

use crate::softfloat::{Env, Float, Format, Rounding, flag, from_u64, to_i64};

/// Reads a packed decimal. Digits above nine count as what they are; the manual leaves them undefined.
pub(crate) fn load(bytes: [u8; 10]) -> Float {
    let magnitude =
        bytes[..9].iter().rev().fold(0u64, |n, b| n.wrapping_mul(100) + u64::from(b >> 4) * 10 + u64::from(b & 15));
    // Eighteen digits fit 64 bits: nothing is rounded, whatever the environment.
    from_u64(&mut Env::from_x87_control(0x37f), Format::F80, magnitude).with_sign(bytes[9] & 0x80 != 0)
}

/// The decimal indefinite.
pub(crate) const INDEFINITE: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff];

/// Writes a packed decimal, rounding to an integer; what doesn't fit becomes the decimal indefinite.
pub(crate) fn store(env: &mut Env, value: Float, rounding: Rounding) -> [u8; 10] {
    let mut attempt = *env;
    let magnitude = match to_i64(&mut attempt, value, 64, rounding) {
        Some(n) if n.unsigned_abs() < 1_000_000_000_000_000_000 => n.unsigned_abs(),
        _ => {
            env.raise(flag::INVALID);
            return INDEFINITE;
        }
    };
    *env = attempt;
    let mut bytes = [0; 10];
    let mut rest = magnitude;
    for byte in &mut bytes[..9] {
        *byte = ((rest % 10) | ((rest / 10 % 10) << 4)) as u8;
        rest /= 100;
    }
    bytes[9] = u8::from(value.sign) << 7;
    bytes
}
