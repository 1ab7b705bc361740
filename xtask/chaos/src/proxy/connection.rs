//! One connection of a client, and what its requests go through.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{Returned, Seen, Shared};
use crate::fault::Fault;
use crate::http::{Incoming, Message, gateway_answer, in_chunks};

/// A server that was stopped answers later than any client waits.
const SERVER_PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Connection {
    client: TcpStream,
    incoming: Incoming,
    /// The number of the server behind the proxy.
    at: usize,
    server: Option<(TcpStream, Incoming)>,
    shared: Arc<Shared>,
}

/// Whether the connection goes on.
type GoesOn = bool;

impl Connection {
    pub(super) fn new(client: TcpStream, at: usize, shared: Arc<Shared>) -> Self {
        Self {
            client,
            incoming: Incoming::default(),
            at,
            server: None,
            shared,
        }
    }

    pub(super) async fn serve(mut self) -> io::Result<()> {
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
        let (position, by_number) = self.shared.state().arrives(self.at);
        if by_number == Some(Fault::CutBefore) {
            return Ok(false);
        }
        let body = self.incoming.body(&head, &mut self.client).await?;
        let request = Message { head, body };
        let seen = Seen::read(&request, self.at);
        let (number, fault) = self.shared.state().is_read(seen, position, by_number);
        self.shared.hold.pass().await;
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
                TcpStream::connect(self.shared.servers[self.at]).await?,
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

async fn read_answer(server: &mut TcpStream, incoming: &mut Incoming) -> io::Result<Message> {
    let answer = timeout(SERVER_PATIENCE, incoming.message(server)).await;
    let answer = answer.map_err(io::Error::other)??;
    answer.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
