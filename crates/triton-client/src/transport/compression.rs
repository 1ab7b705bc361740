//! Compression of bodies, both ways, with a limit on what an answer may grow to.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Decompress, FlushDecompress, Status};

use crate::Compression;

/// The chunks as one compressed body, at the fastest level: time is what callers lack.
pub(super) fn compress(compression: Compression, chunks: &[Bytes]) -> Bytes {
    let level = flate2::Compression::fast();
    // Writing to a vector cannot fail.
    let compressed = match compression {
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            chunks
                .iter()
                .try_for_each(|chunk| encoder.write_all(chunk))
                .and_then(|()| encoder.finish())
        }
        Compression::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            chunks
                .iter()
                .try_for_each(|chunk| encoder.write_all(chunk))
                .and_then(|()| encoder.finish())
        }
    };
    compressed.unwrap_or_default().into()
}

/// Why a body could not be decompressed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Undecompressable {
    TooLarge,
    Malformed,
}

/// Decompresses a whole body behind what `output` holds already, up to `limit` bytes.
pub(super) fn decompress(
    compression: Compression,
    body: &[u8],
    limit: usize,
    output: &mut Vec<u8>,
) -> Result<(), Undecompressable> {
    let start = output.len();
    // No body at all, as of an answer without one, was compressed by nobody.
    if body.is_empty() {
        return Ok(());
    }
    match compression {
        Compression::Gzip => {
            // One byte more than is allowed tells a body of the limit from a larger one.
            let allowed = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
            let decoder = flate2::bufread::MultiGzDecoder::new(body);
            let read = decoder.take(allowed).read_to_end(output);
            read.map_err(|_| Undecompressable::Malformed)?;
        }
        Compression::Deflate => inflate(body, limit, output)?,
    }
    match output.len() - start > limit {
        true => Err(Undecompressable::TooLarge),
        false => Ok(()),
    }
}

/// As the readers of `flate2` do, except that they take the end of a cut body for its end.
fn inflate(body: &[u8], limit: usize, output: &mut Vec<u8>) -> Result<(), Undecompressable> {
    const STEP: usize = 64 << 10;
    let start = output.len();
    let mut decoder = Decompress::new(true);
    loop {
        output.reserve(STEP);
        // A body is in memory, so its length fits.
        let consumed = usize::try_from(decoder.total_in()).unwrap_or(body.len());
        let before = (consumed, output.len());
        let status = decoder
            .decompress_vec(&body[consumed..], output, FlushDecompress::None)
            .map_err(|_| Undecompressable::Malformed)?;
        if output.len() - start > limit {
            return Err(Undecompressable::TooLarge);
        }
        let consumed = usize::try_from(decoder.total_in()).unwrap_or(body.len());
        match status {
            Status::StreamEnd => return Ok(()),
            _ if before == (consumed, output.len()) => return Err(Undecompressable::Malformed),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> [Compression; 2] {
        [Compression::Gzip, Compression::Deflate]
    }

    #[test]
    fn bodies_come_back_as_they_were() {
        for compression in both() {
            for body in [&b""[..], b"a", &[7; 300_000]] {
                let half = body.len() / 2;
                let chunks = [&body[..half], &body[half..]].map(Bytes::copy_from_slice);
                let compressed = compress(compression, &chunks);
                let mut output = b"before".to_vec();
                decompress(compression, &compressed, body.len(), &mut output).unwrap();
                assert_eq!(&output[6..], body);
            }
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        for compression in both() {
            let bomb = compress(compression, &vec![Bytes::from_static(&[0; 1 << 20]); 64]);
            assert!(bomb.len() < 1 << 20);
            let mut output = Vec::new();
            let outcome = decompress(compression, &bomb, 1 << 20, &mut output);
            assert_eq!(outcome, Err(Undecompressable::TooLarge));
            assert!(output.capacity() <= 4 << 20, "{}", output.capacity());
        }
    }

    #[test]
    fn all_members_of_a_gzip_are_read() {
        let member = |text| compress(Compression::Gzip, &[Bytes::from_static(text)]);
        let both = [member(b"one, "), member(b""), member(b"two")].concat();
        let mut output = Vec::new();
        decompress(Compression::Gzip, &both, 8, &mut output).unwrap();
        assert_eq!(output, b"one, two");
        let outcome = decompress(Compression::Gzip, &both, 7, &mut Vec::new());
        assert_eq!(outcome, Err(Undecompressable::TooLarge));
        let cut = &both[..both.len() - 3];
        let outcome = decompress(Compression::Gzip, cut, 100, &mut Vec::new());
        assert_eq!(outcome, Err(Undecompressable::Malformed));
    }

    #[test]
    fn an_empty_body_is_empty_however_it_is_called() {
        for compression in both() {
            decompress(compression, b"", 0, &mut Vec::new()).unwrap();
        }
        assert_eq!(Compression::named(b"X-GZip "), Some(Compression::Gzip));
        assert_eq!(Compression::named(b"br"), None);
    }

    #[test]
    fn a_cut_or_garbled_body_is_malformed() {
        for compression in both() {
            let whole = compress(compression, &[Bytes::from_static(b"some text, some text")]);
            let mut garbled = whole.to_vec();
            garbled[0] ^= 0x40;
            for body in [&whole[..whole.len() - 5], &whole[..3], &garbled] {
                let outcome = decompress(compression, body, 1000, &mut Vec::new());
                assert_eq!(outcome, Err(Undecompressable::Malformed), "{body:?}");
            }
        }
    }
}
