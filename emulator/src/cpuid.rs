//! CPUID, and which instructions there are.
//!
//! Programs ask CPUID before they use an extension, so the answer must be what the core executes. [`FEATURES`] is the one
//! list for both: the `cpuid` instruction collects its bits, and the decoder refuses instructions of extensions that are
//! not in it for the model ([`CpuModel`]) that it decodes for. An extension becomes visible and executable by one line.
//!
//! The rest is what start-up code of C libraries looks at: vendor, family, caches (a library that finds no cache sizes
//! may divide by them), address widths, brand.

use iced_x86::{Code, CpuidFeature, DecoderOptions, Instruction};

use crate::xstate;

/// Where a feature's bit is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bit {
    /// Leaf 1, edx.
    Leaf1Edx(u8),
    /// Leaf 1, ecx.
    Leaf1Ecx(u8),
    /// Leaf 7, ebx.
    Leaf7Ebx(u8),
    /// Leaf 7, ecx.
    Leaf7Ecx(u8),
    /// Leaf 7, edx.
    Leaf7Edx(u8),
    /// Leaf 0xd, subleaf 1, eax.
    XsaveEax(u8),
    /// Leaf 8000_0001, ecx.
    ExtendedEcx(u8),
    /// Leaf 8000_0001, edx.
    ExtendedEdx(u8),
    /// Leaf 8000_0007, edx.
    PowerEdx(u8),
    /// Part of every 64-bit processor, or of those before CPUID.
    Always,
}

use Bit::{Always, ExtendedEcx, ExtendedEdx, Leaf1Ecx, Leaf1Edx, Leaf7Ebx, Leaf7Ecx, Leaf7Edx, PowerEdx, XsaveEax};

/// What a processor has: the levels that compilers and C libraries know x86-64 in, each with all of those before it.
/// Besides the level's own, a model has what processors of its time had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CpuModel {
    /// The first: up to SSE2.
    V1,
    /// Up to SSE4.2, with POPCNT and CMPXCHG16B.
    V2,
    /// Up to AVX2, with BMI, FMA, F16C, LZCNT, MOVBE and XSAVE.
    #[default]
    V3,
    /// AVX-512 as far as compilers count on it, F, CD, BW, DQ and VL: all that there is.
    V4,
}

use CpuModel::{V1, V2, V3, V4};

/// One feature.
struct Feature {
    /// The instructions that it brings, as iced-x86 names them.
    instructions: &'static [CpuidFeature],
    /// Its bit.
    bit: Bit,
    /// The first model that has it.
    since: CpuModel,
    /// Its name as systems list it; empty for what none lists.
    name: &'static str,
}

/// All features.
const FEATURES: &[Feature] = {
    use CpuidFeature as F;
    const fn feature(instructions: &'static [CpuidFeature], bit: Bit, since: CpuModel, name: &'static str) -> Feature {
        Feature { instructions, bit, since, name }
    }
    &[
        feature(&[F::INTEL8086, F::INTEL186, F::INTEL286, F::INTEL386, F::INTEL486, F::X64, F::CPUID], Always, V1, ""),
        // Hints, which are no operation where the extension is off.
        feature(&[F::MULTIBYTENOP, F::PAUSE, F::CET_IBT, F::CLDEMOTE], Always, V1, ""),
        // The hypercall.
        feature(&[F::VMX], Always, V1, ""),
        feature(&[F::FPU, F::FPU287, F::FPU387], Leaf1Edx(0), V1, "fpu"),
        feature(&[], Leaf1Edx(2), V1, "de"),
        feature(&[], Leaf1Edx(3), V1, "pse"),
        feature(&[F::TSC], Leaf1Edx(4), V1, "tsc"),
        feature(&[F::MSR], Leaf1Edx(5), V1, "msr"),
        feature(&[], Leaf1Edx(6), V1, "pae"),
        feature(&[F::CX8], Leaf1Edx(8), V1, "cx8"),
        feature(&[], Leaf1Edx(13), V1, "pge"),
        feature(&[F::CMOV], Leaf1Edx(15), V1, "cmov"),
        feature(&[], Leaf1Edx(16), V1, "pat"),
        feature(&[F::CLFSH], Leaf1Edx(19), V1, "clflush"),
        feature(&[F::MMX], Leaf1Edx(23), V1, "mmx"),
        feature(&[F::FXSR], Leaf1Edx(24), V1, "fxsr"),
        feature(&[F::SSE], Leaf1Edx(25), V1, "sse"),
        feature(&[F::SSE2], Leaf1Edx(26), V1, "sse2"),
        feature(&[F::SYSCALL], ExtendedEdx(11), V1, "syscall"),
        feature(&[], ExtendedEdx(20), V1, "nx"),
        feature(&[F::RDTSCP], ExtendedEdx(27), V1, "rdtscp"),
        feature(&[], ExtendedEdx(29), V1, "lm"),
        // The time stamp counter runs at one rate.
        feature(&[], PowerEdx(8), V1, "constant_tsc"),
        feature(&[F::SSE3], Leaf1Ecx(0), V2, "pni"),
        feature(&[F::PCLMULQDQ], Leaf1Ecx(1), V2, "pclmulqdq"),
        feature(&[F::SSSE3], Leaf1Ecx(9), V2, "ssse3"),
        feature(&[F::FMA], Leaf1Ecx(12), V3, "fma"),
        feature(&[F::CMPXCHG16B], Leaf1Ecx(13), V2, "cx16"),
        feature(&[F::SSE4_1], Leaf1Ecx(19), V2, "sse4_1"),
        feature(&[F::SSE4_2], Leaf1Ecx(20), V2, "sse4_2"),
        feature(&[F::MOVBE], Leaf1Ecx(22), V3, "movbe"),
        feature(&[F::POPCNT], Leaf1Ecx(23), V2, "popcnt"),
        feature(&[F::AES], Leaf1Ecx(25), V2, "aes"),
        feature(&[F::XSAVE], Leaf1Ecx(26), V3, "xsave"),
        feature(&[F::AVX], Leaf1Ecx(28), V3, "avx"),
        feature(&[F::F16C], Leaf1Ecx(29), V3, "f16c"),
        feature(&[F::RDRAND], Leaf1Ecx(30), V3, "rdrand"),
        // LAHF and SAHF in 64-bit mode.
        feature(&[], ExtendedEcx(0), V2, "lahf_lm"),
        feature(&[F::LZCNT], ExtendedEcx(5), V3, "abm"),
        feature(&[F::PREFETCHW], ExtendedEcx(8), V1, "3dnowprefetch"),
        feature(&[F::FSGSBASE], Leaf7Ebx(0), V1, "fsgsbase"),
        feature(&[F::BMI1], Leaf7Ebx(3), V3, "bmi1"),
        feature(&[F::AVX2], Leaf7Ebx(5), V3, "avx2"),
        feature(&[F::BMI2], Leaf7Ebx(8), V3, "bmi2"),
        // `rep movsb` and `rep stosb` are the fastest copies here, short ones too.
        feature(&[], Leaf7Ebx(9), V1, "erms"),
        feature(&[], Leaf7Edx(4), V1, "fsrm"),
        feature(&[F::AVX512F], Leaf7Ebx(16), V4, "avx512f"),
        feature(&[F::AVX512DQ], Leaf7Ebx(17), V4, "avx512dq"),
        feature(&[F::RDSEED], Leaf7Ebx(18), V3, "rdseed"),
        feature(&[F::ADX], Leaf7Ebx(19), V3, "adx"),
        feature(&[F::CLFLUSHOPT], Leaf7Ebx(23), V3, "clflushopt"),
        feature(&[F::CLWB], Leaf7Ebx(24), V3, "clwb"),
        feature(&[F::AVX512CD], Leaf7Ebx(28), V4, "avx512cd"),
        feature(&[F::SHA], Leaf7Ebx(29), V3, "sha_ni"),
        feature(&[F::AVX512BW], Leaf7Ebx(30), V4, "avx512bw"),
        feature(&[F::AVX512VL], Leaf7Ebx(31), V4, "avx512vl"),
        feature(&[], Leaf7Ecx(2), V3, "umip"),
        feature(&[F::RDPID], Leaf7Ecx(22), V3, "rdpid"),
        feature(&[F::XSAVEOPT], XsaveEax(0), V3, "xsaveopt"),
        feature(&[F::XSAVEC], XsaveEax(1), V3, "xsavec"),
        // XGETBV with ecx 1: the components in use.
        feature(&[], XsaveEax(2), V3, "xgetbv1"),
    ]
};

impl CpuModel {
    fn features(self) -> impl Iterator<Item = &'static Feature> {
        FEATURES.iter().filter(move |feature| feature.since <= self)
    }

    /// The names of its features, as systems list them.
    pub fn feature_names(self) -> impl Iterator<Item = &'static str> {
        self.features().map(|feature| feature.name).filter(|name| !name.is_empty())
    }

    /// Whether it has all extensions that an instruction needs.
    pub fn executes(self, instruction: &Instruction) -> bool {
        has(self, instruction)
    }

    /// Whether it has AVX state, which XSAVE saves.
    pub fn has_xsave(self) -> bool {
        self >= V3
    }

    /// Whether it has the state of AVX-512.
    pub fn has_avx_512(self) -> bool {
        self >= V4
    }

    /// Bytes of what XSAVE writes, all state in use.
    pub fn xsave_size(self) -> usize {
        xstate::size(xstate::of(self), 0)
    }
}

/// How bytes are decoded for a model: TZCNT and LZCNT are BSF and BSR with a prefix that means nothing where they are not
/// known, which is why compilers use them everywhere.
pub(crate) fn decoder_options(model: CpuModel) -> u32 {
    const BMI1: CpuModel = since(CpuidFeature::BMI1);
    const LZCNT: CpuModel = since(CpuidFeature::LZCNT);
    let tzcnt = if model >= BMI1 { DecoderOptions::NONE } else { DecoderOptions::NO_MPFX_0FBC };
    let lzcnt = if model >= LZCNT { DecoderOptions::NONE } else { DecoderOptions::NO_MPFX_0FBD };
    tzcnt | lzcnt
}

/// The first model with the instructions of each of iced-x86's features, if any has them.
static SINCE: [Option<CpuModel>; 256] = all_since();

const fn all_since() -> [Option<CpuModel>; 256] {
    let mut all = [None; 256];
    // Where more than one line brings a feature's instructions, the first model that has one.
    let mut i = FEATURES.len();
    while i > 0 {
        i -= 1;
        let mut j = 0;
        while j < FEATURES[i].instructions.len() {
            let first = &mut all[FEATURES[i].instructions[j] as usize];
            if !matches!(first, Some(known) if (*known as u8) < FEATURES[i].since as u8) {
                *first = Some(FEATURES[i].since);
            }
            j += 1;
        }
    }
    all
}

/// The first model with the instructions of a feature.
const fn since(feature: CpuidFeature) -> CpuModel {
    match all_since()[feature as usize] {
        Some(model) => model,
        None => panic!("no model has it"),
    }
}

/// Whether a model has all extensions that an instruction needs.
pub(crate) fn has(model: CpuModel, instruction: &Instruction) -> bool {
    if matches!(instruction.code(), Code::Rdsspd_r32 | Code::Rdsspq_r64) {
        // No operation where shadow stacks are off.
        return true;
    }
    instruction.cpuid_features().iter().all(|needed| SINCE[*needed as usize].is_some_and(|since| since <= model))
}

/// The bits of one register: `place` answers the bit's number if it belongs there.
fn collect(model: CpuModel, place: impl Fn(Bit) -> Option<u8>) -> u32 {
    model.features().filter_map(|feature| place(feature.bit)).fold(0, |bits, n| bits | 1 << n)
}

macro_rules! bits {
    ($model:ident, $place:ident) => {
        collect($model, |bit| if let $place(n) = bit { Some(n) } else { None })
    };
}

/// C libraries look at features of makers that they know only: glibc and libgcc leave AVX2 alone elsewhere. Family 6 with
/// an unknown model is taken for a newer one, which has no known errata.
const VENDOR: &[u8; 12] = b"GenuineIntel";
const BRAND: &[u8; 48] = b"callgate x86-64 core, emulated\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const MAX_LEAF: u32 = 0xd;
const MAX_EXTENDED_LEAF: u32 = 0x8000_0008;
/// Family 6, model 0, stepping 0.
const SIGNATURE: u32 = 0x600;

fn word(text: &[u8], at: usize) -> u32 {
    text[at..at + 4].iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// A cache as leaf 4 describes it.
struct Cache {
    /// 1 data, 2 instructions, 3 both.
    kind: u32,
    level: u32,
    ways: u32,
    kib: u32,
}

const LINE: u32 = 64;
/// The third level is as large as processors have it: C libraries copy with `rep movsb` what fits, which is a copy of the
/// host here, and more than that with streaming stores, which are not.
const CACHES: [Cache; 4] = [
    Cache { kind: 1, level: 1, ways: 8, kib: 32 },
    Cache { kind: 2, level: 1, ways: 8, kib: 32 },
    Cache { kind: 3, level: 2, ways: 8, kib: 1024 },
    Cache { kind: 3, level: 3, ways: 16, kib: 1 << 20 },
];

/// OSXSAVE: the system has enabled XSAVE, as CR4 says after reset here.
pub(crate) const OSXSAVE: u32 = 1 << 27;

fn leaf_1_ecx(model: CpuModel) -> u32 {
    bits!(model, Leaf1Ecx) | if model.has_xsave() { OSXSAVE } else { 0 }
}

/// Leaf 0xd: the components and their places in the area.
fn xsave(model: CpuModel, subleaf: u32) -> [u32; 4] {
    let (components, size) = (xstate::of(model), model.xsave_size() as u32);
    let compacted = xstate::size(components, xstate::COMPACT | components) as u32;
    match subleaf {
        // All are enabled always, so that both sizes are that of the whole.
        0 => [components as u32, size, size, 0],
        1 => [bits!(model, XsaveEax), compacted, 0, 0],
        _ => {
            let component = 1u64.checked_shl(subleaf).unwrap_or(0) & components;
            let place = xstate::EXTENDED.into_iter().find(|(known, ..)| *known == component);
            place.map_or([0; 4], |(_, at, size)| [size as u32, at as u32, 0, 0])
        }
    }
}

/// What `cpuid` answers in eax, ebx, ecx, edx. Leaves beyond the highest answer zeros.
pub fn cpuid(model: CpuModel, leaf: u32, subleaf: u32) -> [u32; 4] {
    match leaf {
        0 => [MAX_LEAF, word(VENDOR, 0), word(VENDOR, 8), word(VENDOR, 4)],
        // One logical processor, lines of 8 · 8 bytes.
        1 => [SIGNATURE, 0x0001_0000 | (LINE / 8) << 8, leaf_1_ecx(model), bits!(model, Leaf1Edx)],
        // "No descriptors here; see leaf 4."
        2 => [0x00ff_ff01, 0, 0, 0],
        4 => cache(subleaf),
        7 if subleaf == 0 => [0, bits!(model, Leaf7Ebx), bits!(model, Leaf7Ecx), bits!(model, Leaf7Edx)],
        0xd if model.has_xsave() => xsave(model, subleaf),
        0x8000_0000 => [MAX_EXTENDED_LEAF, word(VENDOR, 0), word(VENDOR, 8), word(VENDOR, 4)],
        0x8000_0001 => [SIGNATURE, 0, bits!(model, ExtendedEcx), bits!(model, ExtendedEdx)],
        0x8000_0002..=0x8000_0004 => {
            let at = 16 * (leaf - 0x8000_0002) as usize;
            [0, 4, 8, 12].map(|i| word(BRAND, at + i))
        }
        // Level 1: size in KiB, ways, lines per tag, line size; data then instructions.
        0x8000_0005 => [0, 0, CACHES[0].amd_level_1(), CACHES[1].amd_level_1()],
        // Level 2: size in KiB, ways (6 codes 8, 8 codes 16), line size. Level 3: size in half MiB.
        0x8000_0006 => {
            [0, 0, CACHES[2].kib << 16 | 6 << 12 | 1 << 8 | LINE, (CACHES[3].kib / 512) << 18 | 8 << 12 | 1 << 8 | LINE]
        }
        0x8000_0007 => [0, 0, 0, bits!(model, PowerEdx)],
        // 40 bits of physical, 48 of linear addresses; one core.
        0x8000_0008 => [48 << 8 | 40, 0, 0, 0],
        _ => [0; 4],
    }
}

impl Cache {
    fn amd_level_1(&self) -> u32 {
        self.kib << 24 | self.ways << 16 | 1 << 8 | LINE
    }
}

fn cache(subleaf: u32) -> [u32; 4] {
    let Some(cache) = CACHES.get(subleaf as usize) else { return [0; 4] };
    let sets = cache.kib * 1024 / LINE / cache.ways;
    // Self-initialising; ways, partitions and line size, each less one.
    [cache.kind | cache.level << 5 | 1 << 8, (cache.ways - 1) << 22 | (LINE - 1), sets - 1, 0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use iced_x86::Decoder;

    fn decode(bytes: &[u8]) -> Instruction {
        Decoder::new(64, bytes, DecoderOptions::NONE).decode()
    }

    #[test]
    fn bits_and_decoding_agree() {
        let [_, _, ecx, edx] = cpuid(V3, 1, 0);
        // pxor xmm0, xmm0; vpxor xmm0, xmm0, xmm0.
        assert_eq!(edx >> 26 & 1 != 0, has(V3, &decode(&[0x66, 0x0f, 0xef, 0xc0])));
        assert_eq!(ecx >> 28 & 1 != 0, has(V3, &decode(&[0xc5, 0xf9, 0xef, 0xc0])));
        // crc32 eax, cl; movbe eax, [rcx].
        assert_eq!(ecx >> 20 & 1 != 0, has(V3, &decode(&[0xf2, 0x0f, 0x38, 0xf0, 0xc1])));
        assert_eq!(ecx >> 22 & 1 != 0, has(V3, &decode(&[0x0f, 0x38, 0xf0, 0x01])));
    }

    #[test]
    fn models_lack_what_came_later() {
        // popcnt eax, ecx; vpxor xmm0, xmm0, xmm0; pxor xmm0, xmm0.
        let [popcnt, vpxor, pxor] =
            [&[0xf3, 0x0f, 0xb8, 0xc1][..], &[0xc5, 0xf9, 0xef, 0xc0], &[0x66, 0x0f, 0xef, 0xc0]];
        let has = |bytes: &[u8]| [V1, V2, V3].map(|model| has(model, &decode(bytes)));
        assert_eq!((has(popcnt), has(vpxor), has(pxor)), ([false, true, true], [false, false, true], [true; 3]));
        assert_eq!([V1, V2, V3].map(|model| cpuid(model, 1, 0)[2] >> 23 & 0x21), [0, 1, 0x21]);
        assert!(V3.feature_names().any(|name| name == "avx2") && !V2.feature_names().any(|name| name == "avx2"));
    }

    #[test]
    fn tzcnt_and_lzcnt_are_bsf_and_bsr_before() {
        // tzcnt eax, ecx; lzcnt eax, ecx.
        let codes = |model| {
            [[0xf3, 0x0f, 0xbc, 0xc1], [0xf3, 0x0f, 0xbd, 0xc1]]
                .map(|bytes| Decoder::new(64, &bytes, decoder_options(model)).decode().code())
        };
        assert_eq!(codes(V3), [Code::Tzcnt_r32_rm32, Code::Lzcnt_r32_rm32]);
        assert_eq!(codes(V2), [Code::Bsf_r32_rm32, Code::Bsr_r32_rm32]);
    }

    #[test]
    fn cache_sizes_are_what_their_fields_multiply_to() {
        for (i, expected) in CACHES.iter().enumerate() {
            let [_, ebx, ecx, _] = cpuid(V3, 4, i as u32);
            let size = ((ebx >> 22) + 1) * ((ebx >> 12 & 0x3ff) + 1) * ((ebx & 0xfff) + 1) * (ecx + 1);
            assert_eq!(size, expected.kib * 1024);
        }
        assert_eq!(cpuid(V3, 4, 4), [0; 4]);
    }

    #[test]
    fn leaves_beyond_the_highest_are_empty() {
        assert_eq!(cpuid(V3, 0x4000_0000, 0), [0; 4]);
        assert_eq!(cpuid(V3, u32::MAX, 0), [0; 4]);
    }
}
