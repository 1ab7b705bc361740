//! Hands rows to the subtasks, and sees to it that something becomes of every one.
//!
//! While the server is away nothing is read, and the rows in flight wait within the functions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use triton_model_fn::{ErrorKind, Prediction};

use super::arguments::{MaxErrors, OnError};
use super::checkpoint::Checkpoints;
use super::ending::Ending;
use super::feeder::{Event, Start};
use super::keys::LastRows;
use super::order::Order;
use super::outputs::Outputs;
use super::pace::Pace;
use super::rejections::{Reason, Rejections};
use super::settling::not_written;
use super::sorting::SortProgress;
use super::stall::{self, Grace, LOOKS, Stall, Waiting};
use super::subtasks::Subtasks;
use super::summary::{Counts, Latencies};
use crate::failure::Failure;
use crate::progress::{Moment, Progress};
use crate::signals::Signals;
use crate::table::{Row, Unusable};

/// The time between two looks at the clock, the bar and the output.
const TICK: Duration = Duration::from_millis(200);

/// How many times as many rows may wait for their turn to be written as may be in flight.
const WAITING_SHARE: usize = 4;

/// A row of which is known what became of it.
pub(super) struct Done {
    pub(super) row: Box<Row>,
    /// The rows that it becomes: one, unless the answers to a row are a stream.
    pub(super) result: Result<Vec<Prediction>, Reason>,
}

/// A run on its way.
pub(super) struct Conductor<'a> {
    pub(super) subtasks: &'a mut Subtasks,
    pub(super) outputs: Outputs,
    pub(super) rejections: Rejections,
    pub(super) checkpoints: Option<Checkpoints>,
    pub(super) progress: &'a mut Progress,
    pub(super) latencies: Latencies,
    pub(super) on_error: OnError,
    /// The most rows that are in flight at once.
    pub(super) rows_in_flight: usize,
    pub(super) pace: Pace,
    pub(super) counts: Counts,
    /// Where the rows that were taken end.
    pub(super) position: Start,
    pub(super) tasks: JoinSet<(u64, Duration, Done)>,
    pub(super) order: Order<Done>,
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
}

impl<'a> Conductor<'a> {
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
            pace: Pace::new(beginning.rate),
            counts: beginning.counts,
            position: beginning.position,
            tasks: JoinSet::new(),
            order: Order::new(beginning.in_order),
            ending: None,
            last_rows: beginning.last_rows,
            max_errors: beginning.max_errors,
            sorting: beginning.sorting,
            last_done: Instant::now(),
            settled_bytes: 0,
            exhausted: false,
            held: None,
            stall: Stall::default(),
            waiting_looks: 0,
            grace: Grace::default(),
            reserved_until: 0,
            given_up: watch::channel(false).0,
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
            if self.tasks.is_empty() {
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
                if self.exhausted {
                    return self.end(Ending::Complete);
                }
            }
            let reading = self.can_read() && !self.cut_is_due() && !self.server_is_away();
            let pace = &self.pace;
            tokio::select! {
                biased;
                signal = signals.first(), if self.ending.is_none() => {
                    self.ending = Some(Ending::Interrupted { signal, given_up: false });
                }
                Some(done) = self.tasks.join_next() => {
                    self.done(done)?;
                    self.settle()?;
                }
                _ = ticks.tick() => {
                    if let Some(ending) = self.tick()? {
                        return Ok(ending);
                    }
                }
                event = async {
                    pace.wait().await;
                    events.recv().await
                }, if reading => match event {
                    None => self.exhausted = true,
                    Some(event @ Event::Begin { .. }) if self.outputs.has_one_each() => {
                        self.held = Some(event);
                    }
                    Some(event) => self.take(event)?,
                },
            }
        }
    }

    /// Whether a further row could be taken, if there is one.
    fn can_read(&self) -> bool {
        self.ending.is_none() && self.held.is_none() && !self.exhausted && self.has_room()
    }

    fn server_is_away(&self) -> bool {
        self.subtasks.wait.away().is_some()
    }

    fn has_room(&self) -> bool {
        self.tasks.len() < self.rows_in_flight
            && self.order.len() < self.rows_in_flight.saturating_mul(WAITING_SHARE)
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
            Event::Row {
                row,
                number: row_number,
                is_last,
            } => {
                self.pace.begin();
                // Rows in between may not be wanted.
                self.position.rows = row_number;
                self.counts.read += 1;
                let number = self.order.begin();
                self.begin(number, row, is_last);
                self.settle()?;
            }
        }
        Ok(())
    }

    /// Hands a row to a subtask.
    fn begin(&mut self, number: u64, row: Box<Row>, is_last: bool) {
        let values = match &row.values {
            Ok(values) => values,
            Err(unusable) => {
                let unusable = unusable.clone();
                self.pass_over(number, row, unusable);
                return;
            }
        };
        if self.tasks.is_empty() {
            // Whatever was waited for before was for want of rows.
            self.last_done = Instant::now();
        }
        let begun = Instant::now();
        let last_rows = self.last_rows.as_mut();
        let is_last = is_last || last_rows.is_some_and(|rows| rows.take(self.counts.read, values));
        // The row takes its place among those of its sequence here, one row after the other; a
        // task of its own then lets it use any core.
        let answer = self.subtasks.submit(values, is_last);
        let mut given_up = self.given_up.subscribe();
        self.tasks.spawn(async move {
            let result = tokio::select! {
                biased;
                answer = answer => answer.map_err(Reason::Function),
                // Whoever could say so is gone only together with this task.
                Ok(_) = given_up.wait_for(|given_up| *given_up) => Err(Reason::GivenUp),
            };
            (number, begun.elapsed(), Done { row, result })
        });
    }

    /// Sees to a row that cannot be used; its sequence learns of it, which may end with it.
    ///
    /// It is rejected, unless rows that fail are to be in the output and its columns are known.
    fn pass_over(&mut self, number: u64, row: Box<Row>, unusable: Unusable) {
        let result = match (self.on_error, unusable.writable()) {
            (OnError::Column, Some(values)) => {
                let text = unusable.fault.to_string();
                let concluded = self.subtasks.conclude_unusable(values, text);
                concluded
                    .map(|prediction| vec![prediction])
                    .map_err(Reason::Function)
            }
            _ => Err(Reason::Fault(unusable.fault)),
        };
        let readable = unusable.readable.filter(|_| self.subtasks.has_keys());
        let Some(values) = readable else {
            self.order.done(number, Done { row, result });
            return;
        };
        let told = self.subtasks.submit_unusable(&values);
        let mut given_up = self.given_up.subscribe();
        let begun = Instant::now();
        self.tasks.spawn(async move {
            tokio::select! {
                () = told => {}
                _ = given_up.wait_for(|given_up| *given_up) => {}
            }
            (number, begun.elapsed(), Done { row, result })
        });
    }

    fn done(&mut self, done: Result<(u64, Duration, Done), JoinError>) -> Result<(), Failure> {
        let (number, latency, done) = done
            .context("a row was lost in the middle of its work")
            .map_err(Failure::internal)?;
        if let Err(Reason::Function(error)) = &done.result
            && error.kind() == ErrorKind::ServerAway
        {
            return Err(self.server_lost(error));
        }
        self.latencies.record(latency);
        self.order.done(number, done);
        self.last_done = Instant::now();
        Ok(())
    }

    /// The server was away for too long: rows in flight are neither answered nor rejected.
    fn server_lost(&self, error: &triton_model_fn::Error) -> Failure {
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

    /// Whether the rows in flight wait for something that only other rows could bring.
    fn check_stalled(&mut self) -> Result<bool, Failure> {
        let wait = &self.subtasks.wait;
        let waiting = Waiting {
            rows: self.tasks.len(),
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
        if self.tasks.is_empty() {
            return None;
        }
        let in_vain = self.grace.is_over(answered) || stalled || away;
        if !in_vain && self.waiting_looks < LOOKS {
            if self.grace.is_to_be_said() {
                let rows = self.tasks.len();
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
            in_flight: self.tasks.len(),
            open_sequences: self.subtasks.open_sequences(),
            p50_ms: self.latencies.milliseconds(0.5),
            p99_ms: self.latencies.milliseconds(0.99),
        });
        self.rejections.tick(self.progress);
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
