//! Who watches a run: `trace` prints the calls, `explain` prints every instruction of them.

use callgate_abi::Handler;
use callgate_emulator::{Cpu, Exit, Space};
use callgate_uapi::signal::SigInfo;

use crate::task::Task;

/// One instruction that the core has just executed, in a single-stepped run.
#[derive(Debug)]
pub struct Step<'a> {
    /// The task's id.
    pub pid: i32,
    /// The processor before the instruction.
    pub before: &'a Cpu,
    /// The processor after it.
    pub after: &'a Cpu,
    /// The memory that both see.
    pub space: &'a Space,
    /// Why the core stopped: [`Exit::Budget`] after an ordinary instruction.
    pub exit: &'a Exit,
}

/// Callbacks of a run. Every method has an empty default.
#[allow(unused_variables)]
pub trait Observer {
    /// Whether the run must be single-stepped, so that [`Observer::step`] is called.
    fn wants_steps(&self) -> bool {
        false
    }

    /// An instruction was executed.
    fn step(&mut self, step: Step<'_>) {}

    /// A handler is about to run with these decoded registers. A call that was parked and is run
    /// again is not announced twice.
    fn syscall_enter(&mut self, task: &Task, nr: u64, handler: &'static Handler<Task>, args: &[u64; 6]) {}

    /// A handler has run; `result` is what goes to `pt_regs.ax`.
    fn syscall_exit(&mut self, task: &Task, nr: u64, handler: &'static Handler<Task>, args: &[u64; 6], result: i64) {}

    /// A call was parked: it will end in a later [`Observer::syscall_exit`].
    fn syscall_parked(&mut self, task: &Task, nr: u64, handler: &'static Handler<Task>, args: &[u64; 6]) {}

    /// A signal is being delivered.
    fn signal(&mut self, task: &Task, info: &SigInfo) {}

    /// A task has ended; `status` is what wait(2) will tell.
    fn exit(&mut self, task: &Task, status: i32) {}

    /// An instruction that the core lacks was met; `disassembly` has its bytes.
    fn missing_instruction(&mut self, task: &Task, rip: u64, disassembly: &str) {}
}
