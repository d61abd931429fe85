//! FMA3: products and sums rounded once.
//!
//! The digits in a name say which operands are multiplied and which one is added: 1 is the destination, 2 and 3 are the
//! sources. NaNs count in the order multiplicand, multiplier, addend.
//!
//! The host's `mul_add` is fused too; its result stands if it is ordinary and the precision flag is set already, as in
//! [`super::fp`]. Everything else goes through [`crate::softfloat`].

use core::marker::PhantomData;

use iced_x86::{Instruction, Mnemonic};

use super::forms::{M32, M64};
use super::fp::{Mx, Real, each32, each64};
use super::lanes::{V, get, with};
use super::vex::{Compute, Mem, One, Reg, Y, YMM, form, narrow};
use crate::interp::op::Exec;
use crate::softfloat;

/// `±(a · b) ± c`: whether the product and the addend are negated in even and in odd lanes.
pub(super) trait Signs {
    const PRODUCT: bool;
    const ADDEND: [bool; 2];
}

macro_rules! signs {
    ($($name:ident: $product:literal $even:literal $odd:literal;)*) => {$(
        pub(super) struct $name;
        impl Signs for $name {
            const PRODUCT: bool = $product;
            const ADDEND: [bool; 2] = [$even, $odd];
        }
    )*};
}

signs! {
    Madd: false false false;
    Msub: false true true;
    Nmadd: true false false;
    Nmsub: true true true;
    // "addsub" adds in odd lanes and subtracts in even ones.
    Maddsub: false true false;
    Msubadd: false false true;
}

/// Which of destination, first and second source are multiplicand, multiplier and addend.
pub(super) trait Order {
    fn arrange(old: V, a: V, b: V) -> [V; 3];
}

pub(super) struct O132;
pub(super) struct O213;
pub(super) struct O231;

impl Order for O132 {
    #[inline(always)]
    fn arrange(old: V, a: V, b: V) -> [V; 3] {
        [old, b, a]
    }
}

impl Order for O213 {
    #[inline(always)]
    fn arrange(old: V, a: V, b: V) -> [V; 3] {
        [a, old, b]
    }
}

impl Order for O231 {
    #[inline(always)]
    fn arrange(old: V, a: V, b: V) -> [V; 3] {
        [a, b, old]
    }
}

/// A format with a fused operation.
pub(super) trait Fused: Real {
    fn host(self, b: Self, c: Self) -> Self;
    fn negated(bits: Self::Bits) -> Self::Bits;
}

macro_rules! fused {
    ($($t:ty, $sign:expr;)*) => {$(
        impl Fused for $t {
            #[inline(always)]
            fn host(self, b: Self, c: Self) -> Self {
                self.mul_add(b, c)
            }
            #[inline(always)]
            fn negated(bits: Self::Bits) -> Self::Bits {
                bits ^ $sign
            }
        }
    )*};
}

fused! { f32, 1 << 31; f64, 1 << 63; }

/// One lane. A NaN keeps its sign: operands are negated, results of NaNs are not.
#[inline(always)]
pub(super) fn lane<T: Fused, S: Signs>(mx: &mut Mx, i: usize, x: T::Bits, y: T::Bits, z: T::Bits) -> T::Bits {
    let (a, b, c) = (T::of(x), T::of(y), T::of(z));
    if mx.usual() && mx.inexact_already() && a.ordinary_operand() && b.ordinary_operand() && c.ordinary_operand() {
        let a = if S::PRODUCT { a.neg() } else { a };
        let c = if S::ADDEND[i % 2] { c.neg() } else { c };
        let r = a.host(b, c);
        if r.ordinary_result() {
            return r.bits();
        }
    }
    soft::<T>(mx, [x, y, z], S::PRODUCT, S::ADDEND[i % 2])
}

#[cold]
#[inline(never)]
fn soft<T: Fused>(mx: &mut Mx, operands: [T::Bits; 3], product: bool, addend: bool) -> T::Bits {
    let [x, y, z] = operands;
    let value = |bits: T::Bits, negate: bool| {
        let value = T::unpack(bits);
        T::unpack(if negate && !value.is_nan() { T::negated(bits) } else { bits })
    };
    let (x, y, z) = (value(x, product), T::unpack(y), value(z, addend));
    T::pack(mx.soft(|env| softfloat::fma(env, T::FORMAT, x, y, z)))
}

struct Ps<S, O>(PhantomData<(S, O)>);
struct Pd<S, O>(PhantomData<(S, O)>);
struct Ss<S, O>(PhantomData<(S, O)>);
struct Sd<S, O>(PhantomData<(S, O)>);

macro_rules! compute {
    ($($name:ident |$mx:ident, $x:ident, $y:ident, $z:ident, $old:ident| $result:expr;)*) => {$(
        impl<S: Signs, O: Order> Compute for $name<S, O> {
            #[inline(always)]
            fn apply<const L: usize>($mx: &mut Mx, old: Y, a: Y, b: Y, _: u8) -> Y {
                let mut half = |h: usize| {
                    let $old = old[h];
                    let [$x, $y, $z] = O::arrange($old, a[h], b[h]);
                    $result
                };
                let low = half(0);
                [low, if L == YMM { half(1) } else { [0; 16] }]
            }
        }
    )*};
}

compute! {
    Ps |mx, x, y, z, _old| each32(|i| lane::<f32, S>(mx, i, get(x, i), get(y, i), get(z, i)));
    Pd |mx, x, y, z, _old| each64(|i| lane::<f64, S>(mx, i, get(x, i), get(y, i), get(z, i)));
    Ss |mx, x, y, z, old| with(old, 0, lane::<f32, S>(mx, 0, get(x, 0), get(y, 0), get(z, 0)));
    Sd |mx, x, y, z, old| with(old, 0, lane::<f64, S>(mx, 0, get(x, 0), get(y, 0), get(z, 0)));
}

macro_rules! table {
    ($i:ident: $($signs:ident $order:ident: $ps:ident $pd:ident $($ss:ident $sd:ident)?;)*) => {
        match $i.mnemonic() {
            $(
                Mnemonic::$ps => form::<Ps<$signs, $order>, Mem>($i),
                Mnemonic::$pd => form::<Pd<$signs, $order>, Mem>($i),
                $(
                    Mnemonic::$ss => narrow::<Ss<$signs, $order>, Reg, One<M32>>($i),
                    Mnemonic::$sd => narrow::<Sd<$signs, $order>, Reg, One<M64>>($i),
                )?
            )*
            _ => return None,
        }
    };
}

/// Hands all instructions to a macro: signs and order, and the mnemonics of packed and scalar singles and doubles.
macro_rules! of_all {
    ($table:ident, $i:ident) => {
        $table! { $i:
            Madd O132: Vfmadd132ps Vfmadd132pd Vfmadd132ss Vfmadd132sd;
            Madd O213: Vfmadd213ps Vfmadd213pd Vfmadd213ss Vfmadd213sd;
            Madd O231: Vfmadd231ps Vfmadd231pd Vfmadd231ss Vfmadd231sd;
            Msub O132: Vfmsub132ps Vfmsub132pd Vfmsub132ss Vfmsub132sd;
            Msub O213: Vfmsub213ps Vfmsub213pd Vfmsub213ss Vfmsub213sd;
            Msub O231: Vfmsub231ps Vfmsub231pd Vfmsub231ss Vfmsub231sd;
            Nmadd O132: Vfnmadd132ps Vfnmadd132pd Vfnmadd132ss Vfnmadd132sd;
            Nmadd O213: Vfnmadd213ps Vfnmadd213pd Vfnmadd213ss Vfnmadd213sd;
            Nmadd O231: Vfnmadd231ps Vfnmadd231pd Vfnmadd231ss Vfnmadd231sd;
            Nmsub O132: Vfnmsub132ps Vfnmsub132pd Vfnmsub132ss Vfnmsub132sd;
            Nmsub O213: Vfnmsub213ps Vfnmsub213pd Vfnmsub213ss Vfnmsub213sd;
            Nmsub O231: Vfnmsub231ps Vfnmsub231pd Vfnmsub231ss Vfnmsub231sd;
            Maddsub O132: Vfmaddsub132ps Vfmaddsub132pd;
            Maddsub O213: Vfmaddsub213ps Vfmaddsub213pd;
            Maddsub O231: Vfmaddsub231ps Vfmaddsub231pd;
            Msubadd O132: Vfmsubadd132ps Vfmsubadd132pd;
            Msubadd O213: Vfmsubadd213ps Vfmsubadd213pd;
            Msubadd O231: Vfmsubadd231ps Vfmsubadd231pd;
        }
    };
}
pub(super) use of_all;

/// The instructions of FMA3.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    Some(of_all!(table, i))
}
