//! One system call on its way, in the seven steps in which the way is usually told.

use std::collections::VecDeque;

use callgate_abi::image::Hypercall;
use callgate_abi::{Handler, Metadata};
use callgate_emulator::{Cpu, reg};
use callgate_kernel::syscalls::{self, ENTRY_POINTS, KERNEL_IMAGE};
use callgate_kernel::{Step, Task};
use iced_x86::{FlowControl, Mnemonic, Register};

use super::Tools;
use super::effects::value;
use super::places::{Memory, Places};
use super::processor;
use super::screen::Screen;
use crate::asm::Decoded;
use crate::color::Tone;
use crate::trace::{arguments, call_name};

/// By which instruction the kernel was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `syscall`.
    Syscall,
    /// `int 0x80`, with the numbers and registers of i386.
    Int80,
}

/// The steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Lookup = 4,
    Handler = 5,
    Answer = 6,
    Return = 7,
}

/// A call that is being shown.
pub(super) struct Walk {
    kind: Kind,
    nr: u64,
    handler: &'static Handler<Task>,
    args: [u64; 6],
    name: String,
    stage: Stage,
    /// The function whose instructions are being shown.
    function: Option<&'static str>,
    /// Instructions that were left out since the last one shown.
    skipped: u64,
    /// Registers that were cleared since the last instruction shown.
    cleared: Vec<Register>,
    answered: bool,
}

impl Kind {
    /// The registers of the arguments.
    fn registers(self) -> [Register; 6] {
        match self {
            Kind::Syscall => [Register::RDI, Register::RSI, Register::RDX, Register::R10, Register::R8, Register::R9],
            Kind::Int80 => [Register::EBX, Register::ECX, Register::EDX, Register::ESI, Register::EDI, Register::EBP],
        }
    }

    fn table(self) -> &'static str {
        match self {
            Kind::Syscall => "sys_call_table",
            Kind::Int80 => "ia32_sys_call_table",
        }
    }
}

fn lower(register: Register) -> String {
    format!("{register:?}").to_lowercase()
}

impl Walk {
    /// The call that a processor in this state asks for.
    pub(super) fn new(kind: Kind, cpu: &Cpu) -> Walk {
        let nr = u64::from(cpu.gpr[reg::RAX] as u32);
        let handler = match kind {
            Kind::Syscall => syscalls::lookup(nr),
            Kind::Int80 => syscalls::lookup_ia32(nr),
        };
        let args = kind.registers().map(|register| value(cpu, register).unwrap_or(0));
        let name = call_name(nr, handler);
        let (stage, function) = (Stage::Lookup, None);
        Walk { kind, nr, handler, args, name, stage, function, skipped: 0, cleared: Vec::new(), answered: false }
    }

    /// The call's name.
    pub(super) fn name(&self) -> &str {
        self.handler.name
    }

    /// Shows steps 1 to 3: up to the instruction that has just been executed.
    pub(super) fn begin(
        &self,
        screen: &mut Screen,
        tools: &mut Tools,
        step: &Step<'_>,
        decoded: &Decoded,
        recent: &VecDeque<(u64, [u64; 16])>,
        ordinal: u64,
    ) {
        let metadata = &self.handler.metadata();
        let memory = Memory(step.space);
        let texts = arguments(metadata, &self.args, None, &memory);
        screen.title(&format!("{ordinal}  {}({})", self.name, texts.join(", ")));

        screen.stage(1, "The program prepares the call");
        let mut function = None;
        for (at, &(addr, before)) in recent.iter().enumerate() {
            let Some(earlier) = tools.fetch(step.space, addr) else { continue };
            // What an instruction has done is told from the registers around it, and from the memory as it is now.
            let (next, after) =
                recent.get(at + 1).map_or((step.before.rip, &step.before.gpr), |(rip, gpr)| (*rip, gpr));
            let (before, after) = (with(step.before, before, addr), with(step.before, *after, next));
            let places = Places::new(&tools.names, step.space);
            let effect = match earlier.instruction.mnemonic() {
                // Its flags are not kept.
                Mnemonic::Cmp | Mnemonic::Test => String::new(),
                _ => tools.effects.of(&earlier.instruction, &before, &after, &places),
            };
            in_program(screen, tools, &mut function, addr, &earlier, &effect);
        }

        screen.stage(2, "The number and the arguments are in registers");
        self.registers(screen, step.before, metadata, &texts);

        let len = decoded.instruction.len();
        screen.stage(3, &format!("`{}`: the processor goes from ring 3 to ring 0", decoded.text));
        in_program(screen, tools, &mut None, step.before.rip, decoded, "");
        match self.kind {
            Kind::Syscall => processor::syscall(screen, step.before, step.after, len, &tools.names),
            Kind::Int80 => {
                let places = Places::new(&tools.names, step.space);
                processor::interrupt(screen, step.before, step.after, 0x80, &places, &tools.names);
            }
        }
        screen.stage(Stage::Lookup as u8, "The kernel saves the registers and looks the number up");
    }

    /// The number and the arguments by the roles of their registers.
    fn registers(&self, screen: &mut Screen, cpu: &Cpu, metadata: &Metadata, texts: &[String]) {
        let palette = screen.palette();
        let row = |register: Register, value: u64, c_type: &str, name: &str, text: &str| {
            let register = palette.paint(Tone::Name, lower(register));
            let typed = match c_type.ends_with('*') {
                _ if c_type.is_empty() => name.to_owned(),
                true => format!("{c_type}{name}"),
                false => format!("{c_type} {name}"),
            };
            let line = format!("    {register:<4} {:<20} {typed:<28} {text}", format!("{value:#x}"));
            line.trim_end().to_owned()
        };
        let nr = self.nr;
        let full = cpu.gpr[reg::RAX];
        let what = if self.handler.implemented { "" } else { " (not implemented)" };
        let text = format!("{nr}: {}, handled by {}{what}", self.name, metadata.entry);
        screen.line(row(Register::RAX, full, "", "the number", &text));
        let args = metadata.args.iter().zip(self.kind.registers()).zip(self.args).zip(texts);
        for (((arg, register), raw), text) in args {
            let mut c_type = String::new();
            // Writing to a string does not fail.
            let _ = arg.fmt_c_type(&mut c_type);
            screen.line(row(register, raw, &c_type, arg.name, text));
        }
    }

    /// Shows an instruction of ring 0.
    pub(super) fn inside(&mut self, screen: &mut Screen, tools: &mut Tools, step: &Step<'_>) {
        let addr = step.before.rip;
        let Some(decoded) = tools.fetch(step.space, addr) else { return };
        let places = Places::new(&tools.names, step.space);
        let (mnemonic, flow) = (decoded.instruction.mnemonic(), decoded.instruction.flow_control());
        let effect = match mnemonic {
            Mnemonic::Vmcall => hypercall(step.before),
            _ => tools.effects.of(&decoded.instruction, step.before, step.after, &places),
        };
        let key = self.is_key(tools, step, &decoded, &effect);
        let seen = !tools.seen.insert(addr);
        let clears = self.stage == Stage::Lookup
            && mnemonic == Mnemonic::Xor
            && decoded.instruction.op0_register() == decoded.instruction.op1_register();
        if !tools.full && clears && !seen {
            self.cleared.push(decoded.instruction.op0_register());
        } else if !tools.full && seen && !key {
            self.skipped += 1;
        } else {
            self.gathered(screen);
            self.name_function(screen, addr);
            screen.instruction(addr, &tools.offset(addr), &decoded.bytes, &decoded.text, &effect);
        }
        if mnemonic == Mnemonic::Vmcall {
            screen.live = self.stage == Stage::Handler;
            screen.depth = 0;
            screen.flush();
        }
        self.advance(screen, step, flow);
    }

    /// Whether an instruction is shown although it was shown before.
    fn is_key(&self, tools: &mut Tools, step: &Step<'_>, decoded: &Decoded, effect: &str) -> bool {
        let instruction = &decoded.instruction;
        match instruction.mnemonic() {
            Mnemonic::Swapgs | Mnemonic::Sysretq | Mnemonic::Iretq | Mnemonic::Vmcall => true,
            Mnemonic::Call => self.stage == Stage::Lookup,
            Mnemonic::Mov => {
                let stack = instruction.op0_register() == Register::RSP && instruction.segment_prefix() == Register::GS;
                let answer = self.stage == Stage::Answer && !tools.effects.stores(instruction, step.before).is_empty();
                stack || answer || effect.contains(self.kind.table())
            }
            _ => false,
        }
    }

    /// Says what was left out.
    fn gathered(&mut self, screen: &mut Screen) {
        if !self.cleared.is_empty() {
            let registers: Vec<String> = self.cleared.drain(..).map(lower).collect();
            let count = registers.len();
            screen
                .note(format_args!("{count} × xor r, r: nothing of the program's is left in {}", registers.join(" ")));
        }
        if self.skipped > 0 {
            let plural = if self.skipped == 1 { "" } else { "s" };
            screen.note(format_args!("… {} instruction{plural} as shown before", self.skipped));
            self.skipped = 0;
        }
    }

    fn name_function(&mut self, screen: &mut Screen, addr: u64) {
        let name = KERNEL_IMAGE.resolve(addr).map(|(symbol, _)| symbol.name);
        if name != self.function {
            self.function = name;
            screen.function(name.unwrap_or("?"));
        }
    }

    /// Goes on to the next step where the instruction leads there.
    fn advance(&mut self, screen: &mut Screen, step: &Step<'_>, flow: FlowControl) {
        let target = KERNEL_IMAGE.resolve(step.after.rip).map(|(symbol, _)| symbol.name);
        let is_handler = flow == FlowControl::IndirectCall || target == Some("sys_ni_syscall");
        match (self.stage, flow) {
            (Stage::Lookup, FlowControl::IndirectCall | FlowControl::Call) if is_handler => {
                self.enter(screen, Stage::Handler, "The handler checks its arguments and does the work");
            }
            (Stage::Handler, FlowControl::Return) => {
                self.enter(screen, Stage::Answer, "The answer is put where rax will be taken from");
            }
            _ => {}
        }
    }

    fn enter(&mut self, screen: &mut Screen, stage: Stage, title: &str) {
        self.gathered(screen);
        self.stage = stage;
        self.function = None;
        screen.stage(stage as u8, title);
    }

    /// Shows which handler the hypercall has led to.
    pub(super) fn handler(&self, screen: &mut Screen, task: &Task, handler: &'static Handler<Task>, args: &[u64; 6]) {
        let metadata = &handler.metadata();
        let text = format!("{}({})", call_name(self.nr, handler), arguments(metadata, args, None, task).join(", "));
        let palette = screen.palette();
        let place = match metadata.line {
            0 => String::new(),
            line => format!("{}:{line}", metadata.file),
        };
        let line = format!("    {:<66} {}", palette.paint(Tone::Name, text), palette.paint(Tone::Faint, place));
        screen.line(line.trim_end());
        if !metadata.doc.is_empty() {
            screen.note(format_args!("  {}", metadata.doc));
        }
        if !handler.implemented {
            screen.note("  no handler: this call is in the list of those that answer ENOSYS");
        }
        screen.flush();
    }

    /// Shows what the handler has answered.
    pub(super) fn answer(
        &mut self,
        screen: &mut Screen,
        task: &Task,
        handler: &'static Handler<Task>,
        args: &[u64; 6],
        result: i64,
    ) {
        screen.live = false;
        self.answered = true;
        let metadata = &handler.metadata();
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = metadata.fmt_result(result, &mut text);
        let before = arguments(metadata, &self.args, None, task);
        let after = arguments(metadata, args, Some(result), task);
        let call = if before == after { String::new() } else { format!("{}({})", self.name, after.join(", ")) };
        let line = format!("← {text}    {call}");
        let tone = if (-4095..0).contains(&result) { Tone::Bad } else { Tone::Good };
        let painted = screen.palette().paint(tone, line.trim_end().to_owned());
        screen.line(format_args!("    {painted}"));
        screen.note(format_args!("rax ← {:#x}, from outside: the hypercall's answer", result as u64));
    }

    /// Shows the instruction that leads back to ring 3, and the one that is next there.
    pub(super) fn leave(&mut self, screen: &mut Screen, tools: &mut Tools, step: &Step<'_>) {
        let Some(decoded) = tools.fetch(step.space, step.before.rip) else { return };
        let addr = step.before.rip;
        let title = format!("Back to user space: `{}`, from ring 0 to ring 3", decoded.text);
        self.enter(screen, Stage::Return, &title);
        screen.instruction(addr, &tools.offset(addr), &decoded.bytes, &decoded.text, "");
        match decoded.instruction.mnemonic() {
            Mnemonic::Sysretq => processor::sysret(screen, step.before, step.after, &tools.names),
            _ => {
                let places = Places::new(&tools.names, step.space);
                processor::iret(screen, step.before, step.after, &places, &tools.names);
            }
        }
        let rax = step.after.gpr[reg::RAX];
        screen.note(format_args!(
            "rax = {} for the program, which goes on:",
            if (rax as i64) < 0 { format!("{}", rax as i64) } else { format!("{rax:#x}") }
        ));
        let next = step.after.rip;
        match tools.fetch(step.space, next) {
            Some(decoded) => in_program(screen, tools, &mut None, next, &decoded, ""),
            None => screen.note(format_args!("{next:#x}: its page is not in memory yet")),
        }
        screen.flush();
    }
}

/// A processor like this one, with other registers.
fn with(cpu: &Cpu, gpr: [u64; 16], rip: u64) -> Cpu {
    let mut cpu = cpu.clone();
    (cpu.gpr, cpu.rip) = (gpr, rip);
    cpu
}

/// Shows an instruction of the program, under its function's name if that is another than before.
fn in_program(
    screen: &mut Screen,
    tools: &Tools,
    function: &mut Option<String>,
    addr: u64,
    decoded: &Decoded,
    effect: &str,
) {
    let name = tools.names.resolve(addr).map(|(name, _)| name);
    if let Some(name) = name.filter(|&name| function.as_deref() != Some(name)) {
        screen.function(name);
    }
    *function = name.map(str::to_owned);
    screen.instruction(addr, &tools.offset(addr), &decoded.bytes, &decoded.text, effect);
}

/// What a hypercall asks for: its number is in eax.
fn hypercall(cpu: &Cpu) -> String {
    let number = cpu.gpr[reg::RAX] as u32;
    match KERNEL_IMAGE.hypercalls.get(number as usize) {
        Some(Hypercall::Syscall(index) | Hypercall::Ia32Syscall(index)) => {
            let entry = ENTRY_POINTS.get(*index).map_or("?", |handler| handler.entry);
            format!("hypercall {number}: {entry}, handled in Rust")
        }
        Some(call) => format!("hypercall {number}: {call:?}, handled in Rust"),
        None => format!("hypercall {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_eax_is_the_number() {
        let mut cpu = Cpu::default();
        cpu.gpr[reg::RAX] = 0xffff_ffff_0000_0001;
        cpu.gpr[reg::RDI] = 5;
        let walk = Walk::new(Kind::Syscall, &cpu);
        assert_eq!((walk.nr, walk.name(), walk.args[0]), (1, "write", 5));
    }

    #[test]
    fn the_old_call_has_other_numbers_and_registers() {
        let mut cpu = Cpu::default();
        cpu.gpr[reg::RAX] = 4;
        cpu.gpr[reg::RBX] = 0x1_0000_0002;
        let walk = Walk::new(Kind::Int80, &cpu);
        assert_eq!((walk.name(), walk.args[0]), ("write", 2));
    }
}
