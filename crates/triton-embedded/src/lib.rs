//! An in-process server that behaves like NVIDIA Triton, for tests and first steps.
//!
#![doc = include_str!("../README.md")]
//!
//! [`models`] has some to begin with; [`Model`] shows how to write another in ten lines. Time comes
//! from a [`Clock`], so that no test has to wait; a [`FaultScript`] makes things go wrong. Where the
//! server is known to differ from the real one, `docs/guide/embedded-server.md` says so and why.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod binary_tensor;
mod clock;
mod compression;
mod config_override;
mod correlation_id_control;
mod error;
mod exchange;
mod faults;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod generate;
mod http;
mod infer;
mod inference_answer;
mod inference_request;
mod json;
mod json_tensor;
mod metadata;
mod metrics;
mod model;
mod model_config;
mod model_error;
mod model_instance;
pub mod models;
mod raw_request;
mod recorded;
mod repository;
mod request_parameters;
mod restriction;
mod route;
mod router;
mod scheduler;
mod server;
mod server_state;
mod settings;
mod statistics;
mod tensor;
mod validation;

pub use clock::{Clock, ManualClock, SystemClock};
pub use exchange::Exchange;
pub use faults::{Fault, FaultScript, FaultScriptError};
pub use model::{CorrelationId, Model, ModelRequest, Parameter, Sequence};
pub use model_config::{
    CorrelationIdControl, DynamicBatching, ModelConfig, QueuePolicy, SequenceBatching,
    SequenceStrategy, TensorConfig, TimeoutAction,
};
pub use model_error::{ModelError, ModelErrorKind};
pub use recorded::RecordedRequest;
pub use restriction::RestrictedApi;
pub use server::{EmbeddedTriton, EmbeddedTritonBuilder};
pub use tensor::{DataType, Element, Tensor, TensorData};
