//! The tick: a timer of the host's that ends runs of code that doesn't count.
//!
//! As in a kernel it interrupts whatever runs. Translated code is then executed up to where the guest's state is whole
//! ([`signal::stop`]); all else looks at [`is_due`] before it runs code again. The timer goes on by itself, since a signal may
//! come just before that, and stops when it finds that no turn is on.

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;

use crate::signal;

thread_local! {
    /// A turn is on.
    static ON: Cell<bool> = const { Cell::new(false) };
    static DUE: Cell<bool> = const { Cell::new(false) };
    /// Nanoseconds after which the timer ticks, and those that are wanted; 0 if it doesn't.
    static PERIOD: Cell<u64> = const { Cell::new(0) };
    static WANTED: Cell<u64> = const { Cell::new(0) };
    /// The timer of the turn.
    static TIMER: Cell<libc::timer_t> = const { Cell::new(ptr::null_mut()) };
}

/// The timer of an engine.
pub(crate) struct Tick {
    timer: libc::timer_t,
    /// Nanoseconds that the turn at hand may last.
    within: Cell<u64>,
}

impl Tick {
    /// For the thread that calls.
    ///
    /// # Errors
    /// What the host says.
    pub(crate) fn new() -> io::Result<Self> {
        let signal = install()?;
        // SAFETY: a zeroed sigevent is a valid one; gettid has no preconditions.
        let mut event: libc::sigevent = unsafe { MaybeUninit::zeroed().assume_init() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        // SAFETY: gettid has no preconditions.
        event.sigev_notify_thread_id = unsafe { libc::gettid() };
        let mut timer = ptr::null_mut();
        // SAFETY: both are ours, and the host writes the timer's name.
        if unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer) } != 0 {
            return Err(io::Error::last_os_error());
        }
        unblock(signal)?;
        Ok(Self { timer, within: Cell::new(0) })
    }

    /// A turn begins that is to end after some time, or soon after it.
    #[inline]
    pub(crate) fn begin(&self, within: Duration) {
        self.within.set(u64::try_from(within.as_nanos()).unwrap_or(u64::MAX).max(1));
        self.start();
    }

    /// Goes on with it, if another engine has had a turn in between.
    #[inline]
    pub(crate) fn go_on(&self) {
        if TIMER.get() != self.timer || !ON.get() {
            self.start();
        }
    }

    fn start(&self) {
        let within = self.within.get();
        DUE.set(false);
        WANTED.set(within);
        let last = TIMER.replace(self.timer);
        if last != self.timer && !last.is_null() {
            set(last, 0);
        }
        // What ticks more often than it is wanted is slowed down by its next tick.
        if last != self.timer || PERIOD.get() == 0 || PERIOD.get() > within {
            set(self.timer, within);
        }
        ON.set(true);
    }

    /// It ends.
    #[inline]
    pub(crate) fn end(&self) {
        ON.set(false);
    }

    /// Whether the turn is over, said once.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        DUE.get() && DUE.replace(false)
    }
}

impl Drop for Tick {
    fn drop(&mut self) {
        if TIMER.get() == self.timer {
            ON.set(false);
            PERIOD.set(0);
            TIMER.set(ptr::null_mut());
        }
        // SAFETY: it is ours, and nobody else has its name now.
        unsafe { libc::timer_delete(self.timer) };
    }
}

/// Lets a timer tick after some nanoseconds each, or not at all (0).
fn set(timer: libc::timer_t, period: u64) {
    PERIOD.set(period);
    let time = libc::timespec { tv_sec: (period / 1_000_000_000) as i64, tv_nsec: (period % 1_000_000_000) as i64 };
    let times = libc::itimerspec { it_interval: time, it_value: time };
    // SAFETY: the timer is one that lives, and the call is async-signal-safe.
    unsafe { libc::timer_settime(timer, 0, &times, ptr::null_mut()) };
}

/// The signal of all ticks of this process, and its handler: one that nobody else uses.
fn install() -> io::Result<libc::c_int> {
    static SIGNAL: OnceLock<libc::c_int> = OnceLock::new();
    if let Some(signal) = SIGNAL.get() {
        return Ok(*signal);
    }
    // SAFETY: a zeroed sigaction is a valid one.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    for signal in (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev() {
        // SAFETY: as above.
        let mut old: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: both pointers lead to sigactions of ours; the handler is async-signal-safe (see there).
        unsafe {
            if libc::sigaction(signal, ptr::null(), &mut old) == 0
                && old.sa_sigaction == libc::SIG_DFL
                && libc::sigaction(signal, &action, ptr::null_mut()) == 0
            {
                return Ok(*SIGNAL.get_or_init(|| signal));
            }
        }
    }
    Err(io::Error::other("no signal is left for the tick"))
}

/// Lets a signal come to this thread.
fn unblock(signal: libc::c_int) -> io::Result<()> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset makes it a valid set, which is ours.
    let failed = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), ptr::null_mut())
    };
    if failed == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(failed)) }
}

/// The handler. It touches the interrupted registers, thread-locals without initialiser or destructor, and the timer.
extern "C" fn handler(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let (timer, wanted) = (TIMER.get(), WANTED.get());
    if !ON.get() {
        // One that was on its way when its timer was deleted finds none.
        if !timer.is_null() {
            set(timer, 0);
        }
        return;
    }
    if wanted > PERIOD.get() {
        set(timer, wanted);
    }
    DUE.set(true);
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid ucontext, which is its own until it returns.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    signal::stop(registers);
}
