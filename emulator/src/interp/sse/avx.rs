//! AVX and AVX2 as far as they are not SSE twice over: moves, and what crosses the halves of a register.

use iced_x86::{Code, Instruction, Mnemonic};

use super::forms::{M8, M16, M32, M64, M128U, rm};
use super::int::{Binary, BinaryImm, define, define_imm};
use super::lanes::{Lane, V, generate, get, sign_bits, zip};
use super::mov::{Pinsrb, Pinsrd, Pinsrq, Pinsrw, extract, store_high, store_lane, store_low};
use super::shuffle::{Blendps, Copy, CopyLow, Movhigh, Movhlps, Movlow, Movss, Pshufd};
use super::vex::{
    Compute, Gpr32, Gpr64, Int, IntImm, Mem, MemAligned, One, Operand, Reg, X, Xmm2, Y, YMM, aligned, form, is_vex,
    narrow, put, register, sources, vex,
};
use super::{Mx, gather, masked};
use crate::flags::rflags::{CF, ZF};
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};

type Done = Result<(), Stop>;

/// The instructions of this module.
pub(super) fn select(i: &Instruction) -> Option<Exec> {
    if !is_vex(i) {
        return None;
    }
    moves(i).or_else(|| lanes(i)).or_else(|| across(i)).or_else(|| gather::select(i)).or_else(|| masked::select(i))
}

/// Moves of whole registers and parts, between registers and memory.
fn moves(i: &Instruction) -> Option<Exec> {
    use Code::*;
    Some(match i.code() {
        VEX_Vmovaps_xmm_xmmm128 | VEX_Vmovapd_xmm_xmmm128 | VEX_Vmovdqa_xmm_xmmm128 => copy::<MemAligned>(i),
        VEX_Vmovaps_ymm_ymmm256 | VEX_Vmovapd_ymm_ymmm256 | VEX_Vmovdqa_ymm_ymmm256 => copy::<MemAligned>(i),
        VEX_Vmovups_xmm_xmmm128 | VEX_Vmovupd_xmm_xmmm128 | VEX_Vmovdqu_xmm_xmmm128 => copy::<Mem>(i),
        VEX_Vmovups_ymm_ymmm256 | VEX_Vmovupd_ymm_ymmm256 | VEX_Vmovdqu_ymm_ymmm256 => copy::<Mem>(i),
        VEX_Vlddqu_xmm_m128 | VEX_Vlddqu_ymm_m256 => copy::<Mem>(i),
        VEX_Vmovntdqa_xmm_m128 | VEX_Vmovntdqa_ymm_m256 => copy::<MemAligned>(i),
        VEX_Vmovaps_xmmm128_xmm | VEX_Vmovapd_xmmm128_xmm | VEX_Vmovdqa_xmmm128_xmm => {
            rm(i, vex::<Int<Copy>, Reg, X>, store_aligned::<X>)
        }
        VEX_Vmovaps_ymmm256_ymm | VEX_Vmovapd_ymmm256_ymm | VEX_Vmovdqa_ymmm256_ymm => {
            rm(i, vex::<Int<Copy>, Reg, YMM>, store_aligned::<YMM>)
        }
        VEX_Vmovups_xmmm128_xmm | VEX_Vmovupd_xmmm128_xmm | VEX_Vmovdqu_xmmm128_xmm => {
            rm(i, vex::<Int<Copy>, Reg, X>, store_unaligned::<X>)
        }
        VEX_Vmovups_ymmm256_ymm | VEX_Vmovupd_ymmm256_ymm | VEX_Vmovdqu_ymmm256_ymm => {
            rm(i, vex::<Int<Copy>, Reg, YMM>, store_unaligned::<YMM>)
        }
        VEX_Vmovntps_m128_xmm | VEX_Vmovntpd_m128_xmm | VEX_Vmovntdq_m128_xmm => store_aligned::<X>,
        VEX_Vmovntps_m256_ymm | VEX_Vmovntpd_m256_ymm | VEX_Vmovntdq_m256_ymm => store_aligned::<YMM>,

        VEX_Vmovss_xmm_xmm_xmm | VEX_Vmovss_xmm_xmm_xmm_0F11 => vex::<Int<Movss>, Reg, X>,
        VEX_Vmovsd_xmm_xmm_xmm | VEX_Vmovsd_xmm_xmm_xmm_0F11 => vex::<Int<Movlow>, Reg, X>,
        VEX_Vmovss_xmm_m32 => vex::<Int<Copy>, One<M32>, X>,
        VEX_Vmovsd_xmm_m64 => vex::<Int<Copy>, One<M64>, X>,
        VEX_Vmovss_m32_xmm => store_low::<u32>,
        VEX_Vmovsd_m64_xmm | VEX_Vmovlps_m64_xmm | VEX_Vmovlpd_m64_xmm => store_low::<u64>,
        VEX_Vmovhps_m64_xmm | VEX_Vmovhpd_m64_xmm => store_high,
        VEX_Vmovlps_xmm_xmm_m64 | VEX_Vmovlpd_xmm_xmm_m64 => vex::<Int<Movlow>, One<M64>, X>,
        VEX_Vmovhps_xmm_xmm_m64 | VEX_Vmovhpd_xmm_xmm_m64 => vex::<Int<Movhigh>, One<M64>, X>,
        VEX_Vmovlhps_xmm_xmm_xmm => vex::<Int<Movhigh>, Reg, X>,
        VEX_Vmovhlps_xmm_xmm_xmm => vex::<Int<Movhlps>, Reg, X>,

        VEX_Vmovd_xmm_rm32 => narrow::<Int<Copy>, One<Gpr32>, One<M32>>(i),
        VEX_Vmovq_xmm_rm64 => narrow::<Int<Copy>, One<Gpr64>, One<M64>>(i),
        VEX_Vmovd_rm32_xmm => rm(i, extract::<u32>, store_low::<u32>),
        VEX_Vmovq_rm64_xmm => rm(i, extract::<u64>, store_low::<u64>),
        VEX_Vmovq_xmm_xmmm64 => narrow::<Int<CopyLow>, Reg, One<M64>>(i),
        VEX_Vmovq_xmmm64_xmm => rm(i, vex::<Int<CopyLow>, Reg, X>, store_low::<u64>),
        _ => return None,
    })
}

/// Single lanes in and out, and bits out of all.
fn lanes(i: &Instruction) -> Option<Exec> {
    use Code::*;
    Some(match i.code() {
        VEX_Vpinsrb_xmm_xmm_r32m8_imm8 | VEX_Vpinsrb_xmm_xmm_r64m8_imm8 => {
            narrow::<IntImm<Pinsrb, 0>, One<Gpr32>, One<M8>>(i)
        }
        VEX_Vpinsrw_xmm_xmm_r32m16_imm8 | VEX_Vpinsrw_xmm_xmm_r64m16_imm8 => {
            narrow::<IntImm<Pinsrw, 0>, One<Gpr32>, One<M16>>(i)
        }
        VEX_Vpinsrd_xmm_xmm_rm32_imm8 => narrow::<IntImm<Pinsrd, 0>, One<Gpr32>, One<M32>>(i),
        VEX_Vpinsrq_xmm_xmm_rm64_imm8 => narrow::<IntImm<Pinsrq, 0>, One<Gpr64>, One<M64>>(i),
        VEX_Vpextrb_r32m8_xmm_imm8 | VEX_Vpextrb_r64m8_xmm_imm8 => rm(i, extract::<u8>, store_lane::<u8>),
        VEX_Vpextrw_r32m16_xmm_imm8 | VEX_Vpextrw_r64m16_xmm_imm8 => rm(i, extract::<u16>, store_lane::<u16>),
        VEX_Vpextrw_r32_xmm_imm8 | VEX_Vpextrw_r64_xmm_imm8 => extract::<u16>,
        VEX_Vpextrd_rm32_xmm_imm8 => rm(i, extract::<u32>, store_lane::<u32>),
        VEX_Vpextrq_rm64_xmm_imm8 => rm(i, extract::<u64>, store_lane::<u64>),
        VEX_Vextractps_rm32_xmm_imm8 | VEX_Vextractps_r64m32_xmm_imm8 => rm(i, extract::<u32>, store_lane::<u32>),

        VEX_Vpmovmskb_r32_xmm | VEX_Vpmovmskb_r64_xmm => vpmovmskb::<X>,
        VEX_Vpmovmskb_r32_ymm | VEX_Vpmovmskb_r64_ymm => vpmovmskb::<YMM>,
        VEX_Vmovmskps_r32_xmm | VEX_Vmovmskps_r64_xmm => signs::<i32, X>,
        VEX_Vmovmskps_r32_ymm | VEX_Vmovmskps_r64_ymm => signs::<i32, YMM>,
        VEX_Vmovmskpd_r32_xmm | VEX_Vmovmskpd_r64_xmm => signs::<i64, X>,
        VEX_Vmovmskpd_r32_ymm | VEX_Vmovmskpd_r64_ymm => signs::<i64, YMM>,

        VEX_Vptest_xmm_xmmm128 => rm(i, test::<u64, Reg, X>, test::<u64, Mem, X>),
        VEX_Vptest_ymm_ymmm256 => rm(i, test::<u64, Reg, YMM>, test::<u64, Mem, YMM>),
        VEX_Vtestps_xmm_xmmm128 => rm(i, test::<i32, Reg, X>, test::<i32, Mem, X>),
        VEX_Vtestps_ymm_ymmm256 => rm(i, test::<i32, Reg, YMM>, test::<i32, Mem, YMM>),
        VEX_Vtestpd_xmm_xmmm128 => rm(i, test::<i64, Reg, X>, test::<i64, Mem, X>),
        VEX_Vtestpd_ymm_ymmm256 => rm(i, test::<i64, Reg, YMM>, test::<i64, Mem, YMM>),
        VEX_Vzeroupper => vzeroupper,
        VEX_Vzeroall => vzeroall,
        _ => return None,
    })
}

/// Broadcasts, permutations, shifts by lanes.
fn across(i: &Instruction) -> Option<Exec> {
    let immediate = i.op_count() == 3 && i.op2_kind() == iced_x86::OpKind::Immediate8;
    Some(match i.mnemonic() {
        Mnemonic::Vbroadcastss | Mnemonic::Vpbroadcastd => sources::<Int<Broadcast<u32>>, One<Xmm2>, One<M32>>(i),
        Mnemonic::Vbroadcastsd | Mnemonic::Vpbroadcastq => sources::<Int<Broadcast<u64>>, One<Xmm2>, One<M64>>(i),
        Mnemonic::Vpbroadcastb => sources::<Int<Broadcast<u8>>, One<Xmm2>, One<M8>>(i),
        Mnemonic::Vpbroadcastw => sources::<Int<Broadcast<u16>>, One<Xmm2>, One<M16>>(i),
        Mnemonic::Vbroadcastf128 | Mnemonic::Vbroadcasti128 => vex::<Int<Copy>, One<M128U>, YMM>,
        Mnemonic::Vinsertf128 | Mnemonic::Vinserti128 => {
            rm(i, vex::<Insert128, One<Xmm2>, YMM>, vex::<Insert128, One<M128U>, YMM>)
        }
        Mnemonic::Vextractf128 | Mnemonic::Vextracti128 => rm(i, extract128, store128),
        Mnemonic::Vperm2f128 | Mnemonic::Vperm2i128 => form::<Perm2, Mem>(i),
        Mnemonic::Vpermilps if immediate => form::<IntImm<Pshufd, 0>, Mem>(i),
        Mnemonic::Vpermilpd if immediate => form::<IntImm<Permilpd, 2>, Mem>(i),
        Mnemonic::Vpermilps => form::<Int<Permilvps>, Mem>(i),
        Mnemonic::Vpermilpd => form::<Int<Permilvpd>, Mem>(i),
        Mnemonic::Vpermq => form::<Permq, Mem>(i),
        Mnemonic::Vpermpd => form::<Permq, Mem>(i),
        Mnemonic::Vpermd | Mnemonic::Vpermps => form::<Permd, Mem>(i),
        Mnemonic::Vpblendd => form::<IntImm<Blendps, 4>, Mem>(i),
        Mnemonic::Vpsllvd => form::<Int<Psllvd>, Mem>(i),
        Mnemonic::Vpsllvq => form::<Int<Psllvq>, Mem>(i),
        Mnemonic::Vpsrlvd => form::<Int<Psrlvd>, Mem>(i),
        Mnemonic::Vpsrlvq => form::<Int<Psrlvq>, Mem>(i),
        Mnemonic::Vpsravd => form::<Int<Psravd>, Mem>(i),
        _ => return None,
    })
}

fn copy<M: Operand>(i: &Instruction) -> Exec {
    form::<Int<Copy>, M>(i)
}

/// Stores one half or two.
#[inline(always)]
fn store<const L: usize>(core: &mut Core<'_>, address: u64, op: &Op) -> Done {
    let value = register::<L>(core, op.dst);
    if L == YMM {
        let bytes: [u8; 32] = zerocopy::transmute!(value);
        return core.store(address, bytes);
    }
    core.store(address, value[0])
}

fn store_unaligned<const L: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    store::<L>(core, core.ea(op), op)
}

fn store_aligned<const L: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    let address = aligned::<L>(core, op)?;
    store::<L>(core, address, op)
}

fn vpmovmskb<const L: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    let half = |value: V| sign_bits(get(value, 0)) | sign_bits(get(value, 1)) << 8;
    let value = register::<L>(core, op.src);
    let high = if L == YMM { half(value[1]) << 16 } else { 0 };
    core.set_r32(op.dst, half(value[0]) | high);
    Ok(())
}

/// A lane with a top bit that counts: the sign, or all bits.
trait Tested: Lane {
    /// The lane with the other bits cleared.
    fn counted(self) -> u64;
    /// The top bit.
    fn sign(self) -> u32;
}

macro_rules! tested {
    ($($t:ty, |$lane:ident| $counted:expr;)*) => {$(
        impl Tested for $t {
            #[inline(always)]
            fn counted(self) -> u64 {
                let $lane = self;
                $counted
            }
            #[inline(always)]
            fn sign(self) -> u32 {
                (self >> (<$t>::BITS - 1)) as u32 & 1
            }
        }
    )*};
}

tested! { i32, |x| u64::from(x < 0); i64, |x| u64::from(x < 0); u64, |x| x; }

fn signs<T: Tested, const L: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    let value = register::<L>(core, op.src);
    let mut bits = 0;
    for half in value[..L].iter().rev() {
        for lane in T::split(*half).as_ref().iter().rev() {
            bits = bits << 1 | lane.sign();
        }
    }
    core.set_r32(op.dst, bits);
    Ok(())
}

/// VPTEST, VTESTPS and VTESTPD: is anything in both, is anything in the second only?
fn test<T: Tested, B: Operand, const L: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    let b = B::get::<L>(core, op)?;
    let a = register::<L>(core, op.dst);
    let (mut both, mut second) = (0, 0);
    for h in 0..L {
        let (x, y) = (T::split(a[h]), T::split(b[h]));
        for (x, y) in x.as_ref().iter().zip(y.as_ref()) {
            both |= x.counted() & y.counted();
            second |= !x.counted() & y.counted();
        }
    }
    let flag = |clear: bool, flag: u64| if clear { flag } else { 0 };
    core.flags.set_status(flag(both == 0, ZF) | flag(second == 0, CF));
    Ok(())
}

fn vzeroupper(core: &mut Core<'_>, _: &Op) -> Done {
    core.cpu.ymm_high[..16].fill(0);
    core.cpu.zmm_high[..16].fill([0; 2]);
    Ok(())
}

fn vzeroall(core: &mut Core<'_>, op: &Op) -> Done {
    core.cpu.xmm[..16].fill(0);
    vzeroupper(core, op)
}

/// The lowest lane in all places.
struct Broadcast<T>(std::marker::PhantomData<T>);

impl<T: Lane> Binary for Broadcast<T> {
    #[inline(always)]
    fn apply<const W: usize>(_: V, b: V) -> V {
        generate::<T>(|_| get(b, 0))
    }
}

define! {
    Permilvps(a, b) generate::<u32>(|i| get(a, get::<u32>(b, i) as usize & 3));
    Permilvpd(a, b) generate::<u64>(|i| get(a, get::<u64>(b, i) as usize >> 1 & 1));
    Psllvd(a, b) zip::<u32>(a, b, |x, n| x.checked_shl(n).unwrap_or(0));
    Psrlvd(a, b) zip::<u32>(a, b, |x, n| x.checked_shr(n).unwrap_or(0));
    Psravd(a, b) zip::<i32>(a, b, |x, n| x >> (n as u32).min(31));
    Psllvq(a, b) zip::<u64>(a, b, |x, n| if n < 64 { x << n } else { 0 });
    Psrlvq(a, b) zip::<u64>(a, b, |x, n| if n < 64 { x >> n } else { 0 });
}

define_imm! {
    Permilpd(_, b, imm) generate::<u64>(|i| get(b, usize::from(imm >> i & 1)));
}

macro_rules! compute {
    ($($(#[$doc:meta])* $name:ident($a:pat_param, $b:ident, $imm:ident) $body:expr;)*) => {$(
        $(#[$doc])*
        struct $name;
        impl Compute for $name {
            #[inline(always)]
            fn apply<const L: usize>(_: &mut Mx, _: Y, $a: Y, $b: Y, $imm: u8) -> Y {
                $body
            }
        }
    )*};
}

compute! {
    Insert128(a, b, imm) if imm & 1 == 0 { [b[0], a[1]] } else { [a[0], b[0]] };
    /// For each half a four-bit choice: one of four halves, or with the top bit zero.
    Perm2(a, b, imm) {
        let choose = |c: u8| match c & 0xb {
            0 => a[0],
            1 => a[1],
            2 => b[0],
            3 => b[1],
            _ => [0; 16],
        };
        [choose(imm), choose(imm >> 4)]
    };
    Permq(_, b, imm) {
        let lane = |i: u8| -> u64 {
            let from = imm >> (2 * i) & 3;
            get(b[usize::from(from >> 1)], usize::from(from))
        };
        [u64::join([lane(0), lane(1)]), u64::join([lane(2), lane(3)])]
    };
    /// The first source says which lane of the second comes where.
    Permd(a, b, _imm) a.map(|places| generate::<u32>(|i| {
        let from = get::<u32>(places, i) as usize & 7;
        get(b[from >> 2], from)
    }));
}

fn extract128(core: &mut Core<'_>, op: &Op) -> Done {
    let value = register::<YMM>(core, op.src)[(op.imm & 1) as usize];
    put::<X>(core, op.dst, [value, [0; 16]]);
    Ok(())
}

fn store128(core: &mut Core<'_>, op: &Op) -> Done {
    core.store(core.ea(op), register::<YMM>(core, op.dst)[(op.imm & 1) as usize])
}
