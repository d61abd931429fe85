//! A comparison and the branch that follows it, as one operation.
//!
//! Hardware fuses the same pairs. Besides one dispatch less, the branch's condition comes from the operands instead of from
//! the flags, which are set all the same, for whoever looks at them later.

use iced_x86::{Instruction, Mnemonic};

use crate::flags::Flags;
use crate::interp::core::Core;
use crate::interp::op::{End, Op, Step};

use super::alu::condition_number;
use super::arith::{Add, And, Binary, Cmp, Dec, Inc, Sub, Test, Unary, by_condition, condition};
use super::operand::{Address, Form, Int, by_address, form, operand_size};

/// A pair as one operation: that of the first instruction, with the branch's number.
pub(crate) fn fuse(first: &Instruction, branch: &Instruction) -> Option<Step> {
    if !branch.is_jcc_short_or_near() {
        return None;
    }
    match first.mnemonic() {
        Mnemonic::Cmp => binary::<Cmp>(first, branch),
        Mnemonic::Test => binary::<Test>(first, branch),
        Mnemonic::Sub => binary::<Sub>(first, branch),
        Mnemonic::Add => binary::<Add>(first, branch),
        Mnemonic::And => binary::<And>(first, branch),
        Mnemonic::Dec => unary::<Dec>(first, branch),
        Mnemonic::Inc => unary::<Inc>(first, branch),
        _ => None,
    }
}

/// Operands of 16 bits are too rare to be worth it.
macro_rules! by_usual_size {
    ($size:expr, $t:ident => $value:expr) => {
        match $size {
            1 => {
                type $t = u8;
                $value
            }
            4 => {
                type $t = u32;
                $value
            }
            8 => {
                type $t = u64;
                $value
            }
            _ => return None,
        }
    };
}

/// What a condition is after an operation.
pub(super) trait Outcome {
    /// Whether it holds after `a` and `b` gave `result` and the flags.
    fn holds<T: Int, const C: u8>(flags: &Flags, a: T, b: T, result: T) -> bool;
}

macro_rules! outcome_of_difference {
    ($($name:ident)*) => {$(
        impl Outcome for $name {
            #[inline(always)]
            fn holds<T: Int, const C: u8>(flags: &Flags, a: T, b: T, result: T) -> bool {
                let (signed, other) = (a.signed() as i64, b.signed() as i64);
                let holds = match C >> 1 {
                    1 => a.wide() < b.wide(),
                    2 => a == b,
                    3 => a.wide() <= b.wide(),
                    4 => (result.signed() as i64) < 0,
                    6 => signed < other,
                    7 => signed <= other,
                    _ => return condition::<C>(flags),
                };
                holds != (C & 1 != 0)
            }
        }
    )*};
}
outcome_of_difference!(Cmp Sub);

macro_rules! outcome_of_result {
    ($($name:ident)*) => {$(
        impl Outcome for $name {
            #[inline(always)]
            fn holds<T: Int, const C: u8>(flags: &Flags, _: T, _: T, result: T) -> bool {
                let holds = match C >> 1 {
                    2 => result.wide() == 0,
                    4 => (result.signed() as i64) < 0,
                    _ => return condition::<C>(flags),
                };
                holds != (C & 1 != 0)
            }
        }
    )*};
}
outcome_of_result!(Test And Add Inc Dec);

fn binary<B: Binary + Outcome>(first: &Instruction, branch: &Instruction) -> Option<Step> {
    by_usual_size!(operand_size(first, 0), T => by_condition!(condition_number(branch), C => Some(match form(first) {
        Form::RR => binary_rr::<T, B, C>,
        Form::RI => binary_ri::<T, B, C>,
        Form::RM(kind) if !B::WRITES => by_address!(kind, A => binary_rm::<T, B, A, C>),
        Form::MR(kind) if !B::WRITES => by_address!(kind, A => binary_mr::<T, B, A, C>),
        Form::MI(kind) if !B::WRITES => by_address!(kind, A => binary_mi::<T, B, A, C>),
        _ => return None,
    })))
}

fn unary<U: Unary + Outcome>(first: &Instruction, branch: &Instruction) -> Option<Step> {
    by_usual_size!(operand_size(first, 0), T => by_condition!(condition_number(branch), C => Some(match form(first) {
        Form::R => unary_r::<T, U, C>,
        _ => return None,
    })))
}

/// Does the first instruction with its operands, and branches.
#[inline(always)]
fn finish<T: Int, B: Binary + Outcome, const C: u8>(core: &mut Core<'_>, op: &Op, rest: &[Op], a: T, b: T) -> End {
    let result = B::apply(&mut core.flags, a, b);
    if B::WRITES {
        T::set(core, op.dst, result);
    }
    if B::holds::<T, C>(&core.flags, a, b, result) { core.branch(op, rest) } else { core.next(rest) }
}

pub(super) fn binary_rr<T: Int, B: Binary + Outcome, const C: u8>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let (a, b) = (T::get(core, op.dst), T::get(core, op.src));
    finish::<T, B, C>(core, op, rest, a, b)
}

pub(super) fn binary_ri<T: Int, B: Binary + Outcome, const C: u8>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let a = T::get(core, op.dst);
    finish::<T, B, C>(core, op, rest, a, T::cut(op.imm))
}

fn binary_rm<T: Int, B: Binary + Outcome, A: Address, const C: u8>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    core.load_then(op, rest, A::ea(core, op), |core, op, rest, b: T| {
        let a = T::get(core, op.dst);
        finish::<T, B, C>(core, op, rest, a, b)
    })
}

fn binary_mr<T: Int, B: Binary + Outcome, A: Address, const C: u8>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    core.load_then(op, rest, A::ea(core, op), |core, op, rest, a: T| {
        let b = T::get(core, op.dst);
        finish::<T, B, C>(core, op, rest, a, b)
    })
}

pub(super) fn binary_mi<T: Int, B: Binary + Outcome, A: Address, const C: u8>(
    core: &mut Core<'_>,
    op: &Op,
    rest: &[Op],
) -> End {
    core.load_then(op, rest, A::ea(core, op), |core, op, rest, a: T| {
        finish::<T, B, C>(core, op, rest, a, T::cut(op.imm))
    })
}

fn unary_r<T: Int, U: Unary + Outcome, const C: u8>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let a = T::get(core, op.dst);
    let result = U::apply(&mut core.flags, a);
    T::set(core, op.dst, result);
    if U::holds::<T, C>(&core.flags, a, a, result) { core.branch(op, rest) } else { core.next(rest) }
}
