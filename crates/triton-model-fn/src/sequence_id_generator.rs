//! Where the IDs of sequences come from: the counter of one `open`, and the run it belongs to.

#[cfg(all(test, triton_loom))]
mod loom_tests;
#[cfg(test)]
mod number_tests;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing::debug;
use triton_client::SequenceId;
use triton_options::{CounterInitStrategy, SEQUENCE_ID_TYPE, SequenceIdScope, SequenceIds};

use crate::executions::Opened;
use crate::live_numbers::{Lease, LiveNumbers};
use crate::run_id::{RunId, since_1970};
use crate::sequence_name::SequenceName;
use crate::sequence_numbers::{NarrowNumbers, SequenceNumbers};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::{Error, ErrorKind, SequenceIdForm, SequenceSnapshot, Subtask};

/// Makes the sequence IDs of one `open`, `{base}-{subtask}-{counter}` or, where the option
/// `sequence-id-scope` is `run`, `{base}-{run}-{subtask}-{counter}`, or numbers of the same parts.
#[derive(Debug)]
pub(crate) struct SequenceIdGenerator {
    ids: SequenceIds,
    run: Option<RunId>,
    subtask: Subtask,
    /// What all texts of this `open` begin with: they differ in their last part, the counter.
    beginning: String,
    counter: AtomicU64,
    /// Held by whoever passes over numbers, so that nobody else takes a counter meanwhile.
    passing_over: Mutex<()>,
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

impl SequenceName {
    /// The ID as it is sent.
    pub(crate) fn into_id(self) -> Result<SequenceId, Error> {
        match self.number {
            Some(number) => Ok(SequenceId::Number(number)),
            // Checked options never lead to an ID that the server does not take.
            None => SequenceId::text(self.text)
                .map_err(|invalid| Error::new(ErrorKind::Input, invalid.to_string())),
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
        let index = subtask.index();
        let mut beginning = match &run {
            Some(run) => ids.base.sequence_id_in_run(run.as_str(), index, 0),
            None => ids.base.sequence_id(index, 0),
        };
        // The counter.
        beginning.pop();
        Self {
            beginning,
            counter: AtomicU64::new(first_counter(ids.counter, now)),
            passing_over: Mutex::default(),
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
            Some(run) => format!("{}-{}", self.ids.base, run.as_str()),
            None => self.ids.base.to_string(),
        };
        let numbers = SequenceNumbers::new(largest, &run, self.subtask);
        // It is agreed once for each opening; a second time nothing else would come of it.
        let _ = self.numbers.set((numbers, form.clone()));
    }

    /// What the IDs name their run by, where they do: it leads from an ID in a log to its job.
    pub(crate) fn run(&self) -> Option<&str> {
        self.run.as_ref().map(|run| run.as_str())
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
        debug!(
            sequence_id = %self.name(counter),
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
                        "nothing was sent: {}; open the function again, with another base or \
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
        let _alone = self
            .passing_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some((counter, lease)) = self.live.take(now, numbers, self.peek()) else {
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

    /// The first and the last of numbers in a row that may be alive as well.
    pub(crate) fn alive_rows(&self, now: Instant) -> Vec<(u64, u64)> {
        self.live.alive_rows(now)
    }

    /// Goes on where a snapshot says, unless no number has room for that.
    pub(crate) fn take_over(&self, now: Instant, snapshot: &SequenceSnapshot) -> Result<(), Error> {
        self.check_counter(snapshot.next_counter)?;
        self.advance(snapshot.next_counter);
        self.hold(now, &snapshot.alive_numbers);
        self.live.hold_rows(&snapshot.alive_rows, now);
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
        const MOST_DIGITS: usize = 20;
        let mut text = String::with_capacity(self.beginning.len() + MOST_DIGITS);
        text.push_str(&self.beginning);
        let written = write!(text, "{counter}");
        debug_assert!(written.is_ok(), "a text takes everything");
        text
    }

    /// What the sequence of a counter is called.
    pub(crate) fn name(&self, counter: u64) -> SequenceName {
        let numbers = self.numbers.get();
        SequenceName {
            text: self.text(counter),
            number: numbers.and_then(|(numbers, _)| numbers.of(counter)),
        }
    }
}

fn too_large(counter: u64, most: u64) -> String {
    format!(
        "the counter of sequence IDs is at {counter}, and numbers have {} bits for it, up to {}",
        most.ilog2(),
        most - 1
    )
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
