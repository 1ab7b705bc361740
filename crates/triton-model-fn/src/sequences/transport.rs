//! What sends a row of a sequence: the model, or in tests a picture of a server.

use std::sync::Arc;

use tokio::time::Instant;
use triton_client::{ErrorKind as ClientErrorKind, Sequence};

use super::versions::SequenceVersions;
use crate::replicas::ReplicaId;
use crate::tensor_plan::{EncodedRow, TensorPlan};
use crate::{CallContext, Error, ErrorKind, Value};

/// Sends rows of sequences.
pub(crate) trait SequenceTransport: Send + Sync + 'static {
    /// Sends one row to a server and returns the model's answer to it; gives it up at `deadline`.
    ///
    /// An error says by its kind what happened to the sequence: after
    /// [`ErrorKind::SequenceUncertain`] and [`ErrorKind::Output`] the model may have taken the row
    /// in, after [`ErrorKind::SequenceLost`] it does not know the sequence, and after any other it
    /// is as it was before.
    fn send(
        &self,
        row: &EncodedRow,
        sequence: Sequence,
        server: ReplicaId,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Vec<Value>, Error>> + Send;
}

/// Sends rows to the model of an open function.
#[derive(Debug)]
pub(crate) struct ModelTransport {
    pub(crate) open: Arc<CallContext>,
    pub(crate) plan: Arc<TensorPlan>,
    /// The versions that sequences stay with, where they do.
    pub(crate) versions: Option<SequenceVersions>,
}

impl SequenceTransport for ModelTransport {
    async fn send(
        &self,
        row: &EncodedRow,
        sequence: Sequence,
        server: ReplicaId,
        deadline: Option<Instant>,
    ) -> Result<Vec<Value>, Error> {
        let permit = self.open.request_permit(deadline).await?;
        let inputs = self.plan.tensors(row)?;
        let mut model = self.open.model.clone();
        let stays = self.versions.as_ref().map(|versions| {
            let stay = versions.stay(&sequence);
            model = stay.model(model.clone());
            stay
        });
        let request = self.plan.request(model, inputs);
        let answer = self.open.infer_once(request, sequence, server, deadline);
        let answer = answer.await;
        drop(permit);
        let answer = match stays {
            Some(stay) => stay.answered(answer),
            None => answer,
        };
        self.plan.row(&answer.map_err(lost_where_unknown)?)
    }
}

fn lost_where_unknown(error: Error) -> Error {
    let kind = error.client_error().map(triton_client::Error::kind);
    match (error.kind(), kind) {
        (ErrorKind::Call, Some(ClientErrorKind::SequenceNotStarted)) => error.with_kind(
            ErrorKind::SequenceLost,
            "the server no longer knows the sequence, so the row was not answered",
        ),
        _ => error,
    }
}
