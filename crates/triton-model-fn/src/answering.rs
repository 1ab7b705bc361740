//! What makes the answer to a row of what the model said, or of what happened to the call.

use std::sync::Arc;

use tracing::warn;
use triton_client::InferResponse;
use triton_options::{OnError, TritonOptions};

use crate::log_limit::LogLimit;
use crate::metrics::StreamMetrics;
use crate::sequences::ModelColumns;
use crate::tensor_plan::TensorPlan;
use crate::{
    CallContext, Column, Error, ErrorKind, Prediction, PredictionStatus, Value, default_value,
};

/// What the rows of an open function are answered with.
#[derive(Debug)]
pub(crate) struct Answering {
    pub(crate) open: Arc<CallContext>,
    pub(crate) plan: Arc<TensorPlan>,
    pub(crate) columns: Arc<ModelColumns>,
    pub(crate) stand_in: StandIn,
    pub(crate) logged: LogLimit,
    /// Where rows may have several answers.
    pub(crate) streams: Option<StreamMetrics>,
}

/// What the columns of the model hold in a row that could not be answered.
#[derive(Debug)]
pub(crate) enum StandIn {
    /// There is no such row, but an error.
    Error,
    Default(Vec<Value>),
    Nulls,
}

impl StandIn {
    /// As the options say; a default that does not fit the outputs of the model is an error.
    pub(crate) fn new(options: &TritonOptions, outputs: &[Column]) -> Result<Self, Error> {
        if options.on_error == OnError::Column {
            return Ok(Self::Nulls);
        }
        let default = default_value::parse(options, outputs)?;
        Ok(default.map_or(Self::Error, Self::Default))
    }
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

    /// The output columns for so many rows of a stateless model that it has answered in one request.
    pub(crate) fn columns_of(
        &self,
        response: &InferResponse,
        rows: usize,
    ) -> Result<Vec<Vec<Value>>, Error> {
        let mut columns = self.plan.columns(response, rows)?;
        self.columns.filled.fill_columns(&mut columns, rows);
        Ok(columns)
    }

    /// Counts the answer, puts what stands in for it in its place, and fills in the columns that are
    /// not the model's.
    #[inline]
    pub(crate) fn conclude(&self, answer: Result<Prediction, Error>) -> Result<Prediction, Error> {
        let metrics = self.open.metrics();
        let answer = match answer {
            Ok(prediction) => Ok(prediction),
            Err(error) => self.in_place_of(error),
        };
        match answer.as_ref().map(|prediction| &prediction.status) {
            Ok(PredictionStatus::Answered | PredictionStatus::Empty) => metrics.row_answered(),
            Ok(PredictionStatus::Defaulted(error)) => metrics.row_defaulted(error),
            Ok(PredictionStatus::Failed(error)) | Err(error) => metrics.row_failed(error),
        }
        let mut prediction = answer?;
        self.columns.filled.fill(&mut prediction);
        Ok(prediction)
    }

    /// What stands in for an answer, where something does and the error is one of the row's: the
    /// columns of the model alone, not counted.
    pub(crate) fn in_place_of(&self, error: Error) -> Result<Prediction, Error> {
        let open = &self.open;
        let error = error.in_subtask(open.subtask);
        let row = match &self.stand_in {
            StandIn::Default(row) if is_of_the_row(&error) => row.clone(),
            StandIn::Nulls if is_of_the_row(&error) => {
                vec![Value::Null; self.columns.schema.outputs.len()]
            }
            _ => return Err(error),
        };
        if let Some(kept_quiet) = self.logged.pass() {
            let message = match &self.stand_in {
                StandIn::Default(_) => "a row got the default value",
                _ => "a row failed, and its columns say why",
            };
            warn!(
                model = %open.model,
                subtask = open.subtask.index(),
                attempt = open.subtask.attempt(),
                sequence_id = error.sequence_id(),
                %error,
                cause = error.client_error().map(tracing::field::display),
                kept_quiet = (kept_quiet > 0).then_some(kept_quiet),
                "{message}"
            );
        }
        let id = error.sequence_number().map(|number| number.to_string());
        let id = id.or_else(|| error.sequence_id().map(str::to_owned));
        let mut prediction = Prediction::new(row, id);
        prediction.status = match &self.stand_in {
            StandIn::Default(_) => PredictionStatus::Defaulted(error),
            _ => PredictionStatus::Failed(error),
        };
        Ok(prediction)
    }

    /// The default for a column of the model, where there is one.
    #[cfg(feature = "arrow")]
    pub(crate) fn default_of(&self, index: usize) -> Option<&Value> {
        match &self.stand_in {
            StandIn::Default(row) => row.get(index),
            StandIn::Error | StandIn::Nulls => None,
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let kept_quiet = self.logged.take_rest();
        if kept_quiet > 0 {
            warn!(
                model = %self.open.model,
                subtask = self.open.subtask.index(),
                attempt = self.open.subtask.attempt(),
                kept_quiet,
                "further rows were not answered before the function ended"
            );
        }
    }
}

/// Whether an error says something of a row, or of the call for it, rather than of the function:
/// whoever closes it, loses the server for good or meets a fault of this program has to learn of it.
fn is_of_the_row(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Input
        | ErrorKind::NullInput
        | ErrorKind::Call
        | ErrorKind::SequenceUncertain
        | ErrorKind::SequenceLost
        | ErrorKind::CircuitOpen
        | ErrorKind::Output => true,
        ErrorKind::Subtask
        | ErrorKind::Options
        | ErrorKind::Schema
        | ErrorKind::State
        | ErrorKind::Mismatch
        | ErrorKind::Snapshot
        | ErrorKind::ServerAway
        | ErrorKind::Close
        | ErrorKind::Internal => false,
    }
}
