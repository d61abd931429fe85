//! Random numbers, and random operands: mostly those that arithmetic finds hard.

/// Repeatable random numbers (xorshift64*).
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The numbers of one case.
    pub(crate) fn new(seed: u64, case: u64) -> Self {
        // Two rounds of splitmix64, so that neighbouring seeds and cases have nothing in common.
        let mix = |x: u64| {
            let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^ x >> 31
        };
        Self(mix(mix(seed) ^ case) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`, which is neither 0 nor above 2^32.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((self.next() >> 32) * n) >> 32
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of them.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// An integer: small, all ones, one bit, a mask, sign-extended, or anything.
    pub(crate) fn integer(&mut self) -> u64 {
        match self.below(8) {
            0 => self.below(3),
            1 => self.below(80),
            2 => u64::MAX - self.below(3),
            3 => 1 << self.below(64),
            4 => (1u64 << self.below(64)).wrapping_sub(1),
            5 => self.next() as i32 as u64,
            _ => self.next(),
        }
    }

    /// An opmask: nothing, everything, a few bits, those of the first elements, or anything.
    pub(crate) fn mask(&mut self) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << self.below(64) | 1 << self.below(8),
            3 => 1 << self.below(8) | 1 << self.below(16) | 1 << self.below(4),
            4 => (1 << self.below(64)) - 1,
            _ => self.next(),
        }
    }

    /// A binary floating-point number of `exponent` and `fraction` bits: often at the ends of what there is.
    fn float(&mut self, exponent: u32, fraction: u32) -> u64 {
        let max = (1u64 << exponent) - 1;
        let bias = max / 2;
        let e = match self.below(10) {
            0 => 0,
            1 => max,
            2 => 1 + self.below(3),
            3 => max - 1 - self.below(3),
            4 => self.below(max + 1),
            5 => (bias + self.below(140)).saturating_sub(70) & max,
            _ => (bias + self.below(40)).saturating_sub(20) & max,
        };
        let f = match self.below(7) {
            0 => 0,
            1 => self.below(4),
            2 => u64::MAX - self.below(4),
            3 => 1 << self.below(64),
            4 => u64::MAX << self.below(64),
            _ => self.next(),
        };
        self.below(2) << (exponent + fraction) | e << fraction | f & ((1 << fraction) - 1)
    }

    /// A vector: of anything, of half, single or double floats, or of 16-bit lanes at their limits.
    pub(crate) fn vector(&mut self) -> u128 {
        let lanes = |bits: u32, rng: &mut Self, lane: fn(&mut Self) -> u64| {
            (0..128 / bits).fold(0u128, |v, _| v << bits | u128::from(lane(rng)))
        };
        match self.below(6) {
            0 => lanes(64, self, Self::next),
            1 | 2 => lanes(32, self, |rng| rng.float(8, 23)),
            3 => lanes(16, self, |rng| rng.float(5, 10)),
            4 => lanes(64, self, |rng| rng.float(11, 52)),
            _ => lanes(16, self, |rng| match rng.below(6) {
                0 => 0,
                1 => 0xffff,
                2 => 0x8000,
                3 => 0x7fff,
                4 => rng.below(4),
                _ => rng.next() & 0xffff,
            }),
        }
    }

    /// An 80-bit float, now and then one that no processor makes.
    pub(crate) fn f80(&mut self) -> [u8; 10] {
        const BIAS: u64 = 16383;
        let sign_exp = match self.below(8) {
            0 => self.float(15, 0),
            1 | 2 => BIAS + self.below(70),
            3 => BIAS - self.below(70),
            _ => self.below(2) << 15 | (BIAS + self.below(40) - 20),
        };
        let mut significand = match self.below(6) {
            0 => 0,
            1 => 1 << self.below(64),
            2 => u64::MAX << self.below(64),
            3 => self.next() << 11,
            _ => self.next(),
        };
        if sign_exp & 0x7fff == 0 {
            if !self.one_in(4) {
                significand &= !(1 << 63);
            }
        } else if !self.one_in(16) {
            significand |= 1 << 63;
        }
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&significand.to_le_bytes());
        bytes[8..].copy_from_slice(&(sign_exp as u16).to_le_bytes());
        bytes
    }
}

/// Operands for many cases: making each anew would take longer than running it.
pub(crate) struct Pool {
    vectors: Vec<u128>,
    floats: Vec<[u8; 10]>,
    /// Whether the core has AVX-512.
    pub(crate) avx_512: bool,
}

impl Pool {
    /// A pool is that of so many cases.
    pub(crate) const CASES: u64 = 1 << 14;
    const VECTORS: usize = 1 << 13;
    const FLOATS: usize = 1 << 11;

    /// The pool of a case, for a core with or without AVX-512.
    pub(crate) fn new(seed: u64, case: u64, avx_512: bool) -> Self {
        let mut rng = Rng::new(!seed, case / Self::CASES);
        Self {
            vectors: (0..Self::VECTORS).map(|_| rng.vector()).collect(),
            floats: (0..Self::FLOATS).map(|_| rng.f80()).collect(),
            avx_512,
        }
    }

    /// A vector.
    pub(crate) fn vector(&self, rng: &mut Rng) -> u128 {
        self.vectors[rng.next() as usize >> 20 & (Self::VECTORS - 1)]
    }

    /// An 80-bit float.
    pub(crate) fn f80(&self, rng: &mut Rng) -> [u8; 10] {
        self.floats[rng.next() as usize >> 20 & (Self::FLOATS - 1)]
    }
}
