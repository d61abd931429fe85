//! What EVEX adds to operations: masks, broadcasts, memory that isn't accessed, rounding; and the opmask registers.

use iced_x86::code_asm::*;

use super::super::tests::Machine;
use super::{Z, at, set};
use crate::exit::vector;
use crate::{Exception, rflags};

/// Where the machine's data ends.
const END: u64 = 0x3000;
const MXCSR_UNMASKED: u32 = 0;

/// A machine with 0 to 15 in zmm1, 100 to 115 in zmm2, all ones in zmm0, and 0f0fh in k1.
fn machine() -> Machine {
    let mut m = Machine::new();
    for i in 0..16u32 {
        put(&mut m, 1, i as usize, i);
        put(&mut m, 2, i as usize, 100 + i);
        put(&mut m, 0, i as usize, u32::MAX);
    }
    m.cpu.k[1] = 0x0f0f;
    m
}

fn whole(m: &Machine, n: usize) -> Z {
    let mut value = [[0; 16]; 4];
    for (part, bits) in [m.cpu.xmm[n], m.cpu.ymm_high[n], m.cpu.zmm_high[n][0], m.cpu.zmm_high[n][1]].iter().enumerate()
    {
        value[part] = bits.to_le_bytes();
    }
    value
}

fn put(m: &mut Machine, n: usize, i: usize, lane: u32) {
    let mut value = whole(m, n);
    set(&mut value, i, lane);
    let [low, high, third, fourth] = value.map(u128::from_le_bytes);
    (m.cpu.xmm[n], m.cpu.ymm_high[n], m.cpu.zmm_high[n]) = (low, high, [third, fourth]);
}

fn lanes(m: &Machine, n: usize) -> [u32; 16] {
    let value = whole(m, n);
    std::array::from_fn(|i| at(&value, i))
}

/// What is expected where a mask of 0f0fh chooses, and elsewhere.
fn masked(chosen: impl Fn(u32) -> u32, other: impl Fn(u32) -> u32) -> [u32; 16] {
    std::array::from_fn(|i| if 0x0f0f >> i & 1 != 0 { chosen(i as u32) } else { other(i as u32) })
}

#[test]
fn masks_merge_or_clear() {
    let mut m = machine();
    m.run(|a| a.vpaddd(zmm0.k1(), zmm1, zmm2).unwrap()).unwrap();
    assert_eq!(lanes(&m, 0), masked(|i| 100 + 2 * i, |_| u32::MAX));
    m.run(|a| a.vpaddd(zmm0.k1().z(), zmm1, zmm2).unwrap()).unwrap();
    assert_eq!(lanes(&m, 0), masked(|i| 100 + 2 * i, |_| 0));
    // Shorter vectors clear what lies above; and registers from 16 on are others.
    m.run(|a| a.evex().vpaddd(xmm17, xmm1, xmm2).unwrap()).unwrap();
    assert_eq!(lanes(&m, 17)[..5], [100, 102, 104, 106, 0]);
    assert_eq!(lanes(&m, 1)[15], 15);
}

#[test]
fn vex_clears_up_to_the_last_bit() {
    let mut m = machine();
    m.run(|a| a.vpxor(ymm0, ymm1, ymm2).unwrap()).unwrap();
    assert_eq!(lanes(&m, 0)[8..], [0; 8]);
    m.run(|a| a.vzeroupper().unwrap()).unwrap();
    assert_eq!(lanes(&m, 1)[3..6], [3, 0, 0]);
}

#[test]
fn one_element_of_memory_goes_everywhere() {
    let mut m = machine();
    m.poke(0, &7u32.to_le_bytes());
    m.run(|a| a.vpmulld(zmm0, zmm1, dword_bcst(rsi)).unwrap()).unwrap();
    assert_eq!(lanes(&m, 0), std::array::from_fn(|i| 7 * i as u32));
}

#[test]
fn what_is_masked_out_is_not_accessed() {
    let mut m = machine();
    let bytes: Vec<u8> = (0..8u32).flat_map(u32::to_le_bytes).collect();
    m.poke(0x1000 - 32, &bytes);
    // The upper half is behind the end of memory.
    m.cpu.k[2] = 0x00ff;
    m.run(|a| a.vmovdqu32(zmm0.k2().z(), zmmword_ptr(rsi + 0xfe0)).unwrap()).unwrap();
    assert_eq!(lanes(&m, 0)[6..9], [6, 7, 0]);
    m.run(|a| a.vpaddd(zmm0.k2(), zmm2, zmmword_ptr(rsi + 0xfe0)).unwrap()).unwrap();
    assert_eq!(lanes(&m, 0)[7..9], [114, 0]);
    m.run(|a| a.vmovdqu32(zmmword_ptr(rsi + 0xfe0).k2(), zmm2).unwrap()).unwrap();
    assert_eq!(m.peek(0xffc), 107u32.to_le_bytes());
    let fault = m.run(|a| a.vmovdqu32(zmmword_ptr(rsi + 0xfe0), zmm1).unwrap());
    assert_eq!(fault, Err(Exception::page_fault(END, 6)));
    assert_eq!(m.peek(0xffc), 107u32.to_le_bytes());
    // A permutation reads all of it.
    let fault = m.run(|a| a.vpermd(zmm0.k2(), zmm1, zmmword_ptr(rsi + 0xfe0)).unwrap());
    assert_eq!(fault, Err(Exception::page_fault(END, 4)));
}

#[test]
fn elements_are_packed_and_spread() {
    let mut m = machine();
    m.run(|a| a.vpcompressd(zmm0.k1().z(), zmm1).unwrap()).unwrap();
    assert_eq!(lanes(&m, 0), [0, 1, 2, 3, 8, 9, 10, 11, 0, 0, 0, 0, 0, 0, 0, 0]);
    m.run(|a| a.vpexpandd(zmm3.k1().z(), zmm0).unwrap()).unwrap();
    assert_eq!(lanes(&m, 3), masked(|i| i, |_| 0));
    // An odd number of them.
    m.cpu.k[2] = 0b1000_0000_1000_1000;
    m.run(|a| a.vpcompressd(dword_ptr(rsi).k2(), zmm1).unwrap()).unwrap();
    assert_eq!(m.peek(0), [3, 0, 0, 0, 7, 0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_gather_goes_on_where_it_was_stopped() {
    let mut m = machine();
    m.poke(0xffc, &5u32.to_le_bytes());
    for i in 0..16 {
        put(&mut m, 3, i, if i == 3 { 0x1000 } else { 0xffc });
    }
    let fault = m.run(|a| a.vpgatherdd(zmm0.k1(), dword_ptr(rsi + zmm3)).unwrap());
    assert_eq!(fault, Err(Exception::page_fault(END, 4)));
    assert_eq!((lanes(&m, 0)[..4].to_vec(), m.cpu.k[1]), (vec![5, 5, 5, u32::MAX], 0x0f08));
    put(&mut m, 3, 3, 0xffc);
    m.run(|a| a.vpgatherdd(zmm0.k1(), dword_ptr(rsi + zmm3)).unwrap()).unwrap();
    assert_eq!((lanes(&m, 0), m.cpu.k[1]), (masked(|_| 5, |_| u32::MAX), 0));
}

#[test]
fn an_instruction_rounds_as_it_says_and_in_silence() {
    let mut m = machine();
    let third = |bits: u32| f32::from_bits(bits);
    put(&mut m, 1, 0, 1f32.to_bits());
    put(&mut m, 2, 0, 3f32.to_bits());
    // All exceptions are unmasked, and so the plain form is #XM.
    m.cpu.mxcsr = MXCSR_UNMASKED;
    assert_eq!(m.run(|a| a.vdivss(xmm0, xmm1, xmm2).unwrap()), Err(Exception::new(vector::XM)));
    m.cpu.mxcsr = MXCSR_UNMASKED;
    m.run(|a| a.vdivps(zmm0, zmm1, zmm2.rd_sae()).unwrap()).unwrap();
    let down = third(lanes(&m, 0)[0]);
    m.run(|a| a.vdivps(zmm0, zmm1, zmm2.ru_sae()).unwrap()).unwrap();
    let up = third(lanes(&m, 0)[0]);
    assert!(down < up && down.next_up() == up, "{down} {up}");
    assert_eq!(m.cpu.mxcsr, MXCSR_UNMASKED);
}

#[test]
fn opmasks_compute_and_are_tested() {
    let mut m = machine();
    (m.cpu.k[2], m.cpu.k[3]) = (0x1_00f0, u64::MAX);
    m.run(|a| a.korw(k4, k1, k2).unwrap()).unwrap();
    assert_eq!(m.cpu.k[4], 0x0fff);
    m.run(|a| a.kshiftlw(k4, k4, 8).unwrap()).unwrap();
    assert_eq!(m.cpu.k[4], 0xff00);
    m.run(|a| a.kunpckbw(k5, k1, k2).unwrap()).unwrap();
    assert_eq!(m.cpu.k[5], 0x0ff0);
    m.run(|a| a.kortestw(k3, k1).unwrap()).unwrap();
    assert_eq!(m.cpu.rflags() & (rflags::CF | rflags::ZF), rflags::CF);
    m.run(|a| a.vpcmpgtd(k6.k1(), zmm1, zmm1).unwrap()).unwrap();
    assert_eq!(m.cpu.k[6], 0);
    m.run(|a| a.vptestmd(k6.k1(), zmm2, zmm2).unwrap()).unwrap();
    assert_eq!(m.cpu.k[6], 0x0f0f);
}

#[test]
fn what_is_disabled_is_undefined() {
    let mut m = machine();
    m.cpu.xcr0 = 7;
    assert_eq!(m.run(|a| a.vpaddd(zmm0, zmm1, zmm2).unwrap()), Err(Exception::new(vector::UD)));
    assert_eq!(m.run(|a| a.kxorq(k1, k1, k1).unwrap()), Err(Exception::new(vector::UD)));
    m.run(|a| a.vpaddd(ymm0, ymm1, ymm2).unwrap()).unwrap();
}
