//! The status flags, kept as what they can be computed from.
//!
//! Hardware computes six flags after nearly every instruction, and most are never looked at. So an addition or a
//! subtraction leaves its result and its first operand, from which any flag follows when somebody asks; a logical
//! operation, whose CF and OF are known, leaves its result. Whatever sets flags one by one leaves them as they are.

/// Bits of RFLAGS.
pub mod rflags {
    /// Carry.
    pub const CF: u64 = 1 << 0;
    /// Always one.
    pub const FIXED: u64 = 1 << 1;
    /// Parity of the result's low byte.
    pub const PF: u64 = 1 << 2;
    /// Carry out of bit 3.
    pub const AF: u64 = 1 << 4;
    /// Zero.
    pub const ZF: u64 = 1 << 6;
    /// Sign.
    pub const SF: u64 = 1 << 7;
    /// Trap after the next instruction.
    pub const TF: u64 = 1 << 8;
    /// Interrupts enabled.
    pub const IF: u64 = 1 << 9;
    /// String instructions go down.
    pub const DF: u64 = 1 << 10;
    /// Overflow.
    pub const OF: u64 = 1 << 11;
    /// I/O privilege level.
    pub const IOPL: u64 = 3 << 12;
    /// Nested task.
    pub const NT: u64 = 1 << 14;
    /// Resume: no instruction breakpoint at the next one.
    pub const RF: u64 = 1 << 16;
    /// Virtual-8086 mode.
    pub const VM: u64 = 1 << 17;
    /// Alignment check.
    pub const AC: u64 = 1 << 18;
    /// Virtual interrupt flag.
    pub const VIF: u64 = 1 << 19;
    /// Virtual interrupt pending.
    pub const VIP: u64 = 1 << 20;
    /// CPUID can be used.
    pub const ID: u64 = 1 << 21;

    /// The six that arithmetic sets.
    pub const STATUS: u64 = CF | PF | AF | ZF | SF | OF;
}

use rflags as bit;

/// What the flags follow from. The low two bits of the first eight are the binary logarithm of the operands' bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Origin {
    /// Additions, of 8, 16, 32 and 64 bits.
    Add8,
    Add16,
    Add32,
    Add64,
    /// Subtractions.
    Sub8,
    Sub16,
    Sub32,
    Sub64,
    /// A result, sign-extended, for ZF, SF and PF; CF, AF and OF are at their places in `operand`.
    Result,
    /// ZF is set if `result` is 0; the other flags are at their places in `operand`.
    Given,
}

/// RFLAGS in the form that is cheapest to update.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    /// ZF is set if this is 0. Of additions and subtractions it is zero-extended.
    result: u64,
    /// Of additions and subtractions the first operand, zero-extended; else flags.
    operand: u64,
    origin: Origin,
    /// All other bits of RFLAGS, at their places.
    pub(crate) system: u64,
}

impl Default for Flags {
    fn default() -> Self {
        Self::from_rflags(bit::FIXED)
    }
}

impl Flags {
    /// From the architectural form.
    pub(crate) fn from_rflags(value: u64) -> Self {
        let system = value & !bit::STATUS | bit::FIXED;
        let mut flags = Self { result: 0, operand: 0, origin: Origin::Given, system };
        flags.set_status(value);
        flags
    }

    /// The architectural form.
    pub(crate) fn rflags(&self) -> u64 {
        self.system | self.status()
    }

    /// Flags of an addition or subtraction without carry in, by its size: the result and the first operand,
    /// zero-extended.
    #[inline(always)]
    pub(crate) fn set_sum(&mut self, origin: Origin, operand: u64, result: u64) {
        self.result = result;
        self.operand = operand;
        self.origin = origin;
    }

    /// ZF, SF and PF of a sign-extended result, and the bits of `others` for CF, AF and OF.
    #[inline(always)]
    pub(crate) fn set_result(&mut self, result: u64, others: u64) {
        self.result = result;
        self.operand = others;
        self.origin = Origin::Result;
    }

    /// Loads the six status flags.
    #[inline]
    pub(crate) fn set_status(&mut self, value: u64) {
        self.result = !value & bit::ZF;
        self.operand = value;
        self.origin = Origin::Given;
    }

    /// The six status flags.
    #[inline]
    pub(crate) fn status(&self) -> u64 {
        let zf = u64::from(self.zf()) << 6;
        if self.origin == Origin::Given {
            return self.operand & bit::STATUS & !bit::ZF | zf;
        }
        zf | u64::from(self.pf()) << 2 | u64::from(self.sf()) << 7 | self.others()
    }

    /// CF, AF and OF at their places.
    #[inline]
    pub(crate) fn others(&self) -> u64 {
        if self.origin as u8 >= Origin::Result as u8 {
            return self.operand & (bit::CF | bit::AF | bit::OF);
        }
        let adjust = (self.operand ^ self.result ^ self.second()) & bit::AF;
        u64::from(self.cf()) | adjust | u64::from(self.of()) << 11
    }

    /// Of an addition or subtraction: its second operand, right in as many bits as it has.
    #[inline(always)]
    fn second(&self) -> u64 {
        if self.is_addition() { self.result.wrapping_sub(self.operand) } else { self.operand.wrapping_sub(self.result) }
    }

    #[inline(always)]
    fn is_addition(&self) -> bool {
        (self.origin as u8) < Origin::Sub8 as u8
    }

    /// A value of the operation's size, its top bit in bit 63.
    #[inline(always)]
    fn shifted(&self, value: u64) -> i64 {
        (value << (64 - (8 << (self.origin as u32 & 3)))) as i64
    }

    #[inline(always)]
    pub(crate) fn cf(&self) -> bool {
        // A sum is below its operands, and a difference above what it was taken from, only if a carry was lost.
        match self.origin as u8 {
            ..4 => self.result < self.operand,
            4..8 => self.result > self.operand,
            _ => self.operand & bit::CF != 0,
        }
    }

    #[inline]
    pub(crate) fn pf(&self) -> bool {
        match self.origin {
            Origin::Given => self.operand & bit::PF != 0,
            _ => (self.result as u8).count_ones() & 1 == 0,
        }
    }

    #[inline(always)]
    pub(crate) fn zf(&self) -> bool {
        self.result == 0
    }

    #[inline(always)]
    pub(crate) fn sf(&self) -> bool {
        match self.origin {
            Origin::Given => self.operand & bit::SF != 0,
            Origin::Result => (self.result as i64) < 0,
            _ => self.shifted(self.result) < 0,
        }
    }

    #[inline]
    pub(crate) fn of(&self) -> bool {
        if self.origin as u8 >= Origin::Result as u8 {
            return self.operand & bit::OF != 0;
        }
        let (a, b, result) = (self.operand, self.second(), self.result);
        let other = if self.is_addition() { b } else { !b };
        // The operands have one sign and the result has the other.
        self.shifted((a ^ result) & (other ^ result)) < 0
    }

    /// SF is not OF: the first operand of a comparison was the lesser.
    #[inline(always)]
    pub(crate) fn less(&self) -> bool {
        match self.origin as u8 {
            4..8 => self.shifted(self.operand) < self.shifted(self.second()),
            _ => self.sf() != self.of(),
        }
    }

    #[inline(always)]
    pub(crate) fn df(&self) -> bool {
        self.system & bit::DF != 0
    }

    /// Sets CF and keeps the rest.
    #[inline(always)]
    pub(crate) fn set_cf(&mut self, cf: bool) {
        self.settle();
        self.operand = self.operand & !bit::CF | u64::from(cf);
    }

    /// Sets CF and OF and keeps the rest.
    #[inline(always)]
    pub(crate) fn set_cf_of(&mut self, cf: bool, of: bool) {
        self.settle();
        self.operand = self.operand & !(bit::CF | bit::OF) | u64::from(cf) | u64::from(of) << 11;
    }

    /// Sets ZF and keeps the rest.
    #[inline]
    pub(crate) fn set_zf(&mut self, zf: bool) {
        self.set_status(self.status() & !bit::ZF | u64::from(zf) << 6);
    }

    /// Works out the flags of an addition or subtraction, so that CF, AF and OF can be changed.
    #[inline(always)]
    fn settle(&mut self) {
        if (self.origin as u8) < Origin::Result as u8 {
            self.settle_sum();
        }
    }

    #[inline(never)]
    fn settle_sum(&mut self) {
        let others = self.others();
        let unused = 64 - (8 << (self.origin as u32 & 3));
        self.set_result((self.shifted(self.result) >> unused) as u64, others);
    }
}
