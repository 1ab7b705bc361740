//! The text of JSON values, of which no digit is lost: what reads them into numbers comes later.
//!
//! A bare `NaN`, `Infinity` or `-Infinity`, as Python and DuckDB write them, is no JSON. It is read
//! here all the same, by way of a copy of the text in which a string as long stands in its place.

use serde_json::value::RawValue;

/// What has no number in JSON, and a string of the same length.
const LITERALS: [(&str, &str); 3] = [
    ("NaN", r#""N""#),
    ("Infinity", r#""Infini""#),
    ("-Infinity", r#""-Infini""#),
];

/// Whether a text is one of the literals.
pub(super) fn is_literal(text: &str) -> bool {
    LITERALS.iter().any(|(literal, _)| *literal == text)
}

/// A text of the same length that is JSON, if literals are all that it lacks for that.
pub(super) fn without_literals(text: &str) -> Option<String> {
    replaced(text, |_, string, copy| copy.push_str(string))
}

/// The same text with its literals in quotes, if it has any.
pub(crate) fn with_quoted_literals(text: &str) -> Option<String> {
    replaced(text, |literal, _, copy| {
        copy.extend(["\"", literal, "\""]);
    })
}

/// A copy with something else in the place of each literal; `None` where there is none.
fn replaced(text: &str, replace: impl Fn(&str, &str, &mut String)) -> Option<String> {
    let bytes = text.as_bytes();
    let mut copy = String::new();
    let mut copied = 0;
    let mut position = 0;
    while position < bytes.len() {
        match bytes[position] {
            b'"' => position += string_length(&bytes[position..]),
            b'N' | b'I' | b'-' => {
                let rest = &text[position..];
                let found = LITERALS
                    .iter()
                    .find(|(literal, _)| rest.starts_with(literal));
                // The name of a member is text, with quotes.
                let is_name = |literal: &str| {
                    let rest = rest[literal.len()..].trim_start_matches([' ', '\t', '\r', '\n']);
                    rest.starts_with(':')
                };
                let found = found.filter(|(literal, _)| !is_name(literal));
                let Some((literal, string)) = found else {
                    position += 1;
                    continue;
                };
                copy.push_str(&text[copied..position]);
                replace(literal, string, &mut copy);
                position += literal.len();
                copied = position;
            }
            _ => position += 1,
        }
    }
    if copied == 0 {
        return None;
    }
    copy.push_str(&text[copied..]);
    Some(copy)
}

/// How many bytes a string has, of which the first is its quote.
fn string_length(bytes: &[u8]) -> usize {
    let mut position = 1;
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'"' => return position + 1,
            b'\\' => position += 2,
            _ => position += 1,
        }
    }
    bytes.len()
}

/// The texts of the elements of an array.
pub(super) fn elements(text: &str) -> Option<Vec<&str>> {
    let copy = without_literals(text);
    let json = copy.as_deref().unwrap_or(text);
    let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    let start = json.as_ptr() as usize;
    let elements = elements.into_iter().map(|element| {
        // Each borrows from the whole text, so it lies within it.
        let start = element.get().as_ptr() as usize - start;
        &text[start..start + element.get().len()]
    });
    Some(elements.collect())
}

/// What a string says; `None` if it is none, or has half of a surrogate pair in it.
pub(super) fn string(text: &str) -> Option<String> {
    serde_json::from_str(text).ok()
}

/// Whether a text is JSON on one line.
pub(super) fn is_json_on_a_line(text: &str) -> bool {
    !text.contains(['\n', '\r']) && serde_json::from_str::<&RawValue>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_have_strings_of_their_length_in_their_place() {
        for (text, expected) in [
            (
                r#"{"NaN":[NaN,-Infinity, Infinity,-1],"a\\":"\" NaN \\"}"#,
                Some(r#"{"NaN":["N","-Infini", "Infini",-1],"a\\":"\" NaN \\"}"#),
            ),
            (r#"{"a":"NaN","b":"Infinity"}"#, None),
            ("[-1, -2]", None),
            (r#"["open NaN"#, None),
        ] {
            let copy = without_literals(text);
            assert_eq!(copy.as_deref(), expected);
            assert!(copy.is_none_or(|copy| copy.len() == text.len()));
        }
    }

    #[test]
    fn literals_can_be_put_in_quotes() {
        assert_eq!(
            with_quoted_literals(r#"{"a":[NaN,-Infinity,"NaN"]}"#).as_deref(),
            Some(r#"{"a":["NaN","-Infinity","NaN"]}"#)
        );
        assert_eq!(with_quoted_literals("[1]"), None);
    }

    #[test]
    fn elements_keep_their_text() {
        let text = r#"[1.50, NaN,[2, -Infinity] , "a\"]", {"b":NaN}, null]"#;
        let expected = [
            "1.50",
            "NaN",
            "[2, -Infinity]",
            r#""a\"]""#,
            r#"{"b":NaN}"#,
            "null",
        ];
        assert_eq!(elements(text).unwrap(), expected);
        for text in ["1", "[1", "[1,]", "[1] 2", "{}", "[nan]", "[NaNN]"] {
            assert_eq!(elements(text), None, "{text}");
        }
    }
}
