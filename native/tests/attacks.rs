//! Guests that try to leave: each ends on translated code as it ends on the interpreter, in the guest's own fault, and
//! the host stays whole.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod common;

use callgate_emulator::{Cpu, Engine, Exit, Interp, Memory, PAGE_SIZE, PageFlags, Privilege, Space, reg, rflags};

use common::{CODE, SETUPS};

const WRITABLE_CODE: u64 = 0x50_0000;
const DATA: u64 = 0x60_0000;
const STACK: u64 = 0x70_0000;
/// The first and the last page of what translated code can reach.
const FIRST: u64 = 0;
const LAST: u64 = (1 << 32) - PAGE_SIZE as u64;

struct Guest {
    memory: Memory,
    space: Space,
    cpu: Cpu,
}

impl Guest {
    fn new(code: &[u8], set: &[(usize, u64)]) -> Self {
        let memory = Memory::new(16 << 20).expect("memory");
        let (mut cpu, mut space) = common::guest(&memory, code);
        let plain = PageFlags::USER;
        for (address, flags) in [
            (WRITABLE_CODE, plain | PageFlags::EXEC | PageFlags::WRITE),
            (DATA, plain | PageFlags::WRITE),
            (STACK, plain | PageFlags::WRITE),
            (FIRST, plain | PageFlags::WRITE),
            (LAST, plain | PageFlags::WRITE),
        ] {
            let frame = memory.alloc().expect("a frame");
            if address == WRITABLE_CODE {
                frame.write(0, code);
            }
            space.map(address, frame, flags);
        }
        cpu.set_rflags(rflags::FIXED | rflags::IF);
        cpu.gpr = [DATA; 16];
        cpu.gpr[reg::RSP] = STACK + 0x800;
        for (register, value) in set {
            cpu.gpr[*register] = *value;
        }
        Self { memory, space, cpu }
    }

    fn run(&mut self, engine: &mut dyn Engine) -> (Exit, [u64; 16], u64, u64, Vec<u8>) {
        let exit = common::run(engine, &mut self.cpu, &mut self.space, 100_000);
        let mut memory = Vec::new();
        for page in [DATA, STACK, FIRST, LAST] {
            let mut bytes = vec![0; PAGE_SIZE];
            self.space.read(page, &mut bytes, Privilege::User).expect("a mapped page");
            memory.extend(bytes);
        }
        let instructions = if engine.counts() { self.cpu.instructions } else { 0 };
        (exit, self.cpu.gpr, self.cpu.rip, instructions, memory)
    }
}

/// Runs code on the interpreter and on all kinds of engines that translate, and compares; gives how it ended. None where
/// the host can't run translated code.
fn both(code: &[u8], set: &[(usize, u64)]) -> Option<Exit> {
    let mut guest = Guest::new(code, set);
    let mut interp = Interp::with_model(&guest.memory, common::model());
    let mut there = guest.run(&mut interp);
    let mut exit = None;
    // A budget that is used up where nothing else ends it is for who counts.
    for setup in SETUPS.into_iter().filter(|setup| setup.counts || there.0 != Exit::Budget) {
        let mut guest = Guest::new(code, set);
        let Some(mut native) = common::native(&guest.memory, setup) else { continue };
        let here = guest.run(&mut *native);
        if !setup.counts {
            there.3 = 0;
        }
        let (ours, theirs) = (&here.0, &there.0);
        assert!(here == there, "{setup:?}: {code:02x?} with {set:x?}: {ours:x?}, interpreted {theirs:x?}");
        exit = Some(here.0);
    }
    exit
}

fn is_fault(exit: Exit) -> bool {
    matches!(exit, Exit::Exception(_))
}

/// Addresses of the host that a guest could wish for, none of which names a mapped page by its low half alone.
fn host_addresses() -> Vec<u64> {
    let local = 0u8;
    let heap = Box::new(0u64);
    let list = [
        std::ptr::from_ref(&local) as u64,
        std::ptr::from_ref(&*heap) as u64,
        both as *const () as u64,
        0xffff_ffff_8100_0000,
        u64::MAX - 63,
        1 << 63,
        0x7fff_ffff_e000,
        0x8000_0000_0000,
        0x1_2345_6780,
    ];
    let mapped = [CODE, WRITABLE_CODE, DATA, STACK, FIRST, LAST];
    list.into_iter().filter(|at| !mapped.contains(&(at & 0xffff_f000))).collect()
}

#[test]
fn accesses_by_host_addresses_fault() {
    let accesses: [&[u8]; 27] = [
        &[0x48, 0x8b, 0x03],             // mov rax, [rbx]
        &[0x48, 0x89, 0x03],             // mov [rbx], rax
        &[0x48, 0x01, 0x43, 0x10],       // add [rbx + 16], rax
        &[0xf0, 0x48, 0x0f, 0xb1, 0x0b], // lock cmpxchg [rbx], rcx
        &[0x0f, 0x28, 0x03],             // movaps xmm0, [rbx]
        &[0xc5, 0xfe, 0x7f, 0x03],       // vmovdqu [rbx], ymm0
        &[0xff, 0x33],                   // push [rbx]
        &[0x8f, 0x03],                   // pop [rbx]
        &[0xff, 0x23],                   // jmp [rbx]
        &[0xff, 0x13],                   // call [rbx]
        &[0x48, 0x89, 0xdc, 0x50],       // mov rsp, rbx; push rax
        &[0x48, 0x89, 0xdc, 0xc3],       // mov rsp, rbx; ret
        &[0x48, 0x89, 0xdf, 0xaa],       // mov rdi, rbx; stosb
        &[0x48, 0x89, 0xde, 0xac],       // mov rsi, rbx; lodsb
        &[0x0f, 0xae, 0x03],             // fxsave [rbx]
        &[0x0f, 0xae, 0x0b],             // fxrstor [rbx]
        &[0x0f, 0xae, 0x23],             // xsave [rbx]
        &[0x0f, 0xae, 0x2b],             // xrstor [rbx]
        &[0xdd, 0x33],                   // fnsave [rbx]
        &[0x48, 0x0f, 0xa3, 0x03],       // bt [rbx], rax
        &[0x48, 0x0f, 0xab, 0x03],       // bts [rbx], rax
        &[0x0f, 0x18, 0x03, 0xff, 0x33], // prefetchnta [rbx], which doesn't fault; push [rbx]
        &[0x48, 0x89, 0xdd, 0xc9],       // mov rbp, rbx; leave
        // pcmpeqd xmm2, xmm2; vpgatherdd xmm0, [rbx + xmm1], xmm2; the same with vpgatherqq and ymm
        &[0x66, 0x0f, 0x76, 0xd2, 0xc4, 0xe2, 0x69, 0x90, 0x04, 0x0b],
        &[0xc5, 0xed, 0x76, 0xd2, 0xc4, 0xe2, 0xed, 0x91, 0x04, 0x0b],
        // pcmpeqd xmm2, xmm2; vpmaskmovd [rbx], xmm2, xmm0
        &[0x66, 0x0f, 0x76, 0xd2, 0xc4, 0xe2, 0x69, 0x8e, 0x03],
        // pcmpeqd xmm2, xmm2; mov rdi, rbx; maskmovdqu xmm0, xmm2
        &[0x66, 0x0f, 0x76, 0xd2, 0x48, 0x89, 0xdf, 0x66, 0x0f, 0xf7, 0xc2],
    ];
    for access in accesses {
        for address in host_addresses() {
            let code = [access, &[0xcd, 0x80]].concat();
            let Some(exit) = both(&code, &[(reg::RBX, address)]) else { return };
            assert!(is_fault(exit), "{access:02x?} of {address:#x}: {exit:?}");
        }
    }
}

#[test]
fn gathers_stay_inside_whatever_their_indices() {
    // vmovq xmm1, rax; vpbroadcastq ymm1, xmm1; vpcmpeqd ymm2, ymm2, ymm2; vpgatherqq ymm0, [rbx + ymm1 * scale], ymm2
    let code = |scale: u8| {
        let set = [0xc4, 0xe1, 0xf9, 0x6e, 0xc8, 0xc4, 0xe2, 0x7d, 0x59, 0xc9, 0xc5, 0xed, 0x76, 0xd2];
        [&set[..], &[0xc4, 0xe2, 0xed, 0x91, 0x04, 0x0b | scale << 6, 0xcd, 0x80]].concat()
    };
    for scale in 0..4u8 {
        for index in
            [0, 8, PAGE_SIZE as u64, 1 << 28, 1 << 30, 1 << 40 | 1 << 24, 1 << 63 | 1 << 25, u64::MAX, !0xfff_ffff]
        {
            let address = DATA.wrapping_add(index << scale);
            let low = address & 0xffff_f000;
            // The one deviation, as for other operands.
            if address >> 32 != 0 && [CODE, WRITABLE_CODE, DATA, STACK, FIRST, LAST].contains(&low) {
                continue;
            }
            let Some(exit) = both(&code(scale), &[(reg::RAX, index)]) else { return };
            let inside = address & !0xfff == DATA || address & !0xfff == STACK;
            assert_eq!(is_fault(exit), !inside, "{index:#x} << {scale}: {exit:?}");
        }
    }
}

#[test]
fn long_vectors_stay_inside_with_masks_and_scattered() {
    if !common::model().has_avx_512() {
        eprintln!("skipped: the host has no AVX-512");
        return;
    }
    // kxnorw k1, k1, k1, and then: vmovdqu64 [rbx]{k1}, zmm0; vpscatterdd [rbx + zmm1]{k1}, zmm0; vpgatherqq the other way;
    // vpcompressd [rbx]{k1}, zmm0; vpaddd zmm0, zmm0, [rbx]{1to16}; vpmovdb [rbx], zmm0; kmovq [rbx], k1
    let accesses: [&[u8]; 7] = [
        &[0x62, 0xf1, 0xfe, 0x49, 0x7f, 0x03],
        &[0x62, 0xf2, 0x7d, 0x49, 0xa0, 0x04, 0x0b],
        &[0x62, 0xf2, 0xfd, 0x49, 0x91, 0x04, 0x0b],
        &[0x62, 0xf2, 0x7d, 0x49, 0x8b, 0x03],
        &[0x62, 0xf1, 0x7d, 0x58, 0xfe, 0x03],
        &[0x62, 0xf2, 0x7e, 0x48, 0x31, 0x03],
        &[0xc4, 0xe1, 0xf8, 0x91, 0x0b],
    ];
    for access in accesses {
        let code = [&[0xc5, 0xf4, 0x46, 0xc9], access, &[0xcd, 0x80]].concat();
        for address in host_addresses() {
            let Some(exit) = both(&code, &[(reg::RBX, address)]) else { return };
            assert!(is_fault(exit), "{access:02x?} of {address:#x}: {exit:?}");
        }
        for at in [u64::from(u32::MAX), u64::from(u32::MAX) - 31, DATA + PAGE_SIZE as u64 - 32] {
            let Some(exit) = both(&code, &[(reg::RBX, at)]) else { return };
            // Indices are 0, so that one element may be there alone.
            let is_narrow = matches!(exit, Exit::Interrupt(0x80));
            assert!(is_fault(exit) || is_narrow, "{access:02x?} at {at:#x}: {exit:?}");
        }
        assert_eq!(both(&code, &[(reg::RBX, DATA + 64)]), Some(Exit::Interrupt(0x80)), "{access:02x?}");
    }
}

#[test]
fn branches_to_host_addresses_fault() {
    let branches: [&[u8]; 3] = [
        &[0xff, 0xe3], // jmp rbx
        &[0xff, 0xd3], // call rbx
        &[0x53, 0xc3], // push rbx; ret
    ];
    for branch in branches {
        for address in host_addresses() {
            let Some(exit) = both(branch, &[(reg::RBX, address)]) else { return };
            assert!(is_fault(exit), "{branch:02x?} to {address:#x}: {exit:?}");
        }
    }
}

#[test]
fn operands_with_huge_offsets_stay_inside() {
    // mov rax, [rbx + rcx * 8 + disp32], and a store, with everything that wraps.
    for displacement in [0i32, 1, -1, i32::MAX, i32::MIN, 0x1000] {
        for (base, index) in [(u64::MAX, 1), (0, u64::MAX), (1 << 63, 1 << 61), (DATA, 1 << 29), (LAST, 0x1ff)] {
            for opcode in [0x8b, 0x89] {
                let code = [&[0x48, opcode, 0x84, 0xcb][..], &displacement.to_le_bytes(), &[0xcd, 0x80]].concat();
                let set = [(reg::RBX, base), (reg::RCX, index)];
                let address = base.wrapping_add(index << 3).wrapping_add(i64::from(displacement) as u64);
                // The one deviation: a wild pointer may name a mapped page by its low half.
                let low = address & 0xffff_ffff;
                let near = |page: u64| (low.wrapping_sub(page).wrapping_add(8) & 0xffff_ffff) < PAGE_SIZE as u64 + 8;
                if address >> 32 != 0 && [CODE, WRITABLE_CODE, DATA, STACK, FIRST, LAST].into_iter().any(near) {
                    continue;
                }
                if both(&code, &set).is_none() {
                    return;
                }
            }
        }
    }
}

#[test]
fn strings_meet_the_guards() {
    let count = 3 * PAGE_SIZE as u64;
    let strings: [(&[u8], u64, u64, u64); 6] = [
        // rep movsb, rep stosq, rep lodsb upwards out of the last page; downwards out of the first one.
        (&[0xf3, 0xa4], LAST + 100, DATA, count),
        (&[0xf3, 0xa4], DATA, LAST + 0xff0, count),
        (&[0xf3, 0x48, 0xab], LAST + 0xf00, DATA, u64::MAX),
        (&[0xfd, 0xf3, 0xaa], FIRST + 100, DATA, count),
        (&[0xfd, 0xf3, 0xa4], DATA + 100, FIRST + 50, count),
        (&[0xf3, 0xac], DATA, LAST, u64::MAX),
    ];
    for (code, rdi, rsi, rcx) in strings {
        let code = [code, &[0xcd, 0x80]].concat();
        let Some(exit) = both(&code, &[(reg::RDI, rdi), (reg::RSI, rsi), (reg::RCX, rcx)]) else { return };
        assert!(is_fault(exit), "{code:02x?}: {exit:?}");
    }
}

#[test]
fn accesses_across_the_end_fault() {
    // vmovdqu ymm0, [rbx]; fxsave [rbx]; xsave [rbx]; vpgatherdd xmm0, [rbx + xmm1], xmm2
    let accesses: [&[u8]; 4] = [
        &[0xc5, 0xfe, 0x6f, 0x03],
        &[0x0f, 0xae, 0x03],
        &[0x0f, 0xae, 0x23],
        &[0x66, 0x0f, 0x76, 0xd2, 0xc4, 0xe2, 0x69, 0x90, 0x04, 0x0b],
    ];
    for access in accesses {
        for at in [u64::from(u32::MAX), u64::from(u32::MAX) - 15] {
            let code = [access, &[0xcd, 0x80]].concat();
            if both(&code, &[(reg::RBX, at)]).is_none() {
                return;
            }
        }
    }
}

#[test]
fn instructions_of_a_kernel_fault() {
    let bad: [&[u8]; 17] = [
        &[0xf4],             // hlt
        &[0xfa],             // cli
        &[0xec],             // in al, dx
        &[0x0f, 0x32],       // rdmsr
        &[0x0f, 0x30],       // wrmsr
        &[0x0f, 0x22, 0xd8], // mov cr3, rax
        &[0x0f, 0x01, 0xf8], // swapgs
        &[0x0f, 0x01, 0x13], // lgdt [rbx]
        &[0x0f, 0x0b],       // ud2
        &[0x0f, 0x07],       // sysret
        &[0xff, 0x2b],       // jmp far [rbx]
        &[0x8e, 0xeb],       // mov gs, ebx
        &[0x0f, 0xb5, 0x03], // lgs eax, [rbx]
        &[0xff, 0x1b],       // call far [rbx]
        &[0xcb],             // retf
        &[0x48, 0xcf],       // iretq
        // vpscatterdd [rbx + xmm1]{k1}, xmm0, which the processor of a guest doesn't have
        &[0x62, 0xf2, 0x7d, 0x09, 0xa0, 0x04, 0x0b],
    ];
    for code in bad {
        let Some(exit) = both(code, &[]) else { return };
        assert!(is_fault(exit), "{code:02x?}: {exit:?}");
    }
    // wrgsbase rax changes the guest's gs only: gs:[rbx] is then its own.
    let code = [0xf3, 0x48, 0x0f, 0xae, 0xd8, 0x65, 0x48, 0x8b, 0x0b, 0xcd, 0x80];
    let _ = both(&code, &[(reg::RAX, 16), (reg::RBX, DATA)]);
    let _ = both(&code, &[(reg::RAX, 0x7fff_0000_0000), (reg::RBX, 8)]);
}

#[test]
fn a_rewritten_return_address_is_followed() {
    // call +5 (over ud2 and nops); at the target: mov [rsp], rbx; ret
    let code = [
        0xe8, 0x05, 0, 0, 0, 0x0f, 0x0b, 0x90, 0x90, 0x90, 0x48, 0x89, 0x1c, 0x24, 0xc3, 0x90, // 0x10:
        0xcd, 0x80,
    ];
    let Some(exit) = both(&code, &[(reg::RBX, CODE + 0x10)]) else { return };
    assert_eq!(exit, Exit::Interrupt(0x80));
    for address in host_addresses() {
        let Some(exit) = both(&code, &[(reg::RBX, address)]) else { return };
        assert!(is_fault(exit));
    }
}

#[test]
fn more_returns_than_calls_and_more_calls_than_room() {
    // push rbx, 200 times by a loop, then return through them all to itself until the stack is empty.
    let returns = [0x53, 0xff, 0xc9, 0x75, 0xfb, 0xc3];
    let Some(exit) = both(&returns, &[(reg::RBX, CODE + 5), (reg::RCX, 200)]) else { return };
    assert!(is_fault(exit) || exit == Exit::Budget, "{exit:?}");
    // mov rsp, rbx; call to itself: 100 000 calls deep, in one page.
    let calls = [0x48, 0x89, 0xdc, 0xe8, 0xf8, 0xff, 0xff, 0xff];
    assert_eq!(both(&calls, &[(reg::RBX, STACK + 0x800)]), Some(Exit::Budget));
}

#[test]
fn code_that_rewrites_itself_runs_as_written() {
    // In the writable page: mov byte [rip + 2], 0x42 over the next instruction's last byte (add eax, 1); then again.
    let code = [
        0x31, 0xc0, // xor eax, eax
        0xb9, 0x05, 0, 0, 0, // mov ecx, 5
        // 7: inc byte [rip + 2]; add eax, imm8
        0xfe, 0x05, 0x02, 0, 0, 0, 0x83, 0xc0, 0x01, // add eax, 1 (its 1 is at 15)
        0xff, 0xc9, // dec ecx
        0x75, 0xf3, // jnz 7
        0xcd, 0x80,
    ];
    let jump = [0xff, 0xe3]; // jmp rbx
    let code: Vec<u8> = code.into_iter().collect();
    let mut whole = vec![0x90; 0x100];
    whole[..2].copy_from_slice(&jump);
    whole[0x80..0x80 + code.len()].copy_from_slice(&code);
    let Some(exit) = both(&whole, &[(reg::RBX, WRITABLE_CODE + 0x80)]) else { return };
    assert!(matches!(exit, Exit::Interrupt(0x80) | Exit::Exception(_)), "{exit:?}");
}

#[test]
fn jumps_into_the_middle_of_instructions_run_what_is_there() {
    // mov eax, 0x80cd (int 0x80 within); jmp to its second byte by rbx.
    let code = [0xff, 0xe3, 0xb8, 0xcd, 0x80, 0, 0];
    assert!(matches!(both(&code, &[(reg::RBX, CODE + 3)]), None | Some(Exit::Interrupt(0x80))));
    // Into data.
    let Some(exit) = both(&code, &[(reg::RBX, DATA)]) else { return };
    assert!(is_fault(exit));
}
