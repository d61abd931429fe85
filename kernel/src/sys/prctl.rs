//! prctl(2) and personality(2): what a task can set about itself.
//!
//! Quirk: attributes without an effect here (timer slack, dumpable) are kept and told, no more.

use callgate_abi::{Errno, SYSCALL_DEFINE1, SYSCALL_DEFINE5, UserAddr, UserMut, UserStr};
use callgate_uapi::prctl::PrctlOption;
use callgate_uapi::signal::valid_signal;
use linux_raw_sys::general::{CAP_LAST_CAP, CAP_SETPCAP};

use super::attributes::DEFAULT_TIMER_SLACK;
use super::cred::SECBIT_KEEP_CAPS;
use crate::{Result, Task};

/// The length of a thread's name with its NUL.
const TASK_COMM_LEN: usize = 16;

/// prctl(2): sets or gets an attribute of the calling task.
#[SYSCALL_DEFINE5(prctl)]
pub fn prctl(
    task: &mut Task,
    option: PrctlOption,
    arg2: UserAddr,
    arg3: UserAddr,
    arg4: UserAddr,
    arg5: UserAddr,
) -> Result<i64> {
    use PrctlOption as P;
    let (arg, rest) = (arg2.0, [arg3.0, arg4.0, arg5.0]);
    let no_more = rest == [0; 3];
    match option {
        P::PR_SET_PDEATHSIG => {
            // As in Linux, the signal's number is compared without a sign.
            let sig = i32::try_from(arg).ok().filter(|&sig| sig == 0 || valid_signal(sig)).ok_or(Errno::EINVAL)?;
            task.link.attr.borrow_mut().pdeath_signal = sig;
        }
        P::PR_GET_PDEATHSIG => {
            let sig = task.link.attr.borrow().pdeath_signal;
            UserMut::<i32>::new(arg).write(task, &sig)?;
        }
        P::PR_GET_DUMPABLE => return Ok(task.link.attr.borrow().dumpable.into()),
        P::PR_SET_DUMPABLE => task.link.attr.borrow_mut().dumpable = flag(arg)?,
        P::PR_GET_KEEPCAPS => return Ok((task.cred.securebits & SECBIT_KEEP_CAPS != 0).into()),
        P::PR_SET_KEEPCAPS => {
            let keep = if flag(arg)? { SECBIT_KEEP_CAPS } else { 0 };
            task.cred.securebits = task.cred.securebits & !SECBIT_KEEP_CAPS | keep;
        }
        P::PR_GET_TIMING | P::PR_GET_SECCOMP => return Ok(0),
        P::PR_SET_TIMING if arg == 0 => {}
        P::PR_SET_NAME => set_name(task, UserStr::new(arg))?,
        P::PR_GET_NAME => {
            let mut name = [0; TASK_COMM_LEN];
            for (slot, byte) in name.iter_mut().zip(task.link.comm.borrow().bytes().take(TASK_COMM_LEN - 1)) {
                *slot = byte;
            }
            UserMut::<u8>::new(arg).slice(name.len()).write_from(task, &name)?;
        }
        P::PR_CAPBSET_READ => return Ok((task.cred.cap_bset >> capability(arg)? & 1) as i64),
        P::PR_CAPBSET_DROP => {
            if !task.cred.capable(CAP_SETPCAP) {
                return Err(Errno::EPERM);
            }
            task.cred.cap_bset &= !(1 << capability(arg)?);
        }
        P::PR_GET_SECUREBITS => return Ok(task.cred.securebits.into()),
        P::PR_SET_TIMERSLACK => {
            let slack = if arg as i64 <= 0 { DEFAULT_TIMER_SLACK } else { arg };
            task.link.attr.borrow_mut().timer_slack = slack;
        }
        P::PR_GET_TIMERSLACK => return Ok(task.link.attr.borrow().timer_slack as i64),
        P::PR_SET_CHILD_SUBREAPER => task.signal().child_subreaper.set(arg != 0),
        P::PR_GET_CHILD_SUBREAPER => {
            let subreaper = i32::from(task.signal().child_subreaper.get());
            UserMut::<i32>::new(arg).write(task, &subreaper)?;
        }
        P::PR_SET_NO_NEW_PRIVS if arg == 1 && no_more => task.link.attr.borrow_mut().no_new_privs = true,
        P::PR_GET_NO_NEW_PRIVS if arg == 0 && no_more => return Ok(task.link.attr.borrow().no_new_privs.into()),
        P::PR_GET_TID_ADDRESS => {
            let address = task.clear_child_tid;
            UserMut::<u64>::new(arg).write(task, &address)?;
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// 0 or 1.
fn flag(arg: u64) -> Result<bool> {
    match arg {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::EINVAL),
    }
}

/// The number of a capability that there is.
fn capability(arg: u64) -> Result<u64> {
    if arg <= CAP_LAST_CAP.into() { Ok(arg) } else { Err(Errno::EINVAL) }
}

/// Names the calling thread; what doesn't fit is cut off.
fn set_name(task: &mut Task, name: UserStr) -> Result<()> {
    let mut buf = [0; TASK_COMM_LEN];
    let len = match name.read(task, &mut buf) {
        Ok(name) => name.len(),
        Err(Errno::ENAMETOOLONG) => TASK_COMM_LEN - 1,
        Err(error) => return Err(error),
    };
    task.set_comm(&String::from_utf8_lossy(&buf[..len]));
    Ok(())
}

/// personality(2): sets the execution domain and returns what it was; 0xffffffff only asks.
#[SYSCALL_DEFINE1(personality)]
pub fn personality(task: &mut Task, personality: u32) -> u32 {
    let mut attr = task.link.attr.borrow_mut();
    let old = attr.personality;
    if personality != u32::MAX {
        attr.personality = personality;
    }
    old
}
