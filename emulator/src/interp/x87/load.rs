//! Loads, stores, constants and exchanges.

use iced_x86::Code;

use super::arith::Operand;
use super::check_pending;
use crate::interp::core::Core;
use crate::interp::op::{Op, Step, Stop};
use crate::softfloat::{self, Env, Float, Format, Rounding, flag};
use crate::x87::{F80, bcd};

type Done = Result<(), Stop>;

/// Loads and stores.
pub(super) fn select(code: Code) -> Option<Step> {
    use Code::*;
    Some(match code {
        Fld_m32fp => in_memory!(load::<f32>),
        Fld_m64fp => in_memory!(load::<f64>),
        Fild_m16int => in_memory!(load::<i16>),
        Fild_m32int => in_memory!(load::<i32>),
        Fild_m64int => in_memory!(load::<i64>),
        Fld_m80fp => in_memory!(load_80),
        Fbld_m80bcd => in_memory!(fbld),
        Fld_sti => in_registers!(load_register),
        Fld1 => in_registers!(constant::<ONE>),
        Fldz => in_registers!(constant::<ZERO>),
        Fldpi => in_registers!(constant::<PI>),
        Fldl2t => in_registers!(constant::<LOG2_10>),
        Fldl2e => in_registers!(constant::<LOG2_E>),
        Fldlg2 => in_registers!(constant::<LOG10_2>),
        Fldln2 => in_registers!(constant::<LN_2>),
        Fst_m32fp => in_memory!(store_float::<Single, false>),
        Fst_m64fp => in_memory!(store_float::<Double, false>),
        Fstp_m32fp => in_memory!(store_float::<Single, true>),
        Fstp_m64fp => in_memory!(store_float::<Double, true>),
        Fstp_m80fp => in_memory!(store_80),
        Fst_sti => in_registers!(store_register::<false>),
        Fstp_sti | Fstp_sti_DFD0 | Fstp_sti_DFD8 => in_registers!(store_register::<true>),
        Fstpnce_sti => in_registers!(fstpnce),
        Fist_m16int => in_memory!(store_integer::<u16, false, false>),
        Fist_m32int => in_memory!(store_integer::<u32, false, false>),
        Fistp_m16int => in_memory!(store_integer::<u16, true, false>),
        Fistp_m32int => in_memory!(store_integer::<u32, true, false>),
        Fistp_m64int => in_memory!(store_integer::<u64, true, false>),
        Fisttp_m16int => in_memory!(store_integer::<u16, true, true>),
        Fisttp_m32int => in_memory!(store_integer::<u32, true, true>),
        Fisttp_m64int => in_memory!(store_integer::<u64, true, true>),
        Fbstp_m80bcd => in_memory!(fbstp),
        Fxch_st0_sti | Fxch_st0_sti_DDC8 | Fxch_st0_sti_DFC8 => in_registers!(fxch),
        _ => return None,
    })
}

fn load<T: Operand>(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let value = T::load(core, core.ea(op))?;
    let fpu = &mut core.cpu.fpu;
    if fpu.get(7).is_some() {
        fpu.push(F80::default());
        return Ok(());
    }
    let mut env = fpu.env();
    let value = softfloat::convert(&mut env, Format::F80, value);
    fpu.finish(&env);
    // A denormal is loaded even if its exception is unmasked.
    if env.unmasked() & flag::INVALID == 0 {
        fpu.push(value.into());
    }
    Ok(())
}

fn load_80(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let bytes: [u8; 10] = core.load(core.ea(op))?;
    core.cpu.fpu.clear_c1();
    core.cpu.fpu.push(F80::from_bytes(bytes));
    Ok(())
}

fn fbld(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let bytes: [u8; 10] = core.load(core.ea(op))?;
    core.cpu.fpu.clear_c1();
    core.cpu.fpu.push(bcd::load(bytes).into());
    Ok(())
}

fn load_register(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let fpu = &mut core.cpu.fpu;
    match fpu.get(op.dst as u8) {
        Some(value) => {
            fpu.clear_c1();
            fpu.push(value);
        }
        None if fpu.stack_fault(false) => {
            fpu.rotate(-1);
            fpu.set(0, Float::DEFAULT_NAN.into());
        }
        None => {}
    }
    Ok(())
}

const ZERO: usize = 0;
const ONE: usize = 1;
const PI: usize = 2;
const LOG2_10: usize = 3;
const LOG2_E: usize = 4;
const LOG10_2: usize = 5;
const LN_2: usize = 6;

/// Exponent, significand, and the 8 bits that follow it: the rounding mode decides the last place.
const CONSTANTS: [(i32, u64, u8); 7] = [
    (0, 0, 0),
    (0, 1 << 63, 0),
    (1, 0xc90f_daa2_2168_c234, 0xc4),
    (1, 0xd49a_784b_cd1b_8afe, 0x49),
    (0, 0xb8aa_3b29_5c17_f0bb, 0xbe),
    (-2, 0x9a20_9a84_fbcf_f798, 0x8f),
    (-1, 0xb172_17f7_d1cf_79ab, 0xc9),
];

fn constant<const WHICH: usize>(core: &mut Core<'_>, _: &Op) -> Done {
    check_pending(core)?;
    let (exp, sig, more) = CONSTANTS[WHICH];
    let fpu = &mut core.cpu.fpu;
    // The precision field and the flags have nothing to do with it.
    let mut env = fpu.env();
    let value = if sig == 0 {
        Float::zero(false)
    } else {
        softfloat::round(&mut env, Format::F80, false, exp, u128::from(sig) << 64 | u128::from(more) << 56)
    };
    fpu.clear_c1();
    fpu.push(value.into());
    Ok(())
}

/// A format that FST rounds to.
trait Target {
    const FORMAT: Format;
    const BYTES: usize;
    fn store(core: &mut Core<'_>, address: u64, value: Float) -> Done;
}

struct Single;
struct Double;

impl Target for Single {
    const FORMAT: Format = Format::F32;
    const BYTES: usize = 4;
    fn store(core: &mut Core<'_>, address: u64, value: Float) -> Done {
        core.store(address, value.to_f32())
    }
}

impl Target for Double {
    const FORMAT: Format = Format::F64;
    const BYTES: usize = 8;
    fn store(core: &mut Core<'_>, address: u64, value: Float) -> Done {
        core.store(address, value.to_f64())
    }
}

/// Memory can't take a result with a rebiased exponent: unmasked over- and underflow store nothing.
const NO_STORE: u32 = flag::PRE_COMPUTATION | flag::OVERFLOW | flag::UNDERFLOW;

/// Stores what `convert` makes of ST(0), or `indefinite` if it is empty; the unit's state changes only after the store.
/// What stores nothing must be able to all the same: `place` is where and how many bytes.
fn store_with<T>(
    core: &mut Core<'_>,
    pop: bool,
    place: (u64, usize),
    indefinite: T,
    convert: impl FnOnce(&mut Env, Float) -> T,
    store: impl FnOnce(&mut Core<'_>, T) -> Done,
) -> Done {
    check_pending(core)?;
    let Some(value) = core.cpu.fpu.get(0) else {
        let mut after = core.cpu.fpu.clone();
        if after.stack_fault(false) {
            store(core, indefinite)?;
            if pop {
                after.pop();
            }
        } else {
            check_place(core, place)?;
        }
        core.cpu.fpu = after;
        return Ok(());
    };
    let mut env = core.cpu.fpu.env();
    let result = convert(&mut env, value.unpack());
    let stores = env.unmasked() & NO_STORE == 0;
    if stores {
        store(core, result)?;
    } else {
        check_place(core, place)?;
        // What is not stored was not rounded.
        env.flags &= !flag::PRECISION;
        env.rounded_up = false;
    }
    core.cpu.fpu.finish(&env);
    if stores && pop {
        core.cpu.fpu.pop();
    }
    Ok(())
}

fn store_float<T: Target, const POP: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let address = core.ea(op);
    store_with(
        core,
        POP,
        (address, T::BYTES),
        Float::DEFAULT_NAN,
        // Stores do not report denormal operands.
        |env, value| softfloat::convert(env, T::FORMAT, Float { denormal: false, ..value }),
        |core, value| T::store(core, address, value),
    )
}

/// The whole register, unchanged: not even a signalling NaN raises anything.
fn store_80(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let address = core.ea(op);
    let mut after = core.cpu.fpu.clone();
    let value = match after.get(0) {
        Some(value) => {
            after.clear_c1();
            value
        }
        None if after.stack_fault(false) => Float::DEFAULT_NAN.into(),
        None => {
            check_place(core, (address, 10))?;
            core.cpu.fpu = after;
            return Ok(());
        }
    };
    core.store(address, value.to_bytes())?;
    after.pop();
    core.cpu.fpu = after;
    Ok(())
}

fn store_register<const POP: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let fpu = &mut core.cpu.fpu;
    let done = match fpu.get(0) {
        Some(value) => {
            fpu.clear_c1();
            fpu.set(op.dst as u8, value);
            true
        }
        None => fpu.underflow(op.dst as u8),
    };
    if done && POP {
        fpu.pop();
    }
    Ok(())
}

/// An old FSTP that takes no notice of an empty register.
fn fstpnce(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let fpu = &mut core.cpu.fpu;
    fpu.clear_c1();
    if let Some(value) = fpu.get(0) {
        fpu.set(op.dst as u8, value);
    }
    fpu.pop();
    Ok(())
}

/// An integer's width in memory.
trait Width: crate::memory::Word {
    const BITS: u32;
    fn cut(value: i64) -> Self;
}

macro_rules! widths {
    ($($t:ty)*) => {$(
        impl Width for $t {
            const BITS: u32 = <$t>::BITS;
            fn cut(value: i64) -> Self {
                value as $t
            }
        }
    )*};
}

widths! { u16 u32 u64 }

fn store_integer<T: Width, const POP: bool, const TRUNCATE: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let address = core.ea(op);
    let indefinite = i64::MIN >> (64 - T::BITS);
    store_with(
        core,
        POP,
        (address, size_of::<T>()),
        indefinite,
        |env, value| {
            let rounding = if TRUNCATE { Rounding::Zero } else { env.rounding };
            softfloat::to_i64(env, value, T::BITS, rounding).unwrap_or(indefinite)
        },
        |core, value| core.store(address, T::cut(value)),
    )
}

fn fbstp(core: &mut Core<'_>, op: &Op) -> Done {
    let address = core.ea(op);
    store_with(
        core,
        true,
        (address, 10),
        bcd::INDEFINITE,
        |env, value| bcd::store(env, value, env.rounding),
        |core, bytes| core.store(address, bytes),
    )
}

fn fxch(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let fpu = &mut core.cpu.fpu;
    let i = op.src as u8;
    let (a, b) = (fpu.get(0), fpu.get(i));
    let nan = Float::DEFAULT_NAN.into();
    if (a.is_none() || b.is_none()) && !fpu.stack_fault(false) {
        return Ok(());
    }
    fpu.clear_c1();
    fpu.set(0, b.unwrap_or(nan));
    fpu.set(i, a.unwrap_or(nan));
    Ok(())
}

/// Fails as a store to an address, of so many bytes, would.
fn check_place(core: &mut Core<'_>, (address, len): (u64, usize)) -> Result<(), Stop> {
    // Ten bytes are aligned as eight are.
    core.check_aligned(address, if len == 10 { 8 } else { len })?;
    core.check_store(address, len)
}
