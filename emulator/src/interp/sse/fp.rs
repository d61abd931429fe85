//! Packed and scalar floating point under MXCSR.
//!
//! The result, and which of MXCSR's six sticky flags it raises, are exact. The way there is short in the usual case: the
//! host's own arithmetic, which is IEEE 754's, if all exceptions are masked, rounding is to nearest, no operand is
//! denormal and the result is an ordinary number. The precision flag then needs no work if it is already set, and
//! else a test whether the result was exact. Everything else goes through [`crate::softfloat`].

use super::approximate::{reciprocal, reciprocal_sqrt};
use super::lanes::{V, generate, get, with};
use crate::softfloat::{self, Env, Float, Format, flag};
use core::cmp::Ordering;
use core::marker::PhantomData;

/// MXCSR while an instruction works on it.
pub(super) struct Mx {
    /// The value on entry.
    pub(super) mxcsr: u32,
    /// Flags that this instruction raises.
    pub(super) raised: u32,
    /// Flags that its earlier steps have raised, which were all masked.
    pub(super) earlier: u32,
}

/// DAZ, all masks, RC and FTZ.
const CONTROL: u32 = 0xffc0;
/// Their usual setting: everything masked, to nearest.
const USUAL: u32 = 0x1f80;

impl Mx {
    #[inline(always)]
    pub(super) fn new(mxcsr: u32) -> Self {
        Self { mxcsr, raised: 0, earlier: 0 }
    }

    /// Between the steps of an instruction that is made of several. False if the last one raised an exception that is
    /// not masked: then there is no next one.
    #[inline(always)]
    fn next_step(&mut self) -> bool {
        if self.raised & !(self.mxcsr >> 7) & flag::ALL != 0 {
            return false;
        }
        self.earlier |= std::mem::take(&mut self.raised);
        true
    }

    /// Whether the host's arithmetic has the guest's rounding.
    #[inline(always)]
    pub(super) fn usual(&self) -> bool {
        self.mxcsr & CONTROL == USUAL
    }

    /// Whether an inexact result would change nothing.
    #[inline(always)]
    pub(super) fn inexact_already(&self) -> bool {
        self.mxcsr & flag::PRECISION != 0
    }

    /// Whether a value of MXCSR has both: then an ordinary result of operands that aren't denormal is all there is to an
    /// operation.
    #[inline(always)]
    fn quick(mxcsr: u32) -> bool {
        mxcsr & (CONTROL | flag::PRECISION) == USUAL | flag::PRECISION
    }

    /// Does something in software and collects its flags.
    #[inline(always)]
    pub(super) fn soft<R>(&mut self, f: impl FnOnce(&mut Env) -> R) -> R {
        let mut env = Env::from_mxcsr(self.mxcsr);
        let result = f(&mut env);
        self.raised |= env.flags;
        result
    }
}

/// One of the two formats, by its bits.
pub(super) trait Real: Copy + PartialEq + PartialOrd {
    /// The host's type.
    type Bits: Copy + Eq;
    const FORMAT: Format;
    /// All ones, as compares answer.
    const TRUE: Self::Bits;
    const FALSE: Self::Bits;
    fn of(bits: Self::Bits) -> Self;
    fn bits(self) -> Self::Bits;
    fn unpack(bits: Self::Bits) -> Float;
    fn pack(value: Float) -> Self::Bits;
    /// Neither denormal nor NaN nor infinite; zero is.
    fn ordinary_operand(self) -> bool;
    /// Not zero and smaller than any normal number.
    fn denormal(self) -> bool;
    /// A normal number above the smallest, so that underflow is out of the question.
    fn ordinary_result(self) -> bool;
    fn is_zero(self) -> bool;
    /// Whether `x · y = z` exactly, for ordinary numbers of which `z` is near the product.
    fn exact_product(x: Self, y: Self, z: Self) -> bool;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    fn neg(self) -> Self;
    /// Rounded to nearest.
    fn from_i64(value: i64) -> Self;
}

macro_rules! real {
    ($t:ty, $bits:ty, $format:expr, $from:ident, $to:ident, $exact:expr) => {
        impl Real for $t {
            type Bits = $bits;
            const FORMAT: Format = $format;
            const TRUE: $bits = !0;
            const FALSE: $bits = 0;
            #[inline(always)]
            fn of(bits: $bits) -> Self {
                <$t>::from_bits(bits)
            }
            #[inline(always)]
            fn bits(self) -> $bits {
                self.to_bits()
            }
            #[inline(always)]
            fn unpack(bits: $bits) -> Float {
                Float::$from(bits)
            }
            #[inline(always)]
            fn pack(value: Float) -> $bits {
                value.$to()
            }
            #[inline(always)]
            fn ordinary_operand(self) -> bool {
                let least = <$t>::MIN_POSITIVE.to_bits() << 1;
                let magnitude = self.to_bits() << 1;
                magnitude == 0 || magnitude.wrapping_sub(least) < (<$t>::INFINITY.to_bits() << 1) - least
            }
            #[inline(always)]
            fn denormal(self) -> bool {
                (self.to_bits() << 1).wrapping_sub(1) < (<$t>::MIN_POSITIVE.to_bits() << 1) - 1
            }
            #[inline(always)]
            fn ordinary_result(self) -> bool {
                let least = (<$t>::MIN_POSITIVE.to_bits() << 1) + 1;
                (self.to_bits() << 1).wrapping_sub(least) < (<$t>::INFINITY.to_bits() << 1) - least
            }
            #[inline(always)]
            fn is_zero(self) -> bool {
                self == 0.0
            }
            #[inline(always)]
            fn exact_product(x: Self, y: Self, z: Self) -> bool {
                $exact(x, y, z)
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self - other
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self * other
            }
            #[inline(always)]
            fn div(self, other: Self) -> Self {
                self / other
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn neg(self) -> Self {
                -self
            }
            #[inline(always)]
            fn from_i64(value: i64) -> Self {
                value as $t
            }
        }
    };
}

real!(f32, u32, Format::F32, from_f32, to_f32, |x: f32, y: f32, z: f32| f64::from(x) * f64::from(y) == f64::from(z));
real!(f64, u64, Format::F64, from_f64, to_f64, exact_product_f64);

/// Compares significands: the exponents agree if the significands do.
fn exact_product_f64(x: f64, y: f64, z: f64) -> bool {
    let significand = |v: f64| u128::from(v.to_bits() << 11 | 1 << 63);
    let product = significand(x) * significand(y);
    product << product.leading_zeros() == significand(z) << 64
}

/// An operation on one pair of elements; unary ones look at `b`.
pub(super) trait Scalar {
    fn apply<T: Real>(mx: &mut Mx, a: T::Bits, b: T::Bits) -> T::Bits;
    /// The result, if it is an ordinary one that changes nothing in MXCSR.
    #[inline(always)]
    fn quick<T: Real>(_mxcsr: u32, _a: T::Bits, _b: T::Bits) -> Option<T::Bits> {
        None
    }
}

/// The exact error of a sum in round-to-nearest is a number; is it zero? (Knuth's TwoSum.)
#[inline(always)]
fn exact_sum<T: Real>(a: T, b: T, sum: T) -> bool {
    let b2 = sum.sub(a);
    let a2 = sum.sub(b2);
    b.sub(b2) == a2.sub(a)
}

macro_rules! arithmetic {
    ($($name:ident, |$a:ident, $b:ident| $host:expr, |$r:ident| $zero:expr, $exact:expr, |$env:ident, $x:ident, $y:ident| $soft:expr;)*) => {$(
        pub(super) struct $name;
        impl Scalar for $name {
            #[inline(always)]
            fn apply<T: Real>(mx: &mut Mx, x: T::Bits, y: T::Bits) -> T::Bits {
                let ($a, $b) = (T::of(x), T::of(y));
                if mx.usual() && $a.ordinary_operand() && $b.ordinary_operand() {
                    let $r = $host;
                    if $r.ordinary_result() {
                        if mx.inexact_already() || $exact {
                            return $r.bits();
                        }
                        mx.raised |= flag::PRECISION;
                        return $r.bits();
                    }
                    if $r.is_zero() && $zero {
                        return $r.bits();
                    }
                }
                slow::<T>(mx, x, y, |$env, $x, $y| $soft)
            }

            #[inline(always)]
            fn quick<T: Real>(mxcsr: u32, x: T::Bits, y: T::Bits) -> Option<T::Bits> {
                // An ordinary result has no NaN or infinity among its operands, but for a division by infinity: 0.
                let ($a, $b) = (T::of(x), T::of(y));
                let result = $host;
                let ordinary = !$a.denormal() & !$b.denormal() & result.ordinary_result();
                (Mx::quick(mxcsr) & ordinary).then(|| result.bits())
            }
        }
    )*};
}

#[cold]
#[inline(never)]
pub(super) fn slow<T: Real>(
    mx: &mut Mx,
    x: T::Bits,
    y: T::Bits,
    f: impl FnOnce(&mut Env, Float, Float) -> Float,
) -> T::Bits {
    T::pack(mx.soft(|env| f(env, T::unpack(x), T::unpack(y))))
}

arithmetic! {
    // A sum of ordinary numbers is zero only exactly.
    Add, |a, b| a.add(b), |r| true, exact_sum(a, b, r), |env, x, y| softfloat::add(env, T::FORMAT, x, y, false);
    Sub, |a, b| a.sub(b), |r| true, exact_sum(a, b.neg(), r), |env, x, y| softfloat::add(env, T::FORMAT, x, y, true);
    Mul, |a, b| a.mul(b), |r| a.is_zero() || b.is_zero(), T::exact_product(a, b, r), |env, x, y| softfloat::mul(env, T::FORMAT, x, y);
    Div, |a, b| a.div(b), |r| a.is_zero(), T::exact_product(r, b, a), |env, x, y| softfloat::div(env, T::FORMAT, x, y);
}

/// The square root of the second operand.
pub(super) struct Sqrt;
impl Scalar for Sqrt {
    #[inline(always)]
    fn apply<T: Real>(mx: &mut Mx, _: T::Bits, x: T::Bits) -> T::Bits {
        let a = T::of(x);
        if mx.usual() && a.ordinary_operand() {
            let r = a.sqrt();
            if r.is_zero() {
                return r.bits();
            }
            if r.ordinary_result() {
                if !mx.inexact_already() && !T::exact_product(r, r, a) {
                    mx.raised |= flag::PRECISION;
                }
                return r.bits();
            }
        }
        slow::<T>(mx, x, x, |env, x, _| softfloat::sqrt(env, T::FORMAT, x))
    }

    #[inline(always)]
    fn quick<T: Real>(mxcsr: u32, _: T::Bits, x: T::Bits) -> Option<T::Bits> {
        let result = T::of(x).sqrt();
        (Mx::quick(mxcsr) & !T::of(x).denormal() & result.ordinary_result()).then(|| result.bits())
    }
}

/// The order of two elements, with flags; `None` if unordered.
#[inline(always)]
pub(super) fn compare<T: Real>(mx: &mut Mx, x: T::Bits, y: T::Bits, signaling: bool) -> Option<Ordering> {
    let (a, b) = (T::of(x), T::of(y));
    if a.ordinary_operand() && b.ordinary_operand() {
        return a.partial_cmp(&b);
    }
    compare_slow::<T>(mx, x, y, signaling)
}

#[cold]
#[inline(never)]
fn compare_slow<T: Real>(mx: &mut Mx, x: T::Bits, y: T::Bits, signaling: bool) -> Option<Ordering> {
    mx.soft(|env| softfloat::compare(env, T::unpack(x), T::unpack(y), signaling))
}

/// MIN and MAX are not IEEE 754's: if unordered or equal, the second operand is the answer, unchanged but for DAZ.
macro_rules! min_max {
    ($($name:ident, $wins:ident;)*) => {$(
        pub(super) struct $name;
        impl Scalar for $name {
            #[inline(always)]
            fn apply<T: Real>(mx: &mut Mx, x: T::Bits, y: T::Bits) -> T::Bits {
                let first = compare::<T>(mx, x, y, true) == Some(Ordering::$wins);
                daz::<T>(mx, if first { x } else { y })
            }

            #[inline(always)]
            fn quick<T: Real>(_: u32, x: T::Bits, y: T::Bits) -> Option<T::Bits> {
                let (a, b) = (T::of(x), T::of(y));
                let first = a.partial_cmp(&b) == Some(Ordering::$wins);
                (a.ordinary_operand() & b.ordinary_operand()).then_some(if first { x } else { y })
            }
        }
    )*};
}

min_max! { Min, Less; Max, Greater; }

/// A denormal as DAZ sees it.
#[inline(always)]
pub(super) fn daz<T: Real>(mx: &Mx, x: T::Bits) -> T::Bits {
    if mx.mxcsr & 0x40 == 0 {
        return x;
    }
    let value = T::unpack(x);
    if value.denormal { T::pack(Float::zero(value.sign)) } else { x }
}

/// For which orders each predicate of VCMPPS holds: bit 0 less, 1 equal, 2 greater, 3 unordered.
const PREDICATES: [u8; 16] = [2, 1, 3, 8, 13, 14, 12, 7, 10, 9, 11, 0, 5, 6, 4, 15];

/// CMPPS and its kin: the predicate is the immediate's low five bits.
#[inline(always)]
pub(super) fn predicate<T: Real>(mx: &mut Mx, x: T::Bits, y: T::Bits, imm: u8) -> T::Bits {
    // The upper 16 are the lower with quiet and signalling exchanged.
    let signaling = matches!(imm & 3, 1 | 2) ^ (imm & 16 != 0);
    let order = match compare::<T>(mx, x, y, signaling) {
        Some(Ordering::Less) => 0,
        Some(Ordering::Equal) => 1,
        Some(Ordering::Greater) => 2,
        None => 3,
    };
    if PREDICATES[usize::from(imm & 15)] >> order & 1 != 0 { T::TRUE } else { T::FALSE }
}

/// ROUNDPS and its kin: imm bit 3 silences the precision flag, bit 2 defers to MXCSR.
#[inline(always)]
pub(super) fn round<T: Real>(mx: &mut Mx, x: T::Bits, imm: u8) -> T::Bits {
    let rc = if imm & 4 != 0 { mx.mxcsr >> 13 } else { imm.into() };
    let rounding = softfloat::Rounding::from_rc(rc);
    slow::<T>(mx, x, x, |env, x, _| softfloat::round_to_integral(env, x, rounding, imm & 8 != 0))
}

/// An operation on whole registers under MXCSR.
pub(super) trait Vector {
    fn apply(mx: &mut Mx, a: V, b: V) -> V;
    /// The result, if all its elements are ordinary ones that change nothing in MXCSR.
    #[inline(always)]
    fn quick(_mxcsr: u32, _a: V, _b: V) -> Option<V> {
        None
    }
}

/// The same with an immediate.
pub(super) trait VectorImm {
    fn apply(mx: &mut Mx, a: V, b: V, imm: u8) -> V;
    /// On 256 bits.
    #[inline(always)]
    fn apply_wide(mx: &mut Mx, a: [V; 2], b: [V; 2], imm: u8) -> [V; 2] {
        [Self::apply(mx, a[0], b[0], imm), Self::apply(mx, a[1], b[1], imm)]
    }
}

/// Four elements.
pub(super) struct Ps<O>(PhantomData<O>);
/// Two elements.
pub(super) struct Pd<O>(PhantomData<O>);
/// The lowest single; the rest is the destination's.
pub(super) struct Ss<O>(PhantomData<O>);
/// The lowest double; the rest is the destination's.
pub(super) struct Sd<O>(PhantomData<O>);

/// Like [`generate`], for closures with state.
#[inline(always)]
pub(super) fn each32(mut f: impl FnMut(usize) -> u32) -> V {
    let lanes = [f(0), f(1), f(2), f(3)];
    generate::<u32>(|i| lanes[i])
}

/// Like [`generate`], for closures with state.
#[inline(always)]
pub(super) fn each64(mut f: impl FnMut(usize) -> u64) -> V {
    let lanes = [f(0), f(1)];
    generate::<u64>(|i| lanes[i])
}

impl<O: Scalar> Vector for Ps<O> {
    #[inline(always)]
    fn apply(mx: &mut Mx, a: V, b: V) -> V {
        each32(|i| O::apply::<f32>(mx, get(a, i), get(b, i)))
    }

    #[inline(always)]
    fn quick(mxcsr: u32, a: V, b: V) -> Option<V> {
        let [x, y, z, w] = [0, 1, 2, 3].map(|i| O::quick::<f32>(mxcsr, get(a, i), get(b, i)));
        let lanes = [x?, y?, z?, w?];
        Some(generate::<u32>(|i| lanes[i]))
    }
}

impl<O: Scalar> Vector for Pd<O> {
    #[inline(always)]
    fn apply(mx: &mut Mx, a: V, b: V) -> V {
        each64(|i| O::apply::<f64>(mx, get(a, i), get(b, i)))
    }

    #[inline(always)]
    fn quick(mxcsr: u32, a: V, b: V) -> Option<V> {
        let [x, y] = [0, 1].map(|i| O::quick::<f64>(mxcsr, get(a, i), get(b, i)));
        let lanes = [x?, y?];
        Some(generate::<u64>(|i| lanes[i]))
    }
}

impl<O: Scalar> Vector for Ss<O> {
    #[inline(always)]
    fn apply(mx: &mut Mx, a: V, b: V) -> V {
        with(a, 0, O::apply::<f32>(mx, get(a, 0), get(b, 0)))
    }

    #[inline(always)]
    fn quick(mxcsr: u32, a: V, b: V) -> Option<V> {
        O::quick::<f32>(mxcsr, get(a, 0), get(b, 0)).map(|lane| with(a, 0, lane))
    }
}

impl<O: Scalar> Vector for Sd<O> {
    #[inline(always)]
    fn apply(mx: &mut Mx, a: V, b: V) -> V {
        with(a, 0, O::apply::<f64>(mx, get(a, 0), get(b, 0)))
    }

    #[inline(always)]
    fn quick(mxcsr: u32, a: V, b: V) -> Option<V> {
        O::quick::<f64>(mxcsr, get(a, 0), get(b, 0)).map(|lane| with(a, 0, lane))
    }
}

macro_rules! vectors {
    ($($(#[$doc:meta])* $name:ident($mx:ident, $a:pat_param, $b:ident) $body:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;
        impl Vector for $name {
            #[inline(always)]
            fn apply($mx: &mut Mx, $a: V, $b: V) -> V {
                $body
            }
        }
    )*};
}
pub(super) use vectors;

vectors! {
    Addsubps(mx, a, b) each32(|i| {
        let op = if i % 2 == 0 { Sub::apply::<f32> } else { Add::apply::<f32> };
        op(mx, get(a, i), get(b, i))
    });
    Addsubpd(mx, a, b) each64(|i| {
        let op = if i == 0 { Sub::apply::<f64> } else { Add::apply::<f64> };
        op(mx, get(a, i), get(b, i))
    });
    Haddps(mx, a, b) horizontal32::<Add>(mx, a, b);
    Hsubps(mx, a, b) horizontal32::<Sub>(mx, a, b);
    Haddpd(mx, a, b) horizontal64::<Add>(mx, a, b);
    Hsubpd(mx, a, b) horizontal64::<Sub>(mx, a, b);
    Rcpps(_mx, _, b) generate::<u32>(|i| reciprocal(get(b, i)));
    Rsqrtps(_mx, _, b) generate::<u32>(|i| reciprocal_sqrt(get(b, i)));
    Rcpss(_mx, a, b) with(a, 0, reciprocal(get(b, 0)));
    Rsqrtss(_mx, a, b) with(a, 0, reciprocal_sqrt(get(b, 0)));
}

#[inline(always)]
fn horizontal32<O: Scalar>(mx: &mut Mx, a: V, b: V) -> V {
    each32(|i| {
        let source = if i < 2 { a } else { b };
        O::apply::<f32>(mx, get(source, 2 * i), get(source, 2 * i + 1))
    })
}

#[inline(always)]
fn horizontal64<O: Scalar>(mx: &mut Mx, a: V, b: V) -> V {
    each64(|i| {
        let source = if i < 1 { a } else { b };
        O::apply::<f64>(mx, get(source, 0), get(source, 1))
    })
}

macro_rules! vectors_imm {
    ($($(#[$doc:meta])* $name:ident($mx:ident, $a:pat_param, $b:ident, $imm:ident) $body:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;
        impl VectorImm for $name {
            #[inline(always)]
            fn apply($mx: &mut Mx, $a: V, $b: V, $imm: u8) -> V {
                $body
            }
        }
    )*};
}

/// With the low three bits of the immediate only.
pub(super) struct Eight<O>(PhantomData<O>);

impl<O: VectorImm> VectorImm for Eight<O> {
    #[inline(always)]
    fn apply(mx: &mut Mx, a: V, b: V, imm: u8) -> V {
        O::apply(mx, a, b, imm & 7)
    }
}

vectors_imm! {
    Cmpps(mx, a, b, imm) each32(|i| predicate::<f32>(mx, get(a, i), get(b, i), imm));
    Cmppd(mx, a, b, imm) each64(|i| predicate::<f64>(mx, get(a, i), get(b, i), imm));
    Cmpss(mx, a, b, imm) with(a, 0, predicate::<f32>(mx, get(a, 0), get(b, 0), imm));
    Cmpsd(mx, a, b, imm) with(a, 0, predicate::<f64>(mx, get(a, 0), get(b, 0), imm));
    Roundps(mx, _, b, imm) each32(|i| round::<f32>(mx, get(b, i), imm));
    Roundpd(mx, _, b, imm) each64(|i| round::<f64>(mx, get(b, i), imm));
    Roundss(mx, a, b, imm) with(a, 0, round::<f32>(mx, get(b, 0), imm));
    Roundsd(mx, a, b, imm) with(a, 0, round::<f64>(mx, get(b, 0), imm));
}

/// DPPS: products of the lanes that the high four bits choose, summed in pairs, to the lanes that the low four choose.
/// Products, sums of pairs and their sum are three steps, of both halves at a time.
pub(super) struct Dpps;
/// DPPD, in two steps.
pub(super) struct Dppd;

#[inline(always)]
fn dpps<const N: usize>(mx: &mut Mx, a: [V; N], b: [V; N], imm: u8) -> [V; N] {
    let chosen = |i: usize| imm >> (4 + i) & 1 != 0;
    let products: [V; N] = std::array::from_fn(|h| {
        each32(|i| if chosen(i) { Mul::apply::<f32>(mx, get(a[h], i), get(b[h], i)) } else { 0 })
    });
    // The result of an instruction that stops is not looked at.
    if !mx.next_step() {
        return products;
    }
    let pairs = products.map(|p| [(0, 1), (2, 3)].map(|(i, j)| Add::apply::<f32>(mx, get(p, i), get(p, j))));
    if !mx.next_step() {
        return products;
    }
    let sums = pairs.map(|[low, high]| Add::apply::<f32>(mx, low, high));
    sums.map(|sum| generate::<u32>(|i| if imm >> i & 1 != 0 { sum } else { 0 }))
}

impl VectorImm for Dpps {
    #[inline(always)]
    fn apply(mx: &mut Mx, a: V, b: V, imm: u8) -> V {
        let [v] = dpps(mx, [a], [b], imm);
        v
    }

    #[inline(always)]
    fn apply_wide(mx: &mut Mx, a: [V; 2], b: [V; 2], imm: u8) -> [V; 2] {
        dpps(mx, a, b, imm)
    }
}

impl VectorImm for Dppd {
    #[inline(always)]
    fn apply(mx: &mut Mx, a: V, b: V, imm: u8) -> V {
        let p = each64(|i| if imm >> (4 + i) & 1 != 0 { Mul::apply::<f64>(mx, get(a, i), get(b, i)) } else { 0 });
        let sum = if mx.next_step() { Add::apply::<f64>(mx, get(p, 0), get(p, 1)) } else { 0 };
        generate::<u64>(|i| if imm >> i & 1 != 0 { sum } else { 0 })
    }
}
