//! FXSAVE's image of the x87 and SSE state, for the instructions and for kernels that live outside.
//!
//! The processor writes 416 of its 512 bytes; the rest is reserved or left to software.

use crate::cpu::Cpu;
use crate::x87::{F80, Fpu, Pointers};

/// Bytes of the image that the processor writes.
pub(crate) const IMAGE: usize = 416;
/// The bits of MXCSR that exist; others are #GP.
pub(crate) const MXCSR_MASK: u32 = 0xffff;
const ST: usize = 32;
const XMM: usize = 160;

/// The image has bits of MXCSR that don't exist: loading it is #GP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidMxcsr;

impl Cpu {
    /// The x87 and SSE state as FXSAVE64 writes it, with zeroes where it writes nothing.
    pub fn fxsave(&self) -> [u8; 512] {
        let mut bytes = [0; 512];
        bytes[..IMAGE].copy_from_slice(&self.fx_image(true));
        bytes
    }

    /// Loads what [`Cpu::fxsave`] or FXSAVE64 has written.
    ///
    /// # Errors
    /// [`InvalidMxcsr`]; nothing is loaded then.
    pub fn fxrstor(&mut self, bytes: &[u8; 512]) -> Result<(), InvalidMxcsr> {
        let mut image = [0; IMAGE];
        image.copy_from_slice(&bytes[..IMAGE]);
        self.load_fx_image(&image, true)
    }

    /// Gives x87 and SSE the state of a new program: everything empty and zero, exceptions masked.
    pub fn reset_fpu(&mut self) {
        let fresh = Self::default();
        self.fpu = Fpu::default();
        self.xmm = fresh.xmm;
        self.ymm_high = fresh.ymm_high;
        (self.zmm_high, self.k) = (fresh.zmm_high, fresh.k);
        self.mxcsr = fresh.mxcsr;
    }

    /// The image; `wide` is the form with REX.W.
    pub(crate) fn fx_image(&self, wide: bool) -> [u8; IMAGE] {
        let fpu = &self.fpu;
        let mut image = [0; IMAGE];
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &fpu.control.to_le_bytes());
        put(2, &fpu.status_word().to_le_bytes());
        put(4, &[fpu.in_use]);
        if fpu.error_pending() {
            let Pointers { instruction, operand, code_segment, operand_segment, opcode } = fpu.pointers;
            put(6, &opcode.to_le_bytes());
            for (at, address, selector) in [(8, instruction, code_segment), (16, operand, operand_segment)] {
                // Without REX.W the selector is in the upper half.
                let narrow = u64::from(selector) << 32 | u64::from(address as u32);
                put(at, &if wide { address } else { narrow }.to_le_bytes());
            }
        }
        put(24, &self.mxcsr.to_le_bytes());
        put(28, &MXCSR_MASK.to_le_bytes());
        for i in 0..8 {
            put(ST + 16 * usize::from(i), &fpu.raw(i).to_bytes());
        }
        for (i, value) in self.xmm[..16].iter().enumerate() {
            put(XMM + 16 * i, &value.to_le_bytes());
        }
        image
    }

    /// Loads an image.
    pub(crate) fn load_fx_image(&mut self, image: &[u8; IMAGE], wide: bool) -> Result<(), InvalidMxcsr> {
        let field = |at: usize, len: usize| {
            image[at..at + len].iter().rev().fold(0u128, |value, byte| value << 8 | u128::from(*byte))
        };
        let mxcsr = field(24, 4) as u32;
        if mxcsr & !MXCSR_MASK != 0 {
            return Err(InvalidMxcsr);
        }
        self.mxcsr = mxcsr;
        let fpu = &mut self.fpu;
        fpu.set_control_word(field(0, 2) as u16);
        fpu.set_status_word(field(2, 2) as u16);
        fpu.in_use = image[4];
        let address = |at: usize| if wide { extend(field(at, 8) as u64) } else { field(at, 4) as u64 };
        let selector = |at: usize| if wide { 0 } else { field(at + 4, 2) as u16 };
        fpu.pointers = Pointers {
            instruction: address(8),
            operand: address(16),
            code_segment: selector(8),
            operand_segment: selector(16),
            opcode: field(6, 2) as u16 & Pointers::OPCODE,
        };
        for i in 0..8 {
            let at = ST + 16 * usize::from(i);
            fpu.load_raw(i, F80 { sig: field(at, 8) as u64, sign_exp: field(at + 8, 2) as u16 });
        }
        for (i, value) in self.xmm[..16].iter_mut().enumerate() {
            *value = field(XMM + 16 * i, 16);
        }
        Ok(())
    }
}

/// The unit's pointers have 57 bits, the last of which is the sign.
fn extend(address: u64) -> u64 {
    ((address << 7) as i64 >> 7) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_restores_what_it_saved() {
        let mut cpu = Cpu::default();
        cpu.fpu.push(F80 { sig: 1 << 63, sign_exp: 0x3fff });
        cpu.xmm[15] = 0x0123_4567_89ab_cdef << 40;
        cpu.mxcsr = 0x9fc0;
        let image = cpu.fxsave();
        let mut other = Cpu::default();
        assert_eq!(other.fxrstor(&image), Ok(()));
        assert_eq!(other.fxsave(), image);
        assert_eq!((other.xmm[15], other.mxcsr), (cpu.xmm[15], 0x9fc0));
        other.reset_fpu();
        assert_eq!(other.fxsave(), Cpu::default().fxsave());
    }

    #[test]
    fn an_image_with_reserved_bits_is_refused() {
        let mut image = Cpu::default().fxsave();
        image[26] = 1;
        assert_eq!(Cpu::default().fxrstor(&image), Err(InvalidMxcsr));
    }
}
