//! Where the explanation is written. Three write to it: the observer of instructions, the subscriber
//! of kernel functions, and the command itself; so it is shared.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::color::{Palette, Tone};
use crate::output::Output;

/// Columns of a heading's rule.
const WIDTH: usize = 100;

/// The explanation's text.
pub(super) struct Screen {
    out: Output,
    /// Whether kernel functions that run now belong to a call that is shown.
    pub(super) live: bool,
    /// How many kernel functions are running.
    pub(super) depth: usize,
}

/// A screen that several have.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Screen>>);

impl Shared {
    /// A screen on `out`.
    pub(super) fn new(out: Output) -> Shared {
        Shared(Arc::new(Mutex::new(Screen { out, live: false, depth: 0 })))
    }

    /// The screen.
    pub(super) fn lock(&self) -> MutexGuard<'_, Screen> {
        // Whoever panicked with it has at worst left a line out.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Screen {
    /// Its colours.
    pub(super) fn palette(&self) -> Palette {
        self.out.palette
    }

    /// A line.
    pub(super) fn line(&mut self, text: impl Display) {
        self.out.line(text);
    }

    /// The heading of a call.
    pub(super) fn title(&mut self, title: &str) {
        let rule = "━".repeat(WIDTH.saturating_sub(title.chars().count() + 5).max(4));
        let line = format!("━━━ {title} {rule}");
        let painted = self.palette().paint(Tone::Heading, line);
        self.out.line("");
        self.out.line(painted);
    }

    /// The heading of one of a call's steps.
    pub(super) fn stage(&mut self, number: u8, title: &str) {
        let line = self.palette().paint(Tone::Heading, format!("{number}. {title}"));
        self.out.line("");
        self.out.line(line);
    }

    /// The name of the function that the following instructions are of.
    pub(super) fn function(&mut self, name: &str) {
        let line = self.palette().paint(Tone::Name, format!("{name}:"));
        self.out.line(format_args!("  {line}"));
    }

    /// An instruction and what it has done.
    pub(super) fn instruction(&mut self, addr: u64, offset: &str, bytes: &str, text: &str, effect: &str) {
        let palette = self.palette();
        let bytes = palette.paint(Tone::Faint, format_args_padded(bytes, 30));
        let line = format!("  {addr:16x} {offset:<8} {bytes} {text:<34} {}", palette.paint(Tone::Effect, effect));
        // Without an effect there is nothing to pad for.
        self.out.line(line.trim_end());
    }

    /// A register, before and after, and where its value comes from.
    pub(super) fn change(&mut self, name: &str, before: &str, after: &str, why: &str) {
        let palette = self.palette();
        let (name, after) = (palette.paint(Tone::Name, name), palette.paint(Tone::Effect, after));
        let line = format!("    {name:<7} {before:>18} → {after:<18} {why}");
        self.out.line(line.trim_end());
    }

    /// A remark.
    pub(super) fn note(&mut self, text: impl Display) {
        let line = self.palette().paint(Tone::Faint, text);
        self.out.line(format_args!("    {line}"));
    }

    /// Hands everything on: what the guest writes next comes after it.
    pub(super) fn flush(&mut self) {
        self.out.flush();
    }

    /// The end of the output.
    pub(super) fn finish(&mut self) -> crate::exit::Result<()> {
        self.out.finish()
    }
}

fn format_args_padded(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}
