//! What lies at the start of the code cache: the ways out, the bottom of the return stack, and string instructions.
//!
//! String instructions take their operands from rsi and rdi without a prefix that could confine them. So they run here:
//! the low halves of the registers are moved into the window, and moved back after it. They go on element by element and
//! so meet the window's guards before they could leave it.

use crate::context::{COUNTER, REASONS, Reason, SCRATCH, slot};
use crate::emit::{Emit, RSP};
use crate::kind::Kind;

const RSI: u8 = 6;
const RDI: u8 = 7;

/// Homes of rsi and rdi during a string instruction.
pub(crate) const SAVED_RSI: usize = 0;
pub(crate) const SAVED_RDI: usize = 1;

/// Which registers a string instruction moves.
const OPCODES: [(u8, bool, bool); 5] =
    // movs, cmps, stos, lods, scas: opcode of the byte form, uses rsi, uses rdi.
    [(0xa4, true, true), (0xa6, true, true), (0xaa, false, true), (0xac, true, false), (0xae, false, true)];
const PREFIXES: [Option<u8>; 3] = [None, Some(0xf3), Some(0xf2)];

/// One string instruction's code.
pub(crate) struct StringStub {
    /// Its own encoding, without operand size: prefix, byte form's opcode and size.
    key: (Option<u8>, u8, u8),
    pub(crate) start: usize,
    /// The instruction itself, and after it.
    pub(crate) instruction: (usize, usize),
    pub(crate) uses_rsi: bool,
    pub(crate) uses_rdi: bool,
    /// It is repeated, and so counts rcx down.
    pub(crate) counts: bool,
}

/// The stubs, by their offsets in the code cache.
pub(crate) struct Stubs {
    pub(crate) bytes: Vec<u8>,
    reasons: [usize; REASONS.len()],
    /// An indirect branch to the guest address in the scratch register.
    pub(crate) indirect: usize,
    /// The bottom of the return stack.
    pub(crate) bottom: usize,
    strings: Vec<StringStub>,
    /// Whether each offset is one of the places that other code is made for.
    is_entry: Vec<bool>,
}

impl Stubs {
    /// For code of a kind.
    pub(crate) fn new(kind: Kind) -> Self {
        let mut emit = Emit::new(kind);
        let reasons = REASONS.map(|reason| {
            let start = emit.len();
            emit.store_imm(slot::REASON, reason as u32);
            emit.jump_slot(slot::LEAVE);
            start
        });
        let bottom = emit.len();
        emit.add(RSP, -8);
        let indirect = emit.len();
        emit.jump_table(SCRATCH, false);
        let mut strings = Vec::new();
        for (opcode, uses_rsi, uses_rdi) in OPCODES {
            for size in [1, 2, 4, 8] {
                for prefix in PREFIXES {
                    strings.push(string(&mut emit, (prefix, opcode, size), uses_rsi, uses_rdi));
                }
            }
        }
        let mut is_entry = vec![false; emit.len()];
        let entries = reasons.into_iter().chain([indirect]).chain(strings.iter().map(|stub| stub.start));
        entries.for_each(|entry| is_entry[entry] = true);
        Self { bytes: emit.bytes, reasons, indirect, bottom, strings, is_entry }
    }

    /// The way out for a reason.
    pub(crate) fn reason(&self, reason: Reason) -> usize {
        self.reasons[reason as usize]
    }

    /// The stub of a string instruction: its prefix, its byte form's opcode, its operand size.
    pub(crate) fn string(&self, prefix: Option<u8>, opcode: u8, size: u8) -> Option<&StringStub> {
        self.strings.iter().find(|stub| stub.key == (prefix, opcode, size))
    }

    /// The string instruction whose code has a place.
    pub(crate) fn string_at(&self, at: usize) -> Option<&StringStub> {
        self.strings.iter().find(|stub| stub.instruction.0 == at)
    }

    /// Whether code may branch to an offset.
    pub(crate) fn is_entry(&self, offset: u64) -> bool {
        usize::try_from(offset).ok().and_then(|offset| self.is_entry.get(offset)).is_some_and(|is_entry| *is_entry)
    }
}

fn string(emit: &mut Emit, key: (Option<u8>, u8, u8), uses_rsi: bool, uses_rdi: bool) -> StringStub {
    let start = emit.len();
    let registers = [(uses_rsi, RSI, SAVED_RSI), (uses_rdi, RDI, SAVED_RDI)];
    let used = || registers.into_iter().filter(|(used, ..)| *used).map(|(_, register, home)| (register, home));
    emit.load(SCRATCH, slot::WINDOW);
    for (register, home) in used() {
        emit.store(slot::string(home), register);
        // mov esi, esi; lea rsi, [rsi + rcx]
        emit.raw(&[0x89, 0xc0 | register << 3 | register]);
        emit.raw(&[0x48, 0x8d, 0x04 | register << 3, SCRATCH << 3 | register]);
    }
    let (prefix, opcode, size) = key;
    let counts = prefix.is_some();
    if counts {
        emit.mov(SCRATCH, COUNTER);
    }
    let at = emit.len();
    if size == 2 {
        emit.raw(&[0x66]);
    }
    emit.bytes.extend(prefix);
    if size == 8 {
        emit.raw(&[0x48]);
    }
    emit.raw(&[if size == 1 { opcode } else { opcode + 1 }]);
    let end = emit.len();
    if counts {
        emit.mov(COUNTER, SCRATCH);
    }
    emit.load(SCRATCH, slot::WINDOW);
    // not rcx: -window - 1.
    emit.raw(&[0x48, 0xf7, 0xd0 | SCRATCH]);
    for (register, _) in used() {
        // lea rsi, [rsi + rcx + 1]
        emit.raw(&[0x48, 0x8d, 0x44 | register << 3, SCRATCH << 3 | register, 1]);
    }
    for (register, home) in used() {
        // The upper half that the register had.
        emit.store_imm(slot::string(home), 0);
        emit.load(SCRATCH, slot::string(home));
        emit.raw(&[0x48, 0x8d, 0x04 | register << 3, SCRATCH << 3 | register]);
    }
    emit.ret();
    StringStub { key, start, instruction: (at, end), uses_rsi, uses_rdi, counts }
}
