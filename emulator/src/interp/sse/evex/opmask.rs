//! Instructions of opmask registers, which are encoded with VEX, and those between masks and vectors.

use iced_x86::{Code, Instruction, Mnemonic, OpKind};

use super::{Done, Form, put, set};
use crate::flags::rflags::{CF, ZF};
use crate::interp::core::Core;
use crate::interp::op::{Exec, Num, Op};

/// The low bits of a mask.
fn cut(value: u64, bits: u32) -> u64 {
    value & u64::MAX >> (64 - bits)
}

fn k(core: &Core<'_>, n: Num) -> u64 {
    core.cpu.k[n as usize % 8]
}

/// `k = k ∘ k`, of `BITS` bits.
macro_rules! logic {
    ($($(#[$doc:meta])* $name:ident: |$a:ident, $b:ident, $bits:ident| $result:expr;)*) => {$(
        $(#[$doc])*
        fn $name<const BITS: u32>(core: &mut Core<'_>, op: &Op) -> Done {
            let ($a, $b, $bits) = (k(core, op.src), k(core, op.aux), BITS);
            core.cpu.k[op.dst as usize % 8] = cut($result, BITS);
            Ok(())
        }
    )*};
}

logic! {
    and: |a, b, _bits| a & b;
    andn: |a, b, _bits| !a & b;
    or: |a, b, _bits| a | b;
    xor: |a, b, _bits| a ^ b;
    xnor: |a, b, _bits| !(a ^ b);
    not: |_a, b, _bits| !b;
    add: |a, b, bits| cut(a, bits).wrapping_add(cut(b, bits));
    copy: |_a, b, _bits| b;
    /// The first source's low half above the second's.
    unpack: |a, b, bits| a << (bits / 2) | cut(b, bits / 2);
}

fn shift<const BITS: u32, const LEFT: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let (value, by) = (cut(k(core, op.src), BITS), u32::from(op.imm as u8));
    let shifted = if LEFT { value.checked_shl(by) } else { value.checked_shr(by) };
    core.cpu.k[op.dst as usize % 8] = cut(shifted.unwrap_or(0), BITS);
    Ok(())
}

/// ZF if all are clear, CF if all are set.
fn or_test<const BITS: u32>(core: &mut Core<'_>, op: &Op) -> Done {
    let either = cut(k(core, op.dst) | k(core, op.src), BITS);
    flags(core, either == 0, either == cut(u64::MAX, BITS))
}

/// ZF if none is set in both, CF if none is set in the second only.
fn and_test<const BITS: u32>(core: &mut Core<'_>, op: &Op) -> Done {
    let (a, b) = (k(core, op.dst), k(core, op.src));
    flags(core, cut(a & b, BITS) == 0, cut(!a & b, BITS) == 0)
}

fn flags(core: &mut Core<'_>, zero: bool, carry: bool) -> Done {
    let flag = |set: bool, flag: u64| if set { flag } else { 0 };
    core.flags.set_status(flag(zero, ZF) | flag(carry, CF));
    Ok(())
}

fn load<const BITS: u32>(core: &mut Core<'_>, op: &Op) -> Done {
    let address = core.ea(op);
    let value = match BITS {
        8 => core.load::<u8>(address)?.into(),
        16 => core.load::<u16>(address)?.into(),
        32 => core.load::<u32>(address)?.into(),
        _ => core.load(address)?,
    };
    core.cpu.k[op.dst as usize % 8] = value;
    Ok(())
}

fn store<const BITS: u32>(core: &mut Core<'_>, op: &Op) -> Done {
    let (address, value) = (core.ea(op), k(core, op.dst));
    match BITS {
        8 => core.store(address, value as u8),
        16 => core.store(address, value as u16),
        32 => core.store(address, value as u32),
        _ => core.store(address, value),
    }
}

fn from_gpr<const BITS: u32>(core: &mut Core<'_>, op: &Op) -> Done {
    core.cpu.k[op.dst as usize % 8] = cut(core.r64(op.src), BITS);
    Ok(())
}

fn to_gpr<const BITS: u32>(core: &mut Core<'_>, op: &Op) -> Done {
    core.set_r64(op.dst, cut(k(core, op.src), BITS));
    Ok(())
}

/// Each element all ones or zero, by its bit.
fn spread<T: super::super::lanes::Lane + From<bool> + std::ops::Neg<Output = T>>(core: &mut Core<'_>, op: &Op) -> Done {
    let count = Form::of_op(op).quarters() * 16 / size_of::<T>();
    let bits = k(core, op.src);
    let mut value = [[0; 16]; 4];
    for i in 0..count {
        set(&mut value, i, -T::from(bits >> i & 1 != 0));
    }
    put(core, op.dst, value);
    Ok(())
}

/// The mask's low bits in each element: 8 in quadwords, 16 in doublewords.
fn broadcast<const WIDE: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let quarters = Form::of_op(op).quarters();
    let bits = k(core, op.src);
    let mut value = [[0; 16]; 4];
    for i in 0..quarters * if WIDE { 2 } else { 4 } {
        if WIDE {
            set(&mut value, i, bits & 0xff);
        } else {
            set(&mut value, i, bits as u32 & 0xffff);
        }
    }
    put(core, op.dst, value);
    Ok(())
}

/// Those between masks and vectors.
pub(super) fn select_vector(i: &Instruction) -> Option<Exec> {
    Some(match i.mnemonic() {
        Mnemonic::Vpmovm2b => spread::<i8>,
        Mnemonic::Vpmovm2w => spread::<i16>,
        Mnemonic::Vpmovm2d => spread::<i32>,
        Mnemonic::Vpmovm2q => spread::<i64>,
        Mnemonic::Vpbroadcastmb2q => broadcast::<true>,
        Mnemonic::Vpbroadcastmw2d => broadcast::<false>,
        _ => return None,
    })
}

/// Those with opmasks alone.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    macro_rules! by_width {
        ($($name:ident: $b:ident $w:ident $d:ident $q:ident;)*) => {
            match i.mnemonic() {
                $(
                    Mnemonic::$b => return Some($name::<8>),
                    Mnemonic::$w => return Some($name::<16>),
                    Mnemonic::$d => return Some($name::<32>),
                    Mnemonic::$q => return Some($name::<64>),
                )*
                _ => {}
            }
        };
    }
    by_width! {
        and: Kandb Kandw Kandd Kandq;
        andn: Kandnb Kandnw Kandnd Kandnq;
        or: Korb Korw Kord Korq;
        xor: Kxorb Kxorw Kxord Kxorq;
        xnor: Kxnorb Kxnorw Kxnord Kxnorq;
        not: Knotb Knotw Knotd Knotq;
        add: Kaddb Kaddw Kaddd Kaddq;
        or_test: Kortestb Kortestw Kortestd Kortestq;
        and_test: Ktestb Ktestw Ktestd Ktestq;
    }
    use Code::*;
    let from_memory = i.op_count() == 2 && i.op1_kind() == OpKind::Memory;
    Some(match i.code() {
        VEX_Kmovb_kr_km8 if from_memory => load::<8>,
        VEX_Kmovw_kr_km16 if from_memory => load::<16>,
        VEX_Kmovd_kr_km32 if from_memory => load::<32>,
        VEX_Kmovq_kr_km64 if from_memory => load::<64>,
        VEX_Kmovb_kr_km8 => copy::<8>,
        VEX_Kmovw_kr_km16 => copy::<16>,
        VEX_Kmovd_kr_km32 => copy::<32>,
        VEX_Kmovq_kr_km64 => copy::<64>,
        VEX_Kmovb_m8_kr => store::<8>,
        VEX_Kmovw_m16_kr => store::<16>,
        VEX_Kmovd_m32_kr => store::<32>,
        VEX_Kmovq_m64_kr => store::<64>,
        VEX_Kmovb_kr_r32 => from_gpr::<8>,
        VEX_Kmovw_kr_r32 => from_gpr::<16>,
        VEX_Kmovd_kr_r32 => from_gpr::<32>,
        VEX_Kmovq_kr_r64 => from_gpr::<64>,
        VEX_Kmovb_r32_kr => to_gpr::<8>,
        VEX_Kmovw_r32_kr => to_gpr::<16>,
        VEX_Kmovd_r32_kr => to_gpr::<32>,
        VEX_Kmovq_r64_kr => to_gpr::<64>,
        VEX_Kunpckbw_kr_kr_kr => unpack::<16>,
        VEX_Kunpckwd_kr_kr_kr => unpack::<32>,
        VEX_Kunpckdq_kr_kr_kr => unpack::<64>,
        VEX_Kshiftlb_kr_kr_imm8 => shift::<8, true>,
        VEX_Kshiftlw_kr_kr_imm8 => shift::<16, true>,
        VEX_Kshiftld_kr_kr_imm8 => shift::<32, true>,
        VEX_Kshiftlq_kr_kr_imm8 => shift::<64, true>,
        VEX_Kshiftrb_kr_kr_imm8 => shift::<8, false>,
        VEX_Kshiftrw_kr_kr_imm8 => shift::<16, false>,
        VEX_Kshiftrd_kr_kr_imm8 => shift::<32, false>,
        VEX_Kshiftrq_kr_kr_imm8 => shift::<64, false>,
        _ => return None,
    })
}
