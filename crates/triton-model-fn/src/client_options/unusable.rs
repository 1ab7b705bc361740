//! What is said of a file that an option names and that cannot be used.

use std::fmt::Display;
use std::path::Path;

use triton_options::ConfigOption;

use crate::{Error, ErrorKind};

pub(super) fn unusable<T>(option: &ConfigOption<T>, path: &Path, fault: &dyn Display) -> Error {
    unusable_path(option.key(), path, fault)
}

pub(super) fn unusable_path(key: &str, path: &Path, fault: &dyn Display) -> Error {
    let message = format!(
        "option '{key}' names '{}', which cannot be used: {fault}",
        path.display()
    );
    Error::new(ErrorKind::Options, message)
}
