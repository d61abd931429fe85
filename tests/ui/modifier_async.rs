// An async handler.
use callgate_abi::{COND_SYSCALL, SYSCALL_DEFINE0};

include!("support/kernel.rs");

COND_SYSCALL! { sys_read, sys_open, sys_newstat, sys_exit }

#[SYSCALL_DEFINE0(write)]
async fn write(_task: &mut Task) -> Result<()> {
    Ok(())
}
