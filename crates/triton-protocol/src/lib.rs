//! The HTTP v2 (KServe) protocol of NVIDIA Triton Inference Server as types and bytes: no I/O.
//!
#![doc = include_str!("../README.md")]
//!
//! The protocol is described in the
//! [KServe v2 specification](https://github.com/kserve/open-inference-protocol) and in the
//! [extensions of Triton](https://github.com/triton-inference-server/server/tree/main/docs/protocol).

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(target_endian = "big")]
compile_error!("tensors are kept in the little-endian form of the protocol");

mod bearer_token;
mod compression;
mod correlation_id;
mod cuda_shared_memory;
mod datatype;
mod endpoint;
mod endpoints;
mod infer_request;
mod infer_response;
mod invalid_value;
mod logging;
mod model;
mod model_id;
mod model_name;
mod parameter;
mod proof;
mod repository;
mod reserved_header;
mod secret;
mod sequence;
mod server;
mod shared_memory;
mod statistics;
mod system_shared_memory;
mod tensor;
mod tolerant;
mod trace;
pub mod wire;

pub use bearer_token::BearerToken;
pub use compression::Compression;
pub use correlation_id::{CorrelationIdControl, CorrelationIdType};
pub use cuda_shared_memory::{CudaRegion, CudaRegionStatus};
pub use datatype::{Datatype, OtherDatatype, UnknownDatatype};
pub use endpoint::{Endpoint, UserInfo};
pub use endpoints::Endpoints;
pub use infer_request::{InferRequest, RequestedOutput, TensorFormat};
pub use infer_response::{Class, InferResponse, UnreadOutput};
pub use invalid_value::{InvalidValue, beginning, quoted};
pub use logging::{LogFormat, LogSettings, LogSettingsUpdate};
pub use model::{ModelConfig, ModelMetadata, SequenceBatching, TensorMetadata};
pub use model_id::ModelId;
pub use model_name::{ModelName, ModelVersion, VersionText};
pub use parameter::Parameter;
pub use proof::{KNOWN_TEXTS, KnownText, Sent};
pub use repository::{IndexFilter, LoadModel, ModelState, RepositoryEntry, UnloadModel};
pub use reserved_header::reserved_header;
pub use secret::{HIDDEN, Secret};
pub use sequence::{MAX_SEQUENCE_ID_BYTES, Sequence, SequenceId, SequenceText};
pub use server::ServerMetadata;
pub use shared_memory::{SharedMemory, SharedTensor};
pub use statistics::{
    BatchStatistics, InferenceStatistics, MemoryUsage, ModelStatistics, ResponseStatistics, Tally,
};
pub use system_shared_memory::{SystemRegion, SystemRegionStatus};
pub use tensor::{Tensor, TensorElement, TensorError};
pub use trace::{TraceLevel, TraceSettings, TraceSettingsUpdate};
pub use wire::decode::DecodeError;
pub use wire::encode::{EncodeError, EncodedRequest};
