//! How the text of an option becomes a value, and what is said when it does not.

mod choice;
mod column_names;
mod dns_name;
mod duration;
mod file_path;
mod headers;
mod max_in_flight;
mod memory_size;
mod name_map;
mod number;
mod pairs;
mod protocol;
mod proxy;
mod scalar;

pub use choice::{
    AbandonedSequence, CounterInitStrategy, Decoupled, EndpointDiscovery, OnError, ReplayOverflow,
    SequenceAffinity, SequenceIdScope, SequenceIdType, SequenceModelVersion, SequenceRecovery,
    UnknownKey,
};
pub use column_names::ColumnNames;
pub use dns_name::DnsName;
pub use duration::PositiveDuration;
pub use file_path::FilePath;
pub use headers::Headers;
pub use max_in_flight::MaxInFlight;
pub use memory_size::{MemoryLimit, MemorySize};
pub use name_map::NameMap;
pub use number::Fraction;
pub(crate) use pairs::write_pair;
pub use protocol::EMBEDDED_ENDPOINT;
pub use proxy::ProxyAddress;

use triton_protocol::Endpoint;
pub(crate) use triton_protocol::{InvalidValue, quoted};

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
        // Where one option's value is given to another, a password can be in any of them.
        match text.contains("://") && text.contains('@') {
            true => Endpoint::loggable(text),
            false => quoted(text),
        }
    }
}

/// What a text was expected to be that is no `T`.
pub(crate) fn invalid<T: OptionValue>() -> InvalidValue {
    InvalidValue::new(T::EXPECTED)
}
