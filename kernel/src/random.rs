//! Randomness: the host's, or a seeded sequence where a run must be repeatable.

use std::cell::Cell;

use callgate_abi::{Errno, SYSCALL_DEFINE3, UserMemory, UserMut};
use callgate_uapi::random::GetrandomFlags;

use crate::fs::read_write::{MAX_RW_COUNT, access_ok};
use crate::{Result, Task};

/// The most that are made at once.
const CHUNK: usize = 4096;

/// getrandom(2): fills a buffer with random bytes.
#[SYSCALL_DEFINE3(getrandom)]
pub fn getrandom(task: &mut Task, ubuf: UserMut<u8>, len: usize, flags: GetrandomFlags) -> Result<usize> {
    let both = GetrandomFlags::GRND_RANDOM | GetrandomFlags::GRND_INSECURE;
    if !GetrandomFlags::all().contains(flags) || flags.contains(both) {
        return Err(Errno::EINVAL);
    }
    let len = len.min(MAX_RW_COUNT);
    if !access_ok(ubuf.addr(), len) {
        return Err(Errno::EFAULT);
    }
    let mut done = 0;
    let mut chunk = [0; CHUNK];
    while done < len {
        let part = &mut chunk[..CHUNK.min(len - done)];
        task.kernel.random.fill(part);
        let missing = task.copy_to_user(ubuf.addr().wrapping_add(done as u64), part).err().unwrap_or(0);
        done += part.len().saturating_sub(missing);
        if missing > 0 {
            // What could be filled counts.
            return if done > 0 { Ok(done) } else { Err(Errno::EFAULT) };
        }
    }
    Ok(done)
}

/// Where `getrandom`, `/dev/urandom` and AT_RANDOM come from.
#[derive(Debug)]
pub enum Random {
    /// The host's generator.
    Host,
    /// SplitMix64 from a seed: repeatable, not for secrets.
    Seeded(Cell<u64>),
}

impl Random {
    /// Fills `buf`.
    pub fn fill(&self, buf: &mut [u8]) {
        match self {
            Random::Host => {
                let mut done = 0;
                while done < buf.len() {
                    match rustix::rand::getrandom(&mut buf[done..], rustix::rand::GetRandomFlags::empty()) {
                        Ok(n) => done += n,
                        Err(rustix::io::Errno::INTR) => {}
                        // Without getrandom(2) there is no host to run on; the clock is all that is left.
                        Err(_) => {
                            let now = std::time::SystemTime::now()
                                .duration_since(std::time::UNIX_EPOCH)
                                .map_or(0, |d| d.as_nanos() as u64);
                            Random::Seeded(Cell::new(now)).fill(&mut buf[done..]);
                            return;
                        }
                    }
                }
            }
            Random::Seeded(state) => {
                for chunk in buf.chunks_mut(8) {
                    let seed = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
                    state.set(seed);
                    let mut z = seed;
                    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                    chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
                }
            }
        }
    }
}
