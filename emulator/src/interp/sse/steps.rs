//! The vector instructions that programs execute most, as functions that go on to the next instruction themselves: moves,
//! arithmetic in floating point, logic, all in their legacy encodings. The others are in [`select`](super::select) and
//! [`vex`].

use iced_x86::{Code, Instruction, Mnemonic};

use super::forms::{R32, R64, Source, fp_complete};
use super::fp::{self, Pd, Ps, Sd, Ss, Vector};
use super::int::{self, Binary};
use super::lanes::{V, get, low, view, view_mut};
use super::mov::extract;
use super::shuffle::{Copy, CopyLow, Movhigh, Movlow, Movss};
use super::vex;
use crate::interp::core::Core;
use crate::interp::int::operand::{Address, address_kind, by_address};
use crate::interp::op::{End, Op, Step, step};
use crate::memory::Word;

/// The function for an instruction of this file.
pub(in crate::interp) fn select(i: &Instruction) -> Option<Step> {
    if vex::is_vex(i) {
        return None;
    }
    moves(i).or_else(|| arithmetic(i)).or_else(|| logic(i))
}

fn moves(i: &Instruction) -> Option<Step> {
    use Code::*;
    Some(match i.code() {
        Movaps_xmm_xmmm128 | Movapd_xmm_xmmm128 | Movdqa_xmm_xmmm128 => rm::<Whole<Copy>, Aligned>(i),
        Movups_xmm_xmmm128 | Movupd_xmm_xmmm128 | Movdqu_xmm_xmmm128 => rm::<Whole<Copy>, [u8; 16]>(i),
        Movaps_xmmm128_xmm | Movapd_xmmm128_xmm | Movdqa_xmmm128_xmm if is_store(i) => store::<Aligned>(i),
        Movups_xmmm128_xmm | Movupd_xmmm128_xmm | Movdqu_xmmm128_xmm if is_store(i) => store::<[u8; 16]>(i),
        Movss_xmm_xmmm32 if is_load(i) => load::<Whole<Copy>, u32>(i),
        Movsd_xmm_xmmm64 if is_load(i) => load::<Whole<Copy>, u64>(i),
        Movss_xmm_xmmm32 => register::<Whole<Movss>>,
        Movsd_xmm_xmmm64 => register::<Whole<Movlow>>,
        Movss_xmmm32_xmm | Movd_rm32_xmm if is_store(i) => store::<u32>(i),
        Movsd_xmmm64_xmm | Movq_rm64_xmm | Movq_xmmm64_xmm | Movlps_m64_xmm | Movlpd_m64_xmm if is_store(i) => {
            store::<u64>(i)
        }
        Movhps_m64_xmm | Movhpd_m64_xmm => by_address!(address_kind(i), A => store_high::<A>),
        Movlps_xmm_m64 | Movlpd_xmm_m64 => load::<Whole<Movlow>, u64>(i),
        Movhps_xmm_m64 | Movhpd_xmm_m64 => load::<Whole<Movhigh>, u64>(i),
        Movlhps_xmm_xmm => register::<Whole<Movhigh>>,
        Movd_xmm_rm32 if is_load(i) => load::<Whole<Copy>, u32>(i),
        Movq_xmm_rm64 if is_load(i) => load::<Whole<Copy>, u64>(i),
        Movd_xmm_rm32 => from_general::<R32>,
        Movq_xmm_rm64 => from_general::<R64>,
        Movd_rm32_xmm => step!(extract::<u32>),
        Movq_rm64_xmm => step!(extract::<u64>),
        Movq_xmm_xmmm64 => rm::<Whole<CopyLow>, u64>(i),
        _ => return None,
    })
}

macro_rules! floating_point {
    ($i:ident: $($op:ident: $ps:ident $pd:ident $ss:ident $sd:ident;)*) => {
        match $i.mnemonic() {
            $(
                Mnemonic::$ps => Some(rm::<Fp<Ps<fp::$op>>, Aligned>($i)),
                Mnemonic::$pd => Some(rm::<Fp<Pd<fp::$op>>, Aligned>($i)),
                Mnemonic::$ss => Some(rm::<Fp<Ss<fp::$op>>, u32>($i)),
                Mnemonic::$sd => Some(rm::<Fp<Sd<fp::$op>>, u64>($i)),
            )*
            _ => None,
        }
    };
}

fn arithmetic(i: &Instruction) -> Option<Step> {
    floating_point! { i:
        Add: Addps Addpd Addss Addsd;
        Sub: Subps Subpd Subss Subsd;
        Mul: Mulps Mulpd Mulss Mulsd;
        Div: Divps Divpd Divss Divsd;
        Sqrt: Sqrtps Sqrtpd Sqrtss Sqrtsd;
        Min: Minps Minpd Minss Minsd;
        Max: Maxps Maxpd Maxss Maxsd;
    }
}

macro_rules! packed {
    ($i:ident: $($op:ident: $($mnemonic:ident)*;)*) => {
        match $i.mnemonic() {
            $($(Mnemonic::$mnemonic)|* => Some(rm::<Whole<int::$op>, Aligned>($i)),)*
            _ => None,
        }
    };
}

/// Those that are integer instructions and those that are not, which are the same.
fn logic(i: &Instruction) -> Option<Step> {
    if i.op0_register().is_mm() {
        return None;
    }
    packed! { i:
        Pxor: Pxor Xorps Xorpd;
        Pand: Pand Andps Andpd;
        Pandn: Pandn Andnps Andnpd;
        Por: Por Orps Orpd;
        Paddb: Paddb;
        Paddw: Paddw;
        Paddd: Paddd;
        Paddq: Paddq;
        Psubb: Psubb;
        Psubd: Psubd;
        Psubq: Psubq;
        Pcmpeqb: Pcmpeqb;
        Pcmpeqd: Pcmpeqd;
        Pcmpgtb: Pcmpgtb;
        Pminub: Pminub;
        Punpcklbw: Punpcklbw;
        Punpckldq: Punpckldq Unpcklps;
        Punpcklqdq: Punpcklqdq Unpcklpd;
        Punpckhqdq: Punpckhqdq Unpckhpd;
    }
}

/// What an instruction does with its destination and its source.
trait Operation {
    /// Does it, and goes on.
    fn apply(core: &mut Core<'_>, op: &Op, rest: &[Op], b: V) -> End;
}

/// An operation on all bytes alike.
struct Whole<O>(core::marker::PhantomData<O>);
/// One in floating point.
struct Fp<O>(core::marker::PhantomData<O>);

impl<O: Binary> Operation for Whole<O> {
    #[inline(always)]
    fn apply(core: &mut Core<'_>, op: &Op, rest: &[Op], b: V) -> End {
        let destination = view_mut(&mut core.cpu.xmm[op.dst as usize]);
        *destination = O::apply::<16>(*destination, b);
        core.next(rest)
    }
}

impl<O: Vector> Operation for Fp<O> {
    #[inline(always)]
    fn apply(core: &mut Core<'_>, op: &Op, rest: &[Op], b: V) -> End {
        let mxcsr = core.cpu.mxcsr;
        let destination = view_mut(&mut core.cpu.xmm[op.dst as usize]);
        match O::quick(mxcsr, *destination, b) {
            Some(result) => {
                *destination = result;
                core.next(rest)
            }
            None => completely::<O>(core, op, rest, get(b, 0), get(b, 1)),
        }
    }
}

/// What is not quick, with the source's halves.
#[inline(never)]
fn completely<O: Vector>(core: &mut Core<'_>, op: &Op, rest: &[Op], b: u64, high: u64) -> End {
    let b = view(&(u128::from(high) << 64 | u128::from(b))).to_owned();
    match fp_complete::<O>(core, op, b) {
        Ok(()) => core.next(rest),
        Err(stop) => core.stopped(rest, stop),
    }
}

/// A part of a vector in memory.
trait Part {
    type Word: Word;
    /// Whether it must be at a multiple of its size.
    const ALIGNED: bool = false;
    fn vector(word: Self::Word) -> V;
    fn of(value: V) -> Self::Word;
}

/// 16 aligned bytes.
struct Aligned;

impl Part for Aligned {
    type Word = [u8; 16];
    const ALIGNED: bool = true;

    #[inline(always)]
    fn vector(word: V) -> V {
        word
    }

    #[inline(always)]
    fn of(value: V) -> V {
        value
    }
}

impl Part for [u8; 16] {
    type Word = Self;

    #[inline(always)]
    fn vector(word: V) -> V {
        word
    }

    #[inline(always)]
    fn of(value: V) -> V {
        value
    }
}

impl Part for u64 {
    type Word = Self;

    #[inline(always)]
    fn vector(word: Self) -> V {
        low(word)
    }

    #[inline(always)]
    fn of(value: V) -> Self {
        get(value, 0)
    }
}

impl Part for u32 {
    type Word = Self;

    #[inline(always)]
    fn vector(word: Self) -> V {
        low(word.into())
    }

    #[inline(always)]
    fn of(value: V) -> Self {
        get(value, 0)
    }
}

fn is_store(i: &Instruction) -> bool {
    i.op0_kind() == iced_x86::OpKind::Memory
}

fn is_load(i: &Instruction) -> bool {
    i.op1_kind() == iced_x86::OpKind::Memory
}

/// `xmm = xmm ∘ xmm or memory`.
fn rm<O: Operation, P: Part>(i: &Instruction) -> Step {
    if is_load(i) { load::<O, P>(i) } else { register::<O> }
}

fn load<O: Operation, P: Part>(i: &Instruction) -> Step {
    by_address!(address_kind(i), A => load_step::<O, P, A>)
}

fn store<P: Part>(i: &Instruction) -> Step {
    by_address!(address_kind(i), A => store_step::<P, A>)
}

fn register<O: Operation>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let b = *view(&core.cpu.xmm[op.src as usize]);
    O::apply(core, op, rest, b)
}

fn from_general<S: Source>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    match S::get(core, op) {
        Ok(value) => <Whole<Copy>>::apply(core, op, rest, value),
        Err(stop) => core.stopped(rest, stop),
    }
}

#[cold]
#[inline(never)]
fn unaligned(core: &mut Core<'_>, rest: &[Op]) -> End {
    let stop = core.gp();
    core.stopped(rest, stop)
}

fn load_step<O: Operation, P: Part, A: Address>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let address = A::ea(core, op);
    if P::ALIGNED && address & 15 != 0 {
        return unaligned(core, rest);
    }
    core.load_then(op, rest, address, |core, op, rest, word| O::apply(core, op, rest, P::vector(word)))
}

fn store_step<P: Part, A: Address>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let address = A::ea(core, op);
    if P::ALIGNED && address & 15 != 0 {
        return unaligned(core, rest);
    }
    let value = P::of(*view(&core.cpu.xmm[op.dst as usize]));
    core.store_then(op, rest, address, value, |core, _, rest| core.next(rest))
}

fn store_high<A: Address>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
    let value: u64 = get(*view(&core.cpu.xmm[op.dst as usize]), 1);
    core.store_then(op, rest, A::ea(core, op), value, |core, _, rest| core.next(rest))
}
