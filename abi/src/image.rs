//! The kernel image, as `callgate-codegen` describes it in `$OUT_DIR/kernel_image.rs`.
//!
//! Linux's image is vmlinux, an ELF file with segments and symbols; /proc/kallsyms lists the latter.
//! Ours is assembled at build time and holds what a system call's way needs. Where the real kernel
//! has C functions, a stub ends in a hypercall with a number, which is an index into
//! [`KernelImage::hypercalls`].

use crate::names::Names;

/// The assembled kernel: what to load, what its addresses are called, what its hypercalls mean.
#[derive(Debug)]
pub struct KernelImage {
    /// What is loaded, each page-aligned.
    pub segments: &'static [Segment],
    /// Where the symbols are, sorted by address; [`KernelImage::symbols`] gives them.
    pub places: &'static [Place],
    /// Their names.
    pub names: Names,
    /// What each hypercall number asks for.
    pub hypercalls: &'static [Hypercall],
}

/// A page-aligned piece of the image.
#[derive(Debug)]
pub struct Segment {
    /// As in an object file: `.text`, `.rodata`, `.data`.
    pub name: &'static str,
    /// The linear address of its first byte.
    pub addr: u64,
    /// Its contents; zeroes follow up to `mem_size`.
    pub data: &'static [u8],
    /// Its size in memory.
    pub mem_size: u64,
    /// Can the kernel write to it?
    pub writable: bool,
    /// Does it hold instructions?
    pub executable: bool,
}

/// A symbol without its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its address.
    pub addr: u64,
    /// Its size in bytes.
    pub size: u64,
    /// As nm and /proc/kallsyms print it: `T` text, `R` read-only, `D` data.
    pub kind: char,
}

/// A named address of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol {
    /// Its address.
    pub addr: u64,
    /// Its size in bytes.
    pub size: u64,
    /// As nm and /proc/kallsyms print it: `T` text, `R` read-only, `D` data.
    pub kind: char,
    /// Linux's name.
    pub name: &'static str,
}

/// What a hypercall of the image asks the host for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hypercall {
    /// Run the handler at this index of `ENTRY_POINTS`.
    Syscall(usize),
    /// The same with the arguments of a 32-bit call, which are in other registers.
    Ia32Syscall(usize),
    /// Handle the exception with this vector.
    Exception(u8),
    /// The last thing before the way back to the program: signals, scheduling.
    ExitToUserMode,
}

impl KernelImage {
    /// The symbols, sorted by address.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol> {
        (0..self.places.len()).filter_map(|number| self.at(number))
    }

    /// The symbol with a number.
    fn at(&self, number: usize) -> Option<Symbol> {
        let &Place { addr, size, kind } = self.places.get(number)?;
        Some(Symbol { addr, size, kind, name: self.names.get(number)? })
    }

    /// The symbol of this name.
    pub fn symbol(&self, name: &str) -> Option<Symbol> {
        // From the last on: data, which is looked for most, lies behind the code.
        let number = (0..self.places.len()).rev().find(|number| self.names.get(*number) == Some(name))?;
        self.at(number)
    }

    /// The symbol that `addr` lies in, and how far in.
    pub fn resolve(&self, addr: u64) -> Option<(Symbol, u64)> {
        let after = self.places.partition_point(|place| place.addr <= addr);
        // Symbols can nest (a label inside of a function): the nearest one that reaches is it.
        let reaches = |number: &usize| addr - self.places[*number].addr < self.places[*number].size.max(1);
        let symbol = self.at((0..after).rev().find(reaches)?)?;
        Some((symbol, addr - symbol.addr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static IMAGE: KernelImage = KernelImage {
        segments: &[],
        places: &[
            Place { addr: 0x1000, size: 0x20, kind: 'T' },
            Place { addr: 0x1008, size: 4, kind: 't' },
            Place { addr: 0x1040, size: 0, kind: 'T' },
        ],
        names: Names::new("outerinnerlabel", &[5, 10, 15]),
        hypercalls: &[],
    };

    #[test]
    fn an_address_resolves_to_the_innermost_symbol() {
        let name = |addr| IMAGE.resolve(addr).map(|(symbol, offset)| (symbol.name, offset));
        assert_eq!(name(0xfff), None);
        assert_eq!(name(0x1000), Some(("outer", 0)));
        assert_eq!(name(0x100a), Some(("inner", 2)));
        assert_eq!(name(0x1010), Some(("outer", 0x10)));
        assert_eq!(name(0x1020), None);
        assert_eq!(name(0x1040), Some(("label", 0)));
        assert_eq!(IMAGE.symbol("inner").map(|symbol| symbol.addr), Some(0x1008));
    }
}
