//! What can go wrong in a model function, and where it went wrong.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::Subtask;
use crate::sequence_name::SequenceName;

/// What kind of failure a model function met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The subtask handed to the function cannot exist.
    Subtask,
    /// What an option names cannot be used, such as a file that cannot be read.
    Options,
    /// The schema contradicts itself.
    Schema,
    /// The function is not open, is open already, or was closed meanwhile.
    State,
    /// The model on the server does not fit the schema and the options.
    Mismatch,
    /// A row does not fit the schema or the model; nothing was sent.
    Input,
    /// A row holds NULL, which no tensor can; nothing was sent.
    NullInput,
    /// The call to the server failed; the source is a [`triton_client::Error`]. Without a source
    /// nothing was sent, or nothing came back: the message says which limit was waited for.
    Call,
    /// The call failed within a sequence, and the server may have executed it: what the model
    /// knows of the sequence is uncertain, so nothing is sent again under its ID.
    SequenceUncertain,
    /// The model does not know the rows of a sequence any more, or does not answer them as it did
    /// before; the row was not answered.
    SequenceLost,
    /// A snapshot of sequences cannot be used; nothing of it was taken.
    Snapshot,
    /// The circuit breaker is open: the server is known to be failing, and nothing was sent.
    CircuitOpen,
    /// The server was away for as long as it was to be waited for: see
    /// [`ServerWait`](crate::ServerWait). It says nothing of the row.
    ServerAway,
    /// The model's answer does not fit the schema.
    Output,
    /// Closing did not go as it should; the function is closed all the same.
    Close,
    /// A panic, which is a fault of this crate or of one that it uses.
    Internal,
}

impl ErrorKind {
    /// The kind as metrics and logs name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Subtask => "subtask",
            ErrorKind::Options => "options",
            ErrorKind::Schema => "schema",
            ErrorKind::State => "state",
            ErrorKind::Mismatch => "mismatch",
            ErrorKind::Input => "input",
            ErrorKind::NullInput => "null_input",
            ErrorKind::Call => "call",
            ErrorKind::SequenceUncertain => "sequence_uncertain",
            ErrorKind::SequenceLost => "sequence_lost",
            ErrorKind::Snapshot => "snapshot",
            ErrorKind::CircuitOpen => "circuit_open",
            ErrorKind::ServerAway => "server_away",
            ErrorKind::Output => "output",
            ErrorKind::Close => "close",
            ErrorKind::Internal => "internal",
        }
    }
}

/// The failure of a model function.
///
/// Its `Display` is one line: the subtask, the key and its sequence, and what went wrong there. What the
/// server or the network said is its [`source`](std::error::Error::source). It can be cloned,
/// because rows of one request fail together.
#[derive(Debug, Clone)]
pub struct Error(Box<Details>);

#[derive(Debug, Clone)]
struct Details {
    kind: ErrorKind,
    message: String,
    subtask: Option<Subtask>,
    key: Option<String>,
    sequence: Option<SequenceName>,
    sequence_row: Option<u64>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    /// The row's deadline has ended it, and not what the server said.
    is_of_deadline: bool,
}

impl Error {
    /// An error of a function, told in one line.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind,
            message: message.into(),
            subtask: None,
            key: None,
            sequence: None,
            sequence_row: None,
            source: None,
            is_of_deadline: false,
        }))
    }

    pub(crate) fn call(message: impl Into<String>, source: triton_client::Error) -> Self {
        Self::new(ErrorKind::Call, message).with_source(source)
    }

    /// Says what it came from, which the message then need not repeat.
    ///
    /// ```
    /// use std::error::Error as _;
    ///
    /// use triton_model_fn::{Error, ErrorKind};
    ///
    /// let number = "three".parse::<f64>().unwrap_err();
    /// let error = Error::new(ErrorKind::Output, "the score is no number").with_source(number);
    /// assert!(error.source().is_some_and(|source| source.is::<std::num::ParseFloatError>()));
    /// ```
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// As the first of `others` that came from something.
    pub(crate) fn with_source_of(mut self, others: &[Error]) -> Self {
        self.0.source = others.iter().find_map(|error| error.0.source.clone());
        self
    }

    /// Says in which subtask it happened.
    #[must_use]
    pub fn in_subtask(mut self, subtask: Subtask) -> Self {
        self.0.subtask = Some(subtask);
        self
    }

    pub(crate) fn in_sequence(mut self, sequence: Option<SequenceName>) -> Self {
        self.0.sequence = sequence;
        self
    }

    /// Says whether a row with more time might have been answered.
    pub(crate) fn of_deadline(mut self, is_of_deadline: bool) -> Self {
        self.0.is_of_deadline = is_of_deadline;
        self
    }

    /// Whether the time of the row was up (`row-deadline`), so that one with more of it might have been
    /// answered.
    #[must_use]
    pub fn is_of_deadline(&self) -> bool {
        self.0.is_of_deadline
    }

    pub(crate) fn of_key(mut self, key: String) -> Self {
        self.0.key = Some(key);
        self
    }

    pub(crate) fn at_row(mut self, row: u64) -> Self {
        self.0.sequence_row = Some(row);
        self
    }

    /// Says that the server asked for a longer wait than anybody has patience for.
    pub(crate) fn asked_for(mut self, asked: Duration, longest: Duration) -> Self {
        self.0.message.push_str(&format!(
            "; the server asks to be left alone for {asked:?} (Retry-After), and {longest:?} is the \
             longest that it is waited for"
        ));
        self
    }

    /// Says which of the rows that were handed over together it was.
    pub(crate) fn among_rows(mut self, number: usize) -> Self {
        self.0.message = format!("row {number}: {}", self.0.message);
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind, message: &str) -> Self {
        self.0.kind = kind;
        message.clone_into(&mut self.0.message);
        self
    }

    /// What happened, without the subtask, the key and the sequence that `Display` begins with.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The whole text: what `Display` says, and its causes behind it.
    #[must_use]
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The sequence ID that the failed request took, if it took one: its text, whatever was sent.
    #[must_use]
    pub fn sequence_id(&self) -> Option<&str> {
        Some(&self.0.sequence.as_ref()?.text)
    }

    /// The number that the sequence ID was sent as, where it was not sent as its text.
    #[must_use]
    pub fn sequence_number(&self) -> Option<NonZeroU64> {
        self.0.sequence.as_ref()?.number
    }

    /// The key whose sequence the row belongs to, where the option `sequence-key` is set; a digest
    /// of it where `sequence-key-redacted` is set, too.
    #[must_use]
    pub fn sequence_key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// How many rows of the sequence came before the one that failed, where that is known.
    #[must_use]
    pub fn sequence_row(&self) -> Option<u64> {
        self.0.sequence_row
    }

    /// The subtask in which it happened, once there was one.
    #[must_use]
    pub fn subtask(&self) -> Option<Subtask> {
        self.0.subtask
    }

    /// The failure of the call to the server, when there was one.
    #[must_use]
    pub fn client_error(&self) -> Option<&triton_client::Error> {
        self.0.source.as_deref()?.downcast_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(subtask) = self.0.subtask {
            write!(formatter, "{subtask}")?;
            if let Some(key) = &self.0.key {
                write!(formatter, ", key '{}'", one_line(key))?;
            }
            if let Some(SequenceName { text, number }) = &self.0.sequence {
                write!(formatter, ", sequence '{text}'")?;
                if let Some(number) = number {
                    write!(formatter, " = {number}")?;
                }
            }
            if let Some(row) = self.0.sequence_row {
                write!(formatter, ", its row {row}")?;
            }
            formatter.write_str(": ")?;
        }
        formatter.write_str(&one_line(&self.0.message))
    }
}

/// A text on one line: a server may give its tensors any names, and a row may have any key.
fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => line.extend(character.escape_debug()),
            false => line.push(character),
        }
    }
    Cow::Owned(line)
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
