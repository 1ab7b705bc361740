//! What can go wrong in a model function, and where it went wrong.

use std::fmt;

use crate::Subtask;

/// What kind of failure a model function met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The subtask handed to the function cannot exist.
    Subtask,
    /// The schema contradicts itself.
    Schema,
    /// The function is not open, or is open already.
    State,
    /// The model on the server does not fit the schema and the options.
    Mismatch,
    /// A row does not fit the schema or the model; nothing was sent.
    Input,
    /// The call to the server failed; the source is a [`triton_client::Error`].
    Call,
    /// The model's answer does not fit the schema.
    Output,
}

/// The failure of a model function.
///
/// Its `Display` is one line: the subtask, the sequence and what went wrong there. What the
/// server or the network said is its [`source`](std::error::Error::source).
#[derive(Debug)]
pub struct Error(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    message: String,
    subtask: Option<Subtask>,
    sequence_id: Option<String>,
    source: Option<triton_client::Error>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind,
            message: message.into(),
            subtask: None,
            sequence_id: None,
            source: None,
        }))
    }

    pub(crate) fn call(message: impl Into<String>, source: triton_client::Error) -> Self {
        let mut error = Self::new(ErrorKind::Call, message);
        error.0.source = Some(source);
        error
    }

    pub(crate) fn in_subtask(mut self, subtask: Subtask) -> Self {
        self.0.subtask = Some(subtask);
        self
    }

    pub(crate) fn in_sequence(mut self, sequence_id: String) -> Self {
        self.0.sequence_id = Some(sequence_id);
        self
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The sequence ID that the failed request took, if it took one.
    #[must_use]
    pub fn sequence_id(&self) -> Option<&str> {
        self.0.sequence_id.as_deref()
    }

    /// The subtask in which it happened, once there was one.
    #[must_use]
    pub fn subtask(&self) -> Option<Subtask> {
        self.0.subtask
    }

    /// The failure of the call to the server, when there was one.
    #[must_use]
    pub fn client_error(&self) -> Option<&triton_client::Error> {
        self.0.source.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(subtask) = self.0.subtask {
            write!(formatter, "{subtask}")?;
            if let Some(sequence_id) = &self.0.sequence_id {
                write!(formatter, ", sequence '{sequence_id}'")?;
            }
            formatter.write_str(": ")?;
        }
        formatter.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}
