//! `callgate disasm`: a function of the kernel image as objdump would show it, or one of its tables.

use callgate_codegen::image::{Image, Symbol};
use callgate_kernel::syscalls;

use crate::args::DisasmArgs;
use crate::asm::{Disassembler, Names, hex};
use crate::color::Tone;
use crate::exit::{Failure, Result};
use crate::image;
use crate::near;
use crate::output::Output;

/// Shows the symbol that is asked for.
pub(crate) fn disasm(args: &DisasmArgs) -> Result {
    let image = image::built_in();
    let symbol = find(&image, &args.symbol)?;
    let mut out = Output::stdout();
    let heading = format!("{:016x} <{}>:", symbol.addr, symbol.name);
    out.line(out.palette.paint(Tone::Heading, heading));
    match (symbol.kind, symbol.name.as_str()) {
        ('T' | 't', _) => code(&mut out, &image, symbol),
        (_, "sys_call_table") => addresses(&mut out, &image, symbol, &syscalls::sys_call_table_names),
        (_, "ia32_sys_call_table") => addresses(&mut out, &image, symbol, &syscalls::ia32_sys_call_table_names),
        (_, "idt_table") => gates(&mut out, &image, symbol),
        _ => dump(&mut out, &image, symbol),
    }
    out.finish()?;
    Ok(0)
}

/// The symbol of that name, or the one at that address.
fn find<'a>(image: &'a Image, name: &str) -> Result<&'a Symbol> {
    if let Some(symbol) = image.symbol(name) {
        return Ok(symbol);
    }
    let address = name.strip_prefix("0x").unwrap_or(name);
    if let Some((symbol, _)) = u64::from_str_radix(address, 16).ok().and_then(|address| image.resolve(address)) {
        return Ok(symbol);
    }
    let near = near::suggestion(name, image.symbols.iter().map(|symbol| symbol.name.as_str()));
    Err(Failure::own(format!("the kernel image has no symbol `{name}`{near} (`callgate gen kallsyms` lists them)")))
}

fn bytes<'a>(image: &'a Image, symbol: &Symbol) -> &'a [u8] {
    image.bytes(symbol.addr, symbol.size).unwrap_or_default()
}

fn code(out: &mut Output, image: &Image, symbol: &Symbol) {
    let mut asm = Disassembler::new(Names::default());
    let (mut addr, mut rest) = (symbol.addr, bytes(image, symbol));
    while !rest.is_empty() {
        let Some(decoded) = asm.decode(addr, rest) else {
            out.line(format_args!("{addr:16x}:  {}  (bad)", hex(rest)));
            break;
        };
        let palette = out.palette;
        let bytes = palette.paint(Tone::Faint, &decoded.bytes);
        let line = format!("{addr:16x}:  {bytes:<30}  {}", decoded.text);
        out.line(line);
        addr += decoded.instruction.len() as u64;
        rest = rest.get(decoded.instruction.len()..).unwrap_or_default();
    }
}

/// The 64-bit words of a table, with their index.
fn words<'a>(image: &'a Image, symbol: &Symbol) -> impl Iterator<Item = (usize, u64)> + use<'a> {
    let words = bytes(image, symbol).as_chunks::<8>().0;
    words.iter().map(|word| u64::from_le_bytes(*word)).enumerate()
}

fn addresses(out: &mut Output, image: &Image, symbol: &Symbol, names: &callgate_abi::Names) {
    let symbols = Names::default();
    for (nr, address) in words(image, symbol) {
        let name = names.get(nr).unwrap_or_default();
        let target = symbols.angled(address);
        out.line(format_args!("{:16x}:  [{nr:>3}] {name:<24} {address:016x} {target}", symbol.addr + nr as u64 * 8));
    }
}

/// The gates of the IDT that are present: Intel SDM volume 3, figure 6-8.
fn gates(out: &mut Output, image: &Image, symbol: &Symbol) {
    let symbols = Names::default();
    for (vector, gate) in bytes(image, symbol).as_chunks::<16>().0.iter().enumerate() {
        let gate = Gate::from(u128::from_le_bytes(*gate));
        if gate.present {
            let (addr, target) = (symbol.addr + vector as u64 * 16, symbols.angled(gate.offset));
            let Gate { offset, selector, dpl, .. } = gate;
            out.line(format_args!(
                "{addr:16x}:  vector {vector:>3}  cs {selector:#x}  dpl {dpl}  {offset:016x} {target}"
            ));
        }
    }
}

/// An interrupt gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gate {
    /// Where it leads.
    pub(crate) offset: u64,
    /// The code segment there.
    pub(crate) selector: u16,
    /// Which rings may use it with `int n`.
    pub(crate) dpl: u8,
    /// Whether it is one.
    pub(crate) present: bool,
}

impl From<u128> for Gate {
    fn from(gate: u128) -> Gate {
        Gate {
            offset: (gate & 0xffff | gate >> 32 & 0xffff_ffff_ffff_0000) as u64,
            selector: (gate >> 16) as u16,
            dpl: (gate >> 45) as u8 & 3,
            present: gate >> 47 & 1 != 0,
        }
    }
}

fn dump(out: &mut Output, image: &Image, symbol: &Symbol) {
    for (at, row) in bytes(image, symbol).chunks(16).enumerate() {
        let shown = |&byte: &u8| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '.' };
        let text: String = row.iter().map(shown).collect();
        out.line(format_args!("{:16x}:  {:<47}  {text}", symbol.addr + at as u64 * 16, hex(row)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_found_by_name_or_address() {
        let image = image::built_in();
        assert_eq!(find(&image, "do_syscall_64").unwrap().name, "do_syscall_64");
        assert_eq!(find(&image, "0xffffffff81000001").unwrap().name, "entry_SYSCALL_64");
        let error = find(&image, "sys_write").unwrap_err();
        assert!(error.message.contains("`__x64_sys_write`"), "{error}");
    }

    #[test]
    fn the_gate_of_the_old_system_call_is_open_to_ring_3() {
        let image = image::built_in();
        let idt = image.symbol("idt_table").unwrap();
        let gate = Gate::from(u128::from_le_bytes(*bytes(&image, idt).as_chunks::<16>().0.get(0x80).unwrap()));
        let entry = image.symbol("entry_INT80_compat").unwrap().addr;
        assert_eq!(gate, Gate { offset: entry, selector: 0x10, dpl: 3, present: true });
    }
}
