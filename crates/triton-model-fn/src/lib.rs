//! Runs a Triton model as a function over rows, one instance for each parallel subtask.
//!
#![doc = include_str!("../README.md")]
//!
//! A pipeline opens an [`InferenceFunction`] in each of its subtasks, calls
//! [`predict`](ModelFunction::predict) for its rows, concurrently if it likes, and closes it.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod alone_tasks;
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
mod half_floats;
pub mod health_monitor;
mod inference;
mod lanes;
mod live_numbers;
mod log_limit;
pub mod metrics;
mod model_facts;
mod option_group;
mod owed_answer;
mod packed_row;
mod permits;
mod prediction;
mod prediction_stream;
mod readiness;
mod replica;
mod replicas;
mod request_limit;
pub mod retry;
mod row_batch;
mod row_block;
mod row_call;
mod row_codec;
mod row_function;
mod rows;
mod rows_in_words;
mod run_id;
mod schema;
mod sequence_id_form;
mod sequence_id_generator;
mod sequence_name;
mod sequence_numbers;
mod sequences;
mod server_wait;
mod shared_client;
mod shared_gauge;
mod streams;
mod subtask;
mod sync;
mod taken_sequence;
mod tensor_codec;
mod tensor_elements;
mod tensor_plan;
mod value;

pub use answers::{AnswerSink, AnsweredRows, RowAnswer};
pub use array::{Array, ArrayElements};
#[cfg(feature = "arrow")]
pub use arrow::BatchPrediction;
pub use async_trait::async_trait;
pub use base::{FunctionBase, Opened, Opening};
pub use call_context::{CallContext, RequestPermit};
pub use client_options::{client_from_options, clients_from_options};
pub use error::{Error, ErrorKind};
pub use filled_column::FilledColumn;
pub use function::ModelFunction;
pub use inference::InferenceFunction;
pub use model_facts::ModelFacts;
pub use option_group::OptionGroup;
pub use prediction::{Prediction, PredictionFuture, PredictionStatus};
pub use prediction_stream::{PredictStream, PredictionStream};
pub use replicas::Resolver;
pub use row_call::RowCall;
pub use row_function::RowFunction;
pub use rows::{InputRows, InputRowsBuilder, RowsPrediction};
pub use schema::{Column, DataType, Schema};
pub use sequence_id_form::SequenceIdForm;
pub use sequences::{SequencePlaces, SequenceSnapshot};
pub use server_wait::ServerWait;
pub use streams::AnswerStream;
pub use subtask::Subtask;
pub use taken_sequence::TakenSequence;
pub use tensor_codec::TensorCodec;
pub use triton_options::{OptionErrors, OptionMap, OptionValues, SequenceMode, TritonOptions};
pub use value::Value;
// What a function of your own calls the server with, and reads its options by.
pub use {triton_client, triton_options};

/// So many cases of a property, unless `PROPTEST_CASES` says how many.
#[cfg(test)]
fn property_cases(usual: u32) -> proptest::test_runner::Config {
    let config = proptest::test_runner::Config::default();
    let cases = std::env::var("PROPTEST_CASES").map_or(usual, |_| config.cases);
    proptest::test_runner::Config { cases, ..config }
}
