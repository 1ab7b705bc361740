//! A request's body: chunks that go to the socket as they are, and how far they have gone.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

#[cfg(feature = "compression")]
use super::compression::compress;
#[cfg(feature = "compression")]
use super::off_the_executor::off_the_executor;
use crate::Compression;

/// How much of a body the HTTP library is handed at once, and so cannot be stopped from sending.
const PIECE: usize = 128 << 10;

/// What a request carries; a clone shares its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    /// The JSON, then each tensor in binary form; never copied into one.
    chunks: Vec<Bytes>,
    /// How many bytes are JSON, where tensors in binary form follow.
    pub(super) json_length: Option<usize>,
    pub(super) compression: Option<Compression>,
}

impl Payload {
    /// A body of JSON and nothing else.
    pub(crate) fn json(json: impl Into<Bytes>) -> Self {
        Self::new(vec![json.into()], None)
    }

    pub(crate) fn new(chunks: Vec<Bytes>, json_length: Option<usize>) -> Self {
        Self {
            chunks,
            json_length,
            compression: None,
        }
    }

    /// The same body, compressed; the length of its JSON remains what it is uncompressed.
    #[cfg(feature = "compression")]
    pub(crate) async fn compressed(self, compression: Compression) -> Self {
        let (length, chunks) = (self.len(), self.chunks);
        let compressed = off_the_executor(length, move || compress(compression, &chunks)).await;
        Self {
            chunks: vec![compressed],
            json_length: self.json_length,
            compression: Some(compression),
        }
    }

    /// How many bytes will be sent.
    pub(crate) fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    pub(super) fn into_body(self, progress: &Progress) -> RequestBody {
        RequestBody {
            remaining: self.len(),
            chunks: self.chunks.into(),
            progress: progress.clone(),
        }
    }
}

/// How far a request has gone.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    sent: AtomicBool,
    refused: AtomicBool,
}

impl Progress {
    // Only the task that sends the request writes and reads these, or one that was woken by it.
    pub(super) fn sent(&self) {
        self.0.sent.store(true, Ordering::Release);
    }

    /// Forgets what was sent of a request that the server has refused, for the next attempt.
    pub(super) fn begin_again(&self) {
        self.0.sent.store(false, Ordering::Release);
        self.0.refused.store(false, Ordering::Release);
    }

    /// Whether the whole of the request was handed to the connection.
    ///
    /// Until then the server cannot have executed it, because it begins with none before it has
    /// all of its body.
    pub(super) fn is_sent(&self) -> bool {
        self.0.sent.load(Ordering::Acquire)
    }

    /// Sends no more: the server has refused the request before it had all of it.
    pub(super) fn refused(&self) {
        self.0.refused.store(true, Ordering::Release);
    }
}

/// The body of a request: chunks of a known total length, so that the request bears a
/// `Content-Length`.
///
/// It notes when its last piece was taken. Until then the request was not sent as a whole, and an
/// error proves that the server has executed nothing.
#[derive(Debug, Default)]
pub struct RequestBody {
    chunks: VecDeque<Bytes>,
    remaining: usize,
    progress: Progress,
}

impl RequestBody {
    /// How many bytes are left to be taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.remaining
    }

    /// Whether nothing is left to be taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remaining == 0
    }

    /// Takes everything at once, which copies it; from then on the request counts as sent.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        let mut bytes = Vec::with_capacity(self.remaining);
        for chunk in &self.chunks {
            bytes.extend_from_slice(chunk);
        }
        self.progress.sent();
        bytes.into()
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.progress.0.refused.load(Ordering::Acquire) {
            // Nobody wakes it: the connection is closed once the refusal is read.
            return Poll::Pending;
        }
        let Some(mut chunk) = self.chunks.pop_front() else {
            self.progress.sent();
            return Poll::Ready(None);
        };
        let piece = chunk.split_to(chunk.len().min(PIECE));
        if !chunk.is_empty() {
            self.chunks.push_front(chunk);
        }
        self.remaining -= piece.len();
        if self.remaining == 0 {
            self.progress.sent();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining as u64)
    }
}
