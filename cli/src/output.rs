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
}

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
        match File::create(path) {
            Ok(file) => Ok(Output::new(Box::new(file), Palette::plain())),
            Err(error) => Err(Failure::own(format!("{}: can't be written: {error}", path.display()))),
        }
    }

    fn new(writer: Box<dyn Write + Send>, palette: Palette) -> Output {
        Output { inner: BufWriter::with_capacity(1 << 16, writer), palette, error: None }
    }

    /// Writes `text` and a newline.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) {
        if self.error.is_none() {
            self.error = writeln!(self.inner, "{text}").err();
        }
    }

    /// Hands everything on, so that what others write next comes after it.
    pub(crate) fn flush(&mut self) {
        if self.error.is_none() {
            self.error = self.inner.flush().err();
        }
    }

    /// Flushes, and says whether all could be written. A pipe without a reader is no failure.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.flush();
        match self.error.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::own(format!("the output can't be written: {error}")))
            }
            _ => Ok(()),
        }
    }
}
