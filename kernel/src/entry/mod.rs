//! The two ways into the kernel and back (`arch/x86/entry`).
//!
//! On Linux a program's `syscall` lands in `entry_SYSCALL_64`, which saves the registers as
//! `pt_regs` on the kernel stack, calls `do_syscall_64`, and goes back by `sysretq`, or by `iretq`
//! where `sysretq` can't restore everything. Exceptions and `int 0x80` come through the IDT.
//!
//! - On the **image** route ([`image`]) the core executes just that: the instructions of the kernel
//!   image in ring 0. A stub ends in a hypercall, which brings us here.
//! - On the **direct** route ([`direct`]) the core leaves at `syscall` in ring 3, and we set the
//!   registers as the image would have.
//!
//! Both meet in [`invoke`], the handler's call, and in [`Task::exit_to_user_mode`], the way back.

mod direct;
mod exception;
pub mod image;
mod umip;

use callgate_abi::{Errno, Handler, PtRegs};
use callgate_emulator::{Cpu, reg};

use crate::{PARKED, Task};

/// Selector of 64-bit user code (`__USER_CS`).
pub const USER_CS: u64 = 0x33;
/// Selector of user data (`__USER_DS`).
pub const USER_DS: u64 = 0x2b;
/// RFLAGS of a new program: interrupts on, and bit 1, which is always set.
pub const USER_FLAGS: u64 = 0x202;

/// How a turn on the core ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The task can go on.
    Continue,
    /// Its system call is parked.
    Parked,
}

/// A system call whose handler will be run again.
#[derive(Clone, Copy)]
pub(crate) struct ParkedCall {
    nr: u64,
    handler: &'static Handler<Task>,
    args: [u64; 6],
}

/// Runs a handler; `None` if it has parked the task.
pub(crate) fn invoke(task: &mut Task, nr: u64, handler: &'static Handler<Task>, args: &[u64; 6]) -> Option<i64> {
    task.kernel.stats.count_call(handler);
    let again = task.restart.again;
    if !again {
        task.kernel.observe(|observer| observer.syscall_enter(task, nr, handler, args));
    }
    let result = (handler.call)(task, args);
    if result == -i64::from(PARKED.code()) {
        task.restart.again = true;
        if !again {
            task.kernel.observe(|observer| observer.syscall_parked(task, nr, handler, args));
        }
        return None;
    }
    task.kernel.observe(|observer| observer.syscall_exit(task, nr, handler, args, result));
    task.restart.clear();
    Some(result)
}

/// `pt_regs` as the entry code saves them: the user registers, with rax preset to -ENOSYS.
pub(crate) fn save(cpu: &Cpu, orig_ax: u64, cs: u64, ss: u64) -> PtRegs {
    let gpr = &cpu.gpr;
    PtRegs {
        r15: gpr[15],
        r14: gpr[14],
        r13: gpr[13],
        r12: gpr[12],
        bp: gpr[reg::RBP],
        bx: gpr[reg::RBX],
        r11: gpr[11],
        r10: gpr[10],
        r9: gpr[9],
        r8: gpr[8],
        ax: gpr[reg::RAX],
        cx: gpr[reg::RCX],
        dx: gpr[reg::RDX],
        si: gpr[reg::RSI],
        di: gpr[reg::RDI],
        orig_ax,
        ip: cpu.rip,
        cs,
        flags: cpu.rflags(),
        sp: gpr[reg::RSP],
        ss,
    }
}

/// Loads the user registers, as `iretq` after popping `pt_regs` does.
pub(crate) fn restore(cpu: &mut Cpu, regs: &PtRegs) {
    let gpr = &mut cpu.gpr;
    (gpr[15], gpr[14], gpr[13], gpr[12]) = (regs.r15, regs.r14, regs.r13, regs.r12);
    (gpr[11], gpr[10], gpr[9], gpr[8]) = (regs.r11, regs.r10, regs.r9, regs.r8);
    (gpr[reg::RBP], gpr[reg::RBX]) = (regs.bp, regs.bx);
    (gpr[reg::RAX], gpr[reg::RCX], gpr[reg::RDX]) = (regs.ax, regs.cx, regs.dx);
    (gpr[reg::RSI], gpr[reg::RDI], gpr[reg::RSP]) = (regs.si, regs.di, regs.sp);
    cpu.rip = regs.ip;
    cpu.set_rflags(regs.flags);
}

/// What rax holds until a handler has answered.
pub(crate) const NO_ANSWER: u64 = -(Errno::ENOSYS.code() as i64) as u64;

impl Task {
    /// Lets the user registers of a new task take effect: it goes to user mode from here.
    pub(crate) fn return_from_fork(&mut self) {
        if self.cpu.cpl == 0 || self.kernel.image.is_some() {
            self.enter_user_mode_by_image();
        } else {
            restore(&mut self.cpu, &self.regs);
        }
        self.regs_changed = false;
    }
}
