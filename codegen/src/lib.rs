//! callgate-codegen: from a table of system calls, in Linux's format, to everything that is made from it.
//!
//! Linux keeps its system calls in `syscall_64.tbl` and makes headers and tables from it with shell scripts. This crate
//! reads the same files into a [`Table`] and makes: the Rust dispatch that joins rows and handlers ([`Build`],
//! [`emit::dispatch`]), Linux's headers ([`emit::unistd`], [`emit::syscalls`]), numbers for Rust programs
//! ([`emit::rust`]), and the image of a small kernel with its symbols ([`image::Image`], [`emit::kallsyms`]).
//!
//! ```
//! use callgate_codegen::{AbiFilter, Table, emit};
//!
//! let table = Table::parse("tiny.tbl", "0\tcommon\tread\tsys_read\n3\tcommon\texit\tsys_exit\t-\tnoreturn\n")?;
//! assert_eq!(table.next_number(&AbiFilter::all()), 4);
//! let header = emit::unistd(&table, "unistd.h", &emit::Unistd::default());
//! assert!(header.contains("#define __NR_exit 3\n"));
//! # Ok::<(), callgate_codegen::TableError>(())
//! ```
//!
//! A table that is wrong gives a [`TableError`] with all that is wrong, each with its line:
//!
//! ```
//! use callgate_codegen::Table;
//!
//! let error = Table::parse("tiny.tbl", "0 common read sys_read\n0 common write sys_write\n").unwrap_err();
//! assert!(error.to_string().contains("the number 0 is taken already"));
//! assert!(error.to_string().contains("--> tiny.tbl:2:1"));
//! ```

#![forbid(unsafe_code)]

mod build;
mod ctype;
pub mod dispatch;
pub mod emit;
pub mod image;
pub mod prototypes;
pub mod table;
mod write;

pub use build::{Build, Error, default_abis};
pub use prototypes::Prototypes;
pub use table::{AbiFilter, Table, TableError};
pub use write::write_if_changed;
