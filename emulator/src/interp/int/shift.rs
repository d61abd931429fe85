//! Shifts, rotations and double shifts.

use iced_x86::{Instruction, Mnemonic, OpKind};

use crate::cpu::reg;
use crate::interp::core::Core;
use crate::interp::op::{Op, Step, Stop, step};

use super::arith::{Rcl, Rcr, Rol, Ror, Sar, Shift, Shl, Shr, shld, shrd};
use super::operand::{Form, Int, by_size, form, operand_size};

/// The function for an instruction of this file.
pub(super) fn select(i: &Instruction) -> Option<Step> {
    match i.mnemonic() {
        // SAL is another name that iced has for an encoding of its own.
        Mnemonic::Shl | Mnemonic::Sal => shift::<Shl>(i),
        Mnemonic::Shr => shift::<Shr>(i),
        Mnemonic::Sar => shift::<Sar>(i),
        Mnemonic::Rol => shift::<Rol>(i),
        Mnemonic::Ror => shift::<Ror>(i),
        Mnemonic::Rcl => shift::<Rcl>(i),
        Mnemonic::Rcr => shift::<Rcr>(i),
        Mnemonic::Shld => double::<true>(i),
        Mnemonic::Shrd => double::<false>(i),
        _ => None,
    }
}

/// Which bits of a count are looked at.
const fn mask<T: Int>() -> u32 {
    if T::BITS == 64 { 63 } else { 31 }
}

fn by_cl<T: Int>(core: &Core<'_>) -> u32 {
    core.gpr[reg::RCX] as u32 & mask::<T>()
}

fn by_imm<T: Int>(op: &Op) -> u32 {
    op.imm as u32 & mask::<T>()
}

fn shift<S: Shift>(i: &Instruction) -> Option<Step> {
    let by_register = i.op_kind(1) == OpKind::Register;
    let in_register = i.op_kind(0) == OpKind::Register;
    by_size!(operand_size(i, 0), T => Some(match (in_register, by_register) {
        (true, false) => step!(shift_ri::<T, S>),
        (true, true) => step!(shift_rc::<T, S>),
        (false, false) => step!(shift_mi::<T, S>),
        (false, true) => step!(shift_mc::<T, S>),
    }))
}

fn shift_ri<T: Int, S: Shift>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let a = T::get(core, op.dst);
    let result = S::apply(&mut core.flags, a, by_imm::<T>(op));
    T::set(core, op.dst, result);
    Ok(())
}

fn shift_rc<T: Int, S: Shift>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let a = T::get(core, op.dst);
    let count = by_cl::<T>(core);
    let result = S::apply(&mut core.flags, a, count);
    T::set(core, op.dst, result);
    Ok(())
}

fn shift_mi<T: Int, S: Shift>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let count = by_imm::<T>(op);
    core.modify(core.ea(op), |flags, a: T| S::apply(flags, a, count))
}

fn shift_mc<T: Int, S: Shift>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let count = by_cl::<T>(core);
    core.modify(core.ea(op), |flags, a: T| S::apply(flags, a, count))
}

fn double<const LEFT: bool>(i: &Instruction) -> Option<Step> {
    let by_register = i.op_kind(2) == OpKind::Register;
    by_size!(operand_size(i, 0), T => Some(match (form(i), by_register) {
        (Form::RR, false) => step!(double_r::<T, LEFT, false>),
        (Form::RR, true) => step!(double_r::<T, LEFT, true>),
        (Form::MR(_), false) => step!(double_m::<T, LEFT, false>),
        (Form::MR(_), true) => step!(double_m::<T, LEFT, true>),
        _ => return None,
    }))
}

fn apply<T: Int, const LEFT: bool>(flags: &mut crate::flags::Flags, a: T, b: T, count: u32) -> T {
    if LEFT { shld(flags, a, b, count) } else { shrd(flags, a, b, count) }
}

fn double_r<T: Int, const LEFT: bool, const CL: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let (a, b) = (T::get(core, op.dst), T::get(core, op.src));
    let count = if CL { by_cl::<T>(core) } else { by_imm::<T>(op) };
    let result = apply::<T, LEFT>(&mut core.flags, a, b, count);
    T::set(core, op.dst, result);
    Ok(())
}

fn double_m<T: Int, const LEFT: bool, const CL: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let b = T::get(core, op.dst);
    let count = if CL { by_cl::<T>(core) } else { by_imm::<T>(op) };
    core.modify(core.ea(op), |flags, a| apply::<T, LEFT>(flags, a, b, count))
}
