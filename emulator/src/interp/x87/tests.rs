//! Programs for the x87 unit.

use iced_x86::code_asm::*;

use crate::Exception;
use crate::exit::vector;
use crate::interp::sse::tests::Machine;
use crate::x87::status::{C0, C1, C2, C3};

/// Loads doubles, the last on top, runs a program and stores ST(0) as a double.
fn compute(operands: &[f64], program: impl FnOnce(&mut CodeAssembler)) -> f64 {
    let mut m = Machine::new();
    for (i, value) in operands.iter().enumerate() {
        m.poke(8 * i as u64, &value.to_le_bytes());
    }
    m.run(|a| {
        for i in 0..operands.len() as i32 {
            a.fld(qword_ptr(rsi + 8 * i)).unwrap();
        }
        program(a);
        a.fstp(qword_ptr(rsi + 64)).unwrap();
    })
    .unwrap();
    f64::from_le_bytes(m.peek(64))
}

#[test]
fn operands_have_the_order_that_their_names_say() {
    assert_eq!(compute(&[3.0, 2.0], |a| a.fsubp(st1, st0).unwrap()), 1.0);
    assert_eq!(compute(&[3.0, 2.0], |a| a.fsubrp(st1, st0).unwrap()), -1.0);
    assert_eq!(compute(&[3.0, 2.0], |a| a.fdivp(st1, st0).unwrap()), 1.5);
    assert_eq!(compute(&[3.0, 2.0], |a| a.fdivr_2(st0, st1).unwrap()), 1.5);
    assert_eq!(compute(&[3.0], |a| a.fsubr(qword_ptr(rsi)).unwrap()), 0.0);
    assert_eq!(compute(&[3.0, 2.0], |a| a.fxch(st0, st1).unwrap()), 3.0);
}

#[test]
fn functions_agree_with_the_hosts_library() {
    let close = |ours: f64, host: f64| assert!((ours - host).abs() <= host.abs() * 3e-16, "{ours} {host}");
    for x in [1e-9, 0.3, 0.7, 1.0, 2.5, 100.0] {
        close(compute(&[x], |a| a.fsin().unwrap()), x.sin());
        close(compute(&[x], |a| a.fcos().unwrap()), x.cos());
        close(compute(&[x], |a| a.fsqrt().unwrap()), x.sqrt());
        close(compute(&[1.0, x], |a| a.fyl2x().unwrap()), x.log2());
        close(compute(&[x, 3.0], |a| a.fpatan().unwrap()), x.atan2(3.0));
        close(compute(&[x, -3.0], |a| a.fpatan().unwrap()), x.atan2(-3.0));
        close(compute(&[x / 128.0], |a| a.f2xm1().unwrap()), (x / 128.0 * std::f64::consts::LN_2).exp_m1());
        let tan = compute(&[x], |a| {
            a.fptan().unwrap();
            a.fstp(st0).unwrap();
        });
        close(tan, x.tan());
    }
}

#[test]
fn an_angle_beyond_2_63_is_left_alone() {
    let mut m = Machine::new();
    m.poke(0, &1e19f64.to_le_bytes());
    m.run(|a| {
        a.fld(qword_ptr(rsi)).unwrap();
        a.fsin().unwrap();
        a.fnstsw(ax).unwrap();
    })
    .unwrap();
    assert_ne!(m.cpu.gpr[0] as u16 & C2, 0);
    assert_eq!(m.cpu.fpu.raw(0).sign_exp, 16383 + 63);
}

#[test]
fn fist_follows_the_control_word_and_fisttp_truncates() {
    for (rc, expected) in [(0u16, 2), (1, 1), (2, 2), (3, 1)] {
        let mut m = Machine::new();
        m.poke(0, &1.5f64.to_le_bytes());
        m.poke(8, &(0x37f | rc << 10).to_le_bytes());
        m.run(|a| {
            a.fldcw(word_ptr(rsi + 8)).unwrap();
            a.fld(qword_ptr(rsi)).unwrap();
            a.fist(dword_ptr(rsi + 16)).unwrap();
            a.fisttp(qword_ptr(rsi + 24)).unwrap();
        })
        .unwrap();
        assert_eq!((i32::from_le_bytes(m.peek(16)), i64::from_le_bytes(m.peek(24))), (expected, 1));
    }
}

#[test]
fn integers_of_64_bits_survive() {
    let mut m = Machine::new();
    let value = i64::MAX - 12345;
    m.poke(0, &value.to_le_bytes());
    m.run(|a| {
        a.fild(qword_ptr(rsi)).unwrap();
        a.fbstp(ptr(rsi + 16)).unwrap();
        a.fild(qword_ptr(rsi)).unwrap();
        a.fistp(qword_ptr(rsi + 8)).unwrap();
    })
    .unwrap();
    assert_eq!(i64::from_le_bytes(m.peek(8)), value);
    // Nineteen digits are one too many for a packed decimal.
    assert_eq!(m.peek::<10>(16), [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff]);
}

#[test]
fn packed_decimals_come_back() {
    let mut m = Machine::new();
    let digits = [0x90, 0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0, 0x80];
    m.poke(0, &digits);
    m.run(|a| {
        a.fbld(ptr(rsi)).unwrap();
        a.fst(qword_ptr(rsi + 16)).unwrap();
        a.fbstp(ptr(rsi + 32)).unwrap();
    })
    .unwrap();
    assert_eq!(f64::from_le_bytes(m.peek(16)), -1234567890.0);
    assert_eq!(m.peek(32), digits);
}

#[test]
fn fmod_by_fprem() {
    // 1e300 needs many partial reductions: the program repeats while C2 is set.
    let ours = compute(&[7.3, 1e300], |a| {
        let mut again = a.create_label();
        a.set_label(&mut again).unwrap();
        a.fprem().unwrap();
        a.fnstsw(ax).unwrap();
        a.test(ah, 4).unwrap();
        a.jne(again).unwrap();
    });
    assert_eq!(ours, 1e300f64 % 7.3);
}

#[test]
fn fxam_names_every_class() {
    let class = |program: &dyn Fn(&mut CodeAssembler)| {
        let mut m = Machine::new();
        m.poke(0, &f64::NEG_INFINITY.to_le_bytes());
        m.poke(8, &f64::NAN.to_le_bytes());
        m.poke(16, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        m.run(|a| {
            program(a);
            a.fxam().unwrap();
            a.fnstsw(ax).unwrap();
        })
        .unwrap();
        m.cpu.gpr[0] as u16 & (C0 | C1 | C2 | C3)
    };
    assert_eq!(class(&|_| ()), C3 | C0);
    assert_eq!(class(&|a| a.fldz().unwrap()), C3);
    assert_eq!(class(&|a| a.fld1().unwrap()), C2);
    assert_eq!(class(&|a| a.fld(qword_ptr(rsi)).unwrap()), C2 | C0 | C1);
    assert_eq!(class(&|a| a.fld(qword_ptr(rsi + 8)).unwrap()), C0);
    assert_eq!(class(&|a| a.fld(tword_ptr(rsi + 16)).unwrap()), C3 | C2);
}

#[test]
fn the_stack_overflows_and_underflows_into_nans() {
    let mut m = Machine::new();
    m.run(|a| {
        for _ in 0..9 {
            a.fld1().unwrap();
        }
        a.fnstsw(ax).unwrap();
        a.fninit().unwrap();
        a.fadd_2(st0, st1).unwrap();
        a.fnstsw(word_ptr(rsi)).unwrap();
    })
    .unwrap();
    assert_eq!(m.cpu.gpr[0] as u16 & (0x41 | C1), 0x41 | C1);
    assert_eq!(u16::from_le_bytes(m.peek(0)) & (0x41 | C1), 0x41);
    assert_eq!(m.cpu.fpu.raw(0).sign_exp, 0xffff);
}

#[test]
fn an_unmasked_exception_waits_for_the_next_instruction() {
    let mut m = Machine::new();
    m.poke(0, &0x37bu16.to_le_bytes());
    let fault = m.run(|a| {
        a.fldcw(word_ptr(rsi)).unwrap();
        a.fld1().unwrap();
        a.fldz().unwrap();
        a.fdivp(st1, st0).unwrap();
        a.fnstsw(ax).unwrap();
        a.mov(ecx, 77).unwrap();
        a.wait().unwrap();
    });
    assert_eq!(fault, Err(Exception::new(vector::MF)));
    // Nothing was written and nothing popped, and only the waiting instruction faulted.
    assert_eq!((m.cpu.gpr[0] as u16 & 0x80ff, m.cpu.gpr[1]), (0x8084, 77));
    assert_eq!((m.cpu.fpu.raw(0).sig, m.cpu.fpu.raw(1).sig), (0, 1 << 63));
}

#[test]
fn precision_control_rounds_to_53_bits() {
    let third = |control: u16| {
        let mut m = Machine::new();
        m.poke(0, &control.to_le_bytes());
        m.poke(8, &3f64.to_le_bytes());
        m.run(|a| {
            a.fldcw(word_ptr(rsi)).unwrap();
            a.fld1().unwrap();
            a.fdiv(qword_ptr(rsi + 8)).unwrap();
        })
        .unwrap();
        m.cpu.fpu.raw(0).sig
    };
    assert_eq!(third(0x37f), 0xaaaa_aaaa_aaaa_aaab);
    assert_eq!(third(0x27f), 0xaaaa_aaaa_aaaa_a800);
    assert_eq!(third(0x07f), 0xaaaa_ab00_0000_0000);
}

#[test]
fn the_environment_comes_back_and_masks_everything_meanwhile() {
    let mut m = Machine::new();
    m.poke(0, &0xf42u16.to_le_bytes());
    m.run(|a| {
        a.fldcw(word_ptr(rsi)).unwrap();
        a.fldz().unwrap();
        a.fnstenv(ptr(rsi + 32)).unwrap();
        a.fnstcw(word_ptr(rsi + 2)).unwrap();
        a.fldenv(ptr(rsi + 32)).unwrap();
        a.fnstcw(word_ptr(rsi + 4)).unwrap();
    })
    .unwrap();
    assert_eq!(u16::from_le_bytes(m.peek(2)), 0xf7f);
    assert_eq!(u16::from_le_bytes(m.peek(4)), 0xf42);
    // Register 7 holds zero, the others are empty.
    assert_eq!(u16::from_le_bytes(m.peek(40)), 0x7fff);
}

#[test]
fn pointers_tell_the_last_instruction_but_those_of_control_and_the_last_operand() {
    let mut m = Machine::new();
    // ZM is not masked.
    m.poke(0, &0x37bu16.to_le_bytes());
    m.cpu.seg[crate::seg::CS].selector = 0x33;
    m.cpu.seg[crate::seg::SS].selector = 0x2b;
    m.run(|a| {
        a.mov(rbp, rsi).unwrap();
        a.fldcw(word_ptr(rsi)).unwrap();
        a.fld1().unwrap();
        a.fld(qword_ptr(rbp + 64)).unwrap();
        a.fdivp(st1, st0).unwrap();
        a.fnstcw(word_ptr(rsi + 2)).unwrap();
        a.fxsave64(ptr(rsi + 512)).unwrap();
        a.fnstenv(ptr(rsi + 16)).unwrap();
        a.fxsave64(ptr(rsi + 1024)).unwrap();
        a.fninit().unwrap();
        a.fnstenv(ptr(rsi + 128)).unwrap();
    })
    .unwrap();
    let fields = |at: u64| [12, 16, 20, 24].map(|field| u32::from_le_bytes(m.peek(at + field)));
    // MOV has 3 bytes, the loads 2, 2 and 3; FDIVP is DE F9.
    let (code, data) = (0x1000 + 10, 0x2000 + 64);
    assert_eq!(fields(16), [code, 0x6f9 << 16 | 0x33, data, 0xffff_002b]);
    assert_eq!(fields(128), [0, 0, 0, 0xffff_0000]);
    let image =
        |at: u64| (u16::from_le_bytes(m.peek(at + 6)), [8, 16].map(|field| u64::from_le_bytes(m.peek(at + field))));
    assert_eq!(image(512), (0x6f9, [code.into(), data.into()]));
    // FNSTENV has masked the exception that was pending.
    assert_eq!(image(1024), (0, [0, 0]));
}
