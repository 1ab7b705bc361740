//! Installs NVIDIA's Python client, which the embedded server has to satisfy.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::python::{self, Python};

/// The client of the server's own release, and what it is known to work with.
///
/// The client, `geventhttpclient` and numpy are chosen; the others are what they need, found with
///   uv pip compile --universal --python-version 3.10
pub(super) const PACKAGES: &[&str] = &[
    "aiohappyeyeballs==2.7.1",
    "aiohttp==3.14.5",
    "aiosignal==1.4.0",
    "async-timeout==5.0.1 ; python_full_version < '3.11'",
    "attrs==26.1.0",
    "brotli==1.2.1",
    "certifi==2026.10.19.post1",
    "frozenlist==1.8.0",
    "gevent==26.9.0",
    "geventhttpclient==2.0.2",
    "greenlet==3.5.6",
    "idna==3.20",
    "multidict==7.1.0 ; python_full_version < '3.11'",
    "multidict==7.2.1 ; python_full_version >= '3.11'",
    "numpy==1.26.4",
    "propcache==0.5.4",
    "python-rapidjson==1.25",
    "six==1.17.0",
    "tritonclient[http]==2.51.0",
    "typing-extensions==4.16.0 ; python_full_version < '3.13'",
    "urllib3==2.8.0",
    "yarl==1.25.1",
    "zope-event==6.2",
    "zope-interface==8.6 ; python_full_version < '3.11'",
    "zope-interface==8.7 ; python_full_version >= '3.11'",
];

/// The oldest Python 3 that they run on.
const OLDEST_MINOR: u32 = 10;

/// The Python of an environment that has the client; installs it unless it is there already.
pub(super) fn install(folder: &Path) -> Result<PathBuf> {
    python::environment(
        &Python::find_from(OLDEST_MINOR)?,
        folder,
        "python-client",
        PACKAGES,
    )
}
