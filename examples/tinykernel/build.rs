//! From the table to the dispatch module and the header for C programs.

use std::error::Error;
use std::path::PathBuf;

use callgate_codegen::emit::{self, Unistd};
use callgate_codegen::{Build, Table, write_if_changed};

fn main() -> Result<(), Box<dyn Error>> {
    let build = Build::new().table("tiny.tbl").prototypes("tiny.h").context("crate::Machine");
    build.kernel_image(false).generate()?;

    let options = Unistd { emit_nr: true, ..Unistd::default() };
    let header = emit::unistd(&Table::read("tiny.tbl")?, "unistd.h", &options);
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("this is a build script")?);
    write_if_changed(out.join("unistd.h"), header)?;
    Ok(())
}
