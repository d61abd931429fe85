//! `#!` scripts: the first line names the program that runs them (execve(2), "Interpreter scripts").

use super::Arguments;
use crate::{Errno, Result};

/// What the first line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Interpreter {
    pub(super) path: Vec<u8>,
    /// The rest of the line, as one argument.
    argument: Option<Vec<u8>>,
}

/// The interpreter, if the file begins with `#!`.
///
/// # Errors
/// ENOEXEC for a first line that names nothing, or whose name doesn't fit into `head`.
pub(super) fn parse(head: &[u8]) -> Result<Option<Interpreter>> {
    let Some(line) = head.strip_prefix(b"#!") else { return Ok(None) };
    let end = line.iter().position(|&c| c == b'\n');
    let line = match end {
        Some(end) => &line[..end],
        // A line that is cut off is fine as long as the name is whole.
        None if head.len() < super::HEAD => line,
        None => {
            let name = line.trim_ascii_start();
            if !name.iter().any(|&c| matches!(c, b' ' | b'\t' | 0)) {
                return Err(Errno::ENOEXEC);
            }
            line
        }
    };
    let line = line.split(|&c| c == 0).next().unwrap_or_default().trim_ascii();
    if line.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    let split = line.iter().position(|&c| matches!(c, b' ' | b'\t')).unwrap_or(line.len());
    let argument = line[split..].trim_ascii();
    Ok(Some(Interpreter { path: line[..split].to_vec(), argument: (!argument.is_empty()).then(|| argument.to_vec()) }))
}

/// The interpreter's arguments: itself, its argument, the script, the script's arguments.
pub(super) fn rewrite(args: Arguments, interpreter: &Interpreter) -> Arguments {
    let mut argv = vec![interpreter.path.clone()];
    argv.extend(interpreter.argument.clone());
    argv.push(args.execfn);
    argv.extend(args.argv.into_iter().skip(1));
    Arguments { execfn: interpreter.path.clone(), argv, envp: args.envp }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interpreter(path: &str, argument: Option<&str>) -> Option<Interpreter> {
        Some(Interpreter { path: path.into(), argument: argument.map(Into::into) })
    }

    #[test]
    fn the_rest_of_the_line_is_one_argument() {
        assert_eq!(parse(b"#!/bin/sh\necho"), Ok(interpreter("/bin/sh", None)));
        assert_eq!(parse(b"#! \t/bin/awk -f x \n"), Ok(interpreter("/bin/awk", Some("-f x"))));
        assert_eq!(parse(b"#!/bin/sh"), Ok(interpreter("/bin/sh", None)));
    }

    #[test]
    fn a_line_without_a_name_is_no_script() {
        assert_eq!(parse(b"#!\n"), Err(Errno::ENOEXEC));
        assert_eq!(parse(b"#!  \n"), Err(Errno::ENOEXEC));
        let mut long = b"#!/".to_vec();
        long.resize(super::super::HEAD, b'x');
        assert_eq!(parse(&long), Err(Errno::ENOEXEC));
    }

    #[test]
    fn other_files_are_no_scripts() {
        assert_eq!(parse(b"\x7fELF"), Ok(None));
        assert_eq!(parse(b""), Ok(None));
    }

    #[test]
    fn the_script_takes_the_place_of_argv_0() {
        let args =
            Arguments { execfn: b"./x".to_vec(), argv: vec![b"zero".to_vec(), b"one".to_vec()], envp: Vec::new() };
        let interpreter = interpreter("/bin/awk", Some("-f")).unwrap();
        let argv = rewrite(args, &interpreter).argv;
        assert_eq!(argv, [&b"/bin/awk"[..], b"-f", b"./x", b"one"]);
    }
}
