//! What translated code finds in memory: the context, at fixed distances below the window that gs points to.
//!
//! Translated code has no register to spare for a pointer of ours, so whatever it needs beside the guest's registers it
//! reads and writes at `gs:[slot]`, with an absolute negative displacement. These are all the places outside the window
//! that it may touch, and the verifier knows them by this list.

use std::mem::offset_of;

use crate::cache::Cache;

/// The context's distance from the window's base.
pub(crate) const CONTEXT: i32 = -0x2_0000;
/// The jump table's distance from the window's base.
pub(crate) const TABLE: i32 = -0x10_0000;
/// Entries of the jump table: one for each value of a guest address's low 16 bits.
pub(crate) const TABLE_ENTRIES: usize = 1 << 16;
/// Bytes of the jump table.
pub(crate) const TABLE_BYTES: usize = TABLE_ENTRIES * 8;
/// Entries of the jump table of a window at 0, which lies where gs points to: one for each value of an address's low 29
/// bits, so that it takes 4 GiB of addresses, and hardly any memory.
pub(crate) const WIDE_TABLE_ENTRIES: usize = 1 << 29;
/// The distance from the window's base of what checks of the budget read, at twice the budget: it can be read for each
/// budget that there is, and what lies at twice a number that was negative, behind the window, can't.
pub(crate) const CHECK: i32 = -0x100_0000;
/// Bytes of it, and those that are made ready at first.
pub(crate) const CHECK_BYTES: usize = 8 << 20;
pub(crate) const FIRST_CHECKS: usize = 128 << 10;
/// What a block may give back besides the budget: its check must be readable, too.
pub(crate) const BUDGET_BACK: u64 = 128;
/// What each call makes sure of below what it pushes on the return stack: room for handlers of the embedding program's
/// that have no stack of their own. Not a multiple of a page, since hosts take addresses that differ by those for one
/// another at first.
pub(crate) const HEADROOM: i32 = (256 << 10) - 2048;
/// Bytes of the context's mapping.
pub(crate) const CONTEXT_BYTES: usize = 4096;

/// Temporary homes that one instruction may need.
pub(crate) const TEMPORARIES: usize = 4;

/// The host register that is free at the start of each instruction: rcx, which `jrcxz` and `loop` test without touching the
/// flags.
pub(crate) const SCRATCH: u8 = 1;
/// The host register that holds the guest's rcx.
pub(crate) const COUNTER: u8 = 9;
/// The host register that counts the budget down, in 32 bits: its upper half is always 0. In code that doesn't count it is
/// the guest's register of the same name.
pub(crate) const BUDGET: u8 = 8;
/// The host register that holds the guest's rsp.
pub(crate) const STACK: u8 = 11;
/// The guest registers that live in the context while translated code runs: those whose host registers are taken. They
/// are ones that compiled code uses little, and r10 isn't among them, in which interpreters' large functions keep what they
/// use most. The last of them only if the code counts ([`Kind`](crate::kind::Kind)).
pub(crate) const HOMED: [u8; 3] = [COUNTER, STACK, BUDGET];

/// Why translated code was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Reason {
    /// A direct branch that leads to no translated code yet; `argument` is its site.
    Link = 0,
    /// An indirect branch, to `target`, that the jump table doesn't know.
    Miss = 1,
    /// The budget has not enough left for the block `argument`.
    Budget = 2,
    /// `syscall`, at the end of block `argument`.
    Syscall = 3,
    /// An instruction that is not translated, after the block `argument`.
    Interpret = 4,
    /// The host raised a signal.
    Fault = 5,
    /// The block `argument` needs the x87 unit, which is the host's.
    Unit = 6,
    /// A tick of the host's timer came.
    Stopped = 7,
}

/// All of them, by number.
pub(crate) const REASONS: [Reason; 8] = [
    Reason::Link,
    Reason::Miss,
    Reason::Budget,
    Reason::Syscall,
    Reason::Interpret,
    Reason::Fault,
    Reason::Unit,
    Reason::Stopped,
];

/// The state that is shared with translated code, and what entering and leaving it need.
#[repr(C)]
pub(crate) struct Context {
    /// The guest's registers while translated code doesn't run; those of `HOMED` always.
    pub(crate) gpr: [u64; 16],
    pub(crate) flags: u64,
    /// Of code that doesn't count, the guest's r8.
    pub(crate) budget: u64,
    /// The scratch register's content.
    pub(crate) scratch: u64,
    /// Where an indirect branch goes.
    pub(crate) target: u64,
    /// Registers that are borrowed during one instruction.
    pub(crate) temporary: [u64; TEMPORARIES],
    /// Registers that are lent to others during a block.
    pub(crate) lent: [u64; HOMED.len()],
    pub(crate) fs_base: u64,
    pub(crate) gs_base: u64,
    pub(crate) reason: u32,
    pub(crate) argument: u32,
    /// rsi and rdi of a string instruction.
    pub(crate) string: [u64; 2],
    /// The address of the guest's address 0.
    pub(crate) window: u64,
    /// Where every way out ends: `enter::leave`.
    pub(crate) leave: u64,
    /// Where to start.
    pub(crate) entry: u64,
    /// The context itself, as Rust sees it.
    pub(crate) this: u64,
    /// The stack of translated code: return addresses alone.
    pub(crate) stack: u64,
    pub(crate) host_rsp: u64,
    pub(crate) host_mxcsr: u32,
    pub(crate) mxcsr: u32,
    /// The guest's vector registers: low halves and high halves; 32 of each.
    pub(crate) xmm: u64,
    pub(crate) ymm_high: u64,
    /// Not 0 if a high half isn't.
    pub(crate) wide: u64,
    /// Its ZMM registers' high halves, of which the other two above are the low ones, and opmasks; 0 without AVX-512.
    pub(crate) zmm_high: u64,
    pub(crate) k: u64,
    /// 0 if the x87 unit is the guest's.
    pub(crate) unit_absent: u64,
    /// The last x87 instructions that the unit's pointers tell of, and that have accessed memory, and where: guest addresses,
    /// or 0 if there was none.
    pub(crate) unit_last: u32,
    pub(crate) unit_accessed: u32,
    pub(crate) unit_operand: u32,
    /// Of a signal: where, its trap number, the address and the error code.
    pub(crate) fault_rip: u64,
    pub(crate) fault_trap: u64,
    pub(crate) fault_address: u64,
    pub(crate) fault_code: u64,
    /// The cache whose code runs.
    pub(crate) cache: *const Cache,
}

const _: () = assert!(size_of::<Context>() <= CONTEXT_BYTES);

/// Displacements from gs.
pub(crate) mod slot {
    use super::{CONTEXT, Context, offset_of};

    const fn at(offset: usize) -> i32 {
        CONTEXT + offset as i32
    }

    pub(crate) const fn gpr(number: u8) -> i32 {
        at(offset_of!(Context, gpr)) + number as i32 * 8
    }

    pub(crate) const fn temporary(number: usize) -> i32 {
        at(offset_of!(Context, temporary)) + number as i32 * 8
    }

    pub(crate) const fn lent(number: usize) -> i32 {
        at(offset_of!(Context, lent)) + number as i32 * 8
    }

    pub(crate) const fn string(number: usize) -> i32 {
        at(offset_of!(Context, string)) + number as i32 * 8
    }

    pub(crate) const SCRATCH: i32 = at(offset_of!(Context, scratch));
    pub(crate) const TARGET: i32 = at(offset_of!(Context, target));
    pub(crate) const UNIT_ABSENT: i32 = at(offset_of!(Context, unit_absent));
    pub(crate) const UNIT_LAST: i32 = at(offset_of!(Context, unit_last));
    pub(crate) const UNIT_ACCESSED: i32 = at(offset_of!(Context, unit_accessed));
    pub(crate) const UNIT_OPERAND: i32 = at(offset_of!(Context, unit_operand));
    pub(crate) const FS_BASE: i32 = at(offset_of!(Context, fs_base));
    pub(crate) const GS_BASE: i32 = at(offset_of!(Context, gs_base));
    pub(crate) const REASON: i32 = at(offset_of!(Context, reason));
    pub(crate) const ARGUMENT: i32 = at(offset_of!(Context, argument));
    pub(crate) const BUDGET: i32 = at(offset_of!(Context, budget));
    pub(crate) const WINDOW: i32 = at(offset_of!(Context, window));
    pub(crate) const LEAVE: i32 = at(offset_of!(Context, leave));
    pub(crate) const THIS: i32 = at(offset_of!(Context, this));
    pub(crate) const STACK: i32 = at(offset_of!(Context, stack));
}
