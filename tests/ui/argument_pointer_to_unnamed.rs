// A pointer to a structure that has no name in C.
use callgate_abi::{COND_SYSCALL, SYSCALL_DEFINE1, UserMut};

include!("support/kernel.rs");

COND_SYSCALL! { sys_read, sys_write, sys_open, sys_exit }

struct Stat;

#[SYSCALL_DEFINE1(newstat)]
fn newstat(_task: &mut Task, buf: UserMut<Stat>) -> Result<()> {
    let _ = buf;
    Ok(())
}
