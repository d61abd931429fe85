//! The x87 unit's state: eight 80-bit registers used as a stack, tags, control and status words.
//!
//! The manual keeps one tag of two bits a register (valid, zero, special, empty). Only "empty" carries information
//! that the register itself doesn't; so do as FXSAVE does and keep one bit, and derive the rest when FNSTENV asks.
//! MMX registers are the significands of the same registers, by physical number.
//!
//! Quirk: of the last instruction and its operand ([`Pointers`]) we do as AMD's processors do. They keep them of every
//! instruction that does not control the unit, while Intel's newer ones keep some only if it raised an exception; and an
//! image of FXSAVE or XSAVE tells them only while an exception is pending.

pub(crate) mod bcd;
pub(crate) mod remainder;
pub(crate) mod transcendental;

use crate::softfloat::{Class, Env, Float, Format, flag};

/// A register: the 80-bit format in its two parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct F80 {
    /// The significand, with explicit leading bit.
    pub sig: u64,
    /// Sign (bit 15) and biased exponent.
    pub sign_exp: u16,
}

impl F80 {
    /// Its ten bytes in memory.
    pub fn to_bytes(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.sig.to_le_bytes());
        bytes[8..].copy_from_slice(&self.sign_exp.to_le_bytes());
        bytes
    }

    /// From its ten bytes in memory.
    pub fn from_bytes(bytes: [u8; 10]) -> Self {
        let bits = bytes.iter().rev().fold(0u128, |bits, b| bits << 8 | u128::from(*b));
        Self { sig: bits as u64, sign_exp: (bits >> 64) as u16 }
    }

    /// Taken apart.
    #[inline]
    pub(crate) fn unpack(self) -> Float {
        Float::from_f80(self.sig, self.sign_exp)
    }
}

impl From<Float> for F80 {
    #[inline]
    fn from(value: Float) -> Self {
        let (sig, sign_exp) = value.to_f80();
        Self { sig, sign_exp }
    }
}

/// Bits of the status word above the six exception flags.
pub(crate) mod status {
    /// Stack fault: the invalid operation was a stack over- or underflow.
    pub(crate) const SF: u16 = 1 << 6;
    /// An unmasked exception waits.
    pub(crate) const ES: u16 = 1 << 7;
    /// Condition code 0.
    pub(crate) const C0: u16 = 1 << 8;
    /// Condition code 1: rounded up, or stack overflow.
    pub(crate) const C1: u16 = 1 << 9;
    /// Condition code 2.
    pub(crate) const C2: u16 = 1 << 10;
    /// Condition code 3.
    pub(crate) const C3: u16 = 1 << 14;
    /// Busy: a copy of ES.
    pub(crate) const B: u16 = 1 << 15;
    /// All four condition codes.
    pub(crate) const CONDITIONS: u16 = C0 | C1 | C2 | C3;
    /// The stack top's field.
    pub(crate) const TOP: u16 = 7 << 11;
}

/// What a handler of exceptions is told: the last instruction, but for those that control the unit, and the last operand
/// in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pointers {
    /// FIP, the instruction's address, its prefixes included.
    pub instruction: u64,
    /// FDP, the operand's address in its segment.
    pub operand: u64,
    /// FCS, the selector of the code's segment.
    pub code_segment: u16,
    /// FDS, the selector of the operand's.
    pub operand_segment: u16,
    /// FOP, the low three bits of the first opcode byte, and the second byte.
    pub opcode: u16,
}

impl Pointers {
    /// The bits of an opcode.
    pub(crate) const OPCODE: u16 = 0x7ff;
}

/// The unit's state.
#[derive(Clone, Debug)]
pub struct Fpu {
    /// Registers by physical number.
    pub regs: [F80; 8],
    /// The control word.
    pub control: u16,
    /// The status word without its TOP field.
    status: u16,
    /// Physical number of ST(0).
    top: u8,
    /// A set bit for each physical register that is not empty.
    pub in_use: u8,
    /// The last instruction and operand.
    pub pointers: Pointers,
}

impl Default for Fpu {
    /// As after FNINIT.
    fn default() -> Self {
        Self { regs: [F80::default(); 8], control: 0x37f, status: 0, top: 0, in_use: 0, pointers: Pointers::default() }
    }
}

impl Fpu {
    /// FNINIT: everything but the registers' content.
    pub fn init(&mut self) {
        *self = Self { regs: self.regs, ..Self::default() };
    }

    /// The status word.
    pub fn status_word(&self) -> u16 {
        self.status | u16::from(self.top) << 11
    }

    /// Loads the status word; ES and B follow from flags and masks.
    pub fn set_status_word(&mut self, word: u16) {
        self.top = (word >> 11 & 7) as u8;
        self.status = word & !status::TOP;
        self.update_summary();
    }

    /// Loads the control word. Bit 6 always reads 1.
    pub fn set_control_word(&mut self, word: u16) {
        self.control = word & 0x1f3f | 0x40;
        self.update_summary();
    }

    /// ES and B say whether a flag is set that is not masked.
    fn update_summary(&mut self) {
        self.status &= !(status::ES | status::B);
        if u32::from(self.status & !self.control) & flag::ALL != 0 {
            self.status |= status::ES | status::B;
        }
    }

    /// FNCLEX.
    pub fn clear_exceptions(&mut self) {
        self.status &= status::CONDITIONS;
    }

    /// Whether the next waiting instruction must raise #MF.
    #[inline]
    pub fn error_pending(&self) -> bool {
        self.status & status::ES != 0
    }

    /// The two-bit tags, register 0 lowest.
    pub fn tag_word(&self) -> u16 {
        (0..8).rev().fold(0, |word, i| {
            let tag = match self.regs[i].unpack() {
                _ if self.in_use >> i & 1 == 0 => 3,
                Float { class: Class::Zero, .. } => 1,
                Float { class: Class::Finite, denormal: false, .. } => 0,
                _ => 2,
            };
            word << 2 | tag
        })
    }

    /// Loads tags; only empty or not is kept.
    pub fn set_tag_word(&mut self, word: u16) {
        self.in_use = (0..8).fold(0, |bits, i| bits | u8::from(word >> (2 * i) & 3 != 3) << i);
    }

    #[inline]
    fn physical(&self, i: u8) -> usize {
        usize::from(self.top.wrapping_add(i) & 7)
    }

    /// ST(i), whatever its tag.
    #[inline]
    pub fn raw(&self, i: u8) -> F80 {
        self.regs[self.physical(i)]
    }

    /// ST(i), unless it is empty.
    #[inline]
    pub fn get(&self, i: u8) -> Option<F80> {
        let p = self.physical(i);
        (self.in_use >> p & 1 != 0).then(|| self.regs[p])
    }

    /// Writes ST(i), which is then in use.
    #[inline]
    pub fn set(&mut self, i: u8, value: F80) {
        let p = self.physical(i);
        self.regs[p] = value;
        self.in_use |= 1 << p;
    }

    /// Writes ST(i) without touching its tag.
    pub(crate) fn load_raw(&mut self, i: u8, value: F80) {
        let p = self.physical(i);
        self.regs[p] = value;
    }

    /// Marks ST(i) empty.
    pub fn free(&mut self, i: u8) {
        self.in_use &= !(1 << self.physical(i));
    }

    /// Moves the top without touching tags.
    pub fn rotate(&mut self, by: i8) {
        self.top = self.top.wrapping_add_signed(by) & 7;
    }

    /// Frees ST(0) and moves on.
    #[inline]
    pub fn pop(&mut self) {
        self.free(0);
        self.rotate(1);
    }

    /// Pushes; a stack overflow pushes the default NaN if masked, else nothing.
    pub fn push(&mut self, value: F80) {
        if self.get(7).is_some() {
            if self.stack_fault(true) {
                self.rotate(-1);
                self.set(0, Float::DEFAULT_NAN.into());
            }
            return;
        }
        self.rotate(-1);
        self.set(0, value);
    }

    /// Clears C1, which most instructions do when nothing was rounded.
    #[inline]
    pub fn clear_c1(&mut self) {
        self.status &= !status::C1;
    }

    /// Replaces those of the condition codes that `mask` names.
    #[inline]
    pub fn set_conditions(&mut self, mask: u16, value: u16) {
        self.status = self.status & !mask | value & mask;
    }

    /// The condition codes.
    pub fn conditions(&self) -> u16 {
        self.status & status::CONDITIONS
    }

    /// What the control word says about rounding and masks.
    #[inline]
    pub(crate) fn env(&self) -> Env {
        Env::from_x87_control(self.control)
    }

    /// The format that arithmetic rounds to.
    #[inline]
    pub(crate) fn format(&self) -> Format {
        Format::of_x87_control(self.control)
    }

    /// Records a stack over- or underflow. True if it is masked, so that a default NaN is to be written.
    pub fn stack_fault(&mut self, overflow: bool) -> bool {
        self.status |= flag::INVALID as u16 | status::SF;
        self.set_conditions(status::C1, if overflow { status::C1 } else { 0 });
        self.update_summary();
        u32::from(self.control) & flag::INVALID != 0
    }

    /// Records what an operation raised, and C1. True if its result is to be written: an unmasked exception found
    /// before the computation leaves the operands alone.
    #[inline]
    pub(crate) fn finish(&mut self, env: &Env) -> bool {
        let computes = env.unmasked() & flag::PRE_COMPUTATION == 0;
        self.set_conditions(status::C1, if env.rounded_up && computes { status::C1 } else { 0 });
        self.status |= (if computes { env.flags } else { env.flags & flag::PRE_COMPUTATION }) as u16;
        if env.unmasked() != 0 {
            self.update_summary();
        }
        computes
    }

    /// Records what an operation raised and writes its result to ST(i), unless an unmasked exception forbids it.
    /// True if written.
    #[inline]
    pub(crate) fn write(&mut self, i: u8, env: &Env, result: Float) -> bool {
        let writes = self.finish(env);
        if writes {
            self.set(i, result.into());
        }
        writes
    }

    /// An operand was empty: a stack underflow, whose masked response is the default NaN in ST(i). True if written.
    #[cold]
    pub(crate) fn underflow(&mut self, i: u8) -> bool {
        let masked = self.stack_fault(false);
        if masked {
            self.set(i, Float::DEFAULT_NAN.into());
        }
        masked
    }

    /// An MMX register.
    #[inline]
    pub fn mmx(&self, i: u8) -> u64 {
        self.regs[usize::from(i & 7)].sig
    }

    /// Writes an MMX register: the exponent part reads all ones after.
    #[inline]
    pub fn set_mmx(&mut self, i: u8, value: u64) {
        self.regs[usize::from(i & 7)] = F80 { sig: value, sign_exp: 0xffff };
    }

    /// What every MMX instruction but EMMS does to the unit: the stack starts at register 0 and is full.
    #[inline]
    pub fn enter_mmx(&mut self) {
        self.top = 0;
        self.in_use = 0xff;
    }
}
