//! Notices when rows wait for what cannot come: sequences take all places of the model, and go on
//! only with rows that stand behind others which wait for a place.

use std::time::Duration;

use tokio::time::Instant;
use triton_model_fn::SequencePlaces;

/// How long nothing may move before rows count as stalled; a call is noticed at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the last sequences may take to idle out on the server, once all rows were read.
const LONGEST_IDLING: Duration = Duration::from_secs(30);

/// What to do where more keys are open than the model keeps sequences.
pub(super) const ADVICE: &str = "sort the input by its key (a file: --sort-by-key), raise the \
    model's max_candidate_sequences, or let sequences end sooner by the option \
    'sequence-end-column', 'sequence-max-length' or 'sequence-idle-timeout'";

/// What rows in flight wait for, at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) rows: usize,
    /// Calls that are being made, waits for the server and for retries included.
    pub(super) calls: usize,
    /// A number that grows with every answer.
    pub(super) answered: u64,
    /// Whether further rows could be read.
    pub(super) can_read: bool,
    pub(super) exhausted: bool,
}

/// Since when nothing has moved.
#[derive(Debug, Default)]
pub(super) struct Stall(Option<(Instant, u64)>);

impl Stall {
    /// Whether nothing has moved for a while, and nothing is being waited for that moves by itself.
    pub(super) fn is_stalled(&mut self, waiting: &Waiting) -> bool {
        let still = waiting.rows > 0 && waiting.calls == 0 && !waiting.can_read;
        let same = self.0.filter(|(_, answered)| *answered == waiting.answered);
        if !still {
            self.0 = None;
            return false;
        }
        let (since, _) = *self
            .0
            .insert(same.unwrap_or((Instant::now(), waiting.answered)));
        since.elapsed() >= PATIENCE
    }

    /// Whether it is worth waiting until the server drops sequences that have no more rows: no
    /// sequence is harmed by it once all rows were read.
    pub(super) fn will_pass(&self, waiting: &Waiting, places: Option<SequencePlaces>) -> bool {
        let Some(SequencePlaces {
            limit: Some(limit),
            server_idle: Some(idle),
            ..
        }) = places
        else {
            return false;
        };
        let rounds = u32::try_from(waiting.rows.div_ceil(limit.max(1))).unwrap_or(u32::MAX);
        waiting.exhausted && idle.saturating_mul(rounds) <= LONGEST_IDLING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITING: Waiting = Waiting {
        rows: 3,
        calls: 0,
        answered: 7,
        can_read: false,
        exhausted: false,
    };

    #[tokio::test(start_paused = true)]
    async fn rows_are_stalled_once_nothing_has_moved_for_a_while() {
        let mut stall = Stall::default();
        let mut after_two_seconds = |stall: &mut Stall, waiting: Waiting| {
            let before = stall.is_stalled(&waiting);
            assert!(!before);
        };
        for moving in [
            Waiting {
                calls: 1,
                ..WAITING
            },
            Waiting {
                can_read: true,
                ..WAITING
            },
            Waiting { rows: 0, ..WAITING },
        ] {
            after_two_seconds(&mut stall, moving);
            tokio::time::advance(PATIENCE).await;
            assert!(!stall.is_stalled(&moving), "{moving:?}");
        }
        after_two_seconds(&mut stall, WAITING);
        tokio::time::advance(PATIENCE).await;
        let answered = Waiting {
            answered: 8,
            ..WAITING
        };
        assert!(!stall.is_stalled(&answered));
        tokio::time::advance(PATIENCE).await;
        assert!(stall.is_stalled(&answered));
    }
}
