//! An address space: page tables over frames.
//!
//! Hardware's tables are four levels of 512 entries over 48-bit addresses, as are these, but they live outside guest
//! memory: a kernel calls `map`, `unmap` and `protect` instead of writing entries and flushing the TLB. An entry's
//! permissions are those that its leaf names; upper levels have none.

use std::sync::atomic::{AtomicU64, Ordering};

use bitflags::bitflags;
use zerocopy::FromZeros;

use super::tlb::Table as Tlb;
use super::{BLOCK, Frame, Memory, PAGE_MASK, PAGE_SIZE, is_canonical, zeroed};

bitflags! {
    /// What a mapped page allows besides reading.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct PageFlags: u64 {
        /// It may be written.
        const WRITE = 1 << 1;
        /// Ring 3 may use it.
        const USER = 1 << 2;
        /// Instructions may be fetched from it.
        const EXEC = 1 << 3;
    }
}

/// Bits of a page fault's error code.
pub mod page_fault {
    /// The page is mapped, but not for this.
    pub const PRESENT: u32 = 1 << 0;
    /// The access was a write.
    pub const WRITE: u32 = 1 << 1;
    /// The access came from ring 3.
    pub const USER: u32 = 1 << 2;
    /// The access was an instruction fetch.
    pub const FETCH: u32 = 1 << 4;
}

/// On whose behalf memory is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// Ring 3: only USER pages.
    User,
    /// Rings 0 to 2: all pages.
    Supervisor,
}

/// Why an address could not be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault {
    /// The first byte that could not be.
    pub address: u64,
    /// As the processor pushes it; see [`page_fault`].
    pub error_code: u32,
}

/// A copy that ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Bytes copied before.
    pub done: usize,
    /// What stopped it.
    pub fault: PageFault,
}

/// What is to be done with a page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    Fetch,
}

const ENTRIES: usize = BLOCK as usize;
const PRESENT: u64 = 1;
/// Index of the root in `Space::tables`; as an entry, "no table".
const ROOT: u32 = 0;

/// One page of entries. At the last level an entry is `frame << 12 | flags | PRESENT`, above it a table's index.
#[derive(FromZeros)]
struct Table {
    entries: [u64; ENTRIES],
    used: u16,
}

/// A source of numbers that no two states of executable mappings share.
static GENERATION: AtomicU64 = AtomicU64::new(1);

fn next_generation() -> u64 {
    GENERATION.fetch_add(1, Ordering::Relaxed)
}

/// The tables alone.
pub(super) struct Tables {
    memory: Memory,
    tables: Vec<Box<Table>>,
    free: Vec<u32>,
}

/// Page tables, and the translations that were cached from them.
pub struct Space {
    tables: Tables,
    /// Cached translations of user and supervisor.
    user: Box<Tlb>,
    supervisor: Box<Tlb>,
    /// The memory's write epoch that both know of.
    write_epoch: u64,
    code_generation: u64,
    /// The code generation that it was made with, which no other space has.
    id: u64,
    /// Pages that changed since they were last taken; none if those are too many, or nobody has asked yet.
    changes: Option<Vec<u64>>,
    wide: bool,
}

/// More pages than whoever takes the changes wants to hear of one by one.
const MAX_CHANGES: usize = 512;

/// What a core needs of a space that it runs in; see `Mmu`.
pub(super) struct Parts<'a> {
    pub(super) tables: &'a Tables,
    pub(super) user: &'a mut Tlb,
    pub(super) supervisor: &'a mut Tlb,
    pub(super) write_epoch: &'a mut u64,
    pub(super) code_generation: u64,
}

fn index(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * level)) as usize % ENTRIES
}

impl Tables {
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The leaf table that an address belongs to.
    fn leaf_table(&self, address: u64) -> Option<u32> {
        if !is_canonical(address) {
            return None;
        }
        let mut table = ROOT;
        for level in (1..4).rev() {
            table = self.tables[table as usize].entries[index(address, level)] as u32;
            if table == ROOT {
                return None;
            }
        }
        Some(table)
    }

    /// The leaf entry of an address, 0 if nothing is mapped there.
    fn leaf(&self, address: u64) -> u64 {
        self.leaf_table(address).map_or(0, |table| self.tables[table as usize].entries[index(address, 0)])
    }

    fn leaf_table_made(&mut self, address: u64) -> u32 {
        let mut table = ROOT;
        for level in (1..4).rev() {
            let i = index(address, level);
            let mut next = self.tables[table as usize].entries[i] as u32;
            if next == ROOT {
                next = self.free.pop().unwrap_or_else(|| {
                    self.tables.push(zeroed());
                    (self.tables.len() - 1) as u32
                });
                let parent = &mut self.tables[table as usize];
                parent.entries[i] = u64::from(next);
                parent.used += 1;
            }
            table = next;
        }
        table
    }

    /// Counts one entry less in the leaf table of `address`, and gives tables back that are empty now.
    fn forget_entry(&mut self, address: u64) {
        let mut path = [ROOT; 4];
        for level in (1..4).rev() {
            path[level - 1] = self.tables[path[level] as usize].entries[index(address, level as u32)] as u32;
        }
        for level in 0..4 {
            let table = &mut self.tables[path[level] as usize];
            table.used -= 1;
            if table.used != 0 || level == 3 {
                return;
            }
            self.free.push(path[level]);
            self.tables[path[level + 1] as usize].entries[index(address, level as u32 + 1)] = 0;
        }
    }

    /// The first mapped page that begins at or after `from`, and not after `last`.
    fn next_entry(&self, from: u64, last: u64) -> Option<(u64, u64)> {
        let mut address = from.checked_add(PAGE_MASK)? & !PAGE_MASK;
        while address <= last {
            if !is_canonical(address) {
                // From the lower half's end to the upper half's start.
                address = !0 << 47;
                continue;
            }
            let mut table = ROOT;
            let mut level = 3;
            let empty = loop {
                let rest = &self.tables[table as usize].entries[index(address, level)..];
                match (level, rest[0]) {
                    // Among pages, the next one is near.
                    (0, _) => match rest.iter().position(|entry| *entry != 0) {
                        Some(n) => {
                            address += (n * PAGE_SIZE) as u64;
                            return (address <= last).then_some((address, rest[n]));
                        }
                        None => break 1,
                    },
                    (_, 0) => break level,
                    (_, entry) => table = entry as u32,
                }
                level -= 1;
            };
            // Skip all that this entry would have covered, or the table.
            let size = 1 << (12 + 9 * empty);
            address = (address & !(size - 1)).checked_add(size)?;
        }
        None
    }

    /// The frame that an access reaches.
    pub(super) fn translate(
        &self,
        address: u64,
        access: Access,
        privilege: Privilege,
    ) -> Result<(u32, PageFlags), PageFault> {
        let entry = self.leaf(address);
        let flags = PageFlags::from_bits_truncate(entry);
        let allowed = match access {
            Access::Read => true,
            Access::Write => flags.contains(PageFlags::WRITE),
            Access::Fetch => flags.contains(PageFlags::EXEC),
        };
        let user = privilege == Privilege::User;
        if entry != 0 && allowed && (!user || flags.contains(PageFlags::USER)) {
            return Ok(((entry >> 12) as u32, flags));
        }
        let mut error_code = if entry == 0 { 0 } else { page_fault::PRESENT };
        if user {
            error_code |= page_fault::USER;
        }
        error_code |= match access {
            Access::Read => 0,
            Access::Write => page_fault::WRITE,
            Access::Fetch => page_fault::FETCH,
        };
        Err(PageFault { address, error_code })
    }
}

impl Space {
    /// A space with nothing mapped.
    pub fn new(memory: &Memory) -> Self {
        let id = next_generation();
        Self {
            tables: Tables { memory: memory.clone(), tables: vec![zeroed()], free: Vec::new() },
            user: Tlb::new(),
            supervisor: Tlb::new(),
            write_epoch: memory.write_epoch(),
            code_generation: id,
            id,
            changes: None,
            wide: false,
        }
    }

    /// The memory that its frames are of.
    pub fn memory(&self) -> &Memory {
        &self.tables.memory
    }

    /// A number that no other space has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Changes whenever a page that could be executed is no longer mapped as it was. No two spaces have the same.
    #[inline]
    pub fn code_generation(&self) -> u64 {
        self.code_generation
    }

    /// Says whether user pages may be mapped at 4 GiB or above, which some engines leave to others.
    pub fn set_wide(&mut self, wide: bool) {
        self.wide = wide;
    }

    /// What [`Space::set_wide`] has said last; false at first.
    #[inline]
    pub fn is_wide(&self) -> bool {
        self.wide
    }

    /// The pages that were mapped otherwise, unmapped or protected since the last call; `None` if that may be any page.
    /// Pages that were mapped where nothing was are not among them. For engines that keep translations of their own.
    #[inline]
    pub fn take_changes(&mut self) -> Option<Vec<u64>> {
        match &mut self.changes {
            Some(list) => Some(std::mem::take(list)),
            none => none.replace(Vec::new()),
        }
    }

    pub(super) fn parts(&mut self) -> Parts<'_> {
        Parts {
            tables: &self.tables,
            user: &mut self.user,
            supervisor: &mut self.supervisor,
            write_epoch: &mut self.write_epoch,
            code_generation: self.code_generation,
        }
    }

    /// Maps the page that `address` lies in, in place of what was there. The frame must be of this space's memory, and
    /// the address canonical; otherwise nothing is mapped.
    pub fn map(&mut self, address: u64, frame: Frame, flags: PageFlags) {
        if !is_canonical(address) || !self.tables.memory.same(frame.memory()) {
            debug_assert!(false, "mapping a foreign frame or a non-canonical address");
            return;
        }
        let table = self.tables.leaf_table_made(address);
        self.tables.memory.retain(frame.number());
        let entry = u64::from(frame.number()) << 12 | flags.bits() | PRESENT;
        let table = &mut self.tables.tables[table as usize];
        let old = std::mem::replace(&mut table.entries[index(address, 0)], entry);
        if old == 0 {
            table.used += 1;
        } else {
            self.tables.memory.release((old >> 12) as u32);
            self.changed(address, old, entry);
        }
    }

    /// Unmaps a page and returns its frame.
    pub fn unmap(&mut self, address: u64) -> Option<Frame> {
        let table = self.tables.leaf_table(address)?;
        let old = std::mem::take(&mut self.tables.tables[table as usize].entries[index(address, 0)]);
        if old == 0 {
            return None;
        }
        self.changed(address, old, 0);
        self.tables.forget_entry(address);
        let frame = self.tables.memory.get((old >> 12) as u32);
        self.tables.memory.release((old >> 12) as u32);
        Some(frame)
    }

    /// Unmaps all pages that begin in a range.
    pub fn unmap_range(&mut self, start: u64, len: u64) {
        if len == 0 {
            return;
        }
        let last = start.wrapping_add(len - 1);
        let mut next = Some(start);
        while let Some((address, _)) = next.and_then(|from| self.tables.next_entry(from, last)) {
            self.unmap(address);
            next = address.checked_add(PAGE_SIZE as u64);
        }
    }

    /// Changes what a mapped page allows. False if nothing is mapped there.
    pub fn protect(&mut self, address: u64, flags: PageFlags) -> bool {
        let Some(table) = self.tables.leaf_table(address) else {
            return false;
        };
        let entry = &mut self.tables.tables[table as usize].entries[index(address, 0)];
        if *entry == 0 {
            return false;
        }
        let old = *entry;
        *entry = old & !PageFlags::all().bits() | flags.bits();
        let new = *entry;
        if new != old {
            self.changed(address, old, new);
        }
        true
    }

    /// Drops what was cached of a page.
    fn changed(&mut self, address: u64, old: u64, new: u64) {
        self.user.flush_page(address);
        self.supervisor.flush_page(address);
        if let Some(list) = &mut self.changes {
            list.push(address & !PAGE_MASK);
            if list.len() > MAX_CHANGES {
                self.changes = None;
            }
        }
        // That a page became writable, or no longer is, is nothing to those who execute it.
        if old & PageFlags::EXEC.bits() != 0 && (old ^ new) & !PageFlags::WRITE.bits() != 0 {
            self.code_generation = next_generation();
        }
    }

    /// The frame and the permissions of the page that `address` lies in.
    pub fn lookup(&self, address: u64) -> Option<(Frame, PageFlags)> {
        match self.tables.leaf(address) {
            0 => None,
            entry => Some((self.tables.memory.get((entry >> 12) as u32), PageFlags::from_bits_truncate(entry))),
        }
    }

    /// The number of the frame and the permissions of the page that `address` lies in.
    #[inline]
    pub fn page(&self, address: u64) -> Option<(u32, PageFlags)> {
        match self.tables.leaf(address) {
            0 => None,
            entry => Some(((entry >> 12) as u32, PageFlags::from_bits_truncate(entry))),
        }
    }

    /// How many pages are mapped in the [`BLOCK`] of them that `address` lies in.
    pub fn mapped_in_block(&self, address: u64) -> u32 {
        self.tables.leaf_table(address).map_or(0, |table| self.tables.tables[table as usize].used.into())
    }

    /// All mapped pages that begin in a range, in order: address, frame, permissions.
    pub fn entries(&self, start: u64, len: u64) -> Entries<'_> {
        Entries { space: self, next: (len != 0).then_some(start), last: start.wrapping_add(len.wrapping_sub(1)) }
    }

    /// Calls `each` with frame, offset and the part of 0..len for each page that a range touches.
    fn for_pages(
        &self,
        address: u64,
        len: usize,
        access: Access,
        privilege: Privilege,
        mut each: impl FnMut(u32, usize, std::ops::Range<usize>),
    ) -> Result<(), Partial> {
        let mut done = 0;
        while done < len {
            let at = address.wrapping_add(done as u64);
            let (frame, _) = self.tables.translate(at, access, privilege).map_err(|fault| Partial { done, fault })?;
            let offset = (at & PAGE_MASK) as usize;
            let part = (PAGE_SIZE - offset).min(len - done);
            each(frame, offset, done..done + part);
            done += part;
        }
        Ok(())
    }

    /// Reads as `privilege` may.
    ///
    /// # Errors
    /// At the first page that may not be read, with how much was.
    pub fn read(&self, address: u64, buf: &mut [u8], privilege: Privilege) -> Result<(), Partial> {
        self.for_pages(address, buf.len(), Access::Read, privilege, |frame, offset, part| {
            self.tables.memory.read(frame, offset, &mut buf[part]);
        })
    }

    /// Writes as `privilege` may. Instructions decoded from what is written are forgotten.
    ///
    /// # Errors
    /// At the first page that may not be written, with how much was.
    pub fn write(&mut self, address: u64, buf: &[u8], privilege: Privilege) -> Result<(), Partial> {
        self.for_pages(address, buf.len(), Access::Write, privilege, |frame, offset, part| {
            self.tables.memory.write(frame, offset, &buf[part]);
        })
    }

    /// Reads whatever is mapped, and says how many bytes that were.
    pub fn peek(&self, address: u64, buf: &mut [u8]) -> usize {
        match self.read(address, buf, Privilege::Supervisor) {
            Ok(()) => buf.len(),
            Err(partial) => partial.done,
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let mut from = 0;
        while let Some((address, entry)) = self.tables.next_entry(from, u64::MAX) {
            self.tables.memory.release((entry >> 12) as u32);
            match address.checked_add(PAGE_SIZE as u64) {
                Some(next) => from = next,
                None => return,
            }
        }
    }
}

impl std::fmt::Debug for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Space").field("code_generation", &self.code_generation).finish_non_exhaustive()
    }
}

/// Mapped pages in order; see [`Space::entries`].
pub struct Entries<'a> {
    space: &'a Space,
    next: Option<u64>,
    last: u64,
}

impl Iterator for Entries<'_> {
    type Item = (u64, Frame, PageFlags);

    fn next(&mut self) -> Option<Self::Item> {
        let (address, entry) = self.space.tables.next_entry(self.next?, self.last)?;
        self.next = address.checked_add(PAGE_SIZE as u64);
        Some((address, self.space.tables.memory.get((entry >> 12) as u32), PageFlags::from_bits_truncate(entry)))
    }
}
