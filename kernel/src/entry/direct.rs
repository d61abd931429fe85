//! The direct route: the core leaves at `syscall`, the kernel dispatches at once.
//!
//! It is what the image does, without its instructions: `pt_regs` are the registers at the exit, the
//! number is eax, the table is the compiled one, and afterwards every register is as `sysretq` or
//! `iretq` would have left it. The test that runs every guest both ways holds it to that.

use callgate_emulator::{Exception, Exit, reg, rflags, vector};

use super::{NO_ANSWER, ParkedCall, Turn, USER_CS, USER_DS, invoke, restore, save};
use crate::Task;
use crate::syscalls;

/// The vector of the old system call.
const IA32_SYSCALL_VECTOR: u8 = 0x80;

impl Task {
    /// Handles an exit of the core in ring 3.
    pub(crate) fn handle_exit_direct(&mut self, exit: &Exit) -> Turn {
        match *exit {
            Exit::Syscall => {
                let nr = self.cpu.gpr[reg::RAX];
                self.regs = save(&self.cpu, nr, USER_CS, USER_DS);
                self.regs.ax = NO_ANSWER;
                // The flags are what `syscall` has put into r11.
                self.regs.flags = self.regs.r11;
                let args = self.regs.syscall_args();
                // Linux's `do_syscall_64` looks at eax alone.
                self.run_call(ParkedCall { nr: u64::from(nr as u32), handler: syscalls::lookup(nr), args })
            }
            Exit::Interrupt(IA32_SYSCALL_VECTOR) => {
                let nr = u64::from(self.cpu.gpr[reg::RAX] as u32);
                self.regs = save(&self.cpu, nr, USER_CS, USER_DS);
                self.regs.ax = NO_ANSWER;
                let args = self.regs.ia32_args();
                self.run_call(ParkedCall { nr, handler: syscalls::lookup_ia32(nr), args })
            }
            Exit::Interrupt(n) => {
                self.regs = save(&self.cpu, u64::MAX, USER_CS, USER_DS);
                if n != vector::BP && n != vector::OF {
                    self.regs.flags |= rflags::RF;
                }
                self.handle_interrupt(n);
                self.back_to_user_mode()
            }
            Exit::Exception(ref exception) => {
                // Most faults only bring a page in: no register needs to be looked at.
                if self.mend_page_fault(exception) {
                    return Turn::Continue;
                }
                self.regs = save(&self.cpu, u64::MAX, USER_CS, USER_DS);
                // A fault is pushed with RF set, so that returning to it does not trap again.
                self.regs.flags |= rflags::RF;
                self.handle_exception(exception);
                self.back_to_user_mode()
            }
            Exit::Debug => {
                self.regs = save(&self.cpu, u64::MAX, USER_CS, USER_DS);
                self.handle_exception(&Exception::new(vector::DB));
                self.back_to_user_mode()
            }
            Exit::Hypercall | Exit::Halt | Exit::Budget => Turn::Continue,
        }
    }

    /// Runs the parked call again.
    pub(crate) fn resume_direct(&mut self) -> Turn {
        match self.parked.take() {
            Some(call) => self.run_call(call),
            None => Turn::Continue,
        }
    }

    fn run_call(&mut self, call: ParkedCall) -> Turn {
        match invoke(self, call.nr, call.handler, &call.args) {
            None => {
                self.parked = Some(call);
                Turn::Parked
            }
            Some(result) => {
                self.regs.ax = result as u64;
                self.back_to_user_mode()
            }
        }
    }

    fn back_to_user_mode(&mut self) -> Turn {
        if self.signal_pending() || self.saved_sigmask.is_some() {
            self.exit_to_user_mode();
        }
        if std::mem::take(&mut self.regs_changed) {
            restore(&mut self.cpu, &self.regs);
        } else {
            self.cpu.gpr[reg::RAX] = self.regs.ax;
        }
        Turn::Continue
    }
}
