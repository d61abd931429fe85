//! mmap(2) and its kin: the calls that change an address space.

use std::rc::Rc;

use callgate_abi::{Fd, SYSCALL_DEFINE1, SYSCALL_DEFINE2, SYSCALL_DEFINE3, SYSCALL_DEFINE5, SYSCALL_DEFINE6};
use callgate_abi::{UserAddr, UserMemory, UserMut};
use callgate_uapi::mman::{MapFlags, MremapFlags, ProtFlags};

use super::{AddressSpace, Backing, MMAP_MIN_ADDR, Mm, PAGE_SIZE, Prot, TASK_SIZE, VmFlags, Vma};
use crate::fs::file::FMode;
use crate::fs::page_cache::PageCache;
use crate::{Errno, Result, Task};

fn page_protection(flags: ProtFlags) -> Prot {
    Prot::from_bits_truncate(flags.bits() as i32)
}

fn page_align(len: u64) -> Result<u64> {
    len.checked_add(PAGE_SIZE - 1).map(|len| len & !(PAGE_SIZE - 1)).ok_or(Errno::ENOMEM)
}

fn is_page_aligned(addr: u64) -> bool {
    addr.is_multiple_of(PAGE_SIZE)
}

/// mmap(2): maps `len` bytes of a file, or of zeroes, and returns where.
#[SYSCALL_DEFINE6(mmap)]
pub fn mmap(
    task: &mut Task,
    addr: UserAddr,
    len: u64,
    prot: ProtFlags,
    flags: MapFlags,
    fd: Fd,
    off: u64,
) -> Result<UserAddr> {
    if !is_page_aligned(off) {
        return Err(Errno::EINVAL);
    }
    let file = if flags.contains(MapFlags::MAP_ANONYMOUS) { None } else { Some(task.files.borrow().get(fd)?) };
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    let len = page_align(len)?;
    if len > TASK_SIZE {
        return Err(Errno::ENOMEM);
    }
    if off.checked_add(len).is_none() {
        return Err(Errno::EOVERFLOW);
    }
    if flags.contains(MapFlags::MAP_HUGETLB) {
        return Err(Errno::EINVAL);
    }
    let mut mm = task.mm.borrow_mut();
    let start = place(&mm, addr.0, len, flags)?;
    let shared = match flags.bits() & 3 {
        1 => true,
        // MAP_SHARED_VALIDATE: files only.
        3 if file.is_some() => true,
        2 => false,
        _ => return Err(Errno::EINVAL),
    };
    let mut vm_flags = VmFlags::empty();
    vm_flags.set(VmFlags::SHARED, shared);
    vm_flags.set(VmFlags::GROWSDOWN, flags.contains(MapFlags::MAP_GROWSDOWN));
    vm_flags.set(VmFlags::LOCKED, flags.contains(MapFlags::MAP_LOCKED));
    let backing = match file {
        Some(file) => {
            if !file.mode.contains(FMode::READ)
                || (shared && prot.contains(ProtFlags::PROT_WRITE) && !file.mode.contains(FMode::WRITE))
            {
                return Err(Errno::EACCES);
            }
            let mapping = file.op.mapping(&file).ok_or(Errno::ENODEV)?;
            Backing::Object { mapping, offset: off, file: Some(file) }
        }
        None if shared => {
            let mapping: Rc<dyn AddressSpace> = Rc::new(PageCache::zeroes(&mm.memory, len));
            Backing::Object { mapping, offset: 0, file: None }
        }
        None => Backing::Anonymous,
    };
    mm.insert(Vma { start, end: start + len, prot: page_protection(prot), flags: vm_flags, backing });
    Ok(UserAddr(start))
}

/// MAP_32BIT mappings lie below 2 GiB.
const MAP_32BIT_END: u64 = 1 << 31;

/// Where a new mapping goes.
fn place(mm: &Mm, hint: u64, len: u64, flags: MapFlags) -> Result<u64> {
    if flags.intersects(MapFlags::MAP_FIXED | MapFlags::MAP_FIXED_NOREPLACE) {
        if hint.checked_add(len).is_none_or(|end| end > TASK_SIZE) {
            return Err(Errno::ENOMEM);
        }
        if !is_page_aligned(hint) {
            return Err(Errno::EINVAL);
        }
        if flags.contains(MapFlags::MAP_FIXED_NOREPLACE) && !mm.is_free(hint, len) {
            return Err(Errno::EEXIST);
        }
        return Ok(hint);
    }
    if hint != 0 {
        let hint = (hint & !(PAGE_SIZE - 1)).max(MMAP_MIN_ADDR);
        if hint.saturating_add(len) <= mm.layout.end && mm.is_free(hint, len) {
            return Ok(hint);
        }
    }
    if flags.contains(MapFlags::MAP_32BIT) {
        return mm.find_free_below(MAP_32BIT_END, len);
    }
    mm.find_free(len)
}

/// munmap(2): unmaps `len` bytes from `addr` on.
#[SYSCALL_DEFINE2(munmap)]
pub fn munmap(task: &mut Task, addr: UserAddr, len: u64) -> Result<()> {
    let range_end = addr.0.checked_add(len);
    if !is_page_aligned(addr.0) || addr.0 > TASK_SIZE || len > TASK_SIZE || range_end.is_none_or(|end| end > TASK_SIZE)
    {
        return Err(Errno::EINVAL);
    }
    let len = page_align(len)?;
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    task.mm.borrow_mut().unmap(addr.0, len);
    Ok(())
}

/// mprotect(2): sets the protection of `len` bytes from `addr` on.
#[SYSCALL_DEFINE3(mprotect)]
pub fn mprotect(task: &mut Task, start: UserAddr, len: u64, prot: ProtFlags) -> Result<()> {
    let grows = ProtFlags::PROT_GROWSDOWN | ProtFlags::PROT_GROWSUP;
    if prot.contains(grows) || !is_page_aligned(start.0) {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(());
    }
    let len = page_align(len)?;
    if start.0.checked_add(len).is_none() {
        return Err(Errno::ENOMEM);
    }
    if ProtFlags::all().bits() & prot.bits() != prot.bits() {
        return Err(Errno::EINVAL);
    }
    let mut mm = task.mm.borrow_mut();
    let (mut start, mut len) = (start.0, len);
    if prot.contains(ProtFlags::PROT_GROWSDOWN) {
        let vma = mm.find_vma(start).ok_or(Errno::ENOMEM)?;
        if !vma.flags.contains(VmFlags::GROWSDOWN) {
            return Err(Errno::EINVAL);
        }
        len += start - vma.start;
        start = vma.start;
    }
    let forbidden = prot.contains(ProtFlags::PROT_WRITE)
        && mm.vmas().filter(|vma| vma.start < start + len && vma.end > start && vma.is_shared()).any(
            |vma| matches!(&vma.backing, Backing::Object { file: Some(file), .. } if !file.mode.contains(FMode::WRITE)),
        );
    if forbidden {
        return Err(Errno::EACCES);
    }
    mm.protect(start, len, page_protection(prot))
}

/// brk(2), the system call: sets the end of the heap and returns the end that holds.
#[SYSCALL_DEFINE1(brk)]
pub fn brk(task: &mut Task, brk: UserAddr) -> UserAddr {
    UserAddr(task.mm.borrow_mut().set_brk(brk.0))
}

/// mremap(2): grows, shrinks or moves a mapping.
#[SYSCALL_DEFINE5(mremap)]
pub fn mremap(
    task: &mut Task,
    addr: UserAddr,
    old_len: u64,
    new_len: u64,
    flags: MremapFlags,
    new_addr: UserAddr,
) -> Result<UserAddr> {
    let known = MremapFlags::all().bits();
    let fixed = flags.contains(MremapFlags::MREMAP_FIXED);
    let dont_unmap = flags.contains(MremapFlags::MREMAP_DONTUNMAP);
    let may_move = flags.contains(MremapFlags::MREMAP_MAYMOVE);
    if flags.bits() & !known != 0
        || ((fixed || dont_unmap) && !may_move)
        || (dont_unmap && old_len != new_len)
        || !is_page_aligned(addr.0)
    {
        return Err(Errno::EINVAL);
    }
    let (old_len, new_len) = (page_align(old_len)?, page_align(new_len)?);
    if new_len == 0 {
        return Err(Errno::EINVAL);
    }
    let mut mm = task.mm.borrow_mut();
    let old = addr.0;
    let vma = mm.find_vma(old).ok_or(Errno::EFAULT)?.clone();
    let mut target = None;
    if fixed {
        let new = new_addr.0;
        let end = new.checked_add(new_len).filter(|&end| end <= TASK_SIZE);
        let overlaps = end.is_none_or(|end| old < end && new < old.saturating_add(old_len));
        if !is_page_aligned(new) || overlaps {
            return Err(Errno::EINVAL);
        }
        target = Some(new);
    }
    if old_len == 0 && !vma.is_shared() {
        return Err(Errno::EINVAL);
    }
    // What shrinks in place needs no room and never fails.
    if target.is_none() && !dont_unmap && new_len <= old_len {
        if new_len < old_len {
            mm.unmap(old + new_len, old_len - new_len);
        }
        return Ok(addr);
    }
    if old.checked_add(old_len).is_none_or(|end| end > vma.end) {
        return Err(Errno::EFAULT);
    }
    let grown = new_len.saturating_sub(old_len);
    if target.is_none() && !dont_unmap && old + old_len == vma.end && mm.is_free(vma.end, grown) {
        let extension = Vma { start: vma.end, end: vma.end + grown, ..vma.slice(vma.end, vma.end) };
        mm.insert(extension);
        return Ok(addr);
    }
    if !may_move {
        return Err(Errno::ENOMEM);
    }
    let new = match target {
        Some(new) => {
            mm.unmap(new, new_len);
            new
        }
        None if dont_unmap && new_addr.0 != 0 && mm.is_free(new_addr.0 & !(PAGE_SIZE - 1), new_len) => {
            new_addr.0 & !(PAGE_SIZE - 1)
        }
        None => mm.find_free(new_len)?,
    };
    let moved = vma.slice(old, old + old_len);
    mm.insert(Vma { start: new, end: new + new_len, ..moved });
    mm.move_pages(old, new, old_len.min(new_len));
    if !dont_unmap && old_len != 0 {
        mm.unmap(old, old_len);
    }
    Ok(UserAddr(new))
}

/// madvise(2): MADV_DONTNEED and MADV_FREE drop pages; other advice is taken note of and ignored.
#[SYSCALL_DEFINE3(madvise)]
pub fn madvise(task: &mut Task, start: UserAddr, len: u64, behavior: i32) -> Result<()> {
    const MADV_DONTNEED: i32 = 4;
    const MADV_FREE: i32 = 8;
    const MADV_DONTFORK: i32 = 10;
    const MADV_DOFORK: i32 = 11;
    // normal random sequential willneed / (un)mergeable (no)hugepage (dont)dump cold pageout populate
    let ignored = matches!(behavior, 0..=3 | 12..=17 | 20..=23);
    let known = ignored || matches!(behavior, MADV_DONTNEED | MADV_FREE | MADV_DONTFORK | MADV_DOFORK);
    if !known || !is_page_aligned(start.0) {
        return Err(Errno::EINVAL);
    }
    let len = page_align(len).map_err(|_| Errno::EINVAL)?;
    let end = start.0.checked_add(len).ok_or(Errno::EINVAL)?;
    let mut mm = task.mm.borrow_mut();
    let mut at = start.0;
    for mut vma in if behavior == MADV_DONTFORK || behavior == MADV_DOFORK {
        mm.carve(start.0, end)
    } else {
        mm.vmas().filter(|vma| vma.start < end && vma.end > start.0).cloned().collect()
    } {
        if vma.start > at {
            at = u64::MAX;
        }
        let (start, stop) = (vma.start.max(start.0), vma.end.min(end));
        match behavior {
            MADV_DONTNEED | MADV_FREE => mm.zap(start, stop - start),
            MADV_DONTFORK | MADV_DOFORK => {
                vma.flags.set(VmFlags::DONTCOPY, behavior == MADV_DONTFORK);
                mm.insert_flags(&vma);
            }
            _ => {}
        }
        at = at.max(vma.end);
    }
    if at == u64::MAX || at < end { Err(Errno::ENOMEM) } else { Ok(()) }
}

/// msync(2): the file's pages are the mapping's pages, so there is nothing to write back.
#[SYSCALL_DEFINE3(msync)]
pub fn msync(task: &mut Task, start: UserAddr, len: u64, flags: i32) -> Result<()> {
    const MS_ASYNC: i32 = 1;
    const MS_INVALIDATE: i32 = 2;
    const MS_SYNC: i32 = 4;
    if flags & !(MS_ASYNC | MS_INVALIDATE | MS_SYNC) != 0
        || !is_page_aligned(start.0)
        || flags & (MS_ASYNC | MS_SYNC) == MS_ASYNC | MS_SYNC
    {
        return Err(Errno::EINVAL);
    }
    let len = page_align(len)?;
    is_mapped(&task.mm.borrow(), start.0, start.0.checked_add(len).ok_or(Errno::ENOMEM)?)
}

/// mlock(2): pages are never swapped, so only the range is checked.
#[SYSCALL_DEFINE2(mlock)]
pub fn mlock(task: &mut Task, start: UserAddr, len: u64) -> Result<()> {
    let first = start.0 & !(PAGE_SIZE - 1);
    let len = page_align(len.checked_add(start.0 - first).ok_or(Errno::EINVAL)?).map_err(|_| Errno::EINVAL)?;
    is_mapped(&task.mm.borrow(), first, first.checked_add(len).ok_or(Errno::EINVAL)?)
}

/// munlock(2): see mlock.
#[SYSCALL_DEFINE2(munlock)]
pub fn munlock(task: &mut Task, start: UserAddr, len: u64) -> Result<()> {
    mlock(task, start, len)
}

/// mincore(2): which pages are there, a byte a page.
#[SYSCALL_DEFINE3(mincore)]
pub fn mincore(task: &mut Task, start: UserAddr, len: u64, vec: UserMut<u8>) -> Result<()> {
    if !is_page_aligned(start.0) {
        return Err(Errno::EINVAL);
    }
    let len = page_align(len)?;
    let end = start.0.checked_add(len).filter(|&end| end <= TASK_SIZE).ok_or(Errno::ENOMEM)?;
    is_mapped(&task.mm.borrow(), start.0, end)?;
    for (i, page) in (start.0..end).step_by(PAGE_SIZE as usize).enumerate() {
        let there = {
            let mm = task.mm.borrow();
            let object = mm.find_vma(page).is_some_and(|vma| matches!(vma.backing, Backing::Object { .. }));
            object || mm.space.lookup(page).is_some()
        };
        task.copy_to_user(vec.addr() + i as u64, &[u8::from(there)]).map_err(|_| Errno::EFAULT)?;
    }
    Ok(())
}

/// ENOMEM unless areas cover the whole range.
fn is_mapped(mm: &Mm, start: u64, end: u64) -> Result<()> {
    let mut at = start;
    while at < end {
        at = mm.find_vma(at).ok_or(Errno::ENOMEM)?.end;
    }
    Ok(())
}
