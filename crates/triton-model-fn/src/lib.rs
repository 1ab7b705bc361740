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
//! let mut function = InferenceFunction::new(options, schema)?;
//! function.open(Subtask::new(0, 1, 0)?).await?;
//! let prediction = function.predict(&[Value::Integer(7)]).await?;
//! assert_eq!(prediction.row, [Value::Integer(7)]);
//! assert_eq!(prediction.sequence_id.as_deref(), Some("flink-job-123-0-0"));
//! function.close().await?;
//! # Ok(())
//! # }
//! ```

mod base;
mod conversion;
mod error;
mod function;
mod inference;
mod schema;
mod subtask;
mod tensor_plan;

pub use base::{FunctionBase, OpenSubtask};
pub use error::{Error, ErrorKind};
pub use function::{ModelFunction, Prediction};
pub use inference::InferenceFunction;
pub use schema::{Column, DataType, Schema, Value};
pub use subtask::Subtask;
