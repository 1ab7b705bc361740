//! What only time brings: a server that is away, rows that nothing moves, an end that is not waited
//! for any longer, and what is said of all that.

use std::time::Duration;

use anyhow::anyhow;
use triton_model_fn::{Error, ErrorKind};

use super::ending::Ending;
use super::outputs::not_written;
use super::scheduler::Scheduler;
use super::stall::{self, LOOKS, Waiting};
use crate::failure::Failure;
use crate::progress::Moment;

/// How much longer than it should a server may be away before the run ends without any call.
const SPARE_TIME: Duration = Duration::from_secs(2);

impl Scheduler<'_> {
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
    pub(super) fn tick(&mut self) -> Result<Option<Ending>, Failure> {
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
