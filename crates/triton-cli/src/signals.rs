//! Ctrl-C and SIGTERM: the first one ends the run in good order, the second one at once.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::exit_codes::Exit;

/// Nobody asks a second time so soon: `timeout` sends a signal to the process and then to its group, so
/// that a command comes to have it twice.
const ONE_AND_THE_SAME: Duration = Duration::from_millis(200);

/// How long a run may go on after the first signal, whatever it waits for: less than the 30 s that
/// Kubernetes leaves a process between SIGTERM and the end.
pub(crate) const LONGEST_GRACE: Duration = Duration::from_secs(25);

/// When this process was first told to end, and how: signals are its own, and not of a run.
static FIRST: OnceLock<(Instant, Signal)> = OnceLock::new();

/// The signal that told this process to end, once it has had its time for that.
pub(crate) fn overdue() -> Option<Signal> {
    let (since, signal) = FIRST.get()?;
    (since.elapsed() >= LONGEST_GRACE).then_some(*signal)
}

/// What told the run to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
}

impl Signal {
    /// How a command ends that the signal ended.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Signal::Interrupt => Exit::Interrupted,
            Signal::Terminate => Exit::Terminated,
        }
    }
}

/// Listens for signals for as long as it lives.
pub(crate) struct Signals {
    received: watch::Receiver<Option<Signal>>,
    _listener: JoinSet<()>,
}

impl Signals {
    /// Begins to listen, within a tokio runtime.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let mut source = Source::new().context("signals cannot be listened for")?;
        let (send, received) = watch::channel(None);
        let mut listener = JoinSet::new();
        listener.spawn(async move {
            let signal = source.next().await;
            let first = Instant::now();
            FIRST.get_or_init(|| (first, signal));
            send.send_replace(Some(signal));
            let second = loop {
                let next = source.next().await;
                if first.elapsed() >= ONE_AND_THE_SAME {
                    break next;
                }
            };
            // Whoever asks twice does not want to wait for anything.
            std::process::exit(second.exit().code().into());
        });
        Ok(Self {
            received,
            _listener: listener,
        })
    }

    /// Waits for the first signal.
    pub(crate) async fn first(&mut self) -> Signal {
        loop {
            if let Some(signal) = *self.received.borrow_and_update() {
                return signal;
            }
            if self.received.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(unix)]
struct Source {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Source {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}

#[cfg(not(unix))]
struct Source;

#[cfg(not(unix))]
impl Source {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}
