//! What moves elements to other places: permutations, broadcasts, insertions, extractions, widening and narrowing.

use super::super::fp::Mx;
use super::super::lanes::Lane;
use super::int::each_imm;
use super::{Done, Each, Form, In, at, base, chosen, cut, put, register, set};
use crate::interp::core::Core;
use crate::interp::op::Op;

/// An element of the last source, at an index that may be any number.
macro_rules! permutations {
    ($($one:ident $two_index:ident $two_table:ident: $t:ty;)*) => {$(
        each_imm! {
            /// The first source says which element of the last comes where.
            $one: $t, |x, i| at(&x.b, at::<$t>(&x.a, i) as usize % x.elements::<$t>());
            /// The destination says which element of both sources comes where.
            $two_index: $t, |x, i| {
                let index = at::<$t>(&x.old, i) as usize % (2 * x.elements::<$t>());
                let n = x.elements::<$t>();
                if index < n { at(&x.a, index) } else { at(&x.b, index - n) }
            };
            /// The first source says which element of the destination and the last source comes where.
            $two_table: $t, |x, i| {
                let index = at::<$t>(&x.a, i) as usize % (2 * x.elements::<$t>());
                let n = x.elements::<$t>();
                if index < n { at(&x.old, index) } else { at(&x.b, index - n) }
            };
        }
    )*};
}

permutations! {
    Permw Permi2w Permt2w: u16;
    Permd Permi2d Permt2d: u32;
    Permq Permi2q Permt2q: u64;
}

each_imm! {
    /// Four elements each by the immediate.
    PermqImm: u64, |x, i| at(&x.b, i & !3 | usize::from(x.imm >> (2 * (i & 3)) & 3));
    /// VPERMILPS takes what is moved from the first source.
    PermilpsVar: u32, |x, i| at(&x.a, i & !3 | at::<u32>(&x.b, i) as usize & 3);
    PermilpdVar: u64, |x, i| at(&x.a, i & !1 | at::<u64>(&x.b, i) as usize >> 1 & 1);
    PermilpsImm: u32, |x, i| at(&x.b, i & !3 | usize::from(x.imm >> (2 * (i & 3)) & 3));
    PermilpdImm: u64, |x, i| at(&x.b, i & !1 | usize::from(x.imm >> i & 1));
    Shufpd: u64, |x, i| at(if i & 1 == 0 { &x.a } else { &x.b }, i & !1 | usize::from(x.imm >> i & 1));
    /// Both sources behind each other, from an element of the last on.
    Valignd: u32, |x, i| {
        let n = x.elements::<u32>();
        let from = usize::from(x.imm) % n + i;
        if from < n { at(&x.b, from) } else { at(&x.a, from - n) }
    };
    Valignq: u64, |x, i| {
        let n = x.elements::<u64>();
        let from = usize::from(x.imm) % n + i;
        if from < n { at(&x.b, from) } else { at(&x.a, from - n) }
    };
    /// The lower half's quarters from the first source, the upper half's from the last.
    Shuf32x4: u32, |x, i| {
        let quarter = shuffled(x, i / 4);
        at(if 2 * (i / 4) < x.quarters { &x.a } else { &x.b }, quarter * 4 + i % 4)
    };
    Shuf64x2: u64, |x, i| {
        let quarter = shuffled(x, i / 2);
        at(if 2 * (i / 2) < x.quarters { &x.a } else { &x.b }, quarter * 2 + i % 2)
    };
    /// The lowest element everywhere.
    Broadcast8: u8, |x, _i| at(&x.b, 0);
    Broadcast16: u16, |x, _i| at(&x.b, 0);
    Broadcast32: u32, |x, _i| at(&x.b, 0);
    Broadcast64: u64, |x, _i| at(&x.b, 0);
    /// The lowest two, four or eight.
    Broadcast32x2: u32, |x, i| at(&x.b, i % 2);
    Broadcast32x4: u32, |x, i| at(&x.b, i % 4);
    Broadcast32x8: u32, |x, i| at(&x.b, i % 8);
    Broadcast64x2: u64, |x, i| at(&x.b, i % 2);
    Broadcast64x4: u64, |x, i| at(&x.b, i % 4);
    Insert32x4: u32, |x, i| inserted::<u32, 4>(x, i);
    Insert32x8: u32, |x, i| inserted::<u32, 8>(x, i);
    Insert64x2: u64, |x, i| inserted::<u64, 2>(x, i);
    Insert64x4: u64, |x, i| inserted::<u64, 4>(x, i);
    Movddup: u64, |x, i| at(&x.b, i & !1);
    Movsldup: u32, |x, i| at(&x.b, i & !1);
    Movshdup: u32, |x, i| at(&x.b, i | 1);
    Pshufd: u32, |x, i| at(&x.b, i & !3 | usize::from(x.imm >> (2 * (i & 3)) & 3));
}

/// Which quarter of its source comes to a quarter.
fn shuffled(x: &In, quarter: usize) -> usize {
    match x.quarters {
        4 => usize::from(x.imm >> (2 * quarter) & 3),
        _ => usize::from(x.imm >> quarter & 1),
    }
}

/// The last source's `N` elements in the place that the immediate names, and the first source's everywhere else.
fn inserted<T: Lane, const N: usize>(x: &In, i: usize) -> T {
    let places = x.elements::<T>() / N;
    if usize::from(x.imm) % places == i / N { at(&x.b, i % N) } else { at(&x.a, i) }
}

/// `N` elements from the place that the immediate names.
fn extracted<T: Lane, const N: usize>(x: &In, i: usize) -> T {
    let places = x.elements::<T>() / N;
    at(&x.a, usize::from(x.imm) % places * N + i)
}

macro_rules! extract {
    ($($name:ident: $count:literal, $t:ty;)*) => {$(
        pub(super) struct $name;
        impl Each for $name {
            type T = $t;
            const COUNT: Option<usize> = Some($count);
            fn each(_: &mut Mx, x: &In, i: usize) -> $t {
                extracted::<$t, $count>(x, i)
            }
        }
    )*};
}

extract! {
    Extract32x4: 4, u32;
    Extract32x8: 8, u32;
    Extract64x2: 2, u64;
    Extract64x4: 4, u64;
}

/// Widening, of elements as signed or unsigned.
macro_rules! widen {
    ($($name:ident: $from:ty => $to:ty;)*) => {
        each_imm! {$(
            $name: $to, |x, i| <$to>::from(at::<$from>(&x.b, i));
        )*}
    };
}

widen! {
    Pmovsxbw: i8 => i16;
    Pmovsxbd: i8 => i32;
    Pmovsxbq: i8 => i64;
    Pmovsxwd: i16 => i32;
    Pmovsxwq: i16 => i64;
    Pmovsxdq: i32 => i64;
    Pmovzxbw: u8 => u16;
    Pmovzxbd: u8 => u32;
    Pmovzxbq: u8 => u64;
    Pmovzxwd: u16 => u32;
    Pmovzxwq: u16 => u64;
    Pmovzxdq: u32 => u64;
}

/// Narrowing: cut, and saturated as signed and as unsigned.
macro_rules! narrow {
    ($($cut:ident $signed:ident $unsigned:ident: $part:literal, $from:ty, $unsigned_from:ty => $to:ty, $unsigned_to:ty;)*) => {$(
        narrow!(@ $cut, $part, $to, |x, i| at::<$from>(&x.a, i) as $to);
        narrow!(@ $signed, $part, $to, |x, i| {
            at::<$from>(&x.a, i).clamp(<$to>::MIN.into(), <$to>::MAX.into()) as $to
        });
        narrow!(@ $unsigned, $part, $unsigned_to, |x, i| {
            at::<$unsigned_from>(&x.a, i).min(<$unsigned_to>::MAX.into()) as $unsigned_to
        });
    )*};
    (@ $name:ident, $part:literal, $t:ty, |$x:ident, $i:ident| $result:expr) => {
        pub(super) struct $name;
        impl Each for $name {
            type T = $t;
            const PART: usize = $part;
            fn each(_: &mut Mx, $x: &In, $i: usize) -> $t {
                $result
            }
        }
    };
}

narrow! {
    Pmovwb Pmovswb Pmovuswb: 2, i16, u16 => i8, u8;
    Pmovdb Pmovsdb Pmovusdb: 4, i32, u32 => i8, u8;
    Pmovqb Pmovsqb Pmovusqb: 8, i64, u64 => i8, u8;
    Pmovdw Pmovsdw Pmovusdw: 2, i32, u32 => i16, u16;
    Pmovqw Pmovsqw Pmovusqw: 4, i64, u64 => i16, u16;
    Pmovqd Pmovsqd Pmovusqd: 2, i64, u64 => i32, u32;
}

/// A general register's low bits everywhere.
pub(super) fn from_gpr<T: Lane>(core: &mut Core<'_>, op: &Op) -> Done
where
    u64: Cut<T>,
{
    let form = Form::of_op(op);
    let (count, active) = form.elements(core, size_of::<T>());
    let value: T = core.r64(op.src).cut();
    let mut result = base(form, register(core, op.dst));
    for i in chosen(count, active) {
        set(&mut result, i, value);
    }
    put(core, op.dst, cut(result, count * size_of::<T>()));
    Ok(())
}

/// The low bits of a number.
pub(super) trait Cut<T> {
    /// As many as another type has.
    fn cut(self) -> T;
}

macro_rules! cuts {
    ($($t:ty)*) => {$(
        impl Cut<$t> for u64 {
            fn cut(self) -> $t {
                self as $t
            }
        }
    )*};
}

cuts!(u8 u16 u32 u64);
