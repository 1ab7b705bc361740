//! Rows of a stateless model that are handed over together, encoded column by column, so that none
//! of them costs a value object, a channel or a task of its own.

mod answers;
mod column;
mod encoded;
mod sending;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use triton_client::InferResponse;

use self::answers::Answers;
pub(crate) use self::answers::Collect;
pub use self::answers::RowsPrediction;
use self::column::ColumnBuilder;
#[cfg(feature = "arrow")]
pub(crate) use self::column::{EncodedColumn, RowMarks};
pub(crate) use self::encoded::EncodedRows;
pub(crate) use self::sending::{MostOfRequest, answer_groups};
#[cfg(doc)]
use crate::ErrorKind;
use crate::answering::Answering;
use crate::lanes::Lane;
use crate::{Error, InferenceFunction, Value};

/// Rows in the binary form in which a function's model takes them.
///
/// They can be sent by any function of the same options, schema and model.
#[derive(Debug)]
pub struct InputRows {
    pub(crate) encoded: EncodedRows,
    /// The rows that are not sent, in order.
    left_out: Vec<usize>,
}

impl InputRows {
    /// How many rows there are, with those that are left out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.encoded.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows that are sent, unless all are.
    fn sent(&self) -> Option<Vec<usize>> {
        if self.left_out.is_empty() {
            return None;
        }
        let is_sent = |row: &usize| self.left_out.binary_search(row).is_err();
        Some((0..self.len()).filter(is_sent).collect())
    }
}

/// Makes [`InputRows`] of values, column by column or row by row.
pub struct InputRowsBuilder {
    answering: Arc<Answering>,
    columns: Vec<Filled>,
}

enum Filled {
    Values(ColumnBuilder),
    #[cfg(feature = "arrow")]
    Whole(EncodedColumn),
}

impl fmt::Debug for InputRowsBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("InputRowsBuilder");
        shown.field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl InputRowsBuilder {
    fn new(answering: &Arc<Answering>) -> Self {
        Self {
            answering: Arc::clone(answering),
            columns: Self::empty(answering),
        }
    }

    fn empty(answering: &Answering) -> Vec<Filled> {
        let inputs = answering.plan.inputs.iter();
        inputs
            .map(|planned| Filled::Values(ColumnBuilder::new(planned)))
            .collect()
    }

    /// Adds the value of a further row to an input column of the schema. What the model cannot take
    /// is an error of that row, which its [prediction](RowsPrediction::failures) has.
    #[inline]
    pub fn push(&mut self, column: usize, value: &Value) {
        let planned = self.answering.plan.inputs.get(column);
        match planned.zip(self.columns.get_mut(column)) {
            Some((planned, Filled::Values(builder))) => builder.push(planned, value),
            _ => debug_assert!(false, "a column of the schema that is filled by values"),
        }
    }

    /// Takes all rows of an input column from an array, whose type is one that
    /// [`predict_batch`](InferenceFunction::predict_batch) takes; otherwise it says false.
    #[cfg(feature = "arrow")]
    pub fn set_array(&mut self, column: usize, array: &arrow_array::ArrayRef) -> bool {
        let planned = self.answering.plan.inputs.get(column);
        match planned.zip(self.columns.get_mut(column)) {
            Some((planned, filled)) if crate::arrow::takes(planned, array) => {
                *filled = Filled::Whole(crate::arrow::encoded(planned, array));
                true
            }
            _ => false,
        }
    }

    /// How many bytes the values take that were pushed.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let columns = self.columns.iter().map(|column| match column {
            Filled::Values(builder) => builder.bytes(),
            #[cfg(feature = "arrow")]
            Filled::Whole(_) => 0,
        });
        columns.sum()
    }

    /// The rows so far, of which each column has so many. Those that are `left_out`, in order, are not
    /// sent.
    pub fn finish(&mut self, rows: usize, left_out: Vec<usize>) -> InputRows {
        let columns = std::mem::replace(&mut self.columns, Self::empty(&self.answering));
        let columns = columns.into_iter().map(|column| match column {
            Filled::Values(builder) => builder.finish(),
            #[cfg(feature = "arrow")]
            Filled::Whole(column) => column,
        });
        InputRows {
            encoded: EncodedRows::new(columns.collect(), rows),
            left_out,
        }
    }
}

impl InferenceFunction {
    /// What makes rows that can be handed over together; `None` where each row has to be handed over
    /// by itself: where rows have sequences, several answers or a cache, or where a request carries
    /// one row anyway.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the function is not open.
    pub fn input_rows(&self) -> Result<Option<InputRowsBuilder>, Error> {
        let opened = self.opened()?;
        let prepared = &opened.prepared;
        let is_together = matches!(prepared.lane, Lane::Batched(_)) && prepared.cached.is_none();
        Ok(is_together.then(|| InputRowsBuilder::new(&prepared.answering)))
    }

    /// Answers rows of a stateless model, as many in a request as the option `batch-size` and the model
    /// allow, until `stop` comes: what is not answered by then is [given up](RowsPrediction::given_up).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the function is not open. What is wrong with single rows does not fail
    /// the others.
    pub async fn predict_rows(
        &self,
        rows: &InputRows,
        stop: impl Future<Output = ()>,
    ) -> Result<RowsPrediction, Error> {
        let opened = self.opened()?;
        let answering = &*opened.prepared.answering;
        let columns = self.schema().outputs.len();
        let mut answers = Answers::new(answering, columns, rows.len());
        answer_rows(answering, rows, stop, &mut answers).await;
        Ok(answers.finish(&rows.left_out))
    }

    /// As [`predict_rows`](Self::predict_rows), with the answers as the columns of a record batch, whose
    /// arrays are lists of no fixed size. Rows that are given up or left out are NULL.
    ///
    /// # Errors
    ///
    /// As [`predict_rows`](Self::predict_rows), and [`ErrorKind::Output`] when the answers make no
    /// record batch.
    #[cfg(feature = "arrow")]
    pub async fn predict_rows_to_arrow(
        &self,
        rows: &InputRows,
        stop: impl Future<Output = ()>,
    ) -> Result<crate::BatchPrediction, Error> {
        let opened = self.opened()?;
        let answering = &*opened.prepared.answering;
        let mut answers = crate::arrow::Answers::of_lists(answering, self.schema(), rows.len());
        answer_rows(answering, rows, stop, &mut answers).await;
        answers.finish_with(&rows.left_out)
    }
}

async fn answer_rows(
    answering: &Answering,
    rows: &InputRows,
    stop: impl Future<Output = ()>,
    answers: &mut (impl Collect + Send),
) {
    let sent = rows.sent();
    let (groups, faults) = rows.encoded.groups(sent.as_deref());
    for (row, error) in faults {
        answers.push_row(row, answering.conclude(Err(error)));
    }
    let answers = Mutex::new(answers);
    let done = |rows: &[usize], result: Result<InferResponse, Error>| {
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push_part(rows, result);
    };
    let most = MostOfRequest {
        rows: answering.plan.rows_per_request,
        bytes: answering.plan.bytes_per_request,
    };
    tokio::select! {
        biased;
        () = answer_groups(answering, &groups, most, &done) => {}
        () = stop => {}
    }
}
