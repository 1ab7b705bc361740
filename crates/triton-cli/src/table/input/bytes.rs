//! The bytes of an input, decompressed where their beginning says that they are compressed.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use flate2::bufread::MultiGzDecoder;
use fs_err::File;

use super::super::format::Compression;

/// How much is read from the system at once.
const CHUNK: usize = 64 * 1024;

/// How many bytes are looked at to tell what an input is: a pipe may be slow to give more.
const START: usize = 6;

/// The bytes of an input, of which the first can be looked at.
pub(super) struct ByteStream {
    start: Vec<u8>,
    rest: Box<dyn BufRead + Send>,
    compression: Option<Compression>,
}

impl ByteStream {
    /// Opens a file, or standard input without a path.
    pub(super) fn open(path: Option<&Path>, progress: Arc<AtomicU64>) -> io::Result<Self> {
        let raw: Box<dyn Read + Send> = match path {
            Some(path) => Box::new(File::open(path)?),
            None => Box::new(io::stdin()),
        };
        let raw = BufReader::with_capacity(CHUNK, raw);
        let (start, rest) = peek(Counted { raw, progress })?;
        let compression = Compression::of_bytes(&start);
        let Some(compression) = compression else {
            return Ok(Self {
                start,
                rest: Box::new(rest),
                compression,
            });
        };
        let compressed = Cursor::new(start).chain(rest);
        let bytes: Box<dyn Read + Send> = match compression {
            Compression::Gzip => Box::new(MultiGzDecoder::new(compressed)),
            Compression::Zstd => Box::new(zstd::Decoder::with_buffer(compressed)?),
        };
        let (start, rest) = peek(BufReader::with_capacity(CHUNK, bytes))?;
        Ok(Self {
            start,
            rest: Box::new(rest),
            compression: Some(compression),
        })
    }

    /// The first bytes, which are still to be read.
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }

    pub(super) fn compression(&self) -> Option<Compression> {
        self.compression
    }

    /// All bytes, from the first one.
    pub(super) fn into_reader(self) -> impl BufRead + Send {
        Cursor::new(self.start).chain(self.rest)
    }
}

/// The first bytes, and a reader of the others. A pipe may give them a few at a time.
fn peek<R: BufRead>(mut reader: R) -> io::Result<(Vec<u8>, R)> {
    let mut start = Vec::with_capacity(START);
    reader.by_ref().take(START as u64).read_to_end(&mut start)?;
    Ok((start, reader))
}

/// Counts the bytes that are taken, and not those that a buffer only holds.
struct Counted<R> {
    raw: R,
    progress: Arc<AtomicU64>,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.raw.read(buffer)?;
        super::count(&self.progress, read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.raw.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        super::count(&self.progress, bytes);
        self.raw.consume(bytes);
    }
}
