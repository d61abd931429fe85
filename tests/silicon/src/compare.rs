//! What must be equal.

use iced_x86::{Instruction, OpKind};

use crate::native::is_intel;
use crate::report::Tally;
use crate::state::{NO_TRAP, OPMASK, State, ZMM_16_TO_31, ZMM_HIGH, address_in_window, at, field, put, vectors};
use crate::tolerance;

const NAMES: [&str; 16] =
    ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
pub(crate) const PAGE_FAULT: u64 = 14;
/// Of the x87 unit's status word: ES, an exception is pending.
pub(crate) const PENDING: u8 = 0x80;
/// CF, PF, AF, ZF, SF, TF, DF, OF, NT, AC, ID.
const FLAGS: u64 = 0x24_4dd5;

/// XSAVE writes which components were not in their initial state; those that were may hold anything.
pub(crate) fn normalise(state: &mut State) {
    let in_use = state.xsave[at::IN_USE];
    if in_use & 1 == 0 {
        let mxcsr = field(&state.xsave, at::MXCSR, 4) as u32;
        state.xsave[..at::XMM].fill(0);
        put(&mut state.xsave, at::CONTROL, &0x37fu16.to_le_bytes());
        put(&mut state.xsave, at::MXCSR, &mxcsr.to_le_bytes());
    }
    if in_use & 2 == 0 {
        state.xsave[at::XMM..at::XMM + 256].fill(0);
    }
    if in_use & 4 == 0 {
        state.xsave[at::YMM_HIGH..at::YMM_HIGH + 256].fill(0);
    }
    for (component, at, len) in
        [(OPMASK, at::opmask(0), 64), (ZMM_HIGH, at::vector(0, 2), 512), (ZMM_16_TO_31, at::vector(16, 0), 1024)]
    {
        if in_use & component == 0 {
            state.xsave[at..at + len].fill(0);
        }
    }
    if is_intel() && state.xsave[at::STATUS] & PENDING == 0 {
        // Intel's processors always save the x87 unit's last instruction, AMD's only while an exception is pending. Its
        // address is compared all the same.
        state.xsave[at::OPCODE..at::POINTERS].fill(0);
        state.xsave[at::POINTERS + 8..at::MXCSR].fill(0);
    }
}

/// A case and both its ends.
pub(crate) struct Ends<'a> {
    pub(crate) before: &'a State,
    pub(crate) silicon: &'a State,
    pub(crate) ours: &'a State,
    pub(crate) instructions: &'a [Instruction],
}

/// One thing that differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Difference {
    /// The exception: whether, which, its error code or its address.
    Trap,
    /// Where it was raised.
    Rip,
    /// Which way the case was left.
    Branched,
    /// A general register, by number.
    Gpr(usize),
    /// These flags.
    Flags(u64),
    /// The bases of fs and gs.
    Bases,
    /// The selectors of ds, es, fs, gs.
    Selectors,
    /// These bits of MXCSR.
    Mxcsr(u128),
    /// Of a vector register, by number, one of the parts of 128 bits.
    Vector(usize, usize),
    /// An opmask register, by number.
    Opmask(usize),
    /// Bits of the x87 unit's control word (at offset 0), status word, tags, or last instruction's opcode and addresses.
    X87(usize, u128),
    /// An x87 register.
    St(usize),
    /// A byte of memory: its address.
    Memory(u64),
}

/// Compares the ends of a case, and says of the first difference that nothing excuses what it is. `undefined` are flags
/// that the manual, by iced-x86's tables, leaves undefined. Excuses that were needed are counted.
pub(crate) fn compare(ends: &Ends<'_>, undefined: u64, tally: &mut Tally) -> Option<String> {
    let mut used = 0u64;
    for difference in differences(ends) {
        let difference = match difference {
            Difference::Flags(flags) if flags & !undefined == 0 => {
                tally.undefined_flags += 1;
                continue;
            }
            Difference::Flags(flags) => Difference::Flags(flags & !undefined),
            other => other,
        };
        match tolerance::excuse(ends, difference) {
            Some(entry) => used |= 1 << entry,
            None if difference != Difference::Trap && ends.silicon.trap != NO_TRAP => {
                return Some(format!("{}, after {}", text(ends, difference), trap(ends.silicon)));
            }
            None => return Some(text(ends, difference)),
        }
    }
    tally.add(used);
    None
}

/// Whether two ends are the same.
pub(crate) fn is_same(a: &State, b: &State) -> bool {
    differences(&Ends { before: a, silicon: a, ours: b, instructions: &[] }).is_empty()
}

/// All that differs.
fn differences(ends: &Ends<'_>) -> Vec<Difference> {
    let Ends { silicon, ours, .. } = *ends;
    let mut found = Vec::new();
    if (silicon.trap, error(silicon), silicon.cr2) != (ours.trap, error(ours), ours.cr2) {
        found.push(Difference::Trap);
    }
    if silicon.trap != NO_TRAP && silicon.rip != ours.rip {
        found.push(Difference::Rip);
    }
    if silicon.branched != ours.branched {
        found.push(Difference::Branched);
    }
    found.extend((0..NAMES.len()).filter(|i| ours.gpr[*i] != silicon.gpr[*i]).map(Difference::Gpr));
    let flags = (ours.flags ^ silicon.flags) & FLAGS;
    if flags != 0 {
        found.push(Difference::Flags(flags));
    }
    if (ours.fs, ours.gs) != (silicon.fs, silicon.gs) {
        found.push(Difference::Bases);
    }
    if ours.selectors != silicon.selectors {
        found.push(Difference::Selectors);
    }
    if ours.xsave != silicon.xsave {
        let bits = |at, len| field(&ours.xsave, at, len) ^ field(&silicon.xsave, at, len);
        let differs = |at: usize, len: usize| ours.xsave[at..at + len] != silicon.xsave[at..at + len];
        let mxcsr = bits(at::MXCSR, 4);
        if mxcsr != 0 {
            found.push(Difference::Mxcsr(mxcsr));
        }
        let vectors = vectors().filter(|(n, part)| differs(at::vector(*n, *part), 16));
        found.extend(vectors.map(|(n, part)| Difference::Vector(n, part)));
        found.extend((0..8).filter(|n| differs(at::opmask(*n), 8)).map(Difference::Opmask));
        for (at, len) in [(at::CONTROL, 2), (at::STATUS, 2), (at::TAGS, 1), (at::OPCODE, 2), (at::POINTERS, 16)] {
            let bits = bits(at, len);
            if bits != 0 {
                found.push(Difference::X87(at, bits));
            }
        }
        found.extend((0..8).filter(|i| differs(at::ST + 16 * i, 10)).map(Difference::St));
    }
    if ours.memory != silicon.memory {
        let differs = |at: &usize| ours.memory[*at] != silicon.memory[*at];
        found.extend((0..ours.memory.len()).filter(differs).map(|at| Difference::Memory(address_in_window(at))));
    }
    found
}

/// The error code. For addresses beyond a process' own Linux says that there is a page, so that nobody learns where it is.
fn error(state: &State) -> u64 {
    const PRESENT: u64 = 1;
    /// What Linux gives processes ends a page before the lower half does.
    const TASK_SIZE_MAX: u64 = 0x7fff_ffff_f000;
    if state.trap == PAGE_FAULT && state.cr2 >= TASK_SIZE_MAX { state.error | PRESENT } else { state.error }
}

fn trap(state: &State) -> String {
    match state.trap {
        NO_TRAP => "no exception".into(),
        crate::state::DIED => "death".into(),
        crate::state::ODD_EXIT => "an exit of another kind".into(),
        crate::state::MISSING => "a missing instruction".into(),
        PAGE_FAULT => format!("#PF({:#x}) at {:#x}", state.error, state.cr2),
        vector => format!("exception {vector}({:#x})", state.error),
    }
}

/// A difference in words: ours, silicon's, and what there was before.
fn text(ends: &Ends<'_>, difference: Difference) -> String {
    let Ends { before, silicon, ours, .. } = *ends;
    let show = |name: &str, value: &dyn Fn(&State) -> String| {
        format!("{name} {}, silicon {}, was {}", value(ours), value(silicon), value(before))
    };
    let image = |at: usize, len: usize| {
        move |state: &State| format!("{:0width$x}", field(&state.xsave, at, len), width = 2 * len)
    };
    match difference {
        Difference::Trap => format!("{}, silicon {}", trap(ours), trap(silicon)),
        Difference::Rip => show("rip", &|state| format!("{:#x}", state.rip)),
        Difference::Branched => format!("way out {}, silicon {}", ours.branched, silicon.branched),
        Difference::Gpr(i) => show(NAMES[i], &|state| format!("{:#x}", state.gpr[i])),
        Difference::Flags(flags) => show(&format!("of flags {flags:#x}"), &|state| format!("{:#x}", state.flags)),
        Difference::Bases => show("fs and gs bases", &|state| format!("{:#x} {:#x}", state.fs, state.gs)),
        Difference::Selectors => show("selectors of ds es fs gs", &|state| format!("{:x?}", state.selectors)),
        Difference::Mxcsr(_) => show("mxcsr", &image(at::MXCSR, 4)),
        Difference::Vector(n, part) => {
            let name = match part {
                0 => format!("xmm{n}"),
                1 => format!("upper half of ymm{n}"),
                _ => format!("quarter {part} of zmm{n}"),
            };
            show(&name, &image(at::vector(n, part), 16))
        }
        Difference::Opmask(n) => show(&format!("k{n}"), &image(at::opmask(n), 8)),
        Difference::X87(at::CONTROL, _) => show("x87 control word", &image(at::CONTROL, 2)),
        Difference::X87(at::STATUS, _) => show("x87 status word", &image(at::STATUS, 2)),
        Difference::X87(at::TAGS, _) => show("x87 tags", &image(at::TAGS, 1)),
        Difference::X87(at::OPCODE, _) => show("x87 opcode", &image(at::OPCODE, 2)),
        Difference::X87(at, _) => show("x87 pointers", &image(at, 16)),
        Difference::St(i) => {
            let control = image(at::CONTROL, 2)(before);
            show(&format!("(control word {control}) st{i}"), &image(at::ST + 16 * i, 10))
        }
        Difference::Memory(address) => {
            let start = crate::state::window(address).unwrap_or(0);
            show(&format!("[{address:#x}]"), &|state| {
                state.memory[start..].iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
            })
        }
    }
}

/// The address of the memory operand.
pub(crate) fn operand_address(i: &Instruction, state: &State) -> Option<u64> {
    use iced_x86::Register as R;
    let n = (0..i.op_count()).find(|n| i.op_kind(*n) == OpKind::Memory)?;
    i.virtual_address(n, 0, |register, _, _| {
        Some(match register {
            R::ES | R::CS | R::SS | R::DS => 0,
            R::FS => state.fs,
            R::GS => state.gs,
            r if r.is_gpr() => {
                let value = state.gpr[r.full_register().number()];
                if r.is_gpr32() { value & 0xffff_ffff } else { value }
            }
            _ => return None,
        })
    })
}
