//! Shapes: what instructions are without their registers, displacements and immediates.
//!
//! What executes an instruction depends on nothing else, and a program has few shapes: the 4,400 instructions that a small
//! one begins with are of 300. What iced-x86 says of each is in tables of constants (`build.rs`), since its own are made when
//! it first decodes, which takes longer than a small program runs. So the function for the first of a shape is looked for, and
//! of all that follow only the operands are read. Rare encodings have no shape here (EVEX, x87, MMX, addresses of 32 bits):
//! those iced-x86 decodes one by one.
//!
//! Manual: Intel SDM, volume 2, chapter 2 (formats) and appendix A (opcode maps).

use iced_x86::{Code, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use super::decode::{self, Decoded};
use super::op::{Num, Op};
use super::units::Target;
use crate::{cpuid, seg};

/// Most shapes that are known at a time.
const SLOTS: usize = 1 << 13;

/// Shapes that there is room for from the start: those of a small program.
const EXPECTED: usize = 512;

/// How what follows an opcode is to be read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
struct Layout(u8);

impl Layout {
    /// Not here.
    const NONE: Self = Self(0);
    /// There is nothing but perhaps an immediate. (`PLAIN`, 1.)
    /// The opcode's last three bits name an operand.
    const IN_OPCODE: Self = Self(2);
    /// A ModRM byte.
    const MODRM: Self = Self(3);
    /// A ModRM byte whose reg is part of the opcode.
    const GROUP: Self = Self(4);
    /// A ModRM byte which, if its r/m is a register, is part of the opcode as a whole.
    const WHOLE: Self = Self(5);
}

/// Where a register operand is named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Opcode,
    Reg,
    Rm,
    Vvvv,
}

/// What `Read::shape` tells an encoding by, besides its opcode, and what iced-x86 says of it.
struct Key {
    rest: u16,
    code: u16,
    /// Where in `FORMS` the rest is.
    form: u16,
}

/// What iced-x86 says of all encodings that are alike.
struct Form {
    /// How many operands it has, and the kind of each.
    count: u8,
    kinds: [u8; 4],
    /// The registers that iced-x86 found there, and where each was named.
    registers: [u8; 4],
    places: [Option<Place>; 4],
    /// Bytes of the immediate.
    width: u8,
    /// 1 if F3 repeats it, 2 if F2 does.
    repeats: u8,
}

// `LAYOUTS` by map and opcode; for each opcode in turn where in `KEYS` its encodings begin, `FIRST`; and there they are in
// their order. So what a program needs lies near, and `FORMS`, of which there are few, nearer.
include!(concat!(env!("OUT_DIR"), "/shapes.rs"));

/// The first of the maps with VEX.
const VEX: usize = 4;

/// The opcode's bits of a key are above those of its encodings.
const KEY_BITS: u32 = 12;
/// In a key: r/m is a register.
const IS_REGISTER: u32 = 1 << 5;
/// Behind a key: there is an index; the segment.
const IS_INDEXED: u32 = 1 << 23;
const SEGMENT: u32 = 24;

/// Bytes that are looked at: more than the longest instruction has, so that numbers can be read in one piece.
pub(super) const WINDOW: usize = 32;

/// Bytes from an instruction's first on.
type Window = [u8; WINDOW];

/// By its bytes, the mask and the sign of a number.
const NUMBERS: [(u64, u64); 9] = {
    let mut numbers = [(0, 0); 9];
    let mut bytes = 1;
    while bytes <= 8 {
        numbers[bytes] = (u64::MAX >> (64 - 8 * bytes), 1 << (8 * bytes - 1));
        bytes += 1;
    }
    numbers
};

/// A number of so many bytes at a place, sign-extended.
#[inline(always)]
fn signed(window: &Window, at: usize, bytes: u8) -> u64 {
    let (mask, sign) = NUMBERS[usize::from(bytes) % NUMBERS.len()];
    let raw = window[at % (WINDOW / 2)..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    (raw & mask ^ sign).wrapping_sub(sign)
}

/// The byte at a place.
#[inline(always)]
fn byte(window: &Window, at: usize) -> u8 {
    window[at % WINDOW]
}

/// An instruction as far as its operands are read without knowing what it is. What can be done without branches is: which
/// way they go is anybody's guess, and most of the time goes into guesses.
struct Read {
    shape: u32,
    layout: Layout,
    /// REX, or what VEX has of it; 0 if there is neither.
    rex: u8,
    opcode: u8,
    modrm: u8,
    /// VEX's register.
    vvvv: u8,
    /// The memory operand, unless it is relative to rip: that needs the length.
    disp: u64,
    base: Num,
    index: Num,
    scale: u8,
    is_relative: bool,
    /// Where an immediate would be.
    end: usize,
}

impl Read {
    /// Reads an instruction. If it isn't one of those here, so many bytes have told.
    #[inline(always)]
    fn of(window: &Window) -> Result<Self, usize> {
        let (mut at, mut prefix, mut lock, mut segment) = (0, 0, 0, 0);
        let mut is_narrow = false;
        let mut opcode = window[0];
        if matches!(opcode, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3) {
            let mut is_padded = false;
            loop {
                // Each once, and one of those that can be part of an opcode.
                match opcode {
                    0x66 if prefix == 0 => prefix = 1,
                    0xf3 if prefix == 0 => prefix = 2,
                    0xf2 if prefix == 0 => prefix = 3,
                    0xf0 if lock == 0 => lock = 1,
                    0x64 if segment == 0 => segment = seg::FS,
                    0x65 if segment == 0 => segment = seg::GS,
                    // Segments that all begin at 0: they fill up space.
                    0x26 | 0x2e | 0x36 | 0x3e if !is_padded => is_padded = true,
                    0x67 if !is_narrow => is_narrow = true,
                    _ => break,
                }
                at += 1;
                opcode = byte(window, at);
            }
        }
        let is_rex = opcode & 0xf0 == 0x40;
        let mut rex = if is_rex { opcode } else { 0 };
        at += usize::from(is_rex);
        opcode = byte(window, at);
        let (mut map, mut vvvv, mut long) = (0, 0, 0);
        if opcode & 0xfe == 0xc4 {
            if prefix != 0 || lock != 0 || is_rex {
                return Err(at + 1);
            }
            let mut last = byte(window, at + 1);
            if opcode == 0xc4 {
                map = match last & 31 {
                    map @ 1..=3 => VEX - 1 + usize::from(map),
                    _ => return Err(at + 2),
                };
                rex = 0x40 | !last >> 5 & 7;
                last = byte(window, at + 2);
                rex |= last >> 4 & 8;
                at += 3;
            } else {
                map = VEX;
                rex = 0x40 | !last >> 5 & 4;
                at += 2;
            }
            vvvv = !last >> 3 & 15;
            long = u32::from(last >> 2 & 1);
            prefix = u32::from(last & 3);
            opcode = byte(window, at);
        }
        at += 1;
        let is_escaped = map == 0 && opcode == 0x0f;
        opcode = if is_escaped { byte(window, at) } else { opcode };
        map += usize::from(is_escaped);
        at += usize::from(is_escaped);
        if map == 1 && matches!(opcode, 0x38 | 0x3a) {
            map = if opcode == 0x38 { 2 } else { 3 };
            opcode = byte(window, at);
            at += 1;
        }
        // With REX.B, NOP is none. Addresses of 32 bits are known only of instructions that have none, for which the prefix
        // fills up space, too.
        let layout = LAYOUTS[map][usize::from(opcode)];
        let is_odd = map == 0 && (opcode, rex & 1) == (0x90, 1);
        if layout == Layout::NONE || is_odd || is_narrow && (map != 0 || !matches!(opcode, 0xe8 | 0xe9 | 0xeb)) {
            return Err(at);
        }
        // The last of eight stands for all.
        let kind = opcode | if layout == Layout::IN_OPCODE { 7 } else { 0 };
        let has_modrm = layout >= Layout::MODRM;
        let modrm = byte(window, at);
        let named_reg = if layout >= Layout::GROUP { modrm >> 3 & 7 } else { 0 };
        let shape = (u32::from(kind) | (map as u32) << 8) << KEY_BITS
            | prefix
            | lock << 2
            | u32::from(rex >> 3 & 1) << 3
            | long << 4
            | u32::from(named_reg) << 6
            | (segment as u32) << SEGMENT;
        let (base, index, is_relative) = (Num::ZERO, Num::ZERO, false);
        let end = at + usize::from(has_modrm);
        let mut read =
            Self { shape, layout, rex, opcode, modrm, vvvv, disp: 0, base, index, scale: 0, is_relative, end };
        if has_modrm {
            if modrm < 0xc0 {
                read.memory(window, segment);
            } else {
                let named_rm = if layout == Layout::WHOLE { modrm & 7 } else { 0 };
                read.shape |= IS_REGISTER | u32::from(named_rm) << 9;
            }
        }
        Ok(read)
    }

    /// Whether r/m is in memory.
    #[inline(always)]
    fn has_memory(&self) -> bool {
        self.layout >= Layout::MODRM && self.modrm < 0xc0
    }

    /// Reads the memory operand, whose first bytes come next.
    #[inline(always)]
    fn memory(&mut self, window: &Window, segment: usize) {
        let (mode, mut base) = (self.modrm >> 6, self.modrm & 7);
        self.scale = 1;
        self.is_relative = mode == 0 && base == 5;
        if base == 4 {
            let sib = byte(window, self.end);
            self.end += 1;
            base = sib & 7;
            let index = sib >> 3 & 7 | self.rex << 2 & 8;
            self.scale = 1 << (sib >> 6);
            let has_index = index != 4;
            self.index = if has_index { Num::new(index.into()) } else { Num::ZERO };
            self.shape |= if has_index { IS_INDEXED } else { 0 };
        }
        let is_based = mode != 0 || base != 5;
        self.base = if is_based { Num::new((base | self.rex << 3 & 8).into()) } else { Num::ZERO };
        self.scale |= decode::segment(segment, self.base) << 4;
        let bytes = if is_based { [0, 1, 4, 4][usize::from(mode)] } else { 4 };
        self.disp = signed(window, self.end, bytes);
        self.end += usize::from(bytes);
    }

    /// What the fields name, as [`Role`] counts them.
    #[inline(always)]
    fn fields(&self) -> [u8; 8] {
        let reg = self.modrm >> 3 & 7 | self.rex << 1 & 8;
        let [opcode, rm] = [self.opcode, self.modrm].map(|bits| bits & 7 | self.rex << 3 & 8);
        // ah, ch, dh and bh.
        let byte = |n: u8| if self.rex == 0 && n & 4 != 0 { (n - 4) * 2 + 1 } else { n * 2 };
        [0, opcode, reg, rm, self.vvvv, byte(opcode), byte(reg), byte(rm)]
    }

    /// What iced-x86 says of the encoding.
    fn form(&self) -> Option<(u16, &'static Form)> {
        let key = self.shape & (IS_INDEXED - 1);
        let opcode = (key >> KEY_BITS) as usize;
        let keys = &KEYS[usize::from(FIRST[opcode])..usize::from(FIRST[opcode + 1])];
        let rest = (key & ((1 << KEY_BITS) - 1)) as u16;
        let key = &keys[keys.binary_search_by_key(&rest, |key| key.rest).ok()?];
        Some((key.code, &FORMS[usize::from(key.form)]))
    }

    /// An instruction of this shape, as iced-x86 would decode it, with registers as they come.
    fn example(&self, code: u16, form: &Form) -> Option<Instruction> {
        let mut instruction = Instruction::default();
        instruction.set_code(Code::try_from(usize::from(code)).ok()?);
        for n in 0..form.count {
            let kind = OpKind::try_from(usize::from(form.kinds[usize::from(n)])).ok()?;
            instruction.set_op_kind(n.into(), kind);
            match kind {
                OpKind::Register => {
                    let register = Register::try_from(usize::from(form.registers[usize::from(n)])).ok()?;
                    instruction.set_op_register(n.into(), register);
                }
                OpKind::Memory => {
                    instruction.set_memory_base(Register::RSI);
                    if self.shape & IS_INDEXED != 0 {
                        instruction.set_memory_index(Register::RDI);
                    }
                    instruction.set_memory_displ_size(8);
                }
                // The 1 of some shifts.
                OpKind::Immediate8 if form.width == 0 => instruction.set_immediate8(1),
                _ => {}
            }
        }
        match (self.shape >> SEGMENT) as usize {
            seg::FS => instruction.set_segment_prefix(Register::FS),
            seg::GS => instruction.set_segment_prefix(Register::GS),
            _ => {}
        }
        match form.repeats {
            1 => instruction.set_has_rep_prefix(true),
            2 => instruction.set_has_repne_prefix(true),
            _ => {}
        }
        Some(instruction)
    }
}

/// What a register's number in an operation is: one of [`Read::fields`], or always the same.
#[derive(Clone, Copy)]
struct Role {
    field: u8,
    fixed: u8,
}

impl Role {
    fn fixed(number: Num) -> Self {
        Self { field: 0, fixed: number as u8 }
    }

    /// As the instruction says.
    fn at(place: Place, is_byte: bool) -> Self {
        let field = match place {
            Place::Opcode => 1,
            Place::Reg => 2,
            Place::Rm => 3,
            // There is none of a byte.
            Place::Vvvv => return Self { field: 4, fixed: 0 },
        };
        Self { field: field + if is_byte { 4 } else { 0 }, fixed: 0 }
    }

    #[inline(always)]
    fn of(self, fields: &[u8; 8]) -> Num {
        Num::new(usize::from(fields[usize::from(self.field % 8)] | self.fixed))
    }
}

/// What is known of a shape.
#[derive(Clone, Copy)]
struct Known {
    shape: u32,
    /// Bytes of the immediate.
    width: u8,
    ends_block: bool,
    branches: bool,
    /// VEX names no register.
    no_vvvv: bool,
    roles: [Role; 3],
    /// What of the immediate is the operation's, and of the next instruction's address: all or nothing of the latter.
    immediate: u64,
    next: u64,
    /// The operation, but for the operands.
    op: Op,
}

impl Known {
    /// The instruction at an address that was read. If it isn't one, so many bytes have told.
    #[inline(always)]
    fn decode(&self, read: &Read, window: &Window, address: u64, op: &mut Op) -> Result<Decoded, usize> {
        let immediate = signed(window, read.end, self.width);
        if self.no_vvvv && read.vvvv != 0 {
            return Err(read.end);
        }
        let len = read.end + usize::from(self.width);
        let next = address.wrapping_add(len as u64);
        *op = self.op;
        let fields = read.fields();
        [op.dst, op.src, op.aux] = self.roles.map(|role| role.of(&fields));
        if read.has_memory() {
            op.disp = if read.is_relative { next } else { 0 }.wrapping_add(read.disp);
            (op.base, op.index, op.scale) = (read.base, read.index, read.scale);
        }
        op.imm |= immediate & self.immediate | next & self.next;
        if self.branches {
            op.disp = next.wrapping_add(immediate);
        }
        Ok(Decoded::Op { len: len as u8, ends_block: self.ends_block, branches: self.branches })
    }

    /// What there is to know of the shape of an instruction that was read.
    fn of(read: &Read, target: Target) -> Option<Self> {
        let (code, form) = read.form()?;
        let instruction = read.example(code, form)?;
        let is_count = matches!(instruction.mnemonic(), Mnemonic::Tzcnt | Mnemonic::Lzcnt);
        // To what doesn't have these, they are others.
        if is_count && cpuid::decoder_options(target.model) != DecoderOptions::NONE {
            return None;
        }
        let (mut op, ends_block) = decode::ready(target, &instruction);
        let is_call = instruction.is_call_near() || instruction.is_call_near_indirect();
        let next = if is_call { u64::MAX } else { 0 };
        let (mut roles, mut count, mut no_vvvv, mut immediate) = ([Role::fixed(Num::N0); 3], 0, true, 0);
        for n in 0..form.count {
            match instruction.op_kind(n.into()) {
                OpKind::Register => {
                    let is_byte = instruction.op_register(n.into()).is_gpr8();
                    let place = form.places[usize::from(n)];
                    no_vvvv &= place != Some(Place::Vvvv);
                    let number = *[op.dst, op.src, op.aux].get(count)?;
                    roles[count] = place.map_or(Role::fixed(number), |place| Role::at(place, is_byte));
                    count += 1;
                }
                // The 1 of some shifts.
                OpKind::Immediate8 if form.width == 0 => {}
                OpKind::Immediate8 | OpKind::Immediate16 | OpKind::Immediate32 | OpKind::Immediate64 => {
                    immediate = NUMBERS[usize::from(form.width)].0;
                }
                OpKind::Immediate8to16 | OpKind::Immediate8to32 | OpKind::Immediate8to64 | OpKind::Immediate32to64 => {
                    immediate = u64::MAX;
                }
                _ => {}
            }
        }
        if count == 2 {
            roles[2] = roles[1];
        }
        if immediate != 0 || is_call {
            op.imm = 0;
        }
        let (width, branches) = (form.width, instruction.op0_kind() == OpKind::NearBranch64);
        Some(Self { shape: read.shape, width, ends_block, branches, no_vvvv, roles, immediate, next, op })
    }
}

/// The shapes that are known, of instructions for one target.
pub(super) struct Shapes {
    target: Target,
    known: Vec<Known>,
    /// By a shape's hash, one more than where it is in `known`.
    slots: Box<[u16]>,
}

impl Shapes {
    pub(super) fn new(target: Target) -> Self {
        Self { target, known: Vec::with_capacity(EXPECTED), slots: vec![0; SLOTS].into() }
    }

    /// Forgets everything, if instructions are decoded for another target now.
    pub(super) fn turn_to(&mut self, target: Target) {
        if self.target != target {
            *self = Self::new(target);
        }
    }

    pub(super) fn target(&self) -> Target {
        self.target
    }

    fn slot(shape: u32) -> usize {
        // The high bits of a product depend on all.
        (u64::from(shape).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - SLOTS.ilog2())) as usize
    }

    /// Decodes the instruction at an address that a window begins with, of which so many bytes are there. None if its shape
    /// is none of those here.
    #[inline]
    pub(super) fn decode(&mut self, window: &Window, there: usize, address: u64, op: &mut Op) -> Option<Decoded> {
        match self.decoded(window, address, op) {
            Ok(Decoded::Op { len, .. }) if usize::from(len) > there => Some(Decoded::Truncated),
            Ok(decoded) => Some(decoded),
            // Bytes that aren't there have told nothing.
            Err(read) if read > there => Some(Decoded::Truncated),
            Err(_) => None,
        }
    }

    #[inline(always)]
    fn decoded(&mut self, window: &Window, address: u64, op: &mut Op) -> Result<Decoded, usize> {
        let read = Read::of(window)?;
        let slot = self.slots[Self::slot(read.shape)];
        match self.known.get(usize::from(slot).wrapping_sub(1)) {
            Some(known) if known.shape == read.shape => known.decode(&read, window, address, op),
            _ => self.learn(&read)?.decode(&read, window, address, op),
        }
    }

    /// Remembers a shape.
    #[cold]
    fn learn(&mut self, read: &Read) -> Result<Known, usize> {
        let known = Known::of(read, self.target).ok_or(read.end)?;
        let slot = &mut self.slots[Self::slot(read.shape)];
        match self.known.get_mut(usize::from(*slot).wrapping_sub(1)) {
            Some(other) => *other = known,
            None => {
                self.known.push(known);
                *slot = self.known.len() as u16;
            }
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use iced_x86::Decoder;

    use super::super::decode::{UNDEFINED, decode};
    use super::super::units::Units;
    use super::*;
    use crate::CpuModel;

    /// Numbers that look random.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            self.0 >> 24
        }
    }

    /// Everything that there is to see of what was decoded.
    fn shown((decoded, op): &(Decoded, Op)) -> Option<impl PartialEq + std::fmt::Debug + use<>> {
        let Decoded::Op { len, ends_block, branches } = decoded else { return None };
        let functions = (op.step as usize, op.exec as usize);
        let registers = (op.dst, op.src, op.aux, op.base, op.index);
        Some((functions, registers, op.scale, op.imm, op.disp, (*len, *ends_block, *branches)))
    }

    /// Bytes that begin with an encoding of an opcode: with prefixes, and operands of all kinds.
    fn encoding(numbers: &mut Numbers, map: usize, opcode: u8) -> Vec<u8> {
        let prefixes: [&[u8]; 18] = [
            &[],
            &[],
            &[],
            &[0x66],
            &[0xf3],
            &[0xf2],
            &[0xf0],
            &[0x64],
            &[0x65, 0x66],
            &[0x66, 0xf0],
            &[0x66, 0xf3],
            &[0xf2, 0x64],
            &[0x67],
            &[0x2e],
            &[0x66, 0x2e],
            &[0x64, 0x3e],
            &[0x36, 0x65, 0x66],
            &[0x67, 0x66],
        ];
        let mut bytes = Vec::new();
        if map < VEX || numbers.next().is_multiple_of(4) {
            bytes.extend(prefixes[numbers.next() as usize % prefixes.len()]);
        }
        if map < VEX {
            bytes.extend(numbers.next().is_multiple_of(2).then_some(0x40 | numbers.next() as u8 & 15));
            bytes.extend([&[][..], &[0x0f], &[0x0f, 0x38], &[0x0f, 0x3a]][map]);
        } else {
            // No register where VEX has one, mostly: many instructions have none.
            let last = numbers.next() as u8 | if numbers.next().is_multiple_of(3) { 0 } else { 0x78 };
            match numbers.next() % 2 {
                0 if map == VEX => bytes.extend([0xc5, last]),
                _ => bytes.extend([0xc4, numbers.next() as u8 & 0xe0 | (map - VEX + 1) as u8, last]),
            }
        }
        bytes.push(opcode);
        // Small displacements and immediates, and others.
        let mask = if numbers.next().is_multiple_of(2) { 0xff } else { 0x81 };
        bytes.push(numbers.next() as u8 | if numbers.next().is_multiple_of(2) { 0xc0 } else { 0 });
        bytes.extend((0..12).map(|_| numbers.next() as u8 & mask));
        bytes
    }

    #[test]
    fn the_short_cut_leads_where_the_way_does() {
        const ADDRESS: u64 = 0x7fff_1234_5000;
        let rounds = std::env::var("CALLGATE_CASES").map_or(8_000_000, |text| text.parse().expect("a number"));
        let mut numbers = Numbers(1);
        let mut shapes = [CpuModel::V1, CpuModel::V3, CpuModel::V4]
            .map(|model| Shapes::new(Target { model, units: Units::default() }));
        let (mut hits, mut all, mut mine) = ([[0u32; 256]; LAYOUTS.len()], 0, 0);
        for round in 0..rounds {
            let (map, opcode) = (round / 256 % LAYOUTS.len(), (round % 256) as u8);
            let bytes = encoding(&mut numbers, map, opcode);
            let shapes = &mut shapes[numbers.next() as usize % 3];
            let target = shapes.target();
            let mut instruction = Instruction::default();
            let mut decoder = Decoder::with_ip(64, &bytes, ADDRESS, cpuid::decoder_options(target.model));
            let mut op = UNDEFINED;
            let decoded = (decode(target, &mut decoder, &bytes, &mut instruction, &mut op), op);
            all += u32::from(!instruction.is_invalid());
            let mut window = [0; WINDOW];
            window[..bytes.len()].copy_from_slice(&bytes);
            let mut read = |window: &Window, there| {
                let mut op = UNDEFINED;
                shapes.decode(window, there, ADDRESS, &mut op).map(|decoded| (decoded, op))
            };
            let Some(known) = read(&window, bytes.len()) else { continue };
            assert_eq!(shown(&known), shown(&decoded), "{:?}, {bytes:02x?}: {instruction:?}", target.model);
            mine += 1;
            hits[map][usize::from(opcode)] += 1;
            let (Decoded::Op { len, .. }, _) = known else { unreachable!("an instruction") };
            // What follows isn't looked at, and each byte that belongs to it must be there.
            let mut part = |there: usize| {
                window[there..].fill(numbers.next() as u8);
                read(&window, there)
            };
            assert_eq!(part(len.into()).as_ref().map(shown), Some(shown(&decoded)), "{bytes:02x?}");
            let is_truncated = |there| matches!(part(there), Some((Decoded::Truncated, _)));
            assert!((0..len.into()).rev().all(is_truncated), "{bytes:02x?}");
        }
        assert!(mine > all / 3, "{mine} of {all}");
        for (map, hits) in hits.iter().enumerate() {
            let unused = (0..256).filter(|&opcode| {
                // In the tables.
                let at = map << 8 | opcode;
                FIRST[at] != FIRST[at + 1] && hits[opcode] == 0
            });
            assert_eq!(unused.collect::<Vec<_>>(), [], "opcodes of map {map} whose encodings are never read");
        }
    }
}
