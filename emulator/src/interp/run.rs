//! The run loop.

use std::hint::black_box;

use crate::debug::{Watch, dr6};
use crate::exit::{Exception, vector};
use crate::flags::rflags;
use crate::memory::AccessError;
use crate::{Exit, seg};

use super::block::{Cache, DecodedBlock, Kind, MAX_OPS, Way, decode_block};
use super::core::Core;
use super::int;
use super::op::{End, Op, Stop};
use super::units::Units;

/// Runs until something happens.
pub(super) fn run(cache: &mut Cache, core: &mut Core<'_>) -> Exit {
    /// Deliveries in a row without an instruction: handlers that can't be fetched, each for the fault of the one before.
    /// The processor would go on for ever.
    const MOST: u32 = 1000;
    loop {
        // Frames that deliveries push may overwrite instructions, too.
        cache.sync(core.mmu.memory());
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
        if core.deliveries > MOST {
            return Exit::Exception(Exception::with_code(vector::DF, 0));
        }
    }
}

/// Runs blocks as long as the ring, the way of stepping and the set of decoded blocks stay the same.
fn run_blocks(cache: &mut Cache, core: &mut Core<'_>) -> Option<Exit> {
    cache.set_units(Units::of(core.cpu));
    if core.needs_care() {
        return run_with_care(cache, core);
    }
    let epoch = cache.epoch(&core.mmu);
    let mut index = match cache.find(&mut core.mmu, core.rip, epoch) {
        Ok(index) => index,
        Err(error) => return fetch_failed(core, error),
    };
    loop {
        let block = cache.block(index);
        let Some(left) = core.left.checked_sub(u64::from(block.count)) else {
            core.rip = cache.start(index);
            return run_part(cache, core, MAX_OPS);
        };
        core.left = left;
        core.rip = block.end;
        // Branches, which the host guesses well: neither a jump through a table nor a link's address that is computed from
        // how the block ended, which compilers make of one `match`.
        let end = core.next(&block.ops);
        let (link, way) = if black_box(end == End::Direct) {
            (block.links[1].get(), Some(Way::Last))
        } else if black_box(end == End::FallsThrough) {
            (block.links[0].get(), Some(Way::Next))
        } else {
            match end {
                End::FallsThrough | End::Direct | End::Stopped => return stopped_in_block(cache, core, index),
                End::Side => {
                    let way = Way::Side(core.side);
                    if let Some(branch) = block.branches.get(core.side as usize) {
                        core.left += u64::from(branch.after);
                    }
                    (block.link(way).get(), Some(way))
                }
                End::Indirect => (cache.jump(core.rip), None),
            }
        };
        if link.epoch == epoch {
            index = link.target;
            continue;
        }
        match successor(cache, core, index, way, epoch) {
            Ok(target) => index = target,
            Err(exit) => return exit,
        }
    }
}

/// Finds the block that control goes to, and remembers it.
#[cold]
#[inline(never)]
fn successor(
    cache: &mut Cache,
    core: &mut Core<'_>,
    from: u32,
    way: Option<Way>,
    epoch: u32,
) -> Result<u32, Option<Exit>> {
    if let Some(way) = way {
        core.rip = cache.block(from).target(way);
    }
    if core.left == 0 {
        // That the next instruction can't be fetched is for the next run to find.
        return Err(Some(Exit::Budget));
    }
    let removed = cache.removed();
    match cache.find(&mut core.mmu, core.rip, epoch) {
        Ok(target) => {
            if let (Some(way), true) = (way, removed == cache.removed()) {
                cache.link(from, way, epoch, target);
            }
            Ok(target)
        }
        Err(error) => Err(fetch_failed(core, error)),
    }
}

/// An operation of a block stopped: those after it are not retired.
#[cold]
#[inline(never)]
fn stopped_in_block(cache: &mut Cache, core: &mut Core<'_>, index: u32) -> Option<Exit> {
    core.start = cache.start(index);
    let block = cache.block(index);
    let at = block.ops.len().checked_sub(core.unexecuted + 1)?;
    let op = *block.ops.get(at)?;
    // If it stands for two instructions, it is the first that stopped.
    core.left += u64::from(block.count) - u64::from(op.before) - 1;
    stopped(cache, core, &op, core.stop)
}

/// Runs an instruction that is to be stepped, or a part of a block while breakpoints are set. Kept blocks are of no use:
/// some of their operations stand for two instructions.
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
    run_part(cache, core, MAX_OPS)
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
        decode_block(cache.shapes(), &core.mmu, frame, start, most, Kind::Part)
    });
    let block = match decoded {
        Ok(decoded) => decoded,
        Err(error) => return fetch_failed(core, error),
    };
    core.start = start;
    core.trap_shadow = false;
    for (i, op) in block.ops.iter().enumerate() {
        core.left -= 1;
        core.rip = block.ops.get(i + 1).map_or(block.end, |next| core.ip(next));
        if let Err(stop) = run_op(core, &block, op) {
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

/// Runs one operation of a block alone, up to where rip says where it leads.
fn run_op(core: &mut Core<'_>, block: &DecodedBlock, op: &Op) -> Result<(), Stop> {
    match (op.step)(core, op, &[]) {
        End::FallsThrough | End::Indirect => Ok(()),
        End::Direct | End::Side => {
            if let Some(branch) = block.branches.get(op.aux as usize) {
                core.rip = branch.target;
            }
            Ok(())
        }
        End::Stopped => Err(core.stop),
    }
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
                let stack = usize::from(op.seg()) == seg::SS;
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
            Ok(frame) => decode_block(cache.shapes(), &core.mmu, frame, address, 1, Kind::Part),
            Err(error) => Err(error),
        };
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(error) => return fetch_failed(core, error),
        };
        let op = decoded.ops.first()?;
        core.start = address;
        core.rip = decoded.end;
        core.left -= 1;
        match run_op(core, &decoded, op) {
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
