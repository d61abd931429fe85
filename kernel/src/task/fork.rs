//! New tasks: fork(2), vfork(2), clone(2).
//!
//! Linux's `kernel_clone` copies or shares each part of the parent as the flags say, gives the child
//! an id, and wakes it; the child returns 0 from the same call. With CLONE_VFORK the parent waits
//! until the child leaves the shared address space.
//!
//! Quirk: namespaces (CLONE_NEW*) and pidfds (CLONE_PIDFD) are refused with EINVAL.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use callgate_abi::{SYSCALL_DEFINE0, SYSCALL_DEFINE1, SYSCALL_DEFINE2, SYSCALL_DEFINE5, UserAddr, UserMemory, UserMut};
use callgate_uapi::sched::CloneFlags;

use super::{Pid, Restart, SignalStruct, Task, TaskLink, VforkDone};
use crate::entry::image::KernelStack;
use crate::mm::dup_mmap;
use crate::sched::{StateCell, TaskState};
use crate::signal::SignalStack;
use crate::{Errno, Result};

/// What is not built: refused rather than ignored.
const UNSUPPORTED: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWCGROUP)
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWUSER)
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWNET)
    .union(CloneFlags::CLONE_PIDFD);

fn exit_signal(flags: CloneFlags) -> i32 {
    (flags & CloneFlags::CSIGNAL).bits() as i32
}

const SIGCHLD: u64 = 17;

/// What clone(2) passes besides the flags.
#[derive(Clone, Copy, Default)]
struct CloneArgs {
    stack: u64,
    parent_tid: u64,
    child_tid: u64,
    tls: u64,
}

/// fork(2): makes a child that is a copy of the caller; returns its id, and 0 in the child.
#[SYSCALL_DEFINE0(fork)]
pub fn fork(task: &mut Task) -> Result<Pid> {
    kernel_clone(task, CloneFlags::from_bits_retain(SIGCHLD), CloneArgs::default())
}

/// vfork(2): the same, in the caller's address space, which waits until the child execs or exits.
#[SYSCALL_DEFINE0(vfork)]
pub fn vfork(task: &mut Task) -> Result<Pid> {
    let flags = CloneFlags::CLONE_VFORK | CloneFlags::CLONE_VM | CloneFlags::from_bits_retain(SIGCHLD);
    kernel_clone(task, flags, CloneArgs::default())
}

/// clone(2): makes a child that shares what the flags say.
#[SYSCALL_DEFINE5(clone)]
pub fn clone(
    task: &mut Task,
    clone_flags: CloneFlags,
    newsp: UserAddr,
    parent_tidptr: UserMut<i32>,
    child_tidptr: UserMut<i32>,
    tls: UserAddr,
) -> Result<Pid> {
    let flags = CloneFlags::from_bits_retain(clone_flags.bits() & 0xffff_ffff);
    let args =
        CloneArgs { stack: newsp.0, parent_tid: parent_tidptr.addr(), child_tid: child_tidptr.addr(), tls: tls.0 };
    kernel_clone(task, flags, args)
}

/// clone3(2): the same, with its arguments in memory.
#[SYSCALL_DEFINE2(clone3)]
pub fn clone3(task: &mut Task, uargs: callgate_abi::UserPtr<u64>, size: usize) -> Result<Pid> {
    const VER0: usize = 64;
    const VER2: usize = 88;
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    if size < VER0 {
        return Err(Errno::EINVAL);
    }
    let mut bytes = vec![0; size.max(VER2)];
    task.copy_from_user(&mut bytes[..size], uargs.addr()).map_err(|_| Errno::EFAULT)?;
    if bytes[VER2..].iter().any(|&byte| byte != 0) {
        return Err(Errno::E2BIG);
    }
    let word = |i: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[8 * i..8 * i + 8]);
        u64::from_le_bytes(word)
    };
    let (flags, exit_signal) = (word(0), word(4));
    let (stack, stack_size) = (word(5), word(6));
    let set_tid_size = word(9);
    let clone_flags = CloneFlags::from_bits_retain(flags);
    let shares = CloneFlags::CLONE_THREAD | CloneFlags::CLONE_PARENT;
    if flags & !(CloneFlags::all() - CloneFlags::CSIGNAL).bits() != 0
        || clone_flags.contains(CloneFlags::CLONE_DETACHED)
        || exit_signal > 64
        || (clone_flags.intersects(shares) && exit_signal != 0)
        || (stack == 0) != (stack_size == 0)
        || set_tid_size != 0
    {
        return Err(Errno::EINVAL);
    }
    let args =
        CloneArgs { stack: stack.wrapping_add(stack_size), parent_tid: word(3), child_tid: word(2), tls: word(7) };
    kernel_clone(task, CloneFlags::from_bits_retain(flags | exit_signal), args)
}

/// set_tid_address(2): the word to clear on exit; returns the caller's id.
#[SYSCALL_DEFINE1(set_tid_address)]
pub fn set_tid_address(task: &mut Task, tidptr: UserMut<i32>) -> Pid {
    task.clear_child_tid = tidptr.addr();
    task.pid()
}

fn kernel_clone(task: &mut Task, flags: CloneFlags, args: CloneArgs) -> Result<Pid> {
    use CloneFlags as F;
    // Run again: the child is there already, only the wait for it is left.
    if let Some(vfork) = task.restart.vfork.clone() {
        return wait_for_vfork_done(task, &vfork);
    }
    if (flags.contains(F::CLONE_SIGHAND) && !flags.contains(F::CLONE_VM))
        || (flags.contains(F::CLONE_THREAD) && !flags.contains(F::CLONE_SIGHAND))
        || (flags.contains(F::CLONE_FS) && flags.contains(F::CLONE_NEWNS))
        || flags.intersects(UNSUPPORTED)
    {
        return Err(Errno::EINVAL);
    }
    let mut child = copy_process(task, flags, args)?;
    let pid = child.pid();
    if flags.contains(F::CLONE_PARENT_SETTID) {
        // As on Linux, a bad pointer is not an error.
        let _ = task.copy_to_user(args.parent_tid, &pid.to_le_bytes());
    }
    if flags.contains(F::CLONE_CHILD_SETTID) {
        let _ = child.copy_to_user(args.child_tid, &pid.to_le_bytes());
    }
    let vfork = flags.contains(F::CLONE_VFORK).then(Rc::<VforkDone>::default);
    if let Some(vfork) = &vfork {
        vfork.pid.set(pid);
        *child.link.vfork_done.borrow_mut() = Some(Rc::clone(vfork));
    }
    let link = Rc::clone(&child.link);
    *link.body.borrow_mut() = Some(child);
    task.kernel.run_queue.push(link);
    match vfork {
        None => Ok(pid),
        Some(vfork) => wait_for_vfork_done(task, &vfork),
    }
}

fn wait_for_vfork_done(task: &mut Task, vfork: &Rc<VforkDone>) -> Result<Pid> {
    if vfork.done.get() {
        return Ok(vfork.pid.get());
    }
    task.restart.vfork = Some(Rc::clone(vfork));
    Err(task.wait_on_killable(&[&vfork.wait]))
}

fn copy_process(task: &mut Task, flags: CloneFlags, args: CloneArgs) -> Result<Box<Task>> {
    use CloneFlags as F;
    let kernel = Rc::clone(&task.kernel);
    let mm = if flags.contains(F::CLONE_VM) {
        Rc::clone(&task.mm)
    } else {
        crate::mm::share(dup_mmap(&mut task.mm.borrow_mut())?)
    };
    let files = if flags.contains(F::CLONE_FILES) {
        Rc::clone(&task.files)
    } else {
        Rc::new(RefCell::new(task.files.borrow().clone()))
    };
    let fs =
        if flags.contains(F::CLONE_FS) { Rc::clone(&task.fs) } else { Rc::new(RefCell::new(task.fs.borrow().clone())) };
    let sighand = if flags.contains(F::CLONE_SIGHAND) {
        Rc::clone(&task.sighand)
    } else {
        Rc::new(RefCell::new(task.sighand.borrow().clone()))
    };
    let pid = kernel.pids.alloc()?;
    let signal = if flags.contains(F::CLONE_THREAD) { Rc::clone(task.signal()) } else { copy_signal(task, flags, pid) };
    let link = Rc::new(TaskLink {
        pid,
        signal,
        state: StateCell::new(TaskState::Running),
        pending: RefCell::default(),
        blocked: Cell::new(task.blocked),
        sighand: RefCell::new(Rc::downgrade(&sighand)),
        comm: RefCell::new(task.link.comm.borrow().clone()),
        attr: RefCell::new(task.link.attr.borrow().forked()),
        mm: RefCell::new(Rc::downgrade(&mm)),
        files: RefCell::new(Rc::downgrade(&files)),
        fs: RefCell::new(Rc::downgrade(&fs)),
        vfork_done: RefCell::default(),
        body: RefCell::default(),
        kernel: Rc::downgrade(&kernel),
    });
    link.signal.threads.borrow_mut().push(Rc::clone(&link));
    kernel.pids.insert(&link);
    kernel.stats.tasks.update(|tasks| tasks + 1);

    // A thread begins without the alternate stack of its creator, unless it shares the plain one.
    let keeps_altstack = !flags.contains(F::CLONE_VM) || flags.contains(F::CLONE_VFORK);
    let mut regs = task.regs;
    regs.ax = 0;
    if args.stack != 0 {
        regs.sp = args.stack;
    }
    let mut child = Box::new(Task {
        cpu: task.cpu.clone(),
        cputime: 0,
        regs,
        regs_changed: false,
        mm,
        files,
        fs,
        sighand,
        blocked: task.blocked,
        saved_sigmask: None,
        sigaltstack: if keeps_altstack { task.sigaltstack } else { SignalStack::default() },
        cred: task.cred.clone(),
        restart: Restart::default(),
        clear_child_tid: if flags.contains(F::CLONE_CHILD_CLEARTID) { args.child_tid } else { 0 },
        kernel_stack: KernelStack::default(),
        parked: None,
        link,
        kernel,
    });
    (child.cpu.instructions, child.cpu.user_instructions) = (0, 0);
    if flags.contains(F::CLONE_SETTLS) {
        child.set_user_fs_base(args.tls);
    }
    child.map_kernel();
    child.return_from_fork();
    Ok(child)
}

fn copy_signal(task: &Task, flags: CloneFlags, pid: Pid) -> Rc<SignalStruct> {
    let parent = task.signal();
    let signal = Rc::new(SignalStruct {
        tgid: pid,
        pgrp: parent.pgrp.clone(),
        session: parent.session.clone(),
        exit_signal: Cell::new(exit_signal(flags)),
        rlimits: RefCell::new(parent.rlimits.borrow().clone()),
        uid: parent.uid.clone(),
        start_time: task.kernel.clock.monotonic(),
        ..SignalStruct::default()
    });
    let grandparent = parent.parent.borrow().upgrade();
    let new_parent = match grandparent {
        Some(grandparent) if flags.contains(CloneFlags::CLONE_PARENT) => {
            signal.exit_signal.set(parent.exit_signal.get());
            grandparent
        }
        _ => Rc::clone(parent),
    };
    *signal.parent.borrow_mut() = Rc::downgrade(&new_parent);
    new_parent.children.borrow_mut().push(Rc::clone(&signal));
    signal
}
