//! Hands rows to the subtasks, and sees to it that something becomes of every one.
//!
//! Rows that need nothing of each other are handed over together, some hundred at a time, and others
//! one by one. While the server is away nothing is read, and the rows in flight wait within the
//! functions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use triton_model_fn::RowAnswer;

use super::arguments::{MaxErrors, OnError};
use super::checkpoint::Checkpoints;
use super::ending::Ending;
use super::events::{Event, ReadChunk, ReadRow, Start};
use super::in_flight::InFlight;
use super::keys::LastRows;
use super::outputs::Outputs;
use super::rate_limit::RateLimit;
use super::rejections::Rejections;
use super::sorting::SortProgress;
use super::stall::{Grace, Stall};
use super::subtasks::Subtasks;
use super::summary::{Counts, Latencies};
use super::work::{Finished, Work};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::signals::Signals;

/// The time between two looks at the clock, the bar and the output.
const TICK: Duration = Duration::from_millis(200);

/// How many times as many rows may wait for their turn to be written as may be in flight.
const WAITING_SHARE: usize = 4;

/// About how much memory rows in flight may take, unless one alone takes more.
const MOST_BYTES: usize = 32 * 1024 * 1024;

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
    pub(super) answers: Vec<RowAnswer>,
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
    pub(super) ends_soon: bool,
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
    pub(super) give_up_after: Duration,
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

    /// Whether a further row could be taken, if there is one.
    pub(super) fn can_read(&self) -> bool {
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
}
