//! A place from which an output can be written on.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How much of an output is safe on the disk: it can be written on from there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cut {
    /// The length of the file.
    pub(crate) bytes: u64,
    /// The files beside it that its rows are in until it is complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<PathBuf>,
    /// A checksum of the last bytes: whether it is still the same file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tail: Option<u32>,
}
