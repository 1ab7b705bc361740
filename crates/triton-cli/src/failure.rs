//! A command that could not do its work: what is said about it, and the exit code.

use std::process::ExitCode;

use crate::progress::say;

/// Why a command stopped.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    error: anyhow::Error,
}

impl Failure {
    /// The command line, a file or an option is at fault.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        let error = error.into();
        Self { code: 2, error }
    }

    /// The server could not be used.
    pub(crate) fn server(error: impl Into<anyhow::Error>) -> Self {
        let error = error.into();
        Self { code: 3, error }
    }

    /// Says what happened on standard error.
    pub(crate) fn report(&self) -> ExitCode {
        say(&describe("error", &self.error));
        ExitCode::from(self.code)
    }
}

/// An error and its causes, each on a line of its own.
pub(crate) fn describe(label: &str, error: &anyhow::Error) -> String {
    let mut text = format!("{label}: {error}");
    for cause in error.chain().skip(1) {
        text.push_str("\n  caused by: ");
        text.push_str(&cause.to_string());
    }
    text
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::usage(error)
    }
}
