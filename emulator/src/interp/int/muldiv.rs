//! Multiplication, division, and the sign extensions that prepare it.
//!
//! Of the flags a multiplication defines CF and OF only, a division none; the others are left as they are.

use iced_x86::{Instruction, Mnemonic};

use crate::cpu::reg;
use crate::exit::{Exception, vector};
use crate::interp::core::Core;
use crate::interp::op::{Num, Op, Step, Stop, step};

use super::operand::{Form, Int, by_size, form, operand_size};

/// The function for an instruction of this file.
pub(super) fn select(i: &Instruction) -> Option<Step> {
    let one_operand = |register: fn(usize) -> Option<Step>| register(operand_size(i, 0));
    let memory = matches!(form(i), Form::M(_));
    match (i.mnemonic(), memory) {
        (Mnemonic::Mul, false) => one_operand(|size| by_size!(size, T => Some(step!(wide_r::<T, Mul>)))),
        (Mnemonic::Mul, true) => one_operand(|size| by_size!(size, T => Some(step!(wide_m::<T, Mul>)))),
        (Mnemonic::Imul, _) if i.op_count() > 1 => imul(i),
        (Mnemonic::Imul, false) => one_operand(|size| by_size!(size, T => Some(step!(wide_r::<T, Imul>)))),
        (Mnemonic::Imul, true) => one_operand(|size| by_size!(size, T => Some(step!(wide_m::<T, Imul>)))),
        (Mnemonic::Div, false) => one_operand(|size| by_size!(size, T => Some(step!(wide_r::<T, Div>)))),
        (Mnemonic::Div, true) => one_operand(|size| by_size!(size, T => Some(step!(wide_m::<T, Div>)))),
        (Mnemonic::Idiv, false) => one_operand(|size| by_size!(size, T => Some(step!(wide_r::<T, Idiv>)))),
        (Mnemonic::Idiv, true) => one_operand(|size| by_size!(size, T => Some(step!(wide_m::<T, Idiv>)))),
        (Mnemonic::Cbw, _) => Some(step!(extend_accumulator::<u16, u8>)),
        (Mnemonic::Cwde, _) => Some(step!(extend_accumulator::<u32, u16>)),
        (Mnemonic::Cdqe, _) => Some(step!(extend_accumulator::<u64, u32>)),
        (Mnemonic::Cwd, _) => Some(step!(extend_into_rdx::<u16>)),
        (Mnemonic::Cdq, _) => Some(step!(extend_into_rdx::<u32>)),
        (Mnemonic::Cqo, _) => Some(step!(extend_into_rdx::<u64>)),
        _ => None,
    }
}

/// An operation of the accumulator pair with one operand.
trait Wide {
    fn apply<T: Int>(core: &mut Core<'_>, operand: T) -> Result<(), Stop>;
}

/// The pair rdx:rax of an operand size; ah:al, which is ax, for bytes.
fn pair<T: Int>(core: &Core<'_>) -> u128 {
    let (low, high) = (core.gpr[reg::RAX], core.gpr[reg::RDX]);
    match T::BITS {
        8 => u128::from(low as u16),
        16 => u128::from(low as u16) | u128::from(high as u16) << 16,
        32 => u128::from(low as u32) | u128::from(high as u32) << 32,
        _ => u128::from(low) | u128::from(high) << 64,
    }
}

/// Writes both parts of the pair.
fn set_pair<T: Int>(core: &mut Core<'_>, low: u64, high: u64) {
    if T::BITS == 8 {
        u16::set(core, Num::new(reg::RAX), (low as u8 as u16) | (high as u16) << 8);
    } else {
        T::set(core, Num::new(reg::RAX), T::cut(low));
        T::set(core, Num::new(reg::RDX), T::cut(high));
    }
}

struct Mul;

impl Wide for Mul {
    fn apply<T: Int>(core: &mut Core<'_>, operand: T) -> Result<(), Stop> {
        let a = T::get(core, T::register(reg::RAX));
        let product = u128::from(a.wide()) * u128::from(operand.wide());
        let high = (product >> T::BITS) as u64;
        set_pair::<T>(core, product as u64, high);
        core.flags.set_cf_of(high != 0, high != 0);
        Ok(())
    }
}

struct Imul;

impl Wide for Imul {
    fn apply<T: Int>(core: &mut Core<'_>, operand: T) -> Result<(), Stop> {
        let a = T::get(core, T::register(reg::RAX));
        let product = i128::from(a.signed() as i64) * i128::from(operand.signed() as i64);
        set_pair::<T>(core, product as u64, (product >> T::BITS) as u64);
        let lost = product != i128::from(T::cut(product as u64).signed() as i64);
        core.flags.set_cf_of(lost, lost);
        Ok(())
    }
}

struct Div;

impl Wide for Div {
    fn apply<T: Int>(core: &mut Core<'_>, operand: T) -> Result<(), Stop> {
        let dividend = pair::<T>(core);
        let divisor = u128::from(operand.wide());
        if divisor == 0 || dividend >> T::BITS >= divisor {
            return Err(core.raise(Exception::new(vector::DE)));
        }
        // The host divides 64 bits much faster than 128.
        let (quotient, remainder) = match u64::try_from(dividend) {
            Ok(dividend) => (dividend / operand.wide(), dividend % operand.wide()),
            Err(_) => ((dividend / divisor) as u64, (dividend % divisor) as u64),
        };
        set_pair::<T>(core, quotient, remainder);
        Ok(())
    }
}

struct Idiv;

impl Wide for Idiv {
    fn apply<T: Int>(core: &mut Core<'_>, operand: T) -> Result<(), Stop> {
        let unused = 128 - 2 * T::BITS;
        let dividend = (pair::<T>(core) << unused) as i128 >> unused;
        let divisor = i128::from(operand.signed() as i64);
        let results = match (i64::try_from(dividend), operand.signed() as i64) {
            (_, 0) => None,
            (Ok(dividend), divisor) if divisor != -1 => {
                Some((i128::from(dividend / divisor), i128::from(dividend % divisor)))
            }
            _ => dividend.checked_div(divisor).zip(dividend.checked_rem(divisor)),
        };
        match results {
            Some((quotient, remainder)) if quotient == i128::from(T::cut(quotient as u64).signed() as i64) => {
                set_pair::<T>(core, quotient as u64, remainder as u64);
                Ok(())
            }
            _ => Err(core.raise(Exception::new(vector::DE))),
        }
    }
}

fn wide_r<T: Int, W: Wide>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let operand = T::get(core, op.dst);
    W::apply(core, operand)
}

fn wide_m<T: Int, W: Wide>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let operand = core.load::<T>(core.ea(op))?;
    W::apply(core, operand)
}

/// IMUL with two and three operands.
fn imul(i: &Instruction) -> Option<Step> {
    let three = i.op_count() == 3;
    by_size!(operand_size(i, 0), T => Some(match form(i) {
        Form::RR if three => step!(imul_rri::<T>),
        Form::RM(_) if three => step!(imul_rmi::<T>),
        Form::RR => step!(imul_rr::<T>),
        Form::RM(_) => step!(imul_rm::<T>),
        _ => return None,
    }))
}

/// The product, and whether bits of it were lost.
#[inline(always)]
pub(super) fn product<T: Int>(a: T, b: T) -> (T, bool) {
    if T::BITS == 64 {
        let (result, lost) = (a.signed() as i64).overflowing_mul(b.signed() as i64);
        return (T::cut(result as u64), lost);
    }
    let product = (a.signed() as i64) * (b.signed() as i64);
    let result = T::cut(product as u64);
    (result, result.signed() as i64 != product)
}

#[inline(always)]
fn multiply<T: Int>(core: &mut Core<'_>, a: T, b: T) -> T {
    let (result, lost) = product(a, b);
    core.flags.set_cf_of(lost, lost);
    result
}

fn imul_rr<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let (a, b) = (T::get(core, op.dst), T::get(core, op.src));
    let result = multiply(core, a, b);
    T::set(core, op.dst, result);
    Ok(())
}

fn imul_rm<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let b = core.load::<T>(core.ea(op))?;
    let a = T::get(core, op.dst);
    let result = multiply(core, a, b);
    T::set(core, op.dst, result);
    Ok(())
}

fn imul_rri<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let a = T::get(core, op.src);
    let result = multiply(core, a, T::cut(op.imm));
    T::set(core, op.dst, result);
    Ok(())
}

fn imul_rmi<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let a = core.load::<T>(core.ea(op))?;
    let result = multiply(core, a, T::cut(op.imm));
    T::set(core, op.dst, result);
    Ok(())
}

/// CBW, CWDE, CDQE
fn extend_accumulator<T: Int, F: Int>(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    let value = F::get(core, F::register(reg::RAX));
    T::set(core, T::register(reg::RAX), T::cut(value.signed()));
    Ok(())
}

/// CWD, CDQ, CQO
fn extend_into_rdx<T: Int>(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    let value = T::get(core, T::register(reg::RAX));
    T::set(core, T::register(reg::RDX), T::cut((value.signed() as i64 >> 63) as u64));
    Ok(())
}
