//! Debug registers: hardware breakpoints.
//!
//! DR0 to DR3 are linear addresses. DR7 says of each whether it is enabled (L and G, which mean the same here), what it
//! waits for, and how many bytes it covers. DR6 says afterwards what a #DB was about. An instruction breakpoint is a
//! fault, raised before the instruction is even fetched, unless RF is set; a data breakpoint is a trap after the
//! instruction, or after the iteration of a repeated string instruction, that touched one of its bytes.
//!
//! Who debugs from outside sets breakpoints with [`Cpu::set_breakpoint`] and reads DR6 after an
//! [`Exit::Debug`](crate::Exit::Debug).
//!
//! Quirks: DR6 gets the bits of enabled breakpoints only. Accesses of the processor itself (descriptors, task state) hit
//! nothing, and ports have no breakpoints.

use crate::Cpu;

/// Bits of DR6.
pub mod dr6 {
    /// Breakpoint 0; the next three bits are those of the others.
    pub const B0: u64 = 1 << 0;
    /// All four.
    pub const BREAKPOINTS: u64 = 0xf;
    /// A debug register was accessed while [`super::dr7::GD`] was set.
    pub const BD: u64 = 1 << 13;
    /// TF was set.
    pub const BS: u64 = 1 << 14;
    /// The bits that always read 1: nothing has happened.
    pub const FIXED: u64 = 0xffff_0ff0;
    /// The bits that can be written.
    pub(crate) const WRITABLE: u64 = BREAKPOINTS | BD | BS | 1 << 15;
}

/// Bits of DR7.
pub mod dr7 {
    /// L and G of all four breakpoints.
    pub const ENABLES: u64 = 0xff;
    /// The next access to a debug register raises #DB, which clears it.
    pub const GD: u64 = 1 << 13;
    /// The bit that always reads 1.
    pub const FIXED: u64 = 1 << 10;
    /// The bits that can be written.
    pub(crate) const WRITABLE: u64 = 0xffff_0000 | GD | 0x3ff;
}

/// What a breakpoint waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Execution of the instruction that begins at the address.
    Execute,
    /// A write.
    Write,
    /// A read or a write.
    Access,
}

/// A breakpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breakpoint {
    /// Linear address of the first byte.
    pub address: u64,
    /// What it waits for.
    pub condition: Condition,
    /// How many bytes it covers: 1, 2, 4 or 8.
    pub len: u8,
}

/// There is no such breakpoint: a number above 3, a length that is none of those, an address that isn't a multiple of
/// the length, or an instruction longer than a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidBreakpoint;

/// The encodings of lengths, by their logarithm.
const LENGTHS: [u64; 4] = [0, 1, 3, 2];

impl Cpu {
    /// Breakpoint `n`, if it is enabled and one that there is.
    pub fn breakpoint(&self, n: usize) -> Option<Breakpoint> {
        enabled(&self.dr, n)
    }

    /// Sets and enables breakpoint `n`, or disables it.
    ///
    /// # Errors
    /// [`InvalidBreakpoint`]; nothing has changed then.
    pub fn set_breakpoint(&mut self, n: usize, breakpoint: Option<Breakpoint>) -> Result<(), InvalidBreakpoint> {
        if n > 3 {
            return Err(InvalidBreakpoint);
        }
        let others = self.dr[7] & !(3 << (2 * n)) & !(0xf << (16 + 4 * n));
        let Some(Breakpoint { address, condition, len }) = breakpoint else {
            self.dr[7] = others;
            return Ok(());
        };
        let condition = match condition {
            Condition::Execute => 0,
            Condition::Write => 1,
            Condition::Access => 3,
        };
        let known = matches!(len, 1 | 2 | 4 | 8) && address.is_multiple_of(len.into());
        if !known || condition == 0 && len != 1 {
            return Err(InvalidBreakpoint);
        }
        let length = LENGTHS[len.trailing_zeros() as usize];
        self.dr[n] = address;
        self.dr[7] = others | 1 << (2 * n) | (condition | length << 2) << (16 + 4 * n);
        Ok(())
    }
}

fn enabled(dr: &[u64; 8], n: usize) -> Option<Breakpoint> {
    let control = dr[7];
    if n > 3 || control >> (2 * n) & 3 == 0 {
        return None;
    }
    let condition = match control >> (16 + 4 * n) & 3 {
        0 => Condition::Execute,
        1 => Condition::Write,
        3 => Condition::Access,
        // Ports, where CR4.DE allows them.
        _ => return None,
    };
    let length = control >> (18 + 4 * n) & 3;
    let len = LENGTHS.iter().position(|encoding| *encoding == length).map_or(1, |logarithm| 1u8 << logarithm);
    // Low bits of the address are not looked at.
    Some(Breakpoint { address: dr[n] & !(u64::from(len) - 1), condition, len })
}

/// The enabled breakpoints, and those of them that were hit.
#[derive(Debug)]
pub(crate) struct Watch {
    breakpoints: [Option<Breakpoint>; 4],
    hits: u64,
}

impl Watch {
    /// None if nothing is enabled, nor hit before.
    pub(crate) fn with_hits(dr: &[u64; 8], hits: u64) -> Option<Self> {
        let breakpoints = [0, 1, 2, 3].map(|n| enabled(dr, n));
        (hits != 0 || breakpoints.iter().any(Option::is_some)).then_some(Self { breakpoints, hits })
    }

    fn instructions(&self) -> impl Iterator<Item = (usize, u64)> {
        let numbered = self.breakpoints.iter().enumerate();
        numbered.filter_map(|(n, b)| b.filter(|b| b.condition == Condition::Execute).map(|b| (n, b.address)))
    }

    /// The addresses of data that are watched.
    pub(crate) fn data(&self) -> impl Iterator<Item = u64> {
        let all = self.breakpoints.iter().flatten();
        all.filter(|b| b.condition != Condition::Execute).map(|b| b.address)
    }

    /// DR6's bits for an instruction at an address.
    pub(crate) fn at_instruction(&self, address: u64) -> u64 {
        self.instructions().filter(|(_, at)| *at == address).fold(0, |bits, (n, _)| bits | dr6::B0 << n)
    }

    /// Whether an instruction breakpoint is set within so many bytes.
    pub(crate) fn any_instruction(&self, start: u64, len: u64) -> bool {
        self.instructions().any(|(_, at)| at.wrapping_sub(start) < len)
    }

    /// Takes note of an access to data.
    pub(crate) fn accessed(&mut self, address: u64, len: usize, write: bool) {
        for (n, breakpoint) in self.breakpoints.iter().enumerate() {
            let Some(Breakpoint { address: watched, condition, len: bytes }) = *breakpoint else { continue };
            let kind = condition == Condition::Access || condition == Condition::Write && write;
            let overlap = address.wrapping_sub(watched) < bytes.into() || watched.wrapping_sub(address) < len as u64;
            if kind && overlap {
                self.hits |= dr6::B0 << n;
            }
        }
    }

    /// Whether data was accessed that is watched.
    pub(crate) fn hit(&self) -> bool {
        self.hits != 0
    }

    /// DR6's bits for the data accessed since last asked.
    pub(crate) fn take_hits(&mut self) -> u64 {
        std::mem::take(&mut self.hits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breakpoints_are_encoded_as_dr7_has_them() {
        let mut cpu = Cpu::default();
        let watched = Breakpoint { address: 0x1008, condition: Condition::Write, len: 8 };
        assert_eq!(cpu.set_breakpoint(2, Some(watched)), Ok(()));
        assert_eq!((cpu.dr[2], cpu.dr[7]), (0x1008, 0x0900_0410));
        assert_eq!(cpu.breakpoint(2), Some(watched));
        assert_eq!(cpu.set_breakpoint(2, None), Ok(()));
        assert_eq!((cpu.breakpoint(2), cpu.dr[7]), (None, 0x400));
        for (n, address, condition, len) in [
            (4, 0, Condition::Write, 1),
            (0, 1, Condition::Write, 2),
            (0, 0, Condition::Write, 3),
            (0, 0, Condition::Execute, 4),
        ] {
            let breakpoint = Breakpoint { address, condition, len };
            assert_eq!(cpu.set_breakpoint(n, Some(breakpoint)), Err(InvalidBreakpoint));
        }
    }

    #[test]
    fn any_byte_in_common_is_a_hit() {
        let mut dr = Cpu::default().dr;
        // Access, 4 bytes; the low bits of the address don't count.
        (dr[0], dr[7]) = (0x1006, 0x000f_0001);
        let mut watch = Watch::with_hits(&dr, 0).expect("a breakpoint");
        for (address, len, hit) in
            [(0x1003, 1, 0), (0x1003, 2, 1), (0x1007, 1, 1), (0x1008, 8, 0), (0xfff, 16, 1), (u64::MAX, 1, 0)]
        {
            watch.accessed(address, len, false);
            assert_eq!(watch.take_hits(), hit, "{address:#x}");
        }
    }
}
