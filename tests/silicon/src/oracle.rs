//! The loop: make a batch of cases, run it here and there, compare.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::{io, thread};

use callgate_emulator::is_canonical;
use iced_x86::{Code, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpKind, Register};

use crate::claims::{Claims, claims};

use crate::compare::{Ends, compare, is_same, normalise, operand_address};
use crate::instruction::{Form, PINNED, encode, is_evex, is_fair, prepare};
use crate::intel::is_unchecked;
use crate::native::{BATCH, Native, is_intel};
use crate::ours::{Ours, Pace, model};
use crate::pools::{Pools, flags_undefined};
use crate::program::program;
use crate::report::{Mismatch, Options, Report, Tally};
use crate::rng::{Pool, Rng};
use crate::state::{CODE, DATA, DATA_PAGES, NO_TRAP, SLOT, State, TARGET, WRITABLE};
use crate::tolerance::{GENERAL_PROTECTION, tolerances};

/// One of this many cases is a program.
const PROGRAMS: u64 = 3;
/// One of this many instructions has TF set, and so a debug trap after it.
const STEPPED: u64 = 32;
const TF: u64 = 0x100;
/// One of this many has AC set, and so alignment checks.
const ALIGNED: u64 = 24;
const AC: u64 = 0x4_0000;
/// One of this many programs can write itself.
const WRITABLE_PROGRAMS: u64 = 5;
/// Tries to make an instruction before its code counts as one that can't be made.
const TRIES: usize = 200;

/// A case before it is run.
pub(crate) struct Case {
    number: u64,
    pub(crate) state: State,
    instructions: Vec<Instruction>,
    /// As in a program.
    undefined: Vec<u64>,
    pace: Pace,
}

/// Runs the oracle.
///
/// # Errors
/// If the host can't run it, or a child is lost.
pub fn run(options: &Options) -> io::Result<Report> {
    let Claims { codes, claimed, unrunnable } = {
        let mut worker = Worker::new(options)?;
        claims(&mut worker.native, &mut worker.ours, options)?
    };
    let shared = Shared {
        options,
        pools: Pools::new(&codes),
        codes,
        next: AtomicU64::new(options.first),
        end: options.first.saturating_add(options.cases),
    };
    let mut report = Report { seed: options.seed, claimed, unrunnable, ..Report::default() };
    if shared.codes.is_empty() {
        return Ok(report);
    }
    let found: io::Result<Vec<_>> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..options.jobs.max(1)).map(|_| scope.spawn(|| Worker::new(options)?.work(&shared))).collect();
        let panicked = |_| Err(io::Error::other("a worker has panicked"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    let mut covered = BTreeSet::new();
    for (codes, found) in found? {
        covered.extend(codes);
        report.merge(found, options.keep);
    }
    report.covered = covered.len();
    report.kept.sort_by_key(|mismatch| mismatch.case);
    report.tally.name(tolerances().map(|entry| (entry.name, entry.source)));
    Ok(report)
}

/// What all workers work on.
struct Shared<'a> {
    options: &'a Options,
    codes: Vec<Code>,
    pools: Pools,
    /// The first case that nobody has taken.
    next: AtomicU64,
    end: u64,
}

/// One that takes cases, with a child and a core of its own.
struct Worker {
    native: Native,
    ours: Ours,
    info: InstructionInfoFactory,
    report: Report,
    covered: BTreeSet<Code>,
    /// It is translated code that runs.
    translated: bool,
}

impl Worker {
    fn new(options: &Options) -> io::Result<Self> {
        Ok(Self {
            native: Native::new()?,
            ours: Ours::new(BATCH, options).ok_or_else(|| {
                let low = if options.low { ", or its first 4 GiB are taken" } else { "" };
                io::Error::other(format!("the host has no memory for the core{low}"))
            })?,
            info: InstructionInfoFactory::new(),
            report: Report::default(),
            covered: BTreeSet::new(),
            translated: options.translated,
        })
    }

    /// Takes cases until there are no more. Says which codes they covered, and what came out.
    fn work(mut self, shared: &Shared<'_>) -> io::Result<(BTreeSet<Code>, Report)> {
        let avx_512 = model().has_avx_512();
        loop {
            // Up to where the operands change.
            let first = shared.next.fetch_update(Relaxed, Relaxed, |next| {
                (next < shared.end).then(|| ((next / Pool::CASES + 1) * Pool::CASES).min(shared.end))
            });
            let Ok(first) = first else { return Ok((self.covered, self.report)) };
            let end = ((first / Pool::CASES + 1) * Pool::CASES).min(shared.end);
            let pool = Pool::new(shared.options.seed, first, avx_512);
            let mut number = first;
            while number < end {
                let mut cases = Vec::with_capacity(BATCH);
                while cases.len() < BATCH && number < end {
                    cases.extend(self.case(shared, number, cases.len(), &pool));
                    number += 1;
                }
                self.run(&cases, shared.options.keep)?;
            }
        }
    }

    /// A case, for a slot.
    fn case(&mut self, shared: &Shared<'_>, number: u64, index: usize, pool: &Pool) -> Option<Case> {
        let mut rng = Rng::new(shared.options.seed, number);
        if rng.one_in(PROGRAMS) && shared.pools.is_complete() {
            self.report.programs += 1;
            return Some(program_case(&shared.pools, number, index, &mut rng, pool, &mut self.info));
        }
        let code = shared.codes[(number % shared.codes.len() as u64) as usize];
        let case = single_case(code, number, CODE + (index * SLOT) as u64, &mut rng, pool)?;
        self.covered.insert(code);
        Some(case)
    }

    /// Runs cases on both and reports what differs.
    fn run(&mut self, cases: &[Case], keep: usize) -> io::Result<()> {
        let (theirs, ours, executed) = run_both(&mut self.native, &mut self.ours, cases)?;
        let report = &mut self.report;
        report.executed += executed;
        report.cases += cases.len() as u64;
        let mut differ = Vec::new();
        for (i, (case, (silicon, mine))) in cases.iter().zip(theirs.iter().zip(&ours)).enumerate() {
            report.exceptions += u64::from(silicon.trap != NO_TRAP);
            differ.extend(judge(case, silicon, mine, &mut report.tally).map(|mismatch| (i, mismatch)));
        }
        if differ.is_empty() {
            return Ok(());
        }
        // A system that switches tasks on one of AMD's processors loses the x87 unit's pointers, which FNSTENV tells. So
        // silicon is asked once more, and what it takes back doesn't count.
        let (theirs_again, ours_again, _) = run_both(&mut self.native, &mut self.ours, cases)?;
        for (i, mismatch) in differ {
            let (silicon, mine) = (&theirs_again[i], &ours_again[i]);
            let agrees = judge(&cases[i], silicon, mine, &mut Tally::default()).is_none();
            if agrees && is_same(mine, &ours[i]) && !is_same(silicon, &theirs[i]) {
                report.unsteady += 1;
            } else if self.translated && is_wild(&cases[i], silicon) {
                report.wild += 1;
            } else if self.translated && is_late(&cases[i], silicon, mine) {
                report.late += 1;
            } else {
                report.add(mismatch, keep);
            }
        }
        Ok(())
    }
}

/// Whether silicon has raised an exception at an access beyond 4 GiB whose address names a page that is there by its low
/// half: the one deviation of what translated code does.
fn is_wild(case: &Case, silicon: &State) -> bool {
    let Some(faulting) = case.instructions.iter().find(|i| i.ip() == silicon.rip) else { return false };
    // A string instruction has them where no operand says so.
    let strings = (0..faulting.op_count()).filter_map(|i| match faulting.op_kind(i) {
        OpKind::MemorySegRSI => Some(silicon.gpr[Register::RSI.number()]),
        OpKind::MemoryESRDI => Some(silicon.gpr[Register::RDI.number()]),
        _ => None,
    });
    let is_wild = |address: u64| {
        let low = address & 0xffff_ffff;
        let is_there = |start: u64, len: usize| (start..start + len as u64).contains(&low);
        address != low
            && (is_there(DATA, DATA_PAGES * callgate_emulator::PAGE_SIZE)
                || [CODE, WRITABLE[0], WRITABLE[1]].into_iter().any(|start| is_there(start, BATCH * SLOT)))
    };
    silicon.trap != NO_TRAP && operand_address(faulting, silicon).into_iter().chain(strings).any(is_wild)
}

/// Whether a branch to an address that isn't canonical has faulted, on silicon there and here at its target: the one deviation
/// of what is told of translated code's faults.
fn is_late(case: &Case, silicon: &State, ours: &State) -> bool {
    let branches = |i: &Instruction| {
        matches!(i.flow_control(), FlowControl::IndirectBranch | FlowControl::IndirectCall | FlowControl::Return)
    };
    case.instructions.iter().any(|i| i.ip() == silicon.rip && branches(i))
        && [silicon.trap, ours.trap] == [GENERAL_PROTECTION; 2]
        && !is_canonical(ours.rip)
}

/// How the ends of a case differ, if they do more than they may.
fn judge(case: &Case, silicon: &State, ours: &State, tally: &mut Tally) -> Option<Mismatch> {
    let at = case.instructions.iter().position(|i| silicon.trap != NO_TRAP && i.ip() == silicon.rip);
    // If what faulted is none of them (it is what a return went to), flags are as undefined as anywhere.
    let undefined = match at {
        Some(at) => case.undefined[at],
        None if silicon.trap != NO_TRAP => case.undefined.iter().fold(0, |all, flags| all | flags),
        None => *case.undefined.last().unwrap_or(&0),
    };
    let ends = Ends { before: &case.state, silicon, ours, instructions: &case.instructions };
    let difference = compare(&ends, undefined, tally)?;
    let last = at.map_or(case.instructions.last(), |at| case.instructions.get(at))?;
    let before = format!("{:?}", case.state);
    Some(Mismatch { case: case.number, code: last.code(), text: text(case), before, difference })
}

/// What silicon, and what the core makes of some cases; and how many instructions the core executed for it.
fn run_both(native: &mut Native, ours: &mut Ours, cases: &[Case]) -> io::Result<(Vec<State>, Vec<State>, u64)> {
    let mut theirs: Vec<State> = cases.iter().map(|case| case.state.clone()).collect();
    let mut mine = theirs.clone();
    ours.load(&mine);
    native.run(&mut theirs)?;
    let executed = mine.iter_mut().zip(cases).map(|(state, case)| ours.run(state, case.pace)).sum();
    theirs.iter_mut().for_each(normalise);
    Ok((theirs, mine, executed))
}

fn text(case: &Case) -> String {
    let bytes: String =
        case.state.code[..case.state.branched as usize].iter().map(|byte| format!("{byte:02x}")).collect();
    let instructions: Vec<_> = case.instructions.iter().map(ToString::to_string).collect();
    format!("{bytes} {} ({:?})", instructions.join("; "), case.pace)
}

pub(crate) fn single_case(code: Code, number: u64, slot: u64, rng: &mut Rng, pool: &Pool) -> Option<Case> {
    let encoded = (0..TRIES).find_map(|_| encode(code, slot, slot + TARGET as u64, Form::Free, rng))?;
    let mut state = State::random(rng, pool);
    prepare(&encoded.instruction, &mut state, rng, pool);
    if !is_fair(&encoded.instruction, &state) {
        return None;
    }
    let loads_ss =
        encoded.instruction.op0_register() == Register::SS || encoded.instruction.mnemonic() == Mnemonic::Lss;
    // The trap after a load of ss would wait for one instruction more; within a gather or scatter it comes instead of a
    // fault, when some elements are done.
    let in_parts = is_evex(code) && encoded.instruction.is_vsib();
    if rng.one_in(STEPPED) && !loads_ss && !in_parts {
        state.flags |= TF;
    }
    if rng.one_in(ALIGNED) {
        state.flags |= AC;
    }
    if is_intel() && is_unchecked(&encoded.instruction, &state) {
        state.flags &= !AC;
    }
    state.rip = slot;
    state.code[..encoded.bytes.len()].copy_from_slice(&encoded.bytes);
    state.branched = encoded.bytes.len() as u64;
    let undefined = vec![0, flags_undefined(&encoded.instruction)];
    let pace = if rng.one_in(4) { Pace::Steps } else { Pace::Whole };
    Some(Case { number, state, instructions: vec![encoded.instruction], undefined, pace })
}

fn program_case(
    pools: &Pools,
    number: u64,
    index: usize,
    rng: &mut Rng,
    pool: &Pool,
    info: &mut InstructionInfoFactory,
) -> Case {
    let offset = (index * SLOT) as u64;
    // It may run at either address of its bytes.
    let here = rng.below(2) as usize;
    let (slot, alias) = if rng.one_in(WRITABLE_PROGRAMS) {
        (WRITABLE[here] + offset, Some(WRITABLE[1 - here] + offset))
    } else {
        (CODE + offset, None)
    };
    let program = program(pools, slot, alias, rng, info);
    let mut state = State::random(rng, pool);
    state.gpr[14] = PINNED;
    state.gpr[13] = rng.below(8);
    // Below what instructions name, so that they don't write return addresses.
    state.gpr[4] = PINNED - 0x100 + 8 * rng.below(8);
    state.rip = slot;
    state.code[..program.bytes.len()].copy_from_slice(&program.bytes);
    state.branched = program.bytes.len() as u64;
    let pace = match rng.below(6) {
        0 | 1 => Pace::Whole,
        2 => Pace::Steps,
        _ => Pace::Parts(rng.next()),
    };
    Case { number, state, instructions: program.instructions, undefined: program.undefined, pace }
}
