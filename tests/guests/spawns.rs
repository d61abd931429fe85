//! Rust's processes: pipes to and from a child, exit codes, signals, an error of execve that comes back through a pipe.

use std::env;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

fn main() {
    match env::args().nth(1).as_deref() {
        Some("upper") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).expect("input");
            print!("{}", text.to_uppercase());
            eprintln!("variable {:?}", env::var("VARIABLE"));
            std::process::exit(7)
        }
        Some("abort") => std::process::abort(),
        _ => {}
    }
    let me = env::current_exe().expect("the path of this program");
    let mut child = Command::new(&me)
        .arg("upper")
        .env("VARIABLE", "set")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child");
    child.stdin.take().expect("its input").write_all(b"through two pipes\n").expect("room in the pipe");
    let output = child.wait_with_output().expect("its end");
    println!(
        "{:?} {:?} {:?}",
        String::from_utf8(output.stdout),
        String::from_utf8(output.stderr),
        output.status.code()
    );
    let status = Command::new(&me).arg("abort").stderr(Stdio::null()).status().expect("its end");
    println!("{:?} {:?}", status.code(), status.signal());
    println!("{:?}", Command::new("./missing").spawn().map_err(|error| error.kind()).map(|_| ()));
}
