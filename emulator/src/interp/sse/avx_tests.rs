//! AVX: what VEX changes, what crosses halves, masks, gathers, FMA and XSAVE.

use iced_x86::code_asm::*;

use super::tests::Machine;
use crate::exit::vector;
use crate::{Exception, reg, rflags};

const DATA: u64 = 0x2000;
const A: u128 = 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100;
const B: u128 = 0x1f1e_1d1c_1b1a_1918_1716_1514_1312_1110;

/// A machine with ymm1 = B:A, ymm2 = A:B, and ones everywhere in ymm0.
fn machine() -> Machine {
    let mut m = Machine::new();
    (m.cpu.xmm[0], m.cpu.ymm_high[0]) = (!0, !0);
    (m.cpu.xmm[1], m.cpu.ymm_high[1]) = (A, B);
    (m.cpu.xmm[2], m.cpu.ymm_high[2]) = (B, A);
    m
}

fn low_high(m: &Machine) -> (u128, u128) {
    (m.cpu.xmm[0], m.cpu.ymm_high[0])
}

#[test]
fn vex_128_clears_the_upper_half_and_legacy_keeps_it() {
    let mut m = machine();
    m.run(|a| a.pxor(xmm0, xmm1).unwrap()).unwrap();
    assert_eq!(low_high(&m), (!A, !0));
    m.run(|a| a.vpxor(xmm0, xmm1, xmm2).unwrap()).unwrap();
    assert_eq!(low_high(&m), (A ^ B, 0));
    m.run(|a| a.vpxor(ymm0, ymm1, ymm2).unwrap()).unwrap();
    assert_eq!(low_high(&m), (A ^ B, A ^ B));
    m.run(|a| a.vzeroupper().unwrap()).unwrap();
    assert_eq!((low_high(&m), m.cpu.ymm_high[1]), ((A ^ B, 0), 0));
}

#[test]
fn only_aligned_moves_want_alignment() {
    let mut m = machine();
    m.run(|a| a.vmovdqu(ymmword_ptr(rsi + 3), ymm1).unwrap()).unwrap();
    m.run(|a| a.vpor(ymm0, ymm1, ymmword_ptr(rsi + 3)).unwrap()).unwrap();
    assert_eq!(low_high(&m), (A, B));
    let fault = m.run(|a| a.vmovdqa(ymm0, ymmword_ptr(rsi + 16)).unwrap());
    assert_eq!(fault, Err(Exception::with_code(vector::GP, 0)));
}

#[test]
fn a_wide_store_across_the_end_of_memory_stores_nothing() {
    let mut m = machine();
    let fault = m.run(|a| a.vmovups(ymmword_ptr(rsi + 0xff0), ymm1).unwrap());
    assert_eq!(fault, Err(Exception::page_fault(DATA + 0x1000, 6)));
    assert_eq!(m.peek(0xff0), [0; 16]);
}

#[test]
fn permutations_cross_the_halves() {
    let mut m = machine();
    m.run(|a| a.vperm2i128(ymm0, ymm1, ymm2, 0x83).unwrap()).unwrap();
    assert_eq!(low_high(&m), (A, 0));
    m.run(|a| a.vpermq(ymm0, ymm1, 0x1b).unwrap()).unwrap();
    assert_eq!(low_high(&m), (B.rotate_left(64), A.rotate_left(64)));
    m.run(|a| a.vinserti128(ymm0, ymm1, xmm1, 1).unwrap()).unwrap();
    assert_eq!(low_high(&m), (A, A));
    m.run(|a| a.vpmovmskb(eax, ymm1).unwrap()).unwrap();
    assert_eq!(m.cpu.gpr[reg::RAX], 0);
}

#[test]
fn lanes_that_a_mask_leaves_out_are_not_accessed() {
    let mut m = machine();
    (m.cpu.xmm[3], m.cpu.ymm_high[3]) = (1 << 127 | 1 << 31, 0);
    m.poke(0xff0, &A.to_le_bytes());
    m.run(|a| a.vpmaskmovd(ymm0, ymm3, ymmword_ptr(rsi + 0xff0)).unwrap()).unwrap();
    assert_eq!(low_high(&m), (A & (0xffff_ffff << 96 | 0xffff_ffff), 0));
    m.cpu.ymm_high[3] = 1 << 31;
    let fault = m.run(|a| a.vpmaskmovd(ymmword_ptr(rsi + 0xff0), ymm3, ymm2).unwrap());
    assert_eq!(fault, Err(Exception::page_fault(DATA + 0x1000, 6)));
    assert_eq!(m.peek(0xff0), A.to_le_bytes());
}

/// vpgatherdd xmm0, [rsi + xmm4*4], xmm3
const VPGATHERDD: [u8; 6] = [0xc4, 0xe2, 0x61, 0x90, 0x04, 0xa6];

#[test]
fn a_gather_that_faults_keeps_what_it_has() {
    let mut m = machine();
    m.poke(8, &[1, 2, 3, 4]);
    // Indices 2, 0x400 (beyond the page), 2, 2; the last lane is masked.
    m.cpu.xmm[4] = 2 | 0x400 << 32 | 2 << 64 | 2 << 96;
    m.cpu.xmm[3] = 1 << 31 | 1 << 63 | 1 << 95;
    let fault = m.run(|a| a.db(&VPGATHERDD).unwrap());
    assert_eq!(fault, Err(Exception::page_fault(DATA + 0x1000, 4)));
    assert_eq!((m.cpu.xmm[0] as u64, m.cpu.xmm[3]), (0xffff_ffff_0403_0201, 0xffff_ffff_ffff_ffff << 32));
    m.cpu.xmm[4] = 2 << 32 | 2 << 64;
    m.run(|a| a.db(&VPGATHERDD).unwrap()).unwrap();
    assert_eq!((low_high(&m), m.cpu.xmm[3]), ((0xffff_ffff << 96 | 0x0403_0201_0403_0201_0403_0201, 0), 0));
}

#[test]
fn fma_rounds_once() {
    let mut m = machine();
    let x = 1.0 + f64::EPSILON;
    for (mxcsr, flags) in [(0x1f80, 0), (0x1fa0, 0x20)] {
        m.cpu.mxcsr = mxcsr;
        (m.cpu.xmm[0], m.cpu.xmm[1], m.cpu.xmm[2]) =
            (x.to_bits().into(), x.to_bits().into(), (-x * x).to_bits().into());
        m.run(|a| a.vfmadd213sd(xmm0, xmm1, xmm2).unwrap()).unwrap();
        // The product's lowest bit, which a rounded product lacks.
        assert_eq!(f64::from_bits(m.cpu.xmm[0] as u64), f64::EPSILON * f64::EPSILON);
        assert_eq!(m.cpu.mxcsr & 0x3f, flags);
    }
}

#[test]
fn half_precision_goes_there_and_back() {
    let mut m = machine();
    m.cpu.xmm[1] = [1.0f32, -65504.0, 6.0e-8, 1.0e6].iter().rev().fold(0, |v, x| v << 32 | u128::from(x.to_bits()));
    m.run(|a| a.vcvtps2ph(xmm0, xmm1, 0).unwrap()).unwrap();
    assert_eq!(m.cpu.xmm[0], 0x7c00_0001_fbff_3c00);
    m.run(|a| a.vcvtph2ps(xmm2, xmm0).unwrap()).unwrap();
    assert_eq!(m.cpu.xmm[2] as u64, u64::from((-65504.0f32).to_bits()) << 32 | u64::from(1.0f32.to_bits()));
}

#[test]
fn xsave_writes_what_it_is_asked_for_and_xrstor_resets_the_rest() {
    let mut m = machine();
    m.poke(512, &[0; 64]);
    let program = |a: &mut CodeAssembler| {
        a.mov(eax, 6).unwrap();
        a.xor(edx, edx).unwrap();
        a.xsave64(ptr(rsi)).unwrap();
        a.vzeroall().unwrap();
        a.xrstor64(ptr(rsi)).unwrap();
    };
    m.run(program).unwrap();
    assert_eq!((m.cpu.xmm[1], m.cpu.ymm_high[1]), (A, B));
    assert_eq!(u64::from_le_bytes(m.peek(512)), 6);
    // Nothing of x87 was asked for.
    assert_eq!(m.peek(0), [0; 24]);
    m.poke(512, &[2]);
    m.run(|a| a.xrstor64(ptr(rsi)).unwrap()).unwrap();
    assert_eq!((m.cpu.xmm[1], m.cpu.ymm_high[1]), (A, 0));
    m.poke(512, &[8]);
    assert_eq!(m.run(|a| a.xrstor64(ptr(rsi)).unwrap()), Err(Exception::with_code(vector::GP, 0)));
    assert_eq!(m.run(|a| a.xsave64(ptr(rsi + 8)).unwrap()), Err(Exception::with_code(vector::GP, 0)));
}

#[test]
fn rdrand_has_a_number_and_says_so() {
    let mut m = machine();
    m.cpu.set_rflags(rflags::STATUS);
    m.run(|a| {
        a.rdrand(rax).unwrap();
        a.rdseed(rbx).unwrap();
    })
    .unwrap();
    assert_eq!(m.cpu.rflags() & rflags::STATUS, rflags::CF);
    assert_ne!(m.cpu.gpr[reg::RAX], m.cpu.gpr[reg::RBX]);
}
