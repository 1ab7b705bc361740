//! The options of a Triton model: typed definitions, a parser, validation and documentation.
//!
#![doc = include_str!("../README.md")]
//!
//! Every option is defined exactly once, in [`definitions`](CATALOG): its key, type, default,
//! section and text. From that one definition come the parser and the typed
//! [`TritonOptions`], the messages of [`OptionErrors`], the generated HTML and Markdown pages
//! ([`render`]) and the documentation of the constants below.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(doc, doc = include_str!("rustdoc_options.md"))]

mod checked_options;
mod definition;
mod definitions;
mod description;
mod error;
mod option_map;
mod option_reader;
mod own_options;
pub mod render;
mod rules;
mod sequence;
mod serialization;
mod unknown_keys;
mod value;

pub use checked_options::TritonOptions;
pub use definition::{ConfigOption, OptionDefinition, Presence, Section};
pub use definitions::*;
pub use description::{Description, Piece};
pub use error::{OptionError, OptionErrors, OptionWarning};
pub use option_map::OptionMap;
pub use own_options::{OwnOptions, check_definitions};
pub use sequence::{
    MAX_RUN_ID_BYTES, SequenceBase, SequenceIds, SequenceMode, StaticFlags, sequence_number,
};
pub use triton_protocol::{
    BearerToken, Compression, Endpoint, Endpoints, HIDDEN, InvalidValue, MAX_SEQUENCE_ID_BYTES,
    ModelName, ModelVersion, Secret, TensorFormat, UserInfo,
};
pub use unknown_keys::nearest_key;
pub use value::{
    AbandonedSequence, ColumnNames, CounterInitStrategy, Decoupled, DnsName, EMBEDDED_ENDPOINT,
    EndpointDiscovery, FilePath, Fraction, Headers, MaxInFlight, MemoryLimit, MemorySize, NameMap,
    OnError, OptionValue, PositiveDuration, ProxyAddress, ReplayOverflow, SequenceAffinity,
    SequenceIdScope, SequenceIdType, SequenceModelVersion, SequenceRecovery, UnknownKey,
};
