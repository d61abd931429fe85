//! The stack, and the flags register's ways through it and ah.

use iced_x86::{Code, Instruction, Mnemonic, OpKind};

use crate::cpu::reg;
use crate::flags::rflags;
use crate::interp::core::Core;
use crate::interp::op::{Dispatch, End, Exec, Next, Op, Step, Stop};

use super::operand::{Form, Int, form};
use super::segment;

/// The function for an instruction of this file.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    // In 64-bit mode an operand on the stack has 16 or 64 bits.
    let narrow = i.stack_pointer_increment().abs() == 2;
    let sized = |wide: Exec, short: Exec| if narrow { short } else { wide };
    Some(match i.mnemonic() {
        Mnemonic::Push => sized(push_segment::<u64>, push_segment::<u16>),
        Mnemonic::Pop => match form(i) {
            Form::M(_) => sized(pop_m::<u64>, pop_m::<u16>),
            _ => sized(pop_segment::<u64>, pop_segment::<u16>),
        },
        Mnemonic::Pushf | Mnemonic::Pushfq => sized(pushf::<u64>, pushf::<u16>),
        Mnemonic::Popf | Mnemonic::Popfq => sized(popf::<u64>, popf::<u16>),
        Mnemonic::Enter if i.code() == Code::Enterw_imm16_imm8 => enter::<u16>,
        Mnemonic::Enter => enter::<u64>,
        Mnemonic::Leave => leave_16,
        Mnemonic::Lahf => lahf,
        Mnemonic::Sahf => sahf,
        Mnemonic::Clc => clc,
        Mnemonic::Stc => stc,
        Mnemonic::Cmc => cmc,
        Mnemonic::Cld => cld,
        Mnemonic::Std => std,
        _ => return None,
    })
}

/// The function for an instruction of this file that programs execute all the time.
pub(super) fn select_step(i: &Instruction) -> Option<Step> {
    // In 64-bit mode an operand on the stack has 16 or 64 bits.
    let narrow = i.stack_pointer_increment().abs() == 2;
    let sized = |wide: Step, short: Step| if narrow { short } else { wide };
    Some(match (i.mnemonic(), form(i)) {
        (Mnemonic::Push, Form::R) => sized(push_r::<u64, Dispatch>, push_r::<u16, Dispatch>),
        (Mnemonic::Push, Form::M(_)) => sized(push_m::<u64>, push_m::<u16>),
        (Mnemonic::Push, _) if i.op0_kind() != OpKind::Register => sized(push_i::<u64>, push_i::<u16>),
        (Mnemonic::Pop, Form::R) => sized(pop_r::<u64, Dispatch>, pop_r::<u16, Dispatch>),
        (Mnemonic::Leave, _) if i.code() == Code::Leaveq => leave,
        _ => return None,
    })
}

/// Pushes a value, then does the rest of the instruction, which captures nothing.
#[inline(always)]
pub(super) fn push_then<'a, T: Int>(
    core: &mut Core<'a>,
    op: &Op,
    rest: &[Op],
    value: T,
    then: impl Fn(&mut Core<'a>, &Op, &[Op]) -> End,
) -> End {
    let top = core.gpr[reg::RSP].wrapping_sub(u64::from(T::BITS / 8));
    core.store_then(op, rest, top, value, move |core, op, rest| {
        core.gpr[reg::RSP] = core.gpr[reg::RSP].wrapping_sub(u64::from(T::BITS / 8));
        then(core, op, rest)
    })
}

/// Pushes a value.
fn push<T: Int>(core: &mut Core<'_>, value: T) -> Result<(), Stop> {
    let top = core.gpr[reg::RSP].wrapping_sub(u64::from(T::BITS / 8));
    core.store(top, value)?;
    core.gpr[reg::RSP] = top;
    Ok(())
}

/// Pops a value.
#[inline(always)]
fn pop<T: Int>(core: &mut Core<'_>) -> Result<T, Stop> {
    let value = core.load(core.gpr[reg::RSP])?;
    core.gpr[reg::RSP] = core.gpr[reg::RSP].wrapping_add(u64::from(T::BITS / 8));
    Ok(value)
}

/// `push rsp` pushes what it was before.
pub(super) fn push_r<T: Int, N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    push_then(core, op, rest, T::get(core, op.dst), |core, _, rest| N::next(core, rest))
}

fn push_m<T: Int>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    core.load_then(op, rest, core.ea(op), |core, op, rest, value: T| {
        push_then(core, op, rest, value, |core, _, rest| core.next(rest))
    })
}

fn push_i<T: Int>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    push_then(core, op, rest, T::cut(op.imm), |core, _, rest| core.next(rest))
}

fn push_segment<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let selector = segment::selector(core, op.dst);
    push(core, T::cut(u64::from(selector)))
}

/// `pop rsp` ends with what was popped.
pub(super) fn pop_r<T: Int, N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    core.load_then(op, rest, core.gpr[reg::RSP], |core, op, rest, value: T| {
        core.gpr[reg::RSP] = core.gpr[reg::RSP].wrapping_add(u64::from(T::BITS / 8));
        T::set(core, op.dst, value);
        N::next(core, rest)
    })
}

/// An address with rsp in it is computed after the pop.
fn pop_m<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let before = core.gpr[reg::RSP];
    let value = pop::<T>(core)?;
    let stored = core.store(core.ea(op), value);
    if stored.is_err() {
        core.gpr[reg::RSP] = before;
    }
    stored
}

fn pop_segment<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let before = core.gpr[reg::RSP];
    let selector = pop::<T>(core)?;
    let loaded = segment::load(core, op.dst as usize, selector.wide() as u16);
    if loaded.is_err() {
        core.gpr[reg::RSP] = before;
    }
    loaded
}

fn pushf<T: Int>(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    push(core, T::cut(core.flags.rflags() & !(rflags::VM | rflags::RF)))
}

/// The bits of RFLAGS that POPF and IRET may change at the current privilege.
pub(super) fn changeable_flags(core: &Core<'_>) -> u64 {
    let mut bits = rflags::STATUS | rflags::TF | rflags::DF | rflags::NT | rflags::AC | rflags::ID;
    let iopl = (core.flags.system & rflags::IOPL) >> 12;
    if u64::from(core.cpu.cpl) <= iopl {
        bits |= rflags::IF;
    }
    if core.cpu.cpl == 0 {
        bits |= rflags::IOPL;
    }
    bits
}

/// Replaces the bits of RFLAGS that `mask` names.
pub(super) fn load_flags(core: &mut Core<'_>, value: u64, mask: u64) {
    core.flags = crate::flags::Flags::from_rflags(core.flags.rflags() & !mask | value & mask);
}

fn popf<T: Int>(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    let value = pop::<T>(core)?.wide();
    let in_operand = if T::BITS == 16 { 0xffff } else { !0 };
    let mask = changeable_flags(core) & in_operand;
    let before = core.flags.system;
    load_flags(core, value, mask);
    // The run loop must know what changes the way that it goes.
    if (before ^ core.flags.system) & (rflags::TF | rflags::AC) != 0 { Err(Stop::Resync) } else { Ok(()) }
}

/// LEAVE: frees a frame.
fn leave(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    core.load_then(op, rest, core.gpr[reg::RBP], |core, _, rest, value| {
        core.gpr[reg::RSP] = core.gpr[reg::RBP].wrapping_add(8);
        core.gpr[reg::RBP] = value;
        core.next(rest)
    })
}

/// LEAVE of 16 bits.
fn leave_16(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    /// Apart from the load: rustc 1.95 (LLVM 22.1), in release builds, takes 16 bits that are inserted into what was the
    /// load's address for the whole register.
    #[inline(never)]
    fn set_bp(core: &mut Core<'_>, value: u16) {
        u16::set(core, u16::register(reg::RBP), value);
    }
    let value = core.load(core.gpr[reg::RBP])?;
    core.gpr[reg::RSP] = core.gpr[reg::RBP].wrapping_add(2);
    set_bp(core, value);
    Ok(())
}

/// ENTER: pushes rbp, copies enclosing frames' pointers, and makes room.
fn enter<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let (room, level) = (op.imm & 0xffff, op.imm >> 32 & 31);
    let size = u64::from(T::BITS / 8);
    let (rsp, rbp) = (core.gpr[reg::RSP], core.gpr[reg::RBP]);
    // What has been pushed before a fault stays in memory; the registers stay as they were.
    let mut top = rsp.wrapping_sub(size);
    core.store(top, T::cut(rbp))?;
    let frame = top;
    for i in 1..level {
        let pointer = core.load::<T>(rbp.wrapping_sub(size * i))?;
        top = top.wrapping_sub(size);
        core.store(top, pointer)?;
    }
    if level > 0 {
        top = top.wrapping_sub(size);
        core.store(top, T::cut(frame))?;
    }
    // The manual wants the final top writable.
    top = top.wrapping_sub(room);
    core.check_aligned(top, size as usize)?;
    core.check_store(top, 1)?;
    core.gpr[reg::RSP] = top;
    T::set(core, T::register(reg::RBP), T::cut(frame));
    Ok(())
}

const AH_FLAGS: u64 = rflags::SF | rflags::ZF | rflags::AF | rflags::PF | rflags::CF;

fn lahf(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    let ah = core.flags.status() & AH_FLAGS | rflags::FIXED;
    core.gpr[reg::RAX] = core.gpr[reg::RAX] & !0xff00 | ah << 8;
    Ok(())
}

fn sahf(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    let ah = core.gpr[reg::RAX] >> 8;
    let status = core.flags.status() & !AH_FLAGS | ah & AH_FLAGS;
    core.flags.set_status(status);
    Ok(())
}

fn clc(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    core.flags.set_cf(false);
    Ok(())
}

fn stc(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    core.flags.set_cf(true);
    Ok(())
}

fn cmc(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    let cf = core.flags.cf();
    core.flags.set_cf(!cf);
    Ok(())
}

fn cld(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    core.flags.system &= !rflags::DF;
    Ok(())
}

fn std(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    core.flags.system |= rflags::DF;
    Ok(())
}
