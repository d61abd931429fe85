//! Integer operations that AVX-512 brings, and tests for masks.

use super::super::fp::Mx;
use super::super::lanes::Lane;
use super::{Each, In, Test, at};

/// Operations on elements of one type, by the elements of the sources that are in the same place.
macro_rules! each {
    ($($(#[$doc:meta])* $name:ident: $t:ty, |$a:ident, $b:ident| $result:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;
        impl Each for $name {
            type T = $t;
            fn each(_: &mut Mx, x: &In, i: usize) -> $t {
                let ($a, $b): ($t, $t) = (at(&x.a, i), at(&x.b, i));
                $result
            }
        }
    )*};
}

each! {
    Pabsq: i64, |_a, b| b.wrapping_abs();
    Pminsq: i64, |a, b| a.min(b);
    Pmaxsq: i64, |a, b| a.max(b);
    Pminuq: u64, |a, b| a.min(b);
    Pmaxuq: u64, |a, b| a.max(b);
    Pmullq: u64, |a, b| a.wrapping_mul(b);
    Prolvd: u32, |a, b| a.rotate_left(b);
    Prorvd: u32, |a, b| a.rotate_right(b);
    Prolvq: u64, |a, b| a.rotate_left(b as u32);
    Prorvq: u64, |a, b| a.rotate_right(b as u32);
    Psllvw: u16, |a, b| a.checked_shl(b.into()).unwrap_or(0);
    Psrlvw: u16, |a, b| a.checked_shr(b.into()).unwrap_or(0);
    Psravw: i16, |a, b| a >> (b as u16).min(15);
    Psravq: i64, |a, b| a >> (b as u64).min(63);
    Psllvd: u32, |a, b| a.checked_shl(b).unwrap_or(0);
    Psrlvd: u32, |a, b| a.checked_shr(b).unwrap_or(0);
    Psravd: i32, |a, b| a >> (b as u32).min(31);
    Psllvq: u64, |a, b| if b < 64 { a << b } else { 0 };
    Psrlvq: u64, |a, b| if b < 64 { a >> b } else { 0 };
    Plzcntd: u32, |_a, b| b.leading_zeros();
    Plzcntq: u64, |_a, b| b.leading_zeros().into();
    /// A copy.
    Copy8: u8, |_a, b| b;
    Copy16: u16, |_a, b| b;
    Copy32: u32, |_a, b| b;
    Copy64: u64, |_a, b| b;
}

/// Operations with the immediate.
macro_rules! each_imm {
    ($($(#[$doc:meta])* $name:ident: $t:ty, |$x:ident, $i:ident| $result:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;
        impl Each for $name {
            type T = $t;
            fn each(_: &mut Mx, $x: &In, $i: usize) -> $t {
                $result
            }
        }
    )*};
}
pub(super) use each_imm;

each_imm! {
    Prold: u32, |x, i| at::<u32>(&x.b, i).rotate_left(x.imm.into());
    Prord: u32, |x, i| at::<u32>(&x.b, i).rotate_right(x.imm.into());
    Prolq: u64, |x, i| at::<u64>(&x.b, i).rotate_left(x.imm.into());
    Prorq: u64, |x, i| at::<u64>(&x.b, i).rotate_right(x.imm.into());
    Psraq: i64, |x, i| at::<i64>(&x.b, i) >> x.imm.min(63);
    /// By the low quadword of the last source.
    PsraqAll: i64, |x, i| at::<i64>(&x.a, i) >> at::<u64>(&x.b, 0).min(63);
    Pternlogd: u32, |x, i| ternary(at(&x.old, i), at(&x.a, i), at(&x.b, i), x.imm);
    Pternlogq: u64, |x, i| {
        let half = |shift: u32| {
            let part = |value: u64| (value >> shift) as u32;
            u64::from(ternary(part(at(&x.old, i)), part(at(&x.a, i)), part(at(&x.b, i)), x.imm)) << shift
        };
        half(0) | half(32)
    };
    /// For each element those before it that are equal.
    Pconflictd: u32, |x, i| {
        let equal = |j: &usize| at::<u32>(&x.b, *j) == at::<u32>(&x.b, i);
        (0..i).filter(equal).fold(0, |bits, j| bits | 1 << j)
    };
    Pconflictq: u64, |x, i| {
        let equal = |j: &usize| at::<u64>(&x.b, *j) == at::<u64>(&x.b, i);
        (0..i).filter(equal).fold(0, |bits, j| bits | 1 << j)
    };
    /// Sums of differences of four bytes, of which the immediate has chosen those of the last source.
    Dbpsadbw: u16, |x, i| {
        let quarter = i / 8 * 16;
        // The last source's doublewords as the immediate chooses them.
        let chosen = |byte: usize| at::<u8>(&x.b, quarter + usize::from(x.imm >> (byte / 4 * 2) & 3) * 4 + byte % 4);
        let within = i % 8;
        let (first, second) = (within / 4 * 8 + within % 4 / 2 * 4, within / 4 * 8 + within % 4);
        (0..4).map(|j| u16::from(at::<u8>(&x.a, quarter + first + j).abs_diff(chosen(second + j)))).sum()
    };
}

/// For each bit, that of the table which the three operands' bits choose.
fn ternary(a: u32, b: u32, c: u32, table: u8) -> u32 {
    (0..8u32).filter(|n| table >> n & 1 != 0).fold(0, |result, n| {
        let is = |value: u32, bit: u32| if n >> bit & 1 != 0 { value } else { !value };
        result | is(a, 2) & is(b, 1) & is(c, 0)
    })
}

/// Tests of two elements of one type and the immediate.
macro_rules! tests {
    ($($(#[$doc:meta])* $name:ident: $t:ty, |$a:ident, $b:ident, $imm:ident| $holds:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;
        impl Test for $name {
            const SIZE: usize = size_of::<$t>();
            fn test(_: &mut Mx, x: &In, i: usize) -> bool {
                let ($a, $b, $imm): ($t, $t, u8) = (at(&x.a, i), at(&x.b, i), x.imm);
                $holds
            }
        }
    )*};
}

tests! {
    Pcmpeqb: u8, |a, b, _imm| a == b;
    Pcmpeqw: u16, |a, b, _imm| a == b;
    Pcmpeqd: u32, |a, b, _imm| a == b;
    Pcmpeqq: u64, |a, b, _imm| a == b;
    Pcmpgtb: i8, |a, b, _imm| a > b;
    Pcmpgtw: i16, |a, b, _imm| a > b;
    Pcmpgtd: i32, |a, b, _imm| a > b;
    Pcmpgtq: i64, |a, b, _imm| a > b;
    Pcmpb: i8, |a, b, imm| compare(a, b, imm);
    Pcmpw: i16, |a, b, imm| compare(a, b, imm);
    Pcmpd: i32, |a, b, imm| compare(a, b, imm);
    Pcmpq: i64, |a, b, imm| compare(a, b, imm);
    Pcmpub: u8, |a, b, imm| compare(a, b, imm);
    Pcmpuw: u16, |a, b, imm| compare(a, b, imm);
    Pcmpud: u32, |a, b, imm| compare(a, b, imm);
    Pcmpuq: u64, |a, b, imm| compare(a, b, imm);
    Ptestmb: u8, |a, b, _imm| a & b != 0;
    Ptestmw: u16, |a, b, _imm| a & b != 0;
    Ptestmd: u32, |a, b, _imm| a & b != 0;
    Ptestmq: u64, |a, b, _imm| a & b != 0;
    Ptestnmb: u8, |a, b, _imm| a & b == 0;
    Ptestnmw: u16, |a, b, _imm| a & b == 0;
    Ptestnmd: u32, |a, b, _imm| a & b == 0;
    Ptestnmq: u64, |a, b, _imm| a & b == 0;
    /// The top bit.
    Pmovb2m: i8, |_a, b, _imm| b < 0;
    Pmovw2m: i16, |_a, b, _imm| b < 0;
    Pmovd2m: i32, |_a, b, _imm| b < 0;
    Pmovq2m: i64, |_a, b, _imm| b < 0;
}

/// VPCMP's predicates: equal, less, less or equal, never, and the same the other way.
fn compare<T: Lane + Ord>(a: T, b: T, imm: u8) -> bool {
    let holds = match imm & 3 {
        0 => a == b,
        1 => a < b,
        2 => a <= b,
        _ => false,
    };
    holds != (imm & 4 != 0)
}
