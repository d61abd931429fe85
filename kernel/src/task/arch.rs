//! What a thread has because the processor is an x86-64 (`arch/x86/kernel/process_64.c`): the bases of
//! FS and GS, where thread-local storage lies.

use callgate_abi::{Errno, SYSCALL_DEFINE2, UserMut};

use crate::mm::TASK_SIZE;
use crate::{Result, Task};

const ARCH_SET_GS: i32 = 0x1001;
const ARCH_SET_FS: i32 = 0x1002;
const ARCH_GET_FS: i32 = 0x1003;
const ARCH_GET_GS: i32 = 0x1004;
const ARCH_GET_CPUID: i32 = 0x1011;
const ARCH_SET_CPUID: i32 = 0x1012;

/// arch_prctl(2): sets or gets the base of FS or GS; CPUID can't be made to fault.
#[SYSCALL_DEFINE2(arch_prctl)]
pub fn arch_prctl(task: &mut Task, option: i32, arg2: UserMut<u64>) -> Result<i64> {
    let addr = arg2.addr();
    match option {
        ARCH_SET_FS | ARCH_SET_GS if addr >= TASK_SIZE => Err(Errno::EPERM),
        ARCH_SET_FS => {
            task.set_user_fs_base(addr);
            Ok(0)
        }
        ARCH_SET_GS => {
            task.set_user_gs_base(addr);
            Ok(0)
        }
        ARCH_GET_FS => arg2.write(task, &task.user_fs_base()).map(|()| 0),
        ARCH_GET_GS => arg2.write(task, &task.user_gs_base()).map(|()| 0),
        ARCH_GET_CPUID => Ok(1),
        ARCH_SET_CPUID => Err(Errno::ENODEV),
        _ => Err(Errno::EINVAL),
    }
}
