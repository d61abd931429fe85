//! What the processor itself does at the instructions that change the ring.
//!
//! Nothing is taken for granted: a register's new value is compared with what the manual says it
//! comes from (Intel SDM volume 2, SYSCALL, SYSRET, INT n, IRET), and named only if they are equal.

use callgate_emulator::{Cpu, rflags, seg};

use super::places::Places;
use super::screen::Screen;
use crate::asm::Names;
use crate::disasm::Gate;

/// RFLAGS bits by name.
macro_rules! flag_names {
    ($($name:ident)*) => { &[$((stringify!($name), rflags::$name)),*] };
}

const FLAGS: &[(&str, u64)] = flag_names!(CF PF AF ZF SF TF IF DF OF IOPL NT RF VM AC VIF VIP ID);

/// `[IF ZF]`.
pub(super) fn flags(value: u64) -> String {
    let set: Vec<&str> = FLAGS.iter().filter(|(_, bit)| value & bit != 0).map(|(name, _)| *name).collect();
    format!("[{}]", set.join(" "))
}

fn hex(value: u64) -> String {
    format!("{value:#x}")
}

/// `why` if the value is what it should be.
fn because(is: u64, expected: u64, why: impl FnOnce() -> String) -> String {
    if is == expected { why() } else { String::new() }
}

fn cs(cpu: &Cpu) -> u64 {
    cpu.seg[seg::CS].selector.into()
}

fn ss(cpu: &Cpu) -> u64 {
    cpu.seg[seg::SS].selector.into()
}

fn change(screen: &mut Screen, name: &str, before: u64, after: u64, why: &str) {
    screen.change(name, &hex(before), &hex(after), why);
}

fn flags_change(screen: &mut Screen, before: &Cpu, after: &Cpu, why: &str) {
    let (old, new) = (before.rflags(), after.rflags());
    change(screen, "rflags", old, new, &format!("{why}  {} → {}", flags(old), flags(new)));
}

fn ring(screen: &mut Screen, before: &Cpu, after: &Cpu) {
    screen.change("ring", &before.cpl.to_string(), &after.cpl.to_string(), "the privilege level");
}

/// `syscall`.
pub(super) fn syscall(screen: &mut Screen, before: &Cpu, after: &Cpu, len: usize, names: &Names) {
    use callgate_emulator::reg::{R11, RCX, RSP};
    let next = before.rip.wrapping_add(len as u64);
    let (msr, star) = (&before.msr, before.msr.star >> 32 & 0xffff);
    let why = because(after.gpr[RCX], next, || "← rip, the next instruction: sysretq will need it".to_owned());
    change(screen, "rcx", before.gpr[RCX], after.gpr[RCX], &why);
    let why = because(after.gpr[R11], before.rflags(), || "← rflags, for the same reason".to_owned());
    change(screen, "r11", before.gpr[R11], after.gpr[R11], &why);
    let why = because(after.rip, msr.lstar, || format!("← IA32_LSTAR {}", names.angled(msr.lstar)));
    change(screen, "rip", before.rip, after.rip, &why);
    let masked = before.rflags() & !msr.fmask | rflags::FIXED;
    let why = because(after.rflags(), masked, || format!("← rflags & ~IA32_FMASK ({:#x})", msr.fmask));
    flags_change(screen, before, after, &why);
    let why = because(cs(after), star & !3, || format!("← IA32_STAR[47:32] = {star:#x}"));
    change(screen, "cs", cs(before), cs(after), &why);
    let why = because(ss(after), star + 8, || "← IA32_STAR[47:32] + 8".to_owned());
    change(screen, "ss", ss(before), ss(after), &why);
    ring(screen, before, after);
    if before.gpr[RSP] == after.gpr[RSP] {
        screen.note(format_args!(
            "rsp is still {:#x}, the program's stack; memory was neither read nor written",
            after.gpr[RSP]
        ));
    }
}

/// `sysretq`.
pub(super) fn sysret(screen: &mut Screen, before: &Cpu, after: &Cpu, names: &Names) {
    use callgate_emulator::reg::{R11, RCX};
    let star = before.msr.star >> 48;
    let why = because(after.rip, before.gpr[RCX], || format!("← rcx {}", names.angled(after.rip)));
    change(screen, "rip", before.rip, after.rip, &why);
    let restored = before.gpr[R11] & !(rflags::RF | rflags::VM) | rflags::FIXED;
    let why = because(after.rflags(), restored, || "← r11".to_owned());
    flags_change(screen, before, after, &why);
    let why = because(cs(after), (star + 16) | 3, || format!("← IA32_STAR[63:48] + 16, ring 3 ({star:#x})"));
    change(screen, "cs", cs(before), cs(after), &why);
    let why = because(ss(after), (star + 8) | 3, || "← IA32_STAR[63:48] + 8, ring 3".to_owned());
    change(screen, "ss", ss(before), ss(after), &why);
    ring(screen, before, after);
}

/// `int n`.
pub(super) fn interrupt(
    screen: &mut Screen,
    before: &Cpu,
    after: &Cpu,
    vector: u8,
    places: &Places<'_>,
    names: &Names,
) {
    use callgate_emulator::reg::RSP;
    let addr = before.idtr.base + u64::from(vector) * 16;
    let halves = (places.read(addr, 8), places.read(addr + 8, 8));
    if let (Some(low), Some(high)) = halves {
        let gate = Gate::from(u128::from(high) << 64 | u128::from(low));
        screen.note(format_args!(
            "IDT[{vector:#x}] at {addr:#x}: {low:016x} {high:016x} → cs {:#x}, dpl {} ({} ring 3), offset {:#x} {}",
            gate.selector,
            gate.dpl,
            if gate.dpl == 3 { "open to" } else { "closed to" },
            gate.offset,
            names.angled(gate.offset),
        ));
        let why = because(after.rip, gate.offset, || format!("← the gate's offset {}", names.angled(gate.offset)));
        change(screen, "rip", before.rip, after.rip, &why);
        let why = because(cs(after), gate.selector.into(), || "← the gate's selector".to_owned());
        change(screen, "cs", cs(before), cs(after), &why);
    }
    let sp0 = places.read(before.tr_base + 4, 8);
    // The processor aligns the stack, and pushes five registers.
    let why = because(after.gpr[RSP], sp0.unwrap_or(0).wrapping_sub(40), || {
        format!("← TSS.sp0 {:#x}, then five pushes", sp0.unwrap_or(0))
    });
    change(screen, "rsp", before.gpr[RSP], after.gpr[RSP], &why);
    for slot in 0..5 {
        let addr = after.gpr[RSP].wrapping_add(slot * 8);
        if let Some(value) = places.read(addr, 8) {
            screen.note(format_args!("pushed {:<14} = {value:#x}", places.place(addr)));
        }
    }
    flags_change(screen, before, after, "an interrupt gate turns interrupts off");
    ring(screen, before, after);
}

/// `iretq`.
pub(super) fn iret(screen: &mut Screen, before: &Cpu, after: &Cpu, places: &Places<'_>, names: &Names) {
    use callgate_emulator::reg::RSP;
    let sp = before.gpr[RSP];
    let popped = |slot: u64, is: u64| {
        let place = places.place(sp + slot * 8);
        because(is, places.read(sp + slot * 8, 8).unwrap_or(!is), || format!("← {place}"))
    };
    let why = format!("{} {}", popped(0, after.rip), names.angled(after.rip));
    change(screen, "rip", before.rip, after.rip, &why);
    change(screen, "cs", cs(before), cs(after), &popped(1, cs(after)));
    flags_change(screen, before, after, &popped(2, after.rflags()));
    change(screen, "rsp", sp, after.gpr[RSP], &popped(3, after.gpr[RSP]));
    change(screen, "ss", ss(before), ss(after), &popped(4, ss(after)));
    ring(screen, before, after);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_names() {
        assert_eq!(flags(0x246), "[PF ZF IF]");
        assert_eq!(flags(0x2), "[]");
    }
}
