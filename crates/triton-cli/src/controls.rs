//! Characters that a terminal obeys in place of showing them: names of columns, and whatever a server says,
//! may hold any. What a person reads has their escapes instead.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Control characters, and those that turn the direction of a text, so that another one is read.
pub(crate) fn is_obeyed(character: char) -> bool {
    let turns = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    turns || character.is_control()
}

/// A text of several lines that can be shown.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    let is_meant = |character| matches!(character, '\n' | '\t');
    replaced(
        text,
        |character| is_obeyed(character) && !is_meant(character),
        |character, shown| shown.extend(character.escape_debug()),
    )
}

/// A value within a line or in a cell, which cannot end its line either.
pub(crate) fn shown_within_line(value: &str) -> Cow<'_, str> {
    replaced(value, is_obeyed, |character, shown| {
        shown.extend(character.escape_debug());
    })
}

/// A JSON document with the same values that can be shown.
pub(crate) fn shown_json(document: &str) -> Cow<'_, str> {
    // Those below U+0020 are the layout's own: in texts, JSON has them as escapes.
    replaced(
        document,
        |character| character > '\u{1f}' && is_obeyed(character),
        |character, shown| {
            // Writing to a String cannot fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(character));
        },
    )
}

fn replaced(
    text: &str,
    is_replaced: impl Fn(char) -> bool + Copy,
    write: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if !text.contains(is_replaced) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match is_replaced(character) {
            true => write(character, &mut shown),
            false => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBEYED: &str = "a\u{1b}]0;x\u{7}\0\n\tb\r\u{7f}\u{9b}\u{202e}\u{2066}\u{200f}é";

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let text = "a\\u{1b}]0;x\\u{7}\\0\n\tb\\r\\u{7f}\\u{9b}\\u{202e}\\u{2066}\\u{200f}é";
        assert_eq!(shown(OBEYED), text);
        let line = text.replace('\n', "\\n").replace('\t', "\\t");
        assert_eq!(shown_within_line(OBEYED), line);
        assert!(matches!(shown("plain\ntext"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_has_the_same_values() {
        let document = serde_json::json!({ OBEYED: OBEYED });
        let text = format!("{document:#}\n");
        let shown = shown_json(&text);
        assert!(!shown.contains(|found| is_obeyed(found) && found != '\n'));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            document
        );
    }
}
