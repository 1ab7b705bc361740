//! The bytes that cross between Java and Rust: little endian, lengths before contents.

use bytes::Bytes;

use crate::failure::Failure;

/// Reads what Java wrote.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// What the rest lies in, if parts of it can be kept without a copy.
    whole: Option<&'a Bytes>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            whole: None,
        }
    }

    /// One whose parts share the memory of the whole.
    pub(crate) fn sharing(bytes: &'a Bytes) -> Self {
        Self {
            rest: bytes,
            whole: Some(bytes),
        }
    }

    /// How many bytes there are still.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Failure> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(too_short)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Failure> {
        Ok(self.array::<1>()? != [0])
    }

    pub(crate) fn count(&mut self) -> Result<usize, Failure> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Failure> {
        let length = self.count()?;
        self.take(length)
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Failure> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(too_short)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Bytes that outlive this.
    pub(crate) fn take_shared(&mut self, length: usize) -> Result<Bytes, Failure> {
        let bytes = self.take(length)?;
        Ok(match self.whole {
            Some(whole) => whole.slice_ref(bytes),
            None => Bytes::copy_from_slice(bytes),
        })
    }

    pub(crate) fn text(&mut self) -> Result<String, Failure> {
        let text = std::str::from_utf8(self.bytes()?);
        text.map(str::to_owned)
            .map_err(|error| Failure::new(format!("a text is not UTF-8: {error}")))
    }
}

fn too_short() -> Failure {
    Failure::new("the buffer from Java ends too early; do its jar and its library belong together?")
}

pub(crate) fn put_count(buffer: &mut Vec<u8>, count: usize) -> Result<(), Failure> {
    let count = u32::try_from(count).map_err(|_| {
        Failure::new(format!(
            "{count} elements or bytes are more than Java takes"
        ))
    })?;
    buffer.extend_from_slice(&count.to_le_bytes());
    Ok(())
}

pub(crate) fn put_bytes(buffer: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Failure> {
    put_count(buffer, bytes.len())?;
    buffer.extend_from_slice(bytes);
    Ok(())
}
