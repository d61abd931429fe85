//! Whatever runs a program, its course is the same, under the direct and the image route, on the interpreter and on the
//! native engine: at every system call it has the same registers, after it the same answer, and when it ends the same
//! memory, page by page.

use std::cell::RefCell;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use callgate_abi::{Handler, PtRegs};
use callgate_emulator::{CpuModel, Interp, rflags};
use callgate_kernel::fs::tty::Console;
use callgate_kernel::mm::{Layout, TASK_SIZE};
use callgate_kernel::{Config, EntryRoute, Machine, Observer, Outcome, Task};
use callgate_native::{Native, Setup};
use callgate_tests::compile::{Compiler, compile};
use callgate_tests::skip;

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
        let entry = handler.entry;
        // Processors differ in the flags that the manuals leave undefined, and so do the engines.
        let known = |flags: u64| flags & !rflags::STATUS;
        let regs = PtRegs { flags: known(task.regs.flags), r11: known(task.regs.r11), ..task.regs };
        let line = format!("{} {nr} {entry} {regs:x?} {vectors:x} {bases:x?}", task.pid());
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

/// What runs a program.
#[derive(Clone, Copy, Debug)]
struct Way {
    entry: EntryRoute,
    layout: Layout,
    /// The native engine, which translates whatever it meets, and not the interpreter.
    native: bool,
}

const DIRECT: Way = Way { entry: EntryRoute::Direct, layout: Layout::STANDARD, native: false };
const IMAGE: Way = Way { entry: EntryRoute::Image, ..DIRECT };
/// As for the native engine.
const LOW: Way = Way { layout: Layout::LOW, ..DIRECT };
const NATIVE: Way = Way { native: true, ..LOW };

/// A course: its end, and what was seen until then.
type Course = (Outcome, Vec<(String, Vec<u64>)>);

fn run(program: &str, way: Way) -> Course {
    let path = compile(Compiler::Gcc, program, Compiler::Gcc.default_flags());
    let bytes = std::fs::read(path).unwrap();
    let input = b"some input\nof two lines\n".to_vec();
    let console = Console::Buffers { input, output: Rc::default(), error: Rc::default() };
    let config = Config { entry: way.entry, layout: way.layout, deterministic: Some(1), console, ..Config::default() };
    let mut machine = Machine::new(config, |kernel| {
        if way.native {
            let mut native = Native::new(&kernel.memory, CpuModel::default(), Setup::default()).unwrap();
            native.translate_at_once();
            Box::new(native)
        } else {
            Box::new(Interp::new(&kernel.memory))
        }
    })
    .unwrap();
    machine.kernel.vfs.install_file("/guest", &bytes, 0o755).unwrap();
    let log = Log::default();
    machine.kernel.set_observer(Box::new(Recorder(Rc::clone(&log))));
    machine.spawn(b"/guest", b"/tmp", vec![b"guest".to_vec()], vec![b"PATH=/bin".to_vec()]).unwrap();
    let outcome = machine.run();
    let executed =
        machine.engine_figures().iter().find(|(name, _)| *name == "translated").map_or(0, |(_, count)| *count);
    assert_eq!(executed > 0, way.native, "{program}: whether anything was translated");
    (outcome, log.take())
}

fn compare(program: &str, left: Way, right: Way) {
    let (one, other) = (run(program, left), run(program, right));
    assert!(one.1.len() > 4, "{program} made no calls");
    for (number, (one, other)) in one.1.iter().zip(&other.1).enumerate() {
        assert_eq!(one.0, other.0, "{program}: event {number} differs between {left:?} and {right:?}");
        for (word, (here, there)) in one.1.iter().zip(&other.1).enumerate() {
            assert_eq!(here, there, "{program}: {}: byte {:#x} of the page, {here:#x} and {there:#x}", one.0, word * 8);
        }
    }
    assert_eq!(one.1.len(), other.1.len(), "{program}: one has more events, {left:?} or {right:?}");
    assert_eq!(one.0, other.0, "{program}: the ends differ");
}

// Time and turns are counted in the programs' own instructions, so that even programs of many processes, or that look at
// the clock, have one course, whatever runs them.
macro_rules! one_course {
    ($($name:ident)*) => {
        mod routes {
            $(#[test]
            fn $name() {
                super::compare(stringify!($name), super::DIRECT, super::IMAGE);
            })*
        }

        mod engines {
            $(#[test]
            fn $name() {
                if let Err(why) = callgate_native::check(callgate_emulator::CpuModel::default()) {
                    return super::skip(&format!("the native engine: {why}"));
                }
                super::compare(stringify!($name), super::LOW, super::NATIVE);
            })*
        }
    };
}

one_course! {
    article arithmetic clone directories errno_descriptor errno_fault errno_path exec faults fork instruction int80 kill
    links malloc mmap mmap_file pipe poll preempt printf_float qsort rename setjmp sigaction sigchld sigfault sigpipe
    sigwait stdin stdio stop strings time times vfork wait
}
