//! A typed client for the HTTP v2 (KServe) protocol of NVIDIA Triton Inference Server.
//!
//! ```no_run
//! use triton_client::{Client, InferRequest, ModelId, Tensor};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("http://localhost:8000".parse()?).build()?;
//! let request = InferRequest::new(ModelId::latest("echo".parse()?))
//!     .input(Tensor::from_slice("value", [1, 3], &[1.0_f32, 2.0, 3.0])?);
//! let response = client.infer(&request).await?;
//! assert_eq!(&*response.output("echo")?.values::<f32>()?, [1.0, 2.0, 3.0]);
//! # Ok(())
//! # }
//! ```
//!
//! A [`Client`] never sends a request twice, follows no redirect and uses no proxy but one that it
//! is given; an [`Error`] says what kind of failure it was, which call failed, what the server
//! answered, whether to try again may help ([`Error::is_transient`]) and whether it may repeat what
//! was done already ([`Error::may_have_executed`]).
//!
//! Tensors travel in the binary form of the protocol, or as JSON: see [`TensorFormat`], and
//! [`Tensor`] for what is copied. All datatypes of the protocol are there; with the feature `half`,
//! `half::f16` and `half::bf16` are elements too.
//!
//! # Monitoring
//!
//! Each call is one `tracing` span named `triton_call`, at the level DEBUG, with the fields
//! `operation`, `model`, `version`, `sequence_id`, `bytes_out`, `bytes_in`, `status` and `error`.
//! The `metrics` facade gets:
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

#[cfg(target_endian = "big")]
compile_error!("tensors are kept in the little-endian form of the protocol");

mod api;
mod client;
mod client_builder;
mod datatype;
mod error;
mod extensions;
mod operation;
mod parameter;
mod tensor;
mod transport;
mod wire;

pub use api::cuda_shared_memory::{CudaRegion, CudaRegionStatus};
pub use api::generate::{GenerateRequest, GenerateStream, Generated};
pub use api::health::Readiness;
pub use api::infer_request::{InferRequest, RequestedOutput, TensorFormat};
pub use api::infer_response::{Class, InferResponse};
pub use api::logging::{LogFormat, LogSettings, LogSettingsUpdate};
pub use api::model::{ModelConfig, ModelId, ModelMetadata, SequenceBatching, TensorMetadata};
pub use api::repository::{IndexFilter, LoadModel, ModelState, RepositoryEntry, UnloadDependents};
pub use api::sequence::{Sequence, SequenceId, SequenceText};
pub use api::server::ServerMetadata;
pub use api::statistics::{
    BatchStatistics, InferenceStatistics, MemoryUsage, ModelStatistics, ResponseStatistics, Tally,
};
pub use api::system_shared_memory::{SystemRegion, SystemRegionStatus};
pub use api::trace::{TraceLevel, TraceSettings, TraceSettingsUpdate};
pub use client::Client;
pub use client_builder::ClientBuilder;
pub use datatype::{Datatype, UnknownDatatype};
pub use error::{Error, ErrorKind};
pub use http::{HeaderName, HeaderValue};
pub use parameter::Parameter;
pub use tensor::{Tensor, TensorElement, TensorError};
pub use transport::Compression;
pub use triton_options::{Endpoint, InvalidValue, ModelName, ModelVersion};
pub use wire::decode::DecodeError;
pub use wire::encode::{EncodeError, EncodedRequest};
