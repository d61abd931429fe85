//! Stores, and what packs, unpacks, gathers and scatters elements.
//!
//! A store checks all elements that it will write before it writes one. Gathers and scatters go element by element, and
//! clear the mask's bit of each that is done, so that a fault in the middle is one to go on from.

use super::super::lanes::Lane;
use super::{
    Access, Done, Each, Form, In, Z, all, at, base, check_aligned, chosen, copy, count, cut, load, masked, put,
    register, set,
};
use crate::interp::core::Core;
use crate::interp::op::{Op, Stop};
use crate::memory::Word;

/// Stores those of `count` elements of `E` bytes that are active.
fn store_elements<const E: usize>(
    core: &mut Core<'_>,
    op: &Op,
    address: u64,
    value: &Z,
    (count, active): (usize, u64),
    access: Access,
) -> Done {
    if active & all(count) == 0 {
        return Ok(());
    }
    check_aligned(core, address, count, E, access)?;
    core.exempt_from_alignment(op, |core, _| store_some::<E>(core, address, value, count, active))
}

fn store_some<const E: usize>(core: &mut Core<'_>, address: u64, value: &Z, count: usize, active: u64) -> Done {
    let place = |i: usize, size: usize| address.wrapping_add((i * size) as u64);
    if active & all(count) == all(count) && (count * E).is_multiple_of(8) {
        core.check_store(address, count * E)?;
        for i in 0..count * E / 8 {
            core.store(place(i, 8), at::<u64>(value, i))?;
        }
        return Ok(());
    }
    let chosen = chosen(count, active);
    for i in chosen.clone() {
        core.check_store(place(i, E), E)?;
    }
    for i in chosen {
        match E {
            1 => core.store(place(i, 1), at::<u8>(value, i))?,
            2 => core.store(place(i, 2), at::<u16>(value, i))?,
            4 => core.store(place(i, 4), at::<u32>(value, i))?,
            _ => core.store(place(i, 8), at::<u64>(value, i))?,
        }
    }
    Ok(())
}

/// The address; #GP(0) unless it is a multiple of the vector's size, if it must be and anything is accessed.
fn address<const ALIGNED: bool>(core: &mut Core<'_>, op: &Op, form: Form, active: u64) -> Result<u64, Stop> {
    let address = core.ea(op);
    if ALIGNED && active != 0 && address & (form.quarters() as u64 * 16 - 1) != 0 {
        return Err(core.gp());
    }
    Ok(address)
}

/// Loads elements of `E` bytes.
pub(super) fn load_vector<const E: usize, const ALIGNED: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let form = Form::of_op(op);
    let (count, active) = form.elements(core, E);
    let address = address::<ALIGNED>(core, op, form, active)?;
    let value = load::<E>(core, op, address, count, active, form.access())?;
    let old = register(core, op.dst);
    put(core, op.dst, masked::<E>(form, old, &value, (count, active)));
    Ok(())
}

/// Stores elements of `E` bytes.
pub(super) fn store_vector<const E: usize, const ALIGNED: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let form = Form::of_op(op);
    let (count, active) = form.elements(core, E);
    let address = address::<ALIGNED>(core, op, form, active)?;
    let value = register(core, op.dst);
    store_elements::<E>(core, op, address, &value, (count, active), form.access())
}

/// Stores the lowest element, if it is active.
pub(super) fn store_scalar<const E: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    let active = Form::of_op(op).active(core, 1);
    let value = register(core, op.dst);
    store_elements::<E>(core, op, core.ea(op), &value, (1, active), Access::Elements)
}

/// Loads the lowest element, if it is active, and clears the others.
pub(super) fn load_scalar<const E: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    let form = Form::of_op(op);
    let active = form.active(core, 1);
    let value = load::<E>(core, op, core.ea(op), 1, active, Access::Elements)?;
    let result = if active != 0 { value } else { cut(base(form, register(core, op.dst)), E) };
    put(core, op.dst, result);
    Ok(())
}

/// Stores what an operation makes of the register that the store names.
pub(super) fn store_each<O: Each>(core: &mut Core<'_>, op: &Op) -> Done {
    let form = Form::of_op(op);
    let count = count::<O>(form);
    let active = form.active(core, count);
    let a = register(core, op.dst);
    let x = In { old: a, a, b: a, imm: form.imm(), quarters: form.quarters() };
    let mut mx = form.mx(core);
    let mut value = [[0; 16]; 4];
    for i in chosen(count, active) {
        set(&mut value, i, O::each(&mut mx, &x, i));
    }
    let address = core.ea(op);
    // What takes a part of a register checks all of it, whatever the mask says.
    let whole = O::COUNT.is_some();
    let access = if whole { Access::Whole } else { form.access() };
    let size = size_of::<O::T>();
    if whole || mx.raised != 0 {
        check_aligned(core, address, count, size, access)?;
    }
    if whole {
        core.check_store(address, count * size)?;
    }
    if mx.raised != 0 {
        // What can't be stored raises no exception of its own.
        for i in chosen(count, active) {
            core.check_store(address.wrapping_add((i * size) as u64), size)?;
        }
        form.commit(core, &mx)?;
    }
    let elements = (count, active);
    match size {
        1 => store_elements::<1>(core, op, address, &value, elements, access),
        2 => store_elements::<2>(core, op, address, &value, elements, access),
        4 => store_elements::<4>(core, op, address, &value, elements, access),
        _ => store_elements::<8>(core, op, address, &value, elements, access),
    }
}

/// A blend: the last source where the mask chooses it, the first elsewhere.
pub(super) fn blend<F: super::Fetch, const E: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    let form = Form::of_op(op);
    let (count, active) = form.elements(core, E);
    let b = F::get(core, op, form, active)?;
    let a = register(core, op.src);
    put(core, op.dst, masked::<E>(form, a, &b, (count, active)));
    Ok(())
}

/// Active elements side by side, and how many they are.
fn packed<const E: usize>(value: &Z, count: usize, active: u64) -> (Z, usize) {
    let (mut result, mut next) = ([[0; 16]; 4], 0);
    for i in chosen(count, active) {
        copy::<E>(&mut result, next, value, i);
        next += 1;
    }
    (result, next)
}

/// Active elements side by side, in a register.
pub(super) fn compress<const E: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    let form = Form::of_op(op);
    let (count, active) = form.elements(core, E);
    let (value, packed) = packed::<E>(&register(core, op.aux), count, active);
    let old = register(core, op.dst);
    put(core, op.dst, masked::<E>(form, old, &value, (count, all(packed))));
    Ok(())
}

/// The same, in memory.
pub(super) fn store_compressed<const E: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    let form = Form::of_op(op);
    let (count, active) = form.elements(core, E);
    let (value, packed) = packed::<E>(&register(core, op.dst), count, active);
    store_elements::<E>(core, op, core.ea(op), &value, (packed, u64::MAX), Access::Elements)
}

/// Elements that lie side by side, to the active places.
pub(super) fn expand<const E: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    let form = Form::of_op(op);
    let (count, active) = form.elements(core, E);
    let value = match form.has(Form::MEMORY) {
        true => load::<E>(core, op, core.ea(op), active.count_ones() as usize, u64::MAX, form.access())?,
        false => register(core, op.aux),
    };
    let mut result = base(form, register(core, op.dst));
    for (next, i) in chosen(count, active).enumerate() {
        copy::<E>(&mut result, i, &value, next);
    }
    put(core, op.dst, cut(result, count * E));
    Ok(())
}

/// Where element `i` of a gather or scatter is.
fn element_address<I: Lane + Into<i64>>(core: &Core<'_>, op: &Op, indices: &Z, i: usize) -> u64 {
    let index: i64 = at::<I>(indices, i).into();
    let base = core.gpr[op.base as usize].wrapping_add(op.disp);
    let offset = base.wrapping_add(index.wrapping_mul(op.factor() as i64) as u64);
    let offset = if op.scale & Op::ADDRESS_32 != 0 { u64::from(offset as u32) } else { offset };
    offset.wrapping_add(core.segment_base(op))
}

/// How many elements a gather or scatter has: as many as the wider of them and their indices.
fn gathered<T, I>(form: Form) -> usize {
    form.quarters() * 16 / size_of::<T>().max(size_of::<I>())
}

fn gather_elements<T: Lane + Word, I: Lane + Into<i64>>(core: &mut Core<'_>, op: &Op) -> Done {
    let form = Form::of_op(op);
    let count = gathered::<T, I>(form);
    let k = form.k();
    let indices = register(core, form.index());
    if form.index() == op.dst {
        return Err(core.ud());
    }
    let active = form.active(core, count);
    let mut result = register(core, op.dst);
    for i in chosen(count, active) {
        match core.load::<T>(element_address::<I>(core, op, &indices, i)) {
            Ok(lane) => {
                set(&mut result, i, lane);
                // Of registers that are half as long as the indices', what lies above is cleared at the end.
                result = cut(result, form.quarters() * 16);
                core.cpu.k[k] &= !(1 << i);
            }
            Err(stop) => {
                put(core, op.dst, result);
                return Err(stop);
            }
        }
    }
    core.cpu.k[k] = 0;
    put(core, op.dst, cut(result, count * size_of::<T>()));
    Ok(())
}

/// Loads elements from where a vector of indices says.
pub(super) fn gather<T: Lane + Word, I: Lane + Into<i64>>(core: &mut Core<'_>, op: &Op) -> Done {
    core.exempt_from_alignment(op, gather_elements::<T, I>)
}

fn scatter_elements<T: Lane + Word, I: Lane + Into<i64>>(core: &mut Core<'_>, op: &Op) -> Done {
    let form = Form::of_op(op);
    let count = gathered::<T, I>(form);
    let k = form.k();
    let (indices, value) = (register(core, form.index()), register(core, op.dst));
    let active = form.active(core, count);
    for i in chosen(count, active) {
        core.store(element_address::<I>(core, op, &indices, i), at::<T>(&value, i))?;
        core.cpu.k[k] &= !(1 << i);
    }
    core.cpu.k[k] = 0;
    Ok(())
}

/// Stores elements to where a vector of indices says.
pub(super) fn scatter<T: Lane + Word, I: Lane + Into<i64>>(core: &mut Core<'_>, op: &Op) -> Done {
    core.exempt_from_alignment(op, scatter_elements::<T, I>)
}
