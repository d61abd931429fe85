//! Programs, with what they must leave computed by Rust's own arithmetic.

use iced_x86::code_asm::*;

use crate::exit::vector;
use crate::{Cpu, CpuModel, Engine, Exception, Exit, Interp, Memory, PageFlags, Space, rflags};

const CODE: u64 = 0x1000;
/// One page of data; what follows it is not mapped.
const DATA: u64 = 0x2000;

/// A machine with one page of code and one of data.
pub(in crate::interp) struct Machine {
    pub(in crate::interp) cpu: Cpu,
    space: Space,
    memory: Memory,
}

impl Machine {
    pub(in crate::interp) fn new() -> Self {
        let memory = Memory::new(1 << 20).unwrap();
        let mut space = Space::new(&memory);
        let flags = PageFlags::USER | PageFlags::WRITE;
        space.map(CODE, memory.alloc().unwrap(), flags | PageFlags::EXEC);
        space.map(DATA, memory.alloc().unwrap(), flags);
        Self { cpu: Cpu::of(CpuModel::V4), space, memory }
    }

    pub(in crate::interp) fn poke(&self, at: u64, bytes: &[u8]) {
        self.space.lookup(DATA).unwrap().0.write(at as usize, bytes);
    }

    pub(in crate::interp) fn peek<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.space.lookup(DATA).unwrap().0.read(at as usize, &mut bytes);
        bytes
    }

    /// Runs a program with rsi at the data, up to its end or its first exception.
    pub(in crate::interp) fn run(&mut self, program: impl FnOnce(&mut CodeAssembler)) -> Result<(), Exception> {
        let mut a = CodeAssembler::new(64).unwrap();
        program(&mut a);
        let end = CODE + a.assemble(CODE).unwrap().len() as u64;
        a.ud2().unwrap();
        self.space.lookup(CODE).unwrap().0.write(0, &a.assemble(CODE).unwrap());
        self.cpu.rip = CODE;
        self.cpu.gpr[crate::reg::RSI] = DATA;
        match Interp::with_model(&self.memory, CpuModel::V4).run(&mut self.cpu, &mut self.space, 1000) {
            Exit::Exception(_) if self.cpu.rip == end => Ok(()),
            Exit::Exception(exception) => Err(exception),
            exit => panic!("{exit:?}"),
        }
    }

    /// One instruction on xmm0 and xmm1.
    fn binary(&mut self, a: u128, b: u128, program: impl FnOnce(&mut CodeAssembler)) -> u128 {
        self.cpu.xmm[0] = a;
        self.cpu.xmm[1] = b;
        self.run(program).unwrap();
        self.cpu.xmm[0]
    }
}

fn f64s(low: f64, high: f64) -> u128 {
    u128::from(high.to_bits()) << 64 | u128::from(low.to_bits())
}

const A: u128 = 0x00ff_807f_0180_fffe_1234_5678_9abc_def0;
const B: u128 = 0x01fe_7f80_ff01_0001_fedc_ba98_7654_3210;

fn bytes(f: impl Fn(u8, u8) -> u8) -> u128 {
    let (a, b) = (A.to_le_bytes(), B.to_le_bytes());
    u128::from_le_bytes(std::array::from_fn(|i| f(a[i], b[i])))
}

#[test]
fn packed_integers_work_lane_by_lane() {
    let mut m = Machine::new();
    assert_eq!(m.binary(A, B, |a| a.paddb(xmm0, xmm1).unwrap()), bytes(u8::wrapping_add));
    assert_eq!(m.binary(A, B, |a| a.psubusb(xmm0, xmm1).unwrap()), bytes(u8::saturating_sub));
    assert_eq!(m.binary(A, B, |a| a.pminub(xmm0, xmm1).unwrap()), bytes(|x, y| x.min(y)));
    let greater = bytes(|x, y| if x as i8 > y as i8 { 0xff } else { 0 });
    assert_eq!(m.binary(A, B, |a| a.pcmpgtb(xmm0, xmm1).unwrap()), greater);
    assert_eq!(m.binary(A, B, |a| a.pandn(xmm0, xmm1).unwrap()), !A & B);
    assert_eq!(m.binary(A, B, |a| a.palignr(xmm0, xmm1, 3).unwrap()), B >> 24 | A << 104);
    assert_eq!(m.binary(A, 200, |a| a.psrlw(xmm0, xmm1).unwrap()), 0);
    assert_eq!(m.binary(A, 0, |a| a.psrldq(xmm0, 5).unwrap()), A >> 40);
}

#[test]
fn strlen_by_pcmpeqb_and_pmovmskb() {
    let mut m = Machine::new();
    m.poke(0, b"the quick fox\0 and more");
    m.run(|a| {
        a.pxor(xmm0, xmm0).unwrap();
        a.pcmpeqb(xmm0, xmmword_ptr(rsi)).unwrap();
        a.pmovmskb(eax, xmm0).unwrap();
        a.bsf(eax, eax).unwrap();
    })
    .unwrap();
    assert_eq!(m.cpu.gpr[0], 13);
}

#[test]
fn pcmpistri_finds_what_strcspn_finds() {
    let mut m = Machine::new();
    m.poke(0, b"key=value; other");
    m.cpu.xmm[0] = u128::from(u16::from_le_bytes(*b";="));
    m.run(|a| a.pcmpistri(xmm0, xmmword_ptr(rsi), 0).unwrap()).unwrap();
    assert_eq!(m.cpu.gpr[1], 3);
    assert_eq!(m.cpu.rflags() & (rflags::CF | rflags::ZF | rflags::SF), rflags::CF | rflags::SF);
}

#[test]
fn crc32c_of_the_check_string() {
    let mut m = Machine::new();
    m.poke(0, b"123456789");
    m.cpu.gpr[0] = 0xffff_ffff;
    m.run(|a| {
        a.crc32(rax, qword_ptr(rsi)).unwrap();
        a.crc32(eax, byte_ptr(rsi + 8)).unwrap();
        a.not(eax).unwrap();
    })
    .unwrap();
    assert_eq!(m.cpu.gpr[0], 0xe306_9283);
}

#[test]
fn aligned_forms_refuse_odd_addresses_and_change_nothing() {
    let mut m = Machine::new();
    m.cpu.xmm[0] = A;
    assert_eq!(m.run(|a| a.movaps(xmm0, xmmword_ptr(rsi + 8)).unwrap()), Err(Exception::with_code(vector::GP, 0)));
    assert_eq!(m.cpu.xmm[0], A);
    m.run(|a| a.movups(xmmword_ptr(rsi + 8), xmm0).unwrap()).unwrap();
    assert_eq!(u128::from_le_bytes(m.peek(8)), A);
}

#[test]
fn a_store_across_the_end_of_memory_stores_nothing() {
    let mut m = Machine::new();
    m.cpu.xmm[0] = A;
    let fault = m.run(|a| a.movups(xmmword_ptr(rsi + 0xff8), xmm0).unwrap());
    assert_eq!(fault, Err(Exception::page_fault(DATA + 0x1000, 6)));
    assert_eq!(m.peek(0xff8), [0; 8]);
}

#[test]
fn arithmetic_is_the_hosts() {
    let values = [0.0, -0.0, 1.0, -1.5, 1e308, 1e-308, 5e-324, f64::MAX, f64::INFINITY, 1.0 / 3.0, 1e16];
    let mut m = Machine::new();
    for x in values {
        for y in values {
            let check = |ours: u128, low: f64, high: f64, what: &str| {
                for (ours, host) in [(ours as u64, low), ((ours >> 64) as u64, high)] {
                    let same = if host.is_nan() { ours == 0xfff8 << 48 } else { ours == host.to_bits() };
                    assert!(same, "{x} {what} {y}: {ours:#x}");
                }
            };
            let (a, b) = (f64s(x, y), f64s(y, x));
            check(m.binary(a, b, |a| a.addpd(xmm0, xmm1).unwrap()), x + y, y + x, "+");
            check(m.binary(a, b, |a| a.subpd(xmm0, xmm1).unwrap()), x - y, y - x, "-");
            check(m.binary(a, b, |a| a.mulpd(xmm0, xmm1).unwrap()), x * y, y * x, "*");
            check(m.binary(a, b, |a| a.divpd(xmm0, xmm1).unwrap()), x / y, y / x, "/");
            check(m.binary(a, b, |a| a.sqrtpd(xmm0, xmm1).unwrap()), y.sqrt(), x.sqrt(), "sqrt");
        }
    }
}

#[test]
fn flags_stick_and_exact_results_raise_none() {
    let mut m = Machine::new();
    let mut flags = |x: f64, y: f64, program: fn(&mut CodeAssembler)| {
        m.cpu.mxcsr = 0x1f80;
        m.binary(f64s(x, 0.0), f64s(y, 0.0), program);
        m.cpu.mxcsr & 0x3f
    };
    let add: fn(&mut CodeAssembler) = |a| a.addsd(xmm0, xmm1).unwrap();
    let sub: fn(&mut CodeAssembler) = |a| a.subsd(xmm0, xmm1).unwrap();
    let mul: fn(&mut CodeAssembler) = |a| a.mulsd(xmm0, xmm1).unwrap();
    let div: fn(&mut CodeAssembler) = |a| a.divsd(xmm0, xmm1).unwrap();
    assert_eq!(flags(1.0, 2.0, add), 0);
    assert_eq!(flags(1.0, 1e-30, add), 0x20);
    assert_eq!(flags(1.0, 1e-30, sub), 0x20);
    assert_eq!(flags(3.0, 1.0, sub), 0);
    assert_eq!(flags(3.0, 0.5, mul), 0);
    assert_eq!(flags(0.1, 0.1, mul), 0x20);
    assert_eq!(flags(1.0, 3.0, div), 0x20);
    assert_eq!(flags(3.0, 4.0, div), 0);
    assert_eq!(flags(3.0, 0.0, div), 4);
    assert_eq!(flags(0.0, 0.0, div), 1);
    assert_eq!(flags(f64::MAX, 2.0, mul), 0x28);
    assert_eq!(flags(f64::MIN_POSITIVE, 0.3, mul), 0x30);
    assert_eq!(flags(5e-324, 2.0, mul), 2);
    assert_eq!(flags(5e-324, f64::NAN, mul), 0);
}

#[test]
fn an_unmasked_exception_is_raised_before_the_result_is_written() {
    let mut m = Machine::new();
    m.cpu.mxcsr = 0x1f80 & !0x200;
    m.cpu.xmm[0] = f64s(1.0, 0.0);
    m.cpu.xmm[1] = f64s(0.0, 0.0);
    assert_eq!(m.run(|a| a.divsd(xmm0, xmm1).unwrap()), Err(Exception::new(vector::XM)));
    assert_eq!((m.cpu.xmm[0], m.cpu.mxcsr & 0x3f), (f64s(1.0, 0.0), 4));
}

#[test]
fn rounding_and_flushing_follow_mxcsr() {
    let mut m = Machine::new();
    let third = |rc: u32| {
        m.cpu.mxcsr = 0x1f80 | rc << 13;
        m.binary(f64s(1.0, 0.0), f64s(3.0, 0.0), |a| a.divsd(xmm0, xmm1).unwrap()) as u64
    };
    let nearest = (1.0f64 / 3.0).to_bits();
    assert_eq!([0, 1, 2, 3].map(third), [nearest, nearest, nearest + 1, nearest]);
    m.cpu.mxcsr = 0x9f80;
    assert_eq!(m.binary(f64s(-1e-300, 0.0), f64s(1e-20, 0.0), |a| a.mulsd(xmm0, xmm1).unwrap()) as u64, 1 << 63);
    m.cpu.mxcsr = 0x1fc0;
    assert_eq!(m.binary(f64s(1e-310, 0.0), f64s(1e300, 0.0), |a| a.mulsd(xmm0, xmm1).unwrap()) as u64, 0);
}

#[test]
fn the_second_operand_wins_an_unordered_min() {
    let mut m = Machine::new();
    let nan = f64::NAN.to_bits();
    assert_eq!(m.binary(nan.into(), f64s(1.0, 0.0), |a| a.minsd(xmm0, xmm1).unwrap()) as u64, 1f64.to_bits());
    assert_eq!(m.binary(f64s(1.0, 0.0), nan.into(), |a| a.minsd(xmm0, xmm1).unwrap()) as u64, nan);
    assert_eq!(m.binary(0, 1 << 63, |a| a.maxsd(xmm0, xmm1).unwrap()) as u64, 1 << 63);
}

#[test]
fn what_does_not_fit_an_integer_is_the_indefinite() {
    let mut m = Machine::new();
    for (value, expected) in [(2147483647.5, 0x7fff_ffff), (2147483648.0, 0x8000_0000), (-2.7, -2i32 as u32)] {
        m.cpu.xmm[1] = f64s(value, 0.0);
        m.run(|a| a.cvttsd2si(eax, xmm1).unwrap()).unwrap();
        assert_eq!(m.cpu.gpr[0], u64::from(expected), "{value}");
    }
    m.cpu.xmm[1] = f64s(f64::NAN, 0.0);
    m.run(|a| a.cvtsd2si(rax, xmm1).unwrap()).unwrap();
    assert_eq!(m.cpu.gpr[0], 1 << 63);
}

#[test]
fn comparisons_set_three_flags_and_clear_three() {
    let mut m = Machine::new();
    let cases = [(1.0, 2.0, rflags::CF), (2.0, 1.0, 0), (1.0, 1.0, rflags::ZF)];
    let unordered = (f64::NAN, 1.0, rflags::ZF | rflags::PF | rflags::CF);
    for (x, y, expected) in cases.into_iter().chain([unordered]) {
        m.cpu.set_rflags(rflags::STATUS);
        m.binary(f64s(x, 0.0), f64s(y, 0.0), |a| a.ucomisd(xmm0, xmm1).unwrap());
        assert_eq!(m.cpu.rflags() & rflags::STATUS, expected, "{x} {y}");
    }
}

#[test]
fn mmx_registers_are_the_x87_significands() {
    let mut m = Machine::new();
    m.cpu.gpr[0] = 0x0102_0304_0506_0708;
    m.run(|a| {
        a.movq(mm3, rax).unwrap();
        a.paddb(mm3, mm3).unwrap();
        a.movq(qword_ptr(rsi), mm3).unwrap();
    })
    .unwrap();
    assert_eq!(u64::from_le_bytes(m.peek(0)), 0x0204_0608_0a0c_0e10);
    assert_eq!(m.cpu.fpu.regs[3].sign_exp, 0xffff);
    assert_eq!(m.cpu.fpu.in_use, 0xff);
    m.run(|a| a.emms().unwrap()).unwrap();
    assert_eq!(m.cpu.fpu.in_use, 0);
}

#[test]
fn fxsave_and_fxrstor_are_inverse() {
    let mut m = Machine::new();
    m.cpu.xmm[..16].copy_from_slice(&std::array::from_fn::<u128, 16, _>(|i| A.rotate_left(8 * i as u32)));
    m.run(|a| {
        a.fldpi().unwrap();
        a.fxsave64(ptr(rsi)).unwrap();
        a.fninit().unwrap();
        for x in [xmm0, xmm7, xmm15] {
            a.pxor(x, x).unwrap();
        }
        a.fxrstor64(ptr(rsi)).unwrap();
    })
    .unwrap();
    assert!((0..16).all(|i| m.cpu.xmm[i] == A.rotate_left(8 * i as u32)));
    assert_eq!((m.cpu.fpu.raw(0).sig, m.cpu.fpu.in_use), (0xc90f_daa2_2168_c235, 0x80));
}

#[test]
fn aes_encrypts_the_standards_example() {
    // FIPS 197, appendix B: the key schedule by AESKEYGENASSIST, then ten rounds.
    let mut m = Machine::new();
    let block = 0x3288_31e0_435a_3137_f630_9807_a88d_a234u128.to_be_bytes();
    m.cpu.xmm[0] = u128::from_le_bytes(std::array::from_fn(|i| block[i % 4 * 4 + i / 4]));
    m.cpu.xmm[1] = 0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3cu128.swap_bytes();
    m.run(|a| {
        a.pxor(xmm0, xmm1).unwrap();
        for (round, constant) in [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36].into_iter().enumerate() {
            a.aeskeygenassist(xmm2, xmm1, constant).unwrap();
            a.pshufd(xmm2, xmm2, 0xff).unwrap();
            for _ in 0..3 {
                a.movdqa(xmm3, xmm1).unwrap();
                a.pslldq(xmm3, 4).unwrap();
                a.pxor(xmm1, xmm3).unwrap();
            }
            a.pxor(xmm1, xmm2).unwrap();
            if round < 9 { a.aesenc(xmm0, xmm1).unwrap() } else { a.aesenclast(xmm0, xmm1).unwrap() }
        }
    })
    .unwrap();
    let expected = 0x3902_dc19_25dc_116a_8409_850b_1dfb_9732u128.to_be_bytes();
    assert_eq!(m.cpu.xmm[0].to_le_bytes(), std::array::from_fn(|i| expected[i % 4 * 4 + i / 4]));
}

#[test]
fn carry_less_products_have_no_carries() {
    let mut m = Machine::new();
    assert_eq!(m.binary(0b11, 0b11 << 64, |a| a.pclmulqdq(xmm0, xmm1, 0x10).unwrap()), 0b101);
    assert_eq!(m.binary(1 << 63, 1 << 63, |a| a.pclmulqdq(xmm0, xmm1, 0).unwrap()), 1 << 126);
}

#[test]
fn sha256_message_schedule() {
    let mut m = Machine::new();
    let w = [0x6162_6380u32, 0, 0, 0, 0x18];
    let sigma0 = |x: u32| x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3);
    let ours = m.binary(w[0].into(), w[4].into(), |a| a.sha256msg1(xmm0, xmm1).unwrap());
    let lanes: [u32; 4] = std::array::from_fn(|i| w[i].wrapping_add(sigma0(w[i + 1])));
    assert_eq!(ours, lanes.iter().rev().fold(0, |all, lane| all << 32 | u128::from(*lane)));
}
