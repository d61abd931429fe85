//! The core against the processor under it, with a fixed seed.

#![forbid(unsafe_code)]

use std::io::ErrorKind;

use callgate_silicon::{Options, run};

#[test]
fn the_core_is_the_same_as_the_processor() {
    check(Options { seed: 1, cases: 300_000, ..Options::default() });
}

#[test]
fn translated_code_is_the_same_as_the_processor() {
    check(Options { seed: 2, cases: 100_000, translated: true, loops: Some(false), ..Options::default() });
}

#[test]
fn translated_code_in_low_memory_is_too() {
    check(Options { seed: 3, cases: 100_000, translated: true, loops: Some(true), low: true, ..Options::default() });
}

#[test]
fn translated_code_that_counts_nothing_is_too() {
    check(Options {
        seed: 4,
        cases: 50_000,
        translated: true,
        loops: Some(true),
        uncounted: true,
        ..Options::default()
    });
    check(Options {
        seed: 5,
        cases: 50_000,
        translated: true,
        loops: Some(false),
        uncounted: true,
        low: true,
        ..Options::default()
    });
}

fn check(options: Options) {
    match run(&options) {
        Ok(report) => {
            println!("{report}");
            assert_eq!(report.mismatches, 0, "{report}");
            // A third are programs, of almost all codes.
            assert!(report.programs > report.cases / 4, "{report}");
            assert!(report.covered > report.claimed * 9 / 10, "{report}");
        }
        Err(error) if error.kind() == ErrorKind::Unsupported => eprintln!("skipped: {error}"),
        Err(error) => panic!("{error}"),
    }
}
