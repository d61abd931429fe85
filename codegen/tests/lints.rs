//! What each lint says, and what it is silent about.

use callgate_codegen::Table;
use callgate_codegen::table::{Lint, NewRow, Severity};
use expect_test::{Expect, expect};

fn table(text: &str) -> Table {
    Table::parse("t.tbl", text).unwrap_or_else(|error| panic!("{error}"))
}

/// The lint has these findings.
fn finds(lint: Lint, text: &str, expected: Expect) {
    let table = table(text);
    let mut shown = String::new();
    for one in table.lints().iter().filter(|one| one.lint == Some(lint)) {
        assert_eq!(one.severity, Severity::Warning, "{one:?}");
        shown += &one.render("t.tbl", table.source());
        shown += "\n";
    }
    expected.assert_eq(&shown);
}

/// The lint finds nothing.
fn silent(lint: Lint, text: &str) {
    let found: Vec<_> = table(text).lints().into_iter().filter(|one| one.lint == Some(lint)).collect();
    assert!(found.is_empty(), "{text}\n{found:?}");
}

#[test]
fn sys_prefix() {
    finds(
        Lint::SysPrefix,
        "0 common sys_greet sys_greet\n",
        expect![[r#"
        warning[sys_prefix]: the name `sys_greet` begins with `sys_`, and so would its constant: `__NR_sys_greet`
         --> t.tbl:1:10
          |
        1 | 0 common sys_greet sys_greet
          |          ^^^^^^^^^ the name
          |
          = help: name the call `greet`; `sys_` belongs to the entry point
    "#]],
    );
    silent(Lint::SysPrefix, "0 common sys_ sys_sys_\n");
}

#[test]
fn mismatched_entry() {
    finds(
        Lint::MismatchedEntry,
        "0 common read sys_read\n19 common readv sys_read compat_sys_readv\n# gap\n20 common pwrite sys_pwrite compat_sys_pread\n"
            .replace("19", "1")
            .replace("20", "2")
            .as_str(),
        expect![[r#"
            warning[mismatched_entry]: `sys_read` does not read like the entry point of `readv`
             --> t.tbl:2:16
              |
            2 | 1 common readv sys_read compat_sys_readv
              |                ^^^^^^^^ another name
              |
             ::: t.tbl:1:10
              |
            1 | 0 common read sys_read
              |          ---- this name goes with it
              |
              = help: write `sys_readv`, if that is meant; an entry point may have a name of its own
            warning[mismatched_entry]: `compat_sys_pread` does not read like the entry point of `pwrite`
             --> t.tbl:4:28
              |
            4 | 2 common pwrite sys_pwrite compat_sys_pread
              |                            ^^^^^^^^^^^^^^^^ another name
              |
              = help: write `compat_sys_pwrite`, if that is meant; an entry point may have a name of its own
        "#]],
    );
    silent(
        Lint::MismatchedEntry,
        "0 common umount2 sys_umount\n1 common stat sys_newstat\n2 common bdflush sys_ni_syscall\n3 common uselib\n",
    );
}

#[test]
fn reserved_number() {
    let text = "0 common a sys_a\n# don't use numbers 1 through 3: they are a neighbour's\n2 common b sys_b\n4 common c sys_c\n";
    finds(
        Lint::ReservedNumber,
        text,
        expect![[r#"
        warning[reserved_number]: the call `b` has the number 2, which a comment keeps free
         --> t.tbl:3:1
          |
        3 | 2 common b sys_b
          | ^^^^^^^^^^^^^^^^ takes the number
          |
         ::: t.tbl:2:1
          |
        2 | # don't use numbers 1 through 3: they are a neighbour's
          | ------------------------------------------------------- kept free here
          |
          = help: give it the number 5, or correct the comment
    "#]],
    );
    silent(
        Lint::ReservedNumber,
        "0 common a sys_a\n# 1 is reserved for b\n1 common reserved1 sys_ni_syscall\n2 common c sys_c\n",
    );
}

#[test]
fn x32_block() {
    let text =
        "0 common a sys_a\n# x32\n512 x32 b sys_b\n513 64 c sys_c\n514 x32 d sys_d\n# after it\n548 x32 e sys_e\n";
    finds(
        Lint::X32Block,
        text,
        expect![[r#"
        warning[x32_block]: the number 513 is within the block 512 to 547, which is x32's
         --> t.tbl:4:1
          |
        4 | 513 64 c sys_c
          | ^^^^^^^^^^^^^^ not for x32
          |
          = help: give the call the number 549
        warning[x32_block]: the number 548 is outside of the block 512 to 547, which is x32's
         --> t.tbl:7:1
          |
        7 | 548 x32 e sys_e
          | ^^^^^^^^^^^^^^^ for x32 only
          |
          = help: the block is closed: make the call `common`, which x32 programs can call too
    "#]],
    );
    silent(Lint::X32Block, "0 common a sys_a\n# another architecture\n513 common b sys_b\n514 common c sys_c\n");
}

#[test]
fn gap() {
    finds(
        Lint::Gap,
        "0 common a sys_a\n2 common b sys_b\n",
        expect![[r#"
        warning[gap]: the number 1 is free, and no comment says why
         --> t.tbl:2:1
          |
        2 | 2 common b sys_b
          | ^^^^^^^^^^^^^^^^ the gap is above this row
          |
          = help: say why by a comment in the gap, such as `# 17 is unused`, or keep a number by a row without an entry point
    "#]],
    );
    let many: String = (0..12).map(|n| format!("{} common call{n} sys_call{n}\n", n * n)).collect();
    finds(
        Lint::Gap,
        &many,
        expect![[r#"
        warning[gap]: the numbers 2..3, 5..8, 10..15, 17..24, 26..35, 37..48, 50..63, 65..80 and 2 more are free, and no comment says why
         --> t.tbl:3:1
          |
        3 | 4 common call2 sys_call2
          | ^^^^^^^^^^^^^^^^^^^^^^^^ the first gap is above this row
          |
          = help: say why by a comment in the gap, such as `# 17 is unused`, or keep a number by a row without an entry point
    "#]],
    );
    silent(Lint::Gap, "0 common a sys_a\n# 1 was c\n2 common b sys_b\n");
    silent(Lint::Gap, "0 64 a sys_a\n1 64 b sys_b\n512 x32 c sys_c\n513 x32 d sys_d\n");
    silent(Lint::Gap, "7 common a sys_a\n8 common b sys_b\n");
}

#[test]
fn lonely_abi() {
    let text = "0 common a sys_a\n1 common b sys_b\n2 comon c sys_c\n3 nios c sys_c\n4 64 d sys_d\n5 64 e sys_e\n";
    finds(
        Lint::LonelyAbi,
        text,
        expect![[r#"
        warning[lonely_abi]: no other row has the abi `comon`
         --> t.tbl:3:3
          |
        3 | 2 comon c sys_c
          |   ^^^^^ this row only
          |
          = help: did you mean `common`? If not, choose the row with `--abis comon` where it is wanted
        warning[lonely_abi]: no other row has the abi `nios`
         --> t.tbl:4:3
          |
        4 | 3 nios c sys_c
          |   ^^^^ this row only
          |
          = help: the other rows have `64` and `common`; choose this one with `--abis nios`
    "#]],
    );
    silent(
        Lint::LonelyAbi,
        "0 common a sys_a\n1 common b sys_b\n2 renameat renameat sys_renameat\n3 or1k or1k_atomic sys_or1k_atomic\n",
    );
    silent(Lint::LonelyAbi, "0 common a sys_a\n");
}

#[test]
fn duplicate_name() {
    let text = "0 common a sys_a\n1 64 a sys_a\n2 64 b sys_b\n3 32 b sys_b\n4 64 b sys_b\n5 32 c sys_c\n";
    finds(
        Lint::DuplicateName,
        text,
        expect![[r#"
        warning[duplicate_name]: the name `a` has the numbers 0 and 1
         --> t.tbl:2:6
          |
        2 | 1 64 a sys_a
          |      ^ here again
          |
         ::: t.tbl:1:10
          |
        1 | 0 common a sys_a
          |          - first here
          |
          = help: rename one of the rows, or give them abis that no program has both of
        warning[duplicate_name]: the name `b` has the numbers 2 and 4
         --> t.tbl:5:6
          |
        5 | 4 64 b sys_b
          |      ^ here again
          |
         ::: t.tbl:3:6
          |
        3 | 2 64 b sys_b
          |      - first here
          |
          = help: rename one of the rows, or give them abis that no program has both of
    "#]],
    );
}

#[test]
fn misaligned_columns() {
    let text = "0\tcommon\tread\t\t\tsys_read\n1\tcommon\twrite\t\tsys_write\n2 common open sys_open\n3\tcommon\tclose\t\t\tsys_close\n";
    finds(
        Lint::MisalignedColumns,
        text,
        expect![[r#"
        warning[misaligned_columns]: 2 of 4 rows do not stand in the table's columns
         --> t.tbl:2:17
          |
        2 | 1    common    write        sys_write
          |                             ^^^^^^^^^ at column 33; most rows have it at 41
          |
          = help: `callgate tbl fmt` brings them into line
    "#]],
    );
    silent(Lint::MisalignedColumns, &table(text).to_string());
    // Blanks that lead to the same columns are in line; a word that is too long pushes the next one.
    silent(
        Lint::MisalignedColumns,
        "0       common  a                       sys_a\n1\tcommon\ta_name_of_twenty_four_chr\tsys_a_name_of_twenty_four_chr\n2\tcommon\tb\t\t\tsys_b\n",
    );
}

#[test]
fn unsorted_abi() {
    finds(
        Lint::UnsortedAbi,
        "0 64 a sys_a\n2 x32 b sys_b\n1 common c sys_c\n",
        expect![[r#"
        warning[unsorted_abi]: the rows are not sorted for abi `x32`: 1 comes after 2
         --> t.tbl:3:1
          |
        3 | 1 common c sys_c
          | ^^^^^^^^^^^^^^^^ stands too low
          |
         ::: t.tbl:2:1
          |
        2 | 2 x32 b sys_b
          | ------------- a larger number
          |
          = help: move the row above the first one of abi `x32`, as Linux's scripts need it
    "#]],
    );
}

/// Tables that would take minutes if anything compared each row with each.
#[test]
fn time_grows_with_the_table_and_no_faster() {
    let lines = |line: &dyn Fn(usize) -> String| (0..40_000).map(line).collect::<String>();
    let hostile = [
        lines(&|n| format!("{n} abi{n} a sys_a\n")),
        lines(&|n| format!("{n} abi{} call{n} sys_b\n", n / 3 * 2 + usize::from(n % 3 == 0))),
        lines(&|n| format!("# {n} to 65000 are unused\n{n} 64 sys_{n} sys_{n}\n")),
        lines(&|n| match n {
            0..16_000 => format!("{} 32 a{n} sys_a{n}\n", n * 4),
            16_000..32_000 => format!("{} 64 a{n} sys_a{n}\n", (n - 16_000) * 4 + 2),
            _ => String::new(),
        }),
        format!("0 64 {} {}sys_a\n# {} unused\n", "_".repeat(1 << 20), "compat_".repeat(1 << 17), "1".repeat(1 << 20)),
    ];
    let start = std::time::Instant::now();
    for text in &hostile {
        let table = table(text);
        drop(table.lints());
        let greet = NewRow { name: "greet".to_owned(), ..NewRow::default() };
        drop(table.insert(&greet));
        assert_eq!(table.changes_to(&table), []);
        drop(table.to_string());
    }
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[test]
fn lints_have_names_and_descriptions() {
    for lint in Lint::ALL {
        assert_eq!(Lint::from_name(lint.name()), Some(*lint));
        assert!(lint.name().bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit()));
        assert!(!lint.description().is_empty());
    }
    assert_eq!(Lint::from_name("warnings"), None);
}
