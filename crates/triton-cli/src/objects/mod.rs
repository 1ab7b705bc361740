//! Objects of a store, such as `s3://bucket/key`, beside the files of this machine.
//!
//! Addresses are known in every build. What is at them is read and written by the crate
//! `object_store`, in builds with the feature `object-store`; the others have an [`Object`] of which
//! there is none, so that nothing else needs to know which build it is.

#[cfg(not(feature = "object-store"))]
mod absent;
mod address;
#[cfg(feature = "object-store")]
mod credentials;
#[cfg(feature = "object-store")]
mod explained;
#[cfg(feature = "object-store")]
mod listing;
#[cfg(feature = "object-store")]
mod object;
#[cfg(all(feature = "arrow", feature = "object-store"))]
mod ranges;
#[cfg(feature = "object-store")]
mod reading;
#[cfg(feature = "object-store")]
mod store;
#[cfg(feature = "object-store")]
mod upload;

use std::fmt;
use std::path::{Path, PathBuf};

#[cfg(not(feature = "object-store"))]
pub(crate) use self::absent::{Object, Upload};
pub(crate) use self::address::is_address;
#[cfg(feature = "object-store")]
pub(crate) use self::object::Object;
#[cfg(feature = "object-store")]
pub(crate) use self::upload::Upload;

/// Where an input or an output is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// Standard input, or standard output.
    Standard,
    File(PathBuf),
    Object(Object),
}

impl Location {
    /// The name of the file.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Standard | Self::Object(_) => None,
        }
    }

    /// What tells the format by its end: the name of the file, or of the object.
    pub(crate) fn named(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Object(object) => Some(object.named()),
            Self::Standard => None,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => formatter.write_str("-"),
            Self::File(path) => path.display().fmt(formatter),
            Self::Object(object) => object.fmt(formatter),
        }
    }
}
