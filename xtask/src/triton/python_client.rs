//! Installs NVIDIA's Python client, which the embedded server has to satisfy.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::python::{self, Python};

/// The client of the server's own release, and what it is known to work with.
const PACKAGES: &[&str] = &[
    "tritonclient[http]==2.51.0",
    "geventhttpclient==2.0.2",
    "numpy==1.26.4",
];

/// The Python of an environment that has the client; installs it unless it is there already.
pub(super) fn install(folder: &Path) -> Result<PathBuf> {
    python::environment(&Python::find()?, folder, "python-client", PACKAGES)
}
