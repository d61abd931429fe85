//! Linux: `linux/prctl.h`.

use callgate_abi::syscall_enum;
use linux_raw_sys::prctl;

syscall_enum! {
    /// What prctl does.
    pub struct PrctlOption: i32, "int" {
        PR_SET_PDEATHSIG = prctl::PR_SET_PDEATHSIG as i32,
        PR_GET_PDEATHSIG = prctl::PR_GET_PDEATHSIG as i32,
        PR_GET_DUMPABLE = prctl::PR_GET_DUMPABLE as i32,
        PR_SET_DUMPABLE = prctl::PR_SET_DUMPABLE as i32,
        PR_GET_KEEPCAPS = prctl::PR_GET_KEEPCAPS as i32,
        PR_SET_KEEPCAPS = prctl::PR_SET_KEEPCAPS as i32,
        PR_GET_TIMING = prctl::PR_GET_TIMING as i32,
        PR_SET_TIMING = prctl::PR_SET_TIMING as i32,
        PR_SET_NAME = prctl::PR_SET_NAME as i32,
        PR_GET_NAME = prctl::PR_GET_NAME as i32,
        PR_GET_SECCOMP = prctl::PR_GET_SECCOMP as i32,
        PR_CAPBSET_READ = prctl::PR_CAPBSET_READ as i32,
        PR_CAPBSET_DROP = prctl::PR_CAPBSET_DROP as i32,
        PR_GET_SECUREBITS = prctl::PR_GET_SECUREBITS as i32,
        PR_SET_TIMERSLACK = prctl::PR_SET_TIMERSLACK as i32,
        PR_GET_TIMERSLACK = prctl::PR_GET_TIMERSLACK as i32,
        PR_SET_CHILD_SUBREAPER = prctl::PR_SET_CHILD_SUBREAPER as i32,
        PR_GET_CHILD_SUBREAPER = prctl::PR_GET_CHILD_SUBREAPER as i32,
        PR_SET_NO_NEW_PRIVS = prctl::PR_SET_NO_NEW_PRIVS as i32,
        PR_GET_NO_NEW_PRIVS = prctl::PR_GET_NO_NEW_PRIVS as i32,
        PR_GET_TID_ADDRESS = prctl::PR_GET_TID_ADDRESS as i32,
    }
}
