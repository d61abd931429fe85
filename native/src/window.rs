//! Windows: 4 GiB of host addresses that show a guest's address space.
//!
//! Hardware checks each access in the page tables. In a window the host's own tables do that: a guest page that has been
//! touched is the same frame of the same memory object, mapped with the guest's permissions, and everything else is
//! inaccessible. So a window is a translation cache: filled by host faults, and told by the space what to forget.
//!
//! Around it lie inaccessible guards, and below the lower guard what translated code reaches through gs: the context and
//! the jump table, which all windows share, and what checks of the budget read. What they would read if the budget were
//! negative lies at the end of the upper guard.
//!
//! ```text
//! checks │ jump table │ context │ guard │ 4 GiB │ guard of 4 GiB
//!                                       └ gs base
//! ```
//!
//! Where a program leaves the host's first 4 GiB alone, one window can be there, so that the guest's addresses are the
//! host's and accesses need no segment: processors take longer for an address if its segment's base isn't 0. Then the 4 GiB
//! behind gs stay empty.

use std::cell::Cell;
use std::io;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};

use callgate_emulator::{BLOCK, Memory, PAGE_SIZE, PageFlags, Space, may_be_private};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap};

use crate::context::{
    BUDGET_BACK, CHECK, CHECK_BYTES, CONTEXT, CONTEXT_BYTES, Context, FIRST_CHECKS, TABLE, TABLE_BYTES, TABLE_ENTRIES,
    WIDE_TABLE_ENTRIES,
};
use crate::verify::MAX_ACCESS;

/// Bytes of a window.
pub(crate) const WINDOW: u64 = 1 << 32;
/// What is reserved below it.
const BELOW: usize = -CHECK as usize;
/// What is reserved above it: as far as twice a number of 32 bits reaches, and more than any access that begins in the
/// window can reach.
const ABOVE: usize = 4 << 30;
/// Pages of a wide jump table before it starts anew, each of which is needed for 512 bytes of guest code.
const MOST_PAGES: usize = 1 << 14;
/// Address spaces that have a window at gs at a time.
const WINDOWS: usize = 8;
/// Mappings of a window before it starts anew: the host allows 65530 in all.
const MAX_MAPPINGS: u32 = 6000;
/// Pages around a fault that are mapped with it, where they lie side by side in the memory object too.
const FAULT_AROUND: u64 = BLOCK as u64;
const BLOCK_BYTES: usize = BLOCK as usize * PAGE_SIZE;
const PAGES: usize = (WINDOW / PAGE_SIZE as u64) as usize;

/// Where a window begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Where gs points to.
    #[default]
    Gs,
    /// At the host's address 0: there can be one such window. Its first addresses are never mapped.
    Zero,
}

impl Origin {
    /// The prefixes that confine an instruction's operand to the window: gs, and addressing with 32 bits.
    pub(crate) fn prefixes(self) -> &'static [u8] {
        match self {
            Self::Gs => &[0x65, 0x67],
            Self::Zero => &[0x67],
        }
    }

    /// The index of a guest address in the jump table.
    pub(crate) fn jump_index(self, address: u64) -> usize {
        match self {
            Self::Gs => address as usize % TABLE_ENTRIES,
            Self::Zero => address as usize % WIDE_TABLE_ENTRIES,
        }
    }
}

/// The host's first 4 GiB but for what no program may map (vm.mmap_min_addr), reserved.
struct Low;

impl Low {
    /// The usual least address that may be mapped.
    const START: u64 = 0x1_0000;
    /// What an access can reach that begins in the window.
    const GUARD: u64 = 0x1_0000;
    const BYTES: usize = (WINDOW + Self::GUARD - Self::START) as usize;
    const _REACHES: () = assert!(Self::GUARD > MAX_ACCESS as u64);

    fn reserve() -> io::Result<Self> {
        if (0..Self::START).step_by(PAGE_SIZE).any(is_mapped) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let at = ptr::without_provenance_mut(Self::START as usize);
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
        // SAFETY: a new mapping where there is none.
        let mapped = unsafe { mmap_anonymous(at, Self::BYTES, ProtFlags::empty(), flags)? };
        if mapped == at {
            return Ok(Self);
        }
        // Before Linux 4.17 the address is a wish.
        // SAFETY: this is what was just mapped.
        let _ = unsafe { munmap(mapped, Self::BYTES) };
        Err(io::ErrorKind::AddrInUse.into())
    }
}

impl Drop for Low {
    fn drop(&mut self) {
        // SAFETY: this is what `reserve` mapped; translated code doesn't run in it now, nor can it again.
        let _ = unsafe { munmap(ptr::without_provenance_mut(Self::START as usize), Self::BYTES) };
    }
}

/// Whether anything is mapped at a page's address.
fn is_mapped(address: u64) -> bool {
    let mut resident = 0;
    // SAFETY: mincore accesses no more than the byte for its one page.
    unsafe { libc::mincore(ptr::without_provenance_mut(address as usize), PAGE_SIZE, &mut resident) == 0 }
}

fn page_number(address: u64) -> usize {
    (address / PAGE_SIZE as u64) as usize
}

/// Context and jump table: one memory object that all windows map.
pub(crate) struct Shared {
    object: rustix::fd::OwnedFd,
    base: NonNull<u8>,
    table: *mut u64,
    entries: usize,
    /// Pages of a wide table that are in use.
    pages: Cell<usize>,
}

impl Shared {
    const BYTES: usize = CONTEXT_BYTES + TABLE_BYTES;

    pub(crate) fn new() -> io::Result<Self> {
        let object = memfd_create("context", MemfdFlags::CLOEXEC)?;
        ftruncate(&object, Self::BYTES as u64)?;
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping where the host likes touches no memory that Rust knows of.
        let base = unsafe { mmap(ptr::null_mut(), Self::BYTES, prot, MapFlags::SHARED, &object, 0)? };
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: within the mapping.
        let table = unsafe { base.as_ptr().add(CONTEXT_BYTES).cast() };
        Ok(Self { object, base, table, entries: TABLE_ENTRIES, pages: Cell::new(0) })
    }

    /// The context. All zeros is a valid one.
    pub(crate) fn context(&self) -> *mut Context {
        self.base.as_ptr().cast()
    }

    /// Sets an entry of the jump table. Of the wide one, those in the same page that nobody has set lead to `miss` then: it
    /// takes a signal to find out where there is nothing.
    pub(crate) fn set_jump(&self, index: usize, host: u64, miss: u64) {
        const IN_PAGE: usize = PAGE_SIZE / 8;
        assert!(index < self.entries);
        // SAFETY: within the table, which has whole pages, aligned, and read by translated code only, which doesn't run now.
        unsafe {
            if self.table.add(index).read() == 0 {
                let page = self.table.add(index - index % IN_PAGE);
                (0..IN_PAGE).for_each(|entry| page.add(entry).write(miss));
                self.pages.set(self.pages.get() + 1);
            }
            self.table.add(index).write(host);
        }
    }

    /// Whether a wide table has grown to what a guest may make of it.
    pub(crate) fn is_full(&self) -> bool {
        self.pages.get() >= MOST_PAGES
    }

    /// Gives the pages of a wide table back: nobody has set an entry.
    pub(crate) fn empty(&self) {
        // SAFETY: the pages are the table's own, all zeros when they are read next; translated code doesn't run now.
        let emptied = unsafe { madvise(self.table.cast(), self.entries * 8, Advice::LinuxDontNeed) };
        assert!(emptied.is_ok(), "the host takes back pages of the jump table");
        self.pages.set(0);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: this is what `new` mapped; who has pointers into it has a borrow of self.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), Self::BYTES) };
    }
}

/// One window.
pub(crate) struct Window {
    /// The space that it shows.
    space: u64,
    /// When it was last entered.
    used: u64,
    reserved: NonNull<u8>,
    /// It is at the host's address 0.
    low: Option<Low>,
    mapped: Box<[u64]>,
    writable: Box<[u64]>,
    mappings: u32,
    /// Anything is mapped.
    filled: bool,
    /// Bytes of what checks of the budget read that are ready.
    checks: usize,
    /// The memory's write epoch that it knows of.
    write_epoch: u64,
}

impl Window {
    /// With what it takes for the base to be where a large page of the host's begins.
    const RESERVED: usize = BELOW + WINDOW as usize + ABOVE + BLOCK_BYTES;

    fn new(shared: &Shared, origin: Origin) -> io::Result<Self> {
        let low = if origin == Origin::Zero { Some(Low::reserve()?) } else { None };
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping where the host likes touches no memory that Rust knows of.
        let reserved = unsafe { mmap_anonymous(ptr::null_mut(), Self::RESERVED, ProtFlags::empty(), flags)? };
        let reserved = NonNull::new(reserved.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let window = Self {
            space: 0,
            used: 0,
            reserved,
            low,
            mapped: vec![0; PAGES / 64].into(),
            writable: vec![0; PAGES / 64].into(),
            mappings: 0,
            filled: false,
            checks: 0,
            write_epoch: 0,
        };
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        for (distance, len, offset) in [(CONTEXT, CONTEXT_BYTES, 0), (TABLE, TABLE_BYTES, CONTEXT_BYTES as u64)] {
            let at = window.base().wrapping_add_signed(i64::from(distance));
            // SAFETY: the place lies in what was just reserved, which nobody else uses.
            unsafe {
                mmap(at as *mut _, len, prot, MapFlags::SHARED | MapFlags::FIXED, shared.object.as_fd(), offset)?
            };
        }
        let at = window.base().wrapping_add_signed(CHECK.into()) as *mut _;
        // SAFETY: as before.
        unsafe { mmap_anonymous(at, CHECK_BYTES, ProtFlags::READ, flags | MapFlags::FIXED)? };
        // It is only read, and so all of it is one page of zeros, which stays in the cache if it isn't a large one.
        // SAFETY: advice leaves contents alone.
        let _ = unsafe { madvise(at, CHECK_BYTES, Advice::LinuxNoHugepage) };
        Ok(window)
    }

    /// Makes the wide jump table where a window at gs would be, and gives its place.
    fn provide_table(&self) -> io::Result<*mut u64> {
        const BYTES: usize = WIDE_TABLE_ENTRIES * 8;
        if !may_be_private(BYTES) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let (prot, at) = (ProtFlags::READ | ProtFlags::WRITE, self.base() as *mut _);
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
        // SAFETY: the place lies in what `new` has reserved, and nothing is mapped there: the window is at 0.
        let table = unsafe { mmap_anonymous(at, BYTES, prot, flags)? };
        // Little of it is used, and that lies far apart.
        // SAFETY: advice leaves contents alone.
        let _ = unsafe { madvise(at, BYTES, Advice::LinuxNoHugepage) };
        Ok(table.cast())
    }

    /// The address of the guest's address 0.
    pub(crate) fn origin(&self) -> u64 {
        if self.low.is_some() { 0 } else { self.base() }
    }

    /// The first guest address that can be mapped.
    fn first(&self) -> u64 {
        if self.low.is_some() { Low::START } else { 0 }
    }

    /// Where gs points to.
    pub(crate) fn base(&self) -> u64 {
        (self.reserved.as_ptr() as u64 + BELOW as u64).next_multiple_of(BLOCK_BYTES as u64)
    }

    /// The context, where translated code has it.
    pub(crate) fn context(&self) -> *mut Context {
        self.base().wrapping_add_signed(CONTEXT.into()) as *mut _
    }

    /// The budget that translated code is given of a wanted one: as much as it can check.
    #[inline]
    pub(crate) fn allow(&mut self, wanted: u64) -> u64 {
        if self.checks == 0 {
            self.allow_more();
        }
        wanted.min(self.checks as u64 / 2 - BUDGET_BACK)
    }

    /// Lets translated code have more than it has used up. What it reads as it counts is made ready, which is a fault for
    /// each page otherwise: little for programs that end soon.
    pub(crate) fn allow_more(&mut self) {
        let ready = self.checks;
        if ready == CHECK_BYTES {
            return;
        }
        self.checks = (ready * 8).clamp(FIRST_CHECKS, CHECK_BYTES);
        let at = self.base().wrapping_add_signed(CHECK.into()) as usize + ready;
        // SAFETY: advice about the window's own addresses; without it, each page is a fault.
        let _ = unsafe { madvise(at as *mut _, self.checks - ready, Advice::LinuxPopulateRead) };
    }

    fn has(bits: &[u64], page: usize) -> bool {
        bits[page / 64] >> (page % 64) & 1 != 0
    }

    fn set(bits: &mut [u64], page: usize, value: bool) {
        if value {
            bits[page / 64] |= 1 << (page % 64);
        } else {
            bits[page / 64] &= !(1 << (page % 64));
        }
    }

    /// Makes addresses of the window inaccessible.
    fn take_back(&self, start: u64, end: u64) {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
        let at = (self.origin() + start) as *mut _;
        // SAFETY: the window's own addresses are mapped anew; translated code doesn't run now.
        let taken = unsafe { mmap_anonymous(at, (end - start) as usize, ProtFlags::empty(), flags) };
        assert!(taken.is_ok(), "the host takes back addresses of a window");
    }

    /// Shows another space, or none (0), from now on.
    fn give_to(&mut self, space: u64) {
        self.space = space;
        if self.filled {
            self.clear();
        }
    }

    /// Forgets everything.
    fn clear(&mut self) {
        self.take_back(self.first(), WINDOW);
        self.mapped.fill(0);
        self.writable.fill(0);
        self.mappings = 0;
        self.filled = false;
    }

    /// Forgets pages.
    fn forget(&mut self, pages: &mut [u64]) {
        // Mostly many that follow each other, as a range of them was given back.
        pages.sort_unstable();
        let mut rest = &*pages;
        while let Some((first, others)) = rest.split_first() {
            rest = others;
            if *first >= WINDOW || !Self::has(&self.mapped, page_number(*first)) {
                continue;
            }
            let mut end = *first + PAGE_SIZE as u64;
            while let Some((next, others)) = rest.split_first()
                && *next <= end
                && *next < WINDOW
            {
                rest = others;
                end = *next + PAGE_SIZE as u64;
            }
            self.take_back(*first, end);
            for page in page_number(*first)..page_number(end) {
                Self::set(&mut self.mapped, page, false);
                Self::set(&mut self.writable, page, false);
            }
            self.mappings += 2;
        }
    }

    /// Whether more holds code than when the window was made right.
    pub(crate) fn is_stale(&self, space: &Space) -> bool {
        self.write_epoch != space.memory().write_epoch()
    }

    /// Makes the window right again after changes of the space and of what holds code.
    fn sync(&mut self, space: &mut Space) {
        let changes = space.take_changes();
        let epoch = space.memory().write_epoch();
        match changes {
            Some(mut pages) if self.write_epoch == epoch && self.mappings < MAX_MAPPINGS => self.forget(&mut pages),
            _ if !self.filled => {}
            _ => self.clear(),
        }
        self.write_epoch = epoch;
    }

    /// Maps the page that an address is in, and some around it, if the space allows the access. False if it doesn't, or
    /// if nothing was to be done.
    pub(crate) fn fill(&mut self, space: &Space, address: u64, write: bool) -> bool {
        let memory = space.memory();
        let first = address & !(PAGE_SIZE as u64 - 1);
        let known = if write { &self.writable } else { &self.mapped };
        if !(self.first()..WINDOW).contains(&address) || Self::has(known, page_number(address)) {
            return false;
        }
        let Some((frame, writable)) = look(space, memory, first).filter(|(_, writable)| *writable || !write) else {
            return false;
        };
        let (mut start, mut end, mut frame) = (first, first + PAGE_SIZE as u64, frame);
        let low = first & !(FAULT_AROUND * PAGE_SIZE as u64 - 1);
        let high = low + FAULT_AROUND * PAGE_SIZE as u64;
        let low = low.max(self.first());
        let extends = |address: u64, wanted: Option<u32>| {
            wanted.is_some()
                && space.page(address).map(|(frame, _)| frame) == wanted
                && look(space, memory, address) == wanted.map(|frame| (frame, writable))
        };
        while end < high && extends(end, Some(frame + page_count(first, end))) {
            end += PAGE_SIZE as u64;
        }
        while start > low && extends(start - PAGE_SIZE as u64, frame.checked_sub(1)) {
            start -= PAGE_SIZE as u64;
            frame -= 1;
        }
        // A whole block is mapped anew, so that the host maps it as a large page. Else what is there already stays.
        if end - start < BLOCK_BYTES as u64 {
            let known = if writable { &self.writable } else { &self.mapped };
            let from = (page_number(start)..page_number(first)).rev().find(|page| Self::has(known, *page));
            let from = from.map_or(start, |page| (page as u64 + 1) * PAGE_SIZE as u64);
            frame += page_count(start, from);
            start = from;
            let to = (page_number(first)..page_number(end)).find(|page| Self::has(known, *page));
            end = to.map_or(end, |page| page as u64 * PAGE_SIZE as u64);
        }
        self.map(space, start, end, frame, writable)
    }

    fn map(&mut self, space: &Space, start: u64, end: u64, frame: u32, writable: bool) -> bool {
        let mut prot = ProtFlags::READ;
        prot.set(ProtFlags::WRITE, writable);
        let flags = MapFlags::SHARED | MapFlags::FIXED | MapFlags::POPULATE;
        let at = (self.origin() + start) as *mut _;
        let offset = u64::from(frame) * PAGE_SIZE as u64;
        let Ok(object) = space.memory().object() else { return false };
        // SAFETY: the addresses lie in the window, which is ours alone; what is mapped there are frames of the guest's
        // memory, which no Rust reference points into.
        if unsafe { mmap(at, (end - start) as usize, prot, flags, object, offset) }.is_err() {
            return false;
        }
        // The host joins mappings that go on in addresses and in the object.
        let joined = |page: u64, neighbour: Option<u32>| {
            page < WINDOW
                && Self::has(&self.mapped, page_number(page))
                && Self::has(&self.writable, page_number(page)) == writable
                && space.page(page).map(|(frame, _)| frame) == neighbour
        };
        if !joined(start.wrapping_sub(PAGE_SIZE as u64), frame.checked_sub(1))
            && !joined(end, Some(frame + page_count(start, end)))
        {
            self.mappings += 2;
        }
        for page in page_number(start)..page_number(end) {
            Self::set(&mut self.mapped, page, true);
            Self::set(&mut self.writable, page, writable);
        }
        self.filled = true;
        true
    }
}

fn page_count(from: u64, to: u64) -> u32 {
    ((to - from) / PAGE_SIZE as u64) as u32
}

/// The frame that ring 3 may read at an address, and whether it may be written without notice.
fn look(space: &Space, memory: &Memory, address: u64) -> Option<(u32, bool)> {
    let (frame, flags) = space.page(address).filter(|(_, flags)| flags.contains(PageFlags::USER))?;
    Some((frame, flags.contains(PageFlags::WRITE) && memory.cache_writable(frame)))
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: this is what `new` reserved; translated code doesn't run in it now, nor can it again.
        let _ = unsafe { munmap(self.reserved.as_ptr().cast(), Self::RESERVED) };
    }
}

/// The windows of an engine: the spaces that ran last have one each.
pub(crate) struct Windows {
    list: Vec<Window>,
    origin: Origin,
    most: usize,
    clock: u64,
}

impl Windows {
    /// With one window, so that who can't have any learns it now.
    pub(crate) fn new(shared: &mut Shared, origin: Origin) -> io::Result<Self> {
        let first = Window::new(shared, origin)?;
        let mut most = WINDOWS;
        if origin == Origin::Zero {
            most = 1;
            (shared.table, shared.entries) = (first.provide_table()?, WIDE_TABLE_ENTRIES);
        }
        Ok(Self { list: vec![first], origin, most, clock: 0 })
    }

    /// The index of the window that shows a space, as it is now.
    pub(crate) fn of(&mut self, shared: &Shared, space: &mut Space) -> usize {
        self.clock += 1;
        let found = self.list.iter().position(|window| window.space == space.id());
        let index = found.unwrap_or_else(|| self.take(shared, space.id()));
        let window = &mut self.list[index];
        window.used = self.clock;
        window.sync(space);
        index
    }

    /// A window for another space: a new one, or the one that was idle for longest.
    fn take(&mut self, shared: &Shared, space: u64) -> usize {
        if self.list.len() < self.most && self.list.iter().all(|window| window.space != 0) {
            match Window::new(shared, self.origin) {
                Ok(window) => self.list.push(window),
                Err(_) => self.most = self.list.len(),
            }
        }
        let idle = (0..self.list.len()).min_by_key(|index| self.list[*index].used).unwrap_or(0);
        let window = &mut self.list[idle];
        window.give_to(space);
        idle
    }

    /// Takes back the window of a space that is to have none here any more: what it is told to forget it learns elsewhere.
    pub(crate) fn release(&mut self, space: u64) {
        for window in self.list.iter_mut().filter(|window| window.space == space) {
            window.give_to(0);
        }
    }

    pub(crate) fn get(&mut self, index: usize) -> &mut Window {
        &mut self.list[index]
    }
}

/// Makes a mapping of ours inaccessible: a guard.
pub(crate) fn guard(at: NonNull<u8>, len: usize) -> io::Result<()> {
    // SAFETY: the caller's own mapping, into which nothing points.
    unsafe { mprotect(at.as_ptr().cast(), len, MprotectFlags::empty())? };
    Ok(())
}
