//! A typed client for the HTTP v2 (KServe) protocol of NVIDIA Triton Inference Server.
//!
#![doc = include_str!("../README.md")]
//!
//! A [`Client`] never sends a request twice (but see [`HeaderProvider`]), follows no redirect and
//! uses no proxy but one that it is given; an [`Error`] says what kind of failure it was, which call
//! failed, what the server answered, whether to try again may help ([`Error::is_transient`]) and
//! whether it may repeat what was done already ([`Error::may_have_executed`]).
//!
//! Tensors travel in the binary form of the protocol, or as JSON: see [`TensorFormat`], and
//! [`Tensor`] for what is copied. All datatypes of the protocol are there; with the feature `half`,
//! `half::f16` and `half::bf16` are elements too, and with `ndarray` tensors are made of arrays and
//! arrays of tensors.
//!
//! # Monitoring
//!
//! Each call is one `tracing` span named `triton_call`, at the level DEBUG, with the fields
//! `operation`, `model`, `version`, `sequence_id`, `request_id` (as the server's log has it),
//! `bytes_out`, `bytes_in`, `status` and `error`. With the feature `metrics`, the facade of that name
//! gets:
//!
//! | Name | Kind | Labels |
//! |---|---|---|
//! | `triton_client_calls_total` | counter | `operation`, `outcome` |
//! | `triton_client_call_duration_seconds` | histogram | `operation`, `outcome` |
//! | `triton_client_request_bytes_total` | counter | `operation` |
//! | `triton_client_response_bytes_total` | counter | `operation` |
//!
//! `outcome` is `ok`, the [name](ErrorKind::name) of a kind of error, or `cancelled` when the
//! call's future was dropped. Bytes are those of bodies, requests as they are sent and responses
//! after decompression. Neither headers nor addresses nor tensors appear anywhere.
//!
//! The protocol is described in the
//! [KServe v2 specification](https://github.com/kserve/open-inference-protocol) and in the
//! [extensions of Triton](https://github.com/triton-inference-server/server/tree/main/docs/protocol).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod api;
mod bearer_token_file;
mod client;
mod client_builder;
mod error;
mod extensions;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod header_provider;
mod http_error;
pub mod http_service;
mod json;
mod negotiation;
mod operation;
mod request_ids;
#[cfg(feature = "opentelemetry")]
mod trace_context;
mod transport;

pub use api::description::ModelDescription;
pub use api::generate::{GenerateRequest, GenerateStream, Generated};
pub use api::health::Readiness;
pub use bearer_token_file::BearerTokenFile;
pub use client::Client;
pub use client_builder::ClientBuilder;
pub use error::{Error, ErrorKind};
pub use header_provider::{HeaderProvider, HeaderProviderError};
/// The types of HTTP that [`http_service`] speaks of.
pub use http;
pub use http::{HeaderMap, HeaderName, HeaderValue};
#[cfg(feature = "opentelemetry")]
pub use trace_context::TraceContext;
pub use triton_protocol::{
    BatchStatistics, Class, Compression, CorrelationIdControl, CorrelationIdType, CudaRegion,
    CudaRegionStatus, Datatype, DecodeError, EncodeError, EncodedRequest, Endpoint, IndexFilter,
    InferRequest, InferResponse, InferenceStatistics, InvalidValue, KNOWN_TEXTS, KnownText,
    LoadModel, LogFormat, LogSettings, LogSettingsUpdate, MemoryUsage, ModelConfig, ModelId,
    ModelMetadata, ModelName, ModelState, ModelStatistics, ModelVersion, OtherDatatype, Parameter,
    RepositoryEntry, RequestedOutput, ResponseStatistics, Secret, Sequence, SequenceBatching,
    SequenceId, SequenceText, ServerMetadata, SharedMemory, SharedTensor, SystemRegion,
    SystemRegionStatus, Tally, Tensor, TensorElement, TensorError, TensorFormat, TensorMetadata,
    TraceLevel, TraceSettings, TraceSettingsUpdate, UnknownDatatype, UnloadModel, UnreadOutput,
    UserInfo, VersionText,
};
/// What tensors, shapes and plain JSON are made of.
pub use {bytes, serde_json};
