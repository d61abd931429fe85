//! The verifier: proves of emitted code that it can't leave the sandbox.
//!
//! It shares nothing with the translator but the list of slots: it decodes what was emitted, from the first byte to the
//! last, and accepts only
//! - instructions of a list, with general and vector registers as operands, opmasks where the guest has them, and never rsp;
//! - memory operands with 32-bit addressing, and gs if the window begins there, which reach the window and no further than
//!   its guard, or absolute ones in the context, of the size and kind that each slot allows, or what checks of the budget
//!   read;
//! - branches to the starts of its own instructions, to entries of the code cache, or through the jump table with an
//!   index of 16 bits;
//! - calls and plain returns, which move rsp by what the return stack holds: addresses that calls have pushed.
//!
//! A call whose target may be anywhere returns behind it, and a return lands behind some call: both are starts.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use iced_x86::{
    Code, ConditionCode, CpuidFeature, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfo,
    InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register, UsedMemory,
};

use crate::context::{BUDGET, CHECK, HEADROOM, HOMED, TABLE, TEMPORARIES, slot};
use crate::kind::Kind;
use crate::window::Origin;

/// The budget's register.
const COUNT: Register = Register::R8;
const COUNT_32: Register = Register::R8D;
const _: () = assert!(COUNT as u32 - Register::RAX as u32 == BUDGET as u32);

/// The largest access that may begin at a window's last byte.
pub(crate) const MAX_ACCESS: usize = 64;

/// Extensions whose instructions do nothing but compute and access their operands, and 8086's, 8087's and their kin, of
/// which [`BASE`] and [`X87`] list those that do.
const EXTENSIONS: &[CpuidFeature] = {
    use CpuidFeature as F;
    &[
        F::INTEL8086,
        F::INTEL186,
        F::INTEL286,
        F::INTEL386,
        F::INTEL486,
        F::X64,
        F::FPU,
        F::FPU287,
        F::FPU387,
        F::MMX,
        F::CMOV,
        F::SSE,
        F::SSE2,
        F::SSE3,
        F::SSSE3,
        F::SSE4_1,
        F::SSE4_2,
        F::POPCNT,
        F::AVX,
        F::AVX2,
        F::FMA,
        F::F16C,
        F::BMI1,
        F::BMI2,
        F::LZCNT,
        F::MOVBE,
        F::AES,
        F::PCLMULQDQ,
        F::SHA,
        F::ADX,
        F::CX8,
        F::CMPXCHG16B,
        F::PAUSE,
        F::PREFETCHW,
        F::CPUID,
    ]
};

fn is_base(feature: CpuidFeature) -> bool {
    use CpuidFeature as F;
    let cores = matches!(feature, F::INTEL8086 | F::INTEL186 | F::INTEL286 | F::INTEL386 | F::INTEL486 | F::X64);
    cores || matches!(feature, F::FPU | F::FPU287 | F::FPU387 | F::CPUID)
}

/// Instructions of the base architecture that compute, move or branch, besides the conditional ones. Not `std`: who leaves
/// translated code need not ask for the direction flag then (`enter::leave`).
const BASE: &[Mnemonic] = {
    use Mnemonic as M;
    &[
        M::Adc,
        M::Add,
        M::And,
        M::Bsf,
        M::Bsr,
        M::Bswap,
        M::Bt,
        M::Btc,
        M::Btr,
        M::Bts,
        M::Call,
        M::Cbw,
        M::Cdq,
        M::Cdqe,
        M::Clc,
        M::Cld,
        M::Cmc,
        M::Cmp,
        M::Cmpxchg,
        M::Cqo,
        M::Cwd,
        M::Cwde,
        M::Dec,
        M::Div,
        M::Idiv,
        M::Imul,
        M::Inc,
        M::Jecxz,
        M::Jmp,
        M::Jrcxz,
        M::Loop,
        M::Lahf,
        M::Lea,
        M::Mov,
        M::Movsx,
        M::Movsxd,
        M::Movzx,
        M::Mul,
        M::Neg,
        M::Not,
        M::Or,
        M::Rcl,
        M::Rcr,
        M::Ret,
        M::Rol,
        M::Ror,
        M::Sahf,
        M::Sal,
        M::Sar,
        M::Sbb,
        M::Shl,
        M::Shld,
        M::Shr,
        M::Shrd,
        M::Stc,
        M::Sub,
        M::Test,
        M::Xadd,
        M::Xchg,
        M::Xor,
    ]
};

/// Instructions of the x87 unit that compute exactly, move, or control no more than how that is done. All others leave the
/// next place, or more, to the processor, load and store the unit's pointers, or are rare.
const X87: &[Mnemonic] = {
    use Mnemonic as M;
    &[
        M::Fabs,
        M::Fadd,
        M::Faddp,
        M::Fchs,
        M::Fcmovb,
        M::Fcmovbe,
        M::Fcmove,
        M::Fcmovnb,
        M::Fcmovnbe,
        M::Fcmovne,
        M::Fcmovnu,
        M::Fcmovu,
        M::Fcom,
        M::Fcomi,
        M::Fcomip,
        M::Fcomp,
        M::Fcompp,
        M::Fdecstp,
        M::Fdiv,
        M::Fdivp,
        M::Fdivr,
        M::Fdivrp,
        M::Ffree,
        M::Ffreep,
        M::Fiadd,
        M::Ficom,
        M::Ficomp,
        M::Fidiv,
        M::Fidivr,
        M::Fild,
        M::Fimul,
        M::Fincstp,
        M::Fist,
        M::Fistp,
        M::Fisttp,
        M::Fisub,
        M::Fisubr,
        M::Fld,
        M::Fld1,
        M::Fldcw,
        M::Fldl2e,
        M::Fldl2t,
        M::Fldlg2,
        M::Fldln2,
        M::Fldpi,
        M::Fldz,
        M::Fmul,
        M::Fmulp,
        M::Fnclex,
        M::Fnop,
        M::Fnstcw,
        M::Fnstsw,
        M::Frndint,
        M::Fsqrt,
        M::Fst,
        M::Fstp,
        M::Fsub,
        M::Fsubp,
        M::Fsubr,
        M::Fsubrp,
        M::Ftst,
        M::Fucom,
        M::Fucomi,
        M::Fucomip,
        M::Fucomp,
        M::Fucompp,
        M::Fxam,
        M::Fxch,
        M::Wait,
    ]
};

/// What is known of each code: 0 is nothing yet.
struct Known([AtomicU8; CODES]);

impl Known {
    const fn new() -> Self {
        Self([const { AtomicU8::new(0) }; CODES])
    }

    /// What `find` says of a code, if nothing else was found of it before.
    fn or_find(&self, code: Code, find: impl FnOnce() -> bool) -> bool {
        let Some(known) = self.0.get(code as usize) else { return false };
        match known.load(Ordering::Relaxed) {
            0 => {
                let found = find();
                known.store(if found { 1 } else { 2 }, Ordering::Relaxed);
                found
            }
            known => known == 1,
        }
    }
}

/// Whether instructions of a code may run in the sandbox at all.
fn code_permitted(code: Code) -> bool {
    static PERMITTED: Known = Known::new();
    PERMITTED.or_find(code, || {
        let features = code.cpuid_features();
        let listed = BASE.contains(&code.mnemonic())
            || X87.contains(&code.mnemonic())
            || code.condition_code() != ConditionCode::None;
        let masked = [Mnemonic::Maskmovdqu, Mnemonic::Vmaskmovdqu, Mnemonic::Maskmovq].contains(&code.mnemonic());
        features.iter().all(|feature| EXTENSIONS.contains(feature) && (listed || !is_base(*feature))) && !masked
    })
}

/// Whether an instruction touches its operands and nothing else that this is about: it doesn't branch, names neither rsp nor
/// the budget's register and uses neither without naming it, and the only memory it touches, if any, is an operand in the
/// window. Most instructions are so, and whether they use registers or memory beside their operands depends on their code.
fn is_simple(instruction: &Instruction, kind: Kind, info: &mut InstructionInfoFactory) -> bool {
    static OPERANDS_ONLY: Known = Known::new();
    let special = |register: Register| is_ours(kind, register.full_register());
    let mut memory = 0;
    for i in 0..instruction.op_count() {
        match instruction.op_kind(i) {
            OpKind::Register if special(instruction.op_register(i)) => return false,
            OpKind::Register => {}
            OpKind::Memory => memory += 1,
            kind if kind >= OpKind::Immediate8 && kind <= OpKind::Immediate32to64 => {}
            _ => return false,
        }
    }
    let (base, index) = (instruction.memory_base(), instruction.memory_index());
    if memory > 0 {
        let narrow = |register: Register| register == Register::None || register.is_gpr32() && !special(register);
        let addressed = base != Register::None || index != Register::None;
        let confined =
            is_based(kind.origin, instruction.memory_segment()) && narrow(base) && narrow(index) && addressed;
        let computed = instruction.mnemonic() == Mnemonic::Lea && !base.is_ip() && !special(base) && !special(index);
        if !(computed || confined && instruction.memory_size().size() <= MAX_ACCESS) {
            return false;
        }
    }
    // Of an instruction whose operands are none of these, all that is found is used without being named.
    instruction.flow_control() == FlowControl::Next
        && !is_bit_string(instruction)
        && OPERANDS_ONLY.or_find(instruction.code(), || {
            // Found for all kinds of code at once.
            let special = |register: Register| is_ours(Kind { counts: true, ..kind }, register.full_register());
            let info = info.info(instruction);
            info.used_memory().len() <= memory && !info.used_registers().iter().any(|used| special(used.register()))
        })
}

/// Whether a register isn't the guest's in code of a kind: rsp, and the budget's if it counts.
fn is_ours(kind: Kind, register: Register) -> bool {
    register == Register::RSP || kind.counts && register == COUNT
}

/// Whether an operand's segment is the one whose base is the window's. Those of ds and ss are 0.
fn is_based(origin: Origin, segment: Register) -> bool {
    match origin {
        Origin::Gs => segment == Register::GS,
        Origin::Zero => matches!(segment, Register::DS | Register::SS),
    }
}

/// Whether an instruction reaches as far from its memory operand as a register says.
fn is_bit_string(instruction: &Instruction) -> bool {
    let bits = matches!(instruction.mnemonic(), Mnemonic::Bt | Mnemonic::Btc | Mnemonic::Btr | Mnemonic::Bts);
    bits && instruction.op0_kind() == OpKind::Memory && instruction.op1_kind() == OpKind::Register
}

/// Codes of iced's, and some to spare.
pub(crate) const CODES: usize = 5000;

/// Whether an instruction is one that may run in the sandbox at all, whatever its operands in memory.
pub(crate) fn permitted(instruction: &Instruction, kind: Kind) -> bool {
    let code = instruction.code();
    (code_permitted(code) || kind.avx_512 && avx_512_permitted(code))
        && (0..instruction.op_count()).all(|i| {
            let register = instruction.op_register(i);
            instruction.op_kind(i) != OpKind::Register
                || register.is_gpr()
                || (register.is_xmm() || register.is_ymm()) && register.number() < 16
                || register.is_mm()
                || register.is_st()
                || kind.avx_512 && (register.is_vector_register() || register.is_k())
        })
}

/// Whether instructions of a code may run in the sandbox of a guest that has AVX-512, because they are of that.
fn avx_512_permitted(code: Code) -> bool {
    use CpuidFeature as F;
    const FEATURES: [CpuidFeature; 5] = [F::AVX512F, F::AVX512CD, F::AVX512BW, F::AVX512DQ, F::AVX512VL];
    static PERMITTED: Known = Known::new();
    PERMITTED.or_find(code, || code.cpuid_features().iter().all(|feature| FEATURES.contains(feature)))
}

/// Why code is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The bytes are no instruction, or one that doesn't belong into the sandbox.
    Instruction,
    /// rsp, or the budget's register, is used in a way that it may not be.
    Register,
    /// A memory operand could reach beyond what code may touch.
    Memory,
    /// A branch could lead elsewhere than to an instruction's start.
    Branch,
}

/// A refusal, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) why: Refusal,
    /// Offset from the code's start.
    pub(crate) at: usize,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "emitted code is refused for its {:?} at {:#x}", self.why, self.at)
    }
}

/// The verifier, with memory that it uses again. Nothing that it finds depends on what it has verified before.
pub(crate) struct Verifier {
    info: InstructionInfoFactory,
    /// Starts of instructions, by offset; not those that may only be reached from the instruction before.
    starts: Vec<bool>,
    /// Where direct branches are, and their targets.
    targets: Vec<(usize, u64)>,
}

impl Verifier {
    pub(crate) fn new() -> Self {
        Self { info: InstructionInfoFactory::new(), starts: Vec::new(), targets: Vec::new() }
    }

    /// Verifies code of a kind that will lie at `start`. `is_entry` says whether other code may be branched to at a place.
    pub(crate) fn verify(
        &mut self,
        code: &[u8],
        start: u64,
        kind: Kind,
        is_entry: &dyn Fn(u64) -> bool,
    ) -> Result<(), Refused> {
        let Self { info, starts, targets } = self;
        starts.clear();
        starts.resize(code.len(), false);
        targets.clear();
        let mut decoder = Decoder::with_ip(64, code, start, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        // The last instruction has left a number of 16 bits in rcx.
        let mut index_ready = false;
        let mut last_falls_through = false;
        while decoder.can_decode() {
            let at = decoder.position();
            // In place: copying what was just written in small parts takes as long as decoding.
            decoder.decode_out(&mut instruction);
            let refuse = |why| Err(Refused { why, at });
            if instruction.is_invalid() || !permitted(&instruction, kind) {
                return refuse(Refusal::Instruction);
            }
            if is_simple(&instruction, kind, info) || adds(&instruction, kind) {
                starts[at] = true;
                index_ready = leaves_index(&instruction);
                last_falls_through = true;
                continue;
            }
            let flow = instruction.flow_control();
            if let Some(target) = direct_target(&instruction) {
                targets.push((at, target));
                starts[at] = true;
                index_ready = false;
                last_falls_through = flow != FlowControl::UnconditionalBranch;
                continue;
            }
            let info = info.info(&instruction);
            if !registers_allowed(info, &instruction, kind) {
                return refuse(Refusal::Register);
            }
            if !flow_allowed(&instruction, kind.origin, index_ready) {
                return refuse(Refusal::Branch);
            }
            let indexes = matches!(flow, FlowControl::IndirectBranch | FlowControl::IndirectCall);
            starts[at] = !indexes || kind.origin == Origin::Zero;
            if !memory_allowed(info, &instruction, kind) {
                return refuse(Refusal::Memory);
            }
            index_ready = leaves_index(&instruction);
            last_falls_through = !matches!(flow, FlowControl::IndirectBranch | FlowControl::Return);
        }
        if last_falls_through {
            return Err(Refused { why: Refusal::Branch, at: code.len() });
        }
        let end = start + code.len() as u64;
        for &mut (at, target) in targets {
            let inside = (start..end).contains(&target);
            let good = if inside { starts[(target - start) as usize] } else { is_entry(target) };
            if !good {
                return Err(Refused { why: Refusal::Branch, at });
            }
        }
        Ok(())
    }
}

/// Whether an instruction leaves a number of 16 bits in rcx.
fn leaves_index(instruction: &Instruction) -> bool {
    instruction.code() == Code::Movzx_r32_rm16
        && instruction.op0_register() == Register::ECX
        && instruction.op1_kind() == OpKind::Register
}

/// Whether an instruction is one that code of a kind has besides the guest's.
fn adds(instruction: &Instruction, kind: Kind) -> bool {
    kind.counts && counts(instruction) || kind.probes && probes(instruction)
}

/// Whether an instruction counts the budget down, and does nothing else. In 32 bits, so that the register's upper half stays
/// 0: `is_check` relies on that.
fn counts(instruction: &Instruction) -> bool {
    match instruction.code() {
        Code::Sub_rm32_imm8 => instruction.op0_register() == COUNT_32 && instruction.immediate8() as i8 >= 0,
        Code::Lea_r32_m => {
            instruction.op0_register() == COUNT_32
                && instruction.memory_base() == COUNT
                && instruction.memory_index() == Register::None
                && instruction.memory_displacement64() as i64 <= 0
        }
        _ => false,
    }
}

/// Whether an instruction probes the return stack: it writes where nothing lies.
fn probes(instruction: &Instruction) -> bool {
    instruction.code() == Code::Mov_rm32_r32
        && instruction.op1_register() == Register::ECX
        && instruction.op0_kind() == OpKind::Memory
        && instruction.memory_segment() == Register::SS
        && instruction.memory_base() == Register::RSP
        && instruction.memory_index() == Register::None
        && instruction.memory_displacement64() as i64 == -i64::from(HEADROOM)
}

/// Whether an instruction leaves alone the registers that are not the guest's.
fn registers_allowed(info: &InstructionInfo, instruction: &Instruction, kind: Kind) -> bool {
    let uses_stack = matches!(instruction.flow_control(), FlowControl::IndirectCall | FlowControl::Return);
    info.used_registers().iter().all(|used| {
        let reads = matches!(used.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess);
        match used.register().full_register() {
            Register::RSP => uses_stack,
            COUNT => reads || !kind.counts,
            _ => true,
        }
    })
}

/// The fixed target of a branch or call, which does nothing else, but for the call's push on the return stack.
fn direct_target(instruction: &Instruction) -> Option<u64> {
    let flow = instruction.flow_control();
    let is_direct =
        matches!(flow, FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch | FlowControl::Call)
            && instruction.op0_kind() == OpKind::NearBranch64;
    is_direct.then(|| instruction.near_branch_target())
}

/// Whether an instruction that isn't a direct branch goes on to the next one, returns, or branches through the jump table.
fn flow_allowed(instruction: &Instruction, origin: Origin, index_ready: bool) -> bool {
    match instruction.flow_control() {
        FlowControl::Next => true,
        FlowControl::Return => instruction.code() == Code::Retnq,
        FlowControl::IndirectBranch | FlowControl::IndirectCall => {
            let (index, table) = match origin {
                Origin::Gs => (Register::RCX, i64::from(TABLE)),
                Origin::Zero => (Register::ECX, 0),
            };
            (index_ready || origin == Origin::Zero)
                && matches!(instruction.code(), Code::Jmp_rm64 | Code::Call_rm64)
                && instruction.op0_kind() == OpKind::Memory
                && instruction.segment_prefix() == Register::GS
                && instruction.memory_base() == Register::None
                && instruction.memory_index() == index
                && instruction.memory_index_scale() == 8
                && instruction.memory_displacement64() as i64 == table
        }
        _ => false,
    }
}

/// Whether all memory that an instruction touches is the window, a slot, or the return stack by call and return.
fn memory_allowed(info: &InstructionInfo, instruction: &Instruction, kind: Kind) -> bool {
    let flow = instruction.flow_control();
    if flow == FlowControl::Return {
        // The stack, and nothing else.
        return true;
    }
    if matches!(flow, FlowControl::IndirectBranch | FlowControl::IndirectCall) {
        // The jump table, as `flow_allowed` has seen.
        return true;
    }
    if instruction.is_vsib() {
        // Each element's address is cut to 32 bits, and so the base says.
        return is_based(kind.origin, instruction.memory_segment()) && instruction.memory_base().is_gpr32();
    }
    // What is relative to rip is the host's code, and none of the guest's business even as an address.
    if instruction.is_string_instruction() || instruction.is_ip_rel_memory_operand() {
        return false;
    }
    if is_bit_string(instruction) {
        return false;
    }
    let checks =
        kind.counts && instruction.code() == Code::Movzx_r32_rm8 && instruction.op0_register() == Register::ECX;
    let allowed = |used: &UsedMemory| in_window(used, kind.origin) || in_slot(used) || checks && is_check(used);
    info.used_memory().iter().all(|used| instruction.mnemonic() == Mnemonic::Lea || allowed(used))
}

/// Where a check of the budget reads a byte: at twice a number of 32 bits, which lies between the window's guards.
fn is_check(used: &UsedMemory) -> bool {
    used.segment() == Register::GS
        && used.base() == Register::None
        && (used.index(), used.scale()) == (COUNT, 2)
        && used.displacement() as i64 == i64::from(CHECK)
}

/// A memory access by the window's segment and with an effective address of 32 bits.
fn in_window(used: &UsedMemory, origin: Origin) -> bool {
    let narrow = |register: Register| register == Register::None || register.is_gpr32();
    is_based(origin, used.segment())
        && used.address_size() == iced_x86::CodeSize::Code32
        && narrow(used.base())
        && narrow(used.index())
        && used.memory_size().size() <= MAX_ACCESS
}

/// A memory access to a slot, of a kind that the slot allows.
fn in_slot(used: &UsedMemory) -> bool {
    if used.segment() != Register::GS || used.base() != Register::None || used.index() != Register::None {
        return false;
    }
    let Ok(at) = i32::try_from(used.displacement() as i64) else { return false };
    let size = used.memory_size().size();
    let Some(end) = i32::try_from(size).ok().and_then(|size| at.checked_add(size)) else { return false };
    let reads = matches!(used.access(), OpAccess::Read | OpAccess::CondRead);
    let homes = HOMED.iter().map(|n| slot::gpr(*n));
    let temporaries = (0..TEMPORARIES).map(slot::temporary).chain((0..HOMED.len()).map(slot::lent));
    let mut words = homes.chain(temporaries).chain([slot::TARGET]);
    if words.any(|word| at >= word && end <= word + 8) {
        return size != 0;
    }
    match at {
        slot::FS_BASE | slot::GS_BASE => reads && size == 8,
        slot::UNIT_ABSENT => reads && size == 8,
        slot::ARGUMENT | slot::UNIT_LAST | slot::UNIT_ACCESSED | slot::UNIT_OPERAND => size == 4,
        _ => false,
    }
}

#[cfg(test)]
mod mutations;
#[cfg(test)]
mod tests;
