//! System calls, and the rest that only kernels use; and what does nothing.
//!
//! Privileged instructions raise #GP(0) outside ring 0, before any operand is looked at.
//!
//! Quirks: caches need no flushing, but the address given to CLFLUSH must be readable.

use std::hash::{BuildHasher, RandomState};

use iced_x86::{Code, Instruction, Mnemonic, OpKind};

use crate::cpu::{Cpu, Delivery, DescriptorTable, Tsc, reg, seg};
use crate::flags::rflags;
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Step, Stop, step};
use crate::interp::units::OSXSAVE;
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
        Mnemonic::Lgdt => ring0::<Lgdt>,
        Mnemonic::Lidt => ring0::<Lidt>,
        Mnemonic::Ltr => match i.op_kind(0) {
            OpKind::Memory => ring0::<LtrMemory>,
            _ => ring0::<LtrRegister>,
        },
        Mnemonic::Lldt => match i.op_kind(0) {
            OpKind::Memory => ring0::<LldtMemory>,
            _ => ring0::<LldtRegister>,
        },
        Mnemonic::Invlpg => ring0::<Invlpg>,
        Mnemonic::Invd | Mnemonic::Wbinvd | Mnemonic::Wbnoinvd => ring0::<Nothing>,
        _ => return None,
    })
}

/// Whether a block must end after an instruction that is no branch.
pub(super) fn ends_block(i: &Instruction) -> bool {
    match i.mnemonic() {
        // They leave the run, or need exact counts.
        Mnemonic::Hlt | Mnemonic::Vmcall | Mnemonic::Syscall => true,
        Mnemonic::Rdtsc | Mnemonic::Rdtscp | Mnemonic::Rdmsr | Mnemonic::Rdrand | Mnemonic::Rdseed => true,
        // They may set TF.
        Mnemonic::Popf | Mnemonic::Popfq => true,
        // Debug traps are put off after loads of segments; other registers change what blocks depend on.
        Mnemonic::Mov | Mnemonic::Pop => {
            let register = i.op0_register();
            register.is_segment_register() || register.is_cr() || register.is_dr()
        }
        Mnemonic::Clts | Mnemonic::Lmsw | Mnemonic::Xsetbv => true,
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
    let leaf = core.gpr[reg::RAX] as u32;
    let [eax, ebx, mut ecx, edx] = crate::cpuid::cpuid(core.model, leaf, core.gpr[reg::RCX] as u32);
    if leaf == 1 && core.cpu.cr4 & OSXSAVE == 0 {
        ecx &= !crate::cpuid::OSXSAVE;
    }
    core.gpr[reg::RAX] = u64::from(eax);
    core.gpr[reg::RBX] = u64::from(ebx);
    core.gpr[reg::RCX] = u64::from(ecx);
    core.gpr[reg::RDX] = u64::from(edx);
    Ok(())
}

/// Writes edx:eax.
pub(super) fn set_edx_eax(core: &mut Core<'_>, value: u64) {
    core.gpr[reg::RAX] = value & 0xffff_ffff;
    core.gpr[reg::RDX] = value >> 32;
}

pub(super) fn edx_eax(core: &Core<'_>) -> u64 {
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
    let count = core.retired();
    let value = match core.cpu.tsc {
        // The standard library's hasher begins with the host's randomness.
        Tsc::Host(since) => RandomState::new().hash_one((since.elapsed(), count)),
        Tsc::Instructions { .. } => {
            // Steele, Lea, Flood: "Fast splittable pseudorandom number generators", the finaliser.
            let x = core.cpu.tsc_at(count).wrapping_add(core.rip).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^ x >> 31
        }
    };
    T::set(core, op.dst, T::cut(value));
    core.flags.set_status(rflags::CF);
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

/// Whether the ring is within IOPL.
pub(super) fn allowed_io(core: &Core<'_>) -> bool {
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

/// SGDT and SIDT: limit and base.
fn store_table<const INTERRUPT: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    check_umip(core)?;
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

/// CR4.UMIP: what these instructions tell is not for ring 3.
fn check_umip(core: &mut Core<'_>) -> Result<(), Stop> {
    const UMIP: u64 = 1 << 11;
    if core.cpu.cr4 & UMIP != 0 { ring_0(core) } else { Ok(()) }
}

fn store_word_r<T: Int, W: SystemWord>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    check_umip(core)?;
    let value = W::read(core.cpu);
    T::set(core, op.dst, T::cut(value));
    Ok(())
}

fn store_word_m<W: SystemWord>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    check_umip(core)?;
    let value = W::read(core.cpu) as u16;
    core.store(core.ea(op), value)
}

/// An instruction that only ring 0 may execute.
trait Privileged {
    fn execute(core: &mut Core<'_>, op: &Op) -> Result<(), Stop>;
}

fn ring0<P: Privileged>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    ring_0(core)?;
    P::execute(core, op)
}

/// #GP(0) outside ring 0.
pub(super) fn ring_0(core: &mut Core<'_>) -> Result<(), Stop> {
    if core.cpu.cpl == 0 { Ok(()) } else { Err(core.gp()) }
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
    LldtRegister |core, op| {
        let selector = core.gpr[op.dst as usize] as u16;
        load_local(core, selector)
    };
    LldtMemory |core, op| {
        let selector = core.load::<u16>(core.ea(op))?;
        load_local(core, selector)
    };
    Invlpg |core, _op| {
        core.mmu.flush();
        Ok(())
    };
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
        Ok((base, limit)) => {
            core.cpu.tr = selector;
            (core.cpu.tr_base, core.cpu.tr_limit) = (base, limit);
            Ok(())
        }
        Err(exception) => Err(core.raise(exception)),
    }
}

/// LLDT: there are no local descriptor tables, but to have none is not an error.
fn load_local(core: &mut Core<'_>, selector: u16) -> Result<(), Stop> {
    if selector & !3 == 0 {
        core.cpu.ldtr = selector;
        return Ok(());
    }
    match super::segment::is_local_table(core, selector) {
        Ok(()) => Err(core.lacks()),
        Err(exception) => Err(core.raise(exception)),
    }
}
