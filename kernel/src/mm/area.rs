//! Areas: ranges of pages with one protection and one backing (`vm_area_struct`).

use std::rc::Rc;

use bitflags::bitflags;

use super::{AddressSpace, PAGE_SIZE};
use crate::fs::file::File;

bitflags! {
    /// Page protection, mmap(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Prot: i32 {
        /// Pages may be read.
        const READ = 1;
        /// Pages may be written.
        const WRITE = 2;
        /// Pages may be executed.
        const EXEC = 4;
    }

    /// What an area is like besides its protection.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct VmFlags: u32 {
        /// Writes are seen by all who map the object.
        const SHARED = 1;
        /// Grows downwards when touched below its start: a stack.
        const GROWSDOWN = 2;
        /// The heap, grown by brk(2).
        const HEAP = 4;
        /// Locked by mlock(2).
        const LOCKED = 8;
        /// Not copied by fork(2) (MADV_DONTFORK).
        const DONTCOPY = 16;
    }
}

impl Prot {
    /// No access at all.
    pub const NONE: Prot = Prot::empty();
}

/// One kind of access to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(Prot);

impl Access {
    /// A load.
    pub const READ: Access = Access(Prot::READ);
    /// A store.
    pub const WRITE: Access = Access(Prot::WRITE);
    /// An instruction fetch.
    pub const EXEC: Access = Access(Prot::EXEC);

    /// What a page fault's error code says (Intel manual, volume 3, "Page-Fault Exceptions").
    pub fn from_error_code(code: u32) -> Access {
        if code & 0x10 != 0 {
            Access::EXEC
        } else if code & 2 != 0 {
            Access::WRITE
        } else {
            Access::READ
        }
    }
}

/// What an area's pages come from.
#[derive(Clone)]
pub enum Backing {
    /// Zeroes.
    Anonymous,
    /// The pages of an object, from `offset` (bytes, a multiple of the page size) on.
    Object {
        /// The pages.
        mapping: Rc<dyn AddressSpace>,
        /// Where the area begins in it.
        offset: u64,
        /// The open file, where there is one: for /proc/PID/maps.
        file: Option<Rc<File>>,
    },
}

impl std::fmt::Debug for Backing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Backing::Anonymous => f.write_str("Anonymous"),
            Backing::Object { offset, .. } => write!(f, "Object(+{offset:#x})"),
        }
    }
}

/// A range of pages with one protection and one backing.
#[derive(Clone, Debug)]
pub struct Vma {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// Protection.
    pub prot: Prot,
    /// The rest of what it is like.
    pub flags: VmFlags,
    /// What its pages come from.
    pub backing: Backing,
}

impl Vma {
    /// Its length in bytes; never 0.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether writes are seen by others.
    pub fn is_shared(&self) -> bool {
        self.flags.contains(VmFlags::SHARED)
    }

    pub(super) fn allows(&self, access: Access) -> bool {
        // On x86 a page that can be written or executed can be read as well.
        if access == Access::READ { !self.prot.is_empty() } else { self.prot.contains(access.0) }
    }

    /// The page of the object that backs the page at `addr`.
    pub(super) fn page_index(&self, addr: u64) -> u64 {
        match self.backing {
            Backing::Anonymous => 0,
            Backing::Object { offset, .. } => (offset + (addr - self.start)) / PAGE_SIZE,
        }
    }

    /// The part of it between `start` and `end`, which lie within it.
    pub(super) fn slice(&self, start: u64, end: u64) -> Vma {
        let mut part = self.clone();
        if let Backing::Object { offset, .. } = &mut part.backing {
            *offset += start - self.start;
        }
        part.start = start;
        part.end = end;
        part
    }

    /// Whether `next`, which begins where this one ends, could be one area with it.
    pub(super) fn can_merge(&self, next: &Vma) -> bool {
        let backing = match (&self.backing, &next.backing) {
            (Backing::Anonymous, Backing::Anonymous) => true,
            (Backing::Object { mapping: a, offset: x, .. }, Backing::Object { mapping: b, offset: y, .. }) => {
                Rc::ptr_eq(a, b) && x + self.len() == *y
            }
            _ => false,
        };
        backing && self.end == next.start && self.prot == next.prot && self.flags == next.flags
    }
}
