//! The machine: a kernel, an engine, and the loop that runs tasks on it.

use std::rc::Rc;
use std::time::{Duration, Instant};

use callgate_emulator::{Cpu, Engine, Exit};

use crate::entry::Turn;
use crate::exec::Arguments;
use crate::host_signals::{HostSignals, NAP, survive_the_limit_of_files};
use crate::kernel::{Config, Kernel};
use crate::observer::Step;
use crate::sched::TaskState;
use crate::task::{Pid, SignalStruct, Task, TaskLink};
use crate::{EntryRoute, Result};

/// Instructions in ring 3 that a task runs before another gets its turn.
const SLICE: u64 = 1_000_000;
/// How many it runs before anything else is looked at, if nobody else can run or waits for a time: what the user wants, some
/// hundredths of a second later. The program can't tell when that is, and so it may be a few less.
const SLICE_ALONE: u64 = 16 * SLICE;
const SLACK: u64 = 1024;
/// The same as times, for engines that don't count: turns are for others, and who is alone is looked after as often as said.
const SLICE_TIME: Duration = Duration::from_millis(2);
const SLICE_TIME_ALONE: Duration = Duration::from_millis(10);
/// A turn up to a deadline lasts at least so long.
const LEAST_SLICE_TIME: Duration = Duration::from_micros(50);

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The first process has exited with this status (wait(2)).
    Exited(i32),
    /// `max_instructions` were executed.
    InstructionLimit,
    /// The time is over.
    Timeout,
    /// Every task waits for something that can't happen.
    Deadlock,
    /// The kernel image did something that it must not.
    Broken(String),
}

/// A kernel and the engine that its tasks run on.
pub struct Machine {
    /// The kernel.
    pub kernel: Rc<Kernel>,
    engine: Box<dyn Engine>,
    /// The engine counts instructions.
    counts: bool,
    entry: EntryRoute,
    max_instructions: u64,
    deadline: Option<Instant>,
    init: Option<Rc<SignalStruct>>,
    /// Who ran last.
    last: Option<Pid>,
    host_signals: Option<HostSignals>,
}

impl Machine {
    /// A machine without tasks, whose files are those of a fresh root.
    ///
    /// # Errors
    /// What the host refuses. EINVAL if instructions must be counted, and the engine doesn't.
    pub fn new(config: Config, engine: impl FnOnce(&Kernel) -> Box<dyn Engine>) -> Result<Machine> {
        survive_the_limit_of_files();
        let kernel = Kernel::new(&config)?;
        let engine = engine(&kernel);
        if !engine.counts() && (config.deterministic.is_some() || config.max_instructions.is_some()) {
            return Err(crate::Errno::EINVAL);
        }
        crate::fs::init(&kernel, config.console)?;
        Ok(Machine {
            host_signals: HostSignals::of(&kernel),
            kernel,
            counts: engine.counts(),
            engine,
            entry: config.entry,
            max_instructions: config.max_instructions.unwrap_or(u64::MAX),
            deadline: config.timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            init: None,
            last: None,
        })
    }

    /// Makes the first process and starts the program at `path` in it.
    ///
    /// # Errors
    /// Those of execve(2).
    pub fn spawn(&mut self, path: &[u8], cwd: &[u8], argv: Vec<Vec<u8>>, envp: Vec<Vec<u8>>) -> Result<()> {
        let mut task = Task::init(&self.kernel)?;
        if !cwd.is_empty() {
            crate::fs::open::set_cwd(&mut task, cwd)?;
        }
        let file = crate::fs::open::open_exec(&task, callgate_abi::Fd::AT_FDCWD, path, 0)?;
        crate::exec::start(&mut task, file, Arguments { execfn: path.to_vec(), argv, envp })?;
        task.return_from_fork();
        let link = Rc::clone(&task.link);
        self.init = Some(Rc::clone(&link.signal));
        *link.body.borrow_mut() = Some(task);
        self.kernel.run_queue.push(link);
        Ok(())
    }

    /// The first process.
    pub fn init(&self) -> Option<&Rc<SignalStruct>> {
        self.init.as_ref()
    }

    /// The engine's name.
    pub fn engine_name(&self) -> &'static str {
        self.engine.name()
    }

    /// The engine's own figures.
    pub fn engine_figures(&self) -> Vec<(&'static str, u64)> {
        self.engine.figures()
    }

    /// Runs until the first process has exited and no other task can run.
    pub fn run(&mut self) -> Outcome {
        let kernel = Rc::clone(&self.kernel);
        loop {
            if kernel.timers.next_deadline().is_some() {
                kernel.timers.expire(kernel.clock.monotonic());
            }
            if kernel.vfs.console_has_waiters() && !kernel.run_queue.is_empty() {
                kernel.vfs.wait_for_host(Some(Duration::ZERO));
            }
            if let Some(signals) = &self.host_signals {
                signals.pass_on(&kernel);
            }
            if let Some(outcome) = self.limit() {
                return outcome;
            }
            let Some(link) = kernel.run_queue.pop() else {
                let status = self.init.as_ref().and_then(|init| init.exit_status.get());
                if let Some(status) = status {
                    return Outcome::Exited(status);
                }
                if !self.idle() {
                    return Outcome::Deadlock;
                }
                continue;
            };
            // Whoever is runnable and has no body has exited meanwhile.
            let body = link.body.borrow_mut().take();
            if let Some(mut task) = body {
                kernel.turn.set((!self.counts).then(Instant::now));
                let turn = self.run_task(&mut task);
                self.engine.end();
                task.cputime = task.own_cputime();
                kernel.turn.set(None);
                if let Err(message) = turn {
                    return Outcome::Broken(message);
                }
                self.put_back(&link, task);
            }
        }
    }

    /// Instructions that may still be executed.
    fn until_limit(&self) -> u64 {
        self.max_instructions.saturating_sub(self.kernel.stats.user_instructions.get())
    }

    fn limit(&self) -> Option<Outcome> {
        if self.until_limit() == 0 {
            return Some(Outcome::InstructionLimit);
        }
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline).then_some(Outcome::Timeout)
    }

    /// Where a task goes that has had its turn.
    fn put_back(&self, link: &Rc<TaskLink>, task: Box<Task>) {
        match link.state.get() {
            TaskState::Dead => drop(task),
            TaskState::Running => {
                *link.body.borrow_mut() = Some(task);
                // A task that was woken while it ran its last steps is on the queue already.
                self.kernel.run_queue.push_once(link);
            }
            TaskState::Interruptible | TaskState::Killable | TaskState::Stopped => {
                *link.body.borrow_mut() = Some(task);
            }
        }
    }

    /// Runs a task for a slice, or until it parks or exits.
    fn run_task(&mut self, task: &mut Task) -> Result<(), String> {
        let kernel = Rc::clone(&self.kernel);
        if self.last.replace(task.link.pid) != Some(task.link.pid) {
            kernel.stats.switches.set(kernel.stats.switches.get() + 1);
        }
        task.switch_to();
        let mut turn = match self.entry {
            EntryRoute::Direct => task.resume_direct(),
            EntryRoute::Image => Turn::Continue,
        };
        if turn == Turn::Continue && task.link.state.get() == TaskState::Running {
            task.interrupted_in_user_mode();
        }
        let mut wants_steps = false;
        kernel.observe(|observer| wants_steps = observer.wants_steps());
        let alone = !wants_steps && is_alone(task) && self.until_limit() > SLICE_ALONE;
        let (mut left, mut slack) = if alone { (SLICE_ALONE, SLACK) } else { (SLICE.min(self.until_limit()), 0) };
        self.engine.begin(slack, self.within(alone));
        while turn == Turn::Continue && left > slack && task.link.state.get() == TaskState::Running {
            let (all, user) = (task.cpu.instructions, task.cpu.user_instructions);
            let exit = if wants_steps { self.step(task) } else { self.engine_run(task, left) };
            kernel.stats.instructions.set(kernel.stats.instructions.get() + task.cpu.instructions - all);
            // Slices and virtual time are the program's own: they pass alike on both routes.
            let user = task.cpu.user_instructions - user;
            if self.counts {
                task.cputime += user;
            }
            left = left.saturating_sub(user);
            kernel.stats.user_instructions.set(kernel.stats.user_instructions.get() + user);
            kernel.clock.advance(user);
            // By reference: the processor waits where it copies what was just written in smaller parts.
            turn = match &exit {
                Exit::Budget => {
                    if !self.counts {
                        left = 0;
                    }
                    Turn::Continue
                }
                Exit::Hypercall => task.handle_hypercall()?,
                Exit::Halt => return Err(format!("the kernel image halted at {:#x}", task.cpu.rip)),
                Exit::Exception(exception) if task.cpu.cpl == 0 => {
                    return Err(format!("{exception} in the kernel image at {:#x}", task.cpu.rip));
                }
                exit => task.handle_exit_direct(exit),
            };
            if slack > 0 && !is_alone(task) {
                // From here on it shares, and how long its turn lasts must not depend on when it began.
                (left, slack) = (SLICE.min(self.until_limit()), 0);
                self.engine.begin(slack, self.within(false));
            }
        }
        Ok(())
    }

    /// How long a turn may last, by the host's clock.
    fn within(&self, alone: bool) -> Duration {
        match self.kernel.timers.next_deadline().filter(|_| !self.counts) {
            Some(deadline) => {
                deadline.saturating_sub(self.kernel.clock.monotonic()).clamp(LEAST_SLICE_TIME, SLICE_TIME)
            }
            None if alone => SLICE_TIME_ALONE,
            None => SLICE_TIME,
        }
    }

    fn engine_run(&mut self, task: &mut Task, budget: u64) -> Exit {
        let mut mm = task.mm.borrow_mut();
        self.engine.run(&mut task.cpu, &mut mm.space, budget)
    }

    /// Executes one instruction and shows it to the observer.
    fn step(&mut self, task: &mut Task) -> Exit {
        let before: Cpu = task.cpu.clone();
        let exit = self.engine_run(task, 1);
        let mm = task.mm.borrow();
        let step = Step { pid: task.link.pid, before: &before, after: &task.cpu, space: &mm.space, exit: &exit };
        self.kernel.observe(|observer| observer.step(step));
        exit
    }

    /// Waits on the host for the first deadline, for input or for a key; false if none can come.
    fn idle(&self) -> bool {
        let kernel = &self.kernel;
        let deadline = kernel.timers.next_deadline();
        let watching = kernel.vfs.console_has_waiters();
        if let Some(deadline) = deadline
            && !watching
            && kernel.clock.skip_to(deadline)
        {
            return true;
        }
        if deadline.is_none() && !watching && self.host_signals.is_none() {
            return false;
        }
        let now = kernel.clock.monotonic();
        let mut timeout = deadline.map(|deadline| deadline.saturating_sub(now));
        if self.host_signals.is_some() {
            timeout = Some(timeout.map_or(NAP, |timeout| timeout.min(NAP)));
        }
        if let Some(end) = self.deadline {
            let left = end.saturating_duration_since(Instant::now());
            timeout = Some(timeout.map_or(left, |timeout| timeout.min(left)));
        }
        kernel.vfs.wait_for_host(timeout.map(|timeout| timeout + Duration::from_micros(1)));
        true
    }
}

/// Whether nobody but a task can run, and nobody waits for a time: neither the machine's nor the task's own.
fn is_alone(task: &Task) -> bool {
    task.kernel.run_queue.is_empty() && task.kernel.timers.next_deadline().is_none() && !task.has_cpu_timer()
}
