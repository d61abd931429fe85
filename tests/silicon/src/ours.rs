//! Runs cases on the core.

use std::time::Duration;

use callgate_emulator::{
    Cpu, CpuModel, DescriptorTable, Engine, Exit, Frame, Interp, Memory, PAGE_SIZE, PageFlags, Space, seg,
};

use callgate_native::{Native, Setup};

use crate::native::{avx_512, is_intel};
use crate::report::Options;
use crate::rng::Rng;
use crate::segments::{GDT, USER_CS, USER_DS};
use crate::state::{
    CODE, DATA, DATA_PAGES, LEAVE_BYTES, MISSING, NO_TRAP, ODD_EXIT, SLOT, State, TARGET, WINDOWS, WRITABLE, XSAVE, at,
    field, put, vectors,
};
use crate::tolerance::GENERAL_PROTECTION;

/// Ends a slot here: `int 0x80`, which changes nothing.
const END: [u8; 2] = [0xcd, 0x80];
const END_VECTOR: u8 = 0x80;
/// More instructions than a case executes.
const BUDGET: u64 = 1_000_000;

/// What ends runs that count nothing, and more of that than a case meets.
const TICK: Duration = Duration::from_micros(100);
const MOST_TICKS: u32 = 100_000;

/// Where its descriptor table is, for ring 0 only.
pub(crate) const GDT_BASE: u64 = 0x0f00_0000;
/// In the order of `State::selectors`.
const SELECTORS: [usize; 4] = [seg::DS, seg::ES, seg::FS, seg::GS];

/// How often the core stops and goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Not at all.
    Whole,
    /// After each instruction.
    Steps,
    /// After so many instructions as come from a seed: few, or some.
    Parts(u64),
}

/// The core's model: one with AVX-512 where the host has it.
pub(crate) fn model() -> CpuModel {
    if avx_512().is_some() { CpuModel::V4 } else { CpuModel::default() }
}

/// The core, with code and data mapped where the processor has them.
pub(crate) struct Ours {
    space: Space,
    engine: Box<dyn Engine>,
    fresh: Cpu,
    code: Vec<Frame>,
    writable: Vec<Frame>,
    data: Vec<Frame>,
}

impl Ours {
    /// With room for so many slots, on the interpreter or on translated code. None if the host can't have it.
    pub(crate) fn new(slots: usize, options: &Options) -> Option<Self> {
        let memory = Memory::new(64 << 20).ok()?;
        let mut space = Space::new(&memory);
        let mut map = |start: u64, pages: usize, flags: &dyn Fn(usize) -> PageFlags| -> Option<Vec<Frame>> {
            (0..pages)
                .map(|page| {
                    let frame = memory.alloc()?;
                    space.map(start + (page * PAGE_SIZE) as u64, frame.clone(), PageFlags::USER | flags(page));
                    Some(frame)
                })
                .collect()
        };
        let pages = (slots * SLOT).div_ceil(PAGE_SIZE);
        let code = map(CODE, pages, &|_| PageFlags::EXEC)?;
        let writable = map(WRITABLE[0], pages, &|_| PageFlags::WRITE | PageFlags::EXEC)?;
        let data = map(DATA, DATA_PAGES, &|page| if page < 2 { PageFlags::WRITE } else { PageFlags::empty() })?;
        for (page, frame) in writable.iter().enumerate() {
            let flags = PageFlags::USER | PageFlags::WRITE | PageFlags::EXEC;
            space.map(WRITABLE[1] + (page * PAGE_SIZE) as u64, frame.clone(), flags);
        }
        let mut bytes = [0; size_of_val(&GDT)];
        for (bytes, descriptor) in bytes.chunks_exact_mut(8).zip(GDT) {
            bytes.copy_from_slice(&descriptor.to_le_bytes());
        }
        let table = memory.alloc()?;
        table.write(0, &bytes);
        space.map(GDT_BASE, table, PageFlags::empty());
        let model = model();
        let mut fresh = Cpu::of(model);
        fresh.gdtr = DescriptorTable { base: GDT_BASE, limit: bytes.len() as u16 - 1 };
        // What Linux has there.
        fresh.seg[seg::CS].selector = USER_CS;
        fresh.seg[seg::SS].selector = USER_DS;
        let engine: Box<dyn Engine> = if options.translated {
            let (low_memory, counts, loops) = (options.low, !options.uncounted, options.loops);
            let setup = Setup { low_memory, counts, loops, ..Setup::default() };
            let mut native = Native::new(&memory, model, setup).ok()?;
            if options.low && !native.has_low_window() || native.counts() != setup.counts {
                return None;
            }
            native.translate_at_once();
            Box::new(native)
        } else {
            Box::new(Interp::with_model(&memory, model))
        };
        Some(Self { space, engine, fresh, code, writable, data })
    }

    /// Puts the code of some cases into their slots, and zeros where their data is.
    pub(crate) fn load(&mut self, states: &[State]) {
        for frame in &self.data {
            frame.write(0, &[0; PAGE_SIZE]);
        }
        for (i, state) in states.iter().enumerate() {
            let frames = if WRITABLE.contains(&(state.rip - (i * SLOT) as u64)) { &self.writable } else { &self.code };
            let mut code = state.code;
            put(&mut code, state.branched as usize, &END);
            if state.branched as usize + LEAVE_BYTES <= TARGET {
                put(&mut code, TARGET, &END);
            }
            let at = i * SLOT;
            frames[at / PAGE_SIZE].write(at % PAGE_SIZE, &code);
        }
    }

    /// Runs the case of a state and leaves there what it ended with. Says how many instructions it executed.
    pub(crate) fn run(&mut self, state: &mut State, pace: Pace) -> u64 {
        let mut cpu = self.fresh.clone();
        load(&mut cpu, state);
        self.write_windows(&state.memory);
        let has_target = state.branched as usize + LEAVE_BYTES <= TARGET;
        let mut rng = match pace {
            Pace::Parts(seed) => Some((Rng::new(seed, 0), 1 + seed % 13)),
            _ => None,
        };
        // What doesn't count has no budgets: its pace is the timer's.
        let counts = self.engine.counts();
        let mut ticks = 0;
        let exit = loop {
            if !counts {
                self.engine.begin(0, TICK);
            }
            let budget = match (pace, &mut rng) {
                (_, Some((rng, most))) => 1 + rng.below(*most),
                (Pace::Steps, _) => 1,
                _ => BUDGET,
            };
            let exit = self.engine.run(&mut cpu, &mut self.space, budget);
            ticks += u32::from(!counts);
            if exit != Exit::Budget || cpu.instructions >= BUDGET || ticks == MOST_TICKS {
                break exit;
            }
        };
        self.engine.end();
        state.branched = 0;
        state.trap = match exit {
            Exit::Interrupt(END_VECTOR) => {
                let at_target = cpu.rip % SLOT as u64 == (TARGET + END.len()) as u64;
                state.branched = u64::from(has_target && at_target);
                NO_TRAP
            }
            // Traps, which silicon reports as exceptions: rip is behind them.
            Exit::Interrupt(vector @ 3) => u64::from(vector),
            Exit::Debug => 1,
            Exit::Interrupt(vector) => interrupt(&mut cpu, vector, state),
            Exit::Exception(exception) if exception.missing => MISSING,
            Exit::Exception(exception) => {
                state.error = exception.error_code.unwrap_or(0).into();
                state.cr2 = exception.address;
                exception.vector.into()
            }
            _ => ODD_EXIT,
        };
        store(&mut cpu, state);
        self.read_windows(&mut state.memory);
        cpu.instructions
    }

    fn write_windows(&self, mut from: &[u8]) {
        for (start, end) in pieces() {
            let (piece, rest) = from.split_at(end - start);
            self.data[start / PAGE_SIZE].write(start % PAGE_SIZE, piece);
            from = rest;
        }
    }

    fn read_windows(&self, mut to: &mut [u8]) {
        for (start, end) in pieces() {
            let (piece, rest) = to.split_at_mut(end - start);
            self.data[start / PAGE_SIZE].read(start % PAGE_SIZE, piece);
            to = rest;
        }
    }
}

/// The windows, cut at the borders of pages.
fn pieces() -> impl Iterator<Item = (usize, usize)> {
    WINDOWS
        .into_iter()
        .flat_map(|(at, len)| {
            let border = (at / PAGE_SIZE + 1) * PAGE_SIZE;
            let middle = border.min(at + len);
            [(at, middle), (middle, at + len)]
        })
        .filter(|(start, end)| start < end)
}

/// What Linux's interrupt descriptor table makes of an `int` in ring 3: only that of 4 is open, beside those of 3 and 80h.
fn interrupt(cpu: &mut Cpu, vector: u8, state: &mut State) -> u64 {
    const OVERFLOW: u8 = 4;
    if vector == OVERFLOW {
        return vector.into();
    }
    // A fault: rip is at the instruction, which is the case's first.
    cpu.rip = state.rip;
    state.error = u64::from(vector) << 3 | 2;
    GENERAL_PROTECTION
}

/// 128 bits of a vector register.
fn vector(cpu: &mut Cpu, n: usize, part: usize) -> &mut u128 {
    match part {
        0 => &mut cpu.xmm[n],
        1 => &mut cpu.ymm_high[n],
        _ => &mut cpu.zmm_high[n][part - 2],
    }
}

fn load(cpu: &mut Cpu, state: &State) {
    let mut legacy = [0; 512];
    legacy.copy_from_slice(&state.xsave[..512]);
    // MXCSR is one that exists.
    let _ = cpu.fxrstor(&legacy);
    for (n, part) in vectors() {
        *vector(cpu, n, part) = field(&state.xsave, at::vector(n, part), 16);
    }
    for (n, k) in cpu.k.iter_mut().enumerate() {
        *k = field(&state.xsave, at::opmask(n), 8) as u64;
    }
    cpu.gpr = state.gpr;
    cpu.rip = state.rip;
    cpu.set_rflags(state.flags);
    for (number, selector) in SELECTORS.into_iter().zip(state.selectors) {
        cpu.seg[number].selector = selector;
    }
    cpu.seg[seg::FS].base = state.fs;
    cpu.seg[seg::GS].base = state.gs;
}

fn store(cpu: &mut Cpu, state: &mut State) {
    let components = state.xsave[at::IN_USE];
    state.xsave = [0; XSAVE];
    put(&mut state.xsave, 0, &cpu.fxsave());
    if is_intel() {
        put(&mut state.xsave, at::POINTERS, &cpu.fpu.pointers.instruction.to_le_bytes());
    }
    for (n, part) in vectors() {
        put(&mut state.xsave, at::vector(n, part), &vector(cpu, n, part).to_le_bytes());
    }
    for (n, k) in cpu.k.iter().enumerate() {
        put(&mut state.xsave, at::opmask(n), &k.to_le_bytes());
    }
    state.xsave[at::IN_USE] = components;
    state.gpr = cpu.gpr;
    state.rip = cpu.rip;
    state.flags = cpu.rflags();
    state.selectors = SELECTORS.map(|number| cpu.seg[number].selector);
    state.fs = cpu.seg[seg::FS].base;
    state.gs = cpu.seg[seg::GS].base;
}
