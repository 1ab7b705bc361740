//! Scripts with a name: what chance rarely meets, and what has once gone wrong.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::check::{Expects, Rows};
use crate::fault::{At, Event, Fault};
use crate::options::{Lane, owned, usual_options};
use crate::script::{Front, Happening, PLACES, Row, Script};

/// How a script is made.
type Scenario = (&'static str, fn() -> Script);

const SCENARIOS: &[Scenario] = &[
    ("queue-behind-a-step", queue_behind_a_step),
    ("full-places-and-a-cut", full_places_and_a_cut),
    ("terminated-at-full-places", terminated_at_full_places),
    ("replay-beyond-patience", replay_beyond_patience),
    ("replay-within-no-deadline", replay_within_no_deadline),
    ("answers-twice", answers_twice),
    ("late-after-a-crash", late_after_a_crash),
    ("late-after-a-kill", late_after_a_kill),
    ("suspended", suspended),
    ("suspended-command", suspended_command),
];

/// Those that need libfaketime.
const CLOCKS: &[Scenario] = &[
    ("new-year", new_year),
    ("clock-set-back", clock_set_back),
    ("clock-set-forward", clock_set_forward),
];

/// The scripts that a name stands for: one, all, or that of a file.
pub(super) fn named(name: &str) -> Result<Vec<Script>> {
    if name == "all" {
        return Ok(SCENARIOS.iter().map(make).collect());
    }
    if name == "clocks" {
        return Ok(CLOCKS.iter().map(make).collect());
    }
    if name.ends_with(".json") {
        let text = fs_err::read(name)?;
        let script = serde_json::from_slice(&text);
        return Ok(vec![
            script.with_context(|| format!("{name} is no script"))?,
        ]);
    }
    let mut known = SCENARIOS.iter().chain(CLOCKS);
    match known.find(|(known, _)| *known == name) {
        Some(scenario) => Ok(vec![make(scenario)]),
        None => {
            let known = SCENARIOS.iter().chain(CLOCKS);
            let known: Vec<_> = known.map(|(name, _)| *name).collect();
            bail!(
                "there is no scenario '{name}'; expected all, clocks, a file.json that a seed was shrunk to, or \
                 one of: {}",
                known.join(", ")
            )
        }
    }
}

/// Every fault and every event of a scenario has to happen, unless it says itself what has to.
fn make((name, script): &Scenario) -> Script {
    let mut script = script();
    script.name = (*name).to_owned();
    if script.expects == Expects::default() {
        script = script.all_happens(Rows::AllAnswered);
    }
    script
}

/// Rows of keys in turn, on one subtask and one server, without faults.
fn script(front: Front, lane: Lane, keys: usize, rows_of_a_key: usize) -> Script {
    let row = |index: usize| Row {
        key: index % keys,
        number: (index / keys + 1) as i32,
        value: (index as i32 + 1) * 4096 + 7 * index as i32,
        last: index / keys + 1 == rows_of_a_key,
    };
    Script {
        name: String::new(),
        front,
        lane,
        model: None,
        servers: 1,
        keys,
        subtasks: 1,
        in_flight: 32,
        options: owned(&usual_options(lane)),
        bounded: true,
        without_state: false,
        rows: (0..keys * rows_of_a_key).map(row).collect(),
        faults: Vec::new(),
        clock: None,
        events: Vec::new(),
        expects: Expects::default(),
    }
    .with(&[("max-retries", "60")])
}

impl Script {
    fn with(mut self, options: &[(&str, &str)]) -> Self {
        self.options.extend(owned(options));
        self
    }

    /// All that it has goes wrong, and this comes of its rows.
    fn all_happens(mut self, rows: Rows) -> Self {
        self.expects = Expects {
            met: self.faults.len(),
            happened: self.events.len(),
            doubtful: 0,
            rows,
        };
        self
    }

    fn meets(mut self, row: usize, sending: u32, fault: Fault) -> Self {
        self.faults.push((At::Row { row, sending }, fault));
        self
    }

    fn then(mut self, row: usize, event: Event) -> Self {
        let server = 0;
        self.events.push(Happening { row, server, event });
        self.events.sort_by_key(|it| it.row);
        self
    }
}

/// A stateful step has run when the next one's queue is full: the refusal proves nothing.
fn queue_behind_a_step() -> Script {
    let mut script = script(Front::Function, Lane::Replay, 4, 4).with(&[
        ("output-names", "sum:same"),
        ("row-deadline", "1 min"),
        ("max-in-flight", "4"),
    ]);
    script.model = Some("sum_then_queue".to_owned());
    // A row takes its time in the second step, and three others wait for one place.
    script.options.retain(|(key, _)| key != "timeout");
    script.expects.doubtful = 1;
    script.expects.rows = Rows::AllAnswered;
    script.with(&[("timeout", "5 s")])
}

/// Every place of the server is taken, keys wait, and the answers of some are cut off.
fn full_places_and_a_cut() -> Script {
    let mut script = script(Front::Function, Lane::Replay, PLACES + 6, 4);
    for row in [PLACES / 2, PLACES, PLACES + 7] {
        script = script.meets(row, 1, Fault::CutAnswer);
    }
    script
}

/// SIGTERM, and on from the checkpoint, again and again while all places are taken.
fn terminated_at_full_places() -> Script {
    let mut script = script(Front::Command, Lane::Replay, PLACES + 6, 6);
    for row in [PLACES, 3 * PLACES, 5 * PLACES] {
        script = script.then(row, Event::CloseAndOpen { waits: true });
    }
    script
}

/// A sequence whose replay takes far longer than a row may wait: rows fail in time, and none is wrong.
fn replay_beyond_patience() -> Script {
    let mut script = replayed_slowly().with(&[("row-deadline", "2 s")]);
    // The replay ends before it has met all delays.
    script.expects.met = 2;
    script.expects.rows = Rows::SomeFail;
    script
}

/// The same without a deadline: every row is answered, however long it takes.
fn replay_within_no_deadline() -> Script {
    replayed_slowly()
}

fn replayed_slowly() -> Script {
    const ROWS: usize = 40;
    let mut script = script(Front::Function, Lane::Replay, 1, ROWS);
    script = script.meets(ROWS - 6, 1, Fault::CutAnswer);
    for row in 0..ROWS - 6 {
        script = script.meets(row, 2, Fault::Delay(Duration::from_millis(150)));
    }
    script
}

/// What comes behind an answer is no answer to the next request.
fn answers_twice() -> Script {
    let mut script = script(Front::Function, Lane::Replay, 3, 12);
    for row in (0..36).step_by(3) {
        script = script.meets(row, 1, Fault::AnswerTwice);
    }
    script
}

/// The last requests of a client that is gone arrive when another one has taken over.
fn late_after_a_crash() -> Script {
    let mut script = script(Front::Function, Lane::Replay, 4, 10);
    script.in_flight = 4;
    for row in 16..20 {
        script = script.meets(row, 1, Fault::Late(Duration::from_millis(900)));
    }
    script
        .then(12, Event::Checkpoint)
        .then(20, Event::Crash)
        .then(24, Event::Crash)
}

/// The same with processes.
fn late_after_a_kill() -> Script {
    let mut script = script(Front::Command, Lane::Replay, 4, 10);
    for row in 16..20 {
        script = script.meets(row, 1, Fault::Late(Duration::from_millis(900)));
    }
    script.then(16, Event::Crash).then(17, Event::Crash)
}

/// The server stands still beyond every timeout.
fn suspended() -> Script {
    script(Front::Function, Lane::Replay, 6, 10).then(20, Event::Stop(Duration::from_millis(3000)))
}

/// The client's machine is suspended for longer than every timeout, and than the server keeps a sequence.
fn suspended_command() -> Script {
    script(Front::Command, Lane::Replay, 6, 10)
        .then(20, Event::Pause(Duration::from_secs(5)))
        .then(40, Event::Pause(Duration::from_secs(5)))
}

/// Rows take their time, so that the clock changes while they are on their way: nine of a key together over
/// three seconds. Behind that there is a replay, which the command logs, and then its process is killed.
fn by_a_clock(clock: &str) -> Script {
    const KEYS: usize = 6;
    const SLOW: usize = 9 * KEYS;
    const CUT: usize = 7 * KEYS;
    let mut script = script(Front::Command, Lane::Replay, KEYS, 12);
    script.clock = Some(clock.to_owned());
    for row in (0..SLOW - 1).filter(|row| *row != CUT) {
        script = script.meets(row, 1, Fault::Delay(Duration::from_millis(400)));
    }
    script
        .meets(CUT, 1, Fault::CutAnswer)
        .meets(SLOW - 1, 1, Fault::Late(Duration::from_millis(900)))
        .then(SLOW - 1, Event::Crash)
}

/// The day, the month and the year change during the run.
fn new_year() -> Script {
    by_a_clock("@2026-12-31 23:59:58")
}

/// An hour comes twice, with an end and a beginning of the process in it.
fn clock_set_back() -> Script {
    by_a_clock("+0").then(20, Event::SetClock(-3600))
}

/// An hour and a day are left out.
fn clock_set_forward() -> Script {
    by_a_clock("+0").then(20, Event::SetClock(90_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_survives_being_written_down() -> Result<()> {
        for script in named("all")?.into_iter().chain(named("clocks")?) {
            let text = serde_json::to_string(&script)?;
            let read: Script = serde_json::from_str(&text)?;
            assert_eq!(read.to_string(), script.to_string());
        }
        assert!(named("nothing").is_err());
        Ok(())
    }
}
