//! The interpreter: decodes each basic block once into compact operations and runs those.

mod block;
mod core;
#[cfg(test)]
mod coverage;
mod decode;
mod int;
mod op;
mod run;
mod sse;
mod x87;

use crate::memory::Memory;
use crate::{Cpu, Engine, Exit, Space};

/// The portable engine, exact in everything.
pub struct Interp {
    memory: Memory,
    cache: block::Cache,
}

impl Interp {
    /// An engine for spaces of `memory`.
    pub fn new(memory: &Memory) -> Self {
        Self { memory: memory.clone(), cache: block::Cache::new() }
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
        let mut core = core::Core::new(cpu, space, budget);
        let exit = run::run(&mut self.cache, &mut core);
        core.finish();
        exit
    }
}
