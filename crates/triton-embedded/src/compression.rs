//! Compressed bodies, which Triton takes and gives for inference alone (protocol page, section 3).

use std::io::{Read, Write};

use flate2::Compression;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Deflate,
}

impl Encoding {
    /// The encoding a request's `Content-Encoding` names, in lower case only; `None` for one that
    /// is not supported.
    pub(crate) fn of_request(header: Option<&str>) -> Option<Encoding> {
        match header.unwrap_or_default() {
            "" | "identity" => Some(Encoding::Identity),
            "gzip" => Some(Encoding::Gzip),
            "deflate" => Some(Encoding::Deflate),
            _ => None,
        }
    }

    /// The encoding an answer gets: of those in `Accept-Encoding` the one with the highest
    /// quality, the first where several have it. Blanks within an entry make it unknown, as on
    /// the real server.
    pub(crate) fn of_answer(header: Option<&str>) -> Encoding {
        let mut best = (Encoding::Identity, 0.0);
        for entry in header.unwrap_or_default().split(',') {
            let entry = entry.trim_start_matches(' ');
            let (name, quality) = match entry.split_once(";q=") {
                Some((name, quality)) => (name, quality.trim().parse().unwrap_or(0.0)),
                None => (entry, 1.0),
            };
            let known = match name {
                "identity" => Encoding::Identity,
                "gzip" => Encoding::Gzip,
                "deflate" => Encoding::Deflate,
                _ => continue,
            };
            if quality > best.1 {
                best = (known, quality);
            }
        }
        best.0
    }

    /// The name in `Content-Encoding`; `None` where no header is due.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Encoding::Identity => None,
            Encoding::Gzip => Some("gzip"),
            Encoding::Deflate => Some("deflate"),
        }
    }

    pub(crate) fn compress(self, body: Vec<u8>) -> Vec<u8> {
        let compressed = match self {
            Encoding::Identity => return body,
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(&body).and_then(|()| encoder.finish())
            }
            Encoding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(&body).and_then(|()| encoder.finish())
            }
        };
        // Writing to memory cannot fail.
        compressed.unwrap_or_default()
    }
}

/// What the body of a request that names an encoding holds.
///
/// The real server lets zlib find out whether it is gzip or deflate, reads the first member only,
/// and takes whatever could be read before a fault for the whole.
pub(crate) fn decompress(body: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    // The fault itself is of no interest: the content ends where it is met.
    let _ = match body.starts_with(&[0x1F, 0x8B]) {
        true => GzDecoder::new(body).read_to_end(&mut content),
        false => ZlibDecoder::new(body).read_to_end(&mut content),
    };
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compressed_reads_back_whatever_it_is_called() {
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let compressed = encoding.compress(b"hello hello hello".to_vec());
            assert_eq!(decompress(&compressed), b"hello hello hello");
            let twice = [compressed.clone(), compressed].concat();
            assert_eq!(decompress(&twice), b"hello hello hello");
        }
        assert_eq!(decompress(b"no compressed data"), b"");
    }

    /// Each header was sent to Triton 2.51.0, which chose this.
    #[test]
    fn the_answer_has_the_encoding_of_the_highest_quality() {
        let seen = [
            ("gzip, deflate", Encoding::Gzip),
            ("gzip;q=0.5, deflate", Encoding::Deflate),
            ("gzip;q=0.5,deflate;q=0.7", Encoding::Deflate),
            ("identity, gzip", Encoding::Identity),
            ("br", Encoding::Identity),
            ("*", Encoding::Identity),
            ("gzip;q=0", Encoding::Identity),
            ("gzip ;q=1", Encoding::Identity),
            ("GZIP", Encoding::Identity),
        ];
        for (header, encoding) in seen {
            assert_eq!(Encoding::of_answer(Some(header)), encoding, "{header}");
        }
        assert_eq!(Encoding::of_answer(None), Encoding::Identity);
    }
}
