//! Which model, in which version, and where it lies below an endpoint.

use std::fmt;
use std::str::FromStr;

use crate::{InvalidValue, ModelName, ModelVersion, quoted};

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

    /// Reads `name` or `name:version`, where the version is digits or `latest`.
    ///
    /// Anything else behind the last colon is an error, as a server would only say that it has no
    /// such model. A model whose own name has a colon is made by [`ModelId::new`] or
    /// [`ModelId::latest`].
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let Some((name, version)) = text.rsplit_once(':') else {
            return Ok(Self::latest(text.parse()?));
        };
        let version = version.parse().map_err(|_| {
            InvalidValue::new(format!(
                "{} after the colon, found {}; a model whose own name has a colon is made by \
                 ModelId::new",
                ModelVersion::EXPECTED,
                quoted(version)
            ))
        })?;
        Ok(Self::new(name.parse()?, version))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_a_colon_is_a_version() {
        let echo = || ModelName::from_str("echo").unwrap();
        assert_eq!("echo:latest".parse(), Ok(ModelId::latest(echo())));
        assert_eq!(
            "echo:12".parse(),
            Ok(ModelId::new(echo(), ModelVersion::Number(12)))
        );
        let fault = |text: &str| text.parse::<ModelId>().unwrap_err().to_string();
        insta::assert_snapshot!(fault("echo:v2"), @"expected 'latest' or a version number such as '3' after the colon, found 'v2'; a model whose own name has a colon is made by ModelId::new");
        for text in ["echo:", "echo:Latest", "echo:18446744073709551616", "a:b:c"] {
            assert!(fault(text).contains("after the colon"), "{text}");
        }
        insta::assert_snapshot!(fault(":2"), @"expected the model's name, made of ASCII letters, digits and any of -_.~!$&'()*+,;=:@");
        let own: ModelName = "echo:v2".parse().unwrap();
        assert_eq!(ModelId::latest(own).path(""), "v2/models/echo:v2");
    }
}
