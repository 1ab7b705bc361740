//! Text that must never be shown.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

/// What stands in place of a secret, however long it is.
pub const HIDDEN: &str = "(hidden)";

/// A text that neither `Debug` nor `Display` shows, and that is wiped from memory when dropped.
///
/// ```
/// use triton_protocol::Secret;
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
