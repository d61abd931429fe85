// An address leads to another structure than C says.
use callgate_abi::{COND_SYSCALL, CType, SYSCALL_DEFINE2, UserMut, UserStr};

include!("../support/kernel.rs");

COND_SYSCALL! { sys_read, sys_write, sys_open, sys_exit }

struct StatFs;

impl CType for StatFs {
    const NAME: &'static str = "struct statfs";
}

#[SYSCALL_DEFINE2(newstat)]
fn stat(_task: &mut Task, _filename: UserStr, _statbuf: UserMut<StatFs>) -> Result<()> {
    Ok(())
}
