//! What VRCP14PS and VRSQRT14PS look up.
//!
//! The manual promises a relative error below 2^-14 and leaves the rest to the processor. These are the values of AMD's Zen 4,
//! as measured there: a result has 17 bits, and for each piece of the operand's fraction they lie on a straight line, cut.

use core::marker::PhantomData;

use super::super::fp::{Mx, daz};
use super::convert::Element;
use super::{Each, In, at};
use crate::softfloat::{Class, Env, Float};

/// A piece of a fraction: the result at its start and what it falls by from one to the next of 1024 places, in 2^-26.
type Piece = (u32, u32);

/// The value at a place, in 2^-17: from 1/2 to 1.
fn look(pieces: &[Piece], place: usize) -> u64 {
    let (start, slope) = pieces[place / 1024 % pieces.len()];
    u64::from((start - slope * (place % 1024) as u32) >> 9)
}

/// A result of so many units of 2^-17 times a power of two.
fn result<T: Element>(mx: &Mx, sign: bool, value: u64, exp: i32) -> Float {
    let shift = value.leading_zeros();
    let (exp, sig) = (exp + 46 - shift as i32, value << shift);
    if exp > T::FORMAT.max_exp {
        return Float::infinity(sign);
    }
    if exp >= T::FORMAT.min_exp {
        return Float::finite(sign, exp, sig);
    }
    // What would be denormal is cut.
    let lost = (T::FORMAT.min_exp - exp) as u32;
    let kept = T::FORMAT.precision.saturating_sub(lost);
    if Env::from_mxcsr(mx.mxcsr).ftz || kept == 0 {
        return Float::zero(sign);
    }
    Float::finite(sign, exp, sig & u64::MAX << (64 - kept))
}

/// The reciprocal. No flag is raised.
pub(super) struct Rcp14<T>(PhantomData<T>);

impl<T: Element> Each for Rcp14<T> {
    type T = T::Bits;
    fn each(mx: &mut Mx, x: &In, i: usize) -> T::Bits {
        let value = T::unpack(daz::<T>(mx, at(&x.b, i)));
        T::pack(match value.class {
            Class::Zero => Float::infinity(value.sign),
            Class::Infinite => Float::zero(value.sign),
            Class::Finite if value.sig << 1 == 0 => result::<T>(mx, value.sign, 1 << 17, -value.exp),
            Class::Finite => {
                let place = (value.sig >> 47 & 0xffff) as usize;
                result::<T>(mx, value.sign, look(&RECIPROCAL, place), -value.exp)
            }
            _ => value.quieted(),
        })
    }
}

/// The reciprocal of the square root.
pub(super) struct Rsqrt14<T>(PhantomData<T>);

impl<T: Element> Each for Rsqrt14<T> {
    type T = T::Bits;
    fn each(mx: &mut Mx, x: &In, i: usize) -> T::Bits {
        let value = T::unpack(daz::<T>(mx, at(&x.b, i)));
        T::pack(match value.class {
            Class::Zero => Float::infinity(value.sign),
            Class::QuietNan | Class::SignalingNan | Class::Unsupported => value.quieted(),
            _ if value.sign => Float::DEFAULT_NAN,
            Class::Infinite => Float::zero(false),
            Class::Finite => {
                let (odd, half) = (value.exp & 1 != 0, value.exp >> 1);
                let place = (value.sig >> 48 & 0x7fff) as usize;
                let units = match odd {
                    false if value.sig << 1 == 0 => 1 << 17,
                    false => look(&SQUARE_ROOT_1, place),
                    true => look(&SQUARE_ROOT_2, place),
                };
                result::<T>(mx, false, units, -half)
            }
        })
    }
}

/// 1/x, for x from 1 to 2.
static RECIPROCAL: [Piece; 64] = [
    (67107072, 1009),
    (66074112, 977),
    (65073664, 949),
    (64102400, 921),
    (63159040, 893),
    (62244608, 869),
    (61354752, 843),
    (60491264, 821),
    (59650560, 797),
    (58833920, 777),
    (58038272, 755),
    (57264640, 735),
    (56511488, 717),
    (55778048, 699),
    (55062784, 681),
    (54365184, 663),
    (53686016, 647),
    (53022976, 631),
    (52377088, 617),
    (51745536, 601),
    (51129600, 587),
    (50528000, 573),
    (49940992, 561),
    (49366272, 547),
    (48805376, 535),
    (48257024, 523),
    (47721728, 513),
    (47196672, 501),
    (46683904, 491),
    (46181632, 479),
    (45690368, 469),
    (45209344, 459),
    (44739072, 451),
    (44277504, 441),
    (43826176, 433),
    (43382784, 423),
    (42949120, 415),
    (42523904, 407),
    (42106880, 399),
    (41698048, 391),
    (41297920, 385),
    (40903936, 377),
    (40517888, 369),
    (40139520, 363),
    (39768320, 357),
    (39402752, 349),
    (39044608, 343),
    (38692864, 337),
    (38347520, 331),
    (38008064, 325),
    (37674496, 319),
    (37347840, 315),
    (37025280, 309),
    (36708608, 303),
    (36398080, 299),
    (36091648, 293),
    (35791360, 289),
    (35495680, 285),
    (35204352, 279),
    (34919168, 275),
    (34638080, 271),
    (34361088, 267),
    (34088192, 263),
    (33819392, 259),
];

/// 1/√x, for x from 1 to 2.
static SQUARE_ROOT_1: [Piece; 32] = [
    (67105920, 1001),
    (66080896, 955),
    (65102464, 915),
    (64166144, 877),
    (63268608, 841),
    (62407552, 807),
    (61580928, 775),
    (60786816, 747),
    (60022016, 719),
    (59285632, 693),
    (58575744, 669),
    (57891328, 647),
    (57229568, 625),
    (56589568, 603),
    (55971712, 585),
    (55373184, 567),
    (54793088, 549),
    (54231424, 533),
    (53686144, 517),
    (53156864, 501),
    (52643456, 487),
    (52144512, 473),
    (51659776, 461),
    (51188096, 449),
    (50728832, 437),
    (50281856, 425),
    (49847040, 415),
    (49422080, 403),
    (49008512, 393),
    (48605952, 385),
    (48211840, 375),
    (47828224, 367),
];

/// 1/√x, for x from 2 to 4.
static SQUARE_ROOT_2: [Piece; 32] = [
    (47450752, 707),
    (46726272, 675),
    (46034432, 647),
    (45371904, 619),
    (44738048, 595),
    (44129152, 571),
    (43544704, 549),
    (42982528, 527),
    (42442368, 509),
    (41921920, 491),
    (41419392, 473),
    (40935040, 457),
    (40467072, 441),
    (40015104, 427),
    (39577728, 413),
    (39155072, 401),
    (38744960, 389),
    (38347136, 377),
    (37961600, 365),
    (37588096, 355),
    (37224832, 345),
    (36871936, 335),
    (36528640, 325),
    (36195328, 317),
    (35870976, 309),
    (35554944, 301),
    (35246976, 293),
    (34946816, 285),
    (34654848, 279),
    (34369152, 271),
    (34091008, 265),
    (33819392, 259),
];
