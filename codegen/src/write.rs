//! How files are written: whole, by renaming a finished one into place, and only when their content changes. So a build
//! that is interrupted leaves no half file, and a build tool that looks at times sees no change where there is none.

use std::fs;
use std::io;
use std::path::Path;

/// Makes `path` hold `content`; says whether it had to be written.
pub fn write_if_changed(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> io::Result<bool> {
    let (path, content) = (path.as_ref(), content.as_ref());
    let old = fs::read(path);
    if old.as_ref().is_ok_and(|old| old == content) {
        return Ok(false);
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let temporary = path.with_file_name(format!(".{}.{}.tmp", name.display(), std::process::id()));
    let keep_mode = || match old.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        true => Ok(()),
        false => fs::metadata(path).and_then(|old| fs::set_permissions(&temporary, old.permissions())),
    };
    let written = fs::write(&temporary, content).and_then(|()| keep_mode()).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The error that is reported is the first one.
        let _ = fs::remove_file(&temporary);
    }
    written.map(|()| true)
}
