//! What the host must have.

use std::io;

/// AT_HWCAP2: ring 3 may read and write the bases of fs and gs.
const HWCAP2_FSGSBASE: libc::c_ulong = 2;

/// Whether the native engine can run on this host at all.
///
/// # Errors
/// With what the host lacks.
pub fn check() -> io::Result<()> {
    let missing = |what: &str| Err(io::Error::new(io::ErrorKind::Unsupported, format!("the processor has no {what}")));
    // SAFETY: getauxval has no preconditions.
    if unsafe { libc::getauxval(libc::AT_HWCAP2) } & HWCAP2_FSGSBASE == 0 {
        return missing("FSGSBASE for programs");
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
