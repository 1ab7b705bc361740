//! Standard output, for the commands that show something.

use std::io::Write as _;

use anyhow::Context as _;

use crate::failure::Failure;

/// Writes to standard output; a reader that has seen enough, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    let written = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let error = Err(error).context("the output cannot be written");
            error.map_err(Failure::usage)
        }
        _ => Ok(()),
    }
}
