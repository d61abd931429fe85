//! Two-operand and one-operand arithmetic and logic, moves, and the exchanging instructions.

use iced_x86::{ConditionCode, Instruction, Mnemonic};

use crate::interp::core::Core;
use crate::interp::op::{Dispatch, End, Next, Op, Step, Stop, step};

use super::arith::{
    Adc, Add, And, Binary, Cmp, Dec, Inc, Neg, Not, Or, Sbb, Sub, Test, Unary, Xor, add, by_condition, condition, sub,
};
use super::operand::{
    Address, AddressKind, Base, Form, Indexed, Int, address_kind, by_address, by_size, form, operand_size,
};

/// The function for an instruction of this file.
pub(super) fn select(i: &Instruction) -> Option<Step> {
    match i.mnemonic() {
        Mnemonic::Mov => mov(i),
        Mnemonic::Add => binary::<Add>(i),
        Mnemonic::Adc => binary::<Adc>(i),
        Mnemonic::Sub => binary::<Sub>(i),
        Mnemonic::Sbb => binary::<Sbb>(i),
        Mnemonic::And => binary::<And>(i),
        Mnemonic::Or => binary::<Or>(i),
        Mnemonic::Xor => binary::<Xor>(i),
        Mnemonic::Cmp => binary::<Cmp>(i),
        Mnemonic::Test => binary::<Test>(i),
        Mnemonic::Inc => unary::<Inc>(i),
        Mnemonic::Dec => unary::<Dec>(i),
        Mnemonic::Neg => unary::<Neg>(i),
        Mnemonic::Not => unary::<Not>(i),
        Mnemonic::Lea => lea(i),
        Mnemonic::Movzx => extend::<false>(i),
        Mnemonic::Movsx | Mnemonic::Movsxd => extend::<true>(i),
        Mnemonic::Xchg => exchange(i),
        Mnemonic::Xadd => xadd(i),
        Mnemonic::Cmpxchg => cmpxchg(i),
        _ if i.condition_code() != ConditionCode::None => conditional(i),
        _ => None,
    }
}

fn mov(i: &Instruction) -> Option<Step> {
    by_size!(operand_size(i, 0), T => Some(match form(i) {
        Form::RR => mov_rr::<T, Dispatch>,
        Form::RI => mov_ri::<T, Dispatch>,
        Form::RM(kind) => by_address!(kind, A => mov_rm::<T, A, Dispatch>),
        Form::MR(kind) => by_address!(kind, A => mov_mr::<T, A, Dispatch>),
        Form::MI(kind) => by_address!(kind, A => mov_mi::<T, A>),
        _ => return None,
    }))
}

pub(super) fn mov_rr<T: Int, N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let value = T::get(core, op.src);
    T::set(core, op.dst, value);
    N::next(core, rest)
}

pub(super) fn mov_ri<T: Int, N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    T::set(core, op.dst, T::cut(op.imm));
    N::next(core, rest)
}

pub(super) fn mov_rm<T: Int, A: Address, N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    core.load_then(op, rest, A::ea(core, op), |core, op, rest, value: T| {
        T::set(core, op.dst, value);
        N::next(core, rest)
    })
}

pub(super) fn mov_mr<T: Int, A: Address, N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    // The only register operand is the first one packed.
    let value = T::get(core, op.dst);
    core.store_then(op, rest, A::ea(core, op), value, |core, _, rest| N::next(core, rest))
}

fn mov_mi<T: Int, A: Address>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    core.store_then(op, rest, A::ea(core, op), T::cut(op.imm), |core, _, rest| core.next(rest))
}

fn binary<B: Binary>(i: &Instruction) -> Option<Step> {
    by_size!(operand_size(i, 0), T => Some(match form(i) {
        Form::RR => binary_rr::<T, B, Dispatch>,
        Form::RI => binary_ri::<T, B, Dispatch>,
        Form::RM(kind) => by_address!(kind, A => binary_rm::<T, B, A>),
        Form::MR(kind) => by_address!(kind, A => binary_mr::<T, B, A>),
        Form::MI(kind) => by_address!(kind, A => binary_mi::<T, B, A>),
        _ => return None,
    }))
}

pub(super) fn binary_rr<T: Int, B: Binary, N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let (a, b) = (T::get(core, op.dst), T::get(core, op.src));
    let result = B::apply(&mut core.flags, a, b);
    if B::WRITES {
        T::set(core, op.dst, result);
    }
    N::next(core, rest)
}

pub(super) fn binary_ri<T: Int, B: Binary, N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let a = T::get(core, op.dst);
    let result = B::apply(&mut core.flags, a, T::cut(op.imm));
    if B::WRITES {
        T::set(core, op.dst, result);
    }
    N::next(core, rest)
}

fn binary_rm<T: Int, B: Binary, A: Address>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    core.load_then(op, rest, A::ea(core, op), |core, op, rest, b: T| {
        let a = T::get(core, op.dst);
        let result = B::apply(&mut core.flags, a, b);
        if B::WRITES {
            T::set(core, op.dst, result);
        }
        core.next(rest)
    })
}

fn binary_mr<T: Int, B: Binary, A: Address>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let address = A::ea(core, op);
    if B::WRITES {
        core.modify_then_next(op, rest, address, |core, op, a: T| {
            let b = T::get(core, op.dst);
            B::apply(&mut core.flags, a, b)
        })
    } else {
        core.load_then(op, rest, address, |core, op, rest, a: T| {
            let b = T::get(core, op.dst);
            B::apply(&mut core.flags, a, b);
            core.next(rest)
        })
    }
}

fn binary_mi<T: Int, B: Binary, A: Address>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let address = A::ea(core, op);
    if B::WRITES {
        core.modify_then_next(op, rest, address, |core, op, a: T| B::apply(&mut core.flags, a, T::cut(op.imm)))
    } else {
        core.load_then(op, rest, address, |core, op, rest, a: T| {
            B::apply(&mut core.flags, a, T::cut(op.imm));
            core.next(rest)
        })
    }
}

fn unary<U: Unary>(i: &Instruction) -> Option<Step> {
    by_size!(operand_size(i, 0), T => Some(match form(i) {
        Form::R => unary_r::<T, U>,
        Form::M(kind) => by_address!(kind, A => unary_m::<T, U, A>),
        _ => return None,
    }))
}

fn unary_r<T: Int, U: Unary>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let a = T::get(core, op.dst);
    let result = U::apply(&mut core.flags, a);
    T::set(core, op.dst, result);
    core.next(rest)
}

fn unary_m<T: Int, U: Unary, A: Address>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    core.modify_then_next(op, rest, A::ea(core, op), |core, _, a: T| U::apply(&mut core.flags, a))
}

fn lea(i: &Instruction) -> Option<Step> {
    by_size!(operand_size(i, 0), T => Some(match address_kind(i) {
        AddressKind::Base => lea_plain::<T, Base, Dispatch>,
        AddressKind::Indexed => lea_plain::<T, Indexed, Dispatch>,
        AddressKind::Any => lea_any::<T>,
    }))
}

pub(super) fn lea_plain<T: Int, A: Address, N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let value = T::cut(A::ea(core, op));
    T::set(core, op.dst, value);
    N::next(core, rest)
}

/// Without the segment's base, whatever the prefix.
fn lea_any<T: Int>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let value = T::cut(core.offset(op));
    T::set(core, op.dst, value);
    core.next(rest)
}

fn extend<const SIGNED: bool>(i: &Instruction) -> Option<Step> {
    // AMD's processors load 32 bits even if they keep 16.
    let size = if i.mnemonic() == Mnemonic::Movsxd { 4 } else { operand_size(i, 1) };
    by_size!(operand_size(i, 0), T => by_size!(size, F => Some(match form(i) {
        Form::RR => extend_rr::<T, F, SIGNED>,
        Form::RM(kind) => by_address!(kind, A => extend_rm::<T, F, A, Dispatch, SIGNED>),
        _ => return None,
    })))
}

fn extend_rr<T: Int, F: Int, const SIGNED: bool>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let value = F::get(core, op.src);
    T::set(core, op.dst, T::cut(if SIGNED { value.signed() } else { value.wide() }));
    core.next(rest)
}

pub(super) fn extend_rm<T: Int, F: Int, A: Address, N: Next, const SIGNED: bool>(
    core: &mut Core<'_>,
    op: &Op,
    rest: &[Op],
) -> End {
    core.load_then(op, rest, A::ea(core, op), |core, op, rest, value: F| {
        T::set(core, op.dst, T::cut(if SIGNED { value.signed() } else { value.wide() }));
        N::next(core, rest)
    })
}

fn exchange(i: &Instruction) -> Option<Step> {
    by_size!(operand_size(i, 0), T => Some(match form(i) {
        Form::RR => step!(xchg_rr::<T>),
        Form::MR(_) | Form::RM(_) => step!(xchg_mr::<T>),
        _ => return None,
    }))
}

fn xchg_rr<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let (a, b) = (T::get(core, op.dst), T::get(core, op.src));
    T::set(core, op.dst, b);
    T::set(core, op.src, a);
    Ok(())
}

fn xchg_mr<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let value = T::get(core, op.dst);
    let mut old = T::ZERO;
    core.modify(core.ea(op), |_, a| {
        old = a;
        value
    })?;
    T::set(core, op.dst, old);
    Ok(())
}

fn xadd(i: &Instruction) -> Option<Step> {
    by_size!(operand_size(i, 0), T => Some(match form(i) {
        Form::RR => step!(xadd_rr::<T>),
        Form::MR(_) => step!(xadd_mr::<T>),
        _ => return None,
    }))
}

fn xadd_rr<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let (a, b) = (T::get(core, op.dst), T::get(core, op.src));
    let sum = add(&mut core.flags, a, b);
    // With one register twice, the sum stays.
    T::set(core, op.src, a);
    T::set(core, op.dst, sum);
    Ok(())
}

fn xadd_mr<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let b = T::get(core, op.dst);
    let mut old = T::ZERO;
    core.modify(core.ea(op), |flags, a| {
        old = a;
        add(flags, a, b)
    })?;
    T::set(core, op.dst, old);
    Ok(())
}

fn cmpxchg(i: &Instruction) -> Option<Step> {
    by_size!(operand_size(i, 0), T => Some(match form(i) {
        Form::RR => step!(cmpxchg_rr::<T>),
        Form::MR(_) => step!(cmpxchg_mr::<T>),
        _ => return None,
    }))
}

fn cmpxchg_rr<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let accumulator = T::register(0);
    let (expected, old) = (T::get(core, accumulator), T::get(core, op.dst));
    sub(&mut core.flags, expected, old);
    if expected == old {
        let value = T::get(core, op.src);
        T::set(core, op.dst, value);
    } else {
        T::set(core, accumulator, old);
    }
    Ok(())
}

/// Always writes, the old value if they differ, so that it faults as a write.
fn cmpxchg_mr<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let (expected, value) = (T::get(core, T::register(0)), T::get(core, op.dst));
    let mut old = T::ZERO;
    core.modify(core.ea(op), |flags, a| {
        old = a;
        sub(flags, expected, a);
        if a == expected { value } else { a }
    })?;
    if old != expected {
        T::set(core, T::register(0), old);
    }
    Ok(())
}

/// The condition's encoding.
pub(super) fn condition_number(i: &Instruction) -> u8 {
    // iced's conditions are in the order of their encodings, after "none".
    (i.condition_code() as u8).wrapping_sub(1)
}

/// CMOVcc and SETcc. Jcc is with the branches.
fn conditional(i: &Instruction) -> Option<Step> {
    let set = i.op_count() == 1;
    if i.is_jcc_short_or_near() || i.op_count() > 2 {
        return None;
    }
    by_condition!(condition_number(i), C => Some(match form(i) {
        Form::R if set => setcc_r::<C>,
        Form::M(_) if set => setcc_m::<C>,
        Form::RR => by_size!(operand_size(i, 0), T => cmov_rr::<T, C>),
        Form::RM(_) => by_size!(operand_size(i, 0), T => cmov_rm::<T, C>),
        _ => return None,
    }))
}

fn setcc_r<const C: u8>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let value = u8::from(condition::<C>(&core.flags));
    u8::set(core, op.dst, value);
    core.next(rest)
}

fn setcc_m<const C: u8>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let value = u8::from(condition::<C>(&core.flags));
    core.store_then(op, rest, core.ea(op), value, |core, _, rest| core.next(rest))
}

/// A 32-bit target's upper half is cleared even if nothing is moved.
fn cmov_rr<T: Int, const C: u8>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let from = if condition::<C>(&core.flags) { op.src } else { op.dst };
    let value = T::get(core, from);
    T::set(core, op.dst, value);
    core.next(rest)
}

/// Memory is read whatever the condition says.
fn cmov_rm<T: Int, const C: u8>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    core.load_then(op, rest, core.ea(op), |core, op, rest, loaded: T| {
        let old = T::get(core, op.dst);
        T::set(core, op.dst, if condition::<C>(&core.flags) { loaded } else { old });
        core.next(rest)
    })
}
