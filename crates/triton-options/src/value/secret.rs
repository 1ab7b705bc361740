//! Text that must never be shown.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use super::{InvalidValue, OptionValue};

/// What stands in place of a secret, however long it is.
pub const HIDDEN: &str = "(hidden)";

/// A text that neither `Debug` nor `Display` shows, and that is wiped from memory when dropped.
///
/// ```
/// use triton_options::Secret;
///
/// let token = Secret::new("s3cr3t");
/// assert_eq!(format!("{token} {token:?}"), "(hidden) (hidden)");
/// assert_eq!(token.expose(), "s3cr3t");
/// ```
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes charge of a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text: hand it to the server, never to a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl OptionValue for Secret {
    const TYPE_NAME: &'static str = "String";
    const EXPECTED: &'static str = "a text of printable ASCII, not empty";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        // It travels in an HTTP header, which takes nothing else.
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
            return Err(InvalidValue::of::<Self>());
        }
        Ok(Self::new(text))
    }

    fn canonical(&self) -> String {
        HIDDEN.to_owned()
    }

    fn loggable(_: &str) -> String {
        HIDDEN.to_owned()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_header_cannot_carry_is_refused_without_being_shown() {
        for text in ["", "canary\n", "canary\0", "canäry"] {
            let invalid = Secret::parse(text).unwrap_err();
            assert!(!invalid.to_string().contains("can"), "{invalid}");
            assert_eq!(Secret::loggable(text), HIDDEN);
        }
    }
}
