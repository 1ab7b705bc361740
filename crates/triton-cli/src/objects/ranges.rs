//! Parts of an object, read in pieces side by side.

use std::io;
use std::ops::Range;

use futures_util::{StreamExt as _, stream};
use object_store::GetRange;

use super::object::Object;
use super::store::wait_for;

/// How many bytes are asked for at once where a part is large.
const PIECE: u64 = 8 * 1024 * 1024;

/// How many of them are on their way at once.
const PIECES_AT_ONCE: usize = 4;

impl Object {
    /// Reads a part of it.
    pub(crate) fn read_range(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let length = range.end.saturating_sub(range.start);
        let starts = range.clone().step_by(PIECE as usize);
        let pieces: Vec<_> = starts
            .map(|start| start..range.end.min(start + PIECE))
            .collect();
        let object = self.clone();
        let read = wait_for(async move {
            let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
            let pieces = pieces.into_iter().map(|piece| {
                let object = object.clone();
                async move {
                    let got = object.get(Some(GetRange::Bounded(piece))).await?;
                    got.bytes().await.map_err(|error| object.explained(&error))
                }
            });
            let mut read = stream::iter(pieces).buffered(PIECES_AT_ONCE);
            while let Some(piece) = read.next().await {
                bytes.extend_from_slice(&piece?);
            }
            Ok::<_, io::Error>(bytes)
        })??;
        if read.len() as u64 != length {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the store gave another part than it was asked for",
            ));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use object_store::path::Path as Key;
    use object_store::{ObjectStore, ObjectStoreExt as _};

    use super::*;

    #[test]
    fn a_part_is_put_together_from_pieces() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let bytes: Vec<u8> = (0..2 * PIECE + 5)
            .map(|index| (index % 251) as u8)
            .collect();
        let (putting, payload) = (Arc::clone(&store), bytes.clone());
        let put = async move { putting.put(&Key::from("k"), payload.into()).await };
        wait_for(put).unwrap().unwrap();
        let object = Object::in_store("s3://b/k", store);
        let read = object.read_range(3..2 * PIECE + 2).unwrap();
        assert!(read == bytes[3..bytes.len() - 3]);
        assert_eq!(object.size(), Some(bytes.len() as u64));
        let mut all = Vec::new();
        object.open().unwrap().read_to_end(&mut all).unwrap();
        assert!(all == bytes);
    }
}
