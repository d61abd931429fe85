//! `callgate trace`: each system call as strace prints it.
//!
//! strace sees a call twice, at its entry and at its exit, and prints a line when it knows the
//! answer. Where another task comes between, it prints what it has with `<unfinished ...>`, and the
//! rest later with `resumed`. We do the same: arguments that the call fills in are only known at its
//! end, and whatever the call destroys (execve the old memory) only at its start.
//!
//! What a call looks like comes from its handler's declaration; there is no second table of calls.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;

use callgate_abi::{Errno, Handler, Metadata, PeekMemory, TracedArg};
use callgate_kernel::fs::tty::Console;
use callgate_kernel::{Observer, Task};
use callgate_uapi::signal::{SigInfo, SignalName};
use serde::Serialize;

use crate::args::TraceArgs;
use crate::calls::CallSet;
use crate::color::Tone;
use crate::exit::Result;
use crate::output::Output;
use crate::program::Program;
use crate::run::{self, Run};

/// The column of the `=`, as strace has it.
const ANSWER_COLUMN: usize = 40;
/// Answers from here up to -1 are negative error numbers.
const MAX_ERRNO: i64 = 4095;

/// Runs a program and prints its calls.
pub(crate) fn trace(args: &TraceArgs) -> Result {
    let program = Program::find(run::name(&args.guest)?)?;
    let mut run = Run::new(&args.guest, args.entry.into(), Console::Host)?;
    let output = match &args.output {
        Some(path) => Output::file(path)?,
        None => Output::stderr(),
    };
    let calls = args.trace_calls.clone();
    let tracer = if args.json { Tracer::json(output, calls) } else { Tracer::text(output, calls) };
    run.machine.kernel.set_observer(Box::new(tracer));
    program.start(&mut run.machine, &args.guest)?;
    run.finish()
}

/// The observer that prints calls.
pub(crate) struct Tracer {
    output: Output,
    calls: CallSet,
    json: bool,
    /// Calls that have begun and not ended, by task id.
    open: BTreeMap<i32, OpenCall>,
}

/// A call that has begun.
struct OpenCall {
    name: String,
    /// Its arguments as they were printed at the entry.
    args: Vec<String>,
    nr: u64,
    /// The address space that they were read from.
    mm: *const (),
    parked: bool,
    /// Its beginning is printed already.
    unfinished: bool,
}

/// A call, or an end, as one JSON object.
#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
enum Event<'a> {
    Call {
        pid: i32,
        nr: u64,
        name: &'a str,
        args: &'a [String],
        /// What the program gets in rax; null if it gets nothing any more.
        result: Option<i64>,
        /// `ENOENT`, if the answer is an error.
        errno: Option<&'a str>,
        /// The answer as strace prints it.
        text: &'a str,
    },
    Signal {
        pid: i32,
        name: String,
        info: String,
    },
    Exit {
        pid: i32,
        code: Option<i32>,
        signal: Option<String>,
    },
}

impl Tracer {
    /// One that prints as strace does.
    pub(crate) fn text(output: Output, calls: CallSet) -> Tracer {
        Tracer { output, calls, json: false, open: BTreeMap::new() }
    }

    /// One that prints an object a line.
    pub(crate) fn json(output: Output, calls: CallSet) -> Tracer {
        Tracer { json: true, ..Tracer::text(output, calls) }
    }

    /// Prints a line about a task, after the unfinished beginnings of the others' calls.
    fn print(&mut self, task: &Task, line: &str) {
        self.interrupt_others(task.pid());
        let prefix = prefix(task);
        self.output.line(format_args!("{prefix}{line}"));
        self.output.flush();
    }

    /// Prints what is known of parked calls of other tasks, because another line follows.
    fn interrupt_others(&mut self, pid: i32) {
        for (&other, call) in &mut self.open {
            if other != pid && call.parked && !call.unfinished {
                call.unfinished = true;
                let args = call.args.join(", ");
                self.output.line(format_args!("[pid {other:>5}] {}({args} <unfinished ...>", call.name));
            }
        }
    }

    fn print_json(&mut self, event: &Event<'_>) {
        if let Ok(line) = serde_json::to_string(event) {
            self.output.line(line);
            self.output.flush();
        }
    }

    /// Prints the end of a call; `result` is none where the task has ended in it.
    fn close(&mut self, task: &Task, call: OpenCall, metadata: &Metadata, args: &[u64; 6], result: Option<i64>) {
        // After execve the addresses mean something else: only what was printed at the entry counts.
        let now = match result {
            Some(_) if call.mm == space_of(task) => arguments(metadata, args, result, task),
            _ => call.args.clone(),
        };
        self.close_with(task, &call, now, metadata, result);
    }

    fn close_with(&mut self, task: &Task, call: &OpenCall, now: Vec<String>, metadata: &Metadata, result: Option<i64>) {
        let mut answer = String::new();
        match result {
            Some(result) => {
                // Writing to a string does not fail.
                let _ = metadata.fmt_result(result, &mut answer);
            }
            None => answer.push('?'),
        }
        if self.json {
            let errno = result.filter(|result| (-MAX_ERRNO..0).contains(result));
            let errno = errno.and_then(|result| Errno::new(result.unsigned_abs() as u16).name());
            let event = Event::Call {
                pid: task.pid(),
                nr: call.nr,
                name: &call.name,
                args: &now,
                result,
                errno,
                text: &answer,
            };
            return self.print_json(&event);
        }
        let line = if call.unfinished {
            let same = call.args.iter().zip(&now).take_while(|(before, now)| before == now).count();
            format!("<... {} resumed>{})", call.name, now.get(same..).unwrap_or_default().join(", "))
        } else {
            format!("{}({})", call.name, now.join(", "))
        };
        let failed = result.is_some_and(|result| (-MAX_ERRNO..0).contains(&result));
        let palette = self.output.palette;
        let answer = palette.paint(if failed { Tone::Bad } else { Tone::Good }, answer);
        let width = ANSWER_COLUMN - 1;
        self.print(task, &format!("{line:<width$} = {answer}"));
    }
}

/// `[pid 7] ` while there is more than one task.
fn prefix(task: &Task) -> String {
    if task.kernel.tasks().len() > 1 { format!("[pid {:>5}] ", task.pid()) } else { String::new() }
}

/// Which address space a task is in.
pub(crate) fn space_of(task: &Task) -> *const () {
    Rc::as_ptr(&task.mm).cast()
}

/// A call's name; a number without one is named by itself.
pub(crate) fn call_name(nr: u64, handler: &Handler<Task>) -> String {
    if handler.name == "ni_syscall" { format!("syscall_{nr:#x}") } else { handler.name.to_owned() }
}

/// A call's arguments, each as strace prints it.
pub(crate) fn arguments(
    metadata: &Metadata,
    args: &[u64; 6],
    result: Option<i64>,
    memory: &dyn PeekMemory,
) -> Vec<String> {
    let following = metadata.args.iter().zip(args).skip(1).map(|(arg, &raw)| Some((raw, arg.class)));
    let following = following.chain(std::iter::once(None));
    let mut texts = Vec::new();
    for ((arg, &raw), next) in metadata.args.iter().zip(args).zip(following) {
        let mut text = String::new();
        let _ = (arg.fmt)(&TracedArg { raw, next, result, memory }, &mut text);
        texts.push(text);
    }
    texts
}

impl Observer for Tracer {
    fn syscall_enter(&mut self, task: &Task, nr: u64, handler: &'static Handler<Task>, args: &[u64; 6]) {
        if !self.calls.contains(handler.name) {
            return;
        }
        let name = call_name(nr, handler);
        let args = arguments(&handler.metadata(), args, None, task);
        let call = OpenCall { name, args, nr, mm: space_of(task), parked: false, unfinished: false };
        self.open.insert(task.pid(), call);
    }

    fn syscall_exit(&mut self, task: &Task, _: u64, handler: &'static Handler<Task>, args: &[u64; 6], result: i64) {
        if let Some(call) = self.open.remove(&task.pid()) {
            self.close(task, call, &handler.metadata(), args, Some(result));
        }
    }

    fn syscall_parked(&mut self, task: &Task, _: u64, _: &'static Handler<Task>, _: &[u64; 6]) {
        if let Some(call) = self.open.get_mut(&task.pid()) {
            call.parked = true;
        }
    }

    fn signal(&mut self, task: &Task, info: &SigInfo) {
        let name = SignalName(info.signo);
        if self.json {
            let event = Event::Signal { pid: task.pid(), name: name.to_string(), info: info.to_string() };
            return self.print_json(&event);
        }
        self.print(task, &format!("--- {name} {info} ---"));
    }

    fn exit(&mut self, task: &Task, status: i32) {
        if let Some(call) = self.open.remove(&task.pid()) {
            // The call that ends its task has no answer, nor has one that a signal has cut off.
            let metadata = Handler::<Task>::ni("").metadata();
            let args = call.args.clone();
            self.close_with(task, &call, args, &metadata, None);
        }
        let signal = status & 0x7f;
        if self.json {
            let event = Event::Exit {
                pid: task.pid(),
                code: (signal == 0).then_some(status >> 8 & 0xff),
                signal: (signal != 0).then(|| SignalName(signal).to_string()),
            };
            return self.print_json(&event);
        }
        self.print(task, &ended(status));
    }
}

/// `+++ exited with 0 +++`, from a status as wait(2) tells it.
pub(crate) fn ended(status: i32) -> String {
    let mut line = String::from("+++ ");
    let _ = match status & 0x7f {
        0 => write!(line, "exited with {}", status >> 8 & 0xff),
        signal => write!(line, "killed by {}", SignalName(signal)),
    };
    line + " +++"
}

#[cfg(test)]
mod tests {
    use super::*;
    use callgate_kernel::syscalls;

    #[test]
    fn an_end_reads_as_in_strace() {
        assert_eq!(ended(0), "+++ exited with 0 +++");
        assert_eq!(ended(3 << 8), "+++ exited with 3 +++");
        assert_eq!(ended(11), "+++ killed by SIGSEGV +++");
    }

    #[test]
    fn arguments_are_those_of_the_declaration() {
        let write = syscalls::lookup(1);
        assert_eq!(call_name(1, write), "write");
        assert_eq!(arguments(&write.metadata(), &[1, 0, 3, 0, 0, 0], None, &()), ["1", "NULL", "3"]);
        assert_eq!(call_name(5000, syscalls::lookup(5000)), "syscall_0x1388");
    }

    #[test]
    fn a_call_in_json_is_escaped() {
        let args = ["\"Hi\\n\"".to_owned()];
        let event = Event::Call { pid: 1, nr: 1, name: "write", args: &args, result: Some(3), errno: None, text: "3" };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"event":"call","pid":1,"nr":1,"name":"write","args":["\"Hi\\n\""],"result":3,"errno":null,"text":"3"}"#
        );
    }
}
