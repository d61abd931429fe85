//! The status flags, kept as what they can be computed from.
//!
//! Hardware computes six flags after nearly every instruction, and most are never looked at. So keep the result for ZF,
//! SF and PF, the carries out of the top two bits for CF and OF, and for AF something whose bit 4 is it. All fields may be
//! set apart, so that every combination that POPF loads has a form.

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

/// RFLAGS in the form that is cheapest to update.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    /// ZF is set if this is 0.
    pub(crate) zero: u64,
    /// SF is bit 63; PF is the parity of the low byte.
    pub(crate) sign: u64,
    /// CF is bit 63, OF is bit 63 xor bit 62: the carries out of a result's top bits.
    pub(crate) carries: u64,
    /// AF is bit 4.
    pub(crate) adjust: u64,
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
        let mut flags = Self { zero: 0, sign: 0, carries: 0, adjust: 0, system: value & !bit::STATUS | bit::FIXED };
        flags.set_status(value);
        flags
    }

    /// The architectural form.
    pub(crate) fn rflags(&self) -> u64 {
        self.system | self.status()
    }

    /// Loads the six status flags.
    #[inline]
    pub(crate) fn set_status(&mut self, value: u64) {
        self.zero = !value & bit::ZF;
        // Parity is even for 0x00 and odd for 0x01.
        self.sign = (value & bit::SF) << 56 | (!value & bit::PF) >> 2;
        let carry = value & bit::CF;
        self.carries = carry << 63 | (carry ^ value >> 11 & 1) << 62;
        self.adjust = value;
    }

    /// The six status flags.
    #[inline]
    pub(crate) fn status(&self) -> u64 {
        u64::from(self.cf())
            | u64::from(self.pf()) << 2
            | self.adjust & bit::AF
            | u64::from(self.zf()) << 6
            | u64::from(self.sf()) << 7
            | u64::from(self.of()) << 11
    }

    #[inline(always)]
    pub(crate) fn cf(&self) -> bool {
        self.carries >> 63 != 0
    }

    #[inline(always)]
    pub(crate) fn pf(&self) -> bool {
        (self.sign as u8).count_ones() & 1 == 0
    }

    #[inline(always)]
    pub(crate) fn zf(&self) -> bool {
        self.zero == 0
    }

    #[inline(always)]
    pub(crate) fn sf(&self) -> bool {
        self.sign >> 63 != 0
    }

    #[inline(always)]
    pub(crate) fn of(&self) -> bool {
        (self.carries ^ self.carries << 1) >> 63 != 0
    }

    #[inline(always)]
    pub(crate) fn df(&self) -> bool {
        self.system & bit::DF != 0
    }

    /// Sets CF and keeps the rest.
    #[inline(always)]
    pub(crate) fn set_cf(&mut self, cf: bool) {
        self.set_cf_of(cf, self.of());
    }

    /// Sets CF and OF and keeps the rest.
    #[inline(always)]
    pub(crate) fn set_cf_of(&mut self, cf: bool, of: bool) {
        self.carries = u64::from(cf) << 63 | u64::from(cf ^ of) << 62;
    }

    /// Sets ZF and keeps the rest.
    #[inline(always)]
    pub(crate) fn set_zf(&mut self, zf: bool) {
        self.zero = u64::from(!zf);
    }
}
