//! System calls, control and model-specific registers, and the rest that only kernels use; and what does nothing.
//!
//! Privileged instructions raise #GP(0) outside ring 0, before any operand is looked at.
//!
//! Quirks: there are no ports and no compatibility mode; caches need no flushing, but the address given to CLFLUSH must be
//! readable.

use std::hash::{BuildHasher, RandomState};

use iced_x86::{Code, Instruction, Mnemonic, OpKind, Register};

use crate::cpu::{Cpu, Delivery, DescriptorTable, Tsc, reg, seg};
use crate::debug::{dr6, dr7};
use crate::exit::{Exception, vector};
use crate::flags::rflags;
use crate::interp::core::Core;
use crate::interp::op::{Exec, Num, Op, Step, Stop, step};
use crate::memory::is_canonical;

use super::operand::{Int, by_size, operand_size};
use super::stack::load_flags;

/// The function for an instruction that programs pad with.
pub(super) fn select_step(i: &Instruction) -> Option<Step> {
    match i.mnemonic() {
        Mnemonic::Nop | Mnemonic::Endbr64 => Some(step!(nop)),
        _ => None,
    }
}

/// The function for an instruction of this file.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    Some(match i.mnemonic() {
        Mnemonic::Pause
        | Mnemonic::Endbr32
        | Mnemonic::Reservednop
        | Mnemonic::Prefetch
        | Mnemonic::Prefetchw
        | Mnemonic::Prefetchwt1
        | Mnemonic::Prefetchnta
        | Mnemonic::Prefetcht0
        | Mnemonic::Prefetcht1
        | Mnemonic::Prefetcht2
        | Mnemonic::Lfence
        | Mnemonic::Mfence
        | Mnemonic::Sfence
        | Mnemonic::Cldemote
        // Without shadow stacks these are no-operations by design.
        | Mnemonic::Rdsspd
        | Mnemonic::Rdsspq => nop,
        Mnemonic::Clflush | Mnemonic::Clflushopt | Mnemonic::Clwb => clflush,
        Mnemonic::Ud0 | Mnemonic::Ud1 | Mnemonic::Ud2 => undefined,
        Mnemonic::Cpuid => cpuid,
        Mnemonic::Rdtsc => rdtsc,
        Mnemonic::Rdtscp => rdtscp,
        Mnemonic::Rdpid => rdpid,
        Mnemonic::Xgetbv => xgetbv,
        Mnemonic::Rdrand | Mnemonic::Rdseed => by_size!(operand_size(i, 0), T => random::<T>),
        Mnemonic::Rdfsbase => by_size!(operand_size(i, 0), T => base_read::<T, { seg::FS }>),
        Mnemonic::Rdgsbase => by_size!(operand_size(i, 0), T => base_read::<T, { seg::GS }>),
        Mnemonic::Wrfsbase => by_size!(operand_size(i, 0), T => base_write::<T, { seg::FS }>),
        Mnemonic::Wrgsbase => by_size!(operand_size(i, 0), T => base_write::<T, { seg::GS }>),
        Mnemonic::Syscall => syscall,
        Mnemonic::Sysretq => sysret,
        Mnemonic::Vmcall => vmcall,
        Mnemonic::Hlt => hlt,
        Mnemonic::Cli => interrupts::<false>,
        Mnemonic::Sti => interrupts::<true>,
        Mnemonic::In | Mnemonic::Out | Mnemonic::Insb | Mnemonic::Insw | Mnemonic::Insd => ports,
        Mnemonic::Outsb | Mnemonic::Outsw | Mnemonic::Outsd => ports,
        Mnemonic::Sldt => store_word::<Ldtr>(i)?,
        Mnemonic::Str => store_word::<Tr>(i)?,
        Mnemonic::Smsw => store_word::<Msw>(i)?,
        Mnemonic::Sgdt => store_table::<false>,
        Mnemonic::Sidt => store_table::<true>,
        _ => return privileged(i),
    })
}

/// Instructions of ring 0: (does it there).
fn privileged(i: &Instruction) -> Option<Exec> {
    Some(match i.mnemonic() {
        Mnemonic::Swapgs => ring0::<Swapgs>,
        Mnemonic::Rdmsr => ring0::<Rdmsr>,
        Mnemonic::Wrmsr => ring0::<Wrmsr>,
        Mnemonic::Xsetbv => ring0::<Xsetbv>,
        Mnemonic::Lgdt => ring0::<Lgdt>,
        Mnemonic::Lidt => ring0::<Lidt>,
        Mnemonic::Ltr => match i.op_kind(0) {
            OpKind::Memory => ring0::<LtrMemory>,
            _ => ring0::<LtrRegister>,
        },
        Mnemonic::Invlpg => ring0::<Invlpg>,
        Mnemonic::Invd | Mnemonic::Wbinvd | Mnemonic::Wbnoinvd => ring0::<Nothing>,
        Mnemonic::Clts => ring0::<Clts>,
        Mnemonic::Mov if is_control(i.op0_register()) => ring0::<MovToControl>,
        Mnemonic::Mov if is_control(i.op1_register()) => ring0::<MovFromControl>,
        Mnemonic::Mov if i.op0_register().is_dr() => ring0::<MovToDebug>,
        Mnemonic::Mov if i.op1_register().is_dr() => ring0::<MovFromDebug>,
        _ => return None,
    })
}

fn is_control(register: Register) -> bool {
    register.is_cr() && matches!(register.number(), 0 | 2 | 3 | 4 | 8)
}

/// Whether a block must end after an instruction that is no branch.
pub(super) fn ends_block(i: &Instruction) -> bool {
    match i.mnemonic() {
        // They leave the run, or need exact counts.
        Mnemonic::Hlt | Mnemonic::Vmcall | Mnemonic::Syscall | Mnemonic::Rdtsc | Mnemonic::Rdtscp | Mnemonic::Rdmsr => {
            true
        }
        // They may set TF.
        Mnemonic::Popf | Mnemonic::Popfq => true,
        // Debug traps are put off after loads of segments; other registers change what blocks depend on.
        Mnemonic::Mov | Mnemonic::Pop => {
            let register = i.op0_register();
            register.is_segment_register() || register.is_cr() || register.is_dr()
        }
        Mnemonic::Invlpg | Mnemonic::Int | Mnemonic::Int3 | Mnemonic::Int1 => true,
        _ => matches!(i.code(), Code::Iretw | Code::Iretd | Code::Iretq | Code::Sysretq),
    }
}

fn nop(_: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    Ok(())
}

fn undefined(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    Err(core.ud())
}

fn clflush(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    core.check_load(core.ea(op), 1)
}

fn cpuid(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    let [eax, ebx, ecx, edx] = crate::cpuid::cpuid(core.model, core.gpr[reg::RAX] as u32, core.gpr[reg::RCX] as u32);
    core.gpr[reg::RAX] = u64::from(eax);
    core.gpr[reg::RBX] = u64::from(ebx);
    core.gpr[reg::RCX] = u64::from(ecx);
    core.gpr[reg::RDX] = u64::from(edx);
    Ok(())
}

/// Writes edx:eax.
fn set_edx_eax(core: &mut Core<'_>, value: u64) {
    core.gpr[reg::RAX] = value & 0xffff_ffff;
    core.gpr[reg::RDX] = value >> 32;
}

fn edx_eax(core: &Core<'_>) -> u64 {
    core.gpr[reg::RDX] << 32 | core.gpr[reg::RAX] & 0xffff_ffff
}

fn rdtsc(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    /// CR4.TSD: for ring 0 only.
    const TSD: u64 = 1 << 2;
    if core.cpu.cr4 & TSD != 0 && core.cpu.cpl != 0 {
        return Err(core.gp());
    }
    let tsc = core.cpu.tsc_at(core.retired());
    set_edx_eax(core, tsc);
    Ok(())
}

fn rdtscp(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    rdtsc(core, op)?;
    core.gpr[reg::RCX] = core.cpu.msr.tsc_aux & 0xffff_ffff;
    Ok(())
}

fn rdpid(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    core.set_r64(op.dst, core.cpu.msr.tsc_aux & 0xffff_ffff);
    Ok(())
}

/// RDRAND and RDSEED: never without a number. Where the time stamp counter repeats from run to run, so do the numbers.
fn random<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let count = core.retired().wrapping_add(u64::from(op.offset));
    let value = match core.cpu.tsc {
        // The standard library's hasher begins with the host's randomness.
        Tsc::Host(since) => RandomState::new().hash_one((since.elapsed(), count)),
        Tsc::Instructions { .. } => {
            // Steele, Lea, Flood: "Fast splittable pseudorandom number generators", the finaliser.
            let x = core.cpu.tsc_at(count).wrapping_add(core.start).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^ x >> 31
        }
    };
    T::set(core, op.dst, T::cut(value));
    core.flags.set_status(rflags::CF);
    Ok(())
}

fn xgetbv(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    /// CR4.OSXSAVE.
    const OSXSAVE: u64 = 1 << 18;
    if core.cpu.cr4 & OSXSAVE == 0 {
        return Err(core.ud());
    }
    let value = match core.gpr[reg::RCX] as u32 {
        0 => core.cpu.xcr0,
        1 => core.cpu.xcr0 & core.cpu.components_in_use(),
        _ => return Err(core.gp()),
    };
    set_edx_eax(core, value);
    Ok(())
}

/// CR4.FSGSBASE.
const FSGSBASE: u64 = 1 << 16;

fn base_read<T: Int, const SEGMENT: usize>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    if core.cpu.cr4 & FSGSBASE == 0 {
        return Err(core.ud());
    }
    let base = core.cpu.seg[SEGMENT].base;
    T::set(core, op.dst, T::cut(base));
    Ok(())
}

fn base_write<T: Int, const SEGMENT: usize>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    if core.cpu.cr4 & FSGSBASE == 0 {
        return Err(core.ud());
    }
    let base = T::get(core, op.dst).wide();
    if !is_canonical(base) {
        return Err(core.gp());
    }
    core.cpu.seg[SEGMENT].base = base;
    Ok(())
}

/// EFER.SCE: `syscall` and `sysret` are enabled.
const SCE: u64 = 1;

/// SYSCALL: rcx and r11 keep rip and rflags; rip, cs, ss and the flags to clear come from MSRs.
fn syscall(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    if core.cpu.msr.efer & SCE == 0 {
        return Err(core.ud());
    }
    core.gpr[reg::RCX] = core.rip;
    core.gpr[reg::R11] = core.flags.rflags() & !rflags::RF;
    if core.cpu.delivery == Delivery::Exit {
        return Err(Stop::Syscall);
    }
    core.rip = core.cpu.msr.lstar;
    let mask = core.cpu.msr.fmask | rflags::RF;
    load_flags(core, 0, mask & !rflags::FIXED);
    let cs = (core.cpu.msr.star >> 32) as u16 & !3;
    core.cpu.seg[seg::CS].selector = cs;
    core.cpu.seg[seg::SS].selector = cs.wrapping_add(8);
    core.set_cpl(0);
    // TF is looked at as it is now.
    core.trap_shadow = true;
    Err(Stop::Resync)
}

/// SYSRET with 64-bit operands.
fn sysret(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    if core.cpu.msr.efer & SCE == 0 {
        return Err(core.ud());
    }
    let target = core.gpr[reg::RCX];
    if core.cpu.cpl != 0 || !is_canonical(target) {
        return Err(core.gp());
    }
    core.rip = target;
    // All that are defined but RF and VM.
    let value = core.gpr[reg::R11] & 0x3c_7fd7;
    load_flags(core, value, !0);
    let selector = (core.cpu.msr.star >> 48) as u16;
    core.cpu.seg[seg::CS].selector = selector.wrapping_add(16) | 3;
    core.cpu.seg[seg::SS].selector = selector.wrapping_add(8) | 3;
    core.set_cpl(3);
    Err(Stop::Resync)
}

fn vmcall(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    if core.cpu.cpl == 0 { Err(Stop::Hypercall) } else { Err(core.ud()) }
}

fn hlt(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    if core.cpu.cpl == 0 { Err(Stop::Halt) } else { Err(core.gp()) }
}

fn allowed_io(core: &Core<'_>) -> bool {
    u64::from(core.cpu.cpl) <= (core.flags.system & rflags::IOPL) >> 12
}

/// CLI and STI. Nothing interrupts us, but the flag is seen.
fn interrupts<const ON: bool>(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    if !allowed_io(core) {
        return Err(core.gp());
    }
    if ON {
        core.flags.system |= rflags::IF;
    } else {
        core.flags.system &= !rflags::IF;
    }
    Ok(())
}

fn ports(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    if !allowed_io(core) {
        return Err(core.gp());
    }
    core.ud();
    core.fault.missing = true;
    Err(Stop::Fault)
}

/// SGDT and SIDT: limit and base.
fn store_table<const INTERRUPT: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let table = if INTERRUPT { core.cpu.idtr } else { core.cpu.gdtr };
    let mut bytes = [0; 10];
    bytes[..2].copy_from_slice(&table.limit.to_le_bytes());
    bytes[2..].copy_from_slice(&table.base.to_le_bytes());
    core.store(core.ea(op), bytes)
}

/// A system register whose low bits ring 3 may read.
trait SystemWord {
    fn read(cpu: &Cpu) -> u64;
}

struct Ldtr;

impl SystemWord for Ldtr {
    fn read(cpu: &Cpu) -> u64 {
        u64::from(cpu.ldtr)
    }
}

struct Tr;

impl SystemWord for Tr {
    fn read(cpu: &Cpu) -> u64 {
        u64::from(cpu.tr)
    }
}

struct Msw;

impl SystemWord for Msw {
    fn read(cpu: &Cpu) -> u64 {
        cpu.cr0
    }
}

/// SLDT, STR, SMSW: to memory always 16 bits.
fn store_word<W: SystemWord>(i: &Instruction) -> Option<Exec> {
    if i.op_kind(0) == OpKind::Memory {
        return Some(store_word_m::<W>);
    }
    by_size!(operand_size(i, 0), T => Some(store_word_r::<T, W>))
}

fn store_word_r<T: Int, W: SystemWord>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let value = W::read(core.cpu);
    T::set(core, op.dst, T::cut(value));
    Ok(())
}

fn store_word_m<W: SystemWord>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let value = W::read(core.cpu) as u16;
    core.store(core.ea(op), value)
}

/// An instruction that only ring 0 may execute.
trait Privileged {
    fn execute(core: &mut Core<'_>, op: &Op) -> Result<(), Stop>;
}

fn ring0<P: Privileged>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    if core.cpu.cpl != 0 {
        return Err(core.gp());
    }
    P::execute(core, op)
}

macro_rules! privileged {
    ($($name:ident |$core:ident, $op:ident| $body:expr;)*) => {$(
        struct $name;
        impl Privileged for $name {
            fn execute($core: &mut Core<'_>, $op: &Op) -> Result<(), Stop> {
                $body
            }
        }
    )*};
}

privileged! {
    Nothing |_core, _op| Ok(());
    Swapgs |core, _op| {
        std::mem::swap(&mut core.cpu.seg[seg::GS].base, &mut core.cpu.msr.kernel_gs_base);
        Ok(())
    };
    Rdmsr |core, _op| {
        let number = core.gpr[reg::RCX] as u32;
        let value = if number == MSR_TSC { Some(core.cpu.tsc_at(core.retired())) } else { msr(core.cpu, number).map(|msr| *msr) };
        match value {
            Some(value) => {
                set_edx_eax(core, value);
                Ok(())
            }
            None => Err(core.gp()),
        }
    };
    Wrmsr |core, _op| {
        let (number, value) = (core.gpr[reg::RCX] as u32, edx_eax(core));
        if holds_address(number) && !is_canonical(value) {
            return Err(core.gp());
        }
        match msr(core.cpu, number) {
            Some(msr) => {
                *msr = value;
                Ok(())
            }
            None => Err(core.gp()),
        }
    };
    Xsetbv |core, _op| {
        // x87 state can't be switched off, and we have no more than SSE and AVX.
        let value = edx_eax(core);
        if core.gpr[reg::RCX] as u32 != 0 || value & !7 != 0 || value & 1 == 0 || value & 6 == 4 {
            return Err(core.gp());
        }
        core.cpu.xcr0 = value;
        Ok(())
    };
    Lgdt |core, op| {
        core.cpu.gdtr = load_table(core, op)?;
        Ok(())
    };
    Lidt |core, op| {
        core.cpu.idtr = load_table(core, op)?;
        Ok(())
    };
    LtrRegister |core, op| {
        let selector = core.gpr[op.dst as usize] as u16;
        load_task(core, selector)
    };
    LtrMemory |core, op| {
        let selector = core.load::<u16>(core.ea(op))?;
        load_task(core, selector)
    };
    Invlpg |core, _op| {
        core.mmu.flush();
        Ok(())
    };
    Clts |core, _op| {
        /// CR0.TS
        const TS: u64 = 1 << 3;
        core.cpu.cr0 &= !TS;
        Ok(())
    };
    MovToControl |core, op| {
        let value = core.r64(op.src);
        match op.dst as u8 {
            0 => core.cpu.cr0 = value,
            2 => core.cpu.cr2 = value,
            3 => core.cpu.cr3 = value,
            4 => core.cpu.cr4 = value,
            _ => core.cpu.cr8 = value & 15,
        }
        Ok(())
    };
    MovFromControl |core, op| {
        let value = match op.src as u8 {
            0 => core.cpu.cr0,
            2 => core.cpu.cr2,
            3 => core.cpu.cr3,
            4 => core.cpu.cr4,
            _ => core.cpu.cr8,
        };
        core.set_r64(op.dst, value);
        Ok(())
    };
    MovToDebug |core, op| {
        let n = debug_register(core, op.dst)?;
        let value = core.r64(op.src);
        core.cpu.dr[n] = match n {
            6 | 7 if value >> 32 != 0 => return Err(core.gp()),
            6 => value & dr6::WRITABLE | dr6::FIXED,
            7 => value & dr7::WRITABLE | dr7::FIXED,
            _ => value,
        };
        Err(Stop::Resync)
    };
    MovFromDebug |core, op| {
        let n = debug_register(core, op.src)?;
        let value = core.cpu.dr[n];
        core.set_r64(op.dst, value);
        Ok(())
    };
}

/// The number of the debug register that a MOV names: 4 and 5 are 6 and 7, if they are anything.
fn debug_register(core: &mut Core<'_>, named: Num) -> Result<usize, Stop> {
    /// CR4.DE.
    const DE: u64 = 1 << 3;
    let n = match named as usize {
        4 | 5 if core.cpu.cr4 & DE != 0 => return Err(core.ud()),
        n @ (4 | 5) => n + 2,
        n @ 0..8 => n,
        _ => return Err(core.ud()),
    };
    if core.cpu.dr[7] & dr7::GD != 0 {
        core.cpu.dr[6] |= dr6::BD;
        return Err(core.raise(Exception::new(vector::DB)));
    }
    Ok(n)
}

const MSR_TSC: u32 = 0x10;

/// The registers that RDMSR and WRMSR know.
fn msr(cpu: &mut Cpu, number: u32) -> Option<&mut u64> {
    Some(match number {
        0x174..=0x176 => &mut cpu.msr.sysenter[(number - 0x174) as usize],
        0x277 => &mut cpu.msr.pat,
        0xc000_0080 => &mut cpu.msr.efer,
        0xc000_0081 => &mut cpu.msr.star,
        0xc000_0082 => &mut cpu.msr.lstar,
        0xc000_0083 => &mut cpu.msr.cstar,
        0xc000_0084 => &mut cpu.msr.fmask,
        0xc000_0100 => &mut cpu.seg[seg::FS].base,
        0xc000_0101 => &mut cpu.seg[seg::GS].base,
        0xc000_0102 => &mut cpu.msr.kernel_gs_base,
        0xc000_0103 => &mut cpu.msr.tsc_aux,
        _ => return None,
    })
}

/// Whether only 48-bit addresses can be written to a register.
fn holds_address(number: u32) -> bool {
    matches!(number, 0x175 | 0x176 | 0xc000_0082 | 0xc000_0083 | 0xc000_0100..=0xc000_0102)
}

fn load_table(core: &mut Core<'_>, op: &Op) -> Result<DescriptorTable, Stop> {
    let bytes = core.load::<[u8; 10]>(core.ea(op))?;
    let wide = bytes.iter().rev().fold(0u128, |wide, byte| wide << 8 | u128::from(*byte));
    let table = DescriptorTable { limit: wide as u16, base: (wide >> 16) as u64 };
    if is_canonical(table.base) { Ok(table) } else { Err(core.gp()) }
}

/// LTR: the descriptor of a task state segment has 16 bytes.
fn load_task(core: &mut Core<'_>, selector: u16) -> Result<(), Stop> {
    let loaded = super::segment::task(core, selector);
    match loaded {
        Ok(base) => {
            core.cpu.tr = selector;
            core.cpu.tr_base = base;
            Ok(())
        }
        Err(exception) => Err(core.raise(exception)),
    }
}
