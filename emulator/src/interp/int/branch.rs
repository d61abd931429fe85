//! Near jumps, calls and returns. They end a block: `core.rip` is the address after them already, and they say by which way
//! the block is left, so that its successor can be remembered.
//!
//! A target that is no 48-bit address raises #GP at the branch, before anything is pushed or popped.

use iced_x86::{Instruction, Mnemonic};

use crate::cpu::reg;
use crate::interp::core::{Core, DIRECT, INDIRECT};
use crate::interp::op::{Exec, Op, Stop};
use crate::memory::is_canonical;

use super::alu::condition_number;
use super::arith::{by_condition, condition};
use super::operand::{Form, form};
use super::stack::push_then;

/// The function for an instruction of this file.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    if i.is_jcc_short_or_near() {
        return by_condition!(condition_number(i), C => Some(jcc::<C>));
    }
    Some(match i.mnemonic() {
        Mnemonic::Jmp if i.is_jmp_short_or_near() => jmp,
        Mnemonic::Jmp if i.is_jmp_near_indirect() => match form(i) {
            Form::R => jmp_r,
            Form::M(_) => jmp_m,
            _ => return None,
        },
        Mnemonic::Call if i.is_call_near() => call,
        Mnemonic::Call if i.is_call_near_indirect() => match form(i) {
            Form::R => call_r,
            Form::M(_) => call_m,
            _ => return None,
        },
        Mnemonic::Ret if i.op_count() == 0 => ret,
        Mnemonic::Ret => ret_imm,
        Mnemonic::Loop => loop_while::<ALWAYS>,
        Mnemonic::Loope => loop_while::<EQUAL>,
        Mnemonic::Loopne => loop_while::<NOT_EQUAL>,
        Mnemonic::Jrcxz => jcxz::<false>,
        Mnemonic::Jecxz => jcxz::<true>,
        _ => return None,
    })
    .map(|exec: Exec| if address_32(i) { narrow(exec) } else { exec })
}

/// Whether LOOP counts in ecx.
fn address_32(i: &Instruction) -> bool {
    matches!(i.mnemonic(), Mnemonic::Loop | Mnemonic::Loope | Mnemonic::Loopne) && i.op_code().address_size() == 32
}

/// The form of a LOOP that counts in ecx.
fn narrow(exec: Exec) -> Exec {
    let same = |other: Exec| std::ptr::fn_addr_eq(exec, other);
    if same(loop_while::<EQUAL>) {
        loop_while::<{ EQUAL | NARROW }>
    } else if same(loop_while::<NOT_EQUAL>) {
        loop_while::<{ NOT_EQUAL | NARROW }>
    } else {
        loop_while::<{ ALWAYS | NARROW }>
    }
}

/// Leaves the block for a target that is always the same.
#[inline(always)]
pub(super) fn direct(core: &mut Core<'_>, target: u64) {
    core.rip = target;
    core.way = DIRECT;
}

#[inline(always)]
fn indirect(core: &mut Core<'_>, target: u64) {
    core.rip = target;
    core.way = INDIRECT;
}

/// Checks the target of an indirect branch.
#[inline(always)]
fn checked(core: &mut Core<'_>, target: u64) -> Result<u64, Stop> {
    if is_canonical(target) { Ok(target) } else { Err(core.gp()) }
}

fn jcc<const C: u8>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    if condition::<C>(&core.flags) {
        direct(core, op.imm);
    }
    Ok(())
}

fn jmp(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    direct(core, op.imm);
    Ok(())
}

fn jmp_r(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let target = checked(core, core.r64(op.dst))?;
    indirect(core, target);
    Ok(())
}

fn jmp_m(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    core.load_then(op, core.ea(op), |core, _, target| {
        let target = checked(core, target)?;
        indirect(core, target);
        Ok(())
    })
}

fn call(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    push_then(core, op, core.rip, |core, op| direct(core, op.imm))
}

fn call_r(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    // Read before the push: `call rsp` goes to where rsp pointed.
    let target = checked(core, core.r64(op.dst))?;
    push_then(core, op, core.rip, |_, _| ())?;
    indirect(core, target);
    Ok(())
}

fn call_m(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let target = core.load(core.ea(op))?;
    let target = checked(core, target)?;
    push_then(core, op, core.rip, |_, _| ())?;
    indirect(core, target);
    Ok(())
}

fn ret(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    core.load_then(op, core.gpr[reg::RSP], |core, _, target| {
        let target = checked(core, target)?;
        core.gpr[reg::RSP] = core.gpr[reg::RSP].wrapping_add(8);
        indirect(core, target);
        Ok(())
    })
}

fn ret_imm(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    ret(core, op)?;
    core.gpr[reg::RSP] = core.gpr[reg::RSP].wrapping_add(op.imm & 0xffff);
    Ok(())
}

const ALWAYS: u8 = 0;
const EQUAL: u8 = 1;
const NOT_EQUAL: u8 = 2;
const NARROW: u8 = 4;

fn loop_while<const KIND: u8>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let mut count = core.gpr[reg::RCX].wrapping_sub(1);
    if KIND & NARROW != 0 {
        count &= 0xffff_ffff;
    }
    core.gpr[reg::RCX] = count;
    let go_on = match KIND & !NARROW {
        EQUAL => core.flags.zf(),
        NOT_EQUAL => !core.flags.zf(),
        _ => true,
    };
    if go_on && count != 0 {
        direct(core, op.imm);
    }
    Ok(())
}

fn jcxz<const NARROW: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let count = core.gpr[reg::RCX];
    if if NARROW { count as u32 == 0 } else { count == 0 } {
        direct(core, op.imm);
    }
    Ok(())
}
