//! Which instructions programs are made of.

use iced_x86::{Code, FlowControl, Instruction, Mnemonic, OpCodeOperandKind as Kind};

use crate::native::is_intel;
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

/// The flags that an instruction reads.
pub(crate) fn flags_read(i: &Instruction) -> u64 {
    // By 9 or 17 places they bring every bit back to where it was, and iced-x86 says that they read nothing. But OF, of
    // which it says no more, follows from CF.
    rflags(i.rflags_read()) | u64::from(is_whole_turn(i))
}

/// The flags that an instruction leaves undefined.
pub(crate) fn flags_undefined(i: &Instruction) -> u64 {
    const OF: u64 = 0x800;
    // After a whole turn Intel's processors have another OF than before, AMD's the same.
    rflags(i.rflags_undefined()) | if is_intel() && is_whole_turn(i) { OF } else { 0 }
}

/// Whether it turns by 9 or 17 places through CF.
fn is_whole_turn(i: &Instruction) -> bool {
    matches!(i.mnemonic(), Mnemonic::Rcl | Mnemonic::Rcr) && i.rflags_read() == 0
}

/// Whether it may stand in a program: it uses no memory but what its form gives it, and does not branch.
fn fits(code: Code) -> bool {
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
                | K::mem_vsib32z
                | K::mem_vsib64z
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
            | M::Wrfsbase
            | M::Wrgsbase
            | M::Rdfsbase
            | M::Rdgsbase
            | M::Cpuid
            | M::Lss
            | M::Lfs
            | M::Lgs
            | M::Lsl
            | M::Vmcall
    );
    // They tell all of the x87 unit's pointers, of which Intel's processors keep less.
    let pointers = is_intel() && matches!(code.mnemonic(), M::Fnstenv | M::Fnsave);
    !kinds.iter().any(odd)
        && !pointers
        && is_exact(code)
        && !bit_string
        && !state
        && example.flow_control() == FlowControl::Next
        && !op_code.is_privileged()
}

/// Instructions to choose from.
pub(crate) struct Pools {
    /// All that fit.
    pub(crate) all: Vec<Code>,
    /// Integer instructions.
    pub(crate) plain: Vec<Code>,
    /// The others: x87, MMX, SSE, AVX and AVX-512.
    pub(crate) vector: Vec<Code>,
    /// Those of x87.
    pub(crate) x87: Vec<Code>,
    /// Those that set flags, those that read them, and those that do neither, as compilers use them.
    pub(crate) flags: Vec<Code>,
    /// Those that set flags.
    pub(crate) producers: Vec<Code>,
    /// Those that read flags, but for branches.
    pub(crate) consumers: Vec<Code>,
    /// Those that leave them alone.
    pub(crate) neutral: Vec<Code>,
}

impl Pools {
    /// From the codes that can be run.
    pub(crate) fn new(codes: &[Code]) -> Self {
        use Mnemonic as M;
        let all: Vec<Code> = codes.iter().copied().filter(|code| fits(*code)).collect();
        let (plain, vector): (Vec<Code>, Vec<Code>) = all.iter().partition(|code| is_plain(**code));
        let of = |wanted: &dyn Fn(M) -> bool| -> Vec<Code> {
            plain.iter().copied().filter(|code: &Code| wanted(code.mnemonic())).collect()
        };
        let producers: Vec<Code> = of(&|m| {
            let arithmetic = matches!(m, M::Add | M::Sub | M::Cmp | M::Test | M::And | M::Or | M::Xor | M::Neg);
            let carrying = matches!(m, M::Inc | M::Dec | M::Adc | M::Sbb | M::Adcx | M::Adox);
            let shifts = matches!(m, M::Shl | M::Shr | M::Sar | M::Rol | M::Ror | M::Rcl | M::Rcr | M::Shld | M::Shrd);
            let bits =
                matches!(m, M::Bt | M::Bts | M::Btr | M::Btc | M::Bsf | M::Bsr | M::Popcnt | M::Tzcnt | M::Lzcnt);
            let others = matches!(m, M::Imul | M::Mul | M::Xadd | M::Cmpxchg | M::Stc | M::Clc | M::Sahf);
            arithmetic || carrying || shifts || bits || others
        });
        let consumers: Vec<Code> = of(&|m| {
            let named = matches!(m, M::Adc | M::Sbb | M::Rcl | M::Rcr | M::Adcx | M::Adox | M::Cmc | M::Lahf);
            let name = format!("{m:?}");
            named || name.starts_with("Set") || name.starts_with("Cmov") || name.starts_with("Pushf")
        });
        let neutral: Vec<Code> = of(&|m| {
            let moves = matches!(m, M::Mov | M::Movzx | M::Movsx | M::Movsxd | M::Xchg | M::Movbe | M::Cdq | M::Cqo);
            moves || matches!(m, M::Lea | M::Not | M::Bswap | M::Nop | M::Mulx | M::Rorx | M::Sarx | M::Shlx | M::Shrx)
        });
        let x87 = vector.iter().copied().filter(|code| is_x87(*code)).collect();
        let flags = producers.iter().chain(&consumers).chain(&neutral).copied().collect();
        Self { all, plain, vector, x87, flags, producers, consumers, neutral }
    }

    /// Whether there is enough of everything.
    pub(crate) fn is_complete(&self) -> bool {
        [&self.all, &self.plain, &self.vector, &self.x87, &self.producers, &self.consumers, &self.neutral]
            .iter()
            .all(|pool| !pool.is_empty())
    }
}

/// Integer instructions that leave the stack alone.
fn is_plain(code: Code) -> bool {
    let vector = |kind: &Kind| {
        use Kind as K;
        matches!(
            kind,
            K::mm_or_mem
                | K::mm_reg
                | K::mm_rm
                | K::xmm_or_mem
                | K::xmm_reg
                | K::xmm_rm
                | K::xmm_vvvv
                | K::ymm_or_mem
                | K::ymm_reg
                | K::ymm_rm
                | K::ymm_vvvv
                | K::zmm_or_mem
                | K::zmm_reg
                | K::zmm_rm
                | K::zmm_vvvv
                | K::k_or_mem
                | K::k_reg
                | K::k_rm
                | K::k_vvvv
                | K::st0
                | K::sti_opcode
        )
    };
    !code.op_code().op_kinds().iter().any(vector) && !code.op_code().is_privileged() && {
        let mut i = Instruction::new();
        i.set_code(code);
        !i.is_stack_instruction() && !is_x87(code)
    }
}

pub(crate) fn is_x87(code: Code) -> bool {
    code.cpuid_features().iter().any(|feature| format!("{feature:?}").starts_with("FPU"))
}
