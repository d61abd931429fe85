//! Programs that compute much and call the kernel little: what the core makes of instructions, by what libraries make of
//! them. `tests/guests/core/*.c`, natively and on callgate.

#![forbid(unsafe_code)]

use callgate_tests::Guest;
use callgate_tests::compile::Compiler;

fn guest(name: &str, flags: &[&'static str]) -> Guest {
    let flags = [&["-O2", "-static"], flags].concat();
    Guest::new(Compiler::Gcc, &format!("core/{name}")).flags(&flags).direct_only().ends_with(0)
}

/// On processors of all levels, by which libraries choose their code.
fn at_every_level(guest: &Guest) {
    for level in ["v1", "v2", "v3"] {
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
fn compressed_data_come_out_again() {
    at_every_level(&guest("compress", &["-lz", "-lzstd"]));
}
