//! Keeps two `cargo xtask` from doing the same thing at once.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{interrupt, poll};

/// A lock between processes; the system releases it when its holder ends, however it ends.
pub(crate) struct Lock {
    _file: File,
}

/// Waits for the lock on a file, and says so when it has to.
pub(crate) fn wait(path: &Path, purpose: &str) -> Result<Lock> {
    if let Some(lock) = attempt(path)? {
        return Ok(lock);
    }
    eprintln!("waiting for another `cargo xtask`, which {purpose}");
    let lock = poll::until(Duration::MAX, || {
        interrupt::check()?;
        attempt(path)
    })?;
    lock.with_context(|| format!("cannot lock {}", path.display()))
}

/// The lock on a file, or `None` while another process holds it.
pub(crate) fn attempt(path: &Path) -> Result<Option<Lock>> {
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let file = fs_err::File::create(path)?.into_parts().0;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}
