//! How the text of an option becomes a value, and what is said when it does not.

mod bearer_token;
mod choice;
mod column_names;
mod dns_name;
mod duration;
mod endpoint;
mod file_path;
mod headers;
mod memory_size;
mod model;
mod name_map;
mod number;
mod pairs;
mod proxy;
mod scalar;
mod secret;

pub use bearer_token::BearerToken;
pub use choice::{
    Compression, CounterInitStrategy, ReplayOverflow, SequenceIdScope, SequenceRecovery,
    TensorFormat,
};
pub use column_names::ColumnNames;
pub use dns_name::DnsName;
pub use duration::PositiveDuration;
pub use endpoint::{EMBEDDED_ENDPOINT, Endpoint, UserInfo};
pub use file_path::FilePath;
pub use headers::Headers;
pub use memory_size::MemorySize;
pub use model::{ModelName, ModelVersion};
pub use name_map::NameMap;
pub use number::Fraction;
pub(crate) use pairs::write_pair;
pub use proxy::ProxyAddress;
pub use secret::{HIDDEN, Secret};

/// A type that options can have.
pub trait OptionValue: Sized {
    /// The type as documentation names it.
    const TYPE_NAME: &'static str;

    /// What a value looks like, as it follows the words "expected" or "set it to".
    const EXPECTED: &'static str;

    /// The unit of a number that has none, in Flink. Elsewhere such a number is refused: `3` is a
    /// trap where some read seconds and others milliseconds.
    const UNIT_IN_FLINK: Option<&'static str> = None;

    /// Whether the value is the name of a file.
    const IS_FILE: bool = false;

    /// Reads the text a user wrote.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] saying what was expected.
    fn parse(text: &str) -> Result<Self, InvalidValue>;

    /// The value as text in the one form that documentation uses; it parses back to itself.
    fn canonical(&self) -> String;

    /// `text`, valid or not, as it may stand in a log or an error message.
    #[must_use]
    fn loggable(text: &str) -> String {
        quoted(text)
    }
}

/// The text of an option could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct InvalidValue {
    /// What would have been right.
    pub expected: String,
}

impl InvalidValue {
    pub(crate) fn of<T: OptionValue>() -> Self {
        Self {
            expected: T::EXPECTED.to_owned(),
        }
    }
}

/// `text` in single quotes, with control characters escaped, cut where it is very long.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 120;
    match text.char_indices().nth(LONGEST) {
        None => format!("'{}'", text.escape_debug()),
        Some((cut, _)) => format!("'{}…' ({} bytes)", text[..cut].escape_debug(), text.len()),
    }
}
