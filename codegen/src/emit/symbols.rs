//! The kernel's symbols as Linux lists them: `/proc/kallsyms` and `System.map` have a line a symbol, with the address
//! in sixteen hexadecimal digits, `nm`'s letter for what it is, and the name.
//!
//! Both list the symbols of the image and no other, so every address in them can be disassembled.

use crate::image::Image;

/// What `/proc/kallsyms` shows to the superuser.
pub fn kallsyms(image: &Image) -> String {
    system_map(image)
}

/// What Linux's build leaves in `System.map`.
pub fn system_map(image: &Image) -> String {
    let line = |symbol: &crate::image::Symbol| format!("{:016x} {} {}\n", symbol.addr, symbol.kind, symbol.name);
    image.symbols.iter().map(line).collect()
}
