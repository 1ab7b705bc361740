//! What must hold of the rows that the models met, as they wrote it down themselves: the servers' own side,
//! which no fault on the way hides.

use std::collections::{BTreeMap, BTreeSet};

use crate::journal::Arrived;
use crate::options::Lane;
use crate::outcome::{Outcome, Run};
use crate::proxy::Seen;
use crate::script::Script;

/// `journals` are those of each server, in the order of arrival.
pub(super) fn arrived(
    script: &Script,
    run: &Run,
    journals: &[Vec<Arrived>],
    log: &[Seen],
) -> Vec<String> {
    let mut broken = Vec::new();
    let mut sequences = BTreeMap::<&str, Vec<&Arrived>>::new();
    let mut servers = BTreeMap::<&str, BTreeSet<usize>>::new();
    for (server, journal) in journals.iter().enumerate() {
        for row in journal {
            sequences.entry(&row.id).or_default().push(row);
            servers.entry(&row.id).or_default().insert(server);
        }
    }
    if script.lane.is_keyed() {
        let several = servers.iter().filter(|(_, servers)| servers.len() > 1);
        broken.extend(several.map(|(id, _)| format!("sequence {id} arrived at several servers")));
        for (id, rows) in &sequences {
            if let Err(what) = check_life(script, rows) {
                broken.push(format!("sequence {id}, as it arrived: {what}: {rows:?}"));
            }
        }
    }
    if script.lane == Lane::PerRequest {
        for (id, rows) in &sequences {
            if let Err(what) = check_single(run, id, rows, log) {
                broken.push(format!("sequence {id}, as it arrived: {what}: {rows:?}"));
            }
        }
    }
    broken.extend(unexecuted(script, run, &sequences));
    broken
}

/// An ID of a key has the rows of that key in their order, each once, behind the one START.
fn check_life(script: &Script, rows: &[&Arrived]) -> Result<(), String> {
    let ends_abandoned = script.option("sequence-abandon") == Some("end");
    let key_of = |row: &Arrived| {
        let value = i32::try_from(row.value).ok()?;
        Some(script.rows[script.row_of(value)?].key)
    };
    let mut last = i64::MIN;
    for (number, row) in rows.iter().enumerate() {
        let is_end_of_left = ends_abandoned && row.ends() && row.value <= last;
        if is_end_of_left && number + 1 == rows.len() {
            continue;
        }
        if row.starts() != (number == 0) {
            return Err(format!("row {number} of it has START or lacks it"));
        }
        if row.value <= last {
            return Err(format!("row {number} of it came before"));
        }
        if key_of(row).is_none() || key_of(row) != key_of(rows[0]) {
            return Err(format!("row {number} of it is another key's"));
        }
        last = row.value;
    }
    Ok(())
}

/// An ID of a single request has one row, for each time that functions began to count, with START and END,
/// and has it no more often than it was handed on.
fn check_single(run: &Run, id: &str, rows: &[&Arrived], log: &[Seen]) -> Result<(), String> {
    if rows.iter().any(|row| !row.starts() || !row.ends()) {
        return Err("a row lacks START or END".to_owned());
    }
    let values: BTreeSet<i64> = rows.iter().map(|row| row.value).collect();
    if values.len() > 1 + run.opened_again.len() {
        return Err("it has several rows".to_owned());
    }
    let handed_on = log.iter().filter(|seen| seen.forwarded.is_some());
    let handed_on: Vec<_> = handed_on
        .filter(|seen| seen.id.as_deref() == Some(id))
        .filter_map(|seen| seen.value)
        .map(i64::from)
        .collect();
    for value in values {
        let arrived = rows.iter().filter(|row| row.value == value).count();
        let sent = handed_on.iter().filter(|sent| **sent == value).count();
        if arrived > sent {
            return Err(format!(
                "{value} arrived {arrived} times and was handed on {sent} times"
            ));
        }
    }
    Ok(())
}

/// Answers to rows that no model has met, or not in the sequence and at the place that the answer says.
fn unexecuted(
    script: &Script,
    run: &Run,
    sequences: &BTreeMap<&str, Vec<&Arrived>>,
) -> Vec<String> {
    let mut missing = Vec::new();
    let all: BTreeSet<i64> = sequences.values().flatten().map(|row| row.value).collect();
    for (number, (row, settled)) in script.rows.iter().zip(&run.rows).enumerate() {
        let Some(Outcome::Answered {
            number: answer,
            id,
            seen_id,
            ..
        }) = settled.as_ref().map(|settled| &settled.outcome)
        else {
            continue;
        };
        let value = i64::from(row.value);
        if !all.contains(&value) {
            missing.push(format!("row {number} was answered and never arrived"));
        }
        let Some(id) = seen_id.as_ref().or(id.as_ref()) else {
            continue;
        };
        if script.lane == Lane::Stateless {
            continue;
        }
        let mut sum = 0;
        let rows = sequences.get(id.as_str()).into_iter().flatten();
        let is_there = rows.into_iter().any(|row| {
            sum = row.value + if row.starts() { 0 } else { sum };
            row.value == value && sum == *answer
        });
        if !is_there {
            missing.push(format!(
                "row {number}: {answer} is no sum that sequence {id} had at a server: {:?}",
                sequences.get(id.as_str())
            ));
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Lane;

    /// What is wrong with an ID's rows, each with its flags, in a script whose rows have keys in turn.
    fn check(rows: &[(usize, u32)]) -> Result<(), String> {
        let is_keyed = |seed: &u64| {
            let script = Script::draw(*seed);
            script.lane == Lane::Replay
                && script.keys > 1
                && script.option("sequence-abandon").is_none()
        };
        let mut script = Script::draw((0..).find(is_keyed).unwrap_or_default());
        for (number, row) in script.rows.iter_mut().enumerate() {
            row.key = number % 2;
        }
        let rows: Vec<_> = rows
            .iter()
            .map(|(row, flags)| Arrived::new("a", *flags, script.rows[*row].value.into()))
            .collect();
        check_life(&script, &rows.iter().collect::<Vec<_>>())
    }

    #[test]
    fn an_id_of_a_request_that_comes_unsent_or_for_two_rows_is_found() {
        let run = Run::default();
        let single = |rows: &[(u32, i64)]| {
            let rows: Vec<_> = rows
                .iter()
                .map(|(flags, value)| Arrived::new("a", *flags, *value))
                .collect();
            check_single(&run, "a", &rows.iter().collect::<Vec<_>>(), &[])
        };
        for wrong in [&[(3, 7)][..], &[(1, 7)], &[(2, 7)], &[(3, 7), (3, 8)]] {
            assert!(single(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_row_that_comes_twice_or_to_another_key_is_found() {
        assert_eq!(check(&[(0, 1), (2, 0), (4, 2)]), Ok(()));
        for wrong in [
            &[(0, 1), (2, 0), (2, 0)][..],
            &[(0, 1), (4, 0), (2, 0)],
            &[(0, 1), (1, 0)],
            &[(0, 0)],
            &[(0, 1), (2, 1)],
        ] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
    }
}
