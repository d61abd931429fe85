//! The demonstration: the program of the article that this project began with, explained.
//!
//! In C it is a `main` with inline assembly that writes "Hi\n" by a `syscall` of its own. Here the
//! instructions that gcc makes of it are assembled into an ELF file of one page, so that nothing but
//! this binary is needed; the rest is what `callgate explain` does with any program.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use callgate_kernel::fs::tty::Console;
use clap::Parser;
use iced_x86::code_asm::*;
use iced_x86::{Code, IcedError, Instruction, Register};

use crate::args::{Cli, Command};
use crate::asm::UserSymbols;
use crate::deferred::Deferred;
use crate::exit::{Failure, Result};
use crate::explain::{Choice, watch};
use crate::output::Output;
use crate::program::Program;

/// Where gcc links programs that are not position-independent.
const BASE: u64 = 0x40_0000;
/// The ELF header and one program header.
const HEADERS: u64 = 64 + 56;
/// "Hi\n" and the NUL of a C string, as the number that is stored.
const HI: i32 = 0x000a_6948;
/// __NR_write and __NR_exit_group.
const WRITE: i32 = 1;
const EXIT_GROUP: i32 = 231;

/// Runs and explains it.
pub(crate) fn demo() -> Result {
    introduce();
    let code = explained(Output::stdout(), Console::Host)?;
    let end = "\nThis was the demonstration. `callgate explain ./a.out` does the same with a program of yours;\n\
               `callgate --help` says what else there is.\n";
    // A reader that has gone away has seen enough.
    let _ = std::io::stdout().write_all(end.as_bytes());
    Ok(code)
}

/// Explains it on `output`; the program itself has `console`.
fn explained(output: Output, console: Console) -> Result {
    let (file, symbols) =
        hi().map_err(|error| Failure::own(format!("the demonstration can't be assembled: {error}")))?;
    let directory = tempfile::tempdir().map_err(|error| Failure::own(format!("the demonstration's file: {error}")))?;
    let path = directory.path().join("syscall");
    let failed = |error: std::io::Error| Failure::own(format!("{}: {error}", path.display()));
    std::fs::write(&path, file).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;

    let line = ["callgate".as_ref(), "explain".as_ref(), "--".as_ref(), path.as_os_str()];
    let Ok(Cli { command: Some(Command::Explain(Deferred(args))) }) = Cli::try_parse_from(line) else {
        return Err(Failure::own("the demonstration's command line is wrong"));
    };
    let choice = Choice { calls: args.trace_calls, limit: u64::MAX, full: args.full };
    let program = Program::find(path.as_os_str())?;
    watch(program, &args.guest, console, symbols, choice, output)
}

fn introduce() {
    let text = "\
A program asks the kernel to write \"Hi\" with one instruction, `syscall`. This is its whole way, as the machine takes it:

    asm volatile (\"mov $1, %%rax\\n\"   // the number of the call: write
                  \"mov $1, %%rdi\\n\"   // fd: standard output
                  \"lea %1, %%rsi\\n\"   // buffer: \"Hi\\n\"
                  \"mov $3, %%rdx\\n\"   // length
                  \"syscall\\n\" …);
";
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The program, and where its functions are.
fn hi() -> Result<(Vec<u8>, UserSymbols), IcedError> {
    let mut asm = CodeAssembler::new(64)?;
    let mut main = asm.create_label();
    // _start
    asm.xor(ebp, ebp)?;
    asm.and(rsp, -16)?;
    asm.call(main)?;
    asm.mov(edi, eax)?;
    asm.mov(eax, EXIT_GROUP)?;
    asm.syscall()?;
    asm.hlt()?;

    let start_len = asm.instructions().len();
    asm.set_label(&mut main)?;
    asm.endbr64()?;
    asm.push(rbp)?;
    asm.mov(rbp, rsp)?;
    asm.sub(rsp, 0x20)?;
    asm.xor(eax, eax)?;
    asm.mov(dword_ptr(rbp - 0xc), HI)?;
    asm.add_instruction(load(Register::RAX, WRITE)?)?;
    asm.add_instruction(load(Register::RDI, 1)?)?;
    asm.lea(rsi, qword_ptr(rbp - 0xc))?;
    asm.add_instruction(load(Register::RDX, 3)?)?;
    asm.syscall()?;
    asm.mov(rcx, rax)?;
    asm.mov(qword_ptr(rbp - 0x18), rcx)?;
    asm.mov(eax, 0)?;
    asm.leave()?;
    asm.ret()?;

    let entry = BASE + HEADERS;
    let assembled = asm.assemble_options(entry, iced_x86::BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS)?;
    let (code, offsets) = (&assembled.inner.code_buffer, &assembled.inner.new_instruction_offsets);
    let start_size = offsets.get(start_len).copied().map_or(0, u64::from);
    let symbols = vec![
        (entry, start_size, "_start".to_owned()),
        (entry + start_size, code.len() as u64 - start_size, "main".to_owned()),
    ];
    Ok((elf(code), UserSymbols::new(symbols)))
}

/// `mov register, number` in the seven bytes that the GNU assembler takes for it.
fn load(register: Register, number: i32) -> Result<Instruction, IcedError> {
    Instruction::with2(Code::Mov_rm64_imm32, register, number)
}

/// An ELF file with these instructions: the header, one program header, the code.
fn elf(code: &[u8]) -> Vec<u8> {
    let size = HEADERS + code.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
    let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
    let long = |file: &mut Vec<u8>, value: u64| file.extend(value.to_le_bytes());
    half(&mut file, object::elf::ET_EXEC);
    half(&mut file, object::elf::EM_X86_64);
    word(&mut file, 1);
    long(&mut file, BASE + HEADERS); // entry
    long(&mut file, 64); // program headers
    long(&mut file, 0); // no section headers
    word(&mut file, 0);
    for value in [64, 56, 1, 64, 0, 0] {
        half(&mut file, value);
    }
    word(&mut file, object::elf::PT_LOAD);
    word(&mut file, object::elf::PF_R | object::elf::PF_X);
    for value in [0, BASE, BASE, size, size, 0x1000] {
        long(&mut file, value);
    }
    file.extend(code);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_an_elf_file_with_the_articles_instructions() {
        let (file, _) = hi().unwrap();
        let has = |bytes: &[u8]| file.windows(bytes.len()).any(|window| window == bytes);
        // mov rax, 1; mov rdi, 1; lea rsi, [rbp-0xc]; mov rdx, 3; syscall, as gcc encodes them.
        assert!(has(&[0xc7, 0x45, 0xf4, 0x48, 0x69, 0x0a, 0x00]));
        assert!(has(&[0x48, 0xc7, 0xc0, 1, 0, 0, 0, 0x48, 0xc7, 0xc7, 1, 0, 0, 0]));
        assert!(has(&[0x48, 0x8d, 0x75, 0xf4, 0x48, 0xc7, 0xc2, 3, 0, 0, 0, 0x0f, 0x05]));
        let parsed = object::File::parse(file.as_slice()).unwrap();
        use object::Object;
        assert_eq!(parsed.entry(), BASE + HEADERS);
    }

    /// A file of a test.
    #[derive(Clone, Default)]
    struct Text(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Text {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_whole_way_of_the_call_is_shown() {
        let (text, output, error) = (Text::default(), std::rc::Rc::default(), std::rc::Rc::default());
        let console = Console::Buffers { input: Vec::new(), output: std::rc::Rc::clone(&output), error };
        assert_eq!(explained(Output::memory(text.clone()), console), Ok(0));
        assert_eq!(*output.borrow(), b"Hi\n");
        let text = String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
        // In this order: each is looked for behind the one before.
        let mut rest = text.as_str();
        for expected in [
            "write(1, \"Hi\\n\", 3)",
            "rax ← 0x1",
            "rsi  0x",
            "0f 05",
            "← rip, the next instruction",
            "← rflags",
            "← IA32_LSTAR <entry_SYSCALL_64>",
            "← rflags & ~IA32_FMASK",
            "← IA32_STAR[47:32]",
            "swapgs",
            "rsp ← pcpu_hot",
            "pt_regs.ss ← 0x2b",
            "pt_regs.orig_ax ← 0x1",
            "pt_regs.r15",
            "call do_syscall_64",
            "sys_call_table[1] = 0xffffffff",
            "<__x64_sys_write>",
            "vmcall",
            "write(1, \"Hi\\n\", 3)",
            "kernel/src/fs/read_write.rs:",
            "vfs_write(",
            "_write(",
            "← 3",
            "pt_regs.ax ← 0x3",
            "syscall_exit_to_user_mode",
            "rax ← pt_regs.ax = 0x3",
            "sysretq",
            "← rcx <main+0x30>",
            "← r11",
            "mov rcx, rax",
            "exit_group(0)",
            "+++ exited with 0 +++",
        ] {
            let at = rest.find(expected).unwrap_or_else(|| panic!("`{expected}` is not (there) in:\n{text}"));
            rest = &rest[at + expected.len()..];
        }
    }
}
