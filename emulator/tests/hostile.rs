//! Random machines, with fixed seeds.

#[path = "hostile/mod.rs"]
mod machine;

/// How many, and the first of their seeds: `HOSTILE_MACHINES=100000 HOSTILE_SEED=7 cargo test --test hostile`.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn no_machine_panics_hangs_or_runs_beyond_its_budget() {
    let first = setting("HOSTILE_SEED", 1);
    for seed in first..first + setting("HOSTILE_MACHINES", 3000) {
        let bytes = random(seed);
        let outcome = std::panic::catch_unwind(|| machine::check(&bytes));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

/// Enough bytes for a machine, of Steele, Lea, Flood: "Fast splittable pseudorandom number generators".
fn random(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    };
    (0..512).flat_map(|_| next().to_le_bytes()).collect()
}
