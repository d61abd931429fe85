// Without CALLGATE_ENTRIES the compiler's own message stands.
use callgate_abi::{COND_SYSCALL, SYSCALL_DEFINE0};

include!("../support/kernel.rs");

COND_SYSCALL! { sys_read, sys_write, sys_open, sys_newstat, sys_exit }

#[SYSCALL_DEFINE0(wirte)]
fn wirte(_task: &mut Task) -> Result<()> {
    Ok(())
}
