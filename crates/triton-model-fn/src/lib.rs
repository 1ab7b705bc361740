//! Runs a Triton model as a function over rows, one instance for each parallel subtask.
//!
//! A pipeline opens an [`InferenceFunction`] in each of its subtasks, calls
//! [`predict`](ModelFunction::predict) for its rows, concurrently if it likes, and closes it:
//!
//! ```
//! use triton_embedded::EmbeddedTriton;
//! use triton_model_fn::{
//!     Column, DataType, InferenceFunction, ModelFunction, Schema, Subtask, Value,
//! };
//! use triton_options::TritonOptions;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = EmbeddedTriton::start()?;
//! let options = TritonOptions::parse([
//!     ("endpoint", server.endpoint().as_str()),
//!     ("model-name", "accumulate"),
//!     ("sequence-id", "flink-job-123"),
//!     ("sequence-id-auto-increment", "true"),
//! ])?;
//! let schema = Schema {
//!     inputs: vec![Column::new("value", DataType::Integer)],
//!     outputs: vec![Column::new("sum", DataType::Integer)],
//! };
//! let function = InferenceFunction::new(options, schema)?;
//! function.open(Subtask::new(0, 1, 0)?).await?;
//! let prediction = function.predict(&[Value::Integer(7)]).await?;
//! assert_eq!(prediction.row, [Value::Integer(7)]);
//! assert_eq!(prediction.sequence_id.as_deref(), Some("flink-job-123-0-0"));
//! function.close().await?;
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "arrow")]
mod arrow;
mod base;
mod batcher;
mod call;
pub mod circuit_breaker;
mod client_options;
mod default_value;
mod error;
mod function;
pub mod health_monitor;
mod id_source;
mod inference;
pub mod metrics;
mod open_subtask;
mod packed_row;
pub mod retry;
mod row_batch;
mod row_codec;
mod schema;
mod sequences;
mod server_wait;
mod shared_client;
mod subtask;
mod tensor_plan;
mod value;

#[cfg(feature = "arrow")]
pub use arrow::BatchPrediction;
pub use base::{FunctionBase, Opened, Opening};
pub use client_options::client_from_options;
pub use error::{Error, ErrorKind};
pub use function::{ModelFunction, Prediction};
pub use inference::InferenceFunction;
pub use open_subtask::{OpenSubtask, Slot};
pub use schema::{Column, DataType, Schema};
pub use sequences::{SequencePlaces, SequenceSnapshot};
pub use server_wait::ServerWait;
pub use subtask::Subtask;
pub use value::Value;
