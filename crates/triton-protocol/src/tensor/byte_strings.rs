//! The elements of `BYTES` tensors: each behind its length.

use bytes::{BufMut, BytesMut};

use crate::Datatype;

/// Bytes in front of each element: its length, little endian.
const LENGTH_PREFIX: usize = size_of::<u32>();

/// Appends one element of a `BYTES` tensor, unless it is longer than a length can say.
pub(crate) fn push_byte_string(data: &mut BytesMut, value: &[u8]) -> Option<()> {
    data.put_u32_le(u32::try_from(value.len()).ok()?);
    data.put_slice(value);
    Some(())
}

/// The number of elements in `data`, or `None` when it ends within one.
pub(super) fn element_count(datatype: Datatype, data: &[u8]) -> Option<usize> {
    if let Some(size) = datatype.element_size() {
        return data.len().is_multiple_of(size).then(|| data.len() / size);
    }
    if datatype != Datatype::Bytes {
        return None;
    }
    let mut strings = ByteStrings(data);
    let count = strings.by_ref().count();
    strings.0.is_empty().then_some(count)
}

/// Splits length-prefixed elements; stops before one that is cut short.
pub(super) struct ByteStrings<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for ByteStrings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (prefix, rest) = self.0.split_first_chunk::<LENGTH_PREFIX>()?;
        let length = usize::try_from(u32::from_le_bytes(*prefix)).ok()?;
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(value)
    }
}
