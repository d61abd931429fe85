//! From guest code to host code.
//!
//! A piece is one or more basic blocks that follow each other in the guest. A block's instructions are decoded, and each
//! becomes a few host instructions; at the start of each of them the guest's state is complete: its registers are in the
//! host registers of the same names, except that
//! - the guest's rsp is in r11, since rsp points to the return stack, and its rcx in r9, since rcx is free for whatever
//!   an instruction needs, above all for tests that don't touch the flags; if it has what a register of the context has,
//!   [`Insn`] says so, since the next instruction may count on it;
//! - the guest's r9 and r11 live in the context, or for a block in registers that it doesn't use ([`loans`]);
//! - in code that counts so does r8, where it counts the budget down.
//!
//! So every instruction's start can be entered, and code can be stopped there; a fault finds the state from before the
//! instruction but for a few borrowed registers, which [`Insn`] names. Flags are the host's. Subtracting from the budget
//! changes them: so a block counts where the instructions that follow set them all, and leaves if there was not enough. Or
//! else it counts by `lea`, and what checks is a load before it that faults.

mod branch;
mod facts;
mod liveness;
mod loans;
mod operand;
mod stack;
mod unit;

use std::ops::Range;

use callgate_emulator::{CpuModel, PAGE_SIZE};
use iced_x86::{Decoder, DecoderError, DecoderOptions, FlowControl, OpKind};

use crate::context::{Context, HOMED, Reason, SCRATCH, TEMPORARIES, slot};
use crate::emit::{CALL, Emit, JMP, JMP_SHORT, JS};
use crate::kind::Kind;
use crate::stubs::Stubs;
use facts::{Class, Decoded, Facts};
use loans::Lent;

/// Most instructions in a block: their count must fit in a signed byte.
const MAX_INSTRUCTIONS: usize = 64;
/// Bytes of guest code, aligned, that blocks may go on within without a check of the budget.
const LINE: u64 = 128;
/// What translated code can execute beyond its budget before it notices: a block that has checked before it counts, blocks
/// without a check of a line, of which the last may reach beyond it, and a block that checks in its middle. And what the
/// interpreter then executes at least, so that flags which were lost are set again: less than a block.
pub(crate) const MARGIN: u64 = LINE + 4 * MAX_INSTRUCTIONS as u64;
/// Bytes of the longest instruction.
pub(crate) const LONGEST: usize = 15;
/// Most blocks in a piece.
const MAX_BLOCKS: usize = 8;
/// Blocks of a piece that are translated once more if they are translated already, in another piece.
const WITH_KNOWN: usize = 2;
/// Bytes that a short branch goes over at most, less what may be put behind them before its target.
const REACH: usize = 108;
/// The longest code that a piece can become, roughly; what the cache must have room for.
pub(crate) const MAX_PIECE: usize = 1 << 18;

/// Where an instruction's code is, and what a fault in it has to put back. In eight bytes: there are many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Insn {
    /// The guest's instruction's place in its page; and in the highest four bits, which guest register of the context the
    /// scratch register has at its start, 0 for none.
    place: u16,
    /// Its code's distance from its block's entry.
    host: u16,
    /// The host registers whose values are in the temporaries, four bits each; 0 where there is none.
    borrowed: u16,
    /// The guest's rsp less what its host register has: pushes and pops that follow each other move it only once.
    pub(crate) moved: i16,
}

impl Insn {
    const PAGE: u16 = PAGE_SIZE as u16;

    /// Of a guest address, with what the scratch register has, the distance from the block's entry, borrowed registers, and
    /// how rsp was moved.
    fn new(address: u64, held: Option<u8>, host: u32, borrowed: [u8; TEMPORARIES], moved: i32) -> Self {
        debug_assert!(host <= u16::MAX.into(), "a block whose code is long");
        Self {
            place: (address % PAGE_SIZE as u64) as u16 + u16::from(held.unwrap_or(NONE)) * Self::PAGE,
            host: host as u16,
            borrowed: borrowed.into_iter().rev().fold(0, |all, register| all << 4 | u16::from(register)),
            moved: moved as i16,
        }
    }

    /// The guest's instruction's place in its page.
    pub(crate) fn guest(self) -> u16 {
        self.place % Self::PAGE
    }

    /// The guest register of the context that the scratch register has at its start.
    fn held(self) -> Option<u8> {
        Some((self.place / Self::PAGE) as u8).filter(|register| *register != NONE)
    }

    /// The temporaries that are in use, and the host registers whose values they have.
    pub(crate) fn borrowed(self) -> impl Iterator<Item = (usize, u8)> {
        let places = (0..TEMPORARIES).map(move |place| (place, (self.borrowed >> (4 * place) & 15) as u8));
        places.filter(|(_, register)| *register != NONE)
    }
}

/// Not a register: rax is neither borrowed nor in the context.
const NONE: u8 = 0;

/// A translated block. There are many: offsets in the cache and guest addresses have 32 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// Its guest addresses.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Offsets in the cache: where it is entered, and where it ends.
    pub(crate) entry: u32,
    pub(crate) after: u32,
    /// The offset in the cache where all instructions have been counted, at once.
    pub(crate) counted: u32,
    /// The offset in the cache where it is entered if the budget must be checked, if there is such code.
    pub(crate) checked: Option<u32>,
    /// The frame that its only instruction crosses into.
    pub(crate) second: Option<u32>,
    /// Where its instructions are in the list of all.
    pub(crate) first: u32,
    /// How many instructions it counts: those translated, of which a `syscall` may be the last.
    pub(crate) count: u8,
    /// The instruction before which the budget is checked, if that is where it is counted.
    pub(crate) check: u8,
    /// Registers that are lent, and how many instructions for: not for a branch at the end, unless it is to the block itself.
    pub(crate) lent: Lent,
    pub(crate) lent_for: u8,
    /// It needs the x87 unit.
    pub(crate) unit: bool,
}

impl Block {
    /// Its instructions in the list of all.
    pub(crate) fn range(&self) -> Range<usize> {
        self.first as usize..self.first as usize + usize::from(self.count)
    }

    /// The offset in the cache of an instruction's code.
    pub(crate) fn host(&self, insn: Insn) -> u32 {
        self.entry + u32::from(insn.host)
    }

    /// The guest address of an instruction.
    pub(crate) fn address(&self, insn: Insn) -> u64 {
        let start = u64::from(self.start);
        start - start % PAGE_SIZE as u64 + u64::from(insn.guest())
    }

    /// Puts registers into the places that they have at an instruction.
    pub(crate) fn enter(&self, number: u16, insn: Insn, context: &mut Context) {
        let rsp = &mut context.gpr[usize::from(loans::RSP)];
        *rsp = rsp.wrapping_sub(i64::from(insn.moved) as u64);
        if number < u16::from(self.lent_for) {
            loans::enter(&self.lent, context);
        }
        if let Some(held) = insn.held() {
            context.scratch = context.gpr[usize::from(held)];
        }
    }

    /// Puts them back.
    pub(crate) fn leave(&self, number: u16, insn: Insn, context: &mut Context) {
        if number < u16::from(self.lent_for) {
            loans::leave(&self.lent, context);
        }
        let rsp = &mut context.gpr[usize::from(loans::RSP)];
        *rsp = rsp.wrapping_add(i64::from(insn.moved) as u64);
    }
}

/// A direct branch out of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// Offset of its displacement in the cache.
    pub(crate) at: u32,
    /// The guest address that it leads to.
    pub(crate) target: u64,
    /// The page that it is in.
    pub(crate) page: u32,
    /// The budget must be checked on the way.
    pub(crate) checks: bool,
}

/// Code that an indirect branch to an address lands at, by offsets in the cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Landing {
    pub(crate) entry: usize,
    /// Where the displacement is of its jump to where it goes on if it was another address.
    pub(crate) otherwise: usize,
}

/// What was translated at once.
#[derive(Default)]
pub(crate) struct Piece {
    pub(crate) emit: Emit,
    pub(crate) blocks: Vec<Block>,
    /// The blocks' instructions.
    pub(crate) insns: Vec<Insn>,
    pub(crate) sites: Vec<Site>,
    /// Of each site, the offset in the cache of the code that leaves to find its target.
    pub(crate) stubs: Vec<u32>,
    /// Where indirect branches land, if they are to.
    pub(crate) landing: Option<Landing>,
    /// Where the code goes on that has left because the budget hasn't enough for a block, and the block.
    pub(crate) exhausted: Vec<(u32, u32)>,
    /// Where the code is that faults if the budget is exhausted before a block, and the block.
    pub(crate) checks: Vec<(u32, u32)>,
    /// Branches to be resolved to code at the piece's end.
    outside: Vec<(usize, Outside)>,
    /// The short branches of returns that have landed wrongly, which lead nowhere yet, and where returns should land.
    wrong_returns: Vec<(usize, u64)>,
}

impl Piece {
    /// Makes room for another, in the same memory.
    fn clear(&mut self) {
        self.emit.bytes.clear();
        self.blocks.clear();
        self.insns.clear();
        self.sites.clear();
        self.stubs.clear();
        self.landing = None;
        self.exhausted.clear();
        self.checks.clear();
        self.outside.clear();
        self.wrong_returns.clear();
    }
}

/// What translations leave to those after them.
pub(crate) struct Workshop {
    facts: Facts,
    /// The memory of an earlier piece.
    pub(crate) spare: Piece,
    plan: Plan,
}

impl Workshop {
    /// For guests that have the instructions of a model.
    pub(crate) fn new(model: CpuModel) -> Self {
        Self { facts: Facts::new(model), spare: Piece::default(), plan: Plan::default() }
    }
}

/// The instructions of a piece, where each of its blocks ends among them, and where branches in it lead back to.
#[derive(Default)]
struct Plan {
    instructions: Vec<Decoded>,
    ends: Vec<usize>,
    heads: Vec<u64>,
}

impl Plan {
    fn blocks(&self) -> impl Iterator<Item = &[Decoded]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.instructions[start..*end])
    }
}

/// This instruction is left to the interpreter.
#[derive(Debug)]
pub(super) struct Untranslated;

impl From<crate::emit::Unencodable> for Untranslated {
    fn from(_: crate::emit::Unencodable) -> Self {
        Self
    }
}

/// Where a piece comes from and goes to.
pub(crate) struct Request<'a> {
    /// The guest address to begin at, below the window's size.
    pub(crate) address: u64,
    /// Its page's content; with the start of the next page for an instruction that crosses into it, which becomes a
    /// piece of its own.
    pub(crate) page: &'a [u8],
    pub(crate) kind: Kind,
    /// Offset in the cache that the piece will have, and the number of its first block.
    pub(crate) offset: usize,
    pub(crate) first_block: usize,
    /// Indirect branches are to land at it: they have left the address that they look for in a slot, or in
    /// rcx for a window at 0.
    pub(crate) landing: bool,
}

impl Request<'_> {
    fn crosses(&self) -> bool {
        self.page.len() > PAGE_SIZE
    }

    fn decoder_at(&self, address: u64) -> Decoder<'_> {
        Decoder::with_ip(64, &self.page[address as usize % PAGE_SIZE..], address, DecoderOptions::NONE)
    }
}

/// Whether the first instruction of some bytes, up to their page's end, goes on in the next page.
pub(crate) fn crosses(bytes: &[u8]) -> bool {
    let mut decoder = Decoder::new(64, bytes, DecoderOptions::NONE);
    bytes.len() < LONGEST && decoder.decode().is_invalid() && decoder.last_error() == DecoderError::NoMoreBytes
}

/// What a block's translation needs at hand.
struct Translator<'a> {
    request: &'a Request<'a>,
    stubs: &'a Stubs,
    facts: &'a mut Facts,
    emit: Emit,
    piece: Piece,
    /// The guest addresses of the block at hand, if the budget isn't checked when it is counted.
    unchecked: Option<(u64, u64)>,
    /// Of the instruction at hand.
    borrowed: [u8; TEMPORARIES],
    scratch_free: bool,
    /// The guest register of the context that the scratch register has, too.
    held: Option<u8>,
    /// Of the block at hand.
    moved: i32,
    lends_scratch: bool,
    lent: Lent,
    /// The guest's registers that are in the context, and those that aren't in the host's registers of the same names: one
    /// bit each.
    at_home: u32,
    elsewhere: u32,
    /// Where the call at the end of the block at hand returns to is checked by `loop`: what follows is short enough.
    loops: bool,
    /// A short branch was not enough.
    is_too_long: bool,
    /// The guest address of the block at hand and where its code goes on after a branch to that, if it ends in one.
    round: Option<(u64, usize)>,
}

/// What a branch leads to that lies out of the way.
#[derive(Clone, Copy)]
enum Outside {
    /// The stub of the next site.
    Site,
    /// The way out when the budget has not enough for a block; with loans and what rsp has to be moved by.
    Budget(usize, Lent, i32),
    /// The way out of a block that needs the x87 unit.
    Unit(usize),
    /// A wrong return: the scratch register has the guest address less this one.
    WrongReturn(u64),
}

/// Whether blocks without a check may go on from one to a place: forward, and within a line.
fn is_near((start, end): (u64, u64), to: u64) -> bool {
    to >= end && to / LINE == start / LINE
}

/// Whether a block may do without a check: not where it returns, since returns can follow each other, nor if it lies in
/// several places.
fn may_go_unchecked(block: &[Decoded]) -> bool {
    block.windows(2).all(|pair| pair[0].instruction.next_ip() == pair[1].instruction.ip())
        && block.last().is_none_or(|last| last.instruction.flow_control() != FlowControl::Return)
}

/// Whether some instructions end in a conditional branch to an address.
fn branches_to(block: &[Decoded], address: u64) -> bool {
    let last = block.last().filter(|last| last.class == Class::Branch).map(|last| &last.instruction);
    last.is_some_and(|last| last.is_jcc_short_or_near() && last.near_branch_target() == address)
}

/// Where branches lead back to.
fn heads(block: &[Decoded]) -> impl Iterator<Item = u64> {
    let branches = block.iter().filter(|decoded| decoded.class == Class::Branch).map(|decoded| &decoded.instruction);
    branches
        .filter(|branch| branch.op0_kind() == OpKind::NearBranch64)
        .map(|branch| (branch.ip(), branch.near_branch_target()))
        .filter(|(ip, to)| to <= ip)
        .map(|(_, to)| to)
}

/// About how many bytes a block becomes.
fn length(block: &[Decoded]) -> usize {
    let bytes: usize = block.iter().map(|decoded| decoded.instruction.len()).sum();
    bytes + 2 * block.len() + 12
}

/// How a block ended.
#[derive(PartialEq, Eq)]
enum Ending {
    /// Nothing follows in line.
    Closed,
    /// The next block may follow in line.
    Open,
}

/// Translates from an address on. None if the first instruction can't be.
///
/// `known` says whether there is a block already at an address of the same page.
pub(crate) fn translate(
    request: &Request<'_>,
    stubs: &Stubs,
    shop: &mut Workshop,
    known: &dyn Fn(u64) -> bool,
) -> Option<Piece> {
    let mut piece = std::mem::take(&mut shop.spare);
    piece.clear();
    piece.emit.kind = request.kind;
    let mut translator = Translator {
        request,
        stubs,
        facts: &mut shop.facts,
        emit: std::mem::take(&mut piece.emit),
        piece,
        unchecked: None,
        borrowed: [NONE; TEMPORARIES],
        scratch_free: true,
        held: None,
        moved: 0,
        lends_scratch: true,
        lent: [None; HOMED.len()],
        at_home: 0,
        elsewhere: 0,
        loops: false,
        is_too_long: false,
        round: None,
    };
    translator.set_usual();
    translator.piece.landing = request.landing.then(|| translator.land());
    translator.plan(&mut shop.plan, known);
    let (is_translated, is_too_long) = (translator.blocks(&shop.plan), translator.is_too_long);
    translator.piece.emit = translator.emit;
    if is_translated && !is_too_long {
        return Some(translator.piece);
    }
    shop.spare = translator.piece;
    if is_too_long {
        let kind = Kind { loops: false, ..request.kind };
        return translate(&Request { kind, ..*request }, stubs, shop, known);
    }
    None
}

impl Translator<'_> {
    /// The offset in the cache that comes next.
    fn here(&self) -> u32 {
        (self.request.offset + self.emit.len()) as u32
    }

    /// Adds the instructions of the block at an address, up to one that ends it or isn't translated.
    fn decode(&mut self, address: u64, list: &mut Vec<Decoded>) {
        let request = self.request;
        let mut decoder = request.decoder_at(address);
        let from = list.len();
        let most = from + if request.crosses() { 1 } else { MAX_INSTRUCTIONS };
        while list.len() < most && decoder.can_decode() {
            let decoded = list.push_mut(Decoded::default());
            // In place: copying what was just written in small parts takes as long as decoding.
            decoder.decode_out(&mut decoded.instruction);
            self.facts.look_at(decoded);
            if decoded.class == Class::Left {
                list.pop();
                break;
            }
            if decoded.ends() {
                match self.goes_on(&list[from..], address) {
                    Some(target) => decoder = request.decoder_at(target),
                    None => break,
                }
            }
        }
    }

    /// Where a block goes on after a jump: at its target, if that is near and not in the block already.
    fn goes_on(&self, block: &[Decoded], start: u64) -> Option<u64> {
        let last = block.last().map(|last| &last.instruction);
        let last = last.filter(|last| last.is_jmp_short_or_near() && !self.request.crosses())?;
        let target = last.near_branch_target();
        let near = (target ^ start) < PAGE_SIZE as u64 && block.len() < MAX_INSTRUCTIONS / 2;
        (near && block.iter().all(|decoded| decoded.instruction.ip() != target)).then_some(target)
    }

    /// The blocks of a piece: those that follow each other in line, up to one that is translated already and isn't near. A
    /// jump to that would be taken each time: most of all behind calls, where translated code begins that was met by returns.
    fn plan(&mut self, plan: &mut Plan, known: &dyn Fn(u64) -> bool) {
        plan.instructions.clear();
        plan.ends.clear();
        plan.heads.clear();
        let mut address = self.request.address;
        let mut returns = false;
        while plan.ends.len() < if self.request.crosses() { 1 } else { MAX_BLOCKS }
            && (address ^ self.request.address) < PAGE_SIZE as u64
            && plan.blocks().all(|block| block[0].instruction.ip() != address)
            && (plan.ends.len() < WITH_KNOWN || returns || !known(address))
        {
            let start = plan.instructions.len();
            self.decode(address, &mut plan.instructions);
            let Some(last) = plan.instructions[start..].last() else { break };
            let flow = last.instruction.flow_control();
            returns = last.class == Class::Branch && matches!(flow, FlowControl::Call | FlowControl::IndirectCall);
            let goes_on = match last.class {
                Class::Branch => returns || flow == FlowControl::ConditionalBranch,
                Class::Syscall => false,
                _ => plan.instructions.len() - start == MAX_INSTRUCTIONS,
            };
            address = last.instruction.next_ip();
            plan.ends.push(plan.instructions.len());
            plan.heads.extend(heads(&plan.instructions[start..]));
            if !goes_on {
                break;
            }
        }
    }

    /// Translates the blocks of a plan, those of them that follow each other. False if not even one can be.
    fn blocks(&mut self, plan: &Plan) -> bool {
        // Where the code would go on after the last of them.
        let mut end = None;
        let mut blocks = plan.blocks().enumerate().peekable();
        while let Some((index, instructions)) = blocks.next() {
            let start = instructions[0].instruction.ip();
            if end.is_some_and(|end| end != start) {
                break;
            }
            let is_head = index == 0 || plan.heads.contains(&start);
            if let Some((branch, _)) = self.piece.wrong_returns.first()
                && self.emit.len() + length(instructions) > branch + REACH
            {
                self.place_wrong_returns(true);
            }
            self.loops = self.emit.kind.loops && blocks.peek().is_none_or(|(_, next)| length(next) < REACH);
            let Some((block, ending)) = self.block(instructions, index, is_head) else { break };
            end = (ending == Ending::Open).then_some(u64::from(block.end));
            self.piece.blocks.push(block);
            if end.is_none() {
                break;
            }
        }
        // What follows in line isn't here.
        if let Some(end) = end {
            self.jump(JMP, end);
        }
        let here = self.here();
        if let Some(last) = self.piece.blocks.last_mut() {
            last.after = here;
        }
        self.finish();
        !self.piece.blocks.is_empty()
    }

    /// Translates one block, or as much of it as it can.
    fn block(&mut self, mut instructions: &[Decoded], index: usize, is_head: bool) -> Option<(Block, Ending)> {
        let piece = &self.piece;
        let before = [
            self.emit.len(),
            piece.insns.len(),
            piece.sites.len(),
            piece.outside.len(),
            piece.checks.len(),
            piece.wrong_returns.len(),
        ];
        let previous = self.unchecked;
        self.lends_scratch = true;
        while !instructions.is_empty() {
            match self.try_block(instructions, index, is_head) {
                Ok(block) => return Some(block),
                Err(translated) => {
                    self.unchecked = previous;
                    if self.is_lent(SCRATCH) {
                        // Something needs it.
                        self.lends_scratch = false;
                    } else {
                        // Where the count goes depends on the whole block.
                        instructions = &instructions[..translated];
                    }
                    self.set_usual();
                    self.round = None;
                    self.rewind(before);
                }
            }
        }
        None
    }

    /// Translates all of these instructions as a block; else says how many it could.
    fn try_block(&mut self, instructions: &[Decoded], index: usize, is_head: bool) -> Result<(Block, Ending), usize> {
        let start = instructions[0].instruction.ip();
        let end = instructions[instructions.len() - 1].instruction.next_ip();
        let count = instructions.len() as u8;
        let number = self.request.first_block + index;
        (self.moved, self.held) = (0, None);
        let mut entry = self.here();
        let mut checked = Some(self.here());
        let mut place = None;
        let mut counted = None;
        let counts = self.emit.kind.counts;
        let goes_unchecked = counts && may_go_unchecked(instructions);
        // What comes before in line, without a check of its own, may only go on to this if that is in its line.
        let follows = !is_head && goes_unchecked && self.unchecked.is_none_or(|from| is_near(from, start));
        if !counts || follows {
            checked = None;
        } else {
            place = liveness::first_setter(instructions);
            if place.is_none() {
                self.check(number);
            }
            if goes_unchecked {
                entry = self.here();
            }
        }
        let unit = instructions.iter().any(|decoded| decoded.unit);
        if unit {
            self.check_unit(number);
        }
        if place.is_none() {
            if counts {
                self.emit.count(count);
            }
            counted = Some(self.here());
        }
        self.unchecked = (place.is_none() && goes_unchecked).then_some((start, end));
        let body = instructions.len() - usize::from(instructions.last().is_some_and(Decoded::ends));
        // A block that branches back to its own start lends once for all its rounds.
        let loops = (place.is_some() || !counts) && branches_to(instructions, start);
        let lent = self.loans(&instructions[..body], loops);
        self.lend(lent);
        self.round = loops.then_some((start, self.emit.len()));
        let first = self.piece.insns.len();
        let mut ending = None;
        for (index, decoded) in instructions.iter().enumerate() {
            if index == body && !loops {
                self.take_back(lent);
            }
            if self.moved != 0 && self.needs_stack(decoded) {
                self.move_stack();
            }
            let (moved, held) = (self.moved, self.held);
            let mut host = self.here();
            self.borrowed = [NONE; TEMPORARIES];
            self.scratch_free = !self.is_lent(SCRATCH);
            if place == Some(index) {
                self.emit.sub_budget(count);
                let branch = self.emit.branch(JS);
                self.piece.outside.push((branch, Outside::Budget(number, self.lent, moved)));
                counted = Some(self.here());
                host = self.here();
            }
            // A jump that the block goes on after has been made by decoding.
            let last = index + 1 == instructions.len();
            if last || decoded.class != Class::Branch {
                ending = self.one(decoded, number).map_err(|Untranslated| index)?;
            }
            let insn = Insn::new(decoded.instruction.ip(), held, host - entry, self.borrowed, moved);
            self.piece.insns.push(insn);
        }
        self.move_stack();
        if body == instructions.len() || loops {
            self.take_back(lent);
        }
        self.round = None;
        let ending = ending.unwrap_or_else(|| {
            let rest = &self.request.page[(end - 1) as usize % PAGE_SIZE + 1..];
            if instructions.len() == MAX_INSTRUCTIONS || rest.is_empty() || self.request.crosses() || crosses(rest) {
                Ending::Open
            } else {
                self.leave(Reason::Interpret, number);
                Ending::Closed
            }
        });
        let check = place.unwrap_or(0) as u8;
        let counted = counted.unwrap_or(entry);
        let block = Block {
            start: start as u32,
            end: end as u32,
            entry,
            after: self.here(),
            counted,
            checked,
            second: None,
            first: first as u32,
            count,
            check,
            lent,
            lent_for: if loops { count } else { body as u8 },
            unit,
        };
        Ok((block, ending))
    }

    fn rewind(&mut self, [bytes, insns, sites, outside, checks, wrong_returns]: [usize; 6]) {
        self.emit.bytes.truncate(bytes);
        self.piece.insns.truncate(insns);
        self.piece.sites.truncate(sites);
        self.piece.outside.truncate(outside);
        self.piece.checks.truncate(checks);
        self.piece.wrong_returns.truncate(wrong_returns);
    }

    /// Faults if the budget is exhausted before a block, and keeps the flags.
    fn check(&mut self, block: usize) {
        self.piece.checks.push((self.here(), block as u32));
        self.emit.check_budget();
    }

    /// Leaves to the runtime for a block's sake.
    fn leave(&mut self, reason: Reason, block: usize) {
        self.emit.store_imm(slot::ARGUMENT, block as u32);
        self.branch_to_stub(JMP, self.stubs.reason(reason));
    }

    /// A branch to a stub.
    fn branch_to_stub(&mut self, opcode: &[u8], stub: usize) {
        let branch = self.emit.branch(opcode);
        let displacement = stub as i64 - (self.request.offset + branch + 4) as i64;
        self.emit.bytes[branch..branch + 4].copy_from_slice(&(displacement as i32).to_le_bytes());
    }

    /// A direct branch to a guest address: at first to its stub.
    fn jump(&mut self, opcode: &[u8], target: u64) {
        let branch = self.emit.branch(opcode);
        if let Some((_, round)) = self.round.filter(|(start, _)| *start == target) {
            self.emit.resolve(branch, round);
            return;
        }
        self.piece.outside.push((branch, Outside::Site));
        let at = (self.request.offset + branch) as u32;
        let page = (self.request.address / PAGE_SIZE as u64) as u32;
        let checks = self.unchecked.is_some_and(|from| !is_near(from, target));
        self.piece.sites.push(Site { at, target, page, checks });
    }

    /// Puts the jumps here that returns take which have landed wrongly, behind what goes on in line or within that.
    fn place_wrong_returns(&mut self, within: bool) {
        let mut wrong_returns = std::mem::take(&mut self.piece.wrong_returns);
        let over = within.then(|| self.emit.short_branch(JMP_SHORT));
        for (short, address) in wrong_returns.drain(..) {
            self.is_too_long |= !self.emit.resolve_short(short, self.emit.len());
            let branch = self.emit.branch(JMP);
            self.piece.outside.push((branch, Outside::WrongReturn(address)));
        }
        if let Some(over) = over {
            self.is_too_long |= !self.emit.resolve_short(over, self.emit.len());
        }
        self.piece.wrong_returns = wrong_returns;
    }

    /// Puts what lies out of the way behind the blocks.
    fn finish(&mut self) {
        self.place_wrong_returns(false);
        let mut outsides = std::mem::take(&mut self.piece.outside);
        for (branch, outside) in outsides.drain(..) {
            let here = self.emit.len();
            self.emit.resolve(branch, here);
            match outside {
                Outside::Site => {
                    self.piece.stubs.push(self.here());
                    self.branch_to_stub(CALL, self.stubs.reason(Reason::Link));
                }
                Outside::Budget(number, lent, moved) => {
                    self.take_back(lent);
                    self.moved = moved;
                    self.move_stack();
                    self.exhaust(number);
                }
                Outside::Unit(number) => self.leave(Reason::Unit, number),
                Outside::WrongReturn(address) => {
                    self.emit.add_to_scratch(address as i64);
                    self.branch_to_stub(JMP, self.stubs.indirect);
                }
            }
        }
        self.piece.outside = outsides;
        // Nothing returns behind the calls that leave, but nothing may be able to run out of the piece either.
        self.branch_to_stub(JMP, self.stubs.reason(Reason::Link));
    }

    /// Leaves because the budget has not enough for a block. Like all calls that leave, it is known by where it would
    /// return to.
    fn exhaust(&mut self, number: usize) {
        self.branch_to_stub(CALL, self.stubs.reason(Reason::Budget));
        self.piece.exhausted.push((self.here(), number as u32));
    }

    /// Translates one instruction; says how the block ends if it ends there.
    fn one(&mut self, decoded: &Decoded, block: usize) -> Result<Option<Ending>, Untranslated> {
        let moved = self.with_moved_stack(decoded);
        let decoded = moved.as_ref().unwrap_or(decoded);
        match decoded.class {
            Class::Left => return Err(Untranslated),
            Class::Nothing => {}
            Class::Syscall => {
                self.leave(Reason::Syscall, block);
                return Ok(Some(Ending::Closed));
            }
            Class::Push => self.push(decoded)?,
            Class::Pop => self.pop(decoded)?,
            Class::Leave => self.leave_frame(&decoded.instruction)?,
            Class::Lea => self.lea(decoded)?,
            Class::String => self.string(&decoded.instruction)?,
            Class::Branch => return self.branch(decoded).map(Some),
            Class::Noted => self.noted(decoded)?,
            Class::Plain => self.plain(decoded)?,
        }
        Ok(None)
    }
}
