//! Operands: registers under other names, memory confined.

use callgate_emulator::PAGE_SIZE;
use iced_x86::{Code, Instruction, MemorySize, Mnemonic, OpKind, Register, RoundingControl};

use super::facts::{Class, Decoded, Registers};
use super::loans::{Place, RCX, RSP};
use super::{LONGEST, NONE, Translator, Untranslated};
use crate::context::{SCRATCH, STACK, slot};
use crate::window::Origin;

/// Host registers that are borrowed if the scratch register isn't enough. Not rax, which stands for none; nor those that
/// instructions use without naming them, nor those that hold other registers than their namesakes.
const LENDERS: [u8; 9] = [15, 14, 13, 12, 10, 7, 6, 5, 3];

/// The guest's number of a general register of any size.
pub(super) fn number(register: Register) -> Option<u8> {
    register.is_gpr().then(|| register.full_register().number() as u8)
}

/// A general register by number, as wide as another.
pub(super) fn like(model: Register, number: u8) -> Register {
    let n = u32::from(number);
    if model.is_gpr64() {
        Register::RAX + n
    } else if model.is_gpr32() {
        Register::EAX + n
    } else if model.is_gpr16() {
        Register::AX + n
    } else if n < 4 {
        Register::AL + n
    } else {
        // spl, bpl, sil, dil, r8b …
        Register::SPL + (n - 4)
    }
}

fn is_high_byte(register: Register) -> bool {
    matches!(register, Register::AH | Register::BH | Register::CH | Register::DH)
}

/// Whether an instruction names the byte in a register's middle.
fn has_high_byte(instruction: &Instruction) -> bool {
    (0..instruction.op_count())
        .any(|i| instruction.op_kind(i) == OpKind::Register && is_high_byte(instruction.op_register(i)))
}

/// Whether an instruction uses rcx without naming it, even where its address names it.
fn uses_rcx_besides(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    matches!(
        instruction.mnemonic(),
        M::Pcmpestri | M::Pcmpistri | M::Vpcmpestri | M::Vpcmpistri | M::Cmpxchg8b | M::Cmpxchg16b
    ) || matches!(instruction.mnemonic(), M::Pcmpestri64 | M::Vpcmpestri64)
}

/// What must be moved back after an instruction: from a host register to its place.
#[derive(Default)]
pub(super) struct Back([Option<(u8, Place)>; 3]);

impl Back {
    fn push(&mut self, register: u8, place: Place) {
        if let Some(free) = self.0.iter_mut().find(|entry| entry.is_none()) {
            *free = Some((register, place));
        }
    }
}

/// Whether it depends on the operands of an instruction if they are of the kinds that translation knows, or its code has
/// others.
pub(super) fn is_odd(instruction: &Instruction) -> bool {
    let is_usual = |kind| match kind {
        OpKind::Register | OpKind::Memory | OpKind::NearBranch64 => true,
        kind => kind >= OpKind::Immediate8 && kind <= OpKind::Immediate32to64,
    };
    let usual = (0..instruction.op_count()).all(|i| is_usual(instruction.op_kind(i)));
    !usual || is_moffs(instruction) || instruction.is_vsib() || is_bit_string(instruction)
}

/// Whether an instruction tests a bit, and may change it.
fn tests_bits(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc)
}

/// Whether an instruction takes a bit by a register, and so reaches as far as that says if the other operand is in memory.
fn is_bit_string(instruction: &Instruction) -> bool {
    tests_bits(instruction) && instruction.op1_kind() == OpKind::Register
}

/// Whether memory operands, if any, are of the kind that can be confined by a prefix.
pub(crate) fn plain_memory(instruction: &Instruction) -> bool {
    (0..instruction.op_count()).all(|i| match instruction.op_kind(i) {
        OpKind::Memory => {
            // Gathers without a base, or with one of fs or gs, are for the interpreter: they are rare.
            let based = matches!(instruction.segment_prefix(), Register::FS | Register::GS);
            let gathers = instruction.is_vsib() && (!instruction.memory_base().is_gpr() || based);
            !(gathers || is_moffs(instruction) || is_bit_string(instruction))
        }
        OpKind::Register | OpKind::NearBranch64 => true,
        OpKind::MemorySegSI | OpKind::MemorySegESI | OpKind::MemorySegRSI | OpKind::MemorySegDI => false,
        OpKind::MemorySegEDI | OpKind::MemorySegRDI | OpKind::MemoryESDI => false,
        OpKind::MemoryESEDI | OpKind::MemoryESRDI => false,
        OpKind::FarBranch16 | OpKind::FarBranch32 | OpKind::NearBranch16 | OpKind::NearBranch32 => false,
        _ => true,
    })
}

/// mov with an address of 64 bits in the instruction.
fn is_moffs(instruction: &Instruction) -> bool {
    matches!(
        instruction.code(),
        Code::Mov_AL_moffs8
            | Code::Mov_AX_moffs16
            | Code::Mov_EAX_moffs32
            | Code::Mov_RAX_moffs64
            | Code::Mov_moffs8_AL
            | Code::Mov_moffs16_AX
            | Code::Mov_moffs32_EAX
            | Code::Mov_moffs64_RAX
    )
}

/// Adds to the displacement of a memory operand.
pub(super) fn move_displacement(instruction: &mut Instruction, distance: i64) {
    let displacement = instruction.memory_displacement64().wrapping_add(distance as u64);
    instruction.set_memory_displacement64(displacement);
    let wide = if instruction.memory_base().is_gpr64() { 8 } else { 4 };
    instruction.set_memory_displ_size(if i8::try_from(displacement as i64).is_ok() { 1 } else { wide });
}

/// Makes a memory operand one in the window: an address of 32 bits, and gs if that is where the window begins.
pub(super) fn confine(instruction: &mut Instruction, origin: Origin) {
    let narrow =
        |register: Register| if register.is_gpr() { like(Register::EAX, register.number() as u8) } else { register };
    let base = instruction.memory_base();
    if base.is_ip() {
        let target = instruction.memory_displacement64();
        instruction.set_memory_base(Register::None);
        instruction.set_memory_displ_size(4);
        instruction.set_memory_displacement64(target & 0xffff_ffff);
    } else {
        instruction.set_memory_base(narrow(base));
        instruction.set_memory_index(narrow(instruction.memory_index()));
        if instruction.memory_displ_size() == 8 {
            instruction.set_memory_displ_size(4);
        }
        if base == Register::None && instruction.memory_index() == Register::None {
            instruction.set_memory_displ_size(4);
            instruction.set_memory_displacement64(instruction.memory_displacement64() & 0xffff_ffff);
        }
    }
    instruction.set_segment_prefix(match origin {
        Origin::Gs => Register::GS,
        Origin::Zero => Register::None,
    });
}

/// Whether an instruction has no prefixes, or the ones that compilers give it: at most one of the operand's size or of the
/// opcode, and REX behind it.
fn has_usual_prefixes(bytes: &[u8]) -> bool {
    let rest = match bytes {
        [0xf2 | 0xf3, 0x0f, ..] | [0xf2 | 0xf3, 0x40..=0x4f, 0x0f, ..] | [0x66, ..] => &bytes[1..],
        _ => bytes,
    };
    let rest = match rest {
        [0x40..=0x4f, rest @ ..] => rest,
        rest => rest,
    };
    !matches!(rest, [] | [0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3, ..])
}

/// Makes a register operand the home of a guest register.
fn set_home(instruction: &mut Instruction, operand: u32, home: i32) {
    instruction.set_op_kind(operand, OpKind::Memory);
    instruction.set_memory_base(Register::None);
    instruction.set_memory_index(Register::None);
    instruction.set_memory_index_scale(1);
    // 64-bit addressing: the displacement is negative.
    instruction.set_memory_displ_size(8);
    instruction.set_memory_displacement64(i64::from(home) as u64);
    instruction.set_segment_prefix(Register::GS);
}

/// The same instruction with register and register-or-memory operands exchanged in the encoding, so that the one which
/// isn't in a host register can be memory.
fn exchanged(code: Code) -> Option<Code> {
    use Code as C;
    Some(match code {
        C::Mov_rm64_r64 => C::Mov_r64_rm64,
        C::Mov_r64_rm64 => C::Mov_rm64_r64,
        C::Mov_rm32_r32 => C::Mov_r32_rm32,
        C::Mov_r32_rm32 => C::Mov_rm32_r32,
        C::Add_rm64_r64 => C::Add_r64_rm64,
        C::Add_r64_rm64 => C::Add_rm64_r64,
        C::Sub_rm64_r64 => C::Sub_r64_rm64,
        C::Sub_r64_rm64 => C::Sub_rm64_r64,
        C::Xor_rm64_r64 => C::Xor_r64_rm64,
        C::Xor_r64_rm64 => C::Xor_rm64_r64,
        C::And_rm64_r64 => C::And_r64_rm64,
        C::And_r64_rm64 => C::And_rm64_r64,
        C::Or_rm64_r64 => C::Or_r64_rm64,
        C::Or_r64_rm64 => C::Or_rm64_r64,
        C::Cmp_rm64_r64 => C::Cmp_r64_rm64,
        C::Cmp_r64_rm64 => C::Cmp_rm64_r64,
        C::Add_rm32_r32 => C::Add_r32_rm32,
        C::Add_r32_rm32 => C::Add_rm32_r32,
        C::Sub_rm32_r32 => C::Sub_r32_rm32,
        C::Sub_r32_rm32 => C::Sub_rm32_r32,
        C::Xor_rm32_r32 => C::Xor_r32_rm32,
        C::Xor_r32_rm32 => C::Xor_rm32_r32,
        C::And_rm32_r32 => C::And_r32_rm32,
        C::And_r32_rm32 => C::And_rm32_r32,
        C::Or_rm32_r32 => C::Or_r32_rm32,
        C::Or_r32_rm32 => C::Or_rm32_r32,
        C::Cmp_rm32_r32 => C::Cmp_r32_rm32,
        C::Cmp_r32_rm32 => C::Cmp_rm32_r32,
        _ => return None,
    })
}

/// Whether an instruction shifts by cl: by its last operand, and not what is shifted.
fn shifts_by_cl(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    matches!(
        instruction.mnemonic(),
        M::Rol | M::Ror | M::Rcl | M::Rcr | M::Shl | M::Shr | M::Sal | M::Sar | M::Shld | M::Shrd
    ) && instruction.op_count().checked_sub(1).is_some_and(|last| instruction.op_register(last) == Register::CL)
}

impl Translator<'_> {
    /// Borrows a host register that isn't one of the guest's registers in `used`: the scratch register, or one whose value
    /// goes to a temporary.
    pub(super) fn borrow(&mut self, used: u32, high_byte: bool) -> Result<u8, Untranslated> {
        if std::mem::take(&mut self.scratch_free) {
            self.held = None;
            return Ok(SCRATCH);
        }
        let taken = self.borrowed;
        let free = LENDERS
            .into_iter()
            .find(|n| used >> n & 1 == 0 && !taken.contains(n) && !self.is_lent(*n) && (!high_byte || *n < 8));
        let (Some(register), Some(place)) = (free, taken.iter().position(|n| *n == NONE)) else {
            return Err(Untranslated);
        };
        self.borrowed[place] = register;
        self.emit.store(slot::temporary(place), register);
        Ok(register)
    }

    /// A borrowed register with what a guest register has that is in the context.
    pub(super) fn borrow_for(&mut self, guest: u8, home: i32) -> Result<u8, Untranslated> {
        if self.holds(guest) {
            self.scratch_free = false;
            return Ok(SCRATCH);
        }
        let register = self.borrow(0, false)?;
        self.emit.load(register, home);
        self.note_held(register, guest);
        Ok(register)
    }

    /// Whether the scratch register has what a guest register has, and may be used for it.
    fn holds(&self, guest: u8) -> bool {
        self.scratch_free && self.held == Some(guest)
    }

    /// Notes that a borrowed register has the same as a guest register of the context has, or will have after the
    /// instruction at hand.
    pub(super) fn note_held(&mut self, register: u8, guest: u8) {
        if register == SCRATCH
            && self.emit.kind.homed().contains(&guest)
            && self.place(guest) == Place::Home(slot::gpr(guest))
        {
            self.held = Some(guest);
        }
    }

    /// Gives all borrowed registers back.
    pub(super) fn give_back(&mut self) {
        for (place, register) in self.borrowed.into_iter().enumerate().filter(|(_, register)| *register != NONE) {
            self.emit.load(register, slot::temporary(place));
        }
    }

    /// Gives registers new names, in operands and addresses, all at once. Where a byte in the middle is used, the register
    /// keeps its name.
    fn rename(instruction: &mut Instruction, names: &[u8; 16]) {
        let renamed = |register: Register| {
            number(register).filter(|_| !is_high_byte(register)).map(|n| like(register, names[usize::from(n)]))
        };
        for i in 0..instruction.op_count() {
            if instruction.op_kind(i) == OpKind::Register
                && let Some(register) = renamed(instruction.op_register(i))
            {
                instruction.set_op_register(i, register);
            }
        }
        if let Some(base) = renamed(instruction.memory_base()) {
            instruction.set_memory_base(base);
        }
        if let Some(index) = renamed(instruction.memory_index()) {
            instruction.set_memory_index(index);
        }
    }

    /// The general registers that an instruction names, one bit each.
    fn named(instruction: &Instruction) -> u32 {
        (0..instruction.op_count())
            .filter(|i| instruction.op_kind(*i) == OpKind::Register)
            .map(|i| instruction.op_register(i))
            .chain([instruction.memory_base(), instruction.memory_index()])
            .filter_map(number)
            .fold(0, |set, n| set | 1 << n)
    }

    /// Whether an instruction needs rcx in its own host register: it uses it without a choice, or the byte in its middle
    /// may be meant.
    fn needs_rcx(instruction: &Instruction, used: u32) -> bool {
        used >> RCX & 1 != 0
            && (shifts_by_cl(instruction)
                || has_high_byte(instruction)
                || Self::named(instruction) >> RCX & 1 == 0
                || uses_rcx_besides(instruction))
    }

    /// Lets all registers of an instruction be in host registers, those that aren't in borrowed ones. Gives what must be
    /// moved back after it.
    pub(super) fn with_host_registers(
        &mut self,
        instruction: &mut Instruction,
        Registers { mut used, written, replaced }: Registers,
    ) -> Result<Back, Untranslated> {
        let elsewhere = used & self.elsewhere;
        let mut back = Back::default();
        if elsewhere == 0 {
            return Ok(back);
        }
        let high = has_high_byte(instruction);
        let mut names: [u8; 16] = std::array::from_fn(|n| n as u8);
        let needs_rcx = Self::needs_rcx(instruction, used);
        if needs_rcx && !std::mem::take(&mut self.scratch_free) {
            return Err(Untranslated);
        }
        let held = self.held.filter(|n| self.holds(*n) && elsewhere >> n & 1 != 0);
        if needs_rcx {
            self.held = None;
        }
        // Nobody else may borrow it.
        self.scratch_free &= held.is_none();
        for n in (0..16u8).filter(|n| elsewhere >> n & 1 != 0) {
            let place = self.place(n);
            let register = match place {
                _ if n == RCX && needs_rcx => SCRATCH,
                // A middle byte can't be named beside the higher registers.
                Place::Host(STACK) if high => self.borrow(used, high)?,
                Place::Host(register) => {
                    names[usize::from(n)] = register;
                    continue;
                }
                Place::Home(_) if held == Some(n) => SCRATCH,
                Place::Home(_) => self.borrow(used, high)?,
            };
            match place {
                Place::Host(own) => self.emit.mov(register, own),
                Place::Home(_) if replaced >> n & 1 != 0 || held == Some(n) => {}
                Place::Home(home) => self.emit.load(register, home),
            }
            if let Place::Home(_) = place {
                self.note_held(register, n);
            }
            used |= 1 << register;
            names[usize::from(n)] = register;
            if written >> n & 1 != 0 {
                back.push(register, place);
            }
        }
        Self::rename(instruction, &names);
        Ok(back)
    }

    /// Moves what an instruction has written to where it belongs.
    fn put_back(&mut self, back: Back) {
        for (register, place) in back.0.into_iter().flatten() {
            match place {
                Place::Host(to) => self.emit.mov(to, register),
                Place::Home(home) => self.emit.store(home, register),
            }
        }
    }

    /// Adds a segment's base to a memory operand of fs or gs, by a borrowed register: none of those in `used`.
    fn with_segment(&mut self, instruction: &mut Instruction, used: u32) -> Result<(), Untranslated> {
        let base_slot = match instruction.segment_prefix() {
            Register::FS => slot::FS_BASE,
            Register::GS => slot::GS_BASE,
            _ => return Ok(()),
        };
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        if base.is_ip() || base.is_gpr32() || index.is_gpr32() {
            return Err(Untranslated);
        }
        // Names are the host's here, except those that are used without being named.
        let used = Self::named(instruction) | used;
        let register = self.borrow(used, false)?;
        self.emit.load(register, base_slot);
        let whole = like(Register::RAX, register);
        match (base.is_gpr(), index.is_gpr()) {
            (true, true) => {
                // lea whole, [whole + base]
                let address = iced_x86::MemoryOperand::with_base_index(whole, base);
                let lea = Instruction::with2(Code::Lea_r64_m, whole, address).map_err(|_| Untranslated)?;
                self.emit.instruction(&lea)?;
                instruction.set_memory_base(whole);
            }
            (true, false) => {
                instruction.set_memory_index(base);
                instruction.set_memory_index_scale(1);
                instruction.set_memory_base(whole);
            }
            (false, _) => instruction.set_memory_base(whole),
        }
        Ok(())
    }

    /// An instruction that does what it does with its operands, wherever they are.
    pub(super) fn plain(&mut self, decoded: &Decoded) -> Result<(), Untranslated> {
        if self.copied(decoded) || self.homed_in_place(decoded) {
            return Ok(());
        }
        let mut instruction = decoded.instruction;
        let back = self.with_host_registers(&mut instruction, decoded.registers)?;
        if decoded.memory {
            self.with_segment(&mut instruction, decoded.registers.used)?;
            confine(&mut instruction, self.emit.kind.origin);
        }
        self.emit.instruction(&instruction)?;
        self.put_back(back);
        self.give_back();
        Ok(())
    }

    /// Copies the bytes of an instruction whose registers are all where it looks for them, and whose operand in memory, if
    /// it has one, takes no more than prefixes to confine. Most are so. False if this one isn't.
    fn copied(&mut self, decoded: &Decoded) -> bool {
        let original = &decoded.instruction;
        if decoded.registers.used & self.elsewhere != 0 || original.segment_prefix() != Register::None {
            return false;
        }
        let start = original.ip() as usize % PAGE_SIZE;
        let bytes = &self.request.page[start..start + original.len()];
        if !has_usual_prefixes(bytes) {
            return false;
        }
        if decoded.memory && decoded.class != Class::Lea {
            let (base, index) = (original.memory_base(), original.memory_index());
            let wide = |register: Register| register == Register::None || register.is_gpr64();
            let addressed = base.is_gpr64() || index.is_gpr64();
            if !(wide(base)
                && wide(index)
                && addressed
                && bytes.len() + self.emit.kind.origin.prefixes().len() <= LONGEST)
            {
                return false;
            }
            self.emit.confine();
        } else if decoded.memory && original.is_ip_rel_memory_operand() {
            return false;
        }
        self.emit.raw(bytes);
        true
    }

    /// Uses the home of a register as memory operand, if that is the only such operand and the encoding has a place for
    /// it.
    fn homed_in_place(&mut self, decoded: &Decoded) -> bool {
        let instruction = &decoded.instruction;
        let Registers { used, written, .. } = decoded.registers;
        if used & self.at_home == 0 || decoded.memory {
            return false;
        }
        let operands = instruction.op_count();
        let is_homed = |register: Register| number(register).is_some_and(|n| matches!(self.place(n), Place::Home(_)));
        let registers = (0..operands).filter(|i| instruction.op_kind(*i) == OpKind::Register);
        let mut homed = registers.filter(|i| is_homed(instruction.op_register(*i)));
        let (Some(operand), None) = (homed.next(), homed.next()) else { return false };
        // xchg with memory locks, and what cmpxchg does to an upper half depends on how it ends.
        let others = matches!(instruction.mnemonic(), Mnemonic::Xchg | Mnemonic::Cmpxchg);
        // Rounding of an instruction's own is for registers only.
        let rounds = instruction.rounding_control() != RoundingControl::None;
        if tests_bits(instruction) || others || rounds || Self::needs_rcx(instruction, used) {
            return false;
        }
        let register = instruction.op_register(operand);
        let Some(n) = number(register) else { return false };
        let Place::Home(home) = self.place(n) else { return false };
        let (size, written) = (register.size(), written >> n & 1 != 0);
        // What is written in two stores, of which one would be the upper half's, the processor waits for where it is loaded
        // at once.
        if self.holds(n) || written && size == 4 {
            return false;
        }
        for code in [Some(instruction.code()), exchanged(instruction.code())].into_iter().flatten() {
            let mut changed = *instruction;
            changed.set_code(code);
            set_home(&mut changed, operand, home);
            if changed.memory_size().size() != size || changed.memory_size() == MemorySize::Unknown {
                continue;
            }
            for i in 0..operands {
                if let Some(n) = number(changed.op_register(i)).filter(|_| changed.op_kind(i) == OpKind::Register)
                    && let Place::Host(host) = self.place(n)
                {
                    changed.set_op_register(i, like(changed.op_register(i), host));
                }
            }
            // The encoder refuses where the operand can't be memory. iced could tell before, but makes its descriptions of
            // all instructions for that, which takes longer than translating a short program.
            if self.emit.instruction(&changed).is_ok() {
                if written && self.held == Some(n) {
                    self.held = None;
                }
                return true;
            }
        }
        false
    }

    /// An address, which isn't accessed.
    pub(super) fn lea(&mut self, decoded: &Decoded) -> Result<(), Untranslated> {
        if self.copied(decoded) {
            return Ok(());
        }
        let mut instruction = decoded.instruction;
        let target = instruction.op0_register();
        let Some(n) = number(target) else { return Err(Untranslated) };
        if instruction.memory_base().is_ip() {
            if !target.is_gpr64() && !target.is_gpr32() {
                return Err(Untranslated);
            }
            let mut value = instruction.memory_displacement64();
            if target.is_gpr32() {
                value &= 0xffff_ffff;
            }
            match self.place(n) {
                Place::Host(register) => self.emit.mov_imm(register, value),
                Place::Home(home) => {
                    let register = self.borrow(0, false)?;
                    self.emit.mov_imm(register, value);
                    self.emit.store(home, register);
                    self.note_held(register, n);
                    self.give_back();
                }
            }
            return Ok(());
        }
        instruction.set_segment_prefix(Register::None);
        let back = self.with_host_registers(&mut instruction, decoded.registers)?;
        self.emit.instruction(&instruction)?;
        self.put_back(back);
        self.give_back();
        Ok(())
    }

    /// The host register that has what a branch's operand names: the scratch register, unless it is one that the guest's is
    /// in and stays in.
    pub(super) fn target(&mut self, decoded: &Decoded) -> Result<u8, Untranslated> {
        let original = &decoded.instruction;
        self.scratch_free = false;
        if original.op0_kind() == OpKind::Register {
            let Some(n) = number(original.op0_register()).filter(|_| original.op0_register().is_gpr64()) else {
                return Err(Untranslated);
            };
            match self.place(n) {
                Place::Home(home) => self.emit.load(SCRATCH, home),
                Place::Host(STACK) => self.emit.mov(SCRATCH, STACK),
                Place::Host(register) => return Ok(register),
            }
            return Ok(SCRATCH);
        }
        // The address may need a register of its own, which the scratch register can be until it is loaded.
        self.scratch_free = true;
        self.load_operand(decoded, SCRATCH)?;
        self.scratch_free = false;
        // The temporaries keep what they have: a fault of what follows finds the same values there.
        self.give_back();
        Ok(SCRATCH)
    }

    /// `mov register, operand` for a memory operand of 64 bits.
    pub(super) fn load_operand(&mut self, decoded: &Decoded, register: u8) -> Result<(), Untranslated> {
        self.move_operand(decoded, register, Code::Mov_r64_rm64)
    }

    /// Moves between a host register and the memory operand of an instruction: loads it, or stores it for a pop.
    pub(super) fn move_operand(&mut self, decoded: &Decoded, register: u8, code: Code) -> Result<(), Untranslated> {
        let mut mov = decoded.instruction;
        mov.set_code(code);
        let (memory, other) = if code == Code::Mov_r64_rm64 { (1, 0) } else { (0, 1) };
        mov.set_op_kind(memory, OpKind::Memory);
        mov.set_op_kind(other, OpKind::Register);
        // A name that is no guest register's: it is set when all others have theirs.
        mov.set_op_register(other, Register::RAX);
        if code == Code::Mov_rm64_r64 && number(mov.memory_base()) == Some(RSP) {
            // pop works an address by rsp out when it has moved rsp already.
            move_displacement(&mut mov, 8);
        }
        let registers = self.facts.of(&mov);
        let back = self.with_host_registers(&mut mov, registers)?;
        debug_assert!(back.0.iter().all(Option::is_none));
        self.with_segment(&mut mov, decoded.registers.used)?;
        mov.set_op_register(other, like(Register::RAX, register));
        confine(&mut mov, self.emit.kind.origin);
        self.emit.instruction(&mov)?;
        Ok(())
    }
}
