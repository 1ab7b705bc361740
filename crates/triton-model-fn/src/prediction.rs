//! The answer to a row: its output columns, and what happened to it.

use std::pin::Pin;

use crate::sequences::UnseenMark;
use crate::{Error, ErrorKind, Value};

/// The answer to one row.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Prediction {
    /// The output columns, in the order of the schema.
    pub row: Vec<Value>,
    /// The sequence ID that the request took, if it took one: a number as its digits.
    pub sequence_id: Option<String>,
    /// Whether the row began its sequence again although its key had one: the model answered
    /// without the key's earlier rows.
    pub sequence_restarted: bool,
    /// What happened to the row.
    pub status: PredictionStatus,
    /// The number of this answer among those of its input row, from 0 on; above 0 only where the
    /// option `decoupled` is `stream`.
    pub part: u64,
    /// Whether this is the last answer of its input row.
    pub is_last: bool,
    /// There while nobody has seen that the sequence was restarted.
    pub(crate) unseen: Option<Box<UnseenMark>>,
}

/// What happened to a row that is no error: the option `on-error` decides on it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum PredictionStatus {
    /// The model answered it.
    #[default]
    Answered,
    /// It is the option `default-value`, because of this error.
    Defaulted(Error),
    /// It is NULL in the columns of the model, because of this error.
    Failed(Error),
    /// The model has nothing to say: a stream without an answer. It is NULL in the columns of the
    /// model. Only an [`AnswerSink`](crate::AnswerSink) is told so, because it learns so that the
    /// row is done.
    Empty,
}

impl PredictionStatus {
    /// The status as the output column `prediction_status` has it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            PredictionStatus::Answered => "answered",
            PredictionStatus::Defaulted(_) => "defaulted",
            PredictionStatus::Failed(_) => "failed",
            PredictionStatus::Empty => "empty",
        }
    }

    /// Whether the model answered the row.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        matches!(self, PredictionStatus::Answered)
    }

    /// Why the model's answer could not be had.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        match self {
            PredictionStatus::Answered | PredictionStatus::Empty => None,
            PredictionStatus::Defaulted(error) | PredictionStatus::Failed(error) => Some(error),
        }
    }

    /// The status of the server's last answer to the request, where one could be read.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        /// What a server says to a request that it answers; the client takes nothing else for it.
        const OK: u16 = 200;
        let Some(error) = self.error() else {
            return Some(OK);
        };
        match error.client_error() {
            Some(said) => said.status(),
            // It has answered, but not in the way that the schema wants it.
            None => (error.kind() == ErrorKind::Output).then_some(OK),
        }
    }
}

impl Prediction {
    /// A prediction, for functions written outside this crate.
    #[must_use]
    pub fn new(row: Vec<Value>, sequence_id: Option<String>) -> Self {
        Self {
            row,
            sequence_id,
            sequence_restarted: false,
            status: PredictionStatus::Answered,
            part: 0,
            is_last: true,
            unseen: None,
        }
    }

    /// This one as it is handed to whoever asked.
    pub(crate) fn seen(mut self) -> Self {
        if let Some(mark) = self.unseen.take() {
            mark.seen();
        }
        self
    }
}

/// The answer to a row that was handed over; it holds on to neither the function nor the row.
pub type PredictionFuture =
    Pin<Box<dyn Future<Output = Result<Prediction, Error>> + Send + 'static>>;
