//! A request's body: chunks that go to the socket as they are, and how far they have gone.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

#[cfg(feature = "compression")]
use super::compression::compress;
#[cfg(feature = "compression")]
use super::off_the_executor::off_the_executor;
use crate::Compression;
use crate::http_error::{HttpError, HttpErrorKind};

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
            attempt: progress.attempt(),
        }
    }
}

/// How far a request has gone, agreed on by whoever sends it and whoever waits for the answer.
///
/// They may be different tasks on different threads, so the last piece of a body and the end of
/// the waiting exclude each other: a request that is given up is not sent as a whole afterwards.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

/// Pieces may still be taken.
const OPEN: u64 = 0;
/// The last piece was taken.
const SENT: u64 = 1;
/// Nothing more is taken, and the last piece was not.
const STOPPED: u64 = 2;
/// What is added for each attempt, so that the body of an earlier one takes no part any more.
const ATTEMPT: u64 = 4;

impl Progress {
    fn state(&self) -> u64 {
        self.0.load(Ordering::Acquire) % ATTEMPT
    }

    fn attempt(&self) -> u64 {
        self.0.load(Ordering::Acquire) / ATTEMPT * ATTEMPT
    }

    /// Moves from open to `state`, in this attempt; says whether the state is that one now.
    fn reach(&self, attempt: u64, state: u64) -> bool {
        let (from, to) = (attempt + OPEN, attempt + state);
        let reached = self
            .0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        reached.is_ok() || reached == Err(to)
    }

    /// The whole of the request is handed over.
    pub(super) fn sent(&self) {
        self.reach(self.attempt(), SENT);
    }

    /// Begins again with a request that the server has refused.
    pub(super) fn begin_again(&self) {
        self.0.store(self.attempt() + ATTEMPT, Ordering::Release);
    }

    /// Whether the whole of the request was handed to the connection.
    ///
    /// Until then the server cannot have executed it, because it begins with none before it has
    /// all of its body.
    pub(super) fn is_sent(&self) -> bool {
        self.state() == SENT
    }

    /// Lets nothing more be sent, unless all is; says whether it was.
    pub(super) fn stop(&self) -> bool {
        !self.reach(self.attempt(), STOPPED)
    }
}

/// The body of a request: chunks of a known total length, so that the request bears a
/// `Content-Length`.
///
/// It notes when its last piece was taken. Until then the request was not sent as a whole, and an
/// error proves that the server has executed nothing.
#[derive(Default)]
pub struct RequestBody {
    chunks: VecDeque<Bytes>,
    remaining: usize,
    progress: Progress,
    attempt: u64,
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
    ///
    /// # Errors
    ///
    /// [`HttpErrorKind::Interrupted`] when the call was given up meanwhile: it has said that the
    /// request was not sent, so it must not be.
    pub fn into_bytes(self) -> Result<Bytes, HttpError> {
        if !self.progress.reach(self.attempt, SENT) {
            let error = "the call was given up before its body was taken";
            return Err(HttpError::new(HttpErrorKind::Interrupted, error));
        }
        let mut bytes = Vec::with_capacity(self.remaining);
        for chunk in &self.chunks {
            bytes.extend_from_slice(chunk);
        }
        Ok(bytes.into())
    }
}

impl fmt::Debug for RequestBody {
    /// Without the bytes, which may be megabytes of tensors.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RequestBody")
            .field("len", &self.remaining)
            .finish_non_exhaustive()
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self
            .chunks
            .front()
            .map_or(0, |chunk| chunk.len().min(PIECE));
        let state = match next == self.remaining {
            // The last piece, or the end.
            true => SENT,
            false => OPEN,
        };
        if !self.progress.reach(self.attempt, state) {
            // Nobody wakes it: whoever stopped it closes the connection.
            return Poll::Pending;
        }
        let Some(mut chunk) = self.chunks.pop_front() else {
            return Poll::Ready(None);
        };
        let piece = chunk.split_to(chunk.len().min(PIECE));
        if !chunk.is_empty() {
            self.chunks.push_front(chunk);
        }
        self.remaining -= piece.len();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining as u64)
    }
}
