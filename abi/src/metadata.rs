//! What the table holds for each entry point.
//!
//! Linux's `sys_call_table` is an array of addresses; what ftrace and perf know of a call comes from
//! a second structure, `syscall_metadata`, that the same macro emits into another section.
//! Here [`Handler`] leads to both, because the macro emits one constant and codegen's table names it. What is known of a
//! call is a function's answer: as data it would be addresses by the thousand, which a program that can be loaded anywhere
//! works out at each start, and hardly ever reads.

use crate::arg::{ArgClass, PeekMemory, Register, SyscallArg, TracedArg};
use crate::errno::Errno;
use crate::ret::{NotImplemented, SyscallReturn};
use core::fmt;

/// How an argument is printed.
pub type FmtArg = fn(&TracedArg<'_>, &mut dyn fmt::Write) -> fmt::Result;
/// How an answer is printed.
pub type FmtReturn = fn(i64, &mut dyn fmt::Write) -> fmt::Result;
/// How a type is named in C.
pub type FmtCType = fn(&mut dyn fmt::Write) -> fmt::Result;

/// An entry of the system-call table: what to call, and what is known of it.
#[derive(Clone, Copy)]
pub struct Handler<C: ?Sized + 'static> {
    /// Decodes the six registers, runs the handler and returns what rax gets.
    pub call: fn(&mut C, &[u64; 6]) -> i64,
    /// What people call it: `write`.
    pub name: &'static str,
    /// Its entry point: `sys_write`.
    pub entry: &'static str,
    /// Its types and place.
    pub about: fn() -> About,
    /// Is there a handler, or only a place in the list of what is not implemented?
    pub implemented: bool,
}

impl<C: ?Sized + 'static> Handler<C> {
    /// What stands in the table where there is no handler: it answers -ENOSYS.
    ///
    /// `entry` is the entry point of the row, or `sys_ni_syscall` for a number without one.
    pub const fn ni(entry: &'static str) -> Self {
        fn sys_ni_syscall<C: ?Sized>(_context: &mut C, _args: &[u64; 6]) -> i64 {
            -(Errno::ENOSYS.code() as i64)
        }
        let name = match entry.as_bytes() {
            [b's', b'y', b's', b'_', ..] => entry.split_at(4).1,
            _ => entry,
        };
        Self { call: sys_ni_syscall::<C>, name, entry, about: About::ni, implemented: false }
    }

    /// The same, for a row whose name is not its entry point's: `stat` of `sys_newstat`.
    #[must_use]
    pub const fn with_name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// What its declaration says.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        let About { args, ret, file, line, doc } = (self.about)();
        Metadata { name: self.name, entry: self.entry, args, ret, file, line, doc }
    }
}

impl<C: ?Sized + 'static> fmt::Debug for Handler<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler")
            .field("entry", &self.entry)
            .field("implemented", &self.implemented)
            .finish_non_exhaustive()
    }
}

/// What a handler's declaration says, besides its names. See [`Metadata`].
#[derive(Clone, Copy)]
pub struct About {
    /// Its arguments, without the context.
    pub args: ArgList,
    /// Its answer.
    pub ret: RetMetadata,
    /// The source file of the handler.
    pub file: &'static str,
    /// The line of the handler's name.
    pub line: u32,
    /// The first line of its documentation.
    pub doc: &'static str,
}

impl About {
    /// What there is to say of an entry point without a handler: its arguments are the six registers.
    fn ni() -> Self {
        let args = ArgList::new(["arg1", "arg2", "arg3", "arg4", "arg5", "arg6"].map(ArgMetadata::of::<Register>));
        Self { args, ret: RetMetadata::of::<NotImplemented>(), file: "", line: 0, doc: "" }
    }
}

/// What a declaration says about its system call.
#[derive(Clone, Copy)]
pub struct Metadata {
    /// What people call it: `write`.
    pub name: &'static str,
    /// Its entry point: `sys_write`.
    pub entry: &'static str,
    /// Its arguments, without the context.
    pub args: ArgList,
    /// Its answer.
    pub ret: RetMetadata,
    /// The source file of the handler.
    pub file: &'static str,
    /// The line of the handler's name.
    pub line: u32,
    /// The first line of its documentation.
    pub doc: &'static str,
}

impl Metadata {
    /// Prints the call as strace does: `write(1, "Hi\n", 3)`. What the call writes to memory is
    /// printed if there is a result, and its address otherwise.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn fmt_call(
        &self,
        args: &[u64; 6],
        result: Option<i64>,
        memory: &dyn PeekMemory,
        f: &mut dyn fmt::Write,
    ) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        let mut rest = self.args.iter().zip(args).peekable();
        let mut separator = "";
        while let Some((arg, &raw)) = rest.next() {
            f.write_str(separator)?;
            separator = ", ";
            let next = rest.peek().map(|(next, raw)| (**raw, next.class));
            (arg.fmt)(&TracedArg { raw, next, result, memory }, f)?;
        }
        f.write_char(')')
    }

    /// Prints an answer as strace does after the `=`.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn fmt_result(&self, raw: i64, f: &mut dyn fmt::Write) -> fmt::Result {
        (self.ret.fmt)(raw, f)
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}:{})", self.entry, self.file, self.line)
    }
}

/// The arguments of a system call, of which there are six at most.
#[derive(Clone, Copy)]
pub struct ArgList([Option<ArgMetadata>; 6]);

impl ArgList {
    /// Of these.
    #[must_use]
    pub fn new<const N: usize>(args: [ArgMetadata; N]) -> Self {
        args.into_iter().collect()
    }

    /// All, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &ArgMetadata> + Clone {
        self.0.iter().flatten()
    }
}

impl FromIterator<ArgMetadata> for ArgList {
    /// The first six; the macro refuses more.
    fn from_iter<I: IntoIterator<Item = ArgMetadata>>(args: I) -> Self {
        let mut list = [None; 6];
        for (slot, arg) in list.iter_mut().zip(args) {
            *slot = Some(arg);
        }
        Self(list)
    }
}

/// What a declaration says about an argument.
#[derive(Clone, Copy)]
pub struct ArgMetadata {
    /// The parameter's name.
    pub name: &'static str,
    /// What kind of thing it is.
    pub class: ArgClass,
    /// Writes the type's name in C.
    pub c_type: FmtCType,
    /// The type as the argument's C prototype spells it, if it has one: `pid_t` for an `int`.
    pub declared: Option<&'static str>,
    /// Prints it as strace does.
    pub fmt: FmtArg,
}

impl ArgMetadata {
    /// The metadata of a parameter of type `T`.
    pub const fn of<T: SyscallArg>(name: &'static str) -> Self {
        Self { name, class: T::CLASS, c_type: T::c_type, declared: None, fmt: T::fmt }
    }

    /// The same, of a prototype that spells the type so.
    #[must_use]
    pub const fn declared(mut self, c_type: &'static str) -> Self {
        self.declared = Some(c_type);
        self
    }

    /// Writes its type in C: as its prototype spells it, or else as the type calls itself.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn fmt_c_type(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        match self.declared {
            Some(c_type) => f.write_str(c_type),
            None => (self.c_type)(f),
        }
    }
}

/// What is known of a handler's answer of type `R`. The macro asks the row's trait for it.
#[derive(Clone, Copy)]
pub struct Answer<R> {
    into_raw: fn(R) -> i64,
    /// What a table holds of it.
    pub metadata: RetMetadata,
}

impl<R: SyscallReturn> Answer<R> {
    /// The only one.
    pub const NEW: Self = Self { into_raw: R::into_raw, metadata: RetMetadata::of::<R>() };
}

impl<R> Answer<R> {
    /// The value for rax.
    #[inline]
    pub fn into_raw(self, answer: R) -> i64 {
        (self.into_raw)(answer)
    }
}

/// What a declaration says about its answer.
#[derive(Clone, Copy)]
pub struct RetMetadata {
    /// Writes its type in C.
    pub c_type: FmtCType,
    /// Prints it as strace does.
    pub fmt: FmtReturn,
}

impl RetMetadata {
    /// The metadata of the return type `T`.
    pub const fn of<T: SyscallReturn>() -> Self {
        Self { c_type: T::c_type, fmt: T::fmt }
    }
}

/// The type of a handler's first parameter, seen from the table's context `C`: they are the same.
///
/// The macro passes the context through it, so that another type is one error at its place.
#[diagnostic::on_unimplemented(
    message = "the context of this table's handlers is `{C}`, not `{Self}`",
    label = "has to be `{C}`",
    note = "a handler's first parameter is `&mut crate::syscalls::Context`"
)]
pub trait HandlerContext<C: ?Sized> {
    /// The same context.
    fn from_context(context: &mut C) -> &mut Self;
}

impl<C: ?Sized> HandlerContext<C> for C {
    fn from_context(context: &mut C) -> &mut Self {
        context
    }
}
