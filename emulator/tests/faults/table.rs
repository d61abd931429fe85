//! What a row of the tables is, and how it is checked.

use std::fmt::Debug;

use callgate_emulator::{Cpu, Delivery, Exception, Exit, F80, PAGE_SIZE, PageFlags, Privilege, reg, rflags, vector};
use iced_x86::IcedError;
use iced_x86::code_asm::CodeAssembler;

use crate::common::kernel::{KERNEL_STACK, USER_CS, USER_DS, machine};
use crate::common::{CODE, DATA, DATA_PAGES, Machine};

/// The page before the data.
pub(crate) const BEFORE: u64 = DATA - PAGE_SIZE as u64;
/// The page that can only be read.
pub(crate) const FIXED: u64 = DATA + 0x2000;
/// The page after the data.
pub(crate) const END: u64 = DATA + DATA_PAGES * PAGE_SIZE as u64;
/// In the middle of two pages that can be written.
pub(crate) const MIDDLE: u64 = DATA + 0x1000;
pub(crate) const NOT_CANONICAL: u64 = 1 << 63;

/// Error codes: ring 3 reads or writes what isn't there, or writes what can't be written.
pub(crate) const READ: u32 = 4;
pub(crate) const WRITE: u32 = 6;
pub(crate) const FORBIDDEN: u32 = 7;

pub(crate) const GP: Exception = Exception::with_code(vector::GP, 0);
pub(crate) const SS: Exception = Exception::with_code(vector::SS, 0);

/// The flags that instructions meet, if nothing else is said.
pub(crate) const FLAGS: u64 = rflags::FIXED | rflags::IF | rflags::CF | rflags::SF | rflags::OF;

pub(crate) type Code = fn(&mut CodeAssembler) -> Result<(), IcedError>;

/// A part of the state.
pub(crate) enum Part {
    Register(usize, u64),
    Flags(u64),
    /// Both halves of a ymm register.
    Vector(usize, [u128; 2]),
    Memory(u64, Vec<u8>),
    /// 1.0 on the x87 stack.
    One,
}

pub(crate) struct Row {
    name: &'static str,
    code: Code,
    before: Vec<Part>,
    raises: Option<Exception>,
    after: Vec<Part>,
}

/// An instruction.
pub(crate) fn row(name: &'static str, code: Code) -> Row {
    Row { name, code, before: Vec::new(), raises: None, after: Vec::new() }
}

impl Row {
    /// The state before has this.
    pub(crate) fn with(mut self, part: Part) -> Self {
        self.before.push(part);
        self
    }

    /// A register before.
    pub(crate) fn reg(self, number: usize, value: u64) -> Self {
        self.with(Part::Register(number, value))
    }

    /// Registers before.
    pub(crate) fn regs<const N: usize>(self, registers: [(usize, u64); N]) -> Self {
        registers.into_iter().fold(self, |row, (number, value)| row.reg(number, value))
    }

    /// It raises this.
    pub(crate) fn raises(mut self, exception: Exception) -> Self {
        self.raises = Some(exception);
        self
    }

    /// It raises a page fault.
    pub(crate) fn faults(self, address: u64, code: u32) -> Self {
        self.raises(Exception::page_fault(address, code))
    }

    /// This has changed.
    pub(crate) fn leaves(mut self, part: Part) -> Self {
        self.after.push(part);
        self
    }

    /// A register has.
    pub(crate) fn reg_after(self, number: usize, value: u64) -> Self {
        self.leaves(Part::Register(number, value))
    }

    /// Registers have.
    pub(crate) fn regs_after<const N: usize>(self, registers: [(usize, u64); N]) -> Self {
        registers.into_iter().fold(self, |row, (number, value)| row.reg_after(number, value))
    }

    /// So many bytes were copied.
    pub(crate) fn copied(self, to: u64, from: u64, len: u64) -> Self {
        self.leaves(Part::Memory(to, content(from, len)))
    }

    /// Ready to run: user code in a machine with a kernel.
    pub(crate) fn machine(&self) -> Machine {
        let mut m = machine(
            |a| {
                (self.code)(a)?;
                a.syscall()
            },
            |a| a.hlt(),
        );
        m.cpu.delivery = Delivery::Exit;
        for page in 0..DATA_PAGES {
            let at = DATA + page * PAGE_SIZE as u64;
            let (frame, _) = m.space.lookup(at).expect("a page");
            frame.write(0, &content(at, PAGE_SIZE as u64));
        }
        m.space.protect(FIXED, PageFlags::USER);
        m.cpu.gpr = std::array::from_fn(|i| 0x0101_0101_0101_0101 * i as u64);
        m.cpu.gpr[reg::RSP] = MIDDLE;
        m.cpu.set_rflags(FLAGS);
        for i in 0..16 {
            m.cpu.xmm[i] = 0x0f1e_2d3c_4b5a_6978_8796_a5b4_c3d2_e1f0 ^ i as u128;
            m.cpu.ymm_high[i] = !m.cpu.xmm[i];
        }
        let mut state = State::of(&m);
        self.before.iter().for_each(|part| state.set(part));
        for (page, bytes) in state.memory.chunks_exact(PAGE_SIZE).enumerate() {
            let (frame, _) = m.space.lookup(DATA + (page * PAGE_SIZE) as u64).expect("a page");
            frame.write(0, bytes);
        }
        m.cpu = state.cpu;
        m
    }

    pub(crate) fn check(&self) {
        let mut m = self.machine();
        let mut expected = State::of(&m);
        self.after.iter().for_each(|part| expected.set(part));
        let exit = m.run(10);
        let Some(exception) = self.raises else {
            assert_eq!(exit, Exit::Syscall, "{}", self.name);
            return;
        };
        assert_eq!(exit, Exit::Exception(exception), "{}", self.name);
        assert_eq!((m.cpu.rip, m.cpu.instructions), (CODE, 0), "{}", self.name);
        expected.compare(&State::of(&m), self.name);
        self.check_delivered(exception, expected);
        if exception.vector == vector::PF {
            self.check_mended(m);
        }
    }

    /// What a kernel in the guest finds.
    pub(crate) fn check_delivered(&self, exception: Exception, mut expected: State) {
        let mut m = self.machine();
        m.cpu.delivery = Delivery::Idt;
        assert_eq!(m.run(10), Exit::Halt, "{}", self.name);
        let (flags, top) = (expected.cpu.rflags() | rflags::RF, expected.cpu.gpr[reg::RSP]);
        let frame = [CODE, USER_CS.into(), flags, top, USER_DS.into()];
        let pushed = std::array::from_fn(|i| m.peek64(KERNEL_STACK - 40 + 8 * i as u64));
        assert_eq!(frame, pushed, "{}: its frame", self.name);
        if let Some(code) = exception.error_code {
            assert_eq!(m.peek64(KERNEL_STACK - 48), code.into(), "{}: its error code", self.name);
        }
        assert_eq!((m.cpu.cpl, m.cpu.cr2), (0, exception.address), "{}: ring and CR2", self.name);
        expected.cpu.gpr[reg::RSP] = KERNEL_STACK - if exception.error_code.is_some() { 48 } else { 40 };
        expected.cpu.set_rflags(m.cpu.rflags());
        expected.compare(&State::of(&m), self.name);
    }

    /// Executed again with all pages there.
    pub(crate) fn check_mended(&self, mut m: Machine) {
        let mut undisturbed = self.machine();
        for m in [&mut m, &mut undisturbed] {
            m.map(BEFORE, 1, PageFlags::USER | PageFlags::WRITE);
            m.map(END, 1, PageFlags::USER | PageFlags::WRITE);
            m.space.protect(FIXED, PageFlags::USER | PageFlags::WRITE);
        }
        assert_eq!(m.run(10), undisturbed.run(10), "{}, mended", self.name);
        State::of(&undisturbed).compare(&State::of(&m), self.name);
        let around = [BEFORE, END].map(|page| (m.peek::<64>(page), undisturbed.peek::<64>(page)));
        assert!(around.iter().all(|(a, b)| a == b), "{}, mended: the pages around", self.name);
    }
}

/// All that a program sees.
pub(crate) struct State {
    pub(crate) cpu: Cpu,
    memory: Vec<u8>,
}

impl State {
    pub(crate) fn of(m: &Machine) -> Self {
        let mut memory = vec![0; (END - DATA) as usize];
        assert_eq!(m.space.read(DATA, &mut memory, Privilege::Supervisor), Ok(()));
        Self { cpu: m.cpu.clone(), memory }
    }

    pub(crate) fn set(&mut self, part: &Part) {
        match part {
            Part::Register(number, value) => self.cpu.gpr[*number] = *value,
            Part::Flags(flags) => self.cpu.set_rflags(rflags::FIXED | rflags::IF | flags),
            Part::Vector(number, [low, high]) => {
                self.cpu.xmm[*number] = *low;
                self.cpu.ymm_high[*number] = *high;
            }
            Part::Memory(at, bytes) => {
                let at = (at - DATA) as usize;
                self.memory[at..at + bytes.len()].copy_from_slice(bytes);
            }
            Part::One => self.cpu.fpu.push(F80 { sig: 1 << 63, sign_exp: 0x3fff }),
        }
    }

    pub(crate) fn compare(&self, found: &Self, name: &str) {
        fn same<T: PartialEq + Debug>(expected: T, found: T, what: &str, name: &str) {
            assert!(expected == found, "{name}: {what}\nexpected {expected:x?}\n   found {found:x?}");
        }
        same(self.cpu.gpr, found.cpu.gpr, "registers", name);
        same(self.cpu.rflags(), found.cpu.rflags(), "flags", name);
        let bytes = |expected: &[u8], found: &[u8], what: &str| {
            if let Some(at) = (0..expected.len()).find(|at| expected[*at] != found[*at]) {
                let end = (at + 32).min(expected.len());
                same(&expected[at..end], &found[at..end], &format!("{what} at {at:#x}"), name);
            }
        };
        bytes(&self.cpu.xsave(), &found.cpu.xsave(), "the XSAVE area");
        bytes(&self.memory, &found.memory, "the data");
    }
}

/// What is in memory from an address on.
pub(crate) fn content(from: u64, len: u64) -> Vec<u8> {
    (from..from + len).map(|at| (at ^ at >> 8).wrapping_mul(0x9d) as u8).collect()
}

/// The number that these bytes of memory are.
pub(crate) fn number(from: u64, len: u64) -> u64 {
    content(from, len).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

pub(crate) fn check(rows: impl IntoIterator<Item = Row>) {
    rows.into_iter().for_each(|row| row.check());
}
