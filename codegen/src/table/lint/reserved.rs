//! Linux keeps numbers free by comments: `# 447 reserved for memfd_secret`, `# don't use numbers 387 through 423`; and
//! gave x32, once, the block 512 to 547 of the x86-64 table, which is closed since.

use std::cell::LazyCell;
use std::ops::RangeInclusive;

use super::{Lint, entry};
use crate::table::{Diagnostic, Line, Row, Table, Word, check};

/// The numbers of the calls that x32 has for itself.
pub(in crate::table) const X32_BLOCK: RangeInclusive<u32> = 512..=547;

/// Words of a comment that keeps numbers free.
const KEEPING: &[&str] =
    &["reserved", "unused", "unassigned", "don't use", "do not use", "not to be used", "do not add", "free"];

/// The numbers that a table's comments keep free.
pub(in crate::table) struct KeptFree<'t> {
    /// Sorted by where they begin; each with the comment whose numbers, of those up to here, go furthest.
    ranges: Vec<(u32, u32, &'t Word)>,
}

impl<'t> KeptFree<'t> {
    pub(in crate::table) fn of(table: &'t Table) -> Self {
        let of_comment = |line: &'t Line| match line {
            Line::Comment(comment) => {
                let range = kept_free(comment.as_str())?;
                Some((*range.start(), *range.end(), comment))
            }
            _ => None,
        };
        let mut ranges: Vec<_> = table.lines().iter().filter_map(of_comment).collect();
        ranges.sort_by_key(|(first, last, _)| (*first, *last));
        let mut furthest: Option<(u32, &Word)> = None;
        for (_, last, comment) in &mut ranges {
            let further = furthest.filter(|(further, _)| further >= last);
            (*last, *comment) = *furthest.insert(further.unwrap_or((*last, *comment)));
        }
        Self { ranges }
    }

    /// The comment that keeps a number free.
    pub(in crate::table) fn comment(&self, number: u32) -> Option<&'t Word> {
        let begun = self.ranges.partition_point(|(first, _, _)| *first <= number);
        let (_, last, comment) = self.ranges.get(begun.checked_sub(1)?)?;
        (number <= *last).then_some(*comment)
    }
}

/// Calls whose number a comment keeps free.
pub(super) fn reserved(table: &Table) -> Vec<Diagnostic> {
    let (kept, free) = (KeptFree::of(table), LazyCell::new(|| free_number(table)));
    let find = |row: &Row| {
        let comment = kept.comment(row.number)?;
        let message = format!("the call `{}` has the number {}, which a comment keeps free", row.name, row.number);
        let help = format!("give it the number {}, or correct the comment", *free);
        let found = Diagnostic::at(row.span, message, "takes the number", help).related(comment.span, "kept free here");
        Some(found.warning(Lint::ReservedNumber))
    };
    // A row that keeps a number is not one that takes it.
    let calls = table.rows().filter(|row| !entry::is_absent(row));
    calls.filter_map(find).take(check::MAX_ERRORS).collect()
}

/// Rows that are on the wrong side of the borders of x32's block.
pub(super) fn x32_block(table: &Table) -> Vec<Diagnostic> {
    if !has_x32_block(table) {
        return Vec::new();
    }
    let (first, last) = (X32_BLOCK.start(), X32_BLOCK.end());
    let free = LazyCell::new(|| free_number(table));
    let find = |row: &Row| {
        let (inside, x32) = (X32_BLOCK.contains(&row.number), row.abi.as_str() == "x32");
        let (message, label, help) = match (inside, x32) {
            (true, false) => (
                format!("the number {} is within the block {first} to {last}, which is x32's", row.number),
                "not for x32",
                format!("give the call the number {}", *free),
            ),
            (false, true) => (
                format!("the number {} is outside of the block {first} to {last}, which is x32's", row.number),
                "for x32 only",
                "the block is closed: make the call `common`, which x32 programs can call too".to_owned(),
            ),
            _ => return None,
        };
        Some(Diagnostic::at(row.span, message, label, help).warning(Lint::X32Block))
    };
    let calls = table.rows().filter(|row| row.abi.as_str() == "x32" || !entry::is_absent(row));
    calls.filter_map(find).take(check::MAX_ERRORS).collect()
}

/// Whether the table is one with a block for x32.
pub(in crate::table) fn has_x32_block(table: &Table) -> bool {
    table.rows().any(|row| row.abi.as_str() == "x32" && X32_BLOCK.contains(&row.number))
}

fn free_number(table: &Table) -> u32 {
    table.free_number(&crate::default_abis(table))
}

/// The numbers that a comment keeps free. They stand at its beginning, or after `number` or `numbers`.
fn kept_free(comment: &str) -> Option<RangeInclusive<u32>> {
    let text = comment.trim_start_matches('#').trim().to_ascii_lowercase();
    if !KEEPING.iter().any(|words| text.contains(words)) {
        return None;
    }
    let numbers = match text.split_once("number") {
        Some((_, rest)) if !text.starts_with(|letter: char| letter.is_ascii_digit()) => rest.trim_start_matches('s'),
        _ => text.as_str(),
    };
    let (first, rest) = number(numbers)?;
    let rest = rest.trim_start();
    let to = ["..", "-", "to ", "through ", "and "].iter().find_map(|word| rest.strip_prefix(word));
    let last = to.and_then(number).map_or(first, |(last, _)| last);
    (first <= last).then_some(first..=last)
}

fn number(text: &str) -> Option<(u32, &str)> {
    let text = text.trim_start();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::kept_free;

    #[test]
    fn comments_keep_numbers_free() {
        for (comment, range) in [
            ("# 447 reserved for something", Some(447..=447)),
            ("#222 is unused", Some(222..=222)),
            ("# 333 through 402 are unassigned to keep in step", Some(333..=402)),
            ("# don't use numbers 387 through 423, add calls below", Some(387..=423)),
            ("# 366-377 originally left for others, now unused", Some(366..=377)),
            ("# 401 and 402 are unused", Some(401..=402)),
            ("# 387 to 423 stay free here", Some(387..=423)),
            ("# 102 was socketcall", None),
            ("# reserved for the future", None),
            ("# 9 to 3 are unused", None),
            ("# 99999999999 is unused", None),
            ("#", None),
        ] {
            assert_eq!(kept_free(comment), range, "{comment}");
        }
    }
}
