//! Figures of the whole system: sysinfo(2), and what little there is of syslog(2).
//!
//! Quirk: the kernel keeps no log: reading it gives nothing.

use callgate_abi::{Errno, SYSCALL_DEFINE1, SYSCALL_DEFINE3, UserMut, syscall_enum};
use linux_raw_sys::general::CAP_SYSLOG;

use super::user_structs;
use crate::mm::PAGE_SIZE;
use crate::{Result, Task};

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

/// sysinfo(2): uptime, memory and the number of tasks.
#[SYSCALL_DEFINE1(sysinfo)]
pub fn sysinfo(task: &mut Task, info: UserMut<Sysinfo>) -> Result<()> {
    let kernel = &task.kernel;
    let total = kernel.memory.limit();
    let used = kernel.memory.frames_in_use() * PAGE_SIZE;
    let uptime = kernel.clock.monotonic();
    let answer = Sysinfo {
        // A second that has begun counts.
        uptime: (uptime.as_secs() + u64::from(uptime.subsec_nanos() > 0)) as i64,
        totalram: total,
        freeram: total.saturating_sub(used),
        procs: u16::try_from(kernel.tasks().len()).unwrap_or(u16::MAX),
        mem_unit: 1,
        ..Sysinfo::default()
    };
    info.write(task, &answer)
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

/// syslog(2): the kernel's log, which is empty.
#[SYSCALL_DEFINE3(syslog)]
pub fn syslog(task: &mut Task, r#type: SyslogAction, buf: UserMut<u8>, len: i32) -> Result<i32> {
    use SyslogAction as Action;
    let open_to_all = matches!(r#type, Action::SYSLOG_ACTION_READ_ALL | Action::SYSLOG_ACTION_SIZE_BUFFER);
    if !open_to_all && !task.cred.capable(CAP_SYSLOG) {
        return Err(Errno::EPERM);
    }
    match r#type {
        Action::SYSLOG_ACTION_READ | Action::SYSLOG_ACTION_READ_ALL | Action::SYSLOG_ACTION_READ_CLEAR => {
            if buf.is_null() || len < 0 {
                return Err(Errno::EINVAL);
            }
            Ok(0)
        }
        Action::SYSLOG_ACTION_CONSOLE_LEVEL if !(1..=8).contains(&len) => Err(Errno::EINVAL),
        SyslogAction(0..=10) => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysinfo_has_linuxs_size() {
        assert_eq!(size_of::<Sysinfo>(), 112);
        assert_eq!(core::mem::offset_of!(Sysinfo, procs), 80);
        assert_eq!(core::mem::offset_of!(Sysinfo, mem_unit), 104);
    }
}
