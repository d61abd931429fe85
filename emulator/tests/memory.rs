//! Frames, spaces, and code that is decoded from them.

mod common;

use std::fs::File;
use std::os::unix::fs::FileExt;

use callgate_emulator::{
    BLOCK, Cpu, Engine, Exception, Exit, Frame, Interp, Memory, PAGE_SIZE, PageFault, PageFlags, Partial, Privilege,
    Space, reg,
};
use common::{CODE, DATA, Machine};
use iced_x86::code_asm::*;

const USER: PageFlags = PageFlags::USER;

#[test]
fn frames_are_counted_zeroed_and_limited() {
    let memory = Memory::new(4 * PAGE_SIZE as u64).expect("memory");
    let frames: Vec<_> = std::iter::from_fn(|| memory.alloc()).collect();
    assert_eq!((frames.len(), memory.frames_in_use()), (4, 4));
    frames[0].write(10, &[1, 2, 3]);
    let second = frames[0].clone();
    assert_eq!(second.refs(), 2);
    drop(frames);
    assert_eq!(memory.frames_in_use(), 1);
    let copy = memory.alloc().expect("a frame");
    let mut bytes = [9; 4];
    copy.read(9, &mut bytes);
    assert_eq!(bytes, [0; 4]);
    copy.copy_from(&second);
    copy.read(9, &mut bytes);
    assert_eq!(bytes, [0, 1, 2, 3]);
}

#[test]
fn blocks_are_neighbours_zeroed_and_leave_half_of_the_memory() {
    let memory = Memory::new(u64::from(4 * BLOCK) * PAGE_SIZE as u64).expect("memory");
    let single = memory.alloc().expect("a frame");
    single.write(0, &[1]);
    let Some(block) = memory.alloc_block() else {
        // The host has no large pages, and nothing was taken.
        assert_eq!(memory.frames_in_use(), 1);
        return;
    };
    let first = block[0].number();
    assert_eq!(first % BLOCK, 0);
    assert!(block.iter().map(Frame::number).eq(first..first + BLOCK));
    assert!(!block.iter().any(|frame| frame.number() == single.number()));
    assert_eq!(memory.frames_in_use(), u64::from(BLOCK) + 1);
    assert!(memory.alloc_block().is_none(), "more than half");
    block.iter().for_each(|frame| frame.write(PAGE_SIZE - 1, &[7]));
    drop(block);
    assert_eq!(memory.frames_in_use(), 1);
    let again = memory.alloc_block().expect("the block is free again");
    let mut last = [1];
    assert!(again.iter().all(|frame| {
        frame.read(PAGE_SIZE - 1, &mut last);
        last == [0]
    }));
    drop(again);
    // One by one there are as many as the limit says.
    let all: Vec<_> = std::iter::from_fn(|| memory.alloc()).collect();
    assert_eq!(all.len() as u32, 4 * BLOCK - 1);
}

/// What the object has of a frame.
fn in_object(memory: &Memory, frame: &Frame) -> Vec<u8> {
    let object = File::from(memory.object().and_then(|object| object.try_clone_to_owned()).expect("an object"));
    let mut bytes = vec![0; PAGE_SIZE];
    object.read_exact_at(&mut bytes, u64::from(frame.number()) * PAGE_SIZE as u64).expect("a frame");
    bytes
}

#[test]
fn frames_keep_their_contents_when_they_become_an_object() {
    // Not all in whole blocks.
    let memory = Memory::new((u64::from(6 * BLOCK) + 7) * PAGE_SIZE as u64).expect("memory");
    let mut frames: Vec<_> = (0..BLOCK + 100).filter_map(|_| memory.alloc()).collect();
    frames.extend(memory.alloc_block().unwrap_or_default());
    frames.extend((0..10).filter_map(|_| memory.alloc()));
    frames.remove(3);
    let content = |n: usize, round: u8| [n as u8, (n >> 8) as u8, round, 0xa5];
    let end = PAGE_SIZE - 4;
    for (n, frame) in frames.iter().enumerate() {
        frame.write(0, &content(n, 1));
        frame.write(end, &content(n, 2));
    }
    let untouched = memory.alloc().expect("a frame");
    for (n, frame) in frames.iter().enumerate() {
        let bytes = in_object(&memory, frame);
        assert_eq!((&bytes[..4], &bytes[end..]), (&content(n, 1)[..], &content(n, 2)[..]), "{n}");
        let mut bytes = [0; 4];
        frame.read(end, &mut bytes);
        assert_eq!(bytes, content(n, 2), "{n}");
    }
    // From now on they are the same.
    let late = memory.alloc().expect("a frame");
    for frame in [&frames[0], &frames[frames.len() - 1], &untouched, &late] {
        frame.write(100, &[7]);
        assert_eq!(in_object(&memory, frame)[99..102], [0, 7, 0]);
    }
    let rest: Vec<_> = std::iter::from_fn(|| memory.alloc()).collect();
    let last = rest.last().expect("a frame");
    last.write(0, &[8]);
    assert_eq!(in_object(&memory, last)[..2], [8, 0]);
}

#[test]
fn a_space_maps_protects_and_gives_back() {
    let memory = Memory::new(1 << 20).expect("memory");
    let mut space = Space::new(&memory);
    let addresses = [0, 0x1000, 0x7fff_ffff_f000, 0xffff_8000_0000_0000, 0xffff_ffff_ffff_f000];
    for address in addresses {
        space.map(address, memory.alloc().expect("a frame"), USER);
    }
    assert_eq!(space.entries(0, u64::MAX).map(|(address, ..)| address).collect::<Vec<_>>(), addresses);
    assert_eq!(space.entries(1, 0x1000).count(), 1);
    assert!(space.protect(0x1000, USER | PageFlags::WRITE));
    assert!(!space.protect(0x2000, USER));
    assert_eq!(space.lookup(0x1fff).map(|(_, flags)| flags), Some(USER | PageFlags::WRITE));
    assert!(space.unmap(0x1000).is_some_and(|frame| frame.refs() == 1));
    space.unmap_range(0x7fff_ffff_f000, 0x1000);
    assert_eq!(memory.frames_in_use(), 3);
    space.unmap_range(0, 1 << 63);
    assert_eq!(memory.frames_in_use(), 2);
    drop(space);
    assert_eq!(memory.frames_in_use(), 0);
}

#[test]
fn copies_end_at_the_first_page_that_is_not_allowed() {
    let memory = Memory::new(1 << 20).expect("memory");
    let mut space = Space::new(&memory);
    space.map(0x1000, memory.alloc().expect("a frame"), USER | PageFlags::WRITE);
    space.map(0x2000, memory.alloc().expect("a frame"), PageFlags::WRITE);
    let fault = PageFault { address: 0x2000, error_code: 7 };
    assert_eq!(space.write(0x1ffe, b"abcd", Privilege::User), Err(Partial { done: 2, fault }));
    assert_eq!(space.write(0x1ffe, b"abcd", Privilege::Supervisor), Ok(()));
    let mut bytes = [0; 0x1010];
    assert_eq!(space.peek(0x1ffe, &mut bytes), 0x1002);
    assert_eq!(&bytes[..4], b"abcd");
    assert_eq!(space.peek(1 << 63, &mut bytes), 0);
}

#[test]
fn unmapping_and_protecting_are_noticed_at_once() {
    let mut m = Machine::assemble(|a| {
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        a.add(qword_ptr(rbx), 1)?;
        a.jmp(again)
    });
    m.cpu.gpr[reg::RBX] = DATA;
    assert_eq!(m.run(10), Exit::Budget);
    m.space.protect(DATA, USER);
    assert_eq!(m.run(10), Exit::Exception(Exception::page_fault(DATA, 7)));
    let frame = m.space.unmap(DATA).expect("a frame");
    assert_eq!(m.run(10), Exit::Exception(Exception::page_fault(DATA, 6)));
    m.space.map(DATA, frame, USER | PageFlags::WRITE);
    assert_eq!(m.run(2), Exit::Budget);
    assert_eq!(m.peek64(DATA), 6);
}

#[test]
fn user_and_supervisor_translations_are_kept_apart() {
    let mut m = Machine::assemble(|a| a.mov(rax, qword_ptr(rbx)));
    m.space.protect(DATA, PageFlags::WRITE);
    m.cpu.gpr[reg::RBX] = DATA;
    m.cpu.cpl = 0;
    assert_eq!(m.run(1), Exit::Budget);
    m.cpu.cpl = 3;
    m.cpu.rip = CODE;
    assert_eq!(m.run(1), Exit::Exception(Exception::page_fault(DATA, 5)));
}

/// Code that stores the byte in cl over the immediate of the instruction at the label, then runs that.
fn self_modifying(a: &mut CodeAssembler) -> Result<(), iced_x86::IcedError> {
    let (mut again, mut patched) = (a.create_label(), a.create_label());
    a.set_label(&mut again)?;
    a.lea(rdx, ptr(patched))?;
    a.mov(byte_ptr(rdx + 1), cl)?;
    a.set_label(&mut patched)?;
    a.mov(eax, 0)?;
    a.add(rbx, rax)?;
    a.dec(ecx)?;
    a.jne(again)?;
    a.syscall()
}

#[test]
fn code_that_rewrites_itself_runs_what_it_wrote() {
    let mut m = Machine::assemble(self_modifying);
    m.space.protect(CODE, USER | PageFlags::WRITE | PageFlags::EXEC);
    m.cpu.gpr[reg::RCX] = 100;
    m.finish();
    assert_eq!(m.cpu.gpr[reg::RBX], 5050);
    assert_eq!(m.cpu.instructions, 601);
}

#[test]
fn code_written_through_another_mapping_is_decoded_anew() {
    let mut m = Machine::assemble(|a| {
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        a.inc(rbx)?;
        a.mov(byte_ptr(rsi), 0x90)?;
        a.dec(ecx)?;
        a.jne(again)?;
        a.syscall()
    });
    let (frame, _) = m.space.lookup(CODE).expect("code");
    m.space.map(0x9000_0000, frame, USER | PageFlags::WRITE);
    // The first instruction has three bytes, of which the first becomes a nop: `inc ebx` remains.
    m.cpu.gpr[reg::RSI] = 0x9000_0000;
    m.cpu.gpr[reg::RBX] = u64::from(u32::MAX) - 1;
    m.cpu.gpr[reg::RCX] = 3;
    m.finish();
    assert_eq!(m.cpu.gpr[reg::RBX], 1);
    assert_eq!(m.cpu.instructions, 4 + 5 + 5 + 1);
}

#[test]
fn code_written_from_outside_is_decoded_anew() {
    let mut m = Machine::assemble(|a| {
        a.mov(eax, 1)?;
        a.syscall()
    });
    for value in [1, 7, 200] {
        m.poke(CODE + 1, &[value]);
        m.cpu.rip = CODE;
        m.finish();
        assert_eq!(m.cpu.gpr[reg::RAX], u64::from(value));
    }
}

#[test]
fn a_frame_freed_and_given_out_again_has_no_old_code() {
    let mut m = Machine::assemble(|a| a.mov(eax, 1));
    assert_eq!(m.run(1), Exit::Budget);
    let number = m.space.unmap(CODE).map(|frame| frame.number());
    let fresh = m.memory.alloc().expect("a frame");
    assert_eq!(Some(fresh.number()), number);
    m.space.map(CODE, fresh, USER | PageFlags::EXEC);
    m.poke(CODE, &[0x0f, 0x05]);
    m.cpu.rip = CODE;
    assert_eq!(m.run(1), Exit::Syscall);
}

#[test]
fn copy_on_write_pages_part_when_their_owner_copies_them() {
    let mut m = Machine::assemble(self_modifying);
    m.space.protect(CODE, USER | PageFlags::EXEC);
    let mut child = Space::new(&m.memory);
    for (address, frame, flags) in m.space.entries(0, u64::MAX).collect::<Vec<_>>() {
        child.map(address, frame, flags);
    }
    m.cpu.gpr[reg::RCX] = 3;
    let mut cpu = m.cpu.clone();
    let fault = PageFault { address: CODE + 11, error_code: 7 };
    let expected = Exit::Exception(Exception::page_fault(fault.address, fault.error_code));
    assert_eq!(m.run(1000), expected);
    assert_eq!(m.interp.run(&mut cpu, &mut child, 1000), expected);
    // The child copies and writes; the parent keeps what it had.
    let (old, _) = child.lookup(CODE).expect("code");
    let own = m.memory.alloc().expect("a frame");
    own.copy_from(&old);
    child.map(CODE, own, USER | PageFlags::WRITE | PageFlags::EXEC);
    assert_eq!(m.interp.run(&mut cpu, &mut child, 1000), Exit::Syscall);
    assert_eq!(cpu.gpr[reg::RBX], 6);
    assert_eq!(m.run(1000), expected);
    assert_eq!(m.peek::<1>(CODE + 11), [0]);
}

#[test]
fn remapped_code_is_not_run_from_the_old_page() {
    // Two pages: the first jumps into the second, which is exchanged.
    let mut m = Machine::new(&[0xe9, 0xfb, 0x0f, 0, 0]);
    for value in [1u8, 2, 3] {
        let frame = m.memory.alloc().expect("a frame");
        frame.write(0, &[0xb8, value, 0, 0, 0, 0x0f, 0x05]);
        m.space.map(CODE + 0x1000, frame, USER | PageFlags::EXEC);
        m.cpu.rip = CODE;
        m.finish();
        assert_eq!(m.cpu.gpr[reg::RAX], u64::from(value));
    }
    m.space.protect(CODE + 0x1000, USER);
    m.cpu.rip = CODE;
    assert_eq!(m.run(10), Exit::Exception(Exception::page_fault(CODE + 0x1000, 0x15)));
}

#[test]
fn two_engines_can_share_a_memory() {
    let mut m = Machine::assemble(|a| {
        a.mov(eax, 1)?;
        a.syscall()
    });
    let mut other = Interp::new(&m.memory);
    let mut cpu = Cpu::default();
    for value in [1u8, 2] {
        m.poke(CODE + 1, &[value]);
        m.cpu.rip = CODE;
        m.finish();
        cpu.rip = CODE;
        assert_eq!(other.run(&mut cpu, &mut m.space, 10), Exit::Syscall);
        assert_eq!((m.cpu.gpr[reg::RAX], cpu.gpr[reg::RAX]), (value.into(), value.into()));
    }
}

/// Pages that lie side by side in the host, apart, or the same frame twice; copies between them do what a loop does.
#[test]
fn copies_over_many_pages_do_what_a_loop_of_bytes_does() {
    const AT: u64 = 0x50_0000;
    const PAGES: usize = 12;
    let page = PAGE_SIZE as u64;
    // Which of the frames, in the order of their numbers, each page is.
    let layouts: [[usize; PAGES]; 3] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        [0, 1, 2, 5, 4, 3, 6, 7, 10, 11, 8, 9],
        [0, 1, 2, 3, 1, 2, 3, 4, 0, 1, 2, 3],
    ];
    let ranges: [(u64, u64, u64); 7] = [
        (AT, AT + 6 * page, 6 * page),
        (AT + 5, AT + 6 * page + 9, 5 * page + 77),
        (AT, AT + page + 100, 9 * page),
        (AT, AT + 3, 3 * page),
        (AT + 2 * page + 3, AT, 8 * page),
        (AT + 100, AT + 100, 2 * page),
        (AT + 8 * page, AT + page, 4 * page),
    ];
    for (layout, (from, to, len)) in layouts.iter().flat_map(|layout| ranges.map(|range| (layout, range))) {
        let mut m = Machine::assemble(|a| {
            a.rep().movsb()?;
            a.syscall()
        });
        let frames: Vec<_> = (0..PAGES).map(|_| m.memory.alloc().expect("a frame")).collect();
        let mut bytes = vec![[0; PAGE_SIZE]; PAGES];
        for (i, frame) in frames.iter().enumerate() {
            bytes[i] = std::array::from_fn(|at| (at * 7 + at / 251 + i * 31) as u8);
            frame.write(0, &bytes[i]);
        }
        for (address, i) in (AT..).step_by(PAGE_SIZE).zip(layout) {
            m.space.map(address, frames[*i].clone(), USER | PageFlags::WRITE);
        }
        (m.cpu.gpr[reg::RSI], m.cpu.gpr[reg::RDI], m.cpu.gpr[reg::RCX]) = (from, to, len);
        m.finish();
        let place = |address: u64| (layout[((address - AT) / page) as usize], (address % page) as usize);
        for i in 0..len {
            let ((source, at), (target, there)) = (place(from + i), place(to + i));
            bytes[target][there] = bytes[source][at];
        }
        for (frame, wanted) in frames.iter().zip(&bytes) {
            let mut there = [0; PAGE_SIZE];
            frame.read(0, &mut there);
            assert!(there == *wanted, "{from:#x} to {to:#x}, {len:#x} bytes, {layout:?}");
        }
        assert_eq!(m.cpu.gpr[reg::RSI], from + len);
    }
}
