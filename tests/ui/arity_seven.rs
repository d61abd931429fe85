// Seven arguments: there are six registers.
use callgate_abi::{COND_SYSCALL, SYSCALL_DEFINE6};

include!("support/kernel.rs");

COND_SYSCALL! { sys_read, sys_open, sys_newstat, sys_exit }

#[SYSCALL_DEFINE6(write)]
fn write(_task: &mut Task, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64) -> u64 {
    a + b + c + d + e + f + g
}
