//! Addition, subtraction, multiplication and division: with memory, between registers, and popping.

use iced_x86::Code;

use super::check_pending;
use crate::interp::core::Core;
use crate::interp::op::{Op, Step, Stop};
use crate::softfloat::{self, Env, Float, Format};

type Done = Result<(), Stop>;

/// Arithmetic instructions.
pub(super) fn select(code: Code) -> Option<Step> {
    use Code::*;
    Some(match code {
        Fadd_m32fp => in_memory!(memory::<Add, f32>),
        Fadd_m64fp => in_memory!(memory::<Add, f64>),
        Fiadd_m16int => in_memory!(memory::<Add, i16>),
        Fiadd_m32int => in_memory!(memory::<Add, i32>),
        Fmul_m32fp => in_memory!(memory::<Mul, f32>),
        Fmul_m64fp => in_memory!(memory::<Mul, f64>),
        Fimul_m16int => in_memory!(memory::<Mul, i16>),
        Fimul_m32int => in_memory!(memory::<Mul, i32>),
        Fsub_m32fp => in_memory!(memory::<Sub, f32>),
        Fsub_m64fp => in_memory!(memory::<Sub, f64>),
        Fisub_m16int => in_memory!(memory::<Sub, i16>),
        Fisub_m32int => in_memory!(memory::<Sub, i32>),
        Fsubr_m32fp => in_memory!(memory::<SubReversed, f32>),
        Fsubr_m64fp => in_memory!(memory::<SubReversed, f64>),
        Fisubr_m16int => in_memory!(memory::<SubReversed, i16>),
        Fisubr_m32int => in_memory!(memory::<SubReversed, i32>),
        Fdiv_m32fp => in_memory!(memory::<Div, f32>),
        Fdiv_m64fp => in_memory!(memory::<Div, f64>),
        Fidiv_m16int => in_memory!(memory::<Div, i16>),
        Fidiv_m32int => in_memory!(memory::<Div, i32>),
        Fdivr_m32fp => in_memory!(memory::<DivReversed, f32>),
        Fdivr_m64fp => in_memory!(memory::<DivReversed, f64>),
        Fidivr_m16int => in_memory!(memory::<DivReversed, i16>),
        Fidivr_m32int => in_memory!(memory::<DivReversed, i32>),
        Fadd_st0_sti | Fadd_sti_st0 => in_registers!(registers::<Add, false>),
        Fmul_st0_sti | Fmul_sti_st0 => in_registers!(registers::<Mul, false>),
        Fsub_st0_sti | Fsub_sti_st0 => in_registers!(registers::<Sub, false>),
        Fsubr_st0_sti | Fsubr_sti_st0 => in_registers!(registers::<SubReversed, false>),
        Fdiv_st0_sti | Fdiv_sti_st0 => in_registers!(registers::<Div, false>),
        Fdivr_st0_sti | Fdivr_sti_st0 => in_registers!(registers::<DivReversed, false>),
        Faddp_sti_st0 => in_registers!(registers::<Add, true>),
        Fmulp_sti_st0 => in_registers!(registers::<Mul, true>),
        Fsubp_sti_st0 => in_registers!(registers::<Sub, true>),
        Fsubrp_sti_st0 => in_registers!(registers::<SubReversed, true>),
        Fdivp_sti_st0 => in_registers!(registers::<Div, true>),
        Fdivrp_sti_st0 => in_registers!(registers::<DivReversed, true>),
        _ => return None,
    })
}

/// `destination ∘ source`.
trait Arithmetic {
    fn apply(env: &mut Env, format: Format, a: Float, b: Float) -> Float;
}

macro_rules! operations {
    ($($name:ident, |$env:ident, $format:ident, $a:ident, $b:ident| $body:expr;)*) => {$(
        struct $name;
        impl Arithmetic for $name {
            fn apply($env: &mut Env, $format: Format, $a: Float, $b: Float) -> Float {
                $body
            }
        }
    )*};
}

operations! {
    Add, |env, format, a, b| softfloat::add(env, format, a, b, false);
    Sub, |env, format, a, b| softfloat::add(env, format, a, b, true);
    SubReversed, |env, format, a, b| softfloat::add(env, format, b, a, true);
    Mul, |env, format, a, b| softfloat::mul(env, format, a, b);
    Div, |env, format, a, b| softfloat::div(env, format, a, b);
    DivReversed, |env, format, a, b| softfloat::div(env, format, b, a);
}

/// A memory operand's type.
pub(super) trait Operand {
    fn load(core: &mut Core<'_>, address: u64) -> Result<Float, Stop>;
}

macro_rules! operands {
    ($($t:ty, $bits:ty, |$value:ident| $float:expr;)*) => {$(
        impl Operand for $t {
            fn load(core: &mut Core<'_>, address: u64) -> Result<Float, Stop> {
                let $value: $bits = core.load(address)?;
                Ok($float)
            }
        }
    )*};
}

operands! {
    f32, u32, |value| Float::from_f32(value);
    f64, u64, |value| Float::from_f64(value);
    i16, u16, |value| integer((value as i16).into());
    i32, u32, |value| integer((value as i32).into());
    i64, u64, |value| integer(value as i64);
}

/// Every integer is exact in 64 bits.
fn integer(value: i64) -> Float {
    softfloat::from_i64(&mut Env::from_x87_control(0x37f), Format::F80, value)
}

fn memory<O: Arithmetic, T: Operand>(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let b = T::load(core, core.ea(op))?;
    apply::<O>(core, 0, Some(b));
    Ok(())
}

fn registers<O: Arithmetic, const POP: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let b = core.cpu.fpu.get(op.src as u8).map(|b| b.unpack());
    if apply::<O>(core, op.dst as u8, b) && POP {
        core.cpu.fpu.pop();
    }
    Ok(())
}

/// Whether the result was written.
fn apply<O: Arithmetic>(core: &mut Core<'_>, destination: u8, b: Option<Float>) -> bool {
    let fpu = &mut core.cpu.fpu;
    let (Some(a), Some(b)) = (fpu.get(destination), b) else {
        return fpu.underflow(destination);
    };
    let mut env = fpu.env();
    let result = O::apply(&mut env, fpu.format(), a.unpack(), b);
    fpu.write(destination, &env, result)
}
