//! `SYSCALL_DEFINE0` to `SYSCALL_DEFINE6`: a typed Rust function becomes a system call's handler.
//!
//! In Linux, `SYSCALL_DEFINE3(write, unsigned int, fd, const char __user *, buf, size_t, count)`
//! makes a function of three `long`s that casts each to its type, another one that takes them from
//! `pt_regs`, and a structure for ftrace with the names and types as strings.
//!
//! Here the attribute leaves the function as it is, and implements for the table's type the trait
//! that `callgate-codegen` made of the row.
//!
//! # How to use it
//!
//! Through `callgate_abi`, which has the types that arguments and answers can have, and whose first
//! page is a whole example. The attribute's word is the row's entry point without `sys_` (a compat
//! entry point, `compat_sys_…`, is written whole); the number in the attribute's name is that of the
//! parameters after the context; the function is free-standing, anywhere in the crate:
//!
//! ```
//! # mod syscalls {
//! #     pub type Context = crate::Task;
//! #     pub enum SysCallTable {}
//! #     #[allow(non_camel_case_types)]
//! #     pub mod entry {
//! #         pub trait sys_newuname {
//! #             type Return: callgate_abi::SyscallReturn;
//! #             const HANDLER: callgate_abi::Handler<super::Context>;
//! #         }
//! #         pub trait sys_accept {
//! #             type Return: callgate_abi::SyscallReturn;
//! #             const HANDLER: callgate_abi::Handler<super::Context>;
//! #         }
//! #     }
//! # }
//! # pub struct Task;
//! # impl callgate_abi::UserMemory for Task {
//! #     fn copy_from_user(&mut self, dst: &mut [u8], _: u64) -> Result<(), usize> { Err(dst.len()) }
//! #     fn copy_to_user(&mut self, _: u64, src: &[u8]) -> Result<(), usize> { Err(src.len()) }
//! # }
//! use callgate_abi::{COND_SYSCALL, Errno, SYSCALL_DEFINE1, UserMut};
//!
//! /// uname(2): names the system.
//! #[SYSCALL_DEFINE1(newuname)]
//! pub fn uname(task: &mut Task, name: UserMut<u8>) -> Result<(), Errno> {
//!     name.slice(6).write_from(task, b"Linux\0")
//! }
//!
//! // And the rows that have no handler:
//! COND_SYSCALL! {
//!     sys_accept,
//! }
//!
//! # fn main() {
//! let handler = <syscalls::SysCallTable as syscalls::entry::sys_newuname>::HANDLER;
//! assert_eq!((handler.call)(&mut Task, &[16, 0, 0, 0, 0, 0]), -14); // this task has no memory
//! # let _ = <syscalls::SysCallTable as syscalls::entry::sys_accept>::HANDLER;
//! # }
//! ```
//!
//! # What a declaration becomes
//!
//! ```text
//! /// write(2): writes to a file descriptor.
//! #[SYSCALL_DEFINE3(write)]
//! pub fn write(task: &mut Task, fd: Fd, buf: UserPtr<u8>, count: usize) -> Result<usize> { … }
//! ```
//!
//! stays as it is, and gets beside it:
//!
//! ```
//! # mod syscalls {
//! #     pub type Context = crate::Task;
//! #     pub enum SysCallTable {}
//! #     #[allow(non_camel_case_types)]
//! #     pub mod entry {
//! #         pub trait sys_write {
//! #             type Return: callgate_abi::SyscallReturn;
//! #             const HANDLER: callgate_abi::Handler<super::Context>;
//! #         }
//! #     }
//! # }
//! # pub struct Task;
//! # type Result<T> = core::result::Result<T, callgate_abi::Errno>;
//! # use callgate_abi::{Fd, UserPtr};
//! # pub fn write(task: &mut Task, fd: Fd, buf: UserPtr<u8>, count: usize) -> Result<usize> {
//! #   let _ = (task, fd, buf); Ok(count)
//! # }
//! const _: () = {
//!     #[automatically_derived]
//!     impl crate::syscalls::entry::sys_write for crate::syscalls::SysCallTable {
//!         type Return = Result<usize>;
//!         const HANDLER: ::callgate_abi::Handler<crate::syscalls::Context> = {
//!             #[inline]
//!             const fn sys_answer<Row: crate::syscalls::entry::sys_write>()
//!             -> ::callgate_abi::Answer<Row::Return> {
//!                 ::callgate_abi::Answer::NEW
//!             }
//!             ::callgate_abi::Handler {
//!                 call: |context, args| {
//!                     sys_answer::<crate::syscalls::SysCallTable>().into_raw(write(
//!                         <Task as ::callgate_abi::HandlerContext<crate::syscalls::Context>>::from_context(context),
//!                         <Fd as ::callgate_abi::SyscallArg>::from_reg(args[0usize]),
//!                         <UserPtr<u8> as ::callgate_abi::SyscallArg>::from_reg(args[1usize]),
//!                         <usize as ::callgate_abi::SyscallArg>::from_reg(args[2usize]),
//!                     ))
//!                 },
//!                 name: "write",
//!                 entry: "sys_write",
//!                 about: || ::callgate_abi::About {
//!                     args: ::callgate_abi::ArgList::new([
//!                         ::callgate_abi::ArgMetadata::of::<Fd>("fd"),
//!                         ::callgate_abi::ArgMetadata::of::<UserPtr<u8>>("buf"),
//!                         ::callgate_abi::ArgMetadata::of::<usize>("count"),
//!                     ]),
//!                     ret: sys_answer::<crate::syscalls::SysCallTable>().metadata,
//!                     file: ::core::file!(),
//!                     line: ::core::line!(),
//!                     doc: "write(2): writes to a file descriptor.",
//!                 },
//!                 implemented: true,
//!             }
//!         };
//!     }
//! };
//! # fn main() {
//! # let handler = <syscalls::SysCallTable as syscalls::entry::sys_write>::HANDLER;
//! # assert_eq!((handler.call)(&mut Task, &[1, 0, 3, 0, 0, 0]), 3);
//! # }
//! ```
//!
//! A second handler for `sys_write` is a second implementation of its trait; a row without a handler
//! is a missing one. So the compiler joins rows and handlers, wherever in the crate they stand.
//!
//! # What is refused
//!
//! The way is `parse` → `check` → `expand`. `check` has every message that the macro itself gives;
//! after one, `fallback` emits the message with the function and an implementation that answers ENOSYS, so that
//! nothing else fails because of it. What only the compiler can know (does the type implement
//! `SyscallArg`? is the context the table's?) is left to it, with the error placed at the type and
//! the text from `callgate_abi`'s traits.
//!
//! With the environment variable `CALLGATE_ENTRIES` (which `callgate_codegen::Build` sets), a word
//! that no row has is reported with near names and with the row to add. If `Build::prototypes` named a file, the same
//! list has the C prototypes, and a handler that disagrees with its own is refused: at the closing parenthesis for a
//! missing argument, at the parameter for one too many or of another name, at the type for one that can't stand for
//! C's (`callgate_abi::Declared` says which can), leads to another structure, or writes what C declares `const`
//! (`callgate_abi::Pointee`). The message quotes the prototype with its file and line. The metadata of a handler that
//! agrees has its types as the prototype spells them: `pid_t` for an `i32`.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod check;
mod entries;
mod expand;
mod fallback;
mod parse;
mod prototype;

use proc_macro::TokenStream;

macro_rules! syscall_define {
    ($($name:ident = $n:literal, $text:literal;)*) => {$(
        #[doc = concat!("Makes a function the handler of a system call with ", $text, ".")]
        ///
        /// The attribute's word is the row's entry point without `sys_`. The function's first
        /// parameter is the context, `&mut crate::syscalls::Context`; see the
        /// [crate's documentation](crate) for the expansion.
        #[expect(non_snake_case, reason = "the name is Linux's")]
        #[proc_macro_attribute]
        pub fn $name(attribute: TokenStream, item: TokenStream) -> TokenStream {
            define($n, attribute, item)
        }
    )*};
}

syscall_define! {
    SYSCALL_DEFINE0 = 0, "no argument";
    SYSCALL_DEFINE1 = 1, "one argument";
    SYSCALL_DEFINE2 = 2, "two arguments";
    SYSCALL_DEFINE3 = 3, "three arguments";
    SYSCALL_DEFINE4 = 4, "four arguments";
    SYSCALL_DEFINE5 = 5, "five arguments";
    SYSCALL_DEFINE6 = 6, "six arguments";
}

fn define(n: usize, attribute: TokenStream, item: TokenStream) -> TokenStream {
    let input = parse::Input::new(n, attribute.into(), item.into());
    let entries = entries::Entries::from_env();
    match check::handler(&input, &entries) {
        Ok(handler) => expand::handler(&handler),
        Err(refused) => fallback::handler(input, &refused),
    }
    .into()
}

/// The list of rows that are deliberately not implemented; they answer ENOSYS.
///
/// Linux has the same list in `kernel/sys_ni.c`, where `COND_SYSCALL(accept)` makes a weak symbol
/// that a real handler overrides. Here an entry point that has a handler must leave the list:
/// otherwise both implement its trait, and the crate does not build.
///
/// The [crate's documentation](crate) has an example.
#[expect(non_snake_case, reason = "the name is Linux's")]
#[proc_macro]
pub fn COND_SYSCALL(list: TokenStream) -> TokenStream {
    let entries = entries::Entries::from_env();
    let checked = check::cond_syscall(list.into(), &entries);
    expand::cond_syscall(&checked).into()
}
