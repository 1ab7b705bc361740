//! Sends the requests that the machine wants sent.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tracing::{Instrument as _, debug_span};
use triton_client::Sequence;
use triton_options::MAX_IN_FLIGHT;

use super::machine::{
    Content, Failed, FailureEffect, KeptRow, LostId, Outcome, Request, ServerFacts, digest,
};
use super::{SequenceTransport, Shared, Task};
use crate::tensor_plan::EncodedRow;
use crate::{CallContext, Error, ErrorKind, Value, packed_row, server_wait};

/// Sends one request after the other.
pub(super) fn serve<T: SequenceTransport>(
    shared: Arc<Shared<T>>,
) -> impl Future<Output = ()> + Send {
    let task = Task(shared);
    async move { task.0.serve().await }
}

impl<T: SequenceTransport> Shared<T> {
    async fn serve(self: &Arc<Self>) {
        while let Ok(permit) = self.ready.acquire().await {
            permit.forget();
            let (request, is_given_up) = {
                let mut state = self.lock();
                let Some(request) = state.take_request() else {
                    continue;
                };
                state.resting -= 1;
                let is_given_up = state.machine.is_given_up(&request);
                (request, is_given_up)
            };
            let outcome = match is_given_up {
                true => not_sent(&self.open),
                false => self.send_safely(&request).await,
            };
            self.lock().resting += 1;
            self.with(|machine, now| {
                if let (Outcome::Failed(failed), Some(several)) = (&outcome, &self.settings.several)
                    && failed.effect == FailureEffect::Away
                {
                    // What is known of its server by now is to be known when it is recovered.
                    machine.offered(now, &several.offers(&self.open.replicas));
                }
                machine.outcome(now, &request.key, request.number, outcome);
            });
        }
    }

    /// Sends a request; a panic costs that one only.
    async fn send_safely(&self, request: &Request) -> Outcome {
        let sent = AssertUnwindSafe(self.carry_out(request)).catch_unwind();
        sent.await.unwrap_or_else(|panic| {
            Outcome::Failed(Failed {
                error: panicked(&*panic),
                effect: FailureEffect::Uncertain,
                server: None,
            })
        })
    }
}

/// The outcome of a request that stood behind others until nobody could use it any more.
pub(super) fn not_sent(open: &CallContext) -> Outcome {
    let message = format!(
        "nothing was sent: the row waited for one of the {} requests that may be in flight \
         (option '{}') until its deadline, or until it was given up",
        open.max_in_flight(),
        MAX_IN_FLIGHT.key()
    );
    Outcome::Failed(Failed {
        error: Error::new(ErrorKind::Call, message),
        effect: FailureEffect::None,
        server: None,
    })
}

impl<T: SequenceTransport> Shared<T> {
    async fn carry_out(&self, request: &Request) -> Outcome {
        let cells = self.settings.columns.len();
        let row = match &request.content {
            Content::Encoded(row) => Ok(Arc::clone(row)),
            Content::Packed(packed) => packed_row::unpack(packed, cells)
                .map(Arc::new)
                .ok_or(Outcome::Unsendable),
            Content::Carried(earlier, index) => earlier
                .row(*index)
                .map(Arc::new)
                .map_err(|_| Outcome::Unsendable),
        };
        let row = match row {
            Ok(row) => row,
            Err(outcome) => return outcome,
        };
        match self.send(request, &row).await {
            Ok(values) => self.answered(request, &row, values),
            Err(error) => Outcome::Failed(Failed {
                effect: match effect(&error) {
                    FailureEffect::None if self.is_away(request, &error) => FailureEffect::Away,
                    effect => effect,
                },
                server: self.server_facts(&error),
                error,
            }),
        }
    }

    async fn send(&self, request: &Request, row: &EncodedRow) -> Result<Vec<Value>, Error> {
        let ids = self.open.id_generator.as_deref();
        let id = self.settings.sent_id(ids, request.counter)?;
        // Made when somebody reads it.
        let name = || self.settings.name(ids, &LostId::Own(request.counter));
        let span = debug_span!(
            "sequence",
            key = self.settings.display.show(&request.key),
            sequence_id = name().map(tracing::field::display),
            row = request.row,
            subtask = self.open.subtask.index(),
            attempt = self.open.subtask.attempt(),
        );
        let sequence = Sequence {
            id,
            start: request.start,
            end: request.end,
        };
        let sent = self
            .transport
            .send(row, sequence, request.server, request.deadline);
        let sent = sent.instrument(span).await;
        sent.map_err(|error| error.in_sequence(name()).at_row(request.row))
    }

    fn answered(&self, request: &Request, row: &EncodedRow, values: Vec<Value>) -> Outcome {
        let is_replay = !matches!(request.content, Content::Encoded(_));
        let compares = self.settings.compares() && (request.is_kept || is_replay);
        let digest = compares.then(|| digest(&values));
        Outcome::Answered {
            kept: request.is_kept.then(|| KeptRow {
                packed: packed_row::pack(row).into(),
                digest,
            }),
            digest,
            values,
        }
    }

    /// Whether a request was not executed because its server is away, while others are there.
    fn is_away(&self, request: &Request, error: &Error) -> bool {
        self.settings.several.is_some() && self.open.is_away(request.server, error, request.start)
    }

    fn server_facts(&self, error: &Error) -> Option<ServerFacts> {
        let wait = self.open.server_wait.as_ref()?;
        Some(ServerFacts {
            answered: wait.answered(),
            capacity: wait.capacity(),
            found_away: wait.last_found_away(),
            longest_doubt: wait.longest_doubt(),
            may_be_away: server_wait::may_be_away(error),
        })
    }
}

/// What a failed request has done to its sequence.
fn effect(error: &Error) -> FailureEffect {
    match error.kind() {
        ErrorKind::SequenceLost => FailureEffect::Forgotten,
        ErrorKind::SequenceUncertain => FailureEffect::Uncertain,
        ErrorKind::Output => FailureEffect::Executed,
        _ => FailureEffect::None,
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let said = panic.downcast_ref::<&str>().map(ToString::to_string);
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    let message = format!(
        "a panic while the row was sent, which is a fault of this program: {}",
        said.as_deref().unwrap_or("nothing is said of it")
    );
    Error::new(ErrorKind::Internal, message)
}
