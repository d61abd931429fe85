//! Decoded basic blocks, and where to find them.
//!
//! A block is keyed by the frame that it was decoded from and its address, so that processes that share frames (forked
//! ones, or two runs of one program) share what was decoded; rip-relative addresses can still be worked out at decode.
//! Blocks know their successors (`links`), and a small table by address finds the targets of indirect branches. Both are
//! valid for one epoch: one state of one space's executable mappings, one ring, and one set of usable units.

use std::cell::{Cell, RefCell};

use iced_x86::{Decoder, Instruction};
use zerocopy::FromZeros;

use crate::memory::{AccessError, Memory, Mmu, PAGE_MASK, PAGE_SIZE, Privilege, zeroed};
use crate::{CpuModel, NumberMap, cpuid};

use super::decode::{Decoded, UNDEFINED, decode};
use super::int;
use super::op::{Num, Op};
use super::shape::{Shapes, WINDOW};
use super::units::{Target, Units};

/// Most instructions in a block.
pub(super) const MAX_OPS: usize = 64;

/// Most direct branches in a block.
const MAX_BRANCHES: usize = 6;

/// From so many instructions on, a block ends at the next branch.
const MAX_OPS_AFTER: usize = 32;

/// Decoded instructions kept before all are dropped: bounds host memory at about 64 MiB.
const MAX_KEPT: usize = 2 << 20;

/// In how many bytes from its start a block's instructions begin: their offsets fit in a byte.
const MAX_BYTES: usize = 1 << u8::BITS;

/// In how many where blocks are decoded quickly: most end before.
const SHORT_BYTES: usize = 64;

/// Blocks that there is room for from the start: as many as a small program has.
const EXPECTED: usize = 1 << 10;

/// Most epochs whose numbers are known.
const MAX_EPOCHS: usize = 1 << 10;

/// Entries of the table of jump targets.
const JUMPS: usize = 4096;

/// No block.
const NONE: u32 = u32::MAX;

/// A remembered successor.
#[derive(Clone, Copy, FromZeros)]
pub(super) struct Link {
    /// When it is valid: never, if this is 0.
    pub(super) epoch: u32,
    /// Index of the block.
    pub(super) target: u32,
}

const UNLINKED: Link = Link { epoch: 0, target: NONE };

/// A block: entered at its start only, and left at its end unless a branch is taken before or something stops it. What
/// running it needs, in one cache line.
#[repr(align(64))]
pub(super) struct Block {
    /// Its instructions; a comparison and a branch may be in one.
    pub(super) ops: Box<[Op]>,
    /// Its direct branches, by their number in `Op::aux`; the last may be at its end.
    pub(super) branches: Box<[Branch]>,
    /// Successors: where its end leads, and the branch at its end.
    pub(super) links: [Cell<Link>; 2],
    /// Address after the last instruction.
    pub(super) end: u64,
    /// How many instructions it has.
    pub(super) count: u32,
}

const _: () = assert!(size_of::<Block>() == 64);

/// A direct branch.
#[derive(Clone)]
pub(super) struct Branch {
    /// Its successor, unless it is at the block's end.
    pub(super) link: Cell<Link>,
    /// Where it goes.
    pub(super) target: u64,
    /// How many instructions of the block come after it.
    pub(super) after: u32,
}

/// By which of its ways a block leads to another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Its end.
    Next,
    /// The branch at its end.
    Last,
    /// One of its branches.
    Side(Num),
}

impl Block {
    /// What is remembered of a way.
    #[inline(always)]
    pub(super) fn link(&self, way: Way) -> &Cell<Link> {
        match way {
            Way::Next => &self.links[0],
            Way::Last => &self.links[1],
            Way::Side(number) => self.branches.get(number as usize).map_or(&self.links[1], |branch| &branch.link),
        }
    }

    /// The target of a branch.
    pub(super) fn target(&self, way: Way) -> u64 {
        let branch = match way {
            Way::Next => None,
            Way::Last => self.branches.last(),
            Way::Side(number) => self.branches.get(number as usize),
        };
        branch.map_or(self.end, |branch| branch.target)
    }
}

/// What there is to know of a block besides.
struct Origin {
    /// Address of the first instruction.
    start: u64,
    /// Blocks and links that lead here, and perhaps some that no longer do.
    incoming: RefCell<Vec<(u32, Way)>>,
    frame: u32,
    /// The units that it was decoded for.
    units: Units,
    /// The frame that the last instruction's last bytes are in, if that is another.
    second: Option<u32>,
}

/// Blocks of one frame.
struct CodePage {
    /// The frame's content that they were decoded from.
    version: u32,
    blocks: Vec<u32>,
}

/// What is remembered of the branches to an address.
#[derive(FromZeros)]
struct Jump {
    address: u64,
    link: Link,
}

/// All blocks of an engine.
pub(super) struct Cache {
    /// What instructions there are, and may be used.
    target: Target,
    /// How blocks are decoded.
    kind: Kind,
    /// What is known of instructions.
    shapes: Shapes,
    blocks: Vec<Block>,
    /// The last that was decoded, whose memory the next one uses.
    decoded: DecodedBlock,
    /// Of the same blocks.
    origins: Vec<Origin>,
    free: Vec<u32>,
    by_address: NumberMap<(u32, u8, u64), u32>,
    pages: NumberMap<u32, CodePage>,
    jumps: Box<[Jump; JUMPS]>,
    /// Numbers of times: those in which links and jumps recorded are valid, by what makes them so.
    epochs: NumberMap<u64, u32>,
    /// The last that was asked for.
    epoch: (u64, u32),
    /// Instructions in `blocks`.
    kept: usize,
    /// How many blocks were ever removed: an index is good as long as this stands still.
    removed: u64,
    /// The memory's count of writes to decoded frames, up to which stale blocks are gone.
    seen_writes: u64,
}

impl Cache {
    pub(super) fn new(model: CpuModel) -> Self {
        let target = Target { model, units: Units::default() };
        Self {
            target,
            kind: Kind::Long,
            shapes: Shapes::new(target),
            blocks: Vec::with_capacity(EXPECTED),
            decoded: DecodedBlock::default(),
            origins: Vec::with_capacity(EXPECTED),
            free: Vec::new(),
            by_address: NumberMap::with_capacity_and_hasher(EXPECTED, Default::default()),
            pages: NumberMap::default(),
            jumps: zeroed(),
            epochs: NumberMap::default(),
            epoch: (0, 0),
            kept: 0,
            removed: 0,
            seen_writes: 0,
        }
    }

    #[inline(always)]
    pub(super) fn block(&self, index: u32) -> &Block {
        &self.blocks[index as usize]
    }

    /// Grows with every removed block.
    pub(super) fn removed(&self) -> u64 {
        self.removed
    }

    /// Where a block starts.
    pub(super) fn start(&self, index: u32) -> u64 {
        self.origins[index as usize].start
    }

    /// Decodes for these units from now on.
    #[inline]
    pub(super) fn set_units(&mut self, units: Units) {
        self.target.units = units;
    }

    /// The time in which links and jumps recorded now are valid. Never 0.
    #[inline(always)]
    pub(super) fn epoch(&mut self, mmu: &Mmu<'_>) -> u32 {
        let mode = u64::from(self.target.units.number()) << 1 | u64::from(mmu.privilege() == Privilege::User);
        let key = mmu.code_generation() << (Units::BITS + 1) | mode;
        if self.epoch.0 != key {
            self.change_epoch(key);
        }
        self.epoch.1
    }

    #[cold]
    fn change_epoch(&mut self, key: u64) {
        let newest = self.epochs.values().max().copied().unwrap_or(0).max(self.epoch.1);
        if newest == u32::MAX {
            self.reset();
        } else if self.epochs.len() >= MAX_EPOCHS {
            // Old times get new numbers when they come again.
            self.epochs.clear();
        }
        let next = if newest == u32::MAX { 1 } else { newest + 1 };
        self.epoch = (key, *self.epochs.entry(key).or_insert(next));
    }

    /// Decodes such blocks from now on, all anew.
    pub(super) fn decode_for(&mut self, kind: Kind) {
        self.kind = kind;
        if !self.blocks.is_empty() {
            self.reset();
        }
    }

    /// Drops everything.
    fn reset(&mut self) {
        *self = Self {
            target: self.target,
            kind: self.kind,
            seen_writes: self.seen_writes,
            removed: self.removed + 1,
            ..Self::new(self.target.model)
        };
    }

    fn slot(address: u64) -> usize {
        (address ^ address >> 12) as usize % JUMPS
    }

    /// What is remembered of indirect branches to an address: a link that is valid for an epoch, or for none.
    #[inline(always)]
    pub(super) fn jump(&self, address: u64) -> Link {
        let jump = &self.jumps[Self::slot(address)];
        if jump.address == address { jump.link } else { UNLINKED }
    }

    /// The block at an address, decoded if need be.
    ///
    /// # Errors
    /// If there is nothing to fetch.
    pub(super) fn find(&mut self, mmu: &mut Mmu<'_>, address: u64, epoch: u32) -> Result<u32, AccessError> {
        let jump = self.jump(address);
        if jump.epoch == epoch {
            return Ok(jump.target);
        }
        let frame = mmu.fetch(address)?;
        let index = match self.by_address.get(&(frame, self.target.units.number(), address)) {
            Some(&index) if self.still_crosses_into(index, mmu) => index,
            Some(&index) => {
                self.remove(index);
                self.decode(mmu, frame, address)?
            }
            None => self.decode(mmu, frame, address)?,
        };
        self.jumps[Self::slot(address)] = Jump { address, link: Link { epoch, target: index } };
        Ok(index)
    }

    /// Whether a block that crosses into a second page would be fetched from the same frame there as it was decoded from.
    fn still_crosses_into(&self, index: u32, mmu: &Mmu<'_>) -> bool {
        let origin = &self.origins[index as usize];
        origin.second.is_none_or(|second| mmu.fetch(next_page(origin.start)) == Ok(second))
    }

    /// Remembers that one way out of a block leads to another.
    pub(super) fn link(&self, from: u32, way: Way, epoch: u32, target: u32) {
        let link = self.block(from).link(way);
        if link.get().target != target {
            self.origins[target as usize].incoming.borrow_mut().push((from, way));
        }
        link.set(Link { epoch, target });
    }

    /// Drops what was decoded from frames that were written since.
    #[inline]
    pub(super) fn sync(&mut self, memory: &Memory) {
        if self.seen_writes != memory.code_writes() {
            self.drop_stale(memory);
        }
    }

    #[cold]
    fn drop_stale(&mut self, memory: &Memory) {
        self.seen_writes = memory.code_writes();
        let stale: Vec<u32> = (self.pages.iter())
            .filter(|(frame, page)| memory.code_version(**frame) != page.version)
            .map(|(frame, _)| *frame)
            .collect();
        for frame in stale {
            if let Some(page) = self.pages.remove(&frame) {
                for index in page.blocks {
                    self.remove(index);
                }
            }
        }
    }

    /// Removes a block. It may be in the list of another page still, and its slot is reused then, so that dropping that
    /// page may drop a fresh block: harmless.
    fn remove(&mut self, index: u32) {
        let (block, origin) = (&mut self.blocks[index as usize], &mut self.origins[index as usize]);
        if block.ops.is_empty() {
            return;
        }
        let key = (origin.frame, origin.units.number(), origin.start);
        self.removed += 1;
        self.kept -= block.ops.len();
        block.ops = Box::default();
        block.branches = Box::default();
        block.links = [const { Cell::new(UNLINKED) }; 2];
        let incoming = origin.incoming.take();
        for (from, way) in incoming {
            let link = self.blocks[from as usize].link(way);
            if link.get().target == index {
                link.set(UNLINKED);
            }
        }
        if self.by_address.get(&key) == Some(&index) {
            self.by_address.remove(&key);
        }
        let jump = &mut self.jumps[Self::slot(key.2)];
        if jump.link.target == index {
            jump.link = UNLINKED;
        }
        self.free.push(index);
    }

    /// What instructions there are.
    pub(super) fn model(&self) -> CpuModel {
        self.target.model
    }

    /// What is known of instructions, as far as there are such and they may be used.
    pub(super) fn shapes(&mut self) -> &mut Shapes {
        self.shapes.turn_to(self.target);
        &mut self.shapes
    }

    /// Decodes a block, and watches its frames for writes from now on.
    fn decode(&mut self, mmu: &mut Mmu<'_>, frame: u32, address: u64) -> Result<u32, AccessError> {
        if self.kept >= MAX_KEPT {
            self.reset();
        }
        let mut decoded = std::mem::take(&mut self.decoded);
        let kind = self.kind;
        decoded.decode(self.shapes(), mmu, frame, address, MAX_OPS, kind)?;
        let block = Block {
            ops: decoded.ops.as_slice().into(),
            branches: decoded.branches.as_slice().into(),
            links: [const { Cell::new(UNLINKED) }; 2],
            end: decoded.end,
            count: decoded.count,
        };
        let units = self.target.units;
        let origin = Origin { start: address, incoming: RefCell::default(), frame, units, second: decoded.second };
        self.kept += block.ops.len();
        let index = match self.free.pop() {
            Some(index) => {
                self.blocks[index as usize] = block;
                self.origins[index as usize] = origin;
                index
            }
            None => {
                self.blocks.push(block);
                self.origins.push(origin);
                (self.blocks.len() - 1) as u32
            }
        };
        self.by_address.insert((frame, self.target.units.number(), address), index);
        for frame in [Some(frame), decoded.second].into_iter().flatten() {
            let version = mmu.mark_code(frame);
            let page = self.pages.entry(frame).or_insert_with(|| CodePage { version, blocks: Vec::new() });
            page.blocks.push(index);
        }
        self.decoded = decoded;
        Ok(index)
    }
}

/// The address of the page after the one that an address is in.
fn next_page(address: u64) -> u64 {
    (address | PAGE_MASK).wrapping_add(1)
}

/// What was decoded from an address on.
#[derive(Default)]
pub(super) struct DecodedBlock {
    /// At least one operation, once there is something.
    pub(super) ops: Vec<Op>,
    /// The direct branches among them.
    pub(super) branches: Vec<Branch>,
    /// How many instructions they are.
    pub(super) count: u32,
    /// Address after the last.
    pub(super) end: u64,
    /// The frame that the only instruction crosses into.
    second: Option<u32>,
    /// Those whose flags may be for nothing.
    pending: int::Pending,
    /// What the operations are in a pair, where pairs are made.
    kinds: Vec<Option<int::Kind>>,
}

impl DecodedBlock {
    /// As [`decode_block`], in place of what was decoded before.
    fn decode(
        &mut self,
        shapes: &mut Shapes,
        mmu: &Mmu<'_>,
        frame: u32,
        address: u64,
        max: usize,
        kind: Kind,
    ) -> Result<(), AccessError> {
        self.ops.clear();
        self.branches.clear();
        self.kinds.clear();
        self.pending.clear();
        (self.count, self.second) = (0, None);
        // The longest instruction has 15 bytes.
        let mut bytes = [0; MAX_BYTES + WINDOW];
        let limit = if kind == Kind::Long { MAX_BYTES } else { SHORT_BYTES };
        let in_page = (PAGE_SIZE - (address & PAGE_MASK) as usize).min(limit + 16);
        mmu.memory().read(frame, (address & PAGE_MASK) as usize, &mut bytes[..in_page]);
        let target = shapes.target();
        let decoder_of = |bytes| Decoder::with_ip(64, bytes, address, cpuid::decoder_options(target.model));
        let mut decoder = None;
        let (mut instruction, mut previous) = (Instruction::default(), Instruction::default());
        let mut at = 0;
        while (self.count as usize) < max && at < in_page.min(limit) {
            let (rest, ip) = (&bytes[at..in_page], address.wrapping_add(at as u64));
            // Who decodes for speed wants to know more of instructions.
            let window = bytes[at..].first_chunk().filter(|_| kind != Kind::Long);
            let op = self.ops.push_mut(UNDEFINED);
            let known = window.and_then(|window| shapes.decode(window, rest.len(), ip, op));
            let decoded = known.unwrap_or_else(|| {
                let decoder = decoder.get_or_insert_with(|| decoder_of(&bytes[..in_page]));
                // Within its bytes: so is `at`.
                let _ = decoder.set_position(at);
                decoder.set_ip(ip);
                decode(target, decoder, rest, &mut instruction, op)
            });
            match decoded {
                Decoded::Op { len, ends_block, branches } => {
                    (op.offset, op.before) = (at as u8, self.count as u8);
                    let read = (kind == Kind::Long).then_some((&instruction, (at > 0).then_some(&previous)));
                    self.decoded(branches, read);
                    at += usize::from(len);
                    if ends_block && !self.goes_on_after(&instruction, kind) {
                        break;
                    }
                    if kind == Kind::Long {
                        std::mem::swap(&mut instruction, &mut previous);
                    }
                }
                Decoded::Truncated if at == 0 => {
                    let second = mmu.fetch(next_page(address))?;
                    let mut crossing = bytes;
                    mmu.memory().read(second, 0, &mut crossing[in_page..in_page + 15]);
                    let bytes = &crossing[..in_page + 15];
                    let window = crossing.first_chunk().filter(|_| kind != Kind::Long);
                    let known = window.and_then(|window| shapes.decode(window, bytes.len(), address, op));
                    let decoded =
                        known.unwrap_or_else(|| decode(target, &mut decoder_of(bytes), bytes, &mut instruction, op));
                    if let Decoded::Op { len, branches, .. } = decoded {
                        self.decoded(branches, None);
                        at = len.into();
                    }
                    self.second = Some(second);
                    break;
                }
                Decoded::Truncated => {
                    self.ops.pop();
                    break;
                }
            }
        }
        self.pair();
        for branch in &mut self.branches {
            branch.after = self.count - branch.after;
        }
        self.end = address.wrapping_add(at as u64);
        Ok(())
    }

    /// One instruction more, whose operation is the last, and whether it is a direct branch. If it and the one before are
    /// given, a comparison and the branch after it become one operation, and flags that are not read are not set.
    fn decoded(&mut self, branches: bool, read: Option<(&Instruction, Option<&Instruction>)>) {
        self.count += 1;
        if let Some(op) = self.ops.last_mut().filter(|_| branches) {
            op.aux = Num::new(self.branches.len());
            self.branches.push(Branch { link: Cell::new(UNLINKED), target: op.disp, after: self.count });
        }
        let Some((instruction, previous)) = read else { return };
        for (index, step) in self.pending.next(instruction, self.ops.len() - 1) {
            if let (Some(op), Some(kind)) = (self.ops.get_mut(index), self.kinds.get_mut(index)) {
                (op.step, *kind) = (step, None);
            }
        }
        if let (Some([first, op]), Some(previous)) = (self.ops.last_chunk_mut(), previous)
            && let Some(step) = int::fuse(previous, instruction)
        {
            (first.step, first.aux) = (step, op.aux);
            self.ops.pop();
            self.kinds.pop();
            self.kinds.push(int::kind_of_fused(previous, instruction));
            return;
        }
        self.kinds.push(int::kind(instruction));
    }

    /// Makes pairs.
    fn pair(&mut self) {
        let mut at = 0;
        while let (Some(op), Some(kinds)) = (self.ops.get_mut(at), self.kinds.get(at..at + 2)) {
            let step = match kinds {
                [Some(first), Some(second)] => int::pair(*first, *second),
                _ => None,
            };
            match step {
                Some(step) => {
                    op.step = step;
                    at += 2;
                }
                None => at += 1,
            }
        }
    }

    /// Whether to decode what follows a branch too: if that may be executed next, as the most frequent way.
    fn goes_on_after(&self, instruction: &Instruction, kind: Kind) -> bool {
        kind == Kind::Long
            && instruction.is_jcc_short_or_near()
            && instruction.near_branch_target() > instruction.ip()
            && self.branches.len() < MAX_BRANCHES
            && (self.count as usize) < MAX_OPS_AFTER
    }
}

/// What instructions are decoded for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// For being executed one by one, this once.
    Part,
    /// A block to be kept, which ends at its first branch, with an operation for each instruction: quickly decoded.
    Short,
    /// A block to be kept, which goes on after branches that may not be taken: quickly executed.
    Long,
}

/// Decodes up to `max` instructions: those of one page, or one that crosses into the next page.
///
/// # Errors
/// If the first instruction goes on in a page that can't be fetched from.
pub(super) fn decode_block(
    shapes: &mut Shapes,
    mmu: &Mmu<'_>,
    frame: u32,
    address: u64,
    max: usize,
    kind: Kind,
) -> Result<DecodedBlock, AccessError> {
    let mut block = DecodedBlock::default();
    block.decode(shapes, mmu, frame, address, max, kind)?;
    Ok(block)
}
