// A type of one's own that does not implement SyscallArg.
use callgate_abi::{COND_SYSCALL, SYSCALL_DEFINE1};

include!("support/kernel.rs");

COND_SYSCALL! { sys_read, sys_write, sys_newstat, sys_exit }

struct OpenFlags(u32);

#[SYSCALL_DEFINE1(open)]
fn open(_task: &mut Task, flags: OpenFlags) -> Result<u32> {
    Ok(flags.0)
}
