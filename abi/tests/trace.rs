//! Calls print as strace prints them.

use callgate_abi::{
    ArgMetadata, Errno, Fd, Metadata, PeekMemory, RetMetadata, SyscallArg, SyscallReturn, UserAddr, UserMut, UserPtr,
    UserStr,
};
use std::fmt::Write;

/// A few bytes at 0x1000; after them, nothing.
struct Memory(&'static [u8]);

impl PeekMemory for Memory {
    fn peek(&self, addr: u64, buf: &mut [u8]) -> usize {
        let start = addr.checked_sub(0x1000).map_or(usize::MAX, |start| start as usize);
        let there = self.0.get(start..).unwrap_or_default();
        let len = there.len().min(buf.len());
        buf[..len].copy_from_slice(&there[..len]);
        len
    }
}

fn metadata(args: &'static [ArgMetadata], ret: RetMetadata) -> Metadata {
    let args = args.iter().copied().collect();
    Metadata { name: "call", entry: "sys_call", args, ret, file: file!(), line: line!(), doc: "" }
}

fn printed(args: &'static [ArgMetadata], raw: &[u64], result: Option<i64>, memory: &'static [u8]) -> String {
    let mut registers = [0; 6];
    registers[..raw.len()].copy_from_slice(raw);
    let mut text = String::new();
    metadata(args, RetMetadata::of::<Result<usize, Errno>>())
        .fmt_call(&registers, result, &Memory(memory), &mut text)
        .unwrap();
    text
}

const WRITE: &[ArgMetadata] =
    &[ArgMetadata::of::<Fd>("fd"), ArgMetadata::of::<UserPtr<u8>>("buf"), ArgMetadata::of::<usize>("count")];
const READ: &[ArgMetadata] =
    &[ArgMetadata::of::<Fd>("fd"), ArgMetadata::of::<UserMut<u8>>("buf"), ArgMetadata::of::<usize>("count")];
const OPENAT: &[ArgMetadata] = &[ArgMetadata::of::<Fd>("dfd"), ArgMetadata::of::<UserStr>("path")];

#[test]
fn a_buffer_that_is_read_prints_its_contents() {
    assert_eq!(printed(WRITE, &[1, 0x1000, 3], None, b"Hi\n"), r#"call(1, "Hi\n", 3)"#);
    assert_eq!(printed(WRITE, &[1, 0x1000, 0], None, b""), r#"call(1, "", 0)"#);
    assert_eq!(printed(WRITE, &[1, 0x1000, 40], None, &[b'a'; 64]), format!(r#"call(1, "{}"..., 40)"#, "a".repeat(32)));
    assert_eq!(printed(WRITE, &[1, 0x1000, 4], None, b"Hi\n"), "call(1, 0x1000, 4)");
    assert_eq!(printed(WRITE, &[1, 16, u64::MAX], None, b""), "call(1, 0x10, 18446744073709551615)");
    assert_eq!(printed(WRITE, &[1, 0, 3], None, b""), "call(1, NULL, 3)");
}

#[test]
fn a_buffer_that_is_written_prints_what_the_call_wrote() {
    assert_eq!(printed(READ, &[0, 0x1000, 99], Some(2), b"Hi\n"), r#"call(0, "Hi", 99)"#);
    assert_eq!(printed(READ, &[0, 0x1000, 99], Some(0), b"Hi\n"), r#"call(0, "", 99)"#);
    assert_eq!(printed(READ, &[0, 0x1000, 99], Some(-14), b"Hi\n"), "call(0, 0x1000, 99)");
    assert_eq!(printed(READ, &[0, 0x1000, 99], None, b"Hi\n"), "call(0, 0x1000, 99)");
}

#[test]
fn strings_print_whole_with_c_escapes() {
    let at_fdcwd = i64::from(-100).cast_unsigned();
    assert_eq!(printed(OPENAT, &[at_fdcwd, 0x1000], None, b"/etc\0"), r#"call(AT_FDCWD, "/etc")"#);
    assert_eq!(
        printed(OPENAT, &[3, 0x1000], None, b"\"\\\t\x01\x017\xff9\x0b\0"),
        r#"call(3, "\"\\\t\1\0017\3779\v")"#
    );
    // Longer than what is read at once, with an escape that the next chunk decides.
    const LONG: &[u8] = b"0123456789012345678901234567890123456789012345678901234567890123456789\0";
    assert!(printed(OPENAT, &[3, 0x1000], None, LONG).contains("0123456789\")"));
    const SPLIT: &[u8] = b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x017\0";
    assert!(printed(OPENAT, &[3, 0x1000], None, SPLIT).ends_with(r#"a\0017")"#));
    assert_eq!(printed(OPENAT, &[3, 0x1000], None, b"no end"), "call(3, 0x1000)");
    assert_eq!(printed(OPENAT, &[3, 0], None, b""), "call(3, NULL)");
    let endless: &'static [u8] = &[b'x'; 5000];
    assert!(printed(OPENAT, &[3, 0x1000], None, endless).ends_with("x\"...)"));
}

fn answer<R: SyscallReturn>(value: R) -> String {
    let mut text = String::new();
    R::fmt(value.into_raw(), &mut text).unwrap();
    text
}

#[test]
fn answers_print_as_strace_prints_them() {
    type Result<T> = std::result::Result<T, Errno>;
    assert_eq!(answer(Result::Ok(3usize)), "3");
    assert_eq!(answer(Result::<()>::Ok(())), "0");
    assert_eq!(answer(Result::<Fd>::Err(Errno::ENOENT)), "-1 ENOENT (No such file or directory)");
    assert_eq!(
        answer(Result::<usize>::Err(Errno::ERESTARTSYS)),
        "? ERESTARTSYS (To be restarted if SA_RESTART is set)"
    );
    assert_eq!(answer(Result::Ok(UserAddr(0x7fff_0000_0000))), "0x7fff00000000");
    assert_eq!(answer(Result::<UserAddr>::Err(Errno::ENOMEM)), "-1 ENOMEM (Cannot allocate memory)");
    assert_eq!(answer(Result::<()>::Err(Errno::new(4000))), "-1 errno 4000 (Unknown error)");
    assert_eq!(answer(-7i32), "-7");
    assert_eq!(answer(callgate_abi::Exited), "?");
}

fn c_type<T: SyscallArg>() -> String {
    let mut text = String::new();
    T::c_type(&mut text).unwrap();
    text
}

struct Stat;

impl callgate_abi::CType for Stat {
    const NAME: &'static str = "struct stat";
}

#[test]
fn types_have_their_names_in_c() {
    assert_eq!(c_type::<Fd>(), "unsigned int");
    assert_eq!(c_type::<usize>(), "size_t");
    assert_eq!(c_type::<UserPtr<u8>>(), "const char __user *");
    assert_eq!(c_type::<UserMut<Stat>>(), "struct stat __user *");
    assert_eq!(c_type::<UserStr>(), "const char __user *");
    assert_eq!(c_type::<UserPtr<UserStr>>(), "const char __user *const __user *");
    assert_eq!(c_type::<UserMut<core::ffi::c_void>>(), "void __user *");
}

#[test]
fn a_number_without_handler_prints_the_registers() {
    let metadata = callgate_abi::Handler::<()>::ni("sys_uselib").metadata();
    let mut text = String::new();
    metadata.fmt_call(&[1, 0, 0x20, 3, 4, 5], None, &(), &mut text).unwrap();
    text.write_str(" = ").unwrap();
    metadata.fmt_result(-38, &mut text).unwrap();
    assert_eq!(text, "uselib(0x1, NULL, 0x20, 0x3, 0x4, 0x5) = -1 ENOSYS (Function not implemented)");
}
