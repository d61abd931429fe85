//! `callgate tbl list`: the rows of a table, chosen and aligned.

use std::fmt::Write as _;

use callgate_codegen::Table;
use callgate_codegen::table::{Row, Word};

use super::args::ListArgs;
use super::{WRONG, abis, json, print, report};
use crate::exit::Result;
use crate::image;
use crate::near::suggestion;

/// Lists what is asked for; finding nothing is exit code 1, as grep(1) has it.
pub(super) fn list(args: &ListArgs) -> Result {
    let table = match &args.file {
        Some(file) => Table::read(file),
        None => Table::parse(image::TABLE_PATH, image::TABLE),
    };
    let table = match table {
        Ok(table) => table,
        Err(error) => {
            report(&error);
            return Ok(WRONG);
        }
    };
    let rows: Vec<&Row> = table.rows().filter(|row| is_wanted(row, args)).collect();
    match args.json {
        true => print(&json_lines(&rows))?,
        false if rows.is_empty() => {}
        false => print(&aligned(&rows))?,
    }
    if rows.is_empty() {
        say!("callgate: {}: no row is like that{}", table.path(), hint(&table, args));
        return Ok(WRONG);
    }
    Ok(0)
}

fn is_wanted(row: &Row, args: &ListArgs) -> bool {
    let abi = args.abi.is_empty() || args.abi.iter().any(|abi| abi == row.abi.as_str());
    let name = args.name.is_empty() || args.name.iter().any(|glob| glob.matches(row.name.as_str()));
    let number = args.nr.is_none_or(|numbers| (numbers.first..=numbers.last).contains(&row.number));
    abi && name && number
}

/// What may have been meant.
fn hint(table: &Table, args: &ListArgs) -> String {
    let abis = abis(table);
    if let Some(abi) = args.abi.iter().find(|abi| !abis.contains(abi.as_str())) {
        let abis: Vec<&str> = abis.into_iter().collect();
        return format!(": there is no abi `{abi}`, but {}", abis.join(", "));
    }
    let names = || table.rows().map(|row| row.name.as_str());
    args.name.iter().map(|name| suggestion(name.as_str(), names())).collect()
}

/// The rows below a heading, each column as wide as its widest word.
fn aligned(rows: &[&Row]) -> String {
    let heading = ["NUMBER", "ABI", "NAME", "ENTRY", "COMPAT", ""].map(str::to_owned);
    let words = |word: Option<&Word>| word.map_or("-", Word::as_str).to_owned();
    let lines = rows.iter().map(|row| {
        let [abi, name] = [&row.abi, &row.name].map(ToString::to_string);
        let noreturn = if row.noreturn { "noreturn" } else { "" }.to_owned();
        let number = row.number.to_string();
        [number, abi, name, words(row.entry_point()), words(row.compat_entry_point()), noreturn]
    });
    let lines: Vec<_> = std::iter::once(heading).chain(lines).collect();
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or_default();
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for [number, rest @ ..] in &lines {
        let mut line = format!("{number:>0$}", widths[0]);
        for (word, width) in rest.iter().zip(&widths[1..]) {
            let _ = write!(line, "  {word:<width$}");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// An array, an object a line.
fn json_lines(rows: &[&Row]) -> String {
    let rows: Vec<String> = rows.iter().map(|row| format!("  {}", json(row))).collect();
    if rows.is_empty() { "[]\n".to_owned() } else { format!("[\n{}\n]\n", rows.join(",\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_words() {
        let text = "0 common read sys_read\n12 64 exit sys_exit - noreturn\n13 x32 a_long_name compat_sys_x sys_y\n14 64 gone\n";
        let table = Table::parse("t", text).unwrap();
        let rows: Vec<&Row> = table.rows().collect();
        let expected = "\
NUMBER  ABI     NAME         ENTRY         COMPAT
     0  common  read         sys_read      -
    12  64      exit         sys_exit      -       noreturn
    13  x32     a_long_name  compat_sys_x  sys_y
    14  64      gone         -             -
";
        assert_eq!(aligned(&rows), expected);
    }

    #[test]
    fn json_is_an_object_a_line() {
        let table = Table::parse("t", "# a\n0 common read sys_read - noreturn\n1 64 gone\n").unwrap();
        let rows: Vec<&Row> = table.rows().collect();
        let text = json_lines(&rows);
        assert_eq!(text.lines().count(), 4);
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            parsed[0],
            serde_json::json!({"number": 0, "abi": "common", "name": "read", "entry": "sys_read", "compat": null,
                "noreturn": true, "line": 2})
        );
        assert_eq!(parsed[1]["entry"], serde_json::Value::Null);
        assert_eq!(json_lines(&[]), "[]\n");
    }
}
