//! restart_syscall(2): continues a call that a stop signal has interrupted.
//!
//! Most interrupted calls are simply made again. One with a relative timeout would begin its wait
//! anew; so it leaves a note of when the wait ends, answers ERESTART_RESTARTBLOCK, and the way back to
//! user mode has the program call restart_syscall instead, which looks at the note.

use std::time::Duration;

use callgate_abi::{Errno, PeekMemory, SYSCALL_DEFINE0};

use crate::syscalls::{nr, nr_ia32};
use crate::{Result, Task};

/// How an interrupted call goes on (`struct restart_block`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestartBlock {
    /// nanosleep(2) and clock_nanosleep(2).
    Nanosleep {
        /// When to wake up, on the monotonic clock.
        deadline: Duration,
        /// Where the remaining time goes, or 0.
        rmtp: u64,
    },
    /// poll(2).
    Poll {
        /// The descriptors.
        ufds: u64,
        /// How many they are.
        nfds: u32,
        /// When to give up, on the monotonic clock.
        deadline: Option<Duration>,
    },
    /// futex(2), FUTEX_WAIT with a timeout.
    FutexWait {
        /// The word.
        uaddr: u64,
        /// What it has to hold.
        val: u32,
        /// Which wakers count.
        bitset: u32,
        /// Whether the futex is shared with other processes.
        shared: bool,
        /// When to give up, on the monotonic clock.
        deadline: Duration,
    },
}

impl Task {
    /// Leaves a note for restart_syscall and gives the errno to answer.
    pub fn set_restart_block(&mut self, block: RestartBlock) -> Errno {
        self.link.attr.borrow_mut().restart_block = Some(block);
        Errno::ERESTART_RESTARTBLOCK
    }

    /// The number of restart_syscall in the table that the interrupted call came through, which the
    /// instruction before the instruction pointer tells.
    pub(super) fn restart_syscall_nr(&self) -> u64 {
        const INT_80: [u8; 2] = [0xcd, 0x80];
        let mut instruction = [0; 2];
        let read = self.peek(self.regs.ip.wrapping_sub(2), &mut instruction);
        let ia32 = read == 2 && instruction == INT_80;
        u64::from(if ia32 { nr_ia32::__NR_restart_syscall } else { nr::__NR_restart_syscall })
    }
}

/// restart_syscall(2): continues the call that a signal has interrupted.
#[SYSCALL_DEFINE0(restart_syscall)]
pub fn restart_syscall(task: &mut Task) -> Result<i64> {
    // Taken out only when the call has ended: this handler too may be parked and run again.
    let block = task.link.attr.borrow().restart_block.clone();
    match block {
        None => Err(Errno::EINTR),
        Some(RestartBlock::Nanosleep { deadline, rmtp }) => {
            crate::time::nanosleep::sleep_until(task, deadline, Some(rmtp)).map(i64::from)
        }
        Some(RestartBlock::Poll { ufds, nfds, deadline }) => {
            crate::fs::select::poll_again(task, ufds, nfds, deadline).map(i64::from)
        }
        Some(RestartBlock::FutexWait { uaddr, val, bitset, shared, deadline }) => {
            crate::futex::wait_again(task, uaddr, val, bitset, shared, deadline)
        }
    }
}
