//! Whether the command's clock did what a script says, told by the times in the command's own logs: without this
//! a run by a clock of its own would pass where nothing sets that clock.

use crate::fault::Event;
use crate::outcome::Run;
use crate::script::Script;

/// What the command has to log so that its rows show in it.
pub(crate) const LOGGED: &str = "triton_model_fn=debug";

/// What stands in a line that tells of rows, and not of the start or the end of a process.
const ABOUT_ROWS: &str = "sequence_id=";

const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

/// How much later than it should a process may be.
const SLACK: i64 = 60;

/// A line of a log.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// In seconds since 1970.
    time: i64,
    is_about_rows: bool,
}

/// What is wrong with the clock of a run, of whose processes these are the logs, in their order.
pub(crate) fn check(script: &Script, run: &Run, logs: &[String]) -> Vec<String> {
    let Some(clock) = &script.clock else {
        return Vec::new();
    };
    let logs: Vec<Vec<Line>> = logs.iter().map(|log| lines(log)).collect();
    let first = logs.first().map_or(&[][..], |log| log);
    let mut wrong = Vec::new();
    if let Some(start) = clock.strip_prefix('@').and_then(seconds) {
        wrong.extend(logs.iter().filter_map(|log| begins_at(start, log)));
        wrong.extend(passes_midnight(first));
    }
    for it in &script.events {
        let Event::SetClock(by) = it.event else {
            continue;
        };
        let has_happened = run.has_met(|event| event == it.event);
        if !has_happened || !is_set(first, by.into()) {
            wrong.push(format!(
                "no log of the command says that its clock was set by {by} s"
            ));
        }
    }
    wrong
}

fn begins_at(start: i64, log: &[Line]) -> Option<String> {
    let first = log.first().map(|line| line.time - start);
    let is_right = first.is_some_and(|late| (0..SLACK).contains(&late));
    (!is_right).then(|| format!("a process began {first:?} s after the time that its clock showed"))
}

/// Rows are told of before midnight and after it, by one process.
fn passes_midnight(log: &[Line]) -> Option<String> {
    let rows = log.iter().filter(|line| line.is_about_rows);
    let days: Vec<_> = rows
        .map(|line| line.time.div_euclid(SECONDS_OF_A_DAY))
        .collect();
    let passes = days
        .first()
        .zip(days.last())
        .is_some_and(|(first, last)| first + 1 == *last);
    (!passes).then(|| {
        format!("midnight did not pass while rows were on their way: days since 1970 are {days:?}")
    })
}

/// Whether a clock jumped by so many seconds from one line to the next one.
fn is_set(log: &[Line], by: i64) -> bool {
    log.windows(2).any(|pair| {
        let jump = pair[1].time - pair[0].time;
        (by..by + SLACK).contains(&jump)
    })
}

fn lines(log: &str) -> Vec<Line> {
    let lines = log.lines().filter_map(|line| {
        let time = seconds(line.split(' ').next()?)?;
        let is_about_rows = line.contains(ABOUT_ROWS);
        Some(Line {
            time,
            is_about_rows,
        })
    });
    lines.collect()
}

/// A time such as `2026-12-31 23:59:58` or `2026-12-31T23:59:58.25Z`, in whole seconds since 1970.
fn seconds(text: &str) -> Option<i64> {
    let numbers: Vec<i64> = text
        .get(..19)?
        .split(['-', 'T', ' ', ':'])
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    let [year, month, day, hour, minute, second] = numbers[..] else {
        return None;
    };
    let time = (hour * 60 + minute) * 60 + second;
    Some(days(year, month, day) * SECONDS_OF_A_DAY + time)
}

/// The days since 1970 of a date, of years that begin in March, so that a leap day ends one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    const FROM_YEAR_0: i64 = 719_468;
    let year = if month > 2 { year } else { year - 1 };
    let months = (month + 9) % 12;
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (months * 153 + 2) / 5 + day - 1 - FROM_YEAR_0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(times: &[&str]) -> Vec<Line> {
        let text: Vec<_> = times
            .iter()
            .map(|time| format!("{time}Z DEBUG took sequence_id=a-0-0\n"))
            .collect();
        lines(&text.concat())
    }

    #[test]
    fn dates_are_counted_from_1970() {
        assert_eq!(seconds("1970-01-01T00:00:00.5Z"), Some(0));
        assert_eq!(seconds("2000-03-01 00:00:00"), Some(951_868_800));
        assert_eq!(seconds("2026-12-31 23:59:58"), Some(1_798_761_598));
        assert_eq!(seconds("error: no time"), None);
    }

    #[test]
    fn a_clock_that_nobody_sets_is_found() {
        let goes_on = log(&["2026-11-27T10:00:00.1", "2026-11-27T10:00:01.2"]);
        assert!(!is_set(&goes_on, -3600) && !is_set(&goes_on, 90_000));
        assert!(passes_midnight(&goes_on).is_some());
        assert!(begins_at(1_798_761_598, &goes_on).is_some());

        let back = log(&["2026-11-27T10:00:00.1", "2026-11-27T09:00:01.2"]);
        assert!(is_set(&back, -3600));
        let new_year = log(&["2026-12-31T23:59:58.9", "2027-01-01T00:00:00.2"]);
        assert_eq!(passes_midnight(&new_year), None);
        assert_eq!(begins_at(1_798_761_598, &new_year), None);
    }
}
