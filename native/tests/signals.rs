//! The embedding program's own signal handlers and threads, while translated code runs: neither notices the other.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod common;

use std::arch::asm;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use callgate_emulator::{Cpu, Engine, Exit, Interp, Memory, PAGE_SIZE, PageFlags, Privilege, Space, reg, rflags};

use callgate_native::{Native, Setup, use_alternate_stack};
use common::{Held, SETUPS};

const STACK: u64 = 0x70_0000;
const STACK_PAGES: u64 = 512;

/// Calls itself to a depth that is more than the return stack holds, comes back, and does so again, r12 times; rax counts
/// returns.
const DEEP: &[u8] = &[
    0x31, 0xc0, // xor eax, eax
    0xb9, 0x40, 0x0d, 0x03, 0x00, // again: mov ecx, 200000
    0xe8, 0x07, 0x00, 0x00, 0x00, // call f
    0x41, 0xff, 0xcc, // dec r12d
    0x75, 0xf1, // jnz again
    0xcd, 0x80, // int 0x80
    0xff, 0xc9, // f: dec ecx
    0x74, 0x08, // jz done
    0xe8, 0xf7, 0xff, 0xff, 0xff, // call f
    0x48, 0xff, 0xc0, // inc rax
    0xc3, // done: ret
];

/// Calls itself to a depth of r12 and comes back; rax counts returns. The last thousand calls take their time, during which
/// the return stack is all but full.
const BRINK: &[u8] = &[
    0x31, 0xc0, // xor eax, eax
    0x44, 0x89, 0xe1, // mov ecx, r12d
    0xe8, 0x02, 0x00, 0x00, 0x00, // call f
    0xcd, 0x80, // int 0x80
    0xff, 0xc9, // f: dec ecx
    0x74, 0x19, // jz done
    0x81, 0xf9, 0xe8, 0x03, 0x00, 0x00, // cmp ecx, 1000
    0x77, 0x09, // ja deeper
    0xba, 0x88, 0x13, 0x00, 0x00, // mov edx, 5000
    0xff, 0xca, // wait: dec edx
    0x75, 0xfc, // jnz wait
    0xe8, 0xe6, 0xff, 0xff, 0xff, // deeper: call f
    0x48, 0xff, 0xc0, // inc rax
    0xc3, // done: ret
];
/// How deep that goes: the return stack has room for 128 Ki calls, of which the first are the interpreter's.
const TO_THE_BRINK: u64 = (128 << 10) + 500;

static SIGNALS: AtomicU64 = AtomicU64::new(0);
static FAULTS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// What an embedding program may do with a fault of its own: it makes the page accessible.
extern "C" fn mend(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    FAULTS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the kernel's siginfo is valid while the handler runs; the page is one that the test has reserved.
    unsafe {
        let page = (*info).si_addr() as usize & !(PAGE_SIZE - 1);
        libc::mprotect(page as *mut libc::c_void, PAGE_SIZE, libc::PROT_READ | libc::PROT_WRITE);
    }
}

fn install(signal: libc::c_int, handler: usize, flags: libc::c_int) {
    // SAFETY: a zeroed sigaction is valid; the handlers are async-signal-safe functions of the type that flags say.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(signal, &action, ptr::null_mut()), 0);
    }
}

/// The engine, made after the embedding program has installed its handler for faults. None where it can't run.
fn engine(memory: &Memory, setup: Setup) -> Option<Held> {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| install(libc::SIGSEGV, mend as *const () as usize, libc::SA_SIGINFO | libc::SA_ONSTACK));
    common::native(memory, setup)
}

fn guest(memory: &Memory, code: &[u8], r12: u64) -> (Cpu, Space) {
    let (mut cpu, mut space) = common::guest(memory, code);
    for page in 0..STACK_PAGES {
        let frame = memory.alloc().expect("a frame");
        space.map(STACK + page * PAGE_SIZE as u64, frame, PageFlags::USER | PageFlags::WRITE);
    }
    cpu.set_rflags(rflags::FIXED | rflags::IF);
    cpu.gpr[reg::RSP] = STACK + STACK_PAGES * PAGE_SIZE as u64 - 64;
    cpu.gpr[12] = r12;
    (cpu, space)
}

/// How a run ends, with its registers and a hash of its stack.
fn run(engine: &mut dyn Engine, memory: &Memory, (code, r12): (&[u8], u64)) -> (Exit, [u64; 16], u64, u64) {
    let (mut cpu, mut space) = guest(memory, code, r12);
    let exit = common::run(engine, &mut cpu, &mut space, u64::MAX);
    let mut hash = 0u64;
    for page in 0..STACK_PAGES {
        let mut bytes = [0; PAGE_SIZE];
        space.read(STACK + page * PAGE_SIZE as u64, &mut bytes, Privilege::User).expect("a mapped page");
        hash = bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    }
    (exit, cpu.gpr, cpu.rip, hash)
}

/// Runs a guest while another thread sends this one signals, until some hundreds have come: all that were sent.
fn under_fire(guest: (&[u8], u64), setup: Setup) {
    let memory = Memory::new(16 << 20).expect("memory");
    let Some(mut native) = engine(&memory, setup) else { return };
    let expected = run(&mut Interp::with_model(&memory, common::model()), &memory, guest);
    // One that is queued as often as it is sent.
    let signal = libc::SIGRTMIN();
    install(signal, count as *const () as usize, libc::SA_RESTART);
    if setup.alternate_stack {
        use_alternate_stack(&[signal]).expect("a signal with a handler");
    }
    let stop = AtomicBool::new(false);
    // SAFETY: pthread_self has no preconditions.
    let target = unsafe { libc::pthread_self() };
    let before = SIGNALS.load(Ordering::Relaxed);
    /// Lets the other thread end, even if this one panics.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let sent = thread::scope(|scope| {
        let stopping = Stop(&stop);
        let sender = scope.spawn(|| {
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                // SAFETY: the thread lives: it waits for this one at the scope's end. It fails where too many are queued.
                sent += u64::from(unsafe { libc::pthread_kill(target, signal) } == 0);
                // Not so many at once that nothing else is done; and should one be lost, there are others.
                let has_come = |_: &u32| SIGNALS.load(Ordering::Relaxed) == before + sent;
                (0..1000).inspect(|_| thread::yield_now()).find(has_come);
            }
            sent
        });
        while SIGNALS.load(Ordering::Relaxed) < before + 300 {
            assert_eq!(run(&mut *native, &memory, guest), expected);
        }
        drop(stopping);
        sender.join().expect("the sender counts")
    });
    // Those that were sent last come at the latest when this thread comes back from the kernel.
    thread::yield_now();
    assert_eq!(SIGNALS.load(Ordering::Relaxed) - before, sent, "with {setup:?}");
}

#[test]
fn handlers_of_the_program_run_beside_translated_code() {
    for setup in SETUPS {
        for alternate_stack in [false, true] {
            let setup = Setup { alternate_stack, ..setup };
            under_fire((DEEP, 1), setup);
            under_fire((BRINK, TO_THE_BRINK), setup);
        }
    }
}

#[test]
fn faults_of_other_threads_go_to_the_program() {
    let memory = Memory::new(16 << 20).expect("memory");
    for setup in SETUPS {
        let Some(mut native) = engine(&memory, setup) else { continue };
        let expected = run(&mut Interp::with_model(&memory, common::model()), &memory, (DEEP, 2));
        const PAGES: usize = 64;
        // SAFETY: a fresh reservation, which nobody else knows.
        let reserved = unsafe {
            libc::mmap(
                ptr::null_mut(),
                PAGES * PAGE_SIZE,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(reserved, libc::MAP_FAILED);
        let (base, before) = (reserved as usize, FAULTS.load(Ordering::Relaxed));
        thread::scope(|scope| {
            let other = scope.spawn(move || {
                for page in 0..PAGES {
                    // SAFETY: the reservation lives; the handler makes the page writable.
                    unsafe { ptr::write_volatile((base + page * PAGE_SIZE) as *mut u8, 1) };
                    thread::yield_now();
                }
            });
            while !other.is_finished() {
                assert_eq!(run(&mut *native, &memory, (DEEP, 2)), expected);
            }
        });
        assert_eq!(run(&mut *native, &memory, (DEEP, 2)), expected);
        assert_eq!(FAULTS.load(Ordering::Relaxed) - before, PAGES as u64);
        // SAFETY: nobody uses it any more.
        unsafe { libc::munmap(reserved, PAGES * PAGE_SIZE) };
    }
}

#[test]
fn system_calls_give_gs_its_base_where_instructions_cannot() {
    let memory = Memory::new(16 << 20).expect("memory");
    for setup in SETUPS {
        let Some(mut native) = engine(&memory, setup) else { continue };
        native.without_fsgsbase();
        let expected = run(&mut Interp::with_model(&memory, common::model()), &memory, (DEEP, 3));
        let gs = gs_base();
        for _ in 0..3 {
            assert_eq!(run(&mut *native, &memory, (DEEP, 3)), expected);
            assert_eq!(gs_base(), gs);
        }
    }
}

#[test]
fn gs_is_given_back_after_several_runs() {
    let memory = Memory::new(16 << 20).expect("memory");
    for setup in SETUPS {
        let Some(mut native) = engine(&memory, setup) else { continue };
        let expected = run(&mut Interp::with_model(&memory, common::model()), &memory, (DEEP, 3));
        let gs = gs_base();
        native.begin(0, Duration::MAX);
        for _ in 0..3 {
            assert_eq!(run(&mut *native, &memory, (DEEP, 3)), expected);
        }
        assert_ne!(gs_base(), gs);
        native.end();
        assert_eq!(gs_base(), gs);
        native.begin(0, Duration::MAX);
        assert_eq!(run(&mut *native, &memory, (DEEP, 3)), expected);
        drop(native);
        assert_eq!(gs_base(), gs);
    }
}

fn gs_base() -> u64 {
    let mut base = 0u64;
    // SAFETY: ARCH_GET_GS writes the base where the second argument points to.
    assert_eq!(unsafe { libc::syscall(libc::SYS_arch_prctl, 0x1004, &raw mut base) }, 0);
    base
}

/// Adds 1 and 2^-60 in xmm0, which rounds, rax times.
const ROUNDS: &[u8] = &[
    0xf2, 0x0f, 0x58, 0xc1, // again: addsd xmm0, xmm1
    0x48, 0xff, 0xc8, // dec rax
    0x75, 0xf7, // jnz again
    0xcd, 0x80, // int 0x80
];

#[test]
fn rounding_and_its_flags_are_the_guests_own() {
    const INEXACT: u32 = 0x20;
    const ROUND_UP: u32 = 0x1f80 | 0x4000;
    let memory = Memory::new(16 << 20).expect("memory");
    let inexact = |mxcsr: u32| mxcsr & INEXACT != 0;
    for setup in SETUPS {
        let Some(mut native) = engine(&memory, setup) else { continue };
        let mut interp = Interp::with_model(&memory, common::model());
        let mut run = |native: &mut Native, mxcsr: u32, small: f64| {
            let [(mut ours, mut our_space), (mut theirs, mut their_space)] = [(); 2].map(|()| {
                let (mut cpu, space) = common::guest(&memory, ROUNDS);
                cpu.mxcsr = mxcsr;
                cpu.gpr[reg::RAX] = 100;
                (cpu.xmm[0], cpu.xmm[1]) = (u128::from(1f64.to_bits()), u128::from(small.to_bits()));
                (cpu, space)
            });
            assert_eq!(common::run(native, &mut ours, &mut our_space, 1 << 20), Exit::Interrupt(0x80));
            let host = host_mxcsr(None);
            assert_eq!(interp.run(&mut theirs, &mut their_space, 1 << 20), Exit::Interrupt(0x80));
            assert_eq!((ours.mxcsr, ours.xmm), (theirs.mxcsr, theirs.xmm));
            (ours.mxcsr, host)
        };
        let small = 2f64.powi(-60);
        let before = host_mxcsr(None);
        for several in [false, true] {
            if several {
                native.begin(0, Duration::MAX);
            }
            for mxcsr in [0x1f80, ROUND_UP] {
                // The host has rounded meanwhile: that is none of the guest's flags.
                host_mxcsr(Some(before | INEXACT));
                assert!(!inexact(run(&mut native, mxcsr, 1.).0));
                // Nor is the guest's one of the host's, nor how it rounds.
                host_mxcsr(Some(before & !INEXACT));
                let (guest, host) = run(&mut native, mxcsr, small);
                assert!(inexact(guest));
                assert_eq!(host & !INEXACT, before & !INEXACT);
                assert!(several || !inexact(host));
            }
            native.end();
        }
        host_mxcsr(Some(before));
    }
}

/// What this thread has in MXCSR, after it was set.
fn host_mxcsr(value: Option<u32>) -> u32 {
    let mut now = 0u32;
    // SAFETY: reads and writes 32 bits in memory of ours, and changes none but flags, which nothing here reads.
    unsafe {
        if let Some(value) = value {
            asm!("ldmxcsr [{}]", in(reg) &value, options(nostack));
        }
        asm!("stmxcsr [{}]", in(reg) &mut now, options(nostack));
    }
    now
}
