//! The direct and the image route mean the same: at every system call of a program they have the same registers, after
//! it the same answer, and when the program ends the same memory, page by page.

use std::cell::RefCell;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use callgate_abi::Handler;
use callgate_emulator::Interp;
use callgate_kernel::fs::tty::Console;
use callgate_kernel::mm::TASK_SIZE;
use callgate_kernel::{Config, EntryRoute, Machine, Observer, Outcome, Task};
use callgate_tests::compile::{Compiler, compile};

/// What was seen of a run, in order: a line each, and a page's words with it.
type Log = Rc<RefCell<Vec<(String, Vec<u64>)>>>;

struct Recorder(Log);

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Observer for Recorder {
    fn syscall_enter(&mut self, task: &Task, nr: u64, handler: &'static Handler<Task>, _: &[u64; 6]) {
        if !handler.implemented {
            // The image answers numbers without a handler by itself, with the same ENOSYS.
            return;
        }
        let cpu = &task.cpu;
        let vectors = hash(&(cpu.xmm, cpu.ymm_high, cpu.mxcsr));
        let bases = (task.user_fs_base(), task.user_gs_base());
        let entry = handler.metadata.entry;
        let line = format!("{} {nr} {entry} {:x?} {vectors:x} {bases:x?}", task.pid(), task.regs);
        self.0.borrow_mut().push((line, Vec::new()));
    }

    fn syscall_exit(&mut self, task: &Task, _: u64, handler: &'static Handler<Task>, _: &[u64; 6], result: i64) {
        if !handler.implemented {
            return;
        }
        self.0.borrow_mut().push((format!("{} = {result}", task.pid()), Vec::new()));
    }

    fn exit(&mut self, task: &Task, status: i32) {
        let mm = task.mm.borrow();
        let mut log = self.0.borrow_mut();
        log.push((format!("{} exits with {status:#x}", task.pid()), Vec::new()));
        for (address, frame, flags) in mm.space.entries(0, TASK_SIZE) {
            let mut page = [0; 4096];
            frame.read(0, &mut page);
            let words = page.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_le_bytes)).collect();
            log.push((format!("{} {address:#x} {flags:?}", task.pid()), words));
        }
    }
}

fn run(program: &str, entry: EntryRoute) -> (Outcome, Vec<(String, Vec<u64>)>) {
    let path = compile(Compiler::Gcc, program, Compiler::Gcc.default_flags());
    let bytes = std::fs::read(path).unwrap();
    let input = b"some input\nof two lines\n".to_vec();
    let console = Console::Buffers { input, output: Rc::default(), error: Rc::default() };
    let config = Config { entry, deterministic: Some(1), console, ..Config::default() };
    let mut machine = Machine::new(config, |kernel| Box::new(Interp::new(&kernel.memory))).unwrap();
    machine.kernel.vfs.install_file("/guest", &bytes, 0o755).unwrap();
    let log = Log::default();
    machine.kernel.set_observer(Box::new(Recorder(Rc::clone(&log))));
    machine.spawn(b"/guest", b"/tmp", vec![b"guest".to_vec()], vec![b"PATH=/bin".to_vec()]).unwrap();
    let outcome = machine.run();
    (outcome, log.take())
}

fn compare(program: &str) {
    let (direct, image) = (run(program, EntryRoute::Direct), run(program, EntryRoute::Image));
    assert!(direct.1.len() > 4, "{program} made no calls");
    for (number, (direct, image)) in direct.1.iter().zip(&image.1).enumerate() {
        assert_eq!(
            direct.0, image.0,
            "{program}: event {number} differs between the direct (left) and the image route"
        );
        for (word, (left, right)) in direct.1.iter().zip(&image.1).enumerate() {
            assert_eq!(
                left,
                right,
                "{program}: {}: byte {:#x} of the page, {left:#x} and {right:#x}",
                direct.0,
                word * 8
            );
        }
    }
    assert_eq!(direct.1.len(), image.1.len(), "{program}: one route has more events");
    assert_eq!(direct.0, image.0, "{program}: the routes end differently");
}

macro_rules! same_on_both_routes {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            compare(stringify!($name));
        })*
    };
}

// Time and turns are counted in the programs' own instructions, so that even programs of many processes, or that look at
// the clock, have one course on both routes.
same_on_both_routes! {
    article arithmetic clone directories errno_descriptor errno_fault errno_path exec faults fork instruction int80 kill
    links malloc mmap mmap_file pipe poll preempt printf_float qsort rename setjmp sigaction sigchld sigfault sigpipe
    sigwait stdin stdio stop strings time times vfork wait
}
