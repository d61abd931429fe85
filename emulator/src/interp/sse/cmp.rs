//! Instructions whose result is in the flags: COMISS and its kin, PTEST.

use iced_x86::{Instruction, Mnemonic};

use super::forms::{M32, M64, M128, Source, Xmm, commit, rm};
use super::fp::{Mx, Real, compare};
use super::lanes::{V, get, view};
use super::vex;
use crate::flags::rflags::{CF, PF, ZF};
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};
use core::cmp::Ordering;

/// The comparisons.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    Some(match vex::mnemonic(i) {
        Mnemonic::Comiss => rm(i, comi::<f32, Xmm, true>, comi::<f32, M32, true>),
        Mnemonic::Ucomiss => rm(i, comi::<f32, Xmm, false>, comi::<f32, M32, false>),
        Mnemonic::Comisd => rm(i, comi::<f64, Xmm, true>, comi::<f64, M64, true>),
        Mnemonic::Ucomisd => rm(i, comi::<f64, Xmm, false>, comi::<f64, M64, false>),
        Mnemonic::Ptest => rm(i, ptest::<Xmm>, ptest::<M128>),
        _ => return None,
    })
}

/// Less, equal or greater as for unsigned integers, all three flags for unordered; OF, SF and AF are cleared.
pub(crate) fn order_flags(order: Option<Ordering>) -> u64 {
    match order {
        Some(Ordering::Less) => CF,
        Some(Ordering::Equal) => ZF,
        Some(Ordering::Greater) => 0,
        None => ZF | PF | CF,
    }
}

/// The low element of a vector.
trait Low: Real {
    fn low(value: V) -> Self::Bits;
}

impl Low for f32 {
    fn low(value: V) -> u32 {
        get(value, 0)
    }
}

impl Low for f64 {
    fn low(value: V) -> u64 {
        get(value, 0)
    }
}

fn comi<T: Low, S: Source, const SIGNALING: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let b = S::get(core, op)?;
    let a = *view(&core.cpu.xmm[op.dst as usize]);
    let mut mx = Mx::new(core.cpu.mxcsr);
    let order = compare::<T>(&mut mx, T::low(a), T::low(b), SIGNALING);
    commit(core, &mx)?;
    core.flags.set_status(order_flags(order));
    Ok(())
}

fn ptest<S: Source>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let b = S::get(core, op)?;
    let a = *view(&core.cpu.xmm[op.dst as usize]);
    let (a, b) = (u128::from_le_bytes(a), u128::from_le_bytes(b));
    let zero = if a & b == 0 { ZF } else { 0 };
    let carry = if !a & b == 0 { CF } else { 0 };
    core.flags.set_status(zero | carry);
    Ok(())
}
