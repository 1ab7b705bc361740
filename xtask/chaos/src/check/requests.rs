//! What must hold of the requests that the proxies saw: each ID has one life.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::fault::Event;
use crate::options::Lane;
use crate::outcome::Run;
use crate::proxy::{Returned, Seen};
use crate::script::{IDLE, Script, TIMEOUT};

/// A machine that is busy is late with everything.
pub(super) const SLACK: Duration = Duration::from_millis(100);

/// What must hold of the requests that the proxy saw, but for places.
pub(super) fn requests(script: &Script, run: &Run, log: &[Seen]) -> Vec<String> {
    let mut broken = Vec::new();
    for (id, seen) in &by_id(log) {
        match script.lane {
            Lane::Static => broken.extend((0..script.servers).filter_map(|at| {
                let seen: Vec<_> = seen.iter().copied().filter(|it| it.at == at).collect();
                told(id, &seen, check_static_id(run, &seen))
            })),
            Lane::PerRequest => broken.extend(told(id, seen, check_single_id(run, seen))),
            _ => broken.extend(told(id, seen, check_keyed_id(script, seen))),
        }
    }
    broken
}

/// What is wrong with an ID, and the last requests before that.
fn told(id: &str, seen: &[&Seen], found: Result<(), (usize, String)>) -> Option<String> {
    let (number, what) = found.err()?;
    let around = seen.iter().take(number + 1).rev().take(4).rev();
    let around: Vec<_> = around.map(|seen| seen.to_string()).collect();
    Some(format!(
        "sequence {id}: {what}:\n      {}",
        around.join("\n      ")
    ))
}

/// The requests of each ID.
pub(super) fn by_id(log: &[Seen]) -> BTreeMap<&str, Vec<&Seen>> {
    let mut by_id = BTreeMap::<&str, Vec<&Seen>>::new();
    for seen in log {
        if let Some(id) = &seen.id {
            by_id.entry(id).or_default().push(seen);
        }
    }
    by_id
}

/// What a client may know of an ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Fresh,
    Open,
    Uncertain,
    Over,
}

/// An ID of a key: one key, its rows in their order, START once, and nothing after a loss.
fn check_keyed_id(script: &Script, seen: &[&Seen]) -> Result<(), (usize, String)> {
    let ends_abandoned = script.option("sequence-abandon") == Some("end");
    let mut life = Life::Fresh;
    let mut last_value = i32::MIN;
    let key_of = |value: i32| script.row_of(value).map(|row| script.rows[row].key);
    let at = seen.first().map(|first| first.at);
    for (number, request) in seen.iter().enumerate() {
        let Some(value) = request.value else {
            return Err((number, "it has no value".to_owned()));
        };
        if last_value > i32::MIN && key_of(value) != key_of(last_value) {
            return Err((number, "rows of two keys".to_owned()));
        }
        if at != Some(request.at) {
            return Err((number, "it is for another server".to_owned()));
        }
        // An END for a sequence that is left has its last row's tensors.
        let is_end_of_left = ends_abandoned && request.end && !request.start && value <= last_value;
        let is_allowed = match life {
            Life::Fresh => request.start,
            Life::Open => !request.start && (value >= last_value || is_end_of_left),
            Life::Uncertain => is_end_of_left,
            // The answer to END may have come when nobody read it any more.
            Life::Over => is_end_of_left && seen[number - 1].returned == Returned::Answer,
        };
        if !is_allowed {
            return Err((
                number,
                format!("the last request is sent while it is {life:?}"),
            ));
        }
        if number > 0 && seen[number - 1].returned == Returned::Answer && !is_end_of_left {
            let before = seen[number - 1].concluded;
            if before.is_none_or(|before| before > request.received + SLACK) {
                return Err((
                    number,
                    "the last request overtakes the one before".to_owned(),
                ));
            }
        }
        life = match request.returned {
            Returned::Answer if request.end => Life::Over,
            Returned::Answer => Life::Open,
            Returned::Refusal => life,
            Returned::StartMissing => Life::Over,
            Returned::NotWhole | Returned::Doubtful if life == Life::Uncertain => Life::Over,
            Returned::NotWhole | Returned::Doubtful => Life::Uncertain,
        };
        last_value = last_value.max(value);
    }
    Ok(())
}

/// An ID of a single request: of one row, with START and END, and sent again only while the row has no answer.
///
/// Functions that are opened again count from the beginning, as the guide says of `sequence-id-scope`.
fn check_single_id(run: &Run, seen: &[&Seen]) -> Result<(), (usize, String)> {
    // One that stood still may find its time to be up before it finds the answer.
    let is_prompt = |it: &Seen| {
        let time = it.concluded.map(|concluded| concluded - it.received);
        it.returned == Returned::Answer && time.is_some_and(|time| time < TIMEOUT / 2)
    };
    let stood_still = run.has_met(|event| matches!(event, Event::Pause(_)));
    for (number, request) in seen.iter().enumerate() {
        if !request.start || !request.end {
            return Err((number, "it lacks START or END".to_owned()));
        }
        if request.value.is_none() {
            return Err((number, "it has no value".to_owned()));
        }
        let Some(before) = number.checked_sub(1).map(|before| seen[before]) else {
            continue;
        };
        let mut opened = run.opened_again.iter();
        if opened.any(|opened| before.received <= *opened && *opened <= request.received) {
            continue;
        }
        if request.value != before.value {
            return Err((number, "two rows".to_owned()));
        }
        if is_prompt(before) && !stood_still {
            return Err((number, "sent again although it was answered".to_owned()));
        }
    }
    Ok(())
}

/// A static ID: START only where nothing of it can be on the way, and the server has dropped it.
fn check_static_id(run: &Run, seen: &[&Seen]) -> Result<(), (usize, String)> {
    let opened = |from: Instant, to: Instant| {
        run.rows.iter().enumerate().any(|(number, row)| {
            run.begins.contains(&number)
                && row
                    .as_ref()
                    .is_some_and(|row| from <= row.handed_over + SLACK && row.handed_over <= to)
        })
    };
    for (number, pair) in seen.windows(2).enumerate() {
        let [before, next] = pair else { continue };
        if !next.start {
            continue;
        }
        let is_settled = matches!(before.returned, Returned::StartMissing | Returned::Refusal);
        let Some(forwarded) = before.forwarded.filter(|_| !is_settled) else {
            continue;
        };
        // A function that is opened again may start again over an answered sequence.
        if before.returned == Returned::Answer && opened(before.received, next.received) {
            continue;
        }
        let waited = next.received.saturating_duration_since(forwarded);
        if waited + SLACK < IDLE {
            return Err((number + 1, format!("START again after {waited:?}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request for a row of its own that was not answered, so long after others.
    fn request(after: Duration, now: Instant, value: i32) -> Seen {
        Seen {
            start: true,
            end: true,
            ..Seen::of_test("job-0-0", value, now + after)
        }
    }

    fn check(run: &Run, seen: &[Seen]) -> Result<(), (usize, String)> {
        check_single_id(run, &seen.iter().collect::<Vec<_>>())
    }

    #[test]
    fn an_id_of_a_request_is_one_rows_until_it_is_answered() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut run = Run::default();
        let (first, again) = (request(Duration::ZERO, now, 7), request(second, now, 7));
        assert_eq!(check(&run, &[first.clone(), again.clone()]), Ok(()));

        let answered = Seen {
            returned: Returned::Answer,
            concluded: Some(now + TIMEOUT / 4),
            ..first.clone()
        };
        assert!(check(&run, &[answered, again]).is_err());
        let unended = Seen {
            end: false,
            ..first.clone()
        };
        assert!(check(&run, &[unended]).is_err());

        let other = request(second, now, 8);
        assert!(check(&run, &[first.clone(), other.clone()]).is_err());
        run.opened_again.push(now + second / 2);
        assert_eq!(check(&run, &[first, other.clone()]), Ok(()));
        assert!(check(&run, &[other, request(second, now, 9)]).is_err());
    }
}
