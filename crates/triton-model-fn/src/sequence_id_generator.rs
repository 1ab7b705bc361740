//! Where the IDs of sequences come from: the counter of one `open`, and the run it belongs to.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing::debug;
use triton_client::SequenceId;
use triton_options::{CounterInitStrategy, SEQUENCE_ID_TYPE, SequenceIdScope, SequenceIds};
use uuid::{NoContext, Timestamp, Uuid};

use crate::executions::Opened;
use crate::live_numbers::{Lease, LiveNumbers};
use crate::sequence_numbers::{NarrowNumbers, SequenceNumbers};
use crate::{Error, ErrorKind, SequenceIdForm, SequenceSnapshot, Subtask};

/// Makes the sequence IDs of one `open`, `{base}-{subtask}-{counter}` or, where the option
/// `sequence-id-scope` is `run`, `{base}-{run}-{subtask}-{counter}`, or numbers of the same parts.
#[derive(Debug)]
pub(crate) struct SequenceIdGenerator {
    ids: SequenceIds,
    run: Option<RunId>,
    subtask: Subtask,
    counter: AtomicU64,
    /// What IDs are sent as where that is not the text.
    numbers: OnceLock<(SequenceNumbers, SequenceIdForm)>,
    live: Arc<LiveNumbers>,
}

/// A sequence ID that nobody else has.
#[derive(Debug)]
pub(crate) struct TakenId {
    /// What it is made from.
    pub(crate) counter: u64,
    /// What keeps its number from being given out again, where there are few of them.
    pub(crate) lease: Option<Lease>,
}

/// What a sequence is called in logs and errors: its text, and what is sent where that is a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SequenceName {
    pub(crate) text: String,
    pub(crate) number: Option<NonZeroU64>,
}

impl fmt::Display for SequenceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)?;
        match self.number {
            Some(number) => write!(formatter, " = {number}"),
            None => Ok(()),
        }
    }
}

impl SequenceIdGenerator {
    /// The source of an `open` at the time `now`, of which `opened` is known. Its IDs are text until
    /// something else is agreed.
    pub(crate) fn new(
        ids: SequenceIds,
        subtask: Subtask,
        opened: &Opened,
        live: Arc<LiveNumbers>,
        now: SystemTime,
    ) -> Self {
        let run = match ids.scope {
            SequenceIdScope::Run => Some(RunId::new(&subtask, opened, now)),
            _ => None,
        };
        Self {
            counter: AtomicU64::new(first_counter(ids.counter, now)),
            ids,
            run,
            subtask,
            numbers: OnceLock::new(),
            live,
        }
    }

    /// From now on IDs are sent in this form; `idle` is how long the server keeps a sequence.
    pub(crate) fn agree(&self, form: &SequenceIdForm, idle: Option<Duration>) {
        let Some(largest) = form.largest_number() else {
            return;
        };
        self.live.rest_for(idle.unwrap_or_default());
        let run = match &self.run {
            Some(run) => format!("{}-{}", self.ids.base, run.0),
            None => self.ids.base.to_string(),
        };
        let numbers = SequenceNumbers::new(largest, &run, self.subtask);
        // It is agreed once for each opening; a second time nothing else would come of it.
        let _ = self.numbers.set((numbers, form.clone()));
    }

    /// What the IDs name their run by, where they do: it leads from an ID in a log to its job.
    pub(crate) fn run(&self) -> Option<&str> {
        self.run.as_ref().map(|run| run.0.as_str())
    }

    /// Takes the next ID, for the sequence of a key or for a single request.
    ///
    /// # Errors
    ///
    /// Where there is no number left; nothing was taken.
    pub(crate) fn take(&self, key: Option<&str>, now: Instant) -> Result<TakenId, Error> {
        let taken = match self.numbers.get() {
            // Only uniqueness matters, so no order with other memory is needed.
            None => TakenId {
                counter: self.counter.fetch_add(1, Ordering::Relaxed),
                lease: None,
            },
            Some((numbers @ SequenceNumbers::Wide(_), _)) => TakenId {
                counter: self.take_wide(numbers)?,
                lease: None,
            },
            Some((SequenceNumbers::Narrow(numbers), form)) => {
                self.take_narrow(numbers, form, now)?
            }
        };
        let counter = taken.counter;
        let name = self.name(counter);
        debug!(
            sequence_id = %name,
            key,
            base = %self.ids.base,
            run = self.run(),
            subtask_index = self.subtask.index(),
            counter,
            "took a sequence ID"
        );
        Ok(taken)
    }

    fn take_wide(&self, numbers: &SequenceNumbers) -> Result<u64, Error> {
        loop {
            let most = numbers.counters().unwrap_or(u64::MAX);
            let next = |counter: u64| (counter < most).then(|| counter + 1);
            let counter = self
                .counter
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
                .map_err(|counter| {
                    let message = format!(
                        "nothing was sent: {}; open the function anew, with another base or \
                         without a counter that begins at a time",
                        too_large(counter, most)
                    );
                    Error::new(ErrorKind::State, message)
                })?;
            // One counter of a run would have the number 0, which is no ID.
            if numbers.of(counter).is_some() {
                return Ok(counter);
            }
        }
    }

    fn take_narrow(
        &self,
        numbers: &NarrowNumbers,
        form: &SequenceIdForm,
        now: Instant,
    ) -> Result<TakenId, Error> {
        let from = self.counter.fetch_add(1, Ordering::Relaxed);
        let Some((counter, lease)) = self.live.take(now, numbers, from) else {
            let message = format!(
                "nothing was sent: each of the {} sequence IDs of this subtask may be alive on the \
                 server; IDs are {form}, and {} subtasks share them; end sequences sooner, or make \
                 the control TYPE_UINT64",
                numbers.share,
                self.subtask.parallelism()
            );
            return Err(Error::new(ErrorKind::Call, message));
        };
        self.advance(counter.saturating_add(1));
        Ok(TakenId {
            counter,
            lease: Some(lease),
        })
    }

    /// The number that would be taken next.
    pub(crate) fn peek(&self) -> u64 {
        self.counter.load(Ordering::Relaxed)
    }

    /// Goes on counting from `counter`, unless it is further already.
    pub(crate) fn advance(&self, counter: u64) {
        self.counter.fetch_max(counter, Ordering::Relaxed);
    }

    /// Whether it can go on counting from `counter`.
    ///
    /// # Errors
    ///
    /// Where no number has room for it.
    pub(crate) fn check_counter(&self, counter: u64) -> Result<(), Error> {
        let numbers = self.numbers.get();
        let most = numbers.and_then(|(numbers, _)| numbers.counters());
        match most.filter(|most| counter >= *most) {
            None => Ok(()),
            Some(most) => {
                let message = format!(
                    "{}, as IDs that are text may have had it: set '{}' to 'text' where the model \
                     takes text, or start without what was stored",
                    too_large(counter, most),
                    SEQUENCE_ID_TYPE.key()
                );
                Err(Error::new(ErrorKind::Snapshot, message))
            }
        }
    }

    /// Numbers that may be alive on the server, where there are so few that they come again.
    pub(crate) fn alive(&self, now: Instant) -> Vec<u64> {
        self.live.alive(now)
    }

    /// Goes on where a snapshot says, unless no number has room for that.
    pub(crate) fn take_over(&self, now: Instant, snapshot: &SequenceSnapshot) -> Result<(), Error> {
        self.check_counter(snapshot.next_counter)?;
        self.advance(snapshot.next_counter);
        self.hold(now, &snapshot.alive_numbers);
        Ok(())
    }

    /// Numbers that another run has left on the server are given out again after one idle limit.
    fn hold(&self, now: Instant, numbers: &[u64]) {
        for number in numbers {
            self.live.may_arrive_late(*number, now);
        }
    }

    /// The same of those whose counters an earlier run had reserved, `count` from the next one on.
    pub(crate) fn hold_reserved(&self, now: Instant, count: u64) {
        if let Some((SequenceNumbers::Narrow(numbers), _)) = self.numbers.get() {
            self.live
                .rows_may_arrive_late(numbers, self.peek(), count, now);
        }
    }

    /// A request of this ID was sent, and may arrive although it is given up.
    pub(crate) fn may_arrive_late(&self, id: &SequenceId) {
        if let (SequenceId::Number(number), Some((SequenceNumbers::Narrow(_), _))) =
            (id, self.numbers.get())
        {
            self.live.may_arrive_late(number.get(), Instant::now());
        }
    }

    /// The text of a counter, which names its sequence in logs and errors whatever is sent.
    pub(crate) fn text(&self, counter: u64) -> String {
        let subtask_index = self.subtask.index();
        let base = &self.ids.base;
        match &self.run {
            Some(run) => base.sequence_id_in_run(&run.0, subtask_index, counter),
            None => base.sequence_id(subtask_index, counter),
        }
    }

    /// What the sequence of a counter is called.
    pub(crate) fn name(&self, counter: u64) -> SequenceName {
        let numbers = self.numbers.get();
        SequenceName {
            text: self.text(counter),
            number: numbers.and_then(|(numbers, _)| numbers.of(counter)),
        }
    }

    /// The ID of a counter as it is sent.
    pub(crate) fn id(&self, counter: u64) -> Result<SequenceId, Error> {
        let name = self.name(counter);
        if let Some(number) = name.number {
            return Ok(SequenceId::Number(number));
        }
        // Checked options never lead to an ID that the server does not take.
        SequenceId::text(name.text).map_err(|invalid| {
            Error::new(ErrorKind::Input, invalid.to_string()).in_subtask(self.subtask)
        })
    }
}

fn too_large(counter: u64, most: u64) -> String {
    format!(
        "the counter of sequence IDs is at {counter}, and numbers have {} bits for it, up to {}",
        most.ilog2(),
        most - 1
    )
}

/// What tells one run from every other: the 26 digits of a UUID, which is made from what the engine
/// hands over where that is enough, and drawn where it is not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RunId(String);

/// The namespace of the UUIDs of version 5 that stand for runs, itself drawn once.
const RUNS: Uuid = Uuid::from_u128(0x0e9b_6a4e_52a1_4d0c_9f37_b1c6_48d2_73ea);

impl RunId {
    fn new(subtask: &Subtask, opened: &Opened, now: SystemTime) -> Self {
        let named = opened.is_unique.then(|| Self::named(subtask)).flatten();
        named.unwrap_or_else(|| Self::drawn(now))
    }

    /// The same for all subtasks of an attempt of an execution, where the engine tells enough.
    ///
    /// It is a UUID of version 5, which has 122 bits of a SHA-1. Two runs that meet by chance would
    /// have to be among some 2^61, and whoever searched for two that do would have to choose the
    /// names of their own job, and would mix up nothing but that.
    fn named(subtask: &Subtask) -> Option<Self> {
        let (job, operator) = (subtask.job()?, subtask.operator()?);
        let (execution, attempt) = (subtask.execution()?, subtask.attempt());
        // No name holds a slash.
        let name = format!("{job}/{operator}/{execution}/{attempt}");
        Some(Self(base32(Uuid::new_v5(&RUNS, name.as_bytes()).as_u128())))
    }

    /// A UUID of version 7: it begins with the time, so that those of one clock sort, and has 74
    /// random bits, so that it is unique even where clocks are set back.
    fn drawn(now: SystemTime) -> Self {
        let since_1970 = since_1970(now);
        let (seconds, nanos) = (since_1970.as_secs(), since_1970.subsec_nanos());
        let timestamp = Timestamp::from_unix(NoContext, seconds, nanos);
        Self(base32(Uuid::new_v7(timestamp).as_u128()))
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
    use triton_options::{MAX_RUN_ID_BYTES, MAX_SEQUENCE_ID_BYTES, SequenceBase, TritonOptions};

    use super::*;
    use crate::executions::Executions;

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

    fn in_flink(subtask: Subtask) -> Subtask {
        let subtask = subtask.in_job("b6b6a601877d99b12f6dfe1e73c4efb7").unwrap();
        let subtask = subtask.in_operator("0a448493b4782967b150582570326227");
        let subtask = subtask.unwrap();
        subtask
            .in_execution("5b0c9d1c8ea2cbb5f1d3d2a4b0f37a5e")
            .unwrap()
    }

    const UNIQUE: Opened = Opened {
        ran_before: None,
        is_unique: true,
    };
    const AGAIN: Opened = Opened {
        ran_before: None,
        is_unique: false,
    };

    fn generator(
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
        let at = |millis: u64| {
            SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + millis)
        };
        let told = in_flink(Subtask::new(0, 2, 3).unwrap());
        let other = in_flink(Subtask::new(1, 2, 3).unwrap());
        let source = generator(ids(&[("sequence-id-scope", "run")]), told, &UNIQUE, at(0));
        // It must stay the same from one release to the next.
        assert_eq!(source.text(7), "job-392n4dh0ova14p853j7rtl8gf3-0-7");
        assert_eq!(source.run(), Some("392n4dh0ova14p853j7rtl8gf3"));
        let run = RunId::new(&told, &UNIQUE, at(0));
        assert_eq!(run.0.len(), MAX_RUN_ID_BYTES);
        assert_eq!(run, RunId::new(&other, &UNIQUE, at(1)));
        // What was opened before, or lacks a name, is told apart by nothing that the engine says.
        assert_ne!(
            RunId::new(&told, &AGAIN, at(0)),
            RunId::new(&told, &AGAIN, at(0))
        );
        let subtask = Subtask::new(0, 1, 0).unwrap().in_job("j").unwrap();
        let subtask = subtask.in_operator("o").unwrap();
        let runs: Vec<String> = (0..100)
            .map(|millis| RunId::new(&subtask, &UNIQUE, at(millis)).0)
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
            assert!(source.id(u64::MAX).is_ok());
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

    /// Something after which subtasks are opened anew.
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
                    let taken = (0..3)
                        .map(|_| source.text(source.take(None, Instant::now()).unwrap().counter));
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

    /// A generator whose IDs are numbers up to `largest`.
    fn numbered(subtask: Subtask, largest: u64) -> SequenceIdGenerator {
        let ids = ids(&[("sequence-id-scope", "run")]);
        let source = generator(ids, subtask, &UNIQUE, SystemTime::UNIX_EPOCH);
        let idle = Some(Duration::from_secs(5));
        source.agree(&SequenceIdForm::of_numbers_up_to(largest), idle);
        source
    }

    /// The subtask of a job that Flink runs for the `execution`-th time.
    fn executed(index: u32, parallelism: u32, attempt: u32, execution: usize) -> Subtask {
        let subtask = in_flink(Subtask::new(index, parallelism, attempt).unwrap());
        subtask.in_execution(&format!("{execution:032x}")).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        // Holds S58, S61.
        #[test]
        fn no_number_comes_twice_through_rescalings_to_the_limits(
            rescalings in vec((prop_oneof![Just(32_768_u32), 1_u32..40, 1_u32..32_768], 0_u32..3), 1..6),
            picks in vec(any::<prop::sample::Index>(), 1..30),
            largest in prop_oneof![
                Just(u64::MAX), Just(i64::MAX as u64), Just(u32::MAX.into()), Just(i32::MAX as u64),
            ],
        ) {
            let mut made = BTreeSet::new();
            for (execution, (parallelism, attempt)) in rescalings.into_iter().enumerate() {
                let is_narrow = largest < i64::MAX as u64;
                if is_narrow {
                    // Across runs it is only unlikely there: see `sequence_numbers`.
                    made.clear();
                }
                let mut indices: BTreeSet<u32> =
                    picks.iter().map(|pick| pick.index(parallelism as usize) as u32).collect();
                indices.extend([0, parallelism - 1]);
                for index in indices {
                    let subtask = executed(index, parallelism, attempt, execution);
                    let source = numbered(subtask, largest);
                    // What is taken, at the beginning and at the last counters there are.
                    for from in [0, (1 << 32) - 1, (1 << 48) - 3] {
                        if is_narrow && from > 0 {
                            // A share goes around, so a number comes again when it is free.
                            continue;
                        }
                        source.advance(from);
                        for _ in 0..3 {
                            let taken = source.take(None, Instant::now()).unwrap();
                            let SequenceId::Number(number) = source.id(taken.counter).unwrap() else {
                                panic!("{taken:?} is no number");
                            };
                            prop_assert!(number.get() <= largest.min(i64::MAX as u64));
                            prop_assert!(made.insert(number), "{number} comes twice");
                        }
                    }
                    prop_assert_eq!(source.take(None, Instant::now()).is_err(), !is_narrow);
                }
            }
        }
    }

    // Holds S61.
    #[test]
    fn what_has_no_number_is_refused_before_it_is_sent() {
        let subtask = Subtask::new(0, 1, 0).unwrap();
        let now = Instant::now();
        let source = numbered(subtask, i64::MAX as u64);
        source.check_counter((1 << 48) - 1).unwrap();
        insta::assert_snapshot!(source.check_counter(1_700_000_000_123_456_789).unwrap_err(), @"the counter of sequence IDs is at 1700000000123456789, and numbers have 48 bits for it, up to 281474976710655, as IDs that are text may have had it: set 'sequence-id-type' to 'text' where the model takes text, or start without what was stored");
        source.advance(1 << 48);
        insta::assert_snapshot!(source.take(None, now).unwrap_err(), @"nothing was sent: the counter of sequence IDs is at 281474976710656, and numbers have 48 bits for it, up to 281474976710655; open the function anew, with another base or without a counter that begins at a time");
        assert_eq!(source.peek(), 1 << 48);

        let source = numbered(subtask, 2);
        let held = [
            source.take(None, now).unwrap(),
            source.take(None, now).unwrap(),
        ];
        insta::assert_snapshot!(source.take(None, now).unwrap_err(), @"nothing was sent: each of the 2 sequence IDs of this subtask may be alive on the server; IDs are numbers of 2 bits, because a test says so, and 1 subtasks share them; end sequences sooner, or make the control TYPE_UINT64");
        let [first, _second] = held;
        first.lease.unwrap().is_over();
        assert!(source.take(None, now).is_ok());
        source.check_counter(u64::MAX).unwrap();
    }

    // Holds S62.
    #[test]
    fn a_sequence_is_named_by_its_text_and_its_number() {
        let source = numbered(in_flink(Subtask::new(0, 2, 3).unwrap()), u64::MAX);
        insta::assert_snapshot!(source.name(7), @"job-392n4dh0ova14p853j7rtl8gf3-0-7 = 2768044028237512156");
        let error = Error::new(ErrorKind::Call, "it failed").in_sequence(Some(source.name(7)));
        insta::assert_snapshot!(error.in_subtask(source.subtask), @"subtask 0 of 2, attempt 3, sequence 'job-392n4dh0ova14p853j7rtl8gf3-0-7' = 2768044028237512156: it failed");
    }
}
