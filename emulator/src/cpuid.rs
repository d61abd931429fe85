//! What CPUID says.

/// eax, ebx, ecx and edx of a leaf.
pub(crate) fn cpuid(leaf: u32, _subleaf: u32) -> [u32; 4] {
    match leaf {
        0 => [1, 0x756e_6547, 0x6c65_746e, 0x4965_6e69],
        // FPU TSC MSR CX8 CMOV CLFSH MMX FXSR SSE SSE2
        1 => [0x0006_0f01, 0x0000_0800, 1 << 13, 0x0788_8131],
        0x8000_0000 => [0x8000_0001, 0, 0, 0],
        // LAHF; SYSCALL NX LM RDTSCP
        0x8000_0001 => [0, 0, 1, 0x2810_0800],
        _ => [0; 4],
    }
}
