//! Which operation and which form each instruction has.

use iced_x86::{Code, EncodingKind, Instruction, Mnemonic, OpKind};

use super::super::fma::{Madd, Maddsub, Msub, Msubadd, Nmadd, Nmsub, O132, O213, O231, of_all};
use super::super::forms::{M8, M16, M32, M64, rm};
use super::super::fp::{Add, Div, Max, Min, Mul, Sqrt, Sub};
use super::super::int as sse;
use super::super::mov::{Pinsrb, Pinsrd, Pinsrq, Pinsrw, extract, store_high, store_lane, store_low};
use super::super::shuffle::{
    Copy, CopyLow, Insertps, InsertpsMem, Movhigh, Movhlps, Movlow, Palignr, Pshufb, Pshufhw, Pshuflw, Shufps,
};
use super::super::vex::{Gpr32, Gpr64, Int, IntImm, One as VexOne, Reg, X, vex};
use super::approximate::{Rcp14, Rsqrt14};
use super::convert::{self, ToGpr, from_gpr};
use super::float::{Cmp, Fixupimm, Fma, Fp, Fpclass, Getexp, Getmant, Range, Reduce, Rndscale, Scalef, comi};
use super::int as ops;
use super::memory::{
    blend, compress, expand, gather, load_scalar, load_vector, scatter, store_compressed, store_each, store_scalar,
    store_vector,
};
use super::permute::{self};
use super::{
    Block, Full, One, Part, Repeat, binary, binary_all, binary_by_imm, binary_imm, each, opmask, scalar,
    scalar_in_place, test, test_scalar,
};
use crate::interp::op::Exec;

/// Elements that may be masked out in memory too.
type F8 = Full<1, true>;
type F16 = Full<2, true>;
type F32 = Full<4, true>;
type F64 = Full<8, true>;
/// Those of operations that take them from anywhere: all of the memory is accessed.
type A8 = Full<1, false>;
type A16 = Full<2, false>;
type A32 = Full<4, false>;
type A64 = Full<8, false>;

/// The instructions of AVX-512.
pub(in super::super) fn select(i: &Instruction) -> Option<Exec> {
    if i.encoding() != EncodingKind::EVEX {
        return opmask::select(i);
    }
    arithmetic(i)
        .or_else(|| tests(i))
        .or_else(|| shifts(i))
        .or_else(|| permutations(i))
        .or_else(|| narrowing(i))
        .or_else(|| moves(i))
        .or_else(|| single_moves(i))
        .or_else(|| float(i))
        .or_else(|| fused(i))
        .or_else(|| conversions(i))
        .or_else(|| general_conversions(i))
        .or_else(|| general(i))
        .or_else(|| opmask::select_vector(i))
}

/// `match` by mnemonic: each line is what executes, and the mnemonics with their operations.
macro_rules! table {
    ($i:ident: $($($name:ident)|+ => $exec:expr;)*) => {
        Some(match $i.mnemonic() {
            $($(Mnemonic::$name)|+ => $exec,)*
            _ => return None,
        })
    };
}

fn arithmetic(i: &Instruction) -> Option<Exec> {
    table! { i:
        Vpaddb => binary::<sse::Paddb, F8, 1>;
        Vpsubb => binary::<sse::Psubb, F8, 1>;
        Vpaddsb => binary::<sse::Paddsb, F8, 1>;
        Vpaddusb => binary::<sse::Paddusb, F8, 1>;
        Vpsubsb => binary::<sse::Psubsb, F8, 1>;
        Vpsubusb => binary::<sse::Psubusb, F8, 1>;
        Vpminub => binary::<sse::Pminub, F8, 1>;
        Vpminsb => binary::<sse::Pminsb, F8, 1>;
        Vpmaxub => binary::<sse::Pmaxub, F8, 1>;
        Vpmaxsb => binary::<sse::Pmaxsb, F8, 1>;
        Vpavgb => binary::<sse::Pavgb, F8, 1>;
        Vpabsb => binary::<sse::Pabsb, F8, 1>;
        Vpacksswb => binary::<sse::Packsswb, A8, 1>;
        Vpackuswb => binary::<sse::Packuswb, A8, 1>;
        Vpunpcklbw => binary::<sse::Punpcklbw, A8, 1>;
        Vpunpckhbw => binary::<sse::Punpckhbw, A8, 1>;
        Vpshufb => binary::<Pshufb, A8, 1>;
        Vpaddw => binary::<sse::Paddw, F16, 2>;
        Vpsubw => binary::<sse::Psubw, F16, 2>;
        Vpaddsw => binary::<sse::Paddsw, F16, 2>;
        Vpaddusw => binary::<sse::Paddusw, F16, 2>;
        Vpsubsw => binary::<sse::Psubsw, F16, 2>;
        Vpsubusw => binary::<sse::Psubusw, F16, 2>;
        Vpminuw => binary::<sse::Pminuw, F16, 2>;
        Vpminsw => binary::<sse::Pminsw, F16, 2>;
        Vpmaxuw => binary::<sse::Pmaxuw, F16, 2>;
        Vpmaxsw => binary::<sse::Pmaxsw, F16, 2>;
        Vpavgw => binary::<sse::Pavgw, F16, 2>;
        Vpabsw => binary::<sse::Pabsw, F16, 2>;
        Vpmullw => binary::<sse::Pmullw, F16, 2>;
        Vpmulhw => binary::<sse::Pmulhw, F16, 2>;
        Vpmulhuw => binary::<sse::Pmulhuw, F16, 2>;
        Vpmulhrsw => binary::<sse::Pmulhrsw, F16, 2>;
        Vpmaddubsw => binary::<sse::Pmaddubsw, A16, 2>;
        Vpackssdw => binary::<sse::Packssdw, A32, 2>;
        Vpackusdw => binary::<sse::Packusdw, A32, 2>;
        Vpunpcklwd => binary::<sse::Punpcklwd, A16, 2>;
        Vpunpckhwd => binary::<sse::Punpckhwd, A16, 2>;
        Vpaddd => binary::<sse::Paddd, F32, 4>;
        Vpsubd => binary::<sse::Psubd, F32, 4>;
        Vpminud => binary::<sse::Pminud, F32, 4>;
        Vpminsd => binary::<sse::Pminsd, F32, 4>;
        Vpmaxud => binary::<sse::Pmaxud, F32, 4>;
        Vpmaxsd => binary::<sse::Pmaxsd, F32, 4>;
        Vpmulld => binary::<sse::Pmulld, F32, 4>;
        Vpabsd => binary::<sse::Pabsd, F32, 4>;
        Vpmaddwd => binary::<sse::Pmaddwd, A32, 4>;
        Vpunpckldq | Vunpcklps => binary::<sse::Punpckldq, A32, 4>;
        Vpunpckhdq | Vunpckhps => binary::<sse::Punpckhdq, A32, 4>;
        Vpandd | Vandps => binary::<sse::Pand, F32, 4>;
        Vpandnd | Vandnps => binary::<sse::Pandn, F32, 4>;
        Vpord | Vorps => binary::<sse::Por, F32, 4>;
        Vpxord | Vxorps => binary::<sse::Pxor, F32, 4>;
        Vpaddq => binary::<sse::Paddq, F64, 8>;
        Vpsubq => binary::<sse::Psubq, F64, 8>;
        Vpmuludq => binary::<sse::Pmuludq, F64, 8>;
        Vpmuldq => binary::<sse::Pmuldq, F64, 8>;
        Vpunpcklqdq | Vunpcklpd => binary::<sse::Punpcklqdq, A64, 8>;
        Vpunpckhqdq | Vunpckhpd => binary::<sse::Punpckhqdq, A64, 8>;
        Vpandq | Vandpd => binary::<sse::Pand, F64, 8>;
        Vpandnq | Vandnpd => binary::<sse::Pandn, F64, 8>;
        Vporq | Vorpd => binary::<sse::Por, F64, 8>;
        Vpxorq | Vxorpd => binary::<sse::Pxor, F64, 8>;
        Vpsadbw => binary::<sse::Psadbw, A8, 8>;
        Vpabsq => each::<ops::Pabsq, F64>;
        Vpminsq => each::<ops::Pminsq, F64>;
        Vpmaxsq => each::<ops::Pmaxsq, F64>;
        Vpminuq => each::<ops::Pminuq, F64>;
        Vpmaxuq => each::<ops::Pmaxuq, F64>;
        Vpmullq => each::<ops::Pmullq, F64>;
        Vplzcntd => each::<ops::Plzcntd, F32>;
        Vplzcntq => each::<ops::Plzcntq, F64>;
        Vpconflictd => each::<ops::Pconflictd, A32>;
        Vpconflictq => each::<ops::Pconflictq, A64>;
        Vpternlogd => each::<ops::Pternlogd, F32>;
        Vpternlogq => each::<ops::Pternlogq, F64>;
        Vdbpsadbw => each::<ops::Dbpsadbw, A16>;
    }
}

fn tests(i: &Instruction) -> Option<Exec> {
    table! { i:
        Vpcmpeqb => test::<ops::Pcmpeqb, F8>;
        Vpcmpeqw => test::<ops::Pcmpeqw, F16>;
        Vpcmpeqd => test::<ops::Pcmpeqd, F32>;
        Vpcmpeqq => test::<ops::Pcmpeqq, F64>;
        Vpcmpgtb => test::<ops::Pcmpgtb, F8>;
        Vpcmpgtw => test::<ops::Pcmpgtw, F16>;
        Vpcmpgtd => test::<ops::Pcmpgtd, F32>;
        Vpcmpgtq => test::<ops::Pcmpgtq, F64>;
        Vpcmpb => test::<ops::Pcmpb, F8>;
        Vpcmpw => test::<ops::Pcmpw, F16>;
        Vpcmpd => test::<ops::Pcmpd, F32>;
        Vpcmpq => test::<ops::Pcmpq, F64>;
        Vpcmpub => test::<ops::Pcmpub, F8>;
        Vpcmpuw => test::<ops::Pcmpuw, F16>;
        Vpcmpud => test::<ops::Pcmpud, F32>;
        Vpcmpuq => test::<ops::Pcmpuq, F64>;
        Vptestmb => test::<ops::Ptestmb, F8>;
        Vptestmw => test::<ops::Ptestmw, F16>;
        Vptestmd => test::<ops::Ptestmd, F32>;
        Vptestmq => test::<ops::Ptestmq, F64>;
        Vptestnmb => test::<ops::Ptestnmb, F8>;
        Vptestnmw => test::<ops::Ptestnmw, F16>;
        Vptestnmd => test::<ops::Ptestnmd, F32>;
        Vptestnmq => test::<ops::Ptestnmq, F64>;
        Vpmovb2m => test::<ops::Pmovb2m, F8>;
        Vpmovw2m => test::<ops::Pmovw2m, F16>;
        Vpmovd2m => test::<ops::Pmovd2m, F32>;
        Vpmovq2m => test::<ops::Pmovq2m, F64>;
        Vcmpps => test::<Cmp<f32>, F32>;
        Vcmppd => test::<Cmp<f64>, F64>;
        Vcmpss => test_scalar::<Cmp<f32>, One<4>>;
        Vcmpsd => test_scalar::<Cmp<f64>, One<8>>;
        Vfpclassps => test::<Fpclass<f32>, F32>;
        Vfpclasspd => test::<Fpclass<f64>, F64>;
        Vfpclassss => test_scalar::<Fpclass<f32>, One<4>>;
        Vfpclasssd => test_scalar::<Fpclass<f64>, One<8>>;
    }
}

/// The count is an immediate, the same for all, or each element's own.
fn shifts(i: &Instruction) -> Option<Exec> {
    let by_imm = i.op_count() == 3 && i.op2_kind() == OpKind::Immediate8;
    macro_rules! shift {
        ($op:ident, $f:ty, $size:literal) => {
            if by_imm { binary_by_imm::<sse::$op, $f, $size> } else { binary_all::<sse::$op, Block<16>, $size> }
        };
    }
    table! { i:
        Vpsllw => shift!(Psllw, F16, 2);
        Vpsrlw => shift!(Psrlw, F16, 2);
        Vpsraw => shift!(Psraw, F16, 2);
        Vpslld => shift!(Pslld, F32, 4);
        Vpsrld => shift!(Psrld, F32, 4);
        Vpsrad => shift!(Psrad, F32, 4);
        Vpsllq => shift!(Psllq, F64, 8);
        Vpsrlq => shift!(Psrlq, F64, 8);
        Vpsraq => if by_imm { each::<ops::Psraq, F64> } else { each::<ops::PsraqAll, Block<16>> };
        Vpslldq => binary_by_imm::<sse::Pslldq, A8, 1>;
        Vpsrldq => binary_by_imm::<sse::Psrldq, A8, 1>;
        Vpsllvw => each::<ops::Psllvw, F16>;
        Vpsrlvw => each::<ops::Psrlvw, F16>;
        Vpsravw => each::<ops::Psravw, F16>;
        Vpsllvd => each::<ops::Psllvd, F32>;
        Vpsrlvd => each::<ops::Psrlvd, F32>;
        Vpsravd => each::<ops::Psravd, F32>;
        Vpsllvq => each::<ops::Psllvq, F64>;
        Vpsrlvq => each::<ops::Psrlvq, F64>;
        Vpsravq => each::<ops::Psravq, F64>;
        Vprolvd => each::<ops::Prolvd, F32>;
        Vprorvd => each::<ops::Prorvd, F32>;
        Vprolvq => each::<ops::Prolvq, F64>;
        Vprorvq => each::<ops::Prorvq, F64>;
        Vprold => each::<ops::Prold, F32>;
        Vprord => each::<ops::Prord, F32>;
        Vprolq => each::<ops::Prolq, F64>;
        Vprorq => each::<ops::Prorq, F64>;
    }
}

fn permutations(i: &Instruction) -> Option<Exec> {
    let by_imm = i.op_count() == 3 && i.op2_kind() == OpKind::Immediate8;
    let from_gpr = i.op_count() == 2 && i.op1_kind() == OpKind::Register && i.op1_register().is_gpr();
    table! { i:
        Vpermw => each::<permute::Permw, A16>;
        Vpermd | Vpermps => each::<permute::Permd, A32>;
        Vpermq | Vpermpd => if by_imm { each::<permute::PermqImm, A64> } else { each::<permute::Permq, A64> };
        Vpermi2w => each::<permute::Permi2w, A16>;
        Vpermi2d | Vpermi2ps => each::<permute::Permi2d, A32>;
        Vpermi2q | Vpermi2pd => each::<permute::Permi2q, A64>;
        Vpermt2w => each::<permute::Permt2w, A16>;
        Vpermt2d | Vpermt2ps => each::<permute::Permt2d, A32>;
        Vpermt2q | Vpermt2pd => each::<permute::Permt2q, A64>;
        Vpermilps => if by_imm { each::<permute::PermilpsImm, A32> } else { each::<permute::PermilpsVar, A32> };
        Vpermilpd => if by_imm { each::<permute::PermilpdImm, A64> } else { each::<permute::PermilpdVar, A64> };
        Vpshufd => each::<permute::Pshufd, A32>;
        Vpshuflw => binary_imm::<Pshuflw, A16, 2>;
        Vpshufhw => binary_imm::<Pshufhw, A16, 2>;
        Vshufps => binary_imm::<Shufps, A32, 4>;
        Vshufpd => each::<permute::Shufpd, A64>;
        Vpalignr => binary_imm::<Palignr, A8, 1>;
        Valignd => each::<permute::Valignd, A32>;
        Valignq => each::<permute::Valignq, A64>;
        Vshuff32x4 | Vshufi32x4 => each::<permute::Shuf32x4, A32>;
        Vshuff64x2 | Vshufi64x2 => each::<permute::Shuf64x2, A64>;
        Vmovddup => if i.op0_register().is_xmm() {
            each::<permute::Movddup, Block<8>>
        } else {
            each::<permute::Movddup, A64>
        };
        Vmovsldup => each::<permute::Movsldup, A32>;
        Vmovshdup => each::<permute::Movshdup, A32>;
        Vpbroadcastb => if from_gpr { permute::from_gpr::<u8> } else { each::<permute::Broadcast8, Repeat<1, 1>> };
        Vpbroadcastw => if from_gpr { permute::from_gpr::<u16> } else { each::<permute::Broadcast16, Repeat<2, 1>> };
        Vpbroadcastd => if from_gpr { permute::from_gpr::<u32> } else { each::<permute::Broadcast32, Repeat<4, 1>> };
        Vpbroadcastq => if from_gpr { permute::from_gpr::<u64> } else { each::<permute::Broadcast64, Repeat<8, 1>> };
        Vbroadcastss => each::<permute::Broadcast32, Repeat<4, 1>>;
        Vbroadcastsd => each::<permute::Broadcast64, Repeat<8, 1>>;
        Vbroadcastf32x2 | Vbroadcasti32x2 => each::<permute::Broadcast32x2, Repeat<4, 2>>;
        Vbroadcastf32x4 | Vbroadcasti32x4 => each::<permute::Broadcast32x4, Repeat<4, 4>>;
        Vbroadcastf32x8 | Vbroadcasti32x8 => each::<permute::Broadcast32x8, Repeat<4, 8>>;
        Vbroadcastf64x2 | Vbroadcasti64x2 => each::<permute::Broadcast64x2, Repeat<8, 2>>;
        Vbroadcastf64x4 | Vbroadcasti64x4 => each::<permute::Broadcast64x4, Repeat<8, 4>>;
        Vinsertf32x4 | Vinserti32x4 => each::<permute::Insert32x4, Block<16>>;
        Vinsertf32x8 | Vinserti32x8 => each::<permute::Insert32x8, Block<32>>;
        Vinsertf64x2 | Vinserti64x2 => each::<permute::Insert64x2, Block<16>>;
        Vinsertf64x4 | Vinserti64x4 => each::<permute::Insert64x4, Block<32>>;
        Vpblendmb => blend::<F8, 1>;
        Vpblendmw => blend::<F16, 2>;
        Vpblendmd | Vblendmps => blend::<F32, 4>;
        Vpblendmq | Vblendmpd => blend::<F64, 8>;
        Vpmovsxbw => each::<permute::Pmovsxbw, Part<1, 2>>;
        Vpmovsxbd => each::<permute::Pmovsxbd, Part<1, 4>>;
        Vpmovsxbq => each::<permute::Pmovsxbq, Part<1, 8>>;
        Vpmovsxwd => each::<permute::Pmovsxwd, Part<2, 2>>;
        Vpmovsxwq => each::<permute::Pmovsxwq, Part<2, 4>>;
        Vpmovsxdq => each::<permute::Pmovsxdq, Part<4, 2>>;
        Vpmovzxbw => each::<permute::Pmovzxbw, Part<1, 2>>;
        Vpmovzxbd => each::<permute::Pmovzxbd, Part<1, 4>>;
        Vpmovzxbq => each::<permute::Pmovzxbq, Part<1, 8>>;
        Vpmovzxwd => each::<permute::Pmovzxwd, Part<2, 2>>;
        Vpmovzxwq => each::<permute::Pmovzxwq, Part<2, 4>>;
        Vpmovzxdq => each::<permute::Pmovzxdq, Part<4, 2>>;
        Vpcompressd | Vcompressps => rm(i, compress::<4>, store_compressed::<4>);
        Vpcompressq | Vcompresspd => rm(i, compress::<8>, store_compressed::<8>);
        Vpexpandd | Vexpandps => expand::<4>;
        Vpexpandq | Vexpandpd => expand::<8>;
        Vpgatherdd | Vgatherdps => gather::<u32, i32>;
        Vpgatherdq | Vgatherdpd => gather::<u64, i32>;
        Vpgatherqd | Vgatherqps => gather::<u32, i64>;
        Vpgatherqq | Vgatherqpd => gather::<u64, i64>;
        Vpscatterdd | Vscatterdps => scatter::<u32, i32>;
        Vpscatterdq | Vscatterdpd => scatter::<u64, i32>;
        Vpscatterqd | Vscatterqps => scatter::<u32, i64>;
        Vpscatterqq | Vscatterqpd => scatter::<u64, i64>;
    }
}

/// What has fewer bytes than its source: in a register, or in memory.
fn narrowing(i: &Instruction) -> Option<Exec> {
    macro_rules! narrowed {
        ($op:ty) => {
            rm(i, each::<$op, A8>, store_each::<$op>)
        };
    }
    table! { i:
        Vpmovwb => narrowed!(permute::Pmovwb);
        Vpmovswb => narrowed!(permute::Pmovswb);
        Vpmovuswb => narrowed!(permute::Pmovuswb);
        Vpmovdb => narrowed!(permute::Pmovdb);
        Vpmovsdb => narrowed!(permute::Pmovsdb);
        Vpmovusdb => narrowed!(permute::Pmovusdb);
        Vpmovqb => narrowed!(permute::Pmovqb);
        Vpmovsqb => narrowed!(permute::Pmovsqb);
        Vpmovusqb => narrowed!(permute::Pmovusqb);
        Vpmovdw => narrowed!(permute::Pmovdw);
        Vpmovsdw => narrowed!(permute::Pmovsdw);
        Vpmovusdw => narrowed!(permute::Pmovusdw);
        Vpmovqw => narrowed!(permute::Pmovqw);
        Vpmovsqw => narrowed!(permute::Pmovsqw);
        Vpmovusqw => narrowed!(permute::Pmovusqw);
        Vpmovqd => narrowed!(permute::Pmovqd);
        Vpmovsqd => narrowed!(permute::Pmovsqd);
        Vpmovusqd => narrowed!(permute::Pmovusqd);
        Vextractf32x4 | Vextracti32x4 => narrowed!(permute::Extract32x4);
        Vextractf32x8 | Vextracti32x8 => narrowed!(permute::Extract32x8);
        Vextractf64x2 | Vextracti64x2 => narrowed!(permute::Extract64x2);
        Vextractf64x4 | Vextracti64x4 => narrowed!(permute::Extract64x4);
        Vcvtps2ph => narrowed!(convert::Ps2ph);
    }
}

/// Moves of whole vectors.
fn moves(i: &Instruction) -> Option<Exec> {
    macro_rules! moved {
        ($size:literal, $copy:ident, $aligned:literal) => {
            match (i.op0_kind() == OpKind::Memory, i.op1_kind() == OpKind::Memory) {
                (true, _) => store_vector::<$size, $aligned>,
                (_, true) => load_vector::<$size, $aligned>,
                _ => each::<ops::$copy, A8>,
            }
        };
    }
    table! { i:
        Vmovdqu8 => moved!(1, Copy8, false);
        Vmovdqu16 => moved!(2, Copy16, false);
        Vmovdqu32 | Vmovups => moved!(4, Copy32, false);
        Vmovdqu64 | Vmovupd => moved!(8, Copy64, false);
        Vmovdqa32 | Vmovaps => moved!(4, Copy32, true);
        Vmovdqa64 | Vmovapd => moved!(8, Copy64, true);
        Vmovntdq | Vmovntps | Vmovntpd | Vmovntdqa => moved!(8, Copy64, true);
    }
}

/// Moves of single elements, and between vectors and general registers.
fn single_moves(i: &Instruction) -> Option<Exec> {
    use Code::*;
    Some(match i.code() {
        EVEX_Vmovss_xmm_k1z_xmm_xmm | EVEX_Vmovss_xmm_k1z_xmm_xmm_0F11 => scalar::<ops::Copy32, One<4>>,
        EVEX_Vmovsd_xmm_k1z_xmm_xmm | EVEX_Vmovsd_xmm_k1z_xmm_xmm_0F11 => scalar::<ops::Copy64, One<8>>,
        EVEX_Vmovss_xmm_k1z_m32 => load_scalar::<4>,
        EVEX_Vmovsd_xmm_k1z_m64 => load_scalar::<8>,
        EVEX_Vmovss_m32_k1_xmm => store_scalar::<4>,
        EVEX_Vmovsd_m64_k1_xmm => store_scalar::<8>,
        EVEX_Vmovlps_m64_xmm | EVEX_Vmovlpd_m64_xmm => store_low::<u64>,
        EVEX_Vmovhps_m64_xmm | EVEX_Vmovhpd_m64_xmm => store_high,
        EVEX_Vmovlps_xmm_xmm_m64 | EVEX_Vmovlpd_xmm_xmm_m64 => vex::<Int<Movlow>, VexOne<M64>, X>,
        EVEX_Vmovhps_xmm_xmm_m64 | EVEX_Vmovhpd_xmm_xmm_m64 => vex::<Int<Movhigh>, VexOne<M64>, X>,
        EVEX_Vmovlhps_xmm_xmm_xmm => vex::<Int<Movhigh>, Reg, X>,
        EVEX_Vmovhlps_xmm_xmm_xmm => vex::<Int<Movhlps>, Reg, X>,
        EVEX_Vmovd_xmm_rm32 => rm(i, vex::<Int<Copy>, VexOne<Gpr32>, X>, vex::<Int<Copy>, VexOne<M32>, X>),
        EVEX_Vmovq_xmm_rm64 => rm(i, vex::<Int<Copy>, VexOne<Gpr64>, X>, vex::<Int<Copy>, VexOne<M64>, X>),
        EVEX_Vmovd_rm32_xmm => rm(i, extract::<u32>, store_low::<u32>),
        EVEX_Vmovq_rm64_xmm => rm(i, extract::<u64>, store_low::<u64>),
        EVEX_Vmovq_xmm_xmmm64 => rm(i, vex::<Int<CopyLow>, Reg, X>, vex::<Int<Copy>, VexOne<M64>, X>),
        EVEX_Vmovq_xmmm64_xmm => rm(i, vex::<Int<CopyLow>, Reg, X>, store_low::<u64>),
        EVEX_Vpinsrb_xmm_xmm_r32m8_imm8 | EVEX_Vpinsrb_xmm_xmm_r64m8_imm8 => {
            rm(i, vex::<IntImm<Pinsrb, 0>, VexOne<Gpr32>, X>, vex::<IntImm<Pinsrb, 0>, VexOne<M8>, X>)
        }
        EVEX_Vpinsrw_xmm_xmm_r32m16_imm8 | EVEX_Vpinsrw_xmm_xmm_r64m16_imm8 => {
            rm(i, vex::<IntImm<Pinsrw, 0>, VexOne<Gpr32>, X>, vex::<IntImm<Pinsrw, 0>, VexOne<M16>, X>)
        }
        EVEX_Vpinsrd_xmm_xmm_rm32_imm8 => {
            rm(i, vex::<IntImm<Pinsrd, 0>, VexOne<Gpr32>, X>, vex::<IntImm<Pinsrd, 0>, VexOne<M32>, X>)
        }
        EVEX_Vpinsrq_xmm_xmm_rm64_imm8 => {
            rm(i, vex::<IntImm<Pinsrq, 0>, VexOne<Gpr64>, X>, vex::<IntImm<Pinsrq, 0>, VexOne<M64>, X>)
        }
        EVEX_Vinsertps_xmm_xmm_xmmm32_imm8 => {
            rm(i, vex::<IntImm<Insertps, 0>, Reg, X>, vex::<IntImm<InsertpsMem, 0>, VexOne<M32>, X>)
        }
        _ => return None,
    })
}

/// Elements to general registers or memory: their forms read the immediate as a whole.
fn general(i: &Instruction) -> Option<Exec> {
    use Code::*;
    Some(match i.code() {
        EVEX_Vpextrb_r32m8_xmm_imm8 | EVEX_Vpextrb_r64m8_xmm_imm8 => rm(i, extract::<u8>, store_lane::<u8>),
        EVEX_Vpextrw_r32m16_xmm_imm8 | EVEX_Vpextrw_r64m16_xmm_imm8 => rm(i, extract::<u16>, store_lane::<u16>),
        EVEX_Vpextrw_r32_xmm_imm8 | EVEX_Vpextrw_r64_xmm_imm8 => extract::<u16>,
        EVEX_Vpextrd_rm32_xmm_imm8 => rm(i, extract::<u32>, store_lane::<u32>),
        EVEX_Vpextrq_rm64_xmm_imm8 => rm(i, extract::<u64>, store_lane::<u64>),
        EVEX_Vextractps_rm32_xmm_imm8 | EVEX_Vextractps_r64m32_xmm_imm8 => rm(i, extract::<u32>, store_lane::<u32>),
        _ => return None,
    })
}

fn float(i: &Instruction) -> Option<Exec> {
    macro_rules! shapes {
        ($($op:ty, $op64:ty: $ps:ident $pd:ident $ss:ident $sd:ident;)*) => {
            match i.mnemonic() {
                $(
                    Mnemonic::$ps => return Some(each::<$op, F32>),
                    Mnemonic::$pd => return Some(each::<$op64, F64>),
                    Mnemonic::$ss => return Some(scalar::<$op, One<4>>),
                    Mnemonic::$sd => return Some(scalar::<$op64, One<8>>),
                )*
                _ => {}
            }
        };
    }
    shapes! {
        Fp<f32, Add>, Fp<f64, Add>: Vaddps Vaddpd Vaddss Vaddsd;
        Fp<f32, Sub>, Fp<f64, Sub>: Vsubps Vsubpd Vsubss Vsubsd;
        Fp<f32, Mul>, Fp<f64, Mul>: Vmulps Vmulpd Vmulss Vmulsd;
        Fp<f32, Div>, Fp<f64, Div>: Vdivps Vdivpd Vdivss Vdivsd;
        Fp<f32, Sqrt>, Fp<f64, Sqrt>: Vsqrtps Vsqrtpd Vsqrtss Vsqrtsd;
        Fp<f32, Min>, Fp<f64, Min>: Vminps Vminpd Vminss Vminsd;
        Fp<f32, Max>, Fp<f64, Max>: Vmaxps Vmaxpd Vmaxss Vmaxsd;
        Getexp<f32>, Getexp<f64>: Vgetexpps Vgetexppd Vgetexpss Vgetexpsd;
        Getmant<f32>, Getmant<f64>: Vgetmantps Vgetmantpd Vgetmantss Vgetmantsd;
        Rndscale<f32>, Rndscale<f64>: Vrndscaleps Vrndscalepd Vrndscaless Vrndscalesd;
        Reduce<f32>, Reduce<f64>: Vreduceps Vreducepd Vreducess Vreducesd;
        Range<f32>, Range<f64>: Vrangeps Vrangepd Vrangess Vrangesd;
        Scalef<f32>, Scalef<f64>: Vscalefps Vscalefpd Vscalefss Vscalefsd;
        Rcp14<f32>, Rcp14<f64>: Vrcp14ps Vrcp14pd Vrcp14ss Vrcp14sd;
        Rsqrt14<f32>, Rsqrt14<f64>: Vrsqrt14ps Vrsqrt14pd Vrsqrt14ss Vrsqrt14sd;
        Fixupimm<f32>, Fixupimm<f64>: Vfixupimmps Vfixupimmpd Vfixupimmss Vfixupimmsd;
    }
    table! { i:
        Vcomiss => comi::<f32, One<4>, true>;
        Vucomiss => comi::<f32, One<4>, false>;
        Vcomisd => comi::<f64, One<8>, true>;
        Vucomisd => comi::<f64, One<8>, false>;
    }
}

fn fused(i: &Instruction) -> Option<Exec> {
    macro_rules! shapes {
        ($i:ident: $($signs:ident $order:ident: $ps:ident $pd:ident $($ss:ident $sd:ident)?;)*) => {
            Some(match $i.mnemonic() {
                $(
                    Mnemonic::$ps => each::<Fma<f32, $signs, $order>, F32>,
                    Mnemonic::$pd => each::<Fma<f64, $signs, $order>, F64>,
                    $(
                        Mnemonic::$ss => scalar_in_place::<Fma<f32, $signs, $order>, One<4>>,
                        Mnemonic::$sd => scalar_in_place::<Fma<f64, $signs, $order>, One<8>>,
                    )?
                )*
                _ => return None,
            })
        };
    }
    of_all!(shapes, i)
}

fn conversions(i: &Instruction) -> Option<Exec> {
    table! { i:
        Vcvtdq2ps => each::<convert::Dq2ps, F32>;
        Vcvtudq2ps => each::<convert::Udq2ps, F32>;
        Vcvtdq2pd => each::<convert::Dq2pd, Part<4, 2>>;
        Vcvtudq2pd => each::<convert::Udq2pd, Part<4, 2>>;
        Vcvtps2dq => each::<convert::Ps2dq, F32>;
        Vcvttps2dq => each::<convert::Tps2dq, F32>;
        Vcvtps2udq => each::<convert::Ps2udq, F32>;
        Vcvttps2udq => each::<convert::Tps2udq, F32>;
        Vcvtpd2dq => each::<convert::Pd2dq, F64>;
        Vcvttpd2dq => each::<convert::Tpd2dq, F64>;
        Vcvtpd2udq => each::<convert::Pd2udq, F64>;
        Vcvttpd2udq => each::<convert::Tpd2udq, F64>;
        Vcvtps2qq => each::<convert::Ps2qq, Part<4, 2>>;
        Vcvttps2qq => each::<convert::Tps2qq, Part<4, 2>>;
        Vcvtps2uqq => each::<convert::Ps2uqq, Part<4, 2>>;
        Vcvttps2uqq => each::<convert::Tps2uqq, Part<4, 2>>;
        Vcvtpd2qq => each::<convert::Pd2qq, F64>;
        Vcvttpd2qq => each::<convert::Tpd2qq, F64>;
        Vcvtpd2uqq => each::<convert::Pd2uqq, F64>;
        Vcvttpd2uqq => each::<convert::Tpd2uqq, F64>;
        Vcvtqq2pd => each::<convert::Qq2pd, F64>;
        Vcvtuqq2pd => each::<convert::Uqq2pd, F64>;
        Vcvtqq2ps => each::<convert::Qq2ps, F64>;
        Vcvtuqq2ps => each::<convert::Uqq2ps, F64>;
        Vcvtps2pd => each::<convert::Ps2pd, Part<4, 2>>;
        Vcvtpd2ps => each::<convert::Pd2ps, F64>;
        Vcvtph2ps => each::<convert::Ph2ps, Part<2, 2>>;
        Vcvtss2sd => scalar::<convert::Ps2pd, One<4>>;
        Vcvtsd2ss => scalar::<convert::Pd2ps, One<8>>;
    }
}

/// Between elements and general registers.
fn general_conversions(i: &Instruction) -> Option<Exec> {
    use Code::*;
    type Single = ToGpr<f32, One<4>>;
    type Double = ToGpr<f64, One<8>>;
    Some(match i.code() {
        EVEX_Vcvtsi2ss_xmm_xmm_rm32_er => from_gpr::<f32, 32, true>,
        EVEX_Vcvtsi2ss_xmm_xmm_rm64_er => from_gpr::<f32, 64, true>,
        EVEX_Vcvtsi2sd_xmm_xmm_rm32_er => from_gpr::<f64, 32, true>,
        EVEX_Vcvtsi2sd_xmm_xmm_rm64_er => from_gpr::<f64, 64, true>,
        EVEX_Vcvtusi2ss_xmm_xmm_rm32_er => from_gpr::<f32, 32, false>,
        EVEX_Vcvtusi2ss_xmm_xmm_rm64_er => from_gpr::<f32, 64, false>,
        EVEX_Vcvtusi2sd_xmm_xmm_rm32_er => from_gpr::<f64, 32, false>,
        EVEX_Vcvtusi2sd_xmm_xmm_rm64_er => from_gpr::<f64, 64, false>,
        EVEX_Vcvtss2si_r32_xmmm32_er => Single::convert::<32, true, false>,
        EVEX_Vcvtss2si_r64_xmmm32_er => Single::convert::<64, true, false>,
        EVEX_Vcvttss2si_r32_xmmm32_sae => Single::convert::<32, true, true>,
        EVEX_Vcvttss2si_r64_xmmm32_sae => Single::convert::<64, true, true>,
        EVEX_Vcvtss2usi_r32_xmmm32_er => Single::convert::<32, false, false>,
        EVEX_Vcvtss2usi_r64_xmmm32_er => Single::convert::<64, false, false>,
        EVEX_Vcvttss2usi_r32_xmmm32_sae => Single::convert::<32, false, true>,
        EVEX_Vcvttss2usi_r64_xmmm32_sae => Single::convert::<64, false, true>,
        EVEX_Vcvtsd2si_r32_xmmm64_er => Double::convert::<32, true, false>,
        EVEX_Vcvtsd2si_r64_xmmm64_er => Double::convert::<64, true, false>,
        EVEX_Vcvttsd2si_r32_xmmm64_sae => Double::convert::<32, true, true>,
        EVEX_Vcvttsd2si_r64_xmmm64_sae => Double::convert::<64, true, true>,
        EVEX_Vcvtsd2usi_r32_xmmm64_er => Double::convert::<32, false, false>,
        EVEX_Vcvtsd2usi_r64_xmmm64_er => Double::convert::<64, false, false>,
        EVEX_Vcvttsd2usi_r32_xmmm64_sae => Double::convert::<32, false, true>,
        EVEX_Vcvttsd2usi_r64_xmmm64_sae => Double::convert::<64, false, true>,
        _ => return None,
    })
}
