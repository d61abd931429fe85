//! AES, carry-less multiplication, SHA-1 and SHA-256.
//!
//! AES state is a 4 by 4 matrix of bytes, column by column. One table maps a byte through S-box and MixColumns at once; the
//! tables are computed from the field's definition at build time.

use super::int::{Binary, BinaryImm, define, define_imm};
use super::lanes::{Lane, V, generate, get, map, zip};
use super::shuffle::BlendV;

/// Doubles in GF(2^8), modulo x^8 + x^4 + x^3 + x + 1.
const fn double(x: u8) -> u8 {
    x << 1 ^ if x & 0x80 != 0 { 0x1b } else { 0 }
}

const fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 != 0 {
            product ^= a;
        }
        a = double(a);
        b >>= 1;
    }
    product
}

/// The S-box: the inverse in the field, then an affine map.
const SBOX: [u8; 256] = {
    let mut table = [0; 256];
    // p runs through all non-zero elements by multiplication with 3, q through their inverses.
    let (mut p, mut q) = (1u8, 1u8);
    loop {
        p = multiply(p, 3);
        q = multiply(q, 0xf6);
        table[p as usize] = q ^ q.rotate_left(1) ^ q.rotate_left(2) ^ q.rotate_left(3) ^ q.rotate_left(4) ^ 0x63;
        if p == 1 {
            break;
        }
    }
    table[0] = 0x63;
    table
};

const INVERSE_SBOX: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[SBOX[i] as usize] = i as u8;
        i += 1;
    }
    table
};

/// For each byte, the column that it contributes as the column's first: substituted, then multiplied by `factors`.
const fn columns(sbox: &[u8; 256], factors: [u8; 4]) -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let s = sbox[i];
        table[i] = u32::from_le_bytes([
            multiply(s, factors[0]),
            multiply(s, factors[1]),
            multiply(s, factors[2]),
            multiply(s, factors[3]),
        ]);
        i += 1;
    }
    table
}

static ENCRYPT: [u32; 256] = columns(&SBOX, [2, 1, 1, 3]);
static DECRYPT: [u32; 256] = columns(&INVERSE_SBOX, [14, 9, 13, 11]);

/// Column `c` after a round: row `r` comes from column `c + r`, or `c - r` when decrypting.
#[inline(always)]
fn column(state: &V, table: &[u32; 256], c: usize, inverse: bool) -> u32 {
    (0..4).fold(0, |column, r| column ^ table[usize::from(state[source(r, c, inverse)])].rotate_left(8 * r as u32))
}

/// Where ShiftRows or its inverse takes row `r` of column `c` from.
#[inline(always)]
fn source(r: usize, c: usize, inverse: bool) -> usize {
    r + 4 * ((if inverse { c + 4 - r } else { c + r }) % 4)
}

fn substitute(word: u32) -> u32 {
    u32::from_le_bytes(word.to_le_bytes().map(|byte| SBOX[usize::from(byte)]))
}

fn xor(a: V, b: V) -> V {
    zip::<u64>(a, b, |x, y| x ^ y)
}

define! {
    Aesenc(a, b) xor(generate::<u32>(|c| column(&a, &ENCRYPT, c, false)), b);
    Aesdec(a, b) xor(generate::<u32>(|c| column(&a, &DECRYPT, c, true)), b);
    Aesenclast(a, b) xor(generate::<u8>(|i| SBOX[usize::from(a[source(i % 4, i / 4, false)])]), b);
    Aesdeclast(a, b) xor(generate::<u8>(|i| INVERSE_SBOX[usize::from(a[source(i % 4, i / 4, true)])]), b);
    /// InvMixColumns alone: the S-box undoes what the table's inverse S-box does.
    Aesimc(_, b) {
        let substituted = map::<u8>(b, |byte| SBOX[usize::from(byte)]);
        generate::<u32>(|c| {
            (0..4).fold(0, |column, r| column ^ DECRYPT[usize::from(substituted[4 * c + r])].rotate_left(8 * r as u32))
        })
    };

    Sha1nexte(a, b) {
        let e = get::<u32>(a, 3).rotate_left(30);
        zip::<u32>(b, u32::join([0, 0, 0, e]), u32::wrapping_add)
    };
    /// W0 … W3 are the lanes of `a` from the highest down, W4 and W5 those of `b`.
    Sha1msg1(a, b) {
        let (a, b) = (u32::split(a), u32::split(b));
        u32::join([b[2] ^ a[0], b[3] ^ a[1], a[0] ^ a[2], a[1] ^ a[3]])
    };
    Sha1msg2(a, b) {
        let (a, b) = (u32::split(a), u32::split(b));
        let w16 = (a[3] ^ b[2]).rotate_left(1);
        let w17 = (a[2] ^ b[1]).rotate_left(1);
        let w18 = (a[1] ^ b[0]).rotate_left(1);
        let w19 = (a[0] ^ w16).rotate_left(1);
        u32::join([w19, w18, w17, w16])
    };
    Sha256msg1(a, b) {
        let (w, w4) = (u32::split(a), get::<u32>(b, 0));
        let next = [w[1], w[2], w[3], w4];
        generate::<u32>(|i| {
            let x = next[i];
            w[i].wrapping_add(x.rotate_right(7) ^ x.rotate_right(18) ^ x >> 3)
        })
    };
    Sha256msg2(a, b) {
        let (a, b) = (u32::split(a), u32::split(b));
        let extend = |w: u32, x: u32| w.wrapping_add(x.rotate_right(17) ^ x.rotate_right(19) ^ x >> 10);
        let (w16, w17) = (extend(a[0], b[2]), extend(a[1], b[3]));
        u32::join([w16, w17, extend(a[2], w16), extend(a[3], w17)])
    };
}

define_imm! {
    /// The second and the fourth word, substituted, plain and rotated with the round constant.
    Aeskeygenassist(_, b, imm) generate::<u32>(|i| {
        let word = substitute(get(b, i | 1));
        if i & 1 == 0 { word } else { word.rotate_right(8) ^ u32::from(imm) }
    });
    Pclmulqdq(a, b, imm) {
        let (x, y): (u64, u64) = (get(a, usize::from(imm & 1)), get(b, usize::from(imm >> 4 & 1)));
        let product = (0..64).filter(|i| y >> i & 1 != 0).fold(0u128, |product, i| product ^ u128::from(x) << i);
        product.to_le_bytes()
    };
    /// Four rounds. A to D are the lanes of `a` from the highest down; E is already in the first word of `b`.
    Sha1rnds4(a, b, imm) {
        const K: [u32; 4] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6];
        let which = usize::from(imm & 3);
        let [mut d, mut c, mut b_, mut a_] = u32::split(a);
        let mut e = 0u32;
        for w in u32::split(b).into_iter().rev() {
            let f = match which {
                0 => b_ & c ^ !b_ & d,
                2 => b_ & c ^ b_ & d ^ c & d,
                _ => b_ ^ c ^ d,
            };
            let next = f.wrapping_add(a_.rotate_left(5)).wrapping_add(w).wrapping_add(e).wrapping_add(K[which]);
            (a_, b_, c, d, e) = (next, a_, b_.rotate_left(30), c, d);
        }
        u32::join([d, c, b_, a_])
    };
}

/// Two rounds; the words with their constants are in XMM0.
pub(super) struct Sha256rnds2;

impl BlendV for Sha256rnds2 {
    fn apply(src1: V, src2: V, wk: V) -> V {
        let [mut h, mut g, mut d, mut c] = u32::split(src1);
        let [mut f, mut e, mut b, mut a] = u32::split(src2);
        for i in 0..2 {
            let ch = e & f ^ !e & g;
            let maj = a & b ^ a & c ^ b & c;
            let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let t = ch.wrapping_add(s1).wrapping_add(get(wk, i)).wrapping_add(h);
            let next = t.wrapping_add(maj).wrapping_add(s0);
            (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(t), c, b, a, next);
        }
        u32::join([f, e, b, a])
    }
}
