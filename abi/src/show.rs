//! Memory as strace prints it.
//!
//! strace quotes strings with C's escapes, octal where C has none, prints at most 32 bytes of a
//! buffer and dots after it, NULL for a null pointer, and the address where memory can't be read.

use crate::arg::PeekMemory;
use core::fmt;

/// How much of a buffer is printed.
const BUFFER_LIMIT: usize = 32;
/// How long a path can be, with its NUL: Linux's PATH_MAX.
const PATH_MAX: usize = 4096;
/// How much is read at once.
const CHUNK: usize = 64;

/// Prints an address: `NULL` or hexadecimal.
pub fn fmt_address(addr: u64, f: &mut dyn fmt::Write) -> fmt::Result {
    match addr {
        0 => f.write_str("NULL"),
        _ => write!(f, "{addr:#x}"),
    }
}

/// Prints the `len` bytes at `addr` in quotes, at most 32 of them.
pub fn fmt_quoted(addr: u64, len: u64, memory: &dyn PeekMemory, f: &mut dyn fmt::Write) -> fmt::Result {
    if addr == 0 {
        return fmt_address(addr, f);
    }
    let shown = usize::try_from(len).map_or(BUFFER_LIMIT, |len| len.min(BUFFER_LIMIT));
    let mut buf = [0; BUFFER_LIMIT];
    if memory.peek(addr, &mut buf[..shown]) < shown {
        return fmt_address(addr, f);
    }
    f.write_char('"')?;
    escape(&buf[..shown], None, f)?;
    f.write_char('"')?;
    if len > shown as u64 { f.write_str("...") } else { Ok(()) }
}

/// Prints the string at `addr`, up to its NUL.
pub fn fmt_string(addr: u64, memory: &dyn PeekMemory, f: &mut dyn fmt::Write) -> fmt::Result {
    // Whether the string can be read to its end decides how it begins: find the end first.
    let Some(len) = string_len(addr, memory).filter(|_| addr != 0) else {
        return fmt_address(addr, f);
    };
    f.write_char('"')?;
    let mut buf = [0; CHUNK + 1];
    for start in (0..len).step_by(CHUNK) {
        // One byte more than is printed: how a byte is escaped depends on the next one.
        let wanted = (len - start).min(CHUNK + 1);
        if memory.peek(addr.wrapping_add(start as u64), &mut buf[..wanted]) < wanted {
            break;
        }
        let shown = wanted.min(CHUNK);
        escape(&buf[..shown], (wanted > shown).then_some(buf[shown]), f)?;
    }
    f.write_char('"')?;
    if len == PATH_MAX { f.write_str("...") } else { Ok(()) }
}

/// The length without NUL, at most PATH_MAX; none if the memory ends before.
fn string_len(addr: u64, memory: &dyn PeekMemory) -> Option<usize> {
    let mut buf = [0; CHUNK];
    for start in (0..PATH_MAX).step_by(CHUNK) {
        let read = memory.peek(addr.wrapping_add(start as u64), &mut buf);
        if let Some(at) = buf[..read.min(CHUNK)].iter().position(|&byte| byte == 0) {
            return Some(start + at);
        }
        if read < CHUNK {
            return None;
        }
    }
    Some(PATH_MAX)
}

/// Writes bytes with C's escapes; `after` is the byte that follows them, if it will be printed.
fn escape(bytes: &[u8], after: Option<u8>, f: &mut dyn fmt::Write) -> fmt::Result {
    for (i, &byte) in bytes.iter().enumerate() {
        let next = bytes.get(i + 1).copied().or(after);
        match byte {
            b'"' => f.write_str("\\\"")?,
            b'\\' => f.write_str("\\\\")?,
            b'\n' => f.write_str("\\n")?,
            b'\t' => f.write_str("\\t")?,
            b'\r' => f.write_str("\\r")?,
            0x0b => f.write_str("\\v")?,
            0x0c => f.write_str("\\f")?,
            b' '..=b'~' => f.write_char(char::from(byte))?,
            // C takes up to three octal digits: all three, if a digit follows that isn't meant.
            _ if next.is_some_and(|next| next.is_ascii_digit()) => write!(f, "\\{byte:03o}")?,
            _ => write!(f, "\\{byte:o}")?,
        }
    }
    Ok(())
}
