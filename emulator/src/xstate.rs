//! XSAVE's area: FXSAVE's image, a header, and the upper halves of the vector registers.
//!
//! The header says which components hold something other than their initial values (XSTATE_BV), and whether the area is
//! in the compacted form (XCOMP_BV). With no component but AVX beyond the image, both forms have it at the same place.

use crate::cpu::Cpu;
use crate::fxsave::{IMAGE, MXCSR_MASK};
use crate::x87::Fpu;

/// x87 state.
pub(crate) const X87: u64 = 1;
/// XMM registers and MXCSR.
pub(crate) const SSE: u64 = 2;
/// Upper halves of the YMM registers.
pub(crate) const AVX: u64 = 4;
/// The components that there are.
pub(crate) const ALL: u64 = X87 | SSE | AVX;
/// Where the header is: XSTATE_BV, XCOMP_BV, 48 bytes of zeros.
pub(crate) const HEADER_AT: usize = 512;
/// Where the upper halves are.
pub(crate) const AVX_AT: usize = 576;
/// Their size.
pub(crate) const AVX_SIZE: usize = 256;
/// Bytes of the whole area.
pub const XSAVE_SIZE: usize = AVX_AT + AVX_SIZE;
pub(crate) const SIZE: usize = XSAVE_SIZE;
/// In XCOMP_BV: the area is compacted.
pub(crate) const COMPACT: u64 = 1 << 63;

/// Where the image has x87's part after its first 24 bytes, MXCSR and its mask, and the XMM registers.
const MXCSR_AT: usize = 24;
const ST_AT: usize = 32;
const XMM_AT: usize = 160;

/// The area can't be loaded: a reserved bit is set, or a component that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidXstate;

/// Eight bytes of an area.
pub(crate) fn word(area: &[u8; SIZE], at: usize) -> u64 {
    area[at..at + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

fn put_word(area: &mut [u8; SIZE], at: usize, value: u64) {
    area[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// A part of an area that an instruction writes.
pub(crate) type Range = core::ops::Range<usize>;

/// What of an area belongs to some components. MXCSR is SSE's; in the standard form AVX's too.
pub(crate) fn ranges(components: u64, compact: bool) -> impl Iterator<Item = Range> {
    let list = [
        (X87, 0..MXCSR_AT),
        (if compact { SSE } else { SSE | AVX }, MXCSR_AT..ST_AT),
        (X87, ST_AT..XMM_AT),
        (SSE, XMM_AT..IMAGE),
        (AVX, AVX_AT..SIZE),
    ];
    list.into_iter().filter(move |(owners, _)| owners & components != 0).map(|(_, range)| range)
}

impl Cpu {
    /// The whole state as XSAVE64 writes it into an area of zeros.
    pub fn xsave(&self) -> [u8; XSAVE_SIZE] {
        let mut area = self.xsave_area(true);
        put_word(&mut area, HEADER_AT, self.components_in_use());
        area
    }

    /// Loads an area of the form that [`Cpu::xsave`] writes.
    ///
    /// # Errors
    /// [`InvalidXstate`]; nothing is loaded then.
    pub fn xrstor(&mut self, area: &[u8; XSAVE_SIZE]) -> Result<(), InvalidXstate> {
        self.load_xsave_area(area, ALL, true)
    }

    /// Which components are not in their initial state.
    pub(crate) fn components_in_use(&self) -> u64 {
        let fresh = Self::default();
        let mut image = self.fx_image(true);
        let mut initial = fresh.fx_image(true);
        // MXCSR is watched apart from the registers.
        for image in [&mut image, &mut initial] {
            image[MXCSR_AT..ST_AT].fill(0);
        }
        let x87 = image[..XMM_AT] != initial[..XMM_AT];
        let sse = self.xmm[..16] != fresh.xmm[..16];
        let avx = self.ymm_high[..16] != fresh.ymm_high[..16];
        (if x87 { X87 } else { 0 }) | (if sse { SSE } else { 0 }) | (if avx { AVX } else { 0 })
    }

    /// All components, with an empty header.
    pub(crate) fn xsave_area(&self, wide: bool) -> [u8; SIZE] {
        let mut area = [0; SIZE];
        area[..IMAGE].copy_from_slice(&self.fx_image(wide));
        for (bytes, value) in area[AVX_AT..].chunks_exact_mut(16).zip(&self.ymm_high) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        area
    }

    /// Loads the components of `wanted`; those that the area lacks get their initial state.
    pub(crate) fn load_xsave_area(&mut self, area: &[u8; SIZE], wanted: u64, wide: bool) -> Result<(), InvalidXstate> {
        let (held, form) = (word(area, HEADER_AT), word(area, HEADER_AT + 8));
        let compact = form & COMPACT != 0;
        let reserved = if compact { HEADER_AT + 16..AVX_AT } else { HEADER_AT + 8..HEADER_AT + 24 };
        let known = if compact { form & !COMPACT } else { ALL };
        if area[reserved].iter().any(|byte| *byte != 0) || known & !ALL != 0 || held & !known != 0 {
            return Err(InvalidXstate);
        }
        let fresh = Self::default();
        // The standard form has MXCSR whatever its header says.
        let has_mxcsr = if compact { held & wanted & (SSE | AVX) != 0 } else { true };
        let takes_mxcsr = wanted & (SSE | AVX) != 0;
        let mut image = [0; IMAGE];
        image.copy_from_slice(&area[..IMAGE]);
        let mxcsr = u32::from_le_bytes([image[24], image[25], image[26], image[27]]);
        if takes_mxcsr && has_mxcsr && mxcsr & !MXCSR_MASK != 0 {
            return Err(InvalidXstate);
        }
        let (fpu, xmm, old_mxcsr) = (self.fpu.clone(), self.xmm, self.mxcsr);
        image[24..28].copy_from_slice(&old_mxcsr.to_le_bytes());
        self.load_fx_image(&image, wide).map_err(|_| InvalidXstate)?;
        match (wanted & X87 != 0, held & X87 != 0) {
            (false, _) => self.fpu = fpu,
            (true, false) => self.fpu = Fpu::default(),
            (true, true) => {}
        }
        match (wanted & SSE != 0, held & SSE != 0) {
            (false, _) => self.xmm = xmm,
            (true, false) => self.xmm = fresh.xmm,
            (true, true) => {}
        }
        if takes_mxcsr {
            self.mxcsr = if has_mxcsr { mxcsr } else { fresh.mxcsr };
        }
        match (wanted & AVX != 0, held & AVX != 0) {
            (false, _) => {}
            (true, false) => self.ymm_high = fresh.ymm_high,
            (true, true) => {
                for (value, bytes) in self.ymm_high.iter_mut().zip(area[AVX_AT..].chunks_exact(16)) {
                    *value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u128::from(*byte));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used() -> Cpu {
        let mut cpu = Cpu::default();
        cpu.fpu.push(crate::F80 { sig: 1 << 63, sign_exp: 0x3fff });
        cpu.xmm[3] = 7;
        cpu.ymm_high[15] = 1 << 100;
        cpu.mxcsr = 0x9fc0;
        cpu
    }

    #[test]
    fn an_area_restores_what_it_saved() {
        let area = used().xsave();
        let mut other = Cpu::default();
        assert_eq!(other.xrstor(&area), Ok(()));
        assert_eq!(other.xsave(), area);
        assert_eq!(word(&area, HEADER_AT), ALL);
        assert_eq!(word(&Cpu::default().xsave(), HEADER_AT), 0);
    }

    #[test]
    fn what_an_area_lacks_is_reset() {
        let mut cpu = used();
        let mut area = cpu.xsave();
        put_word(&mut area, HEADER_AT, SSE);
        assert_eq!(cpu.xrstor(&area), Ok(()));
        assert_eq!((cpu.xmm[3], cpu.ymm_high[15], cpu.fpu.in_use), (7, 0, 0));
    }

    #[test]
    fn unknown_components_and_reserved_bits_are_refused() {
        for (at, value) in [(HEADER_AT, 8), (HEADER_AT + 8, 1), (HEADER_AT + 16, 1), (24, 1 << 16)] {
            let mut area = used().xsave();
            put_word(&mut area, at, value);
            assert_eq!(Cpu::default().xrstor(&area), Err(InvalidXstate));
        }
    }
}
