//! An answer as it comes: its head, its body in pieces, and the whole of it within limits.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use http_body::Body as _;
use tokio::time::Instant;

use super::answer::{Answer, JSON_LENGTH};
use super::answer_limit::AnswerLimit;
use super::body::Progress;
use super::compression::{Undecompressable, decompress};
use super::context::Context;
use super::off_the_executor::off_the_executor;
use super::stream::ConnectionHandle;
use crate::http_service::ResponseBody;
use crate::{Compression, Error};

/// The largest alignment of a tensor's elements.
const ALIGNMENT: usize = 8;

/// The most of the text of a refusal that is read, in bytes; less of it is shown.
const LONGEST_REFUSAL: usize = 1 << 20;

/// The longest wait for the text of a refusal once its status is known.
const REFUSAL_WAIT: Duration = Duration::from_secs(5);

/// An answer of which the head has come.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    body: ResponseBody,
    connection: Option<ConnectionHandle>,
    progress: Progress,
    ends_by_closing: bool,
}

impl Response {
    /// Whether its head says that it is a stream of events.
    pub(crate) fn is_event_stream(&self) -> bool {
        const MEDIA_TYPE: &str = "text/event-stream";
        let content_type = self.headers.get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let media_type = content_type.and_then(|text| text.split(';').next());
        media_type.is_some_and(|found| found.trim().eq_ignore_ascii_case(MEDIA_TYPE))
    }

    pub(super) fn new(response: http::Response<ResponseBody>, progress: &Progress) -> Self {
        let (head, body) = response.into_parts();
        if head.status != StatusCode::OK {
            // What is still unsent would be sent in vain.
            progress.stop();
        }
        let connection = head.extensions.get::<ConnectionHandle>().cloned();
        // A service that a caller brings knows how its answers end, and says where one breaks.
        let ends_by_closing = connection.is_some() && ends_by_closing(&head.headers);
        Self {
            status: head.status,
            headers: head.headers,
            body,
            connection,
            progress: progress.clone(),
            ends_by_closing,
        }
    }

    /// Whether nothing but the end of the connection ends the body, so that one which is cut looks
    /// whole.
    pub(crate) fn ends_by_closing(&self) -> bool {
        self.ends_by_closing
    }

    /// Lets nothing more of the request be sent, unless all of it was.
    ///
    /// # Errors
    ///
    /// Where it was not: no server begins before it has the whole of a request, so what came is the
    /// answer to another one.
    pub(crate) fn check_request_was_sent(&self, context: &Context<'_>) -> Result<(), Error> {
        if self.progress.stop() {
            return Ok(());
        }
        let message = "the answer came before the whole request was sent, so it is not the answer to \
                       it";
        let error = context.protocol(message).executed(false);
        Err(error.with_status(self.status.as_u16()))
    }

    /// The next piece of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self, context: &Context<'_>) -> Result<Option<Bytes>, Error> {
        loop {
            // Frames without an end and without bytes must not keep the clock from running.
            tokio::task::coop::consume_budget().await;
            let frame = std::future::poll_fn(|task| Pin::new(&mut self.body).poll_frame(task));
            match frame.await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                    // Trailers say nothing that this protocol knows.
                }
                Some(Err(error)) => {
                    // An answer had begun, so that not even a failed connection proves anything.
                    let sent = self.progress.stop();
                    return Err(context.http_failure(error, sent).executed(sent));
                }
            }
        }
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        // The connection would wait for the rest of the request.
        if let Some(connection) = &self.connection
            && !self.progress.is_sent()
        {
            connection.close();
        }
    }
}

/// The whole of an answer.
///
/// A refusal is one by its status, so however little of its text can be had, it is no other error.
pub(super) async fn whole(
    context: &Context<'_>,
    response: Response,
    limit: AnswerLimit,
    deadline: Instant,
) -> Result<Answer, Error> {
    match response.status {
        StatusCode::OK => accepted(context, response, limit).await,
        _ => Ok(refused(context, response, limit.bytes, deadline).await),
    }
}

/// The HTTP library hands the body over in pieces of its own buffer, so they are copied once,
/// into a buffer of the body's length; the tensors are slices of that.
async fn accepted(
    context: &Context<'_>,
    mut response: Response,
    limit: AnswerLimit,
) -> Result<Answer, Error> {
    let status = response.status;
    let too_large = || context.too_large(&limit, status);
    let limit = limit.bytes;
    let json_length = match response.headers.get(JSON_LENGTH) {
        None => None,
        Some(value) => {
            let length = value.to_str().ok().and_then(|text| text.parse().ok());
            Some(length.ok_or_else(|| {
                let message =
                    format!("expected a number of bytes as {JSON_LENGTH}, found {value:?}");
                context.protocol(message)
            })?)
        }
    };
    let compression = compression(&response.headers).map_err(|value| {
        let message = format!("expected an answer in gzip or deflate, found {value:?}");
        context.protocol(message)
    })?;
    if let (Some(compression), false) = (compression, cfg!(feature = "compression")) {
        let message = format!(
            "the answer is in {}, which triton-client only reads if built with its feature \
             'compression'",
            compression.name()
        );
        return Err(context.protocol(message));
    }
    let promised = response.body.size_hint().exact().unwrap_or(0);
    let promised = usize::try_from(promised).unwrap_or(usize::MAX);
    if promised > limit {
        return Err(too_large());
    }
    let aligned_from = json_length.unwrap_or(0);
    let mut body = AlignedBuffer::new(promised, aligned_from);
    while let Some(chunk) = response.chunk(context).await? {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend(&chunk, promised);
    }
    response.check_request_was_sent(context)?;
    if let Some(compression) = compression {
        // A short body may become a long one, so that its own length says little of the work.
        let work = body.len().saturating_mul(16);
        body = off_the_executor(work, move || {
            decompressed(compression, &body, limit, aligned_from)
        })
        .await
        .map_err(|error| match error {
            Undecompressable::TooLarge => too_large(),
            Undecompressable::Malformed => {
                let message = format!("the answer is not valid {}", compression.name());
                context.protocol(message)
            }
        })?;
    }
    Ok(Answer {
        status,
        json_length,
        retry_after: None,
        location: None,
        headers: std::mem::take(&mut response.headers),
        body: body.freeze(),
        is_cut: false,
        request_was_sent: true,
    })
}

async fn refused(
    context: &Context<'_>,
    mut response: Response,
    limit: usize,
    deadline: Instant,
) -> Answer {
    let limit = limit.min(LONGEST_REFUSAL);
    let mut text = Vec::new();
    let reading = async {
        loop {
            let chunk = match response.chunk(context).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return true,
                Err(_) => return false,
            };
            let wanted = chunk.len().min(limit - text.len());
            text.extend_from_slice(&chunk[..wanted]);
            if text.len() == limit {
                return false;
            }
        }
    };
    // The status is worth more than its text and than the error that the time has run out.
    let left = deadline.saturating_duration_since(Instant::now()) / 2;
    let is_whole = tokio::time::timeout(left.min(REFUSAL_WAIT), reading).await;
    let mut is_cut = !is_whole.unwrap_or(false);
    let body = match compression(&response.headers) {
        Ok(None) => text,
        Ok(Some(compression)) => {
            let mut output = Vec::new();
            is_cut |= decompress(compression, &text, limit, &mut output).is_err();
            output
        }
        Err(_) => {
            is_cut = true;
            Vec::new()
        }
    };
    Answer {
        is_cut,
        request_was_sent: response.progress.is_sent(),
        ..Answer::refusing(response.status, &response.headers, body.into())
    }
}

/// Whether a head of HTTP/1 says nothing of where its body ends
/// ([RFC 9112](https://www.rfc-editor.org/rfc/rfc9112#section-6.3)).
fn ends_by_closing(headers: &HeaderMap) -> bool {
    match headers.get_all(TRANSFER_ENCODING).iter().next_back() {
        Some(encodings) => {
            let last = encodings.as_bytes().rsplit(|byte| *byte == b',').next();
            !last.is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(b"chunked"))
        }
        None => !headers.contains_key(CONTENT_LENGTH),
    }
}

/// The compression that an answer's head names, or what it names in place of one.
fn compression(headers: &HeaderMap) -> Result<Option<Compression>, http::HeaderValue> {
    match headers.get(CONTENT_ENCODING) {
        None => Ok(None),
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"identity") => Ok(None),
        Some(value) => match Compression::named(value.as_bytes()) {
            Some(compression) => Ok(Some(compression)),
            None => Err(value.clone()),
        },
    }
}

fn decompressed(
    compression: Compression,
    compressed: &AlignedBuffer,
    limit: usize,
    aligned_from: usize,
) -> Result<AlignedBuffer, Undecompressable> {
    let mut body = AlignedBuffer::new(compressed.len(), aligned_from);
    decompress(compression, compressed.as_slice(), limit, &mut body.bytes)?;
    Ok(body)
}

/// A growing body, placed so that what follows its JSON is aligned for every datatype.
struct AlignedBuffer {
    /// Bytes to skip, then the body.
    bytes: Vec<u8>,
    padding: usize,
    /// Where in the body the alignment counts.
    aligned_from: usize,
}

impl AlignedBuffer {
    /// Room for `capacity` bytes, or for none where there is not so much.
    ///
    /// What an answer only promises to bring is set aside at once, up to the client's limit, since
    /// a body that grows is copied each time. It costs address space; a system gives memory to the
    /// pages that are written to, and so to the bytes that have come.
    fn new(capacity: usize, aligned_from: usize) -> Self {
        let mut bytes: Vec<u8> = Vec::new();
        if bytes
            .try_reserve_exact(capacity.saturating_add(ALIGNMENT))
            .is_err()
        {
            bytes = Vec::with_capacity(ALIGNMENT);
        }
        let misaligned = bytes.as_ptr().addr().wrapping_add(aligned_from) % ALIGNMENT;
        let padding = (ALIGNMENT - misaligned) % ALIGNMENT;
        let mut buffer = Self {
            bytes,
            padding,
            aligned_from,
        };
        buffer.bytes.resize(padding, 0);
        buffer
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.padding
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[self.padding..]
    }

    /// Appends a piece; a buffer that must grow moves, and so is placed again.
    fn extend(&mut self, piece: &[u8], promised: usize) {
        let needed = self.len() + piece.len();
        if self.bytes.capacity() - self.bytes.len() < piece.len() {
            let doubled = needed.max(2 * self.len());
            let capacity = match promised >= needed {
                true => doubled.min(promised),
                false => doubled,
            };
            let mut larger = Self::new(capacity, self.aligned_from);
            larger.bytes.extend_from_slice(self.as_slice());
            *self = larger;
        }
        self.bytes.extend_from_slice(piece);
    }

    fn freeze(self) -> Bytes {
        Bytes::from(self.bytes).slice(self.padding..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_json_is_aligned_however_the_body_grows() {
        for json_length in [0, 1, 7, 8, 113] {
            for promised in [0, 10, 5000] {
                let mut buffer = AlignedBuffer::new(promised, json_length);
                let mut expected = Vec::new();
                for round in 0..100_u8 {
                    let piece = vec![round; usize::from(round)];
                    buffer.extend(&piece, promised);
                    expected.extend_from_slice(&piece);
                }
                let body = buffer.freeze();
                assert_eq!(body, expected);
                assert_eq!(body[json_length..].as_ptr().addr() % ALIGNMENT, 0);
            }
        }
    }
}
