//! Takes what the subtasks answer.

use std::time::Instant;

use anyhow::{Context as _, anyhow};
use tokio::task::JoinError;
use triton_model_fn::{Error, ErrorKind, RowAnswer};

use super::rejections::Reason;
use super::scheduler::Scheduler;
use super::work::{Finished, Work};
use crate::failure::Failure;

impl Scheduler<'_> {
    /// Takes what a task has done.
    pub(super) fn done(&mut self, done: Result<Finished, JoinError>) -> Result<(), Failure> {
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
    pub(super) fn take_answers(&mut self) -> Result<(), Failure> {
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
    pub(super) fn give_up_rows(&mut self) {
        for number in self.in_flight.undone() {
            if let Some(Work::Row(work)) = self.in_flight.get_mut(number) {
                work.result = Err(Reason::GivenUp);
                self.in_flight.done(number);
            }
        }
    }

    /// The server was away for too long: rows in flight are neither answered nor rejected.
    pub(super) fn server_lost(&self, error: &Error) -> Failure {
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
}
