//! What the keys of the host's terminal mean to the guest: Ctrl-C, Ctrl-\ and Ctrl-Z.
//!
//! On Linux the terminal's driver sends SIGINT, SIGQUIT and SIGTSTP to the foreground process group, and
//! SIGWINCH when the window changes. The host's driver sends them to callgate; we pass them on to the
//! guest's foreground group, so that an interactive shell in a guest is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::signal::{SIGINT, SIGQUIT, SIGTSTP, SIGWINCH, SIGXFSZ};
use signal_hook::{SigId, flag, low_level};

use callgate_uapi::signal::SigInfo;

use crate::Kernel;
use crate::signal::send_group_signal;

/// The host's signals that a machine may have handlers for.
pub const HOST_SIGNALS: [i32; 5] = [SIGINT, SIGQUIT, SIGTSTP, SIGWINCH, SIGXFSZ];

/// How long the machine sleeps at most while a key may be pressed.
pub(crate) const NAP: Duration = Duration::from_millis(50);

/// Lets the host's limit on files' sizes be the error EFBIG, where its signal would end us: guest memory is a file too.
pub(crate) fn survive_the_limit_of_files() {
    // Where it can't be caught, it is as it would have been.
    let _ = flag::register(SIGXFSZ, Arc::default());
}

/// The host's signals that have come and are not yet passed on.
pub(crate) struct HostSignals {
    raised: Vec<(i32, Arc<AtomicBool>, SigId)>,
}

impl HostSignals {
    /// Catches the terminal's signals, if the machine's console is a terminal.
    pub(crate) fn of(kernel: &Kernel) -> Option<HostSignals> {
        kernel.vfs.console()?;
        let mut signals = HostSignals { raised: Vec::new() };
        for signo in [SIGINT, SIGQUIT, SIGTSTP, SIGWINCH] {
            let raised = Arc::new(AtomicBool::new(false));
            let id = flag::register(signo, Arc::clone(&raised)).ok()?;
            signals.raised.push((signo, raised, id));
        }
        Some(signals)
    }

    /// Sends what has come to the foreground process group; without one, to the first process.
    pub(crate) fn pass_on(&self, kernel: &Kernel) {
        for (signo, raised, _) in &self.raised {
            if !raised.swap(false, Ordering::Relaxed) {
                continue;
            }
            let foreground = kernel.vfs.foreground.get();
            let init = kernel.init.borrow().upgrade().map_or(0, |init| init.pgrp.get());
            let pgrp = if foreground == 0 { init } else { foreground };
            for group in kernel.processes().iter().filter(|group| group.pgrp.get() == pgrp) {
                send_group_signal(kernel, group, SigInfo::kernel(*signo));
            }
        }
    }
}

impl Drop for HostSignals {
    fn drop(&mut self) {
        for (_, _, id) in &self.raised {
            low_level::unregister(*id);
        }
    }
}
