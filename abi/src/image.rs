//! The kernel image, as `callgate-codegen` describes it in `$OUT_DIR/kernel_image.rs`.
//!
//! Linux's image is vmlinux, an ELF file with segments and symbols; /proc/kallsyms lists the latter.
//! Ours is assembled at build time and holds what a system call's way needs. Where the real kernel
//! has C functions, a stub ends in a hypercall with a number, which is an index into
//! [`KernelImage::hypercalls`].

/// The assembled kernel: what to load, what its addresses are called, what its hypercalls mean.
#[derive(Debug)]
pub struct KernelImage {
    /// What is loaded, each page-aligned.
    pub segments: &'static [Segment],
    /// The symbols, sorted by address.
    pub symbols: &'static [Symbol],
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
    /// The symbol of this name.
    pub fn symbol(&self, name: &str) -> Option<&'static Symbol> {
        self.symbols.iter().find(|symbol| symbol.name == name)
    }

    /// The symbol that `addr` lies in, and how far in.
    pub fn resolve(&self, addr: u64) -> Option<(&'static Symbol, u64)> {
        let after = self.symbols.partition_point(|symbol| symbol.addr <= addr);
        // Symbols can nest (a label inside of a function): the nearest one that reaches is it.
        self.symbols[..after].iter().rev().find_map(|symbol| {
            let offset = addr - symbol.addr;
            (offset < symbol.size.max(1)).then_some((symbol, offset))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static IMAGE: KernelImage = KernelImage {
        segments: &[],
        symbols: &[
            Symbol { addr: 0x1000, size: 0x20, kind: 'T', name: "outer" },
            Symbol { addr: 0x1008, size: 4, kind: 't', name: "inner" },
            Symbol { addr: 0x1040, size: 0, kind: 'T', name: "label" },
        ],
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
