//! What need not be equal: one table.
//!
//! An entry is something that the manual leaves to the processor, in which makers differ, or that depends on the machine
//! around the core. It names the instructions, and excuses exactly the bits that may differ. How many cases needed each
//! entry is counted and printed. Flags that the manual leaves undefined are not here: iced-x86's tables have them.
//!
//! The manuals: SDM is Intel's Software Developer's Manual, APM is AMD's Architecture Programmer's Manual.

use callgate_emulator::PAGE_SIZE;
use iced_x86::{Code, Instruction, Mnemonic as M, OpKind, Register};

use crate::compare::{Difference, Ends, PAGE_FAULT, operand_address};
use crate::intel::ON_INTEL;
use crate::native::is_intel;
use crate::ours::GDT_BASE;
use crate::state::{NO_TRAP, State, at, field, window};

/// An entry.
pub(crate) struct Tolerance {
    /// What differs.
    pub(crate) name: &'static str,
    /// Which manual leaves it open, and where.
    pub(crate) source: &'static str,
    /// Whether it is about this instruction, of which only the code is looked at.
    pub(crate) instructions: fn(&Instruction) -> bool,
    /// Whether it excuses a difference, in a case with that instruction.
    pub(crate) excuses: fn(&Ends<'_>, &Instruction, Difference) -> bool,
}

/// The list, as far as it doesn't depend on the maker.
const TOLERANCES: &[Tolerance] = &[
    Tolerance {
        name: "what the machine is, what time it is there, and random numbers",
        source: "SDM vol. 2, CPUID, RDTSC, RDTSCP, RDPID, RDRAND, RDSEED",
        instructions: |i| matches!(i.mnemonic(), M::Cpuid | M::Rdtsc | M::Rdtscp | M::Rdpid | M::Rdrand | M::Rdseed),
        excuses: |_, i, difference| {
            let registers = match (i.mnemonic(), i.op0_register()) {
                (M::Cpuid, _) => 0b1111,
                (M::Rdtscp, _) => 0b111,
                (_, Register::None) => 0b101,
                (_, register) => 1 << register.full_register().number(),
            };
            match difference {
                Difference::Gpr(number) => registers >> number & 1 != 0,
                // CF: whether there was a random number.
                Difference::Flags(1) => matches!(i.mnemonic(), M::Rdrand | M::Rdseed),
                _ => false,
            }
        },
    },
    Tolerance {
        name: "state components that the host has beyond the core's, which its system has enabled",
        source: "SDM vol. 1, 13.3",
        instructions: |i| i.mnemonic() == M::Xgetbv,
        excuses: |ends, _, difference| {
            difference == Difference::Gpr(RAX) && ends.silicon.gpr[RAX] & components(ends.before) == ends.ours.gpr[RAX]
        },
    },
    Tolerance {
        name: "the same, in the header that XRSTOR is given",
        source: "SDM vol. 1, 13.8.1",
        instructions: |i| matches!(i.mnemonic(), M::Xrstor | M::Xrstor64),
        excuses: |ends, i, _| {
            let header =
                operand_address(i, ends.before).and_then(|start| window(start.wrapping_add(at::IN_USE as u64)));
            refused(ends)
                && header.is_some_and(|at| field(&ends.before.memory, at, 8) as u64 & !components(ends.before) != 0)
        },
    },
    Tolerance {
        name: "bit 17 of MXCSR, which AMD's processors have",
        source: "APM vol. 1, 4.2.2, MM; SDM vol. 1, 10.2.3, reserved",
        instructions: |i| mxcsr_offset(i).is_some(),
        excuses: |ends, i, _| {
            let value = mxcsr_offset(i).zip(operand_address(i, ends.before));
            let at = value.and_then(|(offset, start)| window(start.wrapping_add(offset + 2)));
            refused(ends) && at.is_some_and(|at| ends.before.memory[at] & 2 != 0)
        },
    },
    Tolerance {
        name: "the same bit, in the MXCSR_MASK that is saved",
        source: "APM vol. 1, 4.2.2, MM; SDM vol. 1, 10.5.1.2",
        instructions: |i| {
            let codes =
                [M::Fxsave, M::Fxsave64, M::Xsave, M::Xsave64, M::Xsaveopt, M::Xsaveopt64, M::Xsavec, M::Xsavec64];
            codes.contains(&i.mnemonic())
        },
        excuses: |ends, i, difference| {
            let Difference::Memory(address) = difference else { return false };
            let byte = |state: &State| window(address).map_or(0, |at| state.memory[at]);
            let mask = operand_address(i, ends.before).map(|start| start.wrapping_add(at::MXCSR as u64 + 4));
            mask == Some(address.wrapping_sub(2)) && byte(ends.silicon) ^ byte(ends.ours) == 2
        },
    },
    Tolerance {
        name: "whether there is a page where the core has its descriptor table, to which silicon refuses access too",
        source: "SDM vol. 3, 4.7, the P flag of error codes",
        instructions: is_made,
        excuses: |ends, _, difference| {
            let (silicon, ours) = (ends.silicon, ends.ours);
            let alike = [silicon.trap, ours.trap] == [PAGE_FAULT; 2] && silicon.cr2 == ours.cr2;
            let is_table = ours.cr2 & !(PAGE_SIZE as u64 - 1) == GDT_BASE;
            difference == Difference::Trap && alike && is_table && silicon.error ^ ours.error == 1
        },
    },
    Tolerance {
        name: "which of two operands of CMPS faults: processors of one maker differ, too",
        source: "SDM vol. 3, 6.9, which leaves the order of faults of one instruction open",
        instructions: |i| is_compared_string(i) && has_implied(i, OpKind::MemorySegRSI, OpKind::MemorySegESI),
        excuses: |ends, _, difference| difference == Difference::Trap && faults(ends.silicon) && faults(ends.ours),
    },
    Tolerance {
        name: "approximations, which are tables of each maker's: both within a relative error of 1.5 · 2^-12",
        source: "SDM vol. 2, RCPPS, RSQRTPS",
        instructions: |i| approximated(i).is_some(),
        excuses: |ends, i, difference| {
            let Difference::Vector(n, part @ (0 | 1)) = difference else { return false };
            let values = [ends.silicon, ends.ours].map(|state| field(&state.xsave, at::vector(n, part), 16));
            approximated(i).is_some_and(|function| approximate(ends, i, part, function, values))
        },
    },
    Tolerance {
        name: "the last place of a transcendental function's result, and with it C1",
        source: "SDM vol. 1, 8.3.10, errors below one unit in the last place",
        instructions: |i| is_transcendental(i) && i.mnemonic() != M::Fyl2xp1,
        excuses: |ends, _, difference| match difference {
            Difference::St(number) => places_apart(ends, number) == 1,
            Difference::X87(at::STATUS, bits) => bits == C1,
            _ => false,
        },
    },
    Tolerance {
        name: "up to eight last places of FYL2XP1, and with them C1",
        source: "APM vol. 5, FYL2XP1, which gives no bound",
        instructions: |i| i.mnemonic() == M::Fyl2xp1,
        excuses: |ends, _, difference| match difference {
            Difference::St(number) => places_apart(ends, number) <= 8,
            Difference::X87(at::STATUS, bits) => bits == C1,
            _ => false,
        },
    },
    Tolerance {
        name: "FYL2XP1 of numbers beyond 1 - √½, which is undefined",
        source: "SDM vol. 2, FYL2XP1",
        instructions: |i| i.mnemonic() == M::Fyl2xp1,
        excuses: |ends, _, difference| {
            let operand = field(&ends.before.xsave, at::ST, 10);
            // 1 - √½ is 0.2928…, of exponent -2 and this significand.
            let outside = operand >> 64 & 0x7fff > 0x3ffd
                || operand >> 64 & 0x7fff == 0x3ffd && operand as u64 > 0x95f6_1998_0c43_36f7;
            let result = match difference {
                Difference::St(_) => true,
                // What the undefined result raises: precision, underflow, overflow, and C1.
                Difference::X87(at::STATUS, bits) => bits & !(C1 | 0x80b8) == 0,
                // Saved only while an exception is pending.
                Difference::X87(at::OPCODE | at::POINTERS, _) => true,
                _ => false,
            };
            outside && result
        },
    },
];

const RAX: usize = 0;
/// Of the status word.
pub(crate) const C1: u128 = 0x200;
const STACK_SEGMENT: u64 = 12;
pub(crate) const GENERAL_PROTECTION: u64 = 13;
pub(crate) const ALIGNMENT_CHECK: u64 = 17;
/// After a step.
pub(crate) const DEBUG: u64 = 1;

pub(crate) fn has_implied(i: &Instruction, wide: OpKind, narrow: OpKind) -> bool {
    (0..i.op_count()).any(|n| i.op_kind(n) == wide || i.op_kind(n) == narrow)
}

pub(crate) fn is_compared_string(i: &Instruction) -> bool {
    use M::{Cmpsb, Cmpsd, Cmpsq, Cmpsw, Scasb, Scasd, Scasq, Scasw};
    i.is_string_instruction() && matches!(i.mnemonic(), Cmpsb | Cmpsw | Cmpsd | Cmpsq | Scasb | Scasw | Scasd | Scasq)
}

/// Whether it is more than a code: an entry about what can't be in programs must not keep its codes out of them.
pub(crate) fn is_made(i: &Instruction) -> bool {
    i.len() != 0
}

pub(crate) fn faults(state: &State) -> bool {
    matches!(state.trap, STACK_SEGMENT | GENERAL_PROTECTION | PAGE_FAULT | ALIGNMENT_CHECK)
}

/// Whether the core refuses what silicon accepts.
fn refused(ends: &Ends<'_>) -> bool {
    ends.ours.trap == GENERAL_PROTECTION && matches!(ends.silicon.trap, NO_TRAP | DEBUG)
}

/// The components that the core has, as the header says that it is given.
fn components(before: &State) -> u64 {
    before.xsave[at::IN_USE].into()
}

/// Where in its operand an instruction finds a value for MXCSR.
pub(crate) fn mxcsr_offset(i: &Instruction) -> Option<u64> {
    match i.mnemonic() {
        M::Ldmxcsr | M::Vldmxcsr => Some(0),
        M::Fxrstor | M::Fxrstor64 | M::Xrstor | M::Xrstor64 => Some(at::MXCSR as u64),
        _ => None,
    }
}

pub(crate) fn is_transcendental(i: &Instruction) -> bool {
    let codes = [M::F2xm1, M::Fcos, M::Fpatan, M::Fptan, M::Fsin, M::Fsincos, M::Fyl2x, M::Fyl2xp1];
    codes.contains(&i.mnemonic())
}

/// How far apart two x87 registers are in units of the last place, across binades too.
fn places_apart(ends: &Ends<'_>, number: usize) -> u128 {
    let signed = |state: &State| {
        let sign = field(&state.xsave, at::ST + 16 * number + 9, 1) >> 7;
        sign << 78 | place(state, number)
    };
    signed(ends.silicon).abs_diff(signed(ends.ours))
}

/// Where an x87 register's magnitude is among all there are.
pub(crate) fn place(state: &State, number: usize) -> u128 {
    const FRACTION: u128 = (1 << 63) - 1;
    let bits = field(&state.xsave, at::ST + 16 * number, 10);
    // The integer bit follows from the exponent.
    (bits >> 64 & 0x7fff) << 63 | bits & FRACTION
}

/// The function that an instruction approximates.
pub(crate) fn approximated(i: &Instruction) -> Option<fn(f64) -> f64> {
    match i.mnemonic() {
        M::Rcpps | M::Rcpss | M::Vrcpps | M::Vrcpss => Some(|x| 1.0 / x),
        M::Rsqrtps | M::Rsqrtss | M::Vrsqrtps | M::Vrsqrtss => Some(|x| 1.0 / x.sqrt()),
        _ => None,
    }
}

/// Whether both results are as near to the function's value as the manual promises, in each lane in which they differ.
fn approximate(ends: &Ends<'_>, i: &Instruction, part: usize, function: fn(f64) -> f64, results: [u128; 2]) -> bool {
    let last = i.op_count() - 1;
    let source = if i.op_kind(last) == OpKind::Register {
        field(&ends.before.xsave, at::vector(i.op_register(last).number(), part), 16)
    } else {
        let Some(start) = operand_address(i, ends.before) else { return false };
        // Behind the last window is the page that can't be written, which holds zeros.
        let byte = |at: u64| window(start.wrapping_add(at)).map_or(0, |at| ends.before.memory[at]);
        (0..16).rev().fold(0, |value, at| value << 8 | u128::from(byte(16 * part as u64 + at)))
    };
    let lane = |vector: u128, lane: usize| (vector >> (32 * lane)) as u32;
    (0..4).filter(|n| lane(results[0], *n) != lane(results[1], *n)).all(|n| {
        let exact = function(f32::from_bits(lane(source, n)).into());
        results.iter().all(|result| {
            let result = f64::from(f32::from_bits(lane(*result, n)));
            (result - exact).abs() <= exact.abs() * 1.5 / 4096.0
        })
    })
}

/// All entries that count here.
pub(crate) fn tolerances() -> impl Iterator<Item = &'static Tolerance> {
    TOLERANCES.iter().chain(if is_intel() { ON_INTEL } else { &[] })
}

/// The entry that excuses a difference, if one does.
pub(crate) fn excuse(ends: &Ends<'_>, difference: Difference) -> Option<usize> {
    tolerances().position(|entry| {
        ends.instructions.iter().any(|i| (entry.instructions)(i) && (entry.excuses)(ends, i, difference))
    })
}

/// Whether everything is compared after it, so that it may stand in a block without its difference going on.
pub(crate) fn is_exact(code: Code) -> bool {
    let mut i = Instruction::new();
    i.set_code(code);
    !tolerances().any(|entry| (entry.instructions)(&i))
}
