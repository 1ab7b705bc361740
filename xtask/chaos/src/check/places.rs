//! Never more sequences on a server than it has places, as the requests say that the proxies saw.
//!
//! A sequence has its place from when its START was handed on, whether the server answers that or holds it back
//! until a place is free. It gives the place back when END is answered, when the server says that it does not
//! know the sequence, or when it has been idle for long enough. A client that counts right hears of each of these
//! later than the proxy, and so never has more than the proxy counts.

use std::time::Instant;

use super::requests::{SLACK, by_id};
use crate::fault::{At, Event, Fault};
use crate::outcome::Run;
use crate::proxy::{Returned, Seen};
use crate::script::{IDLE, PLACES, Script};

/// Whether a run can be held against the places of its servers. It cannot where a request reached a server
/// after its client had given it up, or was kept there for longer than the client can know.
pub(super) fn has_places_to_check(script: &Script, run: &Run, met: &[(At, Fault)]) -> bool {
    let was_late = met.iter().any(|(_, fault)| matches!(fault, Fault::Late(_)));
    let stood_still = run.has_met(|event| matches!(event, Event::Stop(_)));
    script.lane.is_keyed() && !was_late && !stood_still && !run.has_forgotten(script)
}

/// What is wrong at any server.
pub(super) fn places(script: &Script, run: &Run, log: &[Seen]) -> Vec<String> {
    let servers = 0..script.servers;
    servers
        .filter_map(|at| check_places(run, at, log))
        .collect()
}

/// A sequence while it has a place, at least.
struct Life<'a> {
    id: &'a str,
    from: Instant,
    to: Instant,
    heard_of: Instant,
}

impl<'a> Life<'a> {
    fn of(run: &Run, at: usize, id: &'a str, seen: &[&Seen]) -> Option<Self> {
        // What was answered otherwise was not executed, or nobody knows.
        let may_be_there = |it: &&&Seen| it.server.is_none_or(|answer| answer == Returned::Answer);
        let there = || seen.iter().filter(may_be_there);
        let started = there().filter(|it| it.start);
        let from = started.filter_map(|it| it.forwarded).min()?;
        let heard_of = there().filter_map(|it| it.forwarded).max()?;
        let is_over = |it: &&&Seen| match it.server {
            Some(Returned::Answer) => it.end,
            Some(Returned::StartMissing) => true,
            _ => false,
        };
        let over = seen.iter().filter(is_over).filter_map(|it| it.answered);
        let wiped = run.wiped.iter().filter(|(server, _)| *server == at);
        let wiped = wiped.map(|(_, wiped)| *wiped).filter(|it| *it > from);
        let idle = heard_of + IDLE - SLACK;
        let to = over.chain(wiped).min().map_or(idle, |to| to.min(idle));
        Some(Self {
            id,
            from,
            to,
            heard_of,
        })
    }
}

fn check_places(run: &Run, at: usize, log: &[Seen]) -> Option<String> {
    let by_id = by_id(log);
    let of_server = by_id.iter();
    let of_server = of_server.filter(|(_, seen)| seen.first().is_some_and(|seen| seen.at == at));
    let lives: Vec<_> = of_server
        .filter_map(|(id, seen)| Life::of(run, at, id, seen))
        .collect();
    let alive_at = |now: Instant| {
        let alive = lives.iter();
        alive.filter(move |life| life.from <= now && now < life.to)
    };
    let most = lives
        .iter()
        .max_by_key(|life| alive_at(life.from).count())?;
    let now = most.from;
    let alive = alive_at(now);
    if alive.clone().count() <= PLACES {
        return None;
    }
    let told = alive.map(|life| {
        format!(
            "\n      {}: started {:?} before, last heard of {:?} before, alive {:?} longer",
            life.id,
            now - life.from,
            now.saturating_duration_since(life.heard_of),
            life.to - now
        )
    });
    let told: Vec<_> = told.collect();
    Some(format!(
        "{} sequences had a place on server {at}, which has {PLACES}:{}",
        told.len(),
        told.concat()
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::options::Lane;

    const MOMENT: Duration = Duration::from_millis(10);

    fn start(number: i32, at: Instant) -> Seen {
        Seen {
            start: true,
            ..Seen::of_test(&format!("job-0-{number}"), number, at)
        }
    }

    /// As many sequences as there are places, which are answered at once.
    fn full(now: Instant) -> Vec<Seen> {
        let numbers = 0..PLACES as i32;
        numbers
            .map(|number| start(number, now).answered_after(MOMENT))
            .collect()
    }

    /// What is wrong when another one is sent so much later.
    fn one_more_after(time: Duration, log: &[Seen], run: &Run, now: Instant) -> Option<String> {
        let further = start(PLACES as i32, now + time);
        let log: Vec<_> = log.iter().cloned().chain([further]).collect();
        check_places(run, 0, &log)
    }

    #[test]
    fn one_more_than_there_are_places_is_found_although_the_server_holds_it_back() {
        let (now, run) = (Instant::now(), Run::default());
        let log = full(now);
        assert_eq!(check_places(&run, 0, &log), None);
        let further = start(PLACES as i32, now + MOMENT);
        for further in [further.clone(), further.answered_after(IDLE)] {
            let log: Vec<_> = log.iter().cloned().chain([further]).collect();
            let wrong = check_places(&run, 0, &log).unwrap_or_default();
            assert!(wrong.starts_with("13 sequences"), "{wrong}");
        }
    }

    #[test]
    fn a_place_is_free_once_end_is_answered_and_not_before() {
        let (now, run) = (Instant::now(), Run::default());
        let mut log = full(now);
        log[0].end = true;
        assert!(one_more_after(MOMENT / 2, &log, &run, now).is_some());
        assert_eq!(one_more_after(MOMENT, &log, &run, now), None);
        // Nobody knows what became of one that is not answered.
        log[0].server = None;
        assert!(one_more_after(MOMENT, &log, &run, now).is_some());
    }

    #[test]
    fn a_place_is_free_once_the_sequence_is_gone() {
        let (now, mut run) = (Instant::now(), Run::default());
        let log = full(now);
        assert!(one_more_after(IDLE / 2, &log, &run, now).is_some());
        assert_eq!(one_more_after(IDLE, &log, &run, now), None);

        let missing = Seen {
            server: Some(Returned::StartMissing),
            answered: Some(now + 2 * MOMENT),
            ..Seen::of_test("job-0-0", 100, now + MOMENT)
        };
        let known: Vec<_> = log.iter().cloned().chain([missing]).collect();
        assert!(one_more_after(MOMENT, &known, &run, now).is_some());
        assert_eq!(one_more_after(2 * MOMENT, &known, &run, now), None);

        run.wiped.push((0, now + MOMENT));
        assert_eq!(one_more_after(MOMENT, &log, &run, now), None);
    }

    #[test]
    fn a_refused_start_has_no_place() {
        let (now, run) = (Instant::now(), Run::default());
        let mut log = full(now);
        log[0].server = Some(Returned::Refusal);
        assert_eq!(one_more_after(MOMENT, &log, &run, now), None);
    }

    #[test]
    fn places_are_checked_unless_a_request_was_late() {
        let is_keyed = |seed: &u64| Script::draw(*seed).lane == Lane::Fail;
        let script = Script::draw((0..).find(is_keyed).unwrap_or_default());
        let mut run = Run::default();
        let late = (At::Request(1), Fault::Late(Duration::from_secs(1)));
        assert!(has_places_to_check(&script, &run, &[]));
        assert!(!has_places_to_check(&script, &run, &[late]));
        run.happens(Event::Stop(Duration::from_secs(1)), Instant::now());
        assert!(!has_places_to_check(&script, &run, &[]));
    }
}
