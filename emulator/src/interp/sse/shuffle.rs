//! Shuffles, blends and other rearrangements of lanes.

use super::int::{Binary, BinaryImm, define, define_imm};
use super::lanes::{self, V, generate, get, map};

/// The `i`th two-bit selector of a shuffle's immediate.
#[inline(always)]
fn selector(imm: u8, i: usize) -> usize {
    usize::from(imm >> (2 * i) & 3)
}

define! {
    /// A set top bit in a selector gives zero.
    Pshufb(a, b) {
        map::<u8>(b, |s| if s & 0x80 != 0 { 0 } else { a[usize::from(s) % W] })
    };
    Movddup(_, b) generate::<u64>(|_| get(b, 0));
    Movsldup(_, b) generate::<u32>(|i| get(b, i & !1));
    Movshdup(_, b) generate::<u32>(|i| get(b, i | 1));
    Movhlps(a, b) generate::<u64>(|i| get(if i == 0 { b } else { a }, 1));
    /// MOVLHPS, and MOVHPS and MOVHPD from memory.
    Movhigh(a, b) generate::<u64>(|i| get(if i == 0 { a } else { b }, 0));
    /// MOVLPS and MOVLPD from memory.
    Movlow(a, b) generate::<u64>(|i| get(if i == 0 { b } else { a }, i));
    /// MOVSS between registers.
    Movss(a, b) generate::<u32>(|i| get(if i == 0 { b } else { a }, i));
    /// A plain copy.
    Copy(_, b) b;
    /// The low half, the rest cleared.
    CopyLow(_, b) lanes::low(get(b, 0));
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
        generate::<u8>(|i| match i + usize::from(imm) {
            j if j < W => b[j],
            j if j < 2 * W => a[j - W],
            _ => 0,
        })
    };
    Blendps(a, b, imm) generate::<u32>(|i| get(if imm >> i & 1 != 0 { b } else { a }, i));
    Blendpd(a, b, imm) generate::<u64>(|i| get(if imm >> i & 1 != 0 { b } else { a }, i));
    Pblendw(a, b, imm) generate::<u16>(|i| get(if imm >> i & 1 != 0 { b } else { a }, i));
    /// The register form: the immediate also selects the source lane.
    Insertps(a, b, imm) insertps(a, get(b, usize::from(imm >> 6)), imm);
    /// The memory form.
    InsertpsMem(a, b, imm) insertps(a, get(b, 0), imm);
}

#[inline(always)]
fn insertps(a: V, value: u32, imm: u8) -> V {
    let inserted = lanes::with(a, usize::from(imm >> 4 & 3), value);
    generate::<u32>(|i| if imm >> i & 1 != 0 { 0 } else { get(inserted, i) })
}

/// A blend whose mask is the top bit of each lane of XMM0.
pub(super) trait BlendV {
    /// The result.
    fn apply(a: V, b: V, mask: V) -> V;
}

macro_rules! blendv {
    ($($name:ident, $t:ty;)*) => {$(
        pub(super) struct $name;
        impl BlendV for $name {
            #[inline(always)]
            fn apply(a: V, b: V, mask: V) -> V {
                let select = map::<$t>(mask, |m| m >> (<$t>::BITS - 1));
                generate::<$t>(|i| {
                    let chosen: $t = get(select, i);
                    get::<$t>(a, i) & !chosen | get::<$t>(b, i) & chosen
                })
            }
        }
    )*};
}

blendv! { Pblendvb, i8; Blendvps, i32; Blendvpd, i64; }
