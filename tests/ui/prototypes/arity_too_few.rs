// The prototype has an argument more.
use callgate_abi::{COND_SYSCALL, Fd, SYSCALL_DEFINE2, UserPtr};

include!("../support/kernel.rs");

COND_SYSCALL! { sys_read, sys_open, sys_newstat, sys_exit }

#[SYSCALL_DEFINE2(write)]
fn write(_task: &mut Task, _fd: Fd, _buf: UserPtr<u8>) -> Result<usize> {
    Ok(0)
}
