//! Measures how many guest instructions a second the interpreter executes.
//!
//! `cargo run --release -p callgate-emulator --example mips`

use std::time::Instant;

use callgate_emulator::{Cpu, Engine, Exit, Interp, Memory, PageFlags, Space, reg};
use iced_x86::IcedError;
use iced_x86::code_asm::*;

/// How often each program is run.
const RUNS: u32 = 100;

const CODE: u64 = 0x40_0000;
const DATA: u64 = 0x60_0000;
const STACK: u64 = 0x70_0000;

/// A program that ends in `syscall`.
type Program = fn(&mut CodeAssembler) -> Result<(), IcedError>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let programs: [(&str, Program); 8] = [
        ("integer loop", integer_loop),
        ("memory loop", memory_loop),
        ("recursive fib", fib),
        ("dispatch loop", dispatch),
        ("xorshift", xorshift),
        ("x87 loop", x87_loop),
        ("rep movsb", copies),
        ("cold code", cold),
    ];
    let wanted = std::env::args().nth(1);
    for (name, program) in programs {
        if wanted.as_deref().is_some_and(|wanted| !name.contains(wanted)) {
            continue;
        }
        let mut best = f64::MAX;
        let mut instructions = 0;
        // Short and often, and the best of them: other work on the machine disturbs long runs.
        for _ in 0..RUNS {
            let (count, seconds) = measure(program)?;
            instructions = count;
            best = best.min(seconds);
        }
        println!("{name:15} {instructions:>11} instructions {:>8.1} million/s", instructions as f64 / best / 1e6);
    }
    let calls = 20_000;
    let seconds = syscalls(calls)?;
    println!("{:15} {calls:>11} exits        {:>8.1} ns each", "syscall loop", seconds / f64::from(calls) * 1e9);
    Ok(())
}

fn machine(program: Program) -> Result<(Memory, Space, Cpu), Box<dyn std::error::Error>> {
    let memory = Memory::new(64 << 20)?;
    let mut space = Space::new(&memory);
    let mut a = CodeAssembler::new(64)?;
    program(&mut a)?;
    let frame = memory.alloc().ok_or("no frame")?;
    frame.write(0, &a.assemble(CODE)?);
    space.map(CODE, frame, PageFlags::USER | PageFlags::EXEC);
    for page in 0..64 {
        for area in [DATA, STACK] {
            let frame = memory.alloc().ok_or("no frame")?;
            space.map(area + page * 4096, frame, PageFlags::USER | PageFlags::WRITE);
        }
    }
    let mut cpu = Cpu::default();
    cpu.rip = CODE;
    cpu.gpr[reg::RSP] = STACK + 64 * 4096;
    cpu.gpr[reg::RBX] = DATA;
    Ok((memory, space, cpu))
}

fn measure(program: Program) -> Result<(u64, f64), Box<dyn std::error::Error>> {
    let (memory, mut space, mut cpu) = machine(program)?;
    let mut interp = Interp::new(&memory);
    let start = Instant::now();
    let exit = interp.run(&mut cpu, &mut space, u64::MAX);
    let seconds = start.elapsed().as_secs_f64();
    match exit {
        Exit::Syscall => Ok((cpu.instructions, seconds)),
        other => Err(format!("{other:?} at {:#x}", cpu.rip).into()),
    }
}

fn syscalls(calls: u32) -> Result<f64, Box<dyn std::error::Error>> {
    let (memory, mut space, mut cpu) = machine(|a| {
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        a.mov(eax, 39)?;
        a.syscall()?;
        a.jmp(again)
    })?;
    let mut interp = Interp::new(&memory);
    let mut best = f64::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        for _ in 0..calls {
            if interp.run(&mut cpu, &mut space, 1_000_000) != Exit::Syscall {
                return Err("no system call".into());
            }
            cpu.gpr[reg::RAX] = 1;
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// What a compiler makes of a loop with a few dependent operations.
fn integer_loop(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.xor(eax, eax)?;
    a.mov(ecx, 200_000)?;
    a.set_label(&mut again)?;
    a.lea(rdx, rax + rcx * 2)?;
    a.add(rax, rdx)?;
    a.mov(esi, eax)?;
    a.shr(esi, 7)?;
    a.xor(eax, esi)?;
    a.sub(ecx, 1)?;
    a.jne(again)?;
    a.syscall()
}

/// Loads, stores and an update in memory, as unoptimised code has them.
fn memory_loop(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut again, mut check) = (a.create_label(), a.create_label());
    a.push(rbp)?;
    a.mov(rbp, rsp)?;
    a.sub(rsp, 32)?;
    a.mov(dword_ptr(rbp - 4), 0)?;
    a.mov(dword_ptr(rbp - 8), 0)?;
    a.jmp(check)?;
    a.set_label(&mut again)?;
    a.mov(eax, dword_ptr(rbp - 4))?;
    a.cdqe()?;
    a.and(eax, 1023)?;
    a.mov(edx, dword_ptr(rbx + rax * 4))?;
    a.add(dword_ptr(rbp - 8), edx)?;
    a.mov(dword_ptr(rbx + rax * 4), ecx)?;
    a.add(dword_ptr(rbp - 4), 1)?;
    a.set_label(&mut check)?;
    a.cmp(dword_ptr(rbp - 4), 200_000)?;
    a.jl(again)?;
    a.syscall()
}

fn fib(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut fib, mut small, mut main) = (a.create_label(), a.create_label(), a.create_label());
    a.jmp(main)?;
    a.set_label(&mut fib)?;
    a.cmp(edi, 2)?;
    a.jl(small)?;
    a.push(rbx)?;
    a.push(rdi)?;
    a.sub(edi, 1)?;
    a.call(fib)?;
    a.mov(ebx, eax)?;
    a.pop(rdi)?;
    a.sub(edi, 2)?;
    a.call(fib)?;
    a.add(eax, ebx)?;
    a.pop(rbx)?;
    a.ret()?;
    a.set_label(&mut small)?;
    a.mov(eax, edi)?;
    a.ret()?;
    a.set_label(&mut main)?;
    a.mov(edi, 22)?;
    a.call(fib)?;
    a.syscall()
}

/// A bytecode interpreter's loop: an indirect jump with eight targets, whose addresses are put on the stack first.
fn dispatch(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut targets: [CodeLabel; 8] = std::array::from_fn(|_| a.create_label());
    let mut end = a.create_label();
    a.sub(rsp, 64)?;
    for (i, target) in targets.iter().enumerate() {
        a.lea(rax, ptr(*target))?;
        a.mov(qword_ptr(rsp + 8 * i), rax)?;
    }
    a.mov(ecx, 200_000)?;
    a.mov(r9, 0x9e37_79b9_7f4a_7c15u64)?;
    a.mov(r10, r9)?;
    for (i, target) in targets.iter_mut().enumerate() {
        a.set_label(target)?;
        a.add(eax, i as u32)?;
        a.sub(ecx, 1)?;
        a.je(end)?;
        a.rol(r10, 5)?;
        a.add(r10, r9)?;
        a.mov(edx, r10d)?;
        a.shr(edx, 29)?;
        a.jmp(qword_ptr(rsp + rdx * 8))?;
    }
    a.set_label(&mut end)?;
    a.syscall()
}

/// Sums and products of 80 bits, with operands in memory and on the stack.
fn x87_loop(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.mov(rsi, DATA)?;
    a.mov(dword_ptr(rsi), 3)?;
    a.fild(dword_ptr(rsi))?;
    a.fld1()?;
    a.fdiv_2(st0, st1)?;
    a.fstp(qword_ptr(rsi + 8))?;
    a.fldz()?;
    a.mov(ecx, 10_000)?;
    a.set_label(&mut again)?;
    a.fld(qword_ptr(rsi + 8))?;
    a.fmul_2(st0, st2)?;
    a.faddp(st1, st0)?;
    a.fadd(qword_ptr(rsi + 8))?;
    a.fst(qword_ptr(rsi + 16))?;
    a.dec(ecx)?;
    a.jne(again)?;
    a.syscall()
}

fn xorshift(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.mov(eax, 0x1234_5678)?;
    a.mov(ecx, 200_000)?;
    a.set_label(&mut again)?;
    a.mov(rdx, rax)?;
    a.shl(rdx, 13)?;
    a.xor(rax, rdx)?;
    a.mov(rdx, rax)?;
    a.shr(rdx, 7)?;
    a.xor(rax, rdx)?;
    a.mov(rdx, rax)?;
    a.shl(rdx, 17)?;
    a.xor(rax, rdx)?;
    a.add(qword_ptr(rbx), rax)?;
    a.dec(ecx)?;
    a.jne(again)?;
    a.syscall()
}

fn copies(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.mov(edx, 500)?;
    a.set_label(&mut again)?;
    a.mov(rsi, rbx)?;
    a.lea(rdi, rbx + 0x1_0000)?;
    a.mov(ecx, 0x1_0000)?;
    a.rep().movsb()?;
    a.dec(edx)?;
    a.jne(again)?;
    a.syscall()
}

/// A page of code that runs once: what decoding costs.
fn cold(a: &mut CodeAssembler) -> Result<(), IcedError> {
    for i in 0..130 {
        let mut next = a.create_label();
        a.mov(eax, dword_ptr(rbx + 8 * i))?;
        a.lea(rdx, ptr(rax + rcx * 4 + 16))?;
        a.add(edx, eax)?;
        a.movdqu(xmm1, xmmword_ptr(rbx + 16 * i))?;
        a.cmp(edx, i)?;
        a.jne(next)?;
        a.inc(esi)?;
        a.set_label(&mut next)?;
    }
    a.syscall()
}
