//! One row on its way through an open function: its deadline, its permit, its sequence, its calls.

use std::sync::{Arc, OnceLock};

use tokio::sync::OnceCell;
use tokio::time::Instant;
use triton_client::{Client, InferRequest, InferResponse, Sequence};

use crate::sequence_name::SequenceName;
use crate::{
    CallContext, Error, Prediction, RequestPermit, SequenceSnapshot, TakenSequence, Value,
};

/// What a row has from the moment at which it is handed over until it is answered.
///
/// Its deadline (option `row-deadline`) begins at once. Its permit (option `max-in-flight`) is waited
/// for with its first call and kept until the row is answered, so that a function that is closed waits
/// for a row between two of its calls, too.
#[derive(Debug)]
pub struct RowCall {
    open: Arc<CallContext>,
    deadline: Option<Instant>,
    permit: OnceCell<RequestPermit>,
    sequence: OnceLock<OwnSequence>,
}

/// The sequence of a row of its own. Its ID can be given out again however the row ends: what of it may
/// be on the server is known to the calls that it went through, and one that went through none was
/// never sent.
#[derive(Debug)]
struct OwnSequence(Option<TakenSequence>);

impl Drop for OwnSequence {
    fn drop(&mut self) {
        if let Some(taken) = self.0.take() {
            taken.release();
        }
    }
}

impl RowCall {
    pub(crate) fn begin(open: Arc<CallContext>) -> Self {
        let deadline = open.row_deadline();
        Self::begin_until(open, deadline)
    }

    /// As [`begin`](Self::begin), for a row whose deadline has begun before.
    pub(crate) fn begin_until(open: Arc<CallContext>, deadline: Option<Instant>) -> Self {
        Self {
            deadline,
            permit: OnceCell::new(),
            sequence: OnceLock::new(),
            open,
        }
    }

    /// What calls go through while the function is open.
    #[must_use]
    pub fn context(&self) -> &Arc<CallContext> {
        &self.open
    }

    /// By when the row has to be answered, if there is such a moment.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The row's place in a sequence, which is taken when it is asked for first; `None` where the options
    /// say that requests have none.
    ///
    /// # Errors
    ///
    /// As [`CallContext::next_sequence`].
    pub fn sequence(&self) -> Result<Option<&Sequence>, Error> {
        if self.sequence.get().is_none() {
            let taken = OwnSequence(self.open.next_sequence()?);
            // Whoever was first has another one, and this one is given back.
            let _ = self.sequence.set(taken);
        }
        Ok(self.taken().map(|taken| &**taken))
    }

    fn taken(&self) -> Option<&TakenSequence> {
        self.sequence.get()?.0.as_ref()
    }

    /// The name of the sequence that the row has taken.
    pub(crate) fn sequence_name(&self) -> Option<SequenceName> {
        self.taken().map(|taken| taken.name.clone())
    }

    /// Sends an inference request, in the row's place in a sequence, if options say that it has one.
    ///
    /// # Errors
    ///
    /// As [`sequence`](Self::sequence), [`CallContext::request_permit`] and [`CallContext::call`].
    pub async fn infer(&self, request: InferRequest) -> Result<InferResponse, Error> {
        let sequence = self.sequence()?;
        self.wait_for_permit().await?;
        let answer = self.open.infer(request, sequence, self.deadline).await;
        answer.map_err(|error| self.named(error))
    }

    /// Makes any other call: `operation` gets the client, once for each attempt.
    ///
    /// Where the row has taken its [`sequence`](Self::sequence), the call is one within it, and is sent
    /// again only where the server certainly did not execute it; `operation` has to send it then.
    ///
    /// # Errors
    ///
    /// As [`CallContext::request_permit`] and [`CallContext::call`].
    pub async fn call<T, F>(&self, operation: impl Fn(Client) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, triton_client::Error>>,
    {
        self.wait_for_permit().await?;
        let sequence = self.taken().map(|taken| &**taken);
        let answer = self.open.call(sequence, self.deadline, operation).await;
        answer.map_err(|error| self.named(error))
    }

    async fn wait_for_permit(&self) -> Result<(), Error> {
        let permit = || self.open.request_permit(self.deadline);
        let permit = self.permit.get_or_try_init(permit).await;
        permit.map(drop).map_err(|error| self.named(error))
    }

    fn named(&self, error: Error) -> Error {
        error.in_sequence(self.sequence_name())
    }

    /// What `work` comes to, counted, unless the function is given up before.
    pub(crate) async fn answered_by<T>(
        self: Arc<Self>,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let ending = &self.open.ending;
        let result = ending.or("before the row was answered", work).await;
        self.open.conclude(result)
    }

    /// The answer to the row, with the sequence that it has taken.
    #[must_use]
    pub fn prediction(&self, row: Vec<Value>) -> Prediction {
        let sequence_id = self.taken().map(|taken| taken.id.to_string());
        Prediction::new(row, sequence_id)
    }
}

impl CallContext {
    /// Answers a row: begins its deadline here and now, lets `work` call the server for it, counts it as
    /// answered or failed, and says in its error in which subtask it was.
    ///
    /// `work` does what only this function does, with [`RowCall::infer`] or [`RowCall::call`] for calls.
    /// Dropping the future gives the row up, and counts nothing; the server may execute it all the same.
    ///
    /// # Errors
    ///
    /// Whatever `work` fails with, and [`ErrorKind::State`](crate::ErrorKind::State) when the function is
    /// given up meanwhile.
    pub fn row<T, W, F>(
        self: &Arc<Self>,
        work: W,
    ) -> impl Future<Output = Result<T, Error>> + use<T, W, F>
    where
        W: FnOnce(Arc<RowCall>) -> F,
        F: Future<Output = Result<T, Error>>,
    {
        let call = Arc::new(RowCall::begin(Arc::clone(self)));
        let work = work(Arc::clone(&call));
        call.answered_by(work)
    }

    /// Counts a row, and says of a failure where it was.
    pub(crate) fn conclude<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        match result {
            Ok(answer) => {
                self.metrics().row_answered();
                Ok(answer)
            }
            Err(error) => {
                self.metrics().row_failed(&error);
                Err(error.in_subtask(self.subtask))
            }
        }
    }

    /// What a snapshot has of a function that keeps nothing but the counter of its sequence IDs.
    pub(crate) fn snapshot_counter(&self) -> SequenceSnapshot {
        let Some(ids) = &self.id_generator else {
            return SequenceSnapshot::default();
        };
        let now = Instant::now();
        SequenceSnapshot {
            alive_numbers: ids.alive(now),
            alive_rows: ids.alive_rows(now),
            ..SequenceSnapshot::new(ids.peek(), Vec::new())
        }
    }

    /// Goes on counting behind the IDs of a snapshot, which has no sequences of keys.
    pub(crate) fn restore_counter(&self, snapshot: &SequenceSnapshot) -> Result<(), Error> {
        snapshot.check_without_keys()?;
        match &self.id_generator {
            Some(ids) => ids.take_over(Instant::now(), snapshot),
            None => Ok(()),
        }
    }
}
