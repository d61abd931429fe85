//! The machine-wide state: what all tasks share.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::Write;
use std::rc::{Rc, Weak};
use std::time::Instant;

use callgate_abi::Handler;
use callgate_emulator::{CpuModel, Memory};

use crate::Result;
use crate::entry::image::{GdtInMemory, ImageInMemory};
use crate::mm::Layout;
use crate::observer::Observer;
use crate::random::Random;
use crate::sched::RunQueue;
use crate::sched::timer::Timers;
use crate::task::pid::PidTable;
use crate::task::{SignalStruct, Task};
use crate::time::Clock;

/// Which way system calls take, see [`crate::entry`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EntryRoute {
    /// The core leaves at `syscall`; the kernel dispatches.
    #[default]
    Direct,
    /// The core executes the kernel image in ring 0.
    Image,
}

/// What a machine is made with.
pub struct Config {
    /// Bytes of memory that guests may use.
    pub max_memory: u64,
    /// What the processor has.
    pub cpu: CpuModel,
    /// The way that system calls take.
    pub entry: EntryRoute,
    /// Where the parts of address spaces go.
    pub layout: Layout,
    /// Virtual clock and seeded randomness, for runs that can be repeated. Needs an engine that counts instructions.
    pub deterministic: Option<u64>,
    /// Instructions in user mode after which the run is ended. Needs an engine that counts them.
    pub max_instructions: Option<u64>,
    /// Time after which the run is ended.
    pub timeout: Option<std::time::Duration>,
    /// Standard input, output and error.
    pub console: crate::fs::tty::Console,
}

impl Config {
    /// Bytes of memory that guests may use, if nobody says anything else.
    pub const MAX_MEMORY: u64 = 4 << 30;
}

impl Default for Config {
    fn default() -> Config {
        Config {
            max_memory: Config::MAX_MEMORY,
            cpu: CpuModel::default(),
            entry: EntryRoute::Direct,
            layout: Layout::STANDARD,
            deterministic: None,
            max_instructions: None,
            timeout: None,
            console: crate::fs::tty::Console::Host,
        }
    }
}

/// Figures of a run.
#[derive(Debug, Default)]
pub struct Stats {
    /// Instructions executed and counted, in user mode and in the image.
    pub instructions: Cell<u64>,
    /// Instructions executed and counted in user mode.
    pub user_instructions: Cell<u64>,
    /// Handlers run, re-runs of parked calls included.
    pub syscalls: Cell<u64>,
    /// Switches from one task to another.
    pub switches: Cell<u64>,
    /// Tasks made.
    pub tasks: Cell<u64>,
    per_call: RefCell<Option<BTreeMap<&'static str, u64>>>,
}

impl Stats {
    pub(crate) fn count_call(&self, handler: &'static Handler<Task>) {
        self.syscalls.set(self.syscalls.get() + 1);
        // A map costs more than a call: it is kept only for who has asked.
        if let Ok(mut map) = self.per_call.try_borrow_mut()
            && let Some(map) = map.as_mut()
        {
            *map.entry(handler.name).or_default() += 1;
        }
    }

    /// Counts each system call by name from now on.
    pub fn count_each_call(&self) {
        *self.per_call.borrow_mut() = Some(BTreeMap::new());
    }

    /// The counts by name, if they are kept.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.per_call.borrow().clone().unwrap_or_default()
    }
}

/// A kernel: what all tasks of a machine share.
pub struct Kernel {
    /// The frames.
    pub memory: Memory,
    /// What the processor has. The engine must have the same.
    pub cpu: CpuModel,
    /// Where the parts of address spaces go.
    pub layout: Layout,
    /// The clocks.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Tasks by id.
    pub pids: PidTable,
    /// Who can run.
    pub run_queue: RunQueue,
    /// Deadlines.
    pub timers: Timers,
    /// Who waits on futexes.
    pub futexes: crate::futex::Futexes,
    /// When the turn of the task that runs began, if time is counted and not instructions.
    pub(crate) turn: Cell<Option<Instant>>,
    /// The files.
    pub vfs: crate::fs::Vfs,
    /// nodename and domainname of uname(2).
    pub uts: RefCell<crate::sys::uts::UtsNames>,
    /// The first process.
    pub init: RefCell<Weak<SignalStruct>>,
    /// Figures.
    pub stats: Stats,
    pub(crate) image: Option<Rc<ImageInMemory>>,
    /// Of the direct route.
    pub(crate) gdt: Option<GdtInMemory>,
    observer: RefCell<Option<Box<dyn Observer>>>,
    observed: Cell<bool>,
}

impl Kernel {
    /// A kernel without tasks.
    ///
    /// # Errors
    /// ENOMEM if the host gives no memory.
    pub fn new(config: &Config) -> Result<Rc<Kernel>> {
        let memory = Memory::new(config.max_memory).map_err(|_| crate::Errno::ENOMEM)?;
        let (clock, random) = match config.deterministic {
            Some(seed) => (Clock::virtual_clock(), Random::Seeded(Cell::new(seed))),
            None => (Clock::host(), Random::Host),
        };
        let (image, gdt) = match config.entry {
            EntryRoute::Direct => (None, Some(GdtInMemory::load(&memory)?)),
            EntryRoute::Image => (Some(Rc::new(ImageInMemory::load(&memory)?)), None),
        };
        let vfs = crate::fs::Vfs::new(&memory)?;
        Ok(Rc::new(Kernel {
            memory,
            cpu: config.cpu,
            layout: config.layout,
            clock,
            random,
            pids: PidTable::default(),
            run_queue: RunQueue::default(),
            timers: Timers::default(),
            futexes: Default::default(),
            turn: Cell::new(None),
            vfs,
            uts: RefCell::default(),
            init: RefCell::default(),
            stats: Stats::default(),
            image,
            gdt,
            observer: RefCell::default(),
            observed: Cell::new(false),
        }))
    }

    /// Lets `observer` watch the run.
    pub fn set_observer(&self, observer: Box<dyn Observer>) {
        self.observed.set(true);
        *self.observer.borrow_mut() = Some(observer);
    }

    /// Whether somebody watches.
    #[inline]
    pub fn is_observed(&self) -> bool {
        self.observed.get()
    }

    /// Calls the observer, if there is one and it isn't being called already.
    #[inline]
    pub fn observe(&self, f: impl FnOnce(&mut dyn Observer)) {
        if self.observed.get()
            && let Ok(mut observer) = self.observer.try_borrow_mut()
            && let Some(observer) = observer.as_mut()
        {
            f(observer.as_mut());
        }
    }

    /// Tells the user something about the guest, on the host's standard error. If nobody reads that, it is lost.
    pub fn log(&self, message: &str) {
        let _ = writeln!(std::io::stderr(), "callgate: {message}");
    }
}
