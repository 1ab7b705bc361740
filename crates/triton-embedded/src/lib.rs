//! An in-process server that behaves like NVIDIA Triton, for tests and first steps.
//!
//! It answers over real HTTP, follows the statuses, bodies and error texts of Triton 2.51.0, keeps
//! sequences as Triton's sequence batcher does, and records what arrived:
//!
//! ```no_run
//! use triton_embedded::EmbeddedTriton;
//!
//! let server = EmbeddedTriton::start()?;
//! // … let the code under test talk to `server.endpoint()` …
//! let requests = server.requests();
//! assert!(requests.iter().all(|request| request.executed));
//! # std::io::Result::Ok(())
//! ```
//!
//! [`models`] has three to begin with; [`Model`] shows how to write another. This version speaks
//! JSON tensors only: what it lacks (binary tensors, compression, classification, shared memory)
//! it refuses with status 501 and a text that names this crate.

mod clock;
mod error;
mod infer;
mod inference_request;
mod json;
mod json_tensor;
mod metadata;
mod model;
mod model_config;
mod model_error;
mod model_instance;
pub mod models;
mod recorded;
mod route;
mod router;
mod sequence_batcher;
mod server;
mod tensor;
mod validation;

pub use clock::{Clock, ManualClock, SystemClock};
pub use model::{CorrelationId, Model, ModelRequest, Parameter, Sequence};
pub use model_config::{ModelConfig, SequenceBatching, TensorConfig};
pub use model_error::{ModelError, ModelErrorKind};
pub use recorded::RecordedRequest;
pub use server::{EmbeddedTriton, EmbeddedTritonBuilder};
pub use tensor::{DataType, Element, Tensor, TensorData};
