//! Signals: what is pending, what is blocked, what happens on delivery.
//!
//! Linux queues a signal on the task or on its thread group, wakes the task, and delivers on the way
//! back to user mode: the default action, or a frame on the user stack and a jump to the handler.
//! We do the same. Follow a signal: [`send`] (who may, whether it is ignored, which thread takes it)
//! → [`Pending`] → [`Task::exit_to_user_mode`](crate::Task::exit_to_user_mode) in [`deliver`] → the
//! frame in [`frame`], and back through rt_sigreturn(2).
//!
//! Quirks:
//! - No core dumps are written: what would dump core ends the process as a plain signal does.
//! - A signal that is ignored when it is sent is dropped, as on Linux, so an observer never sees it.
//! - `siginfo_t` of SIGCHLD tells no times.

pub mod action;
pub mod deliver;
pub mod frame;
pub mod kill;
pub mod mask;
pub mod pending;
pub mod restart;
pub mod send;
pub mod sighand;
pub mod stack;

pub use frame::most_of_a_frame;
pub use pending::Pending;
pub use send::{send_group_signal, send_signal_info};
pub use sighand::SighandStruct;
pub use stack::{MINSIGSTKSZ, SignalStack};
