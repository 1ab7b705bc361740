//! Rows that travel in one request, and what becomes of them when the server refuses it.

use std::ops::Range;

use tokio::time::Instant;
use triton_client::{ErrorKind as ClientErrorKind, InferRequest, InferResponse, Tensor};

use crate::call::{FaultOrigin, RetrySafety};
use crate::tensor_plan::{EncodedRow, TensorPlan};
use crate::{CallContext, Error};

/// Rows that can be sent together, and in any part.
pub(crate) trait Rows {
    /// How many there are.
    fn count(&self) -> usize;

    /// The input tensors of some of them.
    fn tensors(&self, plan: &TensorPlan, range: Range<usize>) -> Result<Vec<Tensor>, Error>;
}

impl Rows for [&EncodedRow] {
    fn count(&self) -> usize {
        self.len()
    }

    fn tensors(&self, plan: &TensorPlan, range: Range<usize>) -> Result<Vec<Tensor>, Error> {
        plan.tensors(&self[range])
    }
}

/// The answer to a part of the rows.
pub(crate) struct PartAnswer {
    pub(crate) range: Range<usize>,
    pub(crate) result: Result<InferResponse, Error>,
}

/// Sends rows of a stateless model, and answers every one of them: the parts are in order.
///
/// Where the server refuses a request of several rows, the request is split until the culprit is
/// alone: one bad row does not fail the others.
pub(crate) async fn answer<R: Rows + ?Sized>(
    open: &CallContext,
    plan: &TensorPlan,
    rows: &R,
    deadline: Option<Instant>,
) -> Vec<PartAnswer> {
    let mut answers = Vec::new();
    // The part to be sent next is the last one.
    let mut parts = Vec::from([Range {
        start: 0,
        end: rows.count(),
    }]);
    while let Some(range) = parts.pop() {
        let result = send(open, plan, rows, range.clone(), deadline).await;
        if range.len() > 1 && result.as_ref().is_err_and(may_be_one_rows_fault) {
            let middle = range.start + range.len() / 2;
            parts.push(middle..range.end);
            parts.push(range.start..middle);
        } else {
            answers.push(PartAnswer { range, result });
        }
    }
    answers
}

async fn send<R: Rows + ?Sized>(
    open: &CallContext,
    plan: &TensorPlan,
    rows: &R,
    range: Range<usize>,
    deadline: Option<Instant>,
) -> Result<InferResponse, Error> {
    let request = request(open, plan, rows.tensors(plan, range.clone())?);
    open.metrics().batch(range.len());
    let origin = |error: &triton_client::Error| match error.kind() {
        // One bad row of several is no sign of a failing server.
        ClientErrorKind::Server if range.len() > 1 => FaultOrigin::Unknown,
        _ => FaultOrigin::of(error),
    };
    open.infer_with(request, None, deadline, RetrySafety::of(None), origin)
        .await
}

/// The request for input tensors, but for its place in a sequence.
pub(crate) fn request(open: &CallContext, plan: &TensorPlan, inputs: Vec<Tensor>) -> InferRequest {
    let request = InferRequest::new(open.model.clone());
    let request = inputs.into_iter().fold(request, InferRequest::input);
    let outputs = plan.outputs.iter();
    outputs.fold(request, |request, planned| {
        request.output(&planned.tensor_name)
    })
}

/// The server's validation refuses a request as a whole, and a model's exception fails it so.
fn may_be_one_rows_fault(error: &Error) -> bool {
    let kind = error.client_error().map(triton_client::Error::kind);
    matches!(
        kind,
        Some(
            ClientErrorKind::Rejected | ClientErrorKind::RequestTooLarge | ClientErrorKind::Server
        )
    )
}
