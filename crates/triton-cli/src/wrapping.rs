//! Lines that fit their terminal, and hold nothing that it would obey.

use std::borrow::Cow;

use crate::printer::Printer;

/// The width of lines on standard output.
pub(crate) fn width() -> usize {
    Printer::get().width()
}

/// A text for standard output, whose lines are broken at their words where the terminal is
/// narrower.
pub(crate) fn wrapped(text: &str) -> String {
    broken(text, width())
}

/// A text for standard error, whose lines are broken at their words where the terminal is
/// narrower.
pub(crate) fn wrapped_message(text: &str) -> String {
    broken(text, Printer::get().message_width())
}

fn broken(text: &str, width: usize) -> String {
    let text = &without_controls(text);
    let lines = text.lines().map(|line| {
        let indent = " ".repeat(line.len() - line.trim_start().len() + 2);
        textwrap::fill(
            line,
            textwrap::Options::new(width).subsequent_indent(&indent),
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A text without what a terminal would obey: names of columns and what servers say may hold anything.
fn without_controls(text: &str) -> Cow<'_, str> {
    let is_obeyed = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match is_obeyed(character) {
            true => shown.extend(character.escape_debug()),
            false => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_message_is_obeyed_by_a_terminal() {
        let text = "there are: \u{1b}]0;x\u{7}, \0a\n\tb\r";
        assert_eq!(
            broken(text, usize::MAX),
            "there are: \\u{1b}]0;x\\u{7}, \\0a\n\tb\\r"
        );
    }
}
