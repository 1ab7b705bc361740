//! A request's body: chunks that go to the socket as they are, and how far they have gone.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::compression::compress;
use crate::Compression;

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
    pub(crate) fn compressed(self, compression: Compression) -> Self {
        Self {
            chunks: vec![compress(compression, &self.chunks)],
            json_length: self.json_length,
            compression: Some(compression),
        }
    }

    /// How many bytes will be sent.
    pub(crate) fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    pub(super) fn into_body(self, progress: &Progress) -> reqwest::Body {
        reqwest::Body::wrap(ChunkedBody {
            remaining: self.len(),
            chunks: self.chunks.into_iter(),
            progress: progress.clone(),
        })
    }
}

/// Whether the whole of a request was handed to the connection.
///
/// Until then the server cannot have executed it, because it begins with none before it has all
/// of its body.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<AtomicBool>);

impl Progress {
    // Only the task that sends the request writes and reads this, or one that was woken by it.
    pub(super) fn sent(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Forgets what was sent of a request that the server has refused, for the next attempt.
    pub(super) fn begin_again(&self) {
        self.0.store(false, Ordering::Release);
    }

    pub(super) fn is_sent(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Chunks of a known total length, so that the request bears a `Content-Length`.
struct ChunkedBody {
    chunks: std::vec::IntoIter<Bytes>,
    remaining: usize,
    progress: Progress,
}

impl http_body::Body for ChunkedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = self.chunks.find(|chunk| !chunk.is_empty());
        self.remaining -= chunk.as_ref().map_or(0, Bytes::len);
        if self.remaining == 0 {
            self.progress.sent();
        }
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining as u64)
    }
}
