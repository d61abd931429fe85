//! String instructions, with their prefixes.
//!
//! Each iteration is complete before the next begins: a fault in the middle leaves rcx, rsi and rdi at the element that
//! faulted, and the instruction can be resumed. Whole pages of upward copies and fills are done at once.
//! Debug traps come between iterations.
//!
//! Quirk: a repeated instruction counts as one.

use iced_x86::{Instruction, Mnemonic};

use crate::cpu::reg;
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};

use super::arith::sub;
use super::operand::{Int, by_size};
use super::ports::check_port;

/// Not repeated.
const ONCE: u8 = 0;
/// F3: rep, or repe.
const REPE: u8 = 1;
/// F2: repne; rep for those that compare nothing.
const REPNE: u8 = 2;

/// The function for an instruction of this file.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    let size = i.memory_size().size();
    let prefix = match (i.has_repe_prefix(), i.has_repne_prefix()) {
        (true, _) => REPE,
        (_, true) => REPNE,
        _ => ONCE,
    };
    macro_rules! by_prefix {
        ($f:ident) => {
            by_size!(size, T => Some(match prefix {
                REPE => $f::<T, REPE>,
                REPNE => $f::<T, REPNE>,
                _ => $f::<T, ONCE>,
            }))
        };
    }
    match i.mnemonic() {
        Mnemonic::Movsb | Mnemonic::Movsw | Mnemonic::Movsq => by_prefix!(movs),
        // The SSE instruction of that name has registers.
        Mnemonic::Movsd if i.is_string_instruction() => by_prefix!(movs),
        Mnemonic::Stosb | Mnemonic::Stosw | Mnemonic::Stosd | Mnemonic::Stosq => by_prefix!(stos),
        Mnemonic::Lodsb | Mnemonic::Lodsw | Mnemonic::Lodsd | Mnemonic::Lodsq => by_prefix!(lods),
        Mnemonic::Cmpsb | Mnemonic::Cmpsw | Mnemonic::Cmpsq => by_prefix!(cmps),
        Mnemonic::Cmpsd if i.is_string_instruction() => by_prefix!(cmps),
        Mnemonic::Scasb | Mnemonic::Scasw | Mnemonic::Scasd | Mnemonic::Scasq => by_prefix!(scas),
        Mnemonic::Xlatb => Some(xlat),
        _ => None,
    }
}

/// A register as the address size cuts it.
#[inline(always)]
fn cut(op: &Op, value: u64) -> u64 {
    if op.scale & Op::ADDRESS_32 != 0 { value & 0xffff_ffff } else { value }
}

/// Address of the source element.
#[inline(always)]
fn source(core: &Core<'_>, op: &Op) -> u64 {
    let address = cut(op, core.gpr[reg::RSI]);
    core.segment_base(op).wrapping_add(address)
}

/// Address of the target element, whose segment is always es.
#[inline(always)]
fn target(core: &Core<'_>, op: &Op) -> u64 {
    cut(op, core.gpr[reg::RDI])
}

/// Moves an index register by so many bytes, in the direction of DF.
#[inline(always)]
fn advance(core: &mut Core<'_>, op: &Op, register: usize, bytes: u64) {
    let by = if core.flags.df() { bytes.wrapping_neg() } else { bytes };
    core.gpr[register] = cut(op, core.gpr[register].wrapping_add(by));
}

/// Repeats an iteration as long as rcx is not 0. An iteration says how many elements it did, or 0 to end after one.
#[inline(always)]
fn repeat<const PREFIX: u8>(
    core: &mut Core<'_>,
    op: &Op,
    mut iteration: impl FnMut(&mut Core<'_>, u64) -> Result<u64, Stop>,
) -> Result<(), Stop> {
    if PREFIX == ONCE {
        return iteration(core, 1).map(|_| ());
    }
    loop {
        let count = cut(op, core.gpr[reg::RCX]);
        if count == 0 {
            return Ok(());
        }
        if core.by_iteration {
            let goes_on = iteration(core, 1)? != 0 && count > 1;
            core.gpr[reg::RCX] = count - 1;
            if goes_on && core.traps() {
                return Err(Stop::Iteration);
            }
            if goes_on {
                continue;
            }
            return Ok(());
        }
        let done = iteration(core, count)?;
        core.gpr[reg::RCX] = count - done.max(1);
        if done == 0 {
            return Ok(());
        }
    }
}

/// Whether elements can be handled by the page.
fn upwards(core: &Core<'_>, op: &Op, count: u64) -> bool {
    count > 1 && !core.flags.df() && op.scale & Op::ADDRESS_32 == 0
}

fn movs<T: Int, const PREFIX: u8>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let size = u64::from(T::BITS / 8);
    repeat::<PREFIX>(core, op, |core, count| {
        let (from, to) = (source(core, op), target(core, op));
        let mut done = 0;
        if upwards(core, op, count) {
            let bytes = usize::try_from(count.saturating_mul(size)).unwrap_or(usize::MAX);
            // Whole elements only: one that crosses into the next page is moved as one, below.
            done = core.mmu.copy_up(to, from, bytes, size as usize) as u64 / size;
        }
        if done == 0 {
            let value = core.load::<T>(from)?;
            core.store(to, value)?;
            done = 1;
        }
        advance(core, op, reg::RSI, done * size);
        advance(core, op, reg::RDI, done * size);
        Ok(done)
    })
}

fn stos<T: Int, const PREFIX: u8>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let size = u64::from(T::BITS / 8);
    let value = T::get(core, T::register(reg::RAX));
    repeat::<PREFIX>(core, op, |core, count| {
        let to = target(core, op);
        let mut done = 0;
        if upwards(core, op, count) {
            done = core.mmu.fill_up(to, value, usize::try_from(count).unwrap_or(usize::MAX)) as u64;
        }
        if done == 0 {
            core.store(to, value)?;
            done = 1;
        }
        advance(core, op, reg::RDI, done * size);
        Ok(done)
    })
}

fn lods<T: Int, const PREFIX: u8>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    repeat::<PREFIX>(core, op, |core, _| {
        let value = core.load::<T>(source(core, op))?;
        T::set(core, T::register(reg::RAX), value);
        advance(core, op, reg::RSI, u64::from(T::BITS / 8));
        Ok(1)
    })
}

/// Whether a comparison's result lets the repetition go on.
#[inline(always)]
fn goes_on<const PREFIX: u8>(equal: bool) -> u64 {
    u64::from(equal == (PREFIX == REPE))
}

fn cmps<T: Int, const PREFIX: u8>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    repeat::<PREFIX>(core, op, |core, _| {
        let a = core.load::<T>(source(core, op))?;
        let b = core.load::<T>(target(core, op))?;
        sub(&mut core.flags, a, b);
        advance(core, op, reg::RSI, u64::from(T::BITS / 8));
        advance(core, op, reg::RDI, u64::from(T::BITS / 8));
        Ok(goes_on::<PREFIX>(a == b))
    })
}

fn scas<T: Int, const PREFIX: u8>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let a = T::get(core, T::register(reg::RAX));
    repeat::<PREFIX>(core, op, |core, _| {
        let b = core.load::<T>(target(core, op))?;
        sub(&mut core.flags, a, b);
        advance(core, op, reg::RDI, u64::from(T::BITS / 8));
        Ok(goes_on::<PREFIX>(a == b))
    })
}

/// INS: elements from the port in dx.
pub(super) fn ins<T: Int, const REPEATED: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    check_port(core, core.gpr[reg::RDX] as u16, T::BITS / 8)?;
    let iteration = |core: &mut Core<'_>, _| {
        core.store(target(core, op), T::cut(!0))?;
        advance(core, op, reg::RDI, u64::from(T::BITS / 8));
        Ok(1)
    };
    if REPEATED { repeat::<REPE>(core, op, iteration) } else { repeat::<ONCE>(core, op, iteration) }
}

/// OUTS: elements to the port in dx.
pub(super) fn outs<T: Int, const REPEATED: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    check_port(core, core.gpr[reg::RDX] as u16, T::BITS / 8)?;
    let iteration = |core: &mut Core<'_>, _| {
        core.load::<T>(source(core, op))?;
        advance(core, op, reg::RSI, u64::from(T::BITS / 8));
        Ok(1)
    };
    if REPEATED { repeat::<REPE>(core, op, iteration) } else { repeat::<ONCE>(core, op, iteration) }
}

/// XLAT: al becomes the byte at rbx plus al.
fn xlat(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let address = cut(op, core.gpr[reg::RBX].wrapping_add(core.gpr[reg::RAX] & 0xff));
    let value = core.load::<u8>(core.segment_base(op).wrapping_add(address))?;
    u8::set(core, u8::register(reg::RAX), value);
    Ok(())
}
