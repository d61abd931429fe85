//! Programs of many instructions: branches, loops, calls, computed jumps; flags that are read late, or not at all;
//! comparisons next to the branch that reads them; programs that write themselves.
//!
//! They end for sure: what goes back counts down a register that nothing else writes. And they depend on nothing that
//! the manual leaves undefined: which flags are undefined is known at each instruction, and one that would read such a
//! flag is not taken. Where ways meet that are not yet known (at the top of a loop, at a function's start), all flags are
//! defined beforehand.

use iced_x86::{Decoder, DecoderOptions, InstructionInfoFactory, OpAccess, OpKind, Register};

use crate::instruction::{Encoded, Form, encode};
use crate::pools::{Pools, flags_read, flags_undefined, rflags};
use crate::rng::Rng;
use crate::state::{LEAVE_BYTES, SLOT};

/// OF, SF, ZF, AF, PF, CF.
const STATUS: u64 = 0x8d5;
const AF: u64 = 0x10;
/// Instructions of one byte that can take each other's place: NOP, CLC, STC, CMC, CWDE, CDQ, CLD.
const BYTES: [u8; 7] = [0x90, 0xf8, 0xf9, 0xf5, 0x98, 0x99, 0xfc];
/// Room for what ends a loop.
const TAIL: usize = 32;
/// How far a branch with a displacement of eight bits may go, with room to spare.
const SHORT: usize = 100;

/// A program.
#[derive(Default)]
pub(crate) struct Program {
    pub(crate) bytes: Vec<u8>,
    /// In the order of their addresses.
    pub(crate) instructions: Vec<iced_x86::Instruction>,
    /// Before each instruction and at the end: flags that nobody has promised.
    pub(crate) undefined: Vec<u64>,
}

/// A program for the address `ip`. If `alias` is given its bytes can be written, there and at that address.
pub(crate) fn program(
    pools: &Pools,
    ip: u64,
    alias: Option<u64>,
    rng: &mut Rng,
    info: &mut InstructionInfoFactory,
) -> Program {
    let own = match rng.below(8) {
        0..=3 => &pools.flags,
        4 => &pools.plain,
        5 => &pools.vector,
        6 => rng.pick(&[&pools.vector, &pools.x87]),
        _ => &pools.all,
    };
    let calls = rng.one_in(4);
    let mut builder = Builder {
        pools,
        own,
        ip,
        alias,
        rng,
        info,
        program: Program::default(),
        now: 0,
        pinned: vec![Register::R14, Register::R13],
        limit: SLOT - LEAVE_BYTES,
        stack: !calls,
        in_function: false,
        function: None,
        victims: Vec::new(),
    };
    if calls {
        builder.function();
    }
    let items = 2 + builder.rng.below(12);
    builder.sequence(0, items);
    builder.program.undefined.push(builder.now);
    builder.program
}

/// A branch forward whose target is not yet known.
struct Forward {
    /// Its place among the instructions.
    index: usize,
    /// Where its displacement ends, and how long it is.
    end: usize,
    width: usize,
    /// The flags that are undefined where it branches.
    undefined: u64,
}

/// Bytes that may be replaced: one instruction of one byte, or the immediate of a MOV.
#[derive(Clone, Copy)]
struct Victim {
    at: usize,
    is_immediate: bool,
}

struct Builder<'a> {
    pools: &'a Pools,
    own: &'a [iced_x86::Code],
    ip: u64,
    alias: Option<u64>,
    rng: &'a mut Rng,
    info: &'a mut InstructionInfoFactory,
    program: Program,
    /// Flags that are undefined here.
    now: u64,
    /// Registers that nothing may write.
    pinned: Vec<Register>,
    /// Where the program must end.
    limit: usize,
    /// Whether instructions may move rsp.
    stack: bool,
    in_function: bool,
    /// The function's offset, and the flags that it leaves undefined.
    function: Option<(usize, u64)>,
    victims: Vec<Victim>,
}

impl Builder<'_> {
    fn here(&self) -> usize {
        self.program.bytes.len()
    }

    fn room(&self) -> usize {
        self.limit.saturating_sub(self.here())
    }

    /// Adds an instruction unless it reads flags that are undefined, or writes a pinned register. Says whether.
    fn push(&mut self, encoded: Encoded) -> bool {
        let i = &encoded.instruction;
        if flags_read(i) & self.now != 0 || encoded.bytes.len() > self.room() {
            return false;
        }
        let written = |access: OpAccess| !matches!(access, OpAccess::Read | OpAccess::CondRead | OpAccess::None);
        let moves_stack = i.is_stack_instruction();
        let spoils = self.info.info(i).used_registers().iter().any(|used| {
            let register = used.register().full_register();
            let pinned = self.pinned.contains(&register) || register == Register::RSP && !moves_stack;
            written(used.access()) && pinned
        });
        let explicit_stack = (0..i.op_count())
            .any(|n| i.op_kind(n) == OpKind::Register && i.op_register(n).full_register() == Register::RSP);
        if spoils || moves_stack && (explicit_stack || !self.stack) {
            return false;
        }
        self.add(encoded);
        true
    }

    /// Adds an instruction.
    fn add(&mut self, encoded: Encoded) {
        let i = &encoded.instruction;
        // A shift may shift by nothing, and leave flags as undefined as they were.
        let by_cl = i.op_count() > 1 && i.op1_kind() == OpKind::Register && i.op1_register() == Register::CL;
        let defined = if by_cl || i.op_count() > 2 { 0 } else { rflags(i.rflags_modified()) };
        self.program.undefined.push(self.now);
        self.now = self.now & !defined | flags_undefined(i);
        self.program.bytes.extend(&encoded.bytes);
        self.program.instructions.push(encoded.instruction);
    }

    /// Adds an instruction of given bytes, for which there is room. It reads no flags, or defined ones.
    fn raw(&mut self, bytes: &[u8]) {
        let at = self.ip + self.here() as u64;
        let instruction = Decoder::with_ip(64, bytes, at, DecoderOptions::NONE).decode();
        self.add(Encoded { bytes: bytes.to_vec(), instruction });
    }

    /// Adds one of some instructions, if one fits.
    fn one_of(&mut self, codes: &[iced_x86::Code]) {
        for _ in 0..8 {
            let at = self.ip + self.here() as u64;
            let code = self.rng.pick(codes);
            if let Some(encoded) = encode(code, at, 0, Form::Pinned, self.rng)
                && self.push(encoded)
            {
                return;
            }
        }
    }

    /// Has all of some flags defined.
    fn define(&mut self, flags: u64) {
        if self.now & flags == 0 {
            return;
        }
        // CMP, ADD, SUB of two of eax, edx, ebx.
        let [a, b] = [(); 2].map(|()| self.rng.pick(&[0u8, 2, 3]));
        let opcode = self.rng.pick(&[0x39, 0x01, 0x29]);
        self.raw(&[opcode, 0xc0 | a << 3 | b]);
    }

    /// Some items, at some depth of loops.
    fn sequence(&mut self, depth: u32, items: u64) {
        for _ in 0..items {
            if self.room() < 24 {
                return;
            }
            match self.rng.below(24) {
                0..=2 => self.branch(depth),
                3..=7 => self.pair(depth),
                8 | 9 if depth < 2 && self.room() > 2 * TAIL => self.repeat(depth),
                10 if self.room() > 2 * TAIL => self.computed(depth),
                11 | 12 => self.call(),
                13..=16 if self.alias.is_some() => self.modify(depth),
                _ => self.one_of(self.own),
            }
        }
    }

    /// A branch over a few items.
    fn branch(&mut self, depth: u32) {
        let condition = self.rng.below(16) as u8;
        let short = self.rng.one_in(2);
        let bytes: &[u8] = if short { &[0x70 | condition, 0] } else { &[0x0f, 0x80 | condition, 0, 0, 0, 0] };
        let at = self.ip + self.here() as u64;
        let instruction = Decoder::with_ip(64, bytes, at, DecoderOptions::NONE).decode();
        if self.push(Encoded { bytes: bytes.to_vec(), instruction }) {
            let forward = self.forward(if short { 1 } else { 4 });
            self.over(forward, depth);
        }
    }

    /// What the last instruction, which ends in a displacement, jumps over.
    fn over(&mut self, forward: Forward, depth: u32) {
        let limit = self.limit;
        if forward.width == 1 {
            self.limit = limit.min(self.here() + SHORT);
        }
        let items = self.rng.below(4);
        self.sequence(depth, items);
        self.limit = limit;
        self.land(&forward);
        self.now |= forward.undefined;
    }

    /// The last instruction as a branch forward.
    fn forward(&self, width: usize) -> Forward {
        Forward { index: self.program.instructions.len() - 1, end: self.here(), width, undefined: self.now }
    }

    /// Ends a branch forward here.
    fn land(&mut self, forward: &Forward) {
        let distance = (self.here() - forward.end) as u32;
        let field = forward.end - forward.width..forward.end;
        self.program.bytes[field].copy_from_slice(&distance.to_le_bytes()[..forward.width]);
        self.decode_again(forward.index);
    }

    /// Has an instruction say what its bytes say.
    fn decode_again(&mut self, index: usize) {
        let instruction = &mut self.program.instructions[index];
        let at = (instruction.ip() - self.ip) as usize;
        let bytes = &self.program.bytes[at..at + instruction.len()];
        *instruction = Decoder::with_ip(64, bytes, instruction.ip(), DecoderOptions::NONE).decode();
    }

    /// One that sets flags, perhaps some that leave them alone, and one that reads them.
    fn pair(&mut self, depth: u32) {
        self.one_of(&self.pools.producers);
        for _ in 0..self.rng.below(4).saturating_sub(1) {
            self.one_of(&self.pools.neutral);
        }
        if self.rng.one_in(2) { self.branch(depth) } else { self.one_of(&self.pools.consumers) }
    }

    /// A loop of up to six turns.
    fn repeat(&mut self, depth: u32) {
        let turns = 1 + self.rng.below(6) as u8;
        let flags = if self.rng.one_in(4) { STATUS } else { STATUS & !AF };
        // r15 outside, r12 inside, r10 in the function; rcx for LOOP and its kin.
        let by_rcx = self.rng.one_in(4) && !self.pinned.contains(&Register::RCX);
        let (register, start) = match (by_rcx, depth) {
            (true, _) => (Register::RCX, vec![0xb9, turns, 0, 0, 0]),
            _ if self.in_function => (Register::R10, vec![0x41, 0xba, turns, 0, 0, 0]),
            (false, 0) => (Register::R15, vec![0x41, 0xbf, turns, 0, 0, 0]),
            (false, _) => (Register::R12, vec![0x41, 0xbc, turns, 0, 0, 0]),
        };
        self.raw(&start);
        self.define(flags);
        self.now |= STATUS & !flags;
        let top = self.here();
        self.pinned.push(register);
        let limit = self.limit;
        self.limit -= TAIL;
        if by_rcx {
            self.limit = self.limit.min(top + SHORT);
        }
        let items = 1 + self.rng.below(6);
        self.sequence(depth + 1, items);
        self.limit = limit;
        self.define(flags);
        if by_rcx {
            self.count_rcx(top);
        } else {
            self.count(register, flags, top);
        }
        self.pinned.retain(|pinned| *pinned != register);
    }

    /// Counts r15, r12 or r10 down, and goes back to the top of its loop unless it is done.
    fn count(&mut self, register: Register, flags: u64, top: usize) {
        const NE: u8 = 5;
        const C: u8 = 2;
        const G: u8 = 15;
        // The low three bits of the number.
        let n = register.number() as u8 & 7;
        let condition = match self.rng.below(7) {
            // DEC, of 64 and of 32 bits.
            0 | 1 => {
                self.raw(&[0x49, 0xff, 0xc8 | n]);
                NE
            }
            2 => {
                self.raw(&[0x41, 0xff, 0xc8 | n]);
                G
            }
            // SUB 1; ADD -1, which carries until it is done, once more.
            3 => {
                self.raw(&[0x49, 0x83, 0xe8 | n, 1]);
                NE
            }
            4 => {
                self.raw(&[0x49, 0x83, 0xc0 | n, 0xff]);
                C
            }
            // SUB 1, CMP 0.
            5 => {
                self.raw(&[0x49, 0x83, 0xe8 | n, 1]);
                self.raw(&[0x49, 0x83, 0xf8 | n, 0]);
                NE
            }
            // SUB 1, TEST, which leaves AF undefined.
            _ => {
                self.raw(&[0x49, 0x83, 0xe8 | n, 1]);
                if flags & AF == 0 {
                    self.raw(&[0x4d, 0x85, 0xc0 | n << 3 | n]);
                }
                NE
            }
        };
        self.back(condition, top);
    }

    /// Counts rcx down.
    fn count_rcx(&mut self, top: usize) {
        let back = |builder: &Self, len: usize| (top as i64 - (builder.here() + len) as i64) as i8 as u8;
        match self.rng.below(4) {
            // LOOPNE, LOOPE, LOOP.
            kind @ 0..=2 => self.raw(&[0xe0 + kind as u8, back(self, 2)]),
            _ => {
                // LEA rcx, [rcx - 1]; JRCXZ; and any condition.
                self.raw(&[0x48, 0x8d, 0x49, 0xff]);
                self.raw(&[0xe3, 6]);
                let condition = self.rng.below(16) as u8;
                let before = self.here();
                self.back_near(condition, top);
                debug_assert_eq!(self.here() - before, 6);
            }
        }
    }

    fn back(&mut self, condition: u8, top: usize) {
        let distance = top as i64 - (self.here() + 2) as i64;
        match i8::try_from(distance) {
            Ok(distance) if !self.rng.one_in(4) => self.raw(&[0x70 | condition, distance as u8]),
            _ => self.back_near(condition, top),
        }
    }

    fn back_near(&mut self, condition: u8, top: usize) {
        let distance = (top as i64 - (self.here() + 6) as i64) as i32;
        let [a, b, c, d] = distance.to_le_bytes();
        self.raw(&[0x0f, 0x80 | condition, a, b, c, d]);
    }

    /// A jump to an address in a register, on the stack or in memory, over a few items.
    fn computed(&mut self, depth: u32) {
        // LEA r11, [rip + …].
        self.raw(&[0x4c, 0x8d, 0x1d, 0, 0, 0, 0]);
        let lea = self.forward(4);
        match self.rng.below(3) {
            // JMP r11.
            0 => self.raw(&[0x41, 0xff, 0xe3]),
            // PUSH r11; RET.
            1 => {
                self.raw(&[0x41, 0x53]);
                self.raw(&[0xc3]);
            }
            // MOV [r14 + …], r11; JMP [r14 + …].
            _ => {
                let offset = self.rng.next() as u8;
                self.raw(&[0x4d, 0x89, 0x5e, offset]);
                self.raw(&[0x41, 0xff, 0x66, offset]);
            }
        }
        self.over(Forward { undefined: self.now, ..lea }, depth);
    }

    /// A function, at the program's start, and a jump over it.
    fn function(&mut self) {
        self.raw(&[0xe9, 0, 0, 0, 0]);
        let over = self.forward(4);
        let start = self.here();
        let limit = self.limit;
        self.limit = limit.min(start + SHORT);
        // What counts the loops that call it, it leaves alone.
        let counters = [Register::RCX, Register::R12, Register::R15];
        self.pinned.extend(counters);
        self.in_function = true;
        let items = 1 + self.rng.below(4);
        self.sequence(1, items);
        self.in_function = false;
        self.pinned.retain(|pinned| !counters.contains(pinned));
        self.limit = limit;
        self.function = Some((start, self.now));
        self.raw(&[0xc3]);
        self.land(&over);
        self.now = over.undefined;
    }

    /// Calls the function, if there is one.
    fn call(&mut self) {
        let Some((start, after)) = self.function else { return self.one_of(self.own) };
        self.define(STATUS);
        let distance = (start as i64 - (self.here() + 5) as i64) as i32;
        let [a, b, c, d] = distance.to_le_bytes();
        self.raw(&[0xe8, a, b, c, d]);
        self.now = after;
    }

    /// Writes into the program: what comes next, or what has been.
    fn modify(&mut self, depth: u32) {
        if self.room() < 64 {
            return self.one_of(self.own);
        }
        let is_immediate = self.rng.one_in(2);
        let old = self.victims.iter().copied().filter(|victim| victim.is_immediate == is_immediate).collect::<Vec<_>>();
        if depth > 0 && !old.is_empty() && self.rng.one_in(2) {
            // It runs again if this is in a loop.
            let victim = self.rng.pick(&old);
            self.write(victim.is_immediate, Some(victim.at));
            return;
        }
        let fixup = self.write(is_immediate, None);
        let limit = self.limit;
        self.limit = limit.saturating_sub(16);
        let items = self.rng.below(3);
        self.sequence(depth + 2, items);
        self.limit = limit;
        let at = self.victim(is_immediate);
        self.fix(&fixup, at);
    }

    /// Adds bytes that may be replaced, and says where some are.
    fn victim(&mut self, is_immediate: bool) -> usize {
        if is_immediate {
            // MOV eax, edx or ebx.
            let register = self.rng.pick(&[0u8, 2, 3]);
            let [a, b, c, d] = (self.rng.next() as u32).to_le_bytes();
            self.raw(&[0xb8 | register, a, b, c, d]);
            let at = self.here() - 4;
            self.victims.push(Victim { at, is_immediate });
            return at;
        }
        for _ in 0..4 {
            // Any of them may become CMC.
            self.define(1);
            let at = self.here();
            let byte = self.rng.pick(&BYTES);
            self.raw(&[byte]);
            self.victims.push(Victim { at, is_immediate });
        }
        let among = self.victims.len() - 1 - self.rng.below(4) as usize;
        self.victims[among].at
    }

    /// A store into the program, at its own address or at its alias. Where, if it isn't given, is to be fixed.
    fn write(&mut self, is_immediate: bool, at: Option<usize>) -> Fixup {
        let aliased = self.rng.one_in(3) && !self.pinned.contains(&Register::RCX);
        // The operand: [rip + …], or the alias as an absolute address.
        let operand = |reg: u8| if aliased { vec![4 | reg << 3, 0x25] } else { vec![5 | reg << 3] };
        let byte = self.rng.pick(&BYTES);
        let (opcode, reg, immediate): (&[u8], u8, Vec<u8>) = match (is_immediate, self.rng.below(6)) {
            // MOV byte, imm8.
            (false, _) => (&[0xc6], 0, vec![byte]),
            (true, 0) => (&[0xc6], 0, vec![self.rng.next() as u8]),
            // INC byte; ADD dword, imm8; XOR byte, imm8; MOV dword, imm32; MOV dword, eax.
            (true, 1) => (&[0xfe], 0, vec![]),
            (true, 2) => (&[0x83], 0, vec![self.rng.next() as u8]),
            (true, 3) => (&[0x80], 6, vec![self.rng.next() as u8]),
            (true, 4) => (&[0xc7], 0, self.rng.next().to_le_bytes()[..4].to_vec()),
            (true, _) => (&[0x89], 0, vec![]),
        };
        let bytes = [opcode, &operand(reg), &[0; 4], &immediate].concat();
        self.raw(&bytes);
        let field = self.here() - immediate.len() - 4;
        let fixup = Fixup { index: self.program.instructions.len() - 1, field, end: self.here(), aliased };
        if let Some(at) = at {
            self.fix(&fixup, at);
        }
        if aliased {
            // The manual wants an instruction that serializes: CPUID, whose answer is forgotten.
            self.raw(&[0x0f, 0xa2]);
            for register in [0, 1, 2, 3u8] {
                self.raw(&[0x31, 0xc0 | register << 3 | register]);
            }
        }
        fixup
    }

    /// Tells a store where it stores.
    fn fix(&mut self, fixup: &Fixup, at: usize) {
        let value = match self.alias {
            Some(alias) if fixup.aliased => alias as u32 + at as u32,
            _ => (at as i64 - fixup.end as i64) as i32 as u32,
        };
        self.program.bytes[fixup.field..fixup.field + 4].copy_from_slice(&value.to_le_bytes());
        self.decode_again(fixup.index);
    }
}

/// The address in a store.
struct Fixup {
    index: usize,
    field: usize,
    end: usize,
    aliased: bool,
}
