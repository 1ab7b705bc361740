//! Which model and which version of it: values that must survive inside a URL path.

use std::fmt;
use std::str::FromStr;

use crate::InvalidValue;

/// The name of a model on the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelName(String);

impl ModelName {
    /// What a name looks like.
    ///
    /// The server does not decode `%xx` in paths, so a name with other characters can be loaded
    /// but never be called over HTTP.
    pub const EXPECTED: &'static str =
        "the model's name, made of ASCII letters, digits and any of -_.~!$&'()*+,;=:@";

    /// The name as the server knows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match travels_in_a_path(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidValue::new(Self::EXPECTED)),
        }
    }
}

/// Whether a text can be a segment of a path as it is.
fn travels_in_a_path(text: &str) -> bool {
    // What RFC 3986 lets stand in a path segment as it is.
    let travels = |c: char| c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:@".contains(c);
    // A path segment of dots alone would be resolved away by every HTTP client.
    !text.is_empty() && !matches!(text, "." | "..") && text.chars().all(travels)
}

impl fmt::Display for ModelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Which version of a model answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModelVersion {
    /// Whatever the model's version policy on the server picks: the path names no version.
    Latest,
    /// This version: the path ends in `/versions/N`.
    Number(u64),
    /// A version whose name is no number, as servers other than Triton have them: see
    /// [`text`](Self::text).
    Text(VersionText),
}

/// The name of a version that is no number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VersionText(String);

impl VersionText {
    /// The name as the server knows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ModelVersion {
    /// What a version looks like.
    pub const EXPECTED: &'static str = "'latest' or a version number such as '3'";

    /// What the name of a version looks like.
    const EXPECTED_TEXT: &'static str =
        "a version's name, made of ASCII letters, digits and any of -_.~!$&'()*+,;=:@";

    /// A version by the name that it has on a server other than Triton, for example MLServer's
    /// `v0.1`.
    ///
    /// Triton has numbers alone, and answers 404 for anything else. So a text that is read as a
    /// version, as that of an option is, has to be a number or `latest`, and a typing error is
    /// found before anything is sent; who means another server says so by this function.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] when the name cannot stand in a path.
    ///
    /// ```
    /// use triton_protocol::{ModelId, ModelVersion};
    ///
    /// let model = ModelId::new("echo".parse()?, ModelVersion::text("v0.1")?);
    /// assert_eq!(model.path("/infer"), "v2/models/echo/versions/v0.1/infer");
    /// assert_eq!(ModelVersion::text("3")?, ModelVersion::Number(3));
    /// # Ok::<(), triton_protocol::InvalidValue>(())
    /// ```
    pub fn text(name: &str) -> Result<Self, InvalidValue> {
        match name.parse() {
            Ok(number @ Self::Number(_)) => Ok(number),
            _ if travels_in_a_path(name) => Ok(Self::Text(VersionText(name.to_owned()))),
            _ => Err(InvalidValue::new(Self::EXPECTED_TEXT)),
        }
    }
}

impl FromStr for ModelVersion {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        // `u64::from_str` also takes a leading plus, which the server does not.
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_digit()) {
            return Err(InvalidValue::new(Self::EXPECTED));
        }
        text.parse()
            .map(Self::Number)
            .map_err(|_| InvalidValue::new(Self::EXPECTED))
    }
}

impl fmt::Display for ModelVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => formatter.write_str("latest"),
            Self::Number(number) => number.fmt(formatter),
            Self::Text(text) => formatter.write_str(text.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_latest_or_digits() {
        assert_eq!(ModelVersion::from_str("latest"), Ok(ModelVersion::Latest));
        assert_eq!(ModelVersion::from_str("12"), Ok(ModelVersion::Number(12)));
        for text in [
            "",
            "-1",
            "+1",
            "v1",
            "Latest",
            "1.0",
            "18446744073709551616",
            " 1",
        ] {
            assert!(ModelVersion::from_str(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_version_of_another_server_is_a_text_that_can_travel_in_a_path() {
        for text in ["v0.1", "latest", "2024-01-01", "18446744073709551616"] {
            let version = ModelVersion::text(text).unwrap();
            assert!(matches!(version, ModelVersion::Text(_)), "{text:?}");
            assert_eq!(version.to_string(), text);
        }
        for text in ["", "..", "a/b", "v 1", "v%201"] {
            assert!(ModelVersion::text(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_name_that_cannot_travel_in_a_path_is_refused() {
        assert!(ModelName::from_str("speech.v2_en-US").is_ok());
        for text in ["", "..", "a/b", "a b", "a%20b", "modèle", "a?b"] {
            assert!(ModelName::from_str(text).is_err(), "{text:?}");
        }
    }
}
