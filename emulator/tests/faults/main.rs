//! Faults in the middle of instructions: what is done and what isn't.
//!
//! A row of the tables is an instruction, the state that it meets, the exception that it raises, and what has changed then:
//! nothing but that. Each row is run three times: with the exception reported to us; with it delivered to a kernel in the
//! guest, which finds the same state, CR2, and a frame on its stack; and, if it is a page fault, once more after the pages
//! were mended, which must end as if there had been no fault.
//!
//! Four pages of data: two can be written, one can only be read, one can be written. There is none before and after them.

#[path = "../common/mod.rs"]
mod common;
mod table;

use callgate_emulator::{Delivery, Exception, Exit, PAGE_SIZE, reg, rflags, vector};
use common::kernel::{IDT, KERNEL_STACK, TSS, machine};
use common::{CODE, DATA, Machine};
use iced_x86::code_asm::*;
use reg::{RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP};
use table::{
    END, FIXED, FORBIDDEN, GP, MIDDLE, NOT_CANONICAL, Part, READ, SS, State, WRITE, check, content, number, row,
};

#[test]
fn copies_and_fills_stop_at_the_element_that_faults() {
    let down = |flags: u64| Part::Flags(rflags::DF | flags);
    check([
        row("rep movsb, the target ends", |a| a.rep().movsb())
            .regs([(RSI, DATA), (RDI, END - 4), (RCX, 10)])
            .faults(END, WRITE)
            .regs_after([(RSI, DATA + 4), (RDI, END), (RCX, 6)])
            .copied(END - 4, DATA, 4),
        row("rep movsb, the source ends", |a| a.rep().movsb())
            .regs([(RSI, END - 4), (RDI, DATA), (RCX, 10)])
            .faults(END, READ)
            .regs_after([(RSI, END), (RDI, DATA + 4), (RCX, 6)])
            .copied(DATA, END - 4, 4),
        row("rep movsb into a page that can't be written", |a| a.rep().movsb())
            .regs([(RSI, DATA), (RDI, FIXED - 3), (RCX, 0x1000)])
            .faults(FIXED, FORBIDDEN)
            .regs_after([(RSI, DATA + 3), (RDI, FIXED), (RCX, 0xffd)])
            .copied(FIXED - 3, DATA, 3),
        row("rep movsb over whole pages", |a| a.rep().movsb())
            .regs([(RSI, FIXED), (RDI, DATA + 8), (RCX, 0x5000)])
            .faults(FIXED, FORBIDDEN)
            .regs_after([(RSI, FIXED + 0x1ff8), (RDI, FIXED), (RCX, 0x5000 - 0x1ff8)])
            .copied(DATA + 8, FIXED, 0x1ff8),
        row("rep movsq, the second element crosses the end", |a| a.rep().movsq())
            .regs([(RSI, DATA), (RDI, END - 12), (RCX, 3)])
            .faults(END, WRITE)
            .regs_after([(RSI, DATA + 8), (RDI, END - 4), (RCX, 2)])
            .copied(END - 12, DATA, 8),
        row("rep movsw, down, the target begins", |a| a.rep().movsw())
            .with(down(0))
            .regs([(RSI, MIDDLE), (RDI, DATA + 4), (RCX, 10)])
            .faults(DATA - 2, WRITE)
            .regs_after([(RSI, MIDDLE - 6), (RDI, DATA - 2), (RCX, 7)])
            .copied(DATA, MIDDLE - 4, 6),
        row("rep movsd, down, the source crosses the beginning", |a| a.rep().movsd())
            .with(down(0))
            .regs([(RSI, DATA + 2), (RDI, MIDDLE), (RCX, 10)])
            .faults(DATA - 2, READ)
            .regs_after([(RSI, DATA - 2), (RDI, MIDDLE - 4), (RCX, 9)])
            .copied(MIDDLE, DATA + 2, 4),
        row("movsq, once, both ends", |a| a.movsq()).regs([(RSI, END - 7), (RDI, FIXED)]).faults(END, READ),
        row("rep movsb, nothing was copied", |a| a.rep().movsb())
            .regs([(RSI, DATA), (RDI, END), (RCX, 1)])
            .faults(END, WRITE),
        row("rep stosb", |a| a.rep().stosb())
            .regs([(RAX, 0x55), (RDI, FIXED - 5), (RCX, 9)])
            .faults(FIXED, FORBIDDEN)
            .regs_after([(RDI, FIXED), (RCX, 4)])
            .leaves(Part::Memory(FIXED - 5, vec![0x55; 5])),
        row("rep stosd, an element crosses", |a| a.rep().stosd())
            .regs([(RAX, 0x5555_5555), (RDI, END - 6), (RCX, 9)])
            .faults(END, WRITE)
            .regs_after([(RDI, END - 2), (RCX, 8)])
            .leaves(Part::Memory(END - 6, vec![0x55; 4])),
        row("rep stosq, down", |a| a.rep().stosq())
            .with(down(0))
            .regs([(RAX, 0), (RDI, DATA + 8), (RCX, u64::MAX)])
            .faults(DATA - 8, WRITE)
            .regs_after([(RDI, DATA - 8), (RCX, u64::MAX - 2)])
            .leaves(Part::Memory(DATA, vec![0; 16])),
        row("rep lodsw, which keeps the last element", |a| a.rep().lodsw())
            .regs([(RAX, 0x7777_7777), (RSI, END - 4), (RCX, 3)])
            .faults(END, READ)
            .regs_after([(RAX, 0x7777_0000 | number(END - 2, 2)), (RSI, END), (RCX, 1)]),
        row("rep movsb of 32-bit addresses", |a| {
            a.db(&[0x67])?;
            a.rep().movsb()
        })
        .regs([(RSI, DATA | 1 << 40), (RDI, END - 2), (RCX, 10 | 1 << 40)])
        .faults(END, WRITE)
        .regs_after([(RSI, DATA + 2), (RDI, END), (RCX, 8)])
        .copied(END - 2, DATA, 2),
        row("rep movsb from no address", |a| a.rep().movsb())
            .regs([(RSI, NOT_CANONICAL - 1), (RDI, DATA), (RCX, 4)])
            .raises(GP),
    ]);
}

/// Intel's manual restores the flags of before the instruction; AMD's processors keep those of the last comparison.
#[test]
fn comparisons_stop_at_the_element_that_faults_with_the_flags_of_the_last() {
    let equal = Part::Flags(rflags::ZF | rflags::PF);
    let equal_downwards = || Part::Flags(rflags::DF | rflags::ZF | rflags::PF);
    check([
        row("repe cmpsb, the source ends", |a| a.repe().cmpsb())
            .with(Part::Memory(DATA, content(END - 3, 3)))
            .regs([(RSI, END - 3), (RDI, DATA), (RCX, 10)])
            .faults(END, READ)
            .regs_after([(RSI, END), (RDI, DATA + 3), (RCX, 7)])
            .leaves(equal),
        row("repe cmpsb, at once", |a| a.repe().cmpsb()).regs([(RSI, DATA), (RDI, END), (RCX, 10)]).faults(END, READ),
        row("repne cmpsw, down, the target begins", |a| a.repne().cmpsw())
            .with(Part::Flags(rflags::DF))
            .with(Part::Memory(DATA, vec![1, 0]))
            .with(Part::Memory(MIDDLE, vec![3, 0]))
            .regs([(RSI, MIDDLE), (RDI, DATA), (RCX, 10)])
            .faults(DATA - 2, READ)
            .regs_after([(RSI, MIDDLE - 2), (RDI, DATA - 2), (RCX, 9)])
            .leaves(Part::Flags(rflags::DF)),
        row("repne scasb", |a| a.repne().scasb())
            .with(Part::Memory(END - 2, vec![1, 9]))
            .regs([(RAX, 8), (RDI, END - 2), (RCX, 10)])
            .faults(END, READ)
            .regs_after([(RDI, END), (RCX, 8)])
            .leaves(Part::Flags(rflags::CF | rflags::PF | rflags::AF | rflags::SF)),
        row("repe scasq, down, across the beginning", |a| a.repe().scasq())
            .with(Part::Flags(rflags::DF))
            .regs([(RAX, number(DATA + 4, 8)), (RDI, DATA + 4), (RCX, 10)])
            .faults(DATA - 4, READ)
            .regs_after([(RDI, DATA - 4), (RCX, 9)])
            .leaves(equal_downwards()),
    ]);
}

#[test]
fn an_access_over_the_end_of_a_page_does_nothing() {
    check([
        row("a load", |a| a.mov(rax, qword_ptr(rbx))).reg(RBX, END - 4).faults(END, READ),
        row("a load from before", |a| a.mov(rax, qword_ptr(rbx))).reg(RBX, DATA - 4).faults(DATA - 4, READ),
        row("a store", |a| a.mov(qword_ptr(rbx), rax)).reg(RBX, END - 4).faults(END, WRITE),
        row("a store from before", |a| a.mov(word_ptr(rbx), ax)).reg(RBX, DATA - 1).faults(DATA - 1, WRITE),
        row("a store into a page to read", |a| a.mov(dword_ptr(rbx), eax)).reg(RBX, FIXED - 2).faults(FIXED, FORBIDDEN),
        row("a store out of a page to read", |a| a.mov(dword_ptr(rbx), eax))
            .reg(RBX, FIXED + 0xffe)
            .faults(FIXED + 0xffe, FORBIDDEN),
        row("movbe", |a| a.movbe(qword_ptr(rbx), rax)).reg(RBX, END - 1).faults(END, WRITE),
        row("movnti", |a| a.movnti(dword_ptr(rbx), eax)).reg(RBX, END - 1).faults(END, WRITE),
        row("add to memory", |a| a.add(qword_ptr(rbx), rax)).reg(RBX, END - 4).faults(END, WRITE),
        row("add to what can't be written", |a| a.add(qword_ptr(rbx), rax)).reg(RBX, FIXED).faults(FIXED, FORBIDDEN),
        row("add from memory", |a| a.add(rax, qword_ptr(rbx))).reg(RBX, END - 4).faults(END, READ),
        row("lock inc", |a| a.lock().inc(dword_ptr(rbx))).reg(RBX, FIXED - 3).faults(FIXED, FORBIDDEN),
        row("not", |a| a.not(word_ptr(rbx))).reg(RBX, END - 1).faults(END, WRITE),
        row("shl", |a| a.shl(dword_ptr(rbx), 3)).reg(RBX, END - 2).faults(END, WRITE),
        row("rcr", |a| a.rcr(qword_ptr(rbx), cl)).regs([(RBX, FIXED), (RCX, 5)]).faults(FIXED, FORBIDDEN),
        row("shld", |a| a.shld(qword_ptr(rbx), rax, 3)).reg(RBX, END - 2).faults(END, WRITE),
        row("bts, whose bit is in the next page", |a| a.bts(dword_ptr(rbx), eax))
            .regs([(RBX, END - 4), (RAX, 32)])
            .faults(END, WRITE),
        row("btc, downwards", |a| a.btc(word_ptr(rbx), ax)).regs([(RBX, DATA), (RAX, 0xffff)]).faults(DATA - 2, WRITE),
        row("xchg", |a| a.xchg(qword_ptr(rbx), rax)).reg(RBX, END - 4).faults(END, WRITE),
        row("xadd", |a| a.xadd(qword_ptr(rbx), rax)).reg(RBX, FIXED).faults(FIXED, FORBIDDEN),
        row("cmpxchg that would not exchange", |a| a.cmpxchg(qword_ptr(rbx), rdx))
            .reg(RBX, FIXED)
            .faults(FIXED, FORBIDDEN),
        row("cmpxchg8b over the end", |a| a.cmpxchg8b(qword_ptr(rdi))).reg(RDI, END - 4).faults(END, WRITE),
        row("cmpxchg16b that would not exchange", |a| a.cmpxchg16b(xmmword_ptr(rdi)))
            .reg(RDI, FIXED)
            .faults(FIXED, FORBIDDEN),
        row("cmpxchg16b of nothing", |a| a.cmpxchg16b(xmmword_ptr(rdi))).reg(RDI, END).faults(END, WRITE),
        row("cmpxchg16b over the end, which is misaligned", |a| a.cmpxchg16b(xmmword_ptr(rdi)))
            .reg(RDI, END - 8)
            .raises(GP),
        row("cmov whose condition is false", |a| a.cmove(rax, qword_ptr(rbx))).reg(RBX, END).faults(END, READ),
        row("setcc", |a| a.setb(byte_ptr(rbx))).reg(RBX, FIXED).faults(FIXED, FORBIDDEN),
        row("idiv", |a| a.idiv(qword_ptr(rbx))).reg(RBX, END - 1).faults(END, READ),
        row("mulx", |a| a.mulx(rax, rcx, qword_ptr(rbx))).reg(RBX, END - 1).faults(END, READ),
        row("xlat", |a| a.xlatb()).regs([(RBX, END - 1), (RAX, 1)]).faults(END, READ),
        row("a data address that is none", |a| a.mov(rax, qword_ptr(rbx))).reg(RBX, NOT_CANONICAL).raises(GP),
        row("a stack address that is none", |a| a.mov(rax, qword_ptr(rbp))).reg(RBP, NOT_CANONICAL).raises(SS),
    ]);
}

#[test]
fn the_stack_pointer_moves_only_when_all_is_done() {
    check([
        row("push", |a| a.push(rax)).reg(RSP, DATA).faults(DATA - 8, WRITE),
        row("push across the beginning", |a| a.push(rax)).reg(RSP, DATA + 4).faults(DATA - 4, WRITE),
        row("push into a page to read", |a| a.push(0x1234)).reg(RSP, FIXED + 8).faults(FIXED, FORBIDDEN),
        row("push of memory that isn't there", |a| a.push(qword_ptr(rbx))).reg(RBX, END).faults(END, READ),
        row("push of memory, no stack", |a| a.push(qword_ptr(rbx)))
            .regs([(RBX, DATA), (RSP, DATA)])
            .faults(DATA - 8, WRITE),
        row("push to no address", |a| a.push(rax)).reg(RSP, NOT_CANONICAL).raises(SS),
        row("pushf", |a| a.pushfq()).reg(RSP, DATA + 4).faults(DATA - 4, WRITE),
        row("pop", |a| a.pop(rax)).reg(RSP, END - 4).faults(END, READ),
        row("pop of rsp", |a| a.pop(rsp)).reg(RSP, END).faults(END, READ),
        row("pop into memory that can't be written", |a| a.pop(qword_ptr(rbx)))
            .reg(RBX, FIXED)
            .faults(FIXED, FORBIDDEN),
        row("pop into memory over the end", |a| a.pop(word_ptr(rbx))).reg(RBX, END - 1).faults(END, WRITE),
        row("popf", |a| a.popfq()).reg(RSP, END - 7).faults(END, READ),
        row("call", |a| {
            let mut to = a.create_label();
            a.call(to)?;
            a.set_label(&mut to)?;
            a.nop()
        })
        .reg(RSP, DATA)
        .faults(DATA - 8, WRITE),
        row("call of a register", |a| a.call(rax)).regs([(RAX, CODE), (RSP, DATA + 2)]).faults(DATA - 6, WRITE),
        row("call of memory that isn't there", |a| a.call(qword_ptr(rbx))).reg(RBX, END - 4).faults(END, READ),
        row("call of memory, no stack", |a| a.call(qword_ptr(rbx)))
            .with(Part::Memory(DATA, (CODE + 2).to_le_bytes().to_vec()))
            .regs([(RBX, DATA), (RSP, DATA)])
            .faults(DATA - 8, WRITE),
        row("jump by memory", |a| a.jmp(qword_ptr(rbx))).reg(RBX, END - 4).faults(END, READ),
        row("ret", |a| a.ret()).reg(RSP, END - 4).faults(END, READ),
        row("ret that frees", |a| a.ret_1(16)).reg(RSP, END).faults(END, READ),
        row("leave", |a| a.leave()).reg(RBP, END - 4).faults(END, READ),
        row("leave of 16 bits", |a| a.db(&[0x66, 0xc9])).reg(RBP, END - 1).faults(END, READ),
        row("enter", |a| a.enter(16, 0)).reg(RSP, DATA).faults(DATA - 8, WRITE),
        row("enter whose room ends nowhere", |a| a.enter(0x2000, 0))
            .regs([(RBP, 0x1234), (RSP, MIDDLE)])
            .faults(MIDDLE - 8 - 0x2000, WRITE)
            .leaves(Part::Memory(MIDDLE - 8, 0x1234u64.to_le_bytes().to_vec())),
        row("enter that copies frames, the second isn't there", |a| a.enter(0, 4))
            .regs([(RBP, DATA + 8), (RSP, MIDDLE)])
            .faults(DATA - 8, READ)
            .leaves(Part::Memory(MIDDLE - 8, (DATA + 8).to_le_bytes().to_vec()))
            .copied(MIDDLE - 16, DATA, 8),
    ]);
}

#[test]
fn vectors_are_stored_whole_or_not_at_all() {
    let halves = [number(END - 16, 8), number(END - 8, 8)];
    assert_ne!(halves[0], halves[1]);
    check([
        row("movups to memory", |a| a.movups(xmmword_ptr(rbx), xmm1)).reg(RBX, END - 8).faults(END, WRITE),
        row("movups from memory", |a| a.movups(xmm1, xmmword_ptr(rbx))).reg(RBX, END - 15).faults(END, READ),
        row("movups before the beginning", |a| a.movups(xmmword_ptr(rbx), xmm1))
            .reg(RBX, DATA - 3)
            .faults(DATA - 3, WRITE),
        row("movaps, misaligned", |a| a.movaps(xmmword_ptr(rbx), xmm1)).reg(RBX, END - 8).raises(GP),
        row("addps of misaligned memory", |a| a.addps(xmm0, xmmword_ptr(rbx))).reg(RBX, DATA + 8).raises(GP),
        row("vmovups of 32 bytes", |a| a.vmovups(ymmword_ptr(rbx), ymm1)).reg(RBX, END - 16).faults(END, WRITE),
        row("vmovups of 32 bytes into a page to read", |a| a.vmovups(ymmword_ptr(rbx), ymm1))
            .reg(RBX, FIXED - 31)
            .faults(FIXED, FORBIDDEN),
        row("vmovups from memory", |a| a.vmovups(ymm1, ymmword_ptr(rbx))).reg(RBX, END - 1).faults(END, READ),
        row("vmovaps, misaligned", |a| a.vmovaps(ymmword_ptr(rbx), ymm1)).reg(RBX, END - 16).raises(GP),
        row("vpaddd from memory", |a| a.vpaddd(ymm0, ymm1, ymmword_ptr(rbx))).reg(RBX, END - 16).faults(END, READ),
        row("vextracti128", |a| a.vextracti128(xmmword_ptr(rbx), ymm1, 1)).reg(RBX, END - 8).faults(END, WRITE),
        row("vbroadcastf128", |a| a.vbroadcastf128(ymm1, xmmword_ptr(rbx))).reg(RBX, END - 8).faults(END, READ),
        row("movhps", |a| a.movhps(qword_ptr(rbx), xmm1)).reg(RBX, END - 4).faults(END, WRITE),
        row("pextrd", |a| a.pextrd(dword_ptr(rbx), xmm1, 2)).reg(RBX, END - 1).faults(END, WRITE),
        row("cvtpd2ps, which raises no flags in MXCSR", |a| a.cvtpd2ps(xmm0, xmmword_ptr(rbx)))
            .reg(RBX, END)
            .faults(END, READ),
        row("movq of mm0, which doesn't touch the x87 stack", |a| a.movq(mm0, qword_ptr(rbx)))
            .with(Part::One)
            .reg(RBX, END - 4)
            .faults(END, READ),
        // Bytes that are not chosen can fault too: the manuals leave it open, and AMD's do.
        row("maskmovdqu", |a| a.maskmovdqu(xmm1, xmm2))
            .with(Part::Vector(2, [0x80, 0]))
            .reg(RDI, END - 1)
            .faults(END, WRITE),
    ]);
}

#[test]
fn a_masked_store_checks_what_it_stores_first_and_nothing_else() {
    /// The first `n` of the 4-byte lanes.
    fn first(n: u32) -> Part {
        let lanes = |n: u32| (0..n).fold(0, |mask, i| mask | 1 << (32 * i + 31));
        Part::Vector(2, [lanes(n.min(4)), lanes(n.saturating_sub(4))])
    }
    check([
        row("vmaskmovps of two lanes before the end", |a| a.vmaskmovps(ymmword_ptr(rbx), ymm2, ymm1))
            .with(first(2))
            .reg(RBX, END - 8),
        row("vmaskmovps of no lane", |a| a.vmaskmovps(ymmword_ptr(rbx), ymm2, ymm1))
            .with(first(0))
            .reg(RBX, END + 0x10_0000),
        row("vmaskmovps from memory, two lanes", |a| a.vmaskmovps(ymm1, ymm2, ymmword_ptr(rbx)))
            .with(first(2))
            .reg(RBX, END - 8),
        row("vpmaskmovd of no lane", |a| a.vpmaskmovd(xmm1, xmm2, xmmword_ptr(rbx)))
            .with(first(0))
            .reg(RBX, NOT_CANONICAL >> 20),
        row("vmaskmovps of three lanes", |a| a.vmaskmovps(ymmword_ptr(rbx), ymm2, ymm1))
            .with(first(3))
            .reg(RBX, END - 8)
            .faults(END, WRITE),
        row("vmaskmovps of a lane that crosses", |a| a.vmaskmovps(ymmword_ptr(rbx), ymm2, ymm1))
            .with(first(1))
            .reg(RBX, END - 2)
            .faults(END, WRITE),
        row("vpmaskmovq into a page to read", |a| a.vpmaskmovq(ymmword_ptr(rbx), ymm2, ymm1))
            .with(first(8))
            .reg(RBX, FIXED - 8)
            .faults(FIXED, FORBIDDEN),
        row("vpmaskmovd from memory", |a| a.vpmaskmovd(ymm1, ymm2, ymmword_ptr(rbx)))
            .with(first(6))
            .reg(RBX, END - 20)
            .faults(END, READ),
    ]);
}

/// Lanes that are done are in the register, and their masks are clear; the other masks are whole. The upper half of a mask
/// is cleared first of all, that of a result last.
#[test]
fn a_gather_goes_on_at_the_lane_that_faulted() {
    fn lanes(values: [u32; 4]) -> u128 {
        values.iter().rev().fold(0, |vector, lane| vector << 32 | u128::from(*lane))
    }
    const OLD: u128 = 0x3333_3333_2222_2222_1111_1111_0000_0000;
    const CHOSEN: u32 = 1 << 31;
    let word = |at: u64| number(at, 4) as u32;
    let quad = |at: u64| u128::from(number(at, 8));
    check([
        row("vpgatherdd, its third lane", |a| a.vpgatherdd_3(xmm1, dword_ptr(rbx + xmm3 * 4), xmm2))
            .reg(RBX, END - 16)
            .with(Part::Vector(1, [OLD, 7]))
            .with(Part::Vector(2, [lanes([CHOSEN; 4]), 7]))
            .with(Part::Vector(3, [lanes([0, 3, 4, 1]), 0]))
            .faults(END, READ)
            .leaves(Part::Vector(1, [lanes([word(END - 16), word(END - 4), 0x2222_2222, 0x3333_3333]), 7]))
            .leaves(Part::Vector(2, [lanes([0, 0, u32::MAX, u32::MAX]), 0])),
        row("vpgatherdd, a lane that isn't chosen and one that crosses", |a| {
            a.vpgatherdd_3(xmm1, dword_ptr(rbx + xmm3 * 1), xmm2)
        })
        .reg(RBX, END - 16)
        .with(Part::Vector(1, [OLD, 0]))
        .with(Part::Vector(2, [lanes([CHOSEN, 0, 0x7fff_ffff, CHOSEN]), 0]))
        .with(Part::Vector(3, [lanes([1, 1000, 2000, 14]), 0]))
        .faults(END, READ)
        .leaves(Part::Vector(1, [lanes([word(END - 15), 0x1111_1111, 0x2222_2222, 0x3333_3333]), 0]))
        .leaves(Part::Vector(2, [lanes([0, 0, 0, u32::MAX]), 0])),
        row("vgatherqpd of 32 bytes, its last lane", |a| a.vgatherqpd_3(ymm1, qword_ptr(rbx + ymm3 * 8), ymm2))
            .reg(RBX, DATA)
            .with(Part::Vector(1, [OLD, OLD]))
            .with(Part::Vector(2, [!0, !0]))
            .with(Part::Vector(3, [2 | 1 << 64, 3 | u128::from(u64::MAX) << 64]))
            .faults(DATA - 8, READ)
            .leaves(Part::Vector(1, [quad(DATA + 16) | quad(DATA + 8) << 64, quad(DATA + 24) | OLD >> 64 << 64]))
            .leaves(Part::Vector(2, [0, u128::from(u64::MAX) << 64])),
        row("vpgatherqd without any lane", |a| a.vpgatherqd_3(xmm1, dword_ptr(rbx + xmm3 * 1), xmm2))
            .reg(RBX, NOT_CANONICAL)
            .with(Part::Vector(2, [0, 0])),
    ]);
}

#[test]
fn the_x87_unit_keeps_its_stack() {
    check([
        row("fld", |a| a.fld(qword_ptr(rbx))).with(Part::One).reg(RBX, END - 4).faults(END, READ),
        row("fld of ten bytes", |a| a.fld(tword_ptr(rbx))).reg(RBX, END - 9).faults(END, READ),
        row("fadd", |a| a.fadd(dword_ptr(rbx))).with(Part::One).reg(RBX, END - 1).faults(END, READ),
        row("fstp", |a| a.fstp(qword_ptr(rbx))).with(Part::One).reg(RBX, END - 4).faults(END, WRITE),
        row("fstp of ten bytes", |a| a.fstp(tword_ptr(rbx))).with(Part::One).reg(RBX, END - 4).faults(END, WRITE),
        row("fstp of an empty register", |a| a.fstp(tword_ptr(rbx))).reg(RBX, END - 4).faults(END, WRITE),
        row("fistp", |a| a.fistp(dword_ptr(rbx))).with(Part::One).reg(RBX, FIXED).faults(FIXED, FORBIDDEN),
        row("fbstp", |a| a.fbstp(tword_ptr(rbx))).with(Part::One).reg(RBX, END - 9).faults(END, WRITE),
        row("fldcw", |a| a.fldcw(word_ptr(rbx))).reg(RBX, END - 1).faults(END, READ),
        // The last byte is touched before those in the middle.
        row("fnstenv", |a| a.fnstenv(ptr(rbx))).with(Part::One).reg(RBX, END - 20).faults(END + 7, WRITE),
        row("fldenv", |a| a.fldenv(ptr(rbx))).with(Part::One).reg(RBX, END - 20).faults(END + 7, READ),
        row("fnsave, which would initialise", |a| a.fnsave(ptr(rbx)))
            .with(Part::One)
            .reg(RBX, END - 80)
            .faults(END + 27, WRITE),
        row("frstor", |a| a.frstor(ptr(rbx))).with(Part::One).reg(RBX, END - 80).faults(END + 27, READ),
    ]);
}

#[test]
fn states_are_saved_and_restored_whole_or_not_at_all() {
    /// An area's header: these components, in the standard form.
    fn header(area: u64, components: u8) -> Part {
        let mut bytes = vec![0; 64];
        bytes[0] = components;
        Part::Memory(area + 512, bytes)
    }
    /// An MXCSR that exists.
    fn mxcsr(area: u64) -> Part {
        Part::Memory(area + 24, vec![0x80, 0x1f, 0, 0])
    }
    // Room for everything but the upper halves of vectors.
    let area = END - 576;
    check([
        row("fxsave", |a| a.fxsave64(ptr(rbx))).reg(RBX, END - 256).faults(END + 255, WRITE),
        row("fxsave, misaligned", |a| a.fxsave64(ptr(rbx))).reg(RBX, END - 8).raises(GP),
        row("fxrstor", |a| a.fxrstor64(ptr(rbx))).reg(RBX, END - 256).faults(END + 255, READ),
        row("xsave", |a| a.xsave64(ptr(rbx))).regs([(RBX, area), (RAX, 7), (RDX, 0)]).faults(END, WRITE),
        row("xsave into a page to read", |a| a.xsave64(ptr(rbx)))
            .regs([(RBX, FIXED - 64), (RAX, 7), (RDX, 0)])
            .faults(FIXED, FORBIDDEN),
        row("xsave without AVX", |a| a.xsave64(ptr(rbx))).regs([(RBX, area), (RAX, 3), (RDX, 0)]),
        row("xsavec", |a| a.xsavec64(ptr(rbx))).regs([(RBX, area), (RAX, 7), (RDX, 0)]).faults(END, WRITE),
        row("xsave, misaligned", |a| a.xsave64(ptr(rbx))).regs([(RBX, area + 8), (RAX, 7), (RDX, 0)]).raises(GP),
        row("xrstor", |a| a.xrstor64(ptr(rbx)))
            .with(header(area, 7))
            .with(mxcsr(area))
            .regs([(RBX, area), (RAX, 7), (RDX, 0)])
            .faults(END, READ),
        row("xrstor of what isn't held", |a| a.xrstor64(ptr(rbx))).with(header(area, 3)).with(mxcsr(area)).regs([
            (RBX, area),
            (RAX, 7),
            (RDX, 0),
        ]),
        row("xrstor of a header that can't be", |a| a.xrstor64(ptr(rbx)))
            .with(header(area, 8))
            .with(mxcsr(area))
            .regs([(RBX, area), (RAX, 7), (RDX, 0)])
            .raises(GP),
        row("ldmxcsr", |a| a.ldmxcsr(dword_ptr(rbx))).reg(RBX, END - 2).faults(END, READ),
        row("stmxcsr", |a| a.stmxcsr(dword_ptr(rbx))).reg(RBX, END - 2).faults(END, WRITE),
    ]);
}

/// A machine whose `int 32` finds a kernel stack of 16 bytes.
fn short_of_stack() -> Machine {
    let mut m = machine(|a| a.int(32), |a| a.hlt());
    m.poke(TSS + 4, &(KERNEL_STACK - PAGE_SIZE as u64 + 16).to_le_bytes());
    m
}

#[test]
fn a_frame_is_pushed_whole_or_not_at_all() {
    // The page fault's frame has no room either: a double fault, whose has none.
    let mut m = short_of_stack();
    let before = State::of(&m);
    assert_eq!(m.run(10), Exit::Exception(Exception::with_code(vector::DF, 0)));
    assert_eq!((m.cpu.rip, m.cpu.cpl, m.cpu.instructions), (CODE, 3, 0));
    before.compare(&State::of(&m), "int without a stack");
    assert_eq!(m.peek::<16>(KERNEL_STACK - PAGE_SIZE as u64), [0; 16]);
    // With a stack of its own the page fault's handler is told of the instruction, and where the frame would have begun:
    // in the task state segment, which can't be written.
    let mut m = short_of_stack();
    m.poke(TSS + 0x24, &KERNEL_STACK.to_le_bytes());
    m.poke(IDT + 16 * u64::from(vector::PF) + 4, &[1]);
    assert_eq!(m.run(10), Exit::Halt);
    let top = KERNEL_STACK - PAGE_SIZE as u64 + 16 - 40;
    assert_eq!((m.cpu.cr2, m.peek64(KERNEL_STACK - 48), m.peek64(KERNEL_STACK - 40)), (top, 3, CODE));
    assert_eq!(m.peek64(KERNEL_STACK - 16), before.cpu.gpr[RSP]);
    assert_eq!(m.peek::<16>(KERNEL_STACK - PAGE_SIZE as u64), [0; 16]);
}

#[test]
fn iret_loads_its_whole_frame_first() {
    for words in 0..5 {
        let mut m = machine(|a| a.iretq(), |a| a.hlt());
        m.cpu.delivery = Delivery::Exit;
        m.cpu.cpl = 0;
        m.cpu.gpr[RSP] = END - 8 * words;
        let before = State::of(&m);
        // Ring 0 reads what isn't there.
        assert_eq!(m.run(1), Exit::Exception(Exception::page_fault(END, 0)), "{words} words");
        assert_eq!((m.cpu.rip, m.cpu.cpl), (CODE, 0));
        before.compare(&State::of(&m), "iret");
        assert_eq!(before.cpu.seg, m.cpu.seg);
    }
}
