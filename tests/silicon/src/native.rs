//! Runs cases on the processor itself, in a child process.
//!
//! The child maps code and data at the addresses where the core has them, and shares an array of [`State`]s with its
//! parent. For each it loads every register from the state, jumps to the case's slot, and what comes back stores every
//! register. An exception is a signal, whose frame has the registers of that moment; the handler copies them and returns
//! behind the case. Nothing that runs between loading and storing uses the child's stack or its thread-local storage,
//! because the case owns rsp and fs.
//!
//! This is the one module of the harness with `unsafe` in it: executing bytes that nobody has checked is what it is for.
//! What such bytes can do is confined to the child, which is replaced when it dies.

use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::arch::{asm, naked_asm};
use std::io;
use std::mem::offset_of;
use std::ptr;
use std::sync::{LazyLock, Mutex};

use crate::segments::{USER_CS, USER_DS};
use crate::state::{
    AVX_512, CODE, DATA, DATA_PAGES, DIED, LEAVE_BYTES, SLOT, State, TARGET, USUAL, WINDOWS, WRITABLE, XSAVE,
    XSAVE_AVX, at,
};

/// No case yet.
const NONE: u64 = u64::MAX;
/// Cases that are run at a time.
pub(crate) const BATCH: usize = 256;
/// Where the child keeps the state that it loads and stores: low, so that it can be named without a register.
const HERE: usize = 0x1800_0000;
/// Behind it: the stack pointer and the base of fs of the harness, the frame from which the case starts, the address of
/// `leave`, MXCSR of the harness, the components in use and the image's size.
const HOST_RSP: usize = HERE + 0xf00;
const HOST_FS: usize = HERE + 0xf08;
const FRAME: usize = HERE + 0xf40;
const LEAVE: usize = HERE + 0xf18;
const HOST_MXCSR: usize = HERE + 0xf20;
const COMPONENTS: usize = HERE + 0xf24;
const IMAGE: usize = HERE + 0xf28;
const _: () = assert!(HERE + offset_of!(State, memory) <= HOST_RSP);
/// Milliseconds after which a batch counts as hanging.
const PATIENCE_MS: i32 = 2_000;
const PAGE: usize = 4096;
/// Below this address there is nothing in the child but what it maps for cases.
const LOW: u64 = 1 << 32;

/// What parent and child share.
#[repr(C, align(4096))]
struct Shared {
    /// The case that runs; after the last one, how many there were; before the first one, [`NONE`].
    current: u64,
    states: [State; BATCH],
}

/// A child that runs cases.
pub(crate) struct Native {
    shared: *mut Shared,
    /// What the data's pages are kept in, so that they outlive a child, as those of the core do.
    data: libc::c_int,
    child: libc::pid_t,
    /// To the child: which cases to run. From it: that they are done.
    requests: libc::c_int,
    answers: libc::c_int,
}

/// What came of some cases.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// They are run.
    Done,
    /// The child took too long, and was killed.
    Late,
    /// The child has died.
    Dead,
}

impl Native {
    /// Starts a child, if this processor and its system allow what it needs.
    pub(crate) fn new() -> io::Result<Self> {
        /// AT_HWCAP2's bit for RDFSBASE and its kin in ring 3.
        const FSGSBASE: u64 = 2;
        // SAFETY: getauxval has no preconditions.
        let fsgsbase = unsafe { libc::getauxval(libc::AT_HWCAP2) } & FSGSBASE != 0;
        if !is_x86_feature_detected!("xsave") || !is_x86_feature_detected!("avx") || !fsgsbase {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the host lacks XSAVE, AVX or FSGSBASE"));
        }
        if (enter as *const () as u64) < LOW {
            return Err(io::Error::other("this program lies at low addresses, which cases take to be free"));
        }
        // SAFETY: a new mapping, at no given address.
        let shared = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<Shared>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if shared == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the name is a string that ends in a zero; the descriptor is ours.
        let data = unsafe {
            let data = libc::memfd_create(c"data".as_ptr(), libc::MFD_CLOEXEC);
            if data < 0 || libc::ftruncate(data, (DATA_PAGES * PAGE) as i64) != 0 {
                return Err(io::Error::last_os_error());
            }
            data
        };
        let mut native = Self { shared: shared.cast(), data, child: -1, requests: -1, answers: -1 };
        native.start()?;
        Ok(native)
    }

    /// Runs all cases, from data of zeros on, and leaves in each state what it ended with.
    pub(crate) fn run(&mut self, states: &mut [State]) -> io::Result<()> {
        assert!(states.len() <= BATCH);
        let zeros = [0u8; DATA_PAGES * PAGE];
        // SAFETY: the descriptor is ours, and there are as many bytes as said.
        if unsafe { libc::pwrite(self.data, zeros.as_ptr().cast(), zeros.len(), 0) } != zeros.len() as isize {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping has room for BATCH states, and the child doesn't touch it before it is asked to.
        unsafe { ptr::copy_nonoverlapping(states.as_ptr(), (&raw mut (*self.shared).states).cast(), states.len()) };
        let (mut first, mut failures, mut late) = (0, 0, None);
        while first < states.len() {
            // SAFETY: the child doesn't touch it before it is asked to.
            unsafe { (&raw mut (*self.shared).current).write_volatile(NONE) };
            let answer = self.ask(first, states.len())?;
            if answer == Answer::Done {
                break;
            }
            self.start()?;
            // SAFETY: the child that wrote it is dead, and the new one waits.
            match unsafe { (&raw const (*self.shared).current).read_volatile() } {
                // On a busy machine it may not even have begun before patience ended.
                NONE if failures < 10 => failures += 1,
                NONE => return Err(io::Error::other("no child gets as far as its first case")),
                // Nor did it hang because of its case, if that ends when it is run again.
                slow if answer == Answer::Late && (slow as usize) < states.len() && late != Some(slow) => {
                    first = slow as usize;
                    late = Some(slow);
                    // SAFETY: `first` is below BATCH. The child may have written a part of the end.
                    unsafe { (&raw mut (*self.shared).states[first]).write(states[first].clone()) };
                }
                dead => {
                    // All may be done, and only the answer be missing.
                    if (dead as usize) < states.len() {
                        // SAFETY: `dead` is below BATCH.
                        unsafe { (&raw mut (*self.shared).states[dead as usize].trap).write(DIED) };
                    }
                    first = dead as usize + 1;
                }
            }
        }
        // SAFETY: as for the other direction; the child has answered.
        unsafe {
            ptr::copy_nonoverlapping((&raw const (*self.shared).states).cast(), states.as_mut_ptr(), states.len())
        };
        Ok(())
    }

    /// Has the child run some of the cases.
    fn ask(&mut self, first: usize, end: usize) -> io::Result<Answer> {
        let request = [first as u32, end as u32];
        // SAFETY: both descriptors are ours, and the buffers are as long as said.
        unsafe {
            if libc::write(self.requests, request.as_ptr().cast(), 8) != 8 {
                return Err(io::Error::last_os_error());
            }
            let mut poll = libc::pollfd { fd: self.answers, events: libc::POLLIN, revents: 0 };
            let late = libc::poll(&raw mut poll, 1, PATIENCE_MS) == 0;
            if late {
                libc::kill(self.child, libc::SIGKILL);
            }
            let mut answer = 0u8;
            Ok(match libc::read(self.answers, (&raw mut answer).cast(), 1) {
                1 => Answer::Done,
                _ if late => Answer::Late,
                _ => Answer::Dead,
            })
        }
    }

    /// Starts a child, instead of the one that there was.
    fn start(&mut self) -> io::Result<()> {
        /// No child inherits an end of another's pipes: of those a parent has its own ends only.
        static FORKING: Mutex<()> = Mutex::new(());
        self.stop();
        // Asked here, because the child must not wait for others who ask.
        let extent = extent();
        let _forking = FORKING.lock();
        let (mut requests, mut answers) = ([0; 2], [0; 2]);
        // SAFETY: the arrays have room for two descriptors each. After fork the child only calls functions that are
        // safe to call there, and never returns.
        unsafe {
            if libc::pipe2(requests.as_mut_ptr(), libc::O_CLOEXEC) != 0
                || libc::pipe2(answers.as_mut_ptr(), libc::O_CLOEXEC) != 0
            {
                return Err(io::Error::last_os_error());
            }
            self.child = libc::fork();
            match self.child {
                -1 => return Err(io::Error::last_os_error()),
                0 => {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    libc::close(requests[1]);
                    libc::close(answers[0]);
                    serve(self.shared, self.data, extent, requests[0], answers[1])
                }
                _ => {
                    libc::close(requests[0]);
                    libc::close(answers[1]);
                }
            }
        }
        (self.requests, self.answers) = (requests[1], answers[0]);
        Ok(())
    }

    /// Ends the child.
    fn stop(&mut self) {
        if self.child > 0 {
            // SAFETY: child and descriptors are ours; each is given back once.
            unsafe {
                libc::close(self.requests);
                libc::close(self.answers);
                libc::kill(self.child, libc::SIGKILL);
                libc::waitpid(self.child, ptr::null_mut(), 0);
            }
            self.child = -1;
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        self.stop();
        // SAFETY: mapped in `new` with this size, and nobody else has it.
        unsafe {
            libc::munmap(self.shared.cast(), size_of::<Shared>());
            libc::close(self.data);
        }
    }
}

/// Whether the processor is AMD's.
pub(crate) fn is_amd() -> bool {
    // "AuthenticAMD", of which this is the end.
    maker() == *b"cAMD"
}

/// Whether the processor is Intel's.
pub(crate) fn is_intel() -> bool {
    // "GenuineIntel".
    maker() == *b"ntel"
}

/// Where in XSAVE's image the processor has the opmask registers, the upper halves of zmm0 to zmm15, and zmm16 to zmm31;
/// if it has AVX-512, and its system has enabled that.
pub(crate) fn avx_512() -> Option<[usize; 3]> {
    static PLACES: LazyLock<Option<[usize; 3]>> = LazyLock::new(|| {
        if !is_x86_feature_detected!("avx512f") {
            return None;
        }
        let places = [5, 6, 7].map(|component| __cpuid_count(0xd, component).ebx as usize);
        let fits = places.into_iter().zip(AVX_512_SIZES).all(|(at, size)| at >= XSAVE_AVX && at + size <= XSAVE);
        fits.then_some(places)
    });
    *PLACES
}

/// Bytes of AVX-512's components.
const AVX_512_SIZES: [usize; 3] = [64, 512, 1024];

/// The components that are loaded and stored, and where the image ends that has them.
fn extent() -> (u8, usize) {
    match avx_512() {
        Some(places) => {
            let ends = places.into_iter().zip(AVX_512_SIZES).map(|(at, size)| at + size);
            (USUAL | AVX_512, ends.fold(XSAVE_AVX, usize::max))
        }
        None => (USUAL, XSAVE_AVX),
    }
}

/// The end of the maker's name. Asked once: under a hypervisor CPUID is slow.
fn maker() -> [u8; 4] {
    static MAKER: LazyLock<[u8; 4]> = LazyLock::new(|| __cpuid(0).ecx.to_le_bytes());
    *MAKER
}

/// `jmp [LEAVE]`.
const GO_BACK: [u8; 7] = with_address([0xff, 0x24, 0x25, 0, 0, 0, 0], LEAVE);
/// `mov byte [branched], 1`, but for the 1.
const NOTE: [u8; 7] = with_address([0xc6, 0x04, 0x25, 0, 0, 0, 0], HERE + offset_of!(State, branched));

/// An instruction whose last four bytes are an address.
const fn with_address(mut bytes: [u8; 7], address: usize) -> [u8; 7] {
    let mut i = 0;
    while i < 4 {
        bytes[3 + i] = (address >> (8 * i)) as u8;
        i += 1;
    }
    bytes
}

/// Puts behind a case's instructions what ends it: the way back, and behind the target a note that it was reached.
///
/// # Safety
/// `slot` is one of the child's slots, and `end` is within it with room for the way back.
unsafe fn put_exits(slot: *mut u8, end: usize) {
    // SAFETY: both fit into the slot.
    unsafe {
        slot.add(end).cast::<[u8; 7]>().write_unaligned(GO_BACK);
        if end + LEAVE_BYTES <= TARGET {
            slot.add(TARGET).cast::<[u8; 7]>().write_unaligned(NOTE);
            slot.add(TARGET + 7).write(1);
            slot.add(TARGET + 8).cast::<[u8; 7]>().write_unaligned(GO_BACK);
        }
    }
}

/// The child's life.
///
/// # Safety
/// Only for a process that has nothing else to do.
unsafe fn serve(
    shared: *mut Shared,
    data: libc::c_int,
    (components, size): (u8, usize),
    requests: libc::c_int,
    answers: libc::c_int,
) -> ! {
    // SAFETY: in this process nobody uses the first 4 GiB, which the core may have reserved in its parent, any more. The fixed
    // addresses are free (asked for without replacing anything) and are this module's own; pointers below stay within those
    // mappings.
    unsafe {
        libc::munmap(ptr::without_provenance_mut(0), LOW as usize);
        let code = BATCH * SLOT;
        let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let memory = libc::memfd_create(c"writable".as_ptr(), libc::MFD_CLOEXEC);
        libc::ftruncate(memory, code as i64);
        for address in WRITABLE {
            let flags = libc::MAP_SHARED | libc::MAP_FIXED_NOREPLACE | libc::MAP_POPULATE;
            let at = libc::mmap(address as *mut libc::c_void, code, all, flags, memory, 0);
            if at as u64 != address {
                libc::_exit(1);
            }
        }
        let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        for (address, len, kind, file) in [
            (CODE as usize, code, anonymous, -1),
            (HERE, PAGE, anonymous, -1),
            (DATA as usize, DATA_PAGES * PAGE, libc::MAP_SHARED, data),
        ] {
            let flags = kind | libc::MAP_FIXED_NOREPLACE | libc::MAP_POPULATE;
            let at = libc::mmap(address as *mut libc::c_void, len, libc::PROT_READ | libc::PROT_WRITE, flags, file, 0);
            if at as usize != address {
                libc::_exit(1);
            }
        }
        libc::mprotect((DATA as usize + 2 * PAGE) as *mut libc::c_void, PAGE, libc::PROT_READ);
        (LEAVE as *mut usize).write(leave as *const () as usize);
        (HOST_MXCSR as *mut u32).write(0x1f80);
        (COMPONENTS as *mut u32).write(components.into());
        (IMAGE as *mut usize).write(size);
        catch();
        let mut request = [0u32; 2];
        while libc::read(requests, request.as_mut_ptr().cast(), 8) == 8 {
            let [first, end] = request.map(|n| n as usize);
            libc::mprotect(CODE as *mut libc::c_void, code, libc::PROT_READ | libc::PROT_WRITE);
            for i in first..end {
                let state = &raw const (*shared).states[i];
                let slot = (*state).rip as *mut u8;
                ptr::copy_nonoverlapping((&raw const (*state).code).cast(), slot, SLOT);
                put_exits(slot, (*state).branched as usize);
            }
            // Not writable, as on the core: no case changes another.
            libc::mprotect(CODE as *mut libc::c_void, code, libc::PROT_READ | libc::PROT_EXEC);
            for i in first..end {
                (&raw mut (*shared).current).write_volatile(i as u64);
                let slot = (*shared).states[i].rip as usize;
                run_one(&raw mut (*shared).states[i], slot);
            }
            (&raw mut (*shared).current).write_volatile(end as u64);
            libc::write(answers, [0u8].as_ptr().cast(), 1);
        }
        libc::_exit(0)
    }
}

/// Runs the case of one state.
///
/// # Safety
/// In the child.
unsafe fn run_one(state: *mut State, slot: usize) {
    let here = HERE as *mut State;
    // SAFETY: all three are whole states or mapped windows. What `enter` runs may do anything to the child.
    unsafe {
        let bytes = offset_of!(State, memory);
        ptr::copy_nonoverlapping(state.cast::<u8>(), here.cast::<u8>(), bytes);
        (*here).branched = 0;
        let mut from = (&raw mut (*state).memory).cast::<u8>();
        for (at, len) in WINDOWS {
            ptr::copy_nonoverlapping(from, (DATA as usize + at) as *mut u8, len);
            from = from.add(len);
        }
        let (flags, rsp) = ((*here).flags, (*here).gpr[4]);
        (FRAME as *mut [u64; 5]).write([slot as u64, USER_CS.into(), flags, rsp, USER_DS.into()]);
        enter();
        ptr::copy_nonoverlapping(here.cast::<u8>(), state.cast::<u8>(), bytes);
        let mut to = (&raw mut (*state).memory).cast::<u8>();
        for (at, len) in WINDOWS {
            ptr::copy_nonoverlapping((DATA as usize + at) as *const u8, to, len);
            to = to.add(len);
        }
    }
}

/// Loads every register and jumps to the case.
#[unsafe(naked)]
unsafe extern "C" fn enter() {
    naked_asm!(
        "push rbx; push rbp; push r12; push r13; push r14; push r15",
        "mov [{rsp}], rsp",
        "rdfsbase rax; mov [{host_fs}], rax",
        "mov eax, [{components}]; xor edx, edx; xrstor64 [{here}]",
        "mov ds, [{selectors}]; mov es, [{selectors} + 2]; mov fs, [{selectors} + 4]; mov gs, [{selectors} + 6]",
        "mov rax, [{fs}]; wrfsbase rax",
        "mov rax, [{gs}]; wrgsbase rax",
        "mov rax, [{gpr}]; mov rcx, [{gpr} + 8]; mov rdx, [{gpr} + 16]; mov rbx, [{gpr} + 24]",
        "mov rbp, [{gpr} + 40]; mov rsi, [{gpr} + 48]; mov rdi, [{gpr} + 56]",
        "mov r8, [{gpr} + 64]; mov r9, [{gpr} + 72]; mov r10, [{gpr} + 80]; mov r11, [{gpr} + 88]",
        "mov r12, [{gpr} + 96]; mov r13, [{gpr} + 104]; mov r14, [{gpr} + 112]; mov r15, [{gpr} + 120]",
        // Flags, stack and address at once, so that a single step is one of the case.
        "mov rsp, {frame}",
        "iretq",
        here = const HERE,
        components = const COMPONENTS,
        rsp = const HOST_RSP,
        host_fs = const HOST_FS,
        frame = const FRAME,
        selectors = const HERE + offset_of!(State, selectors),
        fs = const HERE + offset_of!(State, fs),
        gs = const HERE + offset_of!(State, gs),
        gpr = const HERE + offset_of!(State, gpr),
    )
}

/// Where a case goes at its end: stores every register and returns to whom called `enter`.
#[unsafe(naked)]
unsafe extern "C" fn leave() {
    naked_asm!(
        "mov [{gpr}], rax; mov [{gpr} + 8], rcx; mov [{gpr} + 16], rdx; mov [{gpr} + 24], rbx",
        "mov [{gpr} + 32], rsp; mov [{gpr} + 40], rbp; mov [{gpr} + 48], rsi; mov [{gpr} + 56], rdi",
        "mov [{gpr} + 64], r8; mov [{gpr} + 72], r9; mov [{gpr} + 80], r10; mov [{gpr} + 88], r11",
        "mov [{gpr} + 96], r12; mov [{gpr} + 104], r13; mov [{gpr} + 112], r14; mov [{gpr} + 120], r15",
        "mov [{selectors}], ds; mov [{selectors} + 2], es; mov [{selectors} + 4], fs; mov [{selectors} + 6], gs",
        "mov rsp, [{rsp}]",
        "pushfq; pop qword ptr [{flags}]",
        "push 0x202; popfq",
        "mov eax, [{components}]; xor edx, edx; xsave64 [{here}]",
        "rdfsbase rax; mov [{fs}], rax",
        "rdgsbase rax; mov [{gs}], rax",
        "jmp {recover}",
        here = const HERE,
        components = const COMPONENTS,
        rsp = const HOST_RSP,
        fs = const HERE + offset_of!(State, fs),
        gs = const HERE + offset_of!(State, gs),
        flags = const HERE + offset_of!(State, flags),
        gpr = const HERE + offset_of!(State, gpr),
        selectors = const HERE + offset_of!(State, selectors),
        recover = sym recover,
    )
}

/// Gives the harness its own registers back.
#[unsafe(naked)]
unsafe extern "C" fn recover() {
    naked_asm!(
        "mov rsp, [{rsp}]",
        // A return from a signal handler leaves NT as it was, which IRETQ doesn't like.
        "push 0x202; popfq",
        "xor eax, eax; mov ds, eax; mov es, eax; mov fs, eax; mov gs, eax",
        "mov rax, [{host_fs}]; wrfsbase rax",
        "xor eax, eax; wrgsbase rax",
        "fninit; ldmxcsr [{mxcsr}]",
        "pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx",
        "ret",
        rsp = const HOST_RSP,
        host_fs = const HOST_FS,
        mxcsr = const HOST_MXCSR,
    )
}

/// Has exceptions come to `handler`, on a stack of its own.
///
/// # Safety
/// In the child.
unsafe fn catch() {
    const STACK: usize = 1 << 16;
    // SAFETY: a new mapping becomes the signal stack; the action is fully initialised before it is used.
    unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let stack = libc::mmap(ptr::null_mut(), STACK, protection, flags, -1, 0);
        libc::sigaltstack(&libc::stack_t { ss_sp: stack, ss_flags: 0, ss_size: STACK }, ptr::null_mut());
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP] {
            libc::sigaction(signal, &raw const action, ptr::null_mut());
        }
    }
}

/// Stores the registers of the moment of the exception, and returns to `recover`.
unsafe extern "C" fn handler(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    const ORDER: [libc::c_int; 16] = [
        libc::REG_RAX,
        libc::REG_RCX,
        libc::REG_RDX,
        libc::REG_RBX,
        libc::REG_RSP,
        libc::REG_RBP,
        libc::REG_RSI,
        libc::REG_RDI,
        libc::REG_R8,
        libc::REG_R9,
        libc::REG_R10,
        libc::REG_R11,
        libc::REG_R12,
        libc::REG_R13,
        libc::REG_R14,
        libc::REG_R15,
    ];
    const PAGE_FAULT: i64 = 14;
    let here = HERE as *mut State;
    // SAFETY: the kernel passes a whole context, with an XSAVE image behind `fpregs`, because the processor has XSAVE.
    // `here` is mapped. The base of fs is the case's: nothing here is thread-local.
    unsafe {
        // The case may have asked for alignment checks; they are for itself.
        asm!("pushfq; and qword ptr [rsp], {0}; popfq", const !0x4_0000_i32);
        let machine = &raw mut (*context.cast::<libc::ucontext_t>()).uc_mcontext;
        let registers = &mut (*machine).gregs;
        for (i, number) in ORDER.iter().enumerate() {
            (*here).gpr[i] = registers[*number as usize] as u64;
        }
        asm!(
            "mov [{0}], ds; mov [{0} + 2], es; mov [{0} + 4], fs; mov [{0} + 6], gs",
            "rdfsbase {1}; rdgsbase {2}",
            in(reg) &raw mut (*here).selectors,
            out(reg) (*here).fs,
            out(reg) (*here).gs,
        );
        (*here).rip = registers[libc::REG_RIP as usize] as u64;
        (*here).flags = registers[libc::REG_EFL as usize] as u64;
        (*here).trap = registers[libc::REG_TRAPNO as usize] as u64;
        (*here).error = registers[libc::REG_ERR as usize] as u64;
        let fault = registers[libc::REG_TRAPNO as usize] == PAGE_FAULT;
        (*here).cr2 = if fault { registers[libc::REG_CR2 as usize] as u64 } else { 0 };
        let frame = (*machine).fpregs.cast::<u8>();
        ptr::copy_nonoverlapping(frame, (&raw mut (*here).xsave).cast::<u8>(), (IMAGE as *const usize).read());
        // Coming back with a pending x87 exception would raise it again.
        frame.add(at::CONTROL).cast::<u16>().write_unaligned(0x37f);
        frame.add(at::STATUS).cast::<u16>().write_unaligned(0);
        frame.add(at::MXCSR).cast::<u32>().write_unaligned(0x1f80);
        registers[libc::REG_RIP as usize] = recover as *const () as usize as i64;
        registers[libc::REG_RSP as usize] = (HOST_RSP as *const i64).read();
        registers[libc::REG_EFL as usize] = 0x202;
    }
}
