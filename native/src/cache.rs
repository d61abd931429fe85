//! Translated blocks: where they are, what leads to what.
//!
//! A block is kept by its frame and address, so that processes that share frames share translations. But branches that
//! have been resolved, the jump table and the return stack hold code addresses for guest addresses alone: they are good
//! as long as the pages that they were resolved through are mapped as they were then. Those pages are the *view*. When
//! another space runs, or code was mapped otherwise, and the view doesn't hold any more, all that is resolved across
//! pages is taken back.

use std::io;

use callgate_emulator::{CpuModel, Memory, NumberMap, PAGE_SIZE, PageFlags, Space};

use crate::code::{Code, ReturnStack};
use crate::context::{Reason, TABLE_ENTRIES};
use crate::emit::{Emit, JMP};
use crate::kind::Kind;
use crate::stubs::Stubs;
use crate::translate::{Block, Insn, LONGEST, Landing, MAX_PIECE, Request, Site, Workshop, crosses, translate};
use crate::verify::Verifier;
use crate::window::{Origin, Shared, WINDOW};

/// Entries of the table of starts that were found last.
const RECENT: usize = 1024;

/// An instruction's start in translated code. In halves of eight bytes, as which it is moved: the host waits where it loads
/// what was stored in other parts.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct Start {
    pub(crate) block: u32,
    /// Offset in the cache.
    pub(crate) host: u32,
    pub(crate) insn: u16,
    /// What is to be taken off the budget for it: what the code itself doesn't take off, or takes off too much.
    pub(crate) deduct: i8,
}

/// Figures of an engine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) translated: u64,
    pub(crate) blocks: u64,
    pub(crate) flushes: u64,
    pub(crate) resets: u64,
    pub(crate) links: u64,
    pub(crate) indirect: u64,
    pub(crate) translation: std::time::Duration,
    pub(crate) verification: std::time::Duration,
}

impl std::ops::Add for Figures {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            translated: self.translated + other.translated,
            blocks: self.blocks + other.blocks,
            flushes: self.flushes + other.flushes,
            resets: self.resets + other.resets,
            links: self.links + other.links,
            indirect: self.indirect + other.indirect,
            translation: self.translation + other.translation,
            verification: self.verification + other.verification,
        }
    }
}

/// What has been translated of a frame.
struct InFrame {
    /// Its content, with the start of another page that an instruction crosses into.
    page: [u8; PAGE_SIZE + LONGEST],
    /// Where instructions start, a bit for each byte.
    starts: [u64; PAGE_SIZE / 64],
    /// The last of the blocks that begin at each address, by address.
    blocks: Vec<(u32, u32)>,
}

impl InFrame {
    /// The block that begins at an address.
    fn block(&self, address: u64) -> Option<u32> {
        let found = self.blocks.binary_search_by_key(&address, |(start, _)| u64::from(*start)).ok()?;
        Some(self.blocks[found].1)
    }

    fn insert(&mut self, start: u32, block: u32) {
        match self.blocks.binary_search_by_key(&start, |(start, _)| *start) {
            Ok(found) => self.blocks[found].1 = block,
            Err(place) => self.blocks.insert(place, (start, block)),
        }
    }

    /// That of a frame, whose content is read if nothing has been translated of it yet.
    fn of<'a>(all: &'a mut NumberMap<u32, Box<Self>>, memory: &Memory, frame: u32) -> &'a mut Self {
        all.entry(frame).or_insert_with(|| {
            let mut in_frame = Box::new(Self { page: [0; _], starts: [0; _], blocks: Vec::new() });
            memory.read(frame, 0, &mut in_frame.page[..PAGE_SIZE]);
            in_frame
        })
    }
}

/// All translated code of an engine.
pub(crate) struct Cache {
    kind: Kind,
    code: Code,
    pub(crate) stubs: Stubs,
    shop: Workshop,
    verifier: Verifier,
    pub(crate) stack: ReturnStack,
    blocks: Vec<Block>,
    /// Their instructions.
    insns: Vec<Insn>,
    sites: Vec<Site>,
    /// Of each site, the offset of the code that leaves to find its target.
    site_stubs: Vec<u32>,
    /// Where calls would return to that leave because the budget is exhausted, and the blocks.
    exhausted: Vec<(u32, u32)>,
    /// Where code is that faults if the budget is exhausted, and the blocks that it would go on with.
    checks: Vec<(u32, u32)>,
    by_frame: NumberMap<u32, Box<InFrame>>,
    /// The versions of the frames that blocks are of.
    versions: NumberMap<u32, u32>,
    /// The count of code writes up to which all versions are known to be right.
    seen_writes: u64,
    view: NumberMap<u64, u32>,
    /// The state of executable mappings that the view is known to hold in.
    generation: u64,
    /// Sites that are resolved across pages.
    links: Vec<u32>,
    /// The jump table is filled: it needn't be before there is code to use it.
    has_table: bool,
    /// Entries of the jump table in use, and where they lead.
    jumps: NumberMap<u32, usize>,
    /// Jumps of landings that lead to other landings.
    chained: Vec<u32>,
    /// Where blocks are entered by indirect branches.
    indirect: NumberMap<u32, Landing>,
    recent: Box<[(u64, Start); RECENT]>,
    /// The return stack must be emptied before code runs.
    pub(crate) stack_stale: bool,
    pub(crate) figures: Figures,
}

/// Blocks that there is room for from the first on: growing moves those that there are. It takes memory when it is used.
const MANY: usize = 1 << 14;

const NOWHERE: (u64, Start) = (u64::MAX, Start { block: 0, insn: 0, host: 0, deduct: 0 });

/// No recent entries. They aren't made on the stack, whose pages come one by one.
fn nothing_recent() -> Box<[(u64, Start); RECENT]> {
    let entries = vec![NOWHERE; RECENT];
    entries.try_into().unwrap_or_else(|_| unreachable!("as many"))
}

impl Cache {
    pub(crate) fn new(model: CpuModel, kind: Kind) -> io::Result<Self> {
        let stubs = Stubs::new(kind);
        let mut code = Code::new()?;
        code.append(&stubs.bytes);
        let mut stack = ReturnStack::new()?;
        stack.set_bottom(code.base() + stubs.bottom as u64);
        Ok(Self {
            kind,
            code,
            stubs,
            shop: Workshop::new(model),
            verifier: Verifier::new(),
            stack,
            blocks: Vec::new(),
            insns: Vec::new(),
            sites: Vec::new(),
            site_stubs: Vec::new(),
            exhausted: Vec::new(),
            checks: Vec::new(),
            by_frame: NumberMap::default(),
            versions: NumberMap::default(),
            seen_writes: 0,
            view: NumberMap::default(),
            generation: 0,
            links: Vec::new(),
            has_table: false,
            jumps: NumberMap::default(),
            chained: Vec::new(),
            indirect: NumberMap::default(),
            recent: nothing_recent(),
            stack_stale: true,
            figures: Figures::default(),
        })
    }

    /// The address that code at an offset is executed at.
    pub(crate) fn host(&self, offset: usize) -> u64 {
        self.code.base() + offset as u64
    }

    /// Where branches lead that the jump table doesn't know.
    pub(crate) fn miss(&self) -> u64 {
        self.host(self.stubs.reason(Reason::Miss))
    }

    /// The addresses that code may have.
    pub(crate) fn range(&self) -> (u64, u64) {
        (self.code.base(), self.code.base() + crate::code::CODE_BYTES as u64)
    }

    pub(crate) fn block(&self, number: u32) -> Option<&Block> {
        self.blocks.get(number as usize)
    }

    /// The instructions of a block.
    pub(crate) fn insns(&self, block: &Block) -> &[Insn] {
        &self.insns[block.range()]
    }

    /// The site that a call has left from, by where it would return to.
    pub(crate) fn site(&self, after: usize) -> Option<u32> {
        let number = self.site_stubs.partition_point(|stub| (*stub as usize) < after).checked_sub(1)?;
        Some(number as u32)
    }

    /// The guest address that a site leads to.
    pub(crate) fn target(&self, site: u32) -> u64 {
        self.sites[site as usize].target
    }

    /// The block that a call has left before because the budget has not enough for it.
    pub(crate) fn exhausted(&self, after: usize) -> Option<&Block> {
        let found = self.exhausted.binary_search_by_key(&after, |(after, _)| *after as usize).ok()?;
        self.block(self.exhausted[found].1)
    }

    /// The block before which the check of the budget at an offset is.
    pub(crate) fn check_at(&self, offset: usize) -> Option<&Block> {
        let found = self.checks.binary_search_by_key(&offset, |(at, _)| *at as usize).ok()?;
        self.block(self.checks[found].1)
    }

    /// Drops what was written, and takes back what no longer holds in a space.
    #[inline]
    pub(crate) fn sync(&mut self, shared: &Shared, space: &Space) {
        if self.seen_writes != space.memory().code_writes() {
            self.seen_writes = space.memory().code_writes();
            if self.versions.iter().any(|(frame, version)| space.memory().code_version(*frame) != *version) {
                self.flush(shared);
            }
        }
        if self.generation != space.code_generation() {
            self.generation = space.code_generation();
            let holds = |(page, frame): (&u64, &u32)| fetch(space, page * PAGE_SIZE as u64) == Some(*frame);
            if !self.view.iter().all(holds) {
                self.reset(shared);
            }
        }
    }

    /// Takes back all that was resolved through the view.
    fn reset(&mut self, shared: &Shared) {
        self.figures.resets += 1;
        for site in std::mem::take(&mut self.links) {
            self.code.lead(self.sites[site as usize].at, self.site_stubs[site as usize]);
        }
        let miss = self.miss();
        if shared.is_full() {
            shared.empty();
            self.jumps.clear();
        }
        for (index, _) in self.jumps.drain() {
            shared.set_jump(index as usize, miss, miss);
        }
        let miss = self.stubs.reason(Reason::Miss) as u32;
        for at in self.chained.drain(..) {
            self.code.lead(at, miss);
        }
        self.view.clear();
        self.recent.fill(NOWHERE);
        self.stack_stale = true;
    }

    /// Drops all code.
    fn flush(&mut self, shared: &Shared) {
        self.figures.flushes += 1;
        self.reset(shared);
        self.code.truncate(self.stubs.bytes.len());
        self.blocks.clear();
        self.insns.clear();
        self.sites.clear();
        self.site_stubs.clear();
        self.exhausted.clear();
        self.checks.clear();
        self.by_frame.clear();
        self.versions.clear();
        self.indirect.clear();
    }

    /// The translated code of a guest address, if there is some.
    #[inline]
    pub(crate) fn find(&mut self, space: &Space, address: u64) -> Option<Start> {
        let (known, start) = self.recent[address as usize % RECENT];
        if known == address {
            return Some(start);
        }
        self.find_slowly(space, address)
    }

    fn find_slowly(&mut self, space: &Space, address: u64) -> Option<Start> {
        let frame = fetch(space, address)?;
        let start = match self.starting(frame, address) {
            Some(number) => {
                if let Some(second) = self.blocks[number as usize].second {
                    let page = address / PAGE_SIZE as u64 + 1;
                    fetch(space, page * PAGE_SIZE as u64).filter(|frame| *frame == second)?;
                    self.view.insert(page, second);
                }
                self.at(number, 0)
            }
            None => self.inside(frame, address)?,
        };
        self.view.insert(address / PAGE_SIZE as u64, frame);
        self.recent[address as usize % RECENT] = (address, start);
        Some(start)
    }

    /// The block that begins at an address of a frame.
    fn starting(&self, frame: u32, address: u64) -> Option<u32> {
        self.by_frame.get(&frame)?.block(address)
    }

    fn at(&self, block: u32, insn: u16) -> Start {
        let translated = &self.blocks[block as usize];
        match insn {
            0 => Start { block, insn, host: translated.entry, deduct: 0 },
            _ => {
                let host = translated.host(self.insns(translated)[usize::from(insn)]);
                // The code counts the whole block, if it hasn't yet.
                let counted = host >= translated.counted;
                let deduct = if counted { translated.count as i8 - insn as i8 } else { -(insn as i8) };
                Start { block, insn, host, deduct }
            }
        }
    }

    /// An instruction within a block.
    fn inside(&self, frame: u32, address: u64) -> Option<Start> {
        let offset = (address % PAGE_SIZE as u64) as u16;
        let in_frame = self.by_frame.get(&frame)?;
        if in_frame.starts[usize::from(offset / 64)] >> (offset % 64) & 1 == 0 {
            return None;
        }
        // Most likely in the one before.
        let (before, behind) =
            in_frame.blocks.split_at(in_frame.blocks.partition_point(|(start, _)| u64::from(*start) < address));
        before.iter().rev().chain(behind).find_map(|(_, number)| {
            let block = &self.blocks[*number as usize];
            if (u64::from(block.start) ^ address) >= PAGE_SIZE as u64 {
                return None;
            }
            let insn = self.insns(block).iter().position(|insn| insn.guest() == offset)?;
            Some(self.at(*number, insn as u16))
        })
    }

    /// The instruction whose code an offset lies in.
    pub(crate) fn instruction_at(&self, offset: usize) -> Option<(u32, u16, Insn)> {
        let number = self.blocks.partition_point(|block| block.entry as usize <= offset).checked_sub(1)?;
        let block = &self.blocks[number];
        if offset >= block.after as usize {
            return None;
        }
        let insns = self.insns(block);
        let insn = insns.partition_point(|insn| block.host(*insn) as usize <= offset).checked_sub(1)?;
        Some((number as u32, insn as u16, insns[insn]))
    }

    /// Whether the guest's state is whole at an offset: at an instruction's start, or between the rounds of a string
    /// instruction. Asked by a handler of signals.
    pub(crate) fn is_whole_at(&self, offset: usize) -> bool {
        let starts = |(number, _, insn): (u32, u16, Insn)| self.blocks[number as usize].host(insn) as usize == offset;
        self.instruction_at(offset).is_some_and(starts) || self.stubs.string_at(offset).is_some()
    }

    /// Translates from an address on. None if that can't be: the interpreter finds out why.
    pub(crate) fn translate(&mut self, shared: &Shared, space: &Space, address: u64) -> Option<Start> {
        self.make(shared, space, address, false).map(|(start, _)| start)
    }

    /// Translates from an address on, with a landing if that is wanted.
    fn make(
        &mut self,
        shared: &Shared,
        space: &Space,
        address: u64,
        landing: bool,
    ) -> Option<(Start, Option<Landing>)> {
        let began = std::time::Instant::now();
        let frame = fetch(space, address).filter(|_| address < WINDOW)?;
        if self.kind.origin == Origin::Gs && !std::mem::replace(&mut self.has_table, true) {
            let miss = self.miss();
            (0..TABLE_ENTRIES).for_each(|index| shared.set_jump(index, miss, miss));
        }
        if self.blocks.capacity() == 0 {
            self.blocks.reserve(MANY);
            self.insns.reserve(6 * MANY);
            self.sites.reserve(2 * MANY);
            self.site_stubs.reserve(2 * MANY);
            self.exhausted.reserve(MANY);
            self.checks.reserve(MANY);
        }
        let memory: &Memory = space.memory();
        let version = memory.mark_code(frame);
        if !self.code.has_room(2 * MAX_PIECE) || self.versions.get(&frame).is_some_and(|known| *known != version) {
            self.flush(shared);
        }
        self.versions.insert(frame, version);
        let page = &InFrame::of(&mut self.by_frame, memory, frame).page;
        let second = if crosses(&page[address as usize % PAGE_SIZE..PAGE_SIZE]) {
            let second = fetch(space, (address | (PAGE_SIZE as u64 - 1)) + 1)?;
            let version = memory.mark_code(second);
            if self.versions.insert(second, version).is_some_and(|known| known != version) {
                self.flush(shared);
                self.versions.extend([(frame, memory.code_version(frame)), (second, version)]);
            }
            self.view.insert(address / PAGE_SIZE as u64 + 1, second);
            memory.read(second, 0, &mut InFrame::of(&mut self.by_frame, memory, frame).page[PAGE_SIZE..]);
            Some(second)
        } else {
            None
        };
        self.code.align();
        let in_frame = InFrame::of(&mut self.by_frame, memory, frame);
        let page = &in_frame.page;
        let request = Request {
            address,
            page: if second.is_some() { &page[..] } else { &page[..PAGE_SIZE] },
            kind: self.kind,
            offset: self.code.len(),
            first_block: self.blocks.len(),
            landing,
        };
        let known = |at| in_frame.block(at).is_some();
        let piece = translate(&request, &self.stubs, &mut self.shop, &known)?;
        let verifying = std::time::Instant::now();
        self.figures.translation += verifying - began;
        let code = &piece.emit.bytes;
        let verified = self.verify(code);
        self.figures.verification += verifying.elapsed();
        if let Err(refused) = verified {
            debug_assert!(false, "{refused} of {address:#x}: {code:02x?}");
            return None;
        }
        let first = self.blocks.len() as u32;
        let landing = piece.landing;
        self.code.append(code);
        self.figures.blocks += piece.blocks.len() as u64;
        let in_frame = InFrame::of(&mut self.by_frame, memory, frame);
        for insn in &piece.insns {
            in_frame.starts[usize::from(insn.guest() / 64)] |= 1 << (insn.guest() % 64);
        }
        for block in &piece.blocks {
            let number = self.blocks.len() as u32;
            self.figures.translated += u64::from(block.count);
            in_frame.insert(block.start, number);
            self.blocks.push(Block { second, first: block.first + self.insns.len() as u32, ..*block });
        }
        self.insns.extend_from_slice(&piece.insns);
        let first_site = self.sites.len();
        self.sites.extend_from_slice(&piece.sites);
        self.site_stubs.extend_from_slice(&piece.stubs);
        self.exhausted.extend_from_slice(&piece.exhausted);
        self.checks.extend_from_slice(&piece.checks);
        self.shop.spare = piece;
        self.view.insert(address / PAGE_SIZE as u64, frame);
        // Branches within the page are good as long as the code is.
        for site in first_site..self.sites.len() {
            let Site { target, page, .. } = self.sites[site];
            if target / PAGE_SIZE as u64 == page.into()
                && let Some(number) = self.starting(frame, target)
                && self.blocks[number as usize].second.is_none()
            {
                self.patch(site as u32, number);
            }
        }
        let start = self.at(first, 0);
        self.recent[address as usize % RECENT] = (address, start);
        Some((start, landing))
    }

    /// Verifies code that will lie behind what there is.
    fn verify(&mut self, bytes: &[u8]) -> Result<(), crate::verify::Refused> {
        let base = self.code.base();
        let (stubs, blocks) = (&self.stubs, &self.blocks);
        self.verifier.verify(bytes, base + self.code.len() as u64, self.kind, &|target| {
            let offset = target.wrapping_sub(base);
            stubs.is_entry(offset) || blocks.binary_search_by_key(&offset, |block| block.entry.into()).is_ok()
        })
    }

    /// Lets a site lead to a block.
    fn patch(&mut self, site: u32, block: u32) {
        let Site { at, checks, .. } = self.sites[site as usize];
        let entry = if checks { self.checked(block) } else { Some(self.blocks[block as usize].entry) };
        if let Some(entry) = entry {
            self.code.lead(at, entry);
        }
    }

    /// Where a block is entered if the budget must be checked: code that is made when it is first needed. None if there is
    /// no room for it.
    fn checked(&mut self, block: u32) -> Option<u32> {
        let Block { entry, checked, .. } = self.blocks[block as usize];
        if checked.is_some() || !self.code.has_room(MAX_PIECE) {
            return checked;
        }
        let at = self.code.len();
        let mut emit = Emit::new(self.kind);
        emit.check_budget();
        let branch = emit.branch(JMP);
        emit.resolve(branch, (entry as usize).wrapping_sub(at));
        self.verify(&emit.bytes).ok()?;
        self.code.append(&emit.bytes);
        self.checks.push((at as u32, block));
        self.blocks[block as usize].checked = Some(at as u32);
        Some(at as u32)
    }

    /// Lets a site lead to a block that was found for it in the space that runs.
    pub(crate) fn link(&mut self, site: u32, start: Start) {
        self.figures.links += 1;
        let Site { target, page, .. } = self.sites[site as usize];
        if start.insn != 0 {
            return;
        }
        self.patch(site, start.block);
        let crosses = self.blocks[start.block as usize].second.is_some();
        if crosses || target / PAGE_SIZE as u64 != page.into() {
            self.links.push(site);
        }
    }

    /// Lets indirect branches to an address find a block.
    pub(crate) fn link_indirect(&mut self, shared: &Shared, space: &Space, address: u64, start: Start) {
        if start.insn != 0 {
            return;
        }
        if shared.is_full() {
            // It is looked for again.
            return self.reset(shared);
        }
        self.figures.indirect += 1;
        let landing = match self.indirect.get(&start.block) {
            Some(landing) => *landing,
            None => {
                // Code of its own: what is branched to in this way is seldom come to in another.
                let Some((start, Some(landing))) = self.make(shared, space, address, true) else { return };
                self.indirect.insert(start.block, landing);
                landing
            }
        };
        let index = self.kind.origin.jump_index(address);
        shared.set_jump(index, self.host(landing.entry), self.miss());
        // Another address that has the same entry is looked for next.
        if let Some(before) = self.jumps.insert(index as u32, landing.entry) {
            self.code.lead(landing.otherwise as u32, before as u32);
            self.chained.push(landing.otherwise as u32);
        }
    }
}

/// The frame that ring 3 fetches from at an address.
fn fetch(space: &Space, address: u64) -> Option<u32> {
    let (frame, flags) = space.page(address)?;
    flags.contains(PageFlags::USER | PageFlags::EXEC).then_some(frame)
}
