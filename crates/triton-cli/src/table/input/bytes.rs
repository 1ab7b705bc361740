//! The bytes of an input, decompressed where their beginning says that they are compressed.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::compressed::Decompressed;
use super::extent::TextExtent;
use crate::table::foreign;
use crate::table::format::Compression;
use crate::text_encoding::Encoding;

/// How much is read from the system at once.
const CHUNK: usize = 64 * 1024;

/// How many bytes are waited for to tell what an input is: a pipe may be slow to give more. Those
/// that came with them are looked at, too.
const START: usize = 6;

/// The bytes of an input, of which the first can be looked at.
pub(super) struct ByteStream {
    start: Vec<u8>,
    rest: Box<dyn BufRead + Send>,
    compression: Option<Compression>,
    /// Counts the bytes of the file that are taken.
    taken: Arc<AtomicU64>,
    /// Counts what they became, where that is something else.
    unpacked: Option<Arc<AtomicU64>>,
}

impl ByteStream {
    /// Looks at the first bytes, of which the user may have said that they are text; `taken` counts all of
    /// them.
    pub(super) fn new(
        raw: Box<dyn Read + Send>,
        is_text: bool,
        taken: Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let (start, rest) = peek(BufReader::with_capacity(CHUNK, raw))?;
        refuse_foreign(&start, is_text)?;
        let compression = Compression::of_bytes(&start);
        let Some(compression) = compression else {
            return Ok(Self {
                start,
                rest: Box::new(rest),
                compression,
                taken,
                unpacked: None,
            });
        };
        let compressed = Counted {
            raw: Cursor::new(start).chain(rest),
            progress: Arc::clone(&taken),
        };
        let bytes = Decompressed::new(compression, compressed);
        let (start, rest) = peek(BufReader::with_capacity(CHUNK, bytes))?;
        refuse_foreign(&start, is_text)?;
        if let Some(inner) = Compression::of_bytes(&start) {
            let inner = inner.name();
            let message = format!(
                "what was compressed with {} is compressed once more, with {inner}: decompress it \
                 once before",
                compression.name()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Self {
            start,
            rest: Box::new(rest),
            compression: Some(compression),
            taken,
            unpacked: Some(Arc::default()),
        })
    }

    /// The first bytes, which are still to be read.
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }

    pub(super) fn compression(&self) -> Option<Compression> {
        self.compression
    }

    /// The first bytes of a text, in UTF-8 and without a byte order mark.
    pub(super) fn text_start(&self) -> Vec<u8> {
        match Encoding::of_start(&self.start) {
            Ok(encoding) => encoding.decoded_start(&self.start),
            Err(_) => self.start.clone(),
        }
    }

    /// All bytes of a text, in UTF-8 and without a byte order mark.
    pub(super) fn into_text(self) -> anyhow::Result<(Box<dyn Read + Send>, TextExtent)> {
        let encoding = Encoding::of_start(&self.start)?;
        let progress = Arc::default();
        let extent = TextExtent::begin(&self.taken, &progress);
        let raw = encoding.decoded(self.into_reader())?;
        Ok((Box::new(Counted { raw, progress }), extent))
    }

    /// All bytes, from the first one.
    pub(super) fn into_reader(self) -> impl BufRead + Send {
        Counted {
            raw: Cursor::new(self.start).chain(self.rest),
            // What was compressed has been counted as it was.
            progress: self.unpacked.unwrap_or(self.taken),
        }
    }
}

/// The first bytes, and a reader of the others. A pipe may give them a few at a time.
fn peek<R: BufRead>(mut reader: R) -> io::Result<(Vec<u8>, R)> {
    let mut start = Vec::with_capacity(START);
    while start.len() < START {
        let there = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            there => there?,
        };
        if there.is_empty() {
            break;
        }
        let length = there.len();
        start.extend_from_slice(there);
        reader.consume(length);
    }
    Ok((start, reader))
}

/// Says what the bytes are, if they are nothing that is read.
fn refuse_foreign(start: &[u8], is_text: bool) -> io::Result<()> {
    match foreign::told(start, is_text) {
        Some(what) => Err(io::Error::new(io::ErrorKind::InvalidData, what)),
        None => Ok(()),
    }
}

/// Counts the bytes that are taken, and not those that a buffer only holds.
pub(super) struct Counted<R> {
    pub(super) raw: R,
    pub(super) progress: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.raw.read(buffer)?;
        count(&self.progress, read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.raw.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        count(&self.progress, bytes);
        self.raw.consume(bytes);
    }
}

/// Counts what is done with; relaxed, because only a bar on the screen depends on it.
pub(super) fn count(progress: &AtomicU64, bytes: usize) {
    progress.fetch_add(bytes as u64, Ordering::Relaxed);
}
