//! The interpreter: decodes each basic block once into compact operations and runs those.

mod core;
mod decode;
mod int;
mod op;
mod sse;
mod x87;

use crate::memory::Memory;
use crate::{Cpu, Engine, Exit, Space};

/// The portable engine, exact in everything.
pub struct Interp {
    _memory: Memory,
}

impl Interp {
    /// An engine for spaces of `memory`.
    pub fn new(memory: &Memory) -> Self {
        Self {
            _memory: memory.clone(),
        }
    }
}

impl Engine for Interp {
    fn name(&self) -> &'static str {
        "interp"
    }

    fn run(&mut self, cpu: &mut Cpu, space: &mut Space, _budget: u64) -> Exit {
        let mut core = core::Core::new(cpu, space);
        core.finish();
        Exit::Budget
    }
}
