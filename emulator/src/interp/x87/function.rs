//! Functions of ST(0), and of ST(0) and ST(1).

use iced_x86::Code;

use super::check_pending;
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};
use crate::softfloat::{self, Env, Float, Format};
use crate::x87::F80;
use crate::x87::remainder::{self, Quotient};
use crate::x87::status::{C0, C1, C2, C3};
use crate::x87::transcendental::{self, SinCos, Wanted};

type Done = Result<(), Stop>;

/// Functions.
pub(super) fn select(code: Code) -> Option<Exec> {
    use Code::*;
    Some(match code {
        Fchs => fchs,
        Fabs => fabs,
        Fsqrt => unary::<Sqrt>,
        Frndint => unary::<Round>,
        F2xm1 => unary::<Exp2>,
        Fscale => fscale,
        Fprem => fprem::<false>,
        Fprem1 => fprem::<true>,
        Fxtract => fxtract,
        Fyl2x => into_st1::<Log2>,
        Fyl2xp1 => into_st1::<Log2Plus1>,
        Fpatan => into_st1::<Atan2>,
        Fsin => fsin,
        Fcos => fcos,
        Fsincos => fsincos,
        Fptan => fptan,
        _ => return None,
    })
}

fn sign(core: &mut Core<'_>, change: impl FnOnce(u16) -> u16) -> Done {
    check_pending(core)?;
    let fpu = &mut core.cpu.fpu;
    match fpu.get(0) {
        Some(value) => {
            fpu.clear_c1();
            fpu.set(0, F80 { sign_exp: change(value.sign_exp), ..value });
        }
        None => {
            fpu.underflow(0);
        }
    }
    Ok(())
}

fn fchs(core: &mut Core<'_>, _: &Op) -> Done {
    sign(core, |bits| bits ^ 0x8000)
}

fn fabs(core: &mut Core<'_>, _: &Op) -> Done {
    sign(core, |bits| bits & 0x7fff)
}

trait Unary {
    fn apply(env: &mut Env, format: Format, x: Float) -> Float;
}

struct Sqrt;
struct Round;
struct Exp2;

impl Unary for Sqrt {
    fn apply(env: &mut Env, format: Format, x: Float) -> Float {
        softfloat::sqrt(env, format, x)
    }
}

impl Unary for Round {
    fn apply(env: &mut Env, _: Format, x: Float) -> Float {
        softfloat::round_to_integral(env, x, env.rounding, false)
    }
}

impl Unary for Exp2 {
    fn apply(env: &mut Env, _: Format, x: Float) -> Float {
        transcendental::exp2_minus_1(env, x)
    }
}

fn unary<O: Unary>(core: &mut Core<'_>, _: &Op) -> Done {
    check_pending(core)?;
    let fpu = &mut core.cpu.fpu;
    let Some(x) = fpu.get(0) else {
        fpu.underflow(0);
        return Ok(());
    };
    let mut env = fpu.env();
    let result = O::apply(&mut env, fpu.format(), x.unpack());
    fpu.write(0, &env, result);
    Ok(())
}

/// ST(0) and ST(1), if neither is empty.
fn pair(core: &Core<'_>) -> Option<(Float, Float)> {
    Some((core.cpu.fpu.get(0)?.unpack(), core.cpu.fpu.get(1)?.unpack()))
}

fn fscale(core: &mut Core<'_>, _: &Op) -> Done {
    check_pending(core)?;
    let operands = pair(core);
    let fpu = &mut core.cpu.fpu;
    let Some((x, by)) = operands else {
        fpu.underflow(0);
        return Ok(());
    };
    let mut env = fpu.env();
    let result = remainder::scale(&mut env, x, by);
    fpu.write(0, &env, result);
    Ok(())
}

fn fprem<const NEAREST: bool>(core: &mut Core<'_>, _: &Op) -> Done {
    check_pending(core)?;
    let operands = pair(core);
    let fpu = &mut core.cpu.fpu;
    let Some((x, by)) = operands else {
        fpu.set_conditions(C2, 0);
        fpu.underflow(0);
        return Ok(());
    };
    let mut env = fpu.env();
    let result = remainder::remainder(&mut env, x, by, NEAREST);
    fpu.set_conditions(C2, 0);
    if fpu.write(0, &env, result.value) {
        // The quotient's bits 2, 1 and 0 are in C0, C3 and C1.
        let conditions = match result.quotient {
            Quotient::Invalid => fpu.conditions() & (C0 | C3),
            Quotient::Partial => C2,
            Quotient::Complete(q) => {
                [(4, C0), (2, C3), (1, C1)].iter().fold(0, |c, (bit, code)| if q & bit != 0 { c | code } else { c })
            }
        };
        fpu.set_conditions(C0 | C1 | C2 | C3, conditions);
    }
    Ok(())
}

/// A function of ST(0) and ST(1) whose result replaces ST(1); ST(0) is popped.
trait Binary {
    fn apply(env: &mut Env, st0: Float, st1: Float) -> Float;
}

struct Log2;
struct Log2Plus1;
struct Atan2;

impl Binary for Log2 {
    fn apply(env: &mut Env, st0: Float, st1: Float) -> Float {
        transcendental::y_log2_x(env, st0, st1)
    }
}

impl Binary for Log2Plus1 {
    fn apply(env: &mut Env, st0: Float, st1: Float) -> Float {
        transcendental::y_log2_x_plus_1(env, st0, st1)
    }
}

impl Binary for Atan2 {
    fn apply(env: &mut Env, st0: Float, st1: Float) -> Float {
        transcendental::atan2(env, st1, st0)
    }
}

fn into_st1<O: Binary>(core: &mut Core<'_>, _: &Op) -> Done {
    check_pending(core)?;
    let operands = pair(core);
    let fpu = &mut core.cpu.fpu;
    let written = match operands {
        Some((st0, st1)) => {
            let mut env = fpu.env();
            let result = O::apply(&mut env, st0, st1);
            fpu.write(1, &env, result)
        }
        None => fpu.underflow(1),
    };
    if written {
        fpu.pop();
    }
    Ok(())
}

/// Replaces ST(0) by one value and pushes another.
fn replace_and_push(core: &mut Core<'_>, env: &Env, replace: Float, push: Float) {
    let fpu = &mut core.cpu.fpu;
    if fpu.write(0, env, replace) {
        fpu.push(push.into());
    }
}

/// Checks that ST(0) is there and, for instructions that push, that there is room. `None`: all is done.
fn operand(core: &mut Core<'_>, pushes: bool) -> Option<Float> {
    let fpu = &mut core.cpu.fpu;
    let overflow = pushes && fpu.get(7).is_some();
    match fpu.get(0) {
        Some(x) if !overflow => Some(x.unpack()),
        x => {
            if fpu.stack_fault(x.is_some()) {
                fpu.set(0, Float::DEFAULT_NAN.into());
                if pushes {
                    fpu.rotate(-1);
                    fpu.set(0, Float::DEFAULT_NAN.into());
                }
            }
            None
        }
    }
}

fn fxtract(core: &mut Core<'_>, _: &Op) -> Done {
    check_pending(core)?;
    if let Some(x) = operand(core, true) {
        let mut env = core.cpu.fpu.env();
        let (exponent, significand) = remainder::extract(&mut env, x);
        replace_and_push(core, &env, exponent, significand);
    }
    Ok(())
}

/// What all trigonometric instructions share: C2 tells that the angle is too large and nothing was done.
fn trigonometric(core: &mut Core<'_>, wanted: Wanted, finish: impl FnOnce(&mut Core<'_>, &Env, SinCos)) -> Done {
    check_pending(core)?;
    let pushes = wanted.tan || (wanted.sin && wanted.cos);
    core.cpu.fpu.set_conditions(C2, 0);
    let Some(x) = operand(core, pushes) else { return Ok(()) };
    let mut env = core.cpu.fpu.env();
    match transcendental::sin_cos(&mut env, x, wanted) {
        Some(results) => finish(core, &env, results),
        None => core.cpu.fpu.set_conditions(C1 | C2, C2),
    }
    Ok(())
}

const NONE: Wanted = Wanted { sin: false, cos: false, tan: false };

fn fsin(core: &mut Core<'_>, _: &Op) -> Done {
    trigonometric(core, Wanted { sin: true, ..NONE }, |core, env, results| {
        core.cpu.fpu.write(0, env, results.sin);
    })
}

fn fcos(core: &mut Core<'_>, _: &Op) -> Done {
    trigonometric(core, Wanted { cos: true, ..NONE }, |core, env, results| {
        core.cpu.fpu.write(0, env, results.cos);
    })
}

fn fsincos(core: &mut Core<'_>, _: &Op) -> Done {
    trigonometric(core, Wanted { sin: true, cos: true, ..NONE }, |core, env, results| {
        replace_and_push(core, env, results.sin, results.cos);
    })
}

fn fptan(core: &mut Core<'_>, _: &Op) -> Done {
    trigonometric(core, Wanted { tan: true, ..NONE }, |core, env, results| {
        let one = Float::finite(false, 0, 1 << 63);
        let pushed = if results.tan.is_nan() { results.tan } else { one };
        replace_and_push(core, env, results.tan, pushed);
    })
}
