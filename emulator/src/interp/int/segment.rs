//! Segment registers and descriptors.
//!
//! In 64-bit mode a segment is little more than a selector: only fs and gs have a base, and only privileges and types are
//! checked when one is loaded.
//!
//! Quirks: there are no local descriptor tables, 32-bit code segments and call gates: naming one is #UD, as missing.
//! Accessed bits are not written.

use iced_x86::{Instruction, Mnemonic, OpKind};

use crate::cpu::{Segment, seg};
use crate::exit::{Exception, vector};
use crate::interp::core::Core;
use crate::interp::op::{Exec, Num, Op, Stop};
use crate::memory::Word;

use super::operand::{Int, by_size, operand_size};

/// The function for an instruction of this file.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    let segment = |n: u32| i.op_kind(n) == OpKind::Register && i.op_register(n).is_segment_register();
    match i.mnemonic() {
        Mnemonic::Lss => return by_size!(operand_size(i, 0), T => Some(load_far::<T, { seg::SS }>)),
        Mnemonic::Lfs => return by_size!(operand_size(i, 0), T => Some(load_far::<T, { seg::FS }>)),
        Mnemonic::Lgs => return by_size!(operand_size(i, 0), T => Some(load_far::<T, { seg::GS }>)),
        Mnemonic::Mov => {}
        _ => return None,
    }
    if segment(0) {
        return Some(if i.op_kind(1) == OpKind::Memory { load_m } else { load_r });
    }
    if segment(1) {
        return if i.op_kind(0) == OpKind::Memory {
            Some(store_m)
        } else {
            by_size!(operand_size(i, 0), T => Some(store_r::<T>))
        };
    }
    None
}

/// A segment register's selector.
pub(super) fn selector(core: &Core<'_>, register: Num) -> u16 {
    core.cpu.seg[(register as usize).min(seg::GS)].selector
}

fn store_r<T: Int>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let value = selector(core, op.src);
    T::set(core, op.dst, T::cut(u64::from(value)));
    Ok(())
}

fn store_m(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let value = selector(core, op.dst);
    core.store(core.ea(op), value)
}

fn load_r(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let value = core.gpr[op.src as usize] as u16;
    load(core, op.dst as usize, value)
}

fn load_m(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let value = core.load::<u16>(core.ea(op))?;
    load(core, op.dst as usize, value)
}

/// LSS, LFS, LGS: a register and, after it in memory, a selector.
fn load_far<T: Int, const SEGMENT: usize>(core: &mut Core<'_>, op: &Op) -> Result<(), Stop> {
    let address = core.ea(op);
    core.check_aligned(address, T::BITS as usize / 8)?;
    core.check_load(address, T::BITS as usize / 8 + 2)?;
    let value = core.load::<T>(address)?;
    let selector = core.load::<u16>(address.wrapping_add(u64::from(T::BITS / 8)))?;
    load(core, SEGMENT, selector)?;
    T::set(core, op.dst, value);
    Ok(())
}

/// A descriptor of eight bytes, with what is looked at of it.
#[derive(Clone, Copy)]
pub(super) struct Descriptor(u64);

impl Descriptor {
    /// The privilege level.
    pub(super) fn dpl(self) -> u8 {
        (self.0 >> 45 & 3) as u8
    }

    /// The type of a system segment.
    pub(super) fn kind(self) -> u8 {
        (self.0 >> 40 & 0xf) as u8
    }

    /// What LAR tells.
    pub(super) fn rights(self) -> u32 {
        (self.0 >> 32) as u32 & 0x00ff_ff00
    }

    /// The offset of the last byte.
    pub(super) fn limit(self) -> u32 {
        let limit = (self.0 & 0xffff | self.0 >> 32 & 0xf_0000) as u32;
        if self.0 >> 55 & 1 != 0 { limit << 12 | 0xfff } else { limit }
    }

    fn present(self) -> bool {
        self.0 >> 47 & 1 != 0
    }

    /// Code or data, not a system segment.
    pub(super) fn is_segment(self) -> bool {
        self.0 >> 44 & 1 != 0
    }

    /// Code.
    pub(super) fn is_code(self) -> bool {
        self.is_segment() && self.0 >> 43 & 1 != 0
    }

    /// Code of 64-bit mode.
    pub(super) fn is_long(self) -> bool {
        self.0 >> 53 & 1 != 0
    }

    /// Code that any ring may call, which then stays in its own.
    pub(super) fn conforming(self) -> bool {
        self.0 >> 42 & 1 != 0
    }

    /// Data that can be written, or code that can be read.
    pub(super) fn readable_or_writable(self) -> bool {
        self.0 >> 41 & 1 != 0
    }

    fn base(self) -> u64 {
        self.0 >> 16 & 0xff_ffff | (self.0 >> 56) << 24
    }
}

/// Loads as the processor itself does from its tables: with ring 0's rights.
pub(super) fn load_system<T: Word>(core: &mut Core<'_>, address: u64) -> Result<T, Exception> {
    let privilege = core.mmu.privilege();
    core.mmu.set_privilege(crate::Privilege::Supervisor);
    let loaded = core.mmu.load::<T>(address);
    core.mmu.set_privilege(privilege);
    loaded.map_err(|error| match error {
        crate::memory::AccessError::Page(fault) => Exception::page_fault(fault.address, fault.error_code),
        _ => Exception::with_code(vector::GP, 0),
    })
}

/// The descriptor that a selector names, if the table reaches so far.
pub(super) fn descriptor_in_table(core: &mut Core<'_>, selector: u16) -> Result<Option<Descriptor>, Exception> {
    let index = u64::from(selector & !7);
    let table = core.cpu.gdtr;
    if selector & 4 != 0 || index + 7 > u64::from(table.limit) {
        return Ok(None);
    }
    load_system(core, table.base.wrapping_add(index)).map(|found| Some(Descriptor(found)))
}

/// The descriptor that a selector names.
pub(super) fn descriptor(core: &mut Core<'_>, selector: u16) -> Result<Descriptor, Exception> {
    descriptor_in_table(core, selector)?.ok_or(Exception::with_code(vector::GP, u32::from(selector & !3)))
}

/// Loads a segment register.
pub(super) fn load(core: &mut Core<'_>, register: usize, selector: u16) -> Result<(), Stop> {
    let loaded = match register {
        seg::CS => return Err(core.ud()),
        seg::SS => checked_stack(core, selector),
        _ => checked_data(core, selector),
    };
    match loaded {
        Ok(base) => {
            core.cpu.seg[register.min(seg::GS)] = Segment { selector, base };
            core.trap_shadow = register == seg::SS;
            Ok(())
        }
        Err(exception) => Err(core.raise(exception)),
    }
}

fn checked_stack(core: &mut Core<'_>, selector: u16) -> Result<u64, Exception> {
    stack_of_ring(core, selector, core.cpu.cpl)
}

/// Checks that a selector can be the stack segment of a ring; its base, which is 0.
pub(super) fn stack_of_ring(core: &mut Core<'_>, selector: u16, cpl: u8) -> Result<u64, Exception> {
    let rpl = (selector & 3) as u8;
    if selector & !3 == 0 {
        // Rings 0 to 2 may have none in 64-bit mode.
        return if cpl != 3 && rpl == cpl { Ok(0) } else { Err(Exception::with_code(vector::GP, 0)) };
    }
    let found = descriptor(core, selector)?;
    let code = u32::from(selector & !3);
    if rpl != cpl || found.dpl() != cpl || !found.is_segment() || found.is_code() || !found.readable_or_writable() {
        return Err(Exception::with_code(vector::GP, code));
    }
    if found.present() { Ok(0) } else { Err(Exception::with_code(vector::SS, code)) }
}

fn checked_data(core: &mut Core<'_>, selector: u16) -> Result<u64, Exception> {
    if selector & !3 == 0 {
        return Ok(0);
    }
    let found = descriptor(core, selector)?;
    let code = u32::from(selector & !3);
    let least = core.cpu.cpl.max((selector & 3) as u8);
    let unreadable = found.is_code() && !found.readable_or_writable();
    let privileged = !(found.is_code() && found.conforming()) && least > found.dpl();
    if !found.is_segment() || unreadable || privileged {
        return Err(Exception::with_code(vector::GP, code));
    }
    if found.present() { Ok(found.base()) } else { Err(Exception::with_code(vector::NP, code)) }
}

/// 32-bit code and call gates, which this core has not.
const MISSING: Exception = Exception { missing: true, ..Exception::new(vector::UD) };

/// The privilege level of the 64-bit code segment that a gate names.
pub(super) fn gate_target(core: &mut Core<'_>, selector: u16) -> Result<u8, Exception> {
    let code = u32::from(selector & !3);
    if selector & !3 == 0 {
        return Err(Exception::with_code(vector::GP, 0));
    }
    let found = descriptor(core, selector)?;
    if !found.is_code() || !found.is_long() || found.dpl() > core.cpu.cpl {
        return Err(Exception::with_code(vector::GP, code));
    }
    if !found.present() {
        return Err(Exception::with_code(vector::NP, code));
    }
    Ok(if found.conforming() { core.cpu.cpl } else { found.dpl() })
}

/// Checks that a far jump or call goes to 64-bit code of the same privilege.
pub(super) fn branch_target(core: &mut Core<'_>, selector: u16) -> Result<(), Exception> {
    let code = u32::from(selector & !3);
    let found = descriptor(core, selector)?;
    let cpl = core.cpu.cpl;
    let privilege =
        if found.conforming() { found.dpl() <= cpl } else { found.dpl() == cpl && (selector & 3) as u8 <= cpl };
    /// A call gate of 64-bit mode.
    const CALL_GATE: u8 = 12;
    let gate = !found.is_segment() && found.kind() == CALL_GATE && found.dpl() >= cpl;
    if gate && found.present() && selector & !3 != 0 {
        return Err(MISSING);
    }
    if selector & !3 == 0 || !found.is_code() || !privilege {
        return Err(Exception::with_code(vector::GP, code));
    }
    match (found.present(), found.is_long()) {
        (false, _) => Err(Exception::with_code(vector::NP, code)),
        (true, false) => Err(MISSING),
        (true, true) => Ok(()),
    }
}

/// Checks that a return to a code segment is one to 64-bit code of no higher privilege.
pub(super) fn return_target(core: &mut Core<'_>, selector: u16) -> Result<u8, Exception> {
    let rpl = (selector & 3) as u8;
    let code = u32::from(selector & !3);
    if selector & !3 == 0 || rpl < core.cpu.cpl {
        return Err(Exception::with_code(vector::GP, code));
    }
    let found = descriptor(core, selector)?;
    let privilege = if found.conforming() { found.dpl() <= rpl } else { found.dpl() == rpl };
    if !found.is_code() || !privilege {
        return Err(Exception::with_code(vector::GP, code));
    }
    match (found.present(), found.is_long()) {
        (false, _) => Err(Exception::with_code(vector::NP, code)),
        (true, false) => Err(MISSING),
        (true, true) => Ok(rpl),
    }
}

/// Checks that a selector names a local descriptor table.
pub(super) fn is_local_table(core: &mut Core<'_>, selector: u16) -> Result<(), Exception> {
    let code = u32::from(selector & !3);
    let found = descriptor(core, selector)?;
    if found.is_segment() || found.kind() != 2 {
        return Err(Exception::with_code(vector::GP, code));
    }
    if found.present() { Ok(()) } else { Err(Exception::with_code(vector::NP, code)) }
}

/// Base and limit of the task state segment that a selector names.
pub(super) fn task(core: &mut Core<'_>, selector: u16) -> Result<(u64, u32), Exception> {
    let code = u32::from(selector & !3);
    let low = descriptor(core, selector)?;
    let high = load_system::<u64>(core, core.cpu.gdtr.base.wrapping_add(u64::from(selector & !7) + 8))?;
    // Type 9: an available 64-bit task state segment.
    if selector & !3 == 0 || low.is_segment() || low.kind() != 9 {
        return Err(Exception::with_code(vector::GP, code));
    }
    if low.present() { Ok((low.base() | high << 32, low.limit())) } else { Err(Exception::with_code(vector::NP, code)) }
}
