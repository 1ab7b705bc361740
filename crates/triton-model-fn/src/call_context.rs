//! What calls go through while a function is open: the server, the sequence counter, the limits.

mod sequence_ids;

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing::info;
use triton_client::{Client, InferRequest, ModelId, Sequence};
use triton_options::{
    MaxInFlight, PositiveDuration, SequenceMode, SequenceRecovery, TritonOptions,
};

use crate::call::is_not_served;
use crate::ending::{Ended, Ending};
use crate::executions::{self, RanBefore};
use crate::live_numbers::LiveNumbers;
use crate::metrics::FunctionMetrics;
use crate::permits::{NoPermit, PermitKind};
use crate::replicas::{NotLookedUp, ReplicaId, Replicas, Resolver};
use crate::request_limit::{LimitedPermit, RequestLimit};
use crate::retry::{LONGEST, RetryBudget, RetryPolicy};
use crate::sequence_id_generator::SequenceIdGenerator;
use crate::server_wait::Served;
use crate::{Error, ErrorKind, ModelFacts, SequenceIdForm, ServerWait, Subtask};

/// Everything that exists only while a function is open, and that calls go through.
#[derive(Debug)]
pub struct CallContext {
    /// The model to call.
    pub model: ModelId,
    /// The subtask in which the function runs.
    pub subtask: Subtask,
    pub(crate) replicas: Replicas,
    priority: Option<u64>,
    server_timeout: Option<Duration>,
    sequence_mode: SequenceMode,
    options: TritonOptions,
    /// How sequence IDs are sent, once that is agreed.
    id_form: OnceLock<SequenceIdForm>,
    /// The IDs of sequences that number themselves.
    pub(crate) id_generator: Option<Arc<SequenceIdGenerator>>,
    /// What shows that the job has run before this open, if anything does.
    pub(crate) ran_before: Option<RanBefore>,
    /// How many requests may be in flight.
    pub(crate) requests: RequestLimit,
    pub(crate) retry: RetryPolicy,
    /// What all calls together may spend on retries.
    pub(crate) retry_budget: RetryBudget,
    /// The most time that all attempts of a logical call may take together, and each wait for a
    /// permit of its own, where no deadline says less.
    pub(crate) call_budget: Duration,
    /// How long a row may take, with all that is done for it.
    row_deadline: Option<Duration>,
    metrics: FunctionMetrics,
    /// How calls wait for a server that is away, where rows can wait.
    pub(crate) server_wait: Option<ServerWait>,
    _served: Option<Served>,
    /// What tells rows in flight that they are given up.
    pub(crate) ending: Ending,
}

/// The right to have one request in flight; dropping it gives the right back.
#[derive(Debug)]
pub struct RequestPermit(#[expect(dead_code, reason = "it is held for its drop")] LimitedPermit);

impl CallContext {
    /// Sets everything up; `again` says that the function was open before, and `live` which IDs it
    /// may have left on the server.
    pub(crate) fn new(
        options: &TritonOptions,
        subtask: Subtask,
        again: bool,
        live: Arc<LiveNumbers>,
        server_wait: Option<ServerWait>,
        resolver: Option<&Arc<dyn Resolver>>,
    ) -> Result<Self, Error> {
        let sequence_mode = options.sequence_mode().clone();
        let opened = executions::note(&subtask, again);
        let id_generator = sequence_mode.ids().map(|ids| {
            let (ids, now) = (ids.clone(), SystemTime::now());
            Arc::new(SequenceIdGenerator::new(ids, subtask, &opened, live, now))
        });
        // One after the other is the only order that the server keeps within a sequence.
        let max_in_flight = match &sequence_mode {
            SequenceMode::Static { flags, .. } if !flags.are_both() => {
                MaxInFlight::Fixed(NonZeroU32::MIN)
            }
            _ => options.max_in_flight,
        };
        let model = ModelId::new(options.model_name.clone(), options.model_version.clone());
        let replicas = Replicas::new(options, &model, resolver)?;
        let retry = RetryPolicy::from(&**options);
        let retry_budget = RetryBudget::new(options);
        let metrics = FunctionMetrics::new(&options.model_name, subtask);
        metrics.retry_budget(retry_budget.left(), false);
        let requests = RequestLimit::new(max_in_flight, &model, subtask, metrics.in_flight_limit());
        Ok(Self {
            model,
            subtask,
            replicas,
            call_budget: call_budget(options),
            row_deadline: options.row_deadline.map(PositiveDuration::get),
            retry,
            retry_budget,
            priority: options.priority,
            server_timeout: options.server_timeout.map(PositiveDuration::get),
            sequence_mode,
            id_form: OnceLock::new(),
            options: options.clone(),
            id_generator,
            ran_before: opened.ran_before,
            requests,
            metrics,
            _served: server_wait
                .as_ref()
                .map(|wait| wait.serves(max_in_flight.most().get() as usize)),
            server_wait,
            ending: Ending::new(),
        })
    }

    /// The options of the function.
    #[must_use]
    pub fn options(&self) -> &TritonOptions {
        &self.options
    }

    /// The client of the endpoint, shared by functions with equal transport settings; where it has
    /// several servers, that of one which is likely to answer.
    ///
    /// What is called directly is not retried and not counted: see [`call`](Self::call).
    #[must_use]
    pub fn client(&self) -> Client {
        self.replicas.client()
    }

    /// Counts rows, calls and failures.
    #[must_use]
    pub fn metrics(&self) -> &FunctionMetrics {
        &self.metrics
    }

    /// The moment by which a row that is handed over now has to be answered, if there is one.
    ///
    /// Whoever begins a row asks once, and hands it down to all that is done for the row.
    #[must_use]
    pub fn row_deadline(&self) -> Option<Instant> {
        let time = self.row_deadline?;
        Instant::now().checked_add(time)
    }

    /// Whether requests belong to sequences.
    #[cfg(feature = "arrow")]
    pub(crate) fn has_sequences(&self) -> bool {
        self.sequence_mode != SequenceMode::None
    }

    /// The most requests that are ever in flight at once.
    pub(crate) fn max_in_flight(&self) -> usize {
        self.requests.most() as usize
    }

    /// Waits for the right to have one more request in flight, as `max-in-flight` allows, until
    /// the row's `deadline` at most.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the function is closed or given up meanwhile, and
    /// [`ErrorKind::Call`] when the deadline comes first; nothing was sent.
    pub async fn request_permit(&self, deadline: Option<Instant>) -> Result<RequestPermit, Error> {
        let seconds = self.metrics.permit_wait(PermitKind::Request);
        let permit = self.requests.acquire(deadline, seconds).await;
        permit.map(RequestPermit).map_err(|no_permit| {
            let error = match no_permit {
                NoPermit::Waited { .. } => {
                    Error::new(ErrorKind::Call, format!("nothing was sent: {no_permit}"))
                }
                NoPermit::Closed => {
                    let ended = self.ending.ended().unwrap_or(Ended::Closed);
                    ended.error("before the row was sent")
                }
            };
            error.in_subtask(self.subtask)
        })
    }

    /// Whether a request that was not executed found its server away, while another one is there: then a
    /// sequence has nothing to wait for. What else it may have met leaves the sequence as it is.
    pub(crate) fn is_away(&self, server: ReplicaId, error: &Error, is_first: bool) -> bool {
        let Replicas::Several(set) = &self.replicas else {
            return false;
        };
        if !set.has_other(&[server])
            || error.kind() != ErrorKind::Call && error.kind() != ErrorKind::CircuitOpen
        {
            return false;
        }
        let is_nobody_there = error.kind() == ErrorKind::CircuitOpen
            || error
                .client_error()
                .is_some_and(|error| error.kind().is_connection() || is_not_served(error));
        // To rebuild a sequence costs little, and to lose one much; the first row has none to lose.
        let is_whole = is_first || self.options.sequence_recovery == SequenceRecovery::Replay;
        !set.has(server) || is_nobody_there && (is_whole || !set.is_there(server))
    }

    /// A request with what options and its sequence add to it.
    pub(crate) fn complete(
        &self,
        mut request: InferRequest,
        sequence: Option<Sequence>,
    ) -> InferRequest {
        request.priority = self.priority.or(request.priority);
        request.server_timeout = self.server_timeout.or(request.server_timeout);
        request.sequence = sequence.or(request.sequence);
        request
    }

    /// Asks for what the server tells of the model; where the server cannot be reached or is not
    /// ready, asks again until the option `open-wait` is over.
    pub(crate) async fn look_up_model(&self) -> Result<ModelFacts, Error> {
        let options = &self.options;
        const PAUSE: Duration = Duration::from_millis(500);
        let wait = options.open_wait;
        let deadline = Instant::now() + wait;
        loop {
            let not_found = match self.replicas.look_up(options).await {
                Ok(found) => return Ok(found),
                Err(not_found) => not_found,
            };
            let is_transient = match &not_found {
                NotLookedUp::Name(_) => true,
                NotLookedUp::Asked(error) => error.is_transient(),
            };
            if !is_transient || Instant::now() + PAUSE > deadline {
                let message = match is_transient && !wait.is_zero() {
                    true => format!("the model could not be looked up within {wait:?}"),
                    false => "the model could not be looked up".to_owned(),
                };
                return Err(match not_found {
                    NotLookedUp::Name(error) => error,
                    NotLookedUp::Asked(error) => Error::call(message, error),
                });
            }
            match &not_found {
                NotLookedUp::Name(error) => {
                    info!(model = %self.model, %error, "waiting for the server");
                }
                NotLookedUp::Asked(error) => {
                    info!(model = %self.model, %error, "waiting for the server");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until no request is in flight, then refuses every further one; gives up at `deadline`.
    pub(crate) async fn drain(&self, deadline: Instant) -> Result<(), Error> {
        let drained = self.requests.all_back(deadline).await;
        self.requests.close();
        if drained {
            return Ok(());
        }
        let message = "rows were still in flight when the time to close was up";
        Err(Error::new(ErrorKind::Close, message))
    }

    /// Gives up whatever is still in flight or waits, and stops what `open` had started.
    pub(crate) async fn end(&self, ended: Ended) -> Result<(), Error> {
        self.give_up(ended);
        self.replicas.stop().await
    }

    /// Gives up whatever is still in flight or waits.
    pub(crate) fn give_up(&self, ended: Ended) {
        self.ending.end(ended);
        self.requests.close();
    }
}

/// Every attempt may take the whole `timeout`, and every wait the longest backoff.
fn call_budget(options: &TritonOptions) -> Duration {
    let retries = options.max_retries;
    let attempts = options
        .timeout
        .get()
        .saturating_mul(retries.saturating_add(1));
    let waits = options.retry_max_backoff.get().saturating_mul(retries);
    attempts.saturating_add(waits).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use triton_options::SequenceIdType;

    use super::*;

    fn open(extra: &[(&str, &str)], subtask: Subtask) -> CallContext {
        let common = [("endpoint", "http://localhost:8000"), ("model-name", "m")];
        let options = TritonOptions::parse(common.iter().chain(extra).copied()).unwrap();
        let live = Arc::default();
        let open = CallContext::new(&options, subtask, false, live, None, None).unwrap();
        let config = serde_json::from_str(r#"{"name": "m"}"#).unwrap();
        let form = SequenceIdForm::agree(SequenceIdType::Auto, &config, None).unwrap();
        open.settle_form(form, None);
        open
    }

    fn next_id(open: &CallContext) -> String {
        open.next_sequence().unwrap().unwrap().id.to_string()
    }

    const AUTO: [(&str, &str); 2] = [
        ("sequence-id", "flink-job-123"),
        ("sequence-id-auto-increment", "true"),
    ];

    #[tokio::test]
    async fn ids_count_from_zero_in_each_subtask() {
        for index in [0, 1] {
            let open = open(&AUTO, Subtask::new(index, 2, 0).unwrap());
            assert_eq!(next_id(&open), format!("flink-job-123-{index}-0"));
            assert_eq!(next_id(&open), format!("flink-job-123-{index}-1"));
        }
    }

    #[tokio::test]
    async fn the_largest_options_still_make_a_deadline() {
        let largest = [
            ("timeout", "36500 d"),
            ("max-retries", "4294967295"),
            ("retry-max-backoff", "36500 d"),
        ];
        let open = open(&largest, Subtask::new(0, 1, 0).unwrap());
        assert!(Instant::now().checked_add(open.call_budget).is_some());
    }

    #[tokio::test]
    async fn a_static_sequence_keeps_its_id_and_flags() {
        let flags = [("sequence-id", "call-7"), ("sequence-end", "true")];
        let open = open(&flags, Subtask::new(0, 1, 0).unwrap());
        let first = open.next_sequence().unwrap().unwrap();
        assert_eq!((first.start, first.end), (false, true));
        let second = open.next_sequence().unwrap().unwrap();
        assert_eq!(
            (&second.id, second.start, second.end),
            (&first.id, false, true)
        );
        assert_eq!(open.max_in_flight(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn draining_waits_for_the_permits_and_gives_up_at_its_deadline() {
        let open = open(&[], Subtask::new(0, 1, 0).unwrap());
        let permit = open.request_permit(None).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let error = open.drain(deadline).await.unwrap_err();
        assert_eq!((error.kind(), Instant::now()), (ErrorKind::Close, deadline));
        drop(permit);
        let error = open.request_permit(None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::State);
        insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: the function was closed before the row was sent");
    }

    // Holds F10.
    #[tokio::test(start_paused = true)]
    async fn a_wait_for_a_request_permit_ends_at_the_rows_deadline() {
        let open = open(&[("max-in-flight", "1")], Subtask::new(0, 1, 0).unwrap());
        let held = open.request_permit(None).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let error = open.request_permit(Some(deadline)).await.unwrap_err();
        assert_eq!((error.kind(), Instant::now()), (ErrorKind::Call, deadline));
        insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: nothing was sent: waited 30.0s for a request permit ('max-in-flight' = 1)");
        drop(held);
        open.request_permit(Some(deadline)).await.unwrap();
    }
}
