//! Host instructions that the translator adds, byte by byte. None of them touches the flags but `sub_budget`.

use iced_x86::{Encoder, Instruction};

use crate::context::{BUDGET, CHECK, HEADROOM, SCRATCH, STACK, TABLE, slot};
use crate::kind::Kind;
use crate::window::Origin;

/// A host register by number, as instructions encode it.
pub(crate) const RSP: u8 = 4;

/// A piece of code that is being put together. Branches inside it are relative, so that it may lie anywhere.
#[derive(Default)]
pub(crate) struct Emit {
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: Kind,
    /// Made when it is first needed: it brings tables of half a megabyte.
    encoder: Option<Encoder>,
}

/// The instruction can't be encoded with the registers that it has now.
#[derive(Debug)]
pub(crate) struct Unencodable;

impl Emit {
    /// Nothing yet, of code of a kind.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// An instruction of iced's. Not one with a relative operand.
    pub(crate) fn instruction(&mut self, instruction: &Instruction) -> Result<(), Unencodable> {
        let encoder = self.encoder.get_or_insert_with(|| Encoder::new(64));
        let encoded = encoder.encode(instruction, 0);
        // What it refuses may leave something there, too.
        let mut bytes = encoder.take_buffer();
        if encoded.is_ok() {
            self.bytes.extend_from_slice(&bytes);
        }
        bytes.clear();
        encoder.set_buffer(bytes);
        encoded.map(|_| ()).map_err(|_| Unencodable)
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn put32(&mut self, value: i32) {
        self.put(&value.to_le_bytes());
    }

    /// `op gs:[slot], register` or the reverse, 64 bits wide.
    fn slot_op(&mut self, opcode: u8, register: u8, slot: i32) {
        self.put(&[0x65, 0x48 | (register >> 3) << 2, opcode, 0x04 | (register & 7) << 3, 0x25]);
        self.put32(slot);
    }

    /// `mov gs:[slot], register`
    pub(crate) fn store(&mut self, slot: i32, register: u8) {
        self.slot_op(0x89, register, slot);
    }

    /// `mov dword gs:[slot], register`
    pub(crate) fn store_32(&mut self, slot: i32, register: u8) {
        self.put(&[0x65]);
        self.bytes.extend((register >= 8).then_some(0x44));
        self.put(&[0x89, 0x04 | (register & 7) << 3, 0x25]);
        self.put32(slot);
    }

    /// `mov register, gs:[slot]`
    pub(crate) fn load(&mut self, register: u8, slot: i32) {
        self.slot_op(0x8b, register, slot);
    }

    /// `mov dword gs:[slot], value`
    pub(crate) fn store_imm(&mut self, slot: i32, value: u32) {
        self.put(&[0x65, 0xc7, 0x04, 0x25]);
        self.put32(slot);
        self.put(&value.to_le_bytes());
    }

    /// `jmp gs:[slot]`
    pub(crate) fn jump_slot(&mut self, slot: i32) {
        self.put(&[0x65, 0xff, 0x24, 0x25]);
        self.put32(slot);
    }

    /// `lea register, [register + distance]`
    pub(crate) fn add(&mut self, register: u8, distance: i32) {
        self.add_to(register, register, distance);
    }

    /// `lea to, [from + distance]`
    pub(crate) fn add_to(&mut self, to: u8, from: u8, distance: i32) {
        let rex = 0x48 | (to >> 3) << 2 | from >> 3;
        let sib = (from & 7 == 4).then_some(0x24);
        let modrm = (to & 7) << 3 | (from & 7);
        if let Ok(short) = i8::try_from(distance) {
            self.put(&[rex, 0x8d, 0x40 | modrm]);
            self.bytes.extend(sib);
            self.put(&short.to_le_bytes());
        } else {
            self.put(&[rex, 0x8d, 0x80 | modrm]);
            self.bytes.extend(sib);
            self.put32(distance);
        }
    }

    /// Adds to the scratch register what may be more than one instruction can.
    pub(crate) fn add_to_scratch(&mut self, mut value: i64) {
        while value != 0 {
            let part = value.clamp(-i64::from(i32::MAX), i64::from(i32::MAX));
            self.add(SCRATCH, part as i32);
            value -= part;
        }
    }

    /// `mov to, from`, 64 bits wide.
    pub(crate) fn mov(&mut self, to: u8, from: u8) {
        self.put(&[0x48 | (from >> 3) << 2 | to >> 3, 0x89, 0xc0 | (from & 7) << 3 | (to & 7)]);
    }

    /// `mov register, value`, with the shortest encoding.
    pub(crate) fn mov_imm(&mut self, register: u8, value: u64) {
        if let Ok(value) = u32::try_from(value) {
            if register >= 8 {
                self.put(&[0x41]);
            }
            self.put(&[0xb8 | register & 7]);
            self.put(&value.to_le_bytes());
        } else {
            self.put(&[0x48 | register >> 3, 0xb8 | register & 7]);
            self.put(&value.to_le_bytes());
        }
    }

    /// The prefixes that confine an operand in memory.
    pub(crate) fn confine(&mut self) {
        self.put(self.kind.origin.prefixes());
    }

    /// `opcode window:[r11d + distance], field`: the guest's stack.
    fn stack_op(&mut self, rex: u8, opcode: u8, field: u8, distance: i32) {
        self.confine();
        self.put(&[rex | (field >> 3) << 2, opcode]);
        let modrm = (field & 7) << 3 | (STACK & 7);
        match i8::try_from(distance) {
            Ok(0) => self.put(&[modrm]),
            Ok(distance) => self.put(&[0x40 | modrm, distance as u8]),
            Err(_) => {
                self.put(&[0x80 | modrm]);
                self.put32(distance);
            }
        }
    }

    /// Stores on the guest's stack.
    pub(crate) fn store_stack(&mut self, distance: i32, register: u8) {
        self.stack_op(0x49, 0x89, register, distance);
    }

    /// Loads from the guest's stack.
    pub(crate) fn load_stack(&mut self, register: u8, distance: i32) {
        self.stack_op(0x49, 0x8b, register, distance);
    }

    /// `mov register, window:[base32]`. Not for a base that is encoded in a longer way.
    pub(crate) fn load_window(&mut self, register: u8, base: u8) {
        debug_assert!(base & 7 != 4 && base & 7 != 5);
        let rex = 0x48 | (register >> 3) << 2 | base >> 3;
        self.confine();
        self.put(&[rex, 0x8b, (register & 7) << 3 | (base & 7)]);
    }

    /// `mov qword window:[r11d + distance], value`: what a call or a push of a constant stores.
    pub(crate) fn store_stack_imm(&mut self, distance: i32, value: u64) {
        match i32::try_from(value as i64) {
            Ok(value) => {
                self.stack_op(0x49, 0xc7, 0, distance);
                self.put32(value);
            }
            Err(_) => {
                for (distance, part) in [(distance + 4, (value >> 32) as u32), (distance, value as u32)] {
                    self.stack_op(0x41, 0xc7, 0, distance);
                    self.put(&part.to_le_bytes());
                }
            }
        }
    }

    /// `sub r8d, count`; the flags are lost.
    pub(crate) fn sub_budget(&mut self, count: u8) {
        self.put(&[0x41, 0x83, 0xe8 | (BUDGET & 7), count]);
    }

    /// `lea r8d, [r8 - count]`
    pub(crate) fn count(&mut self, count: u8) {
        self.put(&[0x45, 0x8d, 0x40 | (BUDGET & 7) << 3 | (BUDGET & 7), count.wrapping_neg()]);
    }

    /// `movzx ecx, byte gs:[r8 * 2 + check]`: faults if the budget is negative.
    pub(crate) fn check_budget(&mut self) {
        self.put(&[0x65, 0x42, 0x0f, 0xb6, 0x04 | SCRATCH << 3, 0x45 | (BUDGET & 7) << 3]);
        self.put32(CHECK);
    }

    /// `movzx ecx, register16`
    fn low_16_to_ecx(&mut self, register: u8) {
        self.bytes.extend((register >= 8).then_some(0x41));
        self.put(&[0x0f, 0xb7, 0xc0 | SCRATCH << 3 | register & 7]);
    }

    /// `jmp gs:[rcx * 8 + table]`, or `call`, with the low 16 bits of a target that is left in a slot; for a window at 0
    /// `jmp gs:[ecx * 8]`, by its low 29 bits, with the target in rcx.
    pub(crate) fn jump_table(&mut self, target: u8, call: bool) {
        let modrm = if call { 0x14 } else { 0x24 };
        match self.kind.origin {
            Origin::Gs => {
                self.store(slot::TARGET, target);
                self.low_16_to_ecx(target);
                self.put(&[0x65, 0xff, modrm, 0xcd]);
                self.put32(TABLE);
            }
            Origin::Zero => {
                if target != SCRATCH {
                    self.mov(SCRATCH, target);
                }
                self.put(&[0x65, 0x67, 0xff, modrm, 0xcd]);
                self.put32(0);
            }
        }
    }

    /// `jrcxz` over `len` bytes.
    pub(crate) fn skip_if_rcx_0(&mut self, len: u8) {
        self.put(&[JRCXZ, len]);
    }

    /// `jecxz` over `len` bytes.
    pub(crate) fn skip_if_ecx_0(&mut self, len: u8) {
        self.put(&[0x67, 0xe3, len]);
    }

    /// `mov [rsp - headroom], ecx`: faults if a call would leave less room than that on the return stack.
    pub(crate) fn probe_return_stack(&mut self) {
        self.put(&[0x89, 0x84 | SCRATCH << 3, 0x24]);
        self.put32(-HEADROOM);
    }

    /// `ret`
    pub(crate) fn ret(&mut self) {
        self.put(&[0xc3]);
    }

    /// Raw bytes of the caller's.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.put(bytes);
    }

    /// A branch with a displacement of 32 bits, which is filled in later: its place.
    pub(crate) fn branch(&mut self, opcode: &[u8]) -> usize {
        self.put(opcode);
        self.put32(0);
        self.len() - 4
    }

    /// Lets a branch of this piece lead to a place in it.
    pub(crate) fn resolve(&mut self, branch: usize, target: usize) {
        let displacement = (target as i64 - branch as i64 - 4) as i32;
        self.bytes[branch..branch + 4].copy_from_slice(&displacement.to_le_bytes());
    }

    /// A branch with a displacement of 8 bits, which is filled in later: its place.
    pub(crate) fn short_branch(&mut self, opcode: u8) -> usize {
        self.put(&[opcode, 0]);
        self.len() - 1
    }

    /// Lets a short branch of this piece lead to a place in it. False if that is too far.
    pub(crate) fn resolve_short(&mut self, branch: usize, target: usize) -> bool {
        let displacement = i8::try_from(target as i64 - branch as i64 - 1);
        self.bytes[branch] = displacement.unwrap_or(0) as u8;
        displacement.is_ok()
    }
}

/// `jmp rel32`
pub(crate) const JMP: &[u8] = &[0xe9];
/// `call rel32`
pub(crate) const CALL: &[u8] = &[0xe8];
/// `js rel32`
pub(crate) const JS: &[u8] = &[0x0f, 0x88];
/// `jmp rel8`
pub(crate) const JMP_SHORT: u8 = 0xeb;
/// `jrcxz rel8`
pub(crate) const JRCXZ: u8 = 0xe3;
/// `loop rel8`: takes 1 from rcx, and branches if that leaves something.
pub(crate) const LOOP: u8 = 0xe2;
