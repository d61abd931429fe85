//! What the host must have.

use std::io;

/// AT_HWCAP2: ring 3 may read and write the bases of fs and gs.
const HWCAP2_FSGSBASE: libc::c_ulong = 2;

/// arch_prctl(2): the base of gs.
pub(crate) const ARCH_SET_GS: libc::c_int = 0x1001;
pub(crate) const ARCH_GET_GS: libc::c_int = 0x1004;

/// Whether gs gets its base by instructions. Before Linux 5.9, and where it was told so, only system calls can give it.
pub(crate) fn has_fsgsbase() -> bool {
    // SAFETY: getauxval has no preconditions.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & HWCAP2_FSGSBASE != 0 }
}

/// Whether the native engine can run on this host at all.
///
/// # Errors
/// With what the host lacks.
pub fn check() -> io::Result<()> {
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
    Ok(())
}
