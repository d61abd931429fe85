// The row says noreturn, and the handler can return.
use callgate_abi::{COND_SYSCALL, SYSCALL_DEFINE1};

include!("support/kernel.rs");

COND_SYSCALL! { sys_read, sys_write, sys_open, sys_newstat }

#[SYSCALL_DEFINE1(exit)]
fn exit(_task: &mut Task, status: i32) -> Result<i32> {
    Ok(status)
}
