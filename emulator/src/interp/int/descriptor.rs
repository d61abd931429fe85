//! What programs may ask about descriptors: LAR, LSL, VERR, VERW. A selector that names nothing, or nothing that the ring
//! may use, clears ZF and raises nothing.

use iced_x86::{Instruction, Mnemonic, OpKind};

use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};

use super::operand::{Int, by_size, operand_size};
use super::segment::{Descriptor, descriptor_in_table};

/// The function for an instruction of this file.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    let memory = |n: u32| i.op_kind(n) == OpKind::Memory;
    Some(match i.mnemonic() {
        Mnemonic::Lar => {
            by_size!(operand_size(i, 0), T => if memory(1) { describe::<T, Rights, true> } else { describe::<T, Rights, false> })
        }
        Mnemonic::Lsl => {
            by_size!(operand_size(i, 0), T => if memory(1) { describe::<T, Limit, true> } else { describe::<T, Limit, false> })
        }
        Mnemonic::Verr if memory(0) => verify::<Read, true>,
        Mnemonic::Verr => verify::<Read, false>,
        Mnemonic::Verw if memory(0) => verify::<Write, true>,
        Mnemonic::Verw => verify::<Write, false>,
        _ => return None,
    })
}

/// What is told of a descriptor, if anything is.
trait Told {
    fn of(descriptor: Descriptor) -> Option<u32>;
}

struct Rights;
struct Limit;
struct Read;
struct Write;

impl Told for Rights {
    fn of(descriptor: Descriptor) -> Option<u32> {
        // A call gate has rights, but no limit.
        let known = descriptor.is_segment() || matches!(descriptor.kind(), 2 | 9 | 11 | 12);
        known.then(|| descriptor.rights())
    }
}

impl Told for Limit {
    fn of(descriptor: Descriptor) -> Option<u32> {
        let known = descriptor.is_segment() || matches!(descriptor.kind(), 2 | 9 | 11);
        known.then(|| descriptor.limit())
    }
}

impl Told for Read {
    fn of(descriptor: Descriptor) -> Option<u32> {
        let readable = descriptor.is_segment() && (!descriptor.is_code() || descriptor.readable_or_writable());
        readable.then_some(0)
    }
}

impl Told for Write {
    fn of(descriptor: Descriptor) -> Option<u32> {
        let writable = descriptor.is_segment() && !descriptor.is_code() && descriptor.readable_or_writable();
        writable.then_some(0)
    }
}

/// Asks about the descriptor that a selector names.
fn ask<Q: Told>(core: &mut Core<'_>, selector: u16) -> Result<Option<u32>, Stop> {
    if selector & !3 == 0 {
        return Ok(None);
    }
    let found = match descriptor_in_table(core, selector) {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(None),
        Err(exception) => return Err(core.raise(exception)),
    };
    let least = core.cpu.cpl.max((selector & 3) as u8);
    let visible = found.is_code() && found.conforming() || least <= found.dpl();
    Ok(if visible { Q::of(found) } else { None })
}

fn describe<T: Int, Q: Told, const MEMORY: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let selector = if MEMORY { core.load(core.ea(op))? } else { core.gpr[op.src as usize] as u16 };
    let told = ask::<Q>(core, selector)?;
    if let Some(value) = told {
        T::set(core, op.dst, T::cut(value.into()));
    }
    core.flags.set_zf(told.is_some());
    Ok(())
}

fn verify<Q: Told, const MEMORY: bool>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let selector = if MEMORY { core.load(core.ea(op))? } else { core.gpr[op.dst as usize] as u16 };
    let told = ask::<Q>(core, selector)?;
    core.flags.set_zf(told.is_some());
    Ok(())
}
