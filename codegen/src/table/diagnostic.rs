//! What a reader of a table is told: one sentence of what is wrong, the place underlined, one sentence of what to do.
//!
//! Linux's scripts say `syscall table is not sorted or duplicates the same syscall number` and leave the place to be
//! found; and where they don't check, the C compiler says something about generated text.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Lint, Span};

/// Lines longer than this (in bytes) are shown as the part around the place.
const LONGEST_LINE: usize = 240;

/// How grave a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The table can't be used.
    Error,
    /// The table can be used, but something about it is doubtful.
    Warning,
}

/// One thing that is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How grave it is.
    pub severity: Severity,
    /// The lint that has found it, if it is a matter of style or likelihood.
    pub lint: Option<Lint>,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where; nowhere if it is about the file as a whole.
    pub place: Option<Label>,
    /// Another place that has to do with it.
    pub related: Option<Label>,
    /// What to do about it, in one sentence.
    pub help: String,
}

/// A place with a few words about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The words that stand beside the underline.
    pub text: String,
}

impl Diagnostic {
    /// An error about the file as a whole.
    pub(crate) fn file(message: impl Into<String>, help: impl Into<String>) -> Self {
        let (message, help) = (message.into(), help.into());
        Self { severity: Severity::Error, lint: None, message, place: None, related: None, help }
    }

    /// An error at a place.
    pub(crate) fn at(span: Span, message: impl Into<String>, label: &str, help: impl Into<String>) -> Self {
        let text = label.to_owned();
        Self { place: Some(Label { span, text }), ..Self::file(message, help) }
    }

    /// The same with a second place.
    pub(crate) fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        let text = label.into();
        self.related = Some(Label { span, text });
        self
    }

    /// The same as the warning of a lint.
    pub(super) fn warning(self, lint: Lint) -> Self {
        Self { severity: Severity::Warning, lint: Some(lint), ..self }
    }

    /// The same as an error, because whoever asked wants it to be one.
    #[must_use]
    pub fn denied(self) -> Self {
        Self { severity: Severity::Error, ..self }
    }

    /// The message with the source line under it, as a compiler would show it; without colours.
    pub fn render(&self, path: &str, source: &str) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(self.message.as_str());
        let mut group = Group::with_title(match self.lint {
            Some(lint) => title.id(lint.name()),
            None => title,
        });
        let place = self.place.as_ref().map(|place| Excerpt::new(source, place));
        if place.as_ref().is_none_or(|place| place.cut) {
            // The place of a part of a line is its place in the line, which the part doesn't know.
            let origin = Origin::path(path);
            group = group.element(match &self.place {
                Some(place) => origin.line(place.span.line).char_column(place.span.column),
                None => origin,
            });
        }
        let related = self.related.as_ref().map(|related| Excerpt::new(source, related));
        for (excerpt, kind) in [(place, AnnotationKind::Primary), (related, AnnotationKind::Context)] {
            if let Some(excerpt) = excerpt {
                let label = kind.span(excerpt.start..excerpt.end).label(excerpt.label);
                let snippet = Snippet::source(excerpt.text).line_start(excerpt.line).annotation(label);
                group = group.element(if excerpt.cut { snippet } else { snippet.path(path) });
            }
        }
        let text = Renderer::plain().render(&[group.element(Level::HELP.message(self.help.as_str()))]);
        // What stands where a part of a line has no path.
        text.replace(" ::: \n", "")
    }
}

/// The line that is shown, or a part of it, and the place within it.
struct Excerpt<'d> {
    text: String,
    start: usize,
    end: usize,
    line: usize,
    label: &'d str,
    cut: bool,
}

impl<'d> Excerpt<'d> {
    fn new(source: &str, label: &'d Label) -> Self {
        let bytes = source.as_bytes();
        let start = label.span.start.min(bytes.len());
        let end = label.span.end.clamp(start, bytes.len());
        let first = bytes[..start].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let last = bytes[start..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| start + at);
        let cut = last - first > LONGEST_LINE;
        let (mut from, mut to) = (first, last);
        if cut {
            from = source.floor_char_boundary(start.saturating_sub(LONGEST_LINE / 3).max(first));
            to = source.floor_char_boundary((from + LONGEST_LINE).min(last));
        }
        Self {
            text: source.get(from..to).unwrap_or_default().to_owned(),
            start: start.clamp(from, to) - from,
            end: end.clamp(from, to) - from,
            line: label.span.line,
            label: &label.text,
            cut,
        }
    }
}

/// A table that can't be used, with everything that is wrong with it.
#[derive(Clone, PartialEq, Eq)]
pub struct TableError {
    path: String,
    diagnostics: Vec<Diagnostic>,
    text: String,
}

impl TableError {
    pub(crate) fn new(path: String, source: &str, diagnostics: Vec<Diagnostic>) -> Self {
        let rendered: Vec<_> = diagnostics.iter().map(|one| one.render(&path, source)).collect();
        let text = rendered.join("\n\n");
        Self { path, diagnostics, text }
    }

    pub(super) fn unreadable(path: String, error: &std::io::Error) -> Self {
        let help = "give the path of a system-call table, such as Linux's arch/x86/entry/syscalls/syscall_64.tbl";
        let diagnostic = Diagnostic::file(format!("the table can't be read: {error}"), help);
        Self::new(path, "", vec![diagnostic])
    }

    /// The table's name.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong, in the file's order where it is about rows.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}

impl std::error::Error for TableError {}

/// All messages with their source lines.
impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The same as `Display`: a build script that returns the error from `main` has it printed this way.
impl fmt::Debug for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}
