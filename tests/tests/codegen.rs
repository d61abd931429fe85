//! Where codegen's knowledge meets that of others: the `pt_regs` of abi, and the numbers in the host's C headers.

use std::collections::HashMap;
use std::ffi::OsString;
use std::mem::offset_of;
use std::path::Path;

use callgate_abi::PtRegs;
use callgate_codegen::emit::{self, Unistd};
use callgate_codegen::image::PtReg;
use callgate_codegen::{AbiFilter, Prototypes, Table};
use callgate_tests::callgate;

#[test]
fn the_image_pushes_the_pt_regs_that_handlers_see() {
    let offsets = [
        (PtReg::R15, offset_of!(PtRegs, r15)),
        (PtReg::R14, offset_of!(PtRegs, r14)),
        (PtReg::R13, offset_of!(PtRegs, r13)),
        (PtReg::R12, offset_of!(PtRegs, r12)),
        (PtReg::Bp, offset_of!(PtRegs, bp)),
        (PtReg::Bx, offset_of!(PtRegs, bx)),
        (PtReg::R11, offset_of!(PtRegs, r11)),
        (PtReg::R10, offset_of!(PtRegs, r10)),
        (PtReg::R9, offset_of!(PtRegs, r9)),
        (PtReg::R8, offset_of!(PtRegs, r8)),
        (PtReg::Ax, offset_of!(PtRegs, ax)),
        (PtReg::Cx, offset_of!(PtRegs, cx)),
        (PtReg::Dx, offset_of!(PtRegs, dx)),
        (PtReg::Si, offset_of!(PtRegs, si)),
        (PtReg::Di, offset_of!(PtRegs, di)),
        (PtReg::OrigAx, offset_of!(PtRegs, orig_ax)),
        (PtReg::Ip, offset_of!(PtRegs, ip)),
        (PtReg::Cs, offset_of!(PtRegs, cs)),
        (PtReg::Flags, offset_of!(PtRegs, flags)),
        (PtReg::Sp, offset_of!(PtRegs, sp)),
        (PtReg::Ss, offset_of!(PtRegs, ss)),
    ];
    for (register, offset) in offsets {
        assert_eq!(usize::try_from(register.offset()), Ok(offset), "{register:?}");
    }
    assert_eq!(size_of::<PtRegs>(), offsets.len() * 8);
}

/// Every number that the host's headers know is ours too: our tables may be newer, and never different.
#[test]
fn our_numbers_are_those_of_the_hosts_headers() {
    for (table, abis, header) in
        [("syscall_64.tbl", "common,64", "unistd_64.h"), ("syscall_32.tbl", "i386", "unistd_32.h")]
    {
        let candidates =
            ["/usr/include/x86_64-linux-gnu/asm", "/usr/include/asm"].map(|dir| Path::new(dir).join(header));
        let Some(theirs) = candidates.iter().find_map(|path| std::fs::read_to_string(path).ok()) else {
            eprintln!("SKIPPED: this machine has no asm/{header}");
            continue;
        };
        let table = Table::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(table));
        let table = table.unwrap_or_else(|error| panic!("{error}"));
        let options = Unistd { abis: AbiFilter::new(abis), ..Unistd::default() };
        let (ours, theirs) = (emit::unistd(&table, header, &options), numbers(&theirs));
        let ours = numbers(&ours);
        assert!(theirs.len() > 300, "{header} has {} numbers", theirs.len());
        for (name, number) in theirs {
            assert_eq!(ours.get(&name), Some(&number), "{name} of {header}");
        }
    }
}

/// The `#define __NR_name number` lines of a header.
fn numbers(header: &str) -> HashMap<String, u32> {
    let defines = header.lines().filter_map(|line| line.strip_prefix("#define __NR_")?.split_once(' '));
    let numbers = defines.filter_map(|(name, number)| Some((name.to_owned(), number.trim().parse().ok()?)));
    numbers.collect()
}

/// Handlers are held to their prototypes while they are compiled. So each has one, and none is left over.
#[test]
fn every_handler_has_a_prototype() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../syscalls.h");
    let text = std::fs::read_to_string(path).expect("the prototypes");
    let prototypes = Prototypes::parse("syscalls.h", &text).unwrap_or_else(|error| panic!("{error}"));
    let mut declared: Vec<_> = prototypes.list().iter().map(|one| one.entry.as_str()).collect();
    declared.sort_unstable();
    let handlers = callgate_kernel::syscalls::ENTRY_POINTS.iter().filter(|handler| handler.implemented);
    let mut handled: Vec<_> = handlers.map(|handler| handler.entry).collect();
    handled.sort_unstable();
    assert_eq!(handled, declared);
}

/// A program that makes calls by the wrappers of our own handlers, natively and on callgate.
#[test]
fn the_wrappers_of_our_handlers_make_calls() {
    const PROGRAM: &str = r#"
#include "wrappers.h"

int main(void)
{
	char here[256];
	if (sys_close(12345) != -1 || errno != EBADF)
		return 1;
	if (sys_getcwd(here, sizeof here) < 2 || here[0] != '/')
		return 2;
	return sys_write(1, "by name\n", 8) != 8;
}
"#;
    let dir = tempfile::tempdir().expect("a directory");
    let header = callgate::command(["gen", "wrappers", "c"]);
    assert_eq!(header.code, 0, "{header:?}");
    std::fs::write(dir.path().join("wrappers.h"), header.stdout).expect("the header");
    std::fs::write(dir.path().join("calls.c"), PROGRAM).expect("the program");
    let mut gcc = std::process::Command::new("gcc");
    gcc.current_dir(dir.path()).args([
        "-static",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        "-o",
        "calls",
        "calls.c",
    ]);
    let built = gcc.output().expect("gcc");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let program = dir.path().join("calls");
    let native = std::process::Command::new(&program).output().expect("the program runs");
    assert_eq!((native.status.code(), native.stdout.as_slice()), (Some(0), b"by name\n".as_slice()));
    let guest = callgate::command([OsString::from("run"), "--".into(), program.into()]);
    assert_eq!((guest.code, guest.stdout.as_str()), (0, "by name\n"), "{guest:?}");
}
