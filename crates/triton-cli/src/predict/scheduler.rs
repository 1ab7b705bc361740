//! Hands rows to the subtasks, and sees to it that something becomes of every one.
//!
//! Rows that need nothing of each other are handed over together, some hundred at a time, and others
//! one by one. While the server is away nothing is read, and the rows in flight wait within the
//! functions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use triton_model_fn::{Error, ErrorKind, Prediction, RowAnswer, Value};

use super::arguments::{MaxErrors, OnError};
use super::checkpoint::Checkpoints;
use super::ending::Ending;
use super::in_flight::{InFlight, Size};
use super::keys::LastRows;
use super::outputs::Outputs;
use super::rate_limit::RateLimit;
use super::reader::{Event, ReadChunk, ReadRow, Start};
use super::rejections::{Reason, Rejections};
use super::settling::not_written;
use super::sorting::SortProgress;
use super::stall::{self, Grace, LOOKS, Stall, Waiting};
use super::subtasks::{Outcome, Subtasks};
use super::summary::{Counts, Latencies};
use crate::failure::Failure;
use crate::progress::{Moment, Progress};
use crate::signals::Signals;
use crate::table::{Chunk, Row, Unusable};

/// The time between two looks at the clock, the bar and the output.
const TICK: Duration = Duration::from_millis(200);

/// How many times as many rows may wait for their turn to be written as may be in flight.
const WAITING_SHARE: usize = 4;

/// How much longer than it should a server may be away before the run ends without any call.
const SPARE_TIME: Duration = Duration::from_secs(2);

/// About how much memory rows in flight may take, unless one alone takes more.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// What was begun.
pub(super) enum Work {
    Row(RowWork),
    Chunk(ChunkWork),
}

/// A row that was handed over by itself, and what happened to it so far.
pub(super) struct RowWork {
    pub(super) row: Row,
    /// The rows that it becomes: one, unless the answers to a row are a stream. One that breaks is an
    /// error as a whole, so that rows that are run again are not in the output twice.
    pub(super) result: Result<Vec<Prediction>, Reason>,
    begun: Instant,
}

/// Rows that were handed over together, and what happened to them so far.
pub(super) struct ChunkWork {
    pub(super) chunk: Chunk,
    /// The bytes of the inputs up to the end of the last row.
    pub(super) bytes: u64,
    /// The rows that cannot be used, in order.
    pub(super) unusable: Vec<(usize, Result<Prediction, Reason>)>,
    /// What happened to the others, or why nothing could.
    pub(super) outcome: Result<Outcome, Error>,
}

/// What a task of the scheduler has done.
pub(super) enum Finished {
    /// Rows were answered that were handed over together.
    Chunk {
        number: u64,
        latency: Duration,
        outcome: Result<Outcome, Error>,
    },
    /// All answers to a row have come that may have any number of them.
    Streamed {
        number: u64,
        result: Result<Vec<Prediction>, Reason>,
    },
    /// The sequence of a row that cannot be used has learned of it.
    Told(u64),
}

/// A run on its way.
pub(super) struct Scheduler<'a> {
    pub(super) subtasks: &'a mut Subtasks,
    pub(super) outputs: Outputs,
    pub(super) rejections: Rejections,
    pub(super) checkpoints: Option<Checkpoints>,
    pub(super) progress: &'a mut Progress,
    pub(super) latencies: Latencies,
    pub(super) on_error: OnError,
    /// The most rows that are in flight at once.
    pub(super) rows_in_flight: usize,
    pub(super) rate_limit: RateLimit,
    pub(super) counts: Counts,
    /// Where the rows that were taken end.
    pub(super) position: Start,
    pub(super) tasks: JoinSet<Finished>,
    pub(super) in_flight: InFlight<Work>,
    pub(super) in_order: bool,
    /// Rows that were read and are not begun.
    pub(super) read: VecDeque<ReadRow>,
    /// The same of rows that are handed over together.
    pub(super) read_together: Option<Box<ReadChunk>>,
    /// Answers that are being seen to; it keeps its room.
    answers: Vec<RowAnswer>,
    pub(super) ending: Option<Ending>,
    /// The last row of every key, where it is known.
    pub(super) last_rows: Option<LastRows>,
    pub(super) max_errors: Option<MaxErrors>,
    /// How far the rows are sorted, if they are.
    pub(super) sorting: Option<Arc<SortProgress>>,
    /// When a row was last done, or the first of those in flight began.
    pub(super) last_done: Instant,
    /// The bytes of the inputs up to the end of the rows that something became of.
    pub(super) settled_bytes: u64,
    /// Whether all rows of all inputs were taken.
    pub(super) exhausted: bool,
    /// Whether a row was begun that ends the run once it is its turn.
    ends_soon: bool,
    /// An input that has an output of its own waits until the one before is written.
    pub(super) held: Option<Event>,
    pub(super) stall: Stall,
    /// How many looks in a row found that all calls only wait.
    pub(super) waiting_looks: u32,
    pub(super) grace: Grace,
    /// Sequence IDs from here on are not reserved by the last checkpoint.
    pub(super) reserved_until: u64,
    /// Tells the rows in flight that they are given up.
    pub(super) given_up: watch::Sender<bool>,
    /// How long the server may be away.
    give_up_after: Duration,
}

/// What a run begins with.
pub(super) struct Beginning<'a> {
    pub(super) subtasks: &'a mut Subtasks,
    pub(super) outputs: Outputs,
    pub(super) rejections: Rejections,
    pub(super) checkpoints: Option<Checkpoints>,
    pub(super) progress: &'a mut Progress,
    pub(super) on_error: OnError,
    pub(super) rows_in_flight: usize,
    pub(super) in_order: bool,
    pub(super) rate: Option<f64>,
    pub(super) counts: Counts,
    pub(super) position: Start,
    pub(super) last_rows: Option<LastRows>,
    pub(super) max_errors: Option<MaxErrors>,
    pub(super) sorting: Option<Arc<SortProgress>>,
    pub(super) give_up_after: Duration,
}

impl<'a> Scheduler<'a> {
    pub(super) fn new(beginning: Beginning<'a>) -> Self {
        Self {
            subtasks: beginning.subtasks,
            outputs: beginning.outputs,
            rejections: beginning.rejections,
            checkpoints: beginning.checkpoints,
            progress: beginning.progress,
            latencies: Latencies::new(),
            on_error: beginning.on_error,
            rows_in_flight: beginning.rows_in_flight,
            rate_limit: RateLimit::new(beginning.rate),
            counts: beginning.counts,
            position: beginning.position,
            tasks: JoinSet::new(),
            in_flight: InFlight::new(beginning.in_order),
            in_order: beginning.in_order,
            read: VecDeque::new(),
            read_together: None,
            answers: Vec::new(),
            ending: None,
            last_rows: beginning.last_rows,
            max_errors: beginning.max_errors,
            sorting: beginning.sorting,
            last_done: Instant::now(),
            settled_bytes: 0,
            exhausted: false,
            ends_soon: false,
            held: None,
            stall: Stall::default(),
            waiting_looks: 0,
            grace: Grace::default(),
            reserved_until: 0,
            given_up: watch::channel(false).0,
            give_up_after: beginning.give_up_after,
        }
    }

    /// Answers rows until there are no more, or until something ends the run before.
    ///
    /// Whatever ends it, the rows in flight are finished and written first, unless they wait for
    /// what may never come.
    pub(super) async fn run(
        &mut self,
        events: &mut Receiver<Event>,
        signals: &mut Signals,
    ) -> Result<Ending, Failure> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            if self.in_flight.undone_rows() == 0 {
                self.settle()?;
                if self.ending.is_none() && self.cut_is_due() {
                    self.cut(false)?;
                }
                if let Some(ending) = self.ending.take() {
                    return self.end(ending);
                }
                if let Some(event) = self.held.take() {
                    self.take(event)?;
                    continue;
                }
                if self.exhausted && !self.has_rows() {
                    return self.end(Ending::Complete);
                }
            }
            let reading = !self.server_is_away();
            if reading {
                self.begin_rows()?;
            }
            let reading = reading && self.can_read() && !self.cut_is_due();
            let (has_rows, rate_limit) = (self.has_rows(), &self.rate_limit);
            tokio::select! {
                biased;
                signal = signals.first(), if self.ending.is_none() => {
                    self.ending = Some(Ending::Interrupted { signal, given_up: false });
                }
                Some(done) = self.tasks.join_next() => {
                    self.done(done)?;
                    self.settle()?;
                }
                () = self.subtasks.answered() => {
                    self.take_answers()?;
                    self.settle()?;
                }
                _ = ticks.tick() => {
                    if let Some(ending) = self.tick()? {
                        return Ok(ending);
                    }
                }
                event = async {
                    match has_rows {
                        true => {
                            rate_limit.wait().await;
                            None
                        }
                        // Only rows are held back: that there are no more ends the run.
                        false => Some(events.recv().await),
                    }
                }, if reading => match event {
                    // They are begun above.
                    None => {}
                    Some(None) => self.exhausted = true,
                    Some(Some(event @ Event::Begin { .. })) if self.outputs.has_one_each() => {
                        self.held = Some(event);
                    }
                    Some(Some(event)) => self.take(event)?,
                },
            }
        }
    }

    /// Begins as many of the rows that were read as may be.
    fn begin_rows(&mut self) -> Result<(), Failure> {
        let mut has_begun = false;
        if self.can_read()
            && !self.cut_is_due()
            && self.rate_limit.is_open()
            && let Some(chunk) = self.read_together.take()
        {
            self.begin_chunk(*chunk);
            has_begun = true;
        }
        while !self.read.is_empty()
            && self.can_read()
            && !self.cut_is_due()
            && self.rate_limit.is_open()
        {
            let Some(read) = self.read.pop_front() else {
                break;
            };
            self.rate_limit.begin(1);
            // Rows in between may not be wanted.
            self.position.rows = read.number;
            self.counts.read += 1;
            self.begin(read);
            has_begun = true;
        }
        match has_begun {
            true => self.settle(),
            false => Ok(()),
        }
    }

    /// Whether a further row could be taken, if there is one.
    fn can_read(&self) -> bool {
        let is_more = !self.exhausted || self.has_rows();
        let ends = self.ending.is_some() || self.ends_soon;
        !ends && self.held.is_none() && is_more && self.has_room()
    }

    /// Whether there are rows that were read and are not begun.
    fn has_rows(&self) -> bool {
        !self.read.is_empty() || self.read_together.is_some()
    }

    fn server_is_away(&self) -> bool {
        self.subtasks.wait.away().is_some()
    }

    fn has_room(&self) -> bool {
        let in_flight = &self.in_flight;
        let has_room = in_flight.undone_rows() < self.rows_in_flight
            && in_flight.rows() < self.rows_in_flight.saturating_mul(WAITING_SHARE);
        in_flight.rows() == 0 || (has_room && in_flight.bytes() < MOST_BYTES)
    }

    /// Takes what comes next from the inputs.
    fn take(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Begin { input, layout } => {
                if input != self.position.input {
                    self.position = Start { input, rows: 0 };
                }
                if let Err(error) = self.outputs.begin(input, &layout) {
                    // The header is written, and the output before it completed.
                    self.output_failed(error)?;
                }
            }
            Event::End { input, rows } => {
                let taken = self.position.rows;
                if rows < taken {
                    return Err(Failure::internal(anyhow!(
                        "input {} has {rows} rows, but {taken} were taken",
                        input + 1
                    )));
                }
                self.position.rows = rows;
            }
            // The rows before it are answered and written first.
            Event::Failed(error) => self.ending = Some(Ending::Broken(error)),
            Event::Rows(rows) => self.read.extend(rows),
            Event::Chunk(chunk) => self.read_together = Some(chunk),
        }
        Ok(())
    }

    /// Hands a row to a subtask.
    fn begin(&mut self, read: ReadRow) {
        let ReadRow {
            row,
            is_last,
            bytes,
            ..
        } = read;
        let size = Size { rows: 1, bytes };
        if self.in_flight.undone_rows() == 0 {
            // Whatever was waited for before was for lack of rows.
            self.last_done = Instant::now();
        }
        let number = self.in_flight.next_number();
        let mut work = RowWork {
            row,
            result: Ok(Vec::new()),
            begun: Instant::now(),
        };
        let values = match &work.row.values {
            Ok(values) => values,
            Err(unusable) => {
                let result = self.unusable(unusable);
                let readable = unusable.readable.clone();
                let readable = readable.filter(|_| self.subtasks.has_keys());
                work.result = result.map(|prediction| vec![prediction]);
                self.ends_soon |= self.on_error == OnError::Fail && work.result.is_err();
                self.in_flight.begin(Work::Row(work), size);
                match readable {
                    Some(values) => self.tell_unusable(number, &values),
                    None => self.in_flight.done(number),
                }
                return;
            }
        };
        if let Some(answers) = self.subtasks.stream(values) {
            let mut given_up = self.given_up.subscribe();
            self.tasks.spawn(async move {
                let result = tokio::select! {
                    biased;
                    answers = answers => answers.map_err(Reason::Function),
                    // Whoever could say so is gone only together with this task.
                    Ok(_) = given_up.wait_for(|given_up| *given_up) => Err(Reason::GivenUp),
                };
                Finished::Streamed { number, result }
            });
            return self.in_flight.begin(Work::Row(work), size);
        }
        let last_rows = self.last_rows.as_mut();
        let is_last = is_last || last_rows.is_some_and(|rows| rows.take(self.counts.read, values));
        // The row takes its place among those of its sequence here, one row after the other. What is
        // refused at once is told to a sink that is asked only later.
        self.subtasks.submit(number, values, is_last);
        self.in_flight.begin(Work::Row(work), size);
    }

    /// Hands rows to a subtask together.
    fn begin_chunk(&mut self, read: ReadChunk) {
        let ReadChunk {
            chunk,
            inputs,
            unusable,
            number: position,
            bytes,
        } = read;
        let rows = chunk.len();
        self.rate_limit.begin(rows);
        self.position.rows = position;
        self.counts.read += rows as u64;
        if self.in_flight.undone_rows() == 0 {
            self.last_done = Instant::now();
        }
        let size = Size {
            rows,
            bytes: chunk.bytes(),
        };
        let unusable = unusable.into_iter();
        let unusable = unusable.map(|(row, unusable)| (row, self.unusable(&unusable)));
        let unusable = unusable.collect();
        let mut given_up = self.given_up.subscribe();
        let stop = async move {
            // Whoever could say so is gone only together with the task.
            let _ = given_up.wait_for(|given_up| *given_up).await;
        };
        #[cfg(feature = "arrow")]
        let as_arrays = chunk.goes_on_as_arrays();
        #[cfg(not(feature = "arrow"))]
        let as_arrays = false;
        let outcome = self.subtasks.predict(inputs, as_arrays, stop);
        let number = self.in_flight.next_number();
        let begun = Instant::now();
        self.tasks.spawn(async move {
            let outcome = outcome.await;
            Finished::Chunk {
                number,
                latency: begun.elapsed(),
                outcome,
            }
        });
        let work = ChunkWork {
            chunk,
            bytes,
            unusable,
            outcome: Err(Error::new(ErrorKind::Internal, "the rows are not answered")),
        };
        self.in_flight.begin(Work::Chunk(work), size);
    }

    /// What happens to a row that cannot be used: it is rejected, unless rows that fail are to be in the
    /// output and its columns are known.
    fn unusable(&self, unusable: &Unusable) -> Result<Prediction, Reason> {
        match (self.on_error, unusable.writable()) {
            (OnError::Column, Some(values)) => {
                let text = unusable.fault.to_string();
                let concluded = self.subtasks.conclude_unusable(values, text);
                concluded.map_err(Reason::Function)
            }
            _ => Err(Reason::Fault(unusable.fault.clone())),
        }
    }

    /// Tells the sequence of a row that it cannot be used, which may end with it.
    fn tell_unusable(&mut self, number: u64, values: &[Value]) {
        let told = self.subtasks.submit_unusable(values);
        let mut given_up = self.given_up.subscribe();
        self.tasks.spawn(async move {
            tokio::select! {
                () = told => {}
                _ = given_up.wait_for(|given_up| *given_up) => {}
            }
            Finished::Told(number)
        });
    }

    fn done(&mut self, done: Result<Finished, JoinError>) -> Result<(), Failure> {
        let done = done
            .context("a row was lost in the middle of its work")
            .map_err(Failure::internal)?;
        let (number, latency, rows) = match done {
            Finished::Told(number) => {
                let begun = match self.in_flight.get_mut(number) {
                    Some(Work::Row(work)) => work.begun,
                    _ => return Ok(()),
                };
                (number, begun.elapsed(), 1)
            }
            Finished::Streamed { number, result } => {
                if let Err(Reason::Function(error)) = &result
                    && error.kind() == ErrorKind::ServerAway
                {
                    return Err(self.server_lost(error));
                }
                let Some(Work::Row(work)) = self.in_flight.get_mut(number) else {
                    return Ok(());
                };
                work.result = result;
                (number, work.begun.elapsed(), 1)
            }
            Finished::Chunk {
                number,
                latency,
                outcome,
            } => {
                let errors = match &outcome {
                    Ok(outcome) => outcome.failures.iter().map(|(_, error)| error).collect(),
                    Err(error) => vec![error],
                };
                let mut errors = errors.into_iter();
                if let Some(error) = errors.find(|error| error.kind() == ErrorKind::ServerAway) {
                    return Err(self.server_lost(error));
                }
                let Some(Work::Chunk(work)) = self.in_flight.get_mut(number) else {
                    return Ok(());
                };
                work.outcome = outcome;
                (number, latency, work.chunk.len())
            }
        };
        self.latencies.record(latency, rows);
        self.in_flight.done(number);
        self.last_done = Instant::now();
        Ok(())
    }

    /// Sees to the answers to rows that were handed over one by one.
    fn take_answers(&mut self) -> Result<(), Failure> {
        let mut answers = std::mem::take(&mut self.answers);
        self.subtasks.take_answers(&mut answers);
        let now = Instant::now();
        for answer in answers.drain(..) {
            let RowAnswer {
                number,
                result,
                is_last,
                ..
            } = answer;
            let Some(Work::Row(work)) = self.in_flight.get_mut(number) else {
                // It was given up before.
                continue;
            };
            match (result, &mut work.result) {
                (Ok(prediction), Ok(predictions)) => predictions.push(prediction),
                (Ok(_), Err(_)) => {}
                (Err(error), _) if error.kind() == ErrorKind::ServerAway => {
                    return Err(self.server_lost(&error));
                }
                (Err(error), result) => *result = Err(Reason::Function(error)),
            }
            if is_last {
                let latency = now.saturating_duration_since(work.begun);
                self.latencies.record(latency, 1);
                self.in_flight.done(number);
                self.last_done = now;
            }
        }
        self.answers = answers;
        Ok(())
    }

    /// Gives up all rows that were handed over one by one and are not answered.
    fn give_up_rows(&mut self) {
        for number in self.in_flight.undone() {
            if let Some(Work::Row(work)) = self.in_flight.get_mut(number) {
                work.result = Err(Reason::GivenUp);
                self.in_flight.done(number);
            }
        }
    }

    /// The server was away for too long: rows in flight are neither answered nor rejected.
    fn server_lost(&self, error: &Error) -> Failure {
        let settled = self.counts.settled();
        let left = self.counts.read - settled;
        let next = match self.checkpoints {
            Some(_) => "the same command goes on from the last checkpoint",
            None => "with --checkpoint DIR the same command could go on from there",
        };
        Failure::server(anyhow!(
            "{}; {settled} rows were done, {left} were in flight and are not counted as done: \
             {next}",
            error.message()
        ))
    }

    /// Ends a run whose server was away for too long although no call has said so: the rows of a
    /// sequence that is being replayed may wait for each other.
    fn check_away(&self) -> Result<(), Failure> {
        let Some((time, reason)) = self.subtasks.wait.away() else {
            return Ok(());
        };
        if time < self.give_up_after.saturating_add(SPARE_TIME) {
            return Ok(());
        }
        let message = format!(
            "the server was away for {:.0?}, which is as long as it was to be waited for: {reason}",
            self.give_up_after
        );
        Err(self.server_lost(&Error::new(ErrorKind::ServerAway, message)))
    }

    /// Whether the rows in flight wait for something that only other rows could bring.
    fn check_stalled(&mut self) -> Result<bool, Failure> {
        let wait = &self.subtasks.wait;
        let waiting = Waiting {
            rows: self.in_flight.undone_rows(),
            calls: wait.calls(),
            held: self.subtasks.held_places(),
            answered: wait.answered() + self.counts.settled(),
            can_read: self.can_read(),
            exhausted: self.exhausted,
        };
        let places = self.subtasks.places();
        let is_stalled = self.subtasks.has_keys() && self.stall.is_stalled(&waiting, places);
        if !is_stalled || self.ending.is_some() {
            return Ok(is_stalled);
        }
        if self.stall.will_pass(&waiting, places) {
            return Ok(false);
        }
        let open = self.subtasks.open_sequences();
        Err(Failure::usage(anyhow!(
            "no row can go on: {open} sequences are open, which is all that can be, and \
             the {} rows that were read ahead belong to other keys: {}",
            waiting.rows,
            stall::advice(self.sorting.is_some())
        )))
    }

    /// Ends what was told to end and only waits: for a server that is away or asks for patience, or
    /// for sequences whose rows are not read any more.
    fn end_waiting(&mut self, stalled: bool) -> Option<Ending> {
        let wait = &self.subtasks.wait;
        let (calls, away) = (wait.calls(), wait.away().is_some());
        let only_waits = calls > 0 && wait.waiting() == calls;
        self.waiting_looks = if only_waits {
            self.waiting_looks + 1
        } else {
            0
        };
        let answered = wait.heard();
        let Some(Ending::Interrupted { signal, given_up }) = &mut self.ending else {
            return None;
        };
        let rows = self.in_flight.undone_rows();
        if rows == 0 {
            return None;
        }
        let in_vain = self.grace.is_over(answered) || stalled || away;
        if !in_vain && self.waiting_looks < LOOKS {
            if self.grace.is_to_be_said() {
                self.progress.say(&format!(
                    "interrupted: {rows} rows are in flight and waited for; a second signal ends \
                     the run at once"
                ));
            }
            return None;
        }
        *given_up = true;
        let signal = *signal;
        self.given_up.send_replace(true);
        self.give_up_rows();
        self.checkpoints.is_some().then_some(Ending::Interrupted {
            signal,
            given_up: true,
        })
    }

    /// Looks after everything that time brings; a run may end with it.
    fn tick(&mut self) -> Result<Option<Ending>, Failure> {
        self.progress.tick(&Moment {
            away: self.subtasks.wait.away(),
            sorted: self.sorting.as_ref().and_then(|sorting| sorting.rows()),
            rows: self.counts.settled(),
            bytes: self.settled_bytes,
            rejected: self.counts.rejected,
            in_flight: self.in_flight.undone_rows(),
            open_sequences: self.subtasks.open_sequences(),
            p50_ms: self.latencies.milliseconds(0.5),
            p99_ms: self.latencies.milliseconds(0.99),
        });
        self.rejections.tick(self.progress);
        self.check_away()?;
        let stalled = self.check_stalled()?;
        if let Some(ending) = self.end_waiting(stalled) {
            return Ok(Some(ending));
        }
        if let Err(error) = self.outputs.flush() {
            self.output_failed(not_written(error))?;
        }
        Ok(None)
    }
}
