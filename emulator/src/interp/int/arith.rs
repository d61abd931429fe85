//! Arithmetic on values and flags, without operands.
//!
//! Flags are left to `Flags` wherever it can work them out later. Where it can't, with a carry in, the carries are worked
//! out for all bits at once: of a sum, a carry leaves bit i if both operands have it, or if one has and the result has not;
//! of a difference alike with the first operand inverted.

use crate::flags::{Flags, rflags};

use super::operand::Int;

/// A binary operation.
pub(super) trait Binary {
    /// Whether the result goes to the first operand.
    const WRITES: bool = true;
    /// Computes it, and sets the flags.
    fn apply<T: Int>(flags: &mut Flags, a: T, b: T) -> T;
}

/// A unary operation.
pub(super) trait Unary {
    /// Computes it, and sets the flags.
    fn apply<T: Int>(flags: &mut Flags, a: T) -> T;
}

/// `a + b`.
#[inline(always)]
pub(super) fn add<T: Int>(flags: &mut Flags, a: T, b: T) -> T {
    let result = T::cut(a.wide().wrapping_add(b.wide()));
    flags.set_sum(T::ADDITION, a.wide(), result.wide());
    result
}

/// `a - b`.
#[inline(always)]
pub(super) fn sub<T: Int>(flags: &mut Flags, a: T, b: T) -> T {
    let result = T::cut(a.wide().wrapping_sub(b.wide()));
    flags.set_sum(T::SUBTRACTION, a.wide(), result.wide());
    result
}

/// CF, AF and OF of a sum or difference, from the carries out of its bits.
#[inline(always)]
fn carried<T: Int>(a: T, b: T, result: T, carries: u64) -> u64 {
    let top = carries >> (T::BITS - 1) & 1;
    let overflow = top ^ carries >> (T::BITS - 2) & 1;
    top | (a.wide() ^ b.wide() ^ result.wide()) & rflags::AF | overflow << 11
}

/// `a + b + CF`.
#[inline(always)]
fn add_with_carry<T: Int>(flags: &mut Flags, a: T, b: T) -> T {
    let (x, y) = (a.wide(), b.wide());
    let result = T::cut(x.wrapping_add(y).wrapping_add(u64::from(flags.cf())));
    let others = carried(a, b, result, x & y | (x | y) & !result.wide());
    flags.set_result(result.signed(), others);
    result
}

/// `a - b - CF`.
#[inline(always)]
fn sub_with_borrow<T: Int>(flags: &mut Flags, a: T, b: T) -> T {
    let (x, y) = (a.wide(), b.wide());
    let result = T::cut(x.wrapping_sub(y).wrapping_sub(u64::from(flags.cf())));
    let others = carried(a, b, result, !x & y | (!x | y) & result.wide());
    flags.set_result(result.signed(), others);
    result
}

/// Flags of a logical result: CF and OF are cleared; AF, which the manual leaves undefined, too.
#[inline(always)]
pub(super) fn logic<T: Int>(flags: &mut Flags, result: T) -> T {
    flags.set_result(result.signed(), 0);
    result
}

macro_rules! binaries {
    ($($(#[$doc:meta])* $name:ident |$flags:ident, $a:ident, $b:ident| $value:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;
        impl Binary for $name {
            #[inline(always)]
            fn apply<T: Int>($flags: &mut Flags, $a: T, $b: T) -> T {
                $value
            }
        }
    )*};
}

binaries! {
    /// ADD
    Add |flags, a, b| add(flags, a, b);
    /// ADC
    Adc |flags, a, b| add_with_carry(flags, a, b);
    /// SUB
    Sub |flags, a, b| sub(flags, a, b);
    /// SBB
    Sbb |flags, a, b| sub_with_borrow(flags, a, b);
    /// AND
    And |flags, a, b| logic(flags, T::cut(a.wide() & b.wide()));
    /// OR
    Or |flags, a, b| logic(flags, T::cut(a.wide() | b.wide()));
    /// XOR
    Xor |flags, a, b| logic(flags, T::cut(a.wide() ^ b.wide()));
}

/// CMP
pub(super) struct Cmp;

impl Binary for Cmp {
    const WRITES: bool = false;

    #[inline(always)]
    fn apply<T: Int>(flags: &mut Flags, a: T, b: T) -> T {
        sub(flags, a, b)
    }
}

/// TEST
pub(super) struct Test;

impl Binary for Test {
    const WRITES: bool = false;

    #[inline(always)]
    fn apply<T: Int>(flags: &mut Flags, a: T, b: T) -> T {
        logic(flags, T::cut(a.wide() & b.wide()))
    }
}

macro_rules! unaries {
    ($($(#[$doc:meta])* $name:ident |$flags:ident, $a:ident| $value:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;
        impl Unary for $name {
            #[inline(always)]
            fn apply<T: Int>($flags: &mut Flags, $a: T) -> T {
                $value
            }
        }
    )*};
}

unaries! {
    /// INC, which keeps CF.
    Inc |flags, a| {
        let result = T::cut(a.wide().wrapping_add(1));
        let overflow = u64::from(result.signed() as i64 == i64::MIN >> (64 - T::BITS)) << 11;
        let adjust = (a.wide() ^ result.wide()) & rflags::AF;
        flags.set_result(result.signed(), u64::from(flags.cf()) | adjust | overflow);
        result
    };
    /// DEC, which keeps CF.
    Dec |flags, a| {
        let result = T::cut(a.wide().wrapping_sub(1));
        let overflow = u64::from(a.signed() as i64 == i64::MIN >> (64 - T::BITS)) << 11;
        let adjust = (a.wide() ^ result.wide()) & rflags::AF;
        flags.set_result(result.signed(), u64::from(flags.cf()) | adjust | overflow);
        result
    };
    /// NEG
    Neg |flags, a| sub(flags, T::default(), a);
    /// NOT, which keeps all flags.
    Not |_flags, a| T::cut(!a.wide());
}

/// A shift or rotation by a count, already cut to 5 or 6 bits. A count of 0 changes nothing.
pub(super) trait Shift {
    /// Computes it, and sets the flags.
    fn apply<T: Int>(flags: &mut Flags, a: T, count: u32) -> T;
}

/// Flags of a shift's result.
#[inline(always)]
fn shifted<T: Int>(flags: &mut Flags, result: T, carry: bool, overflow: bool) -> T {
    flags.set_result(result.signed(), u64::from(carry) | u64::from(overflow) << 11);
    result
}

fn top<T: Int>(value: u64) -> bool {
    value >> (T::BITS - 1) & 1 != 0
}

/// SHL. OF, undefined for counts above 1, is the result's top bit xor CF, as for 1.
pub(super) struct Shl;

impl Shift for Shl {
    #[inline(always)]
    fn apply<T: Int>(flags: &mut Flags, a: T, count: u32) -> T {
        if count == 0 {
            return a;
        }
        // Counts go up to 31 for 8 and 16 bits too: then all bits may leave.
        let wide = a.wide() << count;
        let carry = if T::BITS == 64 { a.wide() >> (64 - count) } else { wide >> T::BITS } & 1 != 0;
        let result = T::cut(wide);
        shifted(flags, result, carry, top::<T>(result.wide()) != carry)
    }
}

/// SHR. OF is the operand's top bit.
pub(super) struct Shr;

impl Shift for Shr {
    #[inline(always)]
    fn apply<T: Int>(flags: &mut Flags, a: T, count: u32) -> T {
        if count == 0 {
            return a;
        }
        let carry = a.wide() >> (count - 1) & 1 != 0;
        shifted(flags, T::cut(a.wide() >> count), carry, top::<T>(a.wide()))
    }
}

/// SAR. OF is cleared.
pub(super) struct Sar;

impl Shift for Sar {
    #[inline(always)]
    fn apply<T: Int>(flags: &mut Flags, a: T, count: u32) -> T {
        if count == 0 {
            return a;
        }
        let signed = a.signed() as i64;
        let carry = signed >> (count - 1) & 1 != 0;
        shifted(flags, T::cut((signed >> count) as u64), carry, false)
    }
}

/// ROL. Sets CF and OF only.
pub(super) struct Rol;

impl Shift for Rol {
    #[inline(always)]
    fn apply<T: Int>(flags: &mut Flags, a: T, count: u32) -> T {
        if count == 0 {
            return a;
        }
        let by = count % T::BITS;
        let x = a.wide();
        let result = if by == 0 { x } else { x << by | x >> (T::BITS - by) };
        let result = T::cut(result);
        let carry = result.wide() & 1 != 0;
        flags.set_cf_of(carry, top::<T>(result.wide()) != carry);
        result
    }
}

/// ROR. Sets CF and OF only.
pub(super) struct Ror;

impl Shift for Ror {
    #[inline(always)]
    fn apply<T: Int>(flags: &mut Flags, a: T, count: u32) -> T {
        if count == 0 {
            return a;
        }
        let by = count % T::BITS;
        let x = a.wide();
        let result = if by == 0 { x } else { x >> by | x << (T::BITS - by) };
        let result = T::cut(result);
        let carry = top::<T>(result.wide());
        flags.set_cf_of(carry, carry != (result.wide() >> (T::BITS - 2) & 1 != 0));
        result
    }
}

/// RCL: a rotation of one bit more, the carry.
pub(super) struct Rcl;

impl Shift for Rcl {
    #[inline(always)]
    fn apply<T: Int>(flags: &mut Flags, a: T, count: u32) -> T {
        let by = count % (T::BITS + 1);
        if by == 0 {
            // A whole turn of an 8- or 16-bit operand: OF follows from what is there.
            if count != 0 {
                let carry = flags.cf();
                flags.set_cf_of(carry, top::<T>(a.wide()) != carry);
            }
            return a;
        }
        let x = u128::from(a.wide()) | u128::from(flags.cf()) << T::BITS;
        let turned = x << by | x >> (T::BITS + 1 - by);
        let result = T::cut(turned as u64);
        let carry = turned >> T::BITS & 1 != 0;
        flags.set_cf_of(carry, top::<T>(result.wide()) != carry);
        result
    }
}

/// RCR: a rotation of one bit more, the carry.
pub(super) struct Rcr;

impl Shift for Rcr {
    #[inline(always)]
    fn apply<T: Int>(flags: &mut Flags, a: T, count: u32) -> T {
        let by = count % (T::BITS + 1);
        let overflow = |value: u64| top::<T>(value) != (value >> (T::BITS - 2) & 1 != 0);
        if by == 0 {
            if count != 0 {
                flags.set_cf_of(flags.cf(), overflow(a.wide()));
            }
            return a;
        }
        let x = u128::from(a.wide()) | u128::from(flags.cf()) << T::BITS;
        let turned = x >> by | x << (T::BITS + 1 - by);
        let result = T::cut(turned as u64);
        flags.set_cf_of(turned >> T::BITS & 1 != 0, overflow(result.wide()));
        result
    }
}

/// SHLD: bits of `b` follow those of `a`. For 16 bits and counts above 16, which the manual leaves undefined,
/// `b` follows once more and CF is 0, as on AMD's processors; on Intel's it is `a`.
#[inline(always)]
pub(super) fn shld<T: Int>(flags: &mut Flags, a: T, b: T, count: u32) -> T {
    if count == 0 {
        return a;
    }
    let (x, y) = (a.wide(), b.wide());
    let (result, carry) = if T::BITS == 16 {
        let all = u128::from(x << 32 | y << 16 | y) << count;
        ((all >> 32) as u64, count <= 16 && all >> 48 & 1 != 0)
    } else {
        (x << count | y >> (T::BITS - count), x >> (T::BITS - count) & 1 != 0)
    };
    let result = T::cut(result);
    shifted(flags, result, carry, top::<T>(result.wide()) != top::<T>(x))
}

/// SHRD: bits of `b` come before those of `a`.
#[inline(always)]
pub(super) fn shrd<T: Int>(flags: &mut Flags, a: T, b: T, count: u32) -> T {
    if count == 0 {
        return a;
    }
    let (x, y) = (a.wide(), b.wide());
    let (result, carry) = if T::BITS == 16 {
        let all = y << 32 | y << 16 | x;
        (all >> count, count <= 16 && all >> (count - 1) & 1 != 0)
    } else {
        (x >> count | y << (T::BITS - count), x >> (count - 1) & 1 != 0)
    };
    let result = T::cut(result);
    shifted(flags, result, carry, top::<T>(result.wide()) != top::<T>(x))
}

/// A condition code, as the low four bits of Jcc, SETcc and CMOVcc encode it.
#[inline(always)]
pub(super) fn condition<const C: u8>(flags: &Flags) -> bool {
    let holds = match C >> 1 {
        0 => flags.of(),
        1 => flags.cf(),
        2 => flags.zf(),
        3 => flags.cf() | flags.zf(),
        4 => flags.sf(),
        5 => flags.pf(),
        6 => flags.less(),
        _ => flags.zf() | flags.less(),
    };
    holds != (C & 1 != 0)
}

/// Evaluates an expression in which `$c` is a constant condition code.
macro_rules! by_condition {
    ($condition:expr, $c:ident => $value:expr) => {
        $crate::interp::int::arith::by_condition!(@ $condition, $c => $value; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $condition:expr, $c:ident => $value:expr; $($n:literal)*) => {
        match $condition {
            $($n => {
                const $c: u8 = $n;
                $value
            })*
            _ => return None,
        }
    };
}
pub(super) use by_condition;
