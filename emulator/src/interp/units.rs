//! Which execution units may be used: x87, MMX, SSE and AVX, as CR0, CR4 and XCR0 say.
//!
//! A system that has not enabled a unit wants #UD, and one that saves its state lazily wants #NM at its next use. Both are
//! decided when instructions are decoded; blocks are kept apart by [`Units`], so that executing them costs nothing.

use iced_x86::{CpuidFeature, EncodingKind, Instruction, Mnemonic, Register};

use super::core::Core;
use super::op::{Exec, Op, Stop};
use crate::exit::{Exception, vector};
use crate::xstate::{AVX, AVX_512, SSE};
use crate::{Cpu, CpuModel};

/// CR0.MP: WAIT heeds TS.
const MP: u64 = 1 << 1;
/// CR0.EM: there is no x87 unit.
const EM: u64 = 1 << 2;
/// CR0.TS: the state is some other task's.
const TS: u64 = 1 << 3;
/// CR4.OSFXSR: the system saves SSE's state.
const OSFXSR: u64 = 1 << 9;
/// CR4.OSXMMEXCPT: the system handles #XM.
pub(super) const OSXMMEXCPT: u64 = 1 << 10;
/// CR4.OSXSAVE: the system uses XSAVE.
pub(super) const OSXSAVE: u64 = 1 << 18;

/// What is not as usual; 0 if everything may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Units(u8);

const EMULATED: u8 = 1;
const SWITCHED: u8 = 2;
const WAIT: u8 = 4;
const NO_SSE: u8 = 8;
const NO_AVX: u8 = 16;
const NO_AVX_512: u8 = 32;

/// The unit whose state an instruction uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    X87,
    /// FXSAVE and its kin, which are no x87 instructions but heed its bits.
    X87State,
    Wait,
    Mmx,
    Sse,
    Avx,
    Avx512,
    /// XSAVE and its kin.
    State,
    None,
}

impl Cpu {
    /// Whether all units of a model that has AVX may be used, as CR0, CR4 and XCR0 say.
    #[inline]
    pub fn has_all_units(&self, model: CpuModel) -> bool {
        const IN_CR4: u64 = OSFXSR | OSXSAVE;
        let all = crate::xstate::of(model);
        self.cr0 & (EM | TS) == 0 && self.cr4 & IN_CR4 == IN_CR4 && self.xcr0 & all == all
    }
}

impl Units {
    /// How many values there are.
    pub(super) const BITS: u32 = 6;

    #[inline]
    pub(super) fn of(cpu: &Cpu) -> Self {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let avx_512 = cpu.cr4 & OSXSAVE != 0 && cpu.xcr0 & AVX_512 == AVX_512;
        let avx = cpu.cr4 & OSXSAVE != 0 && cpu.xcr0 & (SSE | AVX) == SSE | AVX;
        Self(
            bit(cpu.cr0 & EM != 0, EMULATED)
                | bit(cpu.cr0 & TS != 0, SWITCHED)
                | bit(cpu.cr0 & (MP | TS) == MP | TS, WAIT)
                | bit(cpu.cr4 & OSFXSR == 0, NO_SSE)
                | bit(!avx, NO_AVX)
                | bit(!avx_512, NO_AVX_512),
        )
    }

    /// As a number below 2 to the [`Units::BITS`].
    pub(super) fn number(self) -> u8 {
        self.0
    }

    fn any(self, bits: u8) -> bool {
        self.0 & bits != 0
    }

    /// What an instruction does instead, if its unit can't be used.
    pub(super) fn refusal(self, instruction: &Instruction) -> Option<Exec> {
        if self.0 & !NO_AVX_512 == 0 && (self.0 == 0 || !is_avx_512(instruction)) {
            return None;
        }
        let (undefined, unavailable) = match unit(instruction) {
            Unit::X87 | Unit::X87State => (0, EMULATED | SWITCHED),
            Unit::Wait => (0, WAIT),
            Unit::Mmx => (EMULATED, SWITCHED),
            Unit::Sse => (EMULATED | NO_SSE, SWITCHED),
            Unit::Avx => (NO_AVX, SWITCHED),
            Unit::Avx512 => (NO_AVX_512, SWITCHED),
            Unit::State => (0, SWITCHED),
            Unit::None => (0, 0),
        };
        if self.any(undefined) {
            Some(raise_undefined)
        } else if self.any(unavailable) {
            Some(raise_unavailable)
        } else {
            None
        }
    }
}

/// Whether an instruction uses what only AVX-512 has.
fn is_avx_512(i: &Instruction) -> bool {
    i.encoding() == EncodingKind::EVEX || (0..i.op_count()).any(|n| i.op_register(n).is_k())
}

/// The unit that an instruction uses. Those of the SSE extensions that touch no vector register use none.
fn unit(i: &Instruction) -> Unit {
    let uses = |is: fn(Register) -> bool| (0..i.op_count()).any(|n| is(i.op_register(n)));
    let vector = uses(|register| register.is_xmm() || register.is_ymm());
    match i.mnemonic() {
        Mnemonic::Wait => return Unit::Wait,
        Mnemonic::Fxsave | Mnemonic::Fxsave64 | Mnemonic::Fxrstor | Mnemonic::Fxrstor64 => return Unit::X87State,
        Mnemonic::Xsave
        | Mnemonic::Xsave64
        | Mnemonic::Xsavec
        | Mnemonic::Xsavec64
        | Mnemonic::Xsaveopt
        | Mnemonic::Xsaveopt64
        | Mnemonic::Xrstor
        | Mnemonic::Xrstor64 => return Unit::State,
        Mnemonic::Ldmxcsr | Mnemonic::Stmxcsr => return Unit::Sse,
        Mnemonic::Vldmxcsr | Mnemonic::Vstmxcsr | Mnemonic::Vzeroupper | Mnemonic::Vzeroall => return Unit::Avx,
        Mnemonic::Emms => return Unit::Mmx,
        _ => {}
    }
    if is_avx_512(i) {
        return Unit::Avx512;
    }
    if i.encoding() == EncodingKind::VEX {
        return if vector { Unit::Avx } else { Unit::None };
    }
    if vector {
        return Unit::Sse;
    }
    if uses(Register::is_mm) {
        return Unit::Mmx;
    }
    let x87 = [CpuidFeature::FPU, CpuidFeature::FPU287, CpuidFeature::FPU387];
    if i.cpuid_features().iter().any(|feature| x87.contains(feature)) { Unit::X87 } else { Unit::None }
}

fn raise_undefined(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    Err(core.ud())
}

fn raise_unavailable(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    Err(core.raise(Exception::new(vector::NM)))
}

/// What instructions are decoded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Which instructions there are.
    pub(crate) model: CpuModel,
    /// Which of them may be used.
    pub(crate) units: Units,
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions};

    use super::*;

    #[test]
    fn each_instruction_has_its_unit() {
        for (bytes, expected) in [
            // fldz; fwait; fxsave [rax]; xsave [rax]; fnstsw ax.
            (&[0xd9, 0xee][..], Unit::X87),
            (&[0x9b], Unit::Wait),
            (&[0x0f, 0xae, 0x00], Unit::X87State),
            (&[0x0f, 0xae, 0x20], Unit::State),
            (&[0xdf, 0xe0], Unit::X87),
            // emms; pavgb mm0, mm1; cvtpi2ps xmm0, mm1.
            (&[0x0f, 0x77], Unit::Mmx),
            (&[0x0f, 0xe0, 0xc1], Unit::Mmx),
            (&[0x0f, 0x2a, 0xc1], Unit::Sse),
            // stmxcsr [rax]; movnti [rax], eax; sfence; crc32 eax, cl; cvttss2si eax, xmm0.
            (&[0x0f, 0xae, 0x18], Unit::Sse),
            (&[0x0f, 0xc3, 0x00], Unit::None),
            (&[0x0f, 0xae, 0xf8], Unit::None),
            (&[0xf2, 0x0f, 0x38, 0xf0, 0xc1], Unit::None),
            (&[0xf3, 0x0f, 0x2c, 0xc0], Unit::Sse),
            // vpxor; andn; vzeroupper.
            (&[0xc5, 0xf9, 0xef, 0xc0], Unit::Avx),
            (&[0xc4, 0xe2, 0x78, 0xf2, 0xc0], Unit::None),
            (&[0xc5, 0xf8, 0x77], Unit::Avx),
            // vaddps zmm0, zmm0, zmm0; kxorq k0, k0, k0.
            (&[0x62, 0xf1, 0x7c, 0x48, 0x58, 0xc0], Unit::Avx512),
            (&[0xc4, 0xe1, 0xfc, 0x47, 0xc0], Unit::Avx512),
        ] {
            assert_eq!(unit(&Decoder::new(64, bytes, DecoderOptions::NONE).decode()), expected, "{bytes:02x?}");
        }
    }
}
