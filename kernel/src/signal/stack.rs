//! The alternate signal stack: sigaltstack(2).
//!
//! A handler that was installed with SA_ONSTACK runs on a stack of its own, so that even an overflow
//! of the normal stack can be handled. Whether the task is on it is decided by its stack pointer.

use callgate_abi::{Errno, SYSCALL_DEFINE2, UserMut, UserPtr};
use callgate_uapi::signal::sigframe::StackT;

use crate::{Result, Task};

/// The least size of an alternate stack.
pub const MINSIGSTKSZ: u64 = linux_raw_sys::general::MINSIGSTKSZ as u64;

const SS_ONSTACK: u32 = linux_raw_sys::general::SS_ONSTACK;
const SS_DISABLE: u32 = linux_raw_sys::general::SS_DISABLE;
const SS_AUTODISARM: u32 = linux_raw_sys::general::SS_AUTODISARM;

/// A task's alternate signal stack; none while `size` is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalStack {
    /// Its lowest address.
    pub sp: u64,
    /// Its size in bytes.
    pub size: u64,
    /// What it was set with: SS_AUTODISARM, SS_DISABLE.
    pub flags: u32,
}

impl SignalStack {
    /// Whether `sp` is an address on the stack.
    pub fn contains(&self, sp: u64) -> bool {
        sp > self.sp && sp - self.sp <= self.size
    }

    /// Whether code with this stack pointer runs on it. With SS_AUTODISARM it never does: the stack
    /// is taken away while a handler runs.
    pub fn is_active(&self, sp: u64) -> bool {
        self.flags & SS_AUTODISARM == 0 && self.contains(sp)
    }

    /// SS_DISABLE, SS_ONSTACK or 0 for a task with this stack pointer.
    pub fn state(&self, sp: u64) -> u32 {
        match self.size {
            0 => SS_DISABLE,
            _ if self.is_active(sp) => SS_ONSTACK,
            _ => 0,
        }
    }

    /// What becomes of it when a handler has been entered.
    pub fn signal_delivered(&mut self) {
        if self.flags & SS_AUTODISARM != 0 {
            *self = SignalStack { sp: 0, size: 0, flags: SS_DISABLE };
        }
    }
}

/// Sets the alternate stack of a task whose stack pointer is `sp` (`do_sigaltstack`).
pub(super) fn set_sigaltstack(stack: &mut SignalStack, new: &StackT, sp: u64) -> Result<()> {
    if stack.is_active(sp) {
        return Err(Errno::EPERM);
    }
    let mode = new.flags & !SS_AUTODISARM;
    if !matches!(mode, SS_DISABLE | SS_ONSTACK | 0) {
        return Err(Errno::EINVAL);
    }
    // What is there already is set again without a check of its size.
    if (stack.sp, stack.size, stack.flags) == (new.sp, new.size, new.flags) {
        return Ok(());
    }
    *stack = if mode == SS_DISABLE {
        SignalStack { sp: 0, size: 0, flags: new.flags }
    } else if new.size < MINSIGSTKSZ {
        return Err(Errno::ENOMEM);
    } else {
        SignalStack { sp: new.sp, size: new.size, flags: new.flags }
    };
    Ok(())
}

/// sigaltstack(2): sets and gets the alternate signal stack.
#[SYSCALL_DEFINE2(sigaltstack)]
pub fn sigaltstack(task: &mut Task, uss: UserPtr<StackT>, uoss: UserMut<StackT>) -> Result<()> {
    let new = if uss.is_null() { None } else { Some(uss.read(task)?) };
    let sp = task.regs.sp;
    let old = task.sigaltstack;
    if let Some(new) = new {
        set_sigaltstack(&mut task.sigaltstack, &new, sp)?;
    }
    if !uoss.is_null() {
        let flags = old.state(sp) | old.flags & SS_AUTODISARM;
        uoss.write(task, &StackT { sp: old.sp, flags, pad: 0, size: old.size })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: StackT = StackT { sp: 0x1000, flags: 0, pad: 0, size: 0x2000 };

    #[test]
    fn a_stack_in_use_cannot_be_changed() {
        let mut stack = SignalStack::default();
        set_sigaltstack(&mut stack, &STACK, 0x9000).unwrap();
        assert_eq!(stack.state(0x9000), 0);
        assert_eq!(stack.state(0x3000), SS_ONSTACK);
        assert_eq!(stack.state(0x1000), 0);
        assert_eq!(set_sigaltstack(&mut stack, &STACK, 0x2000), Err(Errno::EPERM));
    }

    #[test]
    fn small_stacks_and_unknown_flags_are_refused() {
        let mut stack = SignalStack::default();
        let small = StackT { size: 2047, ..STACK };
        assert_eq!(set_sigaltstack(&mut stack, &small, 0), Err(Errno::ENOMEM));
        let unknown = StackT { flags: 4, ..STACK };
        assert_eq!(set_sigaltstack(&mut stack, &unknown, 0), Err(Errno::EINVAL));
        assert_eq!(stack.state(0), SS_DISABLE);
    }

    #[test]
    fn an_autodisarmed_stack_is_gone_while_the_handler_runs() {
        let mut stack = SignalStack::default();
        set_sigaltstack(&mut stack, &StackT { flags: SS_AUTODISARM, ..STACK }, 0).unwrap();
        assert!(!stack.is_active(0x2000));
        stack.signal_delivered();
        assert_eq!(stack.state(0x2000), SS_DISABLE);
    }
}
