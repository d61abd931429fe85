//! An x86-64 core: memory with page tables, and an engine that executes guest instructions.
//!
//! [`Memory`] hands out frames, a [`Space`] maps them, a [`Cpu`] is registers as plain data, and an [`Engine`] runs the
//! one in the other until something happens that the core has no say in: an [`Exit`]. The core knows no operating system;
//! with [`Delivery::Idt`] one can run inside it, with [`Delivery::Exit`] its caller plays one.
//!
//! Instructions are decoded with iced-x86. What the core lacks is #UD, marked as missing.

#![deny(unsafe_code)]

mod cpu;
mod cpuid;
mod debug;
mod exit;
mod flags;
mod fxsave;
mod interp;
#[allow(unsafe_code)]
mod memory;
mod numbers;
mod softfloat;
mod x87;
mod xstate;

pub use cpu::{Cpu, Delivery, DescriptorTable, Msrs, Segment, Tsc, reg, seg};
pub use cpuid::{CpuModel, cpuid};
pub use debug::{Breakpoint, Condition, InvalidBreakpoint, dr6, dr7};
pub use exit::{Engine, Exception, Exit, vector};
pub use flags::rflags;
pub use fxsave::InvalidMxcsr;
pub use interp::Interp;
pub use memory::{
    BLOCK, Entries, Frame, Memory, Offer, PAGE_SIZE, PageFault, PageFlags, Partial, Privilege, Space, is_canonical,
    may_be_private, offer_memory, page_fault,
};
pub use numbers::{NumberHasher, NumberMap};
pub use x87::{F80, Fpu, Pointers as FpuPointers};
pub use xstate::{InvalidXstate, XSAVE_SIZE};
