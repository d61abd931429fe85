//! Signal actions: what a thread group does on each signal (`sighand_struct`).

use callgate_uapi::signal::{SIG_DFL, SIG_IGN, SIGRTMAX, SigAction};

/// The actions of a thread group.
#[derive(Clone, Debug)]
pub struct SighandStruct {
    action: [SigAction; SIGRTMAX as usize],
}

impl Default for SighandStruct {
    fn default() -> SighandStruct {
        SighandStruct { action: [SigAction::default(); SIGRTMAX as usize] }
    }
}

impl SighandStruct {
    /// What is done on `sig`; the default for what is no signal.
    pub fn get(&self, sig: i32) -> SigAction {
        usize::try_from(sig - 1).ok().and_then(|i| self.action.get(i)).copied().unwrap_or_default()
    }

    /// Sets what is done on `sig`.
    pub fn set(&mut self, sig: i32, action: SigAction) {
        if let Some(slot) = usize::try_from(sig - 1).ok().and_then(|i| self.action.get_mut(i)) {
            *slot = action;
        }
    }

    /// What execve(2) does: handlers are gone with their program, ignored signals stay ignored.
    pub fn flush_handlers(&mut self) {
        for action in &mut self.action {
            let handler = if action.handler == SIG_IGN { SIG_IGN } else { SIG_DFL };
            *action = SigAction { handler, ..SigAction::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callgate_uapi::signal::{SIGCHLD, SIGINT, SIGTERM};

    #[test]
    fn exec_keeps_only_ignored_signals() {
        let mut sighand = SighandStruct::default();
        sighand.set(SIGINT, SigAction { handler: SIG_IGN, flags: 4, ..SigAction::default() });
        sighand.set(SIGTERM, SigAction { handler: 0x1000, ..SigAction::default() });
        sighand.flush_handlers();
        assert_eq!(sighand.get(SIGINT), SigAction { handler: SIG_IGN, ..SigAction::default() });
        assert_eq!(sighand.get(SIGTERM).handler, SIG_DFL);
    }

    #[test]
    fn signals_out_of_range_have_the_default_action_and_cannot_be_set() {
        let mut sighand = SighandStruct::default();
        for sig in [0, -1, 65, i32::MAX] {
            sighand.set(sig, SigAction { handler: 1, ..SigAction::default() });
            assert_eq!(sighand.get(sig), SigAction::default());
        }
        assert!(sighand.get(SIGCHLD).ignores(SIGCHLD));
        assert!(sighand.get(SIGTERM).is_fatal(SIGTERM));
    }
}
