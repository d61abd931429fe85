//! XSAVE's area: FXSAVE's image, a header, and what vector registers and opmasks have beyond that.
//!
//! The header says which components hold something other than their initial values (XSTATE_BV), and whether the area is
//! in the compacted form (XCOMP_BV), in which the components that it has lie side by side. In the standard form each has
//! its place, which CPUID tells; with no component but AVX beyond the image, both forms have it at the same one.

use crate::CpuModel;
use crate::cpu::Cpu;
use crate::fxsave::{IMAGE, MXCSR_MASK};
use crate::x87::Fpu;

/// x87 state.
pub(crate) const X87: u64 = 1;
/// XMM registers and MXCSR.
pub(crate) const SSE: u64 = 2;
/// Upper halves of the YMM registers.
pub(crate) const AVX: u64 = 4;
/// Opmask registers.
pub(crate) const OPMASK: u64 = 1 << 5;
/// Upper halves of the ZMM registers 0 to 15.
pub(crate) const ZMM_HIGH: u64 = 1 << 6;
/// The ZMM registers 16 to 31.
pub(crate) const ZMM_16_TO_31: u64 = 1 << 7;
/// What AVX-512 has, all or nothing of which is enabled.
pub(crate) const AVX_512: u64 = OPMASK | ZMM_HIGH | ZMM_16_TO_31;
/// The components of processors without AVX-512.
pub(crate) const USUAL: u64 = X87 | SSE | AVX;
/// Where the header is: XSTATE_BV, XCOMP_BV, 48 bytes of zeros.
pub(crate) const HEADER_AT: usize = 512;
/// Where it ends, and other components begin.
pub(crate) const HEADER_END: usize = 576;
/// Beyond the image: the components, their places in the standard form, and their sizes.
pub(crate) const EXTENDED: [(u64, usize, usize); 4] =
    [(AVX, HEADER_END, 256), (OPMASK, 832, 64), (ZMM_HIGH, 896, 512), (ZMM_16_TO_31, 1408, 1024)];
/// Bytes of the largest area.
pub const XSAVE_SIZE: usize = 2432;
pub(crate) const SIZE: usize = XSAVE_SIZE;
/// In XCOMP_BV: the area is compacted.
pub(crate) const COMPACT: u64 = 1 << 63;

/// Where the image has x87's part after its first 24 bytes, MXCSR and its mask, and the XMM registers.
const MXCSR_AT: usize = 24;
const ST_AT: usize = 32;
const XMM_AT: usize = 160;

/// The components that a model has.
pub(crate) fn of(model: CpuModel) -> u64 {
    if model.has_avx_512() { USUAL | AVX_512 } else { USUAL }
}

/// Bytes of an area that has some components, in the form that XCOMP_BV says.
pub(crate) fn size(components: u64, form: u64) -> usize {
    extended(form)
        .filter(|(component, _)| components & component != 0)
        .last()
        .map_or(HEADER_END, |(_, range)| range.end)
}

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

/// The components beyond the image, and where they are in an area of the form that XCOMP_BV says.
pub(crate) fn extended(form: u64) -> impl Iterator<Item = (u64, Range)> {
    let mut next = HEADER_END;
    EXTENDED.into_iter().filter_map(move |(component, at, size)| {
        if form & COMPACT == 0 {
            return Some((component, at..at + size));
        }
        let at = next;
        (form & component != 0).then(|| {
            next += size;
            (component, at..next)
        })
    })
}

/// What of an area belongs to some components, in the form that XCOMP_BV says. MXCSR is SSE's; in the standard form AVX's
/// too.
pub(crate) fn ranges(components: u64, form: u64) -> impl Iterator<Item = Range> {
    let list = [
        (X87, 0..MXCSR_AT),
        (if form & COMPACT != 0 { SSE } else { SSE | AVX }, MXCSR_AT..ST_AT),
        (X87, ST_AT..XMM_AT),
        (SSE, XMM_AT..IMAGE),
    ];
    let list = list.into_iter().chain(extended(form));
    list.filter(move |(owners, _)| owners & components != 0).map(|(_, range)| range)
}

/// Vector registers or parts of them, one after the other.
fn put_vectors<'a>(bytes: &mut [u8], values: impl Iterator<Item = &'a u128>) {
    for (bytes, value) in bytes.chunks_exact_mut(16).zip(values) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
}

fn get_vectors<'a>(bytes: &[u8], values: impl Iterator<Item = &'a mut u128>) {
    for (bytes, value) in bytes.chunks_exact(16).zip(values) {
        *value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u128::from(*byte));
    }
}

impl Cpu {
    /// The whole state as XSAVE64 writes it into an area of zeros: as much of it as the model's
    /// [size](CpuModel::xsave_size) says.
    pub fn xsave(&self) -> [u8; XSAVE_SIZE] {
        let mut area = self.xsave_area(true, 0);
        put_word(&mut area, HEADER_AT, self.components_in_use() & self.xcr0);
        area
    }

    /// Loads an area of the form that [`Cpu::xsave`] writes.
    ///
    /// # Errors
    /// [`InvalidXstate`]; nothing is loaded then.
    pub fn xrstor(&mut self, area: &[u8; XSAVE_SIZE]) -> Result<(), InvalidXstate> {
        self.load_xsave_area(area, self.xcr0, true)
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
        let in_use = |component: u64, used: bool| if used { component } else { 0 };
        let others = (&self.xmm[16..], &self.ymm_high[16..], &self.zmm_high[16..]);
        in_use(X87, image[..XMM_AT] != initial[..XMM_AT])
            | in_use(SSE, self.xmm[..16] != fresh.xmm[..16])
            | in_use(AVX, self.ymm_high[..16] != fresh.ymm_high[..16])
            | in_use(OPMASK, self.k != fresh.k)
            | in_use(ZMM_HIGH, self.zmm_high[..16] != fresh.zmm_high[..16])
            | in_use(ZMM_16_TO_31, others != (&fresh.xmm[16..], &fresh.ymm_high[16..], &fresh.zmm_high[16..]))
    }

    /// All components that have a place in the form that XCOMP_BV says, with an empty header.
    pub(crate) fn xsave_area(&self, wide: bool, form: u64) -> [u8; SIZE] {
        let mut area = [0; SIZE];
        area[..IMAGE].copy_from_slice(&self.fx_image(wide));
        for (component, range) in extended(form) {
            let bytes = &mut area[range];
            match component {
                AVX => put_vectors(bytes, self.ymm_high[..16].iter()),
                OPMASK => {
                    bytes.chunks_exact_mut(8).zip(self.k).for_each(|(to, k)| to.copy_from_slice(&k.to_le_bytes()))
                }
                ZMM_HIGH => put_vectors(bytes, self.zmm_high[..16].iter().flatten()),
                _ => {
                    for (n, bytes) in (16..32).zip(bytes.chunks_exact_mut(64)) {
                        put_vectors(bytes, [&self.xmm[n], &self.ymm_high[n]].into_iter().chain(&self.zmm_high[n]));
                    }
                }
            }
        }
        area
    }

    /// Loads the components of `wanted`; those that the area lacks get their initial state.
    pub(crate) fn load_xsave_area(&mut self, area: &[u8; SIZE], wanted: u64, wide: bool) -> Result<(), InvalidXstate> {
        let (held, form) = (word(area, HEADER_AT), word(area, HEADER_AT + 8));
        let compact = form & COMPACT != 0;
        let reserved = if compact { HEADER_AT + 16..HEADER_END } else { HEADER_AT + 8..HEADER_AT + 24 };
        let known = if compact { form & !COMPACT } else { self.xcr0 };
        if area[reserved].iter().any(|byte| *byte != 0) || known & !self.xcr0 != 0 || held & !known != 0 {
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
            (true, false) => self.xmm[..16].fill(0),
            (true, true) => {}
        }
        if takes_mxcsr {
            self.mxcsr = if has_mxcsr { mxcsr } else { fresh.mxcsr };
        }
        for (component, ..) in EXTENDED.into_iter().filter(|(component, ..)| wanted & component != 0) {
            let range = extended(form).find(|(place, _)| *place == component).map(|(_, range)| range);
            let range = range.filter(|_| held & component != 0);
            self.load_component(component, range.map_or(&[0; 1024], |range| &area[range]));
        }
        Ok(())
    }

    /// Loads one of the components beyond the image.
    fn load_component(&mut self, component: u64, bytes: &[u8]) {
        match component {
            AVX => get_vectors(bytes, self.ymm_high[..16].iter_mut()),
            OPMASK => {
                for (k, bytes) in self.k.iter_mut().zip(bytes.chunks_exact(8)) {
                    *k = bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
                }
            }
            ZMM_HIGH => get_vectors(bytes, self.zmm_high[..16].iter_mut().flatten()),
            _ => {
                for (n, bytes) in (16..32).zip(bytes.chunks_exact(64)) {
                    let low = [&mut self.xmm[n], &mut self.ymm_high[n]];
                    get_vectors(bytes, low.into_iter().chain(&mut self.zmm_high[n]));
                }
            }
        }
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
        assert_eq!(word(&area, HEADER_AT), USUAL);
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
