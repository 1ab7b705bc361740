//! Takes the rows of a script through `triton predict`, which is killed, told to end and stood still, and goes on
//! from its checkpoint.

mod predict;

use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinHandle;

pub(crate) use self::predict::Predict;
use self::predict::panics;
use crate::clock;
use crate::fault::Event;
use crate::outcome::{self, Met, Outcome, Progress, Run};
use crate::proxy::Proxy;
use crate::script::Script;
use crate::server::Servers;

/// Some rows were rejected, each of which is named.
const REJECTED: i32 = 1;

/// SIGTERM ended it, and what was in flight is finished.
const TERMINATED: i32 = 143;

/// How often the run and what it has to meet are looked at.
const INTERVAL: Duration = Duration::from_millis(2);

/// After SIGTERM what is in flight ends, and no more.
const TIME_TO_END: Duration = Duration::from_secs(30);

struct Running<'a> {
    script: &'a Script,
    proxy: &'a Proxy,
    servers: Servers,
    progress: Progress,
    predict: &'a Predict,
    child: Child,
    /// When each process was started.
    starts: Vec<Instant>,
    disturbing: Option<(Event, Instant, JoinHandle<Result<Met>>)>,
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
        starts: vec![Instant::now()],
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
    let run = predict.read(script, &proxy.log(), &running.starts)?;
    let logs = predict.logs()?;
    let rejects = run
        .rows
        .iter()
        .flatten()
        .any(|row| matches!(row.outcome, Outcome::Failed { .. }));
    running.change(|into| {
        into.rows = run.rows;
        into.violations.extend(run.violations);
        into.violations.extend(panics(&logs));
        into.violations.extend(clock::check(script, into, &logs));
        if rejects != (code == Some(REJECTED)) {
            let violation = format!("the command ended with {code:?}; rows rejected: {rejects}");
            into.violations.push(violation);
        }
    });
    Ok(())
}

impl Running<'_> {
    fn change(&self, change: impl FnOnce(&mut Run)) {
        outcome::with(&self.progress, change);
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.child.id().try_into()?).context("a child has a number")?;
        // One that has just ended is noticed by whoever waits for it.
        let _ = kill_process(pid, signal);
        Ok(())
    }

    async fn server_is_back(&mut self) -> Result<()> {
        if let Some((event, begun, disturbing)) = self.disturbing.take() {
            let met = disturbing.await?;
            self.change(|run| run.ends(event, begun, met));
        }
        Ok(())
    }

    /// What the command ended with, where the event found it at its end.
    async fn event(&mut self, event: Event, at: usize) -> Result<Option<i32>> {
        let mut ended = None;
        let mut begun = Instant::now();
        match event {
            // A suspended machine, to the command.
            Event::Pause(time) => {
                if self.child.try_wait()?.is_some() {
                    return Ok(None);
                }
                self.signal(Signal::STOP)?;
                tokio::time::sleep(time).await;
                self.signal(Signal::CONT)?;
            }
            Event::Kill(_) | Event::Stop(_) | Event::Reload | Event::Unload(_) => {
                self.server_is_back().await?;
                begun = Instant::now();
                if event.wipes() {
                    self.change(|run| run.wiped.push((at, begun)));
                }
                let (server, model) = (Arc::clone(&self.servers[at]), self.script.lane.model());
                let meet = move || server.meet(event, model);
                self.disturbing = Some((event, begun, tokio::task::spawn_blocking(meet)));
                return Ok(None);
            }
            Event::SetClock(seconds) => {
                fs_err::write(self.predict.clock(), format!("{seconds:+}\n"))?;
            }
            // It keeps its own checkpoints.
            Event::Checkpoint => return Ok(None),
            Event::Crash => {
                self.signal(Signal::KILL)?;
                ended = self.starts_again(None).await?;
            }
            Event::CloseAndOpen { .. } => {
                self.signal(Signal::TERM)?;
                ended = self.starts_again(Some(TERMINATED)).await?;
            }
        }
        if ended.is_none() {
            self.change(|run| run.happens(event, begun));
        }
        Ok(ended)
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
        self.starts.push(Instant::now());
        self.child = self.predict.start(self.script, self.proxy)?;
        Ok(None)
    }
}
