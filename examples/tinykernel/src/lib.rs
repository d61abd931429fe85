//! A kernel that isn't callgate's: a board with four lights, a line of text and 256 bytes of memory for its one program.
//!
//! It has what every kernel has that uses the generator: a table (`tiny.tbl`), a `build.rs`, the generated module
//! [`syscalls`], a context ([`Machine`]) and handlers. Its own besides are an argument type ([`Led`]) and an error type
//! ([`Fault`]). It needs neither std nor an allocator.
#![no_std]
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, clippy::all, clippy::pedantic)]

use core::fmt;

use callgate_abi::{
    ArgClass, Errno, Exited, PeekMemory, SYSCALL_DEFINE1, SYSCALL_DEFINE2, SyscallArg, TracedArg, UserMemory, UserMut,
    UserPtr,
};

/// What the generator makes of the table: the dispatch table, the numbers, a trait for each entry point.
pub mod syscalls {
    include!(concat!(env!("OUT_DIR"), "/syscalls.rs"));
}

/// The header for C programs.
pub const UNISTD_H: &str = include_str!(concat!(env!("OUT_DIR"), "/unistd.h"));

/// The board, and what its program can see of it: the context of every handler.
pub struct Machine {
    /// The program's memory, from address 0 on.
    pub memory: [u8; 256],
    /// The line of text.
    pub screen: [u8; 16],
    /// The lights, a bit each.
    pub leds: u8,
    /// The calls so far.
    pub ticks: u64,
    /// What the program gave to halt, once it has.
    pub halted: Option<i32>,
}

impl Machine {
    /// A board that has just been switched on.
    #[must_use]
    pub const fn new() -> Self {
        Self { memory: [0; 256], screen: [b' '; 16], leds: 0, ticks: 0, halted: None }
    }

    /// Makes the call that a program asks for by a number and six registers, and returns its answer.
    pub fn syscall(&mut self, number: u64, registers: &[u64; 6]) -> i64 {
        self.ticks += 1;
        (syscalls::lookup(number).call)(self, registers)
    }

    fn bytes(&mut self, addr: u64, len: usize) -> Option<&mut [u8]> {
        let start = usize::try_from(addr).ok()?;
        self.memory.get_mut(start..start.checked_add(len)?)
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

/// How handlers reach the program's memory.
impl UserMemory for Machine {
    fn copy_from_user(&mut self, dst: &mut [u8], src: u64) -> Result<(), usize> {
        let src = self.bytes(src, dst.len()).ok_or(dst.len())?;
        dst.copy_from_slice(src);
        Ok(())
    }

    fn copy_to_user(&mut self, dst: u64, src: &[u8]) -> Result<(), usize> {
        self.bytes(dst, src.len()).ok_or(src.len())?.copy_from_slice(src);
        Ok(())
    }
}

/// How a trace reaches it.
impl PeekMemory for Machine {
    fn peek(&self, addr: u64, buf: &mut [u8]) -> usize {
        let start = usize::try_from(addr).unwrap_or(usize::MAX);
        let there = self.memory.get(start..).unwrap_or_default();
        let len = there.len().min(buf.len());
        buf[..len].copy_from_slice(&there[..len]);
        len
    }
}

/// An argument type of this kernel: one of its lights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Led(pub u8);

impl SyscallArg for Led {
    const CLASS: ArgClass = ArgClass::Enum;

    fn from_reg(raw: u64) -> Self {
        Self(u8::from_reg(raw))
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("unsigned char")
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
        write!(f, "LED{}", Self::from_reg(arg.raw).0)
    }
}

/// Why a call of this kernel fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An address leads nowhere.
    Address,
    /// There is no such light.
    NoLed,
}

/// What the program gets to know of it.
impl From<Fault> for Errno {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Address => Self::EFAULT,
            Fault::NoLed => Self::ENODEV,
        }
    }
}

/// print(2): shows at most 16 bytes and returns how many.
#[SYSCALL_DEFINE2(print)]
fn print(machine: &mut Machine, text: UserPtr<u8>, len: usize) -> Result<usize, Fault> {
    let mut line = [b' '; 16];
    let len = len.min(line.len());
    machine.copy_from_user(&mut line[..len], text.addr()).map_err(|_| Fault::Address)?;
    machine.screen = line;
    Ok(len)
}

/// led(2): switches a light.
#[SYSCALL_DEFINE2(led)]
fn led(machine: &mut Machine, led: Led, on: bool) -> Result<(), Fault> {
    let bit = if led.0 < 4 { 1 << led.0 } else { return Err(Fault::NoLed) };
    machine.leds = if on { machine.leds | bit } else { machine.leds & !bit };
    Ok(())
}

/// uptime(2): counts the calls since the board was switched on.
#[SYSCALL_DEFINE1(uptime)]
fn uptime(machine: &mut Machine, ticks: UserMut<u64>) -> Result<(), Fault> {
    let now = machine.ticks;
    ticks.write(machine, &now).map_err(|_| Fault::Address)
}

/// halt(2): ends the program.
#[SYSCALL_DEFINE1(halt)]
fn halt(machine: &mut Machine, status: i32) -> Exited {
    machine.halted = Some(status);
    Exited
}
