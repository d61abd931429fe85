//! Code that must be refused, code that must not, and random code against a slower check.

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::{Refusal, Verifier};
use crate::context::{CHECK, HEADROOM, TABLE, slot};
use crate::kind::Kind;
use crate::window::Origin;

const START: u64 = 0x7000_0000;
/// The one place outside that may be branched to.
const ENTRY: u64 = 0x6fff_f000;
/// jmp to the start of itself: what follows can't be fallen into.
const END: [u8; 2] = [0xeb, 0xfe];

const ORIGINS: [Origin; 2] = [Origin::Gs, Origin::Zero];
const AT_GS: Kind = Kind { origin: Origin::Gs, counts: true, probes: true, loops: false, avx_512: false };
/// All that there are.
pub(super) const KINDS: [Kind; 6] = [
    AT_GS,
    Kind { origin: Origin::Zero, loops: true, ..AT_GS },
    Kind { counts: false, loops: true, ..AT_GS },
    Kind { origin: Origin::Zero, counts: false, probes: false, loops: true, ..AT_GS },
    Kind { counts: false, probes: false, loops: true, avx_512: true, ..AT_GS },
    Kind { origin: Origin::Zero, avx_512: true, ..AT_GS },
];

/// Of code for a window at gs, which counts.
fn check(code: &[u8]) -> Result<(), Refusal> {
    check_of(AT_GS, code)
}

/// Of code that counts.
fn check_for(origin: Origin, code: &[u8]) -> Result<(), Refusal> {
    check_of(Kind { origin, ..AT_GS }, code)
}

fn check_of(kind: Kind, code: &[u8]) -> Result<(), Refusal> {
    let code: Vec<u8> = code.iter().chain(&END).copied().collect();
    Verifier::new().verify(&code, START, kind, &|target| target == ENTRY).map_err(|refused| refused.why)
}

/// The bytes of an absolute operand at `gs:[slot]`, after opcode and with a register field.
fn at_slot(prefix: &[u8], field: u8, displacement: i32) -> Vec<u8> {
    [prefix, &[0x04 | field << 3, 0x25], &displacement.to_le_bytes()].concat()
}

#[test]
fn what_translation_emits_is_accepted() {
    let good: [&[u8]; 16] = [
        // add rax, rcx; mov rax, gs:[ebx + 8]; mov gs:[ebx + ecx * 4 - 4], eax
        &[0x48, 0x01, 0xc8],
        &[0x65, 0x67, 0x48, 0x8b, 0x43, 0x08],
        &[0x65, 0x67, 0x89, 0x44, 0x8b, 0xfc],
        // lea rax, [rbx + rcx * 8 + 0x12345678]; vpaddb ymm1, ymm2, gs:[eax]
        &[0x48, 0x8d, 0x84, 0xcb, 0x78, 0x56, 0x34, 0x12],
        &[0x65, 0x67, 0xc5, 0xed, 0xfc, 0x08],
        // vpgatherdd xmm0, gs:[eax + xmm1], xmm2; vpgatherqq ymm0, gs:[ebx + ymm1 * 8], ymm2
        &[0x65, 0x67, 0xc4, 0xe2, 0x69, 0x90, 0x04, 0x08],
        &[0x65, 0x67, 0xc4, 0xe2, 0xed, 0x91, 0x04, 0xcb],
        // fld tbyte gs:[eax + 8]; faddp; emms; pxor mm1, gs:[r9d]
        &[0x65, 0x67, 0xdb, 0x68, 0x08],
        &[0xde, 0xc1],
        &[0x0f, 0x77],
        &[0x65, 0x67, 0x41, 0x0f, 0xef, 0x09],
        // lock cmpxchg gs:[ebx], ecx; cld; ret
        &[0x65, 0x67, 0xf0, 0x0f, 0xb1, 0x0b],
        &[0xfc],
        &[0xc3],
        // sub r8d, 5; lea r8d, [r8 - 5]
        &[0x41, 0x83, 0xe8, 0x05],
        &[0x45, 0x8d, 0x40, 0xfb],
    ];
    for code in good {
        assert_eq!(check(code), Ok(()), "{code:02x?}");
        // A window at 0 is accessed without gs, and what lies at gs there isn't.
        let at_zero = code.strip_prefix(&[0x65]);
        assert_eq!(check_for(Origin::Zero, at_zero.unwrap_or(code)), Ok(()), "{code:02x?}");
        if let Some(at_zero) = at_zero {
            assert_eq!(check(at_zero), Err(Refusal::Memory), "{at_zero:02x?}");
            assert_eq!(check_for(Origin::Zero, code), Err(Refusal::Memory), "{code:02x?}");
        }
    }
    for origin in ORIGINS {
        assert_eq!(check_for(origin, &at_slot(&[0x65, 0x48, 0x89], 1, slot::TARGET)), Ok(()));
        assert_eq!(check_for(origin, &at_slot(&[0x65, 0x48, 0x8b], 1, slot::FS_BASE)), Ok(()));
    }
    // movzx ecx, cx; jmp gs:[rcx * 8 + table]
    let jump = [&[0x0f, 0xb7, 0xc9, 0x65, 0xff, 0x24, 0xcd][..], &TABLE.to_le_bytes()].concat();
    assert_eq!(check(&jump), Ok(()));
}

/// mov [rsp - HEADROOM], ecx
const PROBE: [u8; 7] = {
    let [a, b, c, d] = (-HEADROOM).to_le_bytes();
    [0x89, 0x8c, 0x24, a, b, c, d]
};

#[test]
fn the_return_stack_is_probed_and_no_more() {
    for origin in [Origin::Gs, Origin::Zero] {
        let kind = Kind { origin, ..AT_GS };
        assert_eq!(check_of(kind, &PROBE), Ok(()));
        assert_eq!(check_of(Kind { probes: false, ..kind }, &PROBE), Err(Refusal::Register));
        let with = |at: usize, byte: u8| {
            let mut code = PROBE;
            code[at] = byte;
            code
        };
        // A load, another register, another place.
        for code in [with(0, 0x8b), with(1, 0x84), with(4, 0), with(6, 0)] {
            assert_eq!(check_for(origin, &code), Err(Refusal::Register), "{code:02x?}");
        }
        // With a prefix: 64 bits, 16, r9d, gs, a base of 32 bits.
        for prefix in [0x48, 0x66, 0x44, 0x65, 0x67] {
            let code = [&[prefix], &PROBE[..]].concat();
            assert_eq!(check_for(origin, &code), Err(Refusal::Register), "{code:02x?}");
        }
    }
}

#[test]
fn memory_outside_is_refused() {
    let bad: [&[u8]; 20] = [
        // No gs; gs with 64-bit addressing; fs; an absolute address; rip-relative with and without gs.
        &[0x48, 0x8b, 0x03],
        &[0x65, 0x48, 0x8b, 0x03],
        &[0x64, 0x67, 0x48, 0x8b, 0x03],
        &[0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0],
        &[0x48, 0x8b, 0x05, 0, 0, 0, 0],
        &[0x65, 0x48, 0x8b, 0x05, 0, 0, 0, 0],
        // lea rax, [rip]; mov rax, gs:[eip]
        &[0x48, 0x8d, 0x05, 0, 0, 0, 0],
        &[0x65, 0x67, 0x48, 0x8b, 0x05, 0, 0, 0, 0],
        // 67 without gs.
        &[0x67, 0x8b, 0x03],
        // movsb, rep stosq, lodsb with both prefixes.
        &[0xa4],
        &[0xf3, 0x48, 0xab],
        &[0x65, 0x67, 0xac],
        // bts gs:[eax], rcx: as far as rcx says.
        &[0x65, 0x67, 0x48, 0x0f, 0xab, 0x08],
        // vpgatherdd xmm0, [...], xmm2 of gs:[rax + xmm1], [eax + xmm1] and gs:[xmm1 + 0]
        &[0x65, 0xc4, 0xe2, 0x69, 0x90, 0x04, 0x08],
        &[0x67, 0xc4, 0xe2, 0x69, 0x90, 0x04, 0x08],
        &[0x65, 0x67, 0xc4, 0xe2, 0x69, 0x90, 0x04, 0x0d, 0, 0, 0, 0],
        // mov al, [moffs]
        &[0x65, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0],
        // Beside the slots.
        &[0x65, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0],
        &[0x65, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0x80],
        // A vector over several slots.
        &[0x65, 0xc5, 0xfe, 0x7f, 0x04, 0x25, 0x90, 0x00, 0xfe, 0xff],
    ];
    for code in bad {
        let refused = check(code).expect_err("bad memory");
        assert!(matches!(refused, Refusal::Memory | Refusal::Instruction), "{code:02x?}: {refused:?}");
        // 67 alone is what confines to a window at 0.
        if !code.starts_with(&[0x67]) {
            let refused = check_for(Origin::Zero, code).expect_err("bad memory");
            assert!(matches!(refused, Refusal::Memory | Refusal::Instruction), "{code:02x?}: {refused:?}");
        }
    }
    for (opcode, place) in [
        (0x89, slot::FS_BASE),
        (0x89, slot::UNIT_ABSENT),
        (0x8b, slot::UNIT_LAST),
        (0x89, slot::WINDOW),
        (0x89, slot::LEAVE),
        (0x89, slot::THIS),
        (0x89, slot::STACK),
        (0x8b, slot::LEAVE),
        (0x89, TABLE),
        (0x8b, TABLE),
        (0x89, slot::ARGUMENT),
        (0x89, slot::TARGET + 4),
        // So near the end of what 32 bits can say that the access ends behind it.
        (0x89, i32::MAX - 3),
    ] {
        for origin in ORIGINS {
            let refused = check_for(origin, &at_slot(&[0x65, 0x48, opcode], 1, place));
            assert_eq!(refused, Err(Refusal::Memory), "{opcode:x} {place:x}");
        }
    }
}

#[test]
fn the_budget_is_checked_in_one_way() {
    let at = |code: &[u8], distance: i32| check(&[code, &(CHECK + distance).to_le_bytes()].concat());
    assert_eq!(at(&[0x65, 0x42, 0x0f, 0xb6, 0x0c, 0x45], 0), Ok(()));
    let bad: [(&[u8], i32); 8] = [
        // movzx ecx, byte gs:[r8 * 4 + check], gs:[r9 * 2 + check], gs:[r8 * 2 + check + 1], without gs
        (&[0x65, 0x42, 0x0f, 0xb6, 0x0c, 0x85], 0),
        (&[0x65, 0x42, 0x0f, 0xb6, 0x0c, 0x4d], 0),
        (&[0x65, 0x42, 0x0f, 0xb6, 0x0c, 0x45], 1),
        (&[0x42, 0x0f, 0xb6, 0x0c, 0x45], 0),
        // movzx eax, byte; movzx ecx, word; mov cl; mov gs:[...], cl
        (&[0x65, 0x42, 0x0f, 0xb6, 0x04, 0x45], 0),
        (&[0x65, 0x42, 0x0f, 0xb7, 0x0c, 0x45], 0),
        (&[0x65, 0x42, 0x8a, 0x0c, 0x45], 0),
        (&[0x65, 0x42, 0x88, 0x0c, 0x45], 0),
    ];
    for (code, distance) in bad {
        assert_eq!(at(code, distance), Err(Refusal::Memory), "{code:02x?}");
    }
    // Where r8 is the guest's, it may have any value.
    let good = [&[0x65, 0x42, 0x0f, 0xb6, 0x0c, 0x45][..], &CHECK.to_le_bytes()].concat();
    for kind in KINDS {
        assert_eq!(check_of(kind, &good), if kind.counts { Ok(()) } else { Err(Refusal::Memory) });
    }
}

#[test]
fn instructions_of_the_host_are_refused() {
    let bad: [&[u8]; 31] = [
        &[0x65, 0x67, 0xd9, 0x33],       // fnstenv gs:[ebx]
        &[0x65, 0x67, 0xd9, 0x23],       // fldenv gs:[ebx]
        &[0x65, 0x67, 0xdd, 0x33],       // fnsave gs:[ebx]
        &[0x65, 0x67, 0xdd, 0x23],       // frstor gs:[ebx]
        &[0x65, 0x67, 0x0f, 0xae, 0x03], // fxsave gs:[ebx]
        &[0x65, 0x67, 0x0f, 0xae, 0x0b], // fxrstor gs:[ebx]
        &[0x65, 0x67, 0x0f, 0xf7, 0xc1], // maskmovq mm0, mm1
        &[0x0f, 0x05],                   // syscall
        &[0x0f, 0x34],                   // sysenter
        &[0xcd, 0x80],                   // int 0x80
        &[0xcc],                         // int3
        &[0xf4],                         // hlt
        &[0xf3, 0x48, 0x0f, 0xae, 0xd8], // wrgsbase rax
        &[0xf3, 0x48, 0x0f, 0xae, 0xd0], // wrfsbase rax
        &[0xf3, 0x48, 0x0f, 0xae, 0xc8], // rdgsbase rax
        &[0x0f, 0x01, 0xef],             // wrpkru
        &[0x0f, 0x01, 0xd1],             // xsetbv
        &[0x8e, 0xe8],                   // mov gs, eax
        &[0x0f, 0xa9],                   // pop gs
        &[0x65, 0x67, 0x0f, 0xb5, 0x03], // lgs eax, gs:[ebx]
        &[0x65, 0x67, 0x0f, 0xae, 0x2b], // xrstor
        &[0x65, 0x67, 0x0f, 0xae, 0x23], // xsave
        &[0x50],                         // push rax
        &[0x58],                         // pop rax
        &[0x9c],                         // pushfq
        &[0x9d],                         // popfq
        &[0xc9],                         // leave
        &[0xc8, 0, 0, 0],                // enter
        &[0xec],                         // in al, dx
        &[0x0f, 0x0b],                   // ud2
        &[0x0f, 0xc7, 0xf0],             // rdrand eax
    ];
    for code in bad {
        for origin in ORIGINS {
            assert!(check_for(origin, code).is_err(), "{code:02x?}");
            assert!(check_for(origin, code.strip_prefix(&[0x65]).unwrap_or(code)).is_err(), "{code:02x?}");
        }
    }
}

#[test]
fn the_stack_pointer_and_the_budget_are_nobodys() {
    let bad: [&[u8]; 12] = [
        &[0x48, 0x83, 0xc4, 0x08], // add rsp, 8
        &[0x48, 0x89, 0xc4],       // mov rsp, rax
        &[0x48, 0x89, 0xe0],       // mov rax, rsp
        &[0x66, 0xbc, 0, 0],       // mov sp, 0
        &[0x41, 0x83, 0xc0, 0x7f], // add r8d, 127
        &[0x41, 0x83, 0xe8, 0xff], // sub r8d, -1
        &[0x45, 0x8d, 0x40, 0x01], // lea r8d, [r8 + 1]
        &[0x49, 0x83, 0xe8, 0x05], // sub r8, 5
        &[0x4d, 0x8d, 0x40, 0xfb], // lea r8, [r8 - 5]
        &[0x45, 0x8d, 0x41, 0xfb], // lea r8d, [r9 - 5]
        &[0x49, 0x87, 0xc8],       // xchg r8, rcx
        &[0x49, 0x89, 0xc8],       // mov r8, rcx
    ];
    for (n, code) in bad.into_iter().enumerate() {
        for kind in KINDS {
            // What is about r8 is the guest's where nothing is counted.
            let permitted = n >= 4 && !kind.counts;
            assert_eq!(check_of(kind, code), if permitted { Ok(()) } else { Err(Refusal::Register) }, "{code:02x?}");
        }
    }
}

#[test]
fn branches_go_to_starts() {
    let to = |opcode: &[u8], target: u64| {
        let displacement = (target as i64 - START as i64 - opcode.len() as i64 - 4) as i32;
        [opcode, &displacement.to_le_bytes()].concat()
    };
    for opcode in [&[0xe9][..], &[0xe8], &[0x0f, 0x84]] {
        assert_eq!(check(&to(opcode, ENTRY)), Ok(()));
        assert_eq!(check(&to(opcode, ENTRY + 1)), Err(Refusal::Branch));
        assert_eq!(check(&to(opcode, START)), Ok(()));
        assert_eq!(check(&to(opcode, START + 1)), Err(Refusal::Branch));
        assert_eq!(check(&to(opcode, START + 100)), Err(Refusal::Branch));
    }
    // loop, jrcxz, jmp
    for opcode in [0xe2, 0xe3, 0xeb] {
        assert_eq!(check(&[opcode, 0xfe]), Ok(()));
        assert_eq!(check(&[opcode, 0xff]), Err(Refusal::Branch));
        assert_eq!(check(&[opcode, 0x7f]), Err(Refusal::Branch));
    }
    let bad: [&[u8]; 6] = [
        &[0xff, 0xe0],             // jmp rax
        &[0xff, 0xd0],             // call rax
        &[0x65, 0x67, 0xff, 0x23], // jmp gs:[ebx]
        &[0xc2, 8, 0],             // ret 8
        &[0xcb],                   // retf
        &[0x48, 0xcf],             // iretq
    ];
    for code in bad {
        assert!(check(code).is_err(), "{code:02x?}");
    }
    // The table with an index that is more than 16 bits, or may be by another way.
    let jump = [&[0x65, 0xff, 0x24, 0xcd][..], &TABLE.to_le_bytes()].concat();
    assert_eq!(check(&jump), Err(Refusal::Branch));
    // jrcxz over movzx
    let around = [&[0xe3, 0x03, 0x0f, 0xb7, 0xc9][..], &jump].concat();
    assert_eq!(check(&around), Err(Refusal::Branch));
    // movzx, something else, jmp
    let between = [&[0x0f, 0xb7, 0xc9, 0x48, 0xff, 0xc1][..], &jump].concat();
    assert_eq!(check(&between), Err(Refusal::Branch));
    // Other tables.
    let other = [&[0x0f, 0xb7, 0xc9, 0x65, 0xff, 0x24, 0xcd][..], &(TABLE + 8).to_le_bytes()].concat();
    assert_eq!(check(&other), Err(Refusal::Branch));
}

#[test]
fn the_wide_table_is_read_in_one_way() {
    let jump = |prefixes: &[u8], modrm_and_sib: [u8; 2], table: i32| {
        [prefixes, &[0xff], &modrm_and_sib, &table.to_le_bytes()].concat()
    };
    for good in [jump(&[0x65, 0x67], [0x24, 0xcd], 0), jump(&[0x65, 0x67], [0x14, 0xcd], 0)] {
        assert_eq!(check_for(Origin::Zero, &good), Ok(()));
        assert_eq!(check(&good), Err(Refusal::Branch));
    }
    for bad in [
        // gs:[rcx * 8], [ecx * 8], fs:[ecx * 8], gs:[ecx * 8 + 8], gs:[ecx * 4], gs:[edx * 8], gs:[0]
        jump(&[0x65], [0x24, 0xcd], 0),
        jump(&[0x67], [0x24, 0xcd], 0),
        jump(&[0x64, 0x67], [0x24, 0xcd], 0),
        jump(&[0x65, 0x67], [0x24, 0xcd], 8),
        jump(&[0x65, 0x67], [0x24, 0x8d], 0),
        jump(&[0x65, 0x67], [0x24, 0xd5], 0),
        jump(&[0x65, 0x67], [0x24, 0x25], 0),
        // What is good for a window at gs: movzx ecx, cx; jmp gs:[rcx * 8 + table]
        [vec![0x0f, 0xb7, 0xc9], jump(&[0x65], [0x24, 0xcd], TABLE)].concat(),
    ] {
        assert_eq!(check_for(Origin::Zero, &bad), Err(Refusal::Branch), "{bad:02x?}");
    }
}

#[test]
fn code_may_not_run_out() {
    assert!(Verifier::new().verify(&[0x90, 0x48, 0x01, 0xc8], START, AT_GS, &|_| false).is_err());
    assert!(Verifier::new().verify(&[0x48, 0x01, 0xc8], START, AT_GS, &|_| false).is_err());
    assert!(Verifier::new().verify(&[0x48, 0x01], START, AT_GS, &|_| false).is_err());
}

/// What an accepted instruction must at least be, found in another way: from its operands, not from what iced says that
/// it uses.
pub(super) fn is_tame(instruction: &Instruction, previous: &Instruction, kind: Kind) -> bool {
    let memory = (0..instruction.op_count()).any(|i| instruction.op_kind(i) == OpKind::Memory);
    let (base, index) = (instruction.memory_base(), instruction.memory_index());
    let gathers = instruction.is_vsib() && index.is_vector_register() && base.is_gpr32();
    let operands = (0..instruction.op_count()).all(|i| match instruction.op_kind(i) {
        OpKind::Register => {
            let register = instruction.op_register(i);
            let usual = (register.is_xmm() || register.is_ymm()) && register.number() < 16;
            let plain = usual || register.is_mm() || register.is_st();
            let plain = plain || kind.avx_512 && (register.is_vector_register() || register.is_k());
            register.full_register() != Register::RSP && (register.is_gpr() || plain)
        }
        OpKind::Memory => true,
        OpKind::NearBranch64 => true,
        kind => matches!(
            kind,
            OpKind::Immediate8
                | OpKind::Immediate16
                | OpKind::Immediate32
                | OpKind::Immediate64
                | OpKind::Immediate8to16
                | OpKind::Immediate8to32
                | OpKind::Immediate8to64
                | OpKind::Immediate32to64
        ),
    });
    let narrow = |register: Register| register == Register::None || register.is_gpr32();
    let displacement = instruction.memory_displacement64() as i64;
    let addressed = base != Register::None || index != Register::None;
    let segment = instruction.memory_segment();
    let in_window = (kind.origin == Origin::Gs) == (segment == Register::GS)
        && segment != Register::FS
        && narrow(base)
        && (narrow(index) || gathers)
        && (addressed || displacement >> 32 == 0 && instruction.memory_displ_size() == 4);
    let in_context = instruction.memory_segment() == Register::GS
        && !addressed
        && ((i64::from(slot::gpr(8))..i64::from(slot::REASON) + 8).contains(&displacement)
            || (i64::from(slot::UNIT_ABSENT)..=i64::from(slot::UNIT_OPERAND)).contains(&displacement));
    // Between the guards, whatever 32 bits say.
    let checks = kind.counts
        && instruction.memory_segment() == Register::GS
        && (instruction.code(), instruction.op0_register()) == (Code::Movzx_r32_rm8, Register::ECX)
        && (base, index, instruction.memory_index_scale()) == (Register::None, Register::R8, 2)
        && displacement == i64::from(CHECK);
    let probes = kind.probes
        && (instruction.code(), instruction.op1_register()) == (Code::Mov_rm32_r32, Register::ECX)
        && (base, index, segment) == (Register::RSP, Register::None, Register::SS)
        && displacement == -i64::from(HEADROOM);
    let through_table = match kind.origin {
        Origin::Gs => previous.mnemonic() == Mnemonic::Movzx && displacement == i64::from(TABLE),
        Origin::Zero => segment == Register::GS && index == Register::ECX && displacement == 0,
    };
    let harmless = instruction.mnemonic() == Mnemonic::Lea
        || matches!(
            instruction.mnemonic(),
            Mnemonic::Prefetch
                | Mnemonic::Prefetchw
                | Mnemonic::Prefetchnta
                | Mnemonic::Prefetcht0
                | Mnemonic::Prefetcht1
                | Mnemonic::Prefetcht2
        );
    let indirect = matches!(instruction.flow_control(), FlowControl::IndirectBranch | FlowControl::IndirectCall);
    let flow = match instruction.flow_control() {
        FlowControl::Next
        | FlowControl::UnconditionalBranch
        | FlowControl::ConditionalBranch
        | FlowControl::Call
        | FlowControl::Return => true,
        FlowControl::IndirectBranch | FlowControl::IndirectCall => through_table,
        _ => false,
    };
    operands
        && flow
        && (!memory || in_window || in_context || checks || probes || harmless || indirect && through_table)
}

/// A small generator of numbers, the same in every run.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn what_is_accepted_of_random_code_is_tame() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0;
    let mut verifier = Verifier::new();
    let good: [&[u8]; 10] = [
        &PROBE,
        &[0x65, 0x67, 0x48, 0x8b, 0x43, 0x08],
        &[0x65, 0x67, 0x89, 0x44, 0x8b, 0xfc],
        &[0x65, 0x48, 0x89, 0x0c, 0x25, 0x90, 0x00, 0xfe, 0xff],
        &[0x0f, 0xb7, 0xc9, 0x65, 0xff, 0x24, 0xcd, 0x00, 0x00, 0xf0, 0xff],
        &[0x65, 0x67, 0xc5, 0xed, 0xfc, 0x08],
        &[0x41, 0x83, 0xe8, 0x05],
        &[0x67, 0x48, 0x8b, 0x43, 0x08],
        &[0x67, 0xc5, 0xed, 0xfc, 0x08],
        &[0x65, 0x67, 0xff, 0x24, 0xcd, 0, 0, 0, 0],
    ];
    for round in 0..500_000 {
        let kind = KINDS[numbers.next() as usize % KINDS.len()];
        let mut code: Vec<u8> = if round % 2 == 0 {
            (0..1 + numbers.next() % 12).map(|_| numbers.next() as u8).collect()
        } else {
            // Good code with some bits turned.
            let mut code = good[numbers.next() as usize % good.len()].to_vec();
            for _ in 0..1 + numbers.next() % 3 {
                let at = numbers.next() as usize % code.len();
                code[at] ^= 1 << (numbers.next() % 8);
            }
            code
        };
        code.extend(END);
        if verifier.verify(&code, START, kind, &|target| target == ENTRY).is_err() {
            continue;
        }
        accepted += 1;
        let mut decoder = Decoder::with_ip(64, &code, START, DecoderOptions::NONE);
        let mut previous = Instruction::default();
        while decoder.can_decode() {
            let instruction = decoder.decode();
            assert!(is_tame(&instruction, &previous, kind), "{instruction:?} in {code:02x?}");
            previous = instruction;
        }
    }
    assert!(accepted > 10_000, "{accepted}");
}
