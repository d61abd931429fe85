//! Where a command writes: standard output, standard error or a file, and a reader that may go away.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::color::Palette;
use crate::exit::{Failure, Result};

/// Buffered output. After its first error it is silent: who has closed the pipe wants no more.
pub(crate) struct Output {
    inner: BufWriter<Box<dyn Write + Send>>,
    /// Its colours.
    pub(crate) palette: Palette,
    error: Option<io::Error>,
    /// Lines become HTML, their colours classes.
    html: bool,
}

/// What stands before and after the lines in an HTML file.
const PAGE: (&str, &str) = (
    "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>callgate explain</title>\n<style>\n\
     body { background: #fdfdfb; color: #222; }\n\
     pre { font: 13px/1.45 ui-monospace, monospace; }\n\
     .heading { font-weight: bold; } .faint { color: #888; } .name { color: #06707e; }\n\
     .effect { color: #8a5a00; } .good { color: #1a7f37; } .bad { color: #c0222c; }\n\
     @media (prefers-color-scheme: dark) { body { background: #16181d; color: #ddd; } .name { color: #5cc8d6; }\n\
     .effect { color: #dba642; } .good { color: #6cc28a; } .bad { color: #f07c82; } }\n</style>\n<pre>",
    "</pre>\n</html>",
);

impl Output {
    /// Standard output.
    pub(crate) fn stdout() -> Output {
        let stdout = io::stdout();
        let palette = Palette::for_stream(&stdout);
        Output::new(Box::new(stdout), palette)
    }

    /// Standard error.
    pub(crate) fn stderr() -> Output {
        let stderr = io::stderr();
        let palette = Palette::for_stream(&stderr);
        Output::new(Box::new(stderr), palette)
    }

    /// The file at `path`, made anew.
    pub(crate) fn file(path: &Path) -> Result<Output> {
        Output::create(path, Palette::plain())
    }

    /// The file at `path` as an HTML page.
    pub(crate) fn html(path: &Path) -> Result<Output> {
        let mut output = Output::create(path, Palette::html())?;
        output.line(PAGE.0);
        output.html = true;
        Ok(output)
    }

    /// Memory, for tests.
    #[cfg(test)]
    pub(crate) fn memory(writer: impl Write + Send + 'static) -> Output {
        Output::new(Box::new(writer), Palette::plain())
    }

    fn create(path: &Path, palette: Palette) -> Result<Output> {
        match File::create(path) {
            Ok(file) => Ok(Output::new(Box::new(file), palette)),
            Err(error) => Err(Failure::own(format!("{}: can't be written: {error}", path.display()))),
        }
    }

    fn new(writer: Box<dyn Write + Send>, palette: Palette) -> Output {
        Output { inner: BufWriter::with_capacity(1 << 16, writer), palette, error: None, html: false }
    }

    /// Writes `text` and a newline.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) {
        if self.error.is_some() {
            return;
        }
        let written = match self.html {
            true => writeln!(self.inner, "{}", crate::color::to_html(&text.to_string())),
            false => writeln!(self.inner, "{text}"),
        };
        self.error = written.err();
    }

    /// Hands everything on, so that what others write next comes after it.
    pub(crate) fn flush(&mut self) {
        if self.error.is_none() {
            self.error = self.inner.flush().err();
        }
    }

    /// Flushes, and says whether all could be written. A pipe without a reader is no failure.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if std::mem::take(&mut self.html) {
            self.line(PAGE.1);
        }
        self.flush();
        match self.error.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::own(format!("the output can't be written: {error}")))
            }
            _ => Ok(()),
        }
    }
}
