//! The first process.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use callgate_abi::PtRegs;
use callgate_emulator::{Cpu, Tsc};
use callgate_uapi::signal::SigSet;

use super::{Restart, SignalStruct, Task, TaskLink};
use crate::Result;
use crate::entry::image::KernelStack;
use crate::fs::file::FsStruct;
use crate::kernel::Kernel;
use crate::mm::Mm;
use crate::sched::{StateCell, TaskState};
use crate::signal::SignalStack;
use crate::sys::cred::Cred;

impl Task {
    /// The first process: no program yet, the standard streams open, everything else fresh.
    ///
    /// # Errors
    /// ENOMEM without memory, and what opening the streams gives.
    pub(crate) fn init(kernel: &Rc<Kernel>) -> Result<Box<Task>> {
        let pid = kernel.pids.alloc()?;
        let mm = crate::mm::share(Mm::new(&kernel.memory, kernel.layout)?);
        let files = Rc::new(RefCell::new(crate::fs::tty::standard_streams(kernel)?));
        let fs = Rc::new(RefCell::new(FsStruct::new(kernel.vfs.root())));
        let sighand = Rc::default();
        let cred = Cred::default();
        let signal = Rc::new(SignalStruct {
            tgid: pid,
            pgrp: Cell::new(pid),
            session: Cell::new(pid),
            uid: Cell::new(cred.uid),
            start_time: kernel.clock.monotonic(),
            ..SignalStruct::default()
        });
        let link = Rc::new(TaskLink {
            pid,
            signal,
            state: StateCell::new(TaskState::Running),
            pending: RefCell::default(),
            blocked: Cell::default(),
            sighand: RefCell::new(Rc::downgrade(&sighand)),
            comm: RefCell::new("init".to_owned()),
            attr: RefCell::default(),
            mm: RefCell::new(Rc::downgrade(&mm)),
            files: RefCell::new(Rc::downgrade(&files)),
            fs: RefCell::new(Rc::downgrade(&fs)),
            vfork_done: RefCell::default(),
            body: RefCell::default(),
            kernel: Rc::downgrade(kernel),
        });
        link.signal.threads.borrow_mut().push(Rc::clone(&link));
        kernel.pids.insert(&link);
        kernel.stats.tasks.update(|tasks| tasks + 1);
        *kernel.init.borrow_mut() = Rc::downgrade(&link.signal);
        let mut cpu = Cpu::of(kernel.cpu);
        if kernel.clock.is_virtual() {
            cpu.tsc = Tsc::Instructions { offset: 0, step: 1 };
        }
        let mut task = Box::new(Task {
            kernel: Rc::clone(kernel),
            link,
            cpu,
            cputime: 0,
            regs: PtRegs::default(),
            regs_changed: false,
            mm,
            files,
            fs,
            sighand,
            blocked: SigSet::default(),
            saved_sigmask: None,
            sigaltstack: SignalStack::default(),
            cred,
            restart: Restart::default(),
            clear_child_tid: 0,
            kernel_stack: KernelStack::default(),
            parked: None,
        });
        task.boot_cpu();
        task.map_kernel();
        Ok(task)
    }
}
