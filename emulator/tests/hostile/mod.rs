//! A machine made of bytes, and what must hold whatever they are: no panic, no hang, budgets that are exact, and one course
//! of events however a run is cut into budgets. The property test and the fuzz target `core` share it.

use callgate_emulator::{
    Cpu, Delivery, DescriptorTable, Engine, Exit, Interp, Memory, PAGE_SIZE, PageFlags, Segment, Space, Tsc, reg,
    rflags, seg,
};

/// Where pages may be: the first is code, the second has the tables of the processor.
const PAGES: [u64; 9] = [
    0x40_0000,
    0xffff_8000_0000_0000,
    0x40_1000,
    0x60_0000,
    0x60_1000,
    0,
    0x7fff_ffff_f000,
    0xffff_ffff_ffff_f000,
    0xffff_8000_0000_1000,
];
const CODE: u64 = PAGES[0];
const TABLES: u64 = PAGES[1];

/// Choices that bytes make; zeros after their end.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        match self.0 {
            [first, rest @ ..] => {
                self.0 = rest;
                *first
            }
            [] => 0,
        }
    }

    fn number(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    fn below(&mut self, n: u8) -> u8 {
        self.byte() % n
    }

    /// Rarely true.
    fn rarely(&mut self) -> bool {
        self.below(8) == 7
    }

    /// An address, mostly in a page or at its edge.
    fn address(&mut self) -> u64 {
        let page = PAGES[usize::from(self.below(PAGES.len() as u8))];
        match self.below(4) {
            0 => page.wrapping_add(u64::from(self.byte())),
            1 => page.wrapping_add(0x1000 - u64::from(self.below(20))),
            2 => page.wrapping_add(16 * u64::from(self.byte())),
            _ => self.number() >> self.below(64),
        }
    }

    /// A byte of code: often one that begins something longer.
    fn code(&mut self) -> u8 {
        const STARTS: [u8; 16] =
            [0x0f, 0x66, 0xf2, 0xf3, 0x48, 0x4c, 0xc4, 0xc5, 0x0f, 0x38, 0xae, 0xcf, 0xd9, 0x9d, 0xa4, 0x83];
        let byte = self.byte();
        if byte & 3 == 0 { STARTS[usize::from(byte >> 4)] } else { self.byte() }
    }
}

struct Machine {
    cpu: Cpu,
    space: Space,
    interp: Interp,
}

/// 64-bit code and data of a ring, a task state segment in the tables' page, 32-bit code, and whatever else.
fn descriptor(choices: &mut Choices<'_>) -> u64 {
    let ring = u64::from(choices.below(2) * 3) << 45;
    match choices.below(6) {
        0 => 0x00af_9b00_0000_ffff | ring,
        1 => 0x00cf_9300_0000_ffff | ring,
        2 => 0x00cf_9b00_0000_ffff | ring,
        3 => 0x0000_8900_0000_0fff | ring,
        4 => choices.number(),
        _ => 0,
    }
}

/// A gate, mostly an interrupt gate into the code.
fn gate(choices: &mut Choices<'_>) -> u128 {
    if choices.rarely() {
        return u128::from(choices.number()) << 64 | u128::from(choices.number());
    }
    let target = u128::from(CODE) + u128::from(choices.byte());
    let selector = u128::from(choices.below(8)) << 3;
    let list = u128::from(if choices.rarely() { choices.below(8) } else { 0 });
    target & 0xffff | selector << 16 | list << 32 | 0xee << 40 | (target >> 16 & 0xffff) << 48 | target >> 32 << 64
}

impl Machine {
    fn new(bytes: &[u8]) -> Self {
        let choices = &mut Choices(bytes);
        let memory = Memory::new(64 * PAGE_SIZE as u64).expect("memory");
        let mut space = Space::new(&memory);
        let mut last = None;
        for (i, page) in PAGES.into_iter().enumerate() {
            let flags = match choices.byte() {
                flags if i == 0 => PageFlags::from_bits_truncate(flags.into()) | PageFlags::USER | PageFlags::EXEC,
                flags => PageFlags::from_bits_truncate(flags.into()),
            };
            if i > 1 && choices.rarely() {
                continue;
            }
            // Some pages are there twice.
            let frame = match last.take() {
                Some(frame) if choices.rarely() => frame,
                _ => memory.alloc().expect("a frame"),
            };
            for at in 0..24 {
                frame.write(at * 8, &choices.number().to_le_bytes());
            }
            space.map(page, frame.clone(), flags);
            last = Some(frame);
        }
        let (tables, _) = space.lookup(TABLES).expect("the tables");
        for i in 1..8 {
            tables.write(8 * i, &descriptor(choices).to_le_bytes());
        }
        for i in 0..20 {
            tables.write(0x100 + 16 * i, &gate(choices).to_le_bytes());
        }
        for i in 0..8 {
            tables.write(0x804 + 8 * i, &choices.address().to_le_bytes());
        }
        let mut cpu = Cpu::default();
        cpu.tsc = Tsc::Instructions { offset: 0, step: 1 };
        Self::set_up(&mut cpu, choices);
        let (code, _) = space.lookup(CODE).expect("the code");
        for at in 0..256 {
            code.write(at, &[choices.code()]);
        }
        Self { cpu, space, interp: Interp::new(&memory) }
    }

    fn set_up(cpu: &mut Cpu, choices: &mut Choices<'_>) {
        for register in &mut cpu.gpr {
            *register = choices.address();
        }
        if !choices.rarely() {
            // Long repetitions take long, and rightly so.
            cpu.gpr[reg::RCX] = choices.byte().into();
        }
        cpu.rip = if choices.rarely() { choices.address() } else { CODE };
        cpu.set_rflags(if choices.rarely() { choices.number() & 0x3f_ffff } else { rflags::IF });
        cpu.cpl = if choices.below(2) == 0 { 3 } else { 0 };
        cpu.delivery = if choices.below(2) == 0 { Delivery::Exit } else { Delivery::Idt };
        cpu.gdtr = DescriptorTable { base: TABLES, limit: 0x3f };
        cpu.idtr = DescriptorTable { base: TABLES + 0x100, limit: 20 * 16 - 1 };
        (cpu.tr, cpu.tr_base, cpu.tr_limit) = (0x18, TABLES + 0x800, 0x100);
        cpu.msr.lstar = choices.address();
        cpu.msr.star = u64::from(choices.byte()) << 32 | u64::from(choices.byte()) << 48;
        for segment in [seg::CS, seg::SS, seg::FS, seg::GS] {
            let base = if segment >= seg::FS { choices.address() } else { 0 };
            cpu.seg[segment] = Segment { selector: choices.byte().into(), base };
        }
        if choices.rarely() {
            cpu.cr0 ^= u64::from(choices.byte() & 0xe);
        }
        if choices.rarely() {
            cpu.cr4 ^= choices.number() & 0x5_0e0c;
        }
        if choices.rarely() {
            cpu.xcr0 = u64::from(choices.byte() & 6) | 1;
        }
        if choices.rarely() {
            cpu.mxcsr = choices.number() as u32 & 0xffff;
            cpu.fpu.set_control_word(choices.number() as u16);
            cpu.fpu.set_status_word(choices.number() as u16);
            cpu.fpu.set_tag_word(choices.number() as u16);
        }
        if choices.rarely() {
            for n in 0..4 {
                cpu.dr[n] = choices.address();
            }
            cpu.dr[7] = choices.number() & 0xffff_27ff;
        }
        for register in &mut cpu.xmm[..4] {
            *register = u128::from(choices.number()) << 64 | u128::from(choices.number());
        }
    }

    /// Runs, and checks what was promised about the budget.
    fn run(&mut self, budget: u64) -> Exit {
        let before = self.cpu.instructions;
        let exit = self.interp.run(&mut self.cpu, &mut self.space, budget);
        let done = self.cpu.instructions - before;
        assert!(done <= budget, "{done} instructions of {budget}");
        assert!(exit != Exit::Budget || done == budget, "the budget of {budget} ended after {done}");
        exit
    }
}

/// Everything that a guest can see of registers.
fn state(cpu: &Cpu) -> impl PartialEq + std::fmt::Debug {
    let registers = (cpu.gpr, cpu.rip, cpu.rflags(), cpu.seg, cpu.cpl, cpu.instructions, cpu.user_instructions);
    (registers, cpu.xsave().to_vec(), [cpu.cr0, cpu.cr2, cpu.cr4, cpu.xcr0], cpu.dr)
}

/// Runs the machine that bytes make.
///
/// # Panics
/// If something doesn't hold.
pub(crate) fn check(bytes: &[u8]) {
    let mut machine = Machine::new(bytes);
    let mut cut = Machine::new(bytes);
    // Nor can be seen how instructions are decoded.
    cut.interp.start_quickly(100);
    for (i, budget) in [1u64, 0, 40, 7, 200].into_iter().enumerate() {
        let exit = machine.run(budget);
        // The same in pieces: of one instruction, then of other sizes.
        let mut left = budget;
        let exit_of_pieces = loop {
            let before = cut.cpu.instructions;
            let piece = left.min(1 + i as u64 % 3);
            let exit = cut.run(piece);
            left -= cut.cpu.instructions - before;
            if exit != Exit::Budget || left == 0 {
                break exit;
            }
        };
        assert_eq!((exit, state(&machine.cpu)), (exit_of_pieces, state(&cut.cpu)));
        // What somebody outside might do.
        if exit != Exit::Budget {
            for machine in [&mut machine, &mut cut] {
                machine.cpu.rip = machine.cpu.rip.wrapping_add(1);
                machine.cpu.dr[7] &= !0xff;
            }
        }
    }
}
