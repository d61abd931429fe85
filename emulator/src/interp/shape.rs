//! Shapes: what instructions are without their registers, displacements and immediates.
//!
//! What executes an instruction depends on nothing else, and a program has few shapes: the 4,400 instructions that a small
//! one begins with are of 300. So the first of a shape is decoded by iced-x86 and its function looked for, and of all that
//! follow only the operands are read. Rare encodings have no shape here (VEX and EVEX, the opcodes behind 0F 38 and 0F 3A, x87,
//! addresses of 32 bits): those are decoded one by one.
//!
//! Manual: Intel SDM, volume 2, chapter 2 (formats) and appendix A (opcode maps).

use iced_x86::{Instruction, OpKind, Register};

use super::decode::{self, Decoded};
use super::op::{Num, Op};
use super::units::Target;
use crate::seg;

/// Most shapes that are known at a time.
const SLOTS: usize = 1 << 13;

/// Shapes that there is room for from the start: those of a small program.
const EXPECTED: usize = 512;

/// What follows an opcode, and which operands that names.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Layout(u8);

impl Layout {
    /// Shapes of this opcode are not kept.
    const NONE: Self = Self(0);
    /// There is nothing but perhaps an immediate.
    const PLAIN: Self = Self(1);
    /// The opcode's last three bits name the first operand.
    const IN_OPCODE: Self = Self(2);
    /// A ModRM byte, whose r/m is the first operand. Its reg is part of the opcode.
    const GROUP: Self = Self(3);
    /// A ModRM byte, whose r/m is the first operand and whose reg says nothing.
    const RM: Self = Self(4);
    /// A ModRM byte: r/m, reg.
    const RM_REG: Self = Self(5);
    /// A ModRM byte: reg, r/m.
    const REG_RM: Self = Self(6);

    fn has_modrm(self) -> bool {
        self.0 >= Self::GROUP.0
    }
}

/// Those of the opcodes of one byte, and of the ones behind 0F.
static LAYOUTS: [[Layout; 256]; 2] = layouts();

const fn layouts() -> [[Layout; 256]; 2] {
    let mut maps = [[Layout::NONE; 256]; 2];
    let mut opcode = 0;
    while opcode < 256 {
        maps[0][opcode] = match opcode {
            0x00..=0x3f => match opcode % 8 {
                0 | 1 => Layout::RM_REG,
                2 | 3 => Layout::REG_RM,
                4 | 5 => Layout::PLAIN,
                _ => Layout::NONE,
            },
            0x50..=0x5f | 0x91..=0x97 | 0xb0..=0xbf => Layout::IN_OPCODE,
            0x63 | 0x69 | 0x6b | 0x8a | 0x8b | 0x8d => Layout::REG_RM,
            0x84..=0x89 => Layout::RM_REG,
            0x80 | 0x81 | 0x83 | 0xc0 | 0xc1 | 0xc6 | 0xc7 | 0xd0..=0xd3 | 0xf6 | 0xf7 | 0xfe | 0xff => Layout::GROUP,
            0x68 | 0x6a | 0x70..=0x7f | 0x98 | 0x99 | 0xa4..=0xaf | 0xc3 | 0xc9 | 0xe8 | 0xe9 | 0xeb => Layout::PLAIN,
            _ => Layout::NONE,
        };
        // The exceptions come first.
        maps[1][opcode] = match opcode {
            0x05 | 0x0b | 0x31 | 0x80..=0x8f | 0xa2 => Layout::PLAIN,
            0xc8..=0xcf => Layout::IN_OPCODE,
            0x0d | 0x18 | 0x1f | 0x71..=0x73 | 0xba | 0xc7 => Layout::GROUP,
            0x90..=0x9f => Layout::RM,
            0x11 | 0x13 | 0x17 | 0x29 | 0x2b | 0x7e | 0x7f | 0xd6 | 0xe7 => Layout::RM_REG,
            0xa3..=0xa5 | 0xab..=0xad | 0xb0 | 0xb1 | 0xb3 | 0xbb | 0xc0 | 0xc1 | 0xc3 => Layout::RM_REG,
            0x10..=0x17
            | 0x28..=0x2f
            | 0x40..=0x70
            | 0x74..=0x76
            | 0x7c
            | 0x7d
            | 0xc2..=0xc6
            | 0xd0..=0xf6
            | 0xf8..=0xfe => Layout::REG_RM,
            0xaf | 0xb6..=0xb8 | 0xbc..=0xbf => Layout::REG_RM,
            _ => Layout::NONE,
        };
        opcode += 1;
    }
    maps
}

/// An instruction as far as its operands are read without knowing what it is.
struct Read {
    shape: u32,
    layout: Layout,
    rex: u8,
    opcode: u8,
    modrm: u8,
    /// The memory operand, unless it is relative to rip: that needs the length.
    disp: u64,
    base: Num,
    index: Num,
    scale: u8,
    is_relative: bool,
    /// Where an immediate would be.
    end: usize,
}

/// Reads an instruction of which these are the bytes. None if its shape isn't kept, or if they end before it.
#[inline]
fn read(bytes: &[u8]) -> Option<Read> {
    let (mut at, mut prefix, mut lock, mut segment) = (0, 0, 0, 0);
    loop {
        // Each once, and one of those that can be part of an opcode.
        match *bytes.get(at)? {
            0x66 if prefix == 0 => prefix = 1,
            0xf3 if prefix == 0 => prefix = 2,
            0xf2 if prefix == 0 => prefix = 3,
            0xf0 if lock == 0 => lock = 1,
            0x64 if segment == 0 => segment = seg::FS,
            0x65 if segment == 0 => segment = seg::GS,
            _ => break,
        }
        at += 1;
    }
    let mut rex = 0;
    if bytes[at] & 0xf0 == 0x40 {
        rex = bytes[at];
        at += 1;
    }
    let mut opcode = *bytes.get(at)?;
    at += 1;
    let map = usize::from(opcode == 0x0f);
    if map == 1 {
        opcode = *bytes.get(at)?;
        at += 1;
    }
    let layout = match LAYOUTS[map][usize::from(opcode)] {
        Layout::NONE => return None,
        // movd and movq to r/m, but with F3 movq from there.
        Layout::RM_REG if (map, opcode, prefix) == (1, 0x7e, 2) => Layout::REG_RM,
        layout => layout,
    };
    let kind = if layout == Layout::IN_OPCODE { opcode & !7 } else { opcode };
    let shape = u32::from(kind)
        | (map as u32) << 8
        | prefix << 9
        | lock << 11
        | (segment as u32) << 12
        | u32::from(rex >> 3 & 1) << 15
        | u32::from(rex != 0) << 16;
    let (base, index) = (Num::ZERO, Num::ZERO);
    let mut read =
        Read { shape, layout, rex, opcode, modrm: 0, disp: 0, base, index, scale: 0, is_relative: false, end: at };
    if layout.has_modrm() {
        read.modrm = *bytes.get(at)?;
        read.end += 1;
        if layout == Layout::GROUP {
            read.shape |= u32::from(read.modrm >> 3 & 7) << 17;
        }
        if read.modrm < 0xc0 {
            read.memory(bytes, segment)?;
        } else {
            read.shape |= 1 << 20;
        }
    }
    Some(read)
}

impl Read {
    /// Reads the memory operand, whose first bytes come next.
    #[inline]
    fn memory(&mut self, bytes: &[u8], segment: usize) -> Option<()> {
        let (mode, mut base) = (self.modrm >> 6, self.modrm & 7);
        self.scale = 1;
        if base == 4 {
            let sib = *bytes.get(self.end)?;
            self.end += 1;
            base = sib & 7;
            let index = sib >> 3 & 7 | self.rex << 2 & 8;
            self.scale = 1 << (sib >> 6);
            if index != 4 {
                self.index = Num::new(index.into());
                self.shape |= 1 << 21;
            }
        } else if mode == 0 && base == 5 {
            self.is_relative = true;
        }
        if mode != 0 || base != 5 {
            self.base = Num::new((base | self.rex << 3 & 8).into());
        }
        self.scale |= decode::segment(segment, self.base) << 4;
        let width = match mode {
            0 if base == 5 => 4,
            0 => 0,
            1 => 1,
            _ => 4,
        };
        self.disp = signed(bytes, self.end, width)?;
        self.end += width;
        Some(())
    }

    /// The number in the opcode, in reg and in r/m.
    #[inline]
    fn register(&self, place: Place) -> usize {
        let (bits, more) = match place {
            Place::Opcode => (self.opcode, self.rex << 3),
            Place::Reg => (self.modrm >> 3, self.rex << 1),
            Place::Rm => (self.modrm, self.rex << 3),
        };
        usize::from(bits & 7 | more & 8)
    }
}

/// A number of 0, 1, 2, 4 or 8 bytes, sign-extended.
#[inline]
fn signed(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    Some(match *bytes.get(at..at + width)? {
        [] => 0,
        [a] => a as i8 as u64,
        [a, b] => i16::from_le_bytes([a, b]) as u64,
        [a, b, c, d] => i32::from_le_bytes([a, b, c, d]) as u64,
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => return None,
    })
}

/// Where a register operand is named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Opcode,
    Reg,
    Rm,
}

/// What a register's number in an operation is.
#[derive(Clone, Copy)]
enum Role {
    /// Always the same.
    Fixed(Num),
    /// As in the instruction.
    Word(Place),
    /// The number of a byte register.
    Byte(Place),
}

impl Role {
    fn is_at(self, named: Place) -> bool {
        matches!(self, Self::Word(place) | Self::Byte(place) if place == named)
    }

    #[inline]
    fn of(self, read: &Read) -> Num {
        match self {
            Self::Fixed(number) => number,
            Self::Word(place) => Num::new(read.register(place)),
            Self::Byte(place) => match read.register(place) {
                // ah, ch, dh and bh.
                n @ 4..8 if read.rex == 0 => Num::new((n - 4) * 2 + 1),
                n => Num::new(n * 2),
            },
        }
    }
}

/// What an operation's `imm` is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Imm {
    /// Always the same: 0, where there is none or it is where a branch leads.
    Fixed,
    ZeroExtended,
    SignExtended,
    /// The address of the next instruction.
    Next,
}

/// What is known of a shape.
#[derive(Clone, Copy)]
struct Known {
    shape: u32,
    /// Bytes of the immediate.
    width: u8,
    imm: Imm,
    ends_block: bool,
    branches: bool,
    roles: [Role; 3],
    /// The operation, but for the operands.
    op: Op,
}

impl Known {
    /// The instruction at an address that was read.
    #[inline]
    fn decode(&self, read: &Read, bytes: &[u8], address: u64) -> Option<Decoded> {
        let width = usize::from(self.width);
        let immediate = signed(bytes, read.end, width)?;
        let len = read.end + width;
        let next = address.wrapping_add(len as u64);
        let mut op = self.op;
        [op.dst, op.src, op.aux] = self.roles.map(|role| role.of(read));
        if read.layout.has_modrm() && read.modrm < 0xc0 {
            op.disp = if read.is_relative { next.wrapping_add(read.disp) } else { read.disp };
            (op.base, op.index, op.scale) = (read.base, read.index, read.scale);
        }
        op.imm = match self.imm {
            Imm::Fixed => op.imm,
            Imm::ZeroExtended => immediate & u64::MAX >> (64 - 8 * width),
            Imm::SignExtended => immediate,
            Imm::Next => next,
        };
        let target = self.branches.then(|| next.wrapping_add(immediate));
        Some(Decoded::Op { op, len, ends_block: self.ends_block, target })
    }

    /// What there is to know of an instruction that was read and has been decoded, if its shape can be kept.
    fn of(read: &Read, instruction: &Instruction, decoded: &Decoded) -> Option<Self> {
        let Decoded::Op { op, len, ends_block, target } = decoded else { return None };
        if instruction.is_invalid() {
            return None;
        }
        let mut places = match read.layout {
            Layout::PLAIN => [None, None],
            Layout::IN_OPCODE => [Some(Place::Opcode), None],
            Layout::GROUP | Layout::RM => [Some(Place::Rm), None],
            Layout::RM_REG => [Some(Place::Rm), Some(Place::Reg)],
            _ => [Some(Place::Reg), Some(Place::Rm)],
        }
        .into_iter();
        let width = (len - read.end) as u8;
        let (mut roles, mut count) = ([Role::Fixed(Num::N0); 3], 0);
        let is_call = instruction.is_call_near() || instruction.is_call_near_indirect();
        let mut imm = if is_call { Imm::Next } else { Imm::Fixed };
        for n in 0..instruction.op_count() {
            let place = places.next().flatten();
            match instruction.op_kind(n) {
                OpKind::Register => {
                    let register = instruction.op_register(n);
                    let is_usual = match place {
                        // The count of shifts; the accumulator.
                        None if read.layout.has_modrm() => register == Register::CL,
                        None => matches!(register, Register::AL | Register::AX | Register::EAX | Register::RAX),
                        Some(_) => register.is_gpr() || register.is_xmm(),
                    };
                    *roles.get_mut(count).filter(|_| is_usual)? = match place {
                        None => Role::Fixed([op.dst, op.src, op.aux][count]),
                        Some(place) if register.is_gpr8() => Role::Byte(place),
                        Some(place) => Role::Word(place),
                    };
                    count += 1;
                }
                // The 1 of some shifts.
                OpKind::Immediate8 if width == 0 => {}
                OpKind::Immediate8 | OpKind::Immediate16 | OpKind::Immediate32 | OpKind::Immediate64 => {
                    imm = Imm::ZeroExtended;
                }
                OpKind::Immediate8to16 | OpKind::Immediate8to32 | OpKind::Immediate8to64 | OpKind::Immediate32to64 => {
                    imm = Imm::SignExtended
                }
                _ => {}
            }
        }
        if count == 2 {
            roles[2] = roles[1];
        }
        // Where r/m names no register it is part of the opcode.
        if read.layout.has_modrm() && read.modrm >= 0xc0 && !roles.iter().any(|role| role.is_at(Place::Rm)) {
            return None;
        }
        let branches = target.is_some();
        Some(Self { shape: read.shape, width, imm, ends_block: *ends_block, branches, roles, op: *op })
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

    /// Decodes the first instruction of `bytes`, which are at an address, if its shape is known and they hold all of it.
    #[inline]
    pub(super) fn decode(&self, bytes: &[u8], address: u64) -> Option<Decoded> {
        let read = read(bytes)?;
        let known = self.known.get(usize::from(self.slots[Self::slot(read.shape)]).wrapping_sub(1))?;
        if known.shape == read.shape { known.decode(&read, bytes, address) } else { None }
    }

    /// Remembers the shape of such an instruction, which has been decoded.
    pub(super) fn learn(&mut self, bytes: &[u8], instruction: &Instruction, decoded: &Decoded) {
        let Some(read) = read(bytes) else { return };
        let Some(known) = Known::of(&read, instruction, decoded) else { return };
        let slot = &mut self.slots[Self::slot(read.shape)];
        match self.known.get_mut(usize::from(*slot).wrapping_sub(1)) {
            Some(other) => *other = known,
            None => {
                self.known.push(known);
                *slot = self.known.len() as u16;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions};

    use super::super::decode::decode;
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
    fn shown(decoded: &Decoded) -> Option<impl PartialEq + std::fmt::Debug + use<>> {
        let Decoded::Op { op, len, ends_block, target } = decoded else { return None };
        let functions = (op.step as usize, op.exec as usize);
        let registers = (op.dst, op.src, op.aux, op.base, op.index);
        Some((functions, registers, op.scale, op.imm, op.disp, (*len, *ends_block, *target)))
    }

    #[test]
    fn the_short_cut_leads_where_the_way_does() {
        const ADDRESS: u64 = 0x7fff_1234_5000;
        let prefixes: [&[u8]; 14] = [
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
        ];
        let mut numbers = Numbers(1);
        let target = Target { model: CpuModel::default(), units: Units::default() };
        let mut shapes = Shapes::new(target);
        let (mut hits, mut all) = ([[0u32; 256]; 2], 0u32);
        for round in 0..2_000_000 {
            let mut bytes = prefixes[numbers.next() as usize % prefixes.len()].to_vec();
            if numbers.next().is_multiple_of(2) {
                bytes.push(0x40 | numbers.next() as u8 & 15);
            }
            let (map, opcode) = (round / 256 % 2, round % 256);
            bytes.extend(&[0x0f, opcode as u8][1 - map..]);
            // Small displacements and immediates, and others.
            let mask = if numbers.next().is_multiple_of(2) { 0xff } else { 0x81 };
            bytes.push(numbers.next() as u8 | if numbers.next().is_multiple_of(2) { 0xc0 } else { 0 });
            bytes.extend((0..12).map(|_| numbers.next() as u8 & mask));
            let mut instruction = Instruction::default();
            let mut decoder = Decoder::with_ip(64, &bytes, ADDRESS, DecoderOptions::NONE);
            let decoded = decode(target, &mut decoder, &bytes, &mut instruction);
            all += u32::from(!instruction.is_invalid());
            match shapes.decode(&bytes, ADDRESS) {
                Some(known) => {
                    assert_eq!(shown(&known), shown(&decoded), "{bytes:02x?}: {instruction:?}");
                    let read = read(&bytes).expect("what is known was read");
                    hits[read.shape as usize >> 8 & 1][usize::from(read.opcode)] += 1;
                    let Decoded::Op { len, .. } = known else { unreachable!("an instruction") };
                    assert!(shapes.decode(&bytes[..len], ADDRESS).is_some());
                    assert!((0..len).all(|less| shapes.decode(&bytes[..less], ADDRESS).is_none()), "{bytes:02x?}");
                }
                None => shapes.learn(&bytes, &instruction, &decoded),
            }
        }
        let hit: u32 = hits.iter().flatten().sum();
        assert!(hit > all / 10, "{hit} of {all}");
        for (layouts, hits) in LAYOUTS.iter().zip(&hits) {
            let unused = (0..256).filter(|opcode| layouts[*opcode] != Layout::NONE && hits[*opcode] == 0);
            assert_eq!(unused.collect::<Vec<_>>(), [], "opcodes with a layout of which no shape is kept");
        }
    }
}
