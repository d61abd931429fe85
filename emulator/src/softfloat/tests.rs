//! Against the host's binary32 and binary64, and against `rustc_apfloat` for the x87 format and other roundings.

use super::*;
use rustc_apfloat::{Float as _, Round, Status, StatusAnd, ieee::X87DoubleExtended};

/// A small generator with many special patterns.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A sign, an exponent near the middle or an end, and a fraction that is dense, sparse or empty.
    fn float(&mut self, exp_bits: u32, fraction_bits: u32) -> u64 {
        let max = (1u64 << exp_bits) - 1;
        let exp = match self.next() % 8 {
            0 => 0,
            1 => max,
            2 => 1 + self.next() % 3,
            3 => max - 1 - self.next() % 3,
            4 => self.next() % (max + 1),
            _ => max / 2 + self.next() % 64 - 32,
        };
        let fraction = match self.next() % 6 {
            0 => 0,
            1 => self.next() % 4,
            2 => u64::MAX - self.next() % 4,
            3 => 1 << (self.next() % 64),
            _ => self.next(),
        };
        let sign = self.next() & 1;
        sign << (exp_bits + fraction_bits) | exp << fraction_bits | fraction & ((1 << fraction_bits) - 1)
    }
}

fn env() -> Env {
    Env::from_mxcsr(0x1f80)
}

fn same64(ours: u64, host: f64, what: &str) {
    let same = if host.is_nan() { f64::from_bits(ours).is_nan() } else { ours == host.to_bits() };
    assert!(same, "{what}: {ours:#x} is not {:#x}", host.to_bits());
}

#[test]
fn nearest_results_are_the_hosts() {
    let mut r = Random(1);
    for _ in 0..200_000 {
        let (x, y) = (r.float(11, 52), r.float(11, 52));
        let (a, b) = (Float::from_f64(x), Float::from_f64(y));
        let (ha, hb) = (f64::from_bits(x), f64::from_bits(y));
        let f = Format::F64;
        same64(add(&mut env(), f, a, b, false).to_f64(), ha + hb, &format!("{x:#x}+{y:#x}"));
        same64(add(&mut env(), f, a, b, true).to_f64(), ha - hb, &format!("{x:#x}-{y:#x}"));
        same64(mul(&mut env(), f, a, b).to_f64(), ha * hb, &format!("{x:#x}*{y:#x}"));
        same64(div(&mut env(), f, a, b).to_f64(), ha / hb, &format!("{x:#x}/{y:#x}"));
        same64(sqrt(&mut env(), f, a).to_f64(), ha.sqrt(), &format!("sqrt {x:#x}"));
        let single = convert(&mut env(), Format::F32, a).to_f32();
        let host = ha as f32;
        assert!(host.is_nan() || single == host.to_bits(), "{x:#x} as f32");
        let s = r.float(8, 23) as u32;
        same64(convert(&mut env(), f, Float::from_f32(s)).to_f64(), f64::from(f32::from_bits(s)), "f32 as f64");
        let i = (r.next() as i64) >> (r.next() & 63);
        assert_eq!(from_i64(&mut env(), f, i).to_f64(), (i as f64).to_bits());
        if let Some(i) = to_i64(&mut env(), a, 64, Rounding::Zero) {
            assert_eq!(i, ha as i64);
        }
        same64(
            round_to_integral(&mut env(), a, Rounding::Nearest, true).to_f64(),
            ha.round_ties_even(),
            "round to integral",
        );
    }
}

fn f80(r: &mut Random) -> Float {
    let sign_exp = r.float(15, 0) as u16;
    let sig = r.float(11, 52);
    let leading = if sign_exp & 0x7fff == 0 { 0 } else { 1 << 63 };
    Float::from_f80(sig & !(1 << 63) | leading, sign_exp)
}

fn apfloat(f: Float) -> X87DoubleExtended {
    let (sig, sign_exp) = f.to_f80();
    X87DoubleExtended::from_bits(u128::from(sign_exp) << 64 | u128::from(sig))
}

#[test]
fn x87_results_are_apfloats_in_every_rounding() {
    let mut r = Random(7);
    let rounds = [Round::NearestTiesToEven, Round::TowardNegative, Round::TowardPositive, Round::TowardZero];
    for n in 0..200_000u32 {
        let (a, b) = (f80(&mut r), f80(&mut r));
        let round = rounds[n as usize & 3];
        let control = 0x37f | (n as u16 & 3) << 10;
        let check = |op: &dyn Fn(&mut Env) -> Float, theirs: StatusAnd<X87DoubleExtended>, what: &str| {
            let mut env = Env::from_x87_control(control);
            let ours = op(&mut env);
            if theirs.value.is_nan() {
                assert!(ours.is_nan());
                return;
            }
            assert_eq!(apfloat(ours).to_bits(), theirs.value.to_bits(), "{a:?} {what} {b:?} {round:?}");
            let has = |s: Status| theirs.status.intersects(s);
            assert_eq!(env.flags & flag::PRECISION != 0, has(Status::INEXACT), "{a:?} {what} {b:?} inexact");
            // LLVM's code reports no overflow when it answers the largest finite number.
            assert!(env.flags & flag::OVERFLOW != 0 || !has(Status::OVERFLOW), "{a:?} {what} {b:?} overflow");
            assert_eq!(env.flags & flag::ZERO_DIVIDE != 0, has(Status::DIV_BY_ZERO));
            assert_eq!(env.flags & flag::INVALID != 0, has(Status::INVALID_OP));
        };
        let (ta, tb) = (apfloat(a), apfloat(b));
        check(&|e| add(e, Format::F80, a, b, false), ta.add_r(tb, round), "+");
        check(&|e| add(e, Format::F80, a, b, true), ta.sub_r(tb, round), "-");
        check(&|e| mul(e, Format::F80, a, b), ta.mul_r(tb, round), "*");
        check(&|e| div(e, Format::F80, a, b), ta.div_r(tb, round), "/");
    }
}

#[test]
fn tininess_is_judged_after_rounding() {
    // 2^-1022 · (1 - 2^-54), which 53 bits can't hold, rounds to the smallest normal number: not tiny.
    let mut e = env();
    round(&mut e, Format::F64, false, -1023, !0u128 << 74);
    assert_eq!(e.flags, flag::PRECISION);
    // One bit less rounds to a number below it if the exponent were unbounded: tiny.
    let mut e = env();
    let result = round(&mut e, Format::F64, false, -1023, !0u128 << 75);
    assert_eq!(e.flags, flag::PRECISION | flag::UNDERFLOW);
    assert_eq!(result.to_f64(), f64::MIN_POSITIVE.to_bits());
}

#[test]
fn first_nan_wins_in_sse_and_the_larger_in_x87() {
    let small = Float::from_f64(0x7ff8_0000_0000_0001);
    let large = Float::from_f64(0xfff8_0000_0000_0002);
    assert_eq!(add(&mut env(), Format::F64, small, large, false).to_f64(), 0x7ff8_0000_0000_0001);
    let mut x87 = Env::from_x87_control(0x37f);
    assert_eq!(add(&mut x87, Format::F80, small, large, false).to_f64(), 0xfff8_0000_0000_0002);
}

#[test]
fn order_knows_signs_and_zeros() {
    let f = |x: f64| Float::from_f64(x.to_bits());
    let values = [f64::NEG_INFINITY, -2.0, -1.0, -0.0, 0.0, 1e-310, 1.0, 2.0, f64::INFINITY];
    for a in values {
        for b in values {
            assert_eq!(Some(order(f(a), f(b))), a.partial_cmp(&b), "{a} {b}");
        }
    }
}
