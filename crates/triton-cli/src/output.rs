//! Standard output, for the commands that show something.

use std::error::Error;
use std::io::{self, Write as _};

use serde_json::Value;

use crate::controls::{shown, shown_json};
use crate::failure::Failure;
use crate::pipe::Unread;
use crate::signals::Signal;

/// Writes to standard output, without what a terminal would obey; a reader that has seen enough, such as
/// `head`, is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_while_read(text).map(drop)
}

/// As [`print()`], for a command that goes on writing: says whether somebody still reads.
pub(crate) fn print_while_read(text: &str) -> Result<bool, Failure> {
    print_as_is(&shown(text))
}

/// A JSON document as it is shown, also on a terminal: in it, escapes are those of JSON.
pub(crate) fn document(value: &Value) -> String {
    shown_json(&format!("{value:#}\n")).into_owned()
}

/// As [`print_while_read`], of values that stay what they are, and of scripts.
pub(crate) fn print_as_is(text: &str) -> Result<bool, Failure> {
    let mut output = io::stdout().lock();
    let written = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
    match written {
        Ok(()) => Ok(true),
        Err(error) if is_reader_gone(&error) => Ok(false),
        Err(error) => {
            let error = anyhow::Error::new(error).context("the output cannot be written");
            Err(Failure::usage(error))
        }
    }
}

/// Whether an error of writing says that nobody reads the output any more.
pub(crate) fn is_reader_gone(error: &(dyn Error + 'static)) -> bool {
    let is_broken = |cause: &(dyn Error + 'static)| {
        let cause = cause.downcast_ref::<io::Error>();
        cause
            .is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
            .then_some(())
    };
    find(error, is_broken).is_some()
}

/// The signal after which an output was not read any more for as long as a run may take to end, if that
/// is why it was not written.
pub(crate) fn unread_after(error: &(dyn Error + 'static)) -> Option<Signal> {
    find(error, |cause| {
        cause.downcast_ref::<Unread>().map(|unread| unread.0)
    })
}

/// The first cause of an error of writing of which something is found.
///
/// Libraries put what the system said into errors of their own, which seldom tell its kind; so
/// the whole chain of causes is looked at.
fn find<Found>(
    error: &(dyn Error + 'static),
    of: impl Fn(&(dyn Error + 'static)) -> Option<Found>,
) -> Option<Found> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let found = of(error);
        if found.is_some() {
            return found;
        }
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        cause = match (wrapped, error.downcast_ref::<csv::Error>()) {
            // The source of an I/O error is that of what it wraps, which would be left out.
            (Some(wrapped), _) => Some(wrapped),
            // This one names no source at all.
            (None, Some(error)) => match error.kind() {
                csv::ErrorKind::Io(error) => Some(error),
                _ => None,
            },
            (None, None) => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    /// A writer whose reader is gone.
    struct Closed;

    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn of_csv() -> io::Error {
        let mut writer = csv::WriterBuilder::new()
            .buffer_capacity(1)
            .from_writer(Closed);
        writer.write_record(["a long record"]).unwrap_err().into()
    }

    #[test]
    fn a_broken_pipe_is_found_however_deep_it_lies() {
        assert!(is_reader_gone(&of_csv()));
        assert!(is_reader_gone(&io::Error::other(of_csv())));
        let in_context = Err::<(), _>(of_csv()).context("the output cannot be written");
        assert!(is_reader_gone(in_context.unwrap_err().as_ref()));
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(!is_reader_gone(&io::Error::other(full)));
    }

    #[cfg(feature = "parquet")]
    #[test]
    fn a_broken_pipe_is_found_in_the_errors_of_column_formats() {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let arrow = arrow_schema::ArrowError::IoError("write".to_owned(), gone());
        assert!(is_reader_gone(&io::Error::other(arrow)));
        let parquet = parquet::errors::ParquetError::from(gone());
        assert!(is_reader_gone(&io::Error::other(parquet)));
    }
}
