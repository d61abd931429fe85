//! `callgate gen batch`: many outputs by one process. What Linux's Makefile needs a shell, grep and sed for each of
//! takes one call, and tables that several headers are made of are read once.

use std::io::Read as _;
use std::path::Path;

use clap::{CommandFactory as _, FromArgMatches as _, Parser};

use super::args::Output;
use super::{Tables, make};
use crate::args::complaint;
use crate::exit::{Failure, Result};

/// A line of a batch.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    output: Output,
}

/// Makes what the lines of a file ask for, in their order; stops at the first that fails.
pub(super) fn batch(file: &Path) -> Result {
    let text = read(file).map_err(|error| Failure::own(format!("{}: can't be read: {error}", file.display())))?;
    let mut tables = Tables::default();
    // All lines are understood before anything is written.
    for (place, output) in lines(file, &text)? {
        match make(&output, &mut tables) {
            Ok(0) => {}
            Ok(code) => return Ok(code),
            Err(failure) => return Err(Failure { message: format!("{place}: {failure}"), ..failure }),
        }
    }
    Ok(0)
}

fn read(file: &Path) -> std::io::Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// The outputs that the lines ask for, and where each line stands.
fn lines(file: &Path, text: &str) -> Result<Vec<(String, Output)>> {
    // clap's description of a line is made once, and not for each.
    let mut description = Line::command();
    let numbered = text.lines().map(str::trim).enumerate();
    let asking = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    asking
        .map(|(index, line)| {
            let place = format!("{}:{}", file.display(), index + 1);
            let matches = description.try_get_matches_from_mut(line.split_whitespace());
            match matches.and_then(|matches| Line::from_arg_matches(&matches)) {
                Ok(line) => Ok((place, line.output)),
                Err(error) => Err(Failure::own(format!("{place}: {}", complaint(&error)))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_follows_gen() {
        let text = "# headers\n\n  unistd --abis common,64 a.tbl -o a.h\nwrappers c\n";
        let asked = lines(Path::new("headers.list"), text).unwrap();
        let names: Vec<_> = asked.iter().map(|(place, output)| (place.as_str(), output.name())).collect();
        assert_eq!(names, [("headers.list:3", "unistd"), ("headers.list:4", "wrappers")]);
        assert_eq!(asked[0].1.table().output.as_deref(), Some(Path::new("a.h")));
    }

    #[test]
    fn a_wrong_line_says_where_and_what() {
        let wrong = |text: &str| lines(Path::new("headers.list"), text).unwrap_err().message;
        let message = wrong("rust\nunistd --abi 64\n");
        assert!(message.starts_with("headers.list:2: unexpected argument '--abi' found"), "{message}");
        assert!(wrong("batch more.list").starts_with("headers.list:1: unrecognized subcommand 'batch'"));
    }
}
