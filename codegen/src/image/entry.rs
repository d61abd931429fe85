//! The code between user mode and the handlers: `arch/x86/entry/entry_64.S`, and of `arch/x86/entry/common.c` the part
//! around the tables.
//!
//! Linux saves all registers on the kernel stack as `struct pt_regs`, calls `do_syscall_64` with its address and the
//! number, and returns by `sysret` if nothing changed that `sysret` can't restore, by `iret` otherwise. `int $0x80` and
//! exceptions come through the IDT, which pushes the upper five registers itself, and return by `iret`. So do we.
//!
//! Quirks:
//! - All exceptions use the ordinary entry: the core raises none inside this code, so there is no paranoid one.
//! - A number of -1 gets its `-ENOSYS` from `sys_ni_syscall` like every other number without a call.

use iced_x86::code_asm::*;

use super::asm::{Assembled, Function, Symbols};
use super::{Hypercall, pcpu, selector};
use crate::dispatch::{Dispatch, SYS_NI_SYSCALL};

/// What a call without a handler answers.
const ENOSYS: i32 = 38;
/// One past the last address of user space: a `sysret` to a non-canonical address would fault in ring 0.
const TASK_SIZE_MAX: u64 = (1 << 47) - 4096;
/// RFLAGS.RF and RFLAGS.TF, which `sysret` does not restore as `iret` does.
const RF_TF: i32 = 0x1_0100;

/// The registers of a `pt_regs`, from its first byte on; 8 bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PtReg {
    R15,
    R14,
    R13,
    R12,
    Bp,
    Bx,
    R11,
    R10,
    R9,
    R8,
    Ax,
    Cx,
    Dx,
    Si,
    Di,
    OrigAx,
    Ip,
    Cs,
    Flags,
    Sp,
    Ss,
}

impl PtReg {
    /// Its offset in the structure.
    pub const fn offset(self) -> i32 {
        self as i32 * 8
    }
}

/// The registers that the code itself saves, in the order of `pt_regs` (and of popping).
const SAVED: [AsmRegister64; 15] = [r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi];

/// What no value of the user's is left in once they are saved. `rax` and `rdi` are the callers' to overwrite.
const CLEARED: [AsmRegister32; 13] = [esi, edx, ecx, r8d, r9d, r10d, r11d, ebx, ebp, r12d, r13d, r14d, r15d];

/// An exception with an entry in the IDT.
pub(super) struct Exception {
    pub vector: u8,
    /// Linux's name for it: the entry is `asm_exc_` and this, the C function `exc_` and this.
    pub name: &'static str,
    /// Whether the processor pushes an error code.
    pub error_code: bool,
}

const fn exception(vector: u8, name: &'static str, error_code: bool) -> Exception {
    Exception { vector, name, error_code }
}

/// The exceptions of the Intel SDM, volume 3, table 6-1.
pub(super) const EXCEPTIONS: [Exception; 19] = [
    exception(0, "divide_error", false),
    exception(1, "debug", false),
    exception(2, "nmi", false),
    exception(3, "int3", false),
    exception(4, "overflow", false),
    exception(5, "bounds", false),
    exception(6, "invalid_op", false),
    exception(7, "device_not_available", false),
    exception(8, "double_fault", true),
    exception(9, "coproc_segment_overrun", false),
    exception(10, "invalid_tss", true),
    exception(11, "segment_not_present", true),
    exception(12, "stack_segment", true),
    exception(13, "general_protection", true),
    exception(14, "page_fault", true),
    exception(16, "coprocessor_error", false),
    exception(17, "alignment_check", true),
    exception(18, "machine_check", false),
    exception(19, "simd_coprocessor_error", false),
];

impl Exception {
    /// The symbol that its gate leads to.
    pub(super) fn entry(&self) -> String {
        format!("asm_exc_{}", self.name)
    }

    fn handler(&self) -> String {
        format!("exc_{}", self.name)
    }
}

/// All functions of the image, in the order of their addresses; adds what the stubs ask for.
pub(super) fn functions(dispatch: &Dispatch, hypercalls: &mut Vec<Hypercall>) -> Vec<Function> {
    let ia32 = dispatch.ia32.is_some();
    let mut functions = vec![function("entry_SYSCALL_64", entry_syscall_64)];
    if ia32 {
        functions.push(function("entry_INT80_compat", entry_int80_compat));
    }
    functions.push(function("swapgs_restore_regs_and_return_to_usermode", return_to_usermode));
    functions.push(function("restore_regs_and_return_to_kernel", return_to_kernel));
    functions.push(function("error_entry", error_entry));
    functions.push(function("error_return", error_return));
    for one in &EXCEPTIONS {
        functions.push(function(one.entry(), move |asm, symbols| exception_entry(asm, symbols, one)));
    }

    let numbers = dispatch.native.len();
    functions.push(function("do_syscall_64", move |asm, symbols| do_syscall_64(asm, symbols, numbers)));
    if let Some(numbers) = dispatch.ia32.as_ref().map(|ia32| ia32.len()) {
        functions.push(function("do_int80_syscall_32", move |asm, symbols| do_int80_syscall_32(asm, symbols, numbers)));
    }
    functions.push(function(SYS_NI_SYSCALL, sys_ni_syscall));

    let mut stub = |name: String, hypercall| {
        let id = u32::try_from(hypercalls.len()).unwrap_or(u32::MAX);
        hypercalls.push(hypercall);
        functions.push(function(name, move |asm, _| call_host(asm, id)));
    };
    stub("syscall_exit_to_user_mode".to_owned(), Hypercall::ExitToUserMode);
    for one in &EXCEPTIONS {
        stub(one.handler(), Hypercall::Exception(one.vector));
    }
    for (index, point) in reached(dispatch, &dispatch.native) {
        stub(format!("__x64_{point}"), Hypercall::Syscall(index));
    }
    for (index, point) in dispatch.ia32.iter().flat_map(|ia32| reached(dispatch, ia32)) {
        stub(format!("__ia32_{point}"), Hypercall::Ia32Syscall(index));
    }
    functions
}

/// The entry points that a table leads to, sorted by name.
fn reached<'d>(dispatch: &'d Dispatch, numbers: &crate::dispatch::Numbers) -> Vec<(usize, &'d str)> {
    let mut reached: Vec<usize> = numbers.calls.iter().filter_map(|call| call.entry_point).collect();
    reached.sort_unstable();
    reached.dedup();
    let name = |index: usize| dispatch.entry_points.get(index).map(|point| (index, point.name.as_str()));
    reached.into_iter().filter_map(name).collect()
}

fn function(name: impl Into<String>, body: impl Fn(&mut CodeAssembler, &Symbols) -> Assembled + 'static) -> Function {
    Function { name: name.into(), body: Box::new(body) }
}

/// Where `syscall` leads (IA32_LSTAR). The processor has put the return address in rcx and the flags in r11; the stack
/// is still the user's, and gs too.
fn entry_syscall_64(asm: &mut CodeAssembler, symbols: &Symbols) -> Assembled {
    asm.swapgs()?;
    asm.mov(qword_ptr(pcpu::SCRATCH).gs(), rsp)?;
    asm.mov(rsp, qword_ptr(pcpu::TOP_OF_STACK).gs())?;
    // The upper part of pt_regs, as an interrupt would have pushed it.
    asm.push(i32::from(selector::USER_DS))?;
    asm.push(qword_ptr(pcpu::SCRATCH).gs())?;
    asm.push(r11)?;
    asm.push(i32::from(selector::USER_CS))?;
    asm.push(rcx)?;
    asm.push(rax)?;
    push_and_clear_regs(asm)?;
    // do_syscall_64(regs, number): only eax counts as the number.
    asm.mov(rdi, rsp)?;
    asm.movsxd(rsi, eax)?;
    asm.call(symbols.address("do_syscall_64"))?;
    asm.test(al, al)?;
    asm.je(symbols.address("swapgs_restore_regs_and_return_to_usermode"))?;
    // By sysret: rcx and r11 hold, as they did, the return address and the flags.
    pop_regs(asm)?;
    asm.mov(rsp, qword_ptr(rsp + (PtReg::Sp.offset() - PtReg::OrigAx.offset())))?;
    asm.swapgs()?;
    asm.sysretq()
}

/// Where `int $0x80` leads. The processor has switched stacks and pushed ss, rsp, rflags, cs and rip.
fn entry_int80_compat(asm: &mut CodeAssembler, symbols: &Symbols) -> Assembled {
    asm.swapgs()?;
    // A 64-bit program may have anything in the upper half of rax.
    asm.mov(eax, eax)?;
    asm.push(rax)?;
    push_and_clear_regs(asm)?;
    asm.mov(rdi, rsp)?;
    asm.call(symbols.address("do_int80_syscall_32"))?;
    asm.jmp(symbols.address("swapgs_restore_regs_and_return_to_usermode"))
}

/// Saves the registers below orig_ax, with -ENOSYS as the answer unless somebody gives another, and clears them.
fn push_and_clear_regs(asm: &mut CodeAssembler) -> Assembled {
    for register in SAVED.into_iter().rev() {
        match register == rax {
            true => asm.push(-ENOSYS)?,
            false => asm.push(register)?,
        }
    }
    clear_regs(asm)
}

fn clear_regs(asm: &mut CodeAssembler) -> Assembled {
    CLEARED.into_iter().try_for_each(|register| asm.xor(register, register))
}

fn pop_regs(asm: &mut CodeAssembler) -> Assembled {
    SAVED.into_iter().try_for_each(|register| asm.pop(register))
}

fn return_to_usermode(asm: &mut CodeAssembler, _: &Symbols) -> Assembled {
    pop_regs(asm)?;
    asm.add(rsp, 8)?;
    asm.swapgs()?;
    asm.iretq()
}

fn return_to_kernel(asm: &mut CodeAssembler, _: &Symbols) -> Assembled {
    pop_regs(asm)?;
    asm.add(rsp, 8)?;
    asm.iretq()
}

/// An exception's own entry: completes the processor's frame by what stands for orig_ax, and leads to its C function.
fn exception_entry(asm: &mut CodeAssembler, symbols: &Symbols, exception: &Exception) -> Assembled {
    if !exception.error_code {
        asm.push(-1)?;
    }
    asm.call(symbols.address("error_entry"))?;
    asm.mov(rdi, rsp)?;
    if exception.error_code {
        // The error code is the second argument. As orig_ax it would look like a system call's number.
        let orig_ax = qword_ptr(rsp + PtReg::OrigAx.offset());
        asm.mov(rsi, orig_ax)?;
        asm.mov(orig_ax, -1)?;
    }
    asm.call(symbols.address(&exception.handler()))?;
    asm.jmp(symbols.address("error_return"))
}

/// Saves the registers of whatever an exception interrupted. It is called, so its return address lies where di belongs.
fn error_entry(asm: &mut CodeAssembler, _: &Symbols) -> Assembled {
    let mut from_kernel = asm.create_label();
    asm.push(rsi)?;
    asm.mov(rsi, qword_ptr(rsp + 8))?;
    asm.mov(qword_ptr(rsp + 8), rdi)?;
    let rest = SAVED.into_iter().rev().filter(|register| ![rdi, rsi].contains(register));
    rest.into_iter().try_for_each(|register| asm.push(register))?;
    asm.push(rsi)?;
    clear_regs(asm)?;
    // In ring 0 gs is the kernel's already.
    asm.test(byte_ptr(rsp + PtReg::Cs.offset() + 8), 3)?;
    asm.je(from_kernel)?;
    asm.swapgs()?;
    asm.set_label(&mut from_kernel)?;
    asm.ret()
}

fn error_return(asm: &mut CodeAssembler, symbols: &Symbols) -> Assembled {
    asm.test(byte_ptr(rsp + PtReg::Cs.offset()), 3)?;
    asm.je(symbols.address("restore_regs_and_return_to_kernel"))?;
    asm.jmp(symbols.address("swapgs_restore_regs_and_return_to_usermode"))
}

/// `bool do_syscall_64(struct pt_regs *regs, int nr)`: whether `sysret` can return.
fn do_syscall_64(asm: &mut CodeAssembler, symbols: &Symbols, numbers: usize) -> Assembled {
    let mut by_iret = asm.create_label();
    asm.push(rbx)?;
    asm.mov(rbx, rdi)?;
    asm.mov(eax, esi)?;
    call_table(asm, symbols, "sys_call_table", numbers)?;

    // sysret takes rip from rcx and the flags from r11, and knows only the usual segments.
    asm.mov(rcx, regs(PtReg::Cx))?;
    asm.cmp(rcx, regs(PtReg::Ip))?;
    asm.jne(by_iret)?;
    asm.mov(rdx, regs(PtReg::R11))?;
    asm.cmp(rdx, regs(PtReg::Flags))?;
    asm.jne(by_iret)?;
    asm.cmp(regs(PtReg::Cs), i32::from(selector::USER_CS))?;
    asm.jne(by_iret)?;
    asm.cmp(regs(PtReg::Ss), i32::from(selector::USER_DS))?;
    asm.jne(by_iret)?;
    asm.mov(rax, TASK_SIZE_MAX)?;
    asm.cmp(rcx, rax)?;
    asm.jae(by_iret)?;
    asm.test(edx, RF_TF)?;
    asm.jne(by_iret)?;
    asm.mov(eax, 1)?;
    asm.pop(rbx)?;
    asm.ret()?;

    asm.set_label(&mut by_iret)?;
    asm.xor(eax, eax)?;
    asm.pop(rbx)?;
    asm.ret()
}

/// `void do_int80_syscall_32(struct pt_regs *regs)`.
fn do_int80_syscall_32(asm: &mut CodeAssembler, symbols: &Symbols, numbers: usize) -> Assembled {
    asm.push(rbx)?;
    asm.mov(rbx, rdi)?;
    asm.mov(eax, dword_ptr(rbx + PtReg::OrigAx.offset()))?;
    call_table(asm, symbols, "ia32_sys_call_table", numbers)?;
    asm.pop(rbx)?;
    asm.ret()
}

/// Calls the function for the number in eax with the `pt_regs` in rbx, keeps its answer there, and does what is to be
/// done before the return to user mode.
fn call_table(asm: &mut CodeAssembler, symbols: &Symbols, table: &str, numbers: usize) -> Assembled {
    let mut no_such_number = asm.create_label();
    let mut answered = asm.create_label();
    // The length of the table is no guest's to influence, and below 65,536.
    asm.cmp(eax, i32::try_from(numbers).unwrap_or_default())?;
    asm.jae(no_such_number)?;
    // The table lies in the upper 2 GiB, so its address is a sign-extended 32-bit displacement.
    asm.mov(rax, qword_ptr(rax * 8 + symbols.address(table).cast_signed() as i32))?;
    asm.call(rax)?;
    asm.jmp(answered)?;
    asm.set_label(&mut no_such_number)?;
    asm.call(symbols.address(SYS_NI_SYSCALL))?;
    asm.set_label(&mut answered)?;
    asm.mov(regs(PtReg::Ax), rax)?;
    asm.mov(rdi, rbx)?;
    asm.call(symbols.address("syscall_exit_to_user_mode"))
}

fn regs(register: PtReg) -> AsmMemoryOperand {
    qword_ptr(rbx + register.offset())
}

fn sys_ni_syscall(asm: &mut CodeAssembler, _: &Symbols) -> Assembled {
    asm.mov(rax, -i64::from(ENOSYS))?;
    asm.ret()
}

/// A function whose work is done outside the machine: `pt_regs` in rdi, what is asked for in eax, the answer in rax.
fn call_host(asm: &mut CodeAssembler, id: u32) -> Assembled {
    asm.mov(eax, id)?;
    asm.vmcall()?;
    asm.ret()
}
