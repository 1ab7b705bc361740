//! What happens to rows that are done: they are written or rejected in their turn, and counted in
//! checkpoints once nothing is in flight.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::task::JoinSet;
use triton_model_fn::{Prediction, PredictionStatus};

use super::arguments::OnError;
use super::checkpoint::Position;
use super::ending::Ending;
use super::in_flight::InFlight;
use super::outputs::not_written;
use super::rejections::Reason;
use super::scheduler::Scheduler;
use super::subtasks::Outcome;
use super::work::{ChunkWork, Work};
use crate::failure::Failure;
use crate::table::{Answered, Answers, Chunk, Fault, Row, WriteError};

/// How long rows with keys are waited for before others follow them, although a checkpoint is due.
const CUT_PATIENCE: Duration = Duration::from_secs(2);

/// How many sequence IDs a checkpoint reserves: so many may be taken until the next one, and a run
/// that goes on from it begins behind them. A request that the killed process sent may still
/// arrive, and must not meet a sequence of its ID.
const RESERVED_IDS: u64 = 1 << 20;

/// Why settling comes to an end.
enum Stopped {
    /// The output takes no more.
    Output(io::Error),
    Run(Failure),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Run(failure)
    }
}

impl Scheduler<'_> {
    /// Writes every row whose turn it is.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        while let Some(work) = self.in_flight.next() {
            let written = match work {
                Work::Row(work) => {
                    // Without an order it may be a later row than the next one.
                    self.settled_bytes = self.settled_bytes.max(work.row.place.bytes);
                    self.settle_row(&work.row, work.result)
                }
                Work::Chunk(work) => {
                    self.settled_bytes = self.settled_bytes.max(work.bytes);
                    self.settle_chunk(work)
                }
            };
            match written {
                Ok(()) => {}
                Err(Stopped::Output(error)) => return self.output_failed(not_written(error)),
                Err(Stopped::Run(failure)) => return Err(failure),
            }
        }
        Ok(())
    }

    fn settle_row(
        &mut self,
        row: &Row,
        result: Result<Vec<Prediction>, Reason>,
    ) -> Result<(), Stopped> {
        match result {
            Ok(predictions) => match self.write(row, predictions) {
                Ok(PredictionStatus::Failed(error)) => {
                    let kept = self.rejections.add_written(row, error, self.progress);
                    Ok(kept.map_err(Failure::from)?)
                }
                Ok(_) => Ok(()),
                Err(WriteError::Row(fault)) => self.reject(row, &Reason::Fault(fault)),
                Err(WriteError::Output(error)) => Err(error.into()),
            },
            Err(reason) => self.reject(row, &reason),
        }
    }

    /// Writes the rows of a chunk that were answered, and sees to the others, all in their order.
    fn settle_chunk(&mut self, work: ChunkWork) -> Result<(), Stopped> {
        let ChunkWork {
            chunk,
            unusable,
            outcome,
            ..
        } = work;
        let Outcome {
            answers,
            mut statuses,
            failures,
            given_up,
        } = outcome.unwrap_or_else(|error| Outcome {
            answers: Answers::Values(Vec::new()),
            statuses: Vec::new(),
            failures: (0..chunk.len()).map(|row| (row, error.clone())).collect(),
            given_up: Vec::new(),
        });
        statuses.sort_by_key(|(row, _)| *row);
        // A row that cannot be used was not handed over, whatever became of the others.
        let mut others: BTreeMap<usize, Result<Prediction, Reason>> = BTreeMap::new();
        let failures = failures.into_iter();
        others.extend(failures.map(|(row, error)| (row, Err(Reason::Function(error)))));
        others.extend(given_up.into_iter().map(|row| (row, Err(Reason::GivenUp))));
        others.extend(unusable);
        let mut start = 0;
        for (row, other) in others {
            self.write_rows(&chunk, start..row, &answers, &statuses)?;
            start = row + 1;
            let result = other.map(|prediction| vec![prediction]);
            self.settle_row(&chunk.row(row), result)?;
        }
        self.write_rows(&chunk, start..chunk.len(), &answers, &statuses)
    }

    /// Writes rows of a chunk that were all answered, and counts them; `statuses` are in the order of
    /// the rows.
    fn write_rows(
        &mut self,
        chunk: &Chunk,
        rows: Range<usize>,
        answers: &Answers,
        statuses: &[(usize, PredictionStatus)],
    ) -> Result<(), Stopped> {
        if rows.is_empty() {
            return Ok(());
        }
        let unwritten = self.outputs.write_rows(&Answered {
            chunk,
            rows: rows.clone(),
            answers,
        })?;
        self.counts.written += (rows.len() - unwritten.len()) as u64;
        let of_rows = |end: usize| statuses.partition_point(|(row, _)| *row < end);
        let statuses = &statuses[of_rows(rows.start)..of_rows(rows.end)];
        // A row that is not written is rejected, whatever became of it before.
        let mut others: BTreeMap<usize, Result<&PredictionStatus, Fault>> = BTreeMap::new();
        others.extend(statuses.iter().map(|(row, status)| (*row, Ok(status))));
        others.extend(unwritten.into_iter().map(|(row, fault)| (row, Err(fault))));
        self.counts.answered += (rows.len() - others.len()) as u64;
        for (row, other) in others {
            match other {
                Err(fault) => self.reject(&chunk.row(row), &Reason::Fault(fault))?,
                Ok(status) => {
                    *self.counts.of(status) += 1;
                    if let PredictionStatus::Failed(error) = status {
                        let row = chunk.row(row);
                        let kept = self
                            .rejections
                            .add_written(&row, error.clone(), self.progress);
                        kept.map_err(Failure::from)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Rejects a row, which may be what ends the run.
    fn reject(&mut self, row: &Row, reason: &Reason) -> Result<(), Stopped> {
        self.counts.rejected += 1;
        self.rejections
            .add(row, reason, self.progress)
            .map_err(Failure::from)?;
        if self.ending.is_none() {
            self.ending = self.ends_run(row, reason);
        }
        Ok(())
    }

    /// Writes what a row has become, and counts it; what comes back is what happened to it.
    fn write(
        &mut self,
        row: &Row,
        predictions: Vec<Prediction>,
    ) -> Result<PredictionStatus, WriteError> {
        // What happened to a row is what its last answer says; one without answers has them all.
        let status = predictions.last().map(|last| last.status.clone());
        for prediction in predictions {
            self.outputs.write(row, prediction)?;
            self.counts.written += 1;
        }
        let status = status.unwrap_or_default();
        *self.counts.of(&status) += 1;
        Ok(status)
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
            rule: format!("--max-errors {most}"),
        })
    }

    /// Nobody who reads the output any more is no failure; everything else is.
    pub(super) fn output_failed(&mut self, error: anyhow::Error) -> Result<(), Failure> {
        self.ending = Some(self.ended_by_output(error)?);
        Ok(())
    }

    /// The end of a run whose output takes no more; rows in flight are neither answered nor rejected.
    fn ended_by_output(&mut self, error: anyhow::Error) -> Result<Ending, Failure> {
        let ending = Ending::of_output(error)?;
        self.tasks.abort_all();
        self.tasks = JoinSet::new();
        self.in_flight = InFlight::new(self.in_order);
        self.read.clear();
        self.read_together = None;
        self.counts.read = self.counts.settled();
        Ok(ending)
    }

    /// Whether rows are held back so that a checkpoint can be made.
    ///
    /// A row with a key may wait for a sequence to end that needs further rows for it, so that
    /// nothing would ever end if none came.
    pub(super) fn cut_is_due(&self) -> bool {
        let checkpoints = self.checkpoints.as_ref();
        checkpoints.is_some_and(|checkpoints| {
            if self.subtasks.has_keys() && self.last_done.elapsed() > CUT_PATIENCE {
                return false;
            }
            // At first nothing is reserved, and no row is taken before it is.
            let used_up = self.subtasks.next_counter() + RESERVED_IDS / 2 > self.reserved_until;
            used_up || checkpoints.is_due(self.counts.read)
        })
    }

    /// Makes a checkpoint; nothing is in flight.
    pub(super) fn cut(&mut self, finished: bool) -> Result<(), Failure> {
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
    pub(super) fn end(&mut self, ending: Ending) -> Result<Ending, Failure> {
        if ending.is_complete() {
            // First: a checkpoint that is finished would answer the next call with the code of a run
            // whose sums are right.
            self.check_sums()?;
        }
        match &ending {
            Ending::Interrupted { .. } if self.checkpoints.is_some() => self.cut(false)?,
            // The last checkpoint stands, so that the failed row comes up again. Without one,
            // whoever began the run keeps what there is of its output.
            Ending::Failed { .. } => {
                if let Err(error) = self.outputs.flush() {
                    return self.ended_by_output(not_written(error));
                }
            }
            Ending::Complete | Ending::Interrupted { .. } => {
                if let Err(error) = self.outputs.finish() {
                    // The last of the output may be written only now.
                    return self.ended_by_output(not_written(error));
                }
                self.rejections.begin()?;
                if matches!(ending, Ending::Complete) {
                    self.cut(true)?;
                }
            }
            Ending::ReaderGone | Ending::Unread { .. } => return Ok(ending),
            Ending::Broken(_) => self
                .outputs
                .flush()
                .map_err(|error| Failure::usage(not_written(error)))?,
        }
        self.rejections.begin()?;
        self.rejections.cut()?;
        self.check_sums()?;
        match ending {
            Ending::Broken(error) => Err(Failure::usage(error)),
            ending => Ok(ending),
        }
    }

    fn check_sums(&self) -> Result<(), Failure> {
        let written = self.counts.check(self.outputs.written);
        written.map_err(|message| Failure::internal(anyhow!(message)))
    }
}
