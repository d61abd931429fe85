//! `callgate explain`: the whole way of each system call, read from the machine while it runs.
//!
//! The run takes the image route and is single-stepped. An instruction that leads from ring 3 to
//! ring 0 begins a call; every instruction of the kernel image is shown with what it has done; at the
//! hypercall the handler and the kernel functions under it are shown, which are Rust and not guest
//! code; the instruction that leads back to ring 3 ends it. Page faults and other exceptions take
//! the same way through the image; they are left out.

mod effects;
mod ftrace;
mod places;
mod processor;
mod screen;
mod walk;

use std::collections::{HashMap, HashSet, VecDeque};

use callgate_abi::Handler;
use callgate_kernel::fs::tty::Console;
use callgate_kernel::{EntryRoute, Observer, Step, Task};
use callgate_uapi::signal::{SigInfo, SignalName};
use iced_x86::Mnemonic;

use crate::args::{EntryChoice, ExplainArgs, GuestArgs};
use crate::asm::{Decoded, Disassembler, MAX_LEN, Names, UserSymbols};
use crate::calls::CallSet;
use crate::exit::{Failure, Result};
use crate::output::Output;
use crate::program::Program;
use crate::run::{self, Run};
use crate::trace::{ended, space_of};

use effects::Effects;
use ftrace::Ftrace;
use screen::Shared;
use walk::{Kind, Walk};

/// The program's instructions that are shown before a call.
const RECENT: usize = 6;

/// Runs a program and explains its calls.
pub(crate) fn explain(args: &ExplainArgs) -> Result {
    if args.entry == EntryChoice::Direct {
        return Err(Failure::own("explain shows the image route: on the direct one there are no instructions to show"));
    }
    let program = Program::find(run::name(&args.guest)?)?;
    let symbols = UserSymbols::of_elf(&program.read()?);
    let output = match (&args.output, &args.html) {
        (Some(path), _) => Output::file(path)?,
        (None, Some(path)) => Output::html(path)?,
        (None, None) => Output::stdout(),
    };
    let choice = Choice { calls: args.trace_calls.clone(), limit: args.limit.unwrap_or(u64::MAX), full: args.full };
    watch(program, &args.guest, Console::Host, symbols, choice, output)
}

/// Which calls are shown, and how much of them.
pub(crate) struct Choice {
    /// The calls.
    pub(crate) calls: CallSet,
    /// How many of them.
    pub(crate) limit: u64,
    /// Whether nothing is shortened.
    pub(crate) full: bool,
}

/// Runs `program` and explains on `output`.
pub(crate) fn watch(
    program: Program,
    guest: &GuestArgs,
    console: Console,
    symbols: UserSymbols,
    choice: Choice,
    output: Output,
) -> Result {
    let mut run = Run::new(guest, EntryRoute::Image, console)?;
    let screen = Shared::new(output);
    run.machine.kernel.set_observer(Box::new(Explainer::new(screen.clone(), Names::new(symbols), choice)));
    program.start(&mut run.machine, guest)?;
    let subscriber = Ftrace::new(screen.clone());
    let result = tracing::subscriber::with_default(subscriber, || run.finish());
    screen.lock().finish()?;
    result
}

/// The observer that explains.
struct Explainer {
    screen: Shared,
    tools: Tools,
    choice: Choice,
    /// Calls shown so far.
    count: u64,
    tasks: HashMap<i32, TaskState>,
    /// The task that was shown last.
    last: i32,
}

/// What explaining takes besides the machine's state.
struct Tools {
    names: Names,
    asm: Disassembler,
    effects: Effects,
    full: bool,
    /// Addresses of instructions that were shown before.
    seen: HashSet<u64>,
}

impl Tools {
    /// The instruction at an address of an address space.
    fn fetch(&mut self, space: &callgate_emulator::Space, addr: u64) -> Option<Decoded> {
        let mut bytes = [0; MAX_LEN];
        let len = space.peek(addr, &mut bytes);
        self.asm.decode(addr, bytes.get(..len)?)
    }

    /// `<+0x1c>`: how far into its function an instruction of the kernel stands.
    fn offset(&self, addr: u64) -> String {
        self.names.resolve(addr).map_or(String::new(), |(_, offset)| format!("<+{offset:#x}>"))
    }
}

/// A task and where it is.
#[derive(Default)]
struct TaskState {
    /// Its last instructions in ring 3: address, and registers before them.
    recent: VecDeque<(u64, [u64; 16])>,
    mode: Mode,
    /// Its address space when its last call began.
    mm: Option<*const ()>,
}

#[derive(Default)]
enum Mode {
    /// In ring 3, or on the way there without a call.
    #[default]
    User,
    /// In ring 0 because of an exception.
    Exception,
    /// In a system call that is not to be shown.
    Hidden,
    /// In one that is.
    Shown(Box<Walk>),
}

impl Explainer {
    fn new(screen: Shared, names: Names, choice: Choice) -> Explainer {
        let asm = Disassembler::new(names.clone());
        let tools = Tools { names, asm, effects: Effects::new(), full: choice.full, seen: HashSet::new() };
        Explainer { screen, tools, choice, count: 0, tasks: HashMap::new(), last: 0 }
    }

    /// Says which task it is about, if another was shown before.
    fn switch_to(&mut self, pid: i32) {
        if self.last != pid && self.last != 0 {
            self.screen.lock().note(format_args!("── process {pid} runs ──"));
        }
        self.last = pid;
    }

    /// The instruction at `step` has led from ring 3 to ring 0.
    fn enter(&mut self, step: &Step<'_>, recent: &VecDeque<(u64, [u64; 16])>) -> Mode {
        let Some(decoded) = self.tools.fetch(step.space, step.before.rip) else { return Mode::Exception };
        let kind = match (decoded.instruction.mnemonic(), effects::vector(&decoded.instruction)) {
            (Mnemonic::Syscall, _) => Kind::Syscall,
            (_, Some(0x80)) => Kind::Int80,
            _ => return Mode::Exception,
        };
        // A fault at the instruction itself leads to ring 0 too, but not with the instruction behind it.
        let walk = Walk::new(kind, step.before);
        if self.count >= self.choice.limit || !self.choice.calls.contains(walk.name()) {
            return Mode::Hidden;
        }
        self.count += 1;
        self.switch_to(step.pid);
        let mut screen = self.screen.lock();
        walk.begin(&mut screen, &mut self.tools, step, &decoded, recent, self.count);
        Mode::Shown(Box::new(walk))
    }
}

impl Observer for Explainer {
    fn wants_steps(&self) -> bool {
        true
    }

    fn step(&mut self, step: Step<'_>) {
        let mut state = self.tasks.remove(&step.pid).unwrap_or_default();
        match (step.before.cpl, step.after.cpl) {
            (3, 3) => remember(&mut state.recent, &step),
            (3, _) => state.mode = self.enter(&step, &state.recent),
            (_, 3) => {
                if let Mode::Shown(walk) = &mut state.mode {
                    self.switch_to(step.pid);
                    walk.leave(&mut self.screen.lock(), &mut self.tools, &step);
                }
                state.mode = Mode::User;
                state.recent.clear();
            }
            _ => {
                if let Mode::Shown(walk) = &mut state.mode {
                    self.switch_to(step.pid);
                    walk.inside(&mut self.screen.lock(), &mut self.tools, &step);
                }
            }
        }
        self.tasks.insert(step.pid, state);
    }

    fn syscall_enter(&mut self, task: &Task, _: u64, handler: &'static Handler<Task>, args: &[u64; 6]) {
        let Some(state) = self.tasks.get_mut(&task.pid()) else { return };
        state.mm = Some(space_of(task));
        if let Mode::Shown(walk) = &mut state.mode {
            walk.handler(&mut self.screen.lock(), task, handler, args);
        }
    }

    fn syscall_exit(&mut self, task: &Task, _: u64, handler: &'static Handler<Task>, args: &[u64; 6], result: i64) {
        let Some(state) = self.tasks.get_mut(&task.pid()) else { return };
        if state.mm != Some(space_of(task)) {
            // It was execve: the names were those of the program before.
            self.tools.names.forget_program();
        }
        if let Mode::Shown(walk) = &mut state.mode {
            walk.answer(&mut self.screen.lock(), task, handler, args, result);
        }
    }

    fn syscall_parked(&mut self, task: &Task, _: u64, _: &'static Handler<Task>, _: &[u64; 6]) {
        if let Some(TaskState { mode: Mode::Shown(_), .. }) = self.tasks.get(&task.pid()) {
            let mut screen = self.screen.lock();
            screen.live = false;
            screen.note(format_args!(
                "process {} is parked: it sleeps with rip at the hypercall, which runs again when it is woken",
                task.pid()
            ));
            screen.flush();
        }
    }

    fn signal(&mut self, task: &Task, info: &SigInfo) {
        let mut screen = self.screen.lock();
        screen.line(format_args!("--- {} {info} --- (process {})", SignalName(info.signo), task.pid()));
        screen.flush();
    }

    fn exit(&mut self, task: &Task, status: i32) {
        self.tasks.remove(&task.pid());
        let mut screen = self.screen.lock();
        (screen.live, screen.depth) = (false, 0);
        screen.line("");
        screen.line(format_args!("{} (process {})", ended(status), task.pid()));
        screen.flush();
    }
}

fn remember(recent: &mut VecDeque<(u64, [u64; 16])>, step: &Step<'_>) {
    if recent.len() == RECENT {
        recent.pop_front();
    }
    recent.push_back((step.before.rip, step.before.gpr));
}
