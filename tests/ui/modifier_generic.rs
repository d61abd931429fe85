// Generic handlers.
use callgate_abi::{COND_SYSCALL, SYSCALL_DEFINE0, SYSCALL_DEFINE1};

include!("support/kernel.rs");

COND_SYSCALL! { sys_newstat, sys_exit }

#[SYSCALL_DEFINE1(write)]
fn write<T: Into<u64>>(_task: &mut Task, value: T) -> Result<u64> {
    Ok(value.into())
}

#[SYSCALL_DEFINE1(read)]
fn read(_task: &mut Task, value: impl Into<u64>) -> Result<u64> {
    Ok(value.into())
}

#[SYSCALL_DEFINE0(open)]
fn open(task: &mut impl Sized) -> Result<u64> {
    let _ = task;
    Ok(0)
}
