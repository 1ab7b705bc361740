//! Standard output, for the commands that show something.

use std::io::Write as _;

use crate::failure::Failure;

/// Writes to standard output; a reader that has seen enough, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_while_read(text).map(drop)
}

/// As [`print`], for a command that goes on writing: says whether somebody still reads.
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
