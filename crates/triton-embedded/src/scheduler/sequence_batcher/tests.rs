//! The sequence batcher as a state machine, with a time of its own.

use super::*;

const IDLE: Duration = Duration::from_secs(5);

/// The jobs are numbers; a state counts the requests that have executed with it.
struct Fixture {
    batcher: SequenceBatcher<i32, u32>,
    now: Instant,
}

impl Fixture {
    fn with_slots(max_candidate_sequences: usize) -> Fixture {
        let batching = SequenceBatching {
            max_sequence_idle: IDLE,
            strategy: SequenceStrategy::Oldest {
                max_candidate_sequences,
            },
        };
        Fixture {
            batcher: SequenceBatcher::new(&batching, 0),
            now: Instant::now(),
        }
    }

    fn new() -> Fixture {
        Fixture::with_slots(10)
    }

    fn admit(&mut self, id: u64, flags: &str, job: u32) -> Result<(), MissingStart> {
        self.admit_until(id, flags, job, None)
    }

    fn admit_until(
        &mut self,
        id: u64,
        flags: &str,
        job: u32,
        deadline: Option<Instant>,
    ) -> Result<(), MissingStart> {
        let sequence = Sequence {
            id: CorrelationId::Number(id),
            start: flags.contains('S'),
            end: flags.contains('E'),
        };
        self.batcher.admit(&sequence, job, self.now, deadline)
    }

    /// Executes everything whose turn it is; each job with the number of requests its state has
    /// seen, 0 for a job that was turned away.
    fn execute(&mut self) -> Vec<(u32, i32)> {
        let mut executed = Vec::new();
        while let Some(ready) = self.batcher.next(self.now, |_| true) {
            match ready {
                Ready::Execute { job, state, ends } => {
                    let mut count = state.lock().expect("no panic");
                    *count += 1;
                    executed.push((job, *count));
                    if ends {
                        self.batcher.release();
                    }
                }
                Ready::Expired(job) => executed.push((job, 0)),
            }
        }
        executed
    }

    /// The number of requests the sequence has seen with this one; `None` where START is missing.
    fn count(&mut self, id: u64, flags: &str) -> Option<i32> {
        self.admit(id, flags, 0).ok()?;
        self.execute().last().map(|(_, count)| *count)
    }
}

#[test]
fn a_sequence_lives_from_start_to_end() {
    let mut sequences = Fixture::new();
    assert_eq!(sequences.count(11, ""), None);
    assert_eq!(sequences.count(11, "E"), None);
    assert_eq!(sequences.count(11, "S"), Some(1));
    assert_eq!(sequences.count(12, "S"), Some(1));
    assert_eq!(sequences.count(11, ""), Some(2));
    assert_eq!(sequences.count(11, "E"), Some(3));
    assert_eq!(sequences.count(11, ""), None);
    assert_eq!(sequences.count(12, ""), Some(2));
    assert_eq!(sequences.count(13, "SE"), Some(1));
    assert_eq!(sequences.count(13, ""), None);
}

#[test]
fn start_on_an_open_sequence_resets_it_but_not_what_arrived_before() {
    let mut sequences = Fixture::with_slots(1);
    for (flags, job) in [("S", 1), ("", 2), ("S", 3), ("", 4)] {
        sequences.admit(11, flags, job).expect("admitted");
    }
    assert_eq!(sequences.execute(), [(1, 1), (2, 2), (3, 1), (4, 2)]);
}

#[test]
fn the_number_and_the_text_are_different_sequences() {
    let mut sequences = Fixture::new();
    assert_eq!(sequences.count(5, "S"), Some(1));
    let text = Sequence {
        id: CorrelationId::Text("5".to_owned()),
        start: false,
        end: false,
    };
    let now = sequences.now;
    let admitted = sequences.batcher.admit(&text, 0, now, None);
    assert_eq!(admitted, Err(MissingStart));
}

#[test]
fn a_sequence_closes_when_idle_and_each_admitted_request_starts_the_clock_anew() {
    let mut sequences = Fixture::new();
    let step = IDLE - Duration::from_millis(1);
    assert_eq!(sequences.count(11, "S"), Some(1));
    sequences.now += step;
    assert_eq!(sequences.count(11, ""), Some(2));
    sequences.now += step;
    assert_eq!(sequences.count(11, ""), Some(3));
    sequences.now += IDLE;
    assert_eq!(sequences.count(11, ""), None);
    assert_eq!(sequences.count(11, "S"), Some(1));
}

#[test]
fn a_sequence_without_a_slot_waits_for_an_end() {
    let mut sequences = Fixture::with_slots(1);
    sequences.admit(1, "S", 10).expect("admitted");
    sequences.admit(2, "S", 20).expect("admitted");
    sequences.admit(3, "SE", 30).expect("admitted");
    sequences
        .admit(2, "", 21)
        .expect("it continues in the backlog");
    assert_eq!(sequences.execute(), [(10, 1)]);
    sequences.admit(1, "E", 11).expect("admitted");
    assert_eq!(sequences.execute(), [(11, 2), (20, 1), (21, 2)]);
    assert!(sequences.batcher.has_backlog());
    sequences.admit(2, "E", 22).expect("admitted");
    assert_eq!(sequences.execute(), [(22, 3), (30, 1)]);
    assert!(!sequences.batcher.has_backlog());
}

#[test]
fn an_idle_sequence_gives_its_slot_away_and_one_that_waits_does_not_become_idle() {
    let mut sequences = Fixture::with_slots(1);
    sequences.admit(1, "S", 10).expect("admitted");
    assert_eq!(sequences.execute(), [(10, 1)]);
    sequences.now += IDLE / 2;
    sequences.admit(2, "S", 20).expect("admitted");
    sequences.admit(3, "S", 30).expect("admitted");
    assert_eq!(sequences.execute(), []);
    sequences.now += IDLE / 2;
    assert_eq!(sequences.execute(), [(20, 1)]);
    assert_eq!(sequences.admit(1, "", 11), Err(MissingStart));
    // The clock of the second runs from when it was enqueued, not from when it got its slot.
    sequences.now += IDLE / 2;
    assert_eq!(sequences.execute(), [(30, 1)]);
    assert_eq!(sequences.admit(2, "", 21), Err(MissingStart));
}

#[test]
fn a_request_with_a_limit_takes_its_sequence_out_of_the_backlog() {
    let mut sequences = Fixture::with_slots(1);
    sequences.admit(1, "S", 10).expect("admitted");
    let deadline = sequences.now + Duration::from_secs(1);
    sequences
        .admit_until(2, "S", 20, Some(deadline))
        .expect("admitted");
    sequences.admit(2, "", 21).expect("admitted");
    assert_eq!(sequences.execute(), [(10, 1)]);
    sequences.now = deadline;
    assert_eq!(sequences.execute(), [(20, 0), (21, 0)]);
    assert_eq!(sequences.admit(2, "", 22), Err(MissingStart));
}

#[test]
fn two_requests_of_one_sequence_are_never_ready_together() {
    let mut sequences = Fixture::new();
    sequences.admit(1, "S", 10).expect("admitted");
    sequences.admit(1, "", 11).expect("admitted");
    let now = sequences.now;
    let Some(Ready::Execute { state: first, .. }) = sequences.batcher.next(now, |_| true) else {
        panic!("the first is ready");
    };
    let other = |state: &SharedState<i32>| !Arc::ptr_eq(state, &first);
    assert!(sequences.batcher.next(now, other).is_none());
}

#[test]
fn the_states_of_idle_sequences_are_dropped() {
    let mut sequences = Fixture::new();
    sequences.admit(11, "S", 0).expect("admitted");
    let now = sequences.now;
    let Some(Ready::Execute { state, .. }) = sequences.batcher.next(now, |_| true) else {
        panic!("it is ready");
    };
    sequences.now += IDLE;
    assert_eq!(sequences.count(12, "S"), Some(1));
    assert_eq!(Arc::strong_count(&state), 1);
}
