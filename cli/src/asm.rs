//! Instructions as text: Intel's syntax, with the names that addresses have.

use std::cell::Cell;
use std::rc::Rc;

use callgate_kernel::syscalls::KERNEL_IMAGE;
use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter, SymbolResolver, SymbolResult};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSymbol, SymbolKind};

/// The longest instruction.
pub(crate) const MAX_LEN: usize = 15;

/// The functions of a program that stands where its file says (so not of a position-independent one).
#[derive(Debug, Default)]
pub(crate) struct UserSymbols {
    /// Address, size and name, ascending.
    functions: Vec<(u64, u64, String)>,
}

impl UserSymbols {
    /// The symbol table of an ELF file, as far as it has one.
    pub(crate) fn of_elf(bytes: &[u8]) -> UserSymbols {
        let Ok(file) = ElfFile64::<object::Endianness>::parse(bytes) else { return UserSymbols::default() };
        if file.kind() != object::ObjectKind::Executable {
            return UserSymbols::default();
        }
        let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition());
        let named =
            functions.filter_map(|symbol| Some((symbol.address(), symbol.size(), symbol.name().ok()?.to_owned())));
        UserSymbols::new(named.collect())
    }

    /// These functions: address, size and name.
    pub(crate) fn new(mut functions: Vec<(u64, u64, String)>) -> UserSymbols {
        // Of several names for an address the first in the file's order is kept.
        functions.sort_by_key(|&(addr, ..)| addr);
        functions.dedup_by_key(|&mut (addr, ..)| addr);
        UserSymbols { functions }
    }

    /// The function that `addr` lies in, and how far in.
    fn resolve(&self, addr: u64) -> Option<(&str, u64)> {
        let after = self.functions.partition_point(|&(start, ..)| start <= addr);
        let (start, size, name) = self.functions[..after].last()?;
        let offset = addr - start;
        (offset < (*size).max(1)).then_some((name.as_str(), offset))
    }
}

/// What addresses are called, in the kernel image and in the program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    user: Rc<UserSymbols>,
    /// Another program has taken the named one's place somewhere.
    stale: Rc<Cell<bool>>,
}

impl Names {
    /// The image's names, and these.
    pub(crate) fn new(user: UserSymbols) -> Names {
        Names { user: Rc::new(user), stale: Rc::default() }
    }

    /// Forgets the program's names, for all clones: its addresses may mean another program's now.
    pub(crate) fn forget_program(&self) {
        self.stale.set(true);
    }

    /// The symbol that `addr` lies in, and how far in.
    pub(crate) fn resolve(&self, addr: u64) -> Option<(&str, u64)> {
        match KERNEL_IMAGE.resolve(addr) {
            Some((symbol, offset)) => Some((symbol.name, offset)),
            None if self.stale.get() => None,
            None => self.user.resolve(addr),
        }
    }

    /// `<do_syscall_64+0x1c>`, or nothing where nothing has a name.
    pub(crate) fn angled(&self, addr: u64) -> String {
        match self.resolve(addr) {
            Some((name, 0)) => format!("<{name}>"),
            Some((name, offset)) => format!("<{name}+{offset:#x}>"),
            None => String::new(),
        }
    }
}

impl SymbolResolver for Names {
    fn symbol(
        &mut self,
        instruction: &Instruction,
        operand: u32,
        _: Option<u32>,
        address: u64,
        _: u32,
    ) -> Option<SymbolResult<'_>> {
        // A small number is a constant or an offset in a structure, whatever is linked at that address.
        let is_target = instruction.op_kind(operand.min(instruction.op_count().saturating_sub(1)));
        let is_target = matches!(is_target, iced_x86::OpKind::NearBranch64 | iced_x86::OpKind::Memory);
        let (name, offset) = self.resolve(address).filter(|_| is_target)?;
        Some(SymbolResult::with_str(address - offset, name))
    }
}

/// An instruction, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    /// It, with its address.
    pub(crate) instruction: Instruction,
    /// `0f 05`.
    pub(crate) bytes: String,
    /// `syscall`.
    pub(crate) text: String,
}

/// Takes instructions apart.
pub(crate) struct Disassembler {
    formatter: IntelFormatter,
}

impl Disassembler {
    /// One that knows these names.
    pub(crate) fn new(names: Names) -> Disassembler {
        let mut formatter = IntelFormatter::with_options(Some(Box::new(names)), None);
        let options = formatter.options_mut();
        options.set_hex_prefix("0x");
        options.set_hex_suffix("");
        options.set_uppercase_hex(false);
        options.set_small_hex_numbers_in_decimal(false);
        options.set_space_after_operand_separator(true);
        options.set_rip_relative_addresses(false);
        options.set_branch_leading_zeros(false);
        options.set_leading_zeros(false);
        Disassembler { formatter }
    }

    /// The instruction at `addr`, whose bytes `bytes` begins with; `None` if it is none.
    pub(crate) fn decode(&mut self, addr: u64, bytes: &[u8]) -> Option<Decoded> {
        let instruction = Decoder::with_ip(64, bytes, addr, DecoderOptions::NONE).decode();
        if instruction.is_invalid() {
            return None;
        }
        let mut text = String::new();
        self.formatter.format(&instruction, &mut text);
        let bytes = bytes.get(..instruction.len()).map(hex).unwrap_or_default();
        Some(Decoded { instruction, bytes, text })
    }
}

/// `0f 05`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_reads_as_in_the_manual() {
        let mut asm = Disassembler::new(Names::default());
        let decoded = asm.decode(0x401000, &[0x0f, 0x05, 0x90]).unwrap();
        assert_eq!((decoded.bytes.as_str(), decoded.text.as_str()), ("0f 05", "syscall"));
        let decoded = asm.decode(0x401000, &[0x48, 0x8d, 0x75, 0xf4]).unwrap();
        assert_eq!(decoded.text, "lea rsi, [rbp-0xc]");
        assert!(asm.decode(0x401000, &[0x0f]).is_none());
    }

    #[test]
    fn a_call_names_its_target() {
        let names = Names::new(UserSymbols::new(vec![(0x401005, 4, "puts".to_owned())]));
        assert_eq!(names.angled(0x401007), "<puts+0x2>");
        assert_eq!(names.angled(0x401009), "");
        let mut asm = Disassembler::new(names.clone());
        let call = [0xe8, 0, 0, 0, 0];
        assert_eq!(asm.decode(0x401000, &call).unwrap().text, "call puts");
        names.forget_program();
        assert_eq!(asm.decode(0x401000, &call).unwrap().text, "call 0x401005");
    }
}
