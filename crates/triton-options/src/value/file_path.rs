//! Options that name a file, which is read where the options are used.

use std::path::{Path, PathBuf};

use super::{InvalidValue, OptionValue, invalid};

/// The path of a file.
///
/// ```
/// use triton_options::{FilePath, OptionValue};
///
/// let path = FilePath::parse("/etc/ssl/company.pem")?;
/// assert_eq!(path.as_path().extension().and_then(|name| name.to_str()), Some("pem"));
/// # Ok::<(), triton_options::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FilePath(PathBuf);

impl FilePath {
    /// The path as it was given; a relative one starts from the working directory.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl OptionValue for FilePath {
    const TYPE_NAME: &'static str = "String";
    const EXPECTED: &'static str = "the path of a file";
    const IS_FILE: bool = true;

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        if text.is_empty() || text.contains('\0') {
            return Err(invalid::<Self>());
        }
        Ok(Self(PathBuf::from(text)))
    }

    fn canonical(&self) -> String {
        self.0.display().to_string()
    }
}
