//! Texts of /proc that are more than one line of code.

use std::fmt::Write as _;

use callgate_emulator::CpuModel;
use callgate_uapi::resource::{
    RLIM_INFINITY, RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_LOCKS, RLIMIT_MEMLOCK,
    RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_RSS, RLIMIT_RTPRIO, RLIMIT_RTTIME,
    RLIMIT_SIGPENDING, RLIMIT_STACK,
};

use crate::mm::{Backing, Mm, PAGE_SIZE, Prot, Vma};
use crate::sched::TaskState;
use crate::sys::rlimit::Rlimits;
use crate::task::TaskLink;

/// /proc/cpuinfo: one processor.
pub(super) fn cpuinfo(cpu: CpuModel) -> String {
    let flags = cpu.feature_names().collect::<Vec<_>>().join(" ");
    let lines = [
        ("processor\t", "0"),
        ("vendor_id\t", "GenuineIntel"),
        ("cpu family\t", "6"),
        ("model name\t", "callgate x86-64 core"),
        ("cpu MHz\t\t", "1000.000"),
        ("physical id\t", "0"),
        ("siblings\t", "1"),
        ("core id\t\t", "0"),
        ("cpu cores\t", "1"),
        ("fpu\t\t", "yes"),
        ("flags\t\t", &flags),
        ("bogomips\t", "2000.00"),
        ("clflush size\t", "64"),
        ("address sizes\t", "40 bits physical, 48 bits virtual"),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        let _ = writeln!(text, "{name}: {value}");
    }
    text + "\n"
}

/// One line of /proc/PID/maps; the name begins at column 73.
fn map_line(mm: &Mm, vma: &Vma, path: Option<String>) -> String {
    let flag = |prot, letter| if vma.prot.contains(prot) { letter } else { '-' };
    let (offset, dev, ino) = match &vma.backing {
        Backing::Object { offset, file: Some(file), .. } => (*offset, file.inode().sb.dev, file.inode().ino),
        Backing::Object { offset, .. } => (*offset, 0, 0),
        Backing::Anonymous => (0, 0, 0),
    };
    let mut line = format!(
        "{:08x}-{:08x} {}{}{}{} {offset:08x} {:02x}:{:02x} {ino}",
        vma.start,
        vma.end,
        flag(Prot::READ, 'r'),
        flag(Prot::WRITE, 'w'),
        flag(Prot::EXEC, 'x'),
        if vma.is_shared() { 's' } else { 'p' },
        dev >> 8 & 0xfff,
        dev & 0xff,
    );
    let heap = vma.start < mm.brk && vma.end > mm.start_brk && matches!(vma.backing, Backing::Anonymous);
    let name = match path {
        Some(path) => path.replace('\n', "\\012"),
        None if heap => "[heap]".into(),
        None if vma.start <= mm.start_stack && mm.start_stack <= vma.end => "[stack]".into(),
        None => String::new(),
    };
    if !name.is_empty() {
        let _ = write!(line, "{:width$}{name}", "", width = 73_usize.saturating_sub(line.len()).max(1));
    }
    line.push('\n');
    line
}

/// /proc/PID/maps.
pub(super) fn maps(mm: &Mm, path: impl Fn(&Vma) -> Option<String>) -> String {
    mm.vmas().map(|vma| map_line(mm, vma, path(vma))).collect()
}

/// The word that /proc/PID/status has for a state.
fn state_name(state: TaskState) -> &'static str {
    match state {
        TaskState::Running => "running",
        TaskState::Interruptible => "sleeping",
        TaskState::Killable => "disk sleep",
        TaskState::Stopped => "stopped",
        TaskState::Dead => "zombie",
    }
}

/// Sums the sizes of areas in kB.
fn area_kb(mm: &Mm, which: impl Fn(&Vma) -> bool) -> u64 {
    mm.vmas().filter(|vma| which(vma)).map(|vma| vma.len() / 1024).sum()
}

/// /proc/PID/status.
pub(super) fn status(link: &TaskLink, mm: Option<&Mm>, umask: u32, fd_size: usize) -> String {
    let signal = &link.signal;
    let parent = signal.parent.borrow().upgrade().map_or(0, |parent| parent.tgid);
    let uid = signal.uid.get();
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name}:\t{value}");
    };
    line("Name", link.comm.borrow().clone());
    line("Umask", format!("{umask:04o}"));
    line("State", format!("{} ({})", link.state.letter(), state_name(link.state.get())));
    line("Tgid", signal.tgid.to_string());
    line("Ngid", "0".into());
    line("Pid", link.pid.to_string());
    line("PPid", parent.to_string());
    line("TracerPid", "0".into());
    line("Uid", format!("{uid}\t{uid}\t{uid}\t{uid}"));
    line("Gid", format!("{uid}\t{uid}\t{uid}\t{uid}"));
    line("FDSize", fd_size.next_multiple_of(64).max(64).to_string());
    line("Groups", " ".into());
    if let Some(mm) = mm {
        let kb = |value: u64| format!("{value:>8} kB");
        let total = mm.total_vm() * PAGE_SIZE / 1024;
        let resident = mm.resident() * PAGE_SIZE / 1024;
        let stack = area_kb(mm, |vma| vma.start <= mm.start_stack && mm.start_stack <= vma.end);
        let data = area_kb(mm, |vma| vma.prot.contains(Prot::WRITE) && !vma.is_shared());
        line("VmPeak", kb(total));
        line("VmSize", kb(total));
        line("VmLck", kb(0));
        line("VmPin", kb(0));
        line("VmHWM", kb(resident));
        line("VmRSS", kb(resident));
        line("VmData", kb(data.saturating_sub(stack)));
        line("VmStk", kb(stack));
        line("VmExe", kb(area_kb(mm, |vma| vma.prot.contains(Prot::EXEC))));
        line("VmSwap", kb(0));
    }
    let pending = link.pending.borrow().set().0;
    let shared = signal.shared_pending.borrow().set().0;
    line("Threads", signal.threads.borrow().len().to_string());
    line("SigPnd", format!("{pending:016x}"));
    line("ShdPnd", format!("{shared:016x}"));
    line("SigBlk", format!("{:016x}", link.blocked.get().0));
    line("Seccomp", "0".into());
    line("Cpus_allowed", "1".into());
    line("Cpus_allowed_list", "0".into());
    text
}

/// /proc/PID/stat: 52 fields on one line.
pub(super) fn stat(link: &TaskLink, mm: Option<&Mm>) -> String {
    let signal = &link.signal;
    let parent = signal.parent.borrow().upgrade().map_or(0, |parent| parent.tgid);
    // Clock ticks of 10 ms.
    let ticks = |nanoseconds: u64| nanoseconds / 10_000_000;
    let start = signal.start_time.as_millis() / 10;
    let (vsize, rss) = mm.map_or((0, 0), |mm| (mm.total_vm() * PAGE_SIZE, mm.resident()));
    let code = mm.and_then(|mm| mm.vmas().find(|vma| vma.prot.contains(Prot::EXEC)).map(|vma| (vma.start, vma.end)));
    let (start_code, end_code) = code.unwrap_or_default();
    let stack = mm.map_or(0, |mm| mm.start_stack);
    let (args, env) = mm.map_or(((0, 0), (0, 0)), |mm| (mm.args, mm.env));
    let brk = mm.map_or(0, |mm| mm.start_brk);
    let rsslim = signal.rlimit(RLIMIT_RSS);
    let mut text = format!("{} ({}) {} ", link.pid, link.comm.borrow(), link.state.letter());
    let fields: Vec<String> = [
        i128::from(parent),
        signal.pgrp.get().into(),
        signal.session.get().into(),
        0,
        -1,
        0x40_0000,
        0,
        0,
        0,
        0,
        ticks(signal.cputime.get()).into(),
        0,
        ticks(signal.child_cputime.get()).into(),
        0,
        20,
        0,
        signal.threads.borrow().len() as i128,
        0,
        start as i128,
        vsize.into(),
        rss.into(),
        rsslim.into(),
        start_code.into(),
        end_code.into(),
        stack.into(),
        0,
        0,
        i128::from(link.pending.borrow().set().0 & 0x7fff_ffff),
        i128::from(link.blocked.get().0 & 0x7fff_ffff),
        0,
        0,
        0,
        0,
        0,
        signal.exit_signal.get().into(),
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        brk.into(),
        args.0.into(),
        args.1.into(),
        env.0.into(),
        env.1.into(),
        0,
    ]
    .iter()
    .map(i128::to_string)
    .collect();
    text.push_str(&fields.join(" "));
    text.push('\n');
    text
}

/// /proc/PID/statm: sizes in pages.
pub(super) fn statm(mm: &Mm) -> String {
    let pages = |kb: u64| kb * 1024 / PAGE_SIZE;
    let code = pages(area_kb(mm, |vma| vma.prot.contains(Prot::EXEC)));
    let data = pages(area_kb(mm, |vma| vma.prot.contains(Prot::WRITE) && !vma.is_shared()));
    format!("{} {} 0 {code} 0 {data} 0\n", mm.total_vm(), mm.resident())
}

/// The limits in the order and with the units of /proc/PID/limits.
const LIMITS: [(&str, u32, &str); 16] = [
    ("Max cpu time", RLIMIT_CPU, "seconds"),
    ("Max file size", RLIMIT_FSIZE, "bytes"),
    ("Max data size", RLIMIT_DATA, "bytes"),
    ("Max stack size", RLIMIT_STACK, "bytes"),
    ("Max core file size", RLIMIT_CORE, "bytes"),
    ("Max resident set", RLIMIT_RSS, "bytes"),
    ("Max processes", RLIMIT_NPROC, "processes"),
    ("Max open files", RLIMIT_NOFILE, "files"),
    ("Max locked memory", RLIMIT_MEMLOCK, "bytes"),
    ("Max address space", RLIMIT_AS, "bytes"),
    ("Max file locks", RLIMIT_LOCKS, "locks"),
    ("Max pending signals", RLIMIT_SIGPENDING, "signals"),
    ("Max msgqueue size", RLIMIT_MSGQUEUE, "bytes"),
    ("Max nice priority", RLIMIT_NICE, ""),
    ("Max realtime priority", RLIMIT_RTPRIO, ""),
    ("Max realtime timeout", RLIMIT_RTTIME, "us"),
];

/// /proc/PID/limits.
pub(super) fn limits(limits: &Rlimits) -> String {
    let value = |limit: u64| if limit == RLIM_INFINITY { "unlimited".to_owned() } else { limit.to_string() };
    let mut text = format!("{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (name, resource, unit) in LIMITS {
        let limit = limits.get(resource).unwrap_or_default();
        let _ = writeln!(text, "{name:<25} {:<20} {:<20} {unit:<10}", value(limit.cur), value(limit.max));
    }
    text
}
