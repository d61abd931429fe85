//! How a run ends, and the trait of whatever runs.

use std::fmt;
use std::time::Duration;

use crate::{Cpu, Space};

/// Exception vectors.
pub mod vector {
    /// Divide error, #DE.
    pub const DE: u8 = 0;
    /// Debug, #DB.
    pub const DB: u8 = 1;
    /// Breakpoint, #BP.
    pub const BP: u8 = 3;
    /// Overflow, #OF.
    pub const OF: u8 = 4;
    /// Bound range exceeded, #BR.
    pub const BR: u8 = 5;
    /// Invalid opcode, #UD.
    pub const UD: u8 = 6;
    /// Device not available, #NM.
    pub const NM: u8 = 7;
    /// Double fault, #DF.
    pub const DF: u8 = 8;
    /// Invalid TSS, #TS.
    pub const TS: u8 = 10;
    /// Segment not present, #NP.
    pub const NP: u8 = 11;
    /// Stack fault, #SS.
    pub const SS: u8 = 12;
    /// General protection, #GP.
    pub const GP: u8 = 13;
    /// Page fault, #PF.
    pub const PF: u8 = 14;
    /// x87 error, #MF.
    pub const MF: u8 = 16;
    /// Alignment check, #AC.
    pub const AC: u8 = 17;
    /// SIMD floating-point error, #XM.
    pub const XM: u8 = 19;
}

/// An exception as the processor would deliver it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Which; see [`vector`].
    pub vector: u8,
    /// What would be pushed with it.
    pub error_code: Option<u32>,
    /// For a page fault the address that could not be accessed (what CR2 gets), else 0.
    pub address: u64,
    /// An invalid opcode only because this core lacks the instruction.
    pub missing: bool,
}

impl Exception {
    /// An exception without error code.
    pub const fn new(vector: u8) -> Self {
        Self { vector, error_code: None, address: 0, missing: false }
    }

    /// An exception with error code.
    pub const fn with_code(vector: u8, error_code: u32) -> Self {
        Self { vector, error_code: Some(error_code), address: 0, missing: false }
    }

    /// A page fault.
    pub const fn page_fault(address: u64, error_code: u32) -> Self {
        Self { vector: vector::PF, error_code: Some(error_code), address, missing: false }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.vector {
            vector::DE => "#DE",
            vector::DB => "#DB",
            vector::BP => "#BP",
            vector::OF => "#OF",
            vector::BR => "#BR",
            vector::UD => "#UD",
            vector::NM => "#NM",
            vector::DF => "#DF",
            vector::TS => "#TS",
            vector::NP => "#NP",
            vector::SS => "#SS",
            vector::GP => "#GP",
            vector::PF => "#PF",
            vector::MF => "#MF",
            vector::AC => "#AC",
            vector::XM => "#XM",
            other => return write!(f, "exception {other}"),
        };
        f.write_str(name)?;
        if let Some(code) = self.error_code {
            write!(f, "({code:#x})")?;
        }
        if self.vector == vector::PF {
            write!(f, " at {:#x}", self.address)?;
        }
        Ok(())
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// `syscall` in ring 3: rcx, r11 and rip are as after it; the ring is still 3.
    Syscall,
    /// `vmcall` in ring 0; rip is after it.
    Hypercall,
    /// `int n`, with rip after it.
    Interrupt(u8),
    /// An exception, with rip at the instruction that raised it and the state as before it.
    Exception(Exception),
    /// The budget is used up.
    Budget,
    /// #DB, with what DR6 says: rip is at the instruction for an instruction breakpoint and an access to debug registers;
    /// after it, or at it between its iterations, for a data breakpoint, TF and `int1`, for which DR6 says nothing.
    Debug,
    /// `hlt` in ring 0; rip is after it.
    Halt,
}

/// Something that executes a guest's instructions.
pub trait Engine {
    /// Its name, for messages and statistics.
    fn name(&self) -> &'static str;

    /// Figures of its own, for statistics: names and numbers.
    fn figures(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// Whether it counts instructions. What doesn't keeps no budgets either, but those of the few instructions that it counts
    /// all the same: time ends its runs, with [`Exit::Budget`].
    fn counts(&self) -> bool {
        true
    }

    /// Several runs in a row begin, until they [end](Self::end). Each may end with [`Exit::Budget`] when it has come a part
    /// of its way and no more than `slack` instructions are left, or, if the engine doesn't count, soon after the time
    /// `within` is over. And the engine may keep registers of the thread that neither Rust nor C uses, such as the base of gs;
    /// else `run` leaves all as it was.
    fn begin(&mut self, _slack: u64, _within: Duration) {}

    /// They end.
    fn end(&mut self) {}

    /// Executes until something happens that is not the core's business, at most `budget` instructions.
    ///
    /// The count is exact, and added to `cpu.instructions`: an instruction that faulted is not in it, one that ends in
    /// [`Exit::Syscall`], [`Exit::Hypercall`], [`Exit::Interrupt`] or [`Exit::Halt`] is. A repeated string instruction
    /// counts once.
    fn run(&mut self, cpu: &mut Cpu, space: &mut Space, budget: u64) -> Exit;
}
