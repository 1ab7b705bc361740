//! The process of `triton predict`: what it is given, how it is started, and what its files say of the rows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::clock;
use crate::options::Lane;
use crate::outcome::{Outcome, Run, Settled};
use crate::proxy::{Proxy, Returned, Seen};
use crate::script::Script;

/// Debian's, from the package `faketime`.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// The file that says what time it is.
const CLOCK: &str = "clock";

/// The command, and where it keeps its files.
#[derive(Debug, Clone)]
pub(crate) struct Predict {
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
}

impl Predict {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The file that says what time it is.
    pub(super) fn clock(&self) -> PathBuf {
        self.path(CLOCK)
    }

    /// Writes the input and the statement, and takes away what an earlier run has left.
    pub(super) fn begin(&self, script: &Script) -> Result<()> {
        if self.folder.exists() {
            fs_err::remove_dir_all(&self.folder)?;
        }
        fs_err::create_dir_all(&self.folder)?;
        if let Some(clock) = &script.clock {
            fs_err::write(self.path(CLOCK), format!("{clock}\n"))?;
        }
        let positions = script.has_positions();
        let mut input = String::from("key,value,last,n\n");
        for row in &script.rows {
            let (key, value, last, n) = (row.key, row.value, row.last, row.number);
            input.push_str(&format!("{key},{value},{last},{n}\n"));
        }
        fs_err::write(self.path("input.csv"), input)?;
        let position = if positions { ", n INT" } else { "" };
        let id = match script.answers_with_ids() {
            true => ", correlation_id STRING",
            false => "",
        };
        let columns = match script.lane {
            Lane::Stateless => "INPUT (`value` FLOAT) OUTPUT (echo FLOAT)".to_owned(),
            Lane::PerRequest | Lane::Static => {
                format!("INPUT (`value` INT) OUTPUT (sum INT{id})")
            }
            _ => format!(
                "INPUT (`key` INT, `value` INT, `last` BOOLEAN{position}) \
                 OUTPUT (sum INT{id}, sequence_restarted BOOLEAN)"
            ),
        };
        let options = script.options.iter();
        let options: Vec<_> = options
            .map(|(key, value)| format!("'{key}' = '{value}'"))
            .collect();
        let statement = format!(
            "CREATE MODEL m {columns} WITH ('provider' = 'triton', 'model-name' = '{}', {})\n",
            script.model(),
            options.join(", ")
        );
        fs_err::write(self.path("model.sql"), statement)?;
        Ok(())
    }

    pub(super) fn start(&self, script: &Script, proxy: &Proxy) -> Result<Child> {
        let log = format!("log-{}", self.logs()?.len());
        let log = fs_err::File::create(self.path(&log))?.into_parts().0;
        let mut command = Command::new(&self.program);
        command
            .args(["predict", "model.sql", "input.csv"])
            .args(["--output", "output.csv", "--errors", "errors.ndjson"])
            .args(["--checkpoint", "checkpoint", "--checkpoint-every", "7"])
            .args(["--parallelism", &script.subtasks.to_string()])
            .args(["-O", &format!("endpoint={}", proxy.endpoint())])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if script.clock.is_some() {
            if !Path::new(FAKETIME).exists() {
                bail!(
                    "a clock of its own needs libfaketime, which is not at {FAKETIME}: install it, as by \
                     `apt-get install faketime`"
                );
            }
            command
                .env("LD_PRELOAD", FAKETIME)
                .env("FAKETIME_TIMESTAMP_FILE", self.path(CLOCK))
                .env("FAKETIME_NO_CACHE", "1")
                // By which time zone the clock is read; the log is in UTC.
                .env("TZ", "UTC")
                .env("RUST_LOG", clock::LOGGED)
                // Time goes on, only its name changes.
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        command.spawn().context("the command cannot be started")
    }

    /// What each process has written, in their order.
    pub(super) fn logs(&self) -> Result<Vec<String>> {
        let paths = (0..).map(|number| self.path(&format!("log-{number}")));
        let logs = paths
            .take_while(|path| path.exists())
            .map(fs_err::read_to_string);
        Ok(logs.collect::<Result<_, _>>()?)
    }

    pub(super) fn last_words(&self) -> String {
        let log = self.logs().unwrap_or_default().pop().unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n      ")
    }

    /// What came of the rows, by their numbers, at the times at which the proxy saw them.
    pub(super) fn read(&self, script: &Script, log: &[Seen], starts: &[Instant]) -> Result<Run> {
        let mut run = Run::default();
        run.rows.resize(script.rows.len(), None);
        let mut settle = |number: usize, outcome| {
            let row = script.rows.get(number).context("a row of the input")?;
            let now = Instant::now();
            let (handed_over, settled) = on_the_way(log, starts, row.value).unwrap_or((now, now));
            let settled = Settled {
                outcome,
                handed_over,
                settled,
            };
            let slot = run.rows.get_mut(number);
            if slot
                .context("a row of the input")?
                .replace(settled)
                .is_some()
            {
                let violation = format!("row {number} was answered or rejected twice");
                run.violations.push(violation);
            }
            anyhow::Ok(())
        };
        let mut order = Vec::new();
        for row in table(&self.path("output.csv"))? {
            let number: i32 = row["value"].parse()?;
            let number = script.row_of(number).context("a value of the input")?;
            order.push(number);
            let answer = row.get("sum").or(row.get("echo"));
            let answer: f64 = answer.context("a column of the model")?.parse()?;
            let outcome = Outcome::Answered {
                number: answer as i64,
                id: None,
                seen_id: row.get("correlation_id").cloned(),
                marked: row.get("sequence_restarted").is_some_and(|it| it == "true"),
            };
            settle(number, outcome)?;
        }
        let errors = fs_err::read_to_string(self.path("errors.ndjson"))?;
        for line in errors.lines() {
            let error: Value = serde_json::from_str(line)?;
            let number = error["row"].as_u64().context("the number of a row")?;
            let kind = error["kind"].as_str().context("the kind of an error")?;
            let outcome = Outcome::Failed {
                kind: kind.to_owned().into(),
                text: error["reason"].to_string(),
            };
            settle(usize::try_from(number)? - 1, outcome)?;
        }
        if !order.is_sorted() {
            run.violations
                .push("the output has another order than the input".to_owned());
        }
        Ok(run)
    }
}

/// From when to when a row was on its way at least: from its first sending to its first answer, where one process
/// had it from the beginning to the end. Later answers may be those of replays.
fn on_the_way(log: &[Seen], starts: &[Instant], value: i32) -> Option<(Instant, Instant)> {
    let mut sendings = log.iter().filter(|seen| seen.value == Some(value));
    let from = sendings.clone().map(|seen| seen.received).min()?;
    let answered = |seen: &Seen| seen.returned == Returned::Answer;
    let to = sendings
        .find(|seen| answered(seen))
        .and_then(|seen| seen.concluded)?;
    let mut starts = starts.iter();
    let is_of_one = !starts.any(|start| from < *start && *start <= to);
    is_of_one.then_some((from, to))
}

/// What processes have said of panics, wherever those were caught.
pub(super) fn panics(logs: &[String]) -> Vec<String> {
    let lines = logs.iter().flat_map(|log| log.lines());
    let lines = lines.filter(|line| line.contains("panicked"));
    lines
        .map(|line| format!("the command said: {line}"))
        .collect()
}

/// The rows of a CSV file without quotes, by the names of their columns.
fn table(path: &Path) -> Result<Vec<BTreeMap<String, String>>> {
    let text = fs_err::read_to_string(path)?;
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned));
    let names: Vec<String> = lines.next().into_iter().flatten().collect();
    Ok(lines
        .map(|cells| names.iter().cloned().zip(cells).collect())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_any_process_is_found() {
        let logs = [
            "".to_owned(),
            "thread 'main' panicked at a.rs:1:\n".to_owned(),
        ];
        assert_eq!(panics(&logs).len(), 1);
        assert!(panics(&logs[..1]).is_empty());
    }
}
