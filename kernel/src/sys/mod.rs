//! Who a task is and what it may use: ids, capabilities, limits, the system's name, scheduling
//! attributes, and calls that belong nowhere else.
//!
//! Linux keeps most of these in `kernel/sys.c`; credentials are in `kernel/cred.c`, capabilities in
//! `kernel/capability.c`, scheduling in `kernel/sched/`.

pub mod attributes;
pub mod capability;
pub mod cred;
pub mod groups;
pub mod ids;
pub mod pgrp;
pub mod prctl;
pub mod priority;
pub mod rlimit;
pub mod rusage;
pub mod sched;
pub mod sysinfo;
pub mod uts;
