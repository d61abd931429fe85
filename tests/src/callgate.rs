//! The command under test.
//!
//! Cargo tells a test where the binaries of its own package are, but `callgate` is another package's. So cargo itself
//! is asked to build it, once for each test process: it knows what is stale, and does nothing when nothing is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::run::{Outcome, run};

/// The repository's root.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a member of the workspace")
}

/// The directory of this profile, `target/debug` or `target/release`: this executable's grandparent, for tests and
/// benchmarks are in `deps`.
#[must_use]
pub fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of the test");
    exe.ancestors().nth(2).expect("the test is in target/PROFILE/deps").to_owned()
}

/// The path of `callgate`, up to date. `CALLGATE` in the environment names another one.
#[must_use]
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("CALLGATE") {
        Some(path) => path.into(),
        None => {
            let profile = profile_dir();
            build(workspace(), profile.parent().expect("a target directory"), profile.ends_with("release"))
                .unwrap_or_else(|messages| panic!("callgate doesn't build:\n{messages}"))
        }
    })
}

/// Builds the `callgate` of the workspace at `root` into `target_dir` and returns its path; or what cargo said.
///
/// All packages are selected, as `cargo test --workspace` does: with a smaller selection, cargo would compile the
/// dependencies once more with fewer features.
///
/// # Errors
/// With cargo's messages if the build fails.
pub fn build(root: &Path, target_dir: &Path, release: bool) -> Result<PathBuf, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(root)
        .args(["build", "--quiet", "--offline", "--workspace", "--bin", "callgate", "--target-dir"])
        .arg(target_dir);
    if release {
        cargo.arg("--release");
    }
    for variable in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "RUSTC_WORKSPACE_WRAPPER"] {
        cargo.env_remove(variable);
    }
    let output = cargo.output().map_err(|error| format!("cargo can't be run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(target_dir.join(if release { "release" } else { "debug" }).join("callgate"))
}

/// Runs `callgate` with these arguments, in an empty directory, with nothing on standard input.
#[must_use]
pub fn command<S: Into<OsString>>(args: impl IntoIterator<Item = S>) -> Outcome {
    let directory = tempfile::tempdir().expect("a directory");
    let args: Vec<_> = args.into_iter().map(Into::into).collect();
    run(binary(), &args, directory.path(), None, Duration::from_secs(60))
}
