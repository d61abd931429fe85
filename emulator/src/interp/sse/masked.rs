//! Loads and stores of the lanes that a mask chooses.
//!
//! A lane whose mask bit is clear is not accessed: it can't fault. A store checks all its lanes before it changes one.
//! None needs to be aligned, whatever EFLAGS.AC says (AMD's do it so).

use iced_x86::{Instruction, Mnemonic, OpKind};

use super::lanes::{Lane, get, with};
use super::vex::{X, Y, YMM, put, register};
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};
use crate::memory::Word;

type Done = Result<(), Stop>;

/// VMASKMOVPS and its kin.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    let to_memory = i.op0_kind() == OpKind::Memory;
    let wide = i.op1_register().is_ymm();
    Some(match i.mnemonic() {
        Mnemonic::Vmaskmovps | Mnemonic::Vpmaskmovd => match (to_memory, wide) {
            (false, false) => load::<u32, X>,
            (false, true) => load::<u32, YMM>,
            (true, false) => store::<u32, X>,
            (true, true) => store::<u32, YMM>,
        },
        Mnemonic::Vmaskmovpd | Mnemonic::Vpmaskmovq => match (to_memory, wide) {
            (false, false) => load::<u64, X>,
            (false, true) => load::<u64, YMM>,
            (true, false) => store::<u64, X>,
            (true, true) => store::<u64, YMM>,
        },
        _ => return None,
    })
}

/// A lane of a mask.
pub(super) trait Masked: Lane + Word {
    /// Whether its top bit is set.
    fn chosen(self) -> bool;
    /// All bits set.
    const ALL: Self;
}

impl Masked for u32 {
    fn chosen(self) -> bool {
        self >> 31 != 0
    }
    const ALL: Self = !0;
}

impl Masked for u64 {
    fn chosen(self) -> bool {
        self >> 63 != 0
    }
    const ALL: Self = !0;
}

/// Lanes of 128 bits.
pub(super) const fn lanes<T>() -> usize {
    16 / size_of::<T>()
}

/// The lanes that a mask of `L` halves chooses, in order.
fn chosen<T: Masked, const L: usize>(mask: Y) -> impl Iterator<Item = usize> {
    (0..lanes::<T>() * L).filter(move |i| get::<T>(mask[i / lanes::<T>()], *i).chosen())
}

fn load<T: Masked, const L: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    core.exempt_from_alignment(op, load_lanes::<T, L>)
}

fn load_lanes<T: Masked, const L: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    let address = core.ea(op);
    let mut value = [[0; 16]; 2];
    for i in chosen::<T, L>(register::<L>(core, op.src)) {
        let lane: T = core.load(address.wrapping_add((i * size_of::<T>()) as u64))?;
        let half = &mut value[i / lanes::<T>()];
        *half = with(*half, i, lane);
    }
    put::<L>(core, op.dst, value);
    Ok(())
}

fn store<T: Masked, const L: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    core.exempt_from_alignment(op, store_lanes::<T, L>)
}

fn store_lanes<T: Masked, const L: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    let address = core.ea(op);
    let (mask, value) = (register::<L>(core, op.dst), register::<L>(core, op.src));
    let place = |i: usize| address.wrapping_add((i * size_of::<T>()) as u64);
    for i in chosen::<T, L>(mask) {
        core.check_store(place(i), size_of::<T>())?;
    }
    for i in chosen::<T, L>(mask) {
        core.store(place(i), get::<T>(value[i / lanes::<T>()], i))?;
    }
    Ok(())
}
