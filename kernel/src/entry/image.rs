//! The image route: the core runs the kernel image in ring 0.
//!
//! Every address space has the image mapped in its upper half, and the kernel stack of each task that
//! runs in it. The processor enters through IA32_LSTAR or the IDT; the image's code saves `pt_regs`
//! on the stack, looks the number up in the table in memory, and calls a stub; the stub's hypercall
//! comes to [`Task::handle_hypercall`], which reads `pt_regs` from that stack.
//!
//! A parked call leaves rip at the hypercall, which is executed again when the task is woken.

use callgate_abi::PtRegs;
use callgate_abi::image::{Hypercall, KernelImage};
use callgate_emulator::{Delivery, Exception, Frame, Memory, PageFlags, Privilege, Space, reg, seg, vector};
use zerocopy::{FromBytes, IntoBytes};

use super::{Turn, invoke, restore};
use crate::sched::TaskState;
use crate::syscalls::{ENTRY_POINTS, KERNEL_IMAGE};
use crate::{Errno, Result, Task};

/// Kernel stacks lie here, one a task id.
const STACKS: u64 = 0xffff_c900_0000_0000;
/// From one task's stack to the next: the stack and as much again unmapped below it.
const STACK_STRIDE: u64 = 0x8000;
/// Bytes of a kernel stack (THREAD_SIZE).
const STACK_SIZE: u64 = 0x4000;
const PAGE: u64 = 4096;
/// `vmcall`, three bytes.
const HYPERCALL_LEN: u64 = 3;

const KERNEL_CS: u16 = 0x10;
const KERNEL_DS: u16 = 0x18;
const TSS_SELECTOR: u16 = 0x40;
/// IA32_STAR: sysret's base selector, and syscall's.
const STAR: u64 = (0x23 << 48) | (0x10 << 32);
/// IA32_FMASK: every flag that must not leak into the kernel.
const FMASK: u64 = 0x0025_7fd5;
/// CR4.DE: DR4 and DR5 are not there.
const DE: u64 = 1 << 3;
/// CR4.UMIP: programs don't learn where system tables are.
const UMIP: u64 = 1 << 11;
/// Offset of the last byte of the global descriptor table's 16 descriptors.
const GDT_LIMIT: u16 = 0x7f;
/// IA32_EFER: SCE, LME, LMA, NXE.
const EFER: u64 = 0xd01;

/// The global descriptor table in memory. Instructions of ring 3 that load segments read it on the direct route too,
/// where nothing else of the image is there.
pub struct GdtInMemory {
    address: u64,
    frame: Frame,
}

impl GdtInMemory {
    /// Loads the image's table into a frame.
    ///
    /// # Errors
    /// ENOMEM without memory; ENOEXEC if the image lacks the table.
    pub(crate) fn load(memory: &Memory) -> Result<GdtInMemory> {
        let address = KERNEL_IMAGE.symbol("gdt_page").map(|symbol| symbol.addr).ok_or(Errno::ENOEXEC)?;
        let bytes = KERNEL_IMAGE.segments.iter().find_map(|segment| {
            let at = usize::try_from(address.checked_sub(segment.addr)?).ok()?;
            segment.data.get(at..at + usize::from(GDT_LIMIT) + 1)
        });
        let frame = memory.alloc().ok_or(Errno::ENOMEM)?;
        frame.write(0, bytes.ok_or(Errno::ENOEXEC)?);
        Ok(GdtInMemory { address, frame })
    }
}

/// A task's kernel stack.
#[derive(Default)]
pub struct KernelStack {
    frames: Vec<Frame>,
}

/// The kernel image in memory: its frames are mapped into every address space.
pub struct ImageInMemory {
    pages: Vec<(u64, Frame, PageFlags)>,
    image: &'static KernelImage,
    entry_syscall_64: u64,
    idt: u64,
    gdt: u64,
    tss: u64,
    pcpu: u64,
    /// Where a task that the kernel has made goes to user mode.
    return_to_user_mode: u64,
}

impl ImageInMemory {
    /// Loads the generated image into frames.
    ///
    /// # Errors
    /// ENOMEM without memory; ENOEXEC if the image lacks a symbol.
    pub(crate) fn load(memory: &Memory) -> Result<ImageInMemory> {
        let image = &KERNEL_IMAGE;
        let address = |name: &str| image.symbol(name).map(|symbol| symbol.addr).ok_or(Errno::ENOEXEC);
        let mut pages = Vec::new();
        for segment in image.segments {
            let mut flags = PageFlags::empty();
            flags.set(PageFlags::WRITE, segment.writable);
            flags.set(PageFlags::EXEC, segment.executable);
            for offset in (0..segment.mem_size).step_by(PAGE as usize) {
                let frame = memory.alloc().ok_or(Errno::ENOMEM)?;
                let data = segment.data.get(offset as usize..).unwrap_or_default();
                frame.write(0, &data[..data.len().min(PAGE as usize)]);
                pages.push((segment.addr + offset, frame, flags));
            }
        }
        Ok(ImageInMemory {
            pages,
            image,
            entry_syscall_64: address("entry_SYSCALL_64")?,
            idt: address("idt_table")?,
            gdt: address("gdt_page")?,
            tss: address("cpu_tss_rw")?,
            pcpu: address("pcpu_hot")?,
            return_to_user_mode: address("swapgs_restore_regs_and_return_to_usermode")?,
        })
    }
}

fn stack_top(pid: i32) -> u64 {
    STACKS + pid as u64 * STACK_STRIDE + STACK_STRIDE
}

impl Task {
    /// Maps the image and this task's kernel stack into its address space; on the direct route, the descriptor table alone.
    pub(crate) fn map_kernel(&mut self) {
        let Some(image) = self.kernel.image.clone() else {
            if let Some(gdt) = &self.kernel.gdt {
                self.mm.borrow_mut().space.map(gdt.address, gdt.frame.clone(), PageFlags::empty());
            }
            return;
        };
        let mut mm = self.mm.borrow_mut();
        for (addr, frame, flags) in &image.pages {
            mm.space.map(*addr, frame.clone(), *flags);
        }
        if self.kernel_stack.frames.is_empty() {
            let frames = (0..STACK_SIZE / PAGE).map_while(|_| self.kernel.memory.alloc());
            self.kernel_stack.frames = frames.collect();
        }
        let bottom = stack_top(self.link.pid) - STACK_SIZE;
        for (i, frame) in self.kernel_stack.frames.iter().enumerate() {
            mm.space.map(bottom + i as u64 * PAGE, frame.clone(), PageFlags::WRITE);
        }
    }

    /// Takes this task's kernel stack out of its address space again: others may go on in it.
    pub(crate) fn unmap_kernel(&mut self) {
        if !self.kernel_stack.frames.is_empty() {
            self.mm.borrow_mut().space.unmap_range(stack_top(self.link.pid) - STACK_SIZE, STACK_SIZE);
            self.kernel_stack.frames.clear();
        }
    }

    /// Tells the processor where this task's kernel stack is (`update_task_stack`): on every switch.
    pub(crate) fn switch_to(&mut self) {
        let Some(image) = self.kernel.image.clone() else { return };
        let top = stack_top(self.link.pid).to_le_bytes();
        let space = &mut self.mm.borrow_mut().space;
        poke(space, image.pcpu, &top);
        poke(space, image.tss + 4, &top);
    }

    /// Sets up the processor of a new machine: the MSRs, the IDT, the task register.
    pub(crate) fn boot_cpu(&mut self) {
        let cpu = &mut self.cpu;
        cpu.msr.efer = EFER;
        cpu.msr.star = STAR;
        cpu.msr.fmask = FMASK;
        cpu.cr4 |= DE;
        if self.kernel.cpu.feature_names().any(|name| name == "umip") {
            cpu.cr4 |= UMIP;
        }
        let Some(image) = self.kernel.image.clone() else {
            cpu.delivery = Delivery::Exit;
            cpu.seg[seg::CS].selector = super::USER_CS as u16;
            cpu.seg[seg::SS].selector = super::USER_DS as u16;
            if let Some(gdt) = &self.kernel.gdt {
                (cpu.gdtr.base, cpu.gdtr.limit) = (gdt.address, GDT_LIMIT);
            }
            return;
        };
        cpu.delivery = Delivery::Idt;
        cpu.msr.lstar = image.entry_syscall_64;
        (cpu.idtr.base, cpu.idtr.limit) = (image.idt, 256 * 16 - 1);
        (cpu.gdtr.base, cpu.gdtr.limit) = (image.gdt, GDT_LIMIT);
        cpu.tr_base = image.tss;
        cpu.tr = TSS_SELECTOR;
        cpu.cpl = 0;
        cpu.seg[seg::CS].selector = KERNEL_CS;
        cpu.seg[seg::SS].selector = KERNEL_DS;
        cpu.seg[seg::GS].base = image.pcpu;
        cpu.msr.kernel_gs_base = 0;
    }

    /// Puts `regs` on the kernel stack and the core before the code that pops them.
    pub(super) fn enter_user_mode_by_image(&mut self) {
        let Some(image) = self.kernel.image.clone() else { return };
        let sp = stack_top(self.link.pid) - size_of::<PtRegs>() as u64;
        poke(&mut self.mm.borrow_mut().space, sp, self.regs.as_bytes());
        self.cpu.gpr[reg::RSP] = sp;
        self.cpu.rip = image.return_to_user_mode;
    }

    /// Handles a hypercall: eax is its number, rdi points to `pt_regs`, rax gets the answer.
    ///
    /// # Errors
    /// What is wrong with the image, if it asks for something that isn't there.
    pub(crate) fn handle_hypercall(&mut self) -> Result<Turn, String> {
        let number = self.cpu.gpr[reg::RAX] as u32;
        let pt_regs = self.cpu.gpr[reg::RDI];
        let image = self.kernel.image.clone().ok_or("a hypercall without an image")?;
        let call = *image.image.hypercalls.get(number as usize).ok_or_else(|| format!("no hypercall {number}"))?;
        let mut bytes = [0; size_of::<PtRegs>()];
        self.mm
            .borrow_mut()
            .space
            .read(pt_regs, &mut bytes, Privilege::Supervisor)
            .map_err(|_| format!("pt_regs at {pt_regs:#x} are not mapped"))?;
        self.regs = PtRegs::read_from_bytes(&bytes).map_err(|error| error.to_string())?;
        self.regs_changed = false;
        match call {
            Hypercall::Syscall(index) => {
                let args = self.regs.syscall_args();
                return self.call_from_image(index, &args, pt_regs);
            }
            Hypercall::Ia32Syscall(index) => {
                let args = self.regs.ia32_args();
                return self.call_from_image(index, &args, pt_regs);
            }
            Hypercall::Exception(vector) => {
                let error_code = Some(self.cpu.gpr[reg::RSI] as u32);
                if self.regs.cs & 3 == 0 {
                    return Err(format!("exception {vector} in the kernel image at {:#x}", self.regs.ip));
                }
                let address = if vector == vector::PF { self.cpu.cr2 } else { 0 };
                let mut exception = Exception { error_code, address, ..Exception::new(vector) };
                exception.missing = vector == vector::UD && self.lacks_instruction();
                if !self.mend_page_fault(&exception) {
                    self.handle_exception(&exception);
                }
                self.exit_to_user_mode();
            }
            Hypercall::ExitToUserMode => {
                self.exit_to_user_mode();
                if self.link.state.get() == TaskState::Stopped {
                    // Continued, it looks for signals again before it goes on; its call has been
                    // dealt with.
                    (self.regs.orig_ax, self.regs_changed) = (u64::MAX, true);
                    self.cpu.rip = self.cpu.rip.wrapping_sub(HYPERCALL_LEN);
                }
            }
        }
        self.write_back(pt_regs);
        Ok(Turn::Continue)
    }

    /// Runs the handler that a stub asks for.
    fn call_from_image(&mut self, index: usize, args: &[u64; 6], pt_regs: u64) -> Result<Turn, String> {
        let handler = ENTRY_POINTS.get(index).ok_or_else(|| format!("no entry point {index}"))?;
        let nr = u64::from(self.regs.orig_ax as u32);
        match invoke(self, nr, handler, args) {
            None => {
                self.cpu.rip = self.cpu.rip.wrapping_sub(HYPERCALL_LEN);
                // The number's register was not overwritten: the hypercall is executed again.
                Ok(Turn::Parked)
            }
            Some(result) => {
                self.cpu.gpr[reg::RAX] = result as u64;
                self.write_back(pt_regs);
                Ok(Turn::Continue)
            }
        }
    }

    /// Puts changed registers back into the `pt_regs` that the image will pop.
    fn write_back(&mut self, pt_regs: u64) {
        if std::mem::take(&mut self.regs_changed) && self.link.state.get() != TaskState::Dead {
            // After execve the stack is mapped in the new address space, at the same place.
            poke(&mut self.mm.borrow_mut().space, pt_regs, self.regs.as_bytes());
        }
    }

    /// Delivers what is pending to a task that was interrupted in user mode.
    pub(crate) fn interrupted_in_user_mode(&mut self) {
        self.check_cpu_timers();
        if self.cpu.cpl == 3 && (self.signal_pending() || self.saved_sigmask.is_some()) {
            self.regs = super::save(&self.cpu, u64::MAX, super::USER_CS, super::USER_DS);
            self.exit_to_user_mode();
            if std::mem::take(&mut self.regs_changed) {
                restore(&mut self.cpu, &self.regs);
            }
        }
    }
}

/// Writes to a page of the kernel half, which is always there.
fn poke(space: &mut Space, addr: u64, bytes: &[u8]) {
    let written = space.write(addr, bytes, Privilege::Supervisor);
    debug_assert!(written.is_ok(), "kernel address {addr:#x} is not mapped");
}
