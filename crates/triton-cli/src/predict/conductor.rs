//! Hands rows to the subtasks, and sees to it that something becomes of every one.
//!
//! While the server is away nothing is read, and the rows in flight wait within the functions.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use triton_model_fn::{ErrorKind, Prediction};

use super::arguments::{MaxErrors, OnError};
use super::checkpoint::{Checkpoints, Position};
use super::feeder::{Event, Start};
use super::keys::LastRows;
use super::order::Order;
use super::outputs::Outputs;
use super::pace::Pace;
use super::rejections::{Reason, Rejections};
use super::sorting::SortProgress;
use super::stall::{self, Stall, Waiting};
use super::subtasks::Subtasks;
use super::summary::{Counts, Latencies};
use crate::failure::Failure;
use crate::output::is_reader_gone;
use crate::progress::{Moment, Progress};
use crate::signals::{Signal, Signals};
use crate::table::{Row, Unusable, WriteError};

/// The time between two looks at the clock, the bar and the output.
const TICK: Duration = Duration::from_millis(200);

/// How many times as many rows may wait for their turn to be written as may be under way.
const WAITING_SHARE: usize = 4;

/// How long rows with keys are waited for before others follow them, although a checkpoint is due.
const CUT_PATIENCE: Duration = Duration::from_secs(2);

/// How many sequence IDs a checkpoint reserves: so many may be taken until the next one, and a run
/// that goes on from it begins behind them. A request that the killed process sent may still
/// arrive, and must not meet a sequence of its ID.
const RESERVED_IDS: u64 = 1 << 20;

/// How a run came to its end.
#[derive(Debug)]
pub(super) enum Ending {
    /// Every row of every input was read.
    Complete,
    /// A signal said so. Rows that could not be finished then are given up: without checkpoints
    /// they are rejected, with them they come up again after the last one.
    Interrupted { signal: Signal, given_up: bool },
    /// Rows failed, and that is the end by an argument; `row` is one that is to be named.
    Failed { row: Option<String>, rule: String },
    /// Nobody reads the output any more.
    ReaderGone,
}

impl Ending {
    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Complete)
    }

    /// Whether calls may still be waiting for the server, and are not to be waited for.
    pub(super) fn gave_up(&self) -> bool {
        matches!(self, Self::Interrupted { given_up: true, .. })
    }
}

/// A row of which is known what became of it.
struct Done {
    row: Box<Row>,
    result: Result<Prediction, Reason>,
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
    /// The most rows that are under way at once.
    pub(super) rows_in_flight: usize,
    pub(super) pace: Pace,
    pub(super) counts: Counts,
    /// Where the rows that were taken end.
    pub(super) position: Start,
    tasks: JoinSet<(u64, Duration, Done)>,
    order: Order<Done>,
    ending: Option<Ending>,
    /// The last row of every key, where it is known.
    last_rows: Option<LastRows>,
    max_errors: Option<MaxErrors>,
    /// How far the rows are sorted, if they are.
    sorting: Option<Arc<SortProgress>>,
    /// When a row was last done, or the first of those in flight began.
    last_done: Instant,
    /// The bytes of the inputs up to the end of the rows that something became of.
    settled_bytes: u64,
    /// Whether all rows of all inputs were taken.
    exhausted: bool,
    /// An input that has an output of its own waits until the one before is written.
    held: Option<Event>,
    stall: Stall,
    /// Sequence IDs from here on are not reserved by the last checkpoint.
    reserved_until: u64,
    /// Tells the rows in flight that they are given up.
    given_up: watch::Sender<bool>,
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
            Event::Failed(error) => return Err(Failure::usage(error)),
            Event::Row {
                row,
                number: row_number,
                is_last,
            } => {
                self.pace.begin();
                if self.reserved_until == 0 {
                    // No row takes a sequence ID that is not reserved.
                    self.cut(false)?;
                }
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

    /// Rejects a row that cannot be used; its sequence learns of it, which may end with it.
    fn pass_over(&mut self, number: u64, row: Box<Row>, unusable: Unusable) {
        let result = Err(Reason::Fault(unusable.fault));
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
            "no row can go on: {open} sequences are open, which is all that the model keeps, and \
             the {} rows that were read ahead belong to other keys: {}",
            waiting.rows,
            stall::advice(self.sorting.is_some())
        )))
    }

    /// Ends what was told to end and waits for what may never come: a server that is away, or
    /// sequences whose rows are not read any more.
    fn end_waiting(&mut self, stalled: bool) -> Option<Ending> {
        let away = self.server_is_away();
        let Some(Ending::Interrupted { signal, given_up }) = &mut self.ending else {
            return None;
        };
        if self.tasks.is_empty() || !(stalled || away) {
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

    /// Writes every row whose turn it is.
    fn settle(&mut self) -> Result<(), Failure> {
        while let Some(Done { row, result }) = self.order.next() {
            // Without an order it may be a later row than the next one.
            self.settled_bytes = self.settled_bytes.max(row.place.bytes);
            let rejected = match result {
                Ok(prediction) => {
                    let is_default = prediction.is_default;
                    match self.outputs.write(&row, prediction) {
                        Ok(()) if is_default => {
                            self.counts.defaulted += 1;
                            None
                        }
                        Ok(()) => {
                            self.counts.answered += 1;
                            None
                        }
                        Err(WriteError::Row(fault)) => Some(Reason::Fault(fault)),
                        Err(WriteError::Output(error)) => {
                            return self.output_failed(not_written(error));
                        }
                    }
                }
                Err(reason) => Some(reason),
            };
            if let Some(reason) = rejected {
                self.counts.rejected += 1;
                self.rejections.add(&row, &reason, self.progress)?;
                if self.ending.is_none() {
                    self.ending = self.ends_run(&row, &reason);
                }
            }
        }
        Ok(())
    }

    /// What a rejected row means for the run.
    fn ends_run(&self, row: &Row, reason: &Reason) -> Option<Ending> {
        if self.on_error == OnError::Fail {
            return Some(Ending::Failed {
                row: Some(reason.described(row)),
                rule: "--on-error fail".to_owned(),
            });
        }
        let (rejected, settled) = (self.counts.rejected, self.counts.settled());
        let exceeded = self
            .max_errors
            .filter(|most| most.exceeded(rejected, settled));
        exceeded.map(|most| Ending::Failed {
            row: None,
            rule: format!("--max-errors {most}, after {rejected} rejected rows of {settled}"),
        })
    }

    /// Nobody who reads the output any more is no failure; everything else is.
    fn output_failed(&mut self, error: anyhow::Error) -> Result<(), Failure> {
        if !is_reader_gone(error.as_ref()) {
            return Err(Failure::usage(error));
        }
        self.tasks.abort_all();
        self.tasks = JoinSet::new();
        self.order = Order::new(false);
        self.ending = Some(Ending::ReaderGone);
        Ok(())
    }

    /// Whether rows are held back so that a checkpoint can be made.
    ///
    /// A row with a key may wait for a sequence to end that needs further rows for it, so that
    /// nothing would ever end if none came.
    fn cut_is_due(&self) -> bool {
        if self.subtasks.has_keys() && self.last_done.elapsed() > CUT_PATIENCE {
            return false;
        }
        let checkpoints = self.checkpoints.as_ref();
        checkpoints.is_some_and(|checkpoints| {
            let used_up = self.subtasks.next_counter() + RESERVED_IDS / 2 > self.reserved_until;
            used_up || checkpoints.is_due(self.counts.read)
        })
    }

    /// Makes a checkpoint; nothing is in flight.
    fn cut(&mut self, finished: bool) -> Result<(), Failure> {
        let Some(checkpoints) = &mut self.checkpoints else {
            return Ok(());
        };
        let first_free_counter = self.subtasks.next_counter().saturating_add(RESERVED_IDS);
        self.reserved_until = first_free_counter;
        let position = Position {
            first_free_counter,
            input: self.position.input,
            rows: self.position.rows,
            counts: self.counts,
            output: match finished {
                true => crate::table::Cut::default(),
                false => self.outputs.cut().context("the output cannot be written")?,
            },
            errors_bytes: self.rejections.cut()?,
            sequences: self.subtasks.snapshots()?,
        };
        let written = checkpoints.write(position, finished);
        written
            .context("the checkpoint cannot be written")
            .map_err(Failure::usage)
    }

    /// Completes what was written, once nothing is in flight.
    fn end(&mut self, ending: Ending) -> Result<Ending, Failure> {
        match &ending {
            Ending::Interrupted { .. } if self.checkpoints.is_some() => self.cut(false)?,
            // The last checkpoint stands, so that the failed row comes up again. Without one,
            // whoever began the run keeps what there is of its output.
            Ending::Failed { .. } => {
                if let Err(error) = self.outputs.flush() {
                    self.output_failed(not_written(error))?;
                    return Ok(Ending::ReaderGone);
                }
            }
            Ending::Complete | Ending::Interrupted { .. } => {
                if let Err(error) = self.outputs.finish() {
                    // The last of the output may be written only now.
                    self.output_failed(not_written(error))?;
                    return Ok(Ending::ReaderGone);
                }
                self.rejections.begin()?;
                if matches!(ending, Ending::Complete) {
                    self.cut(true)?;
                }
            }
            Ending::ReaderGone => return Ok(ending),
        }
        self.rejections.begin()?;
        self.rejections.cut()?;
        let written = self.counts.check(self.outputs.written);
        written.map_err(|message| Failure::internal(anyhow!(message)))?;
        Ok(ending)
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

fn not_written(error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context("the output cannot be written")
}
