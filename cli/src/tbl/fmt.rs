//! `callgate tbl fmt`: tables in Linux's columns.

use callgate_codegen::Table;

use super::args::FmtArgs;
use super::{WRONG, print, report, write};
use crate::exit::Result;

/// Formats each file, or prints what formatting would change.
pub(super) fn fmt(args: &FmtArgs) -> Result {
    let mut code = 0;
    for file in &args.files {
        let table = match Table::read(file) {
            Ok(table) => table,
            Err(error) => {
                report(&error);
                code = WRONG;
                continue;
            }
        };
        let formatted = table.to_string();
        if formatted == table.source() {
            continue;
        }
        let count = changed(table.source(), &formatted).len();
        let lines = if count == 1 { "1 line" } else { &format!("{count} lines") };
        if args.check {
            print(&patch(table.path(), table.source(), &formatted))?;
            say!("callgate: {}: {lines} to be formatted", table.path());
            code = WRONG;
        } else {
            write(file, &formatted)?;
            say!("callgate: {}: {lines} formatted", table.path());
        }
    }
    Ok(code)
}

/// The lines that differ, from 0. Formatting neither adds nor takes lines, only the newline at the end.
fn changed(old: &str, new: &str) -> Vec<usize> {
    let lines = old.split_inclusive('\n').zip(new.split_inclusive('\n')).enumerate();
    lines.filter(|(_, (old, new))| old != new).map(|(at, _)| at).collect()
}

/// The differences as patch(1) takes them.
fn patch(path: &str, old: &str, new: &str) -> String {
    let mut text = format!("--- {path}\n+++ {path}\n");
    let (old_lines, new_lines): (Vec<&str>, Vec<&str>) =
        (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    for hunk in changed(old, new).chunk_by(|line, next| line + 1 == *next) {
        let (first, count) = (hunk[0], hunk.len());
        let range = if count == 1 { (first + 1).to_string() } else { format!("{},{count}", first + 1) };
        text += &format!("@@ -{range} +{range} @@\n");
        for (sign, lines) in [('-', &old_lines), ('+', &new_lines)] {
            for line in &lines[first..first + count] {
                text.push(sign);
                text += line;
                if !line.ends_with('\n') {
                    text += "\n\\ No newline at end of file\n";
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_a_patch() {
        let old = "# a\n0 common a\n1 common b\n\n2\tcommon\tc\n3 common d";
        let new = Table::parse("t", old).unwrap().to_string();
        let expected = "--- t\n+++ t\n@@ -2,2 +2,2 @@\n-0 common a\n-1 common b\n+0\tcommon\ta\n+1\tcommon\tb\n\
                        @@ -6 +6 @@\n-3 common d\n\\ No newline at end of file\n+3\tcommon\td\n";
        assert_eq!(patch("t", old, &new), expected);
    }
}
