//! Accepts connections, serves them, and goes away and comes back as faults ask for.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::clock::Timekeeper;
use crate::exchange::Exchange;
use crate::server_state::Server;

use super::control::Control;
use super::delivery::{After, Delivery, send};
use super::reader::{End, Reader};

/// How long another process may hold the port when it is taken again.
const TAKING_THE_PORT: Duration = Duration::from_secs(5);
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);

/// The server's way to the network.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) address: SocketAddr,
    pub(crate) server: Arc<Server>,
    pub(crate) timekeeper: Timekeeper,
    pub(crate) control: mpsc::UnboundedReceiver<Control>,
}

impl Listener {
    /// Serves until told to stop. Dropping the future drops every connection.
    ///
    /// # Errors
    /// When the port cannot be taken again after a fault.
    pub(crate) async fn serve(self, mut stopped: oneshot::Receiver<()>) -> io::Result<()> {
        let Listener {
            socket,
            address,
            server,
            timekeeper,
            mut control,
        } = self;
        let mut socket = Some(socket);
        let mut connections = JoinSet::new();
        let (crash, _) = broadcast::channel(1);
        loop {
            let Some(open) = &socket else {
                socket = Some(bind(address).await?);
                continue;
            };
            let command = tokio::select! {
                // An error says that the other end is gone, which means to stop as well.
                _ = &mut stopped => return Ok(()),
                command = control.recv() => command,
                accepted = open.accept() => {
                    // A connection that is gone before it was accepted is nobody's problem.
                    if let Ok((stream, _)) = accepted {
                        let connection = Connection {
                            server: Arc::clone(&server),
                            timekeeper: timekeeper.clone(),
                        };
                        connections.spawn(connection.run(stream, crash.subscribe()));
                    }
                    None
                }
                _ = connections.join_next(), if !connections.is_empty() => None,
            };
            let absence = match command {
                None => continue,
                Some(Control::Refuse(time)) => time,
                Some(Control::Crash(time)) => {
                    socket = None;
                    // Without connections there is nobody to tell.
                    let _ = crash.send(());
                    while connections.join_next().await.is_some() {}
                    server.repository.restart()?;
                    time
                }
            };
            drop(socket.take());
            tokio::select! {
                _ = &mut stopped => return Ok(()),
                () = timekeeper.sleep(absence) => {}
            }
        }
    }
}

async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let attempts = TAKING_THE_PORT.as_millis() / BETWEEN_ATTEMPTS.as_millis();
    for _ in 0..attempts {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            outcome => return outcome,
        }
        tokio::time::sleep(BETWEEN_ATTEMPTS).await;
    }
    TcpListener::bind(address).await
}

struct Connection {
    server: Arc<Server>,
    timekeeper: Timekeeper,
}

impl Connection {
    async fn run(self, mut stream: TcpStream, mut crash: broadcast::Receiver<()>) {
        // Small answers would otherwise wait for the client's acknowledgements.
        let _ = stream.set_nodelay(true);
        let end = tokio::select! {
            end = self.serve(&mut stream) => end,
            _ = crash.recv() => End::Reset,
        };
        if let End::Reset = end {
            // The system then sends RST instead of FIN.
            let _ = stream.set_zero_linger();
        }
    }

    async fn serve(&self, stream: &mut TcpStream) -> End {
        let mut reader = Reader::default();
        loop {
            match self.exchange(&mut reader, stream).await {
                Ok(After::KeepAlive) => {}
                Ok(After::Close) => return End::Close,
                Err(end) => return end,
            }
        }
    }

    async fn exchange(&self, reader: &mut Reader, stream: &mut TcpStream) -> Result<After, End> {
        let received = reader.request(stream).await?;
        let observed = self.server.observer.as_ref().map(|observer| {
            let request = &received.request;
            let (method, path) = (request.method.clone(), request.target.clone());
            (observer, method, path, request.body.len(), Instant::now())
        });
        let delivery = self.server.answer(received.request).await;
        if let Some((observer, method, path, received, arrived)) = observed {
            let (status, sent) = match &delivery {
                Delivery::Reset => (None, 0),
                Delivery::Send(reply, _) => (Some(reply.status), reply.body.len()),
            };
            observer(&Exchange {
                method: &method,
                path: &path,
                status,
                received,
                sent,
                time: arrived.elapsed(),
            });
        }
        match delivery {
            Delivery::Reset => Err(End::Reset),
            Delivery::Send(mut reply, fault) => {
                if !received.keep_alive {
                    reply = reply.with_header("Connection", "close");
                }
                let after = send(stream, &self.timekeeper, reply, fault.as_ref()).await?;
                Ok(match received.keep_alive {
                    true => after,
                    false => After::Close,
                })
            }
        }
    }
}
