//! A machine to try instructions on: code, data and a stack, and an interpreter.

#![allow(dead_code)]

pub(crate) mod kernel;

use callgate_emulator::{Cpu, Engine, Exit, Interp, Memory, PAGE_SIZE, PageFlags, Privilege, Space, reg};
use iced_x86::code_asm::CodeAssembler;

pub(crate) const CODE: u64 = 0x40_0000;
pub(crate) const DATA: u64 = 0x60_0000;
pub(crate) const STACK: u64 = 0x7fff_0000;
/// Data pages mapped; the page after them is not.
pub(crate) const DATA_PAGES: u64 = 4;

pub(crate) struct Machine {
    pub(crate) memory: Memory,
    pub(crate) space: Space,
    pub(crate) cpu: Cpu,
    pub(crate) interp: Interp,
}

impl Machine {
    /// With nothing mapped.
    pub(crate) fn empty() -> Self {
        let memory = Memory::new(64 << 20).expect("memory");
        Self { space: Space::new(&memory), cpu: Cpu::default(), interp: Interp::new(&memory), memory }
    }

    /// With code to run, four pages of data and one of stack, rsp in its middle.
    pub(crate) fn new(code: &[u8]) -> Self {
        let mut machine = Self::empty();
        let user = PageFlags::USER;
        machine.map(CODE, code.len().div_ceil(PAGE_SIZE).max(1) as u64, user | PageFlags::EXEC);
        machine.map(DATA, DATA_PAGES, user | PageFlags::WRITE);
        machine.map(STACK, 1, user | PageFlags::WRITE);
        machine.poke(CODE, code);
        machine.cpu.rip = CODE;
        machine.cpu.gpr[reg::RSP] = STACK + 0x800;
        machine
    }

    /// With code that an assembler makes, at `CODE`.
    pub(crate) fn assemble(write: impl FnOnce(&mut CodeAssembler) -> Result<(), iced_x86::IcedError>) -> Self {
        Self::new(&assemble(CODE, write))
    }

    pub(crate) fn map(&mut self, address: u64, pages: u64, flags: PageFlags) {
        for page in 0..pages {
            let frame = self.memory.alloc().expect("a frame");
            self.space.map(address + page * PAGE_SIZE as u64, frame, flags);
        }
    }

    /// Writes whatever the page allows.
    pub(crate) fn poke(&mut self, address: u64, bytes: &[u8]) {
        for (i, byte) in bytes.iter().enumerate() {
            let at = address + i as u64;
            let (frame, _) = self.space.lookup(at).expect("a mapped page");
            frame.write(at as usize % PAGE_SIZE, &[*byte]);
        }
    }

    pub(crate) fn peek<const N: usize>(&self, address: u64) -> [u8; N] {
        let mut bytes = [0; N];
        assert_eq!(self.space.read(address, &mut bytes, Privilege::Supervisor), Ok(()));
        bytes
    }

    pub(crate) fn peek64(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.peek(address))
    }

    pub(crate) fn run(&mut self, budget: u64) -> Exit {
        self.interp.run(&mut self.cpu, &mut self.space, budget)
    }

    /// Runs until `syscall`.
    pub(crate) fn finish(&mut self) {
        assert_eq!(self.run(1_000_000), Exit::Syscall, "at {:#x}", self.cpu.rip);
    }
}

pub(crate) fn assemble(at: u64, write: impl FnOnce(&mut CodeAssembler) -> Result<(), iced_x86::IcedError>) -> Vec<u8> {
    let mut a = CodeAssembler::new(64).expect("64 bits");
    write(&mut a).expect("instructions");
    a.assemble(at).expect("encodable instructions")
}
