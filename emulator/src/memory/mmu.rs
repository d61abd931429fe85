//! A space as a running core sees it: every access checked, cached translations in front.
//!
//! Hardware checks an access in the TLB and walks the tables on a miss; so do we. An access that crosses into another
//! page is checked in both before any byte moves, so that a fault leaves nothing half written.
//!
//! Alignment checks and data breakpoints cost nothing where there are none: pages for which there are any are not cached,
//! so that every access to them takes the slow way, which looks.

use std::ptr::NonNull;

use super::space::{Access, Parts, Space, Tables};
use super::tlb::{Place, Table, Word};
use super::{Memory, PAGE_MASK, PAGE_SIZE, PageFault, Privilege, is_canonical};
use crate::debug::Watch;

/// Why an access did not happen. Nothing of it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessError {
    /// The address is no 48-bit one.
    NonCanonical,
    /// The address is no multiple of the operand's size, and ring 3 has asked for that to be checked. Comes before any
    /// page is looked at.
    Misaligned,
    /// The page is not mapped, or not for this.
    Page(PageFault),
    /// The page may be written, but holds decoded instructions, which must be dropped first.
    Code {
        /// The frame with the instructions.
        frame: u32,
    },
}

/// A space in use by a core, with the cached translations of the current privilege at hand.
pub(crate) struct Mmu<'a> {
    table: &'a mut Table,
    /// Those of the other privilege.
    idle: &'a mut Table,
    privilege: Privilege,
    tables: &'a Tables,
    write_epoch: &'a mut u64,
    code_generation: u64,
    /// Ring 3's accesses must be aligned.
    aligned: bool,
    /// Except this instruction's.
    exempt: bool,
    /// Breakpoints; boxed, since there are hardly ever any.
    watch: Option<Box<Watch>>,
}

impl<'a> Mmu<'a> {
    #[inline(always)]
    pub(crate) fn new(space: &'a mut Space, privilege: Privilege) -> Self {
        let Parts { tables, user, supervisor, write_epoch, code_generation } = space.parts();
        let (table, idle) = match privilege {
            Privilege::User => (user, supervisor),
            Privilege::Supervisor => (supervisor, user),
        };
        let mut mmu = Self {
            table,
            idle,
            privilege,
            tables,
            write_epoch,
            code_generation,
            aligned: false,
            exempt: false,
            watch: None,
        };
        mmu.sync();
        mmu
    }

    /// Forgets which pages are writable, if some other space's code made that necessary.
    fn sync(&mut self) {
        let epoch = self.memory().write_epoch();
        if *self.write_epoch != epoch {
            *self.write_epoch = epoch;
            self.table.flush_writable();
            self.idle.flush_writable();
        }
    }

    pub(crate) fn memory(&self) -> &'a Memory {
        self.tables.memory()
    }

    /// Changes whenever a page that could be executed is no longer mapped as it was. No two spaces have the same.
    pub(crate) fn code_generation(&self) -> u64 {
        self.code_generation
    }

    pub(crate) fn privilege(&self) -> Privilege {
        self.privilege
    }

    /// Accesses from now on are on behalf of `privilege`.
    pub(crate) fn set_privilege(&mut self, privilege: Privilege) {
        if privilege != self.privilege {
            std::mem::swap(&mut self.table, &mut self.idle);
            self.privilege = privilege;
        }
    }

    /// Whether ring 3's accesses must be aligned.
    #[inline(always)]
    pub(crate) fn checks_alignment(&self) -> bool {
        self.aligned
    }

    /// Whether ring 3's accesses must be aligned from now on.
    pub(crate) fn set_checks_alignment(&mut self, aligned: bool) {
        if aligned && !self.aligned {
            let user = if self.privilege == Privilege::User { &mut *self.table } else { &mut *self.idle };
            user.flush();
        }
        self.aligned = aligned;
    }

    /// Does what may be misaligned.
    pub(crate) fn set_exempt(&mut self, exempt: bool) {
        self.exempt = exempt;
    }

    /// The breakpoints from now on.
    pub(crate) fn set_watch(&mut self, watch: Option<Watch>) {
        self.watch = watch.map(Box::new);
        if let Some(watch) = &self.watch {
            for address in watch.data() {
                self.table.flush_page(address);
                self.idle.flush_page(address);
            }
        }
    }

    /// The breakpoints, if any is enabled.
    #[inline(always)]
    pub(crate) fn watch(&mut self) -> Option<&mut Watch> {
        self.watch.as_deref_mut()
    }

    /// Whether accesses to a page may go the fast way.
    fn may_cache(&self, address: u64) -> bool {
        if self.aligned && self.privilege == Privilege::User {
            return false;
        }
        self.watch.as_deref().is_none_or(|watch| watch.data().all(|data| (data ^ address) & !PAGE_MASK != 0))
    }

    /// Checks the alignment of an operand, if that is to be checked: in multiples of `align`, a power of two.
    pub(crate) fn check_aligned(&self, address: u64, align: usize) -> Result<(), AccessError> {
        if self.aligned
            && !self.exempt
            && self.privilege == Privilege::User
            && address & (align as u64 - 1) != 0
            && is_canonical(address)
            && is_canonical(address.wrapping_add(align as u64 - 1))
        {
            return Err(AccessError::Misaligned);
        }
        Ok(())
    }

    /// Drops cached translations, as a kernel in the guest may ask for. Not needed for correctness.
    pub(crate) fn flush(&mut self) {
        self.table.flush();
    }

    /// Remembers that instructions of a frame are being decoded, so that writes to it are noticed from now on.
    pub(crate) fn mark_code(&mut self, frame: u32) -> u32 {
        let version = self.memory().mark_code(frame);
        self.sync();
        version
    }

    /// The frame that instructions at an address are fetched from.
    pub(crate) fn fetch(&self, address: u64) -> Result<u32, AccessError> {
        if !is_canonical(address) {
            return Err(AccessError::NonCanonical);
        }
        match self.tables.translate(address, Access::Fetch, self.privilege) {
            Ok((frame, _)) => Ok(frame),
            Err(fault) => Err(AccessError::Page(fault)),
        }
    }

    /// Loads a value whose page is cached and that lies within it.
    #[inline(always)]
    pub(crate) fn cached<T: Word>(&self, address: u64) -> Option<T> {
        self.table.read(address)
    }

    /// The place of a value whose page is cached as writable and that lies within it.
    #[inline(always)]
    pub(crate) fn cached_place<T: Word>(&self, address: u64) -> Option<Place<'_, T>> {
        self.table.place(address)
    }

    /// Loads a value, in whatever pages it lies.
    pub(crate) fn load<T: Word>(&mut self, address: u64) -> Result<T, AccessError> {
        let len = size_of::<T>();
        let mut bytes = [0; 32];
        let first = (PAGE_SIZE - (address & PAGE_MASK) as usize).min(len);
        self.check_aligned(address, T::ALIGN)?;
        self.check_read(address, len)?;
        self.copy_out(address, &mut bytes[..first])?;
        self.copy_out(address.wrapping_add(first as u64), &mut bytes[first..len])?;
        if let Some(watch) = &mut self.watch {
            watch.accessed(address, len, false);
        }
        Ok(T::from_le(&bytes))
    }

    /// Stores a value, in whatever pages it lies: all of it or nothing.
    pub(crate) fn store<T: Word>(&mut self, address: u64, value: T) -> Result<(), AccessError> {
        let len = size_of::<T>();
        let mut bytes = [0; 32];
        value.to_le(&mut bytes);
        let first = (PAGE_SIZE - (address & PAGE_MASK) as usize).min(len);
        self.check_aligned(address, T::ALIGN)?;
        self.check_write(address, len)?;
        self.copy_in(address, &bytes[..first])?;
        self.copy_in(address.wrapping_add(first as u64), &bytes[first..len])?;
        if let Some(watch) = &mut self.watch {
            watch.accessed(address, len, true);
        }
        Ok(())
    }

    /// Checks that a range of at most a page may be written, without writing it.
    pub(crate) fn check_write(&mut self, address: u64, len: usize) -> Result<(), AccessError> {
        self.check(address, len, Access::Write)
    }

    /// Checks that a range of at most a page may be read.
    pub(crate) fn check_read(&mut self, address: u64, len: usize) -> Result<(), AccessError> {
        self.check(address, len, Access::Read)
    }

    fn check(&mut self, address: u64, len: usize, access: Access) -> Result<(), AccessError> {
        let last = address.wrapping_add(len.max(1) as u64 - 1);
        if !is_canonical(last) {
            // Before any page is looked at.
            return Err(AccessError::NonCanonical);
        }
        self.span(address, access)?;
        if (last ^ address) & !PAGE_MASK != 0 {
            self.span(last & !PAGE_MASK, access)?;
        }
        Ok(())
    }

    /// Where the byte at an address lies, and how many bytes there are from it to its page's end, if the access is
    /// allowed. Caches the translation.
    fn span(&mut self, address: u64, access: Access) -> Result<(NonNull<u8>, usize), AccessError> {
        if !is_canonical(address) {
            return Err(AccessError::NonCanonical);
        }
        if let Some(span) = self.table.span(address, access == Access::Write) {
            return Ok(span);
        }
        let (frame, flags) = self.tables.translate(address, access, self.privilege).map_err(AccessError::Page)?;
        let memory = self.memory();
        let may_cache = self.may_cache(address);
        // A page that may be written is cached as such on its first read too, unless instructions live in it.
        let writable = flags.contains(super::PageFlags::WRITE)
            && (may_cache || access == Access::Write)
            && memory.cache_writable(frame);
        if access == Access::Write && !writable {
            return Err(AccessError::Code { frame });
        }
        let host = memory.host(frame);
        if may_cache {
            // SAFETY: `host` is a frame of the space's memory, which stays mapped as long as a handle of it lives; the
            // table is the space's own, which keeps such a handle.
            unsafe { self.table.insert(address, host, writable) };
        }
        let offset = (address & PAGE_MASK) as usize;
        // SAFETY: an offset within the frame.
        Ok((unsafe { host.add(offset) }, PAGE_SIZE - offset))
    }

    /// Loads bytes of one page.
    fn copy_out(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), AccessError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (host, room) = self.span(address, Access::Read)?;
        let len = bytes.len().min(room);
        // SAFETY: `room` bytes from `host` lie in a mapped frame; `bytes` is a Rust reference, which never points
        // into one.
        unsafe { std::ptr::copy_nonoverlapping(host.as_ptr(), bytes.as_mut_ptr(), len) };
        Ok(())
    }

    /// Stores bytes of one page.
    fn copy_in(&mut self, address: u64, bytes: &[u8]) -> Result<(), AccessError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (host, room) = self.span(address, Access::Write)?;
        let len = bytes.len().min(room);
        // SAFETY: as in `copy_out`, with the directions changed.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), host.as_ptr(), len) };
        Ok(())
    }

    /// Whether the page at an address may be accessed without being looked at, and lies at a place in the host.
    fn goes_on(&mut self, address: u64, place: *const u8, access: Access) -> bool {
        self.may_cache(address) && self.span(address, access).is_ok_and(|(host, _)| host.as_ptr().cast_const() == place)
    }

    /// Copies as many of `len` bytes upwards as lie side by side in the host at both ends, and don't overlap, in whole
    /// elements of `size` bytes. Returns how many; none if the caller must go by elements, because the target begins
    /// shortly after the source or each access is to be looked at.
    pub(crate) fn copy_up(&mut self, to: u64, from: u64, len: usize, size: usize) -> usize {
        if !self.may_cache(from) || !self.may_cache(to) {
            return 0;
        }
        let (Ok((source, mut room)), Ok((target, mut room_there))) =
            (self.span(from, Access::Read), self.span(to, Access::Write))
        else {
            return 0;
        };
        let distance = (target.as_ptr() as usize).wrapping_sub(source.as_ptr() as usize);
        let len = len.min(distance);
        // The host's copy of much at once is faster than of the same by pages.
        while room.min(room_there) < len {
            let (address, host, more, access) = match room <= room_there {
                true => (from, source, &mut room, Access::Read),
                false => (to, target, &mut room_there, Access::Write),
            };
            if !self.goes_on(address.wrapping_add(*more as u64), host.as_ptr().wrapping_add(*more), access) {
                break;
            }
            *more += PAGE_SIZE;
        }
        let len = len.min(room).min(room_there) / size * size;
        // SAFETY: `len` bytes from both lie in mapped frames; `copy` allows them to overlap, and with the target not
        // within the source after its start, it does what a loop upwards does.
        unsafe { std::ptr::copy(source.as_ptr(), target.as_ptr(), len) };
        len
    }

    /// Fills as many of `count` elements as lie in one page. Returns how many; none if the caller must go by elements.
    pub(crate) fn fill_up<T: Word>(&mut self, to: u64, value: T, count: usize) -> usize {
        if !self.may_cache(to) {
            return 0;
        }
        let Ok((target, room)) = self.span(to, Access::Write) else {
            return 0;
        };
        let count = count.min(room / size_of::<T>());
        for i in 0..count {
            // SAFETY: i < room / size_of::<T>(), so the element lies in the mapped frame.
            unsafe { target.cast::<T>().add(i).write_unaligned(value) };
        }
        count
    }
}
