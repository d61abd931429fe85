// The handler has an argument more.
use callgate_abi::{COND_SYSCALL, Fd, SYSCALL_DEFINE4, UserPtr};

include!("../support/kernel.rs");

COND_SYSCALL! { sys_read, sys_open, sys_newstat, sys_exit }

#[SYSCALL_DEFINE4(write)]
fn write(_task: &mut Task, _fd: Fd, _buf: UserPtr<u8>, count: usize, _flags: u32) -> Result<usize> {
    Ok(count)
}
