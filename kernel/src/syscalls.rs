//! The generated tables: one trait per entry point, `sys_call_table`, `ia32_sys_call_table`, the
//! `__NR_*` constants and the kernel image. Written by `callgate-codegen` from `syscall_64.tbl` and
//! `syscall_32.tbl`; rows and handlers are joined by the compiler.
#![allow(missing_docs, non_camel_case_types, non_upper_case_globals)]

include!(concat!(env!("OUT_DIR"), "/syscalls.rs"));
include!(concat!(env!("OUT_DIR"), "/kernel_image.rs"));
