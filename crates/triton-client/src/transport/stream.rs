//! One connection's bytes, handled so that what a server said last is heard.
//!
//! A server that refuses a request early answers and closes while the client still sends. The
//! next write then fails, although the answer is there to be read. So a write that fails only
//! waits, and reading goes on: to the answer, or to the end of the connection, which then reports
//! the failure of the write.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection as ConnectionInfo};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::tls::{self, TlsRefusal};

/// How often a connection reads before other tasks have their turn.
const READS_IN_A_ROW: u32 = 32;

/// The most bytes that may come between a request and the head of its answer: interim answers, which
/// the HTTP library reads without an end.
const MOST_UNANSWERED: usize = 4 << 20;

/// What a layer of a connection offers to the one above it.
pub(super) trait Layer: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Layer for T {}

/// What is known of a connection apart from its bytes; the answers that come on it have it, too.
#[derive(Debug, Clone, Default)]
pub(super) struct ConnectionHandle(Arc<State>);

#[derive(Debug, Default)]
struct State {
    closed: AtomicBool,
    broken: AtomicBool,
    task: AtomicWaker,
    refusal: OnceLock<TlsRefusal>,
    /// Whether a request was answered on it.
    answered: AtomicBool,
    /// Whether something was written of which no answer is known yet.
    awaiting: AtomicBool,
    ended: AtomicBool,
    end: Notify,
}

impl ConnectionHandle {
    /// Ends the connection, whatever is still to be written on it.
    pub(super) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.task.wake();
    }

    /// What the other side's TLS said when it refused the connection after it was made, unless it
    /// had taken it: who has answered a request has accepted the certificate.
    pub(super) fn refusal(&self) -> Option<&TlsRefusal> {
        let refusal = self.0.refusal.get();
        refusal.filter(|_| !self.0.answered.load(Ordering::Acquire))
    }

    /// A part of an answer came on it, its head or more.
    pub(super) fn answered(&self) {
        self.0.answered.store(true, Ordering::Release);
        self.0.awaiting.store(false, Ordering::Release);
    }

    /// Returns once the connection is no more.
    pub(super) async fn ended(&self) {
        loop {
            let end = self.0.end.notified();
            if self.0.ended.load(Ordering::Acquire) {
                return;
            }
            end.await;
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn is_open(&self, task: &Context<'_>) -> io::Result<()> {
        self.0.task.register(task.waker());
        match self.0.closed.load(Ordering::Acquire) {
            true => Err(io::ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }
}

/// The socket, below any TLS.
#[derive(Debug)]
pub(super) struct Socket {
    tcp: TcpStream,
    handle: ConnectionHandle,
    /// Why nothing more can be written.
    broken: Option<io::Error>,
    /// How often was read since others had their turn.
    reads: u32,
    /// How many bytes have come since the last ones were written.
    unanswered: usize,
}

impl Socket {
    pub(super) fn new(tcp: TcpStream, handle: ConnectionHandle) -> Self {
        let broken = None;
        Self {
            tcp,
            handle,
            broken,
            reads: 0,
            unanswered: 0,
        }
    }

    fn is_broken(&self) -> bool {
        self.handle.0.broken.load(Ordering::Acquire)
    }

    /// Notes that an answer is waited for from now on.
    fn wrote(&mut self) {
        self.unanswered = 0;
        self.handle.0.awaiting.store(true, Ordering::Release);
    }

    /// Keeps the failure of a write for the end of what there is to read.
    fn postponed<T>(
        &mut self,
        task: &Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(Err(error)) => {
                self.handle.0.broken.store(true, Ordering::Release);
                self.broken = Some(error);
                // The reader may have looked before the last bytes came.
                task.waker().wake_by_ref();
                Poll::Pending
            }
            other => other,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.handle.is_open(task)?;
        self.reads += 1;
        if self.reads > READS_IN_A_ROW {
            // A server that never ends, with interim answers, say, must not stop the clock.
            self.reads = 0;
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(task, buffer);
        if read.is_pending() {
            self.reads = 0;
        }
        let came = buffer.filled().len() - before;
        let is_end = matches!(read, Poll::Ready(Ok(()))) && came == 0;
        if self.handle.0.awaiting.load(Ordering::Acquire) {
            self.unanswered += came;
            if self.unanswered > MOST_UNANSWERED {
                let error = "interim answers, and no answer";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
        }
        match self.broken.take_if(|_| is_end) {
            Some(error) => Poll::Ready(Err(error)),
            None => read,
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.handle.is_open(task)?;
        if self.is_broken() {
            return Poll::Pending;
        }
        self.wrote();
        let written = Pin::new(&mut self.tcp).poll_write(task, bytes);
        self.postponed(task, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.handle.is_open(task)?;
        if self.is_broken() {
            return Poll::Pending;
        }
        self.wrote();
        let written = Pin::new(&mut self.tcp).poll_write_vectored(task, slices);
        self.postponed(task, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(task)
    }
}

/// A connection as the HTTP library takes it.
pub(super) struct Connection {
    io: TokioIo<Box<dyn Layer>>,
    handle: ConnectionHandle,
    /// Whether a proxy reads the requests, so that they must name the server.
    proxied: bool,
}

impl Connection {
    pub(super) fn new(io: Box<dyn Layer>, handle: ConnectionHandle, proxied: bool) -> Self {
        Self {
            io: TokioIo::new(io),
            handle,
            proxied,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.handle.0.ended.store(true, Ordering::Release);
        self.handle.0.end.notify_waiters();
    }
}

impl ConnectionInfo for Connection {
    fn connected(&self) -> Connected {
        Connected::new()
            .proxy(self.proxied)
            .extra(self.handle.clone())
    }
}

impl Read for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(task, buffer);
        // With TLS 1.3 a server refuses a client's certificate only after its own handshake, and
        // the HTTP library may meet that between two requests, where it tells nobody.
        if let Poll::Ready(Err(error)) = &read
            && let Some(refusal) = tls::refusal(error)
        {
            let _ = self.handle.0.refusal.set(refusal);
        }
        read
    }
}

impl Write for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(task, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(task, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS would wait for its last record to be written, for good.
        match self.handle.0.broken.load(Ordering::Acquire) {
            true => Poll::Ready(Ok(())),
            false => Pin::new(&mut self.io).poll_shutdown(task),
        }
    }
}
