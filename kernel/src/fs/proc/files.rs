//! The machine's files: /proc/cpuinfo, /proc/meminfo, /proc/sys, …

use std::fmt::Write as _;
use std::rc::{Rc, Weak};

use callgate_abi::Errno;

use crate::Result;
use crate::fs::inode::{Inode, SuperBlock};
use crate::fs::pseudo::{self, LinkTo, Tree};
use crate::fs::sysfs::Builder;
use crate::kernel::Kernel;
use crate::sched::TaskState;
use crate::sys::uts;
use crate::task::pid::PID_MAX;

/// Makes a file's text from the machine.
type Show = fn(&Kernel) -> String;

/// The files: path, mode, text.
const FILES: [(&str, u32, Show); 27] = [
    ("cmdline", 0o444, |_| "\n".into()),
    ("cpuinfo", 0o444, cpuinfo),
    ("devices", 0o444, |_| "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n\nBlock devices:\n".into()),
    ("filesystems", 0o444, filesystems),
    ("kallsyms", 0o444, kallsyms),
    ("loadavg", 0o444, loadavg),
    ("meminfo", 0o444, meminfo),
    ("modules", 0o444, |_| String::new()),
    ("stat", 0o444, stat),
    ("swaps", 0o444, |_| "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".into()),
    ("uptime", 0o444, uptime),
    ("version", 0o444, version),
    ("sys/fs/file-max", 0o644, |_| "9223372036854775807\n".into()),
    ("sys/fs/nr_open", 0o644, |_| "1048576\n".into()),
    ("sys/fs/pipe-max-size", 0o644, |_| "1048576\n".into()),
    ("sys/kernel/cap_last_cap", 0o444, |_| format!("{}\n", linux_raw_sys::general::CAP_LAST_CAP)),
    ("sys/kernel/domainname", 0o644, |k| String::from_utf8_lossy(&k.uts.borrow().domainname).into_owned() + "\n"),
    ("sys/kernel/hostname", 0o644, |k| String::from_utf8_lossy(&k.uts.borrow().nodename).into_owned() + "\n"),
    ("sys/kernel/ngroups_max", 0o444, |_| "65536\n".into()),
    ("sys/kernel/osrelease", 0o444, |_| format!("{}\n", uts::RELEASE)),
    ("sys/kernel/ostype", 0o444, |_| format!("{}\n", uts::SYSNAME)),
    ("sys/kernel/pid_max", 0o644, |_| format!("{PID_MAX}\n")),
    ("sys/kernel/randomize_va_space", 0o644, |_| "0\n".into()),
    ("sys/kernel/random/boot_id", 0o444, |_| "00000000-0000-4000-8000-000000000000\n".into()),
    ("sys/kernel/random/uuid", 0o444, uuid),
    ("sys/kernel/version", 0o444, |_| format!("{}\n", uts::VERSION)),
    ("sys/vm/overcommit_memory", 0o644, |_| "1\n".into()),
];

/// Builds the fixed part of /proc.
pub(super) fn tree(kernel: &Rc<Kernel>, sb: &Rc<SuperBlock>) -> Rc<Tree> {
    let mut builder = Builder::new(sb);
    for (path, mode, show) in FILES {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let inode = file(kernel, sb, path, mode, show);
        builder.tree(dir).add(name, inode);
    }
    let root = builder.root();
    root.add("mounts", pseudo::link(sb, |_| Ok(LinkTo::Path(b"self/mounts".to_vec()))));
    root
}

fn file(kernel: &Rc<Kernel>, sb: &Rc<SuperBlock>, path: &str, mode: u32, show: Show) -> Rc<Inode> {
    let weak = Rc::downgrade(kernel);
    let machine = weak.clone();
    let text = move || machine.upgrade().map(|kernel| show(&kernel).into_bytes()).ok_or(Errno::EIO);
    let store: Option<pseudo::Store> = match path {
        "sys/kernel/hostname" => Some(Rc::new(move |bytes| set_name(&weak, bytes, true))),
        "sys/kernel/domainname" => Some(Rc::new(move |bytes| set_name(&weak, bytes, false))),
        _ => None,
    };
    let mode = if store.is_some() { mode } else { mode & 0o444 };
    pseudo::file(sb, mode, Rc::new(text), store)
}

fn set_name(kernel: &Weak<Kernel>, bytes: &[u8], host: bool) -> Result<()> {
    let kernel = kernel.upgrade().ok_or(Errno::EIO)?;
    let end = bytes.iter().position(|byte| matches!(byte, b'\n' | 0)).unwrap_or(bytes.len()).min(64);
    let mut names = kernel.uts.borrow_mut();
    let name = if host { &mut names.nodename } else { &mut names.domainname };
    *name = bytes[..end].to_vec();
    Ok(())
}

fn cpuinfo(kernel: &Kernel) -> String {
    super::text::cpuinfo(kernel.cpu)
}

fn filesystems(kernel: &Kernel) -> String {
    let mut text = String::new();
    let mut seen: Vec<&str> = Vec::new();
    let mounts = kernel.vfs.namespace.list();
    for name in mounts.iter().map(|mount| mount.sb.fs_type).chain(["pipefs"]) {
        if !seen.contains(&name) {
            seen.push(name);
            let _ = writeln!(text, "nodev\t{name}");
        }
    }
    text
}

fn kallsyms(_: &Kernel) -> String {
    let mut text = String::new();
    for symbol in crate::syscalls::KERNEL_IMAGE.symbols() {
        let _ = writeln!(text, "{:016x} {} {}", symbol.addr, symbol.kind, symbol.name);
    }
    text
}

fn loadavg(kernel: &Kernel) -> String {
    let tasks = kernel.tasks();
    let running = tasks.iter().filter(|task| task.state.get() == TaskState::Running).count();
    format!("0.00 0.00 0.00 {running}/{} {}\n", tasks.len(), kernel.last_pid())
}

fn meminfo(kernel: &Kernel) -> String {
    let total = kernel.memory.limit() / 1024;
    let free = total.saturating_sub(kernel.memory.frames_in_use() * 4);
    let mut text = String::new();
    let lines = [("MemTotal", total), ("MemFree", free), ("MemAvailable", free)];
    let zero = ["Buffers", "Cached", "SwapCached", "Active", "Inactive", "SwapTotal", "SwapFree", "Dirty", "Shmem"];
    for (name, value) in lines.into_iter().chain(zero.map(|name| (name, 0))) {
        let _ = writeln!(text, "{:<16}{value:>8} kB", format!("{name}:"));
    }
    text
}

fn stat(kernel: &Kernel) -> String {
    let ticks = kernel.clock.monotonic().as_millis() / 10;
    let boot = (kernel.clock.realtime().saturating_sub(kernel.clock.monotonic())).as_secs();
    let running = kernel.tasks().iter().filter(|task| task.state.get() == TaskState::Running).count();
    let cpu = format!("{ticks} 0 0 0 0 0 0 0 0 0");
    format!(
        "cpu  {cpu}\ncpu0 {cpu}\nintr 0\nctxt {}\nbtime {boot}\nprocesses {}\nprocs_running {running}\nprocs_blocked 0\n",
        kernel.stats.switches.get(),
        kernel.stats.tasks.get(),
    )
}

fn uptime(kernel: &Kernel) -> String {
    let up = kernel.clock.monotonic();
    format!("{}.{:02} 0.00\n", up.as_secs(), up.subsec_millis() / 10)
}

fn version(_: &Kernel) -> String {
    format!("{} version {} {}\n", uts::SYSNAME, uts::RELEASE, uts::VERSION)
}

fn uuid(kernel: &Kernel) -> String {
    let mut bytes = [0; 16];
    kernel.random.fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::new();
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text + "\n"
}
