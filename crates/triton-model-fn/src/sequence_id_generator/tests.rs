//! Sequence IDs as text, through everything after which subtasks are opened again.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use triton_options::{MAX_RUN_ID_BYTES, MAX_SEQUENCE_ID_BYTES, SequenceBase, TritonOptions};

use super::*;
use crate::executions::Executions;
use crate::run_id::base32;

pub(super) fn ids(extra: &[(&str, &str)]) -> SequenceIds {
    let common = [
        ("endpoint", "http://localhost:8000"),
        ("model-name", "m"),
        ("sequence-id", "job"),
        ("sequence-id-auto-increment", "true"),
    ];
    let options = TritonOptions::parse(common.iter().chain(extra).copied()).unwrap();
    options.sequence_mode().ids().unwrap().clone()
}

pub(super) fn in_flink(subtask: Subtask) -> Subtask {
    let subtask = subtask.in_job("b6b6a601877d99b12f6dfe1e73c4efb7").unwrap();
    let subtask = subtask.in_operator("0a448493b4782967b150582570326227");
    let subtask = subtask.unwrap();
    subtask
        .in_execution("5b0c9d1c8ea2cbb5f1d3d2a4b0f37a5e")
        .unwrap()
}

pub(super) const UNIQUE: Opened = Opened {
    ran_before: None,
    is_unique: true,
};
const AGAIN: Opened = Opened {
    ran_before: None,
    is_unique: false,
};

pub(super) fn generator(
    ids: SequenceIds,
    subtask: Subtask,
    opened: &Opened,
    now: SystemTime,
) -> SequenceIdGenerator {
    SequenceIdGenerator::new(ids, subtask, opened, Arc::default(), now)
}

// Holds S20.
#[test]
fn a_run_is_named_by_what_the_engine_tells_or_by_a_uuid() {
    let at =
        |millis: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + millis);
    let told = in_flink(Subtask::new(0, 2, 3).unwrap());
    let other = in_flink(Subtask::new(1, 2, 3).unwrap());
    let source = generator(ids(&[("sequence-id-scope", "run")]), told, &UNIQUE, at(0));
    // It must stay the same from one release to the next.
    assert_eq!(source.text(7), "job-392n4dh0ova14p853j7rtl8gf3-0-7");
    assert_eq!(source.run(), Some("392n4dh0ova14p853j7rtl8gf3"));
    let run = RunId::new(&told, &UNIQUE, at(0));
    assert_eq!(run.as_str().len(), MAX_RUN_ID_BYTES);
    assert_eq!(run, RunId::new(&other, &UNIQUE, at(1)));
    // What was opened before, or lacks a name, is told apart by nothing that the engine says.
    assert_ne!(
        RunId::new(&told, &AGAIN, at(0)),
        RunId::new(&told, &AGAIN, at(0))
    );
    let subtask = Subtask::new(0, 1, 0).unwrap().in_job("j").unwrap();
    let subtask = subtask.in_operator("o").unwrap();
    let runs: Vec<String> = (0..100)
        .map(|millis| {
            RunId::new(&subtask, &UNIQUE, at(millis))
                .as_str()
                .to_owned()
        })
        .collect();
    assert!(runs.is_sorted_by(|earlier, later| earlier < later));
    assert_eq!(runs[0].len(), MAX_RUN_ID_BYTES);
}

#[test]
fn the_longest_id_of_a_run_fits_the_server() {
    let base = "b".repeat(SequenceBase::MAX_BYTES_IN_RUN);
    let scope = ("sequence-id-scope", "run");
    let ids = ids(&[("sequence-id", base.as_str()), scope]);
    let last = in_flink(Subtask::new(u32::MAX - 1, u32::MAX, u32::MAX).unwrap());
    for opened in [UNIQUE, AGAIN] {
        let source = generator(ids.clone(), last, &opened, SystemTime::now());
        assert_eq!(source.text(u64::MAX).len(), MAX_SEQUENCE_ID_BYTES);
        assert!(source.name(u64::MAX).into_id().is_ok());
    }
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

// Holds S21.
#[test]
fn concurrent_requests_never_share_an_id() {
    let subtask = Subtask::new(0, 1, 0).unwrap();
    let source = &generator(ids(&[]), subtask, &UNIQUE, SystemTime::now());
    let take = || source.text(source.take(None, Instant::now()).unwrap().counter);
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

/// Something after which subtasks are opened again.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// One subtask fails and comes back.
    Restart,
    /// One subtask is opened again although nothing failed: in the same attempt.
    OpenAgain,
    /// The job goes on with another number of subtasks. New ones begin at attempt 0.
    Rescale(u32),
    /// Another coordinator takes the job over: every subtask is at attempt 0 again.
    TakeOver,
    /// The job is submitted again.
    Submit,
    /// The process is replaced by another one, and its subtasks fail with it.
    ProcessDies,
    /// The clock is set, forward or back, by some seconds.
    ClockStep(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Restart),
        Just(Event::OpenAgain),
        (1_u32..5).prop_map(Event::Rescale),
        Just(Event::TakeOver),
        Just(Event::Submit),
        Just(Event::ProcessDies),
        (-100_i64..100).prop_map(Event::ClockStep),
    ]
}

/// What an engine hands over beside subtask and attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Told {
    Nothing,
    Job,
    Everything,
}

/// A job, as an engine runs it.
struct Job<'a> {
    ids: &'a SequenceIds,
    told: Told,
    operators: u32,
    submission: u32,
    execution: u32,
    /// The attempt of each subtask; those of subtasks that are gone stay.
    attempts: Vec<u32>,
    seen: Executions,
    now: SystemTime,
    made: Vec<String>,
}

impl Job<'_> {
    /// Opens some subtasks of each operator and takes IDs in them.
    fn open(&mut self, subtasks: std::ops::Range<usize>) {
        self.now += Duration::from_millis(10);
        for operator in 0..self.operators {
            for index in subtasks.clone() {
                let attempt = self.attempts[index];
                let mut subtask = Subtask::new(index as u32, 8, attempt).unwrap();
                if self.told != Told::Nothing {
                    let job = format!("job{}", self.submission);
                    subtask = subtask.in_job(&job).unwrap();
                }
                if self.told == Told::Everything {
                    let execution = format!("execution{}", self.execution);
                    let operator = format!("operator{operator}");
                    subtask = subtask.in_operator(&operator).unwrap();
                    subtask = subtask.in_execution(&execution).unwrap();
                }
                let opened = self.seen.note(&subtask);
                let source = generator(self.ids.clone(), subtask, &opened, self.now);
                let taken =
                    (0..3).map(|_| source.text(source.take(None, Instant::now()).unwrap().counter));
                self.made.extend(taken);
            }
        }
    }
}

/// Every ID of a job through `events`.
fn all_ids(ids: &SequenceIds, events: &[Event], told: Told, operators: u32) -> Vec<String> {
    let mut job = Job {
        ids,
        told,
        operators,
        submission: 0,
        execution: 0,
        attempts: vec![0; 2],
        seen: Executions::new(),
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        made: Vec::new(),
    };
    let mut parallelism = 2;
    job.open(0..parallelism);
    for event in events {
        let opened = match event {
            Event::Restart => {
                job.attempts[0] += 1;
                0..1
            }
            Event::OpenAgain => 0..1,
            Event::Rescale(subtasks) => {
                job.execution += 1;
                job.attempts.iter_mut().for_each(|attempt| *attempt += 1);
                parallelism = *subtasks as usize;
                let known = job.attempts.len().max(parallelism);
                job.attempts.resize(known, 0);
                0..parallelism
            }
            Event::TakeOver => {
                job.execution += 1;
                job.attempts.fill(0);
                0..parallelism
            }
            Event::Submit => {
                job.submission += 1;
                job.execution += 1;
                job.attempts.fill(0);
                0..parallelism
            }
            Event::ProcessDies => {
                job.seen = Executions::new();
                job.attempts.iter_mut().for_each(|attempt| *attempt += 1);
                0..parallelism
            }
            Event::ClockStep(seconds) => {
                let step = Duration::from_secs(seconds.unsigned_abs());
                let now = job.now;
                job.now = if *seconds < 0 { now - step } else { now + step };
                continue;
            }
        };
        job.open(opened);
    }
    job.made
}

fn repeats(made: &[String]) -> bool {
    made.iter().collect::<BTreeSet<_>>().len() < made.len()
}

proptest! {
    #[test]
    fn digits_sort_like_numbers(left: u128, right: u128) {
        prop_assert_eq!(base32(left).cmp(&base32(right)), left.cmp(&right));
    }

    // Holds S20.
    #[test]
    fn a_run_never_repeats_the_ids_of_another(
        events in vec(event(), 1..20),
        told in prop_oneof![Just(Told::Nothing), Just(Told::Job), Just(Told::Everything)],
        operators in 1_u32..3,
    ) {
        let run = ids(&[("sequence-id-scope", "run")]);
        prop_assert!(!repeats(&all_ids(&run, &events, told, operators)));
        // Within the subtask every new beginning repeats them, and so does every operator.
        let opens = events.iter().any(|event| !matches!(event, Event::ClockStep(_)));
        let made = all_ids(&ids(&[]), &events, told, operators);
        prop_assert_eq!(repeats(&made), opens || operators > 1);
    }
}

// Holds S20.
#[test]
fn a_clock_that_is_set_back_repeats_counters_but_no_runs() {
    let strategy = ("sequence-id-counter-init-strategy", "EPOCH_MILLIS");
    let subtask = Subtask::new(0, 1, 0).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let first_id = |scope| {
        let ids = ids(&[strategy, ("sequence-id-scope", scope)]);
        let source = generator(ids, subtask, &UNIQUE, now);
        source.text(source.take(None, Instant::now()).unwrap().counter)
    };
    assert_eq!(first_id("subtask"), first_id("subtask"));
    assert_ne!(first_id("run"), first_id("run"));
}
