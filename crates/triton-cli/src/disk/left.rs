//! Files that an earlier run left and a checkpoint speaks of: they must still be the same.

use std::io;
use std::path::Path;

use fs_err::{File, OpenOptions};

/// What to do where they are not.
pub(crate) const LEFT_ADVICE: &str =
    "put it back, or take another folder for --checkpoint to start over";

/// Opens a file that must be there, and have at least so many bytes. Nothing is changed.
pub(crate) fn open_left(path: &Path, options: &OpenOptions, bytes: u64) -> io::Result<File> {
    let file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::other(format!(
            "{} is gone, which the checkpoint continues: {LEFT_ADVICE}",
            path.display()
        )),
        _ => error,
    })?;
    let found = file.metadata()?.len();
    if found < bytes {
        return Err(io::Error::other(format!(
            "{} has {found} bytes, fewer than the {bytes} that the checkpoint recorded: \
             {LEFT_ADVICE}",
            path.display()
        )));
    }
    Ok(file)
}
