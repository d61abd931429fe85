//! Signal numbers: names and default actions, from one list (signal(7)).

use std::fmt;

/// What happens when a signal is delivered that has no handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// The process ends.
    Terminate,
    /// The process ends and may leave a core dump. We never write one.
    Core,
    /// Nothing.
    Ignore,
    /// The process stops.
    Stop,
    /// The process continues, which has happened already when the signal was sent.
    Continue,
}

macro_rules! signals {
    ($($name:ident = $number:literal, $action:ident;)*) => {
        $(#[doc = concat!("Signal ", $number, ".")] pub const $name: i32 = $number;)*

        const NAMES: [&str; 32] = {
            let mut names = [""; 32];
            $(names[$number] = stringify!($name);)*
            names
        };

        /// What `sig` does to a process without a handler for it.
        pub const fn default_action(sig: i32) -> DefaultAction {
            match sig {
                $($number => DefaultAction::$action,)*
                _ => DefaultAction::Terminate,
            }
        }
    };
}

signals! {
    SIGHUP = 1, Terminate;
    SIGINT = 2, Terminate;
    SIGQUIT = 3, Core;
    SIGILL = 4, Core;
    SIGTRAP = 5, Core;
    SIGABRT = 6, Core;
    SIGBUS = 7, Core;
    SIGFPE = 8, Core;
    SIGKILL = 9, Terminate;
    SIGUSR1 = 10, Terminate;
    SIGSEGV = 11, Core;
    SIGUSR2 = 12, Terminate;
    SIGPIPE = 13, Terminate;
    SIGALRM = 14, Terminate;
    SIGTERM = 15, Terminate;
    SIGSTKFLT = 16, Terminate;
    SIGCHLD = 17, Ignore;
    SIGCONT = 18, Continue;
    SIGSTOP = 19, Stop;
    SIGTSTP = 20, Stop;
    SIGTTIN = 21, Stop;
    SIGTTOU = 22, Stop;
    SIGURG = 23, Ignore;
    SIGXCPU = 24, Core;
    SIGXFSZ = 25, Core;
    SIGVTALRM = 26, Terminate;
    SIGPROF = 27, Terminate;
    SIGWINCH = 28, Ignore;
    SIGIO = 29, Terminate;
    SIGPWR = 30, Terminate;
    SIGSYS = 31, Core;
}

/// The first real-time signal, as the kernel counts (a C library may reserve some).
pub const SIGRTMIN: i32 = 32;
/// The last signal.
pub const SIGRTMAX: i32 = 64;

/// Whether `sig` is a signal: 1 to 64.
pub const fn valid_signal(sig: i32) -> bool {
    1 <= sig && sig <= SIGRTMAX
}

/// Prints a signal as strace does: `SIGINT`, `SIGRTMIN`, `SIGRT_1`, or the number where it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalName(pub i32);

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            sig @ 1..SIGRTMIN => f.write_str(NAMES[sig as usize]),
            SIGRTMIN => f.write_str("SIGRTMIN"),
            sig @ SIGRTMIN..=SIGRTMAX => write!(f, "SIGRT_{}", sig - SIGRTMIN),
            other => write!(f, "{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_in_strace() {
        let names: Vec<String> = [1, 29, 31, 32, 33, 64, 0, 65, -1].map(|s| SignalName(s).to_string()).into();
        assert_eq!(names, ["SIGHUP", "SIGIO", "SIGSYS", "SIGRTMIN", "SIGRT_1", "SIGRT_32", "0", "65", "-1"]);
        assert!((1..SIGRTMIN).all(|sig| SignalName(sig).to_string().starts_with("SIG")));
    }

    #[test]
    fn default_actions() {
        assert_eq!(default_action(SIGCHLD), DefaultAction::Ignore);
        assert_eq!(default_action(SIGSEGV), DefaultAction::Core);
        assert_eq!(default_action(40), DefaultAction::Terminate);
    }
}
