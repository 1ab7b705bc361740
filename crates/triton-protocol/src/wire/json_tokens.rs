//! The numbers that Triton writes and reads although JSON has no word for them.
//!
//! A server writes a non-finite float as a bare `NaN`, `Infinity` or `-Infinity`. No JSON reader
//! takes these, so they are put in quotes before the body is read; the reader of floating-point
//! data then knows the quoted forms.

use std::borrow::Cow;

use memchr::memmem;

pub(super) const NAN: &str = "NaN";
pub(super) const INFINITY: &str = "Infinity";
pub(super) const NEGATIVE_INFINITY: &str = "-Infinity";

/// The body with every bare token in quotes; unchanged, and not copied, when there is none.
pub fn quote(body: &[u8]) -> Cow<'_, [u8]> {
    let may_have_tokens = [NAN, INFINITY]
        .iter()
        .any(|token| memmem::find(body, token.as_bytes()).is_some());
    if !may_have_tokens {
        return Cow::Borrowed(body);
    }
    let mut quoted = Vec::with_capacity(body.len() + body.len() / 4);
    let mut rest = body;
    while let Some(&first) = rest.first() {
        let token = [NAN, INFINITY, NEGATIVE_INFINITY]
            .into_iter()
            .find(|token| rest.starts_with(token.as_bytes()));
        let taken = if first == b'"' {
            quoted.extend_from_slice(&rest[..string_length(rest)]);
            string_length(rest)
        } else if let Some(token) = token {
            quoted.push(b'"');
            quoted.extend_from_slice(token.as_bytes());
            quoted.push(b'"');
            token.len()
        } else {
            quoted.push(first);
            1
        };
        rest = &rest[taken..];
    }
    Cow::Owned(quoted)
}

/// The length of the string that `text` opens with, quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut position = 1;
    while let Some(offset) = memchr::memchr2(b'"', b'\\', &text[position.min(text.len())..]) {
        position += offset;
        if text[position] == b'"' {
            return position + 1;
        }
        // A backslash and whatever it escapes.
        position += 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote_text(text: &str) -> String {
        String::from_utf8(quote(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn bare_tokens_are_quoted_and_strings_left_alone() {
        assert_eq!(
            quote_text(r#"{"NaN":[NaN,-Infinity,Infinity,1,"NaN \" Infinity"]}"#),
            r#"{"NaN":["NaN","-Infinity","Infinity",1,"NaN \" Infinity"]}"#
        );
    }

    #[test]
    fn a_body_without_tokens_is_not_copied() {
        assert!(matches!(quote(br#"{"data":[1,2]}"#), Cow::Borrowed(_)));
    }

    #[test]
    fn an_unfinished_string_ends_with_the_body() {
        for text in [r#"["NaN"#, r#"["NaN\"#, r#"["NaN\\"#, "[NaN,\""] {
            quote_text(text);
        }
    }
}
