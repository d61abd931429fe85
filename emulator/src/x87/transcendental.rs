//! F2XM1, FYL2X, FYL2XP1, FPATAN, FSIN, FCOS and FPTAN.
//!
//! The manual promises an error below one unit in the last place, and reduces angles by a π of 66 bits. We compute in
//! IEEE binary128, whose 113 bits leave 49 to spare, and round once: results are correctly rounded but for cases nearer
//! than 2^-45 units to a tie. The same short π is used, so that large angles give what processors give.

use crate::softfloat::{Class, Env, Float, Format, flag, nan_operand, round};
use core::ops::{Add, Div, Mul, Neg, Sub};
use rustc_apfloat::{Float as _, ieee::Quad};

/// binary128 with plain operators.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Wide(Quad);

macro_rules! operator {
    ($($trait:ident, $method:ident, $op:tt;)*) => {$(
        impl $trait for Wide {
            type Output = Self;
            fn $method(self, other: Self) -> Self {
                Self((self.0 $op other.0).value)
            }
        }
    )*};
}

operator! { Add, add, +; Sub, sub, -; Mul, mul, *; Div, div, /; }

impl Neg for Wide {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl From<i32> for Wide {
    fn from(n: i32) -> Self {
        Self(Quad::from_i128(n.into()).value)
    }
}

const fn bits(high: u64, low: u64) -> u128 {
    (high as u128) << 64 | low as u128
}

const LN_2: u128 = bits(0x3ffe_62e4_2fef_a39e, 0xf357_93c7_6730_07e6);
const LOG2_E: u128 = bits(0x3fff_7154_7652_b82f, 0xe177_7d0f_fda0_d23a);
const PI: u128 = bits(0x4000_921f_b544_42d1, 0x8469_898c_c517_01b8);
const HALF_PI: u128 = bits(0x3fff_921f_b544_42d1, 0x8469_898c_c517_01b8);
/// atan(k/8).
const ATAN_EIGHTHS: [u128; 9] = [
    0,
    bits(0x3ffb_fd5b_a9aa_c2f6, 0xdc65_912f_313e_7d11),
    bits(0x3ffc_f5b7_5f92_c80d, 0xd62a_db8f_3deb_ef44),
    bits(0x3ffd_6f61_941e_4def, 0x08e7_1546_4245_b9fd),
    bits(0x3ffd_dac6_7056_1bb4, 0xf68a_dfc8_8bd9_7875),
    bits(0x3ffe_1e00_babd_efeb, 0x3f36_b906_bc2c_cb88),
    bits(0x3ffe_4978_fa32_69ee, 0x1248_3350_fe54_8afb),
    bits(0x3ffe_700a_7c57_8463, 0x3ce7_965b_4aa4_2149),
    HALF_PI - (1 << 112),
];
/// 2^64 · π, cut to the 66 bits that processors have.
const PI_66: u128 = 0xc_90fd_aa22_168c_234c >> 2;

impl Wide {
    fn from_bits(bits: u128) -> Self {
        Self(Quad::from_bits(bits))
    }

    /// A finite value or zero, exactly.
    fn from_float(value: Float) -> Self {
        if value.class != Class::Finite {
            return Self(Quad::from_bits(0));
        }
        let magnitude = Quad::from_i128(i128::from(value.sig)).value.scalbn(value.exp - 63);
        Self(if value.sign { -magnitude } else { magnitude })
    }

    /// Sign, exponent, and a significand with its leading one in bit 127.
    fn parts(self) -> (bool, i32, u128) {
        let bits = self.0.to_bits();
        let (biased, fraction) = ((bits >> 112) as i32 & 0x7fff, bits & ((1 << 112) - 1));
        let sign = bits >> 127 != 0;
        if biased == 0 {
            // Denormal or zero, which none of the functions below cares to tell apart from it.
            let shift = (fraction | 1).leading_zeros();
            return (sign, -16367 - shift as i32, (fraction | 1) << shift);
        }
        (sign, biased - 16383, (fraction | 1 << 112) << 15)
    }

    /// Rounds to the register format; always inexact, which is what these functions are of all arguments but a few.
    fn round(self, env: &mut Env) -> Float {
        let (sign, exp, sig) = self.parts();
        round(env, Format::F80, sign, exp, sig | 1)
    }

    /// `Σ term(k)` while terms count; each is the last one times `step(k)`.
    fn series(first: Self, step: impl Fn(i32) -> Self) -> Self {
        let (mut sum, mut term) = (first, first);
        for k in 1..64 {
            term = term * step(k);
            let next = sum + term;
            if next == sum {
                break;
            }
            sum = next;
        }
        sum
    }

    /// `Σ x^(2k+1) / (2k+1)`, with alternating signs for atan, without for atanh.
    fn odd_series(self, alternating: bool) -> Self {
        let square = if alternating { -(self * self) } else { self * self };
        let (mut sum, mut power) = (self, self);
        for k in 1..64 {
            power = power * square;
            let next = sum + power / Self::from(2 * k + 1);
            if next == sum {
                break;
            }
            sum = next;
        }
        sum
    }

    /// sin of at most π/4.
    fn sin(self) -> Self {
        let square = self * self;
        Self::series(self, |k| -square / Self::from(2 * k * (2 * k + 1)))
    }

    /// cos of at most π/4.
    fn cos(self) -> Self {
        let square = self * self;
        Self::series(Self::from(1), |k| -square / Self::from(2 * k * (2 * k - 1)))
    }

    /// atan of a number from 0 to 1.
    fn atan(self) -> Self {
        let k = (1..9).rev().find(|k| self * Self::from(16) >= Self::from(2 * k - 1)).unwrap_or(0);
        if k == 0 {
            return self.odd_series(true);
        }
        let c = Self::from(k) / Self::from(8);
        let rest = (self - c) / (Self::from(1) + self * c);
        Self::from_bits(ATAN_EIGHTHS[k as usize]) + rest.odd_series(true)
    }
}

/// NaN and denormal operands of a function of one argument.
fn check(env: &mut Env, x: Float) -> Option<Float> {
    if let Some(nan) = nan_operand(env, x, x) {
        return Some(nan);
    }
    if x.denormal {
        env.raise(flag::DENORMAL);
    }
    None
}

/// F2XM1: 2^x - 1, defined from -1 to 1. Beyond, processors answer the argument.
pub(crate) fn exp2_minus_1(env: &mut Env, x: Float) -> Float {
    if let Some(nan) = check(env, x) {
        return nan;
    }
    match x.class {
        Class::Infinite if x.sign => Float::finite(true, 0, 1 << 63),
        // Of so small a number the first term is all that counts, and the others would leave the range.
        Class::Finite if x.exp < -200 => product(env, x, Wide::from_bits(LN_2)),
        Class::Finite if x.exp < 0 => {
            let y = Wide::from_float(x) * Wide::from_bits(LN_2);
            Wide::series(y, |k| y / Wide::from(k + 1)).round(env)
        }
        // 2^1 - 1 = 1 and 2^-1 - 1 = -1/2 are exact; but processors report a loss of precision, and round the 1 as if it
        // were a little less.
        Class::Finite if x.exp == 0 && x.sig == 1 << 63 && !x.sign => round(env, Format::F80, false, -1, u128::MAX),
        Class::Finite => {
            env.raise(flag::PRECISION);
            if x.exp == 0 && x.sig == 1 << 63 { Float::finite(true, -1, 1 << 63) } else { x }
        }
        _ => x,
    }
}

/// The base-2 logarithm of a positive finite number.
fn log2(x: Float) -> Wide {
    // A significand between √½ and √2 keeps the series short and the sum free of cancellation.
    let (exp, significand) = if x.sig > 0xb504_f333_f9de_6484 {
        (x.exp + 1, Float { exp: -1, ..x })
    } else {
        (x.exp, Float { exp: 0, ..x })
    };
    let m = Wide::from_float(significand);
    let one = Wide::from(1);
    let ln = ((m - one) / (m + one)).odd_series(false) * Wide::from(2);
    Wide::from(exp) + ln * Wide::from_bits(LOG2_E)
}

/// FYL2X: y · log2(x).
pub(crate) fn y_log2_x(env: &mut Env, x: Float, y: Float) -> Float {
    if let Some(nan) = nan_operand(env, x, y) {
        return nan;
    }
    if x.sign && x.class != Class::Zero {
        return env.invalid();
    }
    let one = x.class == Class::Finite && x.exp == 0 && x.sig == 1 << 63;
    match (x.class, y.class) {
        (Class::Zero, Class::Zero) => return env.invalid(),
        (Class::Zero, Class::Infinite) => return Float::infinity(!y.sign),
        (Class::Zero, _) => {
            env.raise(flag::ZERO_DIVIDE);
            return Float::infinity(!y.sign);
        }
        (Class::Infinite, Class::Zero) => return env.invalid(),
        (_, Class::Infinite) if one => return env.invalid(),
        _ if x.denormal || y.denormal => env.raise(flag::DENORMAL),
        _ => {}
    }
    let below_one = x.class == Class::Finite && x.exp < 0;
    let sign = y.sign ^ below_one;
    match (x.class, y.class) {
        (Class::Infinite, _) | (_, Class::Infinite) => Float::infinity(sign),
        (_, Class::Zero) => Float::zero(sign),
        _ if one => Float::zero(y.sign),
        // The logarithm of a power of two is exact. Processors report a loss of precision nevertheless.
        _ if x.sig == 1 << 63 => {
            env.raise(flag::PRECISION);
            let log = crate::softfloat::from_i64(&mut env.clone(), Format::F80, x.exp.into());
            let product = crate::softfloat::mul(env, Format::F80, log, Float { denormal: false, ..y });
            if product.class == Class::Finite && product.exp < Format::F80.min_exp {
                env.raise(flag::UNDERFLOW);
            }
            product
        }
        _ => product(env, y, log2(x)),
    }
}

/// `y · w` for a `w` of ordinary size: only the product may leave the range, and is rounded once.
fn product(env: &mut Env, y: Float, w: Wide) -> Float {
    let (sign, exp, sig) = (Wide::from_float(Float { exp: 0, ..y }) * w).parts();
    round(env, Format::F80, sign, exp + y.exp, sig | 1)
}

/// The largest number below `sig · 2^exp`.
fn below(exp: i32, sig: u128) -> (i32, u128) {
    if sig == 1 << 127 { (exp - 1, u128::MAX) } else { (exp, sig - 1) }
}

/// FYL2XP1: y · log2(1 + x), for x of magnitude below 1 - √½; accurate near zero.
pub(crate) fn y_log2_x_plus_1(env: &mut Env, x: Float, y: Float) -> Float {
    if let Some(nan) = nan_operand(env, x, y) {
        return nan;
    }
    match (x.class, y.class) {
        (Class::Zero, Class::Infinite) | (Class::Infinite, Class::Zero) => return env.invalid(),
        (Class::Infinite, _) if x.sign => return env.invalid(),
        _ if x.denormal || y.denormal => env.raise(flag::DENORMAL),
        _ => {}
    }
    // Outside its domain the instruction is undefined; processors answer x.
    if x.class == Class::Finite && x.sign && x.exp >= 0 {
        env.raise(flag::PRECISION);
        return x;
    }
    let sign = x.sign ^ y.sign;
    match (x.class, y.class) {
        (Class::Infinite, _) | (_, Class::Infinite) => Float::infinity(sign),
        (Class::Zero, _) | (_, Class::Zero) => Float::zero(sign),
        _ if x.exp < -60 => {
            // log2(1 + x) = x · log2 e to all the bits that count.
            let significand = Wide::from_float(Float { exp: 0, ..x });
            product(env, Float { exp: y.exp + x.exp, ..y }, significand * Wide::from_bits(LOG2_E))
        }
        _ if x.exp < -1 => {
            let w = Wide::from_float(x);
            let ln = (w / (Wide::from(2) + w)).odd_series(false) * Wide::from(2);
            product(env, y, ln * Wide::from_bits(LOG2_E))
        }
        _ => {
            let sum = crate::softfloat::add(
                &mut Env::from_x87_control(0x37f),
                Format::F80,
                x,
                Float::finite(false, 0, 1 << 63),
                false,
            );
            product(env, y, log2(sum))
        }
    }
}

/// FPATAN: the angle of the point (x, y).
pub(crate) fn atan2(env: &mut Env, y: Float, x: Float) -> Float {
    if let Some(nan) = nan_operand(env, y, x) {
        return nan;
    }
    if x.denormal || y.denormal {
        env.raise(flag::DENORMAL);
    }
    let signed = |env: &mut Env, angle: Wide| if y.sign { -angle } else { angle }.round(env);
    let (pi, half_pi) = (Wide::from_bits(PI), Wide::from_bits(HALF_PI));
    let quarter = half_pi / Wide::from(2);
    match (y.class, x.class) {
        (Class::Zero, _) | (Class::Finite, Class::Infinite) if x.sign => signed(env, pi),
        (Class::Zero, _) | (Class::Finite, Class::Infinite) => Float::zero(y.sign),
        (Class::Infinite, Class::Infinite) if x.sign => signed(env, pi - quarter),
        (Class::Infinite, Class::Infinite) => signed(env, quarter),
        (Class::Infinite, _) | (_, Class::Zero) => signed(env, half_pi),
        _ => {
            let steep = (y.exp, y.sig) > (x.exp, x.sig);
            let (small, large) = if steep { (x, y) } else { (y, x) };
            let difference = small.exp - large.exp;
            // Scaled, so that the quotient can't leave the range on its own.
            let significand = |f: Float, exp| Wide::from_float(Float { exp, sign: false, ..f });
            if difference < -50 && !steep && !x.sign {
                // atan t is a little less than t; only here can the result be tiny.
                let (_, exp, sig) = (significand(small, 0) / significand(large, 0)).parts();
                let (exp, sig) = below(exp + difference, sig);
                return round(env, Format::F80, y.sign, exp, sig);
            }
            let ratio = significand(small, difference.max(-200)) / significand(large, 0);
            let angle = ratio.atan();
            let angle = if steep { half_pi - angle } else { angle };
            match (steep, x.sign) {
                (true, true) => signed(env, half_pi + ratio.atan()),
                (false, true) => signed(env, pi - angle),
                _ => signed(env, angle),
            }
        }
    }
}

/// An angle's remainder by π/2, of magnitude at most π/4, and the quadrant.
fn reduce(x: Float) -> (Wide, u32) {
    if x.exp < -2 {
        return (Wide::from_float(x), 0);
    }
    // Counted in units of 2^-65, π/2 is the integer PI_66.
    let (mut rest, mut quadrant, mut shift) = (u128::from(x.sig), 0u32, (x.exp + 2) as u32);
    loop {
        quadrant = quadrant.wrapping_add((rest / PI_66) as u32);
        rest %= PI_66;
        if shift == 0 {
            break;
        }
        let step = shift.min(60);
        rest <<= step;
        quadrant = quadrant.checked_shl(step).unwrap_or(0);
        shift -= step;
    }
    let mut rest = rest as i128;
    if rest > PI_66 as i128 / 2 {
        rest -= PI_66 as i128;
        quadrant = quadrant.wrapping_add(1);
    }
    if x.sign {
        rest = -rest;
        quadrant = quadrant.wrapping_neg();
    }
    (Wide(Quad::from_i128(rest).value.scalbn(-65)), quadrant & 3)
}

/// What a trigonometric instruction leaves.
#[derive(Clone, Copy)]
pub(crate) struct SinCos {
    /// The sine.
    pub(crate) sin: Float,
    /// The cosine.
    pub(crate) cos: Float,
    /// The tangent.
    pub(crate) tan: Float,
}

/// Which of the three results an instruction wants: only those may raise flags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The sine.
    pub(crate) sin: bool,
    /// The cosine.
    pub(crate) cos: bool,
    /// The tangent.
    pub(crate) tan: bool,
}

/// Sine, cosine and tangent; `None` if the angle is 2^63 or more, which C2 must tell.
pub(crate) fn sin_cos(env: &mut Env, x: Float, wanted: Wanted) -> Option<SinCos> {
    let all = |value| Some(SinCos { sin: value, cos: value, tan: value });
    if let Some(nan) = check(env, x) {
        return all(nan);
    }
    let one = Float::finite(false, 0, 1 << 63);
    match x.class {
        Class::Infinite => return all(env.invalid()),
        Class::Zero => {
            return Some(SinCos { sin: x, cos: one, tan: x });
        }
        _ if x.exp >= 63 => return None,
        // sin x = tan x = x, rounded as from a little below or above; only here can the result be tiny.
        _ if x.exp < -40 => {
            let tiny = u128::from(x.sig) << 64;
            let (exp, less) = below(x.exp, tiny);
            let cos = if wanted.cos { round(env, Format::F80, false, -1, u128::MAX) } else { one };
            let sin = if wanted.sin { round(env, Format::F80, x.sign, exp, less) } else { x };
            let tan = if wanted.tan { round(env, Format::F80, x.sign, x.exp, tiny | 1) } else { x };
            return Some(SinCos { sin, cos, tan });
        }
        _ => {}
    }
    let (rest, quadrant) = reduce(x);
    let (s, c) = (rest.sin(), rest.cos());
    let (sin, cos) = match quadrant {
        0 => (s, c),
        1 => (c, -s),
        2 => (-s, -c),
        _ => (-c, s),
    };
    let mut pick = |want: bool, value: Wide| if want { value.round(env) } else { one };
    // The sine last: of FSINCOS's two results, it decides C1.
    let (tan, cos) = (pick(wanted.tan, sin / cos), pick(wanted.cos, cos));
    Some(SinCos { sin: pick(wanted.sin, sin), cos, tan })
}
