//! Reads the body of an answer, up to a limit and to where its tensors are aligned.

use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, LOCATION};

use super::compression::{Undecompressable, decompress};
use super::retry_after::retry_after;
use super::{Answer, Context, JSON_LENGTH, Progress};
use crate::{Compression, Error};

/// The most memory that is set aside for what an answer only promises to bring.
const TRUSTED_LENGTH: usize = 16 << 20;

/// The largest alignment of a tensor's elements.
const ALIGNMENT: usize = 8;

/// The whole of an answer.
///
/// The HTTP library hands the body over in pieces of its own buffer, so they are copied once,
/// into a buffer of the body's length; the tensors are slices of that.
pub(super) async fn whole(
    context: &Context<'_>,
    response: &mut reqwest::Response,
    limit: usize,
    progress: &Progress,
) -> Result<Answer, Error> {
    let status = response.status();
    let too_large = || context.too_large(limit, status);
    let headers = response.headers();
    let json_length = match headers.get(JSON_LENGTH) {
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
    let compression = match headers.get(CONTENT_ENCODING) {
        None => None,
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"identity") => None,
        Some(value) => Some(Compression::named(value.as_bytes()).ok_or_else(|| {
            let message = format!("expected an answer in gzip or deflate, found {value:?}");
            context.protocol(message)
        })?),
    };
    let retry_after = retry_after(headers, SystemTime::now());
    let location = status.is_redirection().then(|| headers.get(LOCATION));
    let location = location.flatten();
    let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let promised = response.content_length().unwrap_or(0);
    let promised = usize::try_from(promised).unwrap_or(usize::MAX);
    if promised > limit {
        return Err(too_large());
    }
    let mut body = AlignedBuffer::new(promised.min(TRUSTED_LENGTH), json_length.unwrap_or(0));
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| context.failure(error, progress.is_sent()))?
    {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend(&chunk, promised);
    }
    if let Some(compression) = compression {
        let compressed = body;
        body = AlignedBuffer::new(compressed.len(), json_length.unwrap_or(0));
        let output = &mut body.bytes;
        decompress(compression, compressed.as_slice(), limit, output).map_err(
            |error| match error {
                Undecompressable::TooLarge => too_large(),
                Undecompressable::Malformed => {
                    let message = format!("the answer is not valid {}", compression.name());
                    context.protocol(message)
                }
            },
        )?;
    }
    Ok(Answer {
        status,
        json_length,
        retry_after,
        location,
        headers: std::mem::take(response.headers_mut()),
        body: body.freeze(),
    })
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
    fn new(capacity: usize, aligned_from: usize) -> Self {
        let bytes: Vec<u8> = Vec::with_capacity(capacity.saturating_add(ALIGNMENT));
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

    /// Appends a piece; a buffer that must grow moves, and so is placed anew.
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
