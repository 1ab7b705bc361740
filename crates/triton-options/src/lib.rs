//! The options of a Triton model: typed definitions, a parser, validation and documentation.
//!
//! Every option is defined exactly once, in [`definitions`](CATALOG): its key, type, default,
//! section and text. From that one definition come the parser and the typed
//! [`TritonOptions`], the messages of [`OptionErrors`], the generated HTML and Markdown pages
//! ([`render`]) and the documentation of the constants below.
//!
//! ```
//! use triton_options::TritonOptions;
//!
//! let options = TritonOptions::parse([
//!     ("endpoint", "http://localhost:8000"),
//!     ("model-name", "anomaly"),
//!     ("timeout", "5 s"),
//! ])?;
//! assert_eq!(options.model_name.as_str(), "anomaly");
//! assert_eq!(options.timeout.get().as_secs(), 5);
//! # Ok::<(), triton_options::OptionErrors>(())
//! ```
//!
//! The crate knows nothing of HTTP, async code or any engine, so it can be picked alone.
#![cfg_attr(
    doc,
    doc = include_str!("../../../docs/reference/generated/rustdoc_options.md")
)]

mod definition;
mod definitions;
mod description;
mod error;
mod option_map;
pub mod render;
mod rules;
mod sequence;
mod serialization;
mod value;

pub use definition::{ConfigOption, OptionDefinition, Presence, Section};
pub use definitions::*;
pub use description::{Description, Piece};
pub use error::{OptionError, OptionErrors, OptionWarning};
pub use option_map::{OptionMap, TritonOptions, nearest_key};
pub use sequence::{MAX_RUN_ID_BYTES, SequenceBase, SequenceIds, SequenceMode};
pub use triton_protocol::{
    Compression, Endpoint, HIDDEN, InvalidValue, MAX_SEQUENCE_ID_BYTES, ModelName, ModelVersion,
    Secret, UserInfo,
};
pub use value::{
    ColumnNames, CounterInitStrategy, EMBEDDED_ENDPOINT, Fraction, Headers, NameMap, OptionValue,
    PositiveDuration, ReplayOverflow, SequenceIdScope, SequenceRecovery,
};
