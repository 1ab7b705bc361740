//! The files that an output is joined from, if it must survive that the process is killed.

#[cfg(feature = "arrow")]
use std::io;
use std::path::{Path, PathBuf};

use anyhow::bail;
#[cfg(feature = "arrow")]
use fs_err::File;

#[cfg(feature = "arrow")]
use crate::disk;
use crate::disk::LEFT_ADVICE;

/// Where parts are kept, and how they are told from the files of others.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    folder: PathBuf,
    /// What the names of all parts end in.
    ending: String,
}

impl Parts {
    /// The parts in a folder whose names have a `mark` that no other run uses.
    pub(crate) fn new(folder: &Path, mark: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            ending: format!(".{mark}.part"),
        }
    }

    /// Whether a file of the folder is a part, by its name.
    pub(crate) fn contain(&self, name: &str) -> bool {
        name.ends_with(&self.ending)
    }

    #[cfg(feature = "arrow")]
    pub(super) fn name(&self, output: &str, number: usize) -> PathBuf {
        format!("{output}.{number}{}", self.ending).into()
    }

    /// Refuses to go on where parts are gone that a checkpoint speaks of.
    pub(super) fn check_left(&self, parts: &[PathBuf]) -> anyhow::Result<()> {
        for part in parts {
            let path = self.path(part);
            if !path.is_file() {
                bail!(
                    "{} is gone, in which the checkpoint keeps rows of an output: {LEFT_ADVICE}",
                    path.display()
                );
            }
        }
        Ok(())
    }

    pub(super) fn path(&self, name: &Path) -> PathBuf {
        self.folder.join(name)
    }

    /// Creates a part again.
    #[cfg(feature = "arrow")]
    pub(super) fn create(&self, name: &Path) -> io::Result<File> {
        disk::create_anew(&self.path(name))
    }
}
