//! AVX-512: EVEX encodings, and the opmask registers.
//!
//! The manual defines most of these as operations on each element, of which a mask chooses some: so an operation here is a
//! function of its inputs and the element's number ([`Each`]), or, where SSE has it already, one on 128 bits at a time
//! ([`Binary`]). What EVEX adds is alike for all and done once: masks, which merge or clear; memory that is not accessed
//! where the mask is clear; one element of memory for all places; rounding of the instruction's own.
//!
//! Which of that an instruction has stands in its operation's immediate ([`Form`]).

mod approximate;
mod convert;
mod float;
mod int;
mod memory;
mod opmask;
mod permute;
mod select;
#[cfg(test)]
mod tests;

use iced_x86::{Instruction, MemorySize, OpKind, Register, RoundingControl};

use super::fp::Mx;
use super::int::{Binary, BinaryImm};
use super::lanes::{Lane, V, get, view, view_mut, with};
use crate::interp::core::Core;
use crate::interp::op::{Num, Op, Stop};

pub(super) use select::select;

/// A register's quarters, the lowest first.
pub(super) type Z = [V; 4];

type Done = Result<(), Stop>;

/// MXCSR's masks of all exceptions, and where its rounding control is.
const MASKS: u32 = 0x1f80;
const RC_SHIFT: u32 = 13;
const RC: u32 = 3 << RC_SHIFT;

/// What stands in the immediate of an EVEX-encoded instruction's operation.
#[derive(Clone, Copy)]
pub(in crate::interp) struct Form(u64);

impl Form {
    const K: u32 = 8;
    const ZEROES: u64 = 1 << 11;
    const SILENT: u64 = 1 << 12;
    const ROUNDING: u32 = 13;
    const ROUNDS: u64 = 1 << 15;
    const LENGTH: u32 = 16;
    const BROADCAST: u64 = 1 << 18;
    const MEMORY: u64 = 1 << 20;
    const INDEX: u32 = 24;

    /// Of an instruction.
    pub(in crate::interp) fn of(i: &Instruction) -> Self {
        let set = |bits: u64, on: bool| if on { bits } else { 0 };
        let immediate = (0..i.op_count()).any(|n| i.op_kind(n) == OpKind::Immediate8);
        let memory = (0..i.op_count()).any(|n| i.op_kind(n) == OpKind::Memory);
        let k = if i.op_mask() == Register::None { 0 } else { i.op_mask().number() as u64 };
        let rounding = match i.rounding_control() {
            RoundingControl::None => 0,
            control => Self::ROUNDS | (control as u64 - RoundingControl::RoundToNearest as u64) << Self::ROUNDING,
        };
        let index = if i.is_vsib() { i.memory_index().number() as u64 } else { 0 };
        Self(
            set(i.immediate8().into(), immediate)
                | k << Self::K
                | set(Self::ZEROES, i.zeroing_masking())
                | set(Self::SILENT, i.suppress_all_exceptions())
                | rounding
                | u64::from(length(i).trailing_zeros()) << Self::LENGTH
                | set(Self::BROADCAST, i.is_broadcast())
                | set(Self::MEMORY, memory)
                | index << Self::INDEX,
        )
    }

    /// As an immediate.
    pub(in crate::interp) fn bits(self) -> u64 {
        self.0
    }

    fn of_op(op: &Op) -> Self {
        Self(op.imm)
    }

    fn imm(self) -> u8 {
        self.0 as u8
    }

    fn has(self, bit: u64) -> bool {
        self.0 & bit != 0
    }

    /// Quarters of a register that the longest operand has.
    fn quarters(self) -> usize {
        1 << (self.0 >> Self::LENGTH & 3)
    }

    /// The number of the register with a gather's indices.
    fn index(self) -> Num {
        Num::new((self.0 >> Self::INDEX) as usize)
    }

    /// The number of the register with the mask; 0 for none.
    fn k(self) -> usize {
        (self.0 >> Self::K & 7) as usize
    }

    /// Which of so many elements the mask chooses, a bit each.
    fn active(self, core: &Core<'_>, elements: usize) -> u64 {
        match self.k() {
            0 => all(elements),
            k => core.cpu.k[k] & all(elements),
        }
    }

    /// How many elements of so many bytes there are, and which of them the mask chooses.
    fn elements(self, core: &Core<'_>, size: usize) -> (usize, u64) {
        let count = self.quarters() * 16 / size;
        (count, self.active(core, count))
    }

    /// MXCSR, with the instruction's own rounding.
    fn mx(self, core: &Core<'_>) -> Mx {
        let mut mxcsr = core.cpu.mxcsr;
        if self.has(Self::ROUNDS) {
            mxcsr = mxcsr & !RC | ((self.0 >> Self::ROUNDING) as u32 & 3) << RC_SHIFT;
        }
        if self.has(Self::ROUNDS | Self::SILENT) {
            mxcsr |= MASKS;
        }
        Mx::new(mxcsr)
    }

    /// Raises what was found, unless the instruction is silent.
    fn commit(self, core: &mut Core<'_>, mx: &Mx) -> Done {
        if self.has(Self::ROUNDS | Self::SILENT) { Ok(()) } else { super::forms::commit(core, mx) }
    }
}

/// All of so many elements, a bit each.
fn all(elements: usize) -> u64 {
    if elements == 0 { 0 } else { u64::MAX >> (64 - elements.min(64)) }
}

/// The numbers of the elements that are active, of so many.
fn chosen(count: usize, active: u64) -> impl Iterator<Item = usize> + Clone {
    (0..count).filter(move |i| active >> i & 1 != 0)
}

/// Quarters of a register that an instruction's longest operand has.
fn length(i: &Instruction) -> usize {
    let quarters = |register: Register| (register.is_zmm(), register.is_ymm());
    let registers = (0..i.op_count()).filter(|n| i.op_kind(*n) == OpKind::Register).map(|n| i.op_register(n));
    let longest = registers.chain([i.memory_index()]).map(quarters).max().unwrap_or_default();
    use MemorySize as M;
    // What narrows, or answers with a mask, may have its longest operand in memory.
    let memory = match i.memory_size() {
        M::Broadcast512_Float32 | M::Broadcast512_Float64 | M::Broadcast512_Int64 | M::Broadcast512_UInt64 => 4,
        M::Broadcast256_Float32 | M::Broadcast256_Float64 | M::Broadcast256_Int64 | M::Broadcast256_UInt64 => 2,
        size if i.is_broadcast() || size.size() <= 16 => 1,
        size if size.size() <= 32 => 2,
        _ => 4,
    };
    let in_registers = match longest {
        (true, _) => 4,
        (_, true) => 2,
        _ => 1,
    };
    in_registers.max(memory)
}

/// Element `i` of a register.
#[inline(always)]
pub(super) fn at<T: Lane>(value: &Z, i: usize) -> T {
    let lanes = 16 / size_of::<T>();
    get(value[i / lanes % 4], i)
}

/// Replaces element `i`.
#[inline(always)]
pub(super) fn set<T: Lane>(value: &mut Z, i: usize, lane: T) {
    let lanes = 16 / size_of::<T>();
    let quarter = &mut value[i / lanes % 4];
    *quarter = with(*quarter, i, lane);
}

/// A whole register.
pub(super) fn register(core: &Core<'_>, n: Num) -> Z {
    let n = n as usize;
    let [low, high] = &core.cpu.zmm_high[n];
    [*view(&core.cpu.xmm[n]), *view(&core.cpu.ymm_high[n]), *view(low), *view(high)]
}

/// Writes a whole register.
pub(super) fn put(core: &mut Core<'_>, n: Num, value: Z) {
    let n = n as usize;
    *view_mut(&mut core.cpu.xmm[n]) = value[0];
    *view_mut(&mut core.cpu.ymm_high[n]) = value[1];
    for (register, value) in core.cpu.zmm_high[n].iter_mut().zip(&value[2..]) {
        *view_mut(register) = *value;
    }
}

/// Clears what lies above so many bytes.
fn cut(mut value: Z, bytes: usize) -> Z {
    for (quarter, value) in value.iter_mut().enumerate() {
        let kept = bytes.saturating_sub(16 * quarter);
        if kept < 16 {
            value[kept..].fill(0);
        }
    }
    value
}

/// What an operation works on.
pub(super) struct In {
    /// The destination's old value, and the sources.
    pub(super) old: Z,
    pub(super) a: Z,
    pub(super) b: Z,
    pub(super) imm: u8,
    /// Quarters that it works on.
    pub(super) quarters: usize,
}

impl In {
    /// What an instruction names, besides a last source.
    fn of(core: &Core<'_>, op: &Op, form: Form, b: Z) -> Self {
        let (old, a) = (register(core, op.dst), register(core, op.src));
        Self { old, a, b, imm: form.imm(), quarters: form.quarters() }
    }

    /// How many elements of some type there are.
    fn elements<T>(&self) -> usize {
        self.quarters * 16 / size_of::<T>()
    }
}

/// An operation that makes each element of its result by itself.
pub(super) trait Each {
    /// An element of the result.
    type T: Lane;
    /// The result has this part of the bytes that the operation works on.
    const PART: usize = 1;
    /// Or so many elements, if that doesn't depend on how many bytes there are.
    const COUNT: Option<usize> = None;
    /// Element `i`.
    fn each(mx: &mut Mx, x: &In, i: usize) -> Self::T;
}

/// Where the last source comes from.
pub(super) trait Fetch {
    /// Loads it from memory: only what the elements need that are active.
    fn load(core: &mut Core<'_>, op: &Op, form: Form, active: u64) -> Result<Z, Stop>;

    /// Fetches it, from a register or from memory.
    fn get(core: &mut Core<'_>, op: &Op, form: Form, active: u64) -> Result<Z, Stop> {
        if form.has(Form::MEMORY) { Self::load(core, op, form, active) } else { Ok(register(core, op.aux)) }
    }
}

/// A register, or as much memory, in elements of `E` bytes; or one element for all. If it isn't `MASKED`, all memory is
/// accessed.
pub(super) struct Full<const E: usize, const MASKED: bool>;
/// The first part of a register, or so much memory.
pub(super) struct Part<const E: usize, const N: usize>;
/// A register, or one element.
pub(super) struct One<const E: usize>;
/// A register, or so many bytes of memory, whatever the mask says.
pub(super) struct Block<const BYTES: usize>;
/// So many elements of memory, again and again.
pub(super) struct Repeat<const E: usize, const N: usize>;

/// How an access to memory depends on a mask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Each element is one of its own, and needs no more than its own alignment.
    Elements,
    /// All are accessed at once.
    Whole,
}

impl Form {
    /// How an operand is accessed whose elements can be masked out.
    fn access(self) -> Access {
        if self.k() != 0 { Access::Elements } else { Access::Whole }
    }
}

/// Raises #AC for `count` elements of `size` bytes, where alignment is checked.
fn check_aligned(core: &mut Core<'_>, address: u64, count: usize, size: usize, access: Access) -> Done {
    // No more than 128 bits need.
    core.check_aligned(address, if access == Access::Whole { (count * size).min(16) } else { size })
}

/// Loads `count` elements of `E` bytes, those that are active.
fn load<const E: usize>(
    core: &mut Core<'_>,
    op: &Op,
    address: u64,
    count: usize,
    active: u64,
    access: Access,
) -> Result<Z, Stop> {
    let mut bytes = [0u8; 64];
    let (all, active) = (all(count), active & all(count));
    if active != 0 {
        check_aligned(core, address, count, E, access)?;
        core.exempt_from_alignment(op, |core, _| match active == all {
            true => load_whole(core, address, &mut bytes[..count * E]),
            false => load_some::<E>(core, address, &mut bytes[..count * E], active),
        })?;
    }
    Ok(zerocopy::transmute!(bytes))
}

/// Loads bytes, as many at a time as there are words for.
fn load_whole(core: &mut Core<'_>, address: u64, bytes: &mut [u8]) -> Done {
    let (mut rest, mut at) = (bytes, address);
    while !rest.is_empty() {
        let len = match rest.len() {
            32.. => 32,
            len => 1 << len.ilog2(),
        };
        let (first, others) = rest.split_at_mut(len);
        match len {
            32 => first.copy_from_slice(&core.load::<[u8; 32]>(at)?),
            16 => first.copy_from_slice(&core.load::<V>(at)?),
            8 => first.copy_from_slice(&core.load::<u64>(at)?.to_le_bytes()),
            4 => first.copy_from_slice(&core.load::<u32>(at)?.to_le_bytes()),
            2 => first.copy_from_slice(&core.load::<u16>(at)?.to_le_bytes()),
            _ => first.copy_from_slice(&[core.load::<u8>(at)?]),
        }
        (rest, at) = (others, at.wrapping_add(len as u64));
    }
    Ok(())
}

/// Loads those elements that are active.
fn load_some<const E: usize>(core: &mut Core<'_>, address: u64, bytes: &mut [u8], active: u64) -> Done {
    for i in chosen(bytes.len() / E, active) {
        load_whole(core, address.wrapping_add((i * E) as u64), &mut bytes[i * E..][..E])?;
    }
    Ok(())
}

/// One element of memory in all places; not accessed if none is active.
fn broadcast<const E: usize>(core: &mut Core<'_>, op: &Op, active: u64) -> Result<Z, Stop> {
    if active == 0 {
        return Ok([[0; 16]; 4]);
    }
    let one = load::<E>(core, op, core.ea(op), 1, 1, Access::Elements)?[0];
    Ok([std::array::from_fn(|i| one[i % E]); 4])
}

impl<const E: usize, const MASKED: bool> Fetch for Full<E, MASKED> {
    fn load(core: &mut Core<'_>, op: &Op, form: Form, active: u64) -> Result<Z, Stop> {
        let (active, access) = if MASKED { (active, form.access()) } else { (u64::MAX, Access::Whole) };
        if form.has(Form::BROADCAST) {
            return broadcast::<E>(core, op, active);
        }
        load::<E>(core, op, core.ea(op), form.quarters() * 16 / E, active, access)
    }
}

impl<const E: usize, const N: usize> Fetch for Part<E, N> {
    fn load(core: &mut Core<'_>, op: &Op, form: Form, active: u64) -> Result<Z, Stop> {
        if form.has(Form::BROADCAST) {
            return broadcast::<E>(core, op, active);
        }
        load::<E>(core, op, core.ea(op), form.quarters() * 16 / N / E, active, form.access())
    }
}

impl<const E: usize> Fetch for One<E> {
    fn load(core: &mut Core<'_>, op: &Op, _: Form, active: u64) -> Result<Z, Stop> {
        load::<E>(core, op, core.ea(op), 1, active, Access::Elements)
    }
}

impl<const BYTES: usize> Fetch for Block<BYTES> {
    fn load(core: &mut Core<'_>, op: &Op, _: Form, _: u64) -> Result<Z, Stop> {
        load::<8>(core, op, core.ea(op), BYTES / 8, u64::MAX, Access::Whole)
    }
}

impl<const E: usize, const N: usize> Fetch for Repeat<E, N> {
    fn load(core: &mut Core<'_>, op: &Op, form: Form, active: u64) -> Result<Z, Stop> {
        let folded = (0..64).step_by(N).fold(0, |folded, from| folded | active >> from);
        load::<E>(core, op, core.ea(op), N, folded, form.access())
    }
}

/// What a mask leaves of a destination.
fn base(form: Form, old: Z) -> Z {
    if form.has(Form::ZEROES) { [[0; 16]; 4] } else { old }
}

/// How many elements a result has.
fn count<O: Each>(form: Form) -> usize {
    O::COUNT.unwrap_or(form.quarters() * 16 / O::PART / size_of::<O::T>())
}

/// An operation by elements.
pub(super) fn each<O: Each, F: Fetch>(core: &mut Core<'_>, op: &Op) -> Done {
    let form = Form::of_op(op);
    let count = count::<O>(form);
    let active = form.active(core, count);
    let b = F::get(core, op, form, active)?;
    let x = In::of(core, op, form, b);
    let mut mx = form.mx(core);
    let mut result = base(form, x.old);
    for i in chosen(count, active) {
        set(&mut result, i, O::each(&mut mx, &x, i));
    }
    form.commit(core, &mx)?;
    put(core, op.dst, cut(result, count * size_of::<O::T>()));
    Ok(())
}

/// An operation on the lowest element; the rest is the first source's.
pub(super) fn scalar<O: Each, F: Fetch>(core: &mut Core<'_>, op: &Op) -> Done {
    lowest::<O, F>(core, op, |x| x.a)
}

/// An operation on the lowest element; the rest is the destination's own.
pub(super) fn scalar_in_place<O: Each, F: Fetch>(core: &mut Core<'_>, op: &Op) -> Done {
    lowest::<O, F>(core, op, |x| x.old)
}

#[inline(always)]
fn lowest<O: Each, F: Fetch>(core: &mut Core<'_>, op: &Op, rest: impl Fn(&In) -> Z) -> Done {
    let form = Form::of_op(op);
    let active = form.active(core, 1);
    let b = F::get(core, op, form, active)?;
    let x = In { quarters: 1, ..In::of(core, op, form, b) };
    let mut mx = form.mx(core);
    let lane = match active {
        0 => at::<O::T>(&base(form, x.old), 0),
        _ => O::each(&mut mx, &x, 0),
    };
    form.commit(core, &mx)?;
    let mut result = cut(rest(&x), 16);
    set(&mut result, 0, lane);
    put(core, op.dst, result);
    Ok(())
}

/// Elements of `E` bytes of a value where they are active, and what the mask leaves of `old` elsewhere.
fn masked<const E: usize>(form: Form, old: Z, value: &Z, (count, active): (usize, u64)) -> Z {
    let mut result = base(form, old);
    for i in chosen(count, active) {
        copy::<E>(&mut result, i, value, i);
    }
    cut(result, count * E)
}

/// Copies an element of `E` bytes.
fn copy<const E: usize>(to: &mut Z, place: usize, from: &Z, i: usize) {
    match E {
        1 => set(to, place, at::<u8>(from, i)),
        2 => set(to, place, at::<u16>(from, i)),
        4 => set(to, place, at::<u32>(from, i)),
        _ => set(to, place, at::<u64>(from, i)),
    }
}

/// An operation on whole quarters, whose result has elements of `E` bytes.
#[inline(always)]
fn by_quarters<F: Fetch, const E: usize>(core: &mut Core<'_>, op: &Op, result: impl Fn(&In, usize) -> V) -> Done {
    let form = Form::of_op(op);
    let (count, active) = form.elements(core, E);
    let b = F::get(core, op, form, active)?;
    let x = In::of(core, op, form, b);
    let mut value = [[0; 16]; 4];
    for (quarter, value) in value.iter_mut().enumerate().take(x.quarters) {
        *value = result(&x, quarter);
    }
    put(core, op.dst, masked::<E>(form, x.old, &value, (count, active)));
    Ok(())
}

/// An operation that SSE has, in elements of `E` bytes.
pub(super) fn binary<O: Binary, F: Fetch, const E: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    by_quarters::<F, E>(core, op, |x, q| O::apply::<16>(x.a[q], x.b[q]))
}

/// The same with a last source for all quarters.
pub(super) fn binary_all<O: Binary, F: Fetch, const E: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    by_quarters::<F, E>(core, op, |x, q| O::apply::<16>(x.a[q], x.b[0]))
}

/// The same of the last source and the immediate.
pub(super) fn binary_by_imm<O: Binary, F: Fetch, const E: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    by_quarters::<F, E>(core, op, |x, q| O::apply::<16>(x.b[q], super::lanes::low(x.imm.into())))
}

/// The same with an immediate.
pub(super) fn binary_imm<O: BinaryImm, F: Fetch, const E: usize>(core: &mut Core<'_>, op: &Op) -> Done {
    by_quarters::<F, E>(core, op, |x, q| O::apply::<16>(x.a[q], x.b[q], x.imm))
}

/// A test of each element, for a mask.
pub(super) trait Test {
    /// Bytes of an element.
    const SIZE: usize;
    /// Whether it holds for element `i`.
    fn test(mx: &mut Mx, x: &In, i: usize) -> bool;
}

/// A test of all elements; bits of those that aren't active are clear.
pub(super) fn test<O: Test, F: Fetch>(core: &mut Core<'_>, op: &Op) -> Done {
    let form = Form::of_op(op);
    tested::<O, F>(core, op, form, form.quarters() * 16 / O::SIZE)
}

/// A test of the lowest element.
pub(super) fn test_scalar<O: Test, F: Fetch>(core: &mut Core<'_>, op: &Op) -> Done {
    tested::<O, F>(core, op, Form::of_op(op), 1)
}

fn tested<O: Test, F: Fetch>(core: &mut Core<'_>, op: &Op, form: Form, count: usize) -> Done {
    let active = form.active(core, count);
    let b = F::get(core, op, form, active)?;
    let quarters = form.quarters();
    let x = In { old: b, a: register(core, op.src), b, imm: form.imm(), quarters };
    let mut mx = form.mx(core);
    let mut bits = 0;
    for i in chosen(count, active) {
        bits |= u64::from(O::test(&mut mx, &x, i)) << i;
    }
    form.commit(core, &mx)?;
    core.cpu.k[op.dst as usize % 8] = bits;
    Ok(())
}
