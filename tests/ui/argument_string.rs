// Owned strings and vectors as arguments.
use callgate_abi::{COND_SYSCALL, SYSCALL_DEFINE1};

include!("support/kernel.rs");

COND_SYSCALL! { sys_read, sys_newstat, sys_exit }

#[SYSCALL_DEFINE1(open)]
fn open(_task: &mut Task, path: String) -> Result<()> {
    let _ = path;
    Ok(())
}

#[SYSCALL_DEFINE1(write)]
fn write(_task: &mut Task, bytes: Vec<u8>) -> Result<()> {
    let _ = bytes;
    Ok(())
}
