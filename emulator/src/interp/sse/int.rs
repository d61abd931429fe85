//! Packed integer arithmetic, for MMX and SSE alike.
//!
//! The manual's "Operation" sections write these lane by lane; so do we. One definition serves the 64-bit and the
//! 128-bit form. What crosses lanes (packs, unpacks, horizontal sums) takes the width as `W`, 8 or 16 bytes.

use super::lanes::{Lane, V, generate, get, map, zip};

/// An operation on two vectors of `W` bytes; the destination is also the first operand.
pub(super) trait Binary {
    /// The result; bits above `W` bytes may be anything.
    fn apply<const W: usize>(a: V, b: V) -> V;
}

/// The same with an immediate byte.
pub(super) trait BinaryImm {
    /// The result; bits above `W` bytes may be anything.
    fn apply<const W: usize>(a: V, b: V, imm: u8) -> V;
}

macro_rules! define {
    ($($(#[$doc:meta])* $name:ident($a:pat_param, $b:pat_param) $body:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;
        impl Binary for $name {
            #[inline(always)]
            fn apply<const W: usize>($a: V, $b: V) -> V {
                $body
            }
        }
    )*};
}
pub(super) use define;

macro_rules! define_imm {
    ($($(#[$doc:meta])* $name:ident($a:pat_param, $b:pat_param, $imm:pat_param) $body:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;
        impl BinaryImm for $name {
            #[inline(always)]
            fn apply<const W: usize>($a: V, $b: V, $imm: u8) -> V {
                $body
            }
        }
    )*};
}
pub(super) use define_imm;

/// All ones for true.
macro_rules! mask {
    ($t:ty, $condition:expr) => {
        if $condition { !0 as $t } else { 0 }
    };
}

define! {
    Paddb(a, b) zip::<u8>(a, b, u8::wrapping_add);
    Paddw(a, b) zip::<u16>(a, b, u16::wrapping_add);
    Paddd(a, b) zip::<u32>(a, b, u32::wrapping_add);
    Paddq(a, b) zip::<u64>(a, b, u64::wrapping_add);
    Psubb(a, b) zip::<u8>(a, b, u8::wrapping_sub);
    Psubw(a, b) zip::<u16>(a, b, u16::wrapping_sub);
    Psubd(a, b) zip::<u32>(a, b, u32::wrapping_sub);
    Psubq(a, b) zip::<u64>(a, b, u64::wrapping_sub);
    Paddsb(a, b) zip::<i8>(a, b, i8::saturating_add);
    Paddsw(a, b) zip::<i16>(a, b, i16::saturating_add);
    Paddusb(a, b) zip::<u8>(a, b, u8::saturating_add);
    Paddusw(a, b) zip::<u16>(a, b, u16::saturating_add);
    Psubsb(a, b) zip::<i8>(a, b, i8::saturating_sub);
    Psubsw(a, b) zip::<i16>(a, b, i16::saturating_sub);
    Psubusb(a, b) zip::<u8>(a, b, u8::saturating_sub);
    Psubusw(a, b) zip::<u16>(a, b, u16::saturating_sub);

    Pand(a, b) zip::<u64>(a, b, |x, y| x & y);
    Pandn(a, b) zip::<u64>(a, b, |x, y| !x & y);
    Por(a, b) zip::<u64>(a, b, |x, y| x | y);
    Pxor(a, b) zip::<u64>(a, b, |x, y| x ^ y);

    Pcmpeqb(a, b) zip::<u8>(a, b, |x, y| mask!(u8, x == y));
    Pcmpeqw(a, b) zip::<u16>(a, b, |x, y| mask!(u16, x == y));
    Pcmpeqd(a, b) zip::<u32>(a, b, |x, y| mask!(u32, x == y));
    Pcmpeqq(a, b) zip::<u64>(a, b, |x, y| mask!(u64, x == y));
    Pcmpgtb(a, b) zip::<i8>(a, b, |x, y| mask!(i8, x > y));
    Pcmpgtw(a, b) zip::<i16>(a, b, |x, y| mask!(i16, x > y));
    Pcmpgtd(a, b) zip::<i32>(a, b, |x, y| mask!(i32, x > y));
    Pcmpgtq(a, b) zip::<i64>(a, b, |x, y| mask!(i64, x > y));

    Pminub(a, b) zip::<u8>(a, b, Ord::min);
    Pminuw(a, b) zip::<u16>(a, b, Ord::min);
    Pminud(a, b) zip::<u32>(a, b, Ord::min);
    Pminsb(a, b) zip::<i8>(a, b, Ord::min);
    Pminsw(a, b) zip::<i16>(a, b, Ord::min);
    Pminsd(a, b) zip::<i32>(a, b, Ord::min);
    Pmaxub(a, b) zip::<u8>(a, b, Ord::max);
    Pmaxuw(a, b) zip::<u16>(a, b, Ord::max);
    Pmaxud(a, b) zip::<u32>(a, b, Ord::max);
    Pmaxsb(a, b) zip::<i8>(a, b, Ord::max);
    Pmaxsw(a, b) zip::<i16>(a, b, Ord::max);
    Pmaxsd(a, b) zip::<i32>(a, b, Ord::max);

    Pavgb(a, b) zip::<u8>(a, b, |x, y| ((u16::from(x) + u16::from(y) + 1) >> 1) as u8);
    Pavgw(a, b) zip::<u16>(a, b, |x, y| ((u32::from(x) + u32::from(y) + 1) >> 1) as u16);

    Pmullw(a, b) zip::<u16>(a, b, u16::wrapping_mul);
    Pmulld(a, b) zip::<u32>(a, b, u32::wrapping_mul);
    Pmulhw(a, b) zip::<i16>(a, b, |x, y| ((i32::from(x) * i32::from(y)) >> 16) as i16);
    Pmulhuw(a, b) zip::<u16>(a, b, |x, y| ((u32::from(x) * u32::from(y)) >> 16) as u16);
    Pmulhrsw(a, b) zip::<i16>(a, b, |x, y| ((((i32::from(x) * i32::from(y)) >> 14) + 1) >> 1) as i16);
    Pmuludq(a, b) zip::<u64>(a, b, |x, y| (x & 0xffff_ffff) * (y & 0xffff_ffff));
    Pmuldq(a, b) zip::<i64>(a, b, |x, y| i64::from(x as i32) * i64::from(y as i32));
    Pmaddwd(a, b) {
        let (x, y) = (i16::split(a), i16::split(b));
        generate::<i32>(|i| {
            let product = |j: usize| i32::from(x[j]) * i32::from(y[j]);
            product(2 * i).wrapping_add(product(2 * i + 1))
        })
    };
    Pmaddubsw(a, b) {
        let (x, y) = (u8::split(a), i8::split(b));
        generate::<i16>(|i| {
            let product = |j: usize| i16::from(x[j]) * i16::from(y[j]);
            product(2 * i).saturating_add(product(2 * i + 1))
        })
    };
    Psadbw(a, b) {
        let (x, y) = (u8::split(a), u8::split(b));
        generate::<u64>(|i| (8 * i..8 * i + 8).map(|j| u64::from(x[j].abs_diff(y[j]))).sum())
    };

    Pabsb(_, b) map::<i8>(b, i8::wrapping_abs);
    Pabsw(_, b) map::<i16>(b, i16::wrapping_abs);
    Pabsd(_, b) map::<i32>(b, i32::wrapping_abs);
    Psignb(a, b) zip::<i8>(a, b, |x, y| x.wrapping_mul(y.signum()));
    Psignw(a, b) zip::<i16>(a, b, |x, y| x.wrapping_mul(y.signum()));
    Psignd(a, b) zip::<i32>(a, b, |x, y| x.wrapping_mul(y.signum()));

    Phaddw(a, b) horizontal::<i16, W>(a, b, i16::wrapping_add);
    Phaddd(a, b) horizontal::<i32, W>(a, b, i32::wrapping_add);
    Phaddsw(a, b) horizontal::<i16, W>(a, b, i16::saturating_add);
    Phsubw(a, b) horizontal::<i16, W>(a, b, i16::wrapping_sub);
    Phsubd(a, b) horizontal::<i32, W>(a, b, i32::wrapping_sub);
    Phsubsw(a, b) horizontal::<i16, W>(a, b, i16::saturating_sub);

    Phminposuw(_, b) {
        let words = u16::split(b);
        let (index, least) = words.iter().enumerate().min_by_key(|(_, word)| **word).map_or((0, 0), |(i, w)| (i, *w));
        generate::<u16>(|i| [least, index as u16].get(i).copied().unwrap_or(0))
    };
}

/// Neighbouring lanes of `a`, then of `b`, combined.
#[inline(always)]
fn horizontal<T: Lane, const W: usize>(a: V, b: V, f: impl Fn(T, T) -> T) -> V {
    let half = W / size_of::<T>() / 2;
    generate::<T>(|i| {
        let source = if i < half { a } else { b };
        let pair = 2 * (i % half);
        f(get(source, pair), get(source, pair + 1))
    })
}

/// A shift whose count is the low 64 bits of the second operand; lanes are empty beyond their width.
macro_rules! shifts {
    ($($name:ident, $t:ty, |$x:ident, $n:ident| $shift:expr;)*) => {
        define! {$(
            $name(a, b) {
                let $n = get::<u64>(b, 0).min(<$t>::BITS.into()) as u32;
                map::<$t>(a, |$x| $shift)
            };
        )*}
    };
}

shifts! {
    Psllw, u16, |x, n| x.checked_shl(n).unwrap_or(0);
    Pslld, u32, |x, n| x.checked_shl(n).unwrap_or(0);
    Psllq, u64, |x, n| x.checked_shl(n).unwrap_or(0);
    Psrlw, u16, |x, n| x.checked_shr(n).unwrap_or(0);
    Psrld, u32, |x, n| x.checked_shr(n).unwrap_or(0);
    Psrlq, u64, |x, n| x.checked_shr(n).unwrap_or(0);
    Psraw, i16, |x, n| x >> n.min(15);
    Psrad, i32, |x, n| x >> n.min(31);
}

define! {
    /// Shifts left by bytes.
    Pslldq(a, b) {
        let n = usize::from(b[0]);
        generate::<u8>(|i| if i >= n { a[i - n] } else { 0 })
    };
    /// Shifts right by bytes.
    Psrldq(a, b) {
        let n = usize::from(b[0]);
        generate::<u8>(|i| if i + n < 16 { a[i + n] } else { 0 })
    };
}

/// Narrows the lanes of `a`, then of `b`, into lanes of half the size.
#[inline(always)]
fn pack<S: Lane, D: Lane, const W: usize>(a: V, b: V, narrow: impl Fn(S) -> D) -> V {
    let n = W / size_of::<S>();
    generate::<D>(|i| narrow(get(if i < n { a } else { b }, i % n)))
}

/// Interleaves elements of `S` bytes, from byte `from` of each operand.
#[inline(always)]
fn interleave<T: Lane, const W: usize>(a: V, b: V, high: bool) -> V {
    let from = if high { W / size_of::<T>() / 2 } else { 0 };
    generate::<T>(|i| get(if i % 2 == 0 { a } else { b }, from + i / 2))
}

define! {
    Packsswb(a, b) pack::<i16, i8, W>(a, b, |x| x.clamp(-128, 127) as i8);
    Packuswb(a, b) pack::<i16, u8, W>(a, b, |x| x.clamp(0, 255) as u8);
    Packssdw(a, b) pack::<i32, i16, W>(a, b, |x| x.clamp(-32768, 32767) as i16);
    Packusdw(a, b) pack::<i32, u16, W>(a, b, |x| x.clamp(0, 65535) as u16);
    Punpcklbw(a, b) interleave::<u8, W>(a, b, false);
    Punpcklwd(a, b) interleave::<u16, W>(a, b, false);
    Punpckldq(a, b) interleave::<u32, W>(a, b, false);
    Punpcklqdq(a, b) interleave::<u64, W>(a, b, false);
    Punpckhbw(a, b) interleave::<u8, W>(a, b, true);
    Punpckhwd(a, b) interleave::<u16, W>(a, b, true);
    Punpckhdq(a, b) interleave::<u32, W>(a, b, true);
    Punpckhqdq(a, b) interleave::<u64, W>(a, b, true);
}

/// Widens the lowest lanes of `b`.
#[inline(always)]
fn widen<S: Lane, D: Lane>(b: V, f: impl Fn(S) -> D) -> V {
    generate::<D>(|i| f(get(b, i)))
}

define! {
    Pmovsxbw(_, b) widen::<i8, i16>(b, i16::from);
    Pmovsxbd(_, b) widen::<i8, i32>(b, i32::from);
    Pmovsxbq(_, b) widen::<i8, i64>(b, i64::from);
    Pmovsxwd(_, b) widen::<i16, i32>(b, i32::from);
    Pmovsxwq(_, b) widen::<i16, i64>(b, i64::from);
    Pmovsxdq(_, b) widen::<i32, i64>(b, i64::from);
    Pmovzxbw(_, b) widen::<u8, u16>(b, u16::from);
    Pmovzxbd(_, b) widen::<u8, u32>(b, u32::from);
    Pmovzxbq(_, b) widen::<u8, u64>(b, u64::from);
    Pmovzxwd(_, b) widen::<u16, u32>(b, u32::from);
    Pmovzxwq(_, b) widen::<u16, u64>(b, u64::from);
    Pmovzxdq(_, b) widen::<u32, u64>(b, u64::from);
}

define_imm! {
    Mpsadbw(a, b, imm) {
        let (x, y) = (u8::split(a), u8::split(b));
        let (x0, y0) = (usize::from(imm >> 2 & 1) * 4, usize::from(imm & 3) * 4);
        generate::<u16>(|i| (0..4).map(|j| u16::from(x[x0 + i + j].abs_diff(y[y0 + j]))).sum())
    };
}
