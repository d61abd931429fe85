//! What a table may hold and still be wrong about. Linux's scripts look at nothing of it, so each of these has been
//! merged into Linux at one time or another and corrected later, or not.
//!
//! A lint finds what is *likely* a mistake: its findings are warnings, unless somebody wants them to be errors. The
//! tables of Linux itself have few, and where there would be many of one kind they are gathered in one.

mod entry;
mod reserved;

use std::collections::{BTreeMap, HashMap};

use super::format::{Columns, columns};
use super::{Diagnostic, Line, Row, Span, Table, check};

pub(super) use reserved::{KeptFree, X32_BLOCK, has_x32_block};

macro_rules! lints {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)*) => {
        /// A kind of doubt about a table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Lint {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl Lint {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name, as `--deny` takes it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What it finds, in a few words.
            pub fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+).trim(),)*
                }
            }
        }
    };
}

lints! {
    /// a name that begins with `sys_`, which belongs to the entry point
    SysPrefix = "sys_prefix",
    /// a name and an entry point that don't belong together
    MismatchedEntry = "mismatched_entry",
    /// a call with a number that a comment keeps free
    ReservedNumber = "reserved_number",
    /// a call within the block of x32 that isn't for x32, or the other way round
    X32Block = "x32_block",
    /// numbers without a row, and without a comment that says why
    Gap = "gap",
    /// an abi that no other row has
    LonelyAbi = "lonely_abi",
    /// one name twice among the calls of one program
    DuplicateName = "duplicate_name",
    /// words that stand beside the table's columns
    MisalignedColumns = "misaligned_columns",
    /// rows that are out of order for one of the abis
    UnsortedAbi = "unsorted_abi",
}

impl Lint {
    /// The lint of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|lint| lint.name() == name)
    }
}

impl Table {
    /// What is doubtful in the table, though it can be used, in the file's order; of each kind not more than a reader
    /// would want.
    pub fn lints(&self) -> Vec<Diagnostic> {
        let mut found = self.warnings.clone();
        found.extend(self.rows().filter_map(sys_prefix).take(check::MAX_ERRORS));
        found.extend(entry::mismatched(self));
        found.extend(reserved::reserved(self));
        found.extend(reserved::x32_block(self));
        found.extend(gaps(self));
        found.extend(lonely_abis(self));
        found.extend(duplicate_names(self));
        found.extend(misaligned(self));
        found.sort_by_key(|one| one.place.as_ref().map(|place| (place.span.start, one.lint)));
        found
    }
}

fn sys_prefix(row: &Row) -> Option<Diagnostic> {
    let rest = row.name.as_str().strip_prefix("sys_").filter(|rest| !rest.is_empty())?;
    let message = format!("the name `{}` begins with `sys_`, and so would its constant: `__NR_{}`", row.name, row.name);
    let help = format!("name the call `{rest}`; `sys_` belongs to the entry point");
    Some(Diagnostic::at(row.name.span, message, "the name", help).warning(Lint::SysPrefix))
}

/// Numbers without rows. A comment that stands in the gap is an explanation; the block of x32 begins after one that
/// needs none.
fn gaps(table: &Table) -> Option<Diagnostic> {
    // Each number's first row, and how many comments stand above it.
    let mut rows: BTreeMap<u32, (usize, &Row)> = BTreeMap::new();
    let mut comments = 0;
    for line in table.lines() {
        match line {
            Line::Comment(_) => comments += 1,
            Line::Row(row) => _ = rows.entry(row.number).or_insert((comments, row)),
            Line::Blank => {}
        }
    }
    let x32 = has_x32_block(table);
    let mut gaps: Vec<(u32, u32, &Row)> = Vec::new();
    for ((below, (comments_below, _)), (above, (comments_above, row))) in rows.iter().zip(rows.iter().skip(1)) {
        let closed = x32 && *above == *X32_BLOCK.start();
        if *above > below + 1 && !closed && comments_below == comments_above {
            gaps.push((below + 1, above - 1, row));
        }
    }
    let (_, _, first) = *gaps.first()?;
    let ranges = gaps.iter().map(|(from, to, _)| match from == to {
        true => from.to_string(),
        false => format!("{from}..{to}"),
    });
    let total: u32 = gaps.iter().map(|(from, to, _)| to - from + 1).sum();
    let message = match total {
        1 => format!("the number {} is free, and no comment says why", several(ranges)),
        _ => format!("the numbers {} are free, and no comment says why", several(ranges)),
    };
    let label = if gaps.len() == 1 { "the gap is above this row" } else { "the first gap is above this row" };
    let help =
        "say why by a comment in the gap, such as `# 17 is unused`, or keep a number by a row without an entry point";
    Some(Diagnostic::at(first.span, message, label, help).warning(Lint::Gap))
}

/// At most eight of them, and how many more there are.
fn several(all: impl ExactSizeIterator<Item = String>) -> String {
    const MOST: usize = 8;
    let count = all.len();
    let shown: Vec<String> = all.take(MOST).collect();
    match (count.saturating_sub(MOST), shown.split_last()) {
        (0, Some((last, rest))) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        (0, _) => shown.concat(),
        (more, _) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Abis of one row. Linux has some on purpose: they are options of a kernel, and named as the call itself.
fn lonely_abis(table: &Table) -> Vec<Diagnostic> {
    let mut rows: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in table.rows() {
        rows.entry(row.abi.as_str()).or_default().push(row);
    }
    if rows.values().all(|rows| rows.len() == 1) {
        return Vec::new();
    }
    let lonely = rows.values().filter_map(|all| match all.as_slice() {
        [row] if !row.name.as_str().starts_with(row.abi.as_str()) => Some(*row),
        _ => None,
    });
    // Among hundreds of abis, which no table has, a near one says nothing.
    let others = || rows.iter().filter(|(_, rows)| rows.len() > 1).map(|(abi, _)| *abi).take(check::MAX_ABIS);
    let find = |row: &Row| {
        let abi = row.abi.as_str();
        let near = others().map(|other| (strsim::osa_distance(abi, other), other)).min();
        let help = match near {
            Some((distance, other)) if distance <= abi.len().min(other.len()) / 2 => {
                format!("did you mean `{other}`? If not, choose the row with `--abis {abi}` where it is wanted")
            }
            _ => {
                let others: Vec<String> = others().map(|other| format!("`{other}`")).collect();
                format!("the other rows have {}; choose this one with `--abis {abi}`", several(others.into_iter()))
            }
        };
        let message = format!("no other row has the abi `{abi}`");
        Diagnostic::at(row.abi.span, message, "this row only", help).warning(Lint::LonelyAbi)
    };
    lonely.map(find).take(check::MAX_ERRORS).collect()
}

/// Two calls of one program with one name, which become one constant with two numbers.
fn duplicate_names(table: &Table) -> Vec<Diagnostic> {
    // The first row with a name: of each abi, and of any.
    let mut of_abi: HashMap<(&str, &str), &Row> = HashMap::new();
    let mut of_any: HashMap<&str, &Row> = HashMap::new();
    let mut found = Vec::new();
    for row in table.rows() {
        let (name, abi) = (row.name.as_str(), row.abi.as_str());
        let first = match abi {
            check::COMMON => of_any.get(name),
            _ => of_abi.get(&(name, check::COMMON)).or_else(|| of_abi.get(&(name, abi))),
        };
        if let Some(first) = first {
            let message = format!("the name `{name}` has the numbers {} and {}", first.number, row.number);
            let help = "rename one of the rows, or give them abis that no program has both of";
            let twice =
                Diagnostic::at(row.name.span, message, "here again", help).related(first.name.span, "first here");
            found.push(twice.warning(Lint::DuplicateName));
        }
        if found.len() >= check::MAX_ERRORS {
            break;
        }
        of_abi.entry((name, abi)).or_insert(row);
        of_any.entry(name).or_insert(row);
    }
    found
}

/// Whether one program can have both rows.
pub(super) fn overlap(one: &Row, other: &Row) -> bool {
    one.abi == other.abi || [one, other].iter().any(|row| row.abi.as_str() == check::COMMON)
}

/// Rows whose words don't stand where most rows have them, though there would be room.
fn misaligned(table: &Table) -> Option<Diagnostic> {
    let usual = Columns::of(table);
    let mut first: Option<(Span, usize, usize)> = None;
    let (mut count, mut rows) = (0_usize, 0_usize);
    for row in table.rows() {
        rows += 1;
        let mut end = 0;
        let mut beside = None;
        for ((start, to, word), usual) in columns(table, row).into_iter().zip(usual.0) {
            if let Some(usual) = usual.filter(|usual| start != *usual && end < *usual) {
                beside = beside.or(Some((word.map_or(row.span, |word| word.span), start, usual)));
            }
            end = to;
        }
        count += usize::from(beside.is_some());
        first = first.or(beside);
    }
    let (span, is, usual) = first?;
    let message = match count {
        1 => format!("1 of {rows} rows does not stand in the table's columns"),
        _ => format!("{count} of {rows} rows do not stand in the table's columns"),
    };
    let label = format!("at column {}; most rows have it at {}", is + 1, usual + 1);
    let help = "`callgate tbl fmt` brings them into line";
    Some(Diagnostic::at(span, message, &label, help).warning(Lint::MisalignedColumns))
}
