//! Lines that fit their terminal, and hold nothing that it would obey.

use crate::controls::shown;
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
    let text = &shown(text);
    let lines = text.lines().map(|line| {
        let indent = " ".repeat(line.len() - line.trim_start().len() + 2);
        textwrap::fill(
            line,
            textwrap::Options::new(width).subsequent_indent(&indent),
        )
    });
    lines.collect::<Vec<_>>().join("\n")
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
