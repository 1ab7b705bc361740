//! What stands in the place of compression where its feature was left out.

use crate::Compression;

/// Why a body could not be decompressed.
#[derive(Debug)]
pub(super) enum Undecompressable {
    #[expect(dead_code, reason = "it takes decompression to find out")]
    TooLarge,
    Malformed,
}

/// Reads no compressed body; callers say so before they come here.
pub(super) fn decompress(
    _: Compression,
    _: &[u8],
    _: usize,
    _: &mut Vec<u8>,
) -> Result<(), Undecompressable> {
    Err(Undecompressable::Malformed)
}
