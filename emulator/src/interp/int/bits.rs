//! Bit tests and scans, counts, byte swaps, and the extensions BMI1, BMI2, ADX and MOVBE.

use iced_x86::{Instruction, Mnemonic, OpKind};

use crate::cpu::reg;
use crate::exit::{Exception, vector};
use crate::interp::core::Core;
use crate::interp::op::{Num, Op, Step, Stop, step};

use super::arith::logic;
use super::operand::{Form, Int, by_size, form, operand_size};

/// The function for an instruction of this file.
pub(super) fn select(i: &Instruction) -> Option<Step> {
    match i.mnemonic() {
        Mnemonic::Bt => bit::<KEEP>(i),
        Mnemonic::Bts => bit::<SET>(i),
        Mnemonic::Btr => bit::<RESET>(i),
        Mnemonic::Btc => bit::<COMPLEMENT>(i),
        Mnemonic::Bsf => scan::<true>(i),
        Mnemonic::Bsr => scan::<false>(i),
        Mnemonic::Tzcnt => from_rm::<Tzcnt>(i),
        Mnemonic::Lzcnt => from_rm::<Lzcnt>(i),
        Mnemonic::Popcnt => from_rm::<Popcnt>(i),
        Mnemonic::Blsr => from_rm::<Blsr>(i),
        Mnemonic::Blsmsk => from_rm::<Blsmsk>(i),
        Mnemonic::Blsi => from_rm::<Blsi>(i),
        Mnemonic::Movbe => movbe(i),
        Mnemonic::Bswap => by_size!(operand_size(i, 0), T => Some(step!(bswap::<T>))),
        Mnemonic::Adcx => from_rm::<Adcx>(i),
        Mnemonic::Adox => from_rm::<Adox>(i),
        Mnemonic::Andn => three::<Andn>(i),
        Mnemonic::Bextr => three::<Bextr>(i),
        Mnemonic::Bzhi => three::<Bzhi>(i),
        Mnemonic::Pdep => three::<Pdep>(i),
        Mnemonic::Pext => three::<Pext>(i),
        Mnemonic::Sarx => three::<Sarx>(i),
        Mnemonic::Shlx => three::<Shlx>(i),
        Mnemonic::Shrx => three::<Shrx>(i),
        Mnemonic::Rorx => rorx(i),
        Mnemonic::Mulx => mulx(i),
        Mnemonic::Crc32 => crc32(i),
        Mnemonic::Cmpxchg8b => Some(step!(cmpxchg8b)),
        Mnemonic::Cmpxchg16b => Some(step!(cmpxchg16b)),
        _ => None,
    }
}

/// What happens to the bit after it was copied to CF.
const KEEP: u8 = 0;
const SET: u8 = 1;
const RESET: u8 = 2;
const COMPLEMENT: u8 = 3;

fn bit<const DO: u8>(i: &Instruction) -> Option<Step> {
    by_size!(operand_size(i, 0), T => Some(match form(i) {
        Form::RR => step!(bit_rr::<T, DO>),
        Form::RI => step!(bit_ri::<T, DO>),
        Form::MR(_) => step!(bit_mr::<T, DO>),
        Form::MI(_) => step!(bit_mi::<T, DO>),
        _ => return None,
    }))
}

#[inline(always)]
fn changed<T: Int, const DO: u8>(flags: &mut crate::flags::Flags, a: T, index: u64) -> T {
    let mask = 1 << (index % u64::from(T::BITS));
    flags.set_cf(a.wide() & mask != 0);
    T::cut(match DO {
        SET => a.wide() | mask,
        RESET => a.wide() & !mask,
        COMPLEMENT => a.wide() ^ mask,
        _ => a.wide(),
    })
}

fn bit_rr<T: Int, const DO: u8>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let (a, index) = (T::get(core, op.dst), T::get(core, op.src).wide());
    let result = changed::<T, DO>(&mut core.flags, a, index);
    if DO != KEEP {
        T::set(core, op.dst, result);
    }
    Ok(())
}

fn bit_ri<T: Int, const DO: u8>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let a = T::get(core, op.dst);
    let result = changed::<T, DO>(&mut core.flags, a, op.imm);
    if DO != KEEP {
        T::set(core, op.dst, result);
    }
    Ok(())
}

fn bit_in_memory<T: Int, const DO: u8>(core: &mut Core<'_>, address: u64, index: u64) -> Result<(), Stop> {
    if DO == KEEP {
        let a = core.load::<T>(address)?;
        changed::<T, DO>(&mut core.flags, a, index);
        Ok(())
    } else {
        core.modify(address, |flags, a| changed::<T, DO>(flags, a, index))
    }
}

/// A register's index reaches beyond the operand, to either side.
fn bit_mr<T: Int, const DO: u8>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let index = T::get(core, op.dst).signed() as i64;
    let bytes = (index >> T::BITS.trailing_zeros()) * i64::from(T::BITS / 8);
    let mut far = *op;
    far.disp = far.disp.wrapping_add(bytes as u64);
    let address = core.ea(&far);
    bit_in_memory::<T, DO>(core, address, index as u64)
}

fn bit_mi<T: Int, const DO: u8>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let address = core.ea(op);
    bit_in_memory::<T, DO>(core, address, op.imm)
}

/// An operation that computes its first operand from the second, and perhaps its old value.
trait FromRm {
    fn apply<T: Int>(core: &mut Core<'_>, old: T, a: T) -> T;
}

macro_rules! from_rm {
    ($($(#[$doc:meta])* $name:ident |$core:ident, $old:ident, $a:ident| $value:expr;)*) => {$(
        $(#[$doc])*
        struct $name;
        impl FromRm for $name {
            #[inline(always)]
            fn apply<T: Int>($core: &mut Core<'_>, $old: T, $a: T) -> T {
                $value
            }
        }
    )*};
}

from_rm! {
    Tzcnt |core, _old, a| {
        let count = a.wide().trailing_zeros().min(T::BITS);
        core.flags.set_cf(count == T::BITS);
        core.flags.set_zf(count == 0);
        T::cut(u64::from(count))
    };
    Lzcnt |core, _old, a| {
        let count = a.wide().leading_zeros() - (64 - T::BITS);
        core.flags.set_cf(count == T::BITS);
        core.flags.set_zf(count == 0);
        T::cut(u64::from(count))
    };
    /// POPCNT clears all flags but ZF.
    Popcnt |core, _old, a| {
        core.flags.set_status(u64::from(a.wide() == 0) << 6);
        T::cut(u64::from(a.wide().count_ones()))
    };
    Blsr |core, _old, a| {
        let result = logic(&mut core.flags, T::cut(a.wide() & a.wide().wrapping_sub(1)));
        core.flags.set_cf(a.wide() == 0);
        result
    };
    Blsmsk |core, _old, a| {
        let result = logic(&mut core.flags, T::cut(a.wide() ^ a.wide().wrapping_sub(1)));
        core.flags.set_cf(a.wide() == 0);
        result
    };
    Blsi |core, _old, a| {
        let result = logic(&mut core.flags, T::cut(a.wide() & a.wide().wrapping_neg()));
        core.flags.set_cf(a.wide() != 0);
        result
    };
    /// ADCX: an addition whose only flag is CF.
    Adcx |core, old, a| {
        let sum = u128::from(old.wide()) + u128::from(a.wide()) + u128::from(core.flags.cf());
        core.flags.set_cf(sum >> T::BITS != 0);
        T::cut(sum as u64)
    };
    /// ADOX: one whose only flag is OF, as a carry.
    Adox |core, old, a| {
        let sum = u128::from(old.wide()) + u128::from(a.wide()) + u128::from(core.flags.of());
        let cf = core.flags.cf();
        core.flags.set_cf_of(cf, sum >> T::BITS != 0);
        T::cut(sum as u64)
    };
}

fn from_rm<F: FromRm>(i: &Instruction) -> Option<Step> {
    by_size!(operand_size(i, 0), T => Some(match form(i) {
        Form::RR => step!(from_r::<T, F>),
        Form::RM(_) => step!(from_m::<T, F>),
        _ => return None,
    }))
}

fn from_r<T: Int, F: FromRm>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let (old, a) = (T::get(core, op.dst), T::get(core, op.src));
    let result = F::apply(core, old, a);
    T::set(core, op.dst, result);
    Ok(())
}

fn from_m<T: Int, F: FromRm>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let a = core.load::<T>(core.ea(op))?;
    let old = T::get(core, op.dst);
    let result = F::apply(core, old, a);
    T::set(core, op.dst, result);
    Ok(())
}

fn scan<const FORWARD: bool>(i: &Instruction) -> Option<Step> {
    by_size!(operand_size(i, 0), T => Some(match form(i) {
        Form::RR => step!(scan_r::<T, FORWARD>),
        Form::RM(_) => step!(scan_m::<T, FORWARD>),
        _ => return None,
    }))
}

/// BSF and BSR. Of 0 they set ZF and keep the whole target, its upper half too, as processors do. The other flags are
/// undefined, and kept.
fn scanned<T: Int, const FORWARD: bool>(core: &mut Core<'_>, op: &Op, a: T) {
    core.flags.set_zf(a.wide() == 0);
    if a.wide() != 0 {
        let at = if FORWARD { a.wide().trailing_zeros() } else { 63 - a.wide().leading_zeros() };
        T::set(core, op.dst, T::cut(u64::from(at)));
    }
}

fn scan_r<T: Int, const FORWARD: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let a = T::get(core, op.src);
    scanned::<T, FORWARD>(core, op, a);
    Ok(())
}

fn scan_m<T: Int, const FORWARD: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let a = core.load::<T>(core.ea(op))?;
    scanned::<T, FORWARD>(core, op, a);
    Ok(())
}

/// The same bytes in the other order.
fn swapped<T: Int>(value: T) -> T {
    T::cut(value.wide().swap_bytes() >> (64 - T::BITS))
}

fn bswap<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let value = T::get(core, op.dst);
    // Of 16 bits undefined; processors clear them.
    T::set(core, op.dst, if T::BITS == 16 { T::ZERO } else { swapped(value) });
    Ok(())
}

fn movbe(i: &Instruction) -> Option<Step> {
    by_size!(operand_size(i, 0), T => Some(match form(i) {
        Form::RM(_) => step!(movbe_load::<T>),
        Form::MR(_) => step!(movbe_store::<T>),
        _ => return None,
    }))
}

fn movbe_load<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let value = core.load::<T>(core.ea(op))?;
    T::set(core, op.dst, swapped(value));
    Ok(())
}

fn movbe_store<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let value = swapped(T::get(core, op.dst));
    core.store(core.ea(op), value)
}

/// An operation of two operands into a third: `a` is the r/m operand or what stands for it, `b` the other.
trait Three {
    /// The memory operand, if any, is the last one rather than the middle one.
    const LAST: bool = false;
    fn apply<T: Int>(core: &mut Core<'_>, a: T, b: T) -> T;
}

macro_rules! three {
    ($($(#[$doc:meta])* $name:ident $last:literal |$core:ident, $a:ident, $b:ident| $value:expr;)*) => {$(
        $(#[$doc])*
        struct $name;
        impl Three for $name {
            const LAST: bool = $last;
            #[inline(always)]
            fn apply<T: Int>($core: &mut Core<'_>, $a: T, $b: T) -> T {
                $value
            }
        }
    )*};
}

three! {
    Andn true |core, a, b| logic(&mut core.flags, T::cut(!b.wide() & a.wide()));
    Bextr false |core, a, b| {
        let (start, len) = (b.wide() as u8, (b.wide() >> 8) as u8);
        let shifted = a.wide().checked_shr(start.into()).unwrap_or(0);
        let kept = if len >= 64 { shifted } else { shifted & ((1 << len) - 1) };
        logic(&mut core.flags, T::cut(kept))
    };
    Bzhi false |core, a, b| {
        let from = u32::from(b.wide() as u8);
        let beyond = from >= T::BITS;
        let kept = if beyond { a.wide() } else { a.wide() & ((1 << from) - 1) };
        let result = logic(&mut core.flags, T::cut(kept));
        core.flags.set_cf(beyond);
        result
    };
    Pdep true |_core, a, b| {
        let (mut mask, mut bits, mut result) = (a.wide(), b.wide(), 0);
        while mask != 0 {
            let lowest = mask & mask.wrapping_neg();
            if bits & 1 != 0 {
                result |= lowest;
            }
            bits >>= 1;
            mask ^= lowest;
        }
        T::cut(result)
    };
    Pext true |_core, a, b| {
        let (mut mask, mut result, mut at) = (a.wide(), 0, 0);
        while mask != 0 {
            let lowest = mask & mask.wrapping_neg();
            if b.wide() & lowest != 0 {
                result |= 1 << at;
            }
            at += 1;
            mask ^= lowest;
        }
        T::cut(result)
    };
    Sarx false |_core, a, b| T::cut((a.signed() as i64 >> (b.wide() % u64::from(T::BITS))) as u64);
    Shlx false |_core, a, b| T::cut(a.wide() << (b.wide() % u64::from(T::BITS)));
    Shrx false |_core, a, b| T::cut(a.wide() >> (b.wide() % u64::from(T::BITS)));
}

fn three<O: Three>(i: &Instruction) -> Option<Step> {
    let memory = i.op_kind(1) == OpKind::Memory || i.op_kind(2) == OpKind::Memory;
    by_size!(operand_size(i, 0), T => Some(if memory { step!(three_m::<T, O>) } else { step!(three_r::<T, O>) }))
}

fn three_r<T: Int, O: Three>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let (middle, last) = (T::get(core, op.src), T::get(core, op.aux));
    let result = if O::LAST { O::apply(core, last, middle) } else { O::apply(core, middle, last) };
    T::set(core, op.dst, result);
    Ok(())
}

fn three_m<T: Int, O: Three>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let a = core.load::<T>(core.ea(op))?;
    let b = T::get(core, op.src);
    let result = O::apply(core, a, b);
    T::set(core, op.dst, result);
    Ok(())
}

fn rorx(i: &Instruction) -> Option<Step> {
    by_size!(operand_size(i, 0), T => Some(match form(i) {
        Form::RR => step!(rorx_r::<T>),
        Form::RM(_) => step!(rorx_m::<T>),
        _ => return None,
    }))
}

fn rotated<T: Int>(a: T, count: u64) -> T {
    let by = count as u32 % T::BITS;
    T::cut(if by == 0 { a.wide() } else { a.wide() >> by | a.wide() << (T::BITS - by) })
}

fn rorx_r<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let a = T::get(core, op.src);
    T::set(core, op.dst, rotated(a, op.imm));
    Ok(())
}

fn rorx_m<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let a = core.load::<T>(core.ea(op))?;
    T::set(core, op.dst, rotated(a, op.imm));
    Ok(())
}

fn mulx(i: &Instruction) -> Option<Step> {
    let memory = i.op_kind(2) == OpKind::Memory;
    by_size!(operand_size(i, 0), T => Some(if memory { step!(mulx_m::<T>) } else { step!(mulx_r::<T>) }))
}

fn mulx_by<T: Int>(core: &mut Core<'_>, op: &Op, operand: T) {
    let product = u128::from(T::get(core, Num::new(reg::RDX)).wide()) * u128::from(operand.wide());
    // The high half is written last, and stays if both targets are one.
    T::set(core, op.src, T::cut(product as u64));
    T::set(core, op.dst, T::cut((product >> T::BITS) as u64));
}

fn mulx_r<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let operand = T::get(core, op.aux);
    mulx_by(core, op, operand);
    Ok(())
}

fn mulx_m<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let operand = core.load::<T>(core.ea(op))?;
    mulx_by(core, op, operand);
    Ok(())
}

fn crc32(i: &Instruction) -> Option<Step> {
    by_size!(operand_size(i, 1), T => Some(match form(i) {
        Form::RR => step!(crc32_r::<T>),
        Form::RM(_) => step!(crc32_m::<T>),
        _ => return None,
    }))
}

/// CRC-32C, bits in reflected order.
fn crc<T: Int>(core: &mut Core<'_>, op: &Op, operand: T) {
    let mut crc = core.r32(op.dst);
    for byte in 0..T::BITS / 8 {
        crc ^= u32::from((operand.wide() >> (8 * byte)) as u8);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 != 0 { 0x82f6_3b78 } else { 0 };
        }
    }
    core.set_r32(op.dst, crc);
}

fn crc32_r<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let operand = T::get(core, op.src);
    crc(core, op, operand);
    Ok(())
}

fn crc32_m<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let operand = core.load::<T>(core.ea(op))?;
    crc(core, op, operand);
    Ok(())
}

fn cmpxchg8b(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let half = |n: usize| core.gpr[n] & 0xffff_ffff;
    let expected = half(reg::RDX) << 32 | half(reg::RAX);
    let value = half(reg::RCX) << 32 | half(reg::RBX);
    let mut old = 0;
    core.modify(core.ea(op), |flags, a: u64| {
        old = a;
        flags.set_zf(a == expected);
        if a == expected { value } else { a }
    })?;
    if old != expected {
        core.gpr[reg::RAX] = old & 0xffff_ffff;
        core.gpr[reg::RDX] = old >> 32;
    }
    Ok(())
}

fn cmpxchg16b(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let pair = |low: usize, high: usize| u128::from(core.gpr[high]) << 64 | u128::from(core.gpr[low]);
    let (expected, value) = (pair(reg::RAX, reg::RDX), pair(reg::RBX, reg::RCX));
    let address = core.ea(op);
    if !address.is_multiple_of(16) {
        return Err(core.raise(Exception::with_code(vector::GP, 0)));
    }
    let mut old = 0;
    core.modify(address, |flags, a: u128| {
        old = a;
        flags.set_zf(a == expected);
        if a == expected { value } else { a }
    })?;
    if old != expected {
        core.gpr[reg::RAX] = old as u64;
        core.gpr[reg::RDX] = (old >> 64) as u64;
    }
    Ok(())
}
