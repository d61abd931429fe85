//! Running a command in an empty directory, with a fixed environment and a time limit.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The environment of every guest, natively and on callgate: the variables that callgate gives when nobody asks for
/// others.
pub const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/root"), ("TERM", "dumb")];

/// What came out of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its exit code, or 128 + n after signal n.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it printed on the other stream.
    pub stderr: String,
}

/// Runs `command` in `directory` with `input` and returns what came out. Bytes that are no UTF-8 are shown as escapes,
/// so that they too can be compared.
///
/// # Panics
/// If the command can't be started, or takes longer than `limit`.
#[must_use]
pub fn run(program: &Path, args: &[OsString], directory: &Path, input: Option<&[u8]>, limit: Duration) -> Outcome {
    // Whoever started the tests in the background had SIGINT and SIGQUIT ignored, and guests would inherit that.
    let mut command = Command::new("/usr/bin/env");
    command.arg("--default-signal").arg(program).args(args).current_dir(directory).env_clear().envs(ENVIRONMENT);
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: whatever it leaves running can be ended with it, and its signals to its group don't reach the
    // tests.
    command.process_group(0);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let id = child.id();
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        let input = input.to_owned();
        // A guest that ends without reading all of it makes this write fail, which is its right.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait()));
    let status = end.recv_timeout(limit);
    kill_group(id);
    let (stdout, stderr) = (stdout.join().expect("a reader"), stderr.join().expect("a reader"));
    let Ok(status) = status else {
        panic!("{} {args:?} took longer than {limit:?}; until then it printed\n{stdout}\n{stderr}", program.display());
    };
    let status = status.expect("the state of a child");
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
    Outcome { code, stdout, stderr }
}

fn reader(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What was read before an error is still worth comparing.
            let _ = stream.read_to_end(&mut bytes);
        }
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => error.into_bytes().escape_ascii().to_string().replace("\\n", "\n"),
        }
    })
}

fn kill_group(id: u32) {
    // There is no safe kill(2) in the standard library, and every POSIX shell has one. Nobody being left is the usual
    // case.
    let _ = Command::new("kill").args(["-KILL", "--", &format!("-{id}")]).stderr(Stdio::null()).status();
}
