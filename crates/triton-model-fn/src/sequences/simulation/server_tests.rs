//! The simulated server against what was found out on a real one.

use std::time::Duration;

use tokio::time::Instant;

use super::server::{Reply, Request, ServerSettings, SimulatedServer};

const IDLE: Duration = Duration::from_secs(4);

struct Pair {
    server: SimulatedServer,
    begun: Instant,
    replies: Vec<(Instant, u64, Reply)>,
    number: u64,
}

impl Pair {
    fn new(candidates: usize) -> Self {
        let settings = ServerSettings {
            candidates,
            idle: IDLE,
            execution: Duration::from_millis(1),
        };
        Self {
            server: SimulatedServer::new(settings),
            begun: Instant::now(),
            replies: Vec::new(),
            number: 0,
        }
    }

    /// Sends `S` (START), `E` (END), both or neither at a millisecond.
    fn send(&mut self, millisecond: u64, id: &str, value: i64, flags: &str) {
        let now = self.begun + Duration::from_millis(millisecond);
        self.server.advance(now, &mut self.replies);
        let request = Request {
            number: self.number,
            id: id.into(),
            value,
            start: flags.contains('S'),
            end: flags.contains('E'),
        };
        self.number += 1;
        self.server.queue(now, request, &mut self.replies);
    }

    /// The replies until a millisecond, each with its own.
    fn replies(&mut self, millisecond: u64) -> Vec<(u64, u64, Reply)> {
        let now = self.begun + Duration::from_millis(millisecond);
        self.server.advance(now, &mut self.replies);
        let replies = std::mem::take(&mut self.replies).into_iter();
        let since = |at: Instant| at.duration_since(self.begun).as_millis() as u64;
        replies
            .map(|(at, number, reply)| (since(at), number, reply))
            .collect()
    }
}

#[test]
fn a_sequence_begins_with_start_and_is_over_with_end() {
    let mut pair = Pair::new(4);
    pair.send(0, "a", 1, "");
    pair.send(0, "a", 2, "S");
    pair.send(5, "a", 3, "E");
    pair.send(10, "a", 4, "");
    pair.send(15, "b", 5, "SE");
    let expected = [
        (0, 0, Reply::NotStarted),
        (1, 1, Reply::Sum(2)),
        (6, 2, Reply::Sum(5)),
        (10, 3, Reply::NotStarted),
        (16, 4, Reply::Sum(5)),
    ];
    assert_eq!(pair.replies(20), expected);
    assert_eq!(pair.server.open_ids().count(), 0);
    assert_eq!(pair.server.rows_of("a"), [2, 3]);
}

#[test]
fn start_resets_an_open_sequence_and_a_row_sent_twice_counts_twice() {
    let mut pair = Pair::new(4);
    for (millisecond, value, flags) in [(0, 10, "S"), (5, 5, ""), (10, 5, ""), (15, 7, "S")] {
        pair.send(millisecond, "a", value, flags);
    }
    let sums = pair.replies(20).into_iter().map(|(_, _, reply)| reply);
    assert_eq!(sums.collect::<Vec<_>>(), [10, 15, 20, 7].map(Reply::Sum));
}

#[test]
fn a_start_without_a_place_waits_without_an_error_until_another_is_over() {
    let mut pair = Pair::new(2);
    pair.send(0, "a", 1, "S");
    pair.send(0, "b", 1, "S");
    pair.send(10, "c", 1, "S");
    pair.send(20, "d", 1, "S");
    pair.send(20, "c", 2, "");
    assert_eq!(pair.replies(1000).len(), 2);
    assert_eq!((pair.server.held_back, pair.server.most_open), (2, 4));
    // One place by END, the other when its sequence has been idle for long enough.
    pair.send(2000, "a", 2, "E");
    let expected = [
        (2001, 5, Reply::Sum(3)),
        (2002, 2, Reply::Sum(1)),
        (2003, 4, Reply::Sum(3)),
        (4001, 3, Reply::Sum(1)),
    ];
    assert_eq!(pair.replies(4500), expected);
    assert_eq!(pair.server.most_places, 2);
    // The one that waited has a place for as long as any other.
    let open = |pair: &Pair| pair.server.open_ids().map(|id| id.to_string()).collect();
    let ids: Vec<String> = open(&pair);
    assert_eq!(ids, ["c", "d"]);
    pair.replies(6001);
    let ids: Vec<String> = open(&pair);
    assert_eq!(ids, ["d"]);
}

#[test]
fn an_idle_sequence_is_dropped_and_its_next_row_refused() {
    let mut pair = Pair::new(2);
    pair.send(0, "a", 1, "S");
    pair.send(3999, "a", 1, "");
    pair.send(7998, "a", 1, "");
    pair.send(11_998, "a", 1, "");
    let last = pair.replies(12_000).pop();
    assert_eq!(last, Some((11_998, 3, Reply::NotStarted)));
}

#[test]
fn a_restart_forgets_everything_and_cuts_connections() {
    let mut pair = Pair::new(1);
    pair.send(0, "a", 1, "S");
    pair.send(5, "a", 1, "");
    pair.send(5, "b", 1, "S");
    let now = pair.begun + Duration::from_millis(5);
    pair.server.restart(now, &mut pair.replies);
    pair.send(6, "a", 1, "");
    let expected = [
        (1, 0, Reply::Sum(1)),
        (5, 1, Reply::Cut),
        (5, 2, Reply::Cut),
        (6, 3, Reply::NotStarted),
    ];
    assert_eq!(pair.replies(10), expected);
}

#[test]
fn a_model_that_fails_has_taken_the_value_in_and_its_sequence_stays_open() {
    let mut pair = Pair::new(1);
    pair.server.poison(100);
    pair.send(0, "a", 1, "S");
    pair.send(5, "a", 100, "");
    pair.send(10, "a", 2, "");
    pair.send(15, "a", 100, "E");
    let replies = pair.replies(20).into_iter().map(|(_, _, reply)| reply);
    let expected = [Reply::Sum(1), Reply::Failed, Reply::Sum(103), Reply::Failed];
    assert_eq!(replies.collect::<Vec<_>>(), expected);
    assert_eq!(pair.server.open_ids().count(), 0);
}
