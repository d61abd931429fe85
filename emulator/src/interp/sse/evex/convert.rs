//! Conversions between integers, signed and unsigned, and floating point.

use core::marker::PhantomData;

use super::super::cvt::{extend, extend_half, f32_of, f64_of, from_int, shorten, to_int, truncate_f64};
use super::super::fp::{Mx, Real};
use super::super::lanes::Lane;
use super::{Done, Each, Fetch, Form, In, at, cut, put, register, set};
use crate::interp::core::Core;
use crate::interp::op::Op;
use crate::softfloat::{self, Float, Format, Rounding};

/// An unsigned integer of `bits` bits, by MXCSR's rounding or toward zero: all ones if it doesn't fit.
fn to_unsigned<T: Real>(mx: &mut Mx, value: T::Bits, bits: u32, truncate: bool) -> u64 {
    let rounding = if truncate { Rounding::Zero } else { Rounding::from_rc(mx.mxcsr >> 13) };
    mx.soft(|env| softfloat::to_u64(env, T::unpack(value), bits, rounding)).unwrap_or(u64::MAX >> (64 - bits))
}

fn from_unsigned<T: Real>(mx: &mut Mx, value: u64) -> T::Bits {
    match i64::try_from(value) {
        Ok(value) => from_int::<T>(mx, value),
        Err(_) => T::pack(mx.soft(|env| softfloat::from_u64(env, T::FORMAT, value))),
    }
}

macro_rules! conversions {
    ($($name:ident: $part:literal, $from:ty => $to:ty, |$mx:ident, $value:ident| $result:expr;)*) => {$(
        pub(super) struct $name;
        impl Each for $name {
            type T = $to;
            const PART: usize = $part;
            fn each($mx: &mut Mx, x: &In, i: usize) -> $to {
                let $value: $from = at(&x.b, i);
                $result
            }
        }
    )*};
}

conversions! {
    Dq2ps: 1, u32 => u32, |mx, v| f32_of(mx, v);
    Udq2ps: 1, u32 => u32, |mx, v| from_unsigned::<f32>(mx, v.into());
    Dq2pd: 1, u32 => u64, |_mx, v| f64_of(v);
    Udq2pd: 1, u32 => u64, |_mx, v| f64::from(v).to_bits();
    Ps2dq: 1, u32 => u32, |mx, v| to_int::<f32>(mx, v, 32, false) as u32;
    Tps2dq: 1, u32 => u32, |mx, v| to_int::<f32>(mx, v, 32, true) as u32;
    Ps2udq: 1, u32 => u32, |mx, v| to_unsigned::<f32>(mx, v, 32, false) as u32;
    Tps2udq: 1, u32 => u32, |mx, v| to_unsigned::<f32>(mx, v, 32, true) as u32;
    Pd2dq: 2, u64 => u32, |mx, v| to_int::<f64>(mx, v, 32, false) as u32;
    Tpd2dq: 2, u64 => u32, |mx, v| to_int::<f64>(mx, v, 32, true) as u32;
    Pd2udq: 2, u64 => u32, |mx, v| to_unsigned::<f64>(mx, v, 32, false) as u32;
    Tpd2udq: 2, u64 => u32, |mx, v| to_unsigned::<f64>(mx, v, 32, true) as u32;
    Ps2qq: 1, u32 => u64, |mx, v| to_int::<f32>(mx, v, 64, false) as u64;
    Tps2qq: 1, u32 => u64, |mx, v| to_int::<f32>(mx, v, 64, true) as u64;
    Ps2uqq: 1, u32 => u64, |mx, v| to_unsigned::<f32>(mx, v, 64, false);
    Tps2uqq: 1, u32 => u64, |mx, v| to_unsigned::<f32>(mx, v, 64, true);
    Pd2qq: 1, u64 => u64, |mx, v| to_int::<f64>(mx, v, 64, false) as u64;
    Tpd2qq: 1, u64 => u64, |mx, v| to_int::<f64>(mx, v, 64, true) as u64;
    Pd2uqq: 1, u64 => u64, |mx, v| to_unsigned::<f64>(mx, v, 64, false);
    Tpd2uqq: 1, u64 => u64, |mx, v| to_unsigned::<f64>(mx, v, 64, true);
    Qq2pd: 1, i64 => u64, |mx, v| from_int::<f64>(mx, v);
    Uqq2pd: 1, u64 => u64, |mx, v| from_unsigned::<f64>(mx, v);
    Qq2ps: 2, i64 => u32, |mx, v| from_int::<f32>(mx, v);
    Uqq2ps: 2, u64 => u32, |mx, v| from_unsigned::<f32>(mx, v);
    Ps2pd: 1, u32 => u64, |mx, v| extend(mx, v);
    Pd2ps: 2, u64 => u32, |mx, v| shorten(mx, v);
    Ph2ps: 1, u16 => u32, |mx, v| extend_half(mx, v);
}

/// To half precision, of the source that stores name too; the immediate's rounding, or MXCSR's. It knows no FTZ.
pub(super) struct Ps2ph;

impl Each for Ps2ph {
    type T = u16;
    const PART: usize = 2;
    fn each(mx: &mut Mx, x: &In, i: usize) -> u16 {
        let imm = u32::from(x.imm);
        mx.soft(|env| {
            env.ftz = false;
            if imm & 4 == 0 {
                env.rounding = Rounding::from_rc(imm);
            }
            softfloat::convert(env, Format::F16, Float::from_f32(at(&x.a, i)))
        })
        .to_f16()
    }
}

/// The format that an element of a vector has.
pub(super) trait Element: Real<Bits: Lane> {
    /// To a signed integer, toward zero.
    fn truncate(mx: &mut Mx, value: Self::Bits, bits: u32) -> i64 {
        to_int::<Self>(mx, value, bits, true)
    }
}

impl Element for f32 {}

impl Element for f64 {
    fn truncate(mx: &mut Mx, value: u64, bits: u32) -> i64 {
        truncate_f64(mx, value, bits)
    }
}

/// A signed integer of a general register or memory to the lowest element, of 32 or 64 bits.
pub(super) fn from_gpr<T: Element, const BITS: u32, const SIGNED: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let form = Form::of_op(op);
    let value = match (form.has(Form::MEMORY), BITS) {
        (true, 32) => core.load::<u32>(core.ea(op))?.into(),
        (true, _) => core.load::<u64>(core.ea(op))?,
        (false, _) => core.r64(op.aux),
    };
    let mut mx = form.mx(core);
    let lane = match (SIGNED, BITS) {
        (true, 32) => from_int::<T>(&mut mx, (value as i32).into()),
        (true, _) => from_int::<T>(&mut mx, value as i64),
        (false, 32) => from_unsigned::<T>(&mut mx, (value as u32).into()),
        (false, _) => from_unsigned::<T>(&mut mx, value),
    };
    form.commit(core, &mx)?;
    let mut result = cut(register(core, op.src), 16);
    set(&mut result, 0, lane);
    put(core, op.dst, result);
    Ok(())
}

/// How a number becomes an integer in a general register.
pub(super) struct ToGpr<T, F>(PhantomData<(T, F)>);

impl<T: Element, F: Fetch> ToGpr<T, F> {
    /// By MXCSR's rounding, the instruction's own, or toward zero.
    pub(super) fn convert<const BITS: u32, const SIGNED: bool, const TRUNCATE: bool>(
        core: &mut Core<'_>,
        op: &Op,
    ) -> Done {
        let form = Form::of_op(op);
        let value: T::Bits = at(&F::get(core, op, form, 1)?, 0);
        let mut mx = form.mx(core);
        let result = match (SIGNED, TRUNCATE) {
            (true, true) => T::truncate(&mut mx, value, BITS) as u64,
            (true, false) => to_int::<T>(&mut mx, value, BITS, false) as u64,
            (false, truncate) => to_unsigned::<T>(&mut mx, value, BITS, truncate),
        };
        form.commit(core, &mx)?;
        core.set_r64(op.dst, if BITS == 32 { u64::from(result as u32) } else { result });
        Ok(())
    }
}
