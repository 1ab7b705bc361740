//! A proxy in front of the server that carries out the faults of a script, and writes down what it
//! saw of each inference request.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use crate::fault::{At, Fault};
use crate::http::{Incoming, Message, gateway_answer, in_chunks};
use crate::script::Script;
use crate::seen::{Returned, Seen};

/// A server that was stopped answers later than any client waits.
const SERVER_PATIENCE: Duration = Duration::from_secs(20);

/// A proxy on threads of its own, so that nothing of it counts among the client's tasks.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    connections: AtomicUsize,
}

#[derive(Default)]
struct State {
    by_number: BTreeMap<u32, Fault>,
    by_row: BTreeMap<(i32, u32), Fault>,
    requests: u32,
    sendings: BTreeMap<i32, u32>,
    faults: usize,
    log: Vec<Seen>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, seen: usize, change: impl FnOnce(&mut Seen)) {
        change(&mut self.state().log[seen]);
    }
}

impl Proxy {
    pub(crate) fn start(server: SocketAddr, script: &Script) -> Result<Self> {
        let mut state = State::default();
        for (at, fault) in &script.faults {
            match at {
                At::Request(number) => drop(state.by_number.insert(*number, *fault)),
                At::Row { value, sending } => {
                    state.by_row.insert((*value, *sending), *fault);
                }
            }
        }
        let shared = Arc::new(Shared {
            server,
            state: Mutex::new(state),
            connections: AtomicUsize::new(0),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.context("the proxy cannot listen")?;
        let address = listener.local_addr()?;
        let accepting = Arc::clone(&shared);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&accepting);
                shared.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    // Whoever breaks connections meets broken ones.
                    let _ = Connection::new(client, Arc::clone(&shared)).serve().await;
                    shared.connections.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Ok(Self {
            address,
            shared,
            runtime: Some(runtime),
        })
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections clients have open.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How many faults were met.
    pub(crate) fn faults(&self) -> usize {
        self.shared.state().faults
    }

    pub(crate) fn log(&self) -> Vec<Seen> {
        self.shared.state().log.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Connection {
    client: TcpStream,
    incoming: Incoming,
    server: Option<(TcpStream, Incoming)>,
    shared: Arc<Shared>,
}

/// Whether the connection goes on.
type GoesOn = bool;

impl Connection {
    fn new(client: TcpStream, shared: Arc<Shared>) -> Self {
        Self {
            client,
            incoming: Incoming::default(),
            server: None,
            shared,
        }
    }

    async fn serve(mut self) -> io::Result<()> {
        self.client.set_nodelay(true)?;
        while let Some(head) = self.incoming.head(&mut self.client).await? {
            let path = head.split(' ').nth(1).unwrap_or_default();
            if !path.ends_with("/infer") {
                let body = self.incoming.body(&head, &mut self.client).await?;
                let answer = self.ask(&Message { head, body }).await?;
                self.client.write_all(&answer.bytes()).await?;
                continue;
            }
            if !self.infer(head).await? {
                break;
            }
        }
        Ok(())
    }

    /// Takes an inference request through whatever it meets.
    async fn infer(&mut self, head: String) -> io::Result<GoesOn> {
        let by_number = {
            let mut state = self.shared.state();
            state.requests += 1;
            let number = state.requests;
            let fault = state.by_number.remove(&number);
            state.faults += usize::from(fault.is_some());
            fault
        };
        if by_number == Some(Fault::CutBefore) {
            return Ok(false);
        }
        let body = self.incoming.body(&head, &mut self.client).await?;
        let request = Message { head, body };
        let seen = Seen::read(&request);
        let (number, fault) = {
            let mut state = self.shared.state();
            let by_row = seen.value.and_then(|value| {
                let sending = state.sendings.entry(value).or_default();
                *sending += 1;
                let sending = *sending;
                state.by_row.remove(&(value, sending))
            });
            // One fault is enough for a request.
            let by_row = by_row.filter(|_| by_number.is_none());
            state.faults += usize::from(by_row.is_some());
            state.log.push(seen);
            (state.log.len() - 1, by_number.or(by_row))
        };
        self.carry_out(number, &request, fault).await
    }

    async fn carry_out(
        &mut self,
        number: usize,
        request: &Message,
        fault: Option<Fault>,
    ) -> io::Result<GoesOn> {
        match fault {
            None => {}
            Some(Fault::Delay(time)) if self.is_given_up_within(time).await => return Ok(false),
            Some(Fault::Delay(_)) => {}
            Some(Fault::Late(time)) => sleep(time).await,
            Some(Fault::CutBefore | Fault::Swallow) => return Ok(false),
            Some(Fault::CutIn) => {
                let bytes = request.bytes();
                let (server, _) = self.server().await?;
                server.write_all(&bytes[..bytes.len() / 2]).await?;
                self.server = None;
                return Ok(false);
            }
            Some(Fault::CutAfter) => {
                self.in_background(number, request).await?;
                return Ok(false);
            }
            Some(Fault::Reset) => {
                self.in_background(number, request).await?;
                self.client.set_zero_linger()?;
                return Ok(false);
            }
            Some(Fault::HalfClose) => {
                self.client.shutdown().await?;
                self.exchange(number, request).await?;
                return Ok(false);
            }
            Some(Fault::Gateway { status, forwarded }) => {
                if forwarded {
                    self.in_background(number, request).await?;
                }
                let returned = match status {
                    429 => Returned::Refusal,
                    _ => Returned::Doubtful,
                };
                self.client.write_all(&gateway_answer(status)).await?;
                self.conclude(number, returned);
                return Ok(true);
            }
            Some(
                Fault::CutAnswer | Fault::OneByteChunks | Fault::IdleClosed(_) | Fault::AnswerTwice,
            ) => {}
        }
        let answer = self.exchange(number, request).await?;
        // What is written to a closed connection nobody reads.
        if self.is_given_up_within(Duration::ZERO).await {
            return Ok(false);
        }
        let bytes = answer.bytes();
        match fault {
            Some(Fault::CutAnswer) => {
                self.client.write_all(&bytes[..bytes.len() / 2]).await?;
                return Ok(false);
            }
            Some(Fault::OneByteChunks) => self.client.write_all(&in_chunks(&answer)).await?,
            Some(Fault::AnswerTwice) => self.client.write_all(&bytes.repeat(2)).await?,
            _ => self.client.write_all(&bytes).await?,
        }
        self.conclude(number, Returned::of(&answer));
        if let Some(Fault::IdleClosed(time)) = fault {
            sleep(time).await;
            return Ok(false);
        }
        Ok(true)
    }

    fn conclude(&self, number: usize, returned: Returned) {
        self.shared.note(number, |seen| {
            seen.returned = returned;
            seen.concluded = Some(Instant::now());
        });
    }

    /// Whether the client closes its connection within a time, in which it sends nothing.
    async fn is_given_up_within(&self, time: Duration) -> bool {
        let mut byte = [0];
        match timeout(time, self.client.peek(&mut byte)).await {
            Err(_) => false,
            Ok(peeked) => !matches!(peeked, Ok(1..)),
        }
    }

    async fn server(&mut self) -> io::Result<&mut (TcpStream, Incoming)> {
        let server = match self.server.take() {
            Some(server) => server,
            None => (
                TcpStream::connect(self.shared.server).await?,
                Incoming::default(),
            ),
        };
        Ok(self.server.insert(server))
    }

    /// Hands a request on that is not for a model, and returns the answer.
    async fn ask(&mut self, request: &Message) -> io::Result<Message> {
        let (server, incoming) = self.server().await?;
        server.write_all(&request.bytes()).await?;
        read_answer(server, incoming).await
    }

    /// Hands a request on, and returns the server's answer, whether the client waits for it or not.
    async fn exchange(&mut self, number: usize, request: &Message) -> io::Result<Message> {
        self.forward(number, request).await?;
        let shared = Arc::clone(&self.shared);
        let (server, incoming) = self.server().await?;
        let answer = read_answer(server, incoming).await?;
        shared.note(number, |seen| seen.is_answered(&answer));
        Ok(answer)
    }

    /// Hands a request on, whose answer goes nowhere.
    async fn in_background(&mut self, number: usize, request: &Message) -> io::Result<()> {
        self.forward(number, request).await?;
        let Some((mut server, mut incoming)) = self.server.take() else {
            return Ok(());
        };
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            if let Ok(answer) = read_answer(&mut server, &mut incoming).await {
                shared.note(number, |seen| seen.is_answered(&answer));
            }
        });
        Ok(())
    }

    async fn forward(&mut self, number: usize, request: &Message) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let (server, _) = self.server().await?;
        server.write_all(&request.bytes()).await?;
        shared.note(number, |seen| seen.forwarded = Some(Instant::now()));
        Ok(())
    }
}

impl Seen {
    fn is_answered(&mut self, answer: &Message) {
        self.server = Some(Returned::of(answer));
        self.answered = Some(Instant::now());
    }
}

async fn read_answer(server: &mut TcpStream, incoming: &mut Incoming) -> io::Result<Message> {
    let answer = timeout(SERVER_PATIENCE, incoming.message(server)).await;
    let answer = answer.map_err(io::Error::other)??;
    answer.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
