//! The loop: make a batch of cases, run it here and there, compare.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use iced_x86::{
    Code, CpuidFeature, EncodingKind, Instruction, InstructionInfoFactory, Mnemonic, OpCodeOperandKind as Kind,
};

use crate::compare::{Ends, compare, normalise};
use crate::instruction::{Form, PINNED, encode, is_fair, prepare};
use crate::native::{BATCH, Native};
use crate::ours::{Ours, Pace};
use crate::pools::{Pools, rflags};
use crate::program::program;
use crate::report::{Mismatch, Options, Report, Unrunnable};
use crate::rng::{Pool, Rng};
use crate::state::{CODE, MISSING, NO_TRAP, SLOT, State, TARGET, WRITABLE};
use crate::tolerance::TOLERANCES;

/// One of this many cases is a program.
const PROGRAMS: u64 = 3;
/// One of this many programs can write itself.
const WRITABLE_PROGRAMS: u64 = 5;
/// Tries to make an instruction before its code counts as one that can't be made.
const TRIES: usize = 200;
const UD: u64 = 6;

/// A case before it is run.
struct Case {
    number: u64,
    state: State,
    instructions: Vec<Instruction>,
    /// As in a program.
    undefined: Vec<u64>,
    pace: Pace,
}

/// Runs the oracle.
///
/// # Errors
/// If the host can't run it, or its child is lost.
pub fn run(options: &Options) -> io::Result<Report> {
    let mut native = Native::new()?;
    let mut ours = Ours::new(BATCH).ok_or_else(|| io::Error::other("no memory for the core"))?;
    let mut report = Report { seed: options.seed, ..Report::default() };
    let codes = claimed(&mut native, &mut ours, options, &mut report)?;
    if codes.is_empty() {
        return Ok(report);
    }
    let pools = Pools::new(&codes);
    let mut info = InstructionInfoFactory::new();
    let mut by_code = BTreeMap::<Code, u64>::new();
    let (mut number, end) = (options.first, options.first + options.cases);
    let mut pool = Pool::new(options.seed, number);
    let mut covered = vec![false; codes.len()];
    while number < end {
        let mut cases = Vec::with_capacity(BATCH);
        while cases.len() < BATCH && number < end {
            if number % Pool::CASES == 0 {
                pool = Pool::new(options.seed, number);
            }
            let mut rng = Rng::new(options.seed, number);
            let slot = CODE + (cases.len() * SLOT) as u64;
            let case = if rng.one_in(PROGRAMS) && pools.is_complete() {
                report.programs += 1;
                Some(program_case(&pools, number, cases.len(), &mut rng, &pool, &mut info))
            } else {
                let index = (number % codes.len() as u64) as usize;
                let case = single_case(codes[index], number, slot, &mut rng, &pool);
                covered[index] |= case.is_some();
                case
            };
            cases.extend(case);
            number += 1;
        }
        run_batch(&mut native, &mut ours, &cases, options, &mut report, &mut by_code)?;
    }
    report.covered = covered.iter().filter(|covered| **covered).count();
    report.by_code = by_code.into_iter().collect();
    report.tally.name(TOLERANCES.iter().map(|entry| (entry.name, entry.source)));
    Ok(report)
}

/// Runs cases on both and reports what differs.
fn run_batch(
    native: &mut Native,
    ours: &mut Ours,
    cases: &[Case],
    options: &Options,
    report: &mut Report,
    by_code: &mut BTreeMap<Code, u64>,
) -> io::Result<()> {
    let (theirs, mine, executed) = run_both(native, ours, cases)?;
    report.executed += executed;
    for ((case, silicon), mine) in cases.iter().zip(&theirs).zip(&mine) {
        report.cases += 1;
        report.exceptions += u64::from(silicon.trap != NO_TRAP);
        let at = case.instructions.iter().position(|i| silicon.trap != NO_TRAP && i.ip() == silicon.rip);
        // If what faulted is none of them (it is what a return went to), flags are as undefined as anywhere.
        let undefined = match at {
            Some(at) => case.undefined[at],
            None if silicon.trap != NO_TRAP => case.undefined.iter().fold(0, |all, flags| all | flags),
            None => *case.undefined.last().unwrap_or(&0),
        };
        // Programs have nothing in them that need not be equal.
        let instructions = if case.instructions.len() == 1 { &case.instructions[..] } else { &[] };
        let ends = Ends { before: &case.state, silicon, ours: mine, instructions };
        let Some(difference) = compare(&ends, undefined, &mut report.tally) else { continue };
        report.mismatches += 1;
        let Some(last) = at.map_or(case.instructions.last(), |at| case.instructions.get(at)) else { continue };
        let count = by_code.entry(last.code()).or_default();
        *count += 1;
        if *count <= options.keep as u64 {
            let before = format!("{:?}", case.state);
            report.kept.push(Mismatch { case: case.number, code: last.code(), text: text(case), before, difference });
        }
    }
    Ok(())
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

fn single_case(code: Code, number: u64, slot: u64, rng: &mut Rng, pool: &Pool) -> Option<Case> {
    let encoded = (0..TRIES).find_map(|_| encode(code, slot, slot + TARGET as u64, Form::Free, rng))?;
    let mut state = State::random(rng, pool);
    prepare(&encoded.instruction, &mut state, rng, pool);
    if !is_fair(&encoded.instruction, &state) {
        return None;
    }
    state.rip = slot;
    state.code[..encoded.bytes.len()].copy_from_slice(&encoded.bytes);
    state.branched = encoded.bytes.len() as u64;
    let undefined = vec![0, rflags(encoded.instruction.rflags_undefined())];
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

/// The codes to run: those that the core claims, without those that can't be run here.
fn claimed(native: &mut Native, ours: &mut Ours, options: &Options, report: &mut Report) -> io::Result<Vec<Code>> {
    let mut codes = Vec::new();
    let pool = Pool::new(0, 0);
    let mut unmade = Vec::new();
    let mut features = BTreeSet::<CpuidFeature>::new();
    let wanted = |code: &Code| {
        let op_code = code.op_code();
        let chosen = options.only.as_ref().is_none_or(|only| format!("{code:?}").starts_with(only));
        chosen && op_code.is_instruction() && op_code.mode64()
    };
    for code in Code::values().filter(wanted) {
        let reason = unrunnable(code);
        let mut rng = Rng::new(0, code as u64);
        let mut cases = Vec::new();
        for n in 0..24 {
            let slot = CODE + (cases.len() * SLOT) as u64;
            cases.extend(single_case(code, n, slot, &mut rng, &pool));
        }
        if cases.is_empty() {
            unmade.push((reason.unwrap_or(Unrunnable::NotMade), code));
            continue;
        }
        let mut mine: Vec<State> = cases.iter().map(|case| case.state.clone()).collect();
        ours.load(&mine);
        for state in &mut mine {
            ours.run(state, Pace::Steps);
        }
        if mine.iter().all(|state| state.trap == MISSING) {
            continue;
        }
        report.claimed += 1;
        features.extend(code.cpuid_features());
        if let Some(reason) = reason {
            report.unrunnable.push((reason, code));
            continue;
        }
        let mut theirs: Vec<State> = cases.iter().map(|case| case.state.clone()).collect();
        native.run(&mut theirs)?;
        if theirs.iter().all(|state| state.trap == UD) && mine.iter().any(|state| state.trap != UD) {
            report.unrunnable.push((Unrunnable::HostLacksIt, code));
            continue;
        }
        codes.push(code);
    }
    // Of what could not be made the core claims what belongs to its extensions, but not encodings of other makers, nor
    // what is decoded as two instructions.
    unmade.retain(|(_, code)| {
        let op_code = code.op_code();
        let decoded = op_code.encoding() == EncodingKind::Legacy && op_code.intel_decoder64() && !op_code.fwait();
        decoded && code.cpuid_features().iter().all(|feature| features.contains(feature))
    });
    report.claimed += unmade.len();
    report.unrunnable.extend(unmade);
    Ok(codes)
}

/// Why an instruction can't be run in ring 3 under a kernel that isn't ours.
fn unrunnable(code: Code) -> Option<Unrunnable> {
    use Mnemonic as M;
    let kinds = code.op_code().op_kinds();
    let loads_segment = kinds.first().is_some_and(|kind| matches!(kind, Kind::seg_reg | Kind::fs | Kind::gs))
        && matches!(code.mnemonic(), M::Mov | M::Pop);
    match code.mnemonic() {
        M::Syscall | M::Sysenter | M::Int | M::Int1 | M::Vmcall => Some(Unrunnable::CallsTheHost),
        M::Sgdt
        | M::Sidt
        | M::Sldt
        | M::Str
        | M::Smsw
        | M::Verr
        | M::Verw
        | M::Lar
        | M::Lsl
        | M::Iret
        | M::Iretd
        | M::Iretq
        | M::Retf
        | M::Lss
        | M::Lfs
        | M::Lgs => Some(Unrunnable::DescriptorTables),
        _ if matches!(
            code,
            Code::Call_m1616
                | Code::Call_m1632
                | Code::Call_m1664
                | Code::Jmp_m1616
                | Code::Jmp_m1632
                | Code::Jmp_m1664
        ) || loads_segment =>
        {
            Some(Unrunnable::DescriptorTables)
        }
        _ => None,
    }
}
