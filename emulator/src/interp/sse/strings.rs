//! SSE4.2's string comparisons and CRC32.
//!
//! PCMPxSTRx compares each element of one operand with each of the other. The immediate chooses bytes or words, signed
//! or not (bits 0, 1), how the matrix of results is aggregated (2, 3), whether the aggregate is negated (4, 5), and
//! what of it is the result (6). Beyond a string's end, elements are invalid, and the manual's table says what
//! comparisons with them count.

use iced_x86::{Code, Instruction};

use super::forms::{M128U, Source, Xmm, rm};
use super::lanes::{Lane, V, generate, low, view, view_mut};
use crate::cpu::reg;
use crate::flags::rflags::{CF, OF, SF, ZF};
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};
use crate::memory::Word;

type Done = Result<(), Stop>;

/// The string instructions.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    use Code::*;
    Some(match i.code() {
        Pcmpistri_xmm_xmmm128_imm8 => rm(i, index::<Xmm, Implicit>, index::<M128U, Implicit>),
        Pcmpistrm_xmm_xmmm128_imm8 => rm(i, mask::<Xmm, Implicit>, mask::<M128U, Implicit>),
        Pcmpestri_xmm_xmmm128_imm8 => rm(i, index::<Xmm, Explicit<false>>, index::<M128U, Explicit<false>>),
        Pcmpestrm_xmm_xmmm128_imm8 => rm(i, mask::<Xmm, Explicit<false>>, mask::<M128U, Explicit<false>>),
        Pcmpestri64_xmm_xmmm128_imm8 => rm(i, index::<Xmm, Explicit<true>>, index::<M128U, Explicit<true>>),
        Pcmpestrm64_xmm_xmmm128_imm8 => rm(i, mask::<Xmm, Explicit<true>>, mask::<M128U, Explicit<true>>),
        VEX_Vpcmpistri_xmm_xmmm128_imm8 => rm(i, index::<Xmm, Implicit>, index::<M128U, Implicit>),
        VEX_Vpcmpistrm_xmm_xmmm128_imm8 => rm(i, mask_only::<Xmm, Implicit>, mask_only::<M128U, Implicit>),
        VEX_Vpcmpestri_xmm_xmmm128_imm8 => rm(i, index::<Xmm, Explicit<false>>, index::<M128U, Explicit<false>>),
        VEX_Vpcmpestrm_xmm_xmmm128_imm8 => {
            rm(i, mask_only::<Xmm, Explicit<false>>, mask_only::<M128U, Explicit<false>>)
        }
        VEX_Vpcmpestri64_xmm_xmmm128_imm8 => rm(i, index::<Xmm, Explicit<true>>, index::<M128U, Explicit<true>>),
        VEX_Vpcmpestrm64_xmm_xmmm128_imm8 => {
            rm(i, mask_only::<Xmm, Explicit<true>>, mask_only::<M128U, Explicit<true>>)
        }
        Crc32_r32_rm8 | Crc32_r64_rm8 => rm(i, crc32_r8, crc32_mem::<u8>),
        Crc32_r32_rm16 => rm(i, crc32_reg::<u16>, crc32_mem::<u16>),
        Crc32_r32_rm32 => rm(i, crc32_reg::<u32>, crc32_mem::<u32>),
        Crc32_r64_rm64 => rm(i, crc32_reg::<u64>, crc32_mem::<u64>),
        _ => return None,
    })
}

/// One string: its elements, sign- or zero-extended, and how many are valid.
struct Text {
    elements: [i32; 16],
    len: usize,
}

/// The immediate.
#[derive(Clone, Copy)]
struct Control(u8);

impl Control {
    fn words(self) -> bool {
        self.0 & 1 != 0
    }

    /// Elements of a register.
    fn count(self) -> usize {
        if self.words() { 8 } else { 16 }
    }

    fn elements(self, value: V) -> [i32; 16] {
        let words = u16::split(value);
        std::array::from_fn(|i| match self.0 & 3 {
            0 => i32::from(value[i]),
            1 => i32::from(words[i % 8]),
            2 => i32::from(value[i] as i8),
            _ => i32::from(words[i % 8] as i16),
        })
    }
}

/// How a string's length is known.
trait Length {
    /// Of the first operand, and of the second.
    fn lengths(core: &Core<'_>, control: Control, a: &[i32; 16], b: &[i32; 16]) -> (usize, usize);
}

/// Up to the first zero.
struct Implicit;
/// The magnitude of eax and edx, or of rax and rdx, saturated.
struct Explicit<const WIDE: bool>;

impl Length for Implicit {
    fn lengths(_: &Core<'_>, control: Control, a: &[i32; 16], b: &[i32; 16]) -> (usize, usize) {
        let len = |text: &[i32; 16]| {
            let n = control.count();
            text[..n].iter().position(|e| *e == 0).unwrap_or(n)
        };
        (len(a), len(b))
    }
}

impl<const WIDE: bool> Length for Explicit<WIDE> {
    fn lengths(core: &Core<'_>, control: Control, _: &[i32; 16], _: &[i32; 16]) -> (usize, usize) {
        let len = |register: usize| {
            let value = core.gpr[register];
            let magnitude = if WIDE { (value as i64).unsigned_abs() } else { (value as i32).unsigned_abs().into() };
            magnitude.min(control.count() as u64) as usize
        };
        (len(reg::RAX), len(reg::RDX))
    }
}

/// The aggregated comparison, after polarity: one bit for each element of the second operand.
fn aggregate(control: Control, a: &Text, b: &Text) -> u32 {
    let n = control.count();
    let result = (0..n).fold(0, |bits, j| bits | u32::from(element(control, a, b, j)) << j);
    match control.0 >> 4 & 3 {
        1 => !result & ((1u32 << n) - 1),
        3 => result ^ ((1u32 << b.len) - 1),
        _ => result,
    }
}

/// The aggregate for element `j` of the second operand.
fn element(control: Control, a: &Text, b: &Text, j: usize) -> bool {
    let valid = j < b.len;
    match control.0 >> 2 & 3 {
        // Equal any: is it in the set?
        0 => valid && a.elements[..a.len].contains(&b.elements[j]),
        // Ranges: is it between the ends of any pair?
        1 => valid && a.elements[..a.len].chunks_exact(2).any(|r| r[0] <= b.elements[j] && b.elements[j] <= r[1]),
        // Equal each: the same element at the same place, or beyond both ends.
        2 => match (j < a.len, valid) {
            (true, true) => a.elements[j] == b.elements[j],
            (x, y) => x == y,
        },
        // Equal ordered: does the first operand occur here, as far as the register reaches?
        _ => (0..a.len.min(control.count() - j)).all(|i| j + i < b.len && a.elements[i] == b.elements[j + i]),
    }
}

/// Compares, and sets the flags.
fn compare<S: Source, L: Length>(core: &mut Core<'_>, op: &Op) -> Result<(Control, u32), Stop> {
    let source = S::get(core, op)?;
    let control = Control(op.imm as u8);
    let a = control.elements(*view(&core.cpu.xmm[op.dst as usize]));
    let b = control.elements(source);
    let (a_len, b_len) = L::lengths(core, control, &a, &b);
    let bits = aggregate(control, &Text { elements: a, len: a_len }, &Text { elements: b, len: b_len });
    let n = control.count();
    let flag = |condition: bool, flag: u64| if condition { flag } else { 0 };
    core.flags.set_status(flag(bits != 0, CF) | flag(b_len < n, ZF) | flag(a_len < n, SF) | flag(bits & 1 != 0, OF));
    Ok((control, bits))
}

/// The least or greatest index of a set bit goes to ecx.
fn index<S: Source, L: Length>(core: &mut Core<'_>, op: &Op) -> Done {
    let (control, bits) = compare::<S, L>(core, op)?;
    let index = match (bits, control.0 & 0x40) {
        (0, _) => control.count() as u32,
        (_, 0) => bits.trailing_zeros(),
        _ => 31 - bits.leading_zeros(),
    };
    core.gpr[reg::RCX] = index.into();
    Ok(())
}

/// The bits, or a mask of elements, go to xmm0.
fn mask<S: Source, L: Length>(core: &mut Core<'_>, op: &Op) -> Done {
    let (control, bits) = compare::<S, L>(core, op)?;
    *view_mut(&mut core.cpu.xmm[0]) = match (control.0 & 0x40, control.words()) {
        (0, _) => low(bits.into()),
        (_, false) => generate::<u8>(|i| if bits >> i & 1 != 0 { !0 } else { 0 }),
        (_, true) => generate::<u16>(|i| if bits >> i & 1 != 0 { !0 } else { 0 }),
    };
    Ok(())
}

/// The VEX form, which also clears what lies above xmm0.
fn mask_only<S: Source, L: Length>(core: &mut Core<'_>, op: &Op) -> Done {
    mask::<S, L>(core, op)?;
    core.cpu.ymm_high[0] = 0;
    core.cpu.zmm_high[0] = [0; 2];
    Ok(())
}

/// The polynomial 0x11EDC6F41, reflected.
const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = crc >> 1 ^ if crc & 1 != 0 { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn crc32(crc: u32, value: u64, bytes: usize) -> u32 {
    value.to_le_bytes()[..bytes].iter().fold(crc, |crc, byte| CRC[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

fn crc32_reg<T>(core: &mut Core<'_>, op: &Op) -> Done {
    let crc = crc32(core.r32(op.dst), core.r64(op.src), size_of::<T>());
    core.set_r32(op.dst, crc);
    Ok(())
}

/// Byte registers are numbered twice their register's number, plus 1 for ah, ch, dh and bh.
fn crc32_r8(core: &mut Core<'_>, op: &Op) -> Done {
    let number = op.src as usize;
    let value = core.gpr[number / 2] >> (8 * (number % 2));
    let crc = crc32(core.r32(op.dst), value, 1);
    core.set_r32(op.dst, crc);
    Ok(())
}

fn crc32_mem<T: Word + Into<u64>>(core: &mut Core<'_>, op: &Op) -> Done {
    let value: T = core.load(core.ea(op))?;
    let crc = crc32(core.r32(op.dst), value.into(), size_of::<T>());
    core.set_r32(op.dst, crc);
    Ok(())
}
