// A context that is borrowed for longer than the call.
use callgate_abi::{COND_SYSCALL, SYSCALL_DEFINE0};

include!("support/kernel.rs");

COND_SYSCALL! { sys_read, sys_open, sys_newstat, sys_exit }

#[SYSCALL_DEFINE0(write)]
fn write(_task: &'static mut Task) -> Result<()> {
    Ok(())
}
