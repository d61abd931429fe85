//! What addresses and values mean while the kernel runs: a field of `pt_regs`, a slot of the table, a symbol.

use callgate_abi::{Errno, PeekMemory, PtRegs};
use callgate_codegen::image::pcpu;
use callgate_emulator::Space;
use callgate_kernel::syscalls::KERNEL_IMAGE;

use crate::asm::Names;

/// Answers from here up to -1 are negative error numbers.
const MAX_ERRNO: i64 = 4095;
/// Linux's THREAD_SIZE: a kernel stack ends here below its top.
const STACK_SIZE: u64 = 0x4000;
/// The tables of addresses, whose slots are shown by their index.
const TABLES: [&str; 2] = ["sys_call_table", "ia32_sys_call_table"];

/// A program's memory, for printing what pointers point at.
pub(super) struct Memory<'a>(pub(super) &'a Space);

impl PeekMemory for Memory<'_> {
    fn peek(&self, addr: u64, buf: &mut [u8]) -> usize {
        self.0.peek(addr, buf)
    }
}

/// Names for what is in the memory of the task that runs.
pub(super) struct Places<'a> {
    names: &'a Names,
    space: &'a Space,
    /// Where the task's kernel stack begins, downwards.
    pub(super) top_of_stack: u64,
}

impl<'a> Places<'a> {
    /// Those of an address space; the kernel stack is the one that the per-cpu area names.
    pub(super) fn new(names: &'a Names, space: &'a Space) -> Places<'a> {
        let pcpu = KERNEL_IMAGE.symbol("pcpu_hot").map_or(0, |symbol| symbol.addr);
        let top_of_stack = word(space, pcpu + u64::from(pcpu::TOP_OF_STACK), 8).unwrap_or(0);
        Places { names, space, top_of_stack }
    }

    /// Where the user's registers are saved.
    pub(super) fn pt_regs(&self) -> u64 {
        self.top_of_stack.wrapping_sub(PtRegs::SIZE as u64)
    }

    /// The number of `size` bytes at `addr`.
    pub(super) fn read(&self, addr: u64, size: usize) -> Option<u64> {
        word(self.space, addr, size)
    }

    /// What a place in memory is called.
    pub(super) fn place(&self, addr: u64) -> String {
        if let Some(field) = self.field(addr) {
            return format!("pt_regs.{field}");
        }
        if (self.top_of_stack.saturating_sub(STACK_SIZE)..self.top_of_stack).contains(&addr) {
            return "stack".to_owned();
        }
        match self.names.resolve(addr) {
            Some((table, offset)) if TABLES.contains(&table) && offset % 8 == 0 => format!("{table}[{}]", offset / 8),
            Some((name, 0)) => name.to_owned(),
            Some((name, offset)) => format!("{name}+{offset:#x}"),
            None => format!("[{addr:#x}]"),
        }
    }

    /// The field of `pt_regs` at an address.
    fn field(&self, addr: u64) -> Option<&'static str> {
        let offset = addr.checked_sub(self.pt_regs())?;
        let index = usize::try_from(offset / 8).ok().filter(|_| offset % 8 == 0)?;
        FIELDS.with(|fields| fields.get(index).copied())
    }

    /// A value, with what it points at or stands for.
    pub(super) fn value(&self, value: u64) -> String {
        let signed = value as i64;
        if (-MAX_ERRNO..0).contains(&signed) {
            let name = Errno::new(signed.unsigned_abs() as u16).name().map(|name| format!(" (-{name})"));
            return format!("{signed}{}", name.unwrap_or_default());
        }
        let meaning = if value == self.top_of_stack {
            "top of the kernel stack".to_owned()
        } else if value == self.pt_regs() {
            "&pt_regs".to_owned()
        } else {
            // Small numbers are no addresses, even if something is linked there.
            let name = self.names.angled(value);
            if value < 0x1000 { String::new() } else { name }
        };
        if meaning.is_empty() { format!("{value:#x}") } else { format!("{value:#x} {meaning}") }
    }
}

/// The little-endian number at an address, if it can be read.
pub(super) fn word(space: &Space, addr: u64, size: usize) -> Option<u64> {
    let mut bytes = [0; 8];
    let read = space.peek(addr, bytes.get_mut(..size)?);
    (read == size).then(|| u64::from_le_bytes(bytes))
}

thread_local! {
    /// The fields of `pt_regs`, as the structure itself prints them: there is no second list.
    static FIELDS: Vec<&'static str> = {
        let text: &'static str = format!("{:?}", PtRegs::default()).leak();
        let fields = text.split_once('{').map_or("", |(_, fields)| fields).trim_end_matches('}');
        fields.split(',').filter_map(|field| Some(field.split_once(':')?.0.trim())).collect()
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_the_structure() {
        FIELDS.with(|fields| {
            assert_eq!(fields.len() * 8, PtRegs::SIZE);
            assert_eq!(fields.get(PtRegs::ORIG_AX / 8), Some(&"orig_ax"));
            assert_eq!((fields.first(), fields.last()), (Some(&"r15"), Some(&"ss")));
        });
    }
}
