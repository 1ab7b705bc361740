//! Standard output, for the commands that show something, and the width of the terminal.

use std::io::{IsTerminal as _, Write as _};

use crate::failure::Failure;

/// Writes to standard output; a reader that has seen enough, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_while_read(text).map(drop)
}

/// As [`print()`], for a command that goes on writing: says whether somebody still reads.
pub(crate) fn print_while_read(text: &str) -> Result<bool, Failure> {
    let mut output = std::io::stdout().lock();
    let written = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            let error = anyhow::Error::new(error).context("the output cannot be written");
            Err(Failure::usage(error))
        }
    }
}

/// The width of the terminal; what goes to a file or another program is never broken.
pub(crate) fn width() -> usize {
    match std::io::stdout().is_terminal() {
        true => textwrap::termwidth(),
        // Wide enough for any text, and far from overflowing any sum.
        false => usize::from(u16::MAX),
    }
}

/// A text whose lines are broken at their words where the terminal is narrower.
pub(crate) fn wrapped(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let indent = " ".repeat(line.len() - line.trim_start().len() + 2);
        textwrap::fill(
            line,
            textwrap::Options::new(width()).subsequent_indent(&indent),
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
