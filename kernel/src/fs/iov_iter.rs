//! Linux: `lib/iov_iter.c`. A read or write sees its caller's buffers as one stream of bytes, whatever they are.
//!
//! We: the buffers are segments of the calling task's memory, or bytes of the kernel's own (execve reading a header,
//! sendfile). A copy that meets an unmapped page is short; the file operation then returns what it has moved, or EFAULT if
//! that is nothing, as Linux's do.

use callgate_abi::{Errno, UserMemory};
use callgate_uapi::uio::Iovec;

use crate::{Result, Task};

/// The bytes behind an [`IovIter`].
enum Data<'a> {
    User { one: [Iovec; 1], many: Vec<Iovec> },
    Source(&'a [u8]),
    Sink(&'a mut [u8]),
}

/// A stream over the buffers of a read (bytes go in) or a write (bytes come out).
pub struct IovIter<'a> {
    task: Option<&'a mut Task>,
    data: Data<'a>,
    segment: usize,
    offset: usize,
    left: usize,
    done: usize,
}

impl<'a> IovIter<'a> {
    /// One buffer of the task's memory.
    pub fn ubuf(task: &'a mut Task, addr: u64, len: usize) -> Self {
        let one = [Iovec { iov_base: addr, iov_len: len as u64 }];
        Self { task: Some(task), data: Data::User { one, many: Vec::new() }, segment: 0, offset: 0, left: len, done: 0 }
    }

    /// Several buffers of the task's memory.
    pub fn iovec(task: &'a mut Task, segments: Vec<Iovec>) -> Self {
        let left = segments.iter().map(|s| s.iov_len as usize).sum();
        let data = Data::User { one: [Iovec::default()], many: segments };
        Self { task: Some(task), data, segment: 0, offset: 0, left, done: 0 }
    }

    /// Bytes of the kernel that a file operation writes to a file.
    pub fn source(bytes: &'a [u8]) -> Self {
        Self { task: None, left: bytes.len(), data: Data::Source(bytes), segment: 0, offset: 0, done: 0 }
    }

    /// A buffer of the kernel that a file operation reads into.
    pub fn sink(bytes: &'a mut [u8]) -> Self {
        Self { task: None, left: bytes.len(), data: Data::Sink(bytes), segment: 0, offset: 0, done: 0 }
    }

    /// The task whose buffers they are.
    pub fn task(&mut self) -> Option<&mut Task> {
        self.task.as_deref_mut()
    }

    /// Bytes still to move.
    pub fn count(&self) -> usize {
        self.left
    }

    /// Bytes moved so far.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Bytes moved, or EFAULT if there are none: what an operation returns when a copy came out short.
    pub fn done_or_fault(&self) -> Result<usize> {
        if self.done == 0 && self.left > 0 { Err(Errno::EFAULT) } else { Ok(self.done) }
    }

    /// Cuts what is left to `max` bytes.
    pub fn truncate(&mut self, max: usize) {
        self.left = self.left.min(max);
    }

    /// Skips bytes that an earlier run of the call has moved; they do not count as moved by this one.
    pub fn skip(&mut self, mut n: usize) {
        n = n.min(self.left);
        self.left -= n;
        self.advance_segments(n);
    }

    fn advance_segments(&mut self, mut n: usize) {
        let Data::User { one, many } = &self.data else {
            self.offset += n;
            return;
        };
        let segments: &[Iovec] = if many.is_empty() { one } else { many };
        while n > 0 {
            let Some(segment) = segments.get(self.segment) else { return };
            let room = segment.iov_len as usize - self.offset;
            if n < room {
                self.offset += n;
                return;
            }
            n -= room;
            self.segment += 1;
            self.offset = 0;
        }
    }

    /// The address and length of the rest of the current segment.
    fn current(&mut self) -> Option<(u64, usize)> {
        let Data::User { one, many } = &self.data else { return None };
        let segments: &[Iovec] = if many.is_empty() { one } else { many };
        loop {
            let segment = segments.get(self.segment)?;
            let room = segment.iov_len as usize - self.offset;
            if room > 0 {
                return Some((segment.iov_base.wrapping_add(self.offset as u64), room.min(self.left)));
            }
            self.segment += 1;
            self.offset = 0;
        }
    }

    /// Puts bytes into the buffers and returns how many went in: fewer than offered if the buffers are full or a page is
    /// not there.
    pub fn copy_to_iter(&mut self, bytes: &[u8]) -> usize {
        let mut copied = 0;
        while copied < bytes.len() && self.left > 0 {
            let (n, failed) = match &mut self.data {
                Data::Source(_) => return copied,
                Data::Sink(sink) => {
                    let n = self.left.min(bytes.len() - copied);
                    sink[self.offset..self.offset + n].copy_from_slice(&bytes[copied..copied + n]);
                    (n, false)
                }
                Data::User { .. } => {
                    let Some((addr, room)) = self.current() else { return copied };
                    let Some(task) = self.task.as_deref_mut() else { return copied };
                    let n = room.min(bytes.len() - copied);
                    match task.copy_to_user(addr, &bytes[copied..copied + n]) {
                        Ok(()) => (n, false),
                        Err(missing) => (n - missing.min(n), true),
                    }
                }
            };
            copied += n;
            self.left -= n;
            self.done += n;
            self.advance_segments(n);
            if failed {
                break;
            }
        }
        copied
    }

    /// Takes bytes out of the buffers and returns how many came: fewer than asked for if there are no more or a page is
    /// not there.
    pub fn copy_from_iter(&mut self, bytes: &mut [u8]) -> usize {
        let copied = self.peek_from_iter(bytes);
        self.left -= copied;
        self.done += copied;
        self.advance_segments(copied);
        copied
    }

    /// The same, but the bytes stay in the stream: for an operation that does not know yet how many it can take.
    pub fn peek_from_iter(&mut self, bytes: &mut [u8]) -> usize {
        if let Data::Source(source) = self.data {
            let n = self.left.min(bytes.len());
            bytes[..n].copy_from_slice(&source[self.offset..self.offset + n]);
            return n;
        }
        let start = (self.segment, self.offset, self.left);
        let mut copied = 0;
        while copied < bytes.len() && self.left > 0 {
            let Some((addr, room)) = self.current() else { break };
            let Some(task) = self.task.as_deref_mut() else { break };
            let n = room.min(bytes.len() - copied);
            let (n, failed) = match task.copy_from_user(&mut bytes[copied..copied + n], addr) {
                Ok(()) => (n, false),
                Err(missing) => (n - missing.min(n), true),
            };
            copied += n;
            self.left -= n;
            self.advance_segments(n);
            if failed {
                break;
            }
        }
        (self.segment, self.offset, self.left) = start;
        copied
    }

    /// Appends the next `n` bytes to `bytes`: all of them, or nothing where a page is not there.
    pub fn append_to(&mut self, bytes: &mut Vec<u8>, n: usize) -> bool {
        let before = bytes.len();
        bytes.resize(before + n, 0);
        let all = self.peek_from_iter(&mut bytes[before..]) == n;
        if all {
            self.commit(n);
        } else {
            bytes.truncate(before);
        }
        all
    }

    /// Marks bytes seen with [`IovIter::peek_from_iter`] as moved.
    pub fn commit(&mut self, n: usize) {
        self.left -= n;
        self.done += n;
        self.advance_segments(n);
    }
}
