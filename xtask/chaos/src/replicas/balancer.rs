//! A proxy before several servers, as people have them: it takes the next server for each request, or for
//! each connection, and the one after it where nobody is there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Names;
use crate::http::{Incoming, Message, gateway_answer};

/// What is spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Requests,
    Connections,
}

impl By {
    pub(super) fn name(self) -> &'static str {
        match self {
            By::Requests => "retry loop, requests spread",
            By::Connections => "retry loop, connections spread",
        }
    }
}

/// The proxy, until it is dropped.
pub(super) struct Balancer {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Balancer {
    pub(super) async fn start(by: By, names: Arc<Names>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let turn = Arc::new(AtomicUsize::new(0));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let upstreams = Upstreams {
                    by,
                    names: Arc::clone(&names),
                    turn: Arc::clone(&turn),
                    current: None,
                    connections: HashMap::new(),
                };
                tokio::spawn(upstreams.serve(stream));
            }
        });
        Ok(Self { address, accepting })
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The servers, as one connection of a client sees them.
struct Upstreams {
    by: By,
    names: Arc<Names>,
    turn: Arc<AtomicUsize>,
    current: Option<SocketAddr>,
    connections: HashMap<SocketAddr, (TcpStream, Incoming)>,
}

impl Upstreams {
    async fn serve(mut self, mut client: TcpStream) {
        let mut incoming = Incoming::default();
        while let Ok(Some(request)) = incoming.message(&mut client).await {
            let answer = match self.ask(&request).await {
                Some(answer) => answer.bytes(),
                None => gateway_answer(502),
            };
            if client.write_all(&answer).await.is_err() {
                return;
            }
        }
    }

    async fn ask(&mut self, request: &Message) -> Option<Message> {
        let address = self.connect().await?;
        let (stream, incoming) = self.connections.get_mut(&address)?;
        let answer = match stream.write_all(&request.bytes()).await {
            Ok(()) => incoming.message(stream).await.ok().flatten(),
            Err(_) => None,
        };
        if answer.is_none() {
            self.connections.remove(&address);
            self.current = None;
        }
        answer
    }

    /// The next server that takes a connection.
    async fn connect(&mut self) -> Option<SocketAddr> {
        let addresses = self.names.all();
        if self.by == By::Connections
            && let Some(current) = self.current.filter(|it| addresses.contains(it))
        {
            return Some(current);
        }
        for _ in 0..addresses.len() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let address = addresses[turn % addresses.len()];
            if !self.connections.contains_key(&address) {
                let Ok(stream) = TcpStream::connect(address).await else {
                    continue;
                };
                let connection = (stream, Incoming::default());
                self.connections.insert(address, connection);
            }
            self.current = Some(address);
            return Some(address);
        }
        None
    }
}
