//! The function binaries, built beside the program that runs them.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What cargo says to a program that it runs about that program's own package. Build scripts have variables of the
/// same names, and ring's is run again when one of them changes: a nested cargo that inherits them builds ring and all
/// that stands on it anew, and so does the next cargo that does not.
/// Source: The Cargo Book, "Environment variables Cargo sets for crates".
const OF_THE_OUTER_PACKAGE: [&str; 21] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_AUTHORS",
    "CARGO_PKG_DESCRIPTION",
    "CARGO_PKG_HOMEPAGE",
    "CARGO_PKG_LICENSE",
    "CARGO_PKG_LICENSE_FILE",
    "CARGO_PKG_NAME",
    "CARGO_PKG_README",
    "CARGO_PKG_REPOSITORY",
    "CARGO_PKG_RUST_VERSION",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "OUT_DIR",
];

/// Why the functions are not there: one line that says what to do about it.
#[derive(Debug)]
pub struct BuildError(String);

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BuildError {}

/// Where cargo puts what it builds with the profile of this very program.
///
/// # Errors
/// The system does not say where this program is.
pub fn own_folder() -> Result<PathBuf, BuildError> {
    let exe = env::current_exe().map_err(|err| BuildError(format!("where this program is: {err}")))?;
    let folder = exe.parent().unwrap_or(Path::new("/"));
    // Cargo keeps test binaries one folder below the others.
    let above = folder.parent().filter(|_| folder.ends_with("deps"));
    Ok(above.unwrap_or(folder).to_owned())
}

/// Builds every function of the workspace at `root` with the profile of this very program, and says where the
/// binaries are. Blocks until cargo ends.
///
/// # Errors
/// Code that does not build, of which cargo has written to stderr; a program that cargo did not build.
pub fn build_functions(root: &Path) -> Result<PathBuf, BuildError> {
    let bin_dir = own_folder()?;
    let (target_dir, profile) = bin_dir
        .parent()
        .zip(bin_dir.file_name())
        .ok_or_else(|| BuildError(format!("{} is not in a target folder of cargo", bin_dir.display())))?;
    // The folder of the profile `dev` alone has another name than its profile.
    let profile = if profile == "debug" { "dev".as_ref() } else { profile };
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).stdin(Stdio::null());
    cargo.args(["build", "--quiet", "--bins", "--target-dir"]).arg(target_dir).arg("--profile").arg(profile);
    for name in OF_THE_OUTER_PACKAGE {
        cargo.env_remove(name);
    }
    let status = cargo.status().map_err(|err| BuildError(format!("cargo: {err}")))?;
    if status.success() {
        Ok(bin_dir)
    } else {
        Err(BuildError("the functions do not build; cargo says why above".to_owned()))
    }
}
