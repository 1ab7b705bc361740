//! Waiting for a server that is away, for input that can wait.
//!
//! A file loses nothing by waiting, while a stream of errors cannot be taken back. So a call that
//! meets a server which is away (no connection, a gateway's 502 to 504, an open circuit breaker, a
//! model that is being reloaded) is kept, further calls are not even sent, and one of those that
//! wait asks the server at intervals whether it is back. The server counts as away for as long as
//! no call has been answered; a call that fails while others are answered has only itself to
//! blame, and is given up after its retries. Of several servers all must be away.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};
use triton_client::{ErrorKind as ClientErrorKind, ModelId};

use crate::replicas::Replicas;
use crate::{Error, ErrorKind};

/// The waits between two questions whether the server is back: they double up to the second one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// How often a call is made again while no call of the run was ever answered.
const RETRIES_BEFORE_ANSWERS: u32 = 4;

/// How long a call that fails alone is made again while the server says that it is ready: a gateway
/// may have lost its server for this model only.
const LONGEST_DOUBT: Duration = Duration::from_secs(60);

/// The longest pause between two of its attempts.
pub(crate) const LONGEST_DOUBTFUL_PAUSE: Duration = Duration::from_secs(2);

/// The least time between two warnings that the server is away.
const WARNING_PAUSE: Duration = Duration::from_secs(10);

/// The patience of the functions of one run with their server, and what they know of it.
///
/// Clones are one and the same: hand a clone to each function of the run, with
/// [`InferenceFunction::waiting_for_server`](crate::InferenceFunction::waiting_for_server).
///
/// ```
/// use std::time::Duration;
/// use triton_model_fn::ServerWait;
///
/// let wait = ServerWait::new(Duration::from_secs(600));
/// assert!(wait.away().is_none() && !wait.gave_up());
/// ```
#[derive(Debug, Clone)]
pub struct ServerWait(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    give_up_after: Duration,
    state: Mutex<State>,
    /// Whoever holds it asks the server; the others wait for the answer.
    asking: tokio::sync::Mutex<()>,
    /// How many calls the server has answered, with whatever.
    answered: AtomicU64,
    /// How many answers of streams have come.
    streamed: AtomicU64,
    /// How many calls are being made, waits and pauses included.
    calls: AtomicUsize,
    /// How many of them wait or pause.
    waiting: AtomicUsize,
    /// How many calls the functions may have in flight together.
    capacity: AtomicUsize,
}

/// What is known of the failures of one call.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    first: Option<Instant>,
    /// How many calls were answered when the attempt was sent that failed first.
    answered_at_first: Option<u64>,
    /// The number of answers at which it counts as failing.
    counted_at: Option<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// Since when no call was answered, and why.
    away: Option<Away>,
    /// Whether calls are held back until the server says that it is ready.
    held: bool,
    /// How often the server was found to be away since it last answered.
    times: u32,
    /// When the server last said, or could not say, that it is not ready.
    last_found_away: Option<Instant>,
    /// How many calls have failed, and none was answered, since so many were answered.
    failing: usize,
    failing_since: u64,
    /// When the log last spoke of it: answers that were on their way end it for a moment.
    warned: Option<Instant>,
    gave_up: bool,
}

#[derive(Debug, Clone)]
struct Away {
    since: Instant,
    reason: String,
}

/// What a failed call says about the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// It answered: whatever is wrong is wrong with this call.
    Answered,
    /// It is away, or too busy.
    Away,
    /// The server itself has to be asked.
    Unclear,
}

/// What is to be done about a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The failure is the call's own, and nothing of it passes.
    Final,
    /// The failure is the call's own, and may pass.
    Own,
    /// Nothing tells whether it is the call's own or the server's: it may be the only one.
    Undecided,
    /// The server is away: the call can be made again when it is back.
    Away,
}

/// Something that is counted for as long as this lives.
#[derive(Debug)]
pub(crate) struct Counted<'a>(&'a AtomicUsize);

/// An open function that a server is waited for.
#[derive(Debug)]
pub(crate) struct Served {
    wait: ServerWait,
    max_in_flight: usize,
}

impl Drop for Served {
    fn drop(&mut self) {
        let capacity = &self.wait.0.capacity;
        capacity.fetch_sub(self.max_in_flight, Ordering::Relaxed);
    }
}

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ServerWait {
    /// Waits for the server until it has answered no call for so long.
    #[must_use]
    pub fn new(give_up_after: Duration) -> Self {
        Self(Arc::new(Shared {
            give_up_after,
            state: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            answered: AtomicU64::new(0),
            streamed: AtomicU64::new(0),
            calls: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            capacity: AtomicUsize::new(0),
        }))
    }

    /// For how long the server has been away, and why it counts as such, in one line.
    ///
    /// `None` while no call is being made: then nobody would notice that it is back, so the next
    /// row has to try.
    #[must_use]
    pub fn away(&self) -> Option<(Duration, String)> {
        if self.calls() == 0 {
            return None;
        }
        let away = self.lock().away.clone()?;
        Some((away.since.elapsed(), away.reason))
    }

    /// Whether the server was away for too long, so that rows fail with
    /// [`ErrorKind::ServerAway`].
    #[must_use]
    pub fn gave_up(&self) -> bool {
        self.lock().gave_up
    }

    /// How many calls the server has answered, rows that were replayed included.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.0.answered.load(Ordering::Relaxed)
    }

    /// How many answers have come: while it grows the server answers, be it one call without an end.
    ///
    /// It counts [calls](Self::answered), and each answer of a stream.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.answered() + self.0.streamed.load(Ordering::Relaxed)
    }

    /// An answer of a stream has come.
    pub(crate) fn hears(&self) {
        self.0.streamed.fetch_add(1, Ordering::Relaxed);
    }

    /// How often a call is made again that fails by its own fault, of `retries` at most: what has
    /// never answered anything is soon given up.
    pub(crate) fn own_retries(&self, retries: u32) -> u32 {
        match self.answered() {
            0 => retries.min(RETRIES_BEFORE_ANSWERS),
            _ => retries,
        }
    }

    /// How many calls are being made, those that wait for the server or for a retry included.
    ///
    /// 0 while rows are there means that they wait for something else: a place for a sequence.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// How many of the [`calls`](Self::calls) wait, for the server or until they are made again.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// A function was opened that may have so many calls in flight, for as long as what comes back
    /// lives.
    pub(crate) fn serves(&self, max_in_flight: usize) -> Served {
        self.0.capacity.fetch_add(max_in_flight, Ordering::Relaxed);
        Served {
            wait: self.clone(),
            max_in_flight,
        }
    }

    /// How many calls the functions may have in flight together.
    pub(crate) fn capacity(&self) -> u64 {
        self.0.capacity.load(Ordering::Relaxed) as u64
    }

    /// How long the only call that fails is given the benefit of the doubt.
    pub(crate) fn longest_doubt(&self) -> Duration {
        LONGEST_DOUBT.min(self.0.give_up_after)
    }

    /// The longest pause that a call makes: a server may ask for hours.
    pub(crate) fn longest_pause(&self) -> Duration {
        self.0.give_up_after
    }

    /// The least pause before a call is made again whose server asked for so long a one, within
    /// what is waited for it at all.
    pub(crate) fn asked_pause(&self, asked_for: Option<Duration>) -> Duration {
        asked_for.unwrap_or_default().min(self.longest_pause())
    }

    /// The pause of a call that may be alone in failing: a short one, unless the server asked for
    /// more.
    pub(crate) fn doubtful_pause(&self, pause: Duration, asked_for: Option<Duration>) -> Duration {
        pause
            .min(LONGEST_DOUBTFUL_PAUSE)
            .max(self.asked_pause(asked_for))
    }

    /// Counts a call for as long as what comes back lives.
    pub(crate) fn calling(&self) -> Counted<'_> {
        Counted::new(&self.0.calls)
    }

    /// Pauses a call before it is made again.
    pub(crate) async fn pause(&self, time: Duration) {
        let _waiting = Counted::new(&self.0.waiting);
        sleep(time).await;
    }

    /// When the server was last found not to be ready.
    pub(crate) fn last_found_away(&self) -> Option<Instant> {
        self.lock().last_found_away
    }

    /// Rows pause between two recoveries of their sequences, `after` of them where `before` did.
    pub(crate) fn pauses_change(&self, before: usize, after: usize) {
        for count in [&self.0.calls, &self.0.waiting] {
            match after.checked_sub(before) {
                Some(more) => count.fetch_add(more, Ordering::Relaxed),
                None => count.fetch_sub(before - after, Ordering::Relaxed),
            };
        }
    }

    /// A call was answered.
    pub(crate) fn answers(&self, model: &ModelId) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        if let Some(away) = state.away.take() {
            let away_for = away.since.elapsed();
            (state.held, state.times) = (false, 0);
            drop(state);
            info!(%model, ?away_for, "the server answers again");
        }
    }

    /// Judges a failed call; `answered_before` is how many calls were answered when it was sent,
    /// `failures` is what is known of its earlier failures.
    pub(crate) async fn judge(
        &self,
        replicas: &Replicas,
        model: &ModelId,
        error: &Error,
        answered_before: u64,
        failures: &mut Failures,
    ) -> Judgement {
        let sign = sign(error);
        if sign == Sign::Answered {
            self.answers(model);
            return Judgement::Final;
        }
        let answered = self.answered();
        let first = *failures.answered_at_first.get_or_insert(answered_before);
        let since = *failures.first.get_or_insert_with(Instant::now);
        // Whatever was in flight when the server went away may still have been answered; more
        // than that was sent after this call failed, to a server that was there.
        let others = answered - first;
        if answered != answered_before || others > self.capacity() {
            return Judgement::Own;
        }
        let is_alone = self.is_alone(answered, failures);
        let is_ready = replicas.are_ready(model).await;
        // A gateway that has lost its server fails every call, a call that nobody can answer fails
        // by itself. And where nothing was ever answered, a server that says it is ready is no
        // outage that will pass.
        if is_ready && (sign == Sign::Unclear || answered == 0) {
            return Judgement::Own;
        }
        // Where another of several servers is ready, none of them is waited for.
        if is_ready && (is_alone || matches!(replicas, Replicas::Several(_))) {
            return match since.elapsed() < self.longest_doubt() {
                true => Judgement::Undecided,
                false => Judgement::Final,
            };
        }
        self.found_away(model, error, is_ready);
        Judgement::Away
    }

    /// Notes that a call has failed since the last answer, and says whether no other one has.
    fn is_alone(&self, answered: u64, failures: &mut Failures) -> bool {
        let mut state = self.lock();
        if state.failing_since != answered {
            (state.failing_since, state.failing) = (answered, 0);
        }
        if failures.counted_at != Some(answered) {
            failures.counted_at = Some(answered);
            state.failing += 1;
        }
        state.failing == 1
    }

    fn found_away(&self, model: &ModelId, error: &Error, is_ready: bool) {
        let reason = match error.client_error() {
            Some(cause) => cause.to_string(),
            None => error.to_string(),
        };
        let now = Instant::now();
        let mut state = self.lock();
        if !is_ready {
            state.last_found_away = Some(now);
        }
        if !state.held {
            state.held = true;
            state.times = state.times.saturating_add(1);
        }
        if state.away.is_none() {
            state.away = Some(Away {
                since: now,
                reason: reason.clone(),
            });
            let is_new = state
                .warned
                .is_none_or(|warned| now.duration_since(warned) >= WARNING_PAUSE);
            if is_new {
                state.warned = Some(now);
                drop(state);
                warn!(%model, reason, "the server is away: waiting for it");
            }
        }
    }

    /// Waits until the server is not away, or was for too long.
    ///
    /// Dropping the future gives the wait up, and nothing else.
    pub(crate) async fn until_back(
        &self,
        replicas: &Replicas,
        model: &ModelId,
    ) -> Result<(), Error> {
        if !self.lock().held {
            return Ok(());
        }
        let _waiting = Counted::new(&self.0.waiting);
        let _asking = self.0.asking.lock().await;
        let (shortest, longest) = PAUSES;
        let mut pause = {
            let doublings = self.lock().times.saturating_sub(1).min(16);
            shortest.saturating_mul(1 << doublings).min(longest)
        };
        loop {
            let ends = {
                let mut state = self.lock();
                if !state.held {
                    return Ok(());
                }
                let Some(away) = state.away.clone() else {
                    return Ok(());
                };
                // An end that no clock reaches is none.
                let ends = away.since.checked_add(self.0.give_up_after);
                if state.gave_up || ends.is_some_and(|ends| Instant::now() >= ends) {
                    state.gave_up = true;
                    let message = format!(
                        "the server was away for {:.0?}, which is as long as it was to be waited \
                         for: {}",
                        away.since.elapsed(),
                        away.reason
                    );
                    return Err(Error::new(ErrorKind::ServerAway, message));
                }
                ends
            };
            let next = Instant::now() + pause;
            sleep_until(ends.map_or(next, |ends| ends.min(next))).await;
            if replicas.are_ready(model).await {
                self.lock().held = false;
                return Ok(());
            }
            pause = pause.saturating_mul(2).min(longest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error may be that of a server which is away.
pub(crate) fn may_be_away(error: &Error) -> bool {
    sign(error) == Sign::Away
}

fn sign(error: &Error) -> Sign {
    match (error.kind(), error.client_error()) {
        (ErrorKind::CircuitOpen, _) => Sign::Away,
        (_, Some(cause)) => match cause.kind() {
            kind if kind.is_connection() && cause.is_transient() => Sign::Away,
            ClientErrorKind::Unavailable => Sign::Away,
            // A slow row, a cut connection, a model that is being reloaded.
            ClientErrorKind::Timeout | ClientErrorKind::Interrupted | ClientErrorKind::NotFound => {
                Sign::Unclear
            }
            _ => Sign::Answered,
        },
        // An attempt that was cut off by the deadline of its call.
        (ErrorKind::Call | ErrorKind::SequenceUncertain, None) => Sign::Unclear,
        (_, None) => Sign::Answered,
    }
}

impl fmt::Display for ServerWait {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.away() {
            Some((time, reason)) => write!(
                formatter,
                "waiting for the server for {} s ({reason})",
                time.as_secs()
            ),
            None => formatter.write_str("the server is there"),
        }
    }
}
