//! Starting programs: execve(2).
//!
//! Linux reads the first bytes of the file, finds the format that knows them (ELF, a `#!` script),
//! builds a fresh address space beside the old one, and past the point of no return gives it to the
//! task. We do the same, in that order: until [`load`] has succeeded the old program is untouched.

mod elf;
mod script;
mod stack;

use std::rc::Rc;

use callgate_abi::{Fd, PtRegs, SYSCALL_DEFINE3, SYSCALL_DEFINE5, UserMemory, UserPtr, UserStr};
use callgate_emulator::Cpu;
use callgate_uapi::resource::RLIMIT_STACK;

use crate::fs::file::File;
use crate::fs::read_write::kernel_read;
use crate::mm::{Mm, PAGE_SIZE};
use crate::signal::SignalStack;
use crate::{Errno, Result, Task};

/// Bytes of the file that decide its format (BINPRM_BUF_SIZE).
const HEAD: usize = 256;
/// The longest argument (MAX_ARG_STRLEN).
const MAX_ARG_STRLEN: usize = 32 * PAGE_SIZE as usize;
/// All arguments and the environment: a quarter of the usual 8 MiB stack.
const MAX_ARGS: usize = 2 << 20;
/// Scripts whose interpreters are scripts.
const MAX_SCRIPTS: usize = 5;

/// What a new program is told: its name as it was called, its arguments, its environment.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// The path given to execve (AT_EXECFN).
    pub execfn: Vec<u8>,
    /// argv, without NUL bytes.
    pub argv: Vec<Vec<u8>>,
    /// The environment, `NAME=value` each.
    pub envp: Vec<Vec<u8>>,
}

/// A program that is ready to run.
pub(crate) struct Loaded {
    pub(crate) mm: Mm,
    /// The first instruction.
    pub(crate) entry: u64,
    /// The stack pointer at that instruction.
    pub(crate) sp: u64,
    /// The name for `ps`.
    pub(crate) comm: String,
}

/// Builds the address space of `file`'s program.
///
/// `open` opens an interpreter by its path. Nothing but the new address space is touched.
///
/// # Errors
/// ENOEXEC for an unknown format, and what opening and reading give.
pub(crate) fn load(
    task: &Task,
    mut file: Rc<File>,
    mut args: Arguments,
    open: &mut dyn FnMut(&[u8]) -> Result<Rc<File>>,
) -> Result<Loaded> {
    let comm_of = |path: &[u8]| {
        let base = path.rsplit(|&c| c == b'/').next().unwrap_or_default();
        String::from_utf8_lossy(base).into_owned()
    };
    let comm = comm_of(&args.execfn);
    for _ in 0..=MAX_SCRIPTS {
        let mut head = [0; HEAD];
        let n = kernel_read(&file, &mut head, 0)?;
        if let Some(interpreter) = script::parse(&head[..n])? {
            args = script::rewrite(args, &interpreter);
            file = open(&interpreter.path)?;
            continue;
        }
        let mut mm = Mm::new(&task.kernel.memory, task.kernel.layout)?;
        mm.stack_limit = task.rlimit(RLIMIT_STACK);
        let image = elf::load(&mut mm, &file, &head[..n], open)?;
        let mut random = [0; 16];
        task.kernel.random.fill(&mut random);
        let sp = stack::build(&mut mm, &args, &image, &task.cred, task.kernel.cpu, &random)?;
        mm.exe = Some(file);
        return Ok(Loaded { mm, entry: image.start, sp, comm });
    }
    Err(Errno::ELOOP)
}

/// Gives the task its new program: past the point of no return (`begin_new_exec`, `start_thread`).
pub(crate) fn begin(task: &mut Task, loaded: Loaded) {
    task.leave_mm();
    task.kill_other_threads();
    let mm = crate::mm::share(loaded.mm);
    *task.link.mm.borrow_mut() = Rc::downgrade(&mm);
    task.mm = mm;
    task.map_kernel();
    // A table of files that is shared stays with the others; the new program gets a copy.
    if Rc::strong_count(&task.files) > 1 {
        let own = task.files.borrow().clone();
        task.files = Rc::new(std::cell::RefCell::new(own));
        *task.link.files.borrow_mut() = Rc::downgrade(&task.files);
    }
    let closed = task.files.borrow_mut().do_close_on_exec();
    for file in closed {
        crate::fs::file::filp_close(task, file);
    }
    task.flush_signal_handlers();
    task.sigaltstack = SignalStack::default();
    task.clear_child_tid = 0;
    task.set_comm(&loaded.comm);
    task.link.attr.borrow_mut().exec();

    let fresh = Cpu::default();
    task.cpu.fpu = fresh.fpu;
    task.cpu.xmm = fresh.xmm;
    task.cpu.ymm_high = fresh.ymm_high;
    (task.cpu.zmm_high, task.cpu.k) = (fresh.zmm_high, fresh.k);
    task.cpu.mxcsr = fresh.mxcsr;
    task.set_user_fs_base(0);
    task.set_user_gs_base(0);
    task.regs = PtRegs {
        ip: loaded.entry,
        sp: loaded.sp,
        cs: crate::entry::USER_CS,
        ss: crate::entry::USER_DS,
        flags: crate::entry::USER_FLAGS,
        orig_ax: u64::MAX,
        ..PtRegs::default()
    };
    task.regs_changed = true;
}

/// Copies a NULL-terminated array of string pointers from user memory.
fn strings(task: &mut Task, array: UserPtr<u64>, room: &mut usize) -> Result<Vec<Vec<u8>>> {
    let mut strings = Vec::new();
    if array.is_null() {
        return Ok(strings);
    }
    loop {
        let mut pointer = [0; 8];
        let at = array.addr().wrapping_add(8 * strings.len() as u64);
        task.copy_from_user(&mut pointer, at).map_err(|_| Errno::EFAULT)?;
        let pointer = u64::from_le_bytes(pointer);
        if pointer == 0 {
            return Ok(strings);
        }
        let string = user_string(task, pointer)?;
        *room = room.checked_sub(string.len() + 9).ok_or(Errno::E2BIG)?;
        strings.push(string);
    }
}

/// Copies one NUL-terminated argument.
fn user_string(task: &mut Task, mut addr: u64) -> Result<Vec<u8>> {
    let mut string = Vec::new();
    loop {
        let chunk = (PAGE_SIZE - addr % PAGE_SIZE) as usize;
        let start = string.len();
        string.resize(start + chunk, 0);
        task.copy_from_user(&mut string[start..], addr).map_err(|_| Errno::EFAULT)?;
        if let Some(nul) = string[start..].iter().position(|&c| c == 0) {
            string.truncate(start + nul);
            return Ok(string);
        }
        if string.len() >= MAX_ARG_STRLEN {
            return Err(Errno::E2BIG);
        }
        addr = addr.wrapping_add(chunk as u64);
    }
}

/// execve(2): runs another program in this process.
#[SYSCALL_DEFINE3(execve)]
pub fn execve(task: &mut Task, filename: UserStr, argv: UserPtr<UserStr>, envp: UserPtr<UserStr>) -> Result<()> {
    do_execveat(task, Fd::AT_FDCWD, filename, argv.cast(), envp.cast(), 0)
}

/// execveat(2): the same, with the program relative to a directory.
#[SYSCALL_DEFINE5(execveat)]
pub fn execveat(
    task: &mut Task,
    dfd: Fd,
    filename: UserStr,
    argv: UserPtr<UserStr>,
    envp: UserPtr<UserStr>,
    flags: i32,
) -> Result<()> {
    do_execveat(task, dfd, filename, argv.cast(), envp.cast(), flags)
}

fn do_execveat(
    task: &mut Task,
    dfd: Fd,
    filename: UserStr,
    argv: UserPtr<u64>,
    envp: UserPtr<u64>,
    flags: i32,
) -> Result<()> {
    let mut name = vec![0; 4096];
    let name = filename.read(task, &mut name)?.to_vec();
    let file = crate::fs::open::open_exec(task, dfd, &name, flags)?;
    let mut room = MAX_ARGS;
    let mut argv = strings(task, argv, &mut room)?;
    let envp = strings(task, envp, &mut room)?;
    if argv.is_empty() {
        // Since Linux 5.18 a program always has an argv[0].
        argv.push(Vec::new());
    }
    let execfn = if name.starts_with(b"/") || dfd == Fd::AT_FDCWD {
        name
    } else {
        let mut path = format!("/dev/fd/{}", dfd.0).into_bytes();
        if !name.is_empty() {
            path.push(b'/');
            path.extend_from_slice(&name);
        }
        path
    };
    start(task, file, Arguments { execfn, argv, envp })
}

/// Loads and begins `file`'s program in `task`.
///
/// # Errors
/// Those of [`load`]; the task's old program goes on.
pub(crate) fn start(task: &mut Task, file: Rc<File>, args: Arguments) -> Result<()> {
    let loaded = {
        let this: &Task = task;
        load(this, file, args, &mut |path| crate::fs::open::open_exec(this, Fd::AT_FDCWD, path, 0))?
    };
    begin(task, loaded);
    Ok(())
}
