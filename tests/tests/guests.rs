//! Every program of `tests/guests/`, natively and on callgate: one test a guest.

#![forbid(unsafe_code)]

use callgate_tests::Guest;
use callgate_tests::compile::{Compiler, sources};

/// A test for each guest, and its name in `NAMES`. What follows `=>` says how it is run, where "without arguments"
/// isn't enough.
macro_rules! guests {
    ($module:ident, $compiler:ident: $($name:ident $(=> $set_up:expr)?,)*) => {
        mod $module {
            use super::{Compiler, Guest};

            pub(super) const NAMES: &[&str] = &[$(stringify!($name)),*];

            $(
                #[test]
                fn $name() {
                    let guest = Guest::new(Compiler::$compiler, stringify!($name));
                    $(let set_up: fn(Guest) -> Guest = $set_up; let guest = set_up(guest);)?
                    guest.check();
                }
            )*
        }
    };
}

guests! { glibc, Gcc:
    article => |guest| guest.flags(&["-O0", "-g", "-no-pie", "-static"]).ends_with(0),
    start => |guest| guest.flags(&["-O1", "-nostdlib", "-static", "-fno-stack-protector"]).args(["one", ""]).ends_with(7),
    arguments => |guest| guest.args(["one", "", "three words here", "--", "-x", "ünï"]).ends_with(7),
    auxv,
    // The C library's own work: computing, formatting, memory.
    arithmetic,
    malloc,
    math,
    numbers,
    printf_float,
    processor,
    qsort,
    setjmp,
    stdin => |guest| guest.input("the first line\n 42\nthe rest\nof it\n").ends_with(0),
    stdio,
    strings,
    // The instruction.
    instruction,
    int80 => |guest| guest.flags(&["-O2", "-static", "-no-pie"]).ends_with(5),
    // Errors.
    errno_argument,
    errno_descriptor,
    errno_fault,
    errno_other,
    errno_path,
    // Files.
    descriptors,
    devices,
    directories,
    fifo,
    links,
    modes,
    open,
    openat,
    owner_root => |guest| guest.needs_root(),
    readwrite,
    rename,
    sendfile,
    stat,
    times,
    vectored,
    // Memory.
    mmap,
    mmap_file,
    // Processes, pipes, signals.
    clone,
    exec,
    fork,
    futex,
    kill,
    pipe,
    poll,
    preempt,
    sigaction,
    sigchld,
    sigcontext,
    sigforged,
    avx_signal,
    sigfault,
    sigpipe => |guest| guest.ends_with(141),
    sigrestart,
    sigwait,
    alignment,
    anonymous,
    segments,
    just_written,
    single_step => |guest| guest.flags(&["-O2", "-static", "-no-pie"]).ends_with(0),
    stop,
    threads,
    vfork,
    wait,
    // The system.
    cputimer,
    credentials => |guest| guest.needs_root(),
    proc,
    scheduling => |guest| guest.needs_root(),
    system,
    time,
}

// The same sources with another C library: other start-up code, other calls for the same ends.
guests! { musl, Musl:
    article => |guest| guest.flags(&["-O0", "-g", "-no-pie", "-static"]),
    arguments => |guest| guest.args(["one", "", "three words here"]),
    arithmetic,
    auxv,
    devices,
    directories,
    errno_path,
    exec,
    fork,
    links,
    malloc,
    math,
    mmap,
    mmap_file,
    numbers,
    open,
    pipe,
    poll,
    printf_float,
    proc,
    qsort,
    readwrite,
    setjmp,
    sigaction,
    sigfault,
    sigpipe,
    sigwait,
    stdin => |guest| guest.input("the first line\n 42\nthe rest\nof it\n"),
    stdio,
    strings,
    time,
    times,
    vfork,
    wait,
}

// Position-independent programs, which the loader puts where it likes.
guests! { static_pie, Gcc:
    article => |guest| guest.flags(&["-O0", "-g", "-static-pie"]),
    auxv => |guest| guest.flags(&["-O2", "-static-pie"]),
    exec => |guest| guest.flags(&["-O2", "-static-pie"]),
    proc => |guest| guest.flags(&["-O2", "-static-pie"]),
    sigfault => |guest| guest.flags(&["-O2", "-static-pie"]),
    stdio => |guest| guest.flags(&["-O2", "-static-pie"]),
}

// Code that no optimiser has touched, and code that it has vectorised.
guests! { optimised, Gcc:
    arithmetic => |guest| guest.flags(&["-O0", "-static"]),
    math => |guest| guest.flags(&["-O3", "-funroll-loops", "-static"]),
    printf_float => |guest| guest.flags(&["-O3", "-mfpmath=387", "-static"]),
    qsort => |guest| guest.flags(&["-O3", "-ftree-vectorize", "-static"]),
    strings => |guest| guest.flags(&["-O0", "-static"]),
}

guests! { rust, Rust:
    everyday => |guest| guest.args(["an argument"]).ends_with(3),
    spawns,
}

/// A test for each way of `faults.c` to end, named by the fault, with the code that a shell would show.
macro_rules! faults {
    ($($name:ident $kind:literal => $code:literal,)*) => {
        mod faults {
            use super::{Compiler, Guest};

            pub(super) const KINDS: &[&str] = &[$($kind),*];

            $(
                #[test]
                fn $name() {
                    Guest::new(Compiler::Gcc, "faults").args([$kind]).ends_with($code).check();
                }
            )*
        }
    };
}

faults! {
    null_write "null-write" => 139,
    null_read "null-read" => 139,
    null_call "null-call" => 139,
    undefined_instruction "ud2" => 132,
    division_by_zero "divide-by-zero" => 136,
    division_overflow "divide-overflow" => 136,
    abort "abort" => 134,
    executing_data "no-exec" => 139,
    executing_the_stack "stack-exec" => 139,
    writing_constants "write-rodata" => 139,
    writing_code "write-text" => 139,
    stack_overflow "stack-overflow" => 139,
    breakpoint "int3" => 133,
    interrupt_1 "int-1" => 139,
    int1_has_no_gate "int1" => 133,
    interrupt_13 "int-13" => 139,
    hlt_is_privileged "hlt" => 139,
    cli_is_privileged "cli" => 139,
    in_is_privileged "in" => 139,
    rdmsr_is_privileged "rdmsr" => 139,
    swapgs_is_privileged "swapgs" => 139,
    control_registers_are_privileged "mov-cr0" => 139,
    sysret_is_privileged "sysret" => 139,
    noncanonical_address "noncanonical" => 139,
    noncanonical_stack "noncanonical-stack" => 135,
    reading_the_kernel "kernel-read" => 139,
    jumping_into_the_kernel "kernel-jump" => 139,
    misaligned_sse "misaligned-sse" => 139,
    no_access "prot-none" => 139,
    unmapped_page "unmapped" => 139,
    beyond_the_end_of_a_file "beyond-file" => 135,
    simd_exception "simd-exception" => 136,
    x87_exception "x87-exception" => 136,
    single_step "trap-flag" => 133,
    killed_by_itself "kill-self" => 137,
    terminated_by_itself "term-self" => 143,
    user_signal "usr1-self" => 138,
    blocked_and_ignored_fault "blocked-fault" => 139,
    exit_code_of_eight_bits "exit-300" => 44,
}

/// A guest that no test names would never run.
#[test]
fn every_guest_has_a_test() {
    let named = [glibc::NAMES, musl::NAMES, static_pie::NAMES, optimised::NAMES, rust::NAMES].concat();
    for entry in std::fs::read_dir(sources()).expect("the guests") {
        let path = entry.expect("a guest").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let is_source = path.extension().is_some_and(|extension| extension == "c" || extension == "rs");
        // `faults` has its own list, the others are cli.rs's.
        if is_source && !["faults", "random", "cat"].contains(&stem) {
            assert!(named.contains(&stem), "tests/guests.rs names no test for {}", path.display());
        }
    }
    let faults = std::fs::read_to_string(sources().join("faults.c")).expect("faults.c");
    for kind in faults.split("!strcmp(kind, \"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(faults::KINDS.contains(&kind), "tests/guests.rs names no test for the fault {kind}");
    }
}
