//! A program's calls, and what is generated besides the dispatch.

use callgate_abi::Errno;
use tinykernel::syscalls::{self, nr};
use tinykernel::{Machine, UNISTD_H};

fn failed(errno: Errno) -> i64 {
    -i64::from(errno.code())
}

#[test]
fn calls_are_dispatched_by_number() {
    let mut machine = Machine::new();
    machine.memory[100..105].copy_from_slice(b"hello");
    assert_eq!(machine.syscall(nr::__NR_print.into(), &[100, 5, 0, 0, 0, 0]), 5);
    assert_eq!(&machine.screen, b"hello           ");
    assert_eq!(machine.syscall(nr::__NR_led.into(), &[3, 1, 0, 0, 0, 0]), 0);
    assert_eq!(machine.leds, 0b1000);
    assert_eq!(machine.syscall(nr::__NR_uptime.into(), &[8, 0, 0, 0, 0, 0]), 0);
    assert_eq!(machine.memory[8], 3);
    machine.syscall(nr::__NR_halt.into(), &[42, 0, 0, 0, 0, 0]);
    assert_eq!(machine.halted, Some(42));
}

#[test]
fn errors_of_its_own_become_error_numbers() {
    let mut machine = Machine::new();
    assert_eq!(machine.syscall(0, &[250, 16, 0, 0, 0, 0]), failed(Errno::EFAULT));
    assert_eq!(machine.syscall(1, &[4, 1, 0, 0, 0, 0]), failed(Errno::ENODEV));
    assert_eq!(machine.syscall(2, &[u64::MAX, 0, 0, 0, 0, 0]), failed(Errno::EFAULT));
    for number in [3, 5, u64::MAX] {
        assert_eq!(machine.syscall(number, &[0; 6]), failed(Errno::ENOSYS), "{number}");
    }
}

#[test]
fn a_call_is_traced_by_its_types() {
    let mut machine = Machine::new();
    machine.memory[16..19].copy_from_slice(b"Hi\n");
    let mut text = String::new();
    let trace = |number, registers: &[u64; 6], text: &mut String| {
        syscalls::lookup(number).metadata().fmt_call(registers, None, &machine, text)
    };
    trace(0, &[16, 3, 0, 0, 0, 0], &mut text).expect("strings take everything");
    trace(1, &[2, 1, 0, 0, 0, 0], &mut text).expect("strings take everything");
    assert_eq!(text, r#"print("Hi\n", 3)led(LED2, true)"#);
}

#[test]
fn the_header_has_the_numbers() {
    assert!(UNISTD_H.contains("#define __NR_beep 3\n#define __NR_halt 4\n"));
    assert!(UNISTD_H.contains("#define __NR_syscalls 5\n"));
}
