//! A text that could not be read as a value, and how such a text is shown.

use std::convert::Infallible;

/// A text could not be read as what it should be.
///
/// ```
/// let invalid = "a/b".parse::<triton_protocol::ModelName>().unwrap_err();
/// assert!(invalid.to_string().starts_with("expected the model's name"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct InvalidValue {
    /// What would have been right.
    pub expected: String,
}

impl InvalidValue {
    /// The fault of a text that is not what follows the word "expected".
    #[must_use]
    pub fn new(expected: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
        }
    }
}

/// The longest beginning of `text` that has no more than `bytes` bytes.
///
/// ```
/// assert_eq!(triton_protocol::beginning("größer", 3), "gr");
/// assert_eq!(triton_protocol::beginning("größer", 100), "größer");
/// ```
#[must_use]
pub fn beginning(text: &str, bytes: usize) -> &str {
    // `str::floor_char_boundary` wants a newer Rust than this crate does.
    let cut = (0..=bytes.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    &text[..cut.unwrap_or(0)]
}

impl From<Infallible> for InvalidValue {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// `text` in single quotes as errors show it: control characters are escaped, and it is cut where
/// it is very long.
///
/// ```
/// assert_eq!(triton_protocol::quoted("a\tb"), r"'a\tb'");
/// ```
#[must_use]
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 120;
    match text.char_indices().nth(LONGEST) {
        None => format!("'{}'", text.escape_debug()),
        Some((cut, _)) => format!("'{}…' ({} bytes)", text[..cut].escape_debug(), text.len()),
    }
}
