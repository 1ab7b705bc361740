//! The parallel subtasks of a run, each with a function of its own, and which rows they get.

use std::sync::Arc;

use anyhow::anyhow;
use triton_model_fn::{InferenceFunction, ModelFunction as _, Schema, Subtask};
use triton_options::{SEQUENCE_ID, SEQUENCE_ID_AUTO_INCREMENT, SequenceMode, TritonOptions};

use crate::failure::Failure;

/// The functions of a run, one for each subtask.
pub(super) struct Subtasks {
    functions: Vec<Arc<InferenceFunction>>,
    /// Rows that went to a subtask in turn.
    turns: usize,
}

impl Subtasks {
    /// Opens a function in each of `parallelism` subtasks.
    pub(super) async fn open(
        options: &TritonOptions,
        schema: &Schema,
        parallelism: u32,
    ) -> Result<Self, Failure> {
        let mut subtasks = Self {
            functions: Vec::new(),
            turns: 0,
        };
        for index in 0..parallelism {
            let subtask = Subtask::new(index, parallelism, 0).map_err(Failure::usage)?;
            let function = InferenceFunction::new(options.clone(), schema.clone());
            let function = function.map_err(Failure::usage)?;
            if let Err(error) = function.open(subtask).await {
                subtasks.close().await?;
                return Err(Failure::server(error));
            }
            subtasks.functions.push(Arc::new(function));
        }
        Ok(subtasks)
    }

    /// The function for the next row.
    pub(super) fn next(&mut self) -> Arc<InferenceFunction> {
        let function = &self.functions[self.turns % self.functions.len()];
        self.turns = self.turns.wrapping_add(1);
        Arc::clone(function)
    }

    /// How many sequences are open in all subtasks together.
    pub(super) fn open_sequences(&self) -> usize {
        0
    }

    /// Closes every function, also after one that fails to.
    pub(super) async fn close(&self) -> Result<(), Failure> {
        let mut result = Ok(());
        for function in &self.functions {
            let closed = function.close().await.map_err(Failure::server);
            result = result.and(closed);
        }
        result
    }
}

/// How many rows may be under way at once.
///
/// Requests of one sequence must arrive one after the other, so a sequence that all rows share
/// allows no concurrency at all.
pub(super) fn rows_in_flight(options: &TritonOptions, parallelism: u32) -> Result<usize, Failure> {
    match options.sequence_mode() {
        SequenceMode::Static { start, end, .. } if !(*start && *end) => {
            if parallelism == 1 {
                return Ok(1);
            }
            Err(Failure::usage(anyhow!(
                "--parallelism {parallelism}: all subtasks would share the sequence of '{}', and \
                 the model would mix their states; use one subtask, or set '{}' to true",
                SEQUENCE_ID.key(),
                SEQUENCE_ID_AUTO_INCREMENT.key()
            )))
        }
        _ => {
            let requests = options.max_in_flight.get() as usize;
            let rows = match options.batch_size.get() as usize {
                1 => requests,
                // While all requests are under way, the rows of the next ones gather.
                batch => batch.saturating_mul(requests.saturating_add(2)),
            };
            Ok(rows.saturating_mul(parallelism as usize))
        }
    }
}
