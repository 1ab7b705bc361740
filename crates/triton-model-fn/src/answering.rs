//! What makes the answer to a row of what the model said, or of what became of the call.

use std::sync::Arc;

use tracing::warn;
use triton_client::InferResponse;

use crate::sequences::ModelColumns;
use crate::tensor_plan::TensorPlan;
use crate::{CallContext, Error, ErrorKind, Prediction, Value};

/// What the rows of an open function are answered with.
#[derive(Debug)]
pub(crate) struct Answering {
    pub(crate) open: Arc<CallContext>,
    pub(crate) plan: Arc<TensorPlan>,
    pub(crate) columns: Arc<ModelColumns>,
    pub(crate) default_row: Option<Vec<Value>>,
}

impl Answering {
    /// The answers to so many rows of a stateless model in one request, each to be
    /// [concluded](Self::conclude) where it is given.
    pub(crate) fn rows(
        &self,
        response: Result<InferResponse, Error>,
        rows: usize,
    ) -> impl Iterator<Item = Result<Prediction, Error>> {
        let decoded = response.and_then(|response| self.plan.rows(&response, rows));
        let (mut answers, error) = match decoded {
            Ok(answers) => (answers.into_iter(), None),
            Err(error) => (Vec::new().into_iter(), Some(error)),
        };
        (0..rows).map(move |_| match (&error, answers.next()) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(row)) => Ok(Prediction::new(row, None)),
            (None, None) => {
                let message = "the answer has fewer rows than the request";
                Err(Error::new(ErrorKind::Output, message))
            }
        })
    }

    /// Counts the answer, or puts the default in its place.
    pub(crate) fn conclude(&self, answer: Result<Prediction, Error>) -> Result<Prediction, Error> {
        let open = &self.open;
        let error = match answer {
            Ok(prediction) => return open.conclude(Ok(prediction)),
            Err(error) => error,
        };
        match self.default_for(&error) {
            Some(row) => {
                open.metrics().row_defaulted();
                let row = self.columns.output(row, false);
                let sequence_id = error.sequence_id().map(str::to_owned);
                Ok(Prediction {
                    is_default: true,
                    ..Prediction::new(row, sequence_id)
                })
            }
            None => open.conclude(Err(error)),
        }
    }

    /// The default in place of an error, where there is one and the error allows it.
    pub(crate) fn default_for(&self, error: &Error) -> Option<Vec<Value>> {
        let open = &self.open;
        let replaceable = match error.kind() {
            ErrorKind::NullInput
            | ErrorKind::Call
            | ErrorKind::SequenceUncertain
            | ErrorKind::SequenceLost
            | ErrorKind::CircuitOpen
            | ErrorKind::Output => true,
            // A mistake in the pipeline, not a failure of the model.
            _ => false,
        };
        let default = self.default_row.as_ref().filter(|_| replaceable)?;
        warn!(
            model = %open.model,
            subtask = open.subtask.index(),
            attempt = open.subtask.attempt(),
            sequence_id = error.sequence_id(),
            %error,
            cause = error.client_error().map(tracing::field::display),
            "a row got the default value"
        );
        Some(default.clone())
    }
}
