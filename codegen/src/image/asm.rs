//! Puts functions one after the other and lets them know each other's addresses, as a linker does.

use std::collections::HashMap;

use iced_x86::IcedError;
use iced_x86::code_asm::CodeAssembler;

use super::data::{Layout, Object};
use super::{PAGE_SIZE, Segment, Symbol, TEXT};

/// Functions begin at multiples of this; `int3` fills the gaps.
const FUNCTION_ALIGN: u64 = 16;
const INT3: u8 = 0xcc;

/// The outcome of adding instructions.
pub(super) type Assembled = Result<(), IcedError>;

/// What adds a function's instructions.
pub(super) type Body = dyn Fn(&mut CodeAssembler, &Symbols) -> Assembled;

/// A function: its name, and what assembles it once the addresses of all symbols are known.
pub(super) struct Function {
    pub name: String,
    pub body: Box<Body>,
}

/// The address of each symbol.
pub(super) struct Symbols(HashMap<String, u64>);

impl Symbols {
    /// The address of a symbol. Before all are known any address in the image will do: the length of an instruction
    /// that refers to another function does not depend on it.
    pub(super) fn address(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(TEXT)
    }
}

/// A function's machine code.
struct Code {
    addr: u64,
    bytes: Vec<u8>,
}

/// The segments and the symbols, ascending by address.
pub(super) fn link(functions: Vec<Function>, layout: &Layout) -> Result<(Vec<Segment>, Vec<Symbol>), String> {
    let mut symbols = Symbols(HashMap::new());
    // Jumps between functions may be short or near, by the distance: assemble until the addresses stay. The first pass
    // finds the sizes, the second one uses them; one more shows that nothing moves.
    for _ in 0..8 {
        let code = assemble(&functions, &symbols)?;
        let text_end = code.last().map_or(TEXT, |last| last.addr + last.bytes.len() as u64);
        let rodata = page_up(text_end);
        let (rodata_at, rodata_end) = place(&layout.rodata, rodata);
        let data = page_up(rodata_end);
        let (data_at, data_end) = place(&layout.data, data);

        let names = functions.iter().map(|function| function.name.as_str());
        let mut found: Vec<Symbol> =
            names.zip(&code).map(|(name, code)| symbol(name, code.addr, code.bytes.len() as u64, 'T')).collect();
        for (objects, at, kind) in [(&layout.rodata, &rodata_at, 'R'), (&layout.data, &data_at, 'D')] {
            found.extend(objects.iter().zip(at).map(|(object, &addr)| symbol(object.name, addr, object.size, kind)));
        }
        let addresses = found.iter().map(|symbol| (symbol.name.clone(), symbol.addr)).collect();
        if addresses == symbols.0 {
            let segments = vec![
                segment(".text", TEXT, text(&code), text_end, (false, true)),
                segment(
                    ".rodata",
                    rodata,
                    objects(&layout.rodata, &rodata_at, rodata, &symbols),
                    rodata_end,
                    (false, false),
                ),
                segment(".data", data, objects(&layout.data, &data_at, data, &symbols), data_end, (true, false)),
            ];
            return Ok((segments, found));
        }
        symbols = Symbols(addresses);
    }
    Err("the functions' addresses do not settle".to_owned())
}

fn assemble(functions: &[Function], symbols: &Symbols) -> Result<Vec<Code>, String> {
    let mut addr = TEXT;
    functions
        .iter()
        .map(|function| {
            let assembled = CodeAssembler::new(64).and_then(|mut asm| {
                (function.body)(&mut asm, symbols)?;
                asm.assemble(addr)
            });
            let bytes = assembled.map_err(|error| format!("{}: {error}", function.name))?;
            let code = Code { addr, bytes };
            addr = (addr + code.bytes.len() as u64).next_multiple_of(FUNCTION_ALIGN);
            Ok(code)
        })
        .collect()
}

/// Where each object goes, and where the last one ends.
fn place(objects: &[Object], start: u64) -> (Vec<u64>, u64) {
    let mut end = start;
    let places = objects.iter().map(|object| {
        let addr = end.next_multiple_of(object.align);
        end = addr + object.size;
        addr
    });
    (places.collect(), end)
}

fn text(code: &[Code]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for code in code {
        bytes.resize((code.addr - TEXT) as usize, INT3);
        bytes.extend(&code.bytes);
    }
    bytes
}

fn objects(objects: &[Object], places: &[u64], start: u64, symbols: &Symbols) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (object, addr) in objects.iter().zip(places) {
        bytes.resize((addr - start) as usize, 0);
        bytes.extend(object.bytes(&symbols.0));
    }
    bytes
}

fn symbol(name: &str, addr: u64, size: u64, kind: char) -> Symbol {
    let name = name.to_owned();
    Symbol { addr, size, kind, name }
}

fn segment(name: &'static str, addr: u64, data: Vec<u8>, end: u64, (writable, executable): (bool, bool)) -> Segment {
    Segment { name, addr, data, mem_size: page_up(end) - addr, writable, executable }
}

fn page_up(addr: u64) -> u64 {
    addr.next_multiple_of(PAGE_SIZE)
}
