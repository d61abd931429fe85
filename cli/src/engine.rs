//! Which engine runs the guest, and why.

use callgate_emulator::{Engine, Interp};
use callgate_kernel::Kernel;
use callgate_kernel::mm::Layout;

use crate::args::EngineChoice;
use crate::exit::{Failure, Result};

/// Instructions of a program before it is translated: some two milliseconds.
const WARM_UP: u64 = 400_000;

/// The engine that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// The interpreter.
    Interp,
    /// Translation.
    Native,
    /// Translation of programs that run for longer than a moment.
    Patient,
}

impl Plan {
    /// What the option means on this host.
    pub(crate) fn of(choice: EngineChoice) -> Result<Plan> {
        match choice {
            EngineChoice::Interp => Ok(Plan::Interp),
            EngineChoice::Auto => Ok(if native::check().is_ok() { Plan::Patient } else { Plan::Interp }),
            EngineChoice::Native => match native::check() {
                Ok(()) => Ok(Plan::Native),
                Err(why) => Err(Failure::own(format!("--engine native can't be had here: {why}"))),
            },
        }
    }

    /// How the engine wants processes to be laid out.
    pub(crate) fn layout(self) -> Layout {
        match self {
            Plan::Interp => Layout::STANDARD,
            Plan::Native | Plan::Patient => Layout::LOW,
        }
    }

    /// Makes it.
    pub(crate) fn engine(self, kernel: &Kernel) -> Box<dyn Engine> {
        if self != Plan::Interp {
            let warm_up = if self == Plan::Patient { WARM_UP } else { 0 };
            match native::engine(kernel, warm_up) {
                Ok(engine) => return engine,
                Err(why) => {
                    eprintln!("callgate: the interpreter runs the program, since the native engine can't: {why}")
                }
            }
        }
        Box::new(Interp::with_model(&kernel.memory, kernel.cpu))
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod native {
    use super::{Engine, Kernel};

    pub(super) fn check() -> std::io::Result<()> {
        callgate_native::check()
    }

    pub(super) fn engine(kernel: &Kernel, warm_up: u64) -> std::io::Result<Box<dyn Engine>> {
        let mut engine = callgate_native::Native::new(&kernel.memory, kernel.cpu)?;
        engine.warm_up(warm_up);
        Ok(Box::new(engine))
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod native {
    use super::{Engine, Kernel};

    pub(super) fn check() -> std::io::Result<()> {
        Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "the host is no x86-64 Linux"))
    }

    pub(super) fn engine(_: &Kernel, _: u64) -> std::io::Result<Box<dyn Engine>> {
        Err(check().err().unwrap_or_else(|| std::io::ErrorKind::Unsupported.into()))
    }
}
