//! Programs that compute much and call the kernel little: what the core makes of instructions, by what libraries make of
//! them. `tests/guests/core/*.c`, natively and on callgate.

#![forbid(unsafe_code)]

use callgate_emulator::CpuModel;
use callgate_tests::compile::Compiler;
use callgate_tests::{Guest, skip};

fn guest(name: &str, flags: &[&'static str]) -> Guest {
    let flags = [&["-O2", "-static"], flags].concat();
    Guest::new(Compiler::Gcc, &format!("core/{name}")).flags(&flags).direct_only().ends_with(0)
}

/// On processors of all levels, by which libraries choose their code.
fn at_every_level(guest: &Guest) {
    for level in ["v1", "v2", "v3", "v4"] {
        guest.clone().level(level).check();
    }
}

#[test]
fn mathematical_functions_in_three_precisions_and_four_roundings() {
    at_every_level(&guest("libm", &["-fno-builtin", "-D_GNU_SOURCE"]));
}

#[test]
fn string_functions() {
    at_every_level(&guest("strings", &["-fno-builtin"]));
}

#[test]
fn aes_sha_and_ghash_with_and_without_their_instructions() {
    at_every_level(&guest("crypto", &[]));
}

#[test]
fn openssl() {
    at_every_level(&guest("openssl", &["-lcrypto"]));
}

#[test]
fn thousands_of_digits_of_pi() {
    guest("pi", &[]).check();
}

#[test]
fn pi_by_vectors() {
    guest("pi", &["-O3", "-march=x86-64-v3"]).check();
}

#[test]
fn pi_by_longer_vectors() {
    if has_avx_512() {
        guest("pi", &["-O3", "-march=x86-64-v4"]).level("v4").check();
    }
}

#[test]
fn longer_vectors_across_signals() {
    if has_avx_512() {
        let flags = ["-O2", "-static", "-mavx512f", "-mavx512bw"];
        Guest::new(Compiler::Gcc, "core/zmm_signal").flags(&flags).level("v4").ends_with(0).check();
    }
}

/// Whether this machine itself can run programs of x86-64-v4.
fn has_avx_512() -> bool {
    let why = callgate_native::check(CpuModel::V4).err();
    if let Some(why) = &why {
        skip(&format!("programs of x86-64-v4 here: {why}"));
    }
    why.is_none()
}

#[test]
fn compressed_data_come_out_again() {
    at_every_level(&guest("compress", &["-lz", "-lzstd"]));
}
