// A method as a handler.
use callgate_abi::{COND_SYSCALL, SYSCALL_DEFINE1};

include!("support/kernel.rs");

COND_SYSCALL! { sys_read, sys_open, sys_newstat, sys_exit }

impl Task {
    #[SYSCALL_DEFINE1(write)]
    fn write(&mut self, value: u64) -> u64 {
        value
    }
}
