//! The image of the kernel that runs here, in the form that codegen's listings take.

use callgate_codegen::image::{Image, Segment, Symbol};
use callgate_kernel::syscalls::KERNEL_IMAGE;

/// The path that messages give the table this kernel was built with.
pub(crate) const TABLE_PATH: &str = "syscall_64.tbl";
/// That table.
pub(crate) const TABLE: &str = include_str!("../../syscall_64.tbl");
/// The table for `int $0x80`.
pub(crate) const IA32_TABLE: &str = include_str!("../../syscall_32.tbl");

/// The running kernel's image, not one that is assembled anew: its addresses are those that a run shows.
pub(crate) fn built_in() -> Image {
    let segments = KERNEL_IMAGE.segments.iter().map(|segment| Segment {
        name: segment.name,
        addr: segment.addr,
        data: segment.data.to_vec(),
        mem_size: segment.mem_size,
        writable: segment.writable,
        executable: segment.executable,
    });
    let symbols = KERNEL_IMAGE.symbols().map(|symbol| Symbol {
        addr: symbol.addr,
        size: symbol.size,
        kind: symbol.kind,
        name: symbol.name.to_owned(),
    });
    // What the hypercalls mean is of no concern to a listing.
    Image { segments: segments.collect(), symbols: symbols.collect(), hypercalls: Vec::new() }
}
