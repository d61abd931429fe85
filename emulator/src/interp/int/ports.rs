//! Ports: IN, OUT, INS, OUTS.
//!
//! A ring above IOPL needs a clear bit for each byte of the port in the bitmap of the task state segment; a repeated
//! instruction needs it even if it is to be repeated no time.
//!
//! Nothing is behind any port here: as on a bus where nobody answers, all bits read 1, and what is written is lost.

use iced_x86::{Instruction, Mnemonic, OpKind};

use crate::cpu::reg;
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};

use super::operand::{Int, by_size, operand_size};
use super::segment::load_system;
use super::string::{ins, outs};
use super::system::allowed_io;

/// The function for an instruction of this file.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    let immediate = |n: u32| i.op_kind(n) == OpKind::Immediate8;
    let repeated = i.has_rep_prefix() || i.has_repne_prefix();
    match i.mnemonic() {
        Mnemonic::In if immediate(1) => by_size!(operand_size(i, 0), T => Some(input::<T, true>)),
        Mnemonic::In => by_size!(operand_size(i, 0), T => Some(input::<T, false>)),
        Mnemonic::Out if immediate(0) => by_size!(operand_size(i, 1), T => Some(output::<T, true>)),
        Mnemonic::Out => by_size!(operand_size(i, 1), T => Some(output::<T, false>)),
        Mnemonic::Insb | Mnemonic::Insw | Mnemonic::Insd => {
            by_size!(i.memory_size().size(), T => Some(if repeated { ins::<T, true> } else { ins::<T, false> }))
        }
        Mnemonic::Outsb | Mnemonic::Outsw | Mnemonic::Outsd => {
            by_size!(i.memory_size().size(), T => Some(if repeated { outs::<T, true> } else { outs::<T, false> }))
        }
        _ => None,
    }
}

/// #GP(0) unless the current ring may use `bytes` ports from this one on.
pub(super) fn check_port(core: &mut Core<'_>, port: u16, bytes: u32) -> Result<(), Stop> {
    if allowed_io(core) {
        return Ok(());
    }
    match bitmap(core, port) {
        Ok(Some(bits)) if bits >> (port & 7) & ((1 << bytes) - 1) == 0 => Ok(()),
        Ok(_) => Err(core.gp()),
        Err(exception) => Err(core.raise(exception)),
    }
}

/// The two bytes of the bitmap that a port's bits are in, if the segment has them.
fn bitmap(core: &mut Core<'_>, port: u16) -> Result<Option<u32>, crate::Exception> {
    /// Where the task state segment says where its bitmap is.
    const BASE_AT: u64 = 0x66;
    let (base, limit) = (core.cpu.tr_base, u64::from(core.cpu.tr_limit));
    if core.cpu.tr & !3 == 0 || BASE_AT + 1 > limit {
        return Ok(None);
    }
    let at = u64::from(load_system::<u16>(core, base.wrapping_add(BASE_AT))?) + u64::from(port / 8);
    if at + 1 > limit {
        return Ok(None);
    }
    load_system::<u16>(core, base.wrapping_add(at)).map(|bits| Some(bits.into()))
}

fn number<const IMMEDIATE: bool>(core: &Core<'_>, op: &Op) -> u16 {
    if IMMEDIATE { op.imm as u8 as u16 } else { core.gpr[reg::RDX] as u16 }
}

fn input<T: Int, const IMMEDIATE: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    check_port(core, number::<IMMEDIATE>(core, op), T::BITS / 8)?;
    T::set(core, T::register(reg::RAX), T::cut(!0));
    Ok(())
}

fn output<T: Int, const IMMEDIATE: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    check_port(core, number::<IMMEDIATE>(core, op), T::BITS / 8)
}
