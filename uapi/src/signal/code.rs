//! `si_code`: why a signal was sent (sigaction(2)).
//!
//! Codes up to 0 and SI_KERNEL mean the same for all signals; the others depend on the signal.

use linux_raw_sys::general;

use super::numbers::{SIGBUS, SIGCHLD, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};

macro_rules! codes {
    ($($signal:pat => { $($name:ident = $value:expr, $doc:literal;)* })*) => {
        $($(#[doc = $doc] pub const $name: i32 = $value as i32;)*)*

        /// The name of a code of `signo`.
        pub fn name(signo: i32, code: i32) -> Option<&'static str> {
            match (signo, code) {
                $($(($signal, $name) => Some(stringify!($name)),)*)*
                _ => None,
            }
        }
    };
}

codes! {
    _ => {
        SI_USER = general::SI_USER, "Sent by kill(2).";
        SI_KERNEL = general::SI_KERNEL, "Sent by the kernel.";
        SI_QUEUE = general::SI_QUEUE, "Sent by sigqueue(3).";
        SI_TIMER = general::SI_TIMER, "A POSIX timer has expired.";
        SI_MESGQ = general::SI_MESGQ, "A message queue is no longer empty.";
        SI_ASYNCIO = general::SI_ASYNCIO, "Asynchronous I/O is done.";
        SI_SIGIO = general::SI_SIGIO, "A queued SIGIO.";
        SI_TKILL = general::SI_TKILL, "Sent by tkill(2) or tgkill(2).";
    }
    SIGCHLD => {
        CLD_EXITED = general::CLD_EXITED, "The child has exited.";
        CLD_KILLED = general::CLD_KILLED, "A signal has ended the child.";
        CLD_DUMPED = general::CLD_DUMPED, "The same, and it has dumped core.";
        CLD_TRAPPED = general::CLD_TRAPPED, "A traced child has trapped.";
        CLD_STOPPED = general::CLD_STOPPED, "The child has stopped.";
        CLD_CONTINUED = general::CLD_CONTINUED, "The child has continued.";
    }
    SIGSEGV => {
        SEGV_MAPERR = general::SEGV_MAPERR, "Nothing is mapped at the address.";
        SEGV_ACCERR = general::SEGV_ACCERR, "The mapping doesn't allow the access.";
    }
    SIGBUS => {
        BUS_ADRALN = general::BUS_ADRALN, "The address is not aligned.";
        BUS_ADRERR = general::BUS_ADRERR, "There is nothing at the physical address: past a file's end.";
    }
    SIGFPE => {
        FPE_INTDIV = general::FPE_INTDIV, "Integer division by zero, or its overflow.";
        FPE_INTOVF = general::FPE_INTOVF, "Integer overflow.";
        FPE_FLTDIV = general::FPE_FLTDIV, "Floating-point division by zero.";
        FPE_FLTOVF = general::FPE_FLTOVF, "Floating-point overflow.";
        FPE_FLTUND = general::FPE_FLTUND, "Floating-point underflow.";
        FPE_FLTRES = general::FPE_FLTRES, "Inexact floating-point result.";
        FPE_FLTINV = general::FPE_FLTINV, "Invalid floating-point operation.";
    }
    SIGILL => {
        ILL_ILLOPC = general::ILL_ILLOPC, "Illegal opcode.";
        ILL_ILLOPN = general::ILL_ILLOPN, "Illegal operand.";
        ILL_PRVOPC = general::ILL_PRVOPC, "Privileged opcode.";
    }
    SIGTRAP => {
        TRAP_BRKPT = general::TRAP_BRKPT, "A breakpoint.";
        TRAP_TRACE = general::TRAP_TRACE, "A single step.";
        TRAP_HWBKPT = general::TRAP_HWBKPT, "A hardware breakpoint.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_depend_on_the_signal() {
        assert_eq!(name(SIGSEGV, 1), Some("SEGV_MAPERR"));
        assert_eq!(name(SIGCHLD, 1), Some("CLD_EXITED"));
        assert_eq!(name(SIGCHLD, 0), Some("SI_USER"));
        assert_eq!(name(SIGSEGV, 128), Some("SI_KERNEL"));
        assert_eq!(name(15, 3), None);
    }
}
