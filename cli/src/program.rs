//! The program to run: found on the host, looked at before it is run, and put into the guest.
//!
//! execve(2) answers a number, ENOEXEC or ENOENT, and leaves the reader to guess what is wrong with
//! the file. So look first, and say it in one line.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use callgate_kernel::{Errno, Machine};
use object::elf::{EM_X86_64, ET_DYN, ET_EXEC, FileHeader64, PT_INTERP, PT_LOAD, ProgramHeader64};
use object::{LittleEndian as LE, pod};

use crate::args::GuestArgs;
use crate::exit::{Failure, Result};

/// Where programs are looked for, inside.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// As much of a file as its headers need: they stand at its beginning.
const HEAD: usize = 4 << 10;

/// A program of the host.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its path on the host.
    pub(crate) host: PathBuf,
    /// Its path in the guest: the same, made absolute.
    guest: String,
    file: File,
    mode: u32,
    /// What it needs to be run, and where that is named: `#!/bin/sh`, or a dynamic linker.
    interpreter: Option<Interpreter>,
}

#[derive(Debug)]
enum Interpreter {
    Script(String),
    Dynamic(String),
}

impl Program {
    /// Finds the program, and makes sure that it is one.
    pub(crate) fn find(name: &OsStr) -> Result<Program> {
        let host = locate(name)?;
        let shown = host.display();
        let refused = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Failure::not_found(format!("{shown}: no such file or directory"))
            }
            _ => Failure::not_executable(format!("{shown}: {}", without_number(&error))),
        };
        let metadata = std::fs::metadata(&host).map_err(refused)?;
        if metadata.is_dir() {
            return Err(Failure::not_executable(format!("{shown}: is a directory")));
        }
        if !metadata.is_file() {
            return Err(Failure::not_executable(format!("{shown}: is not a regular file")));
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o111 == 0 {
            return Err(Failure::not_executable(format!("{shown}: is not executable (chmod +x makes it so)")));
        }
        let file = File::open(&host).map_err(refused)?;
        let mut head = Vec::with_capacity(HEAD);
        (&file).take(HEAD as u64).read_to_end(&mut head).map_err(refused)?;
        let interpreter =
            look(&head, metadata.len()).map_err(|what| Failure::not_executable(format!("{shown}: {what}")))?;
        let guest = std::path::absolute(&host).map_err(refused)?;
        let guest = guest
            .into_os_string()
            .into_string()
            .map_err(|_| Failure::own(format!("{shown}: its path is not UTF-8, which the guest's root can't hold")))?;
        Ok(Program { host, guest, file, mode, interpreter })
    }

    /// The whole file.
    pub(crate) fn read(&self) -> Result<Vec<u8>> {
        std::fs::read(&self.host)
            .map_err(|error| Failure::not_executable(format!("{}: {}", self.host.display(), without_number(&error))))
    }

    /// Puts the program into the guest and starts it there.
    pub(crate) fn start(self, machine: &mut Machine, guest: &GuestArgs) -> Result<()> {
        let shown = self.host.display().to_string();
        let vfs = &machine.kernel.vfs;
        vfs.install_host_file(&self.guest, self.file, self.mode)
            .map_err(|errno| Failure::own(format!("{shown}: can't be put into the guest: {}", errno.description())))?;
        let cwd = guest.cwd.as_bytes();
        let argv = guest.command.iter().map(|arg| arg.as_bytes().to_vec()).collect();
        machine.spawn(self.guest.as_bytes(), cwd, argv, environment(guest)).map_err(|errno| {
            match (errno, self.interpreter) {
                (Errno::ENOENT, Some(Interpreter::Dynamic(path))) => Failure::not_found(format!(
                    "{shown}: is dynamically linked and needs {path}, which the guest does not have; link it with -static"
                )),
                (Errno::ENOENT, Some(Interpreter::Script(path))) => Failure::not_found(format!(
                    "{shown}: is a script for {path}, which the guest does not have; name that program instead"
                )),
                (Errno::ENOENT | Errno::ENOTDIR, None) if cwd != b"/" => {
                    Failure::own(format!("--cwd {}: {}", guest.cwd.display(), errno.description()))
                }
                (Errno::ENOMEM, _) => {
                    Failure::own(format!("{shown}: does not fit into the guest's memory (--max-memory)"))
                }
                _ => Failure::not_executable(format!("{shown}: {}", errno.description())),
            }
        })
    }
}

/// `No such file or directory`, without `(os error 2)`.
fn without_number(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// The path of a program: as given if it has a slash, looked up in the host's PATH otherwise.
fn locate(name: &OsStr) -> Result<PathBuf> {
    let shown = name.display();
    if name.as_bytes().contains(&b'/') {
        return Ok(PathBuf::from(name));
    }
    if name.as_bytes().starts_with(b"-") {
        return Err(Failure::own(format!("there is no option `{shown}` (a program of that name is ./{shown})")));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| PATH.into());
    let is_program = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(is_program);
    found.ok_or_else(|| {
        let hint = if Path::new(name).exists() { format!("; for the one here say ./{shown}") } else { String::new() };
        Failure::not_found(format!("{shown}: no such program in PATH{hint}"))
    })
}

/// What the program's environment is: what was asked for, over PATH, HOME and TERM.
fn environment(guest: &GuestArgs) -> Vec<Vec<u8>> {
    // A run that can be repeated must not depend on the terminal.
    let term = match guest.deterministic {
        Some(_) => None,
        None => std::env::var_os("TERM"),
    };
    let term = term.unwrap_or_else(|| "dumb".into());
    let mut env = vec![variable("PATH", PATH.as_ref()), variable("HOME", "/root".as_ref()), variable("TERM", &term)];
    for given in &guest.env {
        let name = |var: &[u8]| var.split(|&byte| byte == b'=').next().unwrap_or_default().to_vec();
        let given = given.as_bytes().to_vec();
        env.retain(|known| name(known) != name(&given));
        env.push(given);
    }
    env
}

fn variable(name: &str, value: &OsStr) -> Vec<u8> {
    let mut text = OsString::from(format!("{name}="));
    text.push(value);
    text.into_vec()
}

/// Looks at a file of `len` bytes that begins with `head`: what it needs to run, or why it is no program.
fn look(head: &[u8], len: u64) -> Result<Option<Interpreter>, String> {
    if len == 0 {
        return Err("is empty".to_owned());
    }
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii();
        let path = line.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
        if path.is_empty() {
            return Err("is a script that names no interpreter after #!".to_owned());
        }
        return Ok(Some(Interpreter::Script(String::from_utf8_lossy(path).into_owned())));
    }
    if !head.starts_with(b"\x7fELF") {
        let text = !head.contains(&0) && std::str::from_utf8(&head[..head.len().min(256)]).is_ok();
        let kind = if text { "is a text file without #!" } else { "is neither an ELF program nor a script" };
        return Err(kind.to_owned());
    }
    elf(head, len)
}

/// The same for an ELF file.
fn elf(head: &[u8], len: u64) -> Result<Option<Interpreter>, String> {
    let truncated = || format!("is a truncated ELF file: it ends after {len} bytes");
    let (class, big_endian) = (head.get(4).copied(), head.get(5) == Some(&2));
    let word = |at: usize| {
        let bytes = [*head.get(at)?, *head.get(at + 1)?];
        Some(if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    };
    // Type and machine stand at the same places for every class.
    let (Some(kind), Some(machine)) = (word(16), word(18)) else { return Err(truncated()) };
    if machine != EM_X86_64 {
        return Err(format!("is an ELF file for {}, not for x86-64", machine_name(machine)));
    }
    if class != Some(2) {
        return Err("is an ELF file for x32, with 32-bit pointers".to_owned());
    }
    match kind {
        ET_EXEC | ET_DYN => {}
        1 => return Err("is an object file: link it first".to_owned()),
        4 => return Err("is a core dump".to_owned()),
        other => return Err(format!("is an ELF file of type {other}, not a program")),
    }
    let (header, _) = pod::from_bytes::<FileHeader64<LE>>(head).map_err(|()| truncated())?;
    let (start, count) = (header.e_phoff.get(LE), usize::from(header.e_phnum.get(LE)));
    let table = usize::try_from(start).ok().and_then(|start| head.get(start..));
    let headers = table.and_then(|table| pod::slice_from_bytes::<ProgramHeader64<LE>>(table, count).ok());
    let Some((headers, _)) = headers else {
        // Program headers that are further on than we look are execve's to judge.
        let end = start.saturating_add(count as u64 * size_of::<ProgramHeader64<LE>>() as u64);
        return if end > len { Err(truncated()) } else { Ok(None) };
    };
    let end = |header: &ProgramHeader64<LE>| header.p_offset.get(LE).saturating_add(header.p_filesz.get(LE));
    if headers.iter().any(|header| header.p_type.get(LE) == PT_LOAD && end(header) > len) {
        return Err(truncated());
    }
    if !headers.iter().any(|header| header.p_type.get(LE) == PT_LOAD) {
        return Err("is an ELF file with nothing to load".to_owned());
    }
    let interpreter = headers.iter().find(|header| header.p_type.get(LE) == PT_INTERP).and_then(|header| {
        let start = usize::try_from(header.p_offset.get(LE)).ok()?;
        let path = head.get(start..usize::try_from(end(header)).ok()?)?;
        let path = path.split(|&byte| byte == 0).next().unwrap_or_default();
        Some(Interpreter::Dynamic(String::from_utf8_lossy(path).into_owned()))
    });
    Ok(interpreter)
}

/// The machine of an ELF file, as people call it.
fn machine_name(machine: u16) -> String {
    use object::elf;
    let name = match machine {
        elf::EM_386 => "i386",
        elf::EM_ARM => "ARM",
        elf::EM_AARCH64 => "AArch64",
        elf::EM_RISCV => "RISC-V",
        elf::EM_PPC => "PowerPC",
        elf::EM_PPC64 => "PowerPC64",
        elf::EM_S390 => "s390",
        elf::EM_MIPS => "MIPS",
        elf::EM_SPARC | elf::EM_SPARCV9 => "SPARC",
        elf::EM_LOONGARCH => "LoongArch",
        elf::EM_IA_64 => "Itanium",
        elf::EM_BPF => "BPF",
        other => return format!("machine {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of a static program with one segment of `filesz` bytes.
    fn header(machine: u16, kind: u16, filesz: u64) -> Vec<u8> {
        let mut file = vec![0; 120];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[16..18].copy_from_slice(&kind.to_le_bytes());
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[32] = 64; // e_phoff
        file[54] = 56; // e_phentsize
        file[56] = 1; // e_phnum
        file[64] = 1; // PT_LOAD
        file[96..104].copy_from_slice(&filesz.to_le_bytes());
        file
    }

    fn wrong(file: &[u8]) -> String {
        look(file, file.len() as u64).unwrap_err()
    }

    #[test]
    fn what_is_no_program_is_named() {
        assert_eq!(wrong(b""), "is empty");
        assert_eq!(wrong(b"hello\n"), "is a text file without #!");
        assert_eq!(wrong(b"\x00\x01\x02"), "is neither an ELF program nor a script");
        assert_eq!(wrong(b"#!\n"), "is a script that names no interpreter after #!");
        assert_eq!(wrong(b"\x7fELF"), "is a truncated ELF file: it ends after 4 bytes");
    }

    #[test]
    fn an_elf_file_is_looked_into() {
        let good = header(62, 2, 120);
        assert!(matches!(look(&good, 120), Ok(None)));
        assert_eq!(wrong(&header(183, 2, 120)), "is an ELF file for AArch64, not for x86-64");
        assert_eq!(wrong(&header(9999, 2, 120)), "is an ELF file for machine 9999, not for x86-64");
        assert_eq!(wrong(&header(62, 1, 120)), "is an object file: link it first");
        assert_eq!(wrong(&header(62, 2, 121)), "is a truncated ELF file: it ends after 120 bytes");
        assert_eq!(wrong(&good[..100]), "is a truncated ELF file: it ends after 100 bytes");
        let mut big_endian = header(0, 2, 120);
        (big_endian[5], big_endian[18], big_endian[19]) = (2, 0, 21);
        assert_eq!(wrong(&big_endian), "is an ELF file for PowerPC64, not for x86-64");
    }

    #[test]
    fn a_script_names_its_interpreter() {
        let Ok(Some(Interpreter::Script(path))) = look(b"#! /bin/sh -e\nexit\n", 19) else { panic!() };
        assert_eq!(path, "/bin/sh");
    }

    #[test]
    fn a_missing_program_is_not_found() {
        assert_eq!(Program::find("/no/such/program".as_ref()).unwrap_err().code, 127);
        assert_eq!(Program::find("no-such-program-anywhere".as_ref()).unwrap_err().code, 127);
        assert_eq!(Program::find("/".as_ref()).unwrap_err().code, 126);
        assert_eq!(Program::find("--typo".as_ref()).unwrap_err().code, 125);
    }
}
