// Two handlers for one entry point.
use callgate_abi::{COND_SYSCALL, SYSCALL_DEFINE0, SYSCALL_DEFINE1};

include!("support/kernel.rs");

COND_SYSCALL! { sys_read, sys_open, sys_newstat, sys_exit }

#[SYSCALL_DEFINE0(write)]
fn write(_task: &mut Task) -> Result<()> {
    Ok(())
}

mod elsewhere {
    use super::*;

    #[SYSCALL_DEFINE1(write)]
    fn write_more(_task: &mut Task, count: usize) -> Result<usize> {
        Ok(count)
    }
}
