//! Installs a server that keeps objects as S3 does, for the tests of the command; they start it
//! themselves, so that each can do to it what it likes.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::lock;
use crate::python::{self, Python};

/// The server and all that it needs of its packages, in one version each, so that every machine has
/// the same.
const PACKAGES: &[&str] = &[
    "moto==5.2.5",
    "blinker==1.9.0",
    "boto3==1.44.8",
    "botocore==1.44.8",
    "certifi==2026.10.19.post1",
    "cffi==2.1.1",
    "charset-normalizer==3.5.3",
    "click==8.5.1",
    "cryptography==50.0.2",
    "Flask==3.1.3",
    "flask-cors==6.0.5",
    "idna==3.20",
    "itsdangerous==2.2.0",
    "Jinja2==3.1.6",
    "jmespath==1.1.0",
    "MarkupSafe==3.0.4",
    "py-partiql-parser==0.6.3",
    "pycparser==3.12",
    "python-dateutil==2.9.0.post0",
    "PyYAML==6.0.4",
    "requests==2.34.2",
    "responses==0.26.3",
    "s3transfer==0.19.3",
    "six==1.17.0",
    "urllib3==2.8.0",
    "Werkzeug==3.1.9",
    "xmltodict==1.0.4",
];

/// The oldest Python 3 that it runs on.
const OLDEST_MINOR: u32 = 10;

/// The Python of an environment that has the server; installs it unless it is there already.
pub(crate) fn install(target: &Path) -> Result<PathBuf> {
    let folder = target.join("moto");
    let _lock = lock::wait(&folder.join("install.lock"), "installs moto")?;
    python::environment(
        &Python::find_from(OLDEST_MINOR)?,
        &folder,
        "server",
        PACKAGES,
    )
}

/// All that is installed for it.
pub(crate) fn packages() -> impl Iterator<Item = String> {
    PACKAGES.iter().map(ToString::to_string)
}
