//! A proxy that cuts connections in the middle of a response: the request was executed, and whoever
//! sent it cannot know.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Hands bytes on in both directions; every so many pieces of a response it hands on half of one
/// and closes the connection. It ends when it is dropped.
#[derive(Debug)]
pub struct CuttingProxy {
    address: SocketAddr,
    cuts: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl CuttingProxy {
    /// Starts a proxy for the server at `endpoint`, within the current tokio runtime.
    ///
    /// # Panics
    ///
    /// When it cannot listen, or `endpoint` is no `http://host:port`.
    pub async fn start(endpoint: &str, every: u64) -> Self {
        let server = endpoint.trim_start_matches("http://").trim_end_matches('/');
        let server = server.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.unwrap_or_else(|error| panic!("the proxy: {error}"));
        let address = listener.local_addr();
        let address = address.unwrap_or_else(|error| panic!("the proxy: {error}"));
        let cuts = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&cuts);
        let task = tokio::spawn(async move {
            let pieces = Arc::new(AtomicU64::new(0));
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                // Where there is no server, the client's connection is closed at once.
                let Ok(server) = TcpStream::connect(&server).await else {
                    continue;
                };
                let (pieces, cuts) = (Arc::clone(&pieces), Arc::clone(&counted));
                connections.spawn(async move {
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::select! {
                        () = hand_on(from_client, to_server, || false) => {}
                        () = hand_on(from_server, to_client, || {
                            let cut = pieces.fetch_add(1, Ordering::Relaxed) % every == every - 1;
                            cuts.fetch_add(u64::from(cut), Ordering::Relaxed);
                            cut
                        }) => {}
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            cuts,
            task,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections it has cut.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for CuttingProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn hand_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut cut: impl FnMut() -> bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if cut() {
            let _ = to.write_all(&buffer[..length / 2]).await;
            return;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
