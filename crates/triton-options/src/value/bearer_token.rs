//! A token for `Authorization: Bearer`, with that word before it or without.

use std::fmt;

use super::{HIDDEN, InvalidValue, OptionValue, Secret};

/// A token that is sent as `Authorization: Bearer`.
///
/// Many write the whole value of the header in place of the token, as Flink's own pages do; the
/// word that says what kind of token it is does not belong to the token.
///
/// ```
/// use triton_options::{BearerToken, OptionValue};
///
/// for text in ["s3cr3t", "Bearer s3cr3t"] {
///     let token = BearerToken::parse(text)?;
///     assert_eq!(token.header_value().expose(), "Bearer s3cr3t");
/// }
/// # Ok::<(), triton_options::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerToken(Secret);

impl BearerToken {
    /// The value of the header `Authorization`.
    #[must_use]
    pub fn header_value(&self) -> Secret {
        Secret::new(format!("Bearer {}", self.0.expose()))
    }

    /// Whether `text` has the word before the token.
    pub(crate) fn has_scheme(text: &str) -> bool {
        without_scheme(text).is_some()
    }
}

/// The token behind the word `Bearer`, which has no case (RFC 9110 section 11.1).
fn without_scheme(text: &str) -> Option<&str> {
    let (scheme, token) = text.trim().split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}

impl OptionValue for BearerToken {
    const TYPE_NAME: &'static str = Secret::TYPE_NAME;
    const EXPECTED: &'static str = Secret::EXPECTED;

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        Secret::parse(without_scheme(text).unwrap_or(text)).map(Self)
    }

    fn canonical(&self) -> String {
        HIDDEN.to_owned()
    }

    fn loggable(text: &str) -> String {
        Secret::loggable(text)
    }
}

impl fmt::Display for BearerToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_before_a_token_is_no_part_of_it() {
        let sent = |text: &str| {
            let token = BearerToken::parse(text).unwrap();
            token.header_value().expose().to_owned()
        };
        for text in ["t0", "Bearer t0", "bearer  t0", " BEARER t0"] {
            assert_eq!(sent(text), "Bearer t0", "{text:?}");
        }
        // A token may be called so.
        assert_eq!(sent("Bearer"), "Bearer Bearer");
        assert_eq!(sent("bearers t0"), "Bearer bearers t0");
        for text in ["", "Bearer canary\n2", "canary\0"] {
            let invalid = BearerToken::parse(text).unwrap_err();
            assert!(!invalid.to_string().contains("can"), "{invalid}");
        }
        let token = BearerToken::parse("canary").unwrap();
        let shown = format!("{token} {token:?} {}", token.canonical());
        assert!(!shown.contains("canary"), "{shown}");
    }
}
