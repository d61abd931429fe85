// Patterns where names are expected.
use callgate_abi::{COND_SYSCALL, Fd, SYSCALL_DEFINE1};

include!("support/kernel.rs");

COND_SYSCALL! { sys_open, sys_newstat, sys_exit }

#[SYSCALL_DEFINE1(write)]
fn write(_task: &mut Task, Fd(fd): Fd) -> Result<i32> {
    Ok(fd)
}

#[SYSCALL_DEFINE1(read)]
fn read(_task: &mut Task, _: Fd) -> Result<i32> {
    Ok(0)
}
