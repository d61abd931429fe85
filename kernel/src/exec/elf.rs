//! ELF programs: static, static-pie, and dynamic ones through their interpreter.
//!
//! Linux maps each PT_LOAD segment from the file, zeroes what the file doesn't fill, maps the
//! interpreter if there is one, and starts at its entry or the program's own. So do we: the file's
//! own frames are mapped, so that a program that is started again finds its decoded code.

use std::rc::Rc;

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::pod;

use crate::fs::file::File;
use crate::fs::read_write::kernel_read;
use crate::mm::{Backing, Mm, PAGE_SIZE, Prot, TASK_SIZE, VmFlags, Vma};
use crate::{Errno, Result};

/// The longest interpreter path.
const PATH_MAX: u64 = 4096;

/// A program in memory, as its stack must tell it.
pub(super) struct Image {
    /// Where to start: the interpreter's entry or the program's.
    pub(super) start: u64,
    /// The program's entry (AT_ENTRY).
    pub(super) entry: u64,
    /// Its program headers in memory (AT_PHDR, AT_PHNUM).
    pub(super) phdr: u64,
    pub(super) phnum: u64,
    /// Where the interpreter was loaded (AT_BASE), 0 without one.
    pub(super) base: u64,
    /// Whether the stack must be executable.
    pub(super) executable_stack: bool,
}

struct Headers {
    elf: FileHeader64<LE>,
    phdrs: Vec<ProgramHeader64<LE>>,
}

/// Reads and checks the headers of an x86-64 program.
fn headers(file: &Rc<File>, head: &[u8]) -> Result<Headers> {
    let (header, _) = pod::from_bytes::<FileHeader64<LE>>(head).map_err(|()| Errno::ENOEXEC)?;
    let ident = &header.e_ident;
    let known = ident.magic == elf::ELFMAG
        && ident.class == elf::ELFCLASS64
        && ident.data == elf::ELFDATA2LSB
        && header.e_machine.get(LE) == elf::EM_X86_64
        && matches!(header.e_type.get(LE), elf::ET_EXEC | elf::ET_DYN)
        && usize::from(header.e_phentsize.get(LE)) == size_of::<ProgramHeader64<LE>>();
    let count = usize::from(header.e_phnum.get(LE));
    let bytes = count * size_of::<ProgramHeader64<LE>>();
    if !known || count == 0 || bytes > 65536 {
        return Err(Errno::ENOEXEC);
    }
    let mut table = vec![0; bytes];
    if kernel_read(file, &mut table, header.e_phoff.get(LE))? != bytes {
        return Err(Errno::ENOEXEC);
    }
    let (phdrs, _) = pod::slice_from_bytes::<ProgramHeader64<LE>>(&table, count).map_err(|()| Errno::ENOEXEC)?;
    Ok(Headers { elf: *header, phdrs: phdrs.to_vec() })
}

impl Headers {
    fn loads(&self) -> impl Iterator<Item = &ProgramHeader64<LE>> {
        self.phdrs.iter().filter(|ph| ph.p_type.get(LE) == elf::PT_LOAD)
    }

    /// The addresses that the segments span, page-aligned.
    ///
    /// # Errors
    /// ENOEXEC for headers that no program can have.
    fn span(&self) -> Result<(u64, u64)> {
        let mut span: Option<(u64, u64)> = None;
        for ph in self.loads() {
            let (vaddr, memsz, filesz) = (ph.p_vaddr.get(LE), ph.p_memsz.get(LE), ph.p_filesz.get(LE));
            let end = vaddr.checked_add(memsz).filter(|&end| end < TASK_SIZE);
            let congruent = vaddr % PAGE_SIZE == ph.p_offset.get(LE) % PAGE_SIZE;
            let (Some(end), true, true) = (end, filesz <= memsz, congruent) else {
                return Err(Errno::ENOEXEC);
            };
            let (start, end) = (page_down(vaddr), page_up(end));
            span = Some(span.map_or((start, end), |(s, e)| (s.min(start), e.max(end))));
        }
        span.ok_or(Errno::ENOEXEC)
    }
}

fn page_down(addr: u64) -> u64 {
    addr & !(PAGE_SIZE - 1)
}

fn page_up(addr: u64) -> u64 {
    page_down(addr + PAGE_SIZE - 1)
}

/// Maps the program of `file`, whose first bytes are `head`, and its interpreter.
pub(super) fn load(
    mm: &mut Mm,
    file: &Rc<File>,
    head: &[u8],
    open: &mut dyn FnMut(&[u8]) -> Result<Rc<File>>,
) -> Result<Image> {
    let program = headers(file, head)?;
    let interpreter = match interpreter_path(file, &program)? {
        Some(path) => {
            let file = open(&path)?;
            let mut head = [0; super::HEAD];
            let n = kernel_read(&file, &mut head, 0)?;
            // A broken interpreter is ELIBBAD, not a format of its own.
            let headers = headers(&file, &head[..n]).map_err(|_| Errno::ELIBBAD)?;
            Some((file, headers))
        }
        None => None,
    };
    let (low, _) = program.span()?;
    let bias = match program.elf.e_type.get(LE) {
        elf::ET_DYN => mm.layout.pie_base.wrapping_sub(low),
        _ => 0,
    };
    let end = map_segments(mm, file, &program, bias)?;
    let entry = program.elf.e_entry.get(LE).wrapping_add(bias);
    mm.start_brk = page_up(end);
    mm.brk = mm.start_brk;
    let (start, base) = match interpreter {
        None => (entry, 0),
        Some((file, headers)) => {
            let (low, high) = headers.span().map_err(|_| Errno::ELIBBAD)?;
            let base = mm.find_free(high - low)?.wrapping_sub(low);
            map_segments(mm, &file, &headers, base)?;
            (headers.elf.e_entry.get(LE).wrapping_add(base), base)
        }
    };
    let phoff = program.elf.e_phoff.get(LE);
    let phdr = program
        .loads()
        .find(|ph| {
            let offset = ph.p_offset.get(LE);
            (offset..offset.saturating_add(ph.p_filesz.get(LE))).contains(&phoff)
        })
        .map_or(0, |ph| (phoff - ph.p_offset.get(LE)).wrapping_add(ph.p_vaddr.get(LE)).wrapping_add(bias));
    let stack = program.phdrs.iter().find(|ph| ph.p_type.get(LE) == elf::PT_GNU_STACK);
    Ok(Image {
        start,
        entry,
        phdr,
        phnum: program.phdrs.len() as u64,
        base,
        executable_stack: stack.is_some_and(|ph| ph.p_flags.get(LE) & elf::PF_X != 0),
    })
}

/// The path in PT_INTERP.
fn interpreter_path(file: &Rc<File>, program: &Headers) -> Result<Option<Vec<u8>>> {
    let Some(ph) = program.phdrs.iter().find(|ph| ph.p_type.get(LE) == elf::PT_INTERP) else {
        return Ok(None);
    };
    let len = ph.p_filesz.get(LE);
    if !(2..=PATH_MAX).contains(&len) {
        return Err(Errno::ENOEXEC);
    }
    let mut path = vec![0; len as usize];
    if kernel_read(file, &mut path, ph.p_offset.get(LE))? != path.len() {
        return Err(Errno::EIO);
    }
    match path.pop() {
        Some(0) => Ok(Some(path.split(|&c| c == 0).next().unwrap_or_default().to_vec())),
        _ => Err(Errno::ENOEXEC),
    }
}

/// Maps all PT_LOAD segments `bias` bytes above their own addresses; gives the highest end.
fn map_segments(mm: &mut Mm, file: &Rc<File>, program: &Headers, bias: u64) -> Result<u64> {
    let mut highest = 0;
    for ph in program.loads() {
        let flags = ph.p_flags.get(LE);
        let mut prot = Prot::NONE;
        prot.set(Prot::READ, flags & elf::PF_R != 0);
        prot.set(Prot::WRITE, flags & elf::PF_W != 0);
        prot.set(Prot::EXEC, flags & elf::PF_X != 0);
        let vaddr = ph.p_vaddr.get(LE).wrapping_add(bias);
        let file_end = vaddr + ph.p_filesz.get(LE);
        let end = vaddr.checked_add(ph.p_memsz.get(LE)).filter(|&end| end < TASK_SIZE).ok_or(Errno::ENOMEM)?;
        highest = highest.max(end);
        let start = page_down(vaddr);
        if file_end > vaddr {
            let mapping = file.op.mapping(file).ok_or(Errno::ENOEXEC)?;
            let offset = page_down(ph.p_offset.get(LE));
            let backing = Backing::Object { mapping, offset, file: Some(Rc::clone(file)) };
            mm.insert(Vma { start, end: page_up(file_end), prot, flags: VmFlags::empty(), backing });
        }
        let filled = if file_end > vaddr { page_up(file_end) } else { start };
        if page_up(end) > filled {
            mm.insert(Vma {
                start: filled,
                end: page_up(end),
                prot,
                flags: VmFlags::empty(),
                backing: Backing::Anonymous,
            });
        }
        // The rest of the last page belongs to the bss.
        if end > file_end && file_end > vaddr && file_end < filled && prot.contains(Prot::WRITE) {
            mm.write(file_end, &vec![0; (filled - file_end) as usize])?;
        }
    }
    Ok(highest)
}
