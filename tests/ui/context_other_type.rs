// The context of another kernel.
use callgate_abi::{COND_SYSCALL, SYSCALL_DEFINE1};

include!("support/kernel.rs");

COND_SYSCALL! { sys_read, sys_open, sys_newstat, sys_exit }

struct Process;

#[SYSCALL_DEFINE1(write)]
fn write(_process: &mut Process, count: usize) -> Result<usize> {
    Ok(count)
}
