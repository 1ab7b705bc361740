//! A logical call: it waits for its permits, is sent, sent again where that is safe, and counted.
//!
//! A request is *waiting* until it holds its permits (that of its function for a request, that of
//! the client for a connection, then the breaker's admission), then *sent*, then *answered*. Only
//! what was sent can have executed. So nothing that ends a wait makes a sequence uncertain, blames
//! the server or holds one of the breaker's trials.

mod connection;
mod fault_origin;
mod infer;
mod unanswered;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::debug;
use triton_client::{Client, ErrorKind as ClientErrorKind, Sequence};
use triton_options::ROW_DEADLINE;

pub(crate) use self::connection::Connection;
pub(crate) use self::fault_origin::{FaultOrigin, RetrySafety, is_not_served};
use self::unanswered::{NotSent, Unanswered, failure, whose_fault};
use crate::circuit_breaker::{CircuitState, Permit};
use crate::metrics::CallInFlight;
use crate::permits::PermitKind;
use crate::replicas::{At, Ended, Replicas, Server, Target};
use crate::retry::{self, Spent, TimeLimit, Verdict};
use crate::server_wait::{Failures, Judgement};
use crate::{CallContext, Error, ErrorKind};

/// How much later than it should an attempt is cut off that sees to its own end: the client's own
/// error knows what was sent.
pub(crate) const GRACE: Duration = Duration::from_millis(100);

/// What one attempt of a call leaves to the next one.
struct Course {
    /// What the last retry took from the budget.
    spent: Spent,
    /// Where it is.
    at: At,
}

impl Course {
    fn to(target: Target) -> Self {
        Self {
            spent: Spent::default(),
            at: At::to(target),
        }
    }
}

/// What a call has from the moment at which it is sent first.
struct Sent<'a> {
    admission: Option<Permit>,
    in_flight: CallInFlight<'a>,
    since: Instant,
}

/// An attempt of a request that may arrive although nobody waits for it any more: one that is given
/// up, or that has failed so that nobody knows.
struct OnTheWay<'a> {
    context: &'a CallContext,
    /// Its sequence, until it is known what became of it.
    sequence: Option<&'a Sequence>,
}

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        if let (Some(sequence), Some(ids)) = (self.sequence, &self.context.id_generator) {
            ids.may_arrive_late(&sequence.id);
        }
    }
}

impl CallContext {
    /// Makes a logical call: waits for a connection, asks the circuit breaker, runs `operation`,
    /// and runs it again after passing failures as `max-retries` and the backoff options say.
    ///
    /// `sequence` is the place of the request in a sequence, which stays the same on every
    /// attempt. A request in the middle of a sequence is sent again only if the server certainly
    /// did not execute it; otherwise it would count twice.
    ///
    /// `deadline` bounds the call with all its waits, as [`row_deadline`](Self::row_deadline) gives
    /// it; without one the options `timeout` and `max-retries` bound it alone. The client that
    /// `operation` gets has the time that is left for one request.
    ///
    /// Dropping the future gives the call up; the server may execute it all the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::CircuitOpen`] when the breaker does not admit the call,
    /// [`ErrorKind::SequenceUncertain`] when a call in the middle of a sequence failed and may
    /// have been executed, [`ErrorKind::State`] when the function is given up meanwhile, and
    /// [`ErrorKind::Call`] for every other failure: of the last attempt, or of the wait for a
    /// connection.
    pub async fn call<T, F>(
        &self,
        sequence: Option<&Sequence>,
        deadline: Option<Instant>,
        operation: impl Fn(Client) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, triton_client::Error>>,
    {
        let safety = RetrySafety::of(sequence);
        self.call_with(sequence, deadline, safety, FaultOrigin::of, operation)
            .await
    }

    /// As [`call`](Self::call), with judgements of its own: whether the request can be sent again
    /// and whom a failure is to blame on.
    ///
    /// Where rows can wait, the call outlasts a server that is away.
    pub(crate) async fn call_with<T, F>(
        &self,
        sequence: Option<&Sequence>,
        deadline: Option<Instant>,
        safety: RetrySafety,
        origin: impl Fn(&triton_client::Error) -> FaultOrigin,
        operation: impl Fn(Client) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, triton_client::Error>>,
    {
        let operation = |client, connection| {
            let answer = operation(client);
            async move {
                let answer = answer.await;
                drop(connection);
                answer
            }
        };
        let call = self.call_patiently(Target::Any, sequence, deadline, safety, origin, operation);
        self.ending.or("before the row was answered", call).await
    }

    /// As [`call`](Self::call) without a sequence, for an answer that is not read to its end when
    /// this returns: it keeps its connection for as long as it is.
    pub(crate) async fn call_holding<T, F>(
        &self,
        deadline: Option<Instant>,
        operation: impl Fn(Client, Connection) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, triton_client::Error>>,
    {
        let safety = RetrySafety::Safe;
        let call = self.call_patiently(
            Target::Any,
            None,
            deadline,
            safety,
            FaultOrigin::of,
            operation,
        );
        self.ending.or("before the row was answered", call).await
    }

    /// As [`call_with`](Self::call_with), at a certain one of several servers where `target` says so.
    pub(crate) async fn call_patiently<T, F>(
        &self,
        target: Target,
        sequence: Option<&Sequence>,
        deadline: Option<Instant>,
        safety: RetrySafety,
        origin: impl Fn(&triton_client::Error) -> FaultOrigin,
        operation: impl Fn(Client, Connection) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, triton_client::Error>>,
    {
        let Some(wait) = &self.server_wait else {
            let course = Course::to(target);
            let called = self.call_once(sequence, deadline, safety, origin, operation, &course);
            return Ok(called.await?);
        };
        let _calling = wait.calling();
        // Failures while the server answered others: only those count as retries.
        let (mut own_failures, mut doubts, mut failures) = (0, 0, Failures::default());
        let course = Course::to(target);
        let mut attempt = 0_u32;
        loop {
            attempt = attempt.saturating_add(1);
            // In a box, as all that asks the server something else: these futures are large, and
            // would make that of every row so.
            let back = Box::pin(wait.until_back(&self.replicas, &self.model));
            match deadline {
                Some(deadline) => timeout_at(deadline, back).await.map_err(|_| {
                    let message = format!(
                        "nothing was sent: the server was away until the row's deadline ('{}')",
                        ROW_DEADLINE.key()
                    );
                    Error::new(ErrorKind::Call, message)
                })??,
                None => back.await?,
            }
            if attempt > 1 {
                // Each attempt is a call of its own here, which does not know of those before it.
                self.metrics().sent_again();
                self.log_sent_again(sequence, attempt);
            }
            let answered = wait.answered();
            course.at.begins_anew();
            let called = self.call_once(sequence, deadline, safety, &origin, &operation, &course);
            let error = match called.await {
                Ok(answer) => {
                    wait.answers(&self.model);
                    return Ok(answer);
                }
                Err(Unanswered::Waited(error)) => return Err(error),
                Err(Unanswered::Failed(error)) => error,
            };
            if let Target::On { server, .. } = target
                && self.is_away(server, &error, sequence.is_some_and(|it| it.start))
            {
                // Another server is there, so whoever asked has a choice.
                return Err(error);
            }
            let judging = wait.judge(&self.replicas, &self.model, &error, answered, &mut failures);
            let judgement = Box::pin(judging).await;
            let after = error
                .client_error()
                .and_then(triton_client::Error::retry_after);
            let too_long = after.filter(|after| *after > wait.longest_pause());
            let would_be_sent = match judgement {
                Judgement::Final => false,
                Judgement::Own => {
                    own_failures += 1;
                    own_failures <= wait.own_retries(self.retry.max_retries)
                }
                Judgement::Undecided | Judgement::Away => true,
            };
            // Within a sequence only what was certainly not executed can be sent again.
            if !would_be_sent || error.kind() == ErrorKind::SequenceUncertain {
                return Err(error);
            }
            if let Some(asked) = too_long.filter(|_| judgement != Judgement::Away) {
                return Err(error.asked_for(asked, wait.longest_pause()));
            }
            let pause = match judgement {
                Judgement::Own => {
                    let pause = self.retry.wait(own_failures, after, retry::thread_random());
                    match self.may_retry(error.client_error(), &course.spent) {
                        true => pause,
                        false => self.longest_pause_before(deadline, pause),
                    }
                }
                Judgement::Undecided => {
                    doubts += 1;
                    let pause = self.retry.wait(doubts, None, retry::thread_random());
                    wait.doubtful_pause(pause, after)
                }
                _ => wait.asked_pause(after),
            };
            let next = Instant::now().checked_add(pause);
            if deadline.is_some_and(|deadline| next.is_none_or(|next| next >= deadline)) {
                return Err(error.of_deadline(true));
            }
            wait.pause(pause).await;
        }
    }

    fn log_sent_again(&self, sequence: Option<&Sequence>, attempt: u32) {
        debug!(
            model = %self.model,
            subtask = self.subtask.index(),
            sequence_id = sequence.map(|sequence| tracing::field::display(&sequence.id)),
            attempt,
            "sending again"
        );
    }

    /// Takes a retry from the budget of the function; false where nothing is left of it.
    fn may_retry(&self, error: Option<&triton_client::Error>, spent: &Spent) -> bool {
        let timed_out = error.is_some_and(|error| error.kind() == ClientErrorKind::Timeout);
        let may = self.retry_budget.take(timed_out, spent);
        self.metrics().retry_budget(self.retry_budget.left(), !may);
        may
    }

    /// A row that can wait is not lost for lack of a retry: it is sent again after the longest
    /// pause, where that ends before its deadline.
    fn longest_pause_before(&self, deadline: Option<Instant>, pause: Duration) -> Duration {
        let longest = self.retry.max_backoff.max(pause);
        let next = Instant::now().checked_add(longest);
        match deadline.is_some_and(|deadline| next.is_none_or(|next| next >= deadline)) {
            true => pause,
            false => longest,
        }
    }

    /// A logical call with its retries.
    async fn call_once<T, F>(
        &self,
        sequence: Option<&Sequence>,
        deadline: Option<Instant>,
        safety: RetrySafety,
        origin: impl Fn(&triton_client::Error) -> FaultOrigin,
        operation: impl Fn(Client, Connection) -> F,
        course: &Course,
    ) -> Result<T, Unanswered>
    where
        F: Future<Output = Result<T, triton_client::Error>>,
    {
        let Course { spent, at } = course;
        let sent = OnceLock::new();
        let (attempts, cut_short) = (AtomicU32::new(0), AtomicBool::new(false));
        let limit = TimeLimit {
            budget: self.call_budget,
            deadline,
            grace: GRACE,
        };
        let attempt = |attempt, connection: Connection, left| {
            attempts.store(attempt, Ordering::Relaxed);
            if attempt > 1 {
                self.log_sent_again(sequence, attempt);
            }
            let timed = self.replicas.client_for(at, left);
            let is_cut_short = timed.is_cut_short;
            cut_short.store(is_cut_short, Ordering::Relaxed);
            let operation = operation(timed.client, connection);
            async move {
                let mut on_the_way = OnTheWay {
                    context: self,
                    sequence,
                };
                let watched = self.requests.sent();
                let result = operation.await;
                watched.ends(result.as_ref().map(|_| ()), is_cut_short);
                let is_settled = match &result {
                    Ok(_) => true,
                    Err(error) => !error.may_have_executed(),
                };
                if is_settled {
                    on_the_way.sequence = None;
                }
                result
            }
        };
        let moves = |error: &triton_client::Error| {
            let Some(ended) = at.ends_by(error, &origin, cut_short.load(Ordering::Relaxed)) else {
                return false;
            };
            // Nobody was there, so nothing is sent twice.
            matches!(ended, Ended::NotReached | Ended::NotServed) && self.replicas.may_move(at)
        };
        let result = retry::run_in_phases(
            &self.retry,
            limit,
            retry::thread_random,
            |_| self.become_sent(&sent, deadline, at),
            attempt,
            |error| match self.server_wait {
                _ if moves(error) => None,
                // Whether and when it is sent again depends on what others meet.
                Some(_) => Some(Verdict::Stop),
                None if (error.kind().is_connection() || is_not_served(error))
                    && self
                        .replicas
                        .is_left(at, sequence.is_some_and(|it| it.start)) =>
                {
                    Some(Verdict::Stop)
                }
                None => Some(safety.verdict(error)),
            },
            |error| self.may_retry(Some(error), spent),
        )
        .await;
        let (admission, ends) = match sent.into_inner() {
            Some(Sent {
                admission,
                in_flight,
                since,
            }) => {
                let attempts = attempts.into_inner();
                let ends = move |kind| in_flight.ends(kind, since.elapsed(), attempts);
                (admission, Some(ends))
            }
            None => (None, None),
        };
        let outcome = match result {
            Ok(answer) => {
                at.ends(Ended::Answered);
                self.retry_budget.answered(spent);
                self.metrics().retry_budget(self.retry_budget.left(), false);
                if let Some(admission) = admission {
                    admission.success();
                }
                if let Some(ends) = ends {
                    ends(None);
                }
                Ok(answer)
            }
            Err(failed) => {
                // One that was cut off says nothing by itself.
                at.ends(Ended::Unknown);
                if let Some(admission) = admission {
                    match whose_fault(&failed, &origin, cut_short.into_inner()) {
                        FaultOrigin::Server => admission.failure(),
                        FaultOrigin::Request => admission.refused(),
                        FaultOrigin::Unknown => drop(admission),
                    }
                }
                let is_of_deadline = failed.is_of(deadline);
                let server = match self.replicas.called(at) {
                    Some(replica) => replica,
                    None => self.options().endpoint.to_string(),
                };
                let unanswered = failure(
                    failed,
                    safety,
                    self.retry_budget.retries(),
                    format_args!("model {} at {server}", self.model),
                    is_of_deadline,
                )
                .of_deadline(is_of_deadline);
                if let Some(ends) = ends {
                    let (Unanswered::Waited(error) | Unanswered::Failed(error)) = &unanswered;
                    ends(Some(error.kind()));
                }
                Err(unanswered)
            }
        };
        self.observe_breaker();
        outcome
    }

    /// Waits for what an attempt needs to be sent; the breaker is asked last, and once for a call.
    async fn become_sent<'a>(
        &'a self,
        sent: &OnceLock<Sent<'a>>,
        deadline: Option<Instant>,
        at: &At,
    ) -> Result<Connection, NotSent> {
        let (server, connection) = loop {
            let mut server = self.replicas.next(at).ok_or(NotSent::NoReplica)?;
            let is_first = sent.get().is_none();
            let id = match &server {
                Server::Only(_) => None,
                Server::One(load) => Some(load.id()),
            };
            let admitted = self.admitted(&mut server, is_first, deadline);
            let admitted = match id {
                None => admitted.await,
                Some(id) => tokio::select! {
                    // What need not wait is not watched, either.
                    biased;
                    admitted = admitted => admitted,
                    // Others take what would wait for a server that takes nothing any more.
                    () = self.replicas.turns_away(at, id) => continue,
                },
            };
            match admitted {
                Ok(connection) => break (server, connection),
                // Another one may take it.
                Err(NotSent::Rejected(_)) if self.replicas.may_move_from(at, &server) => {}
                Err(error) => return Err(error),
            }
        };
        if sent.get().is_none() {
            // A call may be at several servers, whose breakers count what each of them was sent.
            let admission = match &server {
                Server::Only(replica) => replica.admit().map_err(NotSent::Rejected)?,
                Server::One(_) => None,
            };
            // Nobody else sets it, so nothing is lost.
            let _ = sent.set(Sent {
                admission,
                in_flight: self.metrics().call_begins(),
                since: Instant::now(),
            });
        }
        let connection = Connection::new(connection, &server);
        at.is_at(server);
        Ok(connection)
    }

    /// Waits for a connection to a server; the breaker of one of several is asked, too.
    async fn admitted(
        &self,
        server: &mut Server<'_>,
        is_first: bool,
        deadline: Option<Instant>,
    ) -> Result<tokio::sync::OwnedSemaphorePermit, NotSent> {
        // What would be rejected now need not wait for that.
        if is_first || matches!(server, Server::One(_)) {
            server.check().map_err(NotSent::Rejected)?;
        }
        let end = match (deadline, &self.server_wait) {
            (Some(deadline), _) => Some(deadline),
            // Rows that can wait for a server can wait for a connection.
            (None, Some(_)) => None,
            (None, None) => Some(Instant::now() + self.call_budget),
        };
        let seconds = self.metrics().permit_wait(PermitKind::Connection);
        let connection = server.connection(end, seconds).await;
        let connection = connection.map_err(NotSent::NoPermit)?;
        if let Server::One(load) = server {
            load.admit().map_err(NotSent::Rejected)?;
        }
        Ok(connection)
    }

    fn observe_breaker(&self) {
        let Replicas::Only(replica) = &self.replicas else {
            return;
        };
        if let Some(state) = replica.breaker_state() {
            self.metrics().breaker_state(match state {
                CircuitState::Closed => 0.0,
                CircuitState::HalfOpen => 1.0,
                CircuitState::Open => 2.0,
            });
        }
    }
}
