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
//! A [`Client`] never sends a request twice, follows no redirect and uses no proxy; an
//! [`Error`] says what kind of failure it was, which call failed and what the server answered.
//!
//! The protocol is described in the
//! [KServe v2 specification](https://github.com/kserve/open-inference-protocol) and in the
//! [extensions of Triton](https://github.com/triton-inference-server/server/tree/main/docs/protocol).

#[cfg(target_endian = "big")]
compile_error!("tensors are kept in the little-endian form of the protocol");

mod api;
mod client;
mod datatype;
mod error;
mod tensor;
mod transport;
mod wire;

pub use api::health::Readiness;
pub use api::infer::{InferRequest, InferResponse, Sequence, SequenceId};
pub use api::model::{ModelConfig, ModelId, ModelMetadata, SequenceBatching, TensorMetadata};
pub use api::server::ServerMetadata;
pub use client::{Client, ClientBuilder};
pub use datatype::Datatype;
pub use error::{Error, ErrorKind};
pub use tensor::{Tensor, TensorElement, TensorError};
pub use triton_options::{Endpoint, InvalidValue, ModelName, ModelVersion};
