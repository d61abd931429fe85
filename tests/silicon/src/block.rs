//! Straight-line blocks with a short forward branch: flags that are read late, comparisons that are run as one with the
//! branch after them, blocks that follow one another.

use iced_x86::{Code, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use crate::instruction::{Encoded, Form, encode};
use crate::rng::Rng;
use crate::state::{LEAVE_BYTES, SLOT};
use crate::tolerance::is_exact;

/// The flags of RFLAGS that iced-x86's bits mean.
pub(crate) fn rflags(bits: u32) -> u64 {
    use iced_x86::RflagsBits as B;
    let pairs = [
        (B::OF, 0x800),
        (B::SF, 0x80),
        (B::ZF, 0x40),
        (B::AF, 0x10),
        (B::CF, 1),
        (B::PF, 4),
        (B::DF, 0x400),
        (B::IF, 0x200),
        (B::AC, 0x4_0000),
    ];
    pairs.iter().filter(|(bit, _)| bits & bit != 0).fold(0, |flags, (_, flag)| flags | flag)
}

/// Whether it may stand in a block: it uses no memory but what its form gives it, and leaves the block by its end only.
pub(crate) fn fits(code: Code) -> bool {
    use Mnemonic as M;
    use iced_x86::OpCodeOperandKind as K;
    let op_code = code.op_code();
    let kinds = op_code.op_kinds();
    let odd = |k: &K| {
        matches!(
            k,
            K::mem_offs
                | K::seg_rSI
                | K::es_rDI
                | K::seg_rDI
                | K::seg_rBX_al
                | K::mem_vsib32x
                | K::mem_vsib64x
                | K::mem_vsib32y
                | K::mem_vsib64y
                | K::seg_reg
                | K::cr_reg
                | K::dr_reg
                | K::fs
                | K::gs
        )
    };
    let mut example = Instruction::new();
    example.set_code(code);
    let bit_string = matches!(code.mnemonic(), M::Bt | M::Bts | M::Btr | M::Btc)
        && kinds.iter().any(|k| *k == K::r16_or_mem || *k == K::r32_or_mem || *k == K::r64_or_mem)
        && !kinds.contains(&K::imm8);
    let state = matches!(
        code.mnemonic(),
        M::Enter
            | M::Leave
            | M::Popf
            | M::Popfq
            | M::Fxsave
            | M::Fxsave64
            | M::Fxrstor
            | M::Fxrstor64
            | M::Xsave
            | M::Xsave64
            | M::Xrstor
            | M::Xrstor64
            | M::Xsavec
            | M::Xsavec64
            | M::Xsaveopt
            | M::Xsaveopt64
            | M::Fnstenv
            | M::Fldenv
            | M::Fnsave
            | M::Frstor
            | M::Wrfsbase
            | M::Wrgsbase
            | M::Rdfsbase
            | M::Rdgsbase
            | M::Vmcall
    );
    !kinds.iter().any(odd)
        && is_exact(code)
        && !bit_string
        && !state
        && example.flow_control() == FlowControl::Next
        && !op_code.is_privileged()
}

/// What a block is made of.
pub(crate) struct Block {
    pub(crate) bytes: Vec<u8>,
    pub(crate) instructions: Vec<Instruction>,
    /// Before each instruction and at the end: flags that nobody has promised.
    pub(crate) undefined: Vec<u64>,
}

/// Two to twelve instructions of `codes` (which all fit) at `ip`.
pub(crate) fn block(
    codes: &[Code],
    plain: &[Code],
    ip: u64,
    rng: &mut Rng,
    info: &mut InstructionInfoFactory,
) -> Block {
    let mut block = Block { bytes: Vec::new(), instructions: Vec::new(), undefined: vec![0] };
    let length = 2 + rng.below(11) as usize;
    let branch = rng.below(length as u64 * 3 / 2) as usize;
    let mut patch = None;
    let mut tries = 0;
    // Integer instructions only, or any.
    let codes = if rng.one_in(3) { codes } else { plain };
    while block.instructions.len() < length && tries < 100 {
        tries += 1;
        let at = ip + block.bytes.len() as u64;
        if block.bytes.len() + 15 > SLOT - LEAVE_BYTES {
            break;
        }
        if block.instructions.len() == branch && patch.is_none() && branch + 1 < length {
            let condition = rng.below(16) as u8;
            let bytes = vec![0x70 | condition, 0];
            let instruction = iced_x86::Decoder::with_ip(64, &bytes, at, 0).decode();
            let encoded = Encoded { bytes, instruction };
            if push(&mut block, encoded, info) {
                // Over none to all of the rest.
                patch =
                    Some((block.bytes.len(), block.instructions.len() + rng.below((length - branch) as u64) as usize));
            } else {
                patch = Some((0, usize::MAX));
            }
            continue;
        }
        if let Some(encoded) = encode(rng.pick(codes), at, 0, Form::Pinned, rng) {
            push(&mut block, encoded, info);
        }
        if let Some((from, to)) = patch
            && to == block.instructions.len()
        {
            block.bytes[from - 1] = (block.bytes.len() - from) as u8;
        }
    }
    debug_assert!(block.bytes.len() < SLOT);
    block
}

/// Adds an instruction unless it reads flags that are undefined, or changes a pinned register. Says whether.
fn push(block: &mut Block, encoded: Encoded, info: &mut InstructionInfoFactory) -> bool {
    let i = &encoded.instruction;
    // After a branch that skips something, a flag is only as defined as on the way that skips.
    let branched = block.instructions.iter().any(|i| i.flow_control() == FlowControl::ConditionalBranch);
    let undefined = block.undefined.last().copied().unwrap_or(0);
    if rflags(i.rflags_read()) & undefined != 0 {
        return false;
    }
    let written = |access: OpAccess| !matches!(access, OpAccess::Read | OpAccess::CondRead | OpAccess::None);
    let moves_stack = i.is_stack_instruction();
    let spoils = info.info(i).used_registers().iter().any(|used| {
        let register = used.register().full_register();
        written(used.access()) && (register == Register::R14 || register == Register::RSP && !moves_stack)
    });
    let explicit_stack = (0..i.op_count())
        .any(|n| i.op_kind(n) == OpKind::Register && i.op_register(n).full_register() == Register::RSP);
    if spoils || moves_stack && explicit_stack {
        return false;
    }
    // A shift may shift by nothing, and leave flags as undefined as they were.
    let sure = !matches!(i.op1_kind(), OpKind::Register if i.op_count() > 1 && i.op1_register() == Register::CL)
        && !branched
        && i.op_count() < 3;
    let defined = if sure { rflags(i.rflags_modified()) } else { 0 };
    block.undefined.push(undefined & !defined | rflags(i.rflags_undefined()));
    block.bytes.extend(&encoded.bytes);
    block.instructions.push(encoded.instruction);
    true
}
