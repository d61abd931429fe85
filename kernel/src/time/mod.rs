//! Time: the clocks, and the calls that read them or wait for them.
//!
//! Linux keeps clocks in `kernel/time/`: posix-timers.c for clock_*(2), hrtimer.c for sleeping,
//! itimer.c for interval timers, time.c for what came before. So do we.
//!
//! Quirks:
//! - Monotonic time counts from the machine's start, and boot time is the same.
//! - Processor time is the number of instructions executed, a nanosecond each, if the engine counts them: it is the same in
//!   every run, whatever the engine. Else it is the host's time. All of it is user time.
//! - Nobody can set a clock: EPERM.

mod clock;
pub mod cputime;
pub mod itimer;
pub mod nanosleep;
pub mod posix_timers;
#[allow(clippy::module_inception)] // Linux's kernel/time/time.c
pub mod time;

pub use clock::Clock;
