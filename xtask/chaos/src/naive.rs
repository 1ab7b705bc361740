//! Takes the rows of a script through a usual retry loop: a request that fails is sent again under
//! its sequence ID, with START where the server says that it is missing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use triton_client::{
    Client, ErrorKind, InferRequest, InferResponse, ModelId, Sequence, SequenceId, Tensor,
};

use crate::fault::Event;
use crate::options::Lane;
use crate::outcome::{Met, Outcome, Progress, Settled};
use crate::script::{Row, Script, TIMEOUT};
use crate::server::Servers;

const TRIES: u32 = 60;

/// Which client it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// A usual retry loop.
    Loop,
    /// What Flink's own module does: the sequence ID is the request's `id`, and what fails is sent again
    /// after 5xx and failures of the network, but not after other statuses.
    Flink,
}

/// Runs the script to its end.
pub(crate) async fn run(
    script: &Script,
    endpoints: Vec<String>,
    rules: Rules,
    servers: Servers,
    progress: Progress,
) -> Result<()> {
    let clients = endpoints
        .into_iter()
        .map(|endpoint| Client::builder(endpoint).timeout(TIMEOUT).build());
    let clients = clients.collect::<Result<Vec<_>, _>>()?;
    let rows = script.rows.len();
    change(&progress, |run| run.resize(rows, None));
    let mut disturbing: Option<JoinHandle<Result<Met>>> = None;
    let mut events = script.events.iter().peekable();
    let (mut next, mut checkpoint) = (0, 0);
    let mut workers = Workers::new(script, &clients, rules);
    loop {
        if let Some(it) = events.next_if(|it| it.row <= next) {
            match it.event {
                Event::Pause(time) => tokio::time::sleep(time).await,
                Event::Kill(_) | Event::Stop(_) | Event::Reload | Event::Unload(_) => {
                    if let Some(disturbing) = disturbing.take() {
                        is_over(disturbing).await?;
                    }
                    let (server, model) = (Arc::clone(&servers[it.server]), script.lane.model());
                    let event = it.event;
                    let meet = move || server.meet(event, model);
                    disturbing = Some(tokio::task::spawn_blocking(meet));
                }
                Event::Checkpoint => {
                    workers.settle(&progress, 0).await;
                    checkpoint = next;
                }
                Event::Crash => {
                    // The sequences live on at the server, and so do their IDs.
                    workers = Workers::new(script, &clients, rules);
                    change(&progress, |rows| rows[checkpoint..].fill(None));
                    next = checkpoint;
                }
                Event::SetClock(_) => {}
                Event::CloseAndOpen { .. } => workers.settle(&progress, 0).await,
            }
            continue;
        }
        if next == rows {
            break;
        }
        workers.settle(&progress, script.in_flight - 1).await;
        workers.hand_over(next);
        next += 1;
    }
    workers.settle(&progress, 0).await;
    if let Some(disturbing) = disturbing {
        is_over(disturbing).await?;
    }
    Ok(())
}

/// Waits for the end of an event. One that failed leaves a server that runs, and a loop with less to go through.
async fn is_over(disturbing: JoinHandle<Result<Met>>) -> Result<()> {
    let _ = disturbing.await?;
    Ok(())
}

fn change(progress: &Progress, change: impl FnOnce(&mut Vec<Option<Settled>>)) {
    change(&mut progress.lock().unwrap_or_else(PoisonError::into_inner).rows);
}

/// One task for each key, or for each row where rows do not wait for each other.
struct Workers<'a> {
    script: &'a Script,
    /// One for each server; a key keeps to its own.
    clients: &'a [Client],
    rules: Rules,
    tasks: JoinSet<()>,
    keys: BTreeMap<usize, mpsc::UnboundedSender<usize>>,
    rows: Arc<Mutex<Vec<Row>>>,
    settled: mpsc::UnboundedReceiver<(usize, Settled)>,
    sender: mpsc::UnboundedSender<(usize, Settled)>,
    waiting: usize,
}

impl<'a> Workers<'a> {
    fn new(script: &'a Script, clients: &'a [Client], rules: Rules) -> Self {
        let (sender, settled) = mpsc::unbounded_channel();
        Self {
            script,
            clients,
            rules,
            tasks: JoinSet::new(),
            keys: BTreeMap::new(),
            rows: Arc::new(Mutex::new(script.rows.clone())),
            settled,
            sender,
            waiting: 0,
        }
    }

    fn hand_over(&mut self, number: usize) {
        let row = self.script.rows[number];
        let lane = self.script.lane;
        let worker = match lane {
            Lane::PerRequest | Lane::Stateless => number,
            _ => row.key,
        };
        let client = self.clients[worker % self.clients.len()].clone();
        let (rules, sender) = (self.rules, self.sender.clone());
        let rows = Arc::clone(&self.rows);
        let tasks = &mut self.tasks;
        let queue = self.keys.entry(worker).or_insert_with(|| {
            let (queue, mut numbers) = mpsc::unbounded_channel();
            tasks.spawn(async move {
                let mut begins = true;
                while let Some(number) = numbers.recv().await {
                    let row = rows.lock().unwrap_or_else(PoisonError::into_inner)[number];
                    let handed_over = Instant::now();
                    let outcome = match rules {
                        Rules::Loop => send(&client, lane, number, row, begins).await,
                        Rules::Flink => send_as_flink(&client, lane, number, row).await,
                    };
                    begins = row.last;
                    let settled = Settled {
                        outcome: outcome.unwrap_or_else(|error| Outcome::Failed {
                            kind: "client".into(),
                            text: error.to_string(),
                        }),
                        handed_over,
                        settled: Instant::now(),
                    };
                    let _ = sender.send((number, settled));
                }
            });
            queue
        });
        let _ = queue.send(number);
        self.waiting += 1;
    }

    /// Waits until no more rows wait for their answers than `most`.
    async fn settle(&mut self, progress: &Progress, most: usize) {
        while self.waiting > most {
            let Some((number, settled)) = self.settled.recv().await else {
                return;
            };
            self.waiting -= 1;
            change(progress, |rows| rows[number] = Some(settled));
        }
    }
}

/// Sends a row, again and again under the same ID until it is answered.
pub(crate) async fn send(
    client: &Client,
    lane: Lane,
    number: usize,
    row: Row,
    begins: bool,
) -> Result<Outcome> {
    let model = ModelId::latest(lane.model().parse()?);
    let mut start = begins;
    let mut pause = Duration::from_millis(10);
    for attempt in 1.. {
        let request = match lane {
            Lane::Stateless => {
                let value = Tensor::from_slice("value", [1, 1], &[row.value as f32])?;
                InferRequest::new(model.clone()).input(value)
            }
            _ => {
                let sequence = match lane {
                    Lane::PerRequest => Sequence {
                        id: SequenceId::text(format!("naive-{number}"))?,
                        start: true,
                        end: true,
                    },
                    _ => Sequence {
                        id: SequenceId::text(format!("naive-{}", row.key))?,
                        start,
                        end: row.last,
                    },
                };
                let value = Tensor::from_slice("value", [1, 1], &[row.value])?;
                InferRequest::new(model.clone())
                    .input(value)
                    .sequence(sequence)
            }
        };
        match client.infer(&request).await {
            Ok(response) => return answered(lane, &response),
            Err(error) if attempt >= TRIES => return Err(error.into()),
            Err(error) => start |= error.kind() == ErrorKind::SequenceNotStarted,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(300));
    }
    unreachable!("the loop above has no end")
}

/// Sends a row as Flink's own module does; a stateful model takes no such request for a sequence.
async fn send_as_flink(client: &Client, lane: Lane, number: usize, row: Row) -> Result<Outcome> {
    let model = ModelId::latest(lane.model().parse()?);
    let request = match lane {
        Lane::Stateless => {
            let value = Tensor::from_slice("value", [1, 1], &[row.value as f32])?;
            InferRequest::new(model).input(value)
        }
        _ => {
            let value = Tensor::from_slice("value", [1, 1], &[row.value])?;
            let id = format!("flink-{number}");
            InferRequest::new(model).input(value).id(id)
        }
    };
    let mut pause = Duration::from_millis(10);
    for attempt in 1.. {
        match client.infer(&request).await {
            Ok(response) => return answered(lane, &response),
            Err(error) => {
                let is_repeated = error.status().is_none_or(|status| status >= 500);
                if attempt >= TRIES || !is_repeated {
                    return Err(error.into());
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(300));
    }
    unreachable!("the loop above has no end")
}

fn answered(lane: Lane, response: &InferResponse) -> Result<Outcome> {
    let number = match lane {
        Lane::Stateless => response.output("echo")?.values::<f32>()?[0] as i64,
        _ => i64::from(response.output("sum")?.values::<i32>()?[0]),
    };
    Ok(Outcome::Answered {
        number,
        id: None,
        seen_id: None,
        marked: false,
    })
}
