//! The list of error numbers is Linux's, whole.

use callgate_abi::Errno;
use std::collections::BTreeMap;

/// What `#define NAME NUMBER` lines of the C headers say.
fn from_headers() -> Option<BTreeMap<u16, String>> {
    let mut defined = BTreeMap::new();
    for file in ["errno-base.h", "errno.h"] {
        let text = std::fs::read_to_string(format!("/usr/include/asm-generic/{file}")).ok()?;
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            if let ["#define", name, number, ..] = words[..]
                && let Ok(number) = number.parse()
            {
                defined.insert(number, name.to_owned());
            }
        }
    }
    Some(defined)
}

#[test]
fn names_and_numbers_are_those_of_the_headers() {
    let Some(defined) = from_headers() else {
        eprintln!("no C headers here: not compared");
        return;
    };
    let ours = Errno::ALL.iter().filter(|errno| errno.code() < 512);
    let ours: BTreeMap<_, _> = ours.map(|errno| (errno.code(), errno.name().unwrap().to_owned())).collect();
    assert_eq!(ours, defined);
}

macro_rules! same_as_linux_raw_sys {
    ($($name:ident)*) => {
        $(assert_eq!(u32::from(Errno::$name.code()), linux_raw_sys::errno::$name);)*
    };
}

#[test]
fn other_names_are_the_same_numbers() {
    same_as_linux_raw_sys!(EPERM EAGAIN EWOULDBLOCK EDEADLK EDEADLOCK EOPNOTSUPP ENOSYS EHWPOISON);
}

#[test]
fn raw_answers_are_errors_from_minus_one_to_minus_4095() {
    assert_eq!(Errno::from_raw(-1), Some(Errno::EPERM));
    assert_eq!(Errno::from_raw(-4095), Some(Errno::new(4095)));
    for raw in [0, 1, -4096, i64::MIN, i64::MAX] {
        assert_eq!(Errno::from_raw(raw), None);
    }
}
