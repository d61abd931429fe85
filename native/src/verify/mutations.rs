//! Translated code with mistakes, and random bytes: what is accepted must stand up to the slower check too.
//!
//! `CALLGATE_CASES=N` makes it N cases and not as many as in every test run, `CALLGATE_SEED=N` others.

use std::collections::HashSet;

use callgate_emulator::{CpuModel, PAGE_SIZE};
use iced_x86::{Decoder, DecoderOptions, EncodingKind, Instruction, OpKind};

use super::tests::{KINDS, Numbers, is_tame};
use super::{Verifier, avx_512_permitted};
use crate::kind::Kind;
use crate::stubs::Stubs;
use crate::translate::{Request, Workshop, translate};

/// Where the code cache is.
const BASE: u64 = 0x7000_0000;
/// Pieces of code that mistakes are made in.
const PIECES: usize = 2000;
const CASES: u64 = 150_000;

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().map_or(usual, |text| text.parse().expect("a number"))
}

/// The pages of this program's own code: what a compiler makes of a program of some size.
fn pages() -> Vec<Vec<u8>> {
    let file = std::fs::read("/proc/self/exe").expect("this program");
    let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().expect("eight bytes")) as usize;
    let (headers, count) = (word(32), usize::from(u16::from_le_bytes([file[56], file[57]])));
    let executable = |at: &usize| file[*at] == 1 && file[at + 4] & 1 != 0;
    let code = (0..count).map(|i| headers + i * 56).find(executable).expect("a segment of code");
    let (start, len) = (word(code + 8), word(code + 32));
    file[start..start + len].chunks_exact(PAGE_SIZE).map(<[u8]>::to_vec).collect()
}

/// A page of what no compiler made: instructions of AVX-512, each of which may or may not be translated.
fn page_of_avx_512(numbers: &mut Numbers) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE_SIZE);
    while page.len() < PAGE_SIZE {
        let mut code = [0; 16].map(|_: u8| numbers.next() as u8);
        code[0] = 0x62;
        let instruction = Decoder::new(64, &code, DecoderOptions::NONE).decode();
        if avx_512_permitted(instruction.code()) {
            page.extend(&code[..instruction.len().min(PAGE_SIZE - page.len())]);
        }
    }
    page
}

/// Translated code, as it would lie behind the stubs.
fn pieces(stubs: &Stubs, kind: Kind, numbers: &mut Numbers) -> Vec<Vec<u8>> {
    let mut pages = pages();
    if kind.avx_512 {
        // As many as of the compiler's.
        pages.extend((0..pages.len()).map(|_| page_of_avx_512(numbers)).collect::<Vec<_>>());
    }
    let mut pieces = Vec::new();
    let mut shop = Workshop::new(if kind.avx_512 { CpuModel::V4 } else { CpuModel::V3 });
    while pieces.len() < PIECES {
        let page = &pages[numbers.next() as usize % pages.len()];
        let offset = numbers.next() % PAGE_SIZE as u64;
        let request = Request {
            address: 0x40_0000 + offset,
            page,
            kind,
            offset: stubs.bytes.len(),
            first_block: 0,
            landing: numbers.next().is_multiple_of(4),
        };
        pieces.extend(translate(&request, stubs, &mut shop, &|_| false).map(|piece| piece.emit.bytes));
    }
    pieces
}

/// Makes one to three mistakes.
fn mutate(code: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    for _ in 0..1 + numbers.next() % 3 {
        let at = numbers.next() as usize % code.len();
        match numbers.next() % 6 {
            0 => code[at] = numbers.next() as u8,
            1 => drop(code.remove(at)),
            2 => code.insert(at, [0x65, 0x67, 0x48, 0x66, 0xf2, 0xf3, 0xf0, 0x0f, 0x62][numbers.next() as usize % 9]),
            // A piece of another, which need not begin or end with an instruction.
            3 => {
                let from = numbers.next() as usize % other.len();
                let len = (1 + numbers.next() as usize % 16).min(other.len() - from);
                code.splice(at..at, other[from..from + len].iter().copied());
            }
            _ => code[at] ^= 1 << (numbers.next() % 8),
        }
        if code.is_empty() {
            code.push(0xc3);
        }
    }
}

/// The slower check: instruction by instruction, and every branch. Gives whether an instruction is of AVX-512.
fn check(code: &[u8], start: u64, kind: Kind, is_entry: &dyn Fn(u64) -> bool) -> bool {
    let mut decoder = Decoder::with_ip(64, code, start, DecoderOptions::NONE);
    let (mut previous, mut starts, mut targets) = (Instruction::default(), HashSet::new(), Vec::new());
    let mut is_avx_512 = false;
    while decoder.can_decode() {
        let instruction = decoder.decode();
        assert!(!instruction.is_invalid() && is_tame(&instruction, &previous, kind), "{instruction:?} in {code:02x?}");
        starts.insert(instruction.ip());
        if instruction.op_count() > 0 && instruction.op0_kind() == OpKind::NearBranch64 {
            targets.push(instruction.near_branch_target());
        }
        is_avx_512 |= instruction.code().encoding() == EncodingKind::EVEX;
        previous = instruction;
    }
    for target in targets {
        assert!(starts.contains(&target) || is_entry(target), "a branch to {target:#x} in {code:02x?}");
    }
    is_avx_512
}

fn mistakes(kind: Kind, cases: u64) {
    let stubs = Stubs::new(kind);
    let is_entry = |target: u64| stubs.is_entry(target.wrapping_sub(BASE));
    let start = BASE + stubs.bytes.len() as u64;
    // One for all, as an engine has it.
    let mut verifier = Verifier::new();
    let mut verify = |code: &[u8]| verifier.verify(code, start, kind, &is_entry);
    let mut numbers = Numbers(setting("CALLGATE_SEED", 0x9e37_79b9_7f4a_7c15));
    let pieces = pieces(&stubs, kind, &mut numbers);
    for piece in &pieces {
        assert_eq!(verify(piece), Ok(()), "{piece:02x?}");
        check(piece, start, kind, &is_entry);
    }
    let (mut accepted, mut of_avx_512) = (0u64, 0u64);
    for case in 0..cases {
        let mut some = || &pieces[numbers.next() as usize % PIECES];
        let (one, other) = (some(), some());
        let mut code = one.clone();
        if case % 4 == 0 {
            code.truncate(24);
            code.fill_with(|| numbers.next() as u8);
            code.extend([0xeb, 0xfe]);
        } else {
            mutate(&mut code, other, &mut numbers);
        }
        if verify(&code).is_ok() {
            accepted += 1;
            of_avx_512 += u64::from(check(&code, start, kind, &is_entry));
        }
    }
    eprintln!("{kind:?}: {cases} cases, {accepted} accepted, {of_avx_512} with AVX-512");
    assert_eq!(of_avx_512 > cases / 200, kind.avx_512, "{of_avx_512} of {cases} with AVX-512");
    assert!(accepted > cases / 50, "{accepted} of {cases} accepted");
}

#[test]
fn what_is_accepted_of_code_with_mistakes_is_tame() {
    for kind in KINDS {
        mistakes(kind, setting("CALLGATE_CASES", CASES) / KINDS.len() as u64);
    }
}
