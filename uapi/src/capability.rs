//! Linux: `linux/capability.h`.

use crate::user_structs;

user_structs! {
    /// Version of the interface, and whose capabilities.
    CapHeader = "struct __user_cap_header_struct" { version: u32, pid: i32 }
    /// 32 capabilities of each set.
    CapData = "struct __user_cap_data_struct" { effective: u32, permitted: u32, inheritable: u32 }
}
