//! Arrays in user memory, as a trace prints them.

use std::fmt::{Result, Write};

use callgate_abi::{TracedArg, fmt_address};
use zerocopy::{FromBytes, IntoBytes};

/// How many elements of an array a trace shows.
const SHOWN: u64 = 16;

/// Prints an array as strace does: `[a, b]`, with dots for what is not shown; the address if it can't be read.
pub(crate) fn fmt_array<T: FromBytes + IntoBytes>(
    addr: u64,
    len: u64,
    arg: &TracedArg<'_>,
    f: &mut dyn Write,
    show: impl Fn(&T, &mut dyn Write) -> Result,
) -> Result {
    let mut elements = Vec::new();
    for i in 0..len.min(SHOWN) {
        let mut element = T::new_zeroed();
        let at = addr.wrapping_add(i * size_of::<T>() as u64);
        if arg.memory.peek(at, element.as_mut_bytes()) < size_of::<T>() {
            return fmt_address(addr, f);
        }
        elements.push(element);
    }
    f.write_char('[')?;
    for (i, element) in elements.iter().enumerate() {
        f.write_str(if i > 0 { ", " } else { "" })?;
        show(element, f)?;
    }
    f.write_str(if len > SHOWN { ", ...]" } else { "]" })
}

/// How many elements there are: the next argument.
pub(crate) fn length(arg: &TracedArg<'_>) -> u64 {
    arg.next.map_or(0, |(raw, _)| raw)
}
