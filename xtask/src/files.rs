//! Files that are there as a whole or not at all.

use std::path::Path;

use anyhow::Result;

/// Replaces a file in one step, so that nobody ever reads half of it.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let draft = path.with_extension("draft");
    fs_err::write(&draft, content)?;
    fs_err::rename(&draft, path)?;
    Ok(())
}

pub(crate) fn remove_file_if_present(path: &Path) -> Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
