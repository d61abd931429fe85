//! Shuffles, blends and other rearrangements of lanes.

use super::int::{Binary, BinaryImm, define, define_imm};
use super::lanes::{self, Lane, generate, get, map, zip};

/// The `i`th two-bit selector of a shuffle's immediate.
#[inline(always)]
fn selector(imm: u8, i: usize) -> usize {
    usize::from(imm >> (2 * i) & 3)
}

define! {
    /// A set top bit in a selector gives zero.
    Pshufb(a, b) {
        let bytes = u8::split(a);
        map::<u8>(b, |s| if s & 0x80 != 0 { 0 } else { bytes[usize::from(s) % W] })
    };
    Movddup(_, b) generate::<u64>(|_| b as u64);
    Movsldup(_, b) generate::<u32>(|i| get(b, i & !1));
    Movshdup(_, b) generate::<u32>(|i| get(b, i | 1));
    Movhlps(a, b) a >> 64 << 64 | b >> 64;
    /// MOVLHPS, and MOVHPS and MOVHPD from memory.
    Movhigh(a, b) u128::from(a as u64) | b << 64;
    /// MOVLPS and MOVLPD from memory.
    Movlow(a, b) a >> 64 << 64 | u128::from(b as u64);
    /// MOVSS between registers.
    Movss(a, b) a & !0xffff_ffff | b & 0xffff_ffff;
    /// A plain copy.
    Copy(_, b) b;
    /// The low half, the rest cleared.
    CopyLow(_, b) u128::from(b as u64);
}

define_imm! {
    Pshufd(_, b, imm) generate::<u32>(|i| get(b, selector(imm, i)));
    Pshuflw(_, b, imm) generate::<u16>(|i| get(b, if i < 4 { selector(imm, i) } else { i }));
    Pshufhw(_, b, imm) generate::<u16>(|i| get(b, if i < 4 { i } else { 4 + selector(imm, i - 4) }));
    Pshufw(_, b, imm) generate::<u16>(|i| get(b, selector(imm, i & 3)));
    Shufps(a, b, imm) generate::<u32>(|i| get(if i < 2 { a } else { b }, selector(imm, i)));
    Shufpd(a, b, imm) generate::<u64>(|i| get(if i < 1 { a } else { b }, usize::from(imm >> i & 1)));
    /// Bytes of `a:b` from a position on.
    Palignr(a, b, imm) {
        let (high, low) = (u8::split(a), u8::split(b));
        generate::<u8>(|i| match i + usize::from(imm) {
            j if j < W => low[j],
            j if j < 2 * W => high[j - W],
            _ => 0,
        })
    };
    Blendps(a, b, imm) generate::<u32>(|i| get(if imm >> i & 1 != 0 { b } else { a }, i));
    Blendpd(a, b, imm) generate::<u64>(|i| get(if imm >> i & 1 != 0 { b } else { a }, i));
    Pblendw(a, b, imm) generate::<u16>(|i| get(if imm >> i & 1 != 0 { b } else { a }, i));
    /// The register form: the immediate also selects the source lane.
    Insertps(a, b, imm) insertps(a, get(b, usize::from(imm >> 6)), imm);
    /// The memory form.
    InsertpsMem(a, b, imm) insertps(a, b as u32, imm);
}

#[inline(always)]
fn insertps(a: u128, value: u32, imm: u8) -> u128 {
    let inserted = lanes::with(a, usize::from(imm >> 4 & 3), value);
    generate::<u32>(|i| if imm >> i & 1 != 0 { 0 } else { get(inserted, i) })
}

/// A blend whose mask is the top bit of each lane of XMM0.
pub(super) trait BlendV {
    /// The result.
    fn apply(a: u128, b: u128, mask: u128) -> u128;
}

macro_rules! blendv {
    ($($name:ident, $t:ty;)*) => {$(
        pub(super) struct $name;
        impl BlendV for $name {
            #[inline(always)]
            fn apply(a: u128, b: u128, mask: u128) -> u128 {
                let select = map::<$t>(mask, |m| m >> (<$t>::BITS - 1));
                zip::<$t>(a, select, |x, s| x & !s) | zip::<$t>(b, select, |x, s| x & s)
            }
        }
    )*};
}

blendv! { Pblendvb, i8; Blendvps, i32; Blendvpd, i64; }
