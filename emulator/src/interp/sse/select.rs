//! Which operation and which form each mnemonic of regular shape has.

use iced_x86::{Code, Instruction, Mnemonic, OpKind};

use super::crypto;
use super::forms::{
    Imm, M16, M32, M64, M128, M128U, Mm, Source, Xmm, blendv, either, fp, fp_imm, int as int_form, int_imm, mmx,
    mmx_imm, rm,
};
use super::fp::{self as fpu, Eight, Pd, Ps, Scalar, Sd, Ss, Vector, VectorImm};
use super::int::{self, Binary, BinaryImm};
use super::shuffle::{self, BlendV};
use super::vex::{self, Fp, FpImm, Int, IntImm, Mem, MemPart, One, Part, Reg, Xmm2};
use crate::interp::op::Exec;

/// XMM or 128 bits of memory; MM or 64 bits of memory.
fn packed<O: Binary>(i: &Instruction) -> Exec {
    if vex::is_vex(i) {
        return vex::form::<Int<O>, Mem>(i);
    }
    either(i, [int_form::<O, Xmm>, int_form::<O, M128>], [mmx::<O, Mm>, mmx::<O, M64>])
}

/// The low halves: the MMX form reads 32 bits of memory, the other needs all 128.
fn unpack_low<O: Binary>(i: &Instruction) -> Exec {
    if vex::is_vex(i) {
        return vex::form::<Int<O>, Mem>(i);
    }
    either(i, [int_form::<O, Xmm>, int_form::<O, M128>], [mmx::<O, Mm>, mmx::<O, M32>])
}

/// The count is an immediate or in a register or memory.
fn shift<O: Binary>(i: &Instruction) -> Exec {
    if vex::is_vex(i) {
        return match i.op2_kind() == OpKind::Immediate8 {
            true => vex::sources::<Int<O>, One<Imm>, One<Imm>>(i),
            false => vex::sources::<Int<O>, One<Xmm2>, One<M128U>>(i),
        };
    }
    match (i.op1_kind() == OpKind::Immediate8, i.op0_register().is_mm()) {
        (true, true) => mmx::<O, Imm>,
        (true, false) => int_form::<O, Imm>,
        _ => packed::<O>(i),
    }
}

fn packed_imm<O: BinaryImm>(i: &Instruction) -> Exec {
    if vex::is_vex(i) {
        return vex::form::<IntImm<O, 0>, Mem>(i);
    }
    either(i, [int_imm::<O, Xmm>, int_imm::<O, M128>], [mmx_imm::<O, Mm>, mmx_imm::<O, M64>])
}

/// The same, where the high half of a 256-bit operand takes the immediate's bits from `SHIFT` on.
fn packed_imm_halves<O: BinaryImm, const SHIFT: u32>(i: &Instruction) -> Exec {
    if vex::is_vex(i) { vex::form::<IntImm<O, SHIFT>, Mem>(i) } else { packed_imm::<O>(i) }
}

fn packed_imm_2<O: BinaryImm>(i: &Instruction) -> Exec {
    packed_imm_halves::<O, 2>(i)
}

fn packed_imm_3<O: BinaryImm>(i: &Instruction) -> Exec {
    packed_imm_halves::<O, 3>(i)
}

fn packed_imm_4<O: BinaryImm>(i: &Instruction) -> Exec {
    packed_imm_halves::<O, 4>(i)
}

/// The low halves, doubled: 64 bits of memory suffice for 128.
fn double<O: Binary>(i: &Instruction) -> Exec {
    match (vex::is_vex(i), vex::wide(i)) {
        (true, true) => vex::form::<Int<O>, Mem>(i),
        _ => from_64::<O>(i),
    }
}

/// The source is half a register, a quarter, an eighth.
fn from_64<O: Binary>(i: &Instruction) -> Exec {
    if vex::is_vex(i) {
        return vex::sources::<Int<O>, Part<8>, MemPart<8>>(i);
    }
    rm(i, int_form::<O, Xmm>, int_form::<O, M64>)
}

fn from_32<O: Binary>(i: &Instruction) -> Exec {
    if vex::is_vex(i) {
        return vex::sources::<Int<O>, Part<4>, MemPart<4>>(i);
    }
    rm(i, int_form::<O, Xmm>, int_form::<O, M32>)
}

fn from_16<O: Binary>(i: &Instruction) -> Exec {
    if vex::is_vex(i) {
        return vex::sources::<Int<O>, Part<2>, MemPart<2>>(i);
    }
    rm(i, int_form::<O, Xmm>, int_form::<O, M16>)
}

fn blend<O: BlendV>(i: &Instruction) -> Exec {
    if vex::is_vex(i) {
        return vex::blend::<O>(i);
    }
    rm(i, blendv::<O, Xmm>, blendv::<O, M128>)
}

/// SHA instructions: makers differ in whether their memory operands must be aligned. We ask for nothing, as AMD does.
fn unaligned<O: Binary>(i: &Instruction) -> Exec {
    rm(i, int_form::<O, Xmm>, int_form::<O, M128U>)
}

fn unaligned_imm<O: BinaryImm>(i: &Instruction) -> Exec {
    rm(i, int_imm::<O, Xmm>, int_imm::<O, M128U>)
}

fn unaligned_blend<O: BlendV>(i: &Instruction) -> Exec {
    rm(i, blendv::<O, Xmm>, blendv::<O, M128U>)
}

/// `match` by mnemonic: each line is a form, and the mnemonics that have it with an operation of the same name.
macro_rules! table {
    ($i:ident, $module:ident: $($form:ident: $($name:ident)*;)*) => {
        match vex::mnemonic($i) {
            $($(Mnemonic::$name => $form::<$module::$name>($i),)*)*
            _ => return None,
        }
    };
}

/// Integer arithmetic, logic and shuffles.
pub(super) fn integer(i: &Instruction) -> Option<Exec> {
    arithmetic(i).or_else(|| rearrangement(i)).or_else(|| cryptography(i)).or_else(|| floating_point_logic(i))
}

fn arithmetic(i: &Instruction) -> Option<Exec> {
    Some(table! { i, int:
        packed: Paddb Paddw Paddd Paddq Psubb Psubw Psubd Psubq
            Paddsb Paddsw Paddusb Paddusw Psubsb Psubsw Psubusb Psubusw
            Pand Pandn Por Pxor
            Pcmpeqb Pcmpeqw Pcmpeqd Pcmpeqq Pcmpgtb Pcmpgtw Pcmpgtd Pcmpgtq
            Pminub Pminuw Pminud Pminsb Pminsw Pminsd Pmaxub Pmaxuw Pmaxud Pmaxsb Pmaxsw Pmaxsd
            Pavgb Pavgw Pmullw Pmulld Pmulhw Pmulhuw Pmulhrsw Pmuludq Pmuldq Pmaddwd Pmaddubsw Psadbw
            Pabsb Pabsw Pabsd Psignb Psignw Psignd
            Phaddw Phaddd Phaddsw Phsubw Phsubd Phsubsw Phminposuw
            Packsswb Packuswb Packssdw Packusdw Punpckhbw Punpckhwd Punpckhdq Punpckhqdq;
        unpack_low: Punpcklbw Punpcklwd Punpckldq Punpcklqdq;
        shift: Psllw Pslld Psllq Psrlw Psrld Psrlq Psraw Psrad Pslldq Psrldq;
        packed_imm_3: Mpsadbw;
        from_64: Pmovsxbw Pmovsxwd Pmovsxdq Pmovzxbw Pmovzxwd Pmovzxdq;
        from_32: Pmovsxbd Pmovsxwq Pmovzxbd Pmovzxwq;
        from_16: Pmovsxbq Pmovzxbq;
    })
}

fn rearrangement(i: &Instruction) -> Option<Exec> {
    if vex::mnemonic(i) == Mnemonic::Insertps {
        if vex::is_vex(i) {
            return Some(narrow_imm::<shuffle::Insertps, shuffle::InsertpsMem, M32>(i));
        }
        return Some(rm(i, int_imm::<shuffle::Insertps, Xmm>, int_imm::<shuffle::InsertpsMem, M32>));
    }
    Some(table! { i, shuffle:
        packed: Pshufb Movsldup Movshdup;
        packed_imm: Pshufd Pshuflw Pshufhw Pshufw Shufps Palignr Pblendw;
        packed_imm_2: Shufpd Blendpd;
        packed_imm_4: Blendps;
        double: Movddup;
        blend: Pblendvb Blendvps Blendvpd;
    })
}

fn cryptography(i: &Instruction) -> Option<Exec> {
    Some(table! { i, crypto:
        packed: Aesenc Aesenclast Aesdec Aesdeclast Aesimc;
        packed_imm: Aeskeygenassist Pclmulqdq;
        unaligned: Sha1nexte Sha1msg1 Sha1msg2 Sha256msg1 Sha256msg2;
        unaligned_imm: Sha1rnds4;
        unaligned_blend: Sha256rnds2;
    })
}

/// Logic and unpacking do not look at numbers: they are the integer instructions again.
fn floating_point_logic(i: &Instruction) -> Option<Exec> {
    Some(match vex::mnemonic(i) {
        Mnemonic::Andps | Mnemonic::Andpd => packed::<int::Pand>(i),
        Mnemonic::Andnps | Mnemonic::Andnpd => packed::<int::Pandn>(i),
        Mnemonic::Orps | Mnemonic::Orpd => packed::<int::Por>(i),
        Mnemonic::Xorps | Mnemonic::Xorpd => packed::<int::Pxor>(i),
        Mnemonic::Unpcklps => packed::<int::Punpckldq>(i),
        Mnemonic::Unpckhps => packed::<int::Punpckhdq>(i),
        Mnemonic::Unpcklpd => packed::<int::Punpcklqdq>(i),
        Mnemonic::Unpckhpd => packed::<int::Punpckhqdq>(i),
        _ => return None,
    })
}

/// Which of the four shapes an instruction of the ADDPS family has.
fn shaped<O: Scalar>(i: &Instruction, shape: Shape) -> Exec {
    match shape {
        Shape::Ps => vector::<Ps<O>>(i),
        Shape::Pd => vector::<Pd<O>>(i),
        Shape::Ss => scalar_32::<Ss<O>>(i),
        Shape::Sd => scalar_64::<Sd<O>>(i),
    }
}

#[derive(Clone, Copy)]
enum Shape {
    Ps,
    Pd,
    Ss,
    Sd,
}

fn vector<O: Vector>(i: &Instruction) -> Exec {
    if vex::is_vex(i) {
        return vex::form::<Fp<O>, Mem>(i);
    }
    rm(i, fp::<O, Xmm>, fp::<O, M128>)
}

fn scalar_32<O: Vector>(i: &Instruction) -> Exec {
    if vex::is_vex(i) {
        return vex::narrow::<Fp<O>, Reg, One<M32>>(i);
    }
    rm(i, fp::<O, Xmm>, fp::<O, M32>)
}

fn scalar_64<O: Vector>(i: &Instruction) -> Exec {
    if vex::is_vex(i) {
        return vex::narrow::<Fp<O>, Reg, One<M64>>(i);
    }
    rm(i, fp::<O, Xmm>, fp::<O, M64>)
}

fn vector_imm<O: VectorImm>(i: &Instruction) -> Exec {
    if vex::is_vex(i) {
        return vex::form::<FpImm<O>, Mem>(i);
    }
    rm(i, fp_imm::<O, Xmm>, fp_imm::<O, M128>)
}

fn scalar_32_imm<O: VectorImm>(i: &Instruction) -> Exec {
    if vex::is_vex(i) {
        return vex::narrow::<FpImm<O>, Reg, One<M32>>(i);
    }
    rm(i, fp_imm::<O, Xmm>, fp_imm::<O, M32>)
}

fn scalar_64_imm<O: VectorImm>(i: &Instruction) -> Exec {
    if vex::is_vex(i) {
        return vex::narrow::<FpImm<O>, Reg, One<M64>>(i);
    }
    rm(i, fp_imm::<O, Xmm>, fp_imm::<O, M64>)
}

/// Legacy encodings have 8 predicates, VEX has 32.
fn compare<O: VectorImm>(i: &Instruction) -> Exec {
    if vex::is_vex(i) { vector_imm::<O>(i) } else { vector_imm::<Eight<O>>(i) }
}

fn compare_32<O: VectorImm>(i: &Instruction) -> Exec {
    if vex::is_vex(i) { scalar_32_imm::<O>(i) } else { scalar_32_imm::<Eight<O>>(i) }
}

fn compare_64<O: VectorImm>(i: &Instruction) -> Exec {
    if vex::is_vex(i) { scalar_64_imm::<O>(i) } else { scalar_64_imm::<Eight<O>>(i) }
}

/// INSERTPS, which is one operation for registers and another for memory.
fn narrow_imm<R: BinaryImm, M: BinaryImm, S: Source>(i: &Instruction) -> Exec {
    rm(i, vex::vex::<IntImm<R, 0>, Reg, { vex::X }>, vex::vex::<IntImm<M, 0>, One<S>, { vex::X }>)
}

macro_rules! shapes {
    ($i:ident: $($op:ident: $ps:ident $pd:ident $ss:ident $sd:ident;)*) => {
        match vex::mnemonic($i) {
            $(
                Mnemonic::$ps => Some(shaped::<fpu::$op>($i, Shape::Ps)),
                Mnemonic::$pd => Some(shaped::<fpu::$op>($i, Shape::Pd)),
                Mnemonic::$ss => Some(shaped::<fpu::$op>($i, Shape::Ss)),
                Mnemonic::$sd => Some(shaped::<fpu::$op>($i, Shape::Sd)),
            )*
            _ => None,
        }
    };
}

/// Floating-point arithmetic, compares into masks, rounding.
pub(super) fn floating_point(i: &Instruction) -> Option<Exec> {
    if i.code() == Code::Cmpsd_m32_m32 {
        return None;
    }
    let regular = shapes! { i:
        Add: Addps Addpd Addss Addsd;
        Sub: Subps Subpd Subss Subsd;
        Mul: Mulps Mulpd Mulss Mulsd;
        Div: Divps Divpd Divss Divsd;
        Sqrt: Sqrtps Sqrtpd Sqrtss Sqrtsd;
        Min: Minps Minpd Minss Minsd;
        Max: Maxps Maxpd Maxss Maxsd;
    };
    if regular.is_some() {
        return regular;
    }
    Some(table! { i, fpu:
        vector: Addsubps Addsubpd Haddps Haddpd Hsubps Hsubpd Rcpps Rsqrtps;
        scalar_32: Rcpss Rsqrtss;
        vector_imm: Roundps Roundpd Dpps Dppd;
        scalar_32_imm: Roundss;
        scalar_64_imm: Roundsd;
        compare: Cmpps Cmppd;
        compare_32: Cmpss;
        compare_64: Cmpsd;
    })
}
