//! Floating point.

use core::cmp::Ordering;
use core::marker::PhantomData;

use super::super::cmp::order_flags;
use super::super::fma::{Fused, Order, Signs, lane};
use super::super::fp::{Mx, Scalar, compare, daz, predicate};
use super::convert::Element;
use super::{Done, Each, Fetch, Form, In, Test, at, register};
use crate::interp::core::Core;
use crate::interp::op::Op;
use crate::softfloat::{self, Class, Env, Float, Rounding, flag};

/// An operation that SSE has.
pub(super) struct Fp<T, O>(PhantomData<(T, O)>);

impl<T: Element, O: Scalar> Each for Fp<T, O> {
    type T = T::Bits;
    fn each(mx: &mut Mx, x: &In, i: usize) -> T::Bits {
        O::apply::<T>(mx, at(&x.a, i), at(&x.b, i))
    }
}

/// A fused one.
pub(super) struct Fma<T, S, O>(PhantomData<(T, S, O)>);

impl<T: Element + Fused, S: Signs, O: Order> Each for Fma<T, S, O> {
    type T = T::Bits;
    fn each(mx: &mut Mx, x: &In, i: usize) -> T::Bits {
        let quarter = i * size_of::<T>() / 16 % 4;
        let [a, b, c] = O::arrange(x.old[quarter], x.a[quarter], x.b[quarter]);
        let of = |value| super::super::lanes::get::<T::Bits>(value, i);
        lane::<T, S>(mx, i, of(a), of(b), of(c))
    }
}

/// A comparison, by the immediate's predicate.
pub(super) struct Cmp<T>(PhantomData<T>);

impl<T: Element> Test for Cmp<T> {
    const SIZE: usize = size_of::<T>();
    fn test(mx: &mut Mx, x: &In, i: usize) -> bool {
        predicate::<T>(mx, at(&x.a, i), at(&x.b, i), x.imm & 31) == T::TRUE
    }
}

/// COMISS and its kin: into the flags.
pub(super) fn comi<T: Element, F: Fetch, const SIGNALING: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let form = Form::of_op(op);
    let b = F::get(core, op, form, 1)?;
    let a = register(core, op.dst);
    let mut mx = form.mx(core);
    let order = compare::<T>(&mut mx, at(&a, 0), at(&b, 0), SIGNALING);
    form.commit(core, &mx)?;
    core.flags.set_status(order_flags(order));
    Ok(())
}

/// Operations of one number that [`softfloat`] takes apart.
macro_rules! soft {
    ($($(#[$doc:meta])* $name:ident: |$env:ident, $v:ident, $imm:ident, $rc:ident| $result:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name<T>(PhantomData<T>);
        impl<T: Element> Each for $name<T> {
            type T = T::Bits;
            fn each(mx: &mut Mx, x: &In, i: usize) -> T::Bits {
                let ($imm, $rc) = (u32::from(x.imm), mx.mxcsr >> 13);
                let $v = T::unpack(at(&x.b, i));
                T::pack(mx.soft(|$env| $result))
            }
        }
    )*};
}

/// A NaN as an answer.
fn quiet(env: &mut Env, value: Float) -> Float {
    if value.class == Class::SignalingNan {
        env.raise(flag::INVALID);
    }
    value.quieted()
}

/// An operand as DAZ wants it; the denormal flag if it stays one.
fn operand(env: &mut Env, value: Float) -> Float {
    let value = softfloat::flush_denormal(env, value);
    softfloat::note_denormals(env, &[value]);
    value
}

const ONE: Float = Float::finite(false, 0, 1 << 63);

soft! {
    /// The exponent as a number.
    Getexp: |env, v, _imm, _rc| {
        if v.is_nan() {
            quiet(env, v)
        } else {
            let v = operand(env, v);
            match v.class {
                Class::Zero => Float::infinity(true),
                Class::Infinite => Float::infinity(false),
                _ => whole(v.exp.into()),
            }
        }
    };
    /// The significand, in the interval and with the sign that the immediate says.
    Getmant: |env, v, imm, _rc| {
        if v.is_nan() {
            quiet(env, v)
        } else {
            let v = softfloat::flush_denormal(env, v);
            let sign = v.sign && imm & 4 == 0;
            if v.sign && imm & 8 != 0 && v.class != Class::Zero {
                env.invalid()
            } else if v.class != Class::Finite {
                ONE.with_sign(sign)
            } else {
                softfloat::note_denormals(env, &[v]);
                let large = v.sig >> 62 & 1 != 0;
                let exp = match imm & 3 {
                    0 => 0,
                    1 => -(v.exp & 1),
                    2 => -1,
                    _ => -i32::from(large),
                };
                Float::finite(sign, exp, v.sig)
            }
        }
    };
    /// Rounded to a multiple of a power of two.
    Rndscale: |env, v, imm, rc| rndscale(env, v, imm, rounding(imm, rc), imm & 8 != 0);
}

/// The rounding that an immediate says: its own, or MXCSR's.
fn rounding(imm: u32, rc: u32) -> Rounding {
    Rounding::from_rc(if imm & 4 != 0 { rc } else { imm })
}

/// An integer as a number.
fn whole(value: i64) -> Float {
    if value == 0 {
        return Float::zero(false);
    }
    let shift = value.unsigned_abs().leading_zeros();
    Float::finite(value < 0, 63 - shift as i32, value.unsigned_abs() << shift)
}

fn rndscale(env: &mut Env, value: Float, imm: u32, rounding: Rounding, quiet: bool) -> Float {
    let scale = (imm >> 4 & 15) as i32;
    let value = softfloat::flush_denormal(env, value);
    let scaled = Float { exp: value.exp + scale, ..value };
    let rounded = softfloat::round_to_integral(env, scaled, rounding, quiet);
    match rounded.class {
        Class::Finite => Float { exp: rounded.exp - scale, ..rounded },
        _ => rounded,
    }
}

/// What VRNDSCALE leaves.
pub(super) struct Reduce<T>(PhantomData<T>);

impl<T: Element> Each for Reduce<T> {
    type T = T::Bits;
    fn each(mx: &mut Mx, x: &In, i: usize) -> T::Bits {
        let (imm, rc) = (u32::from(x.imm), mx.mxcsr >> 13);
        let value = T::unpack(at(&x.b, i));
        T::pack(mx.soft(|env| {
            if value.is_nan() {
                return quiet(env, value);
            }
            let value = softfloat::flush_denormal(env, value);
            if value.class == Class::Infinite {
                return Float::zero(false);
            }
            let flags = env.flags;
            env.ftz &= env.masks & flag::UNDERFLOW != 0;
            (env.rounding, env.masks) = (rounding(imm, rc), flag::ALL);
            let rounded = rndscale(env, value, imm, env.rounding, true);
            let rest = softfloat::add(env, T::FORMAT, value, rounded, true);
            // Whether the rest had to be rounded is told, if the immediate doesn't say otherwise.
            let inexact = if imm & 8 == 0 { env.flags & flag::PRECISION } else { 0 };
            env.flags = flags | inexact;
            rest
        }))
    }
}

/// The smaller or larger of two numbers or magnitudes, with a sign that the immediate says.
pub(super) struct Range<T>(PhantomData<T>);

impl<T: Element> Each for Range<T> {
    type T = T::Bits;
    fn each(mx: &mut Mx, x: &In, i: usize) -> T::Bits {
        let imm = x.imm;
        let (a, b) = (T::unpack(at(&x.a, i)), T::unpack(at(&x.b, i)));
        T::pack(mx.soft(|env| range(env, a, b, imm)))
    }
}

fn range(env: &mut Env, a: Float, b: Float, imm: u8) -> Float {
    for value in [a, b] {
        if value.class == Class::SignalingNan {
            return quiet(env, value);
        }
    }
    let (a, b) = (softfloat::flush_denormal(env, a), softfloat::flush_denormal(env, b));
    let chosen = if b.is_nan() {
        a
    } else if a.is_nan() {
        b
    } else {
        softfloat::note_denormals(env, &[a, b]);
        let (smaller, absolute) = (imm & 1 == 0, imm & 2 != 0);
        let order =
            if absolute { softfloat::order(a.with_sign(false), b.with_sign(false)) } else { softfloat::order(a, b) };
        let order = match order {
            // Of the same magnitude: by the sign.
            Ordering::Equal if a.sign != b.sign => {
                if a.sign {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            order => order,
        };
        if (order != Ordering::Greater) == smaller { a } else { b }
    };
    let sign = match imm >> 2 & 3 {
        0 => a.sign,
        1 => chosen.sign,
        2 => false,
        _ => true,
    };
    chosen.with_sign(sign)
}

/// The first source times two to the floor of the last.
pub(super) struct Scalef<T>(PhantomData<T>);

impl<T: Element> Each for Scalef<T> {
    type T = T::Bits;
    fn each(mx: &mut Mx, x: &In, i: usize) -> T::Bits {
        let (a, b) = (T::unpack(at(&x.a, i)), T::unpack(at(&x.b, i)));
        T::pack(mx.soft(|env| scalef::<T>(env, a, b)))
    }
}

fn scalef<T: Element>(env: &mut Env, a: Float, b: Float) -> Float {
    let signals = [a, b].iter().any(|value| value.class == Class::SignalingNan);
    if a.class == Class::QuietNan && b.class == Class::Infinite {
        return if b.sign { Float::zero(false) } else { Float::infinity(false) };
    }
    if a.is_nan() || b.is_nan() {
        if signals {
            env.raise(flag::INVALID);
        }
        return if a.is_nan() { a.quieted() } else { b.quieted() };
    }
    let (a, b) = (softfloat::flush_denormal(env, a), softfloat::flush_denormal(env, b));
    softfloat::note_denormals(env, &[a]);
    if b.class == Class::Infinite {
        return match (a.class, b.sign) {
            (Class::Infinite, true) | (Class::Zero, false) => env.invalid(),
            (_, true) => Float::zero(a.sign),
            (_, false) => Float::infinity(a.sign),
        };
    }
    if a.class != Class::Finite {
        return a;
    }
    // As far as any number goes, and no further.
    const MOST: i32 = 1 << 12;
    let power = match b.class {
        Class::Zero => 0,
        _ if b.exp >= 12 => {
            if b.sign {
                -MOST
            } else {
                MOST
            }
        }
        _ if b.exp < 0 => -i32::from(b.sign),
        _ => {
            let shift = 63 - b.exp as u32;
            let (integer, rest) = ((b.sig >> shift) as i32, b.sig & ((1 << shift) - 1) != 0);
            if b.sign { -integer - i32::from(rest) } else { integer }
        }
    };
    softfloat::round(env, T::FORMAT, a.sign, a.exp + power, u128::from(a.sig) << 64)
}

/// Which kinds of number the immediate asks for.
pub(super) struct Fpclass<T>(PhantomData<T>);

impl<T: Element> Test for Fpclass<T> {
    const SIZE: usize = size_of::<T>();
    fn test(mx: &mut Mx, x: &In, i: usize) -> bool {
        let value = T::unpack(daz::<T>(mx, at(&x.b, i)));
        let is = match value.class {
            Class::QuietNan => 1,
            Class::SignalingNan => 0x80,
            Class::Zero => {
                if value.sign {
                    4
                } else {
                    2
                }
            }
            Class::Infinite => {
                if value.sign {
                    0x10
                } else {
                    8
                }
            }
            _ => u8::from(value.denormal) << 5 | u8::from(value.sign) << 6,
        };
        is & x.imm != 0
    }
}

/// For each kind of number in the first source an answer from a table, which the last source is.
pub(super) struct Fixupimm<T>(PhantomData<T>);

/// Constants of a format among VFIXUPIMM's answers.
pub(super) trait Constants: Element {
    /// The table of an element.
    fn table(bits: Self::Bits) -> u32;
    /// A quiet NaN with an element's sign and fraction.
    fn quiet(bits: Self::Bits) -> Self::Bits;
    /// 1, 1/2, 90, π/2 and the largest number.
    const CONSTANTS: [Self; 5];
}

impl Constants for f32 {
    fn table(bits: u32) -> u32 {
        bits
    }
    fn quiet(bits: u32) -> u32 {
        bits | 0x7fc0_0000
    }
    const CONSTANTS: [f32; 5] = [1.0, 0.5, 90.0, core::f32::consts::FRAC_PI_2, f32::MAX];
}

impl Constants for f64 {
    fn table(bits: u64) -> u32 {
        bits as u32
    }
    fn quiet(bits: u64) -> u64 {
        bits | 0x7ff8_0000_0000_0000
    }
    const CONSTANTS: [f64; 5] = [1.0, 0.5, 90.0, core::f64::consts::FRAC_PI_2, f64::MAX];
}

impl<T: Constants> Each for Fixupimm<T> {
    type T = T::Bits;
    fn each(mx: &mut Mx, x: &In, i: usize) -> T::Bits {
        let source = daz::<T>(mx, at(&x.a, i));
        let value = T::unpack(source);
        let is_one = source == T::CONSTANTS[0].bits();
        let (kind, faults) = match value.class {
            Class::QuietNan => (0, 0),
            Class::SignalingNan => (1, x.imm >> 4 & 1),
            Class::Zero => (2, x.imm >> 1 & 1 | x.imm << 2 & 4),
            Class::Infinite if value.sign => (4, x.imm >> 5 & 1),
            Class::Infinite => (5, x.imm >> 7 & 1),
            _ if is_one => (3, x.imm >> 3 & 1 | x.imm & 4),
            _ if value.sign => (6, x.imm >> 6 & 1),
            _ => (7, 0),
        };
        mx.raised |= u32::from(faults);
        let [one, half, ninety, half_pi, largest] = T::CONSTANTS;
        let pack = |value: Float| T::pack(value);
        match T::table(at(&x.b, i)) >> (4 * kind) & 15 {
            0 => at(&x.old, i),
            1 => source,
            2 => T::quiet(source),
            3 => pack(Float::DEFAULT_NAN),
            4 => pack(Float::infinity(true)),
            5 => pack(Float::infinity(false)),
            6 => pack(Float::infinity(value.sign)),
            7 => pack(Float::zero(true)),
            8 => pack(Float::zero(false)),
            9 => one.neg().bits(),
            10 => one.bits(),
            11 => half.bits(),
            12 => ninety.bits(),
            13 => half_pi.bits(),
            14 => largest.bits(),
            _ => largest.neg().bits(),
        }
    }
}
