//! Gathers: loads of lanes from addresses that another register holds.
//!
//! Lanes are loaded in order. A fault leaves those before it loaded and their masks cleared, so that the instruction goes
//! on where it stopped when it is executed again. None needs to be aligned, whatever EFLAGS.AC says.

use iced_x86::{Instruction, Mnemonic};

use super::lanes::{Lane, get, with};
use super::masked::{Masked, lanes};
use super::vex::{X, Y, YMM, put, register};
use crate::interp::core::Core;
use crate::interp::op::{Exec, Num, Op, Stop};

/// The gathers, by the sizes of their elements and their indices.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    let wide = i.op0_register().is_ymm() || i.memory_index().is_ymm();
    macro_rules! by_width {
        ($t:ty, $index:ty) => {
            if wide { gather::<$t, $index, YMM> } else { gather::<$t, $index, X> }
        };
    }
    Some(match i.mnemonic() {
        Mnemonic::Vpgatherdd | Mnemonic::Vgatherdps => by_width!(u32, i32),
        Mnemonic::Vpgatherdq | Mnemonic::Vgatherdpd => by_width!(u64, i32),
        Mnemonic::Vpgatherqd | Mnemonic::Vgatherqps => by_width!(u32, i64),
        Mnemonic::Vpgatherqq | Mnemonic::Vgatherqpd => by_width!(u64, i64),
        _ => return None,
    })
}

/// `L` halves of the wider of elements and indices.
fn gather<T: Masked, I: Lane + Into<i64>, const L: usize>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    core.exempt_from_alignment(op, gather_lanes::<T, I, L>)
}

fn gather_lanes<T: Masked, I: Lane + Into<i64>, const L: usize>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let wider = size_of::<T>().max(size_of::<I>());
    let count = L * 16 / wider;
    let indices = register::<YMM>(core, Num::new(op.imm as usize));
    let mut value = register::<YMM>(core, op.dst);
    // Masks are as wide as elements; only top bits count, and they spread first.
    let mut mask = register::<YMM>(core, op.src).map(spread::<T>);
    for i in 0..count {
        let half = i / lanes::<T>();
        if !get::<T>(mask[half], i).chosen() {
            continue;
        }
        let index: I = get(indices[i / lanes::<I>()], i);
        match core.load::<T>(address(core, op, index.into())) {
            Ok(lane) => {
                value[half] = with(value[half], i, lane);
                mask[half] = with(mask[half], i, T::ZERO);
            }
            Err(stop) => {
                put::<YMM>(core, op.dst, value);
                put::<YMM>(core, op.src, mask);
                return Err(stop);
            }
        }
    }
    put::<YMM>(core, op.dst, keep(value, count * size_of::<T>()));
    put::<YMM>(core, op.src, [[0; 16]; 2]);
    Ok(())
}

/// Each lane all ones or zero, by its top bit.
fn spread<T: Masked>(mask: [u8; 16]) -> [u8; 16] {
    super::lanes::map::<T>(mask, |lane| if lane.chosen() { T::ALL } else { T::ZERO })
}

/// The first bytes of a value; the rest cleared.
fn keep(value: Y, bytes: usize) -> Y {
    let mut all: [u8; 32] = zerocopy::transmute!(value);
    all[bytes..].fill(0);
    zerocopy::transmute!(all)
}

fn address(core: &Core<'_>, op: &Op, index: i64) -> u64 {
    let base = core.gpr[op.base as usize].wrapping_add(op.disp);
    let offset = base.wrapping_add(index.wrapping_mul(op.factor() as i64) as u64);
    let offset = if op.scale & Op::ADDRESS_32 != 0 { u64::from(offset as u32) } else { offset };
    offset.wrapping_add(core.segment_base(op))
}
