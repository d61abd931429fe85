//! What a kernel's `build.rs` calls.

use std::env;
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::dispatch::Dispatch;
use crate::emit;
use crate::image::Image;
use crate::prototypes::Prototypes;
use crate::table::{AbiFilter, Table, TableError};
use crate::write::write_if_changed;

/// Generates a kernel's system-call layer from its tables.
///
/// ```no_run
/// // build.rs
/// fn main() -> Result<(), callgate_codegen::Error> {
///     callgate_codegen::Build::new()
///         .table("syscall.tbl")
///         .context("crate::Task")
///         .generate()
/// }
/// ```
///
/// It leaves in `OUT_DIR`:
/// - `syscalls.rs`, to be included as the module `syscalls` at the root of the crate;
/// - `kernel_image.rs` with its segments beside it, to be included where the kernel image is loaded, if it is;
/// - `entries.txt`, which the macros find through `CALLGATE_ENTRIES`.
#[derive(Clone, Debug)]
pub struct Build {
    table: Option<PathBuf>,
    abis: Option<AbiFilter>,
    ia32_table: Option<PathBuf>,
    prototypes: Option<PathBuf>,
    context: String,
    banner: String,
    image: bool,
    out_dir: Option<PathBuf>,
}

impl Default for Build {
    fn default() -> Self {
        Self::new()
    }
}

impl Build {
    /// A build without a table yet.
    pub fn new() -> Self {
        Self {
            table: None,
            abis: None,
            ia32_table: None,
            prototypes: None,
            context: "crate::Task".to_owned(),
            banner: "callgate\n".to_owned(),
            image: true,
            out_dir: None,
        }
    }

    /// The table of the kernel's own system calls. Relative paths start from the crate's directory.
    #[must_use]
    pub fn table(mut self, path: impl Into<PathBuf>) -> Self {
        self.table = Some(path.into());
        self
    }

    /// Which rows of the table are the kernel's, as a comma-separated list of abis. Without it all are; but of a table
    /// with both `64` and `x32` rows, those for x32 are left out, as in a Linux without `CONFIG_X86_X32_ABI`.
    #[must_use]
    pub fn abis(mut self, list: &str) -> Self {
        self.abis = Some(AbiFilter::new(list));
        self
    }

    /// A file of C prototypes, in the manner of Linux's `syscalls.h`, that handlers are held to: where a handler's
    /// number of arguments, their names, their classes or what they lead to are others than its prototype's, the build
    /// fails at the parameter. Handlers without a prototype are not held to anything. See [`crate::prototypes`].
    #[must_use]
    pub fn prototypes(mut self, path: impl Into<PathBuf>) -> Self {
        self.prototypes = Some(path.into());
        self
    }

    /// The table for `int $0x80`, if the kernel answers it.
    #[must_use]
    pub fn ia32_table(mut self, path: impl Into<PathBuf>) -> Self {
        self.ia32_table = Some(path.into());
        self
    }

    /// The path of the type that handlers get a `&mut` to; `crate::Task` if not given.
    #[must_use]
    pub fn context(mut self, path: impl Into<String>) -> Self {
        self.context = path.into();
        self
    }

    /// The text of `linux_banner` in the kernel image: what `/proc/version` shows.
    #[must_use]
    pub fn banner(mut self, text: impl Into<String>) -> Self {
        self.banner = text.into();
        self
    }

    /// Whether the kernel image is made; it is unless `false` is given.
    #[must_use]
    pub fn kernel_image(mut self, yes: bool) -> Self {
        self.image = yes;
        self
    }

    /// Where the files go, if not in `OUT_DIR`.
    #[must_use]
    pub fn out_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(path.into());
        self
    }

    /// Writes the files, and tells cargo when to do it again.
    pub fn generate(&self) -> Result<(), Error> {
        for path in [&self.table, &self.ia32_table, &self.prototypes].into_iter().flatten() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
        let out = match &self.out_dir {
            Some(path) => path.clone(),
            None => env::var_os("OUT_DIR").map(PathBuf::from).ok_or(Error::NoOutDir)?,
        };
        let dispatch = self.dispatch()?;
        let mut entries = emit::entries(&dispatch);
        if let Some(path) = &self.prototypes {
            entries += &emit::prototype_entries(&dispatch, &read(path, Prototypes::from_bytes)?);
        }
        let write = |name: &str, content: &[u8]| {
            let path = out.join(name);
            write_if_changed(&path, content).map_err(|source| Error::Write { path, source })
        };
        write("syscalls.rs", emit::dispatch(&dispatch, &self.context).as_bytes())?;
        write("entries.txt", entries.as_bytes())?;
        if self.image {
            let image = Image::new(&dispatch, &self.banner).map_err(Error::Image)?;
            for segment in &image.segments {
                write(&segment.file_name(), &segment.data)?;
            }
            write("kernel_image.rs", image.to_rust().as_bytes())?;
        }
        println!("cargo::rustc-env=CALLGATE_ENTRIES={}", out.join("entries.txt").display());
        Ok(())
    }

    /// The dispatch that would be generated.
    pub fn dispatch(&self) -> Result<Dispatch, Error> {
        let path = self.table.as_deref().ok_or(Error::NoTable)?;
        let native = read(path, Table::from_bytes)?;
        let abis = match &self.abis {
            Some(abis) => abis.clone(),
            None => default_abis(&native),
        };
        let ia32 = self.ia32_table.as_deref().map(|path| read(path, Table::from_bytes)).transpose()?;
        let all = AbiFilter::all();
        let ia32 = ia32.as_ref().map(|table| (table, &all));
        Ok(Dispatch::new((&native, &abis), ia32)?)
    }
}

/// Which rows of a table are one kernel's, if nobody says it: see [`Build::abis`].
pub fn default_abis(table: &Table) -> AbiFilter {
    let has = |abi: &str| table.rows().any(|row| row.abi.as_str() == abi);
    match has("64") && has("x32") {
        true => AbiFilter::new("common,64"),
        false => AbiFilter::all(),
    }
}

fn read<T>(path: &Path, parse: fn(String, &[u8]) -> Result<T, TableError>) -> Result<T, Error> {
    // Cargo shows paths from the workspace's root, where a `../` of the crate's directory leads.
    let shown: PathBuf = path.components().skip_while(|part| *part == Component::ParentDir).collect();
    match std::fs::read(path) {
        Ok(bytes) => Ok(parse(shown.display().to_string(), &bytes)?),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

/// Why nothing was generated.
#[derive(thiserror::Error)]
pub enum Error {
    /// no table was given: call `Build::table` with the path of one
    #[error("no table was given: call `Build::table` with the path of one")]
    NoTable,
    /// OUT_DIR is not set: call this from a build script, or say where to with `Build::out_dir`
    #[error("OUT_DIR is not set: call this from a build script, or say where to with `Build::out_dir`")]
    NoOutDir,
    /// A table or a prototypes file can't be read.
    #[error("{}: the file can't be read: {source}; give its path from the crate's directory", path.display())]
    Read {
        /// The file's path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A table or a prototypes file is wrong.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The kernel image can't be assembled.
    #[error("the kernel image can't be assembled: {0}")]
    Image(String),
    /// A file can't be written.
    #[error("{}: can't be written: {source}", path.display())]
    Write {
        /// The file's path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The same as `Display`, because cargo shows what `main` of a build script returns in this form.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}
