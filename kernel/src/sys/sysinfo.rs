//! Figures of the whole system: sysinfo(2), and what little there is of syslog(2).
//!
//! Quirk: the kernel keeps no log: reading it gives nothing.

use callgate_abi::{Errno, SYSCALL_DEFINE1, SYSCALL_DEFINE3, UserMut};
use callgate_uapi::sysinfo::{Sysinfo, SyslogAction};
use linux_raw_sys::general::CAP_SYSLOG;

use crate::mm::PAGE_SIZE;
use crate::{Result, Task};

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
