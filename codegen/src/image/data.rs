//! The image's data: the system-call tables among the read-only data, and what the processor itself reads: IDT, GDT
//! and TSS (Intel SDM volume 3, chapters 3, 6 and 7), with the per-cpu area, among the writable.

use std::collections::HashMap;

use super::{PAGE_SIZE, pcpu, selector};
use crate::dispatch::{Dispatch, Numbers, SYS_NI_SYSCALL};

/// How many descriptors the GDT has, as Linux's.
pub const GDT_ENTRIES: usize = 16;
/// The size of a 64-bit TSS without an I/O bitmap.
pub const TSS_SIZE: u64 = 104;

/// An object of the image: where it goes is decided when the size of the code is known.
pub(super) struct Object {
    pub name: &'static str,
    pub size: u64,
    pub align: u64,
    pub content: Content,
}

/// What an object holds.
pub(super) enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The addresses of these functions.
    Addresses(Vec<String>),
    /// 256 gates, of which these lead somewhere.
    Gates(Vec<Gate>),
    /// The GDT, which holds the TSS's address.
    Gdt,
}

/// A gate of the IDT.
pub(super) struct Gate {
    pub vector: u8,
    pub function: String,
    pub dpl: u8,
}

/// The objects of the two data segments.
pub(super) struct Layout {
    pub rodata: Vec<Object>,
    pub data: Vec<Object>,
}

/// The vectors that a program may raise with an instruction of its own: `int3`, `into` and `int $0x80`.
const USER_VECTORS: [u8; 3] = [3, 4, 0x80];

impl Layout {
    pub(super) fn new(dispatch: &Dispatch, banner: &str) -> Self {
        let mut rodata = vec![table("sys_call_table", dispatch, &dispatch.native, "__x64_")];
        if let Some(ia32) = &dispatch.ia32 {
            rodata.push(table("ia32_sys_call_table", dispatch, ia32, "__ia32_"));
        }
        let mut text = banner.as_bytes().to_vec();
        text.push(0);
        rodata.push(Object { name: "linux_banner", size: text.len() as u64, align: 32, content: Content::Bytes(text) });

        let exceptions = super::entry::EXCEPTIONS.iter();
        let mut gates: Vec<_> = exceptions.map(|exception| (exception.vector, exception.entry())).collect();
        if dispatch.ia32.is_some() {
            gates.push((0x80, "entry_INT80_compat".to_owned()));
        }
        let gate =
            |(vector, function)| Gate { vector, function, dpl: if USER_VECTORS.contains(&vector) { 3 } else { 0 } };
        let page = |name, size, content| Object { name, size, align: PAGE_SIZE, content };
        let data = vec![
            page("idt_table", 256 * 16, Content::Gates(gates.into_iter().map(gate).collect())),
            page("gdt_page", GDT_ENTRIES as u64 * 8, Content::Gdt),
            page("cpu_tss_rw", TSS_SIZE, Content::Bytes(tss())),
            page("pcpu_hot", pcpu::SIZE, Content::Bytes(vec![0; pcpu::SIZE as usize])),
        ];
        Self { rodata, data }
    }
}

fn table(name: &'static str, dispatch: &Dispatch, numbers: &Numbers, prefix: &str) -> Object {
    let slots = numbers.slots();
    let point = |call: &crate::dispatch::Call| dispatch.entry_points.get(call.entry_point?);
    let function = |slot: &Option<_>| match slot.and_then(point) {
        Some(point) => format!("{prefix}{}", point.name),
        None => SYS_NI_SYSCALL.to_owned(),
    };
    let functions: Vec<_> = slots.iter().map(function).collect();
    Object { name, size: functions.len() as u64 * 8, align: 32, content: Content::Addresses(functions) }
}

impl Object {
    /// The bytes, now that each symbol has its address.
    pub(super) fn bytes(&self, symbols: &HashMap<String, u64>) -> Vec<u8> {
        let address = |name: &str| symbols.get(name).copied().unwrap_or_default();
        match &self.content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Addresses(names) => names.iter().flat_map(|name| address(name).to_le_bytes()).collect(),
            Content::Gates(gates) => {
                let mut table = vec![0; 256 * 16];
                for gate in gates {
                    let slot = table.iter_mut().skip(usize::from(gate.vector) * 16);
                    let bytes = interrupt_gate(address(&gate.function), gate.dpl).to_le_bytes();
                    slot.zip(bytes).for_each(|(slot, byte)| *slot = byte);
                }
                table
            }
            Content::Gdt => gdt(address("cpu_tss_rw")).into_iter().flat_map(u64::to_le_bytes).collect(),
        }
    }
}

/// A 64-bit interrupt gate to ring 0, on the interrupted task's stack or, from ring 3, on the TSS's (IST 0).
fn interrupt_gate(offset: u64, dpl: u8) -> u128 {
    const PRESENT: u128 = 1 << 47;
    const INTERRUPT_GATE: u128 = 0xe << 40;
    let offset = u128::from(offset);
    let low = offset & 0xffff | u128::from(selector::KERNEL_CS) << 16;
    low | INTERRUPT_GATE | u128::from(dpl) << 45 | PRESENT | (offset >> 16 & 0xffff) << 48 | (offset >> 32) << 64
}

/// The segments at Linux's places: flat, so only type, ring and size differ.
fn gdt(tss: u64) -> [u64; GDT_ENTRIES] {
    const CODE32: u64 = 0x00cf_9b00_0000_ffff;
    const CODE64: u64 = 0x00af_9b00_0000_ffff;
    const DATA: u64 = 0x00cf_9300_0000_ffff;
    /// Its limit is the number of the processor, the only one, and its node's.
    const PROCESSOR: u64 = 0x0040_f500_0000_0000;
    const RING3: u64 = 3 << 45;
    const BUSY_TSS: u64 = 0x8b << 40;
    let mut gdt = [0; GDT_ENTRIES];
    let mut set = |selector: u16, descriptor| {
        if let Some(slot) = gdt.get_mut(usize::from(selector >> 3)) {
            *slot = descriptor;
        }
    };
    set(0x08, CODE32);
    set(selector::KERNEL_CS, CODE64);
    set(selector::KERNEL_DS, DATA);
    set(selector::USER32_CS, CODE32 | RING3);
    set(selector::USER_DS, DATA | RING3);
    set(selector::USER_CS, CODE64 | RING3);
    set(selector::PROCESSOR, PROCESSOR);
    // A system segment takes two places, the second with the upper half of its address.
    set(selector::TSS, (TSS_SIZE - 1) | (tss & 0xff_ffff) << 16 | BUSY_TSS | (tss >> 24 & 0xff) << 56);
    set(selector::TSS + 8, tss >> 32);
    gdt
}

/// A TSS whose stack pointers the kernel sets as it switches tasks; no port is allowed to ring 3.
fn tss() -> Vec<u8> {
    let mut tss = vec![0; TSS_SIZE as usize - 2];
    tss.extend((TSS_SIZE as u16).to_le_bytes());
    tss
}
