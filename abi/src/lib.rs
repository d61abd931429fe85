//! The vocabulary that a generated system-call table and its handlers share.
//!
//! Linux spreads a system call over a prototype, a row of `syscall_64.tbl`, a `SYSCALL_DEFINEn`
//! macro with casts between `long` and the argument types, and strace's own second table of how to
//! print them. Here a row and one typed function are all: the types in the function's signature
//! decode the registers ([`SyscallArg`]), print themselves in a trace, and name their C form;
//! the return type encodes the answer ([`SyscallReturn`]); and the compiler joins the function
//! with its row, through one trait per entry point that `callgate-codegen` generates.
//!
//! The crate needs neither `std` nor an allocator, so that a kernel can use it.
//!
//! # How to write a handler
//!
//! `callgate-codegen` generates the module `crate::syscalls` from the table. (What matters of it
//! stands in the first lines here, so that the example is whole: the type of the context, the
//! table's type, one trait per entry point, and the table, which names each of them.)
//!
//! ```
//! mod syscalls {
//!     pub type Context = crate::Task;
//!     pub enum SysCallTable {}
//!     pub mod entry {
//!         #[expect(non_camel_case_types)]
//!         pub trait sys_greet {
//!             type Return: callgate_abi::SyscallReturn;
//!             const HANDLER: callgate_abi::Handler<super::Context>;
//!         }
//!     }
//!     pub static ENTRY_POINTS: [callgate_abi::Handler<Context>; 1] =
//!         [<SysCallTable as entry::sys_greet>::HANDLER];
//! }
//!
//! use callgate_abi::{Errno, SYSCALL_DEFINE2, UserMemory, UserMut};
//!
//! /// What a handler acts on: here, a program's memory and nothing else.
//! pub struct Task {
//!     memory: Vec<u8>,
//! }
//!
//! impl UserMemory for Task {
//!     fn copy_from_user(&mut self, dst: &mut [u8], src: u64) -> Result<(), usize> {
//!         let from = self.memory.get(src as usize..).and_then(|m| m.get(..dst.len()));
//!         dst.copy_from_slice(from.ok_or(dst.len())?);
//!         Ok(())
//!     }
//!     fn copy_to_user(&mut self, dst: u64, src: &[u8]) -> Result<(), usize> {
//!         let to = self.memory.get_mut(dst as usize..).and_then(|m| m.get_mut(..src.len()));
//!         to.ok_or(src.len())?.copy_from_slice(src);
//!         Ok(())
//!     }
//! }
//!
//! /// greet(2): writes a greeting of at most `len` bytes to `buf` and returns how many it wrote.
//! #[SYSCALL_DEFINE2(greet)]
//! pub fn greet(task: &mut Task, buf: UserMut<u8>, len: usize) -> Result<usize, Errno> {
//!     let greeting = &b"hello\n"[..len.min(6)];
//!     buf.slice(greeting.len()).write_from(task, greeting)?;
//!     Ok(greeting.len())
//! }
//!
//! fn main() {
//!     let mut task = Task { memory: vec![0; 64] };
//!     let handler = &syscalls::ENTRY_POINTS[0];
//!     // rdi = 16, rsi = 100, as a program leaves them before `syscall`:
//!     assert_eq!((handler.call)(&mut task, &[16, 100, 0, 0, 0, 0]), 6);
//!     assert_eq!(&task.memory[16..22], b"hello\n");
//!     // A bad address is a matter of the handler, when it touches it:
//!     assert_eq!((handler.call)(&mut task, &[1 << 40, 100, 0, 0, 0, 0]), -14); // -EFAULT
//!     assert_eq!(handler.metadata().doc, "greet(2): writes a greeting of at most `len` bytes \
//!         to `buf` and returns how many it wrote.");
//! }
//! ```
//!
//! # Where things are
//!
//! - [`SyscallArg`] and its implementations: integers, [`Fd`], [`UserPtr`], [`UserMut`],
//!   [`UserStr`], [`UserAddr`]; [`impl_syscall_flags!`] and [`syscall_enum!`] for your own.
//! - [`SyscallReturn`], [`NoReturn`]: what handlers return.
//! - [`Errno`]: Linux's error numbers, their names and texts.
//! - [`Declared`]: what a C prototype says of a parameter, and which types can stand for it.
//! - [`PtRegs`]: the registers of an interrupted program, in Linux's order.
//! - [`Handler`]: what the table holds; [`Metadata`]: what is known of a call; [`Names`]: by number.
//! - [`mod@image`]: the kernel image that `callgate-codegen` assembles.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod image;

mod arg;
mod errno;
mod flags;
mod metadata;
mod names;
mod prototype;
mod regs;
mod ret;
mod show;
mod user;

pub use arg::{ArgClass, Fd, PeekMemory, SyscallArg, TracedArg};
pub use callgate_macros::{
    COND_SYSCALL, SYSCALL_DEFINE0, SYSCALL_DEFINE1, SYSCALL_DEFINE2, SYSCALL_DEFINE3, SYSCALL_DEFINE4, SYSCALL_DEFINE5,
    SYSCALL_DEFINE6,
};
pub use errno::Errno;
pub use flags::fmt_flags;
pub use metadata::{
    About, Answer, ArgList, ArgMetadata, FmtArg, FmtCType, FmtReturn, Handler, HandlerContext, Metadata, RetMetadata,
};
pub use names::Names;
pub use prototype::{Declared, Pointee};
pub use regs::PtRegs;
pub use ret::{Exited, NoReturn, NotImplemented, SyscallReturn};
pub use show::{fmt_address, fmt_quoted, fmt_string};
pub use user::{CType, UserAddr, UserMemory, UserMut, UserPtr, UserSlice, UserSliceMut, UserStr};
