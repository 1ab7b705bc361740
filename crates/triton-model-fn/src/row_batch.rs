//! Rows of one request, and what happens to them when the server refuses it.

use std::ops::Range;
use std::pin::Pin;

use futures_util::future;
use tokio::time::Instant;
use triton_client::{ErrorKind as ClientErrorKind, InferResponse};

use crate::call::{FaultOrigin, RetrySafety};
use crate::row_block::RowBlock;
use crate::tensor_plan::TensorPlan;
use crate::{CallContext, Error, RequestPermit};

/// Sends a `part` of rows of a stateless model, and hands the answer to each of its parts to `done`
/// as soon as it is there.
///
/// Where the server refuses a request of several rows, its halves are sent side by side, until the
/// culprit is alone: one bad row costs the others nothing but requests. Each request has a permit;
/// the first one has that of the caller.
pub(crate) async fn answer<Done>(
    open: &CallContext,
    plan: &TensorPlan,
    rows: &RowBlock,
    part: Range<usize>,
    permit: RequestPermit,
    deadline: Option<Instant>,
    done: Done,
) where
    Done: Fn(Range<usize>, Result<InferResponse, Error>) + Sync,
{
    let sending = Sending {
        open,
        plan,
        rows,
        deadline,
        done,
    };
    sending.answer(part, Some(permit)).await;
}

struct Sending<'a, Done> {
    open: &'a CallContext,
    plan: &'a TensorPlan,
    rows: &'a RowBlock,
    deadline: Option<Instant>,
    done: Done,
}

impl<Done: Fn(Range<usize>, Result<InferResponse, Error>) + Sync> Sending<'_, Done> {
    async fn answer(&self, range: Range<usize>, permit: Option<RequestPermit>) {
        let permit = match permit {
            Some(permit) => permit,
            None => match self.open.request_permit(self.deadline).await {
                Ok(permit) => permit,
                Err(error) => return (self.done)(range, Err(error)),
            },
        };
        let result = self.send(&range).await;
        let is_to_split = || match &result {
            Ok(response) => self.plan.has_broken_text(response),
            Err(error) => may_be_one_rows_fault(error),
        };
        if range.len() == 1 || !is_to_split() {
            drop(permit);
            return (self.done)(range, result);
        }
        let middle = range.start + range.len() / 2;
        let first = self.half(range.start..middle, Some(permit));
        let second = self.half(middle..range.end, None);
        future::join(first, second).await;
    }

    /// As [`answer`](Self::answer), which cannot have itself within itself.
    fn half(
        &self,
        range: Range<usize>,
        permit: Option<RequestPermit>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.answer(range, permit))
    }

    async fn send(&self, range: &Range<usize>) -> Result<InferResponse, Error> {
        let Self {
            open, plan, rows, ..
        } = self;
        let request = plan.request(open.model.clone(), rows.tensors(plan, range)?);
        open.metrics().batch(range.len());
        let origin = |error: &triton_client::Error| match error.kind() {
            // One bad row of several is no sign of a failing server.
            ClientErrorKind::Server if range.len() > 1 => FaultOrigin::Unknown,
            _ => FaultOrigin::of(error),
        };
        open.infer_with(request, None, self.deadline, RetrySafety::of(None), origin)
            .await
    }
}

/// The server's validation refuses a request as a whole, and a model's exception fails it so; and
/// an answer may be unreadable for one row's sake, as where a server writes what is no number as
/// JSON, or have room for fewer rows. Models without state can be asked again.
fn may_be_one_rows_fault(error: &Error) -> bool {
    let kind = error.client_error().map(triton_client::Error::kind);
    matches!(
        kind,
        Some(
            ClientErrorKind::Rejected
                | ClientErrorKind::RequestTooLarge
                | ClientErrorKind::ResponseTooLarge
                | ClientErrorKind::Server
                | ClientErrorKind::Protocol
        )
    )
}
