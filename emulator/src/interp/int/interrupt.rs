//! Interrupts, exceptions, and the returns from them.
//!
//! The processor looks a vector up in the interrupt descriptor table, changes to the ring of the gate's code segment and,
//! if that is another, to the stack that the task state segment names for it, and pushes ss, rsp, rflags, cs, rip and
//! perhaps an error code. With `Delivery::Exit` someone outside does all that.
//!
//! Quirks: a fault while a double fault is delivered, which would reset the machine, ends the run with the double fault.
//! The resume flag is pushed but never kept, since there are no instruction breakpoints to suppress.

use iced_x86::{Code, Instruction, Mnemonic};

use crate::cpu::{Delivery, reg, seg};
use crate::debug::dr7;
use crate::exit::{Exception, Exit, vector};
use crate::flags::rflags;
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};
use crate::memory::{AccessError, is_canonical};

use super::operand::Int;
use super::segment::{gate_target, load_system, return_target, stack_of_ring};
use super::stack::{changeable_flags, load_flags};

/// The function for an instruction of this file.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    Some(match i.mnemonic() {
        Mnemonic::Int => int_n,
        Mnemonic::Int3 => int_fixed::<{ vector::BP }>,
        Mnemonic::Int1 => int1,
        _ => match i.code() {
            Code::Iretw => iret::<u16>,
            Code::Iretd => iret::<u32>,
            Code::Iretq => iret::<u64>,
            _ => return None,
        },
    })
}

/// What raises an event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The processor, with rip at the instruction.
    Fault,
    /// INT n, with rip after it: the gate must be open to the ring.
    Software,
}

/// Delivers an exception at `core.rip`, or says that someone outside must.
pub(crate) fn deliver(core: &mut Core<'_>, exception: Exception, source: Source) -> Option<Exit> {
    if exception.vector == vector::DB {
        // The handler may look at debug registers.
        core.cpu.dr[7] &= !dr7::GD;
    }
    if core.cpu.delivery == Delivery::Exit {
        return Some(if exception.vector == vector::DB { Exit::Debug } else { Exit::Exception(exception) });
    }
    core.deliveries = if core.left == core.delivered_at { core.deliveries + 1 } else { 1 };
    core.delivered_at = core.left;
    let Err(second) = through_gate(core, exception, source) else { return None };
    let contributory = |vector: u8| matches!(vector, vector::DE | vector::TS..=vector::GP);
    let faulty = |vector: u8| contributory(vector) || vector == vector::PF;
    let double = contributory(exception.vector) && contributory(second.vector)
        || exception.vector == vector::PF && faulty(second.vector);
    let next = if double || exception.vector == vector::DF { Exception::with_code(vector::DF, 0) } else { second };
    match through_gate(core, next, Source::Fault) {
        Ok(()) => None,
        Err(_) => Some(Exit::Exception(Exception::with_code(vector::DF, 0))),
    }
}

/// Enters the handler of a vector. On an error nothing has changed.
fn through_gate(core: &mut Core<'_>, event: Exception, source: Source) -> Result<(), Exception> {
    let in_table = u32::from(event.vector) * 8 + 2;
    let table = core.cpu.idtr;
    let at = u64::from(event.vector) * 16;
    if at + 15 > u64::from(table.limit) {
        return Err(Exception::with_code(vector::GP, in_table));
    }
    let gate = load_system::<u128>(core, table.base.wrapping_add(at))?;
    let kind = (gate >> 40 & 0x1f) as u8;
    let gate_dpl = (gate >> 45 & 3) as u8;
    if !matches!(kind, 0xe | 0xf) || source == Source::Software && gate_dpl < core.cpu.cpl {
        return Err(Exception::with_code(vector::GP, in_table));
    }
    if gate >> 47 & 1 == 0 {
        return Err(Exception::with_code(vector::NP, in_table));
    }
    let selector = (gate >> 16) as u16;
    let target = gate as u64 & 0xffff | (gate >> 32) as u64 & 0xffff_0000 | ((gate >> 64) as u64) << 32;
    let cpl = gate_target(core, selector)?;
    if !is_canonical(target) {
        return Err(Exception::with_code(vector::GP, 0));
    }
    let stack = match (gate >> 32) as u64 & 7 {
        0 if cpl == core.cpu.cpl => core.gpr[reg::RSP],
        0 => load_system(core, core.cpu.tr_base.wrapping_add(4 + 8 * u64::from(cpl)))?,
        list => load_system(core, core.cpu.tr_base.wrapping_add(0x1c + 8 * list))?,
    } & !15;
    let mut flags = core.flags.rflags();
    if source == Source::Fault && event.vector != vector::DB {
        flags |= rflags::RF;
    }
    let ss = core.cpu.seg[seg::SS].selector;
    let cs = core.cpu.seg[seg::CS].selector;
    let frame =
        [event.error_code.unwrap_or(0).into(), core.rip, u64::from(cs), flags, core.gpr[reg::RSP], u64::from(ss)];
    let frame = if event.error_code.is_some() { &frame[..] } else { &frame[1..] };
    let top = stack.wrapping_sub(8 * frame.len() as u64);
    push_frame(core, cpl, top, frame)?;
    if cpl != core.cpu.cpl {
        core.cpu.seg[seg::SS].selector = u16::from(cpl);
    }
    core.cpu.seg[seg::CS].selector = selector & !3 | u16::from(cpl);
    core.set_cpl(cpl);
    if event.vector == vector::PF {
        core.cpu.cr2 = event.address;
    }
    core.gpr[reg::RSP] = top;
    core.rip = target;
    core.flags.system &= !(rflags::TF | rflags::NT | rflags::RF | rflags::VM);
    if kind == 0xe {
        core.flags.system &= !rflags::IF;
    }
    Ok(())
}

/// Writes a frame with the rights of the ring that it is for: all of it or nothing.
fn push_frame(core: &mut Core<'_>, cpl: u8, top: u64, frame: &[u64]) -> Result<(), Exception> {
    core.mmu.set_privilege(Core::privilege_of(cpl));
    let result = loop {
        let written = core.mmu.check_write(top, frame.len() * 8).and_then(|()| {
            (0u64..).zip(frame).try_for_each(|(i, value)| core.mmu.store(top.wrapping_add(8 * i), *value))
        });
        match written {
            Err(AccessError::Code { frame }) => core.mmu.memory().drop_code(frame),
            Err(AccessError::Page(fault)) => break Err(Exception::page_fault(fault.address, fault.error_code)),
            Err(AccessError::NonCanonical) => break Err(Exception::with_code(vector::SS, 0)),
            Err(AccessError::Misaligned) => break Err(Exception::with_code(vector::AC, 0)),
            Ok(()) => break Ok(()),
        }
    };
    core.mmu.set_privilege(Core::privilege_of(core.cpu.cpl));
    result
}

/// `core.rip` is after the instruction.
fn software(core: &mut Core<'_>, vector: u8) -> Result<(), Stop> {
    if core.cpu.delivery == Delivery::Exit {
        core.interrupt = vector;
        return Err(Stop::Interrupt);
    }
    match through_gate(core, Exception::new(vector), Source::Software) {
        Ok(()) => {
            core.trap_shadow = true;
            Err(Stop::Resync)
        }
        Err(exception) => Err(core.raise(exception)),
    }
}

fn int_n(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    software(core, op.imm as u8)
}

fn int_fixed<const VECTOR: u8>(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    software(core, VECTOR)
}

/// INT1: #DB whatever the gate says of its privilege, and without a cause in DR6.
fn int1(_: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    Err(Stop::Trap)
}

/// IRET: rip, cs, rflags, rsp and ss from the stack.
fn iret<T: Int>(core: &mut Core<'_>, _: &Op) -> Result<(), Stop> {
    if core.flags.system & rflags::NT != 0 {
        return Err(core.gp());
    }
    let top = core.gpr[reg::RSP];
    let mut frame = [0; 5];
    for (i, value) in (0u64..).zip(&mut frame) {
        *value = core.load::<T>(top.wrapping_add(i * u64::from(T::BITS / 8)))?.wide();
    }
    let [rip, cs, flags, rsp, ss] = frame;
    let cpl = match return_target(core, cs as u16) {
        Ok(cpl) => cpl,
        Err(exception) => return Err(core.raise(exception)),
    };
    if let Err(exception) = stack_of_ring(core, ss as u16, cpl) {
        return Err(core.raise(exception));
    }
    if !is_canonical(rip) {
        return Err(core.gp());
    }
    let in_operand = if T::BITS == 16 { 0xffff } else { !0 };
    let mut mask = changeable_flags(core) & in_operand;
    if core.cpu.cpl == 0 && T::BITS != 16 {
        mask |= rflags::VIF | rflags::VIP;
    }
    if T::BITS != 16 {
        mask |= rflags::RF;
    }
    load_flags(core, flags, mask);
    core.cpu.seg[seg::CS].selector = cs as u16;
    core.cpu.seg[seg::SS].selector = ss as u16;
    core.gpr[reg::RSP] = rsp;
    core.rip = rip;
    core.set_cpl(cpl);
    Err(Stop::Resync)
}
