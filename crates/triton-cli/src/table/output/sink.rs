//! The file or pipe that an output is written to, compressed where it should be.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use flate2::write::GzEncoder;
use fs_err::{File, OpenOptions};

use super::{Cut, Destination};
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
    File(File),
    Standard(io::Stdout),
}

impl Target {
    /// Creates the file, or cuts it off where it is gone on with.
    pub(super) fn open(destination: &Destination, from: Option<&Cut>) -> io::Result<Self> {
        let Some(path) = &destination.path else {
            return Ok(Target::Standard(io::stdout()));
        };
        let Some(cut) = from else {
            return Ok(Target::File(File::create(path)?));
        };
        let mut file = OpenOptions::new()
            .create(cut.bytes == 0)
            .truncate(false)
            .write(true)
            .open(path)?;
        let found = file.metadata()?.len();
        if found < cut.bytes {
            let message = format!(
                "{} has {found} bytes, fewer than the {} that the checkpoint speaks of",
                path.display(),
                cut.bytes
            );
            return Err(io::Error::other(message));
        }
        file.set_len(cut.bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Target::File(file))
    }

    /// Brings everything to the disk; what comes back is the length of the file.
    pub(super) fn sync(&mut self) -> io::Result<u64> {
        match self {
            Target::File(file) => {
                file.sync_all()?;
                file.stream_position()
            }
            Target::Standard(output) => output.flush().map(|()| 0),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::File(file) => file.write(bytes),
            Target::Standard(output) => output.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Target::File(file) => file.flush(),
            Target::Standard(output) => output.flush(),
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
    /// Opens a destination, from the start or where it was cut.
    pub(super) fn open(destination: &Destination, from: Option<&Cut>) -> io::Result<Self> {
        let target = BufWriter::new(Target::open(destination, from)?);
        let compression = destination.compression;
        Ok(Self {
            compression,
            encoder: Some(Encoder::new(target, compression)?),
        })
    }

    /// Brings everything to the disk, and begins a new member or frame.
    pub(super) fn cut(&mut self) -> io::Result<Cut> {
        let mut target = self.taken()?.finish()?;
        target.flush()?;
        let bytes = target.get_mut().sync()?;
        self.encoder = Some(Encoder::new(target, self.compression)?);
        let parts = Vec::new();
        Ok(Cut { bytes, parts })
    }

    /// Ends the output.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let mut target = self.taken()?.finish()?;
        target.flush()
    }

    fn taken(&mut self) -> io::Result<Encoder> {
        let encoder = self.encoder.take();
        encoder.ok_or_else(|| io::Error::other("the output failed before"))
    }

    fn writer(&mut self) -> io::Result<&mut dyn Write> {
        match &mut self.encoder {
            Some(encoder) => Ok(encoder.writer()),
            None => Err(io::Error::other("the output failed before")),
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
