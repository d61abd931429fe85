//! `callgate tbl check`: errors and lints, as a compiler shows them.

use std::path::Path;

use callgate_codegen::table::{Diagnostic, Lint, Severity};
use callgate_codegen::{Table, TableError, default_abis};

use super::args::CheckArgs;
use super::{WRONG, abis, report, say_count};

/// Checks each file; errors and warnings go to standard error, a line for each good table to standard output.
pub(super) fn check(args: &CheckArgs) -> u8 {
    let mut code = 0;
    for file in &args.files {
        match checked(file, args) {
            Ok(table) => {
                let found = lints(&table, args);
                for one in &found {
                    say!("{}\n", one.render(table.path(), table.source()));
                }
                match found.iter().filter(|one| one.severity == Severity::Error).count() {
                    // What is printed last is what a reader looks at first.
                    0 => drop(super::print(&(summary(&table, found.len()) + "\n"))),
                    errors => {
                        say_count(table.path(), errors);
                        code = WRONG;
                    }
                }
            }
            Err(error) => {
                report(&error);
                code = WRONG;
            }
        }
    }
    code
}

fn checked(file: &Path, args: &CheckArgs) -> Result<Table, TableError> {
    let table = Table::read(file)?;
    // Linux's scripts would refuse the table for the abi that this is about, so it takes an `--allow` to pass.
    if !args.allow.iter().any(|lints| lints.holds(Lint::UnsortedAbi)) {
        table.check_each_abi()?;
    }
    Ok(table)
}

/// The findings that are asked for, as errors where that is asked for.
fn lints(table: &Table, args: &CheckArgs) -> Vec<Diagnostic> {
    let listed = |lints: &[super::args::Lints], one: &Diagnostic| {
        one.lint.is_some_and(|lint| lints.iter().any(|lints| lints.holds(lint)))
    };
    let wanted = table.lints().into_iter().filter(|one| !listed(&args.allow, one));
    wanted.map(|one| if listed(&args.deny, &one) { one.denied() } else { one }).collect()
}

fn summary(table: &Table, warnings: usize) -> String {
    let abis: Vec<&str> = abis(table).into_iter().collect();
    let warnings = match warnings {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        n => format!(", {n} warnings"),
    };
    format!(
        "{}: {} rows ({}), next free number {}{warnings}",
        table.path(),
        table.rows().count(),
        abis.join(", "),
        table.free_number(&default_abis(table)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_what_comes_next() {
        let table = Table::parse("t.tbl", "0\tcommon\tread\tsys_read\n512\tx32\tx\tsys_x\n3\t64\ty\tsys_y\n").unwrap();
        assert_eq!(summary(&table, 0), "t.tbl: 3 rows (64, common, x32), next free number 4");
        assert!(summary(&table, 1).ends_with(", 1 warning") && summary(&table, 2).ends_with(", 2 warnings"));
    }
}
