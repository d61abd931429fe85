//! Operand sizes, operand kinds, and how the function for them is chosen.

use iced_x86::{Instruction, OpKind, Register};

use crate::flags::Origin;
use crate::interp::core::Core;
use crate::interp::op::{Num, Op};
use crate::memory::Word;
use crate::seg;

/// An integer operand's size.
pub(super) trait Int: Word + PartialEq + Default {
    /// Bits in it.
    const BITS: u32;
    /// Where the flags of an addition come from.
    const ADDITION: Origin;
    /// Where those of a subtraction come from.
    const SUBTRACTION: Origin;
    /// The register with number `n` of `reg`, as `Op` encodes it for this size.
    fn register(n: usize) -> Num;
    /// Reads a register.
    fn get(core: &Core<'_>, n: Num) -> Self;
    /// Writes a register: 32 bits clear those above, 8 and 16 keep them.
    fn set(core: &mut Core<'_>, n: Num, value: Self);
    /// Zero-extended.
    fn wide(self) -> u64;
    /// Sign-extended.
    fn signed(self) -> u64;
    /// The low bits.
    fn cut(value: u64) -> Self;
}

impl Int for u8 {
    const BITS: u32 = 8;
    const ADDITION: Origin = Origin::Add8;
    const SUBTRACTION: Origin = Origin::Sub8;

    fn register(n: usize) -> Num {
        Num::new(n * 2)
    }

    #[inline(always)]
    fn get(core: &Core<'_>, n: Num) -> Self {
        let n = n as usize;
        (core.gpr[n / 2] >> (n % 2 * 8)) as u8
    }

    #[inline(always)]
    fn set(core: &mut Core<'_>, n: Num, value: Self) {
        let n = n as usize;
        let shift = n % 2 * 8;
        let register = &mut core.gpr[n / 2];
        *register = *register & !(0xff << shift) | u64::from(value) << shift;
    }

    #[inline(always)]
    fn wide(self) -> u64 {
        u64::from(self)
    }

    #[inline(always)]
    fn signed(self) -> u64 {
        self as i8 as u64
    }

    #[inline(always)]
    fn cut(value: u64) -> Self {
        value as u8
    }
}

macro_rules! int {
    ($t:ty, $signed:ty, $addition:ident, $subtraction:ident, |$old:ident, $value:ident| $set:expr) => {
        impl Int for $t {
            const BITS: u32 = <$t>::BITS;
            const ADDITION: Origin = Origin::$addition;
            const SUBTRACTION: Origin = Origin::$subtraction;

            fn register(n: usize) -> Num {
                Num::new(n)
            }

            #[inline(always)]
            fn get(core: &Core<'_>, n: Num) -> Self {
                core.gpr[n as usize] as $t
            }

            #[inline(always)]
            fn set(core: &mut Core<'_>, n: Num, $value: Self) {
                let register = &mut core.gpr[n as usize];
                let $old = *register;
                *register = $set;
            }

            #[inline(always)]
            fn wide(self) -> u64 {
                self as u64
            }

            #[inline(always)]
            fn signed(self) -> u64 {
                self as $signed as u64
            }

            #[inline(always)]
            fn cut(value: u64) -> Self {
                value as $t
            }
        }
    };
}
int!(u16, i16, Add16, Sub16, |old, value| old & !0xffff | u64::from(value));
int!(u32, i32, Add32, Sub32, |_old, value| u64::from(value));
int!(u64, i64, Add64, Sub64, |_old, value| value);

/// How a memory operand's address is computed.
pub(in crate::interp) trait Address {
    /// The linear address.
    fn ea(core: &Core<'_>, op: &Op) -> u64;
}

/// A base and a displacement, in a segment without base.
pub(in crate::interp) struct Base;

/// Base, index and displacement, in a segment without base.
pub(in crate::interp) struct Indexed;

/// Anything.
pub(in crate::interp) struct Any;

impl Address for Base {
    #[inline(always)]
    fn ea(core: &Core<'_>, op: &Op) -> u64 {
        core.gpr[op.base as usize].wrapping_add(op.disp)
    }
}

impl Address for Indexed {
    #[inline(always)]
    fn ea(core: &Core<'_>, op: &Op) -> u64 {
        let index = core.gpr[op.index as usize].wrapping_mul(op.factor());
        core.gpr[op.base as usize].wrapping_add(index).wrapping_add(op.disp)
    }
}

impl Address for Any {
    #[inline(always)]
    fn ea(core: &Core<'_>, op: &Op) -> u64 {
        core.ea(op)
    }
}

/// Which [`Address`] an instruction's memory operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::interp) enum AddressKind {
    Base,
    Indexed,
    Any,
}

/// Which [`Address`] to compute a memory operand's address with.
pub(in crate::interp) fn address_kind(instruction: &Instruction) -> AddressKind {
    let (base, index) = (instruction.memory_base(), instruction.memory_index());
    let plain = |register: Register| register.is_gpr64() || register == Register::None || register == Register::RIP;
    let narrow = base == Register::None && index == Register::None && instruction.memory_displ_size() == 4;
    if instruction.memory_segment().number() >= seg::FS || !plain(base) || !plain(index) || narrow {
        AddressKind::Any
    } else if index == Register::None {
        AddressKind::Base
    } else {
        AddressKind::Indexed
    }
}

/// Kinds of the first two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One register.
    R,
    /// One memory operand.
    M(AddressKind),
    /// Register, register.
    RR,
    /// Register, immediate.
    RI,
    /// Register, memory.
    RM(AddressKind),
    /// Memory, register.
    MR(AddressKind),
    /// Memory, immediate.
    MI(AddressKind),
    /// Something else.
    Other,
}

/// The kinds of an instruction's explicit operands.
pub(super) fn form(instruction: &Instruction) -> Form {
    #[derive(PartialEq, Eq)]
    enum Kind {
        None,
        Register,
        Memory,
        Immediate,
        Other,
    }
    let kind = |i: u32| {
        if i >= instruction.op_count() {
            return Kind::None;
        }
        match instruction.op_kind(i) {
            OpKind::Register if instruction.op_register(i).is_gpr() => Kind::Register,
            OpKind::Memory => Kind::Memory,
            OpKind::Immediate8
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate64
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64 => Kind::Immediate,
            _ => Kind::Other,
        }
    };
    match (kind(0), kind(1)) {
        (Kind::Register, Kind::None) => Form::R,
        (Kind::Memory, Kind::None) => Form::M(address_kind(instruction)),
        (Kind::Register, Kind::Register) => Form::RR,
        (Kind::Register, Kind::Immediate) => Form::RI,
        (Kind::Register, Kind::Memory) => Form::RM(address_kind(instruction)),
        (Kind::Memory, Kind::Register) => Form::MR(address_kind(instruction)),
        (Kind::Memory, Kind::Immediate) => Form::MI(address_kind(instruction)),
        _ => Form::Other,
    }
}

/// Bytes of operand `i`.
pub(super) fn operand_size(instruction: &Instruction, i: u32) -> usize {
    match instruction.op_kind(i) {
        OpKind::Register => instruction.op_register(i).size(),
        _ => instruction.memory_size().size(),
    }
}

/// Evaluates an expression in which `$t` is the unsigned type of so many bytes; none for other sizes.
macro_rules! by_size {
    ($size:expr, $t:ident => $value:expr) => {
        match $size {
            1 => {
                type $t = u8;
                $value
            }
            2 => {
                type $t = u16;
                $value
            }
            4 => {
                type $t = u32;
                $value
            }
            8 => {
                type $t = u64;
                $value
            }
            _ => return None,
        }
    };
}

/// Evaluates an expression in which `$a` is the [`Address`] of a kind.
macro_rules! by_address {
    ($kind:expr, $a:ident => $value:expr) => {
        match $kind {
            $crate::interp::int::operand::AddressKind::Base => {
                type $a = $crate::interp::int::operand::Base;
                $value
            }
            $crate::interp::int::operand::AddressKind::Indexed => {
                type $a = $crate::interp::int::operand::Indexed;
                $value
            }
            $crate::interp::int::operand::AddressKind::Any => {
                type $a = $crate::interp::int::operand::Any;
                $value
            }
        }
    };
}

pub(in crate::interp) use by_address;
pub(super) use by_size;
