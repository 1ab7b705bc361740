//! Hands rows to the subtasks, and sees to it that something becomes of every one.

use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use tokio::sync::mpsc::Receiver;
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use triton_model_fn::Prediction;
use triton_options::{SEQUENCE_END_COLUMN, SEQUENCE_IDLE_TIMEOUT, SEQUENCE_MAX_LENGTH};

use super::arguments::OnError;
use super::checkpoint::{Checkpoints, Position};
use super::feeder::{Event, Start};
use super::keys::LastRows;
use super::order::Order;
use super::outputs::Outputs;
use super::pace::Pace;
use super::rejections::{Reason, Rejections};
use super::subtasks::Subtasks;
use super::summary::{Counts, Latencies};
use crate::failure::Failure;
use crate::output::is_reader_gone;
use crate::progress::{Moment, Progress};
use crate::signals::{Signal, Signals};
use crate::table::{Row, WriteError};

/// The time between two looks at the clock, the bar and the output.
const TICK: Duration = Duration::from_millis(200);

/// How many times as many rows may wait for their turn to be written as may be under way.
const WAITING_SHARE: usize = 4;

/// How long rows with keys are waited for before others follow them, although a checkpoint is due.
const CUT_PATIENCE: Duration = Duration::from_secs(2);

/// How a run came to its end.
#[derive(Debug)]
pub(super) enum Ending {
    /// Every row of every input was read.
    Complete,
    /// A signal said so.
    Interrupted(Signal),
    /// A row failed, and that is the end by `--on-error fail`.
    Failed(String),
    /// Nobody reads the output any more.
    ReaderGone,
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
    /// When a row was last done, or the first of those under way began.
    last_done: Instant,
    /// The bytes of the inputs up to the end of the rows that something became of.
    settled_bytes: u64,
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
            last_done: Instant::now(),
            settled_bytes: 0,
        }
    }

    /// Answers rows until there are no more, or until something ends the run before.
    ///
    /// Whatever ends it, the rows under way are finished and written first.
    pub(super) async fn run(
        &mut self,
        events: &mut Receiver<Event>,
        signals: &mut Signals,
    ) -> Result<Ending, Failure> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        // An input that has an output of its own waits until the one before is written.
        let mut held: Option<Event> = None;
        let mut exhausted = false;
        loop {
            if self.tasks.is_empty() {
                self.settle()?;
                if self.ending.is_none() && self.cut_is_due() {
                    self.cut(false)?;
                }
                if let Some(ending) = self.ending.take() {
                    return self.end(ending);
                }
                if let Some(event) = held.take() {
                    self.take(event)?;
                    continue;
                }
                if exhausted {
                    return self.end(Ending::Complete);
                }
            }
            let feeding = self.ending.is_none()
                && held.is_none()
                && !exhausted
                && self.has_room()
                && !self.cut_is_due();
            let pace = &self.pace;
            tokio::select! {
                biased;
                signal = signals.first(), if self.ending.is_none() => {
                    self.ending = Some(Ending::Interrupted(signal));
                }
                Some(done) = self.tasks.join_next() => {
                    self.done(done)?;
                    self.settle()?;
                }
                _ = ticks.tick() => self.tick()?,
                event = async {
                    pace.wait().await;
                    events.recv().await
                }, if feeding => match event {
                    None => exhausted = true,
                    Some(event @ Event::Begin { .. }) if self.outputs.has_one_each() => {
                        held = Some(event);
                    }
                    Some(event) => self.take(event)?,
                },
            }
        }
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
                if rows != taken {
                    return Err(Failure::internal(anyhow!(
                        "input {} has {rows} rows, but {taken} were taken",
                        input + 1
                    )));
                }
            }
            Event::Failed(error) => return Err(Failure::usage(error)),
            Event::Row(row) => {
                self.pace.begin();
                self.position.rows += 1;
                self.counts.read += 1;
                let number = self.order.begin();
                self.begin(number, row);
                self.settle()?;
            }
        }
        Ok(())
    }

    /// Hands a row to a subtask.
    fn begin(&mut self, number: u64, row: Box<Row>) {
        let values = match &row.values {
            Ok(values) => values,
            Err(fault) => {
                let result = Err(Reason::Fault(fault.clone()));
                self.order.done(number, Done { row, result });
                return;
            }
        };
        if self.tasks.is_empty() {
            // Whatever was waited for before was for want of rows.
            self.last_done = Instant::now();
        }
        let begun = Instant::now();
        let last_rows = self.last_rows.as_mut();
        let is_last = last_rows.is_some_and(|rows| rows.take(self.counts.read, values));
        // The row takes its place among those of its sequence here, one row after the other; a
        // task of its own then lets it use any core.
        let answer = self.subtasks.submit(values, is_last);
        self.tasks.spawn(async move {
            let result = answer.await.map_err(Reason::Function);
            (number, begun.elapsed(), Done { row, result })
        });
    }

    fn done(&mut self, done: Result<(u64, Duration, Done), JoinError>) -> Result<(), Failure> {
        let (number, latency, done) = done
            .context("a row was lost in the middle of its work")
            .map_err(Failure::internal)?;
        self.latencies.record(latency);
        self.order.done(number, done);
        self.last_done = Instant::now();
        Ok(())
    }

    /// Refuses to wait for what cannot come: sequences take all places of the model, and go on
    /// only with rows that are behind others which wait for a place.
    fn check_stalled(&self) -> Result<(), Failure> {
        let patience = self.subtasks.patience;
        if self.tasks.is_empty() || self.last_done.elapsed() <= patience {
            return Ok(());
        }
        let mut message = format!(
            "no row has been answered for {} s, which is longer than any call may take",
            patience.as_secs()
        );
        if self.subtasks.has_keys() {
            message.push_str(&format!(
                ": {} sequences are open, and the rows under way wait for one of them to end; \
                 sort the input by its key, raise the model's number of sequences, or let \
                 sequences end by the option '{}', '{}' or '{}'",
                self.subtasks.open_sequences(),
                SEQUENCE_END_COLUMN.key(),
                SEQUENCE_MAX_LENGTH.key(),
                SEQUENCE_IDLE_TIMEOUT.key()
            ));
        }
        Err(Failure::server(anyhow!(message)))
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
                if self.on_error == OnError::Fail && self.ending.is_none() {
                    self.ending = Some(Ending::Failed(reason.described(&row)));
                }
            }
        }
        Ok(())
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
        checkpoints.is_some_and(|checkpoints| checkpoints.is_due(self.counts.read))
    }

    /// Makes a checkpoint; nothing is under way.
    fn cut(&mut self, finished: bool) -> Result<(), Failure> {
        let Some(checkpoints) = &mut self.checkpoints else {
            return Ok(());
        };
        let position = Position {
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

    /// Completes what was written, once nothing is under way.
    fn end(&mut self, ending: Ending) -> Result<Ending, Failure> {
        match &ending {
            // The last checkpoint stands, so that the failed row comes up again.
            Ending::Failed(_) if self.checkpoints.is_some() => {}
            Ending::Interrupted(_) if self.checkpoints.is_some() => self.cut(false)?,
            Ending::Complete | Ending::Failed(_) | Ending::Interrupted(_) => {
                if let Err(error) = self.outputs.finish() {
                    // The last of the output may be written only now.
                    self.output_failed(not_written(error))?;
                    return Ok(Ending::ReaderGone);
                }
                if matches!(ending, Ending::Complete) {
                    self.cut(true)?;
                }
            }
            Ending::ReaderGone => return Ok(ending),
        }
        self.rejections.cut()?;
        let written = self.counts.check(self.outputs.written);
        written.map_err(|message| Failure::internal(anyhow!(message)))?;
        Ok(ending)
    }

    fn tick(&mut self) -> Result<(), Failure> {
        self.progress.tick(&Moment {
            rows: self.counts.settled(),
            bytes: self.settled_bytes,
            rejected: self.counts.rejected,
            in_flight: self.tasks.len(),
            open_sequences: self.subtasks.open_sequences(),
            p50_ms: self.latencies.milliseconds(0.5),
            p99_ms: self.latencies.milliseconds(0.99),
        });
        self.check_stalled()?;
        match self.outputs.flush() {
            Ok(()) => Ok(()),
            Err(error) => self.output_failed(not_written(error)),
        }
    }
}

fn not_written(error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context("the output cannot be written")
}
