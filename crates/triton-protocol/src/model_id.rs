//! Which model, in which version, and where it lies below an endpoint.

use std::fmt;
use std::str::FromStr;

use crate::{InvalidValue, ModelName, ModelVersion};

/// Names a model and which version of it.
///
/// ```
/// use triton_protocol::ModelId;
///
/// let any: ModelId = "echo".parse()?;
/// assert_eq!(any, ModelId::latest("echo".parse()?));
/// let second: ModelId = "echo:2".parse()?;
/// assert_eq!(second, ModelId::new("echo".parse()?, "2".parse()?));
/// assert_eq!(second.to_string(), "'echo' version 2");
/// # Ok::<(), triton_protocol::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelId {
    name: ModelName,
    version: ModelVersion,
}

impl ModelId {
    /// The model in a given version.
    #[must_use]
    pub fn new(name: ModelName, version: ModelVersion) -> Self {
        Self { name, version }
    }

    /// The model in the version that its version policy on the server picks.
    #[must_use]
    pub fn latest(name: ModelName) -> Self {
        Self::new(name, ModelVersion::Latest)
    }

    /// The path of the model below the endpoint, then `suffix`.
    ///
    /// The server takes only digits as a version: the latest one has no segment of its own.
    #[must_use]
    pub fn path(&self, suffix: &str) -> String {
        match &self.version {
            ModelVersion::Latest => format!("v2/models/{}{suffix}", self.name),
            version => format!("v2/models/{}/versions/{version}{suffix}", self.name),
        }
    }

    /// The model's name.
    #[must_use]
    pub fn name(&self) -> &ModelName {
        &self.name
    }

    /// Which version of it.
    #[must_use]
    pub fn version(&self) -> &ModelVersion {
        &self.version
    }

    /// The version's number; `None` is the latest, or one that has a name in place of a number.
    #[must_use]
    pub fn version_number(&self) -> Option<u64> {
        match self.version {
            ModelVersion::Number(version) => Some(version),
            _ => None,
        }
    }
}

impl FromStr for ModelId {
    type Err = InvalidValue;

    /// Reads `name` or `name:version`, where the version is digits. A model whose own name ends in
    /// a colon and digits is made by [`ModelId::new`].
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text.rsplit_once(':') {
            Some((name, version))
                if !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                Ok(Self::new(name.parse()?, version.parse()?))
            }
            _ => Ok(Self::latest(text.parse()?)),
        }
    }
}

impl From<ModelName> for ModelId {
    /// The model in the version that its version policy on the server picks.
    fn from(name: ModelName) -> Self {
        Self::latest(name)
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "'{}'", self.name)?;
        match &self.version {
            ModelVersion::Latest => Ok(()),
            version => write!(formatter, " version {version}"),
        }
    }
}
