//! Takes the rows of a script through `triton predict`, which is killed, told to end and stood still, and goes on
//! from its checkpoint.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::fault::Event;
use crate::options::Lane;
use crate::outcome::{Outcome, Progress, Run, Settled};
use crate::proxy::Proxy;
use crate::script::Script;
use crate::server::Servers;

/// Some rows were rejected, each of which is named.
const REJECTED: i32 = 1;

/// SIGTERM ended it, and what was in flight is finished.
const TERMINATED: i32 = 143;

/// Debian's, from the package `faketime`.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// The file that says what time it is.
const CLOCK: &str = "clock";

/// How often the run and what it has to meet are looked at.
const INTERVAL: Duration = Duration::from_millis(2);

/// After SIGTERM what is in flight ends, and no more.
const TIME_TO_END: Duration = Duration::from_secs(30);

/// The command, and where it keeps its files.
#[derive(Debug, Clone)]
pub(crate) struct Predict {
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
}

struct Running<'a> {
    script: &'a Script,
    proxy: &'a Proxy,
    servers: Servers,
    progress: Progress,
    predict: &'a Predict,
    child: Child,
    disturbing: Option<JoinHandle<Result<()>>>,
}

impl Drop for Running<'_> {
    /// A run that hangs or is wrong leaves no process.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the script to its end.
pub(crate) async fn run(
    script: &Script,
    proxy: &Proxy,
    servers: Servers,
    progress: Progress,
    predict: &Predict,
) -> Result<()> {
    predict.begin(script)?;
    let mut running = Running {
        script,
        proxy,
        servers,
        progress,
        predict,
        child: predict.start(script, proxy)?,
        disturbing: None,
    };
    let mut events = script.events.iter().peekable();
    let code = loop {
        if let Some(status) = running.child.try_wait()? {
            break status.code();
        }
        let is_due = |row: usize| proxy.highest_row().is_some_and(|highest| highest >= row);
        match events.next_if(|it| is_due(it.row)) {
            Some(it) => {
                if let Some(code) = running.event(it.event, it.server).await? {
                    break Some(code);
                }
            }
            None => tokio::time::sleep(INTERVAL).await,
        }
    };
    running.server_is_back().await?;
    if !matches!(code, Some(0 | REJECTED)) {
        bail!("the command ended with {code:?}: {}", predict.last_words());
    }
    let run = predict.read(script)?;
    let rejects = run
        .rows
        .iter()
        .flatten()
        .any(|row| matches!(row.outcome, Outcome::Failed { .. }));
    running.change(|into| {
        into.rows = run.rows;
        into.violations.extend(run.violations);
        if rejects != (code == Some(REJECTED)) {
            let violation = format!("the command ended with {code:?}; rows rejected: {rejects}");
            into.violations.push(violation);
        }
    });
    Ok(())
}

impl Running<'_> {
    fn change(&self, change: impl FnOnce(&mut Run)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.child.id().try_into()?).context("a child has a number")?;
        // One that has just ended is noticed by whoever waits for it.
        let _ = kill_process(pid, signal);
        Ok(())
    }

    async fn server_is_back(&mut self) -> Result<()> {
        if let Some(disturbing) = self.disturbing.take() {
            disturbing.await??;
        }
        Ok(())
    }

    /// What the command ended with, where the event found it at its end.
    async fn event(&mut self, event: Event, at: usize) -> Result<Option<i32>> {
        match event {
            // A suspended machine, to the command.
            Event::Pause(time) => {
                self.signal(Signal::STOP)?;
                tokio::time::sleep(time).await;
                self.signal(Signal::CONT)?;
            }
            Event::Kill(_) | Event::Stop(_) | Event::Reload | Event::Unload(_) => {
                self.server_is_back().await?;
                if event.wipes() {
                    self.change(|run| run.wiped.push((at, Instant::now())));
                }
                let (server, model) = (Arc::clone(&self.servers[at]), self.script.lane.model());
                let meet = move || server.meet(event, model);
                self.disturbing = Some(tokio::task::spawn_blocking(meet));
            }
            Event::SetClock(seconds) => {
                fs_err::write(self.predict.path(CLOCK), format!("{seconds:+}\n"))?;
            }
            // It keeps its own checkpoints.
            Event::Checkpoint => {}
            Event::Crash => {
                self.signal(Signal::KILL)?;
                return self.starts_again(None).await;
            }
            Event::CloseAndOpen { .. } => {
                self.signal(Signal::TERM)?;
                return self.starts_again(Some(TERMINATED)).await;
            }
        }
        Ok(None)
    }

    /// Waits for its end, and starts it again unless it had come to its end.
    async fn starts_again(&mut self, expected: Option<i32>) -> Result<Option<i32>> {
        let asked = Instant::now();
        let code = loop {
            if let Some(status) = self.child.try_wait()? {
                break status.code();
            }
            if asked.elapsed() > TIME_TO_END {
                bail!("the command does not end although it was told to");
            }
            tokio::time::sleep(INTERVAL).await;
        };
        match code {
            Some(code @ (0 | REJECTED)) => return Ok(Some(code)),
            _ if code == expected => {}
            _ => bail!(
                "the command ended with {code:?}: {}",
                self.predict.last_words()
            ),
        }
        // What the server refuses to say of a model is never waited for.
        self.server_is_back().await?;
        self.child = self.predict.start(self.script, self.proxy)?;
        Ok(None)
    }
}

impl Predict {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes the input and the statement, and takes away what an earlier run has left.
    fn begin(&self, script: &Script) -> Result<()> {
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

    fn start(&self, script: &Script, proxy: &Proxy) -> Result<Child> {
        let log = fs_err::File::create(self.path("log"))?.into_parts().0;
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
                // Time goes on, only its name changes.
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        command.spawn().context("the command cannot be started")
    }

    fn last_words(&self) -> String {
        let log = fs_err::read_to_string(self.path("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n      ")
    }

    /// What came of the rows, by their numbers.
    fn read(&self, script: &Script) -> Result<Run> {
        let mut run = Run::default();
        run.rows.resize(script.rows.len(), None);
        let mut settle = |number: usize, outcome| {
            let now = Instant::now();
            let settled = Settled {
                outcome,
                handed_over: now,
                settled: now,
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
            let outcome = Outcome::Failed {
                kind: "rejected",
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

/// The rows of a CSV file without quotes, by the names of their columns.
fn table(path: &Path) -> Result<Vec<BTreeMap<String, String>>> {
    let text = fs_err::read_to_string(path)?;
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned));
    let names: Vec<String> = lines.next().into_iter().flatten().collect();
    Ok(lines
        .map(|cells| names.iter().cloned().zip(cells).collect())
        .collect())
}
