//! What becomes of rows that are done: they are written or rejected in their turn, and counted in
//! checkpoints once nothing is in flight.

use std::io;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::task::JoinSet;
use triton_model_fn::{Prediction, PredictionStatus};

use super::arguments::OnError;
use super::checkpoint::Position;
use super::conductor::{Conductor, Done};
use super::ending::Ending;
use super::order::Order;
use super::rejections::Reason;
use crate::failure::Failure;
use crate::output::is_reader_gone;
use crate::table::{Row, WriteError};

/// How long rows with keys are waited for before others follow them, although a checkpoint is due.
const CUT_PATIENCE: Duration = Duration::from_secs(2);

/// How many sequence IDs a checkpoint reserves: so many may be taken until the next one, and a run
/// that goes on from it begins behind them. A request that the killed process sent may still
/// arrive, and must not meet a sequence of its ID.
const RESERVED_IDS: u64 = 1 << 20;

impl Conductor<'_> {
    /// Writes every row whose turn it is.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        while let Some(Done { row, result }) = self.order.next() {
            // Without an order it may be a later row than the next one.
            self.settled_bytes = self.settled_bytes.max(row.place.bytes);
            let rejected = match result {
                Ok(predictions) => match self.write(&row, predictions) {
                    Ok(PredictionStatus::Failed(error)) => {
                        self.rejections.add_written(&row, error, self.progress)?;
                        None
                    }
                    Ok(_) => None,
                    Err(WriteError::Row(fault)) => Some(Reason::Fault(fault)),
                    Err(WriteError::Output(error)) => {
                        return self.output_failed(not_written(error));
                    }
                },
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

    /// Writes what a row has become, and counts it; what comes back is what became of it.
    fn write(
        &mut self,
        row: &Row,
        predictions: Vec<Prediction>,
    ) -> Result<PredictionStatus, WriteError> {
        // What became of a row is what its last answer says; one without answers has them all.
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
    pub(super) fn cut_is_due(&self) -> bool {
        if self.subtasks.has_keys() && self.last_done.elapsed() > CUT_PATIENCE {
            return false;
        }
        let checkpoints = self.checkpoints.as_ref();
        checkpoints.is_some_and(|checkpoints| {
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

pub(super) fn not_written(error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context("the output cannot be written")
}
