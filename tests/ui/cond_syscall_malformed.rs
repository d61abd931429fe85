// The list of what is not implemented names what is no entry point.
use callgate_abi::COND_SYSCALL;

include!("support/kernel.rs");

COND_SYSCALL! {
    sys_read,
    write,
    sys_open,
    sys_newstat,
    sys_exit,
    sys_uselib,
}

COND_SYSCALL!("sys_write");
