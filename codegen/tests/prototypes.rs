//! C prototypes: what is read from a file that has everything, what is said of wrong ones, and that reading takes time
//! linear in the file's size.
//!
//! `UPDATE_EXPECT=1 cargo test -p callgate-codegen` writes the texts in `bad_prototypes/` anew.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use callgate_codegen::{Prototypes, emit};
use expect_test::{expect, expect_file};

fn parse(text: &str) -> Prototypes {
    Prototypes::parse("syscalls.h", text).unwrap_or_else(|error| panic!("{error}"))
}

fn printed(prototypes: &Prototypes) -> String {
    prototypes.list().iter().map(|one| format!("{}: {one}\n", one.entry.span.line)).collect()
}

#[test]
fn everything_that_may_stand_in_a_file() {
    let text = "\
/* SPDX: a comment; with (an) asmlinkage long sys_no(int a); */
#ifndef A
#define WIDE(a) \\
\tsys_wide(a);
struct stat; union bpf_attr;
enum which;;
// sys_line(int a);
asmlinkage long sys_none(void);
asmlinkage long sys_write ( unsigned  int fd,
\t\tconst char __user * buf /* what */,
\t\tsize_t count ) ;
asmlinkage long
sys_pipe(int __user fildes[2]);
asmlinkage long sys_ioperm(unsigned long, unsigned long, int);
long sys_execve(const char __user *filename, const char __user *const __user *argv, struct pt_regs *);
asmlinkage \\\nlong sys_continued(umode_t m);
unsigned char __user *sys_empty();
#endif
";
    expect![[r#"
        8: asmlinkage long sys_none(void);
        9: asmlinkage long sys_write(unsigned int fd, const char __user *buf, size_t count);
        13: asmlinkage long sys_pipe(int __user *fildes);
        14: asmlinkage long sys_ioperm(unsigned long, unsigned long, int);
        15: long sys_execve(const char __user *filename, const char __user *const __user *argv, struct pt_regs *);
        17: asmlinkage long sys_continued(umode_t m);
        18: unsigned char __user *sys_empty(void);
    "#]]
    .assert_eq(&printed(&parse(text)));
    assert!(parse("").list().is_empty());
}

#[test]
fn what_is_printed_reads_the_same() {
    let all = parse("long sys_a(int a, char *b, struct c __user *const d[]);\nasmlinkage long sys_b(void *);\n");
    let text: String = all.list().iter().map(|one| format!("{one}\n")).collect();
    assert_eq!(parse(&text).list(), all.list());
}

#[test]
fn what_the_handlers_types_give_is_read_again() {
    let arg = |c_type: &str, name: &str| emit::Argument { name: name.to_owned(), c_type: c_type.to_owned() };
    let call = emit::Syscall {
        name: "write".to_owned(),
        entry: "sys_write".to_owned(),
        args: vec![
            arg("unsigned int", "fd"),
            arg("struct a __user *", "b"),
            arg("const char __user *const __user *", "c"),
        ],
        implemented: true,
        ..emit::Syscall::default()
    };
    let header = emit::prototypes(&emit::Reference { table: "t.tbl".to_owned(), calls: vec![call] });
    let read = parse(&header);
    assert_eq!(header.lines().last(), read.list().first().map(ToString::to_string).as_deref());
}

#[test]
fn a_wrong_file_says_where_and_what_and_what_to_do() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_prototypes");
    let entries = fs::read_dir(&dir).expect("the directory of wrong files").flatten();
    let mut files: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "h")).collect();
    files.sort();
    assert!(files.len() >= 20);
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(&path).expect("a wrong file");
        let error = Prototypes::from_bytes(name.as_str(), &bytes).expect_err(&name);
        for diagnostic in error.diagnostics() {
            assert!(!diagnostic.message.is_empty() && !diagnostic.help.is_empty(), "{name}");
        }
        expect_file![path.with_extension("txt")].assert_eq(&format!("{error}\n"));
    }
}

#[test]
fn reading_is_linear() {
    let long = |text: &str| text.repeat(200_000 / text.len());
    let texts = [
        "asmlinkage long sys_a(int a);\n",
        "/*",
        "/*;",
        "(",
        ")",
        "#\\\n",
        "a ",
        "*",
        "a(",
        "a(b,",
        "[",
        "\"",
        "//;\n",
        "struct ",
        ";",
        "\\\n",
    ];
    for text in texts {
        let (start, text_of_it) = (Instant::now(), long(text));
        let _ = Prototypes::parse("long.h", &text_of_it);
        // Debug builds of pest read about a megabyte a second; a quadratic reader would need an hour.
        assert!(start.elapsed() < Duration::from_secs(60), "{text:?}: {:?}", start.elapsed());
    }
}
