//! What a case starts from and ends with: all that an instruction in ring 3 can read or write.

use std::fmt;

use crate::native::{avx_512, is_intel};
use crate::rng::{Pool, Rng};

/// Where the cases' code is, one slot a case.
pub(crate) const CODE: u64 = 0x1000_0000;
/// Where the code is that can be written, and the same bytes once more.
pub(crate) const WRITABLE: [u64; 2] = [0x1100_0000, 0x1180_0000];
/// Bytes of a slot.
pub(crate) const SLOT: usize = 256;
/// In a slot, where branches go that are taken: within reach of short ones. Blocks that are longer have none.
pub(crate) const TARGET: usize = 112;
/// Room that the way back from a slot takes.
pub(crate) const LEAVE_BYTES: usize = 16;
/// Four pages of data: two that can be written, one that can't, and one that isn't there.
pub(crate) const DATA: u64 = 0x2000_0000;
/// Pages of it that are there.
pub(crate) const DATA_PAGES: usize = 3;
/// The parts of the data that each case fills anew and compares: offset and length. One is around the border between two
/// pages, one before the page that can't be written. What a case writes elsewhere stays for the others of its batch, on both
/// sides.
pub(crate) const WINDOWS: [(usize, usize); 2] = [(0xe00, 1024), (0x1f00, 256)];
/// Bytes of both.
pub(crate) const WINDOW_BYTES: usize = 1280;
/// The XSAVE image's size: legacy area, header, and components up to those of AVX-512, wherever a maker has them.
pub(crate) const XSAVE: usize = 2688;
/// Its size up to the upper halves of ymm0 to ymm15.
pub(crate) const XSAVE_AVX: usize = 832;
/// The components that every case has: x87, SSE, AVX.
pub(crate) const USUAL: u8 = 7;
/// Those of AVX-512: opmask registers, upper halves of zmm0 to zmm15, and zmm16 to zmm31.
pub(crate) const OPMASK: u8 = 0x20;
pub(crate) const ZMM_HIGH: u8 = 0x40;
pub(crate) const ZMM_16_TO_31: u8 = 0x80;
pub(crate) const AVX_512: u8 = OPMASK | ZMM_HIGH | ZMM_16_TO_31;

/// No exception.
pub(crate) const NO_TRAP: u64 = u64::MAX;
/// The child died of it.
pub(crate) const DIED: u64 = u64::MAX - 1;
/// The core left in another way than by the end of the slot or an exception.
pub(crate) const ODD_EXIT: u64 = u64::MAX - 2;
/// The core does not have it.
pub(crate) const MISSING: u64 = u64::MAX - 3;

/// Registers and memory. The native module's assembly knows the offsets.
#[repr(C, align(64))]
#[derive(Clone)]
pub(crate) struct State {
    /// x87, SSE, AVX and AVX-512 as XSAVE64 has them on this host. Before the case the header says which the core has.
    pub(crate) xsave: [u8; XSAVE],
    /// In the order of their numbers.
    pub(crate) gpr: [u64; 16],
    /// At the start of the case; after it at its end, or at the instruction that faulted.
    pub(crate) rip: u64,
    /// RFLAGS.
    pub(crate) flags: u64,
    /// The base of fs.
    pub(crate) fs: u64,
    /// The base of gs.
    pub(crate) gs: u64,
    /// The vector of the exception, or one of the numbers above.
    pub(crate) trap: u64,
    /// Its error code, or 0.
    pub(crate) error: u64,
    /// A page fault's address, or 0.
    pub(crate) cr2: u64,
    /// Before the case the length of its code; after it 1 if it ended at the target of branches.
    pub(crate) branched: u64,
    /// Selectors of ds, es, fs and gs.
    pub(crate) selectors: [u16; 4],
    /// The content of the windows.
    pub(crate) memory: [u8; WINDOW_BYTES],
    /// The bytes of the slot.
    pub(crate) code: [u8; SLOT],
}

/// A field of the image.
pub(crate) fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// The image's field of up to 16 bytes.
pub(crate) fn field(image: &[u8], at: usize, len: usize) -> u128 {
    image[at..at + len].iter().rev().fold(0, |value, byte| value << 8 | u128::from(*byte))
}

/// Offsets in the image.
pub(crate) mod at {
    pub(crate) const CONTROL: usize = 0;
    pub(crate) const STATUS: usize = 2;
    pub(crate) const TAGS: usize = 4;
    /// The last opcode, of 2 bytes, and the addresses of the last instruction and operand, of 16.
    pub(crate) const OPCODE: usize = 6;
    pub(crate) const POINTERS: usize = 8;
    pub(crate) const MXCSR: usize = 24;
    pub(crate) const ST: usize = 32;
    pub(crate) const XMM: usize = 160;
    /// Which components the header says to be in use.
    pub(crate) const IN_USE: usize = 512;
    pub(crate) const YMM_HIGH: usize = 576;

    /// AMD's places of AVX-512's components, which no host has that lacks them.
    const USUAL: [usize; 3] = [832, 896, 1408];

    /// Opmask register `n`.
    pub(crate) fn opmask(n: usize) -> usize {
        super::avx_512().unwrap_or(USUAL)[0] + 8 * n
    }

    /// 128 bits of vector register `n`: part 0 is its xmm register, part 1 the upper half of ymm, parts 2 and 3 that of zmm.
    pub(crate) fn vector(n: usize, part: usize) -> usize {
        let [_, zmm_high, zmm_16] = super::avx_512().unwrap_or(USUAL);
        match (n, part) {
            (16.., _) => zmm_16 + 64 * (n - 16) + 16 * part,
            (_, 0) => XMM + 16 * n,
            (_, 1) => YMM_HIGH + 16 * n,
            _ => zmm_high + 32 * n + 16 * (part - 2),
        }
    }
}

/// All parts of all vector registers, as `at::vector` takes them: first what SSE has, then what AVX has.
pub(crate) fn vectors() -> impl Iterator<Item = (usize, usize)> {
    (0..4)
        .flat_map(|part| (0..16).map(move |n| (n, part)))
        .chain((16..32).flat_map(|n| (0..4).map(move |part| (n, part))))
}

impl State {
    /// With nothing in it.
    pub(crate) fn empty() -> Self {
        Self {
            xsave: [0; XSAVE],
            gpr: [0; 16],
            rip: 0,
            flags: 0x202,
            fs: 0,
            gs: 0,
            trap: NO_TRAP,
            error: 0,
            cr2: 0,
            branched: 0,
            selectors: [0; 4],
            memory: [0; WINDOW_BYTES],
            code: [0; SLOT],
        }
    }

    /// Random registers and memory; rsp and rbp point into the first window.
    pub(crate) fn random(rng: &mut Rng, pool: &Pool) -> Self {
        let mut state = Self::empty();
        state.gpr.fill_with(|| rng.integer());
        for register in [4, 5] {
            state.gpr[register] = DATA + 0x1000 + 8 * rng.below(32) - 128;
        }
        state.flags |= rng.next() & 0x8d5 | if rng.one_in(8) { 0x400 } else { 0 };
        state.fs = rng.below(64);
        state.gs = rng.below(64);
        state.selectors = crate::segments::selectors(rng);
        state.xsave = image(rng, pool);
        for chunk in state.memory.chunks_exact_mut(16) {
            match rng.below(8) {
                0 | 1 => {
                    chunk[..10].copy_from_slice(&pool.f80(rng));
                }
                2 | 3 => {
                    put(chunk, 0, &rng.integer().to_le_bytes());
                    put(chunk, 8, &rng.integer().to_le_bytes());
                }
                _ => chunk.copy_from_slice(&pool.vector(rng).to_le_bytes()),
            }
        }
        state
    }

    /// Whether the core has AVX-512.
    pub(crate) fn has_avx_512(&self) -> bool {
        self.xsave[at::IN_USE] & AVX_512 != 0
    }

    /// Writes to the windows as if at `address`; what is outside is left out.
    pub(crate) fn poke(&mut self, address: u64, bytes: &[u8]) {
        for (i, byte) in bytes.iter().enumerate() {
            if let Some(at) = window(address.wrapping_add(i as u64)) {
                self.memory[at] = *byte;
            }
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flags {:x}, gpr {:x?}", self.flags, self.gpr)?;
        let word = |at, len| field(&self.xsave, at, len);
        write!(f, ", mxcsr {:x}", word(at::MXCSR, 4))?;
        write!(f, ", x87 {:x}/{:x}/{:x}", word(at::CONTROL, 2), word(at::STATUS, 2), word(at::TAGS, 1))?;
        if self.has_avx_512() {
            write!(f, ", k {:x?}", [0, 1, 2, 3, 4, 5, 6, 7].map(|n| word(at::opmask(n), 8)))?;
        }
        Ok(())
    }
}

/// Where in `State::memory` an address is.
pub(crate) fn window(address: u64) -> Option<usize> {
    let offset = usize::try_from(address.wrapping_sub(DATA)).ok()?;
    let mut start = 0;
    for (at, len) in WINDOWS {
        if (at..at + len).contains(&offset) {
            return Some(start + offset - at);
        }
        start += len;
    }
    None
}

/// The address of a place in `State::memory`.
pub(crate) fn address_in_window(at: usize) -> u64 {
    let (first, second) = (WINDOWS[0], WINDOWS[1]);
    DATA + if at < first.1 { first.0 + at } else { second.0 + at - first.1 } as u64
}

/// A random XSAVE image, as a processor would write it.
pub(crate) fn image(rng: &mut Rng, pool: &Pool) -> [u8; XSAVE] {
    let mut image = [0; XSAVE];
    let mut control = 0x37f;
    if rng.one_in(2) {
        control = 0x7f | (rng.below(4) as u16) << 10 | rng.pick(&[0u16, 2, 3, 3]) << 8;
    }
    if rng.one_in(10) {
        control &= !(1 << rng.below(6));
    }
    let top = if rng.one_in(2) { 0 } else { rng.below(8) as u16 };
    let raised = if rng.one_in(4) { rng.next() as u16 & 0x7f } else { 0 };
    // Seldom one that is not masked: #MF comes before anything else then.
    let raised = if rng.one_in(16) { raised } else { raised & control };
    let summary = if raised & !control & 0x3f != 0 { 0x8080 } else { 0 };
    let status = top << 11 | rng.next() as u16 & 0x4700 | raised | summary;
    let tags = match rng.below(4) {
        0 => rng.next() as u8,
        1 => 0xff,
        _ => (0..1 + rng.below(6)).fold(0, |tags, i| tags | 1u8 << ((u64::from(top) + i) & 7)),
    };
    put(&mut image, at::CONTROL, &control.to_le_bytes());
    put(&mut image, at::STATUS, &status.to_le_bytes());
    put(&mut image, at::TAGS, &[tags]);
    put(&mut image, at::OPCODE, &(rng.next() as u16).to_le_bytes());
    for at in [at::POINTERS, at::POINTERS + 8] {
        let mut address = if rng.one_in(2) { DATA + rng.below(1 << 12) } else { rng.integer() };
        if is_intel() {
            // AMD's processors load 57 bits of them, the last of which is the sign.
            address = ((address << 7) as i64 >> 7) as u64;
        }
        put(&mut image, at, &address.to_le_bytes());
    }
    if is_intel() && summary == 0 {
        // Intel's processors load them from any image, AMD's only where an exception is pending.
        image[at::OPCODE..at::MXCSR].fill(0);
    }
    let mut mxcsr = 0x1f80;
    match rng.below(4) {
        0 => mxcsr |= rng.next() as u32 & 0x603f,
        1 => mxcsr |= rng.next() as u32 & 0xe07f,
        2 => mxcsr |= 0x20,
        _ => {}
    }
    if rng.one_in(10) {
        mxcsr &= !(0x80 << rng.below(6));
    }
    put(&mut image, at::MXCSR, &mxcsr.to_le_bytes());
    for i in 0..8 {
        put(&mut image, at::ST + 16 * i, &pool.f80(rng));
    }
    for i in 0..16 {
        put(&mut image, at::XMM + 16 * i, &pool.vector(rng).to_le_bytes());
        put(&mut image, at::YMM_HIGH + 16 * i, &pool.vector(rng).to_le_bytes());
    }
    if rng.one_in(3) {
        // Vectors that are nearly equal, for comparisons.
        let first = field(&image, at::XMM, 16);
        for i in 1..16 {
            if rng.one_in(2) {
                put(&mut image, at::XMM + 16 * i, &(first ^ 1 << rng.below(128)).to_le_bytes());
            }
        }
    }
    image[at::IN_USE] = USUAL;
    if pool.avx_512 {
        image[at::IN_USE] |= AVX_512;
        put_avx_512(&mut image, rng, pool);
    }
    image
}

/// Random opmask registers, and what zmm registers have beyond ymm0 to ymm15.
fn put_avx_512(image: &mut [u8; XSAVE], rng: &mut Rng, pool: &Pool) {
    for n in 0..8 {
        put(image, at::opmask(n), &rng.mask().to_le_bytes());
    }
    for (n, part) in vectors().filter(|(n, part)| *n >= 16 || *part >= 2) {
        put(image, at::vector(n, part), &pool.vector(rng).to_le_bytes());
    }
    if rng.one_in(3) {
        // Nearly equal again.
        for n in 1..32 {
            if rng.one_in(2) {
                let other = rng.below(4) as usize;
                for part in 0..4 {
                    let changed = if part == other { 1 << rng.below(128) } else { 0 };
                    let value = field(image, at::vector(0, part), 16) ^ changed;
                    put(image, at::vector(n, part), &value.to_le_bytes());
                }
            }
        }
    }
    if rng.one_in(3) {
        // Small numbers, as counts and indices are.
        let (n, bits) = (rng.below(32) as usize, rng.pick(&[8, 16, 32, 64]));
        for part in 0..4 {
            let value = (0..128 / bits).fold(0u128, |value, _| value << bits | u128::from(rng.below(80)));
            put(image, at::vector(n, part), &value.to_le_bytes());
        }
    }
}
