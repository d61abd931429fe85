//! The kernel image, decoded again: what its tables, gates and stubs lead to.

use std::collections::HashSet;

use callgate_codegen::dispatch::Dispatch;
use callgate_codegen::image::{Hypercall, Image, PtReg, selector};
use callgate_codegen::{AbiFilter, Table, default_abis};
use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Formatter, Instruction, IntelFormatter, Mnemonic, OpKind, Register,
};

fn tables() -> (Table, Table) {
    let read = |name: &str| {
        let path = format!("{}/../{name}", env!("CARGO_MANIFEST_DIR"));
        Table::read(path).unwrap_or_else(|error| panic!("{error}"))
    };
    (read("syscall_64.tbl"), read("syscall_32.tbl"))
}

fn kernel() -> (Dispatch, Image) {
    let (native, ia32) = tables();
    let dispatch = Dispatch::new((&native, &default_abis(&native)), Some((&ia32, &AbiFilter::all())));
    let dispatch = dispatch.unwrap_or_else(|error| panic!("{error}"));
    let image = Image::new(&dispatch, "Linux version 0\n").expect("the image assembles");
    (dispatch, image)
}

fn decode(image: &Image, name: &str) -> Vec<Instruction> {
    let symbol = image.symbol(name).unwrap_or_else(|| panic!("no symbol {name}"));
    let bytes = image.bytes(symbol.addr, symbol.size).expect("the symbol's bytes");
    Decoder::with_ip(64, bytes, symbol.addr, DecoderOptions::NONE).iter().collect()
}

fn text(instruction: &Instruction) -> String {
    let mut text = String::new();
    IntelFormatter::new().format(instruction, &mut text);
    text
}

fn qword(image: &Image, addr: u64) -> u64 {
    let bytes = image.bytes(addr, 8).expect("eight bytes");
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

#[test]
fn each_function_is_whole_instructions_that_lead_to_beginnings() {
    let (_, image) = kernel();
    let functions: Vec<_> = image.symbols.iter().filter(|symbol| symbol.kind == 'T').collect();
    let starts: HashSet<u64> = functions.iter().map(|symbol| symbol.addr).collect();
    assert!(functions.len() > 700, "{}", functions.len());
    for function in functions {
        let code = decode(&image, &function.name);
        let last = code.last().expect("an instruction");
        assert_eq!(last.next_ip(), function.addr + function.size, "{}", function.name);
        assert_ne!(last.flow_control(), FlowControl::Next, "{} runs on", function.name);
        assert!(code.iter().all(|instruction| !instruction.is_invalid()), "{}", function.name);
        for instruction in code.iter().filter(|instruction| instruction.op0_kind() == OpKind::NearBranch64) {
            let target = instruction.near_branch_target();
            let inside = code.iter().any(|other| other.ip() == target);
            assert!(inside || starts.contains(&target), "{}: {instruction}", function.name);
        }
    }
}

#[test]
fn symbols_ascend_and_have_names_of_their_own() {
    let (_, image) = kernel();
    for pair in image.symbols.windows(2) {
        assert!(pair[0].addr + pair[0].size <= pair[1].addr, "{} and {}", pair[0].name, pair[1].name);
    }
    let names: HashSet<_> = image.symbols.iter().map(|symbol| &symbol.name).collect();
    assert_eq!(names.len(), image.symbols.len());
    for symbol in &image.symbols {
        assert!(symbol.size > 0, "{}", symbol.name);
        assert_eq!(image.resolve(symbol.addr), Some((symbol, 0)));
        assert_eq!(image.resolve(symbol.addr + symbol.size - 1), Some((symbol, symbol.size - 1)));
        assert!(image.bytes(symbol.addr, symbol.size).is_some(), "{}", symbol.name);
    }
    assert_eq!(image.resolve(0), None);
    assert_eq!(image.resolve(u64::MAX), None);
}

#[test]
fn segments_are_pages_one_after_the_other() {
    let (_, image) = kernel();
    let names: Vec<_> = image.segments.iter().map(|segment| segment.name).collect();
    assert_eq!(names, [".text", ".rodata", ".data"]);
    assert_eq!(image.segments[0].addr, 0xffff_ffff_8100_0000);
    for segment in &image.segments {
        assert_eq!((segment.addr % 4096, segment.mem_size % 4096), (0, 0));
        assert!(segment.data.len() as u64 <= segment.mem_size);
        assert!(!(segment.writable && segment.executable));
    }
    for pair in image.segments.windows(2) {
        assert_eq!(pair[0].addr + pair[0].mem_size, pair[1].addr);
    }
}

#[test]
fn the_tables_lead_to_the_stubs_of_their_rows() {
    let (dispatch, image) = kernel();
    let ia32 = dispatch.ia32.as_ref().expect("a 32-bit table");
    for (table, numbers, prefix) in
        [("sys_call_table", &dispatch.native, "__x64_"), ("ia32_sys_call_table", ia32, "__ia32_")]
    {
        let symbol = image.symbol(table).expect("the table");
        assert_eq!(symbol.size, numbers.len() as u64 * 8);
        for (at, slot) in (0..).zip(numbers.slots()) {
            let (target, offset) = image.resolve(qword(&image, symbol.addr + at * 8)).expect("a function");
            let expected = match slot.and_then(|call| call.entry_point) {
                Some(index) => format!("{prefix}{}", dispatch.entry_points[index].name),
                None => "sys_ni_syscall".to_owned(),
            };
            assert_eq!((target.name.as_str(), offset), (expected.as_str(), 0), "{table}[{at}]");
        }
    }
    let sys_call_table = image.symbol("sys_call_table").expect("the table").addr;
    let write = image.resolve(qword(&image, sys_call_table + 8)).expect("write");
    assert_eq!(write.0.name, "__x64_sys_write");
    assert_eq!(dispatch.native.len(), 472);
}

#[test]
fn the_dispatchers_look_the_number_up_in_their_tables() {
    let (dispatch, image) = kernel();
    let ia32 = dispatch.ia32.as_ref().expect("a 32-bit table");
    for (function, table, numbers) in
        [("do_syscall_64", "sys_call_table", &dispatch.native), ("do_int80_syscall_32", "ia32_sys_call_table", ia32)]
    {
        let code = decode(&image, function);
        let bound = code.iter().find(|instruction| instruction.code() == Code::Cmp_EAX_imm32).expect("a bounds check");
        assert_eq!(bound.immediate32() as usize, numbers.len(), "{function}");
        let load = code.iter().find(|instruction| instruction.memory_index() == Register::RAX).expect("a load");
        assert_eq!(
            (load.memory_index_scale(), load.memory_base(), load.op0_register()),
            (8, Register::None, Register::RAX)
        );
        assert_eq!(Some(load.memory_displacement64()), image.symbol(table).map(|table| table.addr), "{function}");
    }
}

#[test]
fn a_stub_asks_for_its_own_handler() {
    let (dispatch, image) = kernel();
    let asked = |name: &str| match decode(&image, name).as_slice() {
        [mov, call, ret] => {
            assert_eq!((mov.code(), mov.op0_register()), (Code::Mov_r32_imm32, Register::EAX));
            assert_eq!((call.mnemonic(), ret.mnemonic()), (Mnemonic::Vmcall, Mnemonic::Ret));
            image.hypercalls[mov.immediate32() as usize]
        }
        other => panic!("{name}: {other:?}"),
    };
    let index = |name: &str| dispatch.entry_points.iter().position(|point| point.name == name).expect("an entry point");
    assert_eq!(asked("__x64_sys_read"), Hypercall::Syscall(index("sys_read")));
    assert_eq!(asked("__ia32_sys_read"), Hypercall::Ia32Syscall(index("sys_read")));
    assert_eq!(asked("__ia32_compat_sys_open"), Hypercall::Ia32Syscall(index("compat_sys_open")));
    assert_eq!(asked("exc_page_fault"), Hypercall::Exception(14));
    assert_eq!(asked("syscall_exit_to_user_mode"), Hypercall::ExitToUserMode);
    let all: HashSet<_> = image.hypercalls.iter().map(|hypercall| format!("{hypercall:?}")).collect();
    assert_eq!(all.len(), image.hypercalls.len());
}

#[test]
fn entries_push_pt_regs_from_its_end_to_its_beginning() {
    let (_, image) = kernel();
    // From ss, the last of the structure, to r15, the first.
    let saved = [
        "rdi",
        "rsi",
        "rdx",
        "rcx",
        "0FFFFFFFFFFFFFFDAh",
        "r8",
        "r9",
        "r10",
        "r11",
        "rbx",
        "rbp",
        "r12",
        "r13",
        "r14",
        "r15",
    ];
    let pushed = |name: &str| -> Vec<String> {
        let code = decode(&image, name);
        let pushes = code.iter().filter(|instruction| instruction.mnemonic() == Mnemonic::Push);
        pushes.map(|push| text(push).trim_start_matches("push ").to_owned()).collect()
    };
    let hardware = ["2Bh", "qword ptr gs:[8]", "r11", "33h", "rcx", "rax"];
    assert_eq!(pushed("entry_SYSCALL_64"), [&hardware[..], &saved].concat());
    assert_eq!(pushed("entry_INT80_compat"), [&["rax"], &saved[..]].concat());
    assert_eq!(hardware.len() + saved.len(), PtReg::Ss as usize + 1);
    assert_eq!(PtReg::Ss.offset(), 160);

    for name in ["entry_SYSCALL_64", "swapgs_restore_regs_and_return_to_usermode", "restore_regs_and_return_to_kernel"]
    {
        let code = decode(&image, name);
        let pops: Vec<_> = code.iter().filter(|instruction| instruction.mnemonic() == Mnemonic::Pop).collect();
        let popped: Vec<_> = pops.iter().rev().map(|pop| text(pop)).collect();
        let saved = saved.map(|word| if word.ends_with('h') { "rax" } else { word });
        assert_eq!(popped, saved.map(|word| format!("pop {word}")), "{name}");
    }
}

#[test]
fn the_idt_leads_to_the_entries_and_lets_programs_raise_three_vectors() {
    let (_, image) = kernel();
    let idt = image.symbol("idt_table").expect("the IDT");
    assert_eq!(idt.size, 4096);
    for vector in 0..256_u64 {
        let (low, high) = (qword(&image, idt.addr + vector * 16), qword(&image, idt.addr + vector * 16 + 8));
        if vector == 15 || (20..256).contains(&vector) && vector != 0x80 {
            assert_eq!((low, high), (0, 0), "vector {vector}");
            continue;
        }
        let offset = low & 0xffff | low >> 32 & 0xffff_0000 | high << 32;
        let (target, into) = image.resolve(offset).expect("an entry");
        assert_eq!(into, 0);
        match vector {
            0x80 => assert_eq!(target.name, "entry_INT80_compat"),
            _ => assert!(target.name.starts_with("asm_exc_"), "{}", target.name),
        }
        assert_eq!(low >> 16 & 0xffff, u64::from(selector::KERNEL_CS));
        assert_eq!(low >> 32 & 7, 0, "no stack of its own");
        let dpl = if [3, 4, 0x80].contains(&vector) { 3 } else { 0 };
        assert_eq!(low >> 40 & 0xff, 0x8e | dpl << 5, "vector {vector}");
        assert_eq!(high >> 32, 0);
    }
}

#[test]
fn the_gdt_has_the_segments_that_syscall_and_sysret_imply() {
    let (_, image) = kernel();
    let gdt = image.symbol("gdt_page").expect("the GDT").addr;
    let descriptor = |selector: u16| qword(&image, gdt + u64::from(selector & !7));
    // syscall: cs and the next one for ss. sysret: the third and the second from STAR's.
    assert_eq!(selector::KERNEL_DS, selector::KERNEL_CS + 8);
    assert_eq!(selector::USER_CS, selector::USER32_CS + 16);
    assert_eq!(selector::USER_DS, selector::USER32_CS + 8);
    let (long_mode, dpl) = (1 << 53, |descriptor: u64| descriptor >> 45 & 3);
    for (selector, ring, long) in [
        (selector::KERNEL_CS, 0, true),
        (selector::KERNEL_DS, 0, false),
        (selector::USER32_CS, 3, false),
        (selector::USER_DS, 3, false),
        (selector::USER_CS, 3, true),
    ] {
        let descriptor = descriptor(selector);
        assert_eq!((dpl(descriptor), descriptor & long_mode != 0), (ring, long), "{selector:#x}");
        assert_ne!(descriptor & 1 << 47, 0, "{selector:#x} is present");
    }
    let tss = descriptor(selector::TSS);
    let base = tss >> 16 & 0xff_ffff | tss >> 32 & 0xff00_0000 | descriptor(selector::TSS + 8) << 32;
    assert_eq!(Some(base), image.symbol("cpu_tss_rw").map(|symbol| symbol.addr));
    assert_eq!(tss & 0xffff, 103);
}

#[test]
fn a_small_kernel_needs_no_32_bit_table() {
    let table = Table::parse("tiny.tbl", "0\ttiny\thello\tsys_hello\n4\ttiny\tbye\tsys_bye\t-\tnoreturn\n");
    let table = table.unwrap_or_else(|error| panic!("{error}"));
    let dispatch = Dispatch::new((&table, &AbiFilter::all()), None).unwrap_or_else(|error| panic!("{error}"));
    let image = Image::new(&dispatch, "").expect("the image assembles");
    assert!(image.symbol("ia32_sys_call_table").is_none() && image.symbol("entry_INT80_compat").is_none());
    assert_eq!(image.symbol("sys_call_table").map(|table| table.size), Some(40));
}
