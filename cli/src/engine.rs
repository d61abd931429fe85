//! Which engine runs the guest, and why.

use std::cell::OnceCell;
use std::io;
use std::rc::Rc;

use callgate_emulator::{CpuModel, Engine, Interp};
use callgate_kernel::mm::Layout;
use callgate_kernel::{Config, Kernel};

use crate::args::EngineChoice;
use crate::exit::{Failure, Result};

/// Instructions of a program before it is translated: about a millisecond. Fewer are better for a program that goes on for
/// long, more for a shell, whose forks take longer once it is translated.
const WARM_UP: u64 = 200_000;

/// The heap, and what gets from the host at once what a short run allocates, where that can be done.
pub(crate) use native::{Heap, provide_heap};

/// The engine that was chosen, and why.
#[derive(Debug)]
pub(crate) struct Plan {
    choice: EngineChoice,
    /// Why the native engine can't be had here, as soon as that is known.
    lacks: Rc<OnceCell<io::Error>>,
}

impl Plan {
    /// What the option means on this host, for a processor of a model. What the host has is asked now if somebody
    /// `wants_to_know`, and else when it is needed: processors take their time to answer.
    ///
    /// # Errors
    /// If the native engine is asked for, and the host can't run it.
    pub(crate) fn of(choice: EngineChoice, model: CpuModel, wants_to_know: bool) -> Result<Plan> {
        let is_asked = wants_to_know || choice == EngineChoice::Native;
        let lacks = if is_asked { native::check(model).err() } else { None };
        let plan = Plan { choice, lacks: Rc::new(lacks.map_or_else(OnceCell::new, OnceCell::from)) };
        plan.check()?;
        Ok(plan)
    }

    /// # Errors
    /// If the engine that was asked for can't be had.
    pub(crate) fn check(&self) -> Result<()> {
        match (self.lacks.get(), self.choice) {
            (Some(why), EngineChoice::Native) => {
                Err(Failure::own(format!("--engine native can't be had here: {why}; --engine auto does without")))
            }
            _ => Ok(()),
        }
    }

    /// Has the handlers of signals that the machine has installed run where they don't disturb the engine.
    ///
    /// # Errors
    /// What the host says.
    pub(crate) fn place_handlers(&self) -> Result<()> {
        if !self.is_native() {
            return Ok(());
        }
        native::place_handlers().map_err(|error| Failure::own(format!("signals can't be handled: {error}")))
    }

    /// Why it is this engine, in words.
    pub(crate) fn why(&self) -> String {
        match (self.lacks.get(), self.choice) {
            (_, EngineChoice::Interp) => "--engine interp".to_owned(),
            (_, EngineChoice::Native) => "--engine native".to_owned(),
            (None, EngineChoice::Auto) => "--engine auto, and the host has all it needs".to_owned(),
            (Some(why), EngineChoice::Auto) => format!("--engine auto, and {why}"),
        }
    }

    /// How the engine wants processes to be laid out.
    pub(crate) fn layout(&self) -> Layout {
        if self.is_native() { Layout::LOW } else { Layout::STANDARD }
    }

    fn is_native(&self) -> bool {
        self.choice != EngineChoice::Interp && self.lacks.get().is_none()
    }

    /// Makes it: the interpreter, where the host refuses what the native engine needs. `check` tells whether that will do.
    /// It `counts` instructions if that is wanted, or costs nothing.
    pub(crate) fn engine(&self, kernel: &Kernel, counts: bool) -> Box<dyn Engine> {
        if self.is_native() {
            let (lacks, is_choice) = (Rc::clone(&self.lacks), self.choice == EngineChoice::Native);
            let refused = move |why: io::Error| {
                // What a host never has isn't worth a line each time.
                if !is_choice && why.kind() != io::ErrorKind::Unsupported {
                    say!("callgate: the interpreter runs the program, since the native engine can't: {why}");
                }
                let _ = lacks.set(why);
            };
            let made = match self.choice {
                EngineChoice::Native => native::engine(kernel, counts),
                _ => native::engine_when_warm(kernel, counts, refused.clone()),
            };
            match made {
                Ok(engine) => return engine,
                Err(why) => refused(why),
            }
        }
        let mut interp = Interp::with_model(&kernel.memory, kernel.cpu);
        interp.start_quickly(Interp::QUICK);
        Box::new(interp)
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod native {
    use callgate_native::{Native, Setup};

    use super::{Config, CpuModel, Engine, Kernel, WARM_UP, io};

    pub(super) fn check(model: CpuModel) -> io::Result<()> {
        callgate_native::check(model)
    }

    pub(crate) use callgate_native::Heap;

    pub(crate) fn provide_heap() {
        Heap::provide(Config::MAX_MEMORY as usize);
    }

    pub(super) fn place_handlers() -> io::Result<()> {
        callgate_native::use_alternate_stack(&callgate_kernel::HOST_SIGNALS)?;
        callgate_native::use_alternate_stack(&[signal_hook::consts::SIGPIPE])
    }

    pub(super) fn engine(kernel: &Kernel, counts: bool) -> io::Result<Box<dyn Engine>> {
        Ok(Box::new(Native::new(&kernel.memory, kernel.cpu, setup(counts))?))
    }

    pub(super) fn engine_when_warm(
        kernel: &Kernel,
        counts: bool,
        refused: impl FnOnce(io::Error) + 'static,
    ) -> io::Result<Box<dyn Engine>> {
        let mut engine = Native::when_warm(&kernel.memory, kernel.cpu, setup(counts), refused);
        engine.warm_up(WARM_UP);
        Ok(Box::new(engine))
    }

    /// `place_handlers` sees to the stack.
    fn setup(counts: bool) -> Setup {
        Setup { low_memory: true, counts, alternate_stack: true, ..Setup::default() }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod native {
    use super::{CpuModel, Engine, Kernel, io};

    pub(super) fn check(_: CpuModel) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "the host is no x86-64 Linux"))
    }

    pub(crate) use std::alloc::System as Heap;

    pub(crate) fn provide_heap() {}

    pub(super) fn place_handlers() -> io::Result<()> {
        Ok(())
    }

    pub(super) fn engine(_: &Kernel, _: bool) -> io::Result<Box<dyn Engine>> {
        Err(check(CpuModel::default()).err().unwrap_or_else(|| io::ErrorKind::Unsupported.into()))
    }

    pub(super) fn engine_when_warm(
        kernel: &Kernel,
        counts: bool,
        _: impl FnOnce(io::Error) + 'static,
    ) -> io::Result<Box<dyn Engine>> {
        engine(kernel, counts)
    }
}
