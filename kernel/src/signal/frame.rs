//! Signal frames: what a handler finds on its stack, and rt_sigreturn(2), which undoes it.
//!
//! Linux writes `struct rt_sigframe` below the stack pointer and 128 bytes of red zone: the return
//! address (the restorer, which calls rt_sigreturn), a `ucontext` with all registers and the signal
//! mask, the `siginfo`, and above them the vector and floating-point state that the context points
//! to: an FXSAVE image, or where the processor has XSAVE its area, which two magic numbers mark.
//! rt_sigreturn believes what it finds there, but for what would give a program more than user mode.

use callgate_abi::{Errno, SYSCALL_DEFINE0, UserMemory, UserPtr};
use callgate_emulator::{CpuModel, Exception, XSAVE_SIZE, vector};
use callgate_uapi::signal::sigframe::{
    FRAME_SIZE, FpxSwBytes, INFO_OFFSET, RtSigFrame, SigContext, StackT, UC_OFFSET, UContext,
};
use callgate_uapi::signal::{SIGSEGV, SaFlags, SigAction, SigInfo, SigSet};
use zerocopy::{FromBytes, IntoBytes};

use super::stack::set_sigaltstack;
use crate::entry::{USER_CS, USER_DS};
use crate::{Result, Task};

/// Below the stack pointer, a function may use this much without moving it (System V ABI).
const RED_ZONE: u64 = 128;
const FXSAVE_SIZE: usize = 512;
/// What FXRSTOR and XRSTOR want of an address.
const FXSAVE_ALIGN: u64 = 16;
const XSAVE_ALIGN: u64 = 64;

/// The area is XSAVE's.
const UC_FP_XSTATE: u64 = 1;
/// In the image's bytes that are left to software: says that an XSAVE area is here …
const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
/// … and after the area, so that a copy that was cut short is noticed.
const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;
const MAGIC2_SIZE: usize = size_of::<u32>();
/// Where `struct _fpx_sw_bytes` is in the image.
const SW_BYTES_AT: usize = 464;
/// Where the area says which components it holds.
const XSTATE_BV_AT: usize = 512;
/// x87 and SSE state.
const XFEATURES_FPSSE: u64 = 3;

/// `ss` in the context is valid.
const UC_SIGCONTEXT_SS: u64 = 2;
/// rt_sigreturn shall load `ss` as it is there.
const UC_STRICT_RESTORE_SS: u64 = 4;

/// The processor's trap, direction and resume flags.
const FLAGS_TF: u64 = 1 << 8;
const FLAGS_DF: u64 = 1 << 10;
const FLAGS_RF: u64 = 1 << 16;
/// What a program may change by rt_sigreturn: AC, OF, DF, TF, SF, ZF, AF, PF, CF, RF.
const FIX_EFLAGS: u64 = 1 << 18 | 1 << 11 | FLAGS_DF | FLAGS_TF | 1 << 7 | 1 << 6 | 1 << 4 | 1 << 2 | 1 | FLAGS_RF;

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    frame: u64,
    fpstate: u64,
}

/// Bytes of the floating-point state in a frame.
fn fpstate_size(cpu: CpuModel) -> usize {
    if cpu.has_xsave() { cpu.xsave_size() + MAGIC2_SIZE } else { FXSAVE_SIZE }
}

/// The most that a handler's frame needs of a stack, however that is aligned (`get_sigframe_size`).
pub fn most_of_a_frame(cpu: CpuModel) -> u64 {
    (FRAME_SIZE + fpstate_size(cpu) as u64 + 8 + 15 + 63).next_multiple_of(16)
}

/// Puts the frame below `sp`: the floating-point state on a 64-byte boundary, and the frame so that the
/// handler begins as a called function does, with the stack 16-byte aligned but for the return
/// address.
fn place_below(sp: u64, fpstate_size: usize) -> Place {
    let fpstate = sp.wrapping_sub(fpstate_size as u64) & !63;
    let frame = (fpstate.wrapping_sub(FRAME_SIZE) & !15).wrapping_sub(8);
    Place { frame, fpstate }
}

impl Task {
    /// Where the frame for a handler goes (`get_sigframe`).
    fn get_sigframe(&self, action: &SigAction) -> Result<Place> {
        let sp = self.regs.sp;
        let alt = &self.sigaltstack;
        let nested = alt.is_active(sp);
        let entering = action.flags().contains(SaFlags::SA_ONSTACK) && !nested && alt.size != 0;
        let top = if entering { alt.sp.wrapping_add(alt.size) } else { sp.wrapping_sub(RED_ZONE) };
        let place = place_below(top, fpstate_size(self.kernel.cpu));
        // An alternate stack that overflows must not be left by accident: that ends the program.
        if (nested || entering) && !alt.contains(place.frame) {
            return Err(Errno::EFAULT);
        }
        Ok(place)
    }

    /// Writes the frame of a signal and points the registers at its handler.
    pub(super) fn setup_rt_frame(&mut self, info: &SigInfo, action: &SigAction) -> Result<()> {
        // User code on x86-64 brings its own way back: there is no other.
        if !action.flags().contains(SaFlags::SA_RESTORER) {
            return Err(Errno::EFAULT);
        }
        let place = self.get_sigframe(action)?;
        self.save_fpstate(place.fpstate)?;
        let xstate = if self.kernel.cpu.has_xsave() { UC_FP_XSTATE } else { 0 };
        let mask = self.saved_sigmask.unwrap_or(self.blocked);
        let frame = RtSigFrame {
            pretcode: action.restorer,
            uc: UContext {
                flags: xstate | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
                link: 0,
                stack: StackT {
                    sp: self.sigaltstack.sp,
                    flags: self.sigaltstack.flags,
                    pad: 0,
                    size: self.sigaltstack.size,
                },
                mcontext: self.sigcontext(mask, place.fpstate),
                sigmask: mask,
            },
            info: info.to_bytes(),
        };
        // The siginfo is there only for handlers that ask for it.
        let len = if action.flags().contains(SaFlags::SA_SIGINFO) { FRAME_SIZE } else { INFO_OFFSET };
        self.copy_to_user(place.frame, &frame.as_bytes()[..len as usize]).map_err(|_| Errno::EFAULT)?;

        let regs = &mut self.regs;
        regs.di = info.signo as u64;
        regs.ax = 0;
        regs.si = place.frame.wrapping_add(INFO_OFFSET);
        regs.dx = place.frame.wrapping_add(UC_OFFSET);
        regs.ip = action.handler;
        regs.sp = place.frame;
        regs.cs = USER_CS;
        regs.ss = USER_DS;
        regs.flags &= !(FLAGS_DF | FLAGS_RF | FLAGS_TF);
        self.regs_changed = true;
        // A handler begins with a fresh floating-point unit.
        self.cpu.reset_fpu();
        Ok(())
    }

    /// Writes the vector and floating-point state (`copy_fpstate_to_sigframe`).
    fn save_fpstate(&mut self, address: u64) -> Result<()> {
        if !self.kernel.cpu.has_xsave() {
            let image = self.cpu.fxsave();
            return self.copy_to_user(address, &image).map_err(|_| Errno::EFAULT);
        }
        let size = self.kernel.cpu.xsave_size();
        let sw = FpxSwBytes {
            magic1: FP_XSTATE_MAGIC1,
            extended_size: (size + MAGIC2_SIZE) as u32,
            xfeatures: self.cpu.xcr0,
            xstate_size: size as u32,
            padding: [0; 7],
        };
        let mut area = [0; XSAVE_SIZE + MAGIC2_SIZE];
        area[..XSAVE_SIZE].copy_from_slice(&self.cpu.xsave());
        area[SW_BYTES_AT..FXSAVE_SIZE].copy_from_slice(sw.as_bytes());
        // Handlers that know FXSAVE only change what they find there: it always counts as held.
        area[XSTATE_BV_AT] |= XFEATURES_FPSSE as u8;
        let area = &mut area[..size + MAGIC2_SIZE];
        area[size..].copy_from_slice(&FP_XSTATE_MAGIC2.to_le_bytes());
        self.copy_to_user(address, area).map_err(|_| Errno::EFAULT)
    }

    /// Loads the vector and floating-point state of a frame (`fpu__restore_sig`).
    fn restore_fpstate(&mut self, address: u64) -> Result<()> {
        let size = self.kernel.cpu.xsave_size();
        let mut area = [0; XSAVE_SIZE + MAGIC2_SIZE];
        self.copy_from_user(&mut area[..FXSAVE_SIZE], address).map_err(|_| Errno::EFAULT)?;
        let sw = FpxSwBytes::read_from_bytes(&area[SW_BYTES_AT..FXSAVE_SIZE]).unwrap_or_default();
        let extended = self.kernel.cpu.has_xsave()
            && sw.magic1 == FP_XSTATE_MAGIC1
            && sw.xstate_size as usize == size
            && sw.extended_size as usize >= size;
        // The instructions that Linux loads it with, straight from the frame, want it aligned.
        if !address.is_multiple_of(if extended { XSAVE_ALIGN } else { FXSAVE_ALIGN }) {
            return Err(Errno::EFAULT);
        }
        if extended {
            let rest = address.wrapping_add(FXSAVE_SIZE as u64);
            self.copy_from_user(&mut area[FXSAVE_SIZE..size + MAGIC2_SIZE], rest).map_err(|_| Errno::EFAULT)?;
        }
        if extended && area[size..size + MAGIC2_SIZE] == FP_XSTATE_MAGIC2.to_le_bytes() {
            let mut state = [0; XSAVE_SIZE];
            state[..size].copy_from_slice(&area[..size]);
            // What the frame does not claim to hold is reset.
            let known = self.cpu.xcr0;
            state[XSTATE_BV_AT] &= (sw.xfeatures & known | !known) as u8;
            return self.cpu.xrstor(&state).map_err(|_| Errno::EFAULT);
        }
        // An image alone: the rest is reset.
        let mut image = [0; FXSAVE_SIZE];
        image.copy_from_slice(&area[..FXSAVE_SIZE]);
        let mut fresh = self.cpu.clone();
        fresh.reset_fpu();
        fresh.fxrstor(&image).map_err(|_| Errno::EFAULT)?;
        self.cpu = fresh;
        Ok(())
    }

    fn sigcontext(&self, mask: SigSet, fpstate: u64) -> SigContext {
        let regs = &self.regs;
        let fault = self.link.attr.borrow().last_fault;
        SigContext {
            r8: regs.r8,
            r9: regs.r9,
            r10: regs.r10,
            r11: regs.r11,
            r12: regs.r12,
            r13: regs.r13,
            r14: regs.r14,
            r15: regs.r15,
            di: regs.di,
            si: regs.si,
            bp: regs.bp,
            bx: regs.bx,
            dx: regs.dx,
            ax: regs.ax,
            cx: regs.cx,
            sp: regs.sp,
            ip: regs.ip,
            flags: regs.flags,
            cs: regs.cs as u16,
            gs: 0,
            fs: 0,
            ss: regs.ss as u16,
            err: fault.error_code,
            trapno: fault.vector,
            oldmask: mask.0,
            cr2: fault.cr2,
            fpstate,
            reserved: [0; 8],
        }
    }

    /// Loads what rt_sigreturn finds in a frame (`restore_sigcontext`), and gives the first selector that is none of a
    /// 64-bit program.
    fn restore_sigcontext(&mut self, sc: &SigContext, uc_flags: u64) -> Result<Option<u64>> {
        let (cs, ss) = (u64::from(sc.cs) | 3, u64::from(sc.ss) | 3);
        let regs = &mut self.regs;
        regs.r8 = sc.r8;
        regs.r9 = sc.r9;
        regs.r10 = sc.r10;
        regs.r11 = sc.r11;
        regs.r12 = sc.r12;
        regs.r13 = sc.r13;
        regs.r14 = sc.r14;
        regs.r15 = sc.r15;
        regs.di = sc.di;
        regs.si = sc.si;
        regs.bp = sc.bp;
        regs.bx = sc.bx;
        regs.dx = sc.dx;
        regs.ax = sc.ax;
        regs.cx = sc.cx;
        regs.sp = sc.sp;
        regs.ip = sc.ip;
        regs.flags = regs.flags & !FIX_EFLAGS | sc.flags & FIX_EFLAGS;
        regs.orig_ax = u64::MAX;
        regs.cs = USER_CS;
        regs.ss = USER_DS;
        self.regs_changed = true;
        if sc.fpstate == 0 {
            self.cpu.reset_fpu();
        } else {
            self.restore_fpstate(sc.fpstate)?;
        }
        let wrong = match () {
            () if cs != USER_CS => Some(cs),
            () if uc_flags & UC_STRICT_RESTORE_SS != 0 && ss != USER_DS => Some(ss),
            () => None,
        };
        Ok(wrong)
    }
}

/// rt_sigreturn(2): returns from a handler to what the signal interrupted.
#[SYSCALL_DEFINE0(rt_sigreturn)]
pub fn rt_sigreturn(task: &mut Task) -> i64 {
    // The handler's `ret` has taken the return address off the stack.
    let frame = task.regs.sp.wrapping_sub(8);
    let restored = UserPtr::<UContext>::new(frame.wrapping_add(UC_OFFSET)).read(task).and_then(|uc| {
        task.set_blocked(uc.sigmask);
        task.link.attr.borrow_mut().restart_block = None;
        let wrong = task.restore_sigcontext(&uc.mcontext, uc.flags)?;
        // As on Linux, a stack that can't be set is no error: the frame has only what was there.
        let sp = task.regs.sp;
        let _ = set_sigaltstack(&mut task.sigaltstack, &uc.stack, sp);
        Ok(wrong)
    });
    match restored {
        Ok(wrong) => {
            if let Some(selector) = wrong {
                // Linux finds that out by its `iretq`, whose #GP it takes for the program's.
                task.handle_exception(&Exception::with_code(vector::GP, selector as u32 & !3));
            }
            task.regs.ax as i64
        }
        Err(_) => {
            task.force_signal(SigInfo::kernel(SIGSEGV));
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_aligned_as_the_abi_wants() {
        for sp in 0x7fff_ffff_0000u64..0x7fff_ffff_0080 {
            for size in [CpuModel::V2, CpuModel::V3].map(fpstate_size) {
                let Place { frame, fpstate } = place_below(sp, size);
                assert_eq!(fpstate % 64, 0);
                assert_eq!((frame + 8) % 16, 0);
                assert!(frame + FRAME_SIZE <= fpstate && fpstate + size as u64 <= sp);
            }
        }
    }
}
