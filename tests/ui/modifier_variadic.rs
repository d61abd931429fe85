// A variadic handler.
use callgate_abi::{COND_SYSCALL, SYSCALL_DEFINE1};

include!("support/kernel.rs");

COND_SYSCALL! { sys_read, sys_open, sys_newstat, sys_exit }

#[SYSCALL_DEFINE1(write)]
fn write(_task: &mut Task, value: u64, _rest: ...) -> u64 {
    value
}
