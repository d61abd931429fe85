//! callgate-codegen: from a table of system calls, in Linux's format, to everything that is made from it.
//!
//! Linux keeps its system calls in `syscall_64.tbl` and makes headers and tables from it with shell scripts. This crate
//! reads the same files into a [`Table`] and makes:
//!
//! | output | function | Linux's counterpart |
//! |---|---|---|
//! | the Rust module that joins rows and handlers | [`Build`], [`emit::dispatch`] | `sys_call_table` |
//! | numbers for C programs | [`emit::unistd()`] | `scripts/syscallhdr.sh` |
//! | rows as macro calls | [`emit::syscalls()`] | `scripts/syscalltbl.sh` |
//! | numbers for Rust programs | [`emit::rust()`] | |
//! | C prototypes | [`emit::prototypes()`] | `include/linux/syscalls.h` |
//! | functions that make the calls, in C and Rust | [`emit::wrappers_c`], [`emit::wrappers_rust`] | a C library |
//! | a reference for programs and for people | [`emit::json()`], [`emit::markdown()`] | |
//! | the image of a small kernel and its symbols | [`image::Image`], [`emit::kallsyms`] | `vmlinux`, `System.map` |
//!
//! # In a build script
//!
//! A kernel has a table, a `build.rs`, and a module `syscalls` at the root of its crate:
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), callgate_codegen::Error> {
//!     callgate_codegen::Build::new()
//!         .table("syscall.tbl")
//!         .prototypes("syscalls.h") // optional: C prototypes that handlers are held to
//!         .context("crate::Task") // what handlers are given first
//!         .kernel_image(false) // no x86-64 image is wanted
//!         .generate()
//! }
//! ```
//!
//! ```ignore
//! // src/lib.rs
//! pub mod syscalls {
//!     include!(concat!(env!("OUT_DIR"), "/syscalls.rs"));
//! }
//! ```
//!
//! The module has `lookup(number)` for the dispatch, the tables, the numbers (`nr::__NR_write`), and in `entry` one trait an
//! entry point. `callgate_abi`'s `SYSCALL_DEFINEn` implements such a trait; a row whose trait nobody implements does not
//! build, and the message is the row's. `callgate_abi` is all that the module needs.
//!
//! The same without cargo, to see what there is:
//!
//! ```
//! let dir = std::env::temp_dir().join(format!("callgate-doc-{}", std::process::id()));
//! std::fs::create_dir_all(&dir)?;
//! std::fs::write(dir.join("tiny.tbl"), "0\tcommon\tread\t\t\tsys_read\n")?;
//! callgate_codegen::Build::new().table(dir.join("tiny.tbl")).kernel_image(false).out_dir(&dir).generate()?;
//! let module = std::fs::read_to_string(dir.join("syscalls.rs"))?;
//! assert!(module.contains("pub trait sys_read"));
//! assert!(module.contains("pub const __NR_read: u32 = 0;"));
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Tables and headers
//!
//! ```
//! use callgate_codegen::{AbiFilter, Table, emit};
//!
//! let table = Table::parse("tiny.tbl", "0\tcommon\tread\tsys_read\n3\tcommon\texit\tsys_exit\t-\tnoreturn\n")?;
//! assert_eq!(table.next_number(&AbiFilter::all()), 4);
//! let header = emit::unistd(&table, "unistd.h", &emit::Unistd::default());
//! assert!(header.contains("#define __NR_exit 3\n"));
//! let calls = emit::syscalls(&table, &AbiFilter::all())?;
//! assert!(calls.ends_with("__SYSCALL(2, sys_ni_syscall)\n__SYSCALL_NORETURN(3, sys_exit)\n"));
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
//!
//! # What handlers say of themselves
//!
//! The table has names and numbers. Arguments and documentation are the handlers'; a kernel that is built lists them as
//! an [`emit::Reference`], from the `Metadata` that the dispatch module holds:
//!
//! ```
//! use callgate_codegen::emit::{self, Argument, Reference, Syscall};
//!
//! let fd = Argument { name: "fd".to_owned(), c_type: "unsigned int".to_owned() };
//! let close = Syscall {
//!     number: 3,
//!     name: "close".to_owned(),
//!     entry: "sys_close".to_owned(),
//!     args: vec![fd],
//!     ret: "int".to_owned(),
//!     doc: "close(2): closes a descriptor.".to_owned(),
//!     implemented: true,
//!     ..Syscall::default()
//! };
//! let reference = Reference { table: "tiny.tbl".to_owned(), calls: vec![close] };
//! assert!(emit::prototypes(&reference).ends_with("asmlinkage long sys_close(unsigned int fd);\n"));
//! assert!(emit::wrappers_c(&reference).contains("static inline int sys_close(unsigned int fd)"));
//! assert!(emit::wrappers_rust(&reference).contains("pub unsafe fn close(fd: u32) -> Result<i32, Errno>"));
//! assert!(emit::json(&reference).contains(r#""args": [{"name": "fd", "type": "unsigned int"}]"#));
//! ```
//!
//! # C prototypes
//!
//! ```
//! use callgate_codegen::Prototypes;
//!
//! let prototypes = Prototypes::parse("syscalls.h", "asmlinkage long sys_pipe(int __user fildes[2]);\n")?;
//! assert_eq!(prototypes.list()[0].to_string(), "asmlinkage long sys_pipe(int __user *fildes);");
//! let error = Prototypes::parse("syscalls.h", "asmlinkage long sys_sleep(double seconds);\n").unwrap_err();
//! assert!(error.to_string().contains("a parameter can't be `double`"));
//! # Ok::<(), callgate_codegen::TableError>(())
//! ```
#![warn(missing_docs)]
#![forbid(unsafe_code)]

extern crate alloc;

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
