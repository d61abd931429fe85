//! Host signals that translated code raises.
//!
//! A fault of translated code is a guest's fault, a page that isn't mapped in the window yet, or an overflow of the return
//! stack. The handler does as little as it can: it notes what has happened and lets execution go on at the code cache's
//! way out, with all registers as they were. Signals of other code go to whoever had the handler before.

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

use crate::context::{Context, Reason};

/// What the handler must know of the translated code that this thread runs.
#[derive(Clone, Copy)]
pub(crate) struct Active {
    /// First and last address of the code cache.
    pub(crate) code: (u64, u64),
    /// The ways out for faults, and where the code is stopped.
    pub(crate) way_out: u64,
    pub(crate) stopped: u64,
    /// The way out for targets that the jump table doesn't know.
    pub(crate) miss: u64,
    /// The return stack's guard, from its first address to the stack's.
    pub(crate) guard: (u64, u64),
    /// Where the empty return stack begins.
    pub(crate) stack_base: u64,
}

thread_local! {
    static ACTIVE: Cell<Option<Active>> = const { Cell::new(None) };
    /// Its context, or null: the handler notes there what has happened.
    static TOLD: Cell<*mut Context> = const { Cell::new(ptr::null_mut()) };
    /// The code is to stop, and is executed instruction by instruction up to where it can.
    static STOPPING: Cell<bool> = const { Cell::new(false) };
}

/// The trap flag: after the next instruction SIGTRAP comes.
const TF: i64 = 1 << 8;

/// The signals that the processor's exceptions become.
const SIGNALS: [libc::c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP];

/// The actions that were there before.
static PREVIOUS: OnceLock<[libc::sigaction; SIGNALS.len()]> = OnceLock::new();

/// Bytes of the stack that handlers run on.
const ALTERNATE_STACK: usize = 64 << 10;

/// Tells the handler what this thread is about to run, unless that is what it knows: a context belongs to one window. Says
/// whether it had to.
#[inline]
pub(crate) fn tell(context: *mut Context, active: impl FnOnce() -> Active) -> bool {
    let is_news = TOLD.get() != context;
    if is_news {
        ACTIVE.set(Some(active()));
        TOLD.set(context);
    }
    is_news
}

/// Tells it that nothing is run.
pub(crate) fn take_back() {
    ACTIVE.set(None);
    TOLD.set(ptr::null_mut());
}

/// Installs the handler, once for the process, and makes sure that this thread has a stack for it.
///
/// # Errors
/// What the host says.
pub(crate) fn install() -> io::Result<()> {
    alternate_stack()?;
    if PREVIOUS.get().is_some() {
        return Ok(());
    }
    let mut previous = [MaybeUninit::<libc::sigaction>::zeroed(); SIGNALS.len()];
    // SAFETY: a zeroed sigaction is a valid one: SIG_DFL, no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    for (signal, old) in SIGNALS.iter().zip(&mut previous) {
        // SAFETY: both pointers lead to sigactions of ours; the handler is async-signal-safe (see there).
        if unsafe { libc::sigaction(*signal, ptr::null(), old.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: all were filled by sigaction.
    let _ = PREVIOUS.set(previous.map(|old| unsafe { old.assume_init() }));
    for signal in SIGNALS {
        // SAFETY: as above.
        if unsafe { libc::sigaction(signal, &action, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Has the handlers of signals that there are run on the alternate stack, whoever has installed them.
///
/// # Errors
/// What the host says.
pub fn use_alternate_stack(signals: &[libc::c_int]) -> io::Result<()> {
    for signal in signals {
        // SAFETY: a zeroed sigaction is a valid one, which sigaction fills.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: the pointers lead to a sigaction of ours; what was a good action is as good on another stack.
        let failed = unsafe {
            let got = libc::sigaction(*signal, ptr::null(), &mut action);
            action.sa_flags |= libc::SA_ONSTACK;
            got != 0 || libc::sigaction(*signal, &action, ptr::null_mut()) != 0
        };
        if failed {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Gives this thread a stack for handlers, unless it has one that is large enough. It is never freed: the thread may
/// have handlers of others that use it.
fn alternate_stack() -> io::Result<()> {
    // SAFETY: a zeroed stack_t is valid; sigaltstack fills it.
    let mut old: libc::stack_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: `old` is ours to be written.
    if unsafe { libc::sigaltstack(ptr::null(), &mut old) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if old.ss_flags & libc::SS_DISABLE == 0 && old.ss_size >= ALTERNATE_STACK {
        return Ok(());
    }
    let memory = Box::leak(Box::<[u8]>::new_uninit_slice(ALTERNATE_STACK));
    let new = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: ALTERNATE_STACK };
    // SAFETY: the memory is leaked, so it stays for as long as the thread may run handlers on it.
    if unsafe { libc::sigaltstack(&new, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The handler. It touches the interrupted registers, the context and a thread-local without initialiser or destructor:
/// nothing that could be in the middle of a change, since only translated code is ever interrupted with `ACTIVE` set
/// and its rip in the cache, or its stack.
extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(active) = ACTIVE.get() else { return pass_on(signal, info, context) };
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid ucontext, which is its own until it returns.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let rip = registers[libc::REG_RIP as usize] as u64;
    let rsp = registers[libc::REG_RSP as usize] as u64;
    if rip == 0 && (active.guard.1..=active.stack_base).contains(&rsp) {
        // An entry of the wide jump table that nobody has set.
        registers[libc::REG_RIP as usize] = active.miss as i64;
        return;
    }
    let is_ours = (active.code.0..active.code.1).contains(&rip);
    if signal == libc::SIGTRAP && STOPPING.get() {
        registers[libc::REG_EFL as usize] &= !TF;
        STOPPING.set(false);
        // Else it has left by itself.
        if is_ours {
            stop(registers);
        }
        return;
    }
    if !is_ours {
        return pass_on(signal, info, context);
    }
    // SAFETY: as for the registers.
    let address = unsafe { (*info).si_addr() } as u64;
    let trap = registers[libc::REG_TRAPNO as usize] as u64;
    if (active.guard.0..active.guard.1).contains(&address) {
        // The guest calls deeper than the return stack holds: forget the calls so far. Their returns will look for
        // their targets in the jump table. The instruction is the probe before a call, which is executed again.
        registers[libc::REG_RSP as usize] = active.stack_base as i64;
        return;
    }
    // SAFETY: `ACTIVE` is set only while its context lives, and translated code, which runs, doesn't hold references.
    unsafe {
        let context = TOLD.get();
        (*context).reason = Reason::Fault as u32;
        (*context).fault_rip = rip;
        (*context).fault_trap = trap;
        (*context).fault_address = address;
        (*context).fault_code = registers[libc::REG_ERR as usize] as u64;
    }
    leave(registers, active.way_out);
}

/// Lets execution go on at a way out.
fn leave(registers: &mut [libc::greg_t; 23], way_out: u64) {
    registers[libc::REG_RIP as usize] = way_out as i64;
    registers[libc::REG_EFL as usize] &= !TF;
    STOPPING.set(false);
}

/// Has translated code, if that is what was interrupted, leave as soon as the guest's state is whole. Called by handlers of
/// signals.
pub(crate) fn stop(registers: &mut [libc::greg_t; 23]) {
    let rip = registers[libc::REG_RIP as usize] as u64;
    let active = ACTIVE.get().filter(|active| (active.code.0..active.code.1).contains(&rip));
    let Some(active) = active else { return };
    let context = TOLD.get();
    // SAFETY: `ACTIVE` is set only while its context lives, and while rip is in the code, nobody has a reference to the context
    // or changes the cache, which `Native::enter` has set there.
    unsafe {
        if (*(*context).cache).is_whole_at((rip - active.code.0) as usize) {
            (*context).fault_rip = rip;
            return leave(registers, active.stopped);
        }
    }
    STOPPING.set(true);
    registers[libc::REG_EFL as usize] |= TF;
}

/// Does what was done with the signal before we came.
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let index = SIGNALS.iter().position(|known| *known == signal);
    let (Some(previous), Some(index)) = (PREVIOUS.get(), index) else { return };
    let action = &previous[index];
    if action.sa_sigaction == libc::SIG_DFL || action.sa_sigaction == libc::SIG_IGN {
        // The instruction faults again, or the sender's signal has had its effect: the default one.
        // SAFETY: the action is one that sigaction has given us.
        unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
        // SAFETY: info is the kernel's. A signal that was sent doesn't come again by itself.
        if unsafe { (*info).si_code } <= 0 {
            // SAFETY: raise is async-signal-safe.
            unsafe { libc::raise(signal) };
        }
    } else if action.sa_flags & libc::SA_SIGINFO != 0 {
        type Action = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
        // SAFETY: whoever installed it with SA_SIGINFO has promised that it is such a function.
        let function = unsafe { std::mem::transmute::<usize, Action>(action.sa_sigaction) };
        function(signal, info, context);
    } else {
        // SAFETY: whoever installed it without SA_SIGINFO has promised that it is such a function.
        let function = unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(action.sa_sigaction) };
        function(signal);
    }
}
