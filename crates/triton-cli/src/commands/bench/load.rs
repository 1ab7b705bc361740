//! The load itself: workers that send requests, until the time is over.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, sleep_until, timeout};
use tracing::debug;
use triton_client::{Client, InferRequest};

use super::live::Live;
use super::pacer::{End, Pace, Pacer};
use super::recorder::{Failed, Recorder, Request};
use crate::commands::sequences::Sequences;
use crate::commands::statistics_difference::Difference;
use crate::commands::stats::several::{self, OfReplica};
use crate::failure::Failure;
use crate::server::Server;

/// The pause after a request that found nobody to talk to, so that a server that is gone does not
/// make the workers spin.
const PAUSE: Duration = Duration::from_millis(10);

/// The times between attempts to send the first request.
const PROBE_PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];

/// How often the load is looked at to be shown.
const TICK: Duration = Duration::from_millis(200);

/// What is sent, and how.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) requests: Arc<Vec<InferRequest>>,
    /// The requests in flight at once, or the most of them where there is a pace.
    pub(super) workers: u32,
    /// How requests belong to sequences, for a stateful model.
    pub(super) sequences: Option<Arc<Sequences>>,
    pub(super) pace: Option<Pace>,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    /// How many requests are measured, in place of a time.
    pub(super) count: Option<u64>,
}

/// What came of it.
pub(super) struct Measured {
    pub(super) recorder: Recorder,
    /// What the server's statistics say of the measured time.
    pub(super) server: Option<Difference>,
    /// The CPU time of this process in the measured time.
    pub(super) client_cpu: Option<Duration>,
    /// Whether Ctrl-C ended it early.
    pub(super) interrupted: bool,
}

impl Load {
    /// Sends one request, so that what cannot work fails at once and with its own words; again where
    /// that may help.
    pub(super) async fn probe(&self, client: &Client) -> Result<(), Failure> {
        let request = self.requests[0].clone();
        let request = match &self.sequences {
            None => request,
            Some(sequences) => request.sequence(sequences.whole()),
        };
        let mut pauses = PROBE_PAUSES.into_iter();
        loop {
            match client.infer(&request).await {
                Ok(_) => return Ok(()),
                // A single one that fails says little of those to come.
                Err(error) if error.is_transient() => match pauses.next() {
                    Some(pause) => {
                        debug!(%error, "the first request is sent again");
                        sleep(pause).await;
                    }
                    None => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends requests until the load is over or `interrupt` comes, and shows how it goes.
    pub(super) async fn run(
        self,
        server: &Server,
        mut live: Live,
        mut interrupt: impl Future<Output = std::io::Result<()>> + Unpin,
    ) -> Result<Measured, Failure> {
        let each = server.each().await?;
        // Without warming up, requests would be answered while the server is asked.
        let early = match self.warm_up.is_zero() {
            true => Some(Look::take(server).await),
            false => None,
        };
        let begin = Instant::now();
        let start = begin + self.warm_up;
        let (end, recorder) = match self.count {
            None => {
                let end = start + self.duration;
                (End::At(end), Recorder::new(start, end))
            }
            Some(requests) => {
                let end = End::After {
                    begin: start,
                    requests,
                };
                (end, Recorder::endless(start))
            }
        };
        let (pacer, due) = match self.pace {
            None => (None, None),
            Some(pace) => {
                let (pacer, due) = Pacer::start(pace, begin, end).map_err(Failure::usage)?;
                (Some(pacer), Some(tokio::sync::Mutex::new(due)))
            }
        };
        let shared = Arc::new(Shared {
            clients: each.into_iter().map(|server| server.client).collect(),
            requests: self.requests,
            next: AtomicUsize::new(0),
            due,
            end,
            taken: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            recorder: Mutex::new(recorder),
            sequences: self.sequences,
        });
        let mut workers = JoinSet::new();
        for number in 0..self.workers {
            workers.spawn(Arc::clone(&shared).work(number as usize));
        }
        let mut show = || live.show(&shared.recorder(), start, self.count);
        let mut interrupted = until(sleep_until(start.into()), &mut show, &mut interrupt).await;
        let before = match early {
            Some(look) => look,
            None => Look::take(server).await,
        };
        let all = async |workers: &mut JoinSet<()>| while workers.join_next().await.is_some() {};
        if !interrupted {
            interrupted = match end {
                End::At(end) => until(sleep_until(end.into()), &mut show, &mut interrupt).await,
                End::After { .. } => until(all(&mut workers), &mut show, &mut interrupt).await,
            };
        }
        shared.recorder().end_at(Instant::now());
        live.finish();
        let after = Look::take(server).await;
        drop(pacer);
        shared.stopped.store(true, Ordering::Relaxed);
        let patience = match interrupted {
            true => Duration::ZERO,
            // A request that was due is waited for, or its latency would be missing.
            false => server.options.timeout.get(),
        };
        if timeout(patience, all(&mut workers)).await.is_err() {
            debug!("not every request was waited for");
        }
        workers.shutdown().await;
        shared.count_untaken().await;
        let recorder = std::mem::replace(&mut *shared.recorder(), Recorder::endless(start));
        Ok(Measured {
            recorder,
            server: before
                .statistics
                .zip(after.statistics)
                .map(|(before_it, after_it)| {
                    several::difference(&before_it, &after_it, after.at - before.at)
                }),
            client_cpu: before
                .cpu
                .zip(after.cpu)
                .map(|(before, after)| after.saturating_sub(before)),
            interrupted,
        })
    }
}

/// Waits for something, and shows meanwhile how it goes; true means that Ctrl-C came first.
async fn until(
    over: impl Future<Output = ()>,
    show: &mut impl FnMut(),
    interrupt: &mut (impl Future<Output = std::io::Result<()>> + Unpin),
) -> bool {
    let mut over = std::pin::pin!(over);
    let mut ticks = interval(TICK);
    loop {
        tokio::select! {
            () = &mut over => return false,
            _ = &mut *interrupt => return true,
            _ = ticks.tick() => show(),
        }
    }
}

/// What is known of both sides at one moment.
struct Look {
    at: Instant,
    cpu: Option<Duration>,
    statistics: Option<Vec<OfReplica>>,
}

impl Look {
    async fn take(server: &Server) -> Self {
        let statistics = several::statistics(server).await;
        Self {
            at: Instant::now(),
            cpu: process_cpu_time(),
            // A server that keeps none can be measured from outside all the same.
            statistics: statistics.ok(),
        }
    }
}

/// What the workers have in common.
struct Shared {
    /// One for each server.
    clients: Vec<Client>,
    requests: Arc<Vec<InferRequest>>,
    next: AtomicUsize,
    /// When requests are due, where there is a pace.
    due: Option<tokio::sync::Mutex<UnboundedReceiver<Instant>>>,
    end: End,
    /// The measured requests that workers have taken, where their number is the end.
    taken: AtomicU64,
    stopped: AtomicBool,
    recorder: Mutex<Recorder>,
    sequences: Option<Arc<Sequences>>,
}

impl Shared {
    /// Sends one request after the other, always to the same server of several.
    async fn work(self: Arc<Self>, number: usize) {
        let client = &self.clients[number % self.clients.len()];
        let mut open = None;
        while let Some(due) = self.due().await {
            self.recorder().begin(due);
            let request = self.request();
            let (started, result) = match &self.sequences {
                None => (Instant::now(), client.infer(request).await),
                Some(sequences) => {
                    let place = open.take().unwrap_or_else(|| sequences.begin());
                    let request = request.clone().sequence(sequences.at(&place));
                    let started = Instant::now();
                    let result = client.infer(&request).await;
                    // After a failure nobody knows what the model knows: a new one begins.
                    open = result.is_ok().then(|| sequences.after(place)).flatten();
                    (started, result)
                }
            };
            let ended = Instant::now();
            let error = result.as_ref().err().map(|error| Failed {
                kind: error.kind().name(),
                status: error.status(),
                text: error.to_string(),
            });
            self.recorder().record(Request {
                due,
                started,
                ended,
                error,
            });
            if result.is_err_and(|error| error.kind().is_connection()) {
                sleep(PAUSE).await;
            }
        }
        if let (Some(sequences), Some(place)) = (&self.sequences, open) {
            // Else the sequence would keep its place on the server until it idles out.
            let last = self.request().clone().sequence(sequences.end(place));
            if let Err(error) = client.infer(&last).await {
                debug!(%error, "a sequence could not be ended");
            }
        }
    }

    /// When the next request is due; `None` once there are no more.
    async fn due(&self) -> Option<Instant> {
        match &self.due {
            None => {
                let now = Instant::now();
                let is_over = match self.end {
                    End::At(_) => false,
                    End::After { begin, requests } => {
                        now >= begin && self.taken.fetch_add(1, Ordering::Relaxed) >= requests
                    }
                };
                (!is_over && !self.stopped.load(Ordering::Relaxed)).then_some(now)
            }
            Some(due) => due.lock().await.recv().await,
        }
    }

    fn request(&self) -> &InferRequest {
        &self.requests[self.next.fetch_add(1, Ordering::Relaxed) % self.requests.len()]
    }

    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the requests that were due and that no worker took.
    async fn count_untaken(&self) {
        if let Some(due) = &self.due {
            let mut due = due.lock().await;
            while let Ok(due) = due.try_recv() {
                self.recorder().begin(due);
            }
        }
    }
}

/// The CPU time that this process has used.
#[cfg(unix)]
fn process_cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanos = u32::try_from(time.tv_nsec).ok()?;
    Some(Duration::new(seconds, nanos))
}

/// The CPU time that this process has used, which this system does not tell.
#[cfg(not(unix))]
fn process_cpu_time() -> Option<Duration> {
    None
}
