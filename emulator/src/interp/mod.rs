//! The interpreter.
//!
//! Hardware decodes every instruction whenever it meets it, or keeps the decoded form of hot ones in a cache beside the
//! instruction cache. Here every block is decoded once, into one operation an instruction: a function chosen for the
//! operands' kinds and sizes, with the operands packed beside it (`op`, `decode`; `shape` is a short cut). Blocks know their successors and are
//! kept until their bytes are written (`block`). An operation's function ends in a jump to the next one's; the run loop
//! (`run`) goes from block to block. A function that can't go on says why and has changed nothing, so that state is exact
//! at every fault. Instruction sets live in `int`, `sse` and `x87`; what they work on is `core`.
//!
//! Quirks: see the modules. Interrupts from outside are the caller's, between runs.

mod block;
mod core;
#[cfg(test)]
mod coverage;
mod decode;
mod int;
mod op;
mod run;
mod shape;
mod sse;
mod units;
mod x87;

use crate::memory::Memory;
use crate::{Cpu, CpuModel, Engine, Exit, Space};

/// The portable engine, exact in everything.
pub struct Interp {
    memory: Memory,
    cache: block::Cache,
    /// Instructions before code is decoded for speed.
    young: u64,
}

impl Interp {
    /// For how many instructions it is good to [decode quickly](Self::start_quickly). To decode anew takes as long as
    /// some 400,000 instructions of a program that has that many.
    pub const QUICK: u64 = 500_000;

    /// An engine for spaces of `memory`, of the default model.
    pub fn new(memory: &Memory) -> Self {
        Self::with_model(memory, CpuModel::default())
    }

    /// An engine for spaces of `memory` that has the instructions of a model, and tells so by CPUID.
    pub fn with_model(memory: &Memory, model: CpuModel) -> Self {
        Self { memory: memory.clone(), cache: block::Cache::new(model), young: 0 }
    }

    /// Decodes quickly until so many instructions are executed, then all anew for speed. Most of what a program begins with
    /// runs once, and decoding takes a hundred times as long as executing.
    pub fn start_quickly(&mut self, instructions: u64) {
        self.young = instructions;
        self.cache.decode_for(if instructions > 0 { block::Kind::Short } else { block::Kind::Long });
    }

    fn run_blocks(&mut self, cpu: &mut Cpu, space: &mut Space, budget: u64) -> Exit {
        let mut core = core::Core::new(cpu, space, budget, self.cache.model());
        let exit = run::run(&mut self.cache, &mut core);
        core.finish();
        exit
    }
}

impl Engine for Interp {
    fn name(&self) -> &'static str {
        "interp"
    }

    /// # Panics
    /// If `space` is of another memory than the engine.
    fn run(&mut self, cpu: &mut Cpu, space: &mut Space, budget: u64) -> Exit {
        assert!(self.memory.same(space.memory()), "a space of another memory");
        if self.young == 0 {
            return self.run_blocks(cpu, space, budget);
        }
        let (first, before) = (budget.min(self.young), cpu.instructions);
        let exit = self.run_blocks(cpu, space, first);
        self.young -= cpu.instructions.wrapping_sub(before).min(first);
        if self.young == 0 {
            self.cache.decode_for(block::Kind::Long);
        }
        match exit {
            Exit::Budget if first < budget => self.run_blocks(cpu, space, budget - first),
            exit => exit,
        }
    }
}
