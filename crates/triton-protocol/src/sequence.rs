//! The sequence a request belongs to.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_sequence.md)

use std::fmt;
use std::num::NonZeroU64;

use crate::wire::json_text;
use crate::{InvalidValue, beginning};

/// The longest sequence ID the server takes, in bytes of UTF-8; one more is answered with 501.
pub const MAX_SEQUENCE_ID_BYTES: usize = 128;

/// The ID of a sequence (the server's correlation ID).
///
/// A number and the text of that number are different sequences to the server.
///
/// ```
/// use std::num::NonZeroU64;
/// use triton_protocol::SequenceId;
///
/// let number = SequenceId::Number(NonZeroU64::MIN);
/// assert_ne!(number, SequenceId::text("1")?);
/// # Ok::<(), triton_protocol::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SequenceId {
    /// A number; 0 would mean that there is no sequence.
    Number(NonZeroU64),
    /// A text that the server takes as it is: see [`SequenceId::text`].
    Text(SequenceText),
}

/// The text of a [`SequenceId`], known to be valid.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SequenceText(String);

impl SequenceId {
    /// An ID from a text.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] when the text is empty (the server takes that as no sequence), holds a
    /// NUL (the server cuts it there, so that IDs collide) or has more than 128 bytes (which the
    /// server refuses).
    ///
    /// ```
    /// use triton_protocol::SequenceId;
    ///
    /// assert_eq!(SequenceId::text("call-7")?.to_string(), "call-7");
    /// assert!(SequenceId::text("").is_err());
    /// # Ok::<(), triton_protocol::InvalidValue>(())
    /// ```
    pub fn text(text: impl Into<String>) -> Result<Self, InvalidValue> {
        let text = text.into();
        if text.is_empty() || text.contains('\0') || text.len() > MAX_SEQUENCE_ID_BYTES {
            return Err(InvalidValue::new(format!(
                "a sequence ID of 1 to {MAX_SEQUENCE_ID_BYTES} bytes without NUL, found {} \
                     bytes: '{}'",
                text.len(),
                beginning(&text, MAX_SEQUENCE_ID_BYTES).escape_debug()
            )));
        }
        Ok(Self::Text(SequenceText(text)))
    }
}

impl From<NonZeroU64> for SequenceId {
    fn from(number: NonZeroU64) -> Self {
        Self::Number(number)
    }
}

impl SequenceId {
    /// Writes the ID as JSON: a text stays one even where it is all digits, because the server
    /// keeps `5` and `"5"` apart.
    pub(crate) fn write_json(&self, json: &mut Vec<u8>) {
        match self {
            Self::Number(number) => json_text::number(json, *number),
            Self::Text(text) => json_text::string(json, &text.0),
        }
    }
}

impl fmt::Display for SequenceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Text(text) => formatter.write_str(&text.0),
        }
    }
}

impl SequenceText {
    /// The text as the server gets it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SequenceText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::str::FromStr for SequenceId {
    type Err = InvalidValue;

    /// As [`SequenceId::text`]: also what is all digits is a text.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::text(text)
    }
}

/// The place of a request in a sequence.
///
/// ```
/// use triton_protocol::{Sequence, SequenceId};
///
/// let id = SequenceId::text("call-7")?;
/// let requests = [
///     Sequence::start(id.clone()),
///     Sequence::next(id.clone()),
///     Sequence::end(id.clone()),
/// ];
/// assert!(requests[0].start && !requests[0].end);
/// // A sequence of one request.
/// let only = Sequence::only(id);
/// assert!(only.start && only.end);
/// # Ok::<(), triton_protocol::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sequence {
    /// Which sequence it is.
    pub id: SequenceId,
    /// Whether the request is the first one of the sequence.
    pub start: bool,
    /// Whether the request is the last one of the sequence.
    pub end: bool,
}

impl Sequence {
    /// The first request of a sequence.
    #[must_use]
    pub fn start(id: SequenceId) -> Self {
        Self::new(id, true, false)
    }

    /// A request that is neither the first nor the last one.
    #[must_use]
    pub fn next(id: SequenceId) -> Self {
        Self::new(id, false, false)
    }

    /// The last request of a sequence that another one started.
    #[must_use]
    pub fn end(id: SequenceId) -> Self {
        Self::new(id, false, true)
    }

    /// The first and last request of a sequence.
    #[must_use]
    pub fn only(id: SequenceId) -> Self {
        Self::new(id, true, true)
    }

    /// A request with these flags.
    #[must_use]
    pub fn new(id: SequenceId, start: bool, end: bool) -> Self {
        Self { id, start, end }
    }
}
