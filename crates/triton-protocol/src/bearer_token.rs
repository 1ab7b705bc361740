//! A token for `Authorization: Bearer`, with that word before it or without.

use std::fmt;
use std::str::FromStr;

use crate::{InvalidValue, Secret};

/// A token that is sent as `Authorization: Bearer`.
///
/// Many write the whole value of the header in place of the token, as Flink's own pages do; the
/// word that says what kind of token it is does not belong to the token.
///
/// ```
/// use triton_protocol::BearerToken;
///
/// for text in ["s3cr3t", "Bearer s3cr3t"] {
///     let token: BearerToken = text.parse()?;
///     assert_eq!(token.header_value().expose(), "Bearer s3cr3t");
/// }
/// # Ok::<(), triton_protocol::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerToken(Secret);

impl BearerToken {
    /// What a token looks like.
    pub const EXPECTED: &'static str = "a text of printable ASCII, not empty";

    /// The value of the header `Authorization`.
    #[must_use]
    pub fn header_value(&self) -> Secret {
        Secret::new(format!("Bearer {}", self.0.expose()))
    }

    /// Whether `text` has the word `Bearer` before the token.
    #[must_use]
    pub fn has_scheme(text: &str) -> bool {
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

/// What to do about a text that is another part of the header than the token.
fn misread(token: &str) -> Option<&'static str> {
    let begins = |start: &str| {
        let beginning = token.get(..start.len());
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(start))
    };
    if token.eq_ignore_ascii_case("bearer") {
        Some("this is only the word 'Bearer', with no token behind it")
    } else if begins("authorization:") {
        Some("this begins with the header's name: leave out 'Authorization:'")
    } else if ["basic ", "digest ", "negotiate "].into_iter().any(begins) {
        Some(
            "this is of another scheme than Bearer: set the whole header Authorization, as any \
             other header is set",
        )
    } else {
        None
    }
}

impl FromStr for BearerToken {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let token = without_scheme(text).unwrap_or(text).trim_ascii();
        if let Some(advice) = misread(token) {
            return Err(InvalidValue::new(format!("{}; {advice}", Self::EXPECTED)));
        }
        // It travels in an HTTP header, which takes nothing else.
        if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
            return Err(InvalidValue::new(Self::EXPECTED));
        }
        Ok(Self(Secret::new(token)))
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
            let token = BearerToken::from_str(text).unwrap();
            token.header_value().expose().to_owned()
        };
        for text in ["t0", "Bearer t0", "bearer  t0", " BEARER t0"] {
            assert_eq!(sent(text), "Bearer t0", "{text:?}");
        }
        assert_eq!(sent("t0 \t\r\n"), "Bearer t0");
        assert_eq!(sent("bearers t0"), "Bearer bearers t0");
        for text in ["", "Bearer canary\n2", "canary\0"] {
            let invalid = BearerToken::from_str(text).unwrap_err();
            assert!(!invalid.to_string().contains("can"), "{invalid}");
        }
        let refused = |text: &str| BearerToken::from_str(text).unwrap_err().to_string();
        insta::assert_snapshot!(refused("Bearer "), @"expected a text of printable ASCII, not empty; this is only the word 'Bearer', with no token behind it");
        insta::assert_snapshot!(refused("Authorization: Bearer t"), @"expected a text of printable ASCII, not empty; this begins with the header's name: leave out 'Authorization:'");
        insta::assert_snapshot!(refused("Basic x"), @"expected a text of printable ASCII, not empty; this is of another scheme than Bearer: set the whole header Authorization, as any other header is set");
        let token = BearerToken::from_str("canary").unwrap();
        let shown = format!("{token} {token:?}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}
