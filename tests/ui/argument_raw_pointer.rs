// Raw pointers as arguments.
use callgate_abi::{COND_SYSCALL, Fd, SYSCALL_DEFINE2};

include!("support/kernel.rs");

COND_SYSCALL! { sys_open, sys_newstat, sys_exit }

#[SYSCALL_DEFINE2(write)]
fn write(_task: &mut Task, _fd: Fd, buf: *const u8) -> Result<()> {
    let _ = buf;
    Ok(())
}

#[SYSCALL_DEFINE2(read)]
fn read(_task: &mut Task, _fd: Fd, buf: *mut u8) -> Result<()> {
    let _ = buf;
    Ok(())
}
