//! The kernel's own functions while a call is handled, as Linux's function_graph tracer shows them.
//!
//! Linux patches a call into each function's first bytes; ours have a span of the `tracing` crate
//! with target `ftrace`, whose name is the function's. Here is who listens to them.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::screen::Shared;
use crate::color::Tone;

/// The target of spans that are kernel functions.
const TARGET: &str = "ftrace";

/// Prints each function as it is entered.
pub(super) struct Ftrace {
    screen: Shared,
    next: AtomicU64,
    /// What is printed of each span that is open.
    spans: Mutex<HashMap<u64, Function>>,
}

struct Function {
    text: String,
    place: String,
    references: usize,
}

impl Ftrace {
    /// One that prints to `screen` while it is live.
    pub(super) fn new(screen: Shared) -> Ftrace {
        Ftrace { screen, next: AtomicU64::new(1), spans: Mutex::default() }
    }

    fn with<T>(&self, id: &Id, f: impl FnOnce(&mut Function) -> T) -> Option<T> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&id.into_u64()).map(f)
    }
}

/// `name(key=value, …)`.
struct Arguments<'a>(&'a mut String);

impl Visit for Arguments<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let comma = if self.0.ends_with('(') { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(self.0, "{comma}{}={value:?}", field.name());
    }
}

impl Subscriber for Ftrace {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target() == TARGET
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let metadata = span.metadata();
        let mut text = format!("{}(", metadata.name());
        span.record(&mut Arguments(&mut text));
        text.push(')');
        let place = match (metadata.file(), metadata.line()) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            _ => String::new(),
        };
        let function = Function { text, place, references: 1 };
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).insert(id, function);
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, id: &Id) {
        let mut screen = self.screen.lock();
        if !screen.live {
            return;
        }
        screen.depth += 1;
        let indent = 4 + 2 * screen.depth;
        let palette = screen.palette();
        let line = self.with(id, |function| {
            let width = 70_usize.saturating_sub(indent);
            let name = palette.paint(Tone::Name, &function.text);
            format!("{:indent$}{name:<width$} {}", "", palette.paint(Tone::Faint, &function.place))
        });
        if let Some(line) = line {
            screen.line(line);
        }
        // The function may write to the same terminal.
        screen.flush();
    }

    fn exit(&self, _: &Id) {
        let mut screen = self.screen.lock();
        screen.depth = screen.depth.saturating_sub(1);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.with(id, |function| function.references += 1);
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(function) = spans.get_mut(&id.into_u64()) else { return true };
        function.references -= 1;
        let closed = function.references == 0;
        if closed {
            spans.remove(&id.into_u64());
        }
        closed
    }
}
