//! Where the configuration file lies: what names it, or where it is found.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use super::sources::Sources;

/// The variable that names the file.
pub(super) const VARIABLE: &str = "TRITON_CONFIG";

/// The variable that names the profile.
pub(super) const PROFILE_VARIABLE: &str = "TRITON_PROFILE";

/// What the file is called where it is looked for.
const NAME: &str = "triton.toml";

/// The file that options are read from, if there is one: that of `--config`, that of the variable,
/// the nearest one from the working folder upwards, or the user's own.
pub(super) fn file(sources: &Sources) -> Option<PathBuf> {
    if sources.no_config {
        return None;
    }
    if let Some(path) = &sources.config {
        return Some(path.clone());
    }
    if let Some(path) = set(VARIABLE) {
        return Some(path.into());
    }
    let found = nearest().or_else(of_user)?;
    info!("options are read from {}", found.display());
    Some(found)
}

/// The profile that is asked for.
pub(super) fn profile(sources: &Sources) -> Option<String> {
    let variable = || set(PROFILE_VARIABLE).map(|name| name.to_string_lossy().into_owned());
    sources.profile.clone().or_else(variable)
}

/// A variable that is not empty.
fn set(variable: &str) -> Option<OsString> {
    std::env::var_os(variable).filter(|value| !value.is_empty())
}

fn nearest() -> Option<PathBuf> {
    let folder = std::env::current_dir().ok()?;
    let mut candidates = folder.ancestors().map(|folder| folder.join(NAME));
    let found = candidates.find(|path| path.is_file() && is_trusted(path))?;
    // Beside the working folder the short name says as much.
    Some(match found.strip_prefix(&folder) {
        Ok(name) => name.to_owned(),
        Err(_) => found,
    })
}

/// The file below the folder for configurations of the user who runs the command.
fn of_user() -> Option<PathBuf> {
    let folder = set("XDG_CONFIG_HOME").map(PathBuf::from);
    // The specification says that a relative one is to be ignored.
    let folder = folder.filter(|folder| folder.is_absolute());
    let folder = folder.or_else(|| Some(PathBuf::from(set("HOME")?).join(".config")))?;
    let path = folder.join("triton").join(NAME);
    path.is_file().then_some(path)
}

/// Whether a file that nobody has named may say where requests and secrets are sent: in a folder
/// that all can write to, such as `/tmp`, it may be anybody's.
#[cfg(unix)]
fn is_trusted(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = fs_err::metadata(path) else {
        return false;
    };
    let trusted = [0, rustix::process::geteuid().as_raw()].contains(&metadata.uid());
    if !trusted {
        warn!(
            "{} belongs to another user, so it is not used; --config names it all the same",
            path.display()
        );
    }
    trusted
}

/// Who owns a file is not told here.
#[cfg(not(unix))]
fn is_trusted(_: &Path) -> bool {
    true
}
