//! Where the process begins.
//!
//! On Linux with glibc that is C's `main`: the runtime of Rust's reads /proc/self/maps before it calls ours, so that it could
//! tell an overflow of the stack from other faults, and that takes a twentieth of the time that a small program runs. What
//! else it does is done here. The arguments are found without it.

#[cfg(all(target_os = "linux", target_env = "gnu", not(test)))]
mod c {
    use std::ffi::{c_char, c_int};
    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::sync::Arc;

    use signal_hook::consts::SIGPIPE;

    #[allow(unsafe_code, reason = "no other function has this name")]
    #[unsafe(no_mangle)]
    extern "C" fn main(_: c_int, _: *const *const c_char) -> c_int {
        // Which writes what is left on standard output, too.
        std::process::exit(crate::start().into())
    }

    pub(crate) fn prepare() {
        // Where standard input, output or error is closed, what is opened next would take its place, and a guest would read
        // and write it: hence /dev/null.
        while let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
            if null.as_raw_fd() > 2 {
                break;
            }
            std::mem::forget(null);
        }
        // That nobody reads what we write is an error of that write. A handler that does nothing will do.
        let _ = signal_hook::flag::register(SIGPIPE, Arc::default());
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu", not(test)))]
pub(crate) use c::prepare;

#[cfg(not(all(target_os = "linux", target_env = "gnu", not(test))))]
pub(crate) fn prepare() {}
