// From the table: the rows of cases.tbl with sys_read and sys_exit have no handler here.
use callgate_abi::{COND_SYSCALL};

include!("support/kernel.rs");

COND_SYSCALL! { sys_write, sys_open, sys_newstat }


