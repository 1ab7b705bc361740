//! How often the sequence of one row is recovered before the row is given up.

use std::time::Duration;

use tokio::time::Instant;
use triton_client::ErrorKind as ClientErrorKind;

use crate::replicas::MOST_MOVES;
use crate::retry::RetryPolicy;
use crate::server_wait::LONGEST_DOUBTFUL_PAUSE;
use crate::{Error, ErrorKind};

/// The most failures of which nothing says that they may pass, such as a 500: a row that the model
/// cannot bear would be sent for ever, a model that is being reloaded comes back.
const MOST_WITHOUT_HOPE: u32 = 8;

/// For each failure that `max-retries` allows without getting any further, how many there may be in
/// all: on a link that is bad enough a long sequence never gets to its end.
const MOST_PER_RETRY: u32 = 100;

/// What is known of the server at the moment of a failure, where rows wait for it.
#[derive(Debug, Clone, Copy)]
pub(in crate::sequences) struct ServerFacts {
    /// How many calls it has answered so far.
    pub(in crate::sequences) answered: u64,
    /// How many calls may be in flight to it.
    pub(in crate::sequences) capacity: u64,
    /// When it was last found not to be ready.
    pub(in crate::sequences) found_away: Option<Instant>,
    /// How long the only call that fails is given the benefit of the doubt.
    pub(in crate::sequences) longest_doubt: Duration,
    /// Whether the failure is one of a server that is away.
    pub(in crate::sequences) may_be_away: bool,
}

/// A failure of a row, or of a row of its sequence that is sent again.
#[derive(Debug)]
pub(super) struct Failure<'a> {
    pub(super) error: &'a Error,
    /// How many rows of the sequence the server had taken in when it came; `None` where it met the
    /// row itself.
    pub(super) replayed: Option<u64>,
    /// Whether it was not sent, because its server is away while others are there.
    pub(super) found_away: bool,
    pub(super) server: Option<ServerFacts>,
}

/// The failures of one row so far.
#[derive(Debug, Default)]
pub(super) struct Recoveries {
    /// How many there were, and how many of them tell anything of the row.
    count: u32,
    hopeless: u32,
    /// Those that met the row itself.
    own: u32,
    /// Those of replays that got no further than the one before.
    in_place: u32,
    reached: u64,
    /// How often it was moved to another server, which is no recovery that is counted.
    moves: u32,
    /// How many rows were sent again.
    pub(super) replayed_rows: u64,
    first: Option<Instant>,
    last: Option<Instant>,
    /// How many calls were answered at the second failure.
    answered: Option<u64>,
}

/// What limits the recoveries of a row.
#[derive(Debug, Clone, Copy)]
pub(in crate::sequences) struct RecoveryLimits {
    pub(in crate::sequences) retry: RetryPolicy,
    /// The time from the first failure in which another recovery may begin.
    pub(in crate::sequences) budget: Duration,
}

impl Recoveries {
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// How long it has been since the first failure.
    pub(super) fn elapsed(&self, now: Instant) -> Duration {
        self.first
            .map_or(Duration::ZERO, |first| now.saturating_duration_since(first))
    }

    /// Counts a failure; how long to wait until the row may be tried again, or `None` where it is
    /// to be given up.
    ///
    /// There is always one recovery, at once unless the server asks for a pause, which is kept before any
    /// of them. Those that follow are counted by what they met: the
    /// row itself or one place of the replay `max-retries` times, a failure without hope
    /// [`MOST_WITHOUT_HOPE`] times at most. A replay that gets further than the one before counts as
    /// none: only the time, and a limit that no sequence should come to, bound those.
    pub(super) fn another(
        &mut self,
        now: Instant,
        limits: &RecoveryLimits,
        failure: &Failure<'_>,
        random: f64,
    ) -> Option<Duration> {
        if failure.error.kind() == ErrorKind::ServerAway {
            // It was waited for as long as it was to be; nothing is sent to it any more.
            return None;
        }
        if let (Some(server), Some(last)) = (failure.server, self.last)
            && server.found_away.is_some_and(|away| away >= last)
        {
            // What a server that is away does to a row says nothing of the row.
            let replayed_rows = self.replayed_rows;
            *self = Self {
                replayed_rows,
                ..Self::default()
            };
        }
        if failure.found_away && self.moves < MOST_MOVES {
            self.moves += 1;
            return Some(Duration::ZERO);
        }
        self.last = Some(now);
        let first = *self.first.get_or_insert(now);
        self.count = self.count.saturating_add(1);
        let retry = limits.retry;
        let got_further = failure
            .replayed
            .is_some_and(|replayed| replayed > self.reached);
        self.reached = failure.replayed.unwrap_or(self.reached);
        let asked = failure.error.client_error();
        let asked = asked.and_then(triton_client::Error::retry_after);
        let used = now.saturating_duration_since(first);
        let within_budget =
            |wait: Duration| (used.saturating_add(wait) <= limits.budget).then_some(wait);
        if self.count == 1 {
            return match asked {
                None => Some(Duration::ZERO),
                Some(_) => within_budget(retry.wait(1, asked, random)),
            };
        }
        if let Some(server) = failure.server {
            let before = *self.answered.get_or_insert(server.answered);
            // Nothing tells yet whether it is this row or the server.
            let is_in_doubt = server.may_be_away
                && server.answered - before <= server.capacity
                && now.saturating_duration_since(first) < server.longest_doubt;
            if is_in_doubt {
                let pause = retry.wait(self.count, None, random);
                return Some(
                    pause
                        .min(LONGEST_DOUBTFUL_PAUSE)
                        .max(asked.unwrap_or_default()),
                );
            }
        }
        let (counted, most) = if !may_pass(failure.error) {
            self.hopeless += 1;
            (self.hopeless, retry.max_retries.min(MOST_WITHOUT_HOPE))
        } else if failure.replayed.is_none() {
            self.own += 1;
            (self.own, retry.max_retries)
        } else {
            self.in_place = if got_further { 0 } else { self.in_place + 1 };
            (self.in_place, retry.max_retries)
        };
        let most_in_all = retry.max_retries.saturating_mul(MOST_PER_RETRY);
        if counted > most || self.count - 1 > most_in_all {
            return None;
        }
        within_budget(retry.wait(counted.max(1), asked, random))
    }
}

/// Whether the same request may be answered a moment later.
fn may_pass(error: &Error) -> bool {
    match error.client_error() {
        Some(cause) => cause.is_transient() || cause.kind() == ClientErrorKind::SequenceNotStarted,
        // A panic, or an answer that cannot be read, comes again.
        None => !matches!(error.kind(), ErrorKind::Output | ErrorKind::Internal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RecoveryLimits = RecoveryLimits {
        retry: RetryPolicy {
            max_retries: 25,
            initial_backoff: Duration::from_millis(1),
            max_backoff: Duration::from_millis(1),
        },
        budget: Duration::from_secs(600),
    };

    fn another(recoveries: &mut Recoveries, error: &Error, replayed: Option<u64>) -> bool {
        let failure = Failure {
            error,
            replayed,
            found_away: false,
            server: None,
        };
        recoveries
            .another(Instant::now(), &LIMITS, &failure, 0.5)
            .is_some()
    }

    fn passing() -> Error {
        Error::new(ErrorKind::SequenceUncertain, "no answer came")
    }

    fn hopeless() -> Error {
        Error::new(ErrorKind::Internal, "a panic")
    }

    /// What a gateway says that asks for a pause.
    async fn overloaded() -> Error {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let answering = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let _ = connection.read(&mut [0; 4096]).unwrap();
            let answer = "HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n";
            connection.write_all(answer.as_bytes()).unwrap();
        });
        let client = triton_client::Client::new(&endpoint).unwrap();
        let refused = client.server_metadata().await.unwrap_err();
        answering.join().unwrap();
        Error::new(ErrorKind::SequenceUncertain, "no answer came").with_source(refused)
    }

    // Holds F15.
    #[tokio::test]
    async fn no_recovery_begins_before_the_pause_that_the_server_asks_for() {
        let overloaded = overloaded().await;
        let failure = Failure {
            error: &overloaded,
            replayed: None,
            found_away: false,
            server: None,
        };
        let now = Instant::now();
        let mut recoveries = Recoveries::default();
        for _ in 0..3 {
            let wait = recoveries.another(now, &LIMITS, &failure, 0.5).unwrap();
            assert!(wait >= Duration::from_secs(2), "{wait:?}");
        }
        let impatient = RecoveryLimits {
            budget: Duration::from_secs(1),
            ..LIMITS
        };
        let given_up = Recoveries::default().another(now, &impatient, &failure, 0.5);
        assert_eq!(given_up, None);
    }

    // Holds S34.
    #[test]
    fn hopeless_failures_are_counted_apart_from_those_that_pass() {
        let mut recoveries = Recoveries::default();
        for _ in 0..10 {
            assert!(another(&mut recoveries, &passing(), None));
        }
        let hopeless_ones = (0..20)
            .take_while(|_| another(&mut recoveries, &hopeless(), None))
            .count();
        assert_eq!(hopeless_ones, MOST_WITHOUT_HOPE as usize);
    }

    // Holds F18.
    #[test]
    fn a_server_that_was_waited_for_in_vain_is_not_tried_again() {
        let away = Error::new(ErrorKind::ServerAway, "the server was away for 1s");
        for before in 0..3 {
            let mut recoveries = Recoveries::default();
            for _ in 0..before {
                assert!(another(&mut recoveries, &passing(), Some(0)));
            }
            assert!(!another(&mut recoveries, &away, Some(0)), "{before}");
        }
    }

    // Holds S34.
    #[test]
    fn a_replay_that_gets_further_counts_as_none() {
        let mut recoveries = Recoveries::default();
        let mut random = fastrand::Rng::with_seed(1);
        // A long sequence over a link that cuts one answer of a hundred.
        for _ in 0..300 {
            let cut = (0..400).find(|_| random.u32(0..100) == 0).unwrap_or(400);
            assert!(another(&mut recoveries, &passing(), Some(cut)));
        }
        let mut recoveries = Recoveries::default();
        let stuck = (0..100)
            .take_while(|_| another(&mut recoveries, &passing(), Some(7)))
            .count();
        assert_eq!(stuck, 1 + 25);
    }

    // Holds S35.
    #[test]
    fn nothing_goes_on_for_ever() {
        let mut recoveries = Recoveries::default();
        let mut count = 0;
        while another(&mut recoveries, &passing(), Some(count)) {
            count += 1;
        }
        assert_eq!(count, 1 + 25 * u64::from(MOST_PER_RETRY));
    }

    // Holds S35.
    #[test]
    fn none_begins_once_the_time_of_a_call_is_up() {
        let begun = Instant::now();
        let mut recoveries = Recoveries::default();
        let mut is_tried_after = |seconds| {
            let failure = Failure {
                error: &passing(),
                replayed: None,
                found_away: false,
                server: None,
            };
            let now = begun + Duration::from_secs(seconds);
            recoveries.another(now, &LIMITS, &failure, 0.5).is_some()
        };
        assert!(is_tried_after(0) && is_tried_after(599));
        assert!(!is_tried_after(600));
    }
}
