//! Proxies in front of the servers, one for each, that carry out the faults of a script and write down what
//! they saw of each inference request.

mod connection;
mod hold;
mod seen;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use fastrand::Rng;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use self::connection::Connection;
use self::hold::Hold;
pub(crate) use self::seen::{Returned, Seen};
use crate::fault::{At, Fault};
use crate::options::Lane;
use crate::script::Script;

/// Proxies on threads of their own, so that nothing of them counts among the client's tasks.
pub(crate) struct Proxy {
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

struct Shared {
    servers: Vec<SocketAddr>,
    state: Mutex<State>,
    connections: AtomicUsize,
    hold: Hold,
}

#[derive(Default)]
struct State {
    by_number: BTreeMap<u32, Fault>,
    by_row: BTreeMap<(usize, u32), Fault>,
    /// The rows by their values.
    rows: BTreeMap<i32, usize>,
    /// Faults of a share of all requests, in place of a script; nothing is then written down.
    chance: Option<(f64, Rng)>,
    requests: u32,
    sendings: BTreeMap<usize, u32>,
    /// The highest row that has arrived.
    highest: Option<usize>,
    met: Vec<(At, Fault)>,
    faults: usize,
    log: Vec<Seen>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, seen: usize, change: impl FnOnce(&mut Seen)) {
        if let Some(seen) = self.state().log.get_mut(seen) {
            change(seen);
        }
    }
}

impl State {
    /// The head of a request is there: its number, and the fault that this number meets.
    fn arrives(&mut self, at: usize) -> (u32, Option<Fault>) {
        self.requests += 1;
        let number = self.requests;
        let by_chance = self.chance.as_mut().and_then(|(share, random)| {
            let is_met = random.f64() < *share;
            is_met.then(|| Fault::draw(random, Lane::Stateless, At::Request(number)))
        });
        let fault = by_chance.or_else(|| self.by_number.remove(&number));
        if fault == Some(Fault::CutBefore) {
            self.is_met(At::Request(number), Fault::CutBefore);
            self.is_seen(Seen::unread(at), fault);
        }
        (number, fault)
    }

    /// All of it is there: its place in the log, and the fault that it meets.
    fn is_read(
        &mut self,
        seen: Seen,
        number: u32,
        by_number: Option<Fault>,
    ) -> (usize, Option<Fault>) {
        let row = seen.value.and_then(|value| self.rows.get(&value).copied());
        self.highest = self.highest.max(row);
        let at = row.map(|row| {
            let sending = self.sendings.entry(row).or_default();
            *sending += 1;
            (row, *sending)
        });
        let by_row = at.and_then(|at| self.by_row.remove(&at));
        // One fault is enough for a request.
        let fault = by_number.or(by_row);
        if let Some(fault) = fault {
            let at = at.map(|(row, sending)| At::Row { row, sending });
            self.is_met(at.unwrap_or(At::Request(number)), fault);
        }
        self.is_seen(seen, fault);
        (self.log.len().wrapping_sub(1), fault)
    }

    fn is_seen(&mut self, seen: Seen, fault: Option<Fault>) {
        if self.chance.is_none() {
            self.log.push(Seen { fault, ..seen });
        }
    }

    fn is_met(&mut self, at: At, fault: Fault) {
        self.faults += 1;
        if self.chance.is_none() {
            self.met.push((at, fault));
        }
    }
}

impl Proxy {
    /// One that carries out the faults of a script.
    pub(crate) fn start(servers: &[SocketAddr], script: &Script) -> Result<Self> {
        let mut state = State::default();
        for (at, fault) in &script.faults {
            match at {
                At::Request(number) => drop(state.by_number.insert(*number, *fault)),
                At::Row { row, sending } => drop(state.by_row.insert((*row, *sending), *fault)),
            }
        }
        let rows = script.rows.iter().enumerate();
        state.rows = rows.map(|(number, row)| (row.value, number)).collect();
        Self::with(servers, state)
    }

    /// One in which this share of all requests meets a fault.
    pub(crate) fn at_random(servers: &[SocketAddr], share: f64, seed: u64) -> Result<Self> {
        let chance = Some((share, Rng::with_seed(seed)));
        Self::with(
            servers,
            State {
                chance,
                ..State::default()
            },
        )
    }

    fn with(servers: &[SocketAddr], state: State) -> Result<Self> {
        let shared = Arc::new(Shared {
            servers: servers.to_vec(),
            state: Mutex::new(state),
            connections: AtomicUsize::new(0),
            hold: Hold::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let mut addresses = Vec::new();
        for at in 0..servers.len() {
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
            let listener = listener.context("the proxy cannot listen")?;
            addresses.push(listener.local_addr()?);
            runtime.spawn(accept(listener, at, Arc::clone(&shared)));
        }
        Ok(Self {
            addresses,
            shared,
            runtime: Some(runtime),
        })
    }

    /// The addresses of all, as the option `endpoint` takes them.
    pub(crate) fn endpoint(&self) -> String {
        self.endpoints().join(",")
    }

    pub(crate) fn endpoints(&self) -> Vec<String> {
        let addresses = self.addresses.iter();
        addresses
            .map(|address| format!("http://{address}"))
            .collect()
    }

    /// Changes the share of [`at_random`](Self::at_random).
    pub(crate) fn set_share(&self, share: f64) {
        if let Some((known, _)) = &mut self.shared.state().chance {
            *known = share;
        }
    }

    /// Holds every inference request back that arrives, until [`let_go`](Self::let_go).
    pub(crate) fn hold(&self) {
        self.shared.hold.begin();
    }

    /// How many requests have arrived since [`hold`](Self::hold).
    pub(crate) fn held(&self) -> usize {
        self.shared.hold.waiting()
    }

    pub(crate) fn let_go(&self) {
        self.shared.hold.end();
    }

    /// How many connections clients have open.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How many faults were met.
    pub(crate) fn faults(&self) -> usize {
        self.shared.state().faults
    }

    /// The faults that were met, by row where the request had one: what shrinking begins with.
    pub(crate) fn met(&self) -> Vec<(At, Fault)> {
        self.shared.state().met.clone()
    }

    /// The highest row that has arrived.
    pub(crate) fn highest_row(&self) -> Option<usize> {
        self.shared.state().highest
    }

    pub(crate) fn log(&self) -> Vec<Seen> {
        self.shared.state().log.clone()
    }
}

async fn accept(listener: TcpListener, at: usize, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        shared.connections.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            // Whoever breaks connections meets broken ones.
            let connection = Connection::new(client, at, Arc::clone(&shared));
            let _ = connection.serve().await;
            shared.connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
