//! Turns the two tables at the workspace root into the kernel's dispatch tables and its image.

use std::process::ExitCode;

fn main() -> ExitCode {
    let result = callgate_codegen::Build::new()
        .table("../syscall_64.tbl")
        .ia32_table("../syscall_32.tbl")
        .prototypes("../syscalls.h")
        .context("crate::Task")
        .generate();
    match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
