//! Linux: `linux/sysinfo.h`, and `linux/syslog.h`, which is not in uapi.

use callgate_abi::syscall_enum;

use crate::user_structs;

user_structs! {
    /// `struct sysinfo`.
    Sysinfo = "struct sysinfo" {
        uptime: i64,
        loads: [u64; 3],
        totalram: u64,
        freeram: u64,
        sharedram: u64,
        bufferram: u64,
        totalswap: u64,
        freeswap: u64,
        procs: u16,
        pad: [u16; 3],
        totalhigh: u64,
        freehigh: u64,
        mem_unit: u32,
        pad2: u32,
    }
}

syscall_enum! {
    /// What syslog does.
    pub struct SyslogAction: i32, "int" {
        SYSLOG_ACTION_CLOSE = 0,
        SYSLOG_ACTION_OPEN = 1,
        SYSLOG_ACTION_READ = 2,
        SYSLOG_ACTION_READ_ALL = 3,
        SYSLOG_ACTION_READ_CLEAR = 4,
        SYSLOG_ACTION_CLEAR = 5,
        SYSLOG_ACTION_CONSOLE_OFF = 6,
        SYSLOG_ACTION_CONSOLE_ON = 7,
        SYSLOG_ACTION_CONSOLE_LEVEL = 8,
        SYSLOG_ACTION_SIZE_UNREAD = 9,
        SYSLOG_ACTION_SIZE_BUFFER = 10,
    }
}
