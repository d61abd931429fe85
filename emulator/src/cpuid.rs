//! CPUID, and which instructions there are.
//!
//! Programs ask CPUID before they use an extension, so the answer must be what the core executes. [`FEATURES`] is the one
//! list for both: the `cpuid` instruction collects its bits, and the decoder refuses instructions of extensions that are
//! not in it. An extension becomes visible and executable by one line.
//!
//! The rest is what start-up code of C libraries looks at: vendor, family, caches (a library that finds no cache sizes
//! may divide by them), address widths, brand.

use iced_x86::{Code, CpuidFeature, Instruction};

/// Where a feature's bit is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bit {
    /// Leaf 1, edx.
    Leaf1Edx(u8),
    /// Leaf 1, ecx.
    Leaf1Ecx(u8),
    /// Leaf 7, ebx.
    Leaf7Ebx(u8),
    /// Leaf 7, edx.
    Leaf7Edx(u8),
    /// Leaf 8000_0001, ecx.
    ExtendedEcx(u8),
    /// Leaf 8000_0001, edx.
    ExtendedEdx(u8),
    /// Leaf 8000_0007, edx.
    PowerEdx(u8),
    /// Part of every 64-bit processor, or of those before CPUID.
    Always,
}

use Bit::{Always, ExtendedEcx, ExtendedEdx, Leaf1Ecx, Leaf1Edx, Leaf7Ebx, Leaf7Edx, PowerEdx};

/// All features: the instructions that each brings, as iced-x86 names them, and its bit.
const FEATURES: &[(&[CpuidFeature], Bit)] = {
    use CpuidFeature as F;
    &[
        (&[F::INTEL8086, F::INTEL186, F::INTEL286, F::INTEL386, F::INTEL486, F::X64, F::CPUID], Always),
        // Hints, which are no operation where the extension is off.
        (&[F::MULTIBYTENOP, F::PAUSE, F::CET_IBT, F::CLDEMOTE], Always),
        // The hypercall.
        (&[F::VMX], Always),
        (&[F::FPU, F::FPU287, F::FPU387], Leaf1Edx(0)),
        // Debugging extensions, page-size extension, PAE, global pages, PAT.
        (&[], Leaf1Edx(2)),
        (&[], Leaf1Edx(3)),
        (&[F::TSC], Leaf1Edx(4)),
        (&[F::MSR], Leaf1Edx(5)),
        (&[], Leaf1Edx(6)),
        (&[F::CX8], Leaf1Edx(8)),
        (&[], Leaf1Edx(13)),
        (&[F::CMOV], Leaf1Edx(15)),
        (&[], Leaf1Edx(16)),
        (&[F::CLFSH], Leaf1Edx(19)),
        (&[F::MMX], Leaf1Edx(23)),
        (&[F::FXSR], Leaf1Edx(24)),
        (&[F::SSE], Leaf1Edx(25)),
        (&[F::SSE2], Leaf1Edx(26)),
        (&[F::SSE3], Leaf1Ecx(0)),
        (&[F::PCLMULQDQ], Leaf1Ecx(1)),
        (&[F::SSSE3], Leaf1Ecx(9)),
        (&[F::CMPXCHG16B], Leaf1Ecx(13)),
        (&[F::SSE4_1], Leaf1Ecx(19)),
        (&[F::SSE4_2], Leaf1Ecx(20)),
        (&[F::POPCNT], Leaf1Ecx(23)),
        (&[F::MOVBE], Leaf1Ecx(22)),
        (&[F::AES], Leaf1Ecx(25)),
        (&[F::FSGSBASE], Leaf7Ebx(0)),
        (&[F::BMI1], Leaf7Ebx(3)),
        (&[F::BMI2], Leaf7Ebx(8)),
        (&[F::ADX], Leaf7Ebx(19)),
        (&[F::CLFLUSHOPT], Leaf7Ebx(23)),
        (&[F::CLWB], Leaf7Ebx(24)),
        (&[F::SHA], Leaf7Ebx(29)),
        (&[F::LZCNT], ExtendedEcx(5)),
        // `rep movsb` and `rep stosb` are the fastest copies here, short ones too.
        (&[], Leaf7Ebx(9)),
        (&[], Leaf7Edx(4)),
        // LAHF and SAHF in 64-bit mode.
        (&[], ExtendedEcx(0)),
        (&[F::PREFETCHW], ExtendedEcx(8)),
        (&[F::SYSCALL], ExtendedEdx(11)),
        // No-execute, long mode.
        (&[], ExtendedEdx(20)),
        (&[F::RDTSCP], ExtendedEdx(27)),
        (&[], ExtendedEdx(29)),
        // The time stamp counter runs at one rate.
        (&[], PowerEdx(8)),
    ]
};

/// Whether the core has all extensions that an instruction needs.
pub(crate) fn has(instruction: &Instruction) -> bool {
    if matches!(instruction.code(), Code::Rdsspd_r32 | Code::Rdsspq_r64) {
        // No operation where shadow stacks are off.
        return true;
    }
    instruction.cpuid_features().iter().all(|feature| FEATURES.iter().any(|(features, _)| features.contains(feature)))
}

/// The bits of one register: `place` answers the bit's number if it belongs there.
fn collect(place: impl Fn(Bit) -> Option<u8>) -> u32 {
    FEATURES.iter().filter_map(|(_, bit)| place(*bit)).fold(0, |bits, n| bits | 1 << n)
}

macro_rules! bits {
    ($place:ident) => {
        collect(|bit| if let $place(n) = bit { Some(n) } else { None })
    };
}

/// Twelve characters, as "GenuineIntel" is: a name of our own, so that nobody applies another maker's errata.
const VENDOR: &[u8; 12] = b"CallgateCore";
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
const CACHES: [Cache; 4] = [
    Cache { kind: 1, level: 1, ways: 8, kib: 32 },
    Cache { kind: 2, level: 1, ways: 8, kib: 32 },
    Cache { kind: 3, level: 2, ways: 8, kib: 1024 },
    Cache { kind: 3, level: 3, ways: 16, kib: 16384 },
];

/// What `cpuid` answers in eax, ebx, ecx, edx. Leaves beyond the highest answer zeros.
pub fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    match leaf {
        0 => [MAX_LEAF, word(VENDOR, 0), word(VENDOR, 8), word(VENDOR, 4)],
        // One logical processor, lines of 8 · 8 bytes.
        1 => [SIGNATURE, 0x0001_0000 | (LINE / 8) << 8, bits!(Leaf1Ecx), bits!(Leaf1Edx)],
        // "No descriptors here; see leaf 4."
        2 => [0x00ff_ff01, 0, 0, 0],
        4 => cache(subleaf),
        7 if subleaf == 0 => [0, bits!(Leaf7Ebx), 0, bits!(Leaf7Edx)],
        0x8000_0000 => [MAX_EXTENDED_LEAF, word(VENDOR, 0), word(VENDOR, 8), word(VENDOR, 4)],
        0x8000_0001 => [SIGNATURE, 0, bits!(ExtendedEcx), bits!(ExtendedEdx)],
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
        0x8000_0007 => [0, 0, 0, bits!(PowerEdx)],
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
    use iced_x86::{Decoder, DecoderOptions};

    fn decode(bytes: &[u8]) -> Instruction {
        Decoder::new(64, bytes, DecoderOptions::NONE).decode()
    }

    #[test]
    fn bits_and_decoding_agree() {
        let [_, _, ecx, edx] = cpuid(1, 0);
        // pxor xmm0, xmm0; vpxor xmm0, xmm0, xmm0.
        assert_eq!(edx >> 26 & 1 != 0, has(&decode(&[0x66, 0x0f, 0xef, 0xc0])));
        assert_eq!(ecx >> 28 & 1 != 0, has(&decode(&[0xc5, 0xf9, 0xef, 0xc0])));
        // crc32 eax, cl; movbe eax, [rcx].
        assert_eq!(ecx >> 20 & 1 != 0, has(&decode(&[0xf2, 0x0f, 0x38, 0xf0, 0xc1])));
        assert_eq!(ecx >> 22 & 1 != 0, has(&decode(&[0x0f, 0x38, 0xf0, 0x01])));
    }

    #[test]
    fn cache_sizes_are_what_their_fields_multiply_to() {
        for (i, expected) in CACHES.iter().enumerate() {
            let [_, ebx, ecx, _] = cpuid(4, i as u32);
            let size = ((ebx >> 22) + 1) * ((ebx >> 12 & 0x3ff) + 1) * ((ebx & 0xfff) + 1) * (ecx + 1);
            assert_eq!(size, expected.kib * 1024);
        }
        assert_eq!(cpuid(4, 4), [0; 4]);
    }

    #[test]
    fn leaves_beyond_the_highest_are_empty() {
        assert_eq!(cpuid(0x4000_0000, 0), [0; 4]);
        assert_eq!(cpuid(u32::MAX, 0), [0; 4]);
    }
}
