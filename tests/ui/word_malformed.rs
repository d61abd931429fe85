// Something else than the entry point's word in the attribute.
use callgate_abi::{COND_SYSCALL, SYSCALL_DEFINE0, SYSCALL_DEFINE1};

include!("support/kernel.rs");

COND_SYSCALL! { sys_newstat, sys_exit }

#[SYSCALL_DEFINE0("write")]
fn write(_task: &mut Task) -> Result<()> {
    Ok(())
}

#[SYSCALL_DEFINE0(sys_read)]
fn read(_task: &mut Task) -> Result<()> {
    Ok(())
}

#[SYSCALL_DEFINE1(open, int, fd)]
fn open(_task: &mut Task, fd: i32) -> Result<i32> {
    Ok(fd)
}
