//! Where the IDs of sequences come from: the counter of one `open`, and the run it belongs to.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tracing::debug;
use triton_client::SequenceId;
use triton_options::{CounterInitStrategy, SequenceIdScope, SequenceIds};
use uuid::{NoContext, Timestamp, Uuid};

use crate::{Error, ErrorKind, Subtask};

/// Makes the sequence IDs of one `open`, `{base}-{subtask}-{counter}` or, where the option
/// `sequence-id-scope` is `run`, `{base}-{run}-{subtask}-{counter}`.
#[derive(Debug)]
pub(crate) struct IdSource {
    ids: SequenceIds,
    run: Option<RunId>,
    subtask: Subtask,
    counter: AtomicU64,
}

impl IdSource {
    /// The source of an `open` at the time `now`.
    pub(crate) fn new(ids: SequenceIds, subtask: Subtask, now: SystemTime) -> Self {
        let run = match ids.scope {
            SequenceIdScope::Run => Some(RunId::new(&subtask, now)),
            _ => None,
        };
        Self {
            counter: AtomicU64::new(first_counter(ids.counter, now)),
            ids,
            run,
            subtask,
        }
    }

    /// Takes the next number, for the sequence of a key or for a single request.
    pub(crate) fn take(&self, key: Option<&str>) -> u64 {
        // Only uniqueness matters, so no order with other memory is needed.
        let counter = self.counter.fetch_add(1, Ordering::Relaxed);
        debug!(
            sequence_id = %self.text(counter),
            key,
            base = %self.ids.base,
            run = self.run.as_ref().map(tracing::field::display),
            subtask_index = self.subtask.index(),
            counter,
            "took a sequence ID"
        );
        counter
    }

    /// The number that would be taken next.
    pub(crate) fn peek(&self) -> u64 {
        self.counter.load(Ordering::Relaxed)
    }

    /// Goes on counting from `counter`, unless it is further already.
    pub(crate) fn advance(&self, counter: u64) {
        self.counter.fetch_max(counter, Ordering::Relaxed);
    }

    /// The ID of a number.
    pub(crate) fn text(&self, counter: u64) -> String {
        let subtask_index = self.subtask.index();
        let base = &self.ids.base;
        match &self.run {
            Some(run) => base.sequence_id_in_run(&run.0, subtask_index, counter),
            None => base.sequence_id(subtask_index, counter),
        }
    }

    /// The ID of a number as it is sent.
    pub(crate) fn id(&self, counter: u64) -> Result<SequenceId, Error> {
        // Checked options never lead to an ID that the server does not take.
        SequenceId::text(self.text(counter)).map_err(|invalid| {
            Error::new(ErrorKind::Input, invalid.to_string()).in_subtask(self.subtask)
        })
    }
}

/// What tells one run from every other.
///
/// As text it sorts in the order in which runs were opened, as far as it comes from one clock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct RunId(String);

impl RunId {
    /// The engine's job and attempt, or a new UUID of version 7.
    ///
    /// A UUID begins with the time, so it sorts, and holds 74 random bits, so that it is unique
    /// even where clocks are set back.
    fn new(subtask: &Subtask, now: SystemTime) -> Self {
        if let Some(job) = subtask.job() {
            return Self(format!("{job}.{}", subtask.attempt()));
        }
        let since_1970 = since_1970(now);
        let (seconds, nanos) = (since_1970.as_secs(), since_1970.subsec_nanos());
        let timestamp = Timestamp::from_unix(NoContext, seconds, nanos);
        Self(base32(Uuid::new_v7(timestamp).as_u128()))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// 26 digits to the base 32, whose order as text is the order of the numbers.
fn base32(number: u128) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let digit = |place: u32| char::from(DIGITS[(number >> (5 * place)) as usize % 32]);
    (0..26).rev().map(digit).collect()
}

/// Where the counter begins in an `open` at the time `now`.
fn first_counter(strategy: CounterInitStrategy, now: SystemTime) -> u64 {
    let number = match strategy {
        CounterInitStrategy::EpochMillis => since_1970(now).as_millis(),
        CounterInitStrategy::NanoTime => since_1970(now).as_nanos(),
        _ => 0,
    };
    // Nanoseconds fill 64 bits in the year 2554.
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A clock before 1970 is out of order; so far off, no number is better than another.
fn since_1970(now: SystemTime) -> Duration {
    now.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use triton_options::{MAX_RUN_ID_BYTES, TritonOptions};

    use super::*;

    fn ids(extra: &[(&str, &str)]) -> SequenceIds {
        let common = [
            ("endpoint", "http://localhost:8000"),
            ("model-name", "m"),
            ("sequence-id", "job"),
            ("sequence-id-auto-increment", "true"),
        ];
        let options = TritonOptions::parse(common.iter().chain(extra).copied()).unwrap();
        options.sequence_mode().ids().unwrap().clone()
    }

    #[test]
    fn a_run_is_named_by_its_job_and_attempt_or_by_a_uuid() {
        let subtask = Subtask::new(0, 1, u32::MAX).unwrap();
        let in_job = subtask.in_job(&"f".repeat(32)).unwrap();
        let run = RunId::new(&in_job, SystemTime::UNIX_EPOCH);
        assert_eq!(run.0, format!("{}.4294967295", "f".repeat(32)));
        assert_eq!(run.0.len(), MAX_RUN_ID_BYTES);
        let at = |millis: u64| {
            SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + millis)
        };
        let runs: Vec<RunId> = (0..100)
            .map(|millis| RunId::new(&subtask, at(millis)))
            .collect();
        assert!(runs.is_sorted_by(|earlier, later| earlier < later));
        assert_eq!(runs[0].0.len(), 26);
        let source = IdSource::new(ids(&[("sequence-id-scope", "run")]), in_job, at(0));
        let expected = format!("job-{}.4294967295-0-7", "f".repeat(32));
        assert_eq!(source.text(7), expected);
    }

    #[test]
    fn the_counter_begins_where_its_strategy_says() {
        let now = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        for (strategy, first) in [
            ("ZERO", 0),
            ("EPOCH_MILLIS", 1_700_000_000_123),
            ("NANO_TIME", 1_700_000_000_123_456_789),
        ] {
            let strategy = ids(&[("sequence-id-counter-init-strategy", strategy)]).counter;
            assert_eq!(first_counter(strategy, now), first, "{strategy:?}");
            let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
            assert_eq!(first_counter(strategy, before_1970), 0);
        }
    }

    #[test]
    fn concurrent_requests_never_share_an_id() {
        let subtask = Subtask::new(0, 1, 0).unwrap();
        let source = &IdSource::new(ids(&[]), subtask, SystemTime::now());
        let take = || source.text(source.take(None));
        let taken: BTreeSet<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..500).map(|_| take()).collect::<Vec<_>>()))
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        let expected = (0..4000)
            .map(|counter| format!("job-0-{counter}"))
            .collect();
        assert_eq!(taken, expected);
    }

    /// Something after which subtasks are opened anew.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        /// One subtask fails and comes back.
        Restart,
        /// The job goes on with another number of subtasks.
        Rescale(u32),
        /// The job is submitted again.
        Submit,
        /// The clock is set, forward or back, by some seconds.
        ClockStep(i64),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Restart),
            (1_u32..5).prop_map(Event::Rescale),
            Just(Event::Submit),
            (-100_i64..100).prop_map(Event::ClockStep),
        ]
    }

    /// Every ID of a job through `events`, with the engine's job ID handed over or not.
    fn all_ids(ids: &SequenceIds, events: &[Event], in_job: bool) -> Vec<String> {
        let mut now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let (mut parallelism, mut submission, mut attempt) = (2, 0, 0);
        let mut made = Vec::new();
        let mut open = |subtasks: std::ops::Range<u32>, parallelism, submission, attempt, now| {
            for index in subtasks {
                let mut subtask = Subtask::new(index, parallelism, attempt).unwrap();
                if in_job {
                    subtask = subtask.in_job(&format!("job{submission}")).unwrap();
                }
                let source = IdSource::new(ids.clone(), subtask, now);
                made.extend((0..3).map(|_| source.text(source.take(None))));
            }
        };
        open(0..parallelism, parallelism, submission, attempt, now);
        for event in events {
            now += Duration::from_millis(10);
            let restarted = match event {
                Event::Restart => {
                    attempt += 1;
                    0..1
                }
                Event::Rescale(subtasks) => {
                    attempt += 1;
                    parallelism = *subtasks;
                    0..parallelism
                }
                Event::Submit => {
                    (submission, attempt) = (submission + 1, 0);
                    0..parallelism
                }
                Event::ClockStep(seconds) => {
                    let step = Duration::from_secs(seconds.unsigned_abs());
                    now = if *seconds < 0 { now - step } else { now + step };
                    continue;
                }
            };
            open(restarted, parallelism, submission, attempt, now);
        }
        made
    }

    fn repeats(made: &[String]) -> bool {
        made.iter().collect::<BTreeSet<_>>().len() < made.len()
    }

    proptest! {
        #[test]
        fn digits_sort_like_numbers(left: u128, right: u128) {
            prop_assert_eq!(base32(left).cmp(&base32(right)), left.cmp(&right));
        }

        #[test]
        fn a_run_never_repeats_the_ids_of_another(events in vec(event(), 1..20), in_job: bool) {
            let run = ids(&[("sequence-id-scope", "run")]);
            prop_assert!(!repeats(&all_ids(&run, &events, in_job)));
            // Within the subtask every new beginning repeats them.
            let opens = events.iter().any(|event| !matches!(event, Event::ClockStep(_)));
            prop_assert_eq!(repeats(&all_ids(&ids(&[]), &events, in_job)), opens);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_repeats_counters_but_no_runs() {
        let strategy = ("sequence-id-counter-init-strategy", "EPOCH_MILLIS");
        let subtask = Subtask::new(0, 1, 0).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let first_id = |scope| {
            let ids = ids(&[strategy, ("sequence-id-scope", scope)]);
            let source = IdSource::new(ids, subtask, now);
            source.text(source.take(None))
        };
        assert_eq!(first_id("subtask"), first_id("subtask"));
        assert_ne!(first_id("run"), first_id("run"));
    }
}
