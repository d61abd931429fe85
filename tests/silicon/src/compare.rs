//! What must be equal, and the list of what need not be.

use iced_x86::{Code, Instruction, Mnemonic, OpKind, Register};

use crate::state::{NO_TRAP, State, address_in_window, at, field, put};

const NAMES: [&str; 16] =
    ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
const PAGE_FAULT: u64 = 14;
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
        state.xsave[at::YMM_HIGH..].fill(0);
    }
}

/// What is not compared after an instruction, beyond the flags that iced-x86's tables call undefined.
#[derive(Default, PartialEq)]
struct Tolerated {
    /// General registers, by number.
    gpr: u16,
    /// Vector registers are approximations: within 1.5 · 2^-12.
    approximate: bool,
    /// x87 registers may differ by so much in the last place, and with them C1, precision and underflow.
    last_place: u128,
    /// Flags.
    flags: u64,
    /// Silicon may raise an exception where the core does not, or another one.
    may_fault: bool,
    /// Flags of MXCSR.
    mxcsr: u128,
    /// Not for blocks, where its operand is not chosen.
    mxcsr_17: bool,
    /// The x87 unit is not compared after an exception.
    x87_after_fault: bool,
    /// No memory is compared after an exception.
    memory_after_fault: bool,
    /// Bytes of memory from this address on, this many, at these offsets.
    memory: &'static [std::ops::Range<u64>],
}

/// The list. Each line is something that the manual leaves to the processor, or that depends on the machine around it.
fn tolerated(i: &Instruction, before: Option<&State>) -> Tolerated {
    use Mnemonic as M;
    let mut tolerated = Tolerated::default();
    match i.mnemonic() {
        // The machine's own values.
        M::Cpuid => tolerated.gpr = 0b1111,
        M::Rdtsc | M::Rdtscp | M::Rdpid | M::Rdrand | M::Rdseed => {
            tolerated.gpr = match i.op0_register() {
                Register::None => 0b111,
                register => 1 << register.full_register().number(),
            };
        }
        // What ENTER has pushed before it faulted is below rsp, where nothing is promised.
        M::Enter => tolerated.memory_after_fault = true,
        // With 16-bit operands a count above 16 leaves all undefined. Results are compared all the same.
        M::Shld | M::Shrd if i.code().op_code().operand_size() == 16 => {
            let count = match i.op2_kind() {
                OpKind::Register => before.map_or(u64::MAX, |before| before.gpr[1]),
                _ => i.immediate8().into(),
            };
            if before.is_none() || count & 31 > 16 {
                tolerated.flags = 0x8d5;
            }
        }
        // It takes the x87 unit for MMX before it writes, even if it then can't.
        M::Maskmovq => {
            tolerated.x87_after_fault = true;
            tolerated.may_fault = true;
        }
        // Whether bytes that are not stored can fault is left to the processor.
        M::Maskmovdqu | M::Vmaskmovdqu => tolerated.may_fault = true,
        // AMD's processors load 32 bits.
        M::Movsxd if i.op0_register().size() == 2 => tolerated.may_fault = true,
        // AMD's processors accept bit 17.
        M::Ldmxcsr | M::Vldmxcsr => tolerated.mxcsr_17 = true,
        // XCR0 has what the host's processor has.
        M::Xgetbv => tolerated.gpr = 0b101,
        // Undefined with 16-bit operands.
        M::Bswap if i.op0_register().size() == 2 => tolerated.gpr = 1 << i.op0_register().full_register().number(),
        // The relative error is at most 1.5 · 2^-12; tables differ by maker.
        M::Rcpps | M::Rcpss | M::Rsqrtps | M::Rsqrtss | M::Vrcpps | M::Vrcpss | M::Vrsqrtps | M::Vrsqrtss => {
            tolerated.approximate = true;
        }
        // Ours are correctly rounded. Silicon's are within one unit in the last place, says the manual; AMD's FYL2XP1 is up
        // to six off for the smallest numbers.
        M::F2xm1 | M::Fcos | M::Fpatan | M::Fptan | M::Fsin | M::Fsincos | M::Fyl2x | M::Fyl2xp1 => {
            tolerated.last_place = 1;
            if i.mnemonic() == M::Fyl2xp1 {
                // Defined for small numbers only, down from about 0.29.
                let exponent = before.map_or(0, |before| field(&before.xsave, at::ST + 8, 2) & 0x7fff);
                tolerated.last_place = if exponent < 0x3ffd { 8 } else { u128::MAX };
            }
        }
        // What the products, which are not rounded results of their own there, raise.
        M::Dpps | M::Dppd | M::Vdpps | M::Vdppd => tolerated.mxcsr = 0x3a,
        // FOP, FIP, FDP, which the core does not track, and MXCSR_MASK, which names AMD's bit 17.
        // XSAVEC on AMD's processors leaves MXCSR out where the SSE component is not asked for or not in use.
        M::Xsavec | M::Xsavec64 => tolerated.memory = &[5..32, 512..528],
        M::Fxsave | M::Fxsave64 | M::Xsave | M::Xsave64 | M::Xsaveopt | M::Xsaveopt64 => {
            // Also reserved bytes between registers, and which components are said to be in use.
            tolerated.memory = &[5..24, 28..32, 512..520];
        }
        M::Fnstenv | M::Fnsave => {
            tolerated.memory =
                if i.code().op_code().operand_size() == 16 { &[6..10, 10..14] } else { &[2..4, 6..8, 10..12, 12..28] };
        }
        _ => {}
    }
    tolerated
}

/// Whether everything is compared after it, so that it may stand in a block without its difference going on.
pub(crate) fn is_exact(code: Code) -> bool {
    let mut i = Instruction::new();
    i.set_code(code);
    tolerated(&i, None) == Tolerated::default()
}

/// What differs first, if anything: `silicon` and `ours` both began as `before`. `undefined` are flags not to look at.
pub(crate) fn difference(
    before: &State,
    silicon: &State,
    ours: &State,
    instructions: &[Instruction],
    undefined: u64,
) -> Option<String> {
    let all: Vec<Tolerated> = instructions.iter().map(|i| tolerated(i, Some(before))).collect();
    if silicon.trap != NO_TRAP && all.iter().any(|t| t.may_fault) {
        return None;
    }
    let equal = (silicon.trap, error(silicon), silicon.cr2) == (ours.trap, error(ours), ours.cr2);
    if !equal && !same_fault(instructions, silicon, ours) {
        return Some(format!("{}, silicon {}", trap(ours), trap(silicon)));
    }
    if silicon.trap != NO_TRAP && silicon.rip != ours.rip {
        return Some(format!("rip {:#x}, silicon {:#x}", ours.rip, silicon.rip));
    }
    if silicon.branched != ours.branched {
        return Some(format!("branch {}, silicon {}", ours.branched, silicon.branched));
    }
    let gpr = all.iter().fold(0, |gpr, t| gpr | t.gpr);
    for (i, name) in NAMES.iter().enumerate() {
        if ours.gpr[i] != silicon.gpr[i] && gpr >> i & 1 == 0 {
            return Some(format!("{name} {:#x}, silicon {:#x}, was {:#x}", ours.gpr[i], silicon.gpr[i], before.gpr[i]));
        }
    }
    let undefined = all.iter().fold(undefined, |flags, t| flags | t.flags);
    if (ours.flags ^ silicon.flags) & FLAGS & !undefined != 0 {
        return Some(format!("flags {:#x}, silicon {:#x}, was {:#x}", ours.flags, silicon.flags, before.flags));
    }
    if (ours.fs, ours.gs) != (silicon.fs, silicon.gs) {
        return Some(format!("fs, gs {:#x}, {:#x}, silicon {:#x}, {:#x}", ours.fs, ours.gs, silicon.fs, silicon.gs));
    }
    vectors(before, silicon, ours, &all)
        .or_else(|| x87(before, silicon, ours, &all))
        .or_else(|| memory(before, silicon, ours, instructions, &all))
}

/// The error code. For addresses in the kernel's half Linux says that there is a page, so that nobody learns where it is.
fn error(state: &State) -> u64 {
    const PRESENT: u64 = 1;
    if state.trap == PAGE_FAULT && state.cr2 >> 63 != 0 { state.error | PRESENT } else { state.error }
}

/// Whether both faulted in an operand of many parts. Which of its bytes is touched first, and so named in CR2, is the
/// microcode's choice.
fn same_fault(instructions: &[Instruction], silicon: &State, ours: &State) -> bool {
    use Mnemonic as M;
    (silicon.trap, ours.trap) == (PAGE_FAULT, PAGE_FAULT)
        && instructions.iter().any(|i| {
            matches!(
                i.mnemonic(),
                M::Maskmovq
                    | M::Maskmovdqu
                    | M::Fldenv
                    | M::Fnstenv
                    | M::Frstor
                    | M::Fnsave
                    | M::Fxsave
                    | M::Fxsave64
                    | M::Fxrstor
                    | M::Fxrstor64
                    | M::Xsave
                    | M::Xsave64
                    | M::Xsavec
                    | M::Xsavec64
                    | M::Xsaveopt
                    | M::Xsaveopt64
                    | M::Xrstor
                    | M::Xrstor64
            )
        })
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

fn vectors(before: &State, silicon: &State, ours: &State, all: &[Tolerated]) -> Option<String> {
    let mxcsr = |state: &State| field(&state.xsave, at::MXCSR, 4);
    let ignored = all.iter().fold(0, |flags, t| flags | t.mxcsr);
    if (mxcsr(ours) ^ mxcsr(silicon)) & !ignored != 0 {
        return Some(format!("mxcsr {:x}, silicon {:x}, was {:x}", mxcsr(ours), mxcsr(silicon), mxcsr(before)));
    }
    let approximate = all.iter().any(|t| t.approximate);
    for i in 0..16 {
        for (name, at) in [("xmm", at::XMM), ("ymm high ", at::YMM_HIGH)] {
            let [a, b, was] = [ours, silicon, before].map(|state| field(&state.xsave, at + 16 * i, 16));
            if a != b && !(approximate && near(a, b)) {
                return Some(format!("{name}{i} {a:032x}, silicon {b:032x}, was {was:032x}"));
            }
        }
    }
    None
}

/// Whether four floats are as near as approximations have to be.
fn near(a: u128, b: u128) -> bool {
    (0..4).all(|lane| {
        let [a, b] = [a, b].map(|v| f32::from_bits((v >> (32 * lane)) as u32));
        // Each is off by at most 1.5 · 2^-12.
        a.to_bits() == b.to_bits() || (a - b).abs() <= b.abs() * 3.0 / 4096.0 || a.is_nan() && b.is_nan()
            // Results that are near to denormal may be flushed.
            || a.abs() <= 2.0 * f32::MIN_POSITIVE && b.abs() <= 2.0 * f32::MIN_POSITIVE
    })
}

/// A number's place among all 80-bit floats of its sign: the integer bit, which follows from the exponent, is left out.
fn place(bits: u128) -> u128 {
    const FRACTION: u128 = (1 << 63) - 1;
    (bits >> 64) << 63 | bits & FRACTION
}

fn x87(before: &State, silicon: &State, ours: &State, all: &[Tolerated]) -> Option<String> {
    if silicon.trap != NO_TRAP && all.iter().any(|t| t.x87_after_fault) {
        return None;
    }
    let last_place = all.iter().map(|t| t.last_place).max().unwrap_or(0);
    let status = match last_place {
        0 => 0,
        u128::MAX => 0x82bf,
        _ => 0x82b0,
    };
    for (name, at, len, ignored) in
        [("control word", at::CONTROL, 2, 0), ("status word", at::STATUS, 2, status), ("tags", at::TAGS, 1, 0)]
    {
        let [a, b, was] = [ours, silicon, before].map(|state| field(&state.xsave, at, len));
        if (a ^ b) & !ignored != 0 {
            return Some(format!("x87 {name} {a:x}, silicon {b:x}, was {was:x}"));
        }
    }
    for i in 0..8 {
        let [a, b, was] = [ours, silicon, before].map(|state| field(&state.xsave, at::ST + 16 * i, 10));
        if a != b && (last_place == 0 || place(a).abs_diff(place(b)) > last_place) {
            let first = field(&before.xsave, at::ST, 10);
            return Some(format!("st{i} {a:020x}, silicon {b:020x}, was {was:020x} (st0 {first:020x})"));
        }
    }
    None
}

fn memory(
    before: &State,
    silicon: &State,
    ours: &State,
    instructions: &[Instruction],
    all: &[Tolerated],
) -> Option<String> {
    if silicon.trap != NO_TRAP && all.iter().any(|t| t.memory_after_fault) {
        return None;
    }
    let differs = |at: &usize| ours.memory[*at] != silicon.memory[*at];
    for at in (0..ours.memory.len()).filter(differs) {
        let address = address_in_window(at);
        let ignored = instructions.iter().zip(all).any(|(i, t)| {
            !t.memory.is_empty()
                && operand_address(i, before)
                    .is_some_and(|start| t.memory.iter().any(|r| r.contains(&address.wrapping_sub(start))))
        });
        if ignored {
            continue;
        }
        let show = |state: &State| {
            state.memory[at..].iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
        };
        return Some(format!("[{address:#x}] {}, silicon {}, was {}", show(ours), show(silicon), show(before)));
    }
    None
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
