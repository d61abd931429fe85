//! Vector registers as lanes. A 128-bit value travels as a `u128`; an operation splits it, maps its lanes and joins
//! them again, which the compiler turns into the host's own vector instructions where there are any.
//!
//! MMX values are the low half of a `u128`: lane-wise operations need not know, the others take the width `W` in bytes.

use zerocopy::transmute;

const _: () = assert!(cfg!(target_endian = "little"), "lane 0 is the lowest");

/// A lane type: how a 128-bit value splits into it.
pub(super) trait Lane: Copy {
    /// All lanes of a 128-bit value.
    type Lanes: Copy + AsRef<[Self]> + AsMut<[Self]>;
    /// Splits a value.
    fn split(value: u128) -> Self::Lanes;
    /// Joins lanes.
    fn join(lanes: Self::Lanes) -> u128;
}

macro_rules! lane {
    ($($t:ty, $n:literal;)*) => {$(
        impl Lane for $t {
            type Lanes = [$t; $n];
            #[inline(always)]
            fn split(value: u128) -> [$t; $n] {
                transmute!(value)
            }
            #[inline(always)]
            fn join(lanes: [$t; $n]) -> u128 {
                transmute!(lanes)
            }
        }
    )*};
}

lane! { u8, 16; i8, 16; u16, 8; i16, 8; u32, 4; i32, 4; u64, 2; i64, 2; }

/// Maps each lane.
#[inline(always)]
pub(super) fn map<T: Lane>(value: u128, f: impl Fn(T) -> T) -> u128 {
    let mut lanes = T::split(value);
    for lane in lanes.as_mut() {
        *lane = f(*lane);
    }
    T::join(lanes)
}

/// Maps each pair of lanes.
#[inline(always)]
pub(super) fn zip<T: Lane>(a: u128, b: u128, f: impl Fn(T, T) -> T) -> u128 {
    let mut lanes = T::split(a);
    let other = T::split(b);
    for (lane, b) in lanes.as_mut().iter_mut().zip(other.as_ref()) {
        *lane = f(*lane, *b);
    }
    T::join(lanes)
}

/// Makes each lane from its index.
#[inline(always)]
pub(super) fn generate<T: Lane>(f: impl Fn(usize) -> T) -> u128 {
    let mut lanes = T::split(0);
    for (i, lane) in lanes.as_mut().iter_mut().enumerate() {
        *lane = f(i);
    }
    T::join(lanes)
}

/// Lane `i`, which may be any number: only its low bits count.
#[inline(always)]
pub(super) fn get<T: Lane>(value: u128, i: usize) -> T {
    let lanes = T::split(value);
    let lanes = lanes.as_ref();
    lanes[i % lanes.len()]
}

/// With lane `i` replaced; only the low bits of `i` count.
#[inline(always)]
pub(super) fn with<T: Lane>(value: u128, i: usize, lane: T) -> u128 {
    let mut lanes = T::split(value);
    let slice = lanes.as_mut();
    let n = slice.len();
    slice[i % n] = lane;
    T::join(lanes)
}

/// One bit for each lane, from its top bit.
#[inline(always)]
pub(super) fn sign_bits<T: Lane>(value: u128, negative: impl Fn(T) -> bool) -> u32 {
    let lanes = T::split(value);
    lanes.as_ref().iter().enumerate().fold(0, |mask, (i, lane)| mask | u32::from(negative(*lane)) << i)
}
