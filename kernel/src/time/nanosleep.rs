//! nanosleep(2).
//!
//! A sleep that a handled signal interrupts answers EINTR and tells how much was left. One that only
//! a stop has interrupted goes on to its original end, through restart_syscall(2).

use std::time::Duration;

use callgate_abi::{Errno, SYSCALL_DEFINE2, UserMut};
use callgate_uapi::time::Timespec;
use callgate_uapi::traced::{In, Out};

use crate::signal::restart::RestartBlock;
use crate::{Result, Task};

/// nanosleep(2): sleeps for a span of time.
#[SYSCALL_DEFINE2(nanosleep)]
pub fn nanosleep(task: &mut Task, rqtp: In<Timespec>, rmtp: Out<Timespec>) -> Result<i32> {
    let span = rqtp.read(task)?.to_duration()?;
    sleep_for(task, span, rmtp)
}

pub(super) fn sleep_for(task: &mut Task, span: Duration, rmtp: Out<Timespec>) -> Result<i32> {
    let deadline = task.deadline_after(span);
    sleep_until(task, deadline, Some(rmtp.addr()))
}

/// Sleeps until a point on the monotonic clock. With `rmtp`, the sleep is for a span of time: what is
/// left goes there if it isn't 0, and a restart goes on to the same end.
pub(crate) fn sleep_until(task: &mut Task, deadline: Duration, rmtp: Option<u64>) -> Result<i32> {
    let now = task.kernel.clock.monotonic();
    // A sleep that is over is over, whatever signals wait.
    if now >= deadline {
        return Ok(0);
    }
    match (task.wait_on(&[], Some(deadline)), rmtp) {
        (Errno::ETIMEDOUT, _) => Ok(0),
        (Errno::ERESTARTSYS, None) => Err(Errno::ERESTARTNOHAND),
        (Errno::ERESTARTSYS, Some(rmtp)) => {
            if rmtp != 0 {
                let left = Timespec::from(deadline.saturating_sub(now));
                UserMut::<Timespec>::new(rmtp).write(task, &left)?;
            }
            Err(task.set_restart_block(RestartBlock::Nanosleep { deadline, rmtp }))
        }
        (parked, _) => Err(parked),
    }
}
