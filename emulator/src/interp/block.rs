//! Decoded basic blocks, and where to find them.
//!
//! A block is keyed by the frame that it was decoded from and its address, so that processes that share frames (forked
//! ones, or two runs of one program) share what was decoded; rip-relative addresses can still be worked out at decode.
//! Blocks know their successors (`links`), and a small table by address finds the targets of indirect branches. Both are
//! valid for one epoch: one state of one space's executable mappings, and one ring.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use iced_x86::Instruction;

use crate::CpuModel;
use crate::memory::{AccessError, Memory, Mmu, PAGE_MASK, PAGE_SIZE, Privilege};

use super::decode::{Decoded, decode};
use super::int;
use super::op::Op;

/// Most instructions in a block.
pub(super) const MAX_OPS: usize = 64;

/// Decoded instructions kept before all are dropped: bounds host memory at about 64 MiB.
const MAX_KEPT: usize = 2 << 20;

/// Entries of the table of jump targets.
const JUMPS: usize = 4096;

/// No block.
const NONE: u32 = u32::MAX;

/// A remembered successor.
#[derive(Clone, Copy)]
pub(super) struct Link {
    /// When it is valid.
    pub(super) epoch: u64,
    /// Index of the block.
    pub(super) target: u32,
}

const UNLINKED: Link = Link { epoch: 0, target: NONE };

/// A basic block: entered at its start only, and left at its end unless something stops it.
pub(super) struct Block {
    /// Its instructions; the last may be a branch, or a comparison and a branch in one.
    pub(super) ops: Box<[Op]>,
    /// How many instructions that is.
    pub(super) count: u64,
    /// Address of the first instruction.
    pub(super) start: u64,
    /// Address after the last instruction.
    pub(super) end: u64,
    /// Successors: where it falls through to, and where its direct branch goes.
    pub(super) links: [Cell<Link>; 2],
    /// Blocks and links that lead here, and perhaps some that no longer do.
    incoming: RefCell<Vec<(u32, u8)>>,
    frame: u32,
    /// The frame that the last instruction's last bytes are in, if that is another.
    second: Option<u32>,
}

/// Blocks of one frame.
struct CodePage {
    /// The frame's content that they were decoded from.
    version: u32,
    blocks: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Jump {
    address: u64,
    link: Link,
}

/// A hasher for keys that are numbers already.
#[derive(Default)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        // Multiply by 2^64 over the golden ratio, and let high bits reach the low ones.
        let mixed = (self.0.rotate_left(26) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}

type Map<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;

/// All blocks of an engine.
pub(super) struct Cache {
    /// What instructions there are.
    model: CpuModel,
    blocks: Vec<Block>,
    free: Vec<u32>,
    by_address: Map<(u32, u64), u32>,
    pages: Map<u32, CodePage>,
    jumps: Box<[Jump; JUMPS]>,
    /// Instructions in `blocks`.
    kept: usize,
    /// How many blocks were ever removed: an index is good as long as this stands still.
    removed: u64,
    /// The memory's count of writes to decoded frames, up to which stale blocks are gone.
    seen_writes: u64,
}

impl Cache {
    pub(super) fn new(model: CpuModel) -> Self {
        Self {
            model,
            blocks: Vec::new(),
            free: Vec::new(),
            by_address: Map::default(),
            pages: Map::default(),
            jumps: Box::new([Jump { address: 0, link: UNLINKED }; JUMPS]),
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

    /// The time in which links and jumps recorded now are valid. Never 0.
    pub(super) fn epoch(mmu: &Mmu<'_>) -> u64 {
        mmu.code_generation() << 1 | u64::from(mmu.privilege() == Privilege::User)
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
    pub(super) fn find(&mut self, mmu: &mut Mmu<'_>, address: u64, epoch: u64) -> Result<u32, AccessError> {
        let jump = self.jump(address);
        if jump.epoch == epoch {
            return Ok(jump.target);
        }
        let frame = mmu.fetch(address)?;
        let index = match self.by_address.get(&(frame, address)) {
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
        let block = self.block(index);
        block.second.is_none_or(|second| mmu.fetch(next_page(block.start)) == Ok(second))
    }

    /// Remembers that one way out of a block leads to another.
    pub(super) fn link(&self, from: u32, way: u8, epoch: u64, target: u32) {
        let link = &self.block(from).links[usize::from(way & 1)];
        if link.get().target != target {
            self.block(target).incoming.borrow_mut().push((from, way & 1));
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
        let block = &mut self.blocks[index as usize];
        if block.ops.is_empty() {
            return;
        }
        let key = (block.frame, block.start);
        self.removed += 1;
        self.kept -= block.ops.len();
        block.ops = Box::default();
        block.links = [const { Cell::new(UNLINKED) }; 2];
        let incoming = block.incoming.take();
        for (from, way) in incoming {
            let link = &self.blocks[from as usize].links[usize::from(way)];
            if link.get().target == index {
                link.set(UNLINKED);
            }
        }
        if self.by_address.get(&key) == Some(&index) {
            self.by_address.remove(&key);
        }
        let jump = &mut self.jumps[Self::slot(key.1)];
        if jump.link.target == index {
            jump.link = UNLINKED;
        }
        self.free.push(index);
    }

    /// What instructions there are.
    pub(super) fn model(&self) -> CpuModel {
        self.model
    }

    /// Decodes a block, and watches its frames for writes from now on.
    fn decode(&mut self, mmu: &mut Mmu<'_>, frame: u32, address: u64) -> Result<u32, AccessError> {
        if self.kept >= MAX_KEPT {
            *self = Self { seen_writes: self.seen_writes, removed: self.removed + 1, ..Self::new(self.model) };
        }
        let decoded = decode_block(self.model, mmu, frame, address, MAX_OPS)?;
        let count = decoded.ops.len() as u64;
        let mut ops = decoded.ops;
        if let Some(fused) = decoded.fused {
            ops.truncate(ops.len() - 2);
            ops.push(fused);
        }
        let block = Block {
            end: decoded.end,
            start: address,
            links: [const { Cell::new(UNLINKED) }; 2],
            incoming: RefCell::default(),
            frame,
            second: decoded.second,
            ops: ops.into(),
            count,
        };
        self.kept += block.ops.len();
        let index = match self.free.pop() {
            Some(index) => {
                self.blocks[index as usize] = block;
                index
            }
            None => {
                self.blocks.push(block);
                (self.blocks.len() - 1) as u32
            }
        };
        self.by_address.insert((frame, address), index);
        for frame in [Some(frame), decoded.second].into_iter().flatten() {
            let version = mmu.mark_code(frame);
            let page = self.pages.entry(frame).or_insert_with(|| CodePage { version, blocks: Vec::new() });
            page.blocks.push(index);
        }
        Ok(index)
    }
}

/// The address of the page after the one that an address is in.
fn next_page(address: u64) -> u64 {
    (address | PAGE_MASK).wrapping_add(1)
}

/// What was decoded from an address on.
pub(super) struct DecodedBlock {
    /// At least one operation.
    pub(super) ops: Vec<Op>,
    /// Address after the last.
    pub(super) end: u64,
    /// The last two as one, if that is possible.
    fused: Option<Op>,
    /// The frame that the only instruction crosses into.
    second: Option<u32>,
}

/// Decodes up to `max` instructions: those of one page, or one that crosses into the next page.
///
/// # Errors
/// If the first instruction goes on in a page that can't be fetched from.
pub(super) fn decode_block(
    model: CpuModel,
    mmu: &Mmu<'_>,
    frame: u32,
    address: u64,
    max: usize,
) -> Result<DecodedBlock, AccessError> {
    // The offset of an instruction in its block fits in a byte; the longest instruction has 15 bytes.
    let mut bytes = [0; 256 + 16];
    let in_page = (PAGE_SIZE - (address & PAGE_MASK) as usize).min(bytes.len());
    mmu.memory().read(frame, (address & PAGE_MASK) as usize, &mut bytes[..in_page]);
    let mut ops: Vec<Op> = Vec::with_capacity(8);
    let mut fused = None;
    let mut previous = Instruction::default();
    let mut at = 0;
    while ops.len() < max && at < in_page {
        let Ok(offset) = u8::try_from(at) else { break };
        match decode(model, &bytes[at..in_page], address.wrapping_add(at as u64)) {
            Decoded::Op { instruction, mut op, len, ends_block } => {
                op.offset = offset;
                if let (Some(first), Some(exec)) = (ops.last(), int::fuse(&previous, &instruction)) {
                    fused = Some(Op { exec, disp: op.imm, ..*first });
                }
                ops.push(op);
                at += len;
                if ends_block {
                    break;
                }
                previous = instruction;
            }
            Decoded::Truncated if at == 0 => {
                let second = mmu.fetch(next_page(address))?;
                mmu.memory().read(second, 0, &mut bytes[in_page..in_page + 15]);
                if let Decoded::Op { op, len, .. } = decode(model, &bytes[..in_page + 15], address) {
                    ops.push(op);
                    at = len;
                }
                let end = address.wrapping_add(at as u64);
                return Ok(DecodedBlock { ops, end, fused: None, second: Some(second) });
            }
            Decoded::Truncated => break,
        }
    }
    Ok(DecodedBlock { ops, end: address.wrapping_add(at as u64), fused, second: None })
}
