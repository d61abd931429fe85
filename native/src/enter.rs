//! Into translated code and out of it.

use std::arch::{asm, naked_asm};
use std::mem::offset_of;

use callgate_emulator::rflags;

use crate::context::{Context, slot};

/// The direction flag in the flags' second byte.
const DF_HIGH: u64 = rflags::DF >> 8;
/// The overflow flag's number.
const OF: u32 = rflags::OF.trailing_zeros();

/// Runs translated code from `context.entry` on until it leaves; `context.reason` says why.
///
/// # Safety
/// `context` must be the one that is mapped below the window `context.window`, and its fields must be set: the entry is
/// the start of a verified instruction in the code cache, the stack lies in the return stack with the bottom entry in
/// place, the vector pointers lead to 32 registers of 16 bytes each, `host_mxcsr` is what this thread has in MXCSR when it
/// runs Rust. gs must have the window as its base. The host must have AVX.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn enter(context: *mut Context) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi + {host_rsp}], rsp",
        // Reading it takes ten times as long as writing it: the host's is read once a turn.
        "ldmxcsr [rdi + {mxcsr}]",
        "mov rax, [rdi + {xmm}]",
        "mov rcx, [rdi + {ymm_high}]",
        ".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        "vmovdqu xmm\\i, [rax + 16 * \\i]",
        ".endr",
        // With upper halves that aren't known to be empty, each SSE instruction has to wait for what it merges with.
        "vzeroupper",
        "cmp qword ptr [rdi + {wide}], 0",
        "je 3f",
        ".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        "vinsertf128 ymm\\i, ymm\\i, [rcx + 16 * \\i], 1",
        ".endr",
        "3:",
        "mov rdx, [rdi + {zmm_high}]",
        "test rdx, rdx",
        "je 8f",
        ".irp i, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31",
        "vmovdqu64 xmm\\i, [rax + 16 * \\i]",
        "vinserti32x4 ymm\\i, ymm\\i, [rcx + 16 * \\i], 1",
        "vinserti64x4 zmm\\i, zmm\\i, [rdx + 32 * \\i], 1",
        ".endr",
        ".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        "vinserti64x4 zmm\\i, zmm\\i, [rdx + 32 * \\i], 1",
        ".endr",
        "mov rdx, [rdi + {k}]",
        ".irp i, 0, 1, 2, 3, 4, 5, 6, 7",
        "kmovq k\\i, [rdx + 8 * \\i]",
        ".endr",
        "8:",
        "mov rcx, [rdi + {flags}]",
        "test ch, {df_high}",
        "jne 6f",
        // `popfq` takes as long as twenty instructions: this overflows if OF is to be set, and the others are ah's.
        "mov eax, ecx",
        "shr eax, {of}",
        "and eax, 1",
        "add al, 0x7f",
        "mov ah, cl",
        "sahf",
        "7:",
        "mov rsp, [rdi + {stack}]",
        "mov rax, [rdi + {gpr} + 8 * 0]",
        "mov rcx, [rdi + {scratch}]",
        "mov r9, [rdi + {gpr} + 8 * 1]",
        "mov rdx, [rdi + {gpr} + 8 * 2]",
        "mov rbx, [rdi + {gpr} + 8 * 3]",
        "mov r11, [rdi + {gpr} + 8 * 4]",
        "mov rbp, [rdi + {gpr} + 8 * 5]",
        "mov rsi, [rdi + {gpr} + 8 * 6]",
        "mov r10, [rdi + {gpr} + 8 * 10]",
        "mov r12, [rdi + {gpr} + 8 * 12]",
        "mov r13, [rdi + {gpr} + 8 * 13]",
        "mov r14, [rdi + {gpr} + 8 * 14]",
        "mov r15, [rdi + {gpr} + 8 * 15]",
        "mov r8, [rdi + {budget}]",
        "mov rdi, [rdi + {gpr} + 8 * 7]",
        "jmp qword ptr gs:[{entry}]",
        "6:",
        "push rcx",
        "popfq",
        "jmp 7b",
        df_high = const DF_HIGH,
        of = const OF,
        host_rsp = const offset_of!(Context, host_rsp),
        mxcsr = const offset_of!(Context, mxcsr),
        xmm = const offset_of!(Context, xmm),
        ymm_high = const offset_of!(Context, ymm_high),
        wide = const offset_of!(Context, wide),
        zmm_high = const offset_of!(Context, zmm_high),
        k = const offset_of!(Context, k),
        flags = const offset_of!(Context, flags),
        stack = const offset_of!(Context, stack),
        scratch = const offset_of!(Context, scratch),
        gpr = const offset_of!(Context, gpr),
        budget = const offset_of!(Context, budget),
        entry = const crate::context::CONTEXT + offset_of!(Context, entry) as i32,
    )
}

/// What this thread has in MXCSR.
pub(crate) fn host_mxcsr() -> u32 {
    let mut value = 0u32;
    // SAFETY: stores 32 bits where it is told.
    unsafe { asm!("stmxcsr [{}]", in(reg) &mut value, options(nostack, preserves_flags)) };
    value
}

/// Where all ways out of translated code end: what `enter` was called from goes on.
///
/// # Safety
/// Only jumped to from translated code, with gs and the stack as `enter` has set them.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn leave() {
    naked_asm!(
        "mov gs:[{gpr} + 8 * 0], rax",
        "mov gs:[{scratch}], rcx",
        "mov gs:[{gpr} + 8 * 1], r9",
        "mov gs:[{gpr} + 8 * 2], rdx",
        "mov gs:[{gpr} + 8 * 3], rbx",
        "mov gs:[{gpr} + 8 * 4], r11",
        "mov gs:[{gpr} + 8 * 5], rbp",
        "mov gs:[{gpr} + 8 * 6], rsi",
        "mov gs:[{gpr} + 8 * 7], rdi",
        "mov gs:[{gpr} + 8 * 10], r10",
        "mov gs:[{gpr} + 8 * 12], r12",
        "mov gs:[{gpr} + 8 * 13], r13",
        "mov gs:[{gpr} + 8 * 14], r14",
        "mov gs:[{gpr} + 8 * 15], r15",
        "mov gs:[{budget}], r8",
        "mov gs:[{stack}], rsp",
        "mov rdi, gs:[{this}]",
        "mov rsp, [rdi + {host_rsp}]",
        // As for `popfq`; and `cld` takes as long.
        "lahf",
        "seto al",
        // Translated code clears the direction flag, but never sets it.
        "test byte ptr [rdi + {flags} + 1], {df_high}",
        "jne 6f",
        "movzx ecx, ah",
        "movzx eax, al",
        "shl eax, {of}",
        "or eax, ecx",
        "mov [rdi + {flags}], rax",
        "7:",
        "stmxcsr [rdi + {mxcsr}]",
        "ldmxcsr [rdi + {host_mxcsr}]",
        "mov rax, [rdi + {xmm}]",
        "mov rcx, [rdi + {ymm_high}]",
        ".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        "vmovdqu [rax + 16 * \\i], xmm\\i",
        "vextractf128 [rcx + 16 * \\i], ymm\\i, 1",
        ".endr",
        "mov rdx, [rdi + {zmm_high}]",
        "test rdx, rdx",
        "je 8f",
        ".irp i, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31",
        "vmovdqu64 [rax + 16 * \\i], xmm\\i",
        "vextracti32x4 [rcx + 16 * \\i], ymm\\i, 1",
        "vextracti64x4 [rdx + 32 * \\i], zmm\\i, 1",
        ".endr",
        ".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        "vextracti64x4 [rdx + 32 * \\i], zmm\\i, 1",
        ".endr",
        "mov rdx, [rdi + {k}]",
        ".irp i, 0, 1, 2, 3, 4, 5, 6, 7",
        "kmovq [rdx + 8 * \\i], k\\i",
        ".endr",
        "8:",
        "vzeroupper",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        "6:",
        // `test` has changed those that were just read.
        "mov rcx, rax",
        "pushfq",
        "cld",
        "pop rax",
        "and eax, {df}",
        "mov r8d, eax",
        "movzx eax, ch",
        "movzx ecx, cl",
        "shl ecx, {of}",
        "or eax, ecx",
        "or eax, r8d",
        "mov [rdi + {flags}], rax",
        "jmp 7b",
        df = const rflags::DF,
        df_high = const DF_HIGH,
        of = const OF,
        gpr = const slot::gpr(0),
        budget = const slot::BUDGET,
        stack = const slot::STACK,
        scratch = const slot::SCRATCH,
        this = const slot::THIS,
        host_rsp = const offset_of!(Context, host_rsp),
        flags = const offset_of!(Context, flags),
        mxcsr = const offset_of!(Context, mxcsr),
        host_mxcsr = const offset_of!(Context, host_mxcsr),
        xmm = const offset_of!(Context, xmm),
        ymm_high = const offset_of!(Context, ymm_high),
        zmm_high = const offset_of!(Context, zmm_high),
        k = const offset_of!(Context, k),
    )
}
