//! The file or pipe that an output is written to, compressed where it should be.

use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write};

use flate2::write::GzEncoder;
use fs_err::File;

use super::Cut;
use crate::disk;
use crate::objects::Upload;
use crate::pipe::{Pipe, StandardOutput};
use crate::table::format::Compression;

/// Bytes on their way to a file or a pipe.
///
/// A cut ends the gzip member or zstd frame that is being written: readers take several of them
/// one after the other as one.
pub(super) struct Sink {
    compression: Option<Compression>,
    /// Only missing while it changes.
    encoder: Option<Encoder>,
}

enum Encoder {
    Plain(BufWriter<Target>),
    Gzip(GzEncoder<BufWriter<Target>>),
    Zstd(zstd::Encoder<'static, BufWriter<Target>>),
}

/// Where the bytes end up.
pub(super) enum Target {
    File(TailedFile),
    /// A pipe or a device, which keeps nothing that could be brought to a disk.
    Direct(Pipe<File>),
    Standard(Pipe<StandardOutput>),
    /// An object, whose parts are nothing before it is complete.
    Object(Upload),
}

/// A file that remembers its last bytes, and whether it could not be written.
///
/// What failed to be written may be there in part: whatever came behind it would stand in the middle
/// of a row, so nothing does.
pub(super) struct TailedFile {
    file: File,
    last: Vec<u8>,
    has_failed: bool,
}

/// How many bytes tell whether a file is still the same.
const TAIL: usize = 1024;

fn failed_before() -> io::Error {
    io::Error::other("the output failed before")
}

impl Target {
    /// Brings everything to the disk; what comes back is where a file can be gone on with.
    pub(super) fn sync(&mut self) -> io::Result<Cut> {
        match self {
            Target::File(file) => {
                file.check()?;
                disk::sync_file(&file.file)?;
                Ok(Cut {
                    bytes: file.file.stream_position()?,
                    tail: Some(file.tail()),
                    parts: Vec::new(),
                })
            }
            Target::Direct(file) => file.flush().map(|()| Cut::default()),
            Target::Standard(output) => output.flush().map(|()| Cut::default()),
            Target::Object(upload) => upload.flush().map(|()| Cut::default()),
        }
    }
}

impl TailedFile {
    /// A file that is empty.
    pub(super) fn new(file: File) -> Self {
        Self::with_tail(file, Vec::new())
    }

    fn with_tail(file: File, last: Vec<u8>) -> Self {
        Self {
            file,
            last,
            has_failed: false,
        }
    }

    /// Whether it holds all that was written.
    fn check(&self) -> io::Result<()> {
        match self.has_failed {
            true => Err(failed_before()),
            false => Ok(()),
        }
    }

    /// A file that is continued where it was cut; it must be the one that was cut.
    ///
    /// Nothing is cut off yet.
    pub(super) fn at_cut(mut file: File, cut: &Cut) -> io::Result<Self> {
        let start = cut.bytes.saturating_sub(TAIL as u64);
        file.seek(SeekFrom::Start(start))?;
        let mut last = Vec::new();
        (&mut file).take(cut.bytes - start).read_to_end(&mut last)?;
        let tailed = Self::with_tail(file, last);
        if cut.tail.is_some_and(|tail| tail != tailed.tail()) {
            return Err(io::Error::other(format!(
                "{} is not the file that the checkpoint recorded: it holds something else \
                 before byte {}; put that file back, or take another folder for --checkpoint to \
                 start over",
                tailed.file.path().display(),
                cut.bytes
            )));
        }
        Ok(tailed)
    }

    /// Cuts off what is behind the place where the file is continued.
    pub(super) fn cut_off(&mut self, cut: &Cut) -> io::Result<()> {
        self.file.set_len(cut.bytes)
    }

    /// A checksum of the last bytes.
    fn tail(&self) -> u32 {
        let surplus = self.last.len().saturating_sub(TAIL);
        crc32fast::hash(&self.last[surplus..])
    }
}

impl Write for TailedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        let written = self.file.write(bytes);
        let is_failure = |error: &io::Error| error.kind() != io::ErrorKind::Interrupted;
        self.has_failed = written.as_ref().is_err_and(is_failure);
        let written = written?;
        let new = &bytes[written.saturating_sub(TAIL)..written];
        if self.last.len() + new.len() > 2 * TAIL {
            let surplus = (self.last.len() + new.len() - TAIL).min(self.last.len());
            self.last.drain(..surplus);
        }
        self.last.extend_from_slice(new);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.check()?;
        self.file.flush()
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::File(file) => file.write(bytes),
            Target::Direct(file) => file.write(bytes),
            Target::Standard(output) => output.write(bytes),
            Target::Object(upload) => upload.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Target::File(file) => file.flush(),
            Target::Direct(file) => file.flush(),
            Target::Standard(output) => output.flush(),
            Target::Object(upload) => upload.flush(),
        }
    }
}

impl Encoder {
    fn new(target: BufWriter<Target>, compression: Option<Compression>) -> io::Result<Self> {
        Ok(match compression {
            None => Encoder::Plain(target),
            Some(Compression::Gzip) => {
                Encoder::Gzip(GzEncoder::new(target, flate2::Compression::default()))
            }
            Some(Compression::Zstd) => {
                Encoder::Zstd(zstd::Encoder::new(target, zstd::DEFAULT_COMPRESSION_LEVEL)?)
            }
        })
    }

    fn finish(self) -> io::Result<BufWriter<Target>> {
        match self {
            Encoder::Plain(target) => Ok(target),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Encoder::Plain(target) => target,
            Encoder::Gzip(encoder) => encoder,
            Encoder::Zstd(encoder) => encoder,
        }
    }
}

impl Sink {
    pub(super) fn new(target: Target, compression: Option<Compression>) -> io::Result<Self> {
        let target = BufWriter::new(target);
        Ok(Self {
            compression,
            encoder: Some(Encoder::new(target, compression)?),
        })
    }

    /// Brings everything to the disk, and begins a new member or frame.
    pub(super) fn cut(&mut self) -> io::Result<Cut> {
        let mut target = self.taken()?.finish()?;
        target.flush()?;
        let cut = target.get_mut().sync()?;
        self.encoder = Some(Encoder::new(target, self.compression)?);
        Ok(cut)
    }

    /// Ends the output, and brings it to the disk.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let mut target = self.taken()?.finish()?;
        target.flush()?;
        target.get_mut().sync().map(|_| ())
    }

    fn taken(&mut self) -> io::Result<Encoder> {
        let encoder = self.encoder.take();
        encoder.ok_or_else(failed_before)
    }

    fn writer(&mut self) -> io::Result<&mut dyn Write> {
        match &mut self.encoder {
            Some(encoder) => Ok(encoder.writer()),
            None => Err(failed_before()),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer()?.write(bytes)
    }

    /// Hands on what is not compressed: flushing an encoder would cost much of what it saves.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.encoder {
            Some(Encoder::Plain(target)) => target.flush(),
            _ => Ok(()),
        }
    }
}
