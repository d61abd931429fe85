//! Delivery: what happens to pending signals on the way back to user mode.
//!
//! Linux takes one signal after the other. A default action ends or stops the process; a handler
//! gets a frame on the user stack, and if another signal waits, its handler gets a frame on top of
//! that one. A call that a signal has interrupted answers EINTR to a handler, or is run again: always
//! if no handler runs, and with SA_RESTART where the call allows it.

use callgate_emulator::{Exception, vector};
use callgate_uapi::signal::{
    DefaultAction, SIG_DFL, SIG_IGN, SIGKILL, SIGSTOP, SaFlags, SigAction, SigInfo, SigSet, default_action,
};

use crate::sched::TaskState;
use crate::sys::attributes::StoppedCall;
use crate::{Errno, Task};

/// What is to be done about signals.
enum Next {
    /// Nothing waits.
    Nothing,
    /// A handler is to be entered.
    Handler(SigInfo, SigAction),
    /// The task has ended or stopped.
    Gone,
}

impl Task {
    /// The last thing before user mode: delivers signals and restarts what they interrupted.
    ///
    /// [`Task::regs`] are the user registers; `orig_ax` is -1 unless they come from a system
    /// call. Afterwards the task may be dead or stopped.
    pub fn exit_to_user_mode(&mut self) {
        let fine = callgate_emulator::is_canonical(self.regs.ip);
        if fine && self.interrupted_call().is_none() && self.saved_sigmask.is_none() && !self.signal_pending() {
            return;
        }
        self.resume_stopped_call();
        loop {
            match self.get_signal() {
                // Neither `sysretq` nor `iretq` can go there: Linux mends the #GP of the latter so.
                Next::Nothing if !callgate_emulator::is_canonical(self.regs.ip) => {
                    self.handle_exception(&Exception::with_code(vector::GP, 0));
                }
                Next::Nothing => break,
                Next::Handler(info, action) => self.handle_signal(info, action),
                Next::Gone => {
                    self.remember_stopped_call();
                    break;
                }
            }
        }
        if let Some(errno) = self.interrupted_call() {
            self.restart_call(errno == Errno::ERESTART_RESTARTBLOCK);
        }
        if let Some(mask) = self.saved_sigmask.take() {
            self.set_blocked(mask);
        }
    }

    /// A task that stops in the middle of a call goes to sleep as if the call were restarted. Linux
    /// sleeps here, in `get_signal`, and decides only when the task continues: a handler that runs
    /// then makes the call answer EINTR after all. So keep what that takes.
    fn remember_stopped_call(&mut self) {
        let call = self
            .interrupted_call()
            .map(|_| StoppedCall { regs: self.regs, sigmask: self.saved_sigmask.map(|_| self.blocked) });
        self.link.attr.borrow_mut().stopped_call = call;
    }

    /// Takes back the restart of a call in which the task was stopped, if it has not run since.
    fn resume_stopped_call(&mut self) {
        let Some(call) = self.link.attr.borrow_mut().stopped_call.take() else { return };
        let unmoved = call.regs.ip.wrapping_sub(2) == self.regs.ip && call.regs.sp == self.regs.sp;
        if unmoved && self.regs.orig_ax as i32 == -1 {
            self.regs = call.regs;
            self.regs_changed = true;
            if let Some(mask) = call.sigmask {
                self.saved_sigmask = Some(self.blocked);
                self.set_blocked(mask);
            }
        }
    }

    /// The restart code that the call has answered, if there is a call and it has.
    fn interrupted_call(&self) -> Option<Errno> {
        let code = (self.regs.ax as i64).checked_neg()?;
        let in_call = self.regs.orig_ax as i32 != -1;
        let errno = Errno::new(u16::try_from(code).ok()?);
        (in_call && errno.is_restart()).then_some(errno)
    }

    /// Sets the registers so that the call instruction is executed again. Both of them, `syscall`
    /// and `int $0x80`, have two bytes.
    fn restart_call(&mut self, with_block: bool) {
        self.regs.ax = if with_block { self.restart_syscall_nr() } else { self.regs.orig_ax };
        self.regs.ip = self.regs.ip.wrapping_sub(2);
        self.regs_changed = true;
    }

    /// Takes signals until one needs a handler.
    fn get_signal(&mut self) -> Next {
        loop {
            match self.link.state.get() {
                TaskState::Dead | TaskState::Stopped => return Next::Gone,
                _ => {}
            }
            if let Some(status) = self.signal().group_exit.get() {
                self.do_group_exit(status);
                return Next::Gone;
            }
            let stop = self.link.pending.borrow_mut().stop.take();
            if let Some(sig) = stop {
                self.stop(sig);
                return Next::Gone;
            }
            let Some(info) = self.dequeue_signal() else { return Next::Nothing };
            let sig = info.signo;
            self.kernel.observe(|observer| observer.signal(self, &info));
            let action = self.sighand.borrow().get(sig);
            match action.handler {
                SIG_IGN => {}
                SIG_DFL => match default_action(sig) {
                    DefaultAction::Ignore | DefaultAction::Continue => {}
                    DefaultAction::Stop => {
                        // Nobody could continue a process of an orphaned group.
                        let pgrp = self.signal().pgrp.get();
                        if sig == SIGSTOP || !self.kernel.is_orphaned_pgrp(pgrp) {
                            self.stop_group(sig);
                            return Next::Gone;
                        }
                    }
                    DefaultAction::Terminate | DefaultAction::Core => {
                        self.do_group_exit(sig);
                        return Next::Gone;
                    }
                },
                _ => {
                    if action.flags().contains(SaFlags::SA_RESETHAND) {
                        let default = SigAction { handler: SIG_DFL, ..action };
                        self.sighand.borrow_mut().set(sig, default);
                    }
                    return Next::Handler(info, action);
                }
            }
        }
    }

    /// Takes the signal to deliver next: SIGKILL, a fault of this thread, another signal of this
    /// thread, one of the group.
    fn dequeue_signal(&mut self) -> Option<SigInfo> {
        let blocked = self.blocked;
        let mut shared = self.signal().shared_pending.borrow_mut();
        let mut own = self.link.pending.borrow_mut();
        if shared.set().contains(SIGKILL) {
            return shared.take(SIGKILL);
        }
        if !own.set().contains(SIGKILL)
            && let Some(fault) = own.take_fault(blocked)
        {
            return Some(fault);
        }
        own.take_next(blocked).or_else(|| shared.take_next(blocked))
    }

    /// Stops the whole group by `sig`, beginning with this thread.
    fn stop_group(&mut self, sig: i32) {
        let threads = self.signal().threads.borrow().clone();
        for thread in threads.iter().filter(|t| t.pid != self.pid()) {
            if !matches!(thread.state.get(), TaskState::Stopped | TaskState::Dead) {
                thread.pending.borrow_mut().stop = Some(sig);
                thread.wake_for_signal(false);
            }
        }
        self.stop(sig);
    }

    fn stop(&mut self, sig: i32) {
        self.link.state.set(TaskState::Stopped);
        self.signal().thread_stopped(sig);
    }

    /// Enters a handler, or ends the program where its stack can't take the frame.
    fn handle_signal(&mut self, info: SigInfo, action: SigAction) {
        match self.interrupted_call() {
            Some(Errno::ERESTARTNOINTR) => self.restart_call(false),
            Some(Errno::ERESTARTSYS) if action.flags().contains(SaFlags::SA_RESTART) => self.restart_call(false),
            Some(_) => self.regs.ax = -i64::from(Errno::EINTR.code()) as u64,
            None => {}
        }
        if self.setup_rt_frame(&info, &action).is_err() {
            self.force_sigsegv(info.signo);
            return;
        }
        self.saved_sigmask = None;
        let mut blocked = self.blocked | action.mask;
        if !action.flags().contains(SaFlags::SA_NODEFER) {
            blocked |= SigSet::of(&[info.signo]);
        }
        self.set_blocked(blocked);
        self.sigaltstack.signal_delivered();
    }
}
