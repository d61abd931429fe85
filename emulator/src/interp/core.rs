//! The running core: what operations work on.
//!
//! General registers and flags are copied out of the `Cpu` while a core runs, so that they are one index away; the rest
//! stays in it, behind `cpu`. While running, `cpu.gpr`, `cpu.rip`, `cpu.instructions` and the flags in it are stale.

use crate::cpu::seg;
use crate::debug::{Watch, dr7};
use crate::exit::{Exception, vector};
use crate::flags::{Flags, rflags};
use crate::memory::{AccessError, Mmu, Privilege, Word};
use crate::{Cpu, CpuModel, Space};

use super::op::{End, Num, Op, Stop};

/// A processor that runs in a space.
pub(crate) struct Core<'a> {
    /// General registers; number 16 always reads 0.
    pub(crate) gpr: [u64; 32],
    pub(crate) flags: Flags,
    /// In a block its end; what leaves it for an address that is computed puts that here.
    pub(crate) rip: u64,
    /// Of [`End::Side`]: the branch's number.
    pub(crate) side: Num,
    /// Of [`End::Stopped`]: why.
    pub(crate) stop: Stop,
    /// Of [`End::Stopped`]: how many operations come after the one that stopped.
    pub(crate) unexecuted: usize,
    /// Where the current block starts. Good only when an operation has stopped.
    pub(crate) start: u64,
    /// Instructions left of the budget, those of the current block already taken off.
    pub(crate) left: u64,
    /// The count of retired instructions at which the budget is used up.
    end: u64,
    pub(crate) mmu: Mmu<'a>,
    pub(crate) cpu: &'a mut Cpu,
    /// Of [`Stop::Fault`].
    pub(crate) fault: Exception,
    /// Of [`Stop::CodeWrite`].
    pub(crate) code_frame: u32,
    /// Of [`Stop::Interrupt`].
    pub(crate) interrupt: u8,
    /// The last instruction blocks the debug trap after it: a load of ss, or an entry into a kernel.
    pub(crate) trap_shadow: bool,
    /// Repeated string instructions stop after each iteration, or may have to.
    pub(crate) by_iteration: bool,
    /// Exceptions delivered since the last instruction was retired, and `left` at the last of them.
    pub(crate) deliveries: u32,
    pub(crate) delivered_at: u64,
    /// What CPUID tells.
    pub(crate) model: CpuModel,
}

impl<'a> Core<'a> {
    #[inline(always)]
    pub(crate) fn new(cpu: &'a mut Cpu, space: &'a mut Space, budget: u64, model: CpuModel) -> Self {
        let mut gpr = [0; 32];
        gpr[..16].copy_from_slice(&cpu.gpr);
        Self {
            gpr,
            flags: cpu.flags,
            rip: cpu.rip,
            side: Num::N0,
            stop: Stop::Resync,
            unexecuted: 0,
            start: cpu.rip,
            left: budget,
            end: cpu.instructions.wrapping_add(budget),
            mmu: Mmu::new(space, Self::privilege_of(cpu.cpl)),
            cpu,
            fault: Exception::new(vector::UD),
            code_frame: 0,
            interrupt: 0,
            trap_shadow: false,
            by_iteration: false,
            deliveries: 0,
            delivered_at: budget,
            model,
        }
    }

    /// Whether instructions must be executed with care: to be stepped, or watched by breakpoints. Arranges memory for
    /// that, and for alignment checks. Asked whenever blocks are entered from outside, as after any change of what it
    /// depends on.
    #[inline(always)]
    pub(crate) fn needs_care(&mut self) -> bool {
        const SPECIAL: u64 = rflags::TF | rflags::RF | rflags::AC;
        if self.flags.system & SPECIAL == 0
            && self.cpu.dr[7] & dr7::ENABLES == 0
            && !self.by_iteration
            && !self.mmu.checks_alignment()
        {
            return false;
        }
        self.arrange()
    }

    /// Whether a debug trap is due after what was just done: TF was set, or data was touched that is watched.
    pub(crate) fn traps(&mut self) -> bool {
        self.flags.system & rflags::TF != 0 || self.mmu.watch().is_some_and(|watch| watch.hit())
    }

    #[cold]
    fn arrange(&mut self) -> bool {
        /// CR0.AM.
        const AM: u64 = 1 << 18;
        let checks = self.flags.system & rflags::AC != 0 && self.cpu.cr0 & AM != 0 && self.cpu.cpl == 3;
        self.mmu.set_checks_alignment(checks);
        // Hits that a load of ss has put off stay known.
        let hits = self.mmu.watch().map_or(0, Watch::take_hits);
        self.mmu.set_watch(Watch::with_hits(&self.cpu.dr, hits));
        let stepping = self.flags.system & rflags::TF != 0;
        self.by_iteration = stepping || self.mmu.watch().is_some();
        if !self.by_iteration {
            // There is nothing that RF could hold back.
            self.flags.system &= !rflags::RF;
        }
        self.by_iteration
    }

    /// Puts back into the `Cpu` what was copied out of it.
    pub(crate) fn finish(&mut self) {
        self.cpu.gpr.copy_from_slice(&self.gpr[..16]);
        self.cpu.flags = self.flags;
        self.cpu.rip = self.rip;
        self.cpu.instructions = self.retired();
    }

    /// Instructions retired, up to and with the last of the current block.
    pub(crate) fn retired(&self) -> u64 {
        self.end.wrapping_sub(self.left)
    }

    /// On whose behalf a ring accesses memory.
    pub(crate) fn privilege_of(cpl: u8) -> Privilege {
        if cpl == 3 { Privilege::User } else { Privilege::Supervisor }
    }

    /// Changes the ring.
    pub(crate) fn set_cpl(&mut self, cpl: u8) {
        self.cpu.cpl = cpl;
        self.mmu.set_privilege(Self::privilege_of(cpl));
    }

    /// Goes on with the next operation of the block.
    #[inline(always)]
    pub(crate) fn next(&mut self, rest: &[Op]) -> End {
        match rest {
            [op, rest @ ..] => (op.step)(self, op, rest),
            [] => End::FallsThrough,
        }
    }

    /// Goes where a direct branch goes.
    #[inline(always)]
    pub(crate) fn branch(&mut self, op: &Op, rest: &[Op]) -> End {
        if rest.is_empty() {
            return End::Direct;
        }
        self.side = op.aux;
        End::Side
    }

    /// Leaves the block because the operation before `rest` stopped.
    #[cold]
    #[inline(never)]
    pub(crate) fn stopped(&mut self, rest: &[Op], stop: Stop) -> End {
        self.stop = stop;
        self.unexecuted = rest.len();
        End::Stopped
    }

    /// Address of the instruction that stopped.
    pub(crate) fn ip(&self, op: &Op) -> u64 {
        self.start.wrapping_add(u64::from(op.offset))
    }

    /// The linear address of the memory operand.
    #[inline(always)]
    pub(crate) fn ea(&self, op: &Op) -> u64 {
        self.offset(op).wrapping_add(self.segment_base(op))
    }

    /// The base of the memory operand's segment: in 64-bit mode only fs and gs have one.
    #[inline(always)]
    pub(crate) fn segment_base(&self, op: &Op) -> u64 {
        if op.seg() >= seg::FS as u8 { self.cpu.seg[usize::from(op.seg()).min(seg::GS)].base } else { 0 }
    }

    /// The effective address of the memory operand: without its segment's base, as `lea` has it.
    #[inline(always)]
    pub(crate) fn offset(&self, op: &Op) -> u64 {
        let index = self.gpr[op.index as usize].wrapping_mul(op.factor());
        let address = self.gpr[op.base as usize].wrapping_add(index).wrapping_add(op.disp);
        if op.scale & Op::ADDRESS_32 != 0 { u64::from(address as u32) } else { address }
    }

    /// Loads from a linear address.
    #[inline(always)]
    pub(crate) fn load<T: Word>(&mut self, address: u64) -> Result<T, Stop> {
        match self.mmu.cached(address) {
            Some(value) => Ok(value),
            None => self.load_slow(address),
        }
    }

    #[cold]
    #[inline(never)]
    fn load_slow<T: Word>(&mut self, address: u64) -> Result<T, Stop> {
        self.mmu.load(address).map_err(|error| self.access_failed(error))
    }

    /// Loads from a linear address, then does the rest of the instruction, which captures nothing. Faster than `load`:
    /// what happens when the page is not cached is out of the way as a whole, so that the rest needs no stack frame.
    #[inline(always)]
    pub(crate) fn load_then<T: Word, F>(&mut self, op: &Op, rest: &[Op], address: u64, then: F) -> End
    where
        F: Fn(&mut Self, &Op, &[Op], T) -> End,
    {
        match self.mmu.cached(address) {
            Some(value) => then(self, op, rest, value),
            None => self.load_slow_then(op, rest, address, then),
        }
    }

    #[cold]
    #[inline(never)]
    fn load_slow_then<T: Word, F>(&mut self, op: &Op, rest: &[Op], address: u64, then: F) -> End
    where
        F: Fn(&mut Self, &Op, &[Op], T) -> End,
    {
        match self.load_slow(address) {
            Ok(value) => then(self, op, rest, value),
            Err(stop) => self.stopped(rest, stop),
        }
    }

    /// Stores to a linear address.
    #[inline(always)]
    pub(crate) fn store<T: Word>(&mut self, address: u64, value: T) -> Result<(), Stop> {
        match self.mmu.cached_place(address) {
            Some(place) => {
                place.write(value);
                Ok(())
            }
            None => self.store_slow(address, value),
        }
    }

    #[cold]
    #[inline(never)]
    fn store_slow<T: Word>(&mut self, address: u64, value: T) -> Result<(), Stop> {
        self.mmu.store(address, value).map_err(|error| self.access_failed(error))
    }

    /// Stores to a linear address, then does the rest of the instruction, which captures nothing; see `load_then`.
    #[inline(always)]
    pub(crate) fn store_then<T: Word, F>(&mut self, op: &Op, rest: &[Op], address: u64, value: T, then: F) -> End
    where
        F: Fn(&mut Self, &Op, &[Op]) -> End,
    {
        match self.mmu.cached_place(address) {
            Some(place) => {
                place.write(value);
                then(self, op, rest)
            }
            None => self.store_slow_then(op, rest, address, value, then),
        }
    }

    #[cold]
    #[inline(never)]
    fn store_slow_then<T: Word, F>(&mut self, op: &Op, rest: &[Op], address: u64, value: T, then: F) -> End
    where
        F: Fn(&mut Self, &Op, &[Op]) -> End,
    {
        match self.store_slow(address, value) {
            Ok(()) => then(self, op, rest),
            Err(stop) => self.stopped(rest, stop),
        }
    }

    /// Replaces a value in memory by what `f`, which captures nothing, makes of it; then goes on with the next operation.
    /// Faults as a write, before anything is read.
    #[inline(always)]
    pub(crate) fn modify_then_next<T: Word, F>(&mut self, op: &Op, rest: &[Op], address: u64, f: F) -> End
    where
        F: Fn(&mut Self, &Op, T) -> T,
    {
        // Two borrows of the core at once: the place is found again for the write, of which the compiler makes nothing.
        match self.mmu.cached_place::<T>(address).map(|place| place.read()) {
            Some(value) => {
                let value = f(self, op, value);
                if let Some(place) = self.mmu.cached_place(address) {
                    place.write(value);
                }
                self.next(rest)
            }
            None => self.modify_slow_then_next(op, rest, address, f),
        }
    }

    #[cold]
    #[inline(never)]
    fn modify_slow_then_next<T: Word, F>(&mut self, op: &Op, rest: &[Op], address: u64, f: F) -> End
    where
        F: Fn(&mut Self, &Op, T) -> T,
    {
        let done = self.check_aligned(address, T::ALIGN).and_then(|()| {
            self.check_store(address, size_of::<T>())?;
            let value = self.load_slow(address)?;
            let value = f(self, op, value);
            self.store_slow(address, value)
        });
        match done {
            Ok(()) => self.next(rest),
            Err(stop) => self.stopped(rest, stop),
        }
    }

    /// Replaces a value in memory by what `f` makes of it and the flags. Faults as a write, before anything is read.
    #[inline(always)]
    pub(crate) fn modify<T: Word>(&mut self, address: u64, f: impl FnOnce(&mut Flags, T) -> T) -> Result<(), Stop> {
        match self.mmu.cached_place(address) {
            Some(place) => {
                place.write(f(&mut self.flags, place.read()));
                Ok(())
            }
            None => self.modify_slow(address, f),
        }
    }

    #[cold]
    #[inline(never)]
    fn modify_slow<T: Word>(&mut self, address: u64, f: impl FnOnce(&mut Flags, T) -> T) -> Result<(), Stop> {
        self.check_aligned(address, T::ALIGN)?;
        self.check_store(address, size_of::<T>())?;
        let value = self.load_slow(address)?;
        let value = f(&mut self.flags, value);
        self.store_slow(address, value)
    }

    /// Fails as a store of `len` bytes (at most a page) would, without storing. For instructions that store in parts.
    pub(crate) fn check_store(&mut self, address: u64, len: usize) -> Result<(), Stop> {
        self.mmu.check_write(address, len).map_err(|error| self.access_failed(error))
    }

    /// Fails as a load of `len` bytes (at most a page) would.
    pub(crate) fn check_load(&mut self, address: u64, len: usize) -> Result<(), Stop> {
        self.mmu.check_read(address, len).map_err(|error| self.access_failed(error))
    }

    /// Raises #AC unless an address is a multiple of `align`, where ring 3's accesses are checked. For instructions whose
    /// accesses are others than those that their operands look like.
    pub(crate) fn check_aligned(&mut self, address: u64, align: usize) -> Result<(), Stop> {
        self.mmu.check_aligned(address, align).map_err(|error| self.access_failed(error))
    }

    /// Executes what needs no alignment.
    pub(crate) fn exempt_from_alignment(
        &mut self,
        op: &Op,
        execute: impl FnOnce(&mut Self, &Op) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        self.mmu.set_exempt(true);
        let done = execute(self, op);
        self.mmu.set_exempt(false);
        done
    }

    /// Turns a failed access into what stops the instruction.
    #[cold]
    #[inline(never)]
    pub(crate) fn access_failed(&mut self, error: AccessError) -> Stop {
        match error {
            AccessError::NonCanonical => Stop::NonCanonical,
            AccessError::Misaligned => self.raise(Exception::with_code(vector::AC, 0)),
            AccessError::Page(fault) => self.raise(Exception::page_fault(fault.address, fault.error_code)),
            AccessError::Code { frame } => {
                self.code_frame = frame;
                Stop::CodeWrite
            }
        }
    }

    /// Raises an exception.
    #[cold]
    pub(crate) fn raise(&mut self, exception: Exception) -> Stop {
        self.fault = exception;
        Stop::Fault
    }

    /// Raises #GP(0).
    pub(crate) fn gp(&mut self) -> Stop {
        self.raise(Exception::with_code(vector::GP, 0))
    }

    /// Raises #UD.
    pub(crate) fn ud(&mut self) -> Stop {
        self.raise(Exception::new(vector::UD))
    }

    /// Raises #UD for what the core doesn't have, and says so.
    pub(crate) fn lacks(&mut self) -> Stop {
        let exception = Exception { missing: true, ..Exception::new(vector::UD) };
        self.raise(exception)
    }

    /// Reads a 32-bit general register.
    #[inline(always)]
    pub(crate) fn r32(&self, n: Num) -> u32 {
        self.gpr[n as usize] as u32
    }

    /// Writes a 32-bit general register, which clears its upper half.
    #[inline(always)]
    pub(crate) fn set_r32(&mut self, n: Num, value: u32) {
        self.gpr[n as usize] = u64::from(value);
    }

    /// Reads a 64-bit general register.
    #[inline(always)]
    pub(crate) fn r64(&self, n: Num) -> u64 {
        self.gpr[n as usize]
    }

    /// Writes a 64-bit general register.
    #[inline(always)]
    pub(crate) fn set_r64(&mut self, n: Num, value: u64) {
        self.gpr[n as usize] = value;
    }
}
