//! Vector registers as lanes. An operation splits a 128-bit value, maps its lanes and joins them again, which the
//! compiler turns into the host's own vector instructions where there are any.
//!
//! MMX values are the low half: lane-wise operations need not know, the others take the width `W` in bytes.

use zerocopy::{transmute, transmute_mut, transmute_ref};

/// A 128-bit value. As bytes and not as a `u128`, which compilers would keep in two general registers: measured, a
/// PCMPEQB is four host instructions this way and over a hundred the other.
pub(super) type V = [u8; 16];

/// A register as a value.
#[inline(always)]
pub(super) fn view(register: &u128) -> &V {
    transmute_ref!(register)
}

/// A register as a value to be changed.
#[inline(always)]
pub(super) fn view_mut(register: &mut u128) -> &mut V {
    transmute_mut!(register)
}

/// A value with `low` in its low half and zero above.
#[inline(always)]
pub(super) fn low(low: u64) -> V {
    u64::join([low, 0])
}

const _: () = assert!(cfg!(target_endian = "little"), "lane 0 is the lowest");

/// A lane type: how a 128-bit value splits into it.
pub(super) trait Lane: Copy {
    /// All lanes of a 128-bit value.
    type Lanes: Copy + AsRef<[Self]> + AsMut<[Self]>;
    /// Splits a value.
    fn split(value: V) -> Self::Lanes;
    /// Joins lanes.
    fn join(lanes: Self::Lanes) -> V;
}

macro_rules! lane {
    ($($t:ty, $n:literal;)*) => {$(
        impl Lane for $t {
            type Lanes = [$t; $n];
            #[inline(always)]
            fn split(value: V) -> [$t; $n] {
                transmute!(value)
            }
            #[inline(always)]
            fn join(lanes: [$t; $n]) -> V {
                transmute!(lanes)
            }
        }
    )*};
}

lane! { i8, 16; u16, 8; i16, 8; u32, 4; i32, 4; u64, 2; i64, 2; }

impl Lane for u8 {
    type Lanes = V;
    #[inline(always)]
    fn split(value: V) -> V {
        value
    }
    #[inline(always)]
    fn join(lanes: V) -> V {
        lanes
    }
}

/// Maps each lane.
#[inline(always)]
pub(super) fn map<T: Lane>(value: V, f: impl Fn(T) -> T) -> V {
    let mut lanes = T::split(value);
    for lane in lanes.as_mut() {
        *lane = f(*lane);
    }
    T::join(lanes)
}

/// Maps each pair of lanes.
#[inline(always)]
pub(super) fn zip<T: Lane>(a: V, b: V, f: impl Fn(T, T) -> T) -> V {
    let mut lanes = T::split(a);
    let other = T::split(b);
    for (lane, b) in lanes.as_mut().iter_mut().zip(other.as_ref()) {
        *lane = f(*lane, *b);
    }
    T::join(lanes)
}

/// Makes each lane from its index.
#[inline(always)]
pub(super) fn generate<T: Lane>(f: impl Fn(usize) -> T) -> V {
    let mut lanes = T::split([0; 16]);
    for (i, lane) in lanes.as_mut().iter_mut().enumerate() {
        *lane = f(i);
    }
    T::join(lanes)
}

/// Lane `i`, which may be any number: only its low bits count.
#[inline(always)]
pub(super) fn get<T: Lane>(value: V, i: usize) -> T {
    let lanes = T::split(value);
    let lanes = lanes.as_ref();
    lanes[i % lanes.len()]
}

/// With lane `i` replaced; only the low bits of `i` count.
#[inline(always)]
pub(super) fn with<T: Lane>(value: V, i: usize, lane: T) -> V {
    let mut lanes = T::split(value);
    let slice = lanes.as_mut();
    let n = slice.len();
    slice[i % n] = lane;
    T::join(lanes)
}

/// The top bit of each of eight bytes.
#[inline(always)]
pub(super) fn sign_bits(bytes: u64) -> u32 {
    // Each bit is moved to its own place in the top byte; no two meet on the way.
    ((bytes >> 7 & 0x0101_0101_0101_0101).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
}
