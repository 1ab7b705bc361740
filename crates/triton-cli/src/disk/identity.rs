//! Which file it is, whatever name it goes by.

use std::fs::Metadata;
use std::io;
use std::path::Path;

use same_file::Handle;

/// A file that exists. Two names of one file, by a symbolic or a hard link, have the same identity.
///
/// On Unix it is taken from the metadata: a run may have thousands of inputs, which cannot all be
/// held open, and an output need not be readable.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity(#[cfg(unix)] (u64, u64), #[cfg(not(unix))] Handle);

impl Identity {
    /// The identity of what is at a path.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        #[cfg(unix)]
        return Ok(Self::of_metadata(&fs_err::metadata(path)?));
        #[cfg(not(unix))]
        return Handle::from_path(path).map(Self);
    }

    /// The identity of what standard input is, of whatever kind.
    pub(crate) fn of_standard_input() -> Option<Self> {
        Self::of_stream(Handle::stdin(), |_| true)
    }

    /// The identity of standard input where it is a regular file.
    pub(crate) fn of_redirected_input() -> Option<Self> {
        Self::of_stream(Handle::stdin(), Metadata::is_file)
    }

    /// The identity of standard output where it is a regular file.
    pub(crate) fn of_redirected_output() -> Option<Self> {
        Self::of_stream(Handle::stdout(), Metadata::is_file)
    }

    /// The identity of standard error where it is a regular file.
    pub(crate) fn of_redirected_messages() -> Option<Self> {
        Self::of_stream(Handle::stderr(), Metadata::is_file)
    }

    /// The identity of a stream that the process began with, if it is open and of the right kind.
    fn of_stream(stream: io::Result<Handle>, is_meant: fn(&Metadata) -> bool) -> Option<Self> {
        let handle = stream.ok()?;
        let metadata = handle.as_file().metadata().ok()?;
        if !is_meant(&metadata) {
            return None;
        }
        #[cfg(unix)]
        return Some(Self::of_metadata(&metadata));
        #[cfg(not(unix))]
        return Some(Self(handle));
    }

    #[cfg(unix)]
    pub(super) fn of_metadata(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self((metadata.dev(), metadata.ino()))
    }
}
