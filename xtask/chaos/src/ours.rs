//! Takes the rows of a script through the model function, as an engine does.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::task::{JoinHandle, JoinSet};
use triton_model_fn::{InferenceFunction, ModelFunction as _, SequenceSnapshot, Subtask};

use crate::fault::Event;
use crate::outcome::{self, Met, Progress, Run, Settled};
use crate::rows::{self, function, values};
use crate::script::Script;
use crate::server::Servers;

/// Each in a task of its own, as an engine asks for answers that it does not wait for.
type InFlight = JoinSet<(usize, Settled)>;

/// What an engine stores.
struct Checkpoint {
    row: usize,
    begins: usize,
    snapshots: Vec<Vec<u8>>,
}

/// The functions of all subtasks, and the rows that they have not answered.
struct Engine<'a> {
    script: &'a Script,
    endpoint: String,
    servers: Servers,
    progress: Progress,
    functions: Vec<InferenceFunction>,
    attempt: u32,
    in_flight: InFlight,
    next: usize,
    checkpoint: Option<Checkpoint>,
    /// The event that the server is going through.
    disturbing: Option<(Event, Instant, JoinHandle<Result<Met>>)>,
    /// Whether that is one in which the server does not know the model.
    is_model_away: bool,
}

/// Runs the script to its end.
pub(crate) async fn run(
    script: &Script,
    endpoint: String,
    servers: Servers,
    progress: Progress,
) -> Result<()> {
    outcome::with(&progress, |run| run.rows.resize(script.rows.len(), None));
    let mut engine = Engine {
        script,
        endpoint,
        servers,
        progress,
        functions: Vec::new(),
        attempt: 0,
        in_flight: JoinSet::new(),
        next: 0,
        checkpoint: None,
        disturbing: None,
        is_model_away: false,
    };
    engine.open_new().await?;
    let mut events = script.events.iter().peekable();
    while engine.next < script.rows.len() || !engine.in_flight.is_empty() {
        // In the order of the rows, but each once: a crash takes the source back.
        if let Some(it) = events.next_if(|it| it.row <= engine.next) {
            engine.event(it.event, it.server).await?;
            continue;
        }
        match engine.next < script.rows.len() && engine.in_flight.len() < script.in_flight {
            true => engine.hand_over(),
            false => engine.settle_one().await,
        }
    }
    engine.server_is_back().await?;
    for function in &engine.functions {
        function.close().await.context("closing")?;
        if function.open_sequences() != 0 {
            bail!("a closed function has open sequences");
        }
    }
    Ok(())
}

impl Engine<'_> {
    fn change(&self, change: impl FnOnce(&mut Run)) {
        outcome::with(&self.progress, change);
    }

    fn subtask(&self, index: usize) -> Result<Subtask> {
        Ok(Subtask::new(
            index as u32,
            self.script.subtasks,
            self.attempt,
        )?)
    }

    async fn open_new(&mut self) -> Result<()> {
        self.functions.clear();
        for index in 0..self.script.subtasks as usize {
            let function = function(self.script, &self.endpoint)?;
            function
                .open(self.subtask(index)?)
                .await
                .context("opening")?;
            self.functions.push(function);
        }
        Ok(())
    }

    fn hand_over(&mut self) {
        let number = self.next;
        let row = self.script.rows[number];
        let function = &self.functions[row.key % self.functions.len()];
        let values = values(self.script, row);
        // Before, because the request may be there by the time at which this is told.
        let handed_over = Instant::now();
        // Every other key says itself which row is its last.
        let is_told = row.key.is_multiple_of(2);
        let answer: Pin<Box<dyn Future<Output = _> + Send>> = match row.last && is_told {
            true => Box::pin(function.submit_last(&values)),
            false => Box::pin(function.submit(&values)),
        };
        self.in_flight.spawn(async move {
            let outcome = rows::outcome(answer.await);
            let settled = Settled {
                outcome,
                handed_over,
                settled: Instant::now(),
            };
            (number, settled)
        });
        self.next += 1;
    }

    async fn settle_one(&mut self) {
        if let Some(Ok((number, settled))) = self.in_flight.join_next().await {
            self.change(|run| {
                let before = run.rows[number].replace(settled);
                if before.is_some() {
                    let violation = format!("row {number} was answered twice");
                    run.violations.push(violation);
                }
            });
        }
    }

    async fn settle_all(&mut self) {
        while !self.in_flight.is_empty() {
            self.settle_one().await;
        }
    }

    async fn server_is_back(&mut self) -> Result<()> {
        if let Some((event, begun, disturbing)) = self.disturbing.take() {
            let met = disturbing.await?;
            self.change(|run| run.ends(event, begun, met));
        }
        Ok(())
    }

    async fn event(&mut self, event: Event, at: usize) -> Result<()> {
        // What the server refuses to say of a model is never waited for.
        if matches!(event, Event::Crash | Event::CloseAndOpen { .. }) && self.is_model_away {
            self.server_is_back().await?;
        }
        let mut begun = Instant::now();
        match event {
            Event::Pause(time) => tokio::time::sleep(time).await,
            Event::Kill(_) | Event::Stop(_) | Event::Reload | Event::Unload(_) => {
                self.server_is_back().await?;
                begun = Instant::now();
                if event.wipes() {
                    self.change(|run| run.wiped.push((at, begun)));
                }
                let (server, model) = (Arc::clone(&self.servers[at]), self.script.lane.model());
                let meet = move || server.meet(event, model);
                self.is_model_away = matches!(event, Event::Reload | Event::Unload(_));
                self.disturbing = Some((event, begun, tokio::task::spawn_blocking(meet)));
                return Ok(());
            }
            Event::Checkpoint => {
                self.settle_all().await;
                self.checkpoint = Some(self.store()?);
            }
            Event::SetClock(_) => bail!("the function runs in a process that keeps its clock"),
            Event::Crash => self.crash().await?,
            Event::CloseAndOpen { waits } => self.close_and_open(waits).await?,
        }
        self.change(|run| run.happens(event, begun));
        Ok(())
    }

    fn store(&self) -> Result<Checkpoint> {
        let snapshot = |function: &InferenceFunction| {
            let snapshot = function.snapshot().context("no snapshot at rest")?;
            Ok(snapshot.to_bytes())
        };
        Ok(Checkpoint {
            row: self.next,
            begins: outcome::with(&self.progress, |run| run.begins.len()),
            snapshots: self.functions.iter().map(snapshot).collect::<Result<_>>()?,
        })
    }

    fn restore(&self, snapshots: &[Vec<u8>]) -> Result<()> {
        for (function, bytes) in self.functions.iter().zip(snapshots) {
            let snapshot = SequenceSnapshot::from_bytes(bytes)?;
            function
                .restore(snapshot)
                .context("a snapshot is refused")?;
        }
        Ok(())
    }

    /// Another process goes on from what was stored last.
    async fn crash(&mut self) -> Result<()> {
        let counters: Vec<_> = self
            .functions
            .iter()
            .map(InferenceFunction::next_counter)
            .collect();
        for function in &self.functions {
            function.abort().await;
        }
        self.in_flight.shutdown().await;
        self.attempt += 1;
        self.open_new().await?;
        let (row, begins) = match &self.checkpoint {
            Some(checkpoint) => (checkpoint.row, checkpoint.begins),
            None => (0, 0),
        };
        if !self.script.without_state {
            if let Some(checkpoint) = &self.checkpoint {
                self.restore(&checkpoint.snapshots)?;
            }
            // As `triton predict` does, which reserves numbers before it uses them.
            for (function, counter) in self.functions.iter().zip(counters) {
                function.advance_counter(counter)?;
            }
        }
        self.next = row;
        self.change(|run| {
            run.rows[row..].fill(None);
            run.begins.truncate(begins);
        });
        Ok(())
    }

    async fn close_and_open(&mut self, waits: bool) -> Result<()> {
        let mut snapshots = Vec::new();
        if waits {
            self.settle_all().await;
            snapshots = self.store()?.snapshots;
        }
        let begun = Instant::now();
        for function in &self.functions {
            // Rows that are given up are told so themselves.
            let _ = function.close().await;
        }
        let most = crate::script::TIMEOUT * self.script.subtasks + Duration::from_millis(1500);
        if begun.elapsed() > most {
            let violation = format!("closing took {:?} of {most:?}", begun.elapsed());
            self.change(|run| run.violations.push(violation));
        }
        // Each has its answer by now.
        let settling = tokio::time::timeout(Duration::from_secs(1), self.settle_all()).await;
        if settling.is_err() {
            bail!("a row is not answered although its function is closed");
        }
        let opened = Instant::now();
        self.change(|run| run.opened_again.push(opened));
        for index in 0..self.functions.len() {
            let subtask = self.subtask(index)?;
            self.functions[index]
                .open(subtask)
                .await
                .context("opening again")?;
        }
        if self.script.lane.is_keyed() && !self.script.without_state {
            self.restore(&snapshots)?;
        }
        let next = self.next;
        self.change(|run| run.begins.push(next));
        Ok(())
    }
}
