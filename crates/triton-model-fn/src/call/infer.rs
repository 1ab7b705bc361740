//! Sends inference requests as calls.

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use triton_client::{Client, InferRequest, InferResponse, Sequence};

use super::connection::Connection;
use super::fault_origin::{FaultOrigin, RetrySafety};
use crate::replicas::{ReplicaId, Replicas, Target};
use crate::{CallContext, Error};

impl CallContext {
    /// Sends an inference request, in the place of a sequence that [`next_sequence`] gave.
    ///
    /// The options `priority` and `server-timeout` are added to it. `deadline` is the row's
    /// [`row_deadline`](Self::row_deadline).
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// [`next_sequence`]: Self::next_sequence
    pub async fn infer(
        &self,
        request: InferRequest,
        sequence: Option<&Sequence>,
        deadline: Option<Instant>,
    ) -> Result<InferResponse, Error> {
        let safety = RetrySafety::of(sequence);
        self.infer_with(request, sequence, deadline, safety, FaultOrigin::of)
            .await
    }

    /// Sends an inference request in the middle or at the start of a sequence, and never again
    /// when the server may have executed it: not even with START, which would reset the sequence
    /// when it arrives late.
    pub(crate) async fn infer_once(
        &self,
        request: InferRequest,
        sequence: Sequence,
        server: ReplicaId,
        deadline: Option<Instant>,
    ) -> Result<InferResponse, Error> {
        let safety = RetrySafety::UnlessExecuted;
        let request = self.complete(request, Some(sequence));
        let sequence = request.sequence.as_ref();
        let infer = |client, connection| {
            let answer = infer(client, &request);
            async move {
                let answer = answer.await;
                drop::<Connection>(connection);
                answer
            }
        };
        // Whoever sends rows of keys is given up as a whole, and need not look out for it.
        let target = match &self.replicas {
            Replicas::Only(_) => Target::Any,
            Replicas::Several(_) => Target::On {
                server,
                of_version: request.model != self.model,
            },
        };
        self.call_patiently(target, sequence, deadline, safety, FaultOrigin::of, infer)
            .await
    }

    pub(crate) async fn infer_with(
        &self,
        request: InferRequest,
        sequence: Option<&Sequence>,
        deadline: Option<Instant>,
        safety: RetrySafety,
        origin: impl Fn(&triton_client::Error) -> FaultOrigin,
    ) -> Result<InferResponse, Error> {
        let request = self.complete(request, sequence.cloned());
        let infer = |client| infer(client, &request);
        self.call_with(sequence, deadline, safety, origin, infer)
            .await
    }
}

/// An attempt, in a box: what waits for it is moved from one future into the next, and would be many
/// times as large with it.
fn infer(client: Client, request: &InferRequest) -> BoxFuture<'_, ClientResult> {
    Box::pin(async move { client.infer(request).await })
}

type ClientResult = Result<InferResponse, triton_client::Error>;
