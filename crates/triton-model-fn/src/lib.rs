//! Runs a Triton model as a function over rows, one instance for each parallel subtask.
//!
#![doc = include_str!("../README.md")]
//!
//! A pipeline opens an [`InferenceFunction`] in each of its subtasks, calls
//! [`predict`](ModelFunction::predict) for its rows, concurrently if it likes, and closes it.

mod answering;
mod answers;
mod array;
#[cfg(feature = "arrow")]
mod arrow;
mod base;
mod batcher;
mod cache;
mod call;
mod call_context;
pub mod circuit_breaker;
mod client_options;
mod default_value;
mod ending;
mod error;
mod executions;
mod filled_column;
mod function;
pub mod health_monitor;
mod inference;
mod lanes;
mod live_numbers;
mod log_limit;
pub mod metrics;
mod model_facts;
mod packed_row;
mod permits;
mod replica;
mod request_limit;
pub mod retry;
mod row_batch;
mod row_block;
mod row_codec;
mod run_id;
mod schema;
mod sequence_id_form;
mod sequence_id_generator;
mod sequence_numbers;
mod sequences;
mod server_wait;
mod shared_client;
mod streams;
mod subtask;
mod taken_sequence;
mod tensor_plan;
mod value;

pub use answers::{AnswerSink, RowAnswer};
pub use array::{Array, ArrayElements};
#[cfg(feature = "arrow")]
pub use arrow::BatchPrediction;
pub use base::{FunctionBase, Opened, Opening};
pub use call_context::{CallContext, RequestPermit};
pub use client_options::client_from_options;
pub use error::{Error, ErrorKind};
pub use filled_column::FilledColumn;
pub use function::{ModelFunction, Prediction, PredictionStatus};
pub use inference::InferenceFunction;
pub use model_facts::ModelFacts;
pub use schema::{Column, DataType, Schema};
pub use sequence_id_form::SequenceIdForm;
pub use sequences::{SequencePlaces, SequenceSnapshot};
pub use server_wait::ServerWait;
pub use streams::PredictionStream;
pub use subtask::Subtask;
pub use taken_sequence::TakenSequence;
pub use triton_options::{OptionErrors, TritonOptions};
pub use value::Value;
