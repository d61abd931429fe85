//! The translation cache: a page's address to where its frame lies in the host.
//!
//! Hardware has several levels of TLB with many ways. Ours is one direct-mapped table, since what counts is that a hit
//! takes few host instructions: the tags are whole addresses, and the page of the access's last byte is compared, so that
//! one comparison finds wrong page, wrong permission and page-crossing access alike.

use std::marker::PhantomData;
use std::ptr::NonNull;

use zerocopy::FromZeros;

use super::{PAGE_MASK, PAGE_SIZE, zeroed};

/// Entries of a table.
const ENTRIES: usize = 512;

/// A tag that no page has. Zero, of which fresh memory is made.
const NONE: u64 = 0;

/// A page's tag: the address of its last byte.
#[inline(always)]
fn tag(address: u64) -> u64 {
    address | PAGE_MASK
}

/// 32 bytes, so that an index is a shift and a mask.
#[derive(Clone, Copy, FromZeros)]
#[repr(align(32))]
struct Entry {
    /// The page that may be read, or NONE.
    read: u64,
    /// The page that may be written directly, or NONE.
    write: u64,
    /// Where address 0 would be, if the host's memory around the page's frame were the guest's around the page: this and
    /// an address in the page lie in the frame, PAGE_SIZE bytes that stay mapped while the owner of the table lives.
    origin: *mut u8,
}

impl Entry {
    /// Where an address in the page lies in the host.
    #[inline(always)]
    fn host(&self, address: u64) -> *mut u8 {
        self.origin.wrapping_add(address as usize)
    }
}

/// A value that loads and stores move: any bytes of its size are one.
///
/// # Safety
/// Every bit pattern of the type's size must be a valid value, and it must have no padding.
pub(crate) unsafe trait Word: Copy {
    /// All zeros.
    const ZERO: Self;
    /// Its alignment, where that is checked: its size, but 8 for x87's ten bytes and 16 for 32 bytes.
    const ALIGN: usize = match size_of::<Self>() {
        10 => 8,
        32 => 16,
        size => size,
    };
    /// Takes it from the first bytes of a buffer, in the guest's byte order.
    fn from_le(bytes: &[u8; 32]) -> Self;
    /// Puts it into the first bytes of a buffer, in the guest's byte order.
    fn to_le(self, bytes: &mut [u8; 32]);
}

macro_rules! words {
    ($($t:ty)*) => {$(
        // SAFETY: an integer has no padding and no invalid pattern.
        unsafe impl Word for $t {
            const ZERO: Self = 0;
            fn from_le(bytes: &[u8; 32]) -> Self {
                let mut own = [0; size_of::<$t>()];
                own.copy_from_slice(&bytes[..size_of::<$t>()]);
                <$t>::from_le_bytes(own)
            }
            fn to_le(self, bytes: &mut [u8; 32]) {
                bytes[..size_of::<$t>()].copy_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
words!(u8 u16 u32 u64 u128);

macro_rules! byte_words {
    ($($n:literal)*) => {$(
        // SAFETY: bytes have no padding and no invalid pattern.
        unsafe impl Word for [u8; $n] {
            const ZERO: Self = [0; $n];
            fn from_le(bytes: &[u8; 32]) -> Self {
                let mut own = [0; $n];
                own.copy_from_slice(&bytes[..$n]);
                own
            }
            fn to_le(self, bytes: &mut [u8; 32]) {
                bytes[..$n].copy_from_slice(&self);
            }
        }
    )*};
}
byte_words!(10 16 32);

/// A writable place of a guest's memory, within one page.
pub(crate) struct Place<'a, T>(*mut u8, PhantomData<(&'a Table, T)>);

impl<T: Word> Place<'_, T> {
    #[inline(always)]
    pub(crate) fn read(&self) -> T {
        // SAFETY: made by `Table::place`, which checked that size_of::<T>() bytes from here lie in one mapped frame.
        unsafe { self.0.cast::<T>().read_unaligned() }
    }

    #[inline(always)]
    pub(crate) fn write(&self, value: T) {
        // SAFETY: as for `read`; no Rust reference points into frames.
        unsafe { self.0.cast::<T>().write_unaligned(value) }
    }
}

/// A direct-mapped table for one privilege level.
///
/// Whoever owns a table keeps the memory mapped whose frames it was filled with; see `Mmu` and `Space`.
#[derive(FromZeros)]
pub(super) struct Table {
    entries: [Entry; ENTRIES],
}

impl Table {
    /// With nothing cached.
    pub(super) fn new() -> Box<Self> {
        zeroed()
    }

    #[inline(always)]
    fn index(address: u64) -> usize {
        (address >> 12) as usize % ENTRIES
    }

    /// The page that the last byte of an access lies in.
    #[inline(always)]
    fn last_page<T>(address: u64) -> u64 {
        tag(address.wrapping_add(size_of::<T>() as u64 - 1))
    }

    /// Loads a value, if its page is cached as readable and it doesn't cross into another.
    #[inline(always)]
    pub(super) fn read<T: Word>(&self, address: u64) -> Option<T> {
        let entry = &self.entries[Self::index(address)];
        if entry.read != Self::last_page::<T>(address) {
            return None;
        }
        // SAFETY: the tag is that of the page that the access ends in. Were it not the page where it begins too,
        // the entry would be that of another page's index; with equal index the access would have to be longer than a
        // page. So all its bytes lie in the one page, whose frame is mapped where `origin` says.
        Some(unsafe { entry.host(address).cast::<T>().read_unaligned() })
    }

    /// The place of a value, if its page is cached as writable and it doesn't cross into another.
    #[inline(always)]
    pub(super) fn place<T: Word>(&self, address: u64) -> Option<Place<'_, T>> {
        let entry = &self.entries[Self::index(address)];
        if entry.write != Self::last_page::<T>(address) {
            return None;
        }
        // As for `read`: the access lies within the one page, which is what `Place` relies on.
        Some(Place(entry.host(address), PhantomData))
    }

    /// From `address` on, the bytes of its page, if it is cached with the permission asked for: start and count.
    #[inline]
    pub(super) fn span(&self, address: u64, write: bool) -> Option<(NonNull<u8>, usize)> {
        let entry = &self.entries[Self::index(address)];
        if (if write { entry.write } else { entry.read }) != tag(address) {
            return None;
        }
        Some((NonNull::new(entry.host(address))?, PAGE_SIZE - (address & PAGE_MASK) as usize))
    }

    /// Caches a translation.
    ///
    /// # Safety
    /// From `host` on, PAGE_SIZE bytes must stay mapped for as long as this table is read through.
    pub(super) unsafe fn insert(&mut self, address: u64, host: NonNull<u8>, writable: bool) {
        let read = tag(address);
        let write = if writable { read } else { NONE };
        let origin = host.as_ptr().wrapping_sub((address & !PAGE_MASK) as usize);
        self.entries[Self::index(address)] = Entry { read, write, origin };
    }

    /// Forgets a page.
    pub(super) fn flush_page(&mut self, address: u64) {
        let entry = &mut self.entries[Self::index(address)];
        if entry.read == tag(address) {
            (entry.read, entry.write) = (NONE, NONE);
        }
    }

    /// Forgets everything.
    pub(super) fn flush(&mut self) {
        for entry in &mut self.entries {
            (entry.read, entry.write) = (NONE, NONE);
        }
    }

    /// Forgets which pages may be written.
    pub(super) fn flush_writable(&mut self) {
        for entry in &mut self.entries {
            entry.write = NONE;
        }
    }
}
