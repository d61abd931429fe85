//! What the host must have.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, CpuidResult};
use std::io;

use callgate_emulator::CpuModel;

use crate::signal;

/// AT_HWCAP2: ring 3 may read and write the bases of fs and gs.
const HWCAP2_FSGSBASE: libc::c_ulong = 2;

/// arch_prctl(2): the base of gs.
const ARCH_SET_GS: libc::c_int = 0x1001;
const ARCH_GET_GS: libc::c_int = 0x1004;

/// Whether gs gets its base by instructions. Before Linux 5.9, and where it was told so, only system calls can give it.
fn has_fsgsbase() -> bool {
    // SAFETY: getauxval has no preconditions.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & HWCAP2_FSGSBASE != 0 }
}

/// Whether `loop` is one of the processor's simple operations: so it is in AMD's, and in Hygon's, which are of the same kind.
pub(crate) fn has_fast_loop() -> bool {
    let CpuidResult { ebx, edx, ecx, .. } = __cpuid(0);
    let vendor = [ebx, edx, ecx].map(u32::to_le_bytes);
    matches!(vendor.as_flattened(), b"AuthenticAMD" | b"HygonGenuine")
}

/// The base of gs of the thread that runs the engine. Neither Rust nor C uses it.
pub(crate) struct GsBase {
    by_call: bool,
    /// What it was before it was set.
    before: Option<u64>,
}

impl GsBase {
    pub(crate) fn new() -> Self {
        Self { by_call: !has_fsgsbase(), before: None }
    }

    /// From now on by system calls.
    pub(crate) fn set_by_call(&mut self) {
        self.by_call = true;
    }

    fn read(&self) -> u64 {
        let mut base = 0u64;
        if self.by_call {
            // SAFETY: the kernel writes the base where the second argument points to.
            unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_GET_GS, &raw mut base) };
        } else {
            // SAFETY: the host has the instruction, which only reads.
            unsafe { asm!("rdgsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
        }
        base
    }

    fn write(&self, base: u64) {
        if self.by_call {
            // SAFETY: nobody else uses gs.
            unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, base) };
        } else {
            // SAFETY: the host has the instruction, and nobody else uses gs.
            unsafe { asm!("wrgsbase {}", in(reg) base, options(nomem, nostack, preserves_flags)) };
        }
    }

    /// Sets it.
    pub(crate) fn set(&mut self, base: u64) {
        if self.before.is_none() {
            self.before = Some(self.read());
        }
        self.write(base);
    }

    /// Makes it what it was, and lets the handler of signals know that nothing is run.
    pub(crate) fn give_back(&mut self) {
        if let Some(before) = self.before.take() {
            signal::take_back();
            self.write(before);
        }
    }
}

impl Drop for GsBase {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Whether the native engine can run programs for a model on this host at all.
///
/// # Errors
/// With what the host lacks.
pub fn check(model: CpuModel) -> io::Result<()> {
    let missing = |what: &str| Err(io::Error::new(io::ErrorKind::Unsupported, format!("the processor has no {what}")));
    let mut base = 0u64;
    // SAFETY: the kernel writes the base where the second argument points to.
    if !has_fsgsbase() && unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_GET_GS, &raw mut base) } != 0 {
        return Err(io::Error::last_os_error());
    }
    macro_rules! needs {
        ($($feature:tt)*) => {
            $(if !std::is_x86_feature_detected!($feature) {
                return missing($feature);
            })*
        };
    }
    needs!("avx2" "fma" "f16c" "bmi1" "bmi2" "lzcnt" "movbe" "popcnt" "aes" "pclmulqdq" "sha" "adx" "cmpxchg16b");
    if model.has_avx_512() {
        needs!("avx512f" "avx512cd" "avx512bw" "avx512dq" "avx512vl");
    }
    Ok(())
}
