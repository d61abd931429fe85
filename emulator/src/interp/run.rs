//! The run loop.

use crate::debug::{Watch, dr6};
use crate::exit::{Exception, vector};
use crate::flags::rflags;
use crate::memory::AccessError;
use crate::{Exit, seg};

use super::block::{Cache, DecodedBlock, MAX_OPS, decode_block};
use super::core::{Core, DIRECT, FALLS_THROUGH};
use super::int;
use super::op::{Op, Stop};

/// Runs until something happens.
pub(super) fn run(cache: &mut Cache, core: &mut Core<'_>) -> Exit {
    cache.sync(core.mmu.memory());
    loop {
        if core.left == 0 {
            return Exit::Budget;
        }
        // The instruction that changes the ring belongs to the ring that it was in.
        let (ring, left) = (core.cpu.cpl, core.left);
        let exit = run_blocks(cache, core);
        if ring == 3 {
            core.cpu.user_instructions += left - core.left;
        }
        if let Some(exit) = exit {
            return exit;
        }
    }
}

/// Runs blocks as long as the ring, the way of stepping and the set of decoded blocks stay the same.
fn run_blocks(cache: &mut Cache, core: &mut Core<'_>) -> Option<Exit> {
    if core.needs_care() {
        return run_with_care(cache, core);
    }
    let epoch = Cache::epoch(&core.mmu);
    let mut index = match cache.find(&mut core.mmu, core.rip, epoch) {
        Ok(index) => index,
        Err(error) => return fetch_failed(core, error),
    };
    loop {
        let block = cache.block(index);
        let Some(left) = core.left.checked_sub(block.count) else {
            return run_part(cache, core, MAX_OPS);
        };
        core.left = left;
        core.rip = block.end;
        core.way = FALLS_THROUGH;
        for op in &block.ops {
            if let Err(stop) = (op.exec)(core, op) {
                let op = *op;
                return stopped_in_block(cache, core, index, &op, stop);
            }
        }
        let link = if core.way <= DIRECT { block.links[usize::from(core.way)].get() } else { cache.jump(core.rip) };
        if link.epoch == epoch {
            index = link.target;
            continue;
        }
        match successor(cache, core, index, epoch) {
            Ok(target) => index = target,
            Err(exit) => return exit,
        }
    }
}

/// Finds the block that control goes to, and remembers it.
#[cold]
#[inline(never)]
fn successor(cache: &mut Cache, core: &mut Core<'_>, from: u32, epoch: u64) -> Result<u32, Option<Exit>> {
    if core.left == 0 {
        // That the next instruction can't be fetched is for the next run to find.
        return Err(Some(Exit::Budget));
    }
    let removed = cache.removed();
    match cache.find(&mut core.mmu, core.rip, epoch) {
        Ok(target) => {
            if core.way <= DIRECT && removed == cache.removed() {
                cache.link(from, core.way, epoch, target);
            }
            Ok(target)
        }
        Err(error) => Err(fetch_failed(core, error)),
    }
}

/// An operation of a block stopped: those after it are not retired.
#[cold]
#[inline(never)]
fn stopped_in_block(cache: &mut Cache, core: &mut Core<'_>, index: u32, op: &Op, stop: Stop) -> Option<Exit> {
    let block = cache.block(index);
    core.start = block.start;
    // Only the last operation may stand for two instructions, and it doesn't stop.
    let before = block.ops.iter().take_while(|other| other.offset < op.offset).count();
    core.left += block.count - before as u64 - 1;
    stopped(cache, core, op, stop)
}

/// Runs an instruction that is to be stepped, or a block while breakpoints are set.
#[cold]
#[inline(never)]
fn run_with_care(cache: &mut Cache, core: &mut Core<'_>) -> Option<Exit> {
    /// The most bytes that a block has.
    const LONGEST: u64 = 15 * MAX_OPS as u64;
    let resumed = core.flags.system & rflags::RF != 0;
    let mut single = resumed || core.flags.system & rflags::TF != 0;
    if let Some(watch) = core.mmu.watch() {
        let hits = watch.at_instruction(core.rip);
        single |= watch.any_instruction(core.rip, LONGEST);
        if hits != 0 && !resumed {
            core.cpu.dr[6] |= hits;
            return int::deliver(core, Exception::new(vector::DB), int::Source::Fault);
        }
    }
    // RF holds for one instruction, until that is done.
    core.flags.system &= !rflags::RF;
    if single {
        let exit = run_part(cache, core, 1);
        if resumed && matches!(exit, Some(Exit::Exception(_))) {
            core.flags.system |= rflags::RF;
        }
        return exit;
    }
    let epoch = Cache::epoch(&core.mmu);
    match cache.find(&mut core.mmu, core.rip, epoch) {
        Ok(index) if cache.block(index).count <= core.left => run_watched(cache, core, index),
        Ok(_) => run_part(cache, core, MAX_OPS),
        Err(error) => fetch_failed(core, error),
    }
}

/// Runs a block up to the first instruction that touches data which is watched.
fn run_watched(cache: &mut Cache, core: &mut Core<'_>, index: u32) -> Option<Exit> {
    let block = cache.block(index);
    core.left -= block.count;
    (core.start, core.rip, core.way) = (block.start, block.end, FALLS_THROUGH);
    core.trap_shadow = false;
    for (i, op) in block.ops.iter().enumerate() {
        if let Err(stop) = (op.exec)(core, op) {
            let op = *op;
            let exit = stopped_in_block(cache, core, index, &op, stop);
            return if stop == Stop::Resync { trap(core, false) } else { exit };
        }
        if core.mmu.watch().is_some_and(|watch| watch.hit()) {
            if let Some(next) = block.ops.get(i + 1) {
                // Only the last operation may stand for two instructions.
                core.left += block.count - (i as u64 + 1);
                core.rip = core.ip(next);
            }
            return trap(core, false);
        }
    }
    None
}

/// Runs a part of a block, decoded for this once: as many instructions as the budget has, and at most `most`.
#[cold]
#[inline(never)]
fn run_part(cache: &mut Cache, core: &mut Core<'_>, most: usize) -> Option<Exit> {
    if core.left == 0 {
        return Some(Exit::Budget);
    }
    let stepping = core.flags.system & rflags::TF != 0;
    let most = core.left.min(most as u64) as usize;
    let start = core.rip;
    let decoded = core.mmu.fetch(start).and_then(|frame| {
        // What this writes into its own instructions must be noticed.
        core.mmu.mark_code(frame);
        decode_block(core.model, &core.mmu, frame, start, most)
    });
    let DecodedBlock { ops, end, .. } = match decoded {
        Ok(decoded) => decoded,
        Err(error) => return fetch_failed(core, error),
    };
    core.start = start;
    core.trap_shadow = false;
    for (i, op) in ops.iter().enumerate() {
        core.left -= 1;
        core.rip = ops.get(i + 1).map_or(end, |next| core.ip(next));
        if let Err(stop) = (op.exec)(core, op) {
            let exit = stopped(cache, core, op, stop);
            // An instruction that ran to its end is trapped after, as if nothing had stopped it.
            return if stop == Stop::Resync { exit.or_else(|| trap(core, stepping)) } else { exit };
        }
        if stepping || core.by_iteration && core.traps() {
            return trap(core, stepping);
        }
    }
    None
}

/// The debug trap after an instruction or an iteration: TF was set when it began, or it touched data that is watched.
fn trap(core: &mut Core<'_>, stepping: bool) -> Option<Exit> {
    if core.trap_shadow {
        return None;
    }
    let hits = core.mmu.watch().map_or(0, Watch::take_hits);
    let cause = if stepping { hits | dr6::BS } else { hits };
    if cause == 0 {
        return None;
    }
    core.cpu.dr[6] |= cause;
    int::deliver(core, Exception::new(vector::DB), int::Source::Fault)
}

/// An instruction could not be fetched.
#[cold]
fn fetch_failed(core: &mut Core<'_>, error: AccessError) -> Option<Exit> {
    let exception = match error {
        AccessError::Page(fault) => Exception::page_fault(fault.address, fault.error_code),
        AccessError::NonCanonical | AccessError::Misaligned | AccessError::Code { .. } => {
            Exception::with_code(vector::GP, 0)
        }
    };
    int::deliver(core, exception, int::Source::Fault)
}

/// An operation stopped. `core.left` counts it as retired, `core.start` is its block's.
#[cold]
#[inline(never)]
fn stopped(cache: &mut Cache, core: &mut Core<'_>, op: &Op, stop: Stop) -> Option<Exit> {
    match stop {
        Stop::Resync => None,
        Stop::Syscall => Some(Exit::Syscall),
        Stop::Hypercall => Some(Exit::Hypercall),
        Stop::Interrupt => Some(Exit::Interrupt(core.interrupt)),
        Stop::Halt => Some(Exit::Halt),
        Stop::Iteration => {
            core.left += 1;
            core.rip = core.ip(op);
            let stepping = core.flags.system & rflags::TF != 0;
            trap(core, stepping)
        }
        Stop::Trap => int::deliver(core, Exception::new(vector::DB), int::Source::Fault),
        Stop::Fault | Stop::NonCanonical => {
            core.left += 1;
            core.rip = core.ip(op);
            if stop == Stop::NonCanonical {
                let stack = usize::from(op.seg) == seg::SS;
                core.fault = Exception::with_code(if stack { vector::SS } else { vector::GP }, 0);
            }
            if let Some(watch) = core.mmu.watch() {
                // What was not done has touched nothing.
                watch.take_hits();
            }
            int::deliver(core, core.fault, int::Source::Fault)
        }
        Stop::CodeWrite => {
            core.left += 1;
            core.rip = core.ip(op);
            write_code(cache, core)
        }
    }
}

/// Executes one instruction that writes decoded code: drops that code, then runs the instruction from a fresh decode that
/// is not kept, so that it may even be in the page that it writes.
fn write_code(cache: &mut Cache, core: &mut Core<'_>) -> Option<Exit> {
    let address = core.rip;
    let stepping = core.flags.system & rflags::TF != 0;
    loop {
        core.mmu.memory().drop_code(core.code_frame);
        cache.sync(core.mmu.memory());
        let decoded = match core.mmu.fetch(address) {
            Ok(frame) => decode_block(core.model, &core.mmu, frame, address, 1),
            Err(error) => Err(error),
        };
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(error) => return fetch_failed(core, error),
        };
        let op = decoded.ops.first()?;
        core.start = address;
        core.rip = decoded.end;
        core.way = 0;
        core.left -= 1;
        match (op.exec)(core, op) {
            Ok(()) => return trap(core, stepping),
            Err(Stop::Resync) => return trap(core, stepping),
            // It writes two such frames.
            Err(Stop::CodeWrite) => {
                core.left += 1;
                core.rip = address;
            }
            Err(stop) => return stopped(cache, core, op, stop),
        }
    }
}
