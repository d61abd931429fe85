//! What is asked of the oracle, and what it answers.

use std::collections::BTreeMap;
use std::fmt;

use iced_x86::Code;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed of all cases.
    pub seed: u64,
    /// How many cases.
    pub cases: u64,
    /// The number of the first.
    pub first: u64,
    /// Only codes whose name begins so.
    pub only: Option<String>,
    /// Whether the core's side is translated code.
    pub translated: bool,
    /// And has its window in the host's first 4 GiB, as one job of a process can.
    pub low: bool,
    /// And counts no instructions: a timer stops it anywhere, now and then.
    pub uncounted: bool,
    /// And checks returns by the instruction `loop`, or not: as is fast on this host, unless told.
    pub loops: Option<bool>,
    /// At most so many mismatches of one code are kept.
    pub keep: usize,
    /// How many work at it at a time.
    pub jobs: usize,
}

impl Default for Options {
    fn default() -> Self {
        let (translated, low, uncounted, loops) = (false, false, false, None);
        Self { seed: 1, cases: 300_000, first: 0, only: None, translated, low, uncounted, loops, keep: 2, jobs: 1 }
    }
}

/// Why a code that the core claims isn't run natively in ring 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unrunnable {
    /// It calls the host's kernel, or its hypervisor.
    CallsTheHost,
    /// With UMIP it is #GP in ring 3, and the host's kernel answers it.
    Umip,
    /// The host's processor takes it for something else: AMD's have no far pointers with offsets of 64 bits.
    Vendor,
    /// The host's processor does not have it: each try was an invalid opcode there.
    HostLacksIt,
    /// The core does not have it, though its model does.
    CoreLacksIt,
    /// The oracle can't make its operands.
    NotMade,
}

impl fmt::Display for Unrunnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CallsTheHost => "would call the host",
            Self::Umip => "answered by the host's kernel (UMIP)",
            Self::Vendor => "another instruction on processors of the host's maker",
            Self::HostLacksIt => "the host's processor lacks it",
            Self::CoreLacksIt => "the core claims it, and lacks it",
            Self::NotMade => "not made by the oracle",
        })
    }
}

/// A case whose ends differ.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// Its number.
    pub case: u64,
    /// Its code; of a program, that of its last instruction run.
    pub code: Code,
    /// Bytes and disassembly.
    pub text: String,
    /// The registers that it begins with.
    pub before: String,
    /// What differs first: ours, then silicon's.
    pub difference: String,
}

/// Differences that are no mismatches.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Cases in which flags differ that the manual leaves undefined.
    pub undefined_flags: u64,
    /// Cases that needed any of the entries below.
    pub tolerated: u64,
    /// Of these, those that needed an entry: its name and the manual's section, and how many.
    pub entries: Vec<(&'static str, &'static str, u64)>,
}

impl Tally {
    /// Counts a case that needed these entries.
    pub(crate) fn add(&mut self, used: u64) {
        self.tolerated += u64::from(used != 0);
        for bit in (0..64).filter(|bit| used >> bit & 1 != 0) {
            if self.entries.len() <= bit {
                self.entries.resize(bit + 1, ("", "", 0));
            }
            self.entries[bit].2 += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.undefined_flags += other.undefined_flags;
        self.tolerated += other.tolerated;
        self.entries.resize(self.entries.len().max(other.entries.len()), ("", "", 0));
        for (entry, other) in self.entries.iter_mut().zip(&other.entries) {
            entry.2 += other.2;
        }
    }

    /// Tells the entries' names.
    pub(crate) fn name(&mut self, names: impl Iterator<Item = (&'static str, &'static str)>) {
        for (i, (name, source)) in names.enumerate() {
            let count = self.entries.get(i).map_or(0, |entry| entry.2);
            self.entries.resize(self.entries.len().max(i + 1), ("", "", 0));
            self.entries[i] = (name, source, count);
        }
    }
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Codes that the core claims.
    pub claimed: usize,
    /// Codes that were run.
    pub covered: usize,
    /// Those that were not, and why.
    pub unrunnable: Vec<(Unrunnable, Code)>,
    /// Cases run.
    pub cases: u64,
    /// Of these, programs of many instructions.
    pub programs: u64,
    /// Instructions that the core executed for all of them, as far as it counted.
    pub executed: u64,
    /// Of these, cases that ended in an exception.
    pub exceptions: u64,
    /// Differences that are none.
    pub tally: Tally,
    /// Cases whose ends differed once, and not again when silicon, not the core, came to another end.
    pub unsteady: u64,
    /// Cases of translated code in which a wild pointer named a page by its low half, which silicon doesn't let pass.
    pub wild: u64,
    /// Cases of translated code in which a branch to an address that isn't canonical has faulted at its target.
    pub late: u64,
    /// Cases whose ends differ.
    pub mismatches: u64,
    /// Some of them, by code.
    pub kept: Vec<Mismatch>,
    /// How often each code differs.
    pub by_code: BTreeMap<Code, u64>,
}

impl Report {
    /// Adds a mismatch, which is kept unless there are enough of its code.
    pub(crate) fn add(&mut self, mismatch: Mismatch, keep: usize) {
        self.mismatches += 1;
        let count = self.by_code.entry(mismatch.code).or_default();
        *count += 1;
        if *count <= keep as u64 {
            self.kept.push(mismatch);
        }
    }

    /// Adds what another worker has found.
    pub(crate) fn merge(&mut self, other: Self, keep: usize) {
        self.cases += other.cases;
        self.programs += other.programs;
        self.executed += other.executed;
        self.exceptions += other.exceptions;
        self.unsteady += other.unsteady;
        self.wild += other.wild;
        self.late += other.late;
        self.mismatches += other.mismatches;
        self.tally.merge(&other.tally);
        for (code, count) in other.by_code {
            *self.by_code.entry(code).or_default() += count;
        }
        for mismatch in other.kept {
            if self.kept.iter().filter(|kept| kept.code == mismatch.code).count() < keep {
                self.kept.push(mismatch);
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mismatch in &self.kept {
            let Mismatch { case, text, before, difference, .. } = mismatch;
            writeln!(f, "case {case}: {text}\n    {difference}\n    began with {before}")?;
        }
        for (code, count) in &self.by_code {
            writeln!(f, "{code:?}: {count} mismatches")?;
        }
        use Unrunnable as U;
        for reason in [U::CallsTheHost, U::Umip, U::Vendor, U::HostLacksIt, U::CoreLacksIt, U::NotMade] {
            let codes: Vec<_> =
                self.unrunnable.iter().filter(|(r, _)| *r == reason).map(|(_, code)| format!("{code:?}")).collect();
            if !codes.is_empty() {
                writeln!(f, "not run, {reason}: {}", codes.join(" "))?;
            }
        }
        let Tally { undefined_flags, tolerated, entries } = &self.tally;
        writeln!(f, "undefined flags differ in {undefined_flags} cases; tolerated: {tolerated} cases, of which")?;
        for (name, source, count) in entries.iter().filter(|(_, _, count)| *count != 0) {
            writeln!(f, "    {count}: {name} ({source})")?;
        }
        if self.unsteady != 0 {
            writeln!(f, "silicon came to another end when asked again: {} cases", self.unsteady)?;
        }
        if self.wild != 0 {
            writeln!(
                f,
                "wild pointers that name a page by their low half (ARCHITECTURE.md, the one deviation): {} cases",
                self.wild
            )?;
        }
        if self.late != 0 {
            writeln!(
                f,
                "branches to addresses that aren't canonical, which faulted at their targets (ARCHITECTURE.md): {} cases",
                self.late
            )?;
        }
        write!(
            f,
            "seed {}: {} of {} claimed codes, {} cases ({} programs, {} exceptions, {} instructions), {} mismatches",
            self.seed,
            self.covered,
            self.claimed,
            self.cases,
            self.programs,
            self.exceptions,
            self.executed,
            self.mismatches
        )
    }
}
