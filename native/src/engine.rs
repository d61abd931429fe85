//! The engine: translated code where code is hot, the interpreter for the rest, one processor state between them.

use std::io;
use std::time::Duration;

use callgate_emulator::{
    Cpu, CpuModel, Delivery, Engine, Exit, Interp, Memory, NumberMap, PAGE_SIZE, Space, dr7, reg, rflags, seg,
};

use crate::cache::{Cache, Start};
use crate::context::{BUDGET, CONTEXT_BYTES, Context, REASONS, Reason};
use crate::host::GsBase;
use crate::side::Sides;
use crate::signal::{self, Active};
use crate::stubs::{SAVED_RDI, SAVED_RSI};
use crate::tick::Tick;
use crate::translate::MARGIN;
use crate::unit::Area;
use crate::window::{Origin, WINDOW};
use crate::{enter, host};

/// How often an address comes up before it is translated, at first: most programs end soon.
const HOT: u8 = 6;
/// How many instructions the interpreter runs before it is assumed that this one doesn't: then all is translated at once.
/// A static program's start and end take 12,000. The first translation takes as long as some 100,000: iced's encoder.
const SOON: u64 = 15_000;
/// Instructions that the interpreter runs when it has met cold code.
const CHUNK: u64 = 64;
/// The usual least budget.
const LEAST: u64 = 32;
/// After what time a run ends on its own that isn't one of several.
const TICK: Duration = Duration::from_millis(10);
/// Instructions that a tick stands for.
const IN_A_TICK: u64 = 5_000_000;
/// Spaces whose warmth is known.
const MOST_SPACES: usize = 4096;
/// Counters of addresses that came up.
const COUNTERS: usize = 4096;
/// Flags that translated code has in the host's flags. All others stay as they are.
const FLAGS: u64 = rflags::STATUS | rflags::DF;
/// Flags with which only the interpreter goes on.
const ODD_FLAGS: u64 = rflags::TF | rflags::AC | rflags::RF | rflags::NT | rflags::VM;
/// The trap number of a page fault.
const PAGE_FAULT: u64 = 14;

/// How an engine is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The program has nothing in the host's first 4 GiB, nor will have: one space at a time is there, where its code is
    /// faster. Not before Linux's own least address, 64 KiB. As without if something is there all the same.
    pub low_memory: bool,
    /// Instructions are counted, and budgets kept. What doesn't count is faster, and its runs end by a timer of the host's,
    /// for which the engine takes a real-time signal that nobody uses; if that can't be had, it counts.
    pub counts: bool,
    /// All handlers of signals that the program has run on the alternate stack, which the engine sees to that there is
    /// (SA_ONSTACK, [`use_alternate_stack`](crate::use_alternate_stack)). Others run on the stack that translated code has
    /// for its returns, and its calls must make sure that there is room for them, which costs a few percent.
    pub alternate_stack: bool,
    /// Returns and indirect branches check where they land by the instruction `loop`, which AMD's processors execute as fast
    /// as any and Intel's slowly. None: if the host is AMD's.
    pub loops: Option<bool>,
}

impl Default for Setup {
    /// Anywhere, counting, with any handlers, on this host.
    fn default() -> Self {
        Self { low_memory: false, counts: true, alternate_stack: false, loops: None }
    }
}

/// The engine for x86-64 guests on x86-64 hosts.
pub struct Native {
    interp: Interp,
    /// What ends runs, if that isn't the count of instructions.
    tick: Option<Tick>,
    memory: Memory,
    model: CpuModel,
    setup: Setup,
    /// None before they are needed, and while they are used.
    sides: Option<Box<Sides>>,
    /// Who is told if they can't be had: until they are needed.
    refused: Option<Box<Refused>>,
    /// gs, which is given back after each run, or at the end of several.
    gs: GsBase,
    keeps_gs: bool,
    /// How many instructions of a budget may be left.
    slack: u64,
    counters: Box<[u8; COUNTERS]>,
    /// The page fault that ended the last run: its page is mapped into the window before it is touched again.
    faulted: Option<(u64, bool)>,
    /// How often an address must come up before it is translated.
    hot: u8,
    /// With less budget than this the interpreter does it alone: who asks for single steps.
    least: u64,
    /// Instructions that the interpreter runs of a space before translated code does.
    warm_up: u64,
    /// How many those have been, of spaces that are not warm yet or that ran lately.
    warmth: NumberMap<u64, u64>,
    interpreted: u64,
    /// Times that translated code was left, by reason.
    exits: [u64; REASONS.len()],
    unit: Box<Area>,
}

/// Told why the host can't run translated code.
type Refused = dyn FnOnce(io::Error);

/// What to do after translated code was left.
enum Next {
    /// Go on.
    Again,
    /// Go on, with a larger budget.
    More,
    /// Let the interpreter run so many instructions.
    Interpret(u64),
    /// End the run.
    End(Exit),
}

impl Native {
    /// An engine for spaces of `memory` that has the instructions of a model.
    ///
    /// # Errors
    /// If the host lacks something, with what.
    pub fn new(memory: &Memory, model: CpuModel, setup: Setup) -> io::Result<Self> {
        host::check(model)?;
        let mut engine = Self::without_sides(memory, model, setup);
        engine.sides = Some(Box::new(engine.make_sides()?));
        Ok(engine)
    }

    /// The same, but what only translated code needs is asked for and made when the first space is [warm](Self::warm_up):
    /// most programs end before. If the host then lacks something, `refused` is told what, and the interpreter goes on.
    pub fn when_warm(
        memory: &Memory,
        model: CpuModel,
        setup: Setup,
        refused: impl FnOnce(io::Error) + 'static,
    ) -> Self {
        Self { refused: Some(Box::new(refused)), ..Self::without_sides(memory, model, setup) }
    }

    fn without_sides(memory: &Memory, model: CpuModel, setup: Setup) -> Self {
        let tick = if setup.counts { None } else { Tick::new().ok() };
        let mut interp = Interp::with_model(memory, model);
        interp.start_quickly(Interp::QUICK);
        Self {
            interp,
            memory: memory.clone(),
            model,
            setup: Setup { counts: tick.is_none(), ..setup },
            sides: None,
            refused: None,
            tick,
            gs: GsBase::new(),
            keeps_gs: false,
            slack: 0,
            counters: Box::new([0; COUNTERS]),
            faulted: None,
            hot: HOT,
            least: LEAST,
            warm_up: 0,
            warmth: NumberMap::default(),
            interpreted: 0,
            exits: [0; REASONS.len()],
            unit: Box::default(),
        }
    }

    fn make_sides(&self) -> io::Result<Sides> {
        signal::install()?;
        self.memory.expect_sharing()?;
        Sides::new(self.model, self.setup)
    }

    /// The sides, which are put back after use. None if the host has refused them.
    #[inline]
    fn take_sides(&mut self) -> Option<Box<Sides>> {
        self.sides.take().or_else(|| self.make_sides_now())
    }

    #[cold]
    fn make_sides_now(&mut self) -> Option<Box<Sides>> {
        let refused = self.refused.take()?;
        let sides = host::check(self.model).and_then(|()| self.make_sides());
        sides.map(Box::new).map_err(refused).ok()
    }

    /// Leaves the first instructions of each address space to the interpreter, whose decoded code all processes share at
    /// no cost: most programs end before a window of their own and translations have paid for themselves.
    pub fn warm_up(&mut self, instructions: u64) {
        self.warm_up = instructions;
    }

    /// How many instructions of a space are still to be left to the interpreter.
    fn cold(&mut self, space: &Space) -> u64 {
        if self.warm_up == 0 {
            return 0;
        }
        if self.warmth.len() > MOST_SPACES {
            self.warmth.clear();
        }
        self.warm_up.saturating_sub(*self.warmth.entry(space.id()).or_default())
    }

    /// Translates whatever comes up, at once, whatever the budget: for tests of translated code.
    pub fn translate_at_once(&mut self) {
        (self.hot, self.least) = (0, 0);
    }

    /// Whether one of its windows is in the host's first 4 GiB.
    pub fn has_low_window(&self) -> bool {
        self.sides.as_ref().is_some_and(|sides| sides.has_low())
    }

    /// Does as on a host whose programs have no FSGSBASE: for tests of that.
    pub fn without_fsgsbase(&mut self) {
        self.gs.set_by_call();
    }

    /// Whether translated code can run this at all.
    fn suits(&self, cpu: &Cpu, space: &Space) -> bool {
        cpu.cpl == 3
            && !space.is_wide()
            && cpu.rip < WINDOW
            && cpu.system_flags() & ODD_FLAGS == 0
            && cpu.dr[7] & dr7::ENABLES == 0
            && cpu.has_all_units(self.model)
    }

    /// Runs the interpreter. None if the instructions it was given are all that ended it.
    fn interpret(&mut self, cpu: &mut Cpu, space: &mut Space, left: &mut u64, most: u64) -> Option<Exit> {
        let before = cpu.instructions;
        let exit = self.interp.run(cpu, space, most.min(*left));
        let done = cpu.instructions.wrapping_sub(before);
        self.interpreted += done;
        *left -= done;
        (exit != Exit::Budget).then_some(exit)
    }

    /// Whether the tick came that ends the turn.
    #[inline]
    fn is_due(&self) -> bool {
        self.tick.as_ref().is_some_and(Tick::is_due)
    }

    /// Whether an address came up often enough.
    fn is_hot(&mut self, address: u64) -> bool {
        if self.interpreted > SOON {
            return true;
        }
        let counter = &mut self.counters[(address ^ address >> 12) as usize % COUNTERS];
        *counter = counter.saturating_add(1);
        *counter > self.hot
    }

    /// The translated code of an address, made if it is hot.
    fn start(&mut self, sides: &mut Sides, space: &Space, address: u64) -> Result<Start, u64> {
        if let Some(start) = sides.now.cache.find(space, address) {
            return Ok(start);
        }
        if address >= WINDOW || !self.is_hot(address) {
            return Err(CHUNK);
        }
        sides.now.cache.translate(&sides.now.shared, space, address).ok_or(CHUNK)
    }

    /// The block of an address that a branch leads to: code in the middle of another block gets one of its own.
    fn block_start(&mut self, sides: &mut Sides, space: &Space, address: u64) -> Result<Start, u64> {
        match self.start(sides, space, address)? {
            start if start.insn == 0 => Ok(start),
            _ => sides.now.cache.translate(&sides.now.shared, space, address).ok_or(CHUNK),
        }
    }

    /// Runs translated code and the interpreter by turns.
    fn go(&mut self, sides: &mut Sides, cpu: &mut Cpu, space: &mut Space, left: &mut u64) -> Exit {
        let mut window = sides.now.windows.of(&sides.now.shared, space);
        if let Some((address, write)) = self.faulted.take() {
            sides.now.windows.get(window).fill(space, address, write);
        }
        while *left > 0 && !self.is_due() {
            let mut interpret = CHUNK;
            if self.suits(cpu, space) {
                sides.now.cache.sync(&sides.now.shared, space);
                if let Ok(start) = self.start(sides, space, cpu.rip)
                    && (self.tick.is_some() || *left > MARGIN + u64::from(start.deduct.max(0).unsigned_abs()))
                {
                    if sides.now.windows.get(window).is_stale(space) {
                        window = sides.now.windows.of(&sides.now.shared, space);
                    }
                    match self.enter(sides, cpu, space, left, start, window) {
                        Next::Again => continue,
                        Next::More => {
                            sides.now.windows.get(window).allow_more();
                            continue;
                        }
                        Next::End(exit) => return exit,
                        Next::Interpret(most) => interpret = most,
                    }
                }
            }
            // Translated code may have left where the flags don't matter, and lost them. Soon they are set again.
            if let Some(exit) = self.interpret(cpu, space, left, interpret) {
                return exit;
            }
            if *left <= self.slack {
                return Exit::Budget;
            }
        }
        Exit::Budget
    }

    /// Runs translated code from a start on, and finds out what comes next.
    fn enter(
        &mut self,
        sides: &mut Sides,
        cpu: &mut Cpu,
        space: &mut Space,
        left: &mut u64,
        start: Start,
        window: usize,
    ) -> Next {
        // At the address that translated code has it at: processors are slow to find in their caches what was stored by
        // another.
        let side = &mut sides.now;
        let shown = side.windows.get(window);
        let (base, origin, context) = (shown.base(), shown.origin(), shown.context());
        let counts = side.kind.counts;
        let wanted = if counts { *left - MARGIN } else { 0 };
        let given = if counts { shown.allow(wanted) } else { 0 };
        let before = cpu.rflags();
        let with_unit;
        {
            // SAFETY: the context is ours, and translated code, which else uses it, doesn't run yet.
            let fields = unsafe { &mut *context };
            fields.this = context as u64;
            fields.gpr = cpu.gpr;
            fields.flags = before & FLAGS | rflags::FIXED | rflags::IF;
            fields.fs_base = cpu.seg[seg::FS].base;
            fields.gs_base = cpu.seg[seg::GS].base;
            fields.window = origin;
            fields.entry = side.cache.host(start.host as usize);
            fields.mxcsr = cpu.mxcsr;
            fields.xmm = cpu.xmm.as_mut_ptr() as u64;
            fields.ymm_high = cpu.ymm_high.as_mut_ptr() as u64;
            let wide = cpu.ymm_high[..16].iter().fold(0, |all, half| all | half);
            fields.wide = wide as u64 | (wide >> 64) as u64;
            if side.kind.avx_512 {
                fields.zmm_high = cpu.zmm_high.as_mut_ptr() as u64;
                fields.k = cpu.k.as_mut_ptr() as u64;
            }
            let block = side.cache.block(start.block);
            if let Some(block) = block.filter(|_| start.insn > 0) {
                block.enter(start.insn, side.cache.insns(block)[usize::from(start.insn)], fields);
            }
            fields.budget = match counts {
                true => given.wrapping_add_signed(-i64::from(start.deduct)),
                false => fields.gpr[usize::from(BUDGET)],
            };
            fields.cache = &raw const side.cache;
            with_unit = block.is_some_and(|block| block.unit);
            fields.unit_absent = u64::from(!with_unit);
            (fields.unit_last, fields.unit_accessed) = (0, 0);
            if std::mem::take(&mut side.cache.stack_stale) {
                fields.stack = side.cache.stack.empty();
            }
        }
        let is_news = signal::tell(context, || Active {
            code: side.cache.range(),
            way_out: side.cache.host(side.cache.stubs.reason(Reason::Fault)),
            stopped: side.cache.host(side.cache.stubs.reason(Reason::Stopped)),
            miss: side.cache.miss(),
            guard: side.cache.stack.guard(),
            stack_base: side.cache.stack.empty(),
        });
        // Another engine may have run in between.
        if is_news {
            self.gs.set(base);
            // SAFETY: the context is ours, and translated code doesn't run yet.
            unsafe { (*context).host_mxcsr = enter::host_mxcsr() };
        }
        // SAFETY: all fields are set: the entry is an instruction's start in verified code, the stack is the return
        // stack's, and `check` has seen that the host has AVX and a way to give gs its base.
        unsafe {
            if with_unit {
                self.unit.enter(context, cpu, space);
            } else {
                enter::enter(context);
            }
        }
        if !self.keeps_gs {
            self.gs.give_back();
        }
        // SAFETY: as above; translated code has been left.
        let fields = unsafe { &mut *context };
        self.exits[reason(fields.reason) as usize] += 1;
        cpu.mxcsr = fields.mxcsr;
        // Not among the others before those are copied all at once, for which the processor would wait; but where a register
        // may have been lent.
        let is_apart = !counts && !matches!(reason(fields.reason), Reason::Fault | Reason::Stopped);
        if !counts && !is_apart {
            fields.gpr[usize::from(BUDGET)] = fields.budget;
        }
        let mut budget = i64::from(fields.budget as i32);
        let number = fields.argument;
        let mut next = Next::Again;
        // What comes after a budget has been used up: more of what was wanted, or the last instructions one by one.
        let used_up = || if given < wanted { Next::More } else { Next::Interpret(CHUNK) };
        // Where a call that has left would return to.
        let mut after = 0;
        if matches!(reason(fields.reason), Reason::Link | Reason::Budget) {
            let caller = side.cache.stack.entry(fields.stack).unwrap_or(0);
            after = caller.wrapping_sub(side.cache.host(0)) as usize;
            fields.stack += 8;
        }
        let site = if reason(fields.reason) == Reason::Link { side.cache.site(after) } else { None };
        let mut fault = None;
        cpu.rip = match reason(fields.reason) {
            Reason::Link => site.map_or(0, |site| side.cache.target(site)),
            Reason::Miss => match side.kind.origin {
                Origin::Gs => fields.target,
                Origin::Zero => fields.scratch,
            },
            Reason::Budget => {
                let block = side.cache.exhausted(after);
                budget += block.map_or(0, |block| i64::from(block.count - block.check));
                next = used_up();
                let insn = block.map(|block| side.cache.insns(block)[usize::from(block.check)]);
                block.zip(insn).map_or(0, |(block, insn)| block.address(insn))
            }
            Reason::Syscall => {
                let end = side.cache.block(number).map_or(0, |block| block.end.into());
                if cpu.delivery == Delivery::Exit {
                    next = Next::End(Exit::Syscall);
                    end
                } else {
                    budget += 1;
                    next = Next::Interpret(1);
                    end.wrapping_sub(2)
                }
            }
            Reason::Unit => side.cache.block(number).map_or(0, |block| block.start.into()),
            Reason::Interpret => {
                next = Next::Interpret(CHUNK);
                side.cache.block(number).map_or(0, |block| block.end.into())
            }
            Reason::Stopped => {
                next = Next::End(Exit::Budget);
                mend(&side.cache, fields).0
            }
            Reason::Fault => match side.cache.check_at(fields.fault_rip.wrapping_sub(side.cache.host(0)) as usize) {
                Some(block) => {
                    next = used_up();
                    block.start.into()
                }
                None => {
                    let (rip, refund) = mend(&side.cache, fields);
                    budget += i64::from(refund);
                    fault = Some((fields.fault_trap, fields.fault_address, fields.fault_code));
                    rip
                }
            },
        };
        cpu.gpr = fields.gpr;
        if is_apart {
            cpu.gpr[usize::from(BUDGET)] = fields.budget;
        }
        let flags = before & !FLAGS | fields.flags & FLAGS;
        cpu.set_rflags(flags);
        let done = if counts { (given as i64 - budget).max(0) as u64 } else { 0 };
        cpu.instructions += done;
        cpu.user_instructions += done;
        *left -= done;
        match (reason(fields.reason), fault) {
            (Reason::Link, _) => {
                let version = sides.now.cache.figures.flushes;
                if let (Ok(start), Some(site)) = (self.block_start(sides, space, cpu.rip), site)
                    && sides.now.cache.figures.flushes == version
                {
                    sides.now.cache.link(site, start);
                }
            }
            (Reason::Miss, _) => {
                if let Ok(start) = self.block_start(sides, space, cpu.rip) {
                    sides.now.cache.link_indirect(&sides.now.shared, space, cpu.rip, start);
                }
            }
            (Reason::Syscall, _) => {
                if let Next::End(_) = next {
                    cpu.gpr[reg::RCX] = cpu.rip;
                    cpu.gpr[reg::R11] = flags;
                }
            }
            (_, Some((trap, address, code))) => {
                let window = sides.now.windows.get(window);
                let offset = address.wrapping_sub(window.origin());
                let mapped = trap == PAGE_FAULT && window.fill(space, offset, code & 2 != 0);
                if !mapped {
                    self.faulted = (trap == PAGE_FAULT && offset < WINDOW).then_some((offset, code & 2 != 0));
                    next = Next::Interpret(1);
                }
            }
            _ => {}
        }
        next
    }
}

/// The reason as translated code has left it.
fn reason(number: u32) -> Reason {
    REASONS.get(number as usize).copied().unwrap_or(Reason::Fault)
}

/// After a fault, or where the code was stopped: puts the registers back as they were before the instruction, and gives its
/// address and how many instructions were counted but not executed.
fn mend(cache: &Cache, context: &mut Context) -> (u64, i8) {
    let mut offset = context.fault_rip.wrapping_sub(cache.host(0)) as usize;
    if let Some(stub) = cache.stubs.string_at(offset) {
        for (used, register, home) in [(stub.uses_rsi, reg::RSI, SAVED_RSI), (stub.uses_rdi, reg::RDI, SAVED_RDI)] {
            if used {
                let upper = context.string[home] & !0xffff_ffff;
                context.gpr[register] = context.gpr[register].wrapping_sub(context.window).wrapping_add(upper);
            }
        }
        // The call of the stub.
        let caller = cache.stack.entry(context.stack).unwrap_or(0);
        context.stack += 8;
        if stub.counts {
            context.gpr[reg::RCX] = context.scratch;
        }
        offset = caller.wrapping_sub(cache.host(0)).wrapping_sub(1) as usize;
    }
    let Some((number, index, insn)) = cache.instruction_at(offset) else {
        debug_assert!(false, "a fault outside of blocks, at {offset:#x}");
        return (0, 0);
    };
    let block = cache.block(number);
    if let Some(block) = block {
        // Nothing is borrowed yet where it starts.
        for (place, register) in insn.borrowed().filter(|_| block.host(insn) as usize != offset) {
            context.gpr[usize::from(register)] = context.temporary[place];
        }
        block.leave(index, insn, context);
    }
    let address = block.map_or(0, |block| block.address(insn));
    let executed = index as i8;
    let refund = block.map_or(0, |block| match offset >= block.counted as usize {
        true => block.count as i8 - executed,
        false => -executed,
    });
    (address, refund)
}

impl Engine for Native {
    fn name(&self) -> &'static str {
        if self.sides.is_none() && self.refused.is_none() { self.interp.name() } else { "native" }
    }

    fn figures(&self) -> Vec<(&'static str, u64)> {
        let figures = self.sides.as_ref().map(|sides| sides.figures()).unwrap_or_default();
        vec![
            ("low_window", self.has_low_window().into()),
            ("interpreted", self.interpreted),
            ("unlinked", self.exits[Reason::Link as usize]),
            ("missed", self.exits[Reason::Miss as usize]),
            ("exhausted", self.exits[Reason::Budget as usize]),
            ("syscalls", self.exits[Reason::Syscall as usize]),
            ("untranslated", self.exits[Reason::Interpret as usize]),
            ("faults", self.exits[Reason::Fault as usize]),
            ("stopped", self.exits[Reason::Stopped as usize]),
            ("blocks", figures.blocks),
            ("translated", figures.translated),
            ("links", figures.links),
            ("indirect", figures.indirect),
            ("resets", figures.resets),
            ("flushes", figures.flushes),
            ("translation_us", figures.translation.as_micros() as u64),
            ("verification_us", figures.verification.as_micros() as u64),
        ]
    }

    fn counts(&self) -> bool {
        self.tick.is_none()
    }

    fn begin(&mut self, slack: u64, within: Duration) {
        self.keeps_gs = true;
        self.slack = slack;
        if let Some(tick) = &self.tick {
            tick.begin(within);
        }
    }

    fn end(&mut self) {
        if let Some(tick) = &self.tick {
            tick.end();
        }
        self.keeps_gs = false;
        self.slack = 0;
        self.gs.give_back();
    }

    /// # Panics
    /// If `space` is of another memory than the engine.
    fn run(&mut self, cpu: &mut Cpu, space: &mut Space, budget: u64) -> Exit {
        assert!(self.memory.same(space.memory()), "a space of another memory");
        if !self.keeps_gs && self.tick.is_some() {
            self.begin(0, TICK);
            let exit = self.run(cpu, space, budget);
            self.end();
            return exit;
        }
        if let Some(tick) = &self.tick {
            tick.go_on();
        }
        let mut left = budget;
        if budget < self.least || !self.suits(cpu, space) && cpu.cpl == 3 {
            return self.interpret(cpu, space, &mut left, budget).unwrap_or(Exit::Budget);
        }
        let cold = if cpu.cpl == 3 { self.cold(space) } else { 0 };
        if cold > 0 {
            let exit = self.interpret(cpu, space, &mut left, cold);
            *self.warmth.entry(space.id()).or_default() += budget - left;
            if exit.is_some() || left == 0 {
                return exit.unwrap_or(Exit::Budget);
            }
        }
        let Some(mut sides) = self.take_sides() else {
            return self.interpret(cpu, space, &mut left, budget).unwrap_or(Exit::Budget);
        };
        let exit = if sides.turn_to(space.id()) {
            let exit = self.go(&mut sides, cpu, space, &mut left);
            let ticked = self.tick.is_some() && exit == Exit::Budget;
            sides.note(space.id(), if ticked { IN_A_TICK } else { budget - left });
            exit
        } else {
            self.interpret(cpu, space, &mut left, budget).unwrap_or(Exit::Budget)
        };
        self.sides = Some(sides);
        exit
    }
}

const _: () = assert!(CONTEXT_BYTES.is_multiple_of(PAGE_SIZE));
