//! Which sequences of a model are open, and the state of each: a state machine without I/O.
//!
//! A state is shared between the batcher and the requests that wait for execution. Closing or
//! restarting a sequence takes it out of the batcher at once, while requests that arrived before
//! still execute with the state they were admitted with. Candidate slots and their backlog will
//! belong here too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::model::{CorrelationId, Sequence};

/// The state of one sequence, from its START to its END.
pub(crate) type SharedState<State> = Arc<Mutex<State>>;

/// The open sequences of one model.
#[derive(Debug)]
pub(crate) struct SequenceBatcher<State> {
    max_idle: Duration,
    open: HashMap<CorrelationId, OpenSequence<State>>,
    last_sweep: Option<Instant>,
}

/// The request continues a sequence that is not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MissingStart;

#[derive(Debug)]
struct OpenSequence<State> {
    state: SharedState<State>,
    last_enqueued: Instant,
}

impl<State: Default> SequenceBatcher<State> {
    pub(crate) fn new(max_idle: Duration) -> SequenceBatcher<State> {
        SequenceBatcher {
            max_idle,
            open: HashMap::new(),
            last_sweep: None,
        }
    }

    /// Enqueues a request that has passed validation, and returns the state it executes with.
    pub(crate) fn admit(
        &mut self,
        sequence: &Sequence,
        now: Instant,
    ) -> Result<SharedState<State>, MissingStart> {
        self.drop_idle(now);
        let state = match self.open.get(&sequence.id) {
            // START on an open sequence resets it without a word to the model.
            _ if sequence.start => SharedState::default(),
            Some(open) if !self.is_idle(open, now) => Arc::clone(&open.state),
            _ => return Err(MissingStart),
        };
        if sequence.end {
            self.open.remove(&sequence.id);
        } else {
            let open = OpenSequence {
                state: Arc::clone(&state),
                last_enqueued: now,
            };
            self.open.insert(sequence.id.clone(), open);
        }
        Ok(state)
    }

    fn is_idle(&self, open: &OpenSequence<State>, now: Instant) -> bool {
        now.duration_since(open.last_enqueued) >= self.max_idle
    }

    /// Frees the states of idle sequences; at most once per idle time, as it looks at all of them.
    fn drop_idle(&mut self, now: Instant) {
        let due = self
            .last_sweep
            .is_none_or(|last| now.duration_since(last) >= self.max_idle);
        if due {
            self.last_sweep = Some(now);
            let max_idle = self.max_idle;
            self.open
                .retain(|_, open| now.duration_since(open.last_enqueued) < max_idle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(5);

    struct Fixture {
        batcher: SequenceBatcher<i32>,
        now: Instant,
    }

    impl Fixture {
        fn new() -> Fixture {
            Fixture {
                batcher: SequenceBatcher::new(IDLE),
                now: Instant::now(),
            }
        }

        fn admit(
            &mut self,
            id: CorrelationId,
            start: bool,
            end: bool,
        ) -> Result<SharedState<i32>, MissingStart> {
            self.batcher.admit(&Sequence { id, start, end }, self.now)
        }

        /// Adds 1 to the sequence's state and returns it; `None` where START is missing.
        fn count(&mut self, id: u64, start: bool, end: bool) -> Option<i32> {
            let state = self.admit(CorrelationId::Number(id), start, end).ok()?;
            let mut count = state.lock().expect("no panic");
            *count += 1;
            Some(*count)
        }
    }

    #[test]
    fn a_sequence_lives_from_start_to_end() {
        let mut sequences = Fixture::new();
        assert_eq!(sequences.count(11, false, false), None);
        assert_eq!(sequences.count(11, false, true), None);
        assert_eq!(sequences.count(11, true, false), Some(1));
        assert_eq!(sequences.count(12, true, false), Some(1));
        assert_eq!(sequences.count(11, false, false), Some(2));
        assert_eq!(sequences.count(11, false, true), Some(3));
        assert_eq!(sequences.count(11, false, false), None);
        assert_eq!(sequences.count(12, false, false), Some(2));
    }

    #[test]
    fn start_and_end_together_leave_the_sequence_closed() {
        let mut sequences = Fixture::new();
        assert_eq!(sequences.count(11, true, true), Some(1));
        assert_eq!(sequences.count(11, false, false), None);
    }

    #[test]
    fn start_on_an_open_sequence_resets_it_but_not_what_arrived_before() {
        let mut sequences = Fixture::new();
        let id = CorrelationId::Number(11);
        let before = sequences.admit(id.clone(), true, false).expect("START");
        let after = sequences.admit(id, true, false).expect("START");
        assert!(!Arc::ptr_eq(&before, &after));
    }

    #[test]
    fn the_number_and_the_text_are_different_sequences() {
        let mut sequences = Fixture::new();
        assert_eq!(sequences.count(5, true, false), Some(1));
        let text = CorrelationId::Text("5".to_owned());
        assert_eq!(
            sequences.admit(text, false, false).err(),
            Some(MissingStart)
        );
    }

    #[test]
    fn a_sequence_closes_when_idle_and_each_admitted_request_starts_the_clock_anew() {
        let mut sequences = Fixture::new();
        let step = IDLE - Duration::from_millis(1);
        assert_eq!(sequences.count(11, true, false), Some(1));
        sequences.now += step;
        assert_eq!(sequences.count(11, false, false), Some(2));
        sequences.now += step;
        assert_eq!(sequences.count(11, false, false), Some(3));
        sequences.now += IDLE;
        assert_eq!(sequences.count(11, false, false), None);
        assert_eq!(sequences.count(11, true, false), Some(1));
    }

    #[test]
    fn the_states_of_idle_sequences_are_dropped() {
        let mut sequences = Fixture::new();
        let state = sequences
            .admit(CorrelationId::Number(11), true, false)
            .expect("START");
        sequences.now += IDLE;
        assert_eq!(sequences.count(12, true, false), Some(1));
        assert_eq!(Arc::strong_count(&state), 1);
    }
}
