//! Far jumps, calls and returns between 64-bit code segments.
//!
//! A far branch loads cs besides rip. One that names a call gate may raise the privilege; a return may lower it.
//!
//! Quirk: there are no call gates, which kernels of today don't use.

use iced_x86::{Code, Instruction, Mnemonic};

use crate::cpu::{reg, seg};
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};
use crate::memory::is_canonical;

use super::operand::Int;
use super::segment::{branch_target, return_target, stack_of_ring};

/// The function for an instruction of this file.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    Some(match (i.mnemonic(), i.code()) {
        (_, Code::Jmp_m1616) => jump::<u16>,
        (_, Code::Jmp_m1632) => jump::<u32>,
        (_, Code::Jmp_m1664) => jump::<u64>,
        (_, Code::Call_m1616) => call::<u16>,
        (_, Code::Call_m1632) => call::<u32>,
        (_, Code::Call_m1664) => call::<u64>,
        (Mnemonic::Retf, Code::Retfw | Code::Retfw_imm16) => ret::<u16>,
        (Mnemonic::Retf, Code::Retfd | Code::Retfd_imm16) => ret::<u32>,
        (Mnemonic::Retf, _) => ret::<u64>,
        _ => return None,
    })
}

/// The far pointer of the memory operand, checked.
fn pointer<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(u64, u16), Stop> {
    let address = core.ea(op);
    core.check_aligned(address, T::BITS as usize / 8)?;
    core.check_load(address, T::BITS as usize / 8 + 2)?;
    let target = core.load::<T>(address)?.wide();
    let selector = core.load::<u16>(address.wrapping_add(u64::from(T::BITS / 8)))?;
    if let Err(exception) = branch_target(core, selector) {
        return Err(core.raise(exception));
    }
    if is_canonical(target) { Ok((target, selector)) } else { Err(core.gp()) }
}

fn enter(core: &mut Core<'_>, target: u64, selector: u16) -> Result<(), Stop> {
    core.cpu.seg[seg::CS].selector = selector & !3 | u16::from(core.cpu.cpl);
    core.rip = target;
    Err(Stop::Resync)
}

fn jump<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let (target, selector) = pointer::<T>(core, op)?;
    enter(core, target, selector)
}

fn call<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let (target, selector) = pointer::<T>(core, op)?;
    let size = u64::from(T::BITS / 8);
    let top = core.gpr[reg::RSP].wrapping_sub(2 * size);
    core.check_aligned(top, size as usize)?;
    core.check_store(top, 2 * size as usize)?;
    let cs = core.cpu.seg[seg::CS].selector;
    core.store(top.wrapping_add(size), T::cut(u64::from(cs)))?;
    core.store(top, T::cut(core.rip))?;
    core.gpr[reg::RSP] = top;
    enter(core, target, selector)
}

/// RETF: rip and cs, then what the caller pushed as arguments, then rsp and ss if the ring changes.
fn ret<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let size = u64::from(T::BITS / 8);
    let released = op.imm & 0xffff;
    let top = core.gpr[reg::RSP];
    let rip = core.load::<T>(top)?.wide();
    let cs = core.load::<T>(top.wrapping_add(size))?.wide() as u16;
    let mut rsp = top.wrapping_add(2 * size).wrapping_add(released);
    let outer = if (cs & 3) as u8 == core.cpu.cpl {
        None
    } else {
        // Before anything is checked, as AMD's processors do, and ss first.
        let ss = core.load::<T>(rsp.wrapping_add(size))?.wide() as u16;
        Some((core.load::<T>(rsp)?.wide(), ss))
    };
    let cpl = match return_target(core, cs) {
        Ok(cpl) => cpl,
        Err(exception) => return Err(core.raise(exception)),
    };
    if !is_canonical(rip) {
        return Err(core.gp());
    }
    if let Some((outer, ss)) = outer {
        if let Err(exception) = stack_of_ring(core, ss, cpl) {
            return Err(core.raise(exception));
        }
        core.cpu.seg[seg::SS].selector = ss;
        rsp = outer.wrapping_add(released);
        core.set_cpl(cpl);
    }
    core.gpr[reg::RSP] = rsp;
    core.cpu.seg[seg::CS].selector = cs;
    core.rip = rip;
    Err(Stop::Resync)
}
