//! Calls that were not answered: in which phase they ended, whose fault it is, and what is said.

use std::fmt;

use tokio::time::Instant;
use triton_client::ErrorKind as ClientErrorKind;
use triton_options::{RETRY_BUDGET, ROW_DEADLINE};

use super::{FaultOrigin, RetrySafety};
use crate::circuit_breaker::Rejected;
use crate::permits::NoPermit;
use crate::retry::{Failed, StopReason};
use crate::{Error, ErrorKind};

/// Why a request stayed in the phase of waiting; nothing was sent.
#[derive(Debug)]
pub(super) enum NotSent {
    NoPermit(NoPermit),
    Rejected(Rejected),
    /// There is no server at all.
    NoReplica,
}

/// A logical call that was not answered.
pub(super) enum Unanswered {
    /// It waited for something of this process or for too long, which says nothing of the server.
    Waited(Error),
    Failed(Error),
}

impl Unanswered {
    /// Says whether the row's deadline has ended it.
    pub(super) fn of_deadline(self, is_of_deadline: bool) -> Self {
        match self {
            Unanswered::Waited(error) => Unanswered::Waited(error.of_deadline(is_of_deadline)),
            Unanswered::Failed(error) => Unanswered::Failed(error.of_deadline(is_of_deadline)),
        }
    }
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Self {
        let (Unanswered::Waited(error) | Unanswered::Failed(error)) = unanswered;
        error
    }
}

/// Whose fault it is that a call which was sent was not answered.
pub(super) fn whose_fault(
    failed: &Failed<triton_client::Error, NotSent>,
    origin: impl Fn(&triton_client::Error) -> FaultOrigin,
    is_cut_short: bool,
) -> FaultOrigin {
    let timed_out = match (&failed.reason, &failed.error) {
        (StopReason::DeadlineDuringAttempt, _) => true,
        (_, Some(error)) => error.kind() == ClientErrorKind::Timeout,
        (_, None) => false,
    };
    match &failed.error {
        // Most of the row's time had gone by before it was sent.
        _ if timed_out && is_cut_short => FaultOrigin::Unknown,
        _ if failed.reason_is_cut() => FaultOrigin::Server,
        Some(error) => origin(error),
        None => FaultOrigin::Unknown,
    }
}

impl Failed<triton_client::Error, NotSent> {
    /// Whether a row with a later `deadline` would have had another attempt, or more time for this one.
    pub(super) fn is_of(&self, deadline: Option<Instant>) -> bool {
        let is_for_want_of_time = matches!(
            self.reason,
            StopReason::DeadlineBeforeAttempt
                | StopReason::DeadlineDuringAttempt
                | StopReason::NotReady(NotSent::NoPermit(_))
        );
        // The client cuts an attempt off by itself when the deadline comes.
        deadline.is_some_and(|deadline| is_for_want_of_time || Instant::now() >= deadline)
    }

    /// Whether the last attempt was sent and did not come to an end by itself.
    fn reason_is_cut(&self) -> bool {
        matches!(self.reason, StopReason::DeadlineDuringAttempt)
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSent::NoPermit(no_permit) => no_permit.fmt(formatter),
            NotSent::Rejected(rejected) => rejected.fmt(formatter),
            NotSent::NoReplica => formatter.write_str("the server for it is not called any more"),
        }
    }
}

/// The error of a logical call that was not answered; `budget` is how many retries the function's
/// budget holds, and `target` is whom it was for. With `is_of_deadline` the row's own had come.
pub(super) fn failure(
    failed: Failed<triton_client::Error, NotSent>,
    safety: RetrySafety,
    budget: Option<u64>,
    target: fmt::Arguments<'_>,
    is_of_deadline: bool,
) -> Unanswered {
    let is_cut = failed.reason_is_cut();
    // The client only says how much time it had.
    let late = match is_of_deadline {
        true => format!(" by its deadline (option '{}')", ROW_DEADLINE.key()),
        false => String::new(),
    };
    let attempts = match failed.attempts {
        0 | 1 => String::new(),
        attempts => format!(" in {attempts} attempts over {:.1?}", failed.elapsed),
    };
    // An attempt that was cut off says nothing of itself; the error is of one before it.
    let uncertain = is_cut
        || failed
            .error
            .as_ref()
            .is_some_and(triton_client::Error::may_have_executed);
    let uncertain = uncertain && safety == RetrySafety::UnlessExecuted;
    let was_sent = failed.attempts > 0;
    let (kind, message) = match failed.reason {
        StopReason::NotReady(NotSent::Rejected(rejected)) => {
            // No error of the client is behind it that would name the server.
            let message = format!("the row was {rejected} ({target})");
            (ErrorKind::CircuitOpen, message)
        }
        StopReason::NotReady(not_sent) if was_sent => {
            let message =
                format!("the row was not answered{attempts}, and not sent again: {not_sent}");
            return Unanswered::Waited(error_of(ErrorKind::Call, message, failed.error));
        }
        StopReason::NotReady(not_sent) => {
            let message = format!("nothing was sent: {not_sent}");
            return Unanswered::Waited(Error::new(ErrorKind::Call, message));
        }
        StopReason::DeadlineBeforeAttempt if !was_sent => {
            let message = format!(
                "nothing was sent: the row's deadline ('{}') was over before it could be",
                ROW_DEADLINE.key()
            );
            return Unanswered::Waited(Error::new(ErrorKind::Call, message));
        }
        _ if uncertain => (
            ErrorKind::SequenceUncertain,
            // Whether it can be sent under another ID is for whoever keeps the sequence to say.
            format!(
                "the row was not answered{attempts}{late}, and the model may have taken it into its \
                 sequence all the same"
            ),
        ),
        StopReason::DeadlineBeforeAttempt | StopReason::DeadlineDuringAttempt => (
            ErrorKind::Call,
            format!("the row was not answered{attempts}{late}, and there is no time for another"),
        ),
        StopReason::BudgetUsedUp => (
            ErrorKind::Call,
            format!(
                "the row was not answered{attempts}, and not sent again: the retry budget of this \
                 function ('{}', {} retries) is used up, because most calls fail: look at the server \
                 first; a larger number allows more retries, and 0 sets no limit",
                RETRY_BUDGET.key(),
                budget.unwrap_or_default()
            ),
        ),
        StopReason::NotRetryable | StopReason::AttemptsUsedUp => (
            ErrorKind::Call,
            format!("the row was not answered{attempts}{late}"),
        ),
    };
    Unanswered::Failed(error_of(kind, message, failed.error))
}

fn error_of(kind: ErrorKind, message: String, source: Option<triton_client::Error>) -> Error {
    let error = Error::new(kind, message);
    match source {
        Some(source) => error.with_source(source),
        None => error,
    }
}
