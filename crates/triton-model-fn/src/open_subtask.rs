//! What calls go through while a function is open: the client, the sequence counter, the limits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tracing::info;
use triton_client::{
    Client, InferRequest, InferResponse, ModelConfig, ModelId, ModelMetadata, Sequence, SequenceId,
};
use triton_options::{PositiveDuration, SEQUENCE_KEY, SequenceMode, StaticFlags, TritonOptions};

use crate::call::{Blame, Resend};
use crate::circuit_breaker::{CircuitBreaker, CircuitBreakerSettings};
use crate::executions::{self, RanBefore};
use crate::health_monitor::{HealthMonitor, TritonProbe};
use crate::id_source::IdSource;
use crate::metrics::FunctionMetrics;
use crate::retry::RetryPolicy;
use crate::shared_client::SharedClient;
use crate::{Error, ErrorKind, ServerWait, Subtask};

/// Everything that exists only while a function is open, and that calls go through.
#[derive(Debug)]
pub struct OpenSubtask {
    /// The model to call.
    pub model: ModelId,
    /// The subtask in which the function runs.
    pub subtask: Subtask,
    client: Arc<SharedClient>,
    priority: Option<u64>,
    server_timeout: Option<Duration>,
    sequence_mode: SequenceMode,
    /// The IDs of sequences that number themselves.
    pub(crate) id_source: Option<Arc<IdSource>>,
    /// What shows that the job has run before this open, if anything does.
    pub(crate) ran_before: Option<RanBefore>,
    max_in_flight: u32,
    slots: Arc<Semaphore>,
    pub(crate) retry: RetryPolicy,
    /// The most time that all attempts of a logical call may take together.
    pub(crate) call_budget: Duration,
    pub(crate) breaker: Option<CircuitBreaker>,
    health_monitor: Mutex<Option<HealthMonitor>>,
    metrics: FunctionMetrics,
    /// How calls wait for a server that is away, where rows can wait.
    pub(crate) server_wait: Option<ServerWait>,
}

/// The right to have one request under way; dropping it gives the right back.
#[derive(Debug)]
pub struct Slot(#[expect(dead_code, reason = "it is held for its drop")] OwnedSemaphorePermit);

impl OpenSubtask {
    /// Sets everything up; `again` says that the function was open before.
    pub(crate) fn new(
        options: &TritonOptions,
        subtask: Subtask,
        again: bool,
        server_wait: Option<ServerWait>,
    ) -> Result<Self, Error> {
        let sequence_mode = options.sequence_mode().clone();
        let opened = executions::note(&subtask, again);
        let id_source = sequence_mode.ids().map(|ids| {
            let source = IdSource::new(ids.clone(), subtask, &opened, SystemTime::now());
            Arc::new(source)
        });
        // One after the other is the only order that the server keeps within a sequence.
        let max_in_flight = match &sequence_mode {
            SequenceMode::Static { flags, .. } if !flags.are_both() => 1,
            _ => options.max_in_flight.get(),
        };
        let client = SharedClient::get(options)?;
        let model = ModelId::new(options.model_name.clone(), options.model_version.clone());
        let breaker = options.circuit_breaker_enabled.then(|| {
            CircuitBreaker::shared(
                &options.endpoint,
                &model,
                CircuitBreakerSettings::from(&**options),
            )
        });
        let health_monitor = options.health_check_enabled.then(|| {
            let probe = TritonProbe::new(client.client.clone(), model.clone());
            let name = format!("{model} at {}", options.endpoint);
            HealthMonitor::start(probe, options.health_check_interval, breaker.clone(), name)
        });
        let retry = RetryPolicy::from(&**options);
        if let Some(wait) = &server_wait {
            wait.serves(max_in_flight as usize);
        }
        Ok(Self {
            model,
            subtask,
            client,
            call_budget: call_budget(options),
            retry,
            breaker,
            health_monitor: Mutex::new(health_monitor),
            priority: options.priority,
            server_timeout: options.server_timeout.map(PositiveDuration::get),
            sequence_mode,
            id_source,
            ran_before: opened.ran_before,
            max_in_flight,
            slots: Arc::new(Semaphore::new(max_in_flight as usize)),
            metrics: FunctionMetrics::new(&options.model_name, subtask),
            server_wait,
        })
    }

    /// The client of the endpoint, shared by functions with equal transport settings.
    ///
    /// What is called directly is not retried and not counted: see [`call`](Self::call).
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client.client
    }

    /// Counts rows, calls and failures.
    #[must_use]
    pub fn metrics(&self) -> &FunctionMetrics {
        &self.metrics
    }

    /// The place in a sequence for the next logical request, if it has one at all.
    ///
    /// In auto-increment mode each call takes a new ID, also when calls run concurrently: call
    /// it once for a row, and keep the result when the row has to be sent again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the option `sequence-key` is set: only the
    /// [`InferenceFunction`](crate::InferenceFunction) keeps sequences for keys.
    pub fn next_sequence(&self) -> Result<Option<Sequence>, Error> {
        let (id, start, end) = match (&self.sequence_mode, &self.id_source) {
            (SequenceMode::Static { id, flags }, _) => {
                let id = SequenceId::text(id.clone()).map_err(|invalid| {
                    Error::new(ErrorKind::Input, invalid.to_string()).in_subtask(self.subtask)
                })?;
                match flags {
                    StaticFlags::Given { start, end } => (id, *start, *end),
                    _ => (id, false, false),
                }
            }
            (SequenceMode::PerKey { .. }, _) => {
                let message = format!(
                    "this function keeps no sequences for keys: leave out the option '{}'",
                    SEQUENCE_KEY.key()
                );
                return Err(Error::new(ErrorKind::State, message).in_subtask(self.subtask));
            }
            (_, Some(source)) => (source.id(source.take(None))?, true, true),
            (_, None) => return Ok(None),
        };
        Ok(Some(Sequence { id, start, end }))
    }

    /// The most requests that are under way at once.
    pub(crate) fn max_in_flight(&self) -> usize {
        self.max_in_flight as usize
    }

    /// Waits for the right to have one more request under way, as `max-in-flight` allows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the function is closed meanwhile.
    pub async fn slot(&self) -> Result<Slot, Error> {
        let permit = Arc::clone(&self.slots).acquire_owned().await;
        permit.map(Slot).map_err(|_| {
            let message = "the function was closed before the row was sent";
            Error::new(ErrorKind::State, message).in_subtask(self.subtask)
        })
    }

    /// Sends an inference request, in the place of a sequence that [`next_sequence`] gave.
    ///
    /// The options `priority` and `server-timeout` are added to it.
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
    ) -> Result<InferResponse, Error> {
        let resend = Resend::of(sequence);
        self.infer_with(request, sequence, resend, Blame::of).await
    }

    /// Sends an inference request in the middle or at the start of a sequence, and never again
    /// when the server may have executed it: not even with START, which would reset the sequence
    /// when it arrives late.
    pub(crate) async fn infer_once(
        &self,
        request: InferRequest,
        sequence: &Sequence,
    ) -> Result<InferResponse, Error> {
        let resend = Resend::UnlessExecuted;
        self.infer_with(request, Some(sequence), resend, Blame::of)
            .await
    }

    pub(crate) async fn infer_with(
        &self,
        mut request: InferRequest,
        sequence: Option<&Sequence>,
        resend: Resend,
        blame: impl Fn(&triton_client::Error) -> Blame,
    ) -> Result<InferResponse, Error> {
        if let Some(priority) = self.priority {
            request = request.priority(priority);
        }
        if let Some(timeout) = self.server_timeout {
            request = request.server_timeout(timeout);
        }
        if let Some(sequence) = sequence {
            request = request.sequence(sequence.clone());
        }
        let request = &request;
        let infer = |client: Client| async move { client.infer(request).await };
        self.call_with(sequence, resend, blame, infer).await
    }

    /// Asks for the model's metadata and configuration; where the server cannot be reached or is
    /// not ready, asks again until `wait` is over.
    pub(crate) async fn look_up_model(
        &self,
        wait: Duration,
    ) -> Result<(ModelMetadata, ModelConfig), Error> {
        const PAUSE: Duration = Duration::from_millis(500);
        let deadline = Instant::now() + wait;
        loop {
            let look_up = async {
                let metadata = self.client().model_metadata(&self.model).await?;
                let config = self.client().model_config_with_steps(&self.model).await?;
                Ok((metadata, config))
            };
            let error: triton_client::Error = match look_up.await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            if !error.is_transient() || Instant::now() + PAUSE > deadline {
                let message = match error.is_transient() && !wait.is_zero() {
                    true => format!("the model could not be looked up within {wait:?}"),
                    false => "the model could not be looked up".to_owned(),
                };
                return Err(Error::call(message, error));
            }
            info!(model = %self.model, %error, "waiting for the server");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until no call is under way, then refuses every further one; gives up at `deadline`.
    pub(crate) async fn drain(&self, deadline: Instant) -> Result<(), Error> {
        let all = self.slots.acquire_many(self.max_in_flight);
        let drained = timeout_at(deadline, all).await.is_ok();
        self.slots.close();
        let monitor = self
            .health_monitor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut monitor) = monitor {
            let stopped = monitor.stop().await;
            stopped.map_err(|error| Error::new(ErrorKind::Close, error.to_string()))?;
        }
        if drained {
            return Ok(());
        }
        let message = "rows were still under way when the time to close was up";
        Err(Error::new(ErrorKind::Close, message))
    }

    pub(crate) async fn with_client<T, F>(
        &self,
        operation: impl FnOnce(Client) -> F,
    ) -> Result<T, triton_client::Error>
    where
        F: Future<Output = Result<T, triton_client::Error>>,
    {
        let _place = self.client.place().await;
        operation(self.client.client.clone()).await
    }
}

/// A hundred years: no clock can be set as far ahead as the largest options would add up to.
const LONGEST_CALL: Duration = Duration::from_secs(36_500 * 86_400);

/// Every attempt may take the whole `timeout`, and every wait the longest backoff.
fn call_budget(options: &TritonOptions) -> Duration {
    let retries = options.max_retries;
    let attempts = options
        .timeout
        .get()
        .saturating_mul(retries.saturating_add(1));
    let waits = options.retry_max_backoff.get().saturating_mul(retries);
    attempts.saturating_add(waits).min(LONGEST_CALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(extra: &[(&str, &str)], subtask: Subtask) -> OpenSubtask {
        let common = [("endpoint", "http://localhost:8000"), ("model-name", "m")];
        let options = TritonOptions::parse(common.iter().chain(extra).copied()).unwrap();
        OpenSubtask::new(&options, subtask, false, None).unwrap()
    }

    fn next_id(open: &OpenSubtask) -> String {
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
        assert_eq!(open.next_sequence().unwrap(), Some(first));
        assert_eq!(open.max_in_flight, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn draining_waits_for_the_slots_and_gives_up_at_its_deadline() {
        let open = open(&[], Subtask::new(0, 1, 0).unwrap());
        let slot = open.slot().await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let error = open.drain(deadline).await.unwrap_err();
        assert_eq!((error.kind(), Instant::now()), (ErrorKind::Close, deadline));
        drop(slot);
        assert_eq!(open.slot().await.unwrap_err().kind(), ErrorKind::State);
    }
}
