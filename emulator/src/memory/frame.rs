//! Frames and their allocator.
//!
//! A kernel counts the references to a frame (Linux: `page->_refcount`) and frees it when the last goes. So do we: a
//! [`Frame`] is one reference. Besides, the allocator remembers which frames an engine has decoded instructions from, so
//! that whoever writes such a frame, by whatever way, makes the decoded form stale.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::rc::Rc;

use super::free::Free;
use super::mapping::Mapping;
use super::{BLOCK, PAGE_SIZE};

/// Frames that are taken from the host at once.
const AT_ONCE: u32 = 16;

/// Frames in use from which on memory that is to be an object becomes one: 8 MiB, which are soon moved.
const SOON: u32 = 4 * BLOCK;

/// All frames of one machine. A clone is another handle of the same.
#[derive(Clone)]
pub struct Memory(Rc<Inner>);

struct Inner {
    mapping: Mapping,
    frames: RefCell<Frames>,
    /// Grows whenever a frame with decoded instructions is written.
    code_writes: Cell<u64>,
    /// Grows whenever a frame that may be cached as writable must no longer be.
    write_epoch: Cell<u64>,
}

#[derive(Default)]
struct Frames {
    /// By frame number, as far as frames were ever handed out or are none.
    info: Vec<Info>,
    free: Free,
    /// The host has refused to make a block one page of its own: it isn't asked again.
    no_blocks: bool,
}

impl Frames {
    /// The first of a block of frames that were never handed out, if there is one before the frame `limit`.
    fn new_block(&mut self, limit: u32) -> Option<u32> {
        let known = self.info.len() as u32;
        let first = known.checked_next_multiple_of(BLOCK)?;
        let end = first.checked_add(BLOCK).filter(|end| *end <= limit)?;
        (known..first).for_each(|number| self.free.give(number));
        self.info.resize(end as usize, Info::default());
        Some(first)
    }
}

#[derive(Clone, Copy, Default)]
struct Info {
    refs: u32,
    /// How often decoded instructions of this frame became stale.
    version: u32,
    /// Instructions were decoded from this frame since it was last written.
    code: bool,
    /// Some translation cache may let its core write this frame directly.
    cached_writable: bool,
}

impl Memory {
    /// Memory of at most `limit_bytes`, none of which is taken from the host before it is touched.
    ///
    /// # Errors
    /// What the host says when it refuses the reservation.
    pub fn new(limit_bytes: u64) -> io::Result<Self> {
        // Frame numbers must leave room in a page-table entry; 2^28 frames are 1 TiB.
        let limit = (limit_bytes / PAGE_SIZE as u64).clamp(1, 1 << 28) as u32;
        Ok(Self::of(Mapping::new(limit)?))
    }

    fn of(mapping: Mapping) -> Self {
        let info = vec![Info::default(); mapping.numbers().start as usize];
        Self(Rc::new(Inner {
            mapping,
            frames: RefCell::new(Frames { info, ..Frames::default() }),
            code_writes: Cell::new(0),
            write_epoch: Cell::new(0),
        }))
    }

    /// A frame of zeros, or none if the limit is reached.
    pub fn alloc(&self) -> Option<Frame> {
        let mut frames = self.0.frames.borrow_mut();
        let number = if let Some(number) = frames.free.take() {
            self.0.mapping.zero(number, 1);
            self.note_write(&mut frames, number);
            number
        } else {
            // Never touched before, so the host's zeros are still there.
            let number =
                u32::try_from(frames.info.len()).ok().filter(|number| self.0.mapping.numbers().contains(number))?;
            frames.info.push(Info::default());
            if number.is_multiple_of(AT_ONCE) {
                self.share_soon(number);
                self.0.mapping.provide(number, AT_ONCE);
            }
            number
        };
        frames.info[number as usize].refs = 1;
        Some(Frame { memory: self.clone(), number })
    }

    /// [`BLOCK`] frames of zeros with numbers that follow each other, of which the first is a multiple of `BLOCK`: one
    /// page of the host's, provided at once. None if the host has no such pages, or if less than half of the limit would
    /// be left: where memory is scarce, frames are better taken one by one.
    pub fn alloc_block(&self) -> Option<Vec<Frame>> {
        let mut frames = self.0.frames.borrow_mut();
        let numbers = self.0.mapping.numbers();
        if frames.no_blocks || self.in_use(&frames) + BLOCK > numbers.len() as u32 / 2 {
            return None;
        }
        let (first, fresh) = match frames.free.take_block() {
            Some(first) => (first, false),
            None => (frames.new_block(numbers.end)?, true),
        };
        self.share_soon(first);
        if !self.0.mapping.provide_block(first) {
            frames.no_blocks = true;
            (first..first + BLOCK).for_each(|number| frames.free.give(number));
            return None;
        }
        if !fresh {
            self.0.mapping.zero(first, BLOCK);
        }
        let list = (first..first + BLOCK).map(|number| {
            self.note_write(&mut frames, number);
            frames.info[number as usize].refs = 1;
            Frame { memory: self.clone(), number }
        });
        Some(list.collect())
    }

    /// How many frames have at least one reference.
    pub fn frames_in_use(&self) -> u64 {
        self.in_use(&self.0.frames.borrow()).into()
    }

    fn in_use(&self, frames: &Frames) -> u32 {
        frames.info.len() as u32 - self.0.mapping.numbers().start - frames.free.count()
    }

    /// The most bytes that frames can take.
    pub fn limit(&self) -> u64 {
        self.0.mapping.numbers().len() as u64 * PAGE_SIZE as u64
    }

    /// One more reference to a frame that has some.
    pub(super) fn get(&self, number: u32) -> Frame {
        self.0.frames.borrow_mut().info[number as usize].refs += 1;
        Frame { memory: self.clone(), number }
    }

    /// One more reference, which a page table keeps as a bare number.
    pub(super) fn retain(&self, number: u32) {
        self.0.frames.borrow_mut().info[number as usize].refs += 1;
    }

    /// Gives one reference back.
    pub(super) fn release(&self, number: u32) {
        let mut frames = self.0.frames.borrow_mut();
        let info = &mut frames.info[number as usize];
        info.refs -= 1;
        if info.refs == 0 {
            frames.free.give(number);
        }
    }

    /// Whether both handles are of the same memory.
    pub fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// The host's memory object that holds the frames: number `n` lies at `n * PAGE_SIZE`. For engines that map frames
    /// a second time.
    ///
    /// # Errors
    /// If the host has none for us.
    pub fn object(&self) -> io::Result<BorrowedFd<'_>> {
        self.0.mapping.object(self.0.frames.borrow().info.len() as u32)
    }

    /// Says that an engine will ask for the [object](Self::object), so that there is never much that has to be moved.
    ///
    /// # Errors
    /// If the host has none for us.
    pub fn expect_sharing(&self) -> io::Result<()> {
        self.0.mapping.prepare().map(drop)
    }

    /// Makes an object of it if one is expected and there is more to come. If that fails, who asks for the object is told.
    fn share_soon(&self, used: u32) {
        if used >= SOON && self.0.mapping.is_prepared() {
            let _ = self.0.mapping.object(used);
        }
    }

    /// Where a frame's bytes lie in the host, for as long as a handle lives.
    pub(super) fn host(&self, number: u32) -> NonNull<u8> {
        self.0.mapping.frame(number)
    }

    /// Reads from a frame by its number, as far as the frame reaches. For engines, which keep numbers.
    ///
    /// # Panics
    /// If there is no such frame.
    pub fn read(&self, number: u32, offset: usize, buf: &mut [u8]) {
        self.0.mapping.read(number, offset, buf);
    }

    pub(super) fn write(&self, number: u32, offset: usize, buf: &[u8]) {
        self.note_write(&mut self.0.frames.borrow_mut(), number);
        self.0.mapping.write(number, offset, buf);
    }

    fn note_write(&self, frames: &mut Frames, number: u32) {
        let info = &mut frames.info[number as usize];
        if info.code {
            info.code = false;
            info.version = info.version.wrapping_add(1);
            self.0.code_writes.set(self.0.code_writes.get() + 1);
        }
    }

    /// Makes stale what was decoded from a frame that is about to be written.
    pub(crate) fn drop_code(&self, number: u32) {
        self.note_write(&mut self.0.frames.borrow_mut(), number);
    }

    /// Remembers that instructions of a frame are decoded, and says which version of its content they are of.
    pub fn mark_code(&self, number: u32) -> u32 {
        let mut frames = self.0.frames.borrow_mut();
        let info = &mut frames.info[number as usize];
        info.code = true;
        if info.cached_writable {
            info.cached_writable = false;
            self.0.write_epoch.set(self.0.write_epoch.get() + 1);
        }
        info.version
    }

    /// The version of a frame's content, as far as decoded instructions care.
    pub fn code_version(&self, number: u32) -> u32 {
        self.0.frames.borrow().info[number as usize].version
    }

    /// Grows whenever some decoded frame is written: as long as it stands still, everything decoded is fresh.
    #[inline]
    pub fn code_writes(&self) -> u64 {
        self.0.code_writes.get()
    }

    /// Grows whenever translation caches must forget which pages they may write.
    #[inline]
    pub fn write_epoch(&self) -> u64 {
        self.0.write_epoch.get()
    }

    /// Asks to write a frame without further notice; refused as long as decoded instructions would go stale.
    pub fn cache_writable(&self, number: u32) -> bool {
        let info = &mut self.0.frames.borrow_mut().info[number as usize];
        if !info.code {
            info.cached_writable = true;
        }
        !info.code
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("frames_in_use", &self.frames_in_use()).field("limit", &self.limit()).finish()
    }
}

/// One reference to a frame of 4096 bytes. A clone is one more reference; the last one dropped frees the frame.
pub struct Frame {
    memory: Memory,
    number: u32,
}

impl Frame {
    /// Its number, unique among the frames in use.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// How many references there are, page tables' included.
    pub fn refs(&self) -> u32 {
        self.memory.0.frames.borrow().info[self.number as usize].refs
    }

    /// Reads from `offset`. What would lie beyond the frame's end is left as it was in `buf`.
    pub fn read(&self, offset: usize, buf: &mut [u8]) {
        self.memory.read(self.number, offset, buf);
    }

    /// Writes from `offset`, as far as the frame reaches.
    pub fn write(&self, offset: usize, buf: &[u8]) {
        self.memory.write(self.number, offset, buf);
    }

    /// Reads at most `len` bytes of a file of the host's, from `from` of it on, to `offset`, as far as the frame reaches, and
    /// gives how many there were.
    ///
    /// # Errors
    /// What the host says.
    pub fn load(&self, offset: usize, len: usize, file: BorrowedFd<'_>, from: u64) -> io::Result<usize> {
        self.memory.drop_code(self.number);
        self.memory.0.mapping.load(self.number, offset, len, file, from)
    }

    /// Makes its content that of another frame of the same memory.
    pub fn copy_from(&self, other: &Frame) {
        self.memory.drop_code(self.number);
        if self.memory.same(&other.memory) {
            self.memory.0.mapping.copy(other.number, self.number);
        } else {
            let mut page = [0; PAGE_SIZE];
            other.read(0, &mut page);
            self.write(0, &page);
        }
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }
}

impl Clone for Frame {
    fn clone(&self) -> Self {
        self.memory.get(self.number)
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.memory.release(self.number);
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({})", self.number)
    }
}

#[cfg(test)]
mod tests {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

    use super::super::{BLOCK_BYTES, mapping::Offer};
    use super::*;

    #[test]
    fn memory_becomes_an_object_when_it_must_or_before_it_is_large() {
        const LIMIT: u32 = 4 * SOON;
        let memory = || Memory::new(u64::from(LIMIT) * PAGE_SIZE as u64).expect("memory");
        let plain = memory();
        let frames: Vec<_> = (0..SOON + AT_ONCE + 1).map(|_| plain.alloc().expect("a frame")).collect();
        assert_eq!(plain.0.mapping.shared(), 0);
        plain.object().expect("an object");
        assert_eq!(plain.0.mapping.shared(), LIMIT);
        drop(frames);
        let soon = memory();
        soon.expect_sharing().expect("an object");
        let few: Vec<_> = (0..SOON).map(|_| soon.alloc().expect("a frame")).collect();
        assert_eq!(soon.0.mapping.shared(), 0);
        let more = soon.alloc().expect("a frame");
        assert_eq!(soon.0.mapping.shared(), LIMIT);
        drop((few, more));
    }

    #[test]
    fn memory_begins_behind_what_is_taken() {
        const TAKEN: usize = 3 * PAGE_SIZE;
        const LIMIT: u32 = BLOCK + 40;
        let len = TAKEN + LIMIT as usize * PAGE_SIZE;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping where the host likes, whose first pages are this test's and the others the memory's.
        let (base, memory) = unsafe {
            let start = mmap_anonymous(std::ptr::null_mut(), len, access, MapFlags::PRIVATE).expect("a mapping");
            let base = NonNull::new(start.cast::<u8>()).expect("an address");
            base.write_bytes(0xaa, TAKEN);
            let offer = Offer { base, len, taken: TAKEN, large: BLOCK_BYTES };
            assert!(Mapping::of_offer(&offer, LIMIT + 1).is_none());
            (base, Memory::of(Mapping::of_offer(&offer, LIMIT).expect("enough")))
        };
        assert_eq!((memory.limit(), memory.frames_in_use()), (u64::from(LIMIT) * PAGE_SIZE as u64, 0));
        let frames: Vec<_> = (0..LIMIT - 1).map(|_| memory.alloc().expect("a frame")).collect();
        let write = |byte| frames.iter().for_each(|frame| frame.write(0, &[byte; PAGE_SIZE]));
        let read = |frame: &Frame| {
            let mut bytes = [0; PAGE_SIZE];
            frame.read(0, &mut bytes);
            bytes
        };
        write(1);
        memory.object().expect("an object");
        assert!(frames.iter().all(|frame| read(frame) == [1; PAGE_SIZE]));
        write(2);
        let last = memory.alloc().expect("a frame");
        assert_eq!((read(&last), memory.alloc().is_none()), ([0; PAGE_SIZE], true));
        assert_eq!(memory.frames_in_use(), LIMIT.into());
        drop((frames, last));
        assert_eq!(memory.frames_in_use(), 0);
        drop(memory);
        // SAFETY: these pages are still there, and nobody else's.
        assert!(unsafe { std::slice::from_raw_parts(base.as_ptr(), TAKEN) }.iter().all(|byte| *byte == 0xaa));
    }
}
