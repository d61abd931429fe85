// From the table: no row of cases.tbl has this entry point.
use callgate_abi::{COND_SYSCALL, SYSCALL_DEFINE0};

include!("support/kernel.rs");

COND_SYSCALL! { sys_read, sys_write, sys_open, sys_newstat, sys_exit }

#[SYSCALL_DEFINE0(wirte)]
fn wirte(_task: &mut Task) -> Result<()> {
    Ok(())
}

// The word is the row's name, and not its entry point.
#[SYSCALL_DEFINE0(stat)]
fn stat(_task: &mut Task) -> Result<()> {
    Ok(())
}
