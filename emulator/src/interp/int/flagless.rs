//! Instructions whose flags nobody looks at.
//!
//! Most flags are set again before anything reads them. Within a block that is known at decode, and then an instruction
//! need not set any: [`Pending`] keeps those that may turn out so, and [`select`] has them without their flags. An
//! instruction that may stop, or that leaves the block, counts as one that reads all flags.

use iced_x86::{Instruction, Mnemonic, OpKind};

use crate::flags::{Flags, rflags};
use crate::interp::core::Core;
use crate::interp::op::{End, Op, Step};

use super::arith::{Add, And, Binary, Dec, Inc, Or, Rol, Ror, Sar, Shift, Shl, Shr, Sub, Unary, Xor};
use super::muldiv::product;
use super::operand::{Address, Form, Int, by_address, form, operand_size};

/// Instructions of a block whose flags have not been read so far.
#[derive(Default)]
pub(crate) struct Pending(Vec<(usize, Step)>);

impl Pending {
    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Looks at the next instruction, which is operation number `index`. Returns the operations that need not set flags,
    /// in the form that doesn't.
    pub(crate) fn next(&mut self, i: &Instruction, index: usize) -> Vec<(usize, Step)> {
        if i.rflags_read() & iced_status() != 0 || !goes_on(i) {
            self.0.clear();
        }
        let unread = if overwrites(i) { std::mem::take(&mut self.0) } else { Vec::new() };
        self.0.extend(select(i).map(|step| (index, step)));
        unread
    }
}

/// The status flags as iced-x86 names them.
fn iced_status() -> u32 {
    use iced_x86::RflagsBits as Bits;
    Bits::OF | Bits::SF | Bits::ZF | Bits::AF | Bits::CF | Bits::PF
}

/// Whether an instruction certainly does not stop and the next one comes after it.
fn goes_on(i: &Instruction) -> bool {
    let of_registers = (0..i.op_count()).all(|n| {
        matches!(i.op_kind(n), OpKind::Register if i.op_register(n).is_gpr())
            || i.op_kind(n) != OpKind::Memory && i.try_immediate(n).is_ok()
    });
    let address = i.mnemonic() == Mnemonic::Lea;
    (of_registers || address)
        && matches!(
            i.mnemonic(),
            Mnemonic::Mov
                | Mnemonic::Lea
                | Mnemonic::Movzx
                | Mnemonic::Movsx
                | Mnemonic::Movsxd
                | Mnemonic::Add
                | Mnemonic::Sub
                | Mnemonic::And
                | Mnemonic::Or
                | Mnemonic::Xor
                | Mnemonic::Cmp
                | Mnemonic::Test
                | Mnemonic::Inc
                | Mnemonic::Dec
                | Mnemonic::Neg
                | Mnemonic::Not
                | Mnemonic::Shl
                | Mnemonic::Shr
                | Mnemonic::Sar
                | Mnemonic::Rol
                | Mnemonic::Ror
                | Mnemonic::Imul
                | Mnemonic::Bswap
                | Mnemonic::Cdqe
                | Mnemonic::Cdq
                | Mnemonic::Cqo
                | Mnemonic::Nop
        )
}

/// Whether an instruction sets all status flags, here and not only by the manual, and none of them as it was.
fn overwrites(i: &Instruction) -> bool {
    match i.mnemonic() {
        Mnemonic::Add
        | Mnemonic::Sub
        | Mnemonic::And
        | Mnemonic::Or
        | Mnemonic::Xor
        | Mnemonic::Cmp
        | Mnemonic::Test
        | Mnemonic::Neg => true,
        Mnemonic::Shl | Mnemonic::Shr | Mnemonic::Sar => shifts(i),
        _ => false,
    }
}

/// Whether a shift or rotation is by a number that is known and not 0.
fn shifts(i: &Instruction) -> bool {
    i.op1_kind() == OpKind::Immediate8 && i.immediate8() & 31 != 0
}

/// The function for an instruction without its flags.
fn select(i: &Instruction) -> Option<Step> {
    match i.mnemonic() {
        Mnemonic::Add => binary::<Add>(i),
        Mnemonic::Sub => binary::<Sub>(i),
        Mnemonic::And => binary::<And>(i),
        Mnemonic::Or => binary::<Or>(i),
        Mnemonic::Xor => binary::<Xor>(i),
        Mnemonic::Inc => unary::<Inc>(i),
        Mnemonic::Dec => unary::<Dec>(i),
        Mnemonic::Shl => shift::<Shl>(i),
        Mnemonic::Shr => shift::<Shr>(i),
        Mnemonic::Sar => shift::<Sar>(i),
        Mnemonic::Rol => shift::<Rol>(i),
        Mnemonic::Ror => shift::<Ror>(i),
        Mnemonic::Imul => imul(i),
        _ => None,
    }
}

/// Operands of 8 and 16 bits are too rare to be worth it.
macro_rules! by_usual_size {
    ($i:expr, $t:ident => $value:expr) => {
        match operand_size($i, 0) {
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

fn binary<B: Binary>(i: &Instruction) -> Option<Step> {
    by_usual_size!(i, T => Some(match form(i) {
        Form::RR => binary_rr::<T, B>,
        Form::RI => binary_ri::<T, B>,
        Form::RM(kind) => by_address!(kind, A => binary_rm::<T, B, A>),
        _ => return None,
    }))
}

fn unary<U: Unary>(i: &Instruction) -> Option<Step> {
    by_usual_size!(i, T => match form(i) {
        Form::R => Some(unary_r::<T, U>),
        _ => None,
    })
}

fn shift<S: Shift>(i: &Instruction) -> Option<Step> {
    if !shifts(i) {
        return None;
    }
    by_usual_size!(i, T => match form(i) {
        Form::RI => Some(shift_ri::<T, S>),
        _ => None,
    })
}

fn imul(i: &Instruction) -> Option<Step> {
    by_usual_size!(i, T => match form(i) {
        Form::RR if i.op_count() == 3 => Some(imul_rri::<T>),
        Form::RR => Some(imul_rr::<T>),
        _ => None,
    })
}

/// Does an operation, the flags of which the compiler finds to be of no use.
#[inline(always)]
fn unflagged<T: Int, B: Binary>(a: T, b: T) -> T {
    B::apply(&mut Flags::from_rflags(rflags::FIXED), a, b)
}

fn binary_rr<T: Int, B: Binary>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let result = unflagged::<T, B>(T::get(core, op.dst), T::get(core, op.src));
    T::set(core, op.dst, result);
    core.next(rest)
}

fn binary_ri<T: Int, B: Binary>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let result = unflagged::<T, B>(T::get(core, op.dst), T::cut(op.imm));
    T::set(core, op.dst, result);
    core.next(rest)
}

fn binary_rm<T: Int, B: Binary, A: Address>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    core.load_then(op, rest, A::ea(core, op), |core, op, rest, b: T| {
        let result = unflagged::<T, B>(T::get(core, op.dst), b);
        T::set(core, op.dst, result);
        core.next(rest)
    })
}

fn unary_r<T: Int, U: Unary>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let result = U::apply(&mut Flags::from_rflags(rflags::FIXED), T::get(core, op.dst));
    T::set(core, op.dst, result);
    core.next(rest)
}

fn shift_ri<T: Int, S: Shift>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    // Not 0: `shifts`.
    let count = (op.imm as u32 & (T::BITS - 1)).max(1);
    let result = S::apply(&mut Flags::from_rflags(rflags::FIXED), T::get(core, op.dst), count);
    T::set(core, op.dst, result);
    core.next(rest)
}

fn imul_rr<T: Int>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let (result, _) = product(T::get(core, op.dst), T::get(core, op.src));
    T::set(core, op.dst, result);
    core.next(rest)
}

fn imul_rri<T: Int>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let (result, _) = product(T::get(core, op.src), T::cut(op.imm));
    T::set(core, op.dst, result);
    core.next(rest)
}
