//! Comparisons: into the condition codes, or into RFLAGS.

use iced_x86::Code;

use super::arith::Operand;
use super::check_pending;
use crate::flags::rflags::{CF, PF, ZF};
use crate::interp::core::Core;
use crate::interp::op::{Op, Step, Stop};
use crate::interp::sse::order_flags;
use crate::softfloat::{Class, Float, compare};
use crate::x87::status::{C0, C1, C2, C3};

type Done = Result<(), Stop>;

/// Comparisons, FXAM, and the conditional moves.
pub(super) fn select(code: Code) -> Option<Step> {
    use Code::*;
    Some(match code {
        Fcom_m32fp => in_memory!(memory::<f32, 0>),
        Fcom_m64fp => in_memory!(memory::<f64, 0>),
        Fcomp_m32fp => in_memory!(memory::<f32, 1>),
        Fcomp_m64fp => in_memory!(memory::<f64, 1>),
        Ficom_m16int => in_memory!(memory::<i16, 0>),
        Ficom_m32int => in_memory!(memory::<i32, 0>),
        Ficomp_m16int => in_memory!(memory::<i16, 1>),
        Ficomp_m32int => in_memory!(memory::<i32, 1>),
        Fcom_st0_sti | Fcom_st0_sti_DCD0 => in_registers!(registers::<true, 0>),
        Fcomp_st0_sti | Fcomp_st0_sti_DCD8 | Fcomp_st0_sti_DED0 => in_registers!(registers::<true, 1>),
        Fcompp => in_registers!(both::<true>),
        Fucom_st0_sti => in_registers!(registers::<false, 0>),
        Fucomp_st0_sti => in_registers!(registers::<false, 1>),
        Fucompp => in_registers!(both::<false>),
        Fcomi_st0_sti => in_registers!(into_flags::<true, 0>),
        Fcomip_st0_sti => in_registers!(into_flags::<true, 1>),
        Fucomi_st0_sti => in_registers!(into_flags::<false, 0>),
        Fucomip_st0_sti => in_registers!(into_flags::<false, 1>),
        Ftst => in_registers!(ftst),
        Fxam => in_registers!(fxam),
        Fcmovb_st0_sti => in_registers!(fcmov::<0, false>),
        Fcmove_st0_sti => in_registers!(fcmov::<1, false>),
        Fcmovbe_st0_sti => in_registers!(fcmov::<2, false>),
        Fcmovu_st0_sti => in_registers!(fcmov::<3, false>),
        Fcmovnb_st0_sti => in_registers!(fcmov::<0, true>),
        Fcmovne_st0_sti => in_registers!(fcmov::<1, true>),
        Fcmovnbe_st0_sti => in_registers!(fcmov::<2, true>),
        Fcmovnu_st0_sti => in_registers!(fcmov::<3, true>),
        _ => return None,
    })
}

/// Compares ST(0) with `b`: the flags that COMISS would set, and whether no unmasked exception forbids popping.
fn order(core: &mut Core<'_>, b: Option<Float>, signaling: bool) -> (u64, bool) {
    let fpu = &mut core.cpu.fpu;
    let (Some(a), Some(b)) = (fpu.get(0), b) else {
        return (ZF | PF | CF, fpu.stack_fault(false));
    };
    let mut env = fpu.env();
    let order = compare(&mut env, a.unpack(), b, signaling);
    (order_flags(order), fpu.finish(&env))
}

/// ZF, PF and CF have the meanings of C3, C2 and C0.
fn to_conditions(core: &mut Core<'_>, (flags, pop): (u64, bool), pops: u8) {
    let bit = |flag: u64, condition: u16| if flags & flag != 0 { condition } else { 0 };
    let fpu = &mut core.cpu.fpu;
    fpu.set_conditions(C0 | C2 | C3, bit(ZF, C3) | bit(PF, C2) | bit(CF, C0));
    for _ in 0..if pop { pops } else { 0 } {
        fpu.pop();
    }
}

fn memory<T: Operand, const POPS: u8>(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let b = T::load(core, core.ea(op))?;
    let flags = order(core, Some(b), true);
    to_conditions(core, flags, POPS);
    Ok(())
}

fn registers<const SIGNALING: bool, const POPS: u8>(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let b = core.cpu.fpu.get(op.src as u8).map(|b| b.unpack());
    let flags = order(core, b, SIGNALING);
    to_conditions(core, flags, POPS);
    Ok(())
}

fn both<const SIGNALING: bool>(core: &mut Core<'_>, _: &Op) -> Done {
    check_pending(core)?;
    let b = core.cpu.fpu.get(1).map(|b| b.unpack());
    let flags = order(core, b, SIGNALING);
    to_conditions(core, flags, 2);
    Ok(())
}

fn into_flags<const SIGNALING: bool, const POPS: u8>(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let b = core.cpu.fpu.get(op.src as u8).map(|b| b.unpack());
    // Unlike the older comparisons, these leave C1 alone unless the stack is at fault.
    let c1 = core.cpu.fpu.conditions() & C1;
    let kept = if b.is_some() && core.cpu.fpu.get(0).is_some() { c1 } else { 0 };
    let (flags, pop) = order(core, b, SIGNALING);
    core.cpu.fpu.set_conditions(C1, kept);
    core.flags.set_status(flags);
    for _ in 0..if pop { POPS } else { 0 } {
        core.cpu.fpu.pop();
    }
    Ok(())
}

fn ftst(core: &mut Core<'_>, _: &Op) -> Done {
    check_pending(core)?;
    let flags = order(core, Some(Float::zero(false)), true);
    to_conditions(core, flags, 0);
    Ok(())
}

fn fxam(core: &mut Core<'_>, _: &Op) -> Done {
    check_pending(core)?;
    let fpu = &mut core.cpu.fpu;
    let value = fpu.raw(0).unpack();
    let class = match (fpu.get(0), value.class) {
        (None, _) => C3 | C0,
        (_, Class::Unsupported) => 0,
        (_, Class::QuietNan | Class::SignalingNan) => C0,
        (_, Class::Infinite) => C2 | C0,
        (_, Class::Zero) => C3,
        (_, Class::Finite) if value.denormal => C3 | C2,
        (_, Class::Finite) => C2,
    };
    let sign = if value.sign { C1 } else { 0 };
    fpu.set_conditions(C0 | C1 | C2 | C3, class | sign);
    Ok(())
}

fn fcmov<const CONDITION: u8, const NOT: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let holds = match CONDITION {
        0 => core.flags.cf(),
        1 => core.flags.zf(),
        2 => core.flags.cf() || core.flags.zf(),
        _ => core.flags.pf(),
    };
    let fpu = &mut core.cpu.fpu;
    let (Some(_), Some(value)) = (fpu.get(0), fpu.get(op.src as u8)) else {
        fpu.underflow(0);
        return Ok(());
    };
    if holds != NOT {
        fpu.set(0, value);
    }
    Ok(())
}
