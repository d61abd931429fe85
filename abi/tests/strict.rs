//! A crate that forbids `unsafe` and denies every warning can declare handlers.
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    warnings,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    elided_lifetimes_in_paths,
    single_use_lifetimes,
    clippy::all,
    clippy::pedantic
)]

/// The generated file's shape.
mod syscalls {
    pub(crate) type Context = crate::Task;
    pub(crate) enum SysCallTable {}
    pub(crate) mod entry {
        #![expect(non_camel_case_types)]
        macro_rules! entries {
            ($($entry:ident: $bound:ident,)*) => {$(
                pub(crate) trait $entry {
                    type Return: callgate_abi::$bound;
                    const HANDLER: callgate_abi::Handler<crate::syscalls::Context>;
                }
            )*};
        }
        entries! {
            sys_none: SyscallReturn,
            sys_one: SyscallReturn,
            sys_two: SyscallReturn,
            sys_three: SyscallReturn,
            sys_four: SyscallReturn,
            sys_five: SyscallReturn,
            sys_six: SyscallReturn,
            sys_leave: NoReturn,
            sys_gone: NoReturn,
            sys_hidden: SyscallReturn,
            sys_seven: SyscallReturn,
            compat_sys_one: SyscallReturn,
            sys_absent: SyscallReturn,
            sys_absent_exit: NoReturn,
        }
    }
    pub(crate) static ENTRY_POINTS: &[callgate_abi::Handler<Context>] = &[
        <SysCallTable as entry::sys_none>::HANDLER,
        <SysCallTable as entry::sys_one>::HANDLER,
        <SysCallTable as entry::sys_two>::HANDLER,
        <SysCallTable as entry::sys_three>::HANDLER,
        <SysCallTable as entry::sys_four>::HANDLER,
        <SysCallTable as entry::sys_five>::HANDLER,
        <SysCallTable as entry::sys_six>::HANDLER,
        <SysCallTable as entry::sys_leave>::HANDLER,
        <SysCallTable as entry::sys_gone>::HANDLER,
        <SysCallTable as entry::sys_seven>::HANDLER,
        <SysCallTable as entry::compat_sys_one>::HANDLER,
        <SysCallTable as entry::sys_hidden>::HANDLER,
        <SysCallTable as entry::sys_absent>::HANDLER,
        <SysCallTable as entry::sys_absent_exit>::HANDLER,
    ];

    pub(crate) fn handler(entry: &str) -> &'static callgate_abi::Handler<Context> {
        ENTRY_POINTS.iter().find(|handler| handler.entry == entry).unwrap()
    }
}

/// The context.
pub(crate) struct Task {
    last: i64,
}

/// Handlers anywhere in the crate, with or without `pub`, whatever is imported there.
mod fs {
    use crate::Task;
    use callgate_abi::{
        Errno, Exited, Fd, SYSCALL_DEFINE0, SYSCALL_DEFINE1, SYSCALL_DEFINE2, SYSCALL_DEFINE3, SYSCALL_DEFINE4,
        SYSCALL_DEFINE5, SYSCALL_DEFINE6, UserAddr, UserMut, UserPtr, UserStr,
    };

    type Result<T> = core::result::Result<T, Errno>;

    #[SYSCALL_DEFINE0(none)]
    const fn none(task: &mut Task) -> i64 {
        task.last
    }

    /// one(2): remembers a number.
    ///
    /// More is not in the metadata.
    #[SYSCALL_DEFINE1(one)]
    pub(crate) fn one(task: &mut Task, value: i32) -> Result<()> {
        if value < 0 {
            return Err(Errno::EINVAL);
        }
        task.last = i64::from(value);
        Ok(())
    }

    #[SYSCALL_DEFINE2(two)]
    fn args(context: &mut Task, _args: u8, mut call: i16) -> i16 {
        call += 1;
        context.last = i64::from(call);
        call
    }

    #[SYSCALL_DEFINE3(three)]
    fn three(task: &mut Task, fd: Fd, buf: UserPtr<u8>, count: usize) -> Result<usize> {
        task.last = i64::from(fd.0);
        if buf.is_null() { Err(Errno::EFAULT) } else { Ok(count) }
    }

    #[SYSCALL_DEFINE4(four)]
    fn four(_task: &mut Task, _a: bool, b: UserStr, _c: UserMut<u64>, r#type: u16) -> UserAddr {
        let _ = r#type;
        UserAddr(b.addr())
    }

    #[SYSCALL_DEFINE5(five)]
    fn five(_task: &mut Task, byte: i8, short: i16, int: i32, long: i64, size: isize) -> i64 {
        i64::from(byte) + i64::from(short) + i64::from(int) + long + i64::try_from(size).unwrap_or(0)
    }

    #[SYSCALL_DEFINE6(six)]
    fn six(task: &mut Task, byte: u8, short: u16, int: u32, long: u64, size: usize, fd: Fd) -> Result<u64> {
        let size = u64::try_from(size).map_err(|_| Errno::EOVERFLOW)?;
        task.last = i64::from(fd.0);
        Ok(u64::from(byte) + u64::from(short) + u64::from(int) + long + size)
    }

    #[SYSCALL_DEFINE1(leave)]
    fn leave(_task: &mut Task, status: i32) -> ! {
        panic!("left with {status}")
    }

    #[SYSCALL_DEFINE0(gone)]
    const fn gone(_task: &mut Task) -> Exited {
        Exited
    }

    #[SYSCALL_DEFINE0(hidden)]
    #[cfg(any())]
    fn hidden(_task: &mut Task) -> i32 {
        0
    }

    /// Types from a `macro_rules!` come in invisible groups.
    macro_rules! from_a_macro {
        ($name:ident, $context:ty, $arg:ty, $ret:ty) => {
            #[SYSCALL_DEFINE1($name)]
            fn $name(task: &mut $context, arg: $arg) -> $ret {
                task.last += 1;
                <$ret>::from(arg)
            }
        };
    }
    from_a_macro!(seven, Task, u8, i64);

    #[SYSCALL_DEFINE1(compat_sys_one)]
    fn compat_one(task: &mut Task, value: i32) -> Result<()> {
        one(task, value)
    }
}

callgate_abi::syscall_enum! {
    /// Where lseek counts from.
    pub(crate) struct Whence: u32, "unsigned int" {
        SEEK_SET = 0,
        SEEK_CUR = 1,
    }
}

callgate_abi::COND_SYSCALL! {
    sys_absent,
    sys_absent_exit,
    sys_hidden, // its handler is not compiled
}

fn call(entry: &str, args: [u64; 6]) -> (i64, i64) {
    let mut task = Task { last: 7 };
    ((syscalls::handler(entry).call)(&mut task, &args), task.last)
}

#[test]
fn handlers_of_every_arity_get_their_registers() {
    assert_eq!(call("sys_none", [0; 6]), (7, 7));
    assert_eq!(call("sys_one", [5, 0, 0, 0, 0, 0]), (0, 5));
    assert_eq!(call("sys_two", [1, 41, 0, 0, 0, 0]), (42, 42));
    assert_eq!(call("sys_three", [3, 0x1000, 9, 0, 0, 0]), (9, 3));
    assert_eq!(call("sys_three", [3, 0, 9, 0, 0, 0]), (-14, 3));
    assert_eq!(call("sys_four", [0, 0x7fff, 0, 0, 0, 0]).0, 0x7fff);
    assert_eq!(call("sys_five", [1, 2, 3, 4, 5, 99]).0, 15);
    assert_eq!(call("sys_six", [1, 2, 3, 4, 5, 6]), (15, 6));
    assert_eq!(call("sys_seven", [0x107, 0, 0, 0, 0, 0]), (7, 8));
    assert_eq!(<Whence as callgate_abi::SyscallArg>::from_reg(1 << 32 | 1), Whence::SEEK_CUR);
    assert_eq!(call("sys_gone", [0; 6]).0, 0);
    assert_eq!(call("compat_sys_one", [8, 0, 0, 0, 0, 0]), (0, 8));
}

#[test]
fn arguments_are_cut_to_their_type() {
    let all = u64::MAX;
    assert_eq!(call("sys_one", [0x1234_5678_0000_0001, 0, 0, 0, 0, 0]), (0, 1));
    assert_eq!(call("sys_one", [0xffff_ffff, 0, 0, 0, 0, 0]).0, -22);
    assert_eq!(call("sys_five", [all; 6]).0, -5);
    assert_eq!(call("sys_six", [all, all, all, 0, 0, all]).0, 0xff + 0xffff + 0xffff_ffff);
    assert_eq!(call("sys_six", [0, 0, 0, 0, 0, all]).1, -1);
}

#[test]
fn the_list_answers_enosys() {
    for entry in ["sys_absent", "sys_absent_exit"] {
        assert_eq!(call(entry, [1; 6]).0, -38);
        assert!(!syscalls::handler(entry).implemented);
    }
    assert!(syscalls::handler("sys_one").implemented);
}

#[test]
fn metadata_comes_from_the_declaration() {
    let one = &syscalls::handler("sys_one").metadata();
    assert_eq!((one.name, one.entry), ("one", "sys_one"));
    assert_eq!(one.doc, "one(2): remembers a number.");
    assert!(one.file.ends_with("strict.rs"));
    let line = include_str!("strict.rs").lines().nth(one.line as usize - 1);
    assert!(line.is_some_and(|line| line.contains("fn one")), "{line:?}");

    let four = syscalls::handler("sys_four").metadata().args;
    assert!(four.iter().map(|arg| arg.name).eq(["a", "b", "c", "type"]));
    assert_eq!(syscalls::handler("sys_none").metadata().args.iter().count(), 0);
}
