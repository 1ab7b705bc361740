//! Hands rows to the subtasks: together, or one by one.

use std::time::Instant;

use triton_model_fn::{Error, ErrorKind, Prediction, Value};

use super::arguments::OnError;
use super::events::{ReadChunk, ReadRow};
use super::in_flight::Size;
use super::rejections::Reason;
use super::scheduler::Scheduler;
use super::work::{ChunkWork, Finished, RowWork, Work};
use crate::failure::Failure;
use crate::table::Unusable;

impl Scheduler<'_> {
    /// Begins as many of the rows that were read as may be.
    pub(super) fn begin_rows(&mut self) -> Result<(), Failure> {
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
}
