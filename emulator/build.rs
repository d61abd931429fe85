//! Writes tables of what iced-x86 says: of each encoding, for `src/interp/shape.rs`, and of mnemonics, for
//! `src/interp/sse/vex.rs`.
//!
//! iced-x86 makes its own tables when it first decodes, which takes longer than a small program runs. These are constants.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};

/// The opcode maps: of one byte, behind 0F, 0F 38 and 0F 3A, and the last three with VEX.
const MAPS: [&[u8]; 7] = [&[], &[0x0f], &[0x0f, 0x38], &[0x0f, 0x3a], &[1], &[2], &[3]];
/// The first with VEX.
const VEX: usize = 4;

/// As in `shape.rs`.
mod layout {
    pub(super) const NONE: u8 = 0;
    pub(super) const PLAIN: u8 = 1;
    pub(super) const IN_OPCODE: u8 = 2;
    pub(super) const MODRM: u8 = 3;
    pub(super) const GROUP: u8 = 4;
    pub(super) const WHOLE: u8 = 5;
}

/// An encoding, but for what follows the ModRM byte.
#[derive(Clone, Copy)]
struct Encoding {
    map: usize,
    opcode: u8,
    /// None, 66, F3 or F2.
    prefix: u8,
    lock: bool,
    w: bool,
    l: bool,
    /// The register in reg's place, r/m's and VEX's; in the opcode's it is reg's.
    reg: u8,
    rm: u8,
    vvvv: u8,
    is_register: bool,
    /// REX, or VEX's part of it, with R (4) and B (1).
    rex: Option<u8>,
}

impl Encoding {
    fn modrm(self) -> u8 {
        (if self.is_register { 0xc0 } else { 0 }) | self.reg << 3 | self.rm
    }

    /// Its bytes, with zeros behind them, and how many come before the ModRM byte.
    fn bytes(self) -> ([u8; 32], usize) {
        let mut bytes = Vec::new();
        if self.map < VEX {
            bytes.extend([&[][..], &[0x66], &[0xf3], &[0xf2]][usize::from(self.prefix)]);
            bytes.extend(self.lock.then_some(0xf0));
            let rex = 0x40 | u8::from(self.w) << 3 | self.rex.unwrap_or(0);
            bytes.extend((self.w || self.rex.is_some()).then_some(rex));
            bytes.extend(MAPS[self.map]);
        } else {
            let low = (!self.vvvv & 15) << 3 | u8::from(self.l) << 2 | self.prefix;
            let rex = !self.rex.unwrap_or(0) & 7;
            bytes.extend([0xc4, rex << 5 | MAPS[self.map][0], u8::from(self.w) << 7 | low]);
        }
        bytes.push(self.opcode);
        let before = bytes.len();
        bytes.push(self.modrm());
        let mut all = [0; 32];
        all[..bytes.len()].copy_from_slice(&bytes);
        (all, before)
    }

    /// What iced-x86 makes of it: with no register in VEX's place, if none may be there.
    fn decode(self) -> Instruction {
        let decode = |encoding: Self| Decoder::new(64, &encoding.bytes().0, DecoderOptions::NONE).decode();
        let instruction = decode(self);
        if instruction.is_invalid() && self.map >= VEX { decode(Self { vvvv: 0, ..self }) } else { instruction }
    }

    fn code(self) -> Code {
        self.decode().code()
    }

    /// All of an opcode, of which those of others are made by setting fields.
    fn all_of(map: usize, opcode: u8) -> impl Iterator<Item = Self> {
        (0..64).filter_map(move |bits: u8| {
            let bit = |n: u8| bits >> n & 1 != 0;
            let (prefix, is_register) = (bits & 3, bit(2));
            // F3 and F2 are 2 and 3 with VEX too; the lock prefix only without, L only with.
            let (w, lock, l) = (bit(3), bit(4) && map < VEX, bit(5) && map >= VEX);
            let is_new = bit(4) == lock && bit(5) == l;
            let (reg, rm, vvvv) = (3, 2, 6);
            is_new.then_some(Self { map, opcode, prefix, lock, w, l, reg, rm, vvvv, is_register, rex: None })
        })
    }
}

/// How what follows an opcode is to be read.
fn layout_of(map: usize, opcode: u8) -> u8 {
    let is_other = match map {
        // Prefixes, escapes, x87, whose operations know where they are, and XOP.
        0 => matches!(
            opcode,
            0x0f | 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x62 | 0x64..=0x67 | 0x8f | 0xc4 | 0xc5 | 0xd8..=0xdf
                | 0xf0 | 0xf2 | 0xf3
        ),
        1 => matches!(opcode, 0x0f | 0x38 | 0x3a),
        _ => false,
    };
    if is_other {
        return layout::NONE;
    }
    let (mut is_valid, mut has_modrm, mut by_reg, mut by_rm) = (false, false, false, false);
    for encoding in Encoding::all_of(map, opcode).filter(|encoding| !encoding.lock) {
        let with = |reg, rm| Encoding { reg, rm, ..encoding };
        for reg in 0..8 {
            is_valid |= !with(reg, 0).decode().is_invalid();
            // Without a ModRM byte its bits are an immediate's, and change nothing.
            by_reg |= with(reg, 0).code() != with(0, 0).code();
            by_rm |= encoding.is_register && (1..8).any(|rm| with(reg, rm).code() != with(reg, 0).code());
            let (register, memory) =
                (Encoding { is_register: true, ..with(reg, 0) }, Encoding { is_register: false, ..with(reg, 0) });
            let with_sib = Encoding { rm: 4, ..memory };
            has_modrm |= register.decode().is_invalid() != memory.decode().is_invalid()
                || memory.decode().len() != with_sib.decode().len();
        }
    }
    has_modrm |= by_reg || by_rm;
    match (is_valid, has_modrm) {
        (false, _) => layout::NONE,
        _ if by_rm => layout::WHOLE,
        _ if by_reg => layout::GROUP,
        (_, true) => layout::MODRM,
        // 90 is NOP, unless there is REX.B.
        _ if map == 0 && matches!(opcode, 0x50..=0x5f | 0x91..=0x97 | 0xb0..=0xbf) => layout::IN_OPCODE,
        _ if map == 1 && matches!(opcode, 0xc8..=0xcf) => layout::IN_OPCODE,
        _ => layout::PLAIN,
    }
}

/// What is to be known of an encoding, as a `Form` of `shape.rs`. None if reading can't tell its operands.
fn form_of(encoding: Encoding, layout: u8) -> Option<(Code, String)> {
    let instruction = encoding.decode();
    let count = instruction.op_count();
    if instruction.is_invalid() || count > 4 {
        return None;
    }
    // NOP is XCHG with REX.B: reading knows.
    let is_other = |rex| Encoding { rex: Some(rex), ..encoding }.code() != instruction.code();
    if (encoding.map, encoding.opcode) != (0, 0x90) && (is_other(4) || is_other(1)) {
        return None;
    }
    let has_modrm = layout >= layout::MODRM;
    let (mut kinds, mut registers, mut places) = ([0; 4], [0; 4], [None; 4]);
    for n in 0..count {
        let kind = instruction.op_kind(n);
        kinds[n as usize] = kind as u8;
        match kind {
            OpKind::Register => {
                let register = instruction.op_register(n);
                let place = place_of(encoding, layout, n);
                let is_read = register.is_gpr() || register.is_xmm() || register.is_ymm();
                // Of others there is no telling whether REX means them; with VEX, an immediate may name one.
                if has_modrm && !is_read || encoding.map >= VEX && place.is_none() {
                    return None;
                }
                registers[n as usize] = register as u8;
                places[n as usize] = place;
            }
            // Not the one that has no ModRM byte, and not a vector of addresses.
            OpKind::Memory if !has_modrm || instruction.is_vsib() => return None,
            OpKind::Memory
            | OpKind::NearBranch64
            | OpKind::Immediate8
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate64
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64
            | OpKind::MemorySegRSI
            | OpKind::MemorySegRDI
            | OpKind::MemoryESRDI => {}
            _ => return None,
        }
    }
    // As `shape.rs` writes it.
    let places =
        places.map(|place| place.map_or("None".to_owned(), |place| format!("Some(Place::{place})"))).join(", ");
    let width = instruction.len() - encoding.bytes().1 - usize::from(has_modrm);
    let repeats = u8::from(instruction.has_rep_prefix()) | u8::from(instruction.has_repne_prefix()) << 1;
    let form = format!(
        "Form {{ count: {count}, kinds: {kinds:?}, registers: {registers:?}, places: [{places}], width: {width}, \
         repeats: {repeats} }}"
    );
    Some((instruction.code(), form))
}

/// Where a register operand is named: by the bit of REX that makes it another, or by VEX's field.
fn place_of(encoding: Encoding, layout: u8, n: u32) -> Option<&'static str> {
    let with_rex = |bit| Encoding { rex: Some(bit), ..encoding }.decode();
    let moves = |one: Instruction, other: Instruction| one.op_register(n) != other.op_register(n);
    if moves(with_rex(0), with_rex(4)) {
        Some("Reg")
    } else if moves(with_rex(0), with_rex(1)) {
        Some(if layout == layout::IN_OPCODE { "Opcode" } else { "Rm" })
    } else if encoding.map >= VEX && moves(encoding.decode(), Encoding { vvvv: encoding.vvvv ^ 1, ..encoding }.decode())
    {
        Some("Vvvv")
    } else {
        None
    }
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("shapes.rs"), shapes()).expect("the directory is ours");
    fs::write(out.join("mnemonics.rs"), mnemonics()).expect("the directory is ours");
}

/// By the number of each mnemonic the one of the same name without the V: of its own, if there is none.
fn mnemonics() -> String {
    let name = |mnemonic: Mnemonic| format!("{mnemonic:?}").to_lowercase();
    let numbers: HashMap<String, usize> = Mnemonic::values().map(|one| (name(one), one as usize)).collect();
    let without_v = |one: Mnemonic| {
        let kin = name(one).strip_prefix('v').and_then(|rest| numbers.get(rest).copied());
        kin.unwrap_or(one as usize)
    };
    let all: Vec<usize> = Mnemonic::values().map(without_v).collect();
    format!("static WITHOUT_V: [u16; {}] = {all:?};\n", all.len())
}

/// The layouts of all opcodes, and for each opcode its encodings' keys, sorted, and forms: what is the same stands there once.
fn shapes() -> String {
    let (mut layouts, mut first, mut keys) = (String::new(), Vec::new(), String::new());
    let (mut forms, mut numbers, mut count) = (String::new(), HashMap::new(), 0);
    for map in 0..MAPS.len() {
        let mut of_map = Vec::new();
        for opcode in 0..=u8::MAX {
            let layout = layout_of(map, opcode);
            of_map.push(layout);
            first.push(count);
            // The last of eight stands for all.
            if layout == layout::NONE || layout == layout::IN_OPCODE && opcode & 7 != 7 {
                continue;
            }
            let mut of_opcode = Vec::new();
            for encoding in Encoding::all_of(map, opcode) {
                let has_modrm = layout >= layout::MODRM;
                if !has_modrm && encoding.is_register {
                    continue;
                }
                // What is part of the opcode.
                let regs = if layout >= layout::GROUP { 0..8 } else { 3..4 };
                let rms = if layout == layout::WHOLE && encoding.is_register { 0..8 } else { 2..3 };
                for (reg, rm) in regs.flat_map(|reg| rms.clone().map(move |rm| (reg, rm))) {
                    let encoding = Encoding { reg, rm, ..encoding };
                    let Some((code, form)) = form_of(encoding, layout) else { continue };
                    let named_reg = if layout >= layout::GROUP { reg } else { 0 };
                    let named_rm = if layout == layout::WHOLE && encoding.is_register { rm } else { 0 };
                    let rest = u32::from(encoding.prefix)
                        | u32::from(encoding.lock) << 2
                        | u32::from(encoding.w) << 3
                        | u32::from(encoding.l) << 4
                        | u32::from(encoding.is_register) << 5
                        | u32::from(named_reg) << 6
                        | u32::from(named_rm) << 9;
                    let next = numbers.len();
                    let number = *numbers.entry(form.clone()).or_insert_with(|| {
                        writeln!(forms, "    {form},").expect("a string takes all");
                        next
                    });
                    of_opcode.push((rest, code as u16, number));
                }
            }
            of_opcode.sort_unstable();
            for (rest, code, number) in &of_opcode {
                writeln!(keys, "    Key {{ rest: {rest}, code: {code}, form: {number} }},")
                    .expect("a string takes all");
            }
            count += of_opcode.len();
        }
        let all: Vec<String> = of_map.iter().map(|layout| format!("Layout({layout})")).collect();
        writeln!(layouts, "    [{}],", all.join(", ")).expect("a string takes all");
    }
    first.push(count);
    format!(
        "static LAYOUTS: [[Layout; 256]; {maps}] = [\n{layouts}];\n\
         static FIRST: [u16; {opcodes}] = {first:?};\n\
         static KEYS: [Key; {count}] = [\n{keys}];\n\
         static FORMS: [Form; {number}] = [\n{forms}];\n",
        maps = MAPS.len(),
        opcodes = first.len(),
        number = numbers.len(),
    )
}
