//! A logical call: admitted by the circuit breaker, retried where that is safe, and counted.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::Instant;
use tracing::debug;
use triton_client::{Client, ErrorKind as ClientErrorKind, Sequence};

use crate::circuit_breaker::{CircuitState, Permit};
use crate::retry::{self, Failed, StopReason, Verdict};
use crate::server_wait::{Failures, Judgement, LONGEST_DOUBTFUL_PAUSE};
use crate::{Error, ErrorKind, OpenSubtask};

/// Whether a request that the server may have executed can be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resend {
    /// It can: the model keeps no state, or START makes it forget what came before.
    Safe,
    /// It cannot: within a sequence it would count twice.
    UnlessExecuted,
}

impl Resend {
    pub(crate) fn of(sequence: Option<&Sequence>) -> Self {
        match sequence {
            Some(sequence) if !sequence.start => Resend::UnlessExecuted,
            _ => Resend::Safe,
        }
    }

    fn verdict(self, error: &triton_client::Error) -> Verdict {
        if error.is_transient() && (self == Resend::Safe || !error.may_have_executed()) {
            Verdict::Retry {
                after: error.retry_after(),
            }
        } else {
            Verdict::Stop
        }
    }
}

/// What a failed call says about the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// It fails: the circuit breaker counts it.
    Server,
    /// The request was at fault, or one row of several may be: the breaker counts nothing.
    Request,
}

impl Blame {
    /// Blames the server for what it could not do, not for what it refused.
    pub(crate) fn of(error: &triton_client::Error) -> Self {
        match error.kind() {
            kind if kind.is_connection() => Blame::Server,
            ClientErrorKind::Timeout
            | ClientErrorKind::Interrupted
            | ClientErrorKind::Unavailable
            | ClientErrorKind::Server => Blame::Server,
            _ => Blame::Request,
        }
    }
}

impl OpenSubtask {
    /// Makes a logical call: asks the circuit breaker, runs `operation`, and runs it again after
    /// passing failures as `max-retries` and the backoff options say.
    ///
    /// `sequence` is the place of the request in a sequence, which stays the same on every
    /// attempt. A request in the middle of a sequence is sent again only if the server certainly
    /// did not execute it; otherwise it would count twice.
    ///
    /// Dropping the future gives the call up; the server may execute it all the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::CircuitOpen`] when the breaker does not admit the call,
    /// [`ErrorKind::SequenceUncertain`] when a call in the middle of a sequence failed and may
    /// have been executed, and [`ErrorKind::Call`] for every other failure of the last attempt.
    pub async fn call<T, F>(
        &self,
        sequence: Option<&Sequence>,
        operation: impl Fn(Client) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, triton_client::Error>>,
    {
        let resend = Resend::of(sequence);
        self.call_with(sequence, resend, Blame::of, operation).await
    }

    /// As [`call`](Self::call), with judgements of its own: whether the request can be sent again
    /// and whom a failure is to blame on.
    ///
    /// Where rows can wait, the call outlasts a server that is away.
    pub(crate) async fn call_with<T, F>(
        &self,
        sequence: Option<&Sequence>,
        resend: Resend,
        blame: impl Fn(&triton_client::Error) -> Blame,
        operation: impl Fn(Client) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, triton_client::Error>>,
    {
        let Some(wait) = &self.server_wait else {
            return self.call_once(sequence, resend, blame, operation).await;
        };
        let _calling = wait.calling();
        // Failures while the server answered others: only those count as retries.
        let (mut own_failures, mut doubts, mut failures) = (0, 0, Failures::default());
        loop {
            wait.until_back(self.client(), &self.model).await?;
            let answered = wait.answered();
            let called = self.call_once(sequence, resend, &blame, &operation).await;
            let error = match called {
                Ok(answer) => {
                    wait.answers(&self.model);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let judgement = wait
                .judge(self.client(), &self.model, &error, answered, &mut failures)
                .await;
            let after = error
                .client_error()
                .and_then(triton_client::Error::retry_after);
            let again = match judgement {
                Judgement::Final => false,
                Judgement::Own => {
                    own_failures += 1;
                    let asked_too_much = after.is_some_and(|after| after > wait.longest_pause());
                    own_failures <= wait.own_retries(self.retry.max_retries) && !asked_too_much
                }
                Judgement::Away | Judgement::Undecided => true,
            };
            // Within a sequence only what was certainly not executed can be sent again.
            if !again || error.kind() == ErrorKind::SequenceUncertain {
                return Err(error);
            }
            let pause = match judgement {
                Judgement::Own => self.retry.wait(own_failures, after, retry::thread_random()),
                Judgement::Undecided => {
                    doubts += 1;
                    let pause = self.retry.wait(doubts, after, retry::thread_random());
                    pause.min(LONGEST_DOUBTFUL_PAUSE)
                }
                _ => after.unwrap_or_default().min(wait.longest_pause()),
            };
            wait.pause(pause).await;
        }
    }

    /// A logical call with its retries.
    async fn call_once<T, F>(
        &self,
        sequence: Option<&Sequence>,
        resend: Resend,
        blame: impl Fn(&triton_client::Error) -> Blame,
        operation: impl Fn(Client) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, triton_client::Error>>,
    {
        let permit = self.admit()?;
        let in_flight = self.metrics().call_begins();
        let begun = Instant::now();
        let attempts = AtomicU32::new(0);
        let result = retry::run(
            &self.retry,
            begun + self.call_budget,
            retry::thread_random,
            |attempt| {
                attempts.store(attempt, Ordering::Relaxed);
                if attempt > 1 {
                    debug!(
                        model = %self.model,
                        subtask = self.subtask.index(),
                        sequence_id = sequence.map(|sequence| tracing::field::display(&sequence.id)),
                        attempt,
                        "sending again"
                    );
                }
                self.with_client(&operation)
            },
            |error| match self.server_wait {
                // Whether and when it is sent again depends on what others meet.
                Some(_) => Verdict::Stop,
                None => resend.verdict(error),
            },
        )
        .await;
        let attempts = attempts.into_inner();
        let outcome = match result {
            Ok(answer) => {
                if let Some(permit) = permit {
                    permit.success();
                }
                in_flight.ends(None, begun.elapsed(), attempts);
                Ok(answer)
            }
            Err(failed) => {
                let blame = failed.error.as_ref().map_or(Blame::Server, blame);
                match permit {
                    Some(permit) if blame == Blame::Server => permit.failure(),
                    // A permit that is dropped counts as nothing.
                    dropped => drop(dropped),
                }
                let error = failure(failed, resend);
                in_flight.ends(Some(error.kind()), begun.elapsed(), attempts);
                Err(error)
            }
        };
        self.observe_breaker();
        outcome
    }

    fn admit(&self) -> Result<Option<Permit>, Error> {
        let Some(breaker) = &self.breaker else {
            return Ok(None);
        };
        breaker.admit().map(Some).map_err(|rejected| {
            self.observe_breaker();
            Error::new(ErrorKind::CircuitOpen, format!("the row was {rejected}"))
        })
    }

    fn observe_breaker(&self) {
        if let Some(breaker) = &self.breaker {
            self.metrics().breaker_state(match breaker.state() {
                CircuitState::Closed => 0.0,
                CircuitState::HalfOpen => 1.0,
                CircuitState::Open => 2.0,
            });
        }
    }
}

/// The error of a logical call whose last attempt failed.
fn failure(failed: Failed<triton_client::Error>, resend: Resend) -> Error {
    let attempts = match failed.attempts {
        1 => String::new(),
        attempts => format!(" in {attempts} attempts over {:.1?}", failed.elapsed),
    };
    let in_time = match failed.reason {
        StopReason::DeadlineBeforeAttempt | StopReason::DeadlineDuringAttempt => {
            ", and there is no time for another"
        }
        StopReason::NotRetryable | StopReason::AttemptsUsedUp => "",
    };
    let uncertain = match &failed.error {
        // An attempt that was cut off says nothing of itself; the error is of one before it.
        _ if failed.reason == StopReason::DeadlineDuringAttempt => true,
        Some(error) => error.may_have_executed(),
        None => false,
    };
    let error = if uncertain && resend == Resend::UnlessExecuted {
        Error::new(
            ErrorKind::SequenceUncertain,
            format!(
                "the row was not answered{attempts}, and the model may have taken it into its \
                 sequence all the same, so it was not sent again"
            ),
        )
    } else {
        let message = format!("the row was not answered{attempts}{in_time}");
        Error::new(ErrorKind::Call, message)
    };
    match failed.error {
        Some(source) => error.with_source(source),
        None => error,
    }
}
