//! From guest code to host code.
//!
//! A piece is one or more basic blocks that follow each other in the guest. A block's instructions are decoded, and each
//! becomes a few host instructions; at the start of each of them the guest's state is complete: its registers are in the
//! host registers of the same names, except that
//! - the guest's rsp is in r11, since rsp points to the return stack, and its rcx in r9, since rcx is free for whatever
//!   an instruction needs, above all for tests that don't touch the flags;
//! - r10 counts the budget down;
//! - the guest's r9, r10 and r11 live in the context, or for a block in registers that it doesn't use ([`loans`]).
//!
//! So every instruction's start can be entered, and a fault finds the state from before the instruction but for a few
//! borrowed registers, which [`Insn`] names. Flags are the host's. Counting changes them: so a block counts where the
//! instructions that follow set them all, or else in a longer way that keeps them.

mod branch;
mod liveness;
mod loans;
mod operand;
mod stack;

use callgate_emulator::{CpuModel, PAGE_SIZE};
use iced_x86::{Decoder, DecoderError, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic};

use crate::context::{Context, HOMED, Reason, TEMPORARIES, slot};
use crate::emit::{Emit, JMP, JS};
use crate::stubs::Stubs;
use crate::verify;
use crate::window::WINDOW;
use loans::Lent;

/// Most instructions in a block: their count must fit in a signed byte.
const MAX_INSTRUCTIONS: usize = 64;
/// What translated code can execute beyond its budget before it notices: blocks count in their middle.
pub(crate) const MARGIN: u64 = MAX_INSTRUCTIONS as u64;
/// Bytes of the longest instruction.
pub(crate) const LONGEST: usize = 15;
/// Most blocks in a piece.
const MAX_BLOCKS: usize = 16;
/// The longest code that a piece can become, roughly; what the cache must have room for.
pub(crate) const MAX_PIECE: usize = 1 << 18;

/// Where an instruction's code is, and what a fault in it has to put back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Insn {
    /// The guest's instruction's place in its page.
    pub(crate) guest: u16,
    /// Offset of its code in the cache.
    pub(crate) host: u32,
    /// The host registers whose values are in the temporaries.
    pub(crate) borrowed: [u8; TEMPORARIES],
}

/// Not a register.
pub(crate) const NONE: u8 = 0xff;

/// A translated block.
#[derive(Debug)]
pub(crate) struct Block {
    /// Its guest addresses.
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Offsets in the cache: where it is entered, and where it ends.
    pub(crate) entry: usize,
    pub(crate) after: usize,
    /// How many instructions it counts: those translated, and a `syscall` after them.
    pub(crate) count: u8,
    /// The instruction before which they are counted, all at once.
    pub(crate) check: u8,
    /// Registers that are lent, and how many instructions for: not for a branch at the end.
    lent: Lent,
    pub(crate) lent_for: u8,
    /// The frame that its only instruction crosses into.
    pub(crate) second: Option<u32>,
    pub(crate) insns: Box<[Insn]>,
}

impl Block {
    /// Puts registers into the places that they have within the block.
    pub(crate) fn lend(&self, context: &mut Context) {
        loans::enter(&self.lent, context);
    }

    /// Puts them back.
    pub(crate) fn take_back(&self, context: &mut Context) {
        loans::leave(&self.lent, context);
    }
}

/// A direct branch out of a block.
#[derive(Debug)]
pub(crate) struct Site {
    /// Offset of its displacement in the cache.
    pub(crate) at: usize,
    /// Offset of the code that leaves to find its target.
    pub(crate) stub: usize,
    /// The guest address that it leads to.
    pub(crate) target: u64,
    /// The page that it is in.
    pub(crate) page: u64,
}

/// What was translated at once.
pub(crate) struct Piece {
    pub(crate) bytes: Vec<u8>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) sites: Vec<Site>,
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
    /// The instructions that there are.
    pub(crate) model: CpuModel,
    /// The guest address to begin at, below the window's size.
    pub(crate) address: u64,
    /// Its page's content; with the start of the next page for an instruction that crosses into it, which becomes a
    /// piece of its own.
    pub(crate) page: &'a [u8],
    /// Offset in the cache that the piece will have, and the numbers of its first block and site.
    pub(crate) origin: usize,
    pub(crate) first_block: usize,
    pub(crate) first_site: usize,
}

impl Request<'_> {
    fn crosses(&self) -> bool {
        self.page.len() > PAGE_SIZE
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
    emit: Emit,
    info: InstructionInfoFactory,
    sites: Vec<Site>,
    /// Branches to be resolved to code at the piece's end.
    outside: Vec<(usize, Outside)>,
    /// Of the instruction at hand.
    borrowed: [u8; TEMPORARIES],
    scratch_free: bool,
    /// Of the block at hand.
    lent: Lent,
}

/// What a branch leads to that lies out of the way.
#[derive(Clone, Copy)]
enum Outside {
    /// The stub of a site.
    Site(usize),
    /// The way out when the budget has not enough for a block.
    Budget(usize, Lent),
    /// A wrong return: the scratch register has the guest address less this one.
    WrongReturn(u64),
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
pub(crate) fn translate(request: &Request<'_>, stubs: &Stubs, known: &dyn Fn(u64) -> bool) -> Option<Piece> {
    let mut translator = Translator {
        request,
        stubs,
        emit: Emit::new(),
        info: InstructionInfoFactory::new(),
        sites: Vec::new(),
        outside: Vec::new(),
        borrowed: [NONE; TEMPORARIES],
        scratch_free: true,
        lent: [None; HOMED.len()],
    };
    let mut blocks: Vec<Block> = Vec::new();
    let mut address = request.address;
    loop {
        let follows = blocks.len() < if request.crosses() { 1 } else { MAX_BLOCKS }
            && (address ^ request.address) < PAGE_SIZE as u64
            && (blocks.is_empty() || !known(address) && blocks.iter().all(|block| block.start != address));
        let Some((block, ending)) = follows.then(|| translator.block(address, blocks.len())).flatten() else {
            if !blocks.is_empty() {
                translator.jump(JMP, address);
            }
            break;
        };
        address = block.end;
        blocks.push(block);
        if ending == Ending::Closed {
            break;
        }
    }
    if blocks.is_empty() {
        return None;
    }
    if let Some(last) = blocks.last_mut() {
        last.after = translator.here();
    }
    translator.finish();
    Some(Piece { bytes: translator.emit.bytes, blocks, sites: translator.sites })
}

impl Translator<'_> {
    /// The offset in the cache that comes next.
    fn here(&self) -> usize {
        self.request.origin + self.emit.len()
    }

    fn decoder_at(&self, address: u64) -> Decoder<'_> {
        let offset = address as usize % PAGE_SIZE;
        Decoder::with_ip(64, &self.request.page[offset..], address, DecoderOptions::NONE)
    }

    /// The instructions of the block at an address, up to one that ends it or isn't translated.
    fn decode(&self, address: u64) -> Vec<Instruction> {
        let mut decoder = self.decoder_at(address);
        let mut list = Vec::with_capacity(16);
        let most = if self.request.crosses() { 1 } else { MAX_INSTRUCTIONS };
        while list.len() < most && decoder.can_decode() {
            let instruction = decoder.decode();
            if instruction.is_invalid() || !self.translatable(&instruction) {
                break;
            }
            list.push(instruction);
            match self.goes_on(&list, address) {
                Some(target) => decoder = self.decoder_at(target),
                None if instruction.flow_control() != FlowControl::Next => break,
                None => {}
            }
        }
        list
    }

    /// Where a block goes on after a jump: at its target, if that is near and not in the block already.
    fn goes_on(&self, list: &[Instruction], start: u64) -> Option<u64> {
        let last = list.last().filter(|last| last.is_jmp_short_or_near() && !self.request.crosses())?;
        let target = last.near_branch_target();
        let near = (target ^ start) < PAGE_SIZE as u64 && list.len() < MAX_INSTRUCTIONS / 2;
        (near && list.iter().all(|instruction| instruction.ip() != target)).then_some(target)
    }

    /// Whether an instruction is one that translation knows at all.
    fn translatable(&self, instruction: &Instruction) -> bool {
        let next = instruction.next_ip();
        if next >= WINDOW || !self.request.model.executes(instruction) {
            return false;
        }
        match instruction.mnemonic() {
            Mnemonic::Syscall | Mnemonic::Push | Mnemonic::Pop | Mnemonic::Leave | Mnemonic::Endbr64 => true,
            Mnemonic::Nop | Mnemonic::Loop | Mnemonic::Endbr32 => true,
            Mnemonic::Loope | Mnemonic::Loopne => false,
            _ if instruction.is_string_instruction() => stack::string_key(instruction).is_some(),
            _ => verify::permitted(instruction) && operand::plain_memory(instruction),
        }
    }

    /// Translates one block.
    fn block(&mut self, address: u64, index: usize) -> Option<(Block, Ending)> {
        let mut instructions = self.decode(address);
        let before = (self.emit.len(), self.sites.len(), self.outside.len());
        while !instructions.is_empty() {
            match self.try_block(&instructions, self.request.first_block + index) {
                Ok(block) => return Some(block),
                Err(translated) => {
                    // Where the count goes depends on the whole block.
                    instructions.truncate(translated);
                    self.lent = [None; HOMED.len()];
                    self.rewind(before);
                }
            }
        }
        None
    }

    /// Translates all of these instructions as a block; else says how many it could.
    fn try_block(&mut self, instructions: &[Instruction], number: usize) -> Result<(Block, Ending), usize> {
        let start = instructions[0].ip();
        let end = instructions[instructions.len() - 1].next_ip();
        let entry = self.here();
        let count = instructions.len() as u8;
        let setter = liveness::first_setter(instructions);
        if setter.is_none() {
            self.count_keeping_flags(number, count);
        }
        let is_end =
            |last: &&Instruction| last.flow_control() != FlowControl::Next || last.mnemonic() == Mnemonic::Syscall;
        let body = instructions.len() - usize::from(instructions.last().filter(is_end).is_some());
        let lent = self.loans(&instructions[..body]);
        self.lend(lent);
        let mut insns = Vec::with_capacity(instructions.len());
        let mut ending = None;
        for instruction in instructions {
            if insns.len() == body {
                self.take_back(lent);
            }
            if setter == Some(insns.len()) {
                self.emit.sub_budget(count);
                let branch = self.emit.branch(JS);
                self.outside.push((branch, Outside::Budget(number, self.lent)));
            }
            let host = self.here() as u32;
            self.borrowed = [NONE; TEMPORARIES];
            self.scratch_free = true;
            // A jump that the block goes on after has been made by decoding.
            let last = insns.len() + 1 == instructions.len();
            if last || !instruction.is_jmp_short_or_near() {
                ending = self.one(instruction, number).map_err(|Untranslated| insns.len())?;
            }
            let guest = (instruction.ip() % PAGE_SIZE as u64) as u16;
            insns.push(Insn { guest, host, borrowed: self.borrowed });
        }
        if body == instructions.len() {
            self.take_back(lent);
        }
        let ending = ending.unwrap_or_else(|| {
            let rest = &self.request.page[(end - 1) as usize % PAGE_SIZE + 1..];
            if insns.len() == MAX_INSTRUCTIONS || rest.is_empty() || self.request.crosses() || crosses(rest) {
                Ending::Open
            } else {
                self.leave(Reason::Interpret, number);
                Ending::Closed
            }
        });
        let check = setter.unwrap_or(0) as u8;
        let (after, lent_for) = (self.here(), body as u8);
        Ok((
            Block { start, end, entry, after, count, check, lent, lent_for, second: None, insns: insns.into() },
            ending,
        ))
    }

    fn rewind(&mut self, (bytes, sites, outside): (usize, usize, usize)) {
        self.emit.bytes.truncate(bytes);
        self.sites.truncate(sites);
        self.outside.truncate(outside);
    }

    /// Counts a block's instructions down without touching the flags.
    fn count_keeping_flags(&mut self, block: usize, count: u8) {
        self.emit.add(crate::context::BUDGET, -i32::from(count));
        self.emit.budget_sign();
        self.emit.skip_if_ecx_0(5);
        let branch = self.emit.branch(JMP);
        self.outside.push((branch, Outside::Budget(block, [None; HOMED.len()])));
    }

    /// Leaves to the runtime for a block's sake.
    fn leave(&mut self, reason: Reason, block: usize) {
        self.emit.store_imm(slot::ARGUMENT, block as u32);
        self.branch_to_stub(JMP, self.stubs.reason(reason));
    }

    /// A branch to a stub.
    fn branch_to_stub(&mut self, opcode: &[u8], stub: usize) {
        let branch = self.emit.branch(opcode);
        let displacement = stub as i64 - (self.request.origin + branch + 4) as i64;
        self.emit.bytes[branch..branch + 4].copy_from_slice(&(displacement as i32).to_le_bytes());
    }

    /// A direct branch to a guest address: at first to its stub.
    fn jump(&mut self, opcode: &[u8], target: u64) {
        let branch = self.emit.branch(opcode);
        self.outside.push((branch, Outside::Site(self.sites.len())));
        let (at, page) = (self.request.origin + branch, self.request.address / PAGE_SIZE as u64);
        self.sites.push(Site { at, stub: 0, target, page });
    }

    /// Puts what lies out of the way behind the blocks.
    fn finish(&mut self) {
        for (branch, outside) in std::mem::take(&mut self.outside) {
            let here = self.emit.len();
            self.emit.resolve(branch, here);
            match outside {
                Outside::Site(site) => {
                    self.sites[site].stub = self.here();
                    self.emit.store_imm(slot::ARGUMENT, (self.request.first_site + site) as u32);
                    self.branch_to_stub(JMP, self.stubs.reason(Reason::Link));
                }
                Outside::Budget(block, lent) => {
                    self.take_back(lent);
                    self.leave(Reason::Budget, block);
                }
                Outside::WrongReturn(address) => {
                    self.emit.add_address(address, false);
                    self.branch_to_stub(JMP, self.stubs.indirect);
                }
            }
        }
    }

    /// Translates one instruction; says how the block ends if it ends there.
    fn one(&mut self, instruction: &Instruction, block: usize) -> Result<Option<Ending>, Untranslated> {
        match instruction.mnemonic() {
            Mnemonic::Endbr64 | Mnemonic::Endbr32 | Mnemonic::Nop => Ok(None),
            Mnemonic::Syscall => {
                self.leave(Reason::Syscall, block);
                Ok(Some(Ending::Closed))
            }
            Mnemonic::Push => self.push(instruction).map(|()| None),
            Mnemonic::Pop => self.pop(instruction).map(|()| None),
            Mnemonic::Leave => self.leave_frame(instruction).map(|()| None),
            Mnemonic::Lea => self.lea(instruction).map(|()| None),
            _ if instruction.is_string_instruction() => self.string(instruction).map(|()| None),
            _ if instruction.flow_control() != FlowControl::Next => self.branch(instruction).map(Some),
            _ => self.plain(instruction).map(|()| None),
        }
    }
}
