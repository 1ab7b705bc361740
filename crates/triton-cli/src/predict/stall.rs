//! Notices when rows wait for what cannot come: sequences take all places of the model, and go on
//! only with rows that stand behind others which wait for a place.

use std::time::Duration;

use tokio::time::Instant;
use triton_model_fn::SequencePlaces;

use crate::signals::LONGEST_GRACE;

/// How long nothing may move before rows count as stalled, at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often that must be seen: after the process was held up, a look alone says nothing.
pub(super) const LOOKS: u32 = 3;

/// How long the last sequences may take to idle out on the server, once all rows were read.
const LONGEST_IDLING: Duration = Duration::from_secs(30);

/// What to do where more keys are open than the model keeps sequences.
pub(super) fn advice(is_sorted: bool) -> String {
    let sort = match is_sorted {
        true => "",
        false => "sort the input by its key (--sort-by-key), ",
    };
    format!(
        "{sort}raise the model's max_candidate_sequences, or let sequences end sooner by the \
         option 'sequence-end-column', 'sequence-max-length' or 'sequence-idle-timeout'"
    )
}

/// What rows in flight wait for, at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) rows: usize,
    /// Calls that are being made, waits for the server and for retries included.
    pub(super) calls: usize,
    /// Places held for sequences that are over, which are free again without any row.
    pub(super) held: usize,
    /// A number that grows with every answer.
    pub(super) answered: u64,
    /// Whether further rows could be read.
    pub(super) can_read: bool,
    pub(super) exhausted: bool,
}

/// Since when nothing has moved.
#[derive(Debug, Default)]
pub(super) struct Stall(Option<Still>);

#[derive(Debug)]
struct Still {
    since: Instant,
    answered: u64,
    looks: u32,
}

impl Stall {
    /// Looks whether nothing has moved for a while, and nothing is waited for that moves by itself.
    ///
    /// It is noticed before the server drops the first sequence, whose key may have further rows.
    pub(super) fn is_stalled(&mut self, waiting: &Waiting, places: Option<SequencePlaces>) -> bool {
        let moves = waiting.calls > 0 || waiting.held > 0 || waiting.can_read;
        let still = waiting.rows > 0 && !moves;
        let same = self.0.take().filter(|_| still);
        if !still {
            return false;
        }
        let mut same = same
            .filter(|same| same.answered == waiting.answered)
            .unwrap_or(Still {
                since: Instant::now(),
                answered: waiting.answered,
                looks: 0,
            });
        same.looks += 1;
        let idle = places.and_then(|places| places.server_idle);
        let patience = idle.map_or(PATIENCE, |idle| PATIENCE.min(idle / 2));
        let stalled = same.looks >= LOOKS && same.since.elapsed() >= patience;
        self.0 = Some(same);
        stalled
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

/// How long rows in flight are waited for after a signal, while none is answered: whoever sent it
/// may follow it by another one that cannot be heeded.
const GRACE: Duration = Duration::from_secs(15);

/// After how long it is said that they are waited for.
const SILENCE: Duration = Duration::from_secs(2);

/// The wait for rows in flight after a signal: in all no longer than for anything else, also where
/// sequences are rebuilt for them, answer by answer.
#[derive(Debug, Default)]
pub(super) struct Grace {
    begun: Option<Instant>,
    since: Option<(Instant, u64)>,
    said: bool,
}

impl Grace {
    /// Whether rows have been waited for long enough; `answered` grows with every answer.
    pub(super) fn is_over(&mut self, answered: u64) -> bool {
        let since = self.since.filter(|(_, before)| *before == answered);
        let (since, _) = *self
            .since
            .insert(since.unwrap_or((Instant::now(), answered)));
        let begun = *self.begun.get_or_insert_with(Instant::now);
        since.elapsed() >= GRACE || begun.elapsed() >= LONGEST_GRACE
    }

    /// Whether it is time to say that rows are waited for, which is said once.
    pub(super) fn is_to_be_said(&mut self) -> bool {
        let waited = self
            .since
            .is_some_and(|(since, _)| since.elapsed() >= SILENCE);
        if self.said || !waited {
            return false;
        }
        self.said = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITING: Waiting = Waiting {
        rows: 3,
        calls: 0,
        held: 0,
        answered: 7,
        can_read: false,
        exhausted: false,
    };

    /// What so many looks, 200 ms apart, come to.
    async fn looks(stall: &mut Stall, waiting: Waiting, looks: u32) -> bool {
        let mut stalled = false;
        for _ in 0..looks {
            stalled = stall.is_stalled(&waiting, None);
            tokio::time::advance(Duration::from_millis(200)).await;
        }
        stalled
    }

    #[tokio::test(start_paused = true)]
    async fn rows_are_stalled_once_nothing_has_moved_for_a_while() {
        let mut stall = Stall::default();
        for moving in [
            Waiting {
                calls: 1,
                ..WAITING
            },
            Waiting { held: 1, ..WAITING },
            Waiting {
                can_read: true,
                ..WAITING
            },
            Waiting { rows: 0, ..WAITING },
        ] {
            assert!(!looks(&mut stall, moving, 50).await, "{moving:?}");
        }
        assert!(!looks(&mut stall, WAITING, 10).await);
        let answered = Waiting {
            answered: 8,
            ..WAITING
        };
        assert!(!looks(&mut stall, answered, 10).await);
        assert!(looks(&mut stall, answered, 1).await);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_signal_rows_are_waited_for_as_long_as_some_are_answered() {
        let mut grace = Grace::default();
        for answered in 0..3 {
            assert!(!grace.is_over(answered));
            tokio::time::advance(LONGEST_GRACE / 8).await;
            assert!(!grace.is_over(answered));
            assert_eq!(grace.is_to_be_said(), answered == 0);
        }
        tokio::time::advance(GRACE).await;
        assert!(grace.is_over(2));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_signal_a_run_ends_in_bounded_time_whatever_is_answered() {
        let mut grace = Grace::default();
        for answered in 0..100 {
            if grace.is_over(answered) {
                assert_eq!(answered, 25);
                return;
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        panic!("it goes on as long as rows are answered");
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_held_up_looks_again() {
        let mut stall = Stall::default();
        assert!(!stall.is_stalled(&WAITING, None));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!stall.is_stalled(&WAITING, None));
        assert!(stall.is_stalled(&WAITING, None));
    }
}
