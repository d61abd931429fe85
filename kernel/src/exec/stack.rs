//! The first stack of a program: argc, argv, envp and the auxiliary vector.
//!
//! The psABI ("Initial Stack and Register State") puts argc at rsp, which is 16-byte aligned, then
//! argv, NULL, the environment, NULL and the auxiliary vector; the strings lie above. Linux's order
//! of the strings, from the top down: the program's name, the environment, the arguments, then the
//! platform's name and the random bytes.

use linux_raw_sys::auxvec::{
    AT_BASE, AT_CLKTCK, AT_EGID, AT_ENTRY, AT_EUID, AT_EXECFN, AT_FLAGS, AT_GID, AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ,
    AT_NULL, AT_PAGESZ, AT_PHDR, AT_PHENT, AT_PHNUM, AT_PLATFORM, AT_RANDOM, AT_SECURE, AT_UID,
};

use callgate_emulator::CpuModel;

use super::Arguments;
use super::elf::Image;
use crate::mm::{Backing, Mm, PAGE_SIZE, Prot, VmFlags, Vma};
use crate::sys::cred::Cred;
use crate::{Errno, Result};

/// What a new stack may use at once, besides the strings.
const STACK_ROOM: u64 = 128 * 1024;
/// Ticks a second for times(2).
const USER_HZ: u64 = 100;
/// Ring 3 may read and write the FS and GS bases.
const HWCAP2_FSGSBASE: u64 = 2;

/// Puts bytes below what is there already.
struct Pusher<'a> {
    mm: &'a mut Mm,
    sp: u64,
}

impl Pusher<'_> {
    fn push(&mut self, bytes: &[u8]) -> Result<u64> {
        self.sp -= bytes.len() as u64;
        self.mm.write(self.sp, bytes)?;
        Ok(self.sp)
    }

    fn push_string(&mut self, string: &[u8]) -> Result<u64> {
        self.push(&[0])?;
        self.push(string)
    }
}

/// Maps the stack, fills it, and gives the stack pointer.
pub(super) fn build(
    mm: &mut Mm,
    args: &Arguments,
    image: &Image,
    cred: &Cred,
    cpu: CpuModel,
    random: &[u8; 16],
) -> Result<u64> {
    let strings: usize = args.argv.iter().chain(&args.envp).map(|s| s.len() + 9).sum();
    let size = (STACK_ROOM + strings as u64 + PAGE_SIZE) & !(PAGE_SIZE - 1);
    if size > mm.stack_limit {
        return Err(Errno::E2BIG);
    }
    let top = mm.layout.stack_top;
    let mut prot = Prot::READ | Prot::WRITE;
    prot.set(Prot::EXEC, image.executable_stack);
    let flags = VmFlags::GROWSDOWN;
    mm.insert(Vma { start: top - size, end: top, prot, flags, backing: Backing::Anonymous });

    let mut stack = Pusher { mm, sp: top - 8 };
    let execfn = stack.push_string(&args.execfn)?;
    let env_end = stack.sp;
    let mut envp = args.envp.iter().rev().map(|s| stack.push_string(s)).collect::<Result<Vec<_>>>()?;
    let env_start = stack.sp;
    let mut argv = args.argv.iter().rev().map(|s| stack.push_string(s)).collect::<Result<Vec<_>>>()?;
    let arg_start = stack.sp;
    argv.reverse();
    envp.reverse();
    stack.sp &= !15;
    let platform = stack.push_string(b"x86_64")?;
    let random = stack.push(random)?;

    let auxv = [
        (AT_MINSIGSTKSZ, crate::signal::most_of_a_frame(cpu).max(crate::signal::MINSIGSTKSZ)),
        (AT_HWCAP, u64::from(callgate_emulator::cpuid(cpu, 1, 0)[3])),
        (AT_PAGESZ, PAGE_SIZE),
        (AT_CLKTCK, USER_HZ),
        (AT_PHDR, image.phdr),
        (AT_PHENT, 56),
        (AT_PHNUM, image.phnum),
        (AT_BASE, image.base),
        (AT_FLAGS, 0),
        (AT_ENTRY, image.entry),
        (AT_UID, u64::from(cred.uid)),
        (AT_EUID, u64::from(cred.euid)),
        (AT_GID, u64::from(cred.gid)),
        (AT_EGID, u64::from(cred.egid)),
        (AT_SECURE, 0),
        (AT_RANDOM, random),
        (AT_HWCAP2, HWCAP2_FSGSBASE),
        (AT_EXECFN, execfn),
        (AT_PLATFORM, platform),
        (AT_NULL, 0),
    ]
    .map(|(key, value)| (u64::from(key), value));

    let mut words = vec![argv.len() as u64];
    words.extend(&argv);
    words.push(0);
    words.extend(&envp);
    words.push(0);
    words.extend(auxv.iter().flat_map(|&(key, value)| [key, value]));
    stack.sp = (stack.sp - 8 * words.len() as u64) & !15;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let sp = stack.sp;
    mm.write(sp, &bytes)?;
    mm.start_stack = sp;
    mm.args = (arg_start, env_start);
    mm.env = (env_start, env_end);
    mm.auxv = auxv.to_vec();
    Ok(sp)
}
