//! Where Intel's processors differ from AMD's, which the core is like: entries of the table ([`crate::tolerance`]) that
//! count on Intel's processors only.
//!
//! Some are about faults, which in programs there are none of, or about what only the end of a program tells. Their codes
//! may stand in programs, and so their instructions are those that were made, not the codes alone ([`is_made`]).

use iced_x86::{Code, Instruction, MemorySize, Mnemonic as M, OpKind, Register};

use crate::compare::{Difference, PAGE_FAULT, PENDING, operand_address};
use crate::pools::is_x87;
use crate::state::{NO_TRAP, State, XSAVE, at, field};
use crate::tolerance::{
    ALIGNMENT_CHECK, C1, DEBUG, GENERAL_PROTECTION, Tolerance, faults, has_implied, is_compared_string, is_made,
    is_transcendental, place,
};

/// The list.
pub(crate) const ON_INTEL: &[Tolerance] = &[
    Tolerance {
        name: "the x87 unit's last opcode and operand, which are kept only of unmasked exceptions",
        source: "SDM vol. 1, 8.1.8 and 8.1.9",
        instructions: |i| is_x87(i.code()) && is_made(i),
        excuses: |ends, i, difference| {
            // So they are those of an earlier instruction if an exception was unmasked after it was raised.
            let later = matches!(i.mnemonic(), M::Fldcw | M::Fldenv | M::Frstor);
            // And an operand is one of an earlier instruction if the last had none in memory.
            let in_registers = field(&ends.silicon.xsave, at::OPCODE, 2) & 0xc0 == 0xc0;
            match difference {
                Difference::X87(at::OPCODE, _) => later,
                Difference::X87(at::POINTERS, bits) => bits & FIP == 0 && (later || in_registers),
                _ => false,
            }
        },
    },
    Tolerance {
        name: "flags of CMPS and SCAS whose repetition is interrupted: those of before",
        source: "SDM vol. 2, REP",
        instructions: |i| is_compared_string(i) && is_repeated(i),
        excuses: |ends, _, difference| match difference {
            Difference::Flags(flags) => {
                ends.silicon.trap != NO_TRAP && (ends.silicon.flags ^ ends.before.flags) & flags == 0
            }
            _ => false,
        },
    },
    Tolerance {
        name: "upper halves of registers that a repeated string instruction of 32-bit addresses counts in, when that is not at all or is interrupted",
        source: "SDM vol. 1, 3.4.1.1, results of 32 bits are extended by zeros",
        instructions: |i| {
            is_repeated(i)
                && (has_implied(i, OpKind::MemorySegESI, OpKind::MemoryESEDI) || i.op0_kind() == OpKind::MemoryESEDI)
        },
        excuses: |ends, _, difference| match difference {
            Difference::Gpr(number @ (RCX | RSI | RDI)) => {
                let counted = ends.before.gpr[RCX] as u32 != 0 && ends.silicon.trap == NO_TRAP;
                !counted && ends.silicon.gpr[number] == ends.ours.gpr[number] & 0xffff_ffff
            }
            _ => false,
        },
    },
    Tolerance {
        name: "where a store of chosen bytes or elements faults",
        source: "SDM vol. 2, MASKMOVDQU, VMASKMOV, VPMASKMOV: faults of what is not chosen",
        instructions: |i| {
            let whole = matches!(i.mnemonic(), M::Maskmovq | M::Maskmovdqu | M::Vmaskmovdqu);
            let elements = [M::Vmaskmovps, M::Vmaskmovpd, M::Vpmaskmovd, M::Vpmaskmovq].contains(&i.mnemonic());
            whole && has_implied(i, OpKind::MemorySegRDI, OpKind::MemorySegEDI)
                || elements && i.op0_kind() == OpKind::Memory
        },
        excuses: |ends, i, difference| {
            let start = operand_address(i, ends.before).unwrap_or_else(|| masked_address(i, ends.before));
            let at_operand = |state: &State| state.trap == PAGE_FAULT && state.cr2.wrapping_sub(start) < 32;
            difference == Difference::Trap && at_operand(ends.silicon) && at_operand(ends.ours)
        },
    },
    Tolerance {
        name: "operands of SHA instructions that are not aligned: Intel's processors refuse them",
        source: "SDM vol. 2, 2.4.4, class 4",
        instructions: |i| is_sha(i),
        excuses: |ends, i, _| {
            let address = operand_address(i, ends.before);
            ends.silicon.trap == GENERAL_PROTECTION && address.is_some_and(|address| address % 16 != 0)
        },
    },
    Tolerance {
        name: "a far return to another ring: the selector is checked before the outer stack pointer is looked at",
        source: "SDM vol. 2, RET, RETURN-TO-OUTER-PRIVILEGE-LEVEL",
        instructions: |i| i.mnemonic() == M::Retf && i.op_count() != 0,
        excuses: |ends, _, difference| {
            difference == Difference::Trap && ends.silicon.trap == GENERAL_PROTECTION && faults(ends.ours)
        },
    },
    Tolerance {
        name: "which of several NaNs DPPS and DPPD answer",
        source: "SDM vol. 2, DPPS, DPPD, horizontal propagation of NaNs",
        instructions: |i| matches!(i.mnemonic(), M::Dpps | M::Vdpps | M::Dppd | M::Vdppd),
        excuses: |ends, i, difference| {
            let Difference::Vector(n, part) = difference else { return false };
            let at = at::vector(n, part);
            let double = matches!(i.mnemonic(), M::Dppd | M::Vdppd);
            let size = if double { 8 } else { 4 };
            let is_nan = |bits: u128| {
                if double { f64::from_bits(bits as u64).is_nan() } else { f32::from_bits(bits as u32).is_nan() }
            };
            (at..at + 16).step_by(size).all(|lane| {
                let [a, b] = [ends.silicon, ends.ours].map(|state| field(&state.xsave, lane, size));
                a == b || is_nan(a) && is_nan(b)
            })
        },
    },
    Tolerance {
        name: "SHLD and SHRD of 16 bits by more than 16 places",
        source: "SDM vol. 2, SHLD, SHRD: the result is undefined",
        instructions: |i| is_short_double_shift(i),
        excuses: |ends, i, difference| {
            let count = match i.op2_kind() {
                OpKind::Register => ends.before.gpr[RCX] as u8,
                _ => i.immediate8(),
            };
            let written = match difference {
                Difference::Gpr(number) => {
                    let changed = ends.silicon.gpr[number] ^ ends.ours.gpr[number];
                    i.op0_kind() == OpKind::Register
                        && i.op0_register().full_register().number() == number
                        && changed >> 16 == 0
                }
                Difference::Memory(address) => {
                    operand_address(i, ends.before).is_some_and(|start| address.wrapping_sub(start) < 2)
                }
                Difference::Flags(_) => true,
                _ => false,
            };
            count & 31 > 16 && written
        },
    },
    Tolerance {
        name: "top (by which registers are numbered) and tags of the x87 unit after a store from MMX that faults: changed before it",
        source: "SDM vol. 3, 12.2 and 12.6, which leave open when",
        instructions: |i| {
            let stores = matches!(i.mnemonic(), M::Movd | M::Movq | M::Movntq);
            stores && i.op0_kind() == OpKind::Memory && i.op1_register().is_mm()
        },
        excuses: |ends, _, difference| {
            let changed = match difference {
                Difference::X87(at::STATUS, bits) => bits & !TOP == 0 && top(ends.silicon) == 0,
                Difference::X87(at::TAGS, _) => ends.silicon.xsave[at::TAGS] == 0xff,
                Difference::St(number) => {
                    let before = number + 8 - (top(ends.before) >> 11) as usize;
                    let register = |state: &State, number: usize| field(&state.xsave, at::ST + 16 * (number & 7), 10);
                    top(ends.silicon) == 0 && register(ends.silicon, number) == register(ends.before, before)
                }
                _ => false,
            };
            faults(ends.silicon) && changed
        },
    },
    Tolerance {
        name: "an image that is not aligned, while alignment is checked",
        source: "SDM vol. 2, FXSAVE, XRSTOR and their kin: whether #AC or #GP may vary",
        instructions: |i| image_alignment(i).is_some() && is_made(i),
        excuses: |ends, i, difference| {
            let address = operand_address(i, ends.before).zip(image_alignment(i));
            let exceptions = [ends.silicon.trap, ends.ours.trap];
            difference == Difference::Trap
                && exceptions == [ALIGNMENT_CHECK, GENERAL_PROTECTION]
                && address.is_some_and(|(address, alignment)| address % alignment != 0)
        },
    },
    Tolerance {
        name: "which of the pages of XSAVE's area faults first",
        source: "SDM vol. 3, 6.9, which leaves the order of faults of one instruction open",
        instructions: |i| is_made(i) && image_alignment(i) == Some(64),
        excuses: |ends, i, difference| {
            let start = operand_address(i, ends.before);
            let in_area = |state: &State| {
                let inside = |start| state.cr2.wrapping_sub(start) < XSAVE as u64;
                state.trap == PAGE_FAULT && start.is_some_and(inside)
            };
            difference == Difference::Trap && in_area(ends.silicon) && in_area(ends.ours)
        },
    },
    Tolerance {
        name: "the return address of a call to an address that is not canonical: stored before the fault",
        source: "SDM vol. 2, CALL, which checks before it pushes; measured",
        instructions: |i| i.is_call_near_indirect() && is_made(i),
        excuses: |ends, _, difference| {
            let Difference::Memory(address) = difference else { return false };
            let top = ends.silicon.gpr[RSP];
            [ends.silicon.trap, ends.ours.trap] == [GENERAL_PROTECTION; 2]
                && (1..=8).contains(&top.wrapping_sub(address))
        },
    },
    Tolerance {
        name: "a store of an x87 register to where it can't, when an unmasked exception keeps it from storing",
        source: "SDM vol. 3, 6.9, which leaves the order of faults of one instruction open",
        instructions: |i| {
            let codes = [M::Fst, M::Fstp, M::Fist, M::Fistp, M::Fisttp, M::Fbstp];
            codes.contains(&i.mnemonic()) && i.op0_kind() == OpKind::Memory
        },
        excuses: |ends, _, _| {
            faults(ends.ours)
                && matches!(ends.silicon.trap, NO_TRAP | DEBUG)
                && ends.silicon.xsave[at::STATUS] & PENDING != 0
        },
    },
    Tolerance {
        name: "an x87 register whose store faults in its second page: what is in the first is stored",
        source: "SDM vol. 3, 6.9, which leaves the order of faults of one instruction open",
        instructions: |i| {
            i.op0_kind() == OpKind::Memory && matches!(i.memory_size(), MemorySize::Float80 | MemorySize::Bcd)
        },
        excuses: |ends, i, difference| {
            let Difference::Memory(address) = difference else { return false };
            let start = operand_address(i, ends.before);
            ends.silicon.trap == PAGE_FAULT && start.is_some_and(|start| address.wrapping_sub(start) < 10)
        },
    },
    Tolerance {
        name: "VCVTPS2PH whose store would fault: flags are raised, and unmasked exceptions, before it",
        source: "SDM vol. 3, 6.9, which leaves the order of faults of one instruction open",
        instructions: |i| i.mnemonic() == M::Vcvtps2ph && is_made(i),
        excuses: |ends, _, difference| {
            let raised = field(&ends.silicon.xsave, at::MXCSR, 4);
            let excused = match difference {
                Difference::Mxcsr(bits) => bits & !0x3f == 0 && raised & bits == bits,
                Difference::Trap => ends.silicon.trap == SIMD,
                _ => false,
            };
            faults(ends.ours) && excused
        },
    },
    Tolerance {
        name: "PE of VCVTPS2PH that raises an unmasked underflow: set",
        source: "SDM vol. 1, 11.5.2.6 and 14.4.1",
        instructions: |i| i.mnemonic() == M::Vcvtps2ph && is_made(i),
        excuses: |ends, _, difference| {
            const UE: u128 = 0x10;
            const PE: u128 = 0x20;
            const UM: u128 = 0x800;
            let after = field(&ends.silicon.xsave, at::MXCSR, 4);
            [ends.silicon.trap, ends.ours.trap] == [SIMD; 2]
                && after & (UE | PE | UM) == UE | PE
                && difference == Difference::Mxcsr(PE)
        },
    },
    Tolerance {
        name: "the size of what MOVSXD loads for a register of 16 bits: 16 bits, AMD's load 32",
        source: "SDM vol. 2, MOVSXD; APM vol. 3, MOVSXD",
        instructions: |i| i.code() == Code::Movsxd_r16_rm16 && is_made(i),
        excuses: |ends, i, _| {
            let address = operand_address(i, ends.before);
            faults(ends.ours) && address.is_some_and(|address| address % 4 != 0)
        },
    },
    Tolerance {
        name: "whether a transcendental function's result is too small or too large, if its last place decides that",
        source: "SDM vol. 1, 8.3.10, errors below one unit in the last place",
        instructions: is_transcendental,
        excuses: |ends, _, difference| {
            // ES and B follow from UE and OE, C1 from the last place.
            const RAISED: u128 = 0x8080 | 0x18 | C1;
            let exponent = |state: &State, number: usize| field(&state.xsave, at::ST + 16 * number + 8, 2) & 0x7fff;
            // The smallest number that isn't denormal, the largest there is, and their neighbours.
            let at_border = |number: usize| {
                let place = place(ends.silicon, number);
                [1, 0x7fff].into_iter().any(|exponent| place.abs_diff(exponent << 63) <= 1)
            };
            match difference {
                Difference::X87(at::STATUS, bits) => bits & !RAISED == 0 && (at_border(0) || at_border(1)),
                // If it isn't masked, exponents wrap by 24576; and the pointers are those of a pending exception.
                Difference::St(number) => {
                    let apart = exponent(ends.silicon, number).abs_diff(exponent(ends.ours, number));
                    at_border(number) && apart.abs_diff(0x6000) <= 1
                }
                Difference::X87(at::OPCODE | at::POINTERS, _) => {
                    (ends.silicon.xsave[at::STATUS] ^ ends.ours.xsave[at::STATUS]) & PENDING != 0
                        && (at_border(0) || at_border(1))
                }
                _ => false,
            }
        },
    },
    Tolerance {
        name: "prefixes of LOOPE and LOOPNE, which AMD's processors take for the condition",
        source: "SDM vol. 2, 2.1.1, where F2h and F3h are reserved",
        instructions: |i| {
            let conditional = matches!(i.mnemonic(), M::Loope | M::Loopne);
            conditional && (i.has_rep_prefix() || i.has_repne_prefix())
        },
        excuses: |_, _, difference| matches!(difference, Difference::Branched | Difference::Rip),
    },
    Tolerance {
        name: "upper bits of the x87 unit's pointers: Intel's processors keep 64 bits of an image's, AMD's 57",
        source: "SDM vol. 1, 10.5.1.1; APM vol. 2, 11.4.4",
        instructions: |i| matches!(i.mnemonic(), M::Fxrstor64 | M::Xrstor64) && is_made(i),
        excuses: |_, _, difference| {
            // From the sign on.
            const UPPER: u128 = 0xff << 56;
            matches!(difference, Difference::X87(at::POINTERS, bits) if bits & !(UPPER | UPPER << 64) == 0)
        },
    },
];

const RCX: usize = 1;
const RSP: usize = 4;
const RSI: usize = 6;
const RDI: usize = 7;
const SIMD: u64 = 19;
/// Of the pointers, the instruction's.
const FIP: u128 = 0xffff_ffff_ffff_ffff;
/// Of the status word.
const TOP: u128 = 0x3800;

fn top(state: &State) -> u128 {
    field(&state.xsave, at::STATUS, 2) & TOP
}

fn is_repeated(i: &Instruction) -> bool {
    i.is_string_instruction() && (i.has_rep_prefix() || i.has_repne_prefix())
}

/// Where MASKMOVDQU and its kin store.
fn masked_address(i: &Instruction, state: &State) -> u64 {
    let base = match i.memory_segment() {
        Register::FS => state.fs,
        Register::GS => state.gs,
        _ => 0,
    };
    let narrow = has_implied(i, OpKind::MemorySegEDI, OpKind::MemorySegEDI);
    base.wrapping_add(state.gpr[RDI] & if narrow { 0xffff_ffff } else { u64::MAX })
}

fn is_sha(i: &Instruction) -> bool {
    let codes = [M::Sha1msg1, M::Sha1msg2, M::Sha1nexte, M::Sha1rnds4, M::Sha256msg1, M::Sha256msg2, M::Sha256rnds2];
    codes.contains(&i.mnemonic())
}

fn is_short_double_shift(i: &Instruction) -> bool {
    use Code as C;
    matches!(i.code(), C::Shld_rm16_r16_imm8 | C::Shld_rm16_r16_CL | C::Shrd_rm16_r16_imm8 | C::Shrd_rm16_r16_CL)
}

/// To what an image must be aligned.
fn image_alignment(i: &Instruction) -> Option<u64> {
    match i.mnemonic() {
        M::Fxsave | M::Fxsave64 | M::Fxrstor | M::Fxrstor64 => Some(16),
        M::Xsave | M::Xsave64 | M::Xsavec | M::Xsavec64 | M::Xsaveopt | M::Xsaveopt64 | M::Xrstor | M::Xrstor64 => {
            Some(64)
        }
        _ => None,
    }
}

/// Whether an alignment check would be AMD's alone: one of a whole vector, or of numbers of 16 bits.
pub(crate) fn is_unchecked(i: &Instruction, state: &State) -> bool {
    let size = i.memory_size().size() as u64;
    let half = matches!(i.mnemonic(), M::Vcvtph2ps | M::Vcvtps2ph);
    has_memory(i)
        && (size >= 16 && !is_x87(i.code()) && image_alignment(i).is_none() || half)
        && operand_address(i, state).is_some_and(|address| address % size != 0)
}

fn has_memory(i: &Instruction) -> bool {
    (0..i.op_count()).any(|n| i.op_kind(n) == OpKind::Memory)
}
