//! Takes the rows of a script through a usual retry loop: a request that fails is sent again under
//! its sequence ID, with START where the server says that it is missing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use triton_client::{Client, ErrorKind, InferRequest, ModelId, Sequence, SequenceId, Tensor};

use crate::fault::Event;
use crate::options::Lane;
use crate::ours::Progress;
use crate::outcome::{Outcome, Settled};
use crate::script::{Row, Script, TIMEOUT};
use crate::server::Server;

const TRIES: u32 = 60;

/// Runs the script to its end.
pub(crate) async fn run(
    script: &Script,
    endpoint: String,
    server: Arc<Server>,
    progress: Progress,
) -> Result<()> {
    let client = Client::builder(endpoint).timeout(TIMEOUT).build()?;
    let rows = script.rows.len();
    change(&progress, |run| run.resize(rows, None));
    let mut disturbing: Option<JoinHandle<Result<()>>> = None;
    let mut events = script.events.iter().peekable();
    let (mut next, mut checkpoint) = (0, 0);
    let mut workers = Workers::new(script, &client);
    loop {
        if let Some((_, event)) = events.next_if(|(at, _)| *at <= next) {
            match *event {
                Event::Pause(time) => tokio::time::sleep(time).await,
                Event::Kill(_) | Event::Stop(_) | Event::Reload | Event::Unload(_) => {
                    if let Some(disturbing) = disturbing.take() {
                        disturbing.await??;
                    }
                    let (server, model) = (Arc::clone(&server), script.lane.model());
                    let event = *event;
                    let meet = move || server.meet(event, model);
                    disturbing = Some(tokio::task::spawn_blocking(meet));
                }
                Event::Checkpoint => {
                    workers.settle(&progress, 0).await;
                    checkpoint = next;
                }
                Event::Crash => {
                    // The sequences live on at the server, and so do their IDs.
                    workers = Workers::new(script, &client);
                    change(&progress, |rows| rows[checkpoint..].fill(None));
                    next = checkpoint;
                }
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
        disturbing.await??;
    }
    Ok(())
}

fn change(progress: &Progress, change: impl FnOnce(&mut Vec<Option<Settled>>)) {
    change(&mut progress.lock().unwrap_or_else(PoisonError::into_inner).rows);
}

/// One task for each key, or for each row where rows do not wait for each other.
struct Workers<'a> {
    script: &'a Script,
    client: Client,
    tasks: JoinSet<()>,
    keys: BTreeMap<usize, mpsc::UnboundedSender<usize>>,
    rows: Arc<Mutex<Vec<Row>>>,
    settled: mpsc::UnboundedReceiver<(usize, Settled)>,
    sender: mpsc::UnboundedSender<(usize, Settled)>,
    waiting: usize,
}

impl<'a> Workers<'a> {
    fn new(script: &'a Script, client: &Client) -> Self {
        let (sender, settled) = mpsc::unbounded_channel();
        Self {
            script,
            client: client.clone(),
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
        let (client, sender) = (self.client.clone(), self.sender.clone());
        let rows = Arc::clone(&self.rows);
        let tasks = &mut self.tasks;
        let queue = self.keys.entry(worker).or_insert_with(|| {
            let (queue, mut numbers) = mpsc::unbounded_channel();
            tasks.spawn(async move {
                let mut begins = true;
                while let Some(number) = numbers.recv().await {
                    let row = rows.lock().unwrap_or_else(PoisonError::into_inner)[number];
                    let handed_over = Instant::now();
                    let outcome = send(&client, lane, number, row, begins).await;
                    begins = row.last;
                    let settled = Settled {
                        outcome: outcome.unwrap_or_else(|error| Outcome::Failed {
                            kind: "client",
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
            Ok(response) => {
                let number = match lane {
                    Lane::Stateless => response.output("echo")?.values::<f32>()?[0] as i64,
                    _ => i64::from(response.output("sum")?.values::<i32>()?[0]),
                };
                return Ok(Outcome::Answered {
                    number,
                    id: None,
                    seen_id: None,
                    marked: false,
                });
            }
            Err(error) if attempt >= TRIES => return Err(error.into()),
            Err(error) => start |= error.kind() == ErrorKind::SequenceNotStarted,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(300));
    }
    unreachable!("the loop above has no end")
}
