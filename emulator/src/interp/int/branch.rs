//! Near jumps, calls and returns. All but the conditional ones end a block. A target that is always the same is the block's
//! affair; one that is computed is left in `core.rip`.
//!
//! A target that is no 48-bit address raises #GP at the branch, before anything is pushed or popped.

use iced_x86::{Code, Instruction, Mnemonic};

use crate::cpu::reg;
use crate::interp::core::Core;
use crate::interp::op::{End, Op, Step};
use crate::memory::is_canonical;

use super::alu::condition_number;
use super::arith::{by_condition, condition};
use super::operand::{Address, Form, by_address, form};
use super::stack::push_then;

/// The function for an instruction of this file.
pub(super) fn select(i: &Instruction) -> Option<Step> {
    if i.is_jcc_short_or_near() {
        return by_condition!(condition_number(i), C => Some(jcc::<C>));
    }
    if i.is_loop() || i.is_loopcc() {
        return Some(select_loop(i));
    }
    Some(match i.mnemonic() {
        Mnemonic::Jmp if i.is_jmp_short_or_near() => jmp,
        Mnemonic::Jmp if i.is_jmp_near_indirect() => match form(i) {
            Form::R => jmp_r,
            Form::M(kind) => by_address!(kind, A => jmp_m::<A>),
            _ => return None,
        },
        Mnemonic::Call if i.is_call_near() => call,
        Mnemonic::Call if i.is_call_near_indirect() => match form(i) {
            Form::R => call_r,
            Form::M(kind) => by_address!(kind, A => call_m::<A>),
            _ => return None,
        },
        Mnemonic::Ret if i.op_count() == 0 => ret::<false>,
        Mnemonic::Ret => ret::<true>,
        Mnemonic::Jrcxz => jcxz::<false>,
        Mnemonic::Jecxz => jcxz::<true>,
        _ => return None,
    })
}

/// Leaves the block for a computed target.
#[inline(always)]
fn indirect(core: &mut Core<'_>, rest: &[Op], target: u64) -> End {
    if is_canonical(target) {
        core.rip = target;
        return End::Indirect;
    }
    beyond(core, rest)
}

#[cold]
#[inline(never)]
fn beyond(core: &mut Core<'_>, rest: &[Op]) -> End {
    let stop = core.gp();
    core.stopped(rest, stop)
}

pub(super) fn jcc<const C: u8>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    if condition::<C>(&core.flags) { core.branch(op, rest) } else { core.next(rest) }
}

pub(super) fn jmp(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    core.branch(op, rest)
}

fn jmp_r(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let target = core.r64(op.dst);
    indirect(core, rest, target)
}

fn jmp_m<A: Address>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    core.load_then(op, rest, A::ea(core, op), |core, _, rest, target| indirect(core, rest, target))
}

pub(super) fn call(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    push_then(core, op, rest, op.imm, |core, op, rest| core.branch(op, rest))
}

/// Pushes the address to return to, and leaves the block for a computed target.
#[inline(always)]
fn call_indirect(core: &mut Core<'_>, op: &Op, rest: &[Op], target: u64) -> End {
    if !is_canonical(target) {
        return beyond(core, rest);
    }
    // If the push faults, rip is that of the call again.
    core.rip = target;
    push_then(core, op, rest, op.imm, |_, _, _| End::Indirect)
}

fn call_r(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    // Read before the push: `call rsp` goes to where rsp pointed.
    let target = core.r64(op.dst);
    call_indirect(core, op, rest, target)
}

fn call_m<A: Address>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    core.load_then(op, rest, A::ea(core, op), call_indirect)
}

/// RET, which may release arguments too.
pub(super) fn ret<const RELEASES: bool>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    core.load_then(op, rest, core.gpr[reg::RSP], |core, op, rest, target| {
        if !is_canonical(target) {
            return beyond(core, rest);
        }
        let released = if RELEASES { 8 + (op.imm & 0xffff) } else { 8 };
        core.gpr[reg::RSP] = core.gpr[reg::RSP].wrapping_add(released);
        core.rip = target;
        End::Indirect
    })
}

/// AMD's processors take F2h and F3h before LOOPE and LOOPNE for the condition; to Intel's they are reserved.
fn select_loop(i: &Instruction) -> Step {
    // Not iced's `op_code`, whose first use describes all instructions there are: more than a millisecond.
    let narrow = matches!(i.code(), Code::Loop_rel8_64_ECX | Code::Loope_rel8_64_ECX | Code::Loopne_rel8_64_ECX);
    let equal = match i.mnemonic() {
        Mnemonic::Loop if narrow => return loop_while::<{ ALWAYS | NARROW }>,
        Mnemonic::Loop => return loop_while::<ALWAYS>,
        mnemonic => i.has_repe_prefix() || mnemonic == Mnemonic::Loope && !i.has_repne_prefix(),
    };
    match (equal, narrow) {
        (true, true) => loop_while::<{ EQUAL | NARROW }>,
        (true, false) => loop_while::<EQUAL>,
        (false, true) => loop_while::<{ NOT_EQUAL | NARROW }>,
        (false, false) => loop_while::<NOT_EQUAL>,
    }
}

const ALWAYS: u8 = 0;
const EQUAL: u8 = 1;
const NOT_EQUAL: u8 = 2;
const NARROW: u8 = 4;

fn loop_while<const KIND: u8>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
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
    if go_on && count != 0 { core.branch(op, rest) } else { core.next(rest) }
}

fn jcxz<const NARROW: bool>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let count = core.gpr[reg::RCX];
    let zero = if NARROW { count as u32 == 0 } else { count == 0 };
    if zero { core.branch(op, rest) } else { core.next(rest) }
}
