//! Exceptions: what the core could not go on from (`arch/x86/kernel/traps.c`, `arch/x86/mm/fault.c`).

use callgate_emulator::{Exception, dr6, vector};
use callgate_uapi::signal::{SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGTRAP, SigFields, SigInfo, code};
use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter, Mnemonic};

use crate::Task;
use crate::mm::{Access, FaultError, TASK_SIZE};

impl Task {
    /// Brings in the page that a fault is about; false if it is something else, or nothing to mend.
    pub(super) fn mend_page_fault(&mut self, exception: &Exception) -> bool {
        exception.vector == vector::PF
            && exception.address < TASK_SIZE
            && self
                .mm
                .borrow_mut()
                .handle_fault(exception.address, Access::from_error_code(exception.error_code.unwrap_or(0)))
                .is_ok()
    }

    /// Handles an exception that user code raised; `regs` are its registers.
    pub(crate) fn handle_exception(&mut self, exception: &Exception) {
        let ip = self.regs.ip;
        if exception.vector == vector::GP && exception.error_code == Some(0) && self.fixup_umip_exception() {
            return;
        }
        self.remember_fault(exception);
        match exception.vector {
            vector::PF => self.page_fault(exception),
            vector::DE => self.force_fault(SIGFPE, code::FPE_INTDIV, ip),
            vector::DB => {
                // A step, a breakpoint, or `int1`, of which DR6 says nothing (`get_si_code`).
                let cause = std::mem::replace(&mut self.cpu.dr[6], dr6::FIXED);
                let reason = match () {
                    () if cause & dr6::BS != 0 => code::TRAP_TRACE,
                    () if cause & dr6::BREAKPOINTS != 0 => code::TRAP_HWBKPT,
                    () => code::TRAP_BRKPT,
                };
                self.force_fault(SIGTRAP, reason, ip);
            }
            vector::BP => self.force_signal(SigInfo {
                signo: SIGTRAP,
                code: code::SI_KERNEL,
                fields: SigFields::None,
                ..SigInfo::default()
            }),
            vector::UD => {
                if exception.missing {
                    self.report_missing_instruction();
                }
                self.force_fault(SIGILL, code::ILL_ILLOPN, ip);
            }
            vector::MF | vector::XM => {
                let reason = self.float_reason(exception.vector);
                self.force_fault(SIGFPE, reason, ip);
            }
            vector::AC => self.force_fault(SIGBUS, code::BUS_ADRALN, 0),
            vector::SS | vector::NP | vector::TS => self.force_fault(SIGBUS, code::SI_KERNEL, 0),
            // #GP, #OF, #BR and whatever else there is.
            _ => self.force_signal(SigInfo {
                signo: SIGSEGV,
                code: code::SI_KERNEL,
                fields: SigFields::Fault { addr: 0 },
                ..SigInfo::default()
            }),
        }
    }

    /// Handles `int n` from user code: only the gates of #BP, #OF and 0x80 are open to ring 3.
    pub(super) fn handle_interrupt(&mut self, n: u8) {
        if n == vector::BP {
            self.handle_exception(&Exception::new(vector::BP));
            return;
        }
        if n == vector::OF {
            self.handle_exception(&Exception::new(vector::OF));
            return;
        }
        // A closed gate is #GP at the instruction, which is two bytes long; the error code names the
        // gate: its index, and the bit for the IDT.
        self.regs.ip = self.regs.ip.wrapping_sub(2);
        self.regs_changed = true;
        self.handle_exception(&Exception::with_code(vector::GP, u32::from(n) << 3 | 2));
    }

    /// Keeps what a signal frame will tell about the exception.
    pub(super) fn remember_fault(&self, exception: &Exception) {
        let fault = &mut self.link.attr.borrow_mut().last_fault;
        fault.vector = exception.vector.into();
        fault.error_code = exception.error_code.unwrap_or(0).into();
        if exception.vector == vector::PF {
            fault.cr2 = exception.address;
            // Whether a kernel address is mapped is nobody's business: Linux always says that it is.
            if exception.address >= TASK_SIZE {
                fault.error_code |= 1;
            }
        }
    }

    fn page_fault(&mut self, exception: &Exception) {
        let (address, access) = (exception.address, Access::from_error_code(exception.error_code.unwrap_or(0)));
        let error = self.mm.borrow_mut().handle_fault(address, access).err();
        match error {
            None => {}
            Some(FaultError::Unmapped) => self.force_fault(SIGSEGV, code::SEGV_MAPERR, address),
            Some(FaultError::Denied) => self.force_fault(SIGSEGV, code::SEGV_ACCERR, address),
            Some(FaultError::Beyond) => self.force_fault(SIGBUS, code::BUS_ADRERR, address),
            Some(FaultError::NoMemory) => {
                self.kernel.log(&format!(
                    "out of memory: killed process {} ({}); --max-memory gives a machine more",
                    self.tgid(),
                    self.link.comm.borrow()
                ));
                self.do_group_exit(SIGKILL);
            }
        }
    }

    /// si_code of #MF and #XM, from the flags that are set and not masked.
    fn float_reason(&self, raised: u8) -> i32 {
        let unmasked = if raised == vector::XM {
            self.cpu.mxcsr & !(self.cpu.mxcsr >> 7) & 0x3f
        } else {
            u32::from(self.cpu.fpu.status_word() & !self.cpu.fpu.control & 0x3f)
        };
        // Invalid, denormal, divide by zero, overflow, underflow, precision.
        [
            (1, code::FPE_FLTINV),
            (4, code::FPE_FLTDIV),
            (8, code::FPE_FLTOVF),
            (0x12, code::FPE_FLTUND),
            (0x20, code::FPE_FLTRES),
        ]
        .into_iter()
        .find_map(|(bits, reason)| (unmasked & bits != 0).then_some(reason))
        .unwrap_or(0)
    }

    /// Whether the instruction at `regs.ip`, which raised #UD, is a real one that the core lacks.
    /// Through the IDT only the vector comes; ud0, ud1 and ud2 raise it by their meaning.
    pub(super) fn lacks_instruction(&self) -> bool {
        let mut bytes = [0; 15];
        let n = self.mm.borrow().space.peek(self.regs.ip, &mut bytes);
        let instruction = Decoder::new(64, &bytes[..n], DecoderOptions::NONE).decode();
        !matches!(
            instruction.mnemonic(),
            Mnemonic::INVALID | Mnemonic::Ud0 | Mnemonic::Ud1 | Mnemonic::Ud2 | Mnemonic::Vmcall
        )
    }

    /// Says which instruction the core lacks: a program that dies of it should not be a riddle.
    fn report_missing_instruction(&self) {
        let ip = self.regs.ip;
        let mut bytes = [0; 15];
        let n = self.mm.borrow().space.peek(ip, &mut bytes);
        let mut decoder = Decoder::with_ip(64, &bytes[..n], ip, DecoderOptions::NONE);
        let instruction = decoder.decode();
        let mut text = String::new();
        IntelFormatter::new().format(&instruction, &mut text);
        let hex: Vec<String> = bytes[..instruction.len().min(n)].iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("{} ({text})", hex.join(" "));
        self.kernel.log(&format!(
            "#UD at {ip:#x} in process {} ({}): this core lacks {text}",
            self.tgid(),
            self.link.comm.borrow()
        ));
        self.kernel.observe(|observer| observer.missing_instruction(self, ip, &text));
    }
}
