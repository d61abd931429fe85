//! Control, debug and model-specific registers, and XCR0.
//!
//! All are ring 0's, except that ring 3 may read XCR0. A bit that doesn't exist is #GP(0) in CR4, CR8, EFER, XCR0 and the
//! upper halves of others, and is not kept in CR0. Protection, paging and long mode can't be left.
//!
//! Quirk: CR3 is a number; page tables are the [`Space`](crate::Space)'s.

use iced_x86::{Instruction, Mnemonic};

use crate::cpu::{Cpu, reg, seg};
use crate::debug::{dr6, dr7};
use crate::exit::{Exception, vector};
use crate::interp::core::Core;
use crate::interp::op::{Exec, Num, Op, Stop};
use crate::interp::units::OSXSAVE;
use crate::memory::is_canonical;
use crate::xstate;

use super::system::{edx_eax, ring_0, set_edx_eax};

type Done = Result<(), Stop>;

/// The function for an instruction of this file.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    let (to, from) = (i.op0_register(), i.op1_register());
    Some(match i.mnemonic() {
        Mnemonic::Mov if to.is_cr() => match to.number() {
            0 => to_cr0,
            2 => to_cr2,
            3 => to_cr3,
            4 => to_cr4,
            8 => to_cr8,
            _ => return None,
        },
        Mnemonic::Mov if from.is_cr() && matches!(from.number(), 0 | 2 | 3 | 4 | 8) => from_control,
        Mnemonic::Mov if to.is_dr() => to_debug,
        Mnemonic::Mov if from.is_dr() => from_debug,
        Mnemonic::Lmsw if to.is_gpr() => lmsw_r,
        Mnemonic::Lmsw => lmsw_m,
        Mnemonic::Clts => clts,
        Mnemonic::Rdmsr => rdmsr,
        Mnemonic::Wrmsr => wrmsr,
        Mnemonic::Xgetbv => xgetbv,
        Mnemonic::Xsetbv => xsetbv,
        _ => return None,
    })
}

/// CR0.PE and PG.
const PROTECTED_AND_PAGED: u64 = 1 | 1 << 31;
/// CR0.ET, which always reads 1.
const ET: u64 = 1 << 4;
/// CR0.NW and CD.
const NW: u64 = 1 << 29;
const CD: u64 = 1 << 30;
/// PE, MP, EM, TS, ET, NE, WP, AM, NW, CD, PG.
const CR0: u64 = PROTECTED_AND_PAGED | NW | CD | 0x5_003e;

fn set_cr0(core: &mut Core<'_>, value: u64) -> Done {
    if value >> 32 != 0 || value & PROTECTED_AND_PAGED != PROTECTED_AND_PAGED || value & (NW | CD) == NW {
        return Err(core.gp());
    }
    core.cpu.cr0 = value & CR0 | ET;
    Err(Stop::Resync)
}

fn to_cr0(core: &mut Core<'_>, op: &Op) -> Done {
    ring_0(core)?;
    set_cr0(core, core.r64(op.src))
}

fn to_cr2(core: &mut Core<'_>, op: &Op) -> Done {
    ring_0(core)?;
    core.cpu.cr2 = core.r64(op.src);
    Ok(())
}

fn to_cr3(core: &mut Core<'_>, op: &Op) -> Done {
    ring_0(core)?;
    let value = core.r64(op.src);
    // Physical addresses have 40 bits.
    if value >> 40 != 0 {
        return Err(core.gp());
    }
    core.cpu.cr3 = value;
    core.mmu.flush();
    Ok(())
}

/// CR4.PAE, without which there is no long mode.
const PAE: u64 = 1 << 5;
/// CR4.TSD, DE, PSE, PAE, MCE, PGE, PCE, OSFXSR, OSXMMEXCPT, UMIP, FSGSBASE.
const CR4: u64 = 0x1_0ffc;

fn to_cr4(core: &mut Core<'_>, op: &Op) -> Done {
    ring_0(core)?;
    let value = core.r64(op.src);
    let known = CR4 | if core.model.has_xsave() { OSXSAVE } else { 0 };
    if value & !known != 0 || value & PAE == 0 {
        return Err(core.gp());
    }
    core.cpu.cr4 = value;
    Err(Stop::Resync)
}

fn to_cr8(core: &mut Core<'_>, op: &Op) -> Done {
    ring_0(core)?;
    let value = core.r64(op.src);
    if value > 15 {
        return Err(core.gp());
    }
    core.cpu.cr8 = value;
    Ok(())
}

fn from_control(core: &mut Core<'_>, op: &Op) -> Done {
    ring_0(core)?;
    let value = match op.src as u8 {
        0 => core.cpu.cr0,
        2 => core.cpu.cr2,
        3 => core.cpu.cr3,
        4 => core.cpu.cr4,
        _ => core.cpu.cr8,
    };
    core.set_r64(op.dst, value);
    Ok(())
}

/// CR0.TS.
const TS: u64 = 1 << 3;

fn clts(core: &mut Core<'_>, _: &Op) -> Done {
    ring_0(core)?;
    core.cpu.cr0 &= !TS;
    Err(Stop::Resync)
}

/// LMSW: PE, MP, EM and TS; PE can't be cleared.
fn load_status(core: &mut Core<'_>, value: u16) -> Done {
    core.cpu.cr0 = core.cpu.cr0 & !0xe | u64::from(value) & 0xe;
    Err(Stop::Resync)
}

fn lmsw_r(core: &mut Core<'_>, op: &Op) -> Done {
    ring_0(core)?;
    load_status(core, core.gpr[op.dst as usize] as u16)
}

fn lmsw_m(core: &mut Core<'_>, op: &Op) -> Done {
    ring_0(core)?;
    let value = core.load(core.ea(op))?;
    load_status(core, value)
}

/// The number of the debug register that a MOV names: 4 and 5 are 6 and 7, if they are anything.
fn debug_register(core: &mut Core<'_>, named: Num) -> Result<usize, Stop> {
    /// CR4.DE.
    const DE: u64 = 1 << 3;
    ring_0(core)?;
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

fn to_debug(core: &mut Core<'_>, op: &Op) -> Done {
    let n = debug_register(core, op.dst)?;
    let value = core.r64(op.src);
    core.cpu.dr[n] = match n {
        6 | 7 if value >> 32 != 0 => return Err(core.gp()),
        6 => value & dr6::WRITABLE | dr6::FIXED,
        7 => value & dr7::WRITABLE | dr7::FIXED,
        _ => value,
    };
    Err(Stop::Resync)
}

fn from_debug(core: &mut Core<'_>, op: &Op) -> Done {
    let n = debug_register(core, op.src)?;
    let value = core.cpu.dr[n];
    core.set_r64(op.dst, value);
    Ok(())
}

fn xgetbv(core: &mut Core<'_>, _: &Op) -> Done {
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

fn xsetbv(core: &mut Core<'_>, _: &Op) -> Done {
    if core.cpu.cr4 & OSXSAVE == 0 {
        return Err(core.ud());
    }
    ring_0(core)?;
    // x87 state can't be switched off, nor SSE's where AVX's is on, and there are no others.
    let value = edx_eax(core);
    let without_sse = value & (xstate::SSE | xstate::AVX) == xstate::AVX;
    let avx_512 = value & xstate::AVX_512;
    let in_part = avx_512 != 0 && (avx_512 != xstate::AVX_512 || value & xstate::AVX == 0);
    if core.gpr[reg::RCX] as u32 != 0
        || value & !xstate::of(core.model) != 0
        || value & xstate::X87 == 0
        || without_sse
        || in_part
    {
        return Err(core.gp());
    }
    core.cpu.xcr0 = value;
    Err(Stop::Resync)
}

const TSC: u32 = 0x10;
const SYSENTER_ESP: u32 = 0x175;
const SYSENTER_EIP: u32 = 0x176;
const PAT: u32 = 0x277;
const EFER: u32 = 0xc000_0080;
const STAR: u32 = 0xc000_0081;
const LSTAR: u32 = 0xc000_0082;
const CSTAR: u32 = 0xc000_0083;
const FMASK: u32 = 0xc000_0084;
const FS_BASE: u32 = 0xc000_0100;
const GS_BASE: u32 = 0xc000_0101;
const KERNEL_GS_BASE: u32 = 0xc000_0102;
const TSC_AUX: u32 = 0xc000_0103;

/// The registers that RDMSR and WRMSR know.
fn msr(cpu: &mut Cpu, number: u32) -> Option<&mut u64> {
    Some(match number {
        0x174..=SYSENTER_EIP => &mut cpu.msr.sysenter[(number - 0x174) as usize],
        PAT => &mut cpu.msr.pat,
        EFER => &mut cpu.msr.efer,
        STAR => &mut cpu.msr.star,
        LSTAR => &mut cpu.msr.lstar,
        CSTAR => &mut cpu.msr.cstar,
        FMASK => &mut cpu.msr.fmask,
        FS_BASE => &mut cpu.seg[seg::FS].base,
        GS_BASE => &mut cpu.seg[seg::GS].base,
        KERNEL_GS_BASE => &mut cpu.msr.kernel_gs_base,
        TSC_AUX => &mut cpu.msr.tsc_aux,
        _ => return None,
    })
}

/// What a register becomes when a value is written to it; none if that can't be written.
fn written(number: u32, old: u64, value: u64) -> Option<u64> {
    /// EFER.LME and LMA, which don't change while paging is on.
    const LONG: u64 = 1 << 8 | 1 << 10;
    /// EFER.SCE, LME, LMA and NXE.
    const KNOWN: u64 = 1 | LONG | 1 << 11;
    let valid = match number {
        SYSENTER_ESP | SYSENTER_EIP | LSTAR | CSTAR | FS_BASE..=KERNEL_GS_BASE => is_canonical(value),
        PAT => value.to_le_bytes().iter().all(|kind| matches!(kind, 0 | 1 | 4..=7)),
        EFER => value & !KNOWN == 0 && (value ^ old) & 1 << 8 == 0,
        FMASK | TSC_AUX => value >> 32 == 0,
        _ => true,
    };
    let value = if number == EFER { value & !LONG | old & LONG } else { value };
    valid.then_some(value)
}

fn rdmsr(core: &mut Core<'_>, _: &Op) -> Done {
    ring_0(core)?;
    let number = core.gpr[reg::RCX] as u32;
    let value =
        if number == TSC { Some(core.cpu.tsc_at(core.retired())) } else { msr(core.cpu, number).map(|msr| *msr) };
    match value {
        Some(value) => {
            set_edx_eax(core, value);
            Ok(())
        }
        None => Err(core.gp()),
    }
}

fn wrmsr(core: &mut Core<'_>, _: &Op) -> Done {
    ring_0(core)?;
    let (number, value) = (core.gpr[reg::RCX] as u32, edx_eax(core));
    if let Some(msr) = msr(core.cpu, number)
        && let Some(value) = written(number, *msr, value)
    {
        *msr = value;
        return Ok(());
    }
    Err(core.gp())
}
