//! Compressed bytes, one gzip member or zstd frame after the other. Zeros behind the last one are
//! padding, as tapes and some object stores leave it; anything else there is refused.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

use crate::table::format::Compression;

/// Decompressed bytes.
pub(super) struct Decompressed<R: BufRead> {
    compression: Compression,
    /// Only missing after an error.
    part: Option<Part<R>>,
}

enum Part<R: BufRead> {
    /// Between two members, or at the end.
    Between(R),
    Gzip(GzDecoder<R>),
    Zstd(Box<zstd::Decoder<'static, R>>),
}

impl<R: BufRead> Decompressed<R> {
    pub(super) fn new(compression: Compression, bytes: R) -> Self {
        let part = Some(Part::Between(bytes));
        Self { compression, part }
    }

    /// Begins the next member, if there is one; `true` if there is.
    fn begin(&self, mut bytes: R) -> io::Result<(Part<R>, bool)> {
        loop {
            let padding = bytes.fill_buf()?;
            let zeros = padding.iter().take_while(|byte| **byte == 0).count();
            if padding.is_empty() {
                return Ok((Part::Between(bytes), false));
            }
            let next = padding.get(zeros).copied();
            bytes.consume(zeros);
            let Some(next) = next else { continue };
            let is_member = match self.compression {
                Compression::Gzip => next == 0x1f,
                // A frame, or one that is to be skipped.
                Compression::Zstd => next == 0x28 || (0x50..0x60).contains(&next),
            };
            if !is_member {
                return Err(self.garbage());
            }
            let part = match self.compression {
                Compression::Gzip => Part::Gzip(GzDecoder::new(bytes)),
                Compression::Zstd => {
                    let decoder = zstd::Decoder::with_buffer(bytes)?.single_frame();
                    Part::Zstd(Box::new(decoder))
                }
            };
            return Ok((part, true));
        }
    }

    fn garbage(&self) -> io::Error {
        let name = self.compression.name();
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "behind the end of the {name} data come bytes that are not {name}: the file is \
                 damaged, or something was appended to it"
            ),
        )
    }

    fn described(&self, error: &io::Error) -> io::Error {
        let name = self.compression.name();
        let message = match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                format!("the {name} data break off: the file is not whole")
            }
            // The library limits the memory that a frame may ask for.
            _ if error.to_string().contains("requires too much memory") => format!(
                "the {name} data need more than 128 MiB to be unpacked, because they were made \
                 with --long: unpack them first, as `zstd -dc --long=31 FILE | triton predict … -`"
            ),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other => {
                format!("the {name} data are damaged: {error}")
            }
            kind => return io::Error::new(kind, error.to_string()),
        };
        io::Error::new(io::ErrorKind::InvalidData, message)
    }
}

impl<R: BufRead> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let (part, read) = match self.part.take() {
                None => return Err(io::Error::other("reading failed before")),
                Some(Part::Between(bytes)) => {
                    let (part, is_member) = self.begin(bytes)?;
                    if !is_member {
                        self.part = Some(part);
                        return Ok(0);
                    }
                    (part, Ok(0))
                }
                Some(Part::Gzip(mut decoder)) => match decoder.read(buffer) {
                    Ok(0) => (Part::Between(decoder.into_inner()), Ok(0)),
                    read => (Part::Gzip(decoder), read),
                },
                Some(Part::Zstd(mut decoder)) => match decoder.read(buffer) {
                    Ok(0) => (Part::Between(decoder.finish()), Ok(0)),
                    read => (Part::Zstd(decoder), read),
                },
            };
            match read {
                Ok(0) => self.part = Some(part),
                Ok(read) => {
                    self.part = Some(part);
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.part = Some(part);
                    return Err(error);
                }
                Err(error) => return Err(self.described(&error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write as _};

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 1).unwrap()
    }

    /// What can be read, a few bytes at a time, and how it ends.
    fn read(compression: Compression, bytes: &[u8]) -> (String, Result<(), String>) {
        let bytes = BufReader::with_capacity(3, bytes);
        let mut text = Vec::new();
        let read = Decompressed::new(compression, bytes).read_to_end(&mut text);
        let read = read.map(|_| ()).map_err(|error| error.to_string());
        (String::from_utf8(text).unwrap(), read)
    }

    #[test]
    fn members_follow_each_other_and_zeros_are_padding() {
        let zeros = [0; 600];
        let skipped = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        let gzipped = [&gzip("a"), &gzip(""), &gzip("b")[..]].concat();
        let padded = [&gzipped, &zeros[..], &gzip("c")].concat();
        let frames = [&zstd("a"), &skipped[..], &zstd("b")].concat();
        for (compression, bytes, expected) in [
            (Compression::Gzip, gzipped, "ab"),
            (Compression::Gzip, padded, "abc"),
            (Compression::Zstd, [&frames[..], &zeros].concat(), "ab"),
            (Compression::Zstd, [&skipped[..], &zstd("c")].concat(), "c"),
        ] {
            assert_eq!(read(compression, &bytes), (expected.to_owned(), Ok(())));
        }
    }

    #[test]
    fn what_is_damaged_is_named_after_what_could_be_read() {
        for (compression, whole) in [
            (Compression::Gzip, gzip("text")),
            (Compression::Zstd, zstd("text")),
        ] {
            let name = compression.name();
            let (_, cut) = read(compression, &whole[..whole.len() - 3]);
            let expected = format!("the {name} data break off: the file is not whole");
            assert_eq!(cut, Err(expected));
            let (text, more) = read(compression, &[&whole, &b"\0\0more"[..]].concat());
            assert_eq!(text, "text");
            assert_eq!(
                more,
                Err(format!(
                    "behind the end of the {name} data come bytes that are not {name}: the file \
                     is damaged, or something was appended to it"
                ))
            );
            let mut damaged = whole.clone();
            damaged[whole.len() / 2] ^= 0x5a;
            let (_, error) = read(compression, &damaged);
            assert!(error.is_err(), "{name}");
        }
    }
}
